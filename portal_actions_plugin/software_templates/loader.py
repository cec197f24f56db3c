"""Templates from folders: found, read, checked, and read again when a file changes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import NotFoundError, ValidationError
from portal_actions_plugin.host import Severity, TemplateFinding, TemplateListing
from portal_actions_plugin.software_templates.expressions import host_calls
from portal_actions_plugin.software_templates.missing_actions import counted
from portal_actions_plugin.software_templates.skeletons.files import read_skeleton
from portal_actions_plugin.software_templates.sources.files import shown_path
from portal_actions_plugin.software_templates.sources.reading import IN_FOLDER, UNREAD, Loaded, TemplateReader
from portal_actions_plugin.software_templates.sources.repositories import Repository
from portal_actions_plugin.software_templates.sources.walking import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence

    from portal_actions_plugin.software_templates.checking.documents import Forbids
    from portal_actions_plugin.software_templates.findings import Checked
    from portal_actions_plugin.software_templates.sources.checkouts import Checkouts, Root
    from portal_actions_plugin.software_templates.spec import Template

__all__ = ["IN_FOLDER", "UNREAD", "FolderTemplateSource", "read_skeleton", "shown_path"]

_MOST_NAMED = 5
"""Files that are named where several templates have one name."""


@dataclass(frozen=True, slots=True)
class _View:
    """What all files hold together."""

    templates: Mapping[str, Template]
    problems: tuple[TemplateFinding, ...]
    warnings: tuple[TemplateFinding, ...]
    broken: Mapping[str, tuple[TemplateFinding, ...]]


class FolderTemplateSource:
    """The templates of some folders: each YAML file in them, ``template.yaml`` one level down, and where Locations lead.

    Files and skeletons are looked at on every call and read again when they changed. A broken file hides only itself.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        known_actions: Container[str],
        forbids: Forbids | None = None,
        *,
        yaml_merge: bool = False,
        checkouts: Checkouts | None = None,
    ) -> None:
        """Take the folders to look in, the action ids that steps may name, and what knows what forges cannot do.

        ``yaml_merge``: ``<<`` writes a mapping out, as in YAML 1.1. ``checkouts``: the git repositories.
        """
        self._folders = tuple(folders)
        self._checkouts = checkouts
        self._reader_of = partial(TemplateReader, self._folders, known_actions, forbids, yaml_merge=yaml_merge)
        self._loaded: dict[Path, Loaded] = {}
        self._host_names = host_calls.NONE.names

    def list(self) -> TemplateListing:
        """All usable templates by name, what is wrong with the others, and what usable ones had better be rid of."""
        view = self._view()
        templates = tuple(view.templates[name] for name in sorted(view.templates))
        return TemplateListing(templates, tuple(counted(view.problems)), view.warnings)

    def get(self, name: str) -> Template:
        """Find a template.

        Raises:
            NotFoundError: there is no template of that name.
            ValidationError: there is, but its file is broken; quotes the first problems.
        """
        view = self._view()
        if name in view.templates:
            return view.templates[name]
        if own := view.broken.get(name):
            more = f" … and {len(own) - 3} more" if len(own) > 3 else ""
            raise ValidationError(
                f"The template {name} cannot be used: {' · '.join(map(str, own[:3]))}{more}",
                hint="Tell the template's owner: the API's list of templates has every problem.",
            )
        raise no_template(name)

    def of_repository(self, root: Root) -> dict[str, bool]:
        """The templates of a repository, and whether each can be used by itself, whoever else has its name."""
        walked = walk({root.folder: root.top}, self._reader_of(roots=(root,)), self._loaded)
        found: dict[str, bool] = {}
        for _, one in walked.templates():
            found[one.name] = found.get(one.name, False) or one.template is not None
        return found

    def _view(self) -> _View:
        if self._host_names != host_calls.current().names:  # what expressions may call has changed
            self._loaded, self._host_names = {}, host_calls.current().names
        roots = tuple(self._checkouts.roots()) if self._checkouts else ()
        reader = self._reader_of(roots=roots)
        own = walk({folder: folder for folder in self._folders}, reader, self._loaded)
        loaded, problems, held = dict(own.loaded), list(own.problems), list(own.templates())
        for root in roots:
            found = Repository.read(root, reader, self._loaded)
            loaded |= found.loaded
            problems.extend(found.problems)
            held.extend(found.templates)
        self._loaded = loaded
        return _merged(held, (*problems, *(self._checkouts.findings() if self._checkouts else ())), reader)


def _merged(held: Iterable[tuple[Path, Checked]], found: Sequence[TemplateFinding], reader: TemplateReader) -> _View:
    """What all files hold together. Of several templates with one name none can be used: nobody can tell which is meant."""
    told = [one for one in found if one.severity is Severity.PROBLEM]
    warnings = [one for one in found if one.severity is Severity.WARNING]
    usable: dict[str, list[tuple[Path, Checked]]] = {}
    broken: dict[str, tuple[TemplateFinding, ...]] = {}
    for file, checked in held:
        if checked.template is None:
            told.extend(checked.problems)
            broken.setdefault(checked.name, checked.problems)
        else:
            usable.setdefault(checked.name, []).append((file, checked))
    templates: dict[str, Template] = {}
    for name, having in usable.items():
        ((_, first), *others) = having
        if others:
            broken[name] = taken(having, reader.shown)
            told.extend(broken[name])
        elif first.template:
            templates[name] = first.template
            warnings.extend(first.warnings)
    return _View(templates, tuple(told), tuple(warnings), broken)


def taken(having: Sequence[tuple[Path, Checked]], shown: Callable[[Path], str]) -> tuple[TemplateFinding, ...]:
    """The problem of each of several templates that have one name: it names the others.

    Args:
        having: the templates, with their files.
        shown: a file's path as people may see it.
    """
    names = [shown(file) for file, _ in having]
    return tuple(
        _taken(file, checked, names[n], [*names[:n], *names[n + 1 :]]) for n, (file, checked) in enumerate(having)
    )


def _taken(file: Path, checked: Checked, name: str, others: Sequence[str]) -> TemplateFinding:
    also = list(dict.fromkeys(others))[:_MOST_NAMED]
    named = " and ".join(filter(None, (", ".join(also[:-1]), also[-1])))
    message = f"the name {checked.name!r} is that of {named} too, so neither can be used: give one another name"
    return TemplateFinding(name, checked.line, "metadata.name", message, str(file), template=checked.name)


def no_template(name: str) -> NotFoundError:
    """The error for a template that is not there, or that somebody may not know of: it names no other."""
    return NotFoundError(
        f"There is no template {name[:80]}.",
        hint="The list of templates has those that there are, and the files that cannot be used.",
    )
