"""Reading one file: the templates that it holds, the files that it names, and what is wrong with all of that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from portal_actions_plugin.host import TemplateFinding
from portal_actions_plugin.software_templates.expressions.limits import SandboxError, budget
from portal_actions_plugin.software_templates.findings import Checked
from portal_actions_plugin.software_templates.skeletons.files import Signature, signature, stamp
from portal_actions_plugin.software_templates.sources.files import file_stamp, shown_path
from portal_actions_plugin.software_templates.sources.locations import (
    Expansion,
    Target,
    Targets,
    is_location,
    read_location,
)

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from portal_actions_plugin.software_templates.checking.documents import Forbids
    from portal_actions_plugin.software_templates.sources.checkouts import Root
    from portal_actions_plugin.software_templates.yaml.documents import Document

CHECK_SECONDS = 5.0
"""Processor time of checking one file and its skeletons."""
IN_FOLDER = ("template.yaml", "template.yml")
UNREAD = ("file", "yaml")
"""The keys of problems that keep a file from being read: the name of its template is a guess then."""
_FIRST_NAME = re.compile(r"\bname:\s*['\"]?([\w.-]+)")
_DOCUMENT = re.compile(r"^---(?:\s|$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What one file held when it had this stamp.

    Attributes:
        stamp: empty where the file could not be read.
        checked: its templates.
        targets: of its Locations.
        problems: with its Locations.
        files: the stamps of the files that its placeholders name.
    """

    stamp: Signature
    checked: tuple[Checked, ...]
    targets: tuple[Target, ...] = ()
    problems: tuple[TemplateFinding, ...] = ()
    files: Mapping[Path, Signature] = field(default_factory=dict)

    def is_current(self, now: Signature, base: Path) -> bool:
        """Whether the file, its skeletons and what its placeholders name are what they were.

        Args:
            now: the file's stamp.
            base: the folder of the file.
        """
        skeletons = (pair for one in self.checked for pair in one.skeletons.items())
        return (
            self.stamp == now
            and all(file_stamp(file) == before for file, before in self.files.items())
            and all(signature(base, folder) == before for folder, before in skeletons)
        )


