"""What expressions call by a name of its own: functions of the format, and of the host."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from portal_actions_plugin.software_templates.expressions import host_calls
from portal_actions_plugin.software_templates.expressions.host_calls import HostCalls
from portal_actions_plugin.software_templates.nunjucks import javascript as js
from portal_actions_plugin.software_templates.nunjucks.javascript import Function, JavaScriptError


class Global(Function):
    """A function that templates may call by its name."""

    def __init__(self, call: Callable[..., object]) -> None:
        self._call = call

    def __call__(self, positional: list[object], keyword: dict[str, object]) -> object:
        """Call it with what is given in order."""
        if keyword:
            raise JavaScriptError("it takes nothing by name")
        return self._call(*positional)


class HostFunction(Function):
    """A function that the host has given."""

    def __init__(self, name: str, call: Callable[..., object]) -> None:
        self._name = name
        self._call = call

    def __call__(self, positional: list[object], keyword: dict[str, object]) -> object:
        """Call it; see ``host_call``."""
        return host_call(f"function {self._name!r}", self._call, positional, keyword)


def host_functions(host: HostCalls) -> Mapping[str, Function]:
    """What a host has given to call, by its names."""
    return {name: HostFunction(name, function) for name, function in host.functions.items()}


def host_call(what: str, call: Callable[..., object], given: list[object], keyword: Mapping[str, object]) -> object:
    """Call what a host has given; undefined is ``None`` there. Raises JavaScriptError, SandboxError."""
    if keyword:
        raise JavaScriptError(f"the portal's {what} takes nothing by name")
    return host_calls.called(what, call, [js.without_undefined(one) for one in given])
