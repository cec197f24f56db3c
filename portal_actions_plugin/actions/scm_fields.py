"""The inputs that actions on repositories share: a reference to a repository, names, and files with their content."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from marshmallow import EXCLUDE, Schema, fields, post_load, pre_load, validates_schema
from marshmallow import ValidationError as SchemaError

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.scm.base import FileChange, RepoRef
from portal_actions_plugin.scm.names import check_branch, check_owner, check_path, check_repo

if TYPE_CHECKING:
    from collections.abc import Callable

    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.scm.base import ScmProvider


def follows(check: Callable[[str], None]) -> Callable[[str | None], None]:
    """Make a field's validator of one of our name checks; null passes where the field allows it."""

    def validate(value: str | None) -> None:
        if value is not None:
            try:
                check(value)
            except ValidationError as error:
                raise SchemaError(error.message) from None

    return validate


def optional_text(description: str, **options: Any) -> fields.String:
    """A text field that may be left out or null."""
    return fields.String(load_default=None, allow_none=True, metadata={"description": description}, **options)


def branch_field(description: str, **options: Any) -> fields.String:
    """A branch that may be left out or null."""
    return optional_text(description, validate=follows(check_branch), **options)


class RepoReference(Schema):
    """Which repository: a reference, or all outputs of ``scm.createRepo@v1``."""

    class Meta:
        unknown = EXCLUDE

    provider = fields.String(required=True, metadata={"description": "The forge: local."})
    owner = fields.String(
        required=True, validate=follows(check_owner), metadata={"description": "A user, an organisation or a group."}
    )
    repo = fields.String(
        required=True, validate=follows(check_repo), metadata={"description": "The repository's name."}
    )
    default_branch = branch_field(
        "The branch that steps use when they name none. Default: what the forge says.", data_key="defaultBranch"
    )

    @pre_load
    def unwrap(self, data: Any, **_options: Any) -> Any:
        inner = data.get("repo") if isinstance(data, dict) else None
        return inner if isinstance(inner, dict) else data

    @post_load
    def build(self, data: dict[str, Any], **_options: Any) -> RepoRef:
        return RepoRef(data["provider"], data["owner"], data["repo"], data["default_branch"] or "")


def repo_lock(data: Mapping[str, Any]) -> str:
    """The lock of whatever writes to a repository: one run at a time, however its name is spelled."""
    repo = data["repo"]
    inner = repo.get("repo")
    where = inner if isinstance(inner, Mapping) else repo
    return f"scm:{where['provider']}/{where['owner']}/{where['repo']}".lower()


def repo_field() -> fields.Nested:
    """The input ``repo`` of every action on a repository."""
    return fields.Nested(
        RepoReference,
        required=True,
        metadata={"description": "The repository: a reference, or all outputs of scm.createRepo@v1."},
    )


class Base64(fields.String):
    """Bytes, written as base64; line breaks in it do no harm."""

    default_error_messages = {"invalid_base64": "This is not base64."}  # noqa: RUF012 marshmallow's own convention

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            return base64.b64decode("".join(str(text).split()), validate=True)
        except (binascii.Error, ValueError):
            raise self.make_error("invalid_base64") from None


def _check_encodable(text: str | None) -> None:
    try:
        (text or "").encode()
    except UnicodeEncodeError:
        raise SchemaError("This is not valid Unicode text.") from None


class Content(Schema):
    """A file's content: text, or base64 for anything else."""

    content = optional_text("The file's text, kept as UTF-8.", validate=_check_encodable)
    content_base64 = Base64(
        data_key="contentBase64",
        load_default=None,
        allow_none=True,
        metadata={"description": "The file's bytes as base64, instead of content.", "format": "byte"},
    )

    @validates_schema
    def check_one_content(self, data: dict[str, Any], **_options: Any) -> None:
        if (data.get("content") is None) == (data.get("content_base64") is None):
            raise SchemaError("Give either content or contentBase64.", "content")


def content_bytes(content: str | None, content_base64: bytes | None) -> bytes:
    """The bytes of a loaded ``Content``."""
    return content_base64 if content_base64 is not None else (content or "").encode()


class FileInput(Content):
    """A file to write."""

    path = fields.String(
        required=True,
        validate=follows(check_path),
        metadata={"description": "Where, relative to the top of the repository."},
    )

    @post_load
    def build(self, data: dict[str, Any], **_options: Any) -> FileChange:
        return FileChange(data["path"], content_bytes(data["content"], data["content_base64"]))


def files_field(description: str) -> fields.List[FileChange]:
    """A list of files that may be left out or null."""
    return fields.List(
        fields.Nested(FileInput), load_default=None, allow_none=True, metadata={"description": description}
    )


def open_repo(ctx: ActionContext, repo: RepoRef) -> tuple[ScmProvider, RepoRef]:
    """The forge of a repository, and the reference with its default branch filled in."""
    scm = ctx.scm(repo.provider)
    return scm, repo if repo.default_branch else scm.get_repo(repo.owner, repo.repo).ref
