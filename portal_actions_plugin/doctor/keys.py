"""The doctor's look at sealed secrets: a key that is lost is told before a run fails for it."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select

from portal_actions_plugin.doctor.findings import Check, Finding, counted, critical
from portal_actions_plugin.doctor.parts import looking
from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.secrets.sealing import unseal
from portal_actions_plugin.runs.states import ACTIVE
from portal_actions_plugin.storage import tables

LOOKED_AT = 100
"""Of template runs and of one-offs that are queued or at work, the oldest: what was sealed last has the newest key."""


def _open() -> Iterator[Finding]:
    keys = extension().config.secret_keys
    closed = [run_id for run_id, sealed in _sealed() if not _opens(sealed, keys)]
    if closed:
        message = (
            f"no key of PORTAL_ACTIONS_SECRET_KEYS opens the secrets of {counted(len(closed), 'active run')}, such as "
            f"{closed[0]}: they fail when those are needed"
        )
        mend = (
            "put the key that sealed them back at the end of PORTAL_ACTIONS_SECRET_KEYS, for web processes and workers; "
            f"without it cancel them, and start anew with the secrets: flask actions cancel {closed[0]}"
        )
        yield critical("keys", message, mend)


def _sealed() -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    with looking() as db:
        for table in (tables.template_runs, tables.action_runs):
            active = select(table.c.id, table.c.secrets).where(table.c.status.in_(ACTIVE), table.c.secrets.is_not(None))
            rows = db.rows(active.order_by(table.c.id).limit(LOOKED_AT))
            found += [(str(row["id"]), row["secrets"]) for row in rows]
    return found


def _opens(sealed: bytes, keys: tuple[str, ...]) -> bool:
    try:
        unseal(sealed, keys)
    except ConfigurationError:
        return False
    return True


CHECK = Check("keys", _open, "what is sealed can be opened")