class TemplateReader:
    """Reads files, and checks the templates in them."""

    def __init__(
        self,
        folders: Sequence[Path],
        known_actions: Container[str],
        forbids: Forbids | None,
        *,
        yaml_merge: bool,
        roots: Sequence[Root] = (),
    ) -> None:
        """Take the folders that paths are shown below, those of repositories, and what ``FolderTemplateSource`` takes."""
        self._folders = tuple(folders)
        self._roots = {root.top: root for root in roots}
        self._known_actions = known_actions
        self._forbids = forbids
        self._yaml_merge = yaml_merge

    def beside(self, root: Root) -> TemplateReader:
        """A reader that knows one more root, such as that of an earlier commit."""
        return TemplateReader(
            self._folders,
            self._known_actions,
            self._forbids,
            yaml_merge=self._yaml_merge,
            roots=(*self._roots.values(), root),
        )

    def read(self, file: Path, root: Path, before: Loaded | None = None) -> Loaded:
        """Read a file, unless it is what it was.

        Args:
            file: in the root, or in a folder below it.
            root: the template folder. Nothing that the file names is read outside of it.
            before: what it held when it was last read.
        """
        now: Signature = ()
        try:
            now = stamp(file.stat())
            with budget(seconds=CHECK_SECONDS):
                if before and before.is_current(now, file.parent):
                    return before
                return self._read(file, root, now)
        except OSError as error:
            return Loaded((), (self._broken(file, "", 1, "file", f"this cannot be read: {error.strerror}"),))
        except SandboxError as error:
            return Loaded(now, (self._broken(file, "", 1, "file", f"its check was given up: {error}"),))

    def finding(self, file: Path, line: int, key: str, message: str, template: str = "") -> TemplateFinding:
        """A problem of a file, with the path that people may see."""
        return TemplateFinding(self.shown(file), line, key, message, str(file), template=template)

    def shown(self, file: Path) -> str:
        """A file's path as people may see it: with the repository's name in front, where it is of one."""
        for folder, root in self._roots.items():
            if file.is_relative_to(folder):
                return f"{root.name}/{file.relative_to(folder)}" if file != folder else root.name
        return shown_path(file, self._folders)

    def follow(self, file: Path, loaded: Loaded, expansion: Expansion) -> tuple[list[Path], list[TemplateFinding]]:
        """The files that a file's Locations lead to, and what is wrong with their targets.

        Args:
            file: that names them.
            loaded: what it holds.
            expansion: of the template folder that it is in.
        """
        files: list[Path] = []
        problems: list[TemplateFinding] = []
        for target in loaded.targets:
            found, wrong = expansion.files(target, file)
            files.extend(found)
            for unfound in () if target.optional else wrong:
                told = self.finding(file, target.line, target.key, unfound.message)
                problems.append(replace(told, value=unfound.path))
        return files, problems

    def _read(self, file: Path, root: Path, now: Signature) -> Loaded:
        # YAML, JSON Schema and our checks take a tenth of a second to import: the first file that is read pays for them.
        from portal_actions_plugin.software_templates.yaml.documents import MAX_BYTES

        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        return self.read_content(content, file, root, now)

    def read_content(self, content: bytes, file: Path, root: Path, now: Signature = ()) -> Loaded:
        """Read what a file holds, or would hold.

        Args:
            content: of the file.
            file: where it lies.
            root: as for ``read``.
            now: the file's stamp, where the content is its own.

        Raises:
            SandboxError: its check takes too long.
        """
        from portal_actions_plugin.software_templates.yaml.documents import MAX_BYTES, UnreadableError

        text = content.decode("utf-8-sig", errors="replace")
        if len(content) > MAX_BYTES:
            return Loaded(now, (self._broken(file, text, 1, "file", f"this is larger than {MAX_BYTES:,} bytes"),))
        held = _Held(self, file, root)
        try:
            content.decode("utf-8-sig")
            for document in self._documents(text):
                held.add(document)
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            held.checked.append(self._broken(file, text, line, "file", "this is no UTF-8 text"))
        except UnreadableError as error:
            held.checked.append(
                self._broken(file, _from_document_at(text, error.line), error.line, "yaml", error.message)
            )
        except RecursionError:
            held.checked.append(self._broken(file, text, 1, "file", "this, or its skeleton, is nested too deeply"))
        return held.loaded(now)

    def _documents(self, text: str) -> Iterator[Document]:
        from portal_actions_plugin.software_templates.yaml.documents import iter_documents, with_merges

        return map(with_merges, iter_documents(text)) if self._yaml_merge else iter_documents(text)

    def check(self, document: Document, file: Path, root: Path) -> tuple[Checked, Mapping[Path, Signature]]:
        """Fill in a template's placeholders and check it; with the stamps of the files that they name."""
        from portal_actions_plugin.software_templates.checking.documents import check_document, forbids_nothing
        from portal_actions_plugin.software_templates.sources.placeholders import fill

        filled, files = fill(document, file, root, merges=self._yaml_merge)
        checked = check_document(filled, file, self._known_actions, self._forbids or forbids_nothing, root)
        source = self._roots[root].source if root in self._roots else None
        if checked.template and source:
            checked = replace(checked, template=replace(checked.template, source=source))
        return self._told(checked), files

    def _told(self, checked: Checked) -> Checked:
        """Name template and files as people may see them, in every finding."""
        problems, warnings = (
            tuple(replace(one, file=self.shown(Path(one.file)), path=one.file, template=checked.name) for one in found)
            for found in (checked.problems, checked.warnings)
        )
        return replace(checked, problems=problems, warnings=warnings)

    def _broken(self, file: Path, text: str, line: int, key: str, message: str) -> Checked:
        """A file that could not be read far enough to know its name: the first name in it is most likely the one."""
        guess = _FIRST_NAME.search(text)
        name = guess[1] if guess else file.parent.name if file.name in IN_FOLDER else file.stem
        return Checked(name, line, None, (self.finding(file, line, key, message, name),))


class _Held:
    """What the documents of one file hold, one after the other."""

    def __init__(self, reader: TemplateReader, file: Path, root: Path) -> None:
        self._reader = reader
        self._file = file
        self._root = root
        self._targets = Targets()
        self._files: dict[Path, Signature] = {}
        self.checked: list[Checked] = []

    def add(self, document: Document) -> None:
        from portal_actions_plugin.software_templates.checking.documents import KIND

        if document.mapping.get("kind") == KIND:
            checked, files = self._reader.check(document, self._file, self._root)
            self.checked.append(checked)
            self._files.update(files)
        elif is_location(document):
            read_location(document, self._targets)

    def loaded(self, now: Signature) -> Loaded:
        problems = tuple(
            self._reader.finding(self._file, line, key, message) for key, line, message in self._targets.problems
        )
        return Loaded(now, tuple(self.checked), tuple(self._targets.found), problems, self._files)


def _from_document_at(text: str, line: int) -> str:
    """A file's text from where the document begins that cannot be read on at this line, perhaps since the next one begins."""
    end = sum(map(len, text.splitlines(keepends=True)[: line - 1]))
    begins = [found.end() for found in _DOCUMENT.finditer(text, 0, end)]
    return text[begins[-1] :] if begins else text
