"""Templates from folders: found, read, checked, and read again when a file changes."""

from __future__ import annotations

import errno
import logging
import os
import re
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from portal_actions_plugin.control_characters import escaped
from portal_actions_plugin.errors import NotFoundError, ValidationError
from portal_actions_plugin.host import TemplateFinding, TemplateListing
from portal_actions_plugin.software_templates.expressions.limits import SandboxError, budget
from portal_actions_plugin.software_templates.findings import Checked
from portal_actions_plugin.software_templates.skeleton import Signature, read_skeleton, signature, stamp

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from portal_actions_plugin.software_templates.checks import Forbids
    from portal_actions_plugin.software_templates.spec import Template

log = logging.getLogger(__name__)

__all__ = ["FolderTemplateSource", "read_skeleton"]

_Findings = list[TemplateFinding]

CHECK_SECONDS = 5.0
"""Processor time of checking one file and its skeletons."""
_ENDINGS = (".yaml", ".yml")
_FIRST_NAME = re.compile(r"\bname:\s*['\"]?([\w.-]+)")
IN_FOLDER = ("template.yaml", "template.yml")
UNREAD = ("file", "yaml")
"""The keys of problems that keep a file from being read: the name of its template is a guess then."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What one file held when it had this signature."""

    stamp: Signature
    checked: tuple[Checked, ...]

    def is_current(self, stamp: Signature, base: Path) -> bool:
        skeletons = (pair for one in self.checked for pair in one.skeletons.items())
        return self.stamp == stamp and all(signature(base, folder) == before for folder, before in skeletons)


@dataclass(frozen=True, slots=True)
class _View:
    """What all files hold together."""

    templates: Mapping[str, Template]
    problems: tuple[TemplateFinding, ...]
    warnings: tuple[TemplateFinding, ...]
    broken: Mapping[str, tuple[TemplateFinding, ...]]


