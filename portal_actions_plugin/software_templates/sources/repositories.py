"""The templates of a git repository: as its newest commit has them, or as the last commit had them that was good."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from portal_actions_plugin.host import Severity
from portal_actions_plugin.software_templates.sources.checkouts import KEY, moment
from portal_actions_plugin.software_templates.sources.walking import walk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from portal_actions_plugin.host import TemplateFinding
    from portal_actions_plugin.software_templates.findings import Checked
    from portal_actions_plugin.software_templates.sources.checkouts import Root
    from portal_actions_plugin.software_templates.sources.reading import Loaded, TemplateReader


@dataclass(frozen=True, slots=True)
class Repository:
    """What a repository has.

    Attributes:
        templates: each with its file.
        problems: with its Locations.
        loaded: each file that was read.
    """

    templates: tuple[tuple[Path, Checked], ...]
    problems: tuple[TemplateFinding, ...]
    loaded: Mapping[Path, Loaded]

    @classmethod
    def read(cls, root: Root, reader: TemplateReader, before: Mapping[Path, Loaded]) -> Repository:
        """Read it; what cannot be used is read from the last commit at which it could.

        Args:
            root: of the commit that counts.
            reader: that knows the root.
            before: what files held when they were last read.
        """
        walked = walk({root.folder: root.top}, reader, before)
        templates = tuple(walked.templates())
        usable = {one.name for _, one in templates if one.template}
        wanted = {one.name: root.good[one.name] for _, one in templates if one.name in root.good.keys() - usable}
        loaded = dict(walked.loaded)
        good: dict[str, Checked] = {}
        for earlier in {one.top: one for one in wanted.values()}.values():
            of_it = walk({earlier.folder: earlier.top}, reader.beside(earlier), before)
            loaded |= of_it.loaded
            good |= {one.name: one for _, one in of_it.templates() if one.template and wanted.get(one.name) == earlier}
        kept = ((file, _kept(one, good[one.name], root) if one.name in good else one) for file, one in templates)
        return cls(tuple(kept), tuple(walked.problems), loaded)


def _kept(newest: Checked, good: Checked, root: Root) -> Checked:
    """A template as it was, with what is wrong with its newest version for warnings."""
    if newest.template or not newest.problems or not (good.template and good.template.source):
        return newest
    message = (
        f"commit {root.source.short} has problems with this template: since {moment(root.since)} it is used as commit "
        f"{good.template.source.short} has it"
    )
    first = replace(newest.problems[0], key=KEY, message=message, severity=Severity.WARNING, value="", write="")
    problems = (replace(one, severity=Severity.WARNING) for one in newest.problems)
    return replace(good, line=newest.line, warnings=(first, *problems))
