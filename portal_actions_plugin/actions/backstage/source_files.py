"""The files of the workspace that a commit takes: all but what ``.gitignore`` leaves out, as at home."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal_actions_plugin.actions.scm_fields import optional_text
from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.scm.base import FileChange

if TYPE_CHECKING:
    from marshmallow import fields

    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.actions.workspace import WorkspaceFile

SOURCE_PATH = "sourcePath"
TARGET_PATH = "targetPath"
_GITIGNORE = ".gitignore"


def source_path_field() -> fields.String:
    """The input ``sourcePath``."""
    return optional_text("The folder of the workspace that is taken. Default: all of it.", data_key=SOURCE_PATH)


def target_path_field() -> fields.String:
    """The input ``targetPath``."""
    return optional_text("The folder of the repository that the files go to. Default: its top.", data_key=TARGET_PATH)


def source_files(ctx: ActionContext, source: str | None, target: str | None = None) -> list[FileChange]:
    """The files of a folder of the workspace, as a commit takes them.

    Args:
        ctx: of the run.
        source: the folder; None for all of the workspace.
        target: the folder of the repository that they go to; None for its top.

    Raises:
        ValidationError: the folder leads out of the workspace, or is missing.
    """
    found = list(ctx.workspace.files(source or ".", SOURCE_PATH))
    below = "/".join(part for part in (target or "").split("/") if part not in ("", "."))
    if any(one.path.rpartition("/")[2] == _GITIGNORE for one in found):
        found = _tracked(ctx, source, found)
    return [
        FileChange(
            f"{below}/{one.path}" if below else one.path,
            one.content(),
            executable=one.mode == "100755",
            is_link=one.mode == "120000",
        )
        for one in found
    ]


def required_files(ctx: ActionContext, source: str | None, target: str | None = None) -> list[FileChange]:
    """As ``source_files``; raises ValidationError where there is none."""
    found = source_files(ctx, source, target)
    if not found:
        message = f"There are no files in {source or 'the workspace'}: there is nothing to commit."
        raise ValidationError(
            message,
            hint="Write a step before this one that makes them, such as fetch:template.",
            fields={SOURCE_PATH: [message]},
        )
    return found


def _tracked(ctx: ActionContext, source: str | None, files: list[WorkspaceFile]) -> list[WorkspaceFile]:
    """Those that no ``.gitignore`` names."""
    from dulwich.ignore import IgnoreFilterManager

    top = ctx.workspace.path(source or ".", SOURCE_PATH)
    ignored = IgnoreFilterManager(str(top), [], False)  # noqa: FBT003 dulwich's own: git tells capitals apart
    kept = [one for one in files if not ignored.is_ignored(one.path)]
    if len(kept) < len(files):
        ctx.log(f"left out {len(files) - len(kept)} of {len(files)} files that .gitignore names")
    return kept
