"""Knowing whether a webhook has the secret that it should have: forges do not show it again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from portal_actions_plugin.scm.secret_fingerprints import fingerprint, matches

if TYPE_CHECKING:
    from portal_actions_plugin.scm.opening import Notes


def keep_fingerprint(notes: Notes, webhook: str, secret: str) -> None:
    """Remember that a webhook has a secret, without the secret.

    Args:
        notes: of the provider's opening.
        webhook: which one, such as ``acme/shop https://hooks.example.com/``.
        secret: what the forge was given.
    """
    # What is kept under a key stays as it is, so that each secret that the webhook ever had here gets a key of its own.
    notes.save(_key(webhook, len(_all_kept(notes, webhook))), fingerprint(secret))


def has_secret(notes: Notes, webhook: str, secret: str) -> bool:
    """Whether a webhook was given this very secret the last time; arguments as ``keep_fingerprint`` has them."""
    given = _all_kept(notes, webhook)
    return bool(given) and matches(given[-1], secret)


def _all_kept(notes: Notes, webhook: str) -> list[str]:
    found: list[str] = []
    while isinstance(kept := notes.load(_key(webhook, len(found))), str):
        found.append(kept)
    return found


def _key(webhook: str, number: int) -> str:
    return f"webhook-secret:{hashlib.sha256(webhook.encode()).hexdigest()[:16]}:{number}"
