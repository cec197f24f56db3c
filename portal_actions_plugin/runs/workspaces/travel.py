"""Bringing a workspace to the machine that runs a step, and what the step changed back to the store."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from portal_actions_plugin.errors import ConfigurationError, ValidationError
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.runs.workspaces import folders
from portal_actions_plugin.runs.workspaces.box import Box, require_keys
from portal_actions_plugin.runs.workspaces.generations import (
    Generation,
    NewGeneration,
    Place,
    following,
    workspace_is_gone,
)
from portal_actions_plugin.runs.workspaces.manifest import File, Manifest, by_owner
from portal_actions_plugin.runs.workspaces.scanning import Found, Limits, content_of, scan
from portal_actions_plugin.runs.workspaces.stores.store import RUNS, TELL_PLATFORM, Shelf, Store

_ANY = Limits(2**62, 2**31)
_OWNER_MAY = 0o700


@dataclass(frozen=True, slots=True)
class Secrets:
    """What of a run is secret, and what seals it.

    Attributes:
        keys: the portal's, newest first.
        redactor: knows which values are secret.
        are_given: whether the run was started with any.
    """

    keys: Sequence[str]
    redactor: Redactor
    are_given: bool


# -- to the machine --------------------------------------------------------------------------------------------------


def bring(generation: Generation, folder: Path, store: Store) -> None:
    """Make a folder what a workspace was: what is there already and the same stays, and does not travel.

    Args:
        generation: what it was.
        folder: empty, or what an earlier step has left there.
        store: the portal's.

    Raises:
        ConflictError: the contents are deleted.
        ConfigurationError: they are in another kind of store.
        RemoteError: the store does not answer.
    """
    require_here(generation, store)
    found = _left_in(folder)
    manifest = generation.manifest
    _clear(folder, found, manifest)
    for path, _ in manifest.folders:
        (folder / path).mkdir(mode=_OWNER_MAY, parents=True, exist_ok=True)
        (folder / path).chmod(_OWNER_MAY)
    wanted: dict[str, list[File]] = {}
    for file in manifest.files:
        if not _is_there(folder, file, found, generation.box):
            wanted.setdefault(file.name, []).append(file)
    for name, content in read(generation, store, wanted):
        for file in wanted[name]:
            _write(folder / file.path, content)
    for path, target in manifest.links:
        if found.links.get(path) != target:
            (folder / path).symlink_to(target)
    for file in manifest.files:
        (folder / file.path).chmod(file.mode)
    for path, mode in reversed(manifest.folders):  # what is within comes first: it may be closed to its own user
        (folder / path).chmod(mode)


def _left_in(folder: Path) -> Found:
    """What an earlier step has left there; of what no workspace can hold nothing: it goes, and all travels."""
    if not folder.is_symlink():
        with suppress(ValidationError, OSError):
            return scan(folder, _ANY)
    folders.remove_tree(folder)
    folder.mkdir(mode=_OWNER_MAY)
    return Found()


def require_here(generation: Generation, store: Store) -> None:
    """Refuse what cannot be read from this store: what is deleted, and what is in another kind of store."""
    if generation.emptied_at is not None:
        raise workspace_is_gone()
    if generation.number and generation.store != store.name:
        raise ConfigurationError(
            f"The workspace of this run is kept in another store ({generation.store}) than this process has "
            f"({store.name}).",
            hint=TELL_PLATFORM,
        )


def read(generation: Generation, store: Store, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Contents of a workspace, as they were, by name."""
    for owner, some in by_owner(generation.manifest.contents(), names).items():
        for name, written in store.get(Shelf(RUNS, owner), some):
            yield name, generation.box.read(name, written)


def _clear(folder: Path, found: Found, manifest: Manifest) -> None:
    """Remove what the workspace has not, or has as something else."""
    files = {file.path for file in manifest.files}
    for path in found.folders:
        (folder / path).chmod(_OWNER_MAY)
    links = dict(manifest.links)
    for path in found.files.keys() - files:
        (folder / path).unlink()
    for path, target in found.links.items():
        if links.get(path) != target:
            (folder / path).unlink()
    kept = {path for path, _ in manifest.folders}
    for path in sorted(found.folders.keys() - kept, reverse=True):
        folders.remove_tree(folder / path)


