"""Errors by the names that an action's own input has: providers know those of this portal's first actions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

from portal_actions_plugin.errors import ActionError, AuthError, ConflictError, NotFoundError, ValidationError

if TYPE_CHECKING:
    from marshmallow import Schema

    from portal_actions_plugin.actions.registry import Handler

_NAMED: Mapping[str, tuple[str, ...]] = {
    "owner": ("repoUrl",),
    "repo": ("repoUrl",),
    "visibility": ("repoVisibility",),
    "headBranch": ("branchName",),
    "baseBranch": ("targetBranchName",),
    "branch": ("branchName", "branchOrTagName", "defaultBranch"),
    "files": ("sourcePath",),
    "path": ("targetPath", "sourcePath"),
    "message": ("gitCommitMessage", "commitMessage"),
    "description": ("settings",),
    "callbackUrl": ("webhookUrl",),
    "inputs": ("workflowInputs",),
    "workflow": ("workflowId",),
    "name": ("key",),
}
"""What a field of a provider's errors is called here: the first of these that an action has."""


def by_input_names(schema: type[Schema]) -> Callable[[Handler], Handler]:
    """Let a handler's errors name the fields of its own input.

    Args:
        schema: of the input.
    """
    known = {field.data_key or name for name, field in schema._declared_fields.items()}  # noqa: SLF001 marshmallow's
    others = {
        name: next((one for one in ours if one in known), name) for name, ours in _NAMED.items() if name not in known
    }

    def declare(handler: Handler) -> Handler:
        @wraps(handler)
        def handle(*given: Any, **named: Any) -> Mapping[str, Any] | None:
            try:
                return handler(*given, **named)
            except ActionError as error:
                error.fields = {others.get(name, name): said for name, said in error.fields.items()}
                raise

        return handle

    return declare


@contextmanager
def named(field: str) -> Iterator[None]:
    """Let whatever error there is name this field and no other one: it alone is what the forge was asked for."""
    try:
        yield
    except (AuthError, ConflictError, NotFoundError, ValidationError) as error:
        error.fields = {field: [error.message]}
        raise


@contextmanager
def about(field: str) -> Iterator[None]:
    """Let an error that names no field name this one, where the input may be what has to change."""
    try:
        yield
    except (ConflictError, NotFoundError, ValidationError) as error:
        error.fields = error.fields or {field: [error.message]}
        raise
