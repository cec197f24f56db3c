"""Idempotency keys: the same key and body from the same identity is the same run, whatever became of it."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass

from sqlalchemy import String, bindparam, insert, select

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.runs.conditions import NOW
from portal_actions_plugin.runs.secrets.app_keys import app_keys
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction
from portal_actions_plugin.storage.statements import CompiledOnce

KEPT_SECONDS = 24 * 3600
"""For at least so long a key stands for its run: retention keeps a run whose key is younger, and deletes a key with its run."""

MAX_LENGTH = 255
KEY = r"^[!-~]([ -~]*[!-~])?$"
"""Printable ASCII, which every client and proxy sends as it is, without blanks at its ends, which none keeps."""

# Compiled once, since a start reads it while it keeps SQLite's one writer from everybody else.
_KNOWN = CompiledOnce(
    select(tables.idempotency_keys.c.fingerprint, tables.idempotency_keys.c.run_id).where(
        tables.idempotency_keys.c.requested_by == bindparam("asker", type_=String()),
        tables.idempotency_keys.c.key == bindparam("of_key", type_=String()),
    )
)
_KEEP = CompiledOnce(insert(tables.idempotency_keys).values(made_at=NOW))


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """An identity's key, and a keyed hash of what it asked for: a body with secrets cannot be guessed from it.

    Attributes:
        identity_id: whose it is.
        key: as the client sent it.
        fingerprint: of what it asked for, by the app's secret key.
        earlier: the same by each key of ``SECRET_KEY_FALLBACKS``: it may have been kept before the key was changed.
    """

    identity_id: str
    key: str
    fingerprint: str
    earlier: tuple[str, ...] = ()

    def fits(self, kept: str) -> bool:
        """Whether a fingerprint that was kept is of the same."""
        return any(hmac.compare_digest(kept, known) for known in (self.fingerprint, *self.earlier))


def idempotency_key(identity_id: str, key: str | None, asked: object) -> IdempotencyKey | None:
    """Read a key as a client sent it; None when it sent none. Raises ValidationError for an unusable one."""
    if key is None:
        return None
    if len(key) > MAX_LENGTH or not re.fullmatch(KEY, key):
        message = f"Takes 1 to {MAX_LENGTH} printable ASCII characters, with no blank at the ends."
        raise ValidationError("The Idempotency-Key is not usable.", fields={"Idempotency-Key": [message]})
    body = json.dumps(asked, sort_keys=True, default=str).encode()
    newest, *earlier = (hmac.new(secret, body, hashlib.sha256).hexdigest() for secret in app_keys() or [b""])
    return IdempotencyKey(identity_id, key, newest, tuple(earlier))


def find(db: Transaction, key: IdempotencyKey | None) -> str | None:
    """The run that this key started before, if any; raises ValidationError when it was for something else."""
    if key is None:
        return None
    row = db.row(_KNOWN, {"asker": key.identity_id, "of_key": key.key})
    if row is None:
        return None
    if not key.fits(row["fingerprint"]):
        raise ValidationError(
            "This Idempotency-Key was used for another request.",
            hint="Use a new key for a new request.",
            fields={"Idempotency-Key": ["Was used with a different path or body."]},
        )
    run_id: str = row["run_id"]
    return run_id


def keep(tx: Transaction, key: IdempotencyKey | None, kind: str, run_id: str) -> None:
    """Remember the run that a key started."""
    if key is None:
        return
    asked = {"requested_by": key.identity_id, "key": key.key, "fingerprint": key.fingerprint}
    tx.changed(_KEEP, {**asked, "kind": kind, "run_id": run_id})
