"""Knowing whether a webhook has the secret that it should have: forges do not show it again."""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portal_actions_plugin.scm.opening import Notes
    from portal_actions_plugin.scm.remote.fields import JsonObject

_SALT_BYTES = 16
_COST, _BLOCK, _PARALLEL = 2**15, 8, 1
_MEMORY = 64 * 1024 * 1024


def keep_fingerprint(notes: Notes, webhook: str, secret: str) -> None:
    """Remember that a webhook has a secret, without the secret.

    What is kept costs a tenth of a second for each guess: a forge signs its calls with the secret by a plain HMAC, which
    takes a guess in less than a microsecond.

    Args:
        notes: of the provider's opening.
        webhook: which one, such as ``acme/shop https://hooks.example.com/``.
        secret: what the forge was given.
    """
    salt = os.urandom(_SALT_BYTES)
    kept = {"salt": salt.hex(), "fingerprint": _fingerprint(secret, salt).hex()}
    # What is kept under a key stays as it is, so that each secret that the webhook ever had here gets a key of its own.
    notes.save(_key(webhook, len(_all_kept(notes, webhook))), kept)


def has_secret(notes: Notes, webhook: str, secret: str) -> bool:
    """Whether a webhook was given this very secret the last time; arguments as ``keep_fingerprint`` has them."""
    given = _all_kept(notes, webhook)
    if not given:
        return False
    salt, fingerprint = given[-1].get("salt"), given[-1].get("fingerprint")
    if not isinstance(salt, str) or not isinstance(fingerprint, str):
        return False
    return hmac.compare_digest(_fingerprint(secret, bytes.fromhex(salt)), bytes.fromhex(fingerprint))


def _all_kept(notes: Notes, webhook: str) -> list[JsonObject]:
    found: list[JsonObject] = []
    while isinstance(kept := notes.load(_key(webhook, len(found))), dict):
        found.append(kept)
    return found


def _fingerprint(secret: str, salt: bytes) -> bytes:
    return hashlib.scrypt(secret.encode(), salt=salt, n=_COST, r=_BLOCK, p=_PARALLEL, maxmem=_MEMORY, dklen=32)


def _key(webhook: str, number: int) -> str:
    return f"webhook-secret:{hashlib.sha256(webhook.encode()).hexdigest()[:16]}:{number}"
