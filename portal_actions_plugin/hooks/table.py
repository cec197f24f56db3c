"""The hooks of an app: given at any time, and looked up at each call."""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from types import MethodType
from typing import Any

from portal_actions_plugin.answers import name_of, require_async
from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.host import Hooks

METHODS: Mapping[str, Sequence[str]] = {
    "identity_loader": (),
    "authorizer": (),
    "template_source": ("list", "get"),
    "catalog": ("register_entity",),
    "scorecards": ("evaluate",),
    "scm_credentials": (),
    "requester_secrets": (),
    "template_filters": (),
    "template_globals": (),
    "user_entity": (),
}
"""What each hook is asked by: methods of an object, or the hook itself."""

KINDS = tuple(METHODS)
assert set(KINDS) == {hook.name for hook in fields(Hooks)}  # noqa: S101 a hook of which nobody knows how to ask it


class HookTable:
    """The hooks of one app, or those that apps begin with. A reader needs no lock: ``hooks`` is replaced as a whole."""

    def __init__(self) -> None:
        self.hooks = Hooks()
        self._given: dict[str, object] = {}
        self._defaults: set[str] = set()
        self._lock = threading.Lock()

    def register(self, kind: str, given: object, *, replaces: bool, how: str) -> None:
        """Take a hook.

        Args:
            kind: one of ``KINDS``.
            given: what the host gave; a class is called without arguments.
            replaces: whether another one of this kind may be there already.
            how: how to say that it replaces, for the message of the error.

        Raises:
            ConfigurationError: there is another one, or this one cannot be asked.
        """
        if self.has(kind, given):
            return
        hook = _usable(kind, given() if isinstance(given, type) else given)
        with self._lock:
            before = self._given.get(kind)
            if before is not None and not replaces and not _is_reloaded(before, given):
                default = "the default that was registered before init_app" if kind in self._defaults else "registered"
                raise ConfigurationError(
                    f"{name_of(given)} would be a second {kind}: {name_of(before)} is {default}. "
                    f"Keep one of them, or say that the new one takes its place: {how}."
                )
            self._given[kind] = given
            self._defaults.discard(kind)
            self.hooks = replace(self.hooks, **{kind: hook})

    def take_defaults(self, defaults: HookTable) -> None:
        """Begin with these, where no hook of an app's own is there yet."""
        with self._lock:
            new = {kind: given for kind, given in defaults._given.items() if kind not in self._given}
            self.hooks = replace(self.hooks, **{kind: getattr(defaults.hooks, kind) for kind in new})
            self._given |= new
            self._defaults |= set(new)

    def has(self, kind: str, given: object) -> bool:
        """Whether this very hook is there already."""
        return kind in self._given and _is_same(self._given[kind], given)


def _is_same(one: object, other: object) -> bool:
    if isinstance(one, MethodType) and isinstance(other, MethodType):
        return one.__self__ is other.__self__ and one.__func__ is other.__func__
    return one is other


def _is_reloaded(before: object, given: object) -> bool:
    """Whether it is the same line of code, of a module that was loaded again."""
    names = [getattr(hook, "__qualname__", None) for hook in (before, given)]
    return (
        names[0] is not None
        and names[0] == names[1]
        and "<" not in names[0]  # what a function makes, or a lambda: each is one of its own
        and not isinstance(given, MethodType)
        and before.__module__ == given.__module__
    )


def _usable(kind: str, hook: object) -> Any:
    if kind in {"template_filters", "template_globals"} and isinstance(hook, Mapping):
        return functools.partial(dict, hook)
    for method in METHODS[kind] or ("",):
        what = f"The {kind}" + (f"'s {method}" if method else "")
        function = getattr(hook, method, None) if method else hook
        if not callable(function):
            raise ConfigurationError(f"{what} cannot be called: {name_of(hook)} was registered as {kind}.")
        require_async(function, what)
    return hook
