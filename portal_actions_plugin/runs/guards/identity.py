"""Who asks, as the host knows it."""

from __future__ import annotations

from typing import Any

from flask import g, has_request_context

from portal_actions_plugin.answers import settled
from portal_actions_plugin.extension import extension
from portal_actions_plugin.hooks import asking
from portal_actions_plugin.host import Identity

MAX_TEXT = 250
"""Characters of an address or a user name that is an id: `user:` is put before it."""


def current_identity() -> Identity | None:
    """The identity of the current request: the host's loader says, else Flask-Login, else ``flask.g.user``."""
    if not has_request_context():
        return None
    loader = extension().hooks.identity_loader
    if loader:
        return asking.identity(loader)
    return _from_user(_flask_login_user() or g.get("user"))


def _flask_login_user() -> Any:
    try:
        from flask_login import current_user
    except ImportError:
        return None
    # current_user is a proxy that is false-like, or raises, where the app has no login manager.
    try:
        return current_user if current_user and current_user.is_authenticated else None
    except AttributeError:
        return None


def _from_user(user: object) -> Identity | None:
    if isinstance(user, Identity):
        return user
    if not user or not _is_authenticated(user):
        return None
    if isinstance(user, str):
        return Identity(user if ":" in user else f"user:{user}", user)
    found = _id_of(user)
    if found is None:
        return None
    roles = getattr(user, "roles", None) or ()
    return Identity(
        found,
        _name_of(user) or found.removeprefix("user:"),
        frozenset(str(getattr(role, "name", role)) for role in roles),
    )


def _id_of(user: object) -> str | None:
    """An id that people can read, where the user has one: an address, else a user name, else what signs them in."""
    # What somebody chose to be called says nothing of what kind of id it is, as what the host makes may.
    if email := _text(user, "email"):
        return f"user:{email}"
    name = _text(user, "username") or _text(user, "user_name")
    # A name that looks like an address may be somebody's who has that address.
    if name and not ("@" in name and hasattr(user, "email")):
        return f"user:{name}"
    get_id = getattr(user, "get_id", None)
    found = settled(get_id()) if get_id else getattr(user, "id", None)
    if found in (None, ""):
        return None
    return str(found) if ":" in str(found) else f"user:{found}"


def _name_of(user: object) -> str:
    for name in ("display_name", "full_name", "name"):
        if found := _text(user, name):
            return found
    both = (_text(user, "first_name"), _text(user, "last_name"))
    return " ".join(filter(None, both)) or _text(user, "username") or _text(user, "email")


def _text(user: object, attribute: str) -> str:
    value = getattr(user, attribute, None)
    return value.strip() if isinstance(value, str) and len(value) < MAX_TEXT else ""


def _is_authenticated(user: object) -> bool:
    """Whether the user says so. A method, as some hosts have it, is true whatever it would answer: it is asked."""
    says = getattr(user, "is_authenticated", True)
    return bool(settled(says() if callable(says) else says))
