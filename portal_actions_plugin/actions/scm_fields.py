"""The inputs and outputs that actions on repositories share: which repository, branches, paths, files with their content."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from marshmallow import EXCLUDE, Schema, fields, post_load, pre_load, validate, validates_schema
from marshmallow import ValidationError as SchemaError

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.scm.base import FileChange, RepoRef
from portal_actions_plugin.scm.names import check_branch, check_owner_path, check_path, check_repo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

_MAX_MESSAGE = 10_000
_MAX_WRONG_ITEMS = 50


def follows(check: Callable[[str, str], None], field: str) -> Callable[[str | None], None]:
    """Make a field's validator of one of the checks of ``scm.names``; null passes where the field allows it.

    Args:
        check: raises the package's own ValidationError, whose message the field's error gets.
        field: its name in the input, for that message.
    """

    def checked(value: str | None) -> None:
        if value is not None:
            try:
                check(value, field)
            except ValidationError as error:
                raise SchemaError(error.message) from None

    return checked


def optional_text(
    description: str, *, validate: Callable[[str], object] | None = None, data_key: str | None = None
) -> fields.String:
    """A text field that may be left out or null.

    Args:
        description: for the API's JSON Schema.
        validate: raises marshmallow's ValidationError for a text that is wrong.
        data_key: the field's name in the input, where it is not the handler's.
    """
    return fields.String(
        load_default=None,
        allow_none=True,
        validate=validate,
        data_key=data_key,
        metadata={"description": description},
    )


def provider_field() -> fields.String:
    """The input ``provider``: the name of an installation of a forge."""
    return fields.String(
        required=True,
        metadata={"description": "The forge: local, github, gitlab, or another that this portal has set up."},
    )


def owner_field(description: str) -> fields.String:
    """The input ``owner``: a name that forges take as one, or groups within groups. Each forge checks its own rule."""
    return fields.String(
        required=True, validate=follows(check_owner_path, "owner"), metadata={"description": description}
    )


def repo_name_field() -> fields.String:
    """The name of a repository, without its owner."""
    return fields.String(
        required=True, validate=follows(check_repo, "repo"), metadata={"description": "The repository's name."}
    )


def branch_field(description: str, *, data_key: str | None = None) -> fields.String:
    """A branch that may be left out or null; ``data_key`` is its name in the input, where it is not the handler's."""
    return optional_text(description, validate=follows(check_branch, data_key or "branch"), data_key=data_key)


def target_branch_field() -> fields.String:
    """The input ``branch`` of every action that commits."""
    return branch_field("The branch to commit to; a missing one is made from the default branch, which is the default.")


def message_field(default: str) -> fields.String:
    """The input ``message`` of every action that commits; ``default`` says in words what it is without one."""
    return optional_text(f"The commit message. Default: {default}.", validate=validate.Length(max=_MAX_MESSAGE))


def path_field() -> fields.String:
    """The path of a file inside a repository."""
    return fields.String(
        required=True,
        validate=follows(check_path, "path"),
        metadata={"description": "Where, relative to the top of the repository."},
    )


def number_field(description: str) -> fields.Integer:
    """The input ``number`` of a pull request or an issue."""
    return fields.Integer(
        required=True, strict=True, validate=validate.Range(min=1), metadata={"description": description}
    )


def texts_field(description: str, *, each: Callable[[str], object], most: int, data_key: str | None = None) -> Any:
    """A list of texts, each once, that must not be empty.

    Args:
        description: for the API's JSON Schema.
        each: raises marshmallow's ValidationError for a text that is wrong.
        most: how many there may be.
        data_key: the field's name in the input, where it is not the handler's.
    """
    return fields.List(
        fields.String(validate=each),
        required=True,
        validate=[validate.Length(min=1, max=most), check_unique],
        data_key=data_key,
        metadata={"description": description},
    )


def check_unique(values: Sequence[object]) -> None:
    """Raise marshmallow's ValidationError for a list that has something twice."""
    if len({str(value).casefold() for value in values}) < len(values):
        raise SchemaError("Name each only once.")


def commit_sha_field() -> fields.String:
    """The output ``commitSha`` of every action that commits."""
    return fields.String(data_key="commitSha", metadata={"description": "Where the branch is now."})


