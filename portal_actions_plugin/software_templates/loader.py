"""Templates from folders: found, read, checked, and read again when a file changes."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from portal_actions_plugin.control_characters import escaped
from portal_actions_plugin.errors import NotFoundError, ValidationError
from portal_actions_plugin.host import TemplateFinding, TemplateListing
from portal_actions_plugin.software_templates.expressions import host_calls
from portal_actions_plugin.software_templates.missing_actions import counted
from portal_actions_plugin.software_templates.skeleton import read_skeleton
from portal_actions_plugin.software_templates.sources.files import is_file, shown_path
from portal_actions_plugin.software_templates.sources.locations import MAX_DEPTH, MAX_FOUND, Expansion
from portal_actions_plugin.software_templates.sources.reading import IN_FOLDER, UNREAD, Loaded, TemplateReader

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from portal_actions_plugin.software_templates.checking.documents import Forbids
    from portal_actions_plugin.software_templates.findings import Checked
    from portal_actions_plugin.software_templates.spec import Template

log = logging.getLogger(__name__)

__all__ = ["IN_FOLDER", "UNREAD", "FolderTemplateSource", "read_skeleton", "shown_path"]

_Findings = list[TemplateFinding]

_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class _Found:
    """A file that may hold templates: where it lies, and in which template folder."""

    file: Path
    root: Path


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
    ) -> None:
        """Take the folders to look in, the action ids that steps may name, and what knows what forges cannot do.

        ``yaml_merge``: ``<<`` writes a mapping out, as in YAML 1.1.
        """
        self._folders = tuple(folders)
        self._reader = TemplateReader(self._folders, known_actions, forbids, yaml_merge=yaml_merge)
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

    def _view(self) -> _View:
        if self._host_names != host_calls.current().names:  # what expressions may call has changed
            self._loaded, self._host_names = {}, host_calls.current().names
        loaded, problems = self._load_all()
        warnings: _Findings = []
        templates: dict[str, Template] = {}
        origins: dict[str, Path] = {}
        broken: dict[str, tuple[TemplateFinding, ...]] = {}
        self._loaded = loaded
        for file, checked in ((path, one) for path in sorted(loaded) for one in loaded[path].checked):
            if checked.template is None:
                problems.extend(checked.problems)
                broken.setdefault(checked.name, checked.problems)
            elif checked.name in origins:
                other = shown_path(origins[checked.name], self._folders)
                message = f"the name {checked.name!r} is taken already, by {other}: this one is left out"
                problems.append(self._reader.finding(file, checked.line, "metadata.name", message, checked.name))
            else:
                templates[checked.name], origins[checked.name] = checked.template, file
                warnings.extend(checked.warnings)
        return _View(templates, tuple(problems), tuple(warnings), broken)

    def _load_all(self) -> tuple[dict[Path, Loaded], _Findings]:
        """Each file that is found in a folder, and those that Locations lead to; each is read once, so none leads in circles."""
        found, problems = self._find()
        loaded = {one.file: self._load(one) for one in found.values()}
        expansions: dict[Path, Expansion] = {}
        latest = found
        for _ in range(MAX_DEPTH):
            further: dict[str, _Found] = {}
            for one in latest.values():
                problems.extend(loaded[one.file].problems)
                expansion = expansions.setdefault(one.root, Expansion(one.root))
                files, unfound = self._reader.follow(one.file, loaded[one.file], expansion)
                further.update((os.path.realpath(file), _Found(file, one.root)) for file in files)
                problems.extend(unfound)
            new = ((real, one) for real, one in further.items() if real not in found)
            latest = dict(islice(new, max(0, MAX_FOUND - len(found))))
            found = found | latest
            loaded |= {one.file: self._load(one) for one in latest.values()}
        for one in latest.values():
            for target in loaded[one.file].targets[:1]:
                message = f"Locations lead through more than {MAX_DEPTH} files: this one is not followed"
                problems.append(self._reader.finding(one.file, target.line, target.key, message))
        return loaded, problems

    def _find(self) -> tuple[dict[str, _Found], _Findings]:
        """The files in the folders that may be templates, by where they really are: each once, sorted by path."""
        found: dict[str, _Found] = {}
        problems: _Findings = []
        for folder in self._folders:
            try:
                top = os.path.realpath(folder)
                for name, is_linked in _candidates(folder):
                    file = folder / name
                    # Only a link can lead elsewhere, and to find out where takes longer than all the rest.
                    real = file.resolve() if is_linked else None
                    if real is None or real.is_relative_to(top):
                        found.setdefault(str(real or f"{top}/{name}"), _Found(file, folder))
                    else:
                        message = "this is a link that leads out of the template folder"
                        problems.append(self._reader.finding(file, 1, "file", message))
            except OSError as error:
                message = f"this template folder cannot be read: {error.strerror}"
                problems.append(self._reader.finding(folder, 1, "folder", message))
        return dict(sorted(found.items(), key=lambda item: item[1].file)), problems

    def _load(self, one: _Found) -> Loaded:
        before = self._loaded.get(one.file)
        loaded = self._reader.read(one.file, one.root, before)
        if loaded is not before and loaded.stamp:
            _log(loaded.checked)
        return loaded


def _log(checked: Iterable[Checked]) -> None:
    """Tell who runs the portal of each template that was read, once for each change of its file."""
    for one in checked:
        if one.problems:
            log.warning("the template %s cannot be used: %s", escaped(one.name), _first_of(one.problems))
        elif one.warnings:
            log.info("the template %s can be used, with warnings: %s", escaped(one.name), _first_of(one.warnings))


def _first_of(found: Sequence[TemplateFinding]) -> str:
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{escaped(str(replace(found[0], file=found[0].path)))}{more}"


def no_template(name: str) -> NotFoundError:
    """The error for a template that is not there, or that somebody may not know of: it names no other."""
    return NotFoundError(
        f"There is no template {name[:80]}.",
        hint="The list of templates has those that there are, and the files that cannot be used.",
    )


def _candidates(folder: Path) -> Iterator[tuple[str, bool]]:
    """The files that may be templates: each one's path below the folder, and whether a link is on the way to it."""
    with os.scandir(folder) as entries:
        shown = [entry for entry in entries if not entry.name.startswith(".")]
    for entry in sorted(shown, key=lambda entry: entry.name):
        is_linked = entry.is_symlink()
        path = Path(entry.path) if is_linked else None
        if entry.name.endswith(_ENDINGS) and (is_file(path) if path else entry.is_file(follow_symlinks=False)):
            yield entry.name, is_linked
        elif path.is_dir() if path else entry.is_dir(follow_symlinks=False):
            for name in IN_FOLDER:
                inside = f"{entry.path}/{name}"
                if is_file(inside):
                    yield f"{entry.name}/{name}", is_linked or os.path.islink(inside)  # noqa: PTH114 as below