def _is_there(folder: Path, file: File, found: Found, box: Box) -> bool:
    at = found.files.get(file.path)
    if at is None or at[1] != file.size:
        return False
    return box.name(content_of(folder, file.path, file.size)) == file.name


def _write(place: Path, content: bytes) -> None:
    place.unlink(missing_ok=True)  # not written into: it may have another name beside this one
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


# -- and back --------------------------------------------------------------------------------------------------------


def save(
    before: Generation, folder: Path, place: Place, store: Store, limits: Limits, secrets: Secrets
) -> NewGeneration | None:
    """Keep what a step has made of a workspace: only what is new travels.

    Args:
        before: what the step was given.
        folder: what it has made of that.
        place: where the step is.
        store: the portal's.
        limits: how much a workspace may hold.
        secrets: what must not be kept readable.

    Returns:
        The row to be written with the step's success; None when nothing has changed.

    Raises:
        ValidationError: the workspace holds more than it may, or what cannot be kept.
        ConfigurationError: it holds a secret, and there is no key to seal that with.
        RemoteError: the store does not answer.
    """
    found = scan(folder, limits)
    box = _box(before, secrets)
    new = _Contents(before, box, secrets)
    files = []
    for path, (mode, size) in sorted(found.files.items()):
        files.append(new.file(path, mode, content_of(folder, path, size)))
    folders_found, links = tuple(sorted(found.folders.items())), tuple(sorted(found.links.items()))
    shown = _shown_paths([*found.files, *found.folders, *found.links, *found.links.values()], secrets.redactor)
    if shown and not box.is_sealed:
        require_keys((), f"The name {next(iter(shown.values()))} in the workspace holds a secret")
    manifest = Manifest(tuple(files), folders_found, links, shown)
    if manifest == before.manifest and box == before.box:
        return None
    store.put(Shelf(RUNS, before.run_id), new.written())
    return following(before, place, store.name, box, manifest)


def _box(before: Generation, secrets: Secrets) -> Box:
    if before.box.is_sealed:
        return before.box
    if secrets.are_given or (secrets.keys and secrets.redactor.knows_a_value):
        require_keys(secrets.keys, "The workspace may hold a secret")
        return Box.new(secrets.keys)
    return before.box


class _Contents:
    """Names the files of a workspace, and gathers the contents that no store has yet."""

    def __init__(self, before: Generation, box: Box, secrets: Secrets) -> None:
        # What was written without a key, or with another one, is written anew.
        same = before.box == box
        self._known: Mapping[str, File] = {file.name: file for file in before.manifest.files} if same else {}
        self._run_id = before.run_id
        self._box = box
        self._secrets = secrets
        self._new: dict[str, bytes] = {}
        self._named: dict[str, File] = {}

    def file(self, path: str, mode: int, content: bytes) -> File:
        name = self._box.name(content)
        one = self._known.get(name) or self._named.get(name)
        if one is None:
            self._new[name] = content
            one = File(path, mode, len(content), name, self._run_id, self._masked(path, content))
            self._named[name] = one
        return File(path, mode, one.size, one.name, one.owner, one.masked)

    def _masked(self, path: str, content: bytes) -> str | None:
        """Keep the content without secrets beside that with them: who looks at it later knows none to look for."""
        redactor = self._secrets.redactor
        if not redactor.knows_a_value:
            return None
        try:
            text = content.decode()
        except UnicodeDecodeError:
            holds, masked = redactor.is_in(content), None
        else:
            masked = redactor.values(text)
            holds = masked != text
        if not holds:
            return None
        if not self._box.is_sealed:
            require_keys((), f"The file {redactor.text(path)} of the workspace holds a secret")
        if masked is None:
            return ""
        name = self._box.name(masked.encode())
        self._new[name] = masked.encode()
        return name

    def written(self) -> Iterator[tuple[str, bytes]]:
        for name, content in self._new.items():
            yield name, self._box.written(name, content)


def _shown_paths(paths: Collection[str], redactor: Redactor) -> dict[str, str]:
    """What people see of those of these paths that have a secret in them."""
    if not redactor.knows_a_value:
        return {}
    return {path: masked for path in paths if (masked := redactor.values(path)) != path}