class FolderTemplateSource:
    """The templates of some folders: each YAML file in them, and ``template.yaml`` one level down.

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
        self._yaml_merge = yaml_merge
        self._forbids = forbids
        self._known_actions = known_actions
        self._loaded: dict[Path, _Loaded] = {}

    def list(self) -> TemplateListing:
        """All usable templates by name, what is wrong with the others, and what usable ones had better be rid of."""
        view = self._view()
        templates = tuple(view.templates[name] for name in sorted(view.templates))
        return TemplateListing(templates, view.problems, view.warnings)

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
        files, problems = self._find()
        warnings: _Findings = []
        templates: dict[str, Template] = {}
        origins: dict[str, Path] = {}
        broken: dict[str, tuple[TemplateFinding, ...]] = {}
        loaded = {file: self._load(file) for file in files}
        self._loaded = loaded
        for file, checked in ((file, one) for file, held in loaded.items() for one in held.checked):
            if checked.template is None:
                problems.extend(checked.problems)
                broken.setdefault(checked.name, checked.problems)
            elif checked.name in origins:
                other = shown_path(origins[checked.name], self._folders)
                message = f"the name {checked.name!r} is taken already, by {other}: this one is left out"
                problems.append(self._problem(file, checked.line, "metadata.name", message, checked.name))
            else:
                templates[checked.name], origins[checked.name] = checked.template, file
                warnings.extend(checked.warnings)
        return _View(templates, tuple(problems), tuple(warnings), broken)

    def _find(self) -> tuple[Sequence[Path], _Findings]:
        """The files that may be templates, each once, sorted by path."""
        found: dict[str, Path] = {}
        problems: _Findings = []
        for folder in self._folders:
            try:
                top = os.path.realpath(folder)
                for name, is_linked in _candidates(folder):
                    file = folder / name
                    # Only a link can lead elsewhere, and to find out where takes longer than all the rest.
                    real = file.resolve() if is_linked else None
                    if real is None or real.is_relative_to(top):
                        found.setdefault(str(real or f"{top}/{name}"), file)
                    else:
                        message = "this is a link that leads out of the template folder"
                        problems.append(self._problem(file, 1, "file", message))
            except OSError as error:
                message = f"this template folder cannot be read: {error.strerror}"
                problems.append(self._problem(folder, 1, "folder", message))
        return sorted(found.values()), problems

    def _load(self, file: Path) -> _Loaded:
        now: Signature = ()
        try:
            now = stamp(file.stat())
            before = self._loaded.get(file)
            with budget(seconds=CHECK_SECONDS):
                if before and before.is_current(now, file.parent):
                    return before
                checked = self._check(file)
                _log(checked)
                return _Loaded(now, checked)
        except OSError as error:
            return _Loaded((), (self._broken(file, "", 1, "file", f"this cannot be read: {error.strerror}"),))
        except SandboxError as error:
            return _Loaded(now, (self._broken(file, "", 1, "file", f"its check was given up: {error}"),))

    def _check(self, file: Path) -> tuple[Checked, ...]:
        # YAML, JSON Schema and our checks take a tenth of a second to import: the first file that is read pays for them.
        from portal_actions_plugin.software_templates.checks import KIND, check_document, forbids_nothing
        from portal_actions_plugin.software_templates.yaml.documents import (
            MAX_BYTES,
            UnreadableError,
            read_documents,
            with_merges,
        )

        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        text = content.decode("utf-8-sig", errors="replace")
        if len(content) > MAX_BYTES:
            return (self._broken(file, text, 1, "file", f"this is larger than {MAX_BYTES:,} bytes"),)
        try:
            content.decode("utf-8-sig")
            documents = map(with_merges, read_documents(text)) if self._yaml_merge else read_documents(text)
            wanted = [one for one in documents if one.mapping.get("kind") == KIND]
            forbids = self._forbids or forbids_nothing
            return tuple(self._told(check_document(one, file, self._known_actions, forbids)) for one in wanted)
        except UnicodeDecodeError as error:
            return (
                self._broken(file, text, content.count(b"\n", 0, error.start) + 1, "file", "this is no UTF-8 text"),
            )
        except UnreadableError as error:
            return (self._broken(file, text, error.line, "yaml", error.message),)
        except RecursionError:
            return (self._broken(file, text, 1, "file", "this, or its skeleton, is nested too deeply"),)

    def _told(self, checked: Checked) -> Checked:
        """Name template and files as people may see them, in every finding."""
        problems, warnings = (
            tuple(
                replace(one, file=shown_path(Path(one.file), self._folders), path=one.file, template=checked.name)
                for one in found
            )
            for found in (checked.problems, checked.warnings)
        )
        return replace(checked, problems=problems, warnings=warnings)

    def _problem(self, file: Path, line: int, key: str, message: str, template: str = "") -> TemplateFinding:
        return TemplateFinding(shown_path(file, self._folders), line, key, message, str(file), template=template)

    def _broken(self, file: Path, text: str, line: int, key: str, message: str) -> Checked:
        """A file that could not be read far enough to know its name: the first name in it is most likely the one."""
        guess = _FIRST_NAME.search(text)
        name = guess[1] if guess else file.parent.name if file.name in IN_FOLDER else file.stem
        return Checked(name, line, None, (self._problem(file, line, key, message, name),))


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


def shown_path(file: Path, folders: Iterable[Path]) -> str:
    """A file's path as people may see it.

    Args:
        file: a template's file, or a folder of templates.
        folders: the template folders.

    Returns:
        Its path below the first of them that it is in; its own name when it is in none, or is one of them.
    """
    for folder in folders:
        if file != folder and file.is_relative_to(folder):
            return str(file.relative_to(folder))
    return file.name


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
        if entry.name.endswith(_ENDINGS) and (_is_file(path) if path else entry.is_file(follow_symlinks=False)):
            yield entry.name, is_linked
        elif path.is_dir() if path else entry.is_dir(follow_symlinks=False):
            for name in IN_FOLDER:
                inside = f"{entry.path}/{name}"
                if _is_file(inside):
                    yield f"{entry.name}/{name}", is_linked or os.path.islink(inside)  # noqa: PTH114 as below


def _is_file(path: Path | str) -> bool:
    # Not `Path.is_file`: every start asks about every template, and to make a path takes longer than to ask.
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 as said
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        return error.errno != errno.ELOOP  # reading it will say why it cannot be read, and hides no other file
