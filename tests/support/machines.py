"""Actions that write and read a workspace in workers of two machines, and notes of which contents travel."""

from __future__ import annotations

import hashlib
import os
import random
import select
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from flask import Flask
from marshmallow import Schema, fields

from portal_actions_plugin.actions.context import ActionContext
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.runs.workspaces.stores.postgresql import PostgresStore
from portal_actions_plugin.runs.workspaces.stores.store import Shelf


class Size(Schema):
    files = fields.Integer(required=True)
    size = fields.Integer(required=True)


class Seen(Schema):
    digest = fields.String(required=True)


def register(app: Flask) -> None:
    """Add the actions to a worker's portal, and let its store note what it puts and gets."""
    for one in (fill, change, change_once, look):
        app.extensions["portal_actions"].registry.add(one, "the tests")
    _note_what_travels()


def machine() -> Path:
    """The folder of the machine that this process is on: all that it may keep."""
    return Path(os.environ["TMPDIR"])


@action("test.fill@v1", title="Fill", input=Size, idempotent=True, workspace="writes", timeout=300)
def fill(ctx: ActionContext, *, files: int, size: int) -> dict[str, Any]:
    folder, noise = ctx.workspace.folder, random.Random(1)
    for number in range(files):
        place = folder / f"folder-{number % 50}" / f"f{number}.bin"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(noise.randbytes(size // files))
    (folder / "folder-0" / "f0.bin").chmod(0o755)
    (folder / "first").symlink_to("folder-0/f0.bin")
    (folder / "closed").mkdir()
    (folder / "closed" / "key").write_text("mine")
    (folder / "closed" / "key").chmod(0o400)
    (folder / "closed").chmod(0o500)
    (machine() / "filled").touch()
    while not _is_told_to_end():
        time.sleep(0.05)
    return {"digest": tree(folder)}


def _is_told_to_end() -> bool:
    """Whether this process's worker has closed the pipe to it: then it does not go on with the next step."""
    poll = select.poll()
    for one in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if str(one.readlink()).startswith("pipe:"):
                poll.register(int(one.name), 0)
    return any(event & select.POLLHUP for _, event in poll.poll(0))


def _change(ctx: ActionContext, digest: str) -> dict[str, Any]:
    require(ctx.workspace.folder, digest)
    for place in sorted((ctx.workspace.folder / "folder-1").iterdir()):
        place.write_bytes(place.read_bytes() + b"changed")
    return {"digest": tree(ctx.workspace.folder)}


change = action("test.change@v1", title="Change", input=Seen, idempotent=True, workspace="writes", timeout=300)(_change)
change_once = action(
    "test.changeOnce@v1", title="Change", input=Seen, idempotent=False, workspace="writes", timeout=300
)(_change)


@action("test.look@v1", title="Look", input=Seen, idempotent=True, workspace="reads", timeout=300)
def look(ctx: ActionContext, *, digest: str) -> dict[str, Any]:
    require(ctx.workspace.folder, digest)
    return {"digest": tree(ctx.workspace.folder)}


def require(folder: Path, expected: str) -> None:
    """Raise AssertionError where a workspace is not what it was on the machine that has kept it."""
    if tree(folder) != expected:
        raise AssertionError(f"{folder} is not what was kept")


def tree(folder: Path) -> str:
    """Says the same of folders with the same files, modes and links."""
    found = hashlib.sha256()
    for place in sorted(folder.rglob("*")):
        mode = place.lstat().st_mode
        content = str(place.readlink()).encode() if place.is_symlink() else b""
        if place.is_file() and not place.is_symlink():
            content = place.read_bytes()
        shown = 0 if place.is_symlink() else stat.S_IMODE(mode)
        found.update(f"{place.relative_to(folder)} {shown:o} {hashlib.sha256(content).hexdigest()}\n".encode())
    return found.hexdigest()


def _note_what_travels() -> None:
    put, get = PostgresStore.put, PostgresStore.get

    def noting(contents: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
        for name, content in contents:
            _note("put", name)
            yield name, content

    def note_put(self: PostgresStore, shelf: Shelf, contents: Iterable[tuple[str, bytes]]) -> None:
        put(self, shelf, noting(contents))

    def note_get(self: PostgresStore, shelf: Shelf, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        for name, content in get(self, shelf, names):
            _note("got", name)
            yield name, content

    PostgresStore.put, PostgresStore.get = note_put, note_get  # type: ignore[method-assign]


def _note(what: str, name: str) -> None:
    with (machine() / what).open("a") as out:
        out.write(f"{name}\n")
