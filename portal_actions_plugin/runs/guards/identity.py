"""Who asks, as the host knows it."""

from __future__ import annotations

from typing import Any

from flask import g, has_request_context

from portal_actions_plugin import hooks
from portal_actions_plugin.answers import settled
from portal_actions_plugin.extension import extension
from portal_actions_plugin.host import Identity


def current_identity() -> Identity | None:
    """The identity of the current request: the host's loader says, else Flask-Login, else ``flask.g.user``."""
    if not has_request_context():
        return None
    loader = extension().hooks.identity_loader
    if loader:
        return hooks.identity(loader)
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
    get_id = getattr(user, "get_id", None)
    found = settled(get_id()) if get_id else getattr(user, "id", None)
    if found in (None, ""):
        return None
    user_id = str(found)
    name = str(getattr(user, "display_name", None) or getattr(user, "name", None) or user_id)
    roles = getattr(user, "roles", None) or ()
    return Identity(
        user_id if ":" in user_id else f"user:{user_id}",
        name,
        frozenset(str(getattr(role, "name", role)) for role in roles),
    )


def _is_authenticated(user: object) -> bool:
    """Whether the user says so. A method, as some hosts have it, is true whatever it would answer: it is asked."""
    says = getattr(user, "is_authenticated", True)
    return bool(settled(says() if callable(says) else says))
