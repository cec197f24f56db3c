"""What a host registers hooks with: ``@plugin.authorizer`` and the others, each with its own words."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar, cast, overload

H = TypeVar("H")
_NOT_GIVEN = object()


class Decorator(Protocol):
    """Registers a hook: ``@plugin.authorizer``, ``@plugin.authorizer(replace=True)`` or ``plugin.authorizer(hook)``.

    Another one of its kind is an error unless it ``replace``s that. It returns what it was given.
    """

    @overload
    def __call__(self, hook: H, *, replace: bool = False) -> H: ...

    @overload
    def __call__(self, *, replace: bool = False) -> Callable[[H], H]: ...


def _decorator(kind: str, doc: str) -> Decorator:
    def register(self: HookDecorators, hook: object = _NOT_GIVEN, *, replace: bool = False) -> object:
        if hook is _NOT_GIVEN:
            return partial(register, self, replace=replace)
        self._register(kind, hook, replaces=replace)
        return hook

    register.__name__, register.__qualname__, register.__doc__ = kind, f"HookDecorators.{kind}", doc
    return cast("Decorator", register)


class HookDecorators:
    """What a host registers hooks with, at any time. They are looked up at each call."""

    identity_loader = _decorator(
        "identity_loader", "Register ``() -> Identity | None``: who asks, in the current request."
    )
    authorizer = _decorator(
        "authorizer", "Register ``(identity, permission, target) -> bool``, instead of the role table."
    )
    template_source = _decorator(
        "template_source", "Register an object, or a class without arguments, with ``list()`` and ``get(name)``."
    )
    catalog = _decorator(
        "catalog", "Register an object, or a class without arguments, with ``register_entity(entity, source)``."
    )
    scorecards = _decorator(
        "scorecards",
        "Register an object, or a class without arguments, with ``evaluate(entity_id, scorecard_id, force)``.",
    )
    scm_credentials = _decorator("scm_credentials", "Register ``(provider, owner) -> token | None``.")
    requester_secrets = _decorator(
        "requester_secrets", "Register ``(identity, keys) -> {key: secret | None}``: what is the requester's own."
    )

    template_filters = _decorator(
        "template_filters", "Register ``() -> {name: filter}``: what expressions of templates may filter with as well."
    )
    template_globals = _decorator(
        "template_globals",
        "Register ``() -> {name: function or value}``: what expressions of templates may name as well.",
    )
    user_entity = _decorator(
        "user_entity", "Register ``(identity) -> entity | None``: what the catalog has of who starts a template."
    )

    def _register(self, kind: str, hook: object, *, replaces: bool) -> None:
        raise NotImplementedError
