"""The keys that an app signs and seals with what is its own, such as idempotency keys and cursors."""

from __future__ import annotations

from flask import current_app

from portal_actions_plugin.extension import extension


def app_keys() -> list[bytes]:
    """The app's secret keys, newest first; without one, those for secret inputs; empty where it has neither."""
    own = [current_app.secret_key, *(current_app.config.get("SECRET_KEY_FALLBACKS") or ())]
    found = [secret for secret in own if secret] or [*extension().config.secret_keys]
    return [secret.encode() if isinstance(secret, str) else secret for secret in found]
