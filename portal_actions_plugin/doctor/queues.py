"""The doctor's look at workers and queues: who is alive, who has stalled, and what waits where nobody works.

Every age is by the database's clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from sqlalchemy import ColumnElement, and_, func, select

from portal_actions_plugin.doctor.findings import (
    Check,
    Finding,
    counted,
    critical,
    database_address,
    duration,
    fine,
    warning,
)
from portal_actions_plugin.doctor.parts import looking
from portal_actions_plugin.extension import extension, queues_in_use
from portal_actions_plugin.runs.conditions import DUE, NOW
from portal_actions_plugin.runs.reading import workers
from portal_actions_plugin.runs.reading.workers import Stalled
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction


def _waiting_by_queue(db: Transaction) -> Counter[str]:
    rows = db.rows(
        select(tables.action_runs.c.queue, func.count().label("n")).where(DUE).group_by(tables.action_runs.c.queue)
    )
    return Counter({row["queue"]: row["n"] for row in rows})


def _workers() -> Iterator[Finding]:
    with looking() as db:
        alive, waiting = workers.alive_by_queue(db), _waiting_by_queue(db)
        seen = _last_seen(db)
        stalled = workers.stalled(db)
    for queue in queues_in_use():
        if queue not in alive:
            lately = f", the last one was seen {duration(seen[queue])} ago" if queue in seen else ""
            waits = f", and {counted(waiting[queue], 'run')} {_wait(waiting[queue])} on it" if waiting[queue] else ""
            message = f"nobody works on the queue {queue}{lately}{waits}"
            yield critical("workers", message, f"flask actions worker --queue {queue}")
    for queue in sorted(alive.keys() - set(queues_in_use())):
        message = f"{counted(alive[queue], 'worker')} on the queue {queue}, which no action of this portal uses"
        yield warning("workers", message, "stop it, and start it again without --queue: flask actions worker")
    # A queue on which nobody works has been said already.
    for one in (one for one in stalled if one.queue in alive or one.is_missing):
        yield critical("workers", _why(one), _mend_stalled(one))
    if alive:
        each = ", ".join(f"{number} on {queue}" for queue, number in sorted(alive.items()))
        yield fine("workers", f"alive: {each}")


def _why(one: Stalled) -> str:
    lasting = duration(one.seconds)
    if one.is_missing:
        return f"there is no worker at {one.name} for {lasting}, though its supervisor was told to have one"
    where = f"{one.name} (process {one.pid} on {one.host})"
    if one.waiting:
        return f"the worker {where} stands by, and the run {one.waiting} on its queue has been due for {lasting}"
    return f"the worker {where} has not turned for {lasting}: it, or its supervisor, was stopped, hangs or was killed"


def _mend_stalled(one: Stalled) -> str:
    if one.is_missing:
        return "the supervisor's log says what its workers die of; it starts another one every half minute"
    if one.waiting:
        return f"its supervisor replaces it within a minute; else start `flask actions worker` on {one.host} anew"
    return f"look at the processes on {one.host}; if nothing replaces it within a minute, start `flask actions worker` anew"


def _last_seen(db: Transaction) -> Mapping[str, float]:
    """How long ago each queue's last worker was seen, in seconds."""
    rows = db.rows(
        select(tables.workers.c.queue, func.max(tables.workers.c.seen_at).label("seen"), NOW.label("now")).group_by(
            tables.workers.c.queue
        )
    )
    return {row["queue"]: (row["now"] - row["seen"]).total_seconds() for row in rows}


def _wait(number: int) -> str:
    return "waits" if number == 1 else "wait"


def stranded(alive: Counter[str]) -> ColumnElement[bool]:
    """The condition of a due row on a queue that no action uses, and nobody works on."""
    return and_(DUE, tables.action_runs.c.queue.not_in([*alive, *queues_in_use()]))


def _stranded() -> Iterator[Finding]:
    known = [action.id for action in extension().registry]
    with looking() as db:
        rows = db.rows(
            select(
                tables.action_runs.c.queue,
                tables.action_runs.c.action.in_(known).label("moves"),
                func.count().label("n"),
            )
            .where(stranded(workers.alive_by_queue(db)))
            .group_by(tables.action_runs.c.queue, "moves")
            .order_by(tables.action_runs.c.queue)
        )
    for row in rows:
        message = f"{counted(row['n'], 'run')} {_wait(row['n'])} on {row['queue']}, where nobody works"
        if row["moves"]:
            message += ": their actions go to another queue by now"
            yield critical("queues", message, "flask actions doctor --fix")
        else:
            yield critical("queues", message, f"flask actions worker --queue {row['queue']}")


def _hosts() -> Iterator[Finding]:
    if extension().database.engine.dialect.name != "sqlite":
        return
    with looking() as db:
        rows = db.rows(select(tables.workers.c.host).where(workers.is_alive()).distinct().order_by("host"))
    if len(rows) > 1:
        hosts = ", ".join(row["host"] for row in rows)
        message = f"workers on several machines ({hosts}) share {database_address()}: SQLite loses runs that way"
        yield critical("hosts", message, "PORTAL_ACTIONS_DATABASE_URL=postgresql://…")


CHECKS = (
    Check("workers", _workers),
    Check("hosts", _hosts, "workers and database fit together"),
    Check("queues", _stranded, "no run waits where nobody works"),
)
