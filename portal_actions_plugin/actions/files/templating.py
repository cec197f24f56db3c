"""Putting the files of a skeleton into a workspace, with their names and texts rendered."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from portal_actions_plugin.actions.files.disk import Writer, make_folder, place_of, wrong
from portal_actions_plugin.actions.files.globs import NOTHING, Globs
from portal_actions_plugin.errors import ValidationError

if TYPE_CHECKING:
    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.scm.base import RepoFile
    from portal_actions_plugin.software_templates.skeletons.rendering import FileRenderer

MAX_FAULTS = 20
"""Files that are told of when they cannot be rendered, and names that nobody knows."""
_PROGRESS_EVERY = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """What of a skeleton is rendered, and what becomes of what is there already.

    Attributes:
        copied: what is taken as it is.
        names: of which files the names are rendered.
        extension: the ending of the only files whose text is rendered, with its dot; empty for all files.
        replaces: whether a file that is there already is written anew; otherwise it stays.
    """

    copied: Globs = NOTHING
    names: Literal["all", "those that are rendered", "none"] = "all"
    extension: str = ""
    replaces: bool = False

    def without_extension(self, path: str) -> str:
        """A file's path, with an ending that only says that it is rendered cut off."""
        return path.removesuffix(self.extension) if self.renders(path) else path

    def renders(self, path: str) -> bool:
        """Whether the text of a file is rendered; raises TooMuchError."""
        if self.extension:
            return PurePosixPath(path).suffix == self.extension
        return not self.copied.matches(path)


@dataclass(slots=True)
class Templating:
    """Writes the files of one skeleton.

    Attributes:
        ctx: of the run that asks.
        target: the folder of the workspace that they are put into.
        renderer: renders names and texts.
        plan: what of it is rendered.
        source: what errors call the skeleton.
    """

    ctx: ActionContext
    target: str
    renderer: FileRenderer
    plan: Plan
    source: str
    _faults: list[ValidationError] = field(default_factory=list)
    _unknown: list[str] = field(default_factory=list)
    _skipped: int = 0

    def write(self, files: Sequence[RepoFile]) -> None:
        """Write all files.

        Raises:
            ValidationError: names or texts cannot be rendered, or lead out of the workspace: names file and line.
        """
        writer = Writer(self.ctx.workspace, "targetPath")
        make_folder(self.ctx.workspace, self.target, "targetPath")
        for folder in _folders(files):
            self._attempt(partial(self._make_folder, folder))
        for number, file in enumerate(files, 1):
            self._attempt(partial(self._write, file, writer))
            if number % _PROGRESS_EVERY == 0:
                self.ctx.progress(number, len(files))
        if self._faults:
            raise self._fault()
        for said in self._unknown[:MAX_FAULTS]:
            self.ctx.warn(said)
        if len(self._unknown) > MAX_FAULTS:
            self.ctx.warn(f"{len(self._unknown) - MAX_FAULTS} more names in {self.source} are unknown, and nothing.")
        there = f", {self._skipped} were there already or have no name" if self._skipped else ""
        self.ctx.log(f"wrote {writer.files} files of {self.source}{there}")

    def _attempt(self, work: Callable[[], None]) -> None:
        if len(self._faults) < MAX_FAULTS:
            try:
                work()
            except ValidationError as error:
                self._faults.append(error)

    def _make_folder(self, path: str) -> None:
        name = self._name(path, path)
        if not _is_left_out(name):
            make_folder(self.ctx.workspace, f"{self.target}/{name}", "targetPath")

    def _write(self, file: RepoFile, writer: Writer) -> None:
        name = self._name(file.path, self.plan.without_extension(file.path))
        path = f"{self.target}/{name}"
        if _is_left_out(name) or self._stays(place_of(self.ctx.workspace, path, "targetPath"), name):
            self._skipped += 1
            return
        if file.is_link:
            if not writer.link(path, file.content.decode(errors="replace")):
                self.ctx.warn(f"{file.path} is a link that leads out of the workspace: it is left out.")
            return
        writer.write(path, self._content(file), executable=file.executable)

    def _stays(self, place: Path, name: str) -> bool:
        """Whether what is at a place stays, or a file's own name was rendered to nothing and its folder is left."""
        if name.endswith("/") and place.is_dir():
            return True
        return os.path.lexists(place) and not self.plan.replaces

    def _name(self, path: str, kept: str) -> str:
        """A path as it is in the workspace: what is kept of it, rendered."""
        if self.plan.names == "none" or (self.plan.names != "all" and not self.plan.renders(path)):
            return kept
        name = self._rendered(kept, f"the name {self.source}/{path}")
        if posixpath.normpath(name).startswith("../") or posixpath.normpath(name) == "..":
            raise wrong(
                "values", f"{self.source}/{path} would be written as {name[:200]!r}, which leads out of targetPath."
            )
        return name

    def _content(self, file: RepoFile) -> bytes:
        if not self.plan.renders(file.path) or b"\0" in file.content:
            return file.content
        try:
            text = file.content.decode()
        except UnicodeDecodeError:
            return file.content
        return self._rendered(text, f"{self.source}/{file.path}").encode(errors="replace")

    def _rendered(self, text: str, where: str) -> str:
        found = self.renderer.render(text, where)
        for name, line in found.unknown.items():
            said = (
                f"{where}, line {line}: {name!r} is unknown, and nothing: a file knows {self.renderer.root}. Put what is "
                "not for this portal between {% raw %} and {% endraw %}, or list the file in copyWithoutTemplating."
            )
            if said not in self._unknown:
                self._unknown.append(said)
        return found.text

    def _fault(self) -> ValidationError:
        faults = self._faults
        if len(faults) == 1:
            return faults[0]
        count = f"At least {MAX_FAULTS}" if len(faults) == MAX_FAULTS else str(len(faults))
        return ValidationError(
            f"{count} files of {self.source} cannot be written: {faults[0].message}",
            hint=faults[0].hint,
            fields={"url": [fault.message for fault in faults]},
        )


def _folders(files: Iterable[RepoFile]) -> Iterator[str]:
    """The folders that files are in, each once, those above before those below."""
    seen: dict[str, None] = {}
    for file in files:
        for folder in reversed(PurePosixPath(file.path).parents):
            if folder.parts:
                seen[folder.as_posix()] = None
    yield from seen


def _is_left_out(name: str) -> bool:
    """Whether a part of a path was rendered to nothing."""
    return not name or name.startswith("/") or "//" in name
