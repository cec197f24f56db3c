"""The files of template folders: those that may hold templates, and those that Locations lead to, each read once."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from portal_actions_plugin.control_characters import escaped
from portal_actions_plugin.host import TemplateFinding
from portal_actions_plugin.software_templates.sources.files import is_file
from portal_actions_plugin.software_templates.sources.locations import MAX_DEPTH, MAX_FOUND, Expansion
from portal_actions_plugin.software_templates.sources.reading import IN_FOLDER, Loaded, TemplateReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from portal_actions_plugin.software_templates.findings import Checked

log = logging.getLogger(__name__)

_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class _Found:
    """A file that may hold templates: where it lies, and in which template folder."""

    file: Path
    root: Path


@dataclass(frozen=True, slots=True)
class Walked:
    """What some template folders hold.

    Attributes:
        loaded: each file that was read.
        problems: with folders, links and Locations.
    """

    loaded: dict[Path, Loaded] = field(default_factory=dict)
    problems: list[TemplateFinding] = field(default_factory=list)

    def templates(self) -> Iterator[tuple[Path, Checked]]:
        """Each template with its file, by the file's path."""
        return ((file, one) for file in sorted(self.loaded) for one in self.loaded[file].checked)


def walk(folders: Mapping[Path, Path], reader: TemplateReader, before: Mapping[Path, Loaded]) -> Walked:
    """Read what the folders hold: the files of each, ``template.yaml`` one level down, and where Locations lead.

    Args:
        folders: each with the folder that nothing leads out of: itself, or one that it is in.
        reader: of their files.
        before: what files held when they were last read.
    """
    return _Walk(reader, before).over(folders)


class _Walk:
    def __init__(self, reader: TemplateReader, before: Mapping[Path, Loaded]) -> None:
        self._reader = reader
        self._before = before
        self._walked = Walked()

    def over(self, folders: Mapping[Path, Path]) -> Walked:
        """Read each file once, so that none leads in circles."""
        walked, problems = self._walked, self._walked.problems
        found = latest = self._find(folders)
        self._load(found)
        expansions: dict[Path, Expansion] = {}
        for _ in range(MAX_DEPTH):
            further: dict[str, _Found] = {}
            for one in latest.values():
                problems.extend(walked.loaded[one.file].problems)
                expansion = expansions.setdefault(one.root, Expansion(one.root))
                files, unfound = self._reader.follow(one.file, walked.loaded[one.file], expansion)
                further.update((os.path.realpath(file), _Found(file, one.root)) for file in files)
                problems.extend(unfound)
            new = ((real, one) for real, one in further.items() if real not in found)
            latest = dict(islice(new, max(0, MAX_FOUND - len(found))))
            found = found | latest
            self._load(latest)
        for one in latest.values():
            for target in walked.loaded[one.file].targets[:1]:
                message = f"Locations lead through more than {MAX_DEPTH} files: this one is not followed"
                problems.append(self._reader.finding(one.file, target.line, target.key, message))
        return walked

    def _load(self, found: Mapping[str, _Found]) -> None:
        for one in found.values():
            before = self._before.get(one.file)
            loaded = self._walked.loaded[one.file] = self._reader.read(one.file, one.root, before)
            if loaded is not before and loaded.stamp:
                _log(loaded.checked)

    def _find(self, folders: Mapping[Path, Path]) -> dict[str, _Found]:
        """The files in the folders that may be templates, by where they really are: each once, sorted by path."""
        found: dict[str, _Found] = {}
        for folder, root in folders.items():
            try:
                here, top = os.path.realpath(folder), os.path.realpath(root)
                for name, is_linked in _candidates(folder):
                    file = folder / name
                    # Only a link can lead elsewhere, and to find out where takes longer than all the rest.
                    real = file.resolve() if is_linked else None
                    if real is None or real.is_relative_to(top):
                        found.setdefault(str(real or f"{here}/{name}"), _Found(file, root))
                    else:
                        message = "this is a link that leads out of the template folder"
                        self._walked.problems.append(self._reader.finding(file, 1, "file", message))
            except OSError as error:
                message = f"this template folder cannot be read: {error.strerror}"
                self._walked.problems.append(self._reader.finding(folder, 1, "folder", message))
        return dict(sorted(found.items(), key=lambda item: item[1].file))


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
