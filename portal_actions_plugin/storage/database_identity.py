"""Which database this is: an id of its own, which names on a Redis that several portals share carry."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import insert, select, update

from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction
from portal_actions_plugin.storage.sql import now_plus


def identity_of(db: Transaction) -> str:
    """The database's identity, a UUID as text. It changes only by ``renew``, so whoever asks may keep it.

    Raises:
        ConfigurationError: when somebody has deleted the row that says it.
    """
    identity = known_identity(db)
    if identity is None:
        raise ConfigurationError(
            f"{tables.database_identity.name} is empty: the database does not know which one it is.",
            hint="Run `flask actions db new-identity`, then start workers and web processes again.",
        )
    return identity


def known_identity(db: Transaction) -> str | None:
    """As ``identity_of``; None when somebody has deleted the row that says it."""
    row = db.row(select(tables.database_identity.c.identity))
    return row["identity"] if row else None


def renew(tx: Transaction) -> str:
    """Give the database another identity, as after it was copied; returns it."""
    identity = str(uuid4())
    if not tx.changed(update(tables.database_identity).values(identity=identity, made_at=now_plus(0))):
        made = {"id": 1, "identity": identity, "made_at": now_plus(0), "oldest_code": tables.OLDEST_CODE}
        tx.execute(insert(tables.database_identity).values(**made))
    return identity
