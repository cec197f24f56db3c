"""Backstage's ``fs:…``: rename, delete, read and list what is in the workspace."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields, validate

from portal_actions_plugin.actions.files.disk import (
    MAX_LEVELS,
    Listing,
    disk_errors,
    entries,
    levels_of,
    missing,
    place_of,
    read_text,
    remove,
    wrong,
)
from portal_actions_plugin.actions.files.fields import MAX_LISTED, MAX_PATH, HomeInput, flag_field, path_field
from portal_actions_plugin.actions.registry import action

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.actions.workspace import Workspace

_SECONDS = 120
_REMOVE = "Write a step with fs:delete before this one, or another path."
MAX_READ = 500_000
"""Characters of a file that becomes an output."""
MAX_ENTRIES = 20_000
"""Files and folders of a list: as many as a workspace may hold of both."""


class OneRename(HomeInput):
    source = path_field("What to rename: a file or a folder.", data_key="from")
    to = path_field("Its new path. Folders on the way to it are made.")
    overwrite = flag_field("Whether to replace what is there already; without it that is an error.")


class Rename(HomeInput):
    files = fields.List(
        fields.Nested(OneRename),
        required=True,
        validate=validate.Length(max=MAX_LISTED),
        metadata={"description": "What to rename, in order."},
    )


@action(
    "fs:rename",
    title="Rename files",
    input=Rename,
    idempotent=True,
    timeout=_SECONDS,
    workspace="writes",
)
def rename(ctx: ActionContext, *, files: Sequence[Mapping[str, Any]]) -> None:
    """Rename files and folders in the workspace."""
    for index, one in enumerate(files):
        _rename(ctx.workspace, one["source"], one["to"], f"files.{index}", overwrite=one["overwrite"])
        ctx.log(f"renamed {one['source']} to {one['to']}")


def _rename(workspace: Workspace, source: str, to: str, field: str, *, overwrite: bool) -> None:
    before, after = place_of(workspace, source, f"{field}.from"), place_of(workspace, to, f"{field}.to")
    if not os.path.lexists(before):
        raise missing(f"{field}.from", source)
    if workspace.folder in (before, after):
        raise wrong(f"{field}.from", "The workspace itself cannot be renamed: name what is in it.")
    if before == after:
        return
    if after.is_relative_to(before):
        raise wrong(f"{field}.to", f"{to[:200]!r} is inside of {source[:200]!r}, which cannot be moved into itself.")
    with disk_errors(f"{field}.to", to):
        inside = levels_of(before) - 1 if _is_folder(before) else 0
        if len(after.relative_to(workspace.folder).parts) + inside > MAX_LEVELS:
            raise wrong(f"{field}.to", f"It would be deeper than {MAX_LEVELS} folders.")
        if os.path.lexists(after):
            if not overwrite:
                raise wrong(
                    f"{field}.to",
                    f"{to[:200]!r} is there already.",
                    "Write overwrite: true beside it to replace it, or another path.",
                )
            if before.is_relative_to(after):
                raise wrong(f"{field}.to", f"{to[:200]!r} holds {source[:200]!r}, and cannot be replaced by it.")
            if _is_folder(before) != _is_folder(after):
                raise wrong(
                    f"{field}.to", "No folder takes the place of a file, and no file that of a folder.", _REMOVE
                )
            remove(after)
        after.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(before, after)


def _is_folder(place: Path) -> bool:
    return place.is_dir() and not place.is_symlink()


class Delete(HomeInput):
    files = fields.List(
        path_field(""),
        required=True,
        validate=validate.Length(max=MAX_LISTED),
        metadata={
            "description": "Paths of files and folders, or patterns of files such as docs/**/*.md. What is not there is no error."
        },
    )


@action(
    "fs:delete",
    title="Delete files",
    input=Delete,
    idempotent=True,
    timeout=_SECONDS,
    workspace="writes",
)
def delete(ctx: ActionContext, *, files: Sequence[str]) -> None:
    """Delete files and folders from the workspace."""
    workspace = ctx.workspace
    listing = Listing(workspace)
    for index, pattern in enumerate(files):
        field = f"files.{index}"
        found = listing.matching(pattern, field, dot=True)
        for path, place in found:
            with disk_errors(field, path):
                for one in place.iterdir() if place == workspace.folder else [place]:
                    remove(one)
        ctx.log(f"deleted {_listed([path for path, _ in found])}" if found else f"nothing to delete: {pattern}")


def _listed(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 10} more" if len(paths) > 10 else ""
    return f"{', '.join(paths[:10])}{more}"


class Read(HomeInput):
    path = path_field("The file.")


class ReadOutput(Schema):
    content = fields.String(metadata={"description": "What the file holds."})


@action(
    "fs:read",
    title="Read a file",
    input=Read,
    output=ReadOutput,
    idempotent=True,
    timeout=_SECONDS,
    workspace="reads",
)
def read(ctx: ActionContext, *, path: str) -> dict[str, Any]:
    """Read a text file of the workspace for later steps."""
    content = read_text(ctx.workspace, path, "path")
    if len(content) > MAX_READ:
        raise wrong("path", f"{path[:200]!r} has more than {MAX_READ:,} characters, and cannot become an output.")
    ctx.log(f"read {path}")
    return {"content": content}


class ReadDir(HomeInput):
    paths = fields.List(
        fields.String(validate=validate.Length(min=1, max=MAX_PATH)),
        required=True,
        validate=validate.Length(max=MAX_LISTED),
        metadata={"description": "The folders to list; . is the workspace itself.", "example": ["."]},
    )
    recursive = flag_field("Whether to list the folders in them as well.")


class Listed(Schema):
    name = fields.String(metadata={"description": "Its name."})
    path = fields.String(metadata={"description": "Its path below the workspace."})
    full_path = fields.String(data_key="fullPath", metadata={"description": "The same: no path of a worker is told."})


class ReadDirOutput(Schema):
    files = fields.List(fields.Nested(Listed), metadata={"description": "The files."})
    folders = fields.List(fields.Nested(Listed), metadata={"description": "The folders."})


@action(
    "fs:readdir",
    title="List folders",
    input=ReadDir,
    output=ReadDirOutput,
    idempotent=True,
    timeout=_SECONDS,
    workspace="reads",
)
def readdir(ctx: ActionContext, *, paths: Sequence[str], recursive: bool) -> dict[str, Any]:
    """List files and folders of the workspace for later steps."""
    workspace = ctx.workspace
    files: list[dict[str, str]] = []
    folders: list[dict[str, str]] = []
    for index, path in enumerate(paths):
        field = f"paths.{index}"
        top = place_of(workspace, path, field)
        if not top.is_dir():
            raise missing(field, path)
        with disk_errors(field, path):
            for place in (one for _, one in entries(top)) if recursive else sorted(top.iterdir()):
                if len(files) + len(folders) >= MAX_ENTRIES:
                    raise wrong(
                        field,
                        f"With this one the list has more than {MAX_ENTRIES:,} entries.",
                        "List fewer folders, or each once.",
                    )
                below = place.relative_to(workspace.folder).as_posix()
                kept = folders if place.is_dir() and not place.is_symlink() else files
                kept.append({"name": place.name, "path": below, "fullPath": below})
    ctx.log(f"found {len(files)} files and {len(folders)} folders")
    return {"files": files, "folders": folders}