OWN_TOKEN = "token"  # noqa: S105 the name of a field
GIT_AUTHOR_NAME, GIT_AUTHOR_EMAIL = "gitAuthorName", "gitAuthorEmail"
"""The fields that say who commits are by, where an action has them: a forge is opened with what they hold."""


class AsRequester(Schema):
    """The input of an action that works on a forge, for the portal or in the requester's name."""

    token = fields.String(
        load_only=True,
        load_default=None,
        allow_none=True,
        metadata={
            "description": "A token for the forge instead of the portal's credential, such as ${{ secrets.USER_OAUTH_TOKEN }}."
        },
    )

    @post_load
    def leave_out_token(self, data: dict[str, Any], **_options: object) -> dict[str, Any]:
        """The forge is opened with it before: no handler needs it."""
        return {name: value for name, value in data.items() if name != OWN_TOKEN}


class RepoReference(Schema):
    """Which repository: a reference, or all outputs of ``scm.createRepo@v1``."""

    class Meta:
        unknown = EXCLUDE

    provider = provider_field()
    owner = owner_field("A user, an organisation or a group.")
    repo = repo_name_field()
    default_branch = branch_field(
        "The branch that steps use when they name none. Default: what the forge says.", data_key="defaultBranch"
    )

    @pre_load
    def unwrap(self, data: object, **_options: object) -> object:
        inner = data.get("repo") if isinstance(data, dict) else None
        return inner if isinstance(inner, dict) else data

    @post_load
    def build(self, data: dict[str, Any], **_options: object) -> RepoRef:
        return RepoRef(data["provider"], data["owner"], data["repo"], data["default_branch"] or "")


def repo_lock(data: Mapping[str, Any]) -> str:
    """The lock of whatever writes to a repository: one run at a time, however its name is spelled.

    Args:
        data: an input with ``repo``, as it is given: a reference, or all outputs of ``scm.createRepo@v1``.

    Returns:
        Such as ``scm:local/acme/orders``, in small letters.
    """
    repo = data["repo"]
    inner = repo.get("repo")
    return name_lock(inner if isinstance(inner, Mapping) else repo)


def name_lock(data: Mapping[str, Any]) -> str:
    """The lock of a repository, also of one that is not there yet.

    Args:
        data: a mapping with ``provider``, ``owner`` and ``repo``, the repository's name.

    Returns:
        The same as ``repo_lock``.
    """
    return f"scm:{data['provider']}/{data['owner']}/{data['repo']}".lower()


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

    def _deserialize(  # type: ignore[override]  # bytes, of what marshmallow calls a text
        self, value: object, attr: str | None, data: Mapping[str, Any] | None, **kwargs: object
    ) -> bytes:
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
    def check_one_content(self, data: dict[str, Any], **_options: object) -> None:
        if (data.get("content") is None) == (data.get("content_base64") is None):
            raise SchemaError("Give either content or contentBase64.", "content")


def content_bytes(content: str | None, content_base64: bytes | None) -> bytes:
    """The bytes of a loaded ``Content``: those of ``contentBase64`` where it was given, else ``content`` as UTF-8."""
    return content_base64 if content_base64 is not None else (content or "").encode()


class FileInput(Content):
    """A file to write."""

    path = path_field()

    @post_load
    def build(self, data: dict[str, Any], **_options: object) -> FileChange:
        return FileChange(data["path"], content_bytes(data["content"], data["content_base64"]))


class _FirstErrorsList(fields.List[T]):
    """A list whose check ends at so many wrong items: naming each of thousands helps nobody, and costs seconds."""

    def _deserialize(
        self,
        value: object,
        attr: str | None,  # noqa: ARG002 marshmallow's arguments
        data: Mapping[str, Any] | None,  # noqa: ARG002 marshmallow's arguments
        **kwargs: Any,
    ) -> list[T | None]:
        if not isinstance(value, list | tuple):
            raise self.make_error("invalid")
        result: list[T | None] = []
        errors: dict[int, Any] = {}
        for place, item in enumerate(value):
            try:
                result.append(self.inner.deserialize(item, **kwargs))
            except SchemaError as error:
                errors[place] = error.messages
                if len(errors) == _MAX_WRONG_ITEMS:
                    break
        if errors:
            raise SchemaError(errors)
        return result


def files_field(description: str) -> fields.List[FileChange]:
    """A list of files that may be left out or null."""
    return _FirstErrorsList(
        fields.Nested(FileInput), load_default=None, allow_none=True, metadata={"description": description}
    )
