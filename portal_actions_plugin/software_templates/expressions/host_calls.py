"""What a host adds to what expressions may call: filters and globals, for both readings."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from traceback import extract_tb
from typing import TYPE_CHECKING

from portal_actions_plugin.software_templates.expressions.limits import SandboxError, current_budget, measured
from portal_actions_plugin.software_templates.expressions.values import plain

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HostCalls:
    """What one app's host has given.

    Attributes:
        filters: by name; each takes a value, and what is given to it in order.
        globals: by name: functions, and JSON values.
    """

    filters: Mapping[str, Callable[..., object]] = field(default_factory=dict)
    globals: Mapping[str, object] = field(default_factory=dict)

    @cached_property
    def names(self) -> tuple[frozenset[str], frozenset[str]]:
        """Of the filters, and of the globals."""
        return frozenset(self.filters), frozenset(self.globals)

    @cached_property
    def values(self) -> Mapping[str, object]:
        """The globals that are no functions."""
        return {name: value for name, value in self.globals.items() if not callable(value)}

    @cached_property
    def functions(self) -> Mapping[str, Callable[..., object]]:
        """The globals that are."""
        return {name: value for name, value in self.globals.items() if callable(value)}


NONE = HostCalls()
_source: list[Callable[[], HostCalls]] = []


def look_up_with(source: Callable[[], HostCalls]) -> None:
    """Say what knows the host's filters and globals of the app that is active."""
    _source[:] = [source]


def current() -> HostCalls:
    """The host's filters and globals, as they are now."""
    return _source[0]() if _source else NONE


def called(what: str, function: Callable[..., object], arguments: Sequence[object]) -> JsonValue:
    """Call what a host has given, with copies.

    Args:
        what: how errors call it, such as ``filter 'now'``.
        function: the host's.
        arguments: values of expressions.

    Raises:
        SandboxError: it failed, or gave something that is no JSON or too large. Says no value: it may be a secret.
        jinja2.UndefinedError: an argument is undefined.
    """
    given = [plain(one) for one in arguments]
    try:
        made = function(*given)
    except Exception as error:  # noqa: BLE001 whatever goes wrong in there
        where = ", ".join(f"{at.filename}:{at.lineno} ({at.name})" for at in extract_tb(error.__traceback__)[1:])
        log.error("the portal's %s failed: %s at %s", what, type(error).__name__, where)  # noqa: TRY400 it may say a secret
        raise SandboxError(f"the portal's {what} failed with {type(error).__name__}") from None
    if inspect.iscoroutine(made):
        made.close()
        raise SandboxError(f"the portal's {what} is async, and nothing can wait for it here")
    current_budget().check_time()
    return plain(measured(made))
