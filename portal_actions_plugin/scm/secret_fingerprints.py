"""What tells whether a secret is the same as before, and does not tell which it is."""

from __future__ import annotations

import hashlib
import hmac
import os

_SALT_BYTES = 16
_COST, _BLOCK, _PARALLEL = 2**15, 8, 1
_MEMORY = 64 * 1024 * 1024


def fingerprint(secret: str) -> str:
    """A text to keep: another one each time.

    A guess at the secret costs a tenth of a second and 32 MB. Forges sign their calls with the secret by a plain HMAC,
    which takes a guess in less than a microsecond: what is kept here is not the way in.
    """
    salt = os.urandom(_SALT_BYTES)
    return f"{salt.hex()}:{_derived(secret, salt)}"


def matches(kept: str, secret: str) -> bool:
    """Whether a text that was kept is this secret's; a text that is none is nobody's."""
    salt, _, derived = kept.partition(":")
    try:
        return hmac.compare_digest(derived.encode(), _derived(secret, bytes.fromhex(salt)).encode())
    except ValueError:
        return False


def _derived(secret: str, salt: bytes) -> str:
    written = secret.encode(errors="replace")
    return hashlib.scrypt(written, salt=salt, n=_COST, r=_BLOCK, p=_PARALLEL, maxmem=_MEMORY, dklen=32).hex()
