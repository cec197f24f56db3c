"""Everything that can go wrong, each with its code, HTTP status, hint and whether a retry can help."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

FieldErrors = Mapping[str, Any]

WHOLE = "_schema"
"""The field name of an error that is about an object as a whole; marshmallow uses the same."""


def field_lines(fields: object, path: str = "") -> Iterator[str]:
    """Errors by field, however nested, as one line each: ``files.0.path: a path is relative``."""
    if isinstance(fields, Mapping):
        for name, inner in fields.items():
            yield from field_lines(inner, path if name == WHOLE else f"{path}.{name}" if path else str(name))
    elif isinstance(fields, list | tuple):
        for inner in fields:
            yield from field_lines(inner, path)
    else:
        yield f"{path}: {fields}" if path else str(fields)


class PortalActionsError(Exception):
    """Something went wrong in Portal Actions."""

    code: ClassVar[str] = "INTERNAL_ERROR"
    http_status: ClassVar[int] = 500
    hint: str = "Give the run id to your platform team: it finds the log."
    retryable: ClassVar[bool] = False
    verdict: ClassVar[str] = "Retrying will not help: this is a bug."
    awaited: ClassVar[str] = "as the other side has asked"

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str | None = None,
        fields: FieldErrors | None = None,
        retry_after: float | None = None,
    ) -> None:
        """Describe the failure.

        Args:
            message: one sentence that names what failed; the class's docstring when left out.
            hint: what the reader can do about it; the class's hint when left out.
            fields: errors by field name, nested as the input is.
            retry_after: seconds after which trying again makes sense, when known.
        """
        self.message = message or (self.__class__.__doc__ or "").strip().splitlines()[0]
        super().__init__(self.message)
        self.hint = hint or self.__class__.hint
        self.fields = dict(fields or {})
        self.retry_after = retry_after


class UnauthenticatedError(PortalActionsError):
    """You are not signed in."""

    code = "UNAUTHENTICATED"
    http_status = 401
    hint = "Sign in, or send a valid token in the Authorization header."


class PermissionDeniedError(PortalActionsError):
    """You may not do this."""

    code = "PERMISSION_DENIED"
    http_status = 403
    hint = "Ask your platform team for the permission that is named."


class UnavailableError(PortalActionsError):
    """The portal's database does not answer."""

    code = "UNAVAILABLE"
    http_status = 503
    hint = "Try again in a moment. What is sent again with the same Idempotency-Key never starts twice."
    retryable = True
    verdict = "Retrying helps once the database is back."


class NotSetUpError(PortalActionsError):
    """This portal's database is not set up for this version."""

    code = "NOT_SET_UP"
    http_status = 503
    hint = "The portal's team has to finish the set-up; their log says how."
    verdict = "Retrying helps once the set-up is finished."


class ActionError(PortalActionsError):
    """An action failed. Handlers raise one of its subclasses; anything else is an internal error."""


class ValidationError(ActionError):
    """The input is not valid."""

    code = "VALIDATION_ERROR"
    http_status = 422
    hint = "Correct the input that is named and start again."
    verdict = "Retrying will not help until the input is corrected."


class AuthError(ActionError):
    """The forge refused the token or its scope."""

    code = "AUTH_ERROR"
    http_status = 502
    hint = "Check SCM token"
    verdict = "Retrying will not help until the token changes."


class NotFoundError(ActionError):
    """What was named does not exist."""

    code = "NOT_FOUND"
    http_status = 404
    hint = "Check the name, and that it still exists."
    verdict = "Retrying will not help until what is missing exists."


class ConflictError(ActionError):
    """It exists already and is not ours, or it changed meanwhile."""

    code = "CONFLICT"
    http_status = 409
    hint = "Choose another name, or look at what is there."
    verdict = "Retrying will not help until the conflict is resolved."


class RateLimitedError(ActionError):
    """Too many requests in too short a time."""

    code = "RATE_LIMITED"
    http_status = 429
    hint = "Rate limit — wait a few minutes"
    retryable = True
    verdict = "Retrying helps once the limit has reset."
    awaited = "when the limit resets"


class RemoteError(ActionError):
    """The other side failed or did not answer in time."""

    code = "REMOTE_ERROR"
    http_status = 502
    hint = "The service had a problem; it often passes."
    retryable = True
    verdict = "Retrying can help."


class ActionTimeoutError(ActionError):
    """The action ran longer than it may."""

    code = "TIMEOUT"
    http_status = 504
    hint = "Look at the log for what took so long."
    verdict = "Retrying may help, if what was slow is fast again."


class WorkerLostError(ActionError):
    """The worker died during the step."""

    code = "WORKER_LOST"
    http_status = 500
    hint = "Look at what the step already did, then retry."
    verdict = "Look first: the step may have done its work before the worker died."


class OutOfMemoryError(ActionError):
    """The action ran out of memory."""

    code = "OUT_OF_MEMORY"
    http_status = 500
    hint = "Give it less to do at once, or ask your platform team for workers with more memory."
    verdict = "Retrying will not help, unless there is more memory or less to do."


class ConfigurationError(ActionError):
    """The portal lacks a setting."""

    code = "CONFIGURATION_ERROR"
    http_status = 503
    hint = "Tell your platform team."
    verdict = "Retrying will not help until the platform team has changed the setting."


class InternalError(ActionError):
    """An unexpected error stopped the action."""


_BY_CODE: dict[str, type[ActionError]] = {error.code: error for error in ActionError.__subclasses__()}
"""The errors of this module that a run can end with. A subclass that a handler brings along comes later, and is none of them."""


class OwnError(ActionError):
    """An action failed with an error of its own, of which nobody here knows more."""

    verdict = "Whether retrying helps is the action's to say: see the message."


def error_class(code: str) -> type[ActionError]:
    """Find the class of a stored error code; of one that a handler has brought along, if this process has it too.

    Args:
        code: at most 32 characters of it, as a run keeps it.
    """
    return _BY_CODE.get(code) or next((kind for kind in _brought_along() if str(kind.code)[:32] == code), OwnError)


def _brought_along() -> Iterator[type[ActionError]]:
    waiting = ActionError.__subclasses__()
    while waiting:
        kind = waiting.pop(0)
        waiting += kind.__subclasses__()
        yield kind


def verdict_on(kind: type[ActionError]) -> str:
    """Say whether a retry helps. Only what is unexpected is a bug: an error that a handler names, and says no more of, is none."""
    if kind.code == InternalError.code or kind.verdict != PortalActionsError.verdict:
        return kind.verdict
    return RemoteError.verdict if kind.retryable else OwnError.verdict
