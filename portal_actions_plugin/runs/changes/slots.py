"""How many steps of one identity may run at a time: who has a slot, who is held back, and who is next when one is free.

All of it counts only where ``PORTAL_ACTIONS_MAX_RUNNING_PER_IDENTITY`` is set. What changes an identity's slots takes the
lock of the identity first, before that of a template run or a row: in that order everywhere, so nobody waits in a circle.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import (
    ColumnElement,
    Integer,
    String,
    TextClause,
    Uuid,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    not_,
    or_,
    select,
    update,
)

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.conditions import NOW, THIS_RUN, is_due
from portal_actions_plugin.runs.news import ring
from portal_actions_plugin.runs.states import QUEUED, RUNNING
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction, single_read, transaction
from portal_actions_plugin.storage.sql import checked, now_plus
from portal_actions_plugin.storage.statements import CompiledOnce

HELD_AT_ONCE = 1_000
"""Of so many rows at the head of a queue, those of the identity are held back together with the one that is refused."""

_OF_SLOTS = uuid.UUID("7c6e0a1d-0f7e-4b57-9d0e-6a3b1f1d9c55")

_run = tables.action_runs.c
_WHO = bindparam("who", type_=String())
_SLOT = bindparam("slot", type_=Uuid(as_uuid=False))
_THEIRS = checked(_run.requested_by == _WHO)
_BESIDES = _run.id != THIS_RUN
_RUNNING = select(func.count()).where(_run.status == RUNNING, _THEIRS, _BESIDES).scalar_subquery()
_KEPT = (
    select(func.count()).where(_run.process_token == _SLOT, checked(_run.status == QUEUED), _BESIDES).scalar_subquery()
)
_TAKEN = CompiledOnce(select((_RUNNING + _KEPT).label("taken")))

_HEAD = (
    select(_run.id, _run.requested_by)
    .where(
        tables.WAITS_FOR_NOBODY,
        _run.queue == bindparam("of_queue", type_=String()),
        is_due(_run),
        or_(_run.process_token.is_(None), _run.process_token != _SLOT),
    )
    .order_by(_run.id)
    .limit(literal_column(str(HELD_AT_ONCE), Integer()))
    .subquery()
)
_IN_THE_WAY = CompiledOnce(select(_HEAD.c.id).where(_HEAD.c.requested_by == _WHO))
_held_back = update(tables.action_runs).values(
    held_back_at=NOW,
    rung_at=None,
    rings=0,
    ring_again_at=None,
    process_token=case((_run.process_token == _SLOT, None), else_=_run.process_token),
)
_IS_CLAIMABLE = and_(_run.status == QUEUED, is_due(_run), _run.held_back_at.is_(None))
_HOLD = CompiledOnce(_held_back.where(_run.id == THIS_RUN, _IS_CLAIMABLE))
_KEEP = CompiledOnce(
    update(tables.action_runs)
    # One that holds a lock has its process's token for that.
    .where(_run.id == THIS_RUN, _run.status == QUEUED, not_(_run.lock_held))
    .values(process_token=_SLOT)
)
_GIVE_UP = CompiledOnce(
    update(tables.action_runs)
    .where(_run.id == THIS_RUN, _run.status == QUEUED, checked(_run.process_token == _SLOT))
    .values(process_token=None)
)


def token(identity_id: str) -> str:
    """What a queued step carries in place of a process's token while it keeps a slot of its identity.

    No process has it, so nobody writes by it; and rows are found by it without an index more.
    """
    return str(uuid.uuid5(_OF_SLOTS, identity_id))


def kept_token(identity_id: str) -> dict[str, str]:
    """The column of a step that is queued by the end of the one before, and keeps its slot; nothing without a bound."""
    return {} if _bound() is None else {"process_token": token(identity_id)}


def _bound() -> int | None:
    return extension().config.max_running_per_identity


def lock(tx: Transaction, identity_id: str) -> None:
    """Let one transaction at a time change what an identity has of slots; nobody waits without a bound."""
    if _bound() is not None:
        tx.lock(f"portal_actions.slots:{identity_id}")


@contextmanager
def changing(name: str, identity_id: str) -> Iterator[Transaction]:
    """Open a write transaction in which a step of an identity may end, and ring for who is held back when one has.

    Args:
        name: of the transaction's pause points.
        identity_id: whose runs it changes.
    """
    with transaction(name) as tx:
        lock(tx, identity_id)
        yield tx
        pass_on(tx, identity_id)


def is_free(tx: Transaction, run_id: str, identity_id: str) -> bool:
    """Whether a run may be claimed: its identity has a slot for it, or it keeps one. The identity is locked."""
    bound = _bound()
    return bound is None or _taken(tx, identity_id, run_id) < bound


def _taken(tx: Transaction, identity_id: str, besides: str | None = None) -> int:
    """How many slots an identity's runs have: those that run, and next steps that keep one."""
    values = {"who": identity_id, "slot": token(identity_id), "run": besides or str(uuid.UUID(int=0))}
    return int((tx.row(_TAKEN, values) or {})["taken"])


def hold_back(tx: Transaction, run_id: str, identity_id: str, queue: str) -> bool:
    """Hold a run back until a slot is free, and with it those of the same identity at the head of its queue.

    They leave what is due, so that nobody looks at them again and again before coming to somebody else's.

    Returns:
        False when that run is not to be claimed anyway: it is somebody's, over, or not due.
    """
    values = {"run": run_id, "slot": token(identity_id)}
    if not tx.changed(_HOLD, values):
        return False
    others = [row["id"] for row in tx.rows(_IN_THE_WAY, {**values, "who": identity_id, "of_queue": queue})]
    if others:
        claimable = and_(_run.id.in_(others), _IS_CLAIMABLE)
        # Whoever has one of them locked settles it: two that change many rows might wait for each other.
        ours = [row["id"] for row in tx.rows(select(_run.id).where(claimable).with_for_update(skip_locked=True))]
        tx.execute(_held_back.where(_run.id.in_(ours)), values)
    return True


def keep(tx: Transaction, run_id: str, identity_id: str) -> None:
    """Let a run that has just been queued for another attempt at once keep its slot."""
    if _bound() is not None:
        tx.changed(_KEEP, {"run": run_id, "slot": token(identity_id)})


def give_up(tx: Transaction, run_id: str, identity_id: str) -> None:
    """Let a step that cannot begin, since its lock is not free, keep no slot; the identity's next may have it."""
    if _bound() is not None:
        tx.changed(_GIVE_UP, {"run": run_id, "slot": token(identity_id)})
        pass_on(tx, identity_id)


def pass_on(tx: Transaction, identity_id: str) -> int:
    """Give an identity's free slots to its oldest runs that are held back, and ring for them. The identity is locked.

    A run that is rung for has no slot before it is claimed: should it not be, a sweeper gives the slot to the next one.

    Returns:
        How many were rung for.
    """
    bound = _bound()
    if bound is None or (free := bound - _taken(tx, identity_id)) <= 0:
        return 0
    mine = and_(tables.HELD_BACK, _run.requested_by == identity_id)
    due = _let_go(tx, mine, free)
    for run_id, queue in due:
        ring.ring_first_after_commit(tx, run_id, queue)
    return len(due)


def _let_go(tx: Transaction, which: ColumnElement[bool] | TextClause, limit: int) -> Sequence[tuple[str, str]]:
    oldest = (
        select(_run.id).where(which).order_by(_run.requested_by, _run.id).limit(limit).with_for_update(skip_locked=True)
    )
    seconds = extension().config.ring_again_seconds
    # PostgreSQL may look for the rows of a subquery more than once, and each time skip those that it has locked.
    ids = [row["id"] for row in tx.rows(oldest)]
    if not ids:
        return ()
    rows = tx.rows(
        update(tables.action_runs)
        .where(_run.id.in_(ids), _run.status == QUEUED)
        .values(held_back_at=None, rung_at=NOW, rings=1, ring_again_at=now_plus(seconds))
        .returning(_run.id, _run.queue)
    )
    return [(row["id"], row["queue"]) for row in rows]


# -- what a sweeper makes good ---------------------------------------------------------------------------------------


def pass_on_all(limit: int) -> int:
    """Give every free slot to who is held back for it: its holder may have died, or the bound is another one by now.

    Without a bound nobody is held back any more.

    Args:
        limit: of so many identities, or runs, in one go; the next call goes on from there.

    Returns:
        How many runs were rung for.
    """
    if _bound() is None:
        return _let_all_go(limit)
    kept = extension().kept
    with single_read() as db:
        people = _held_people(db, kept.get("held_people_after", ""), limit)
    kept["held_people_after"] = people[-1] if len(people) == limit else ""
    rung = 0
    for identity_id in people:
        with transaction("pass_on") as tx:
            lock(tx, identity_id)
            rung += pass_on(tx, identity_id)
    return rung


def with_a_free_slot(db: Transaction) -> Sequence[str]:
    """Identities of whom a run is held back for no reason: they have a free slot, or there is no bound. A thousand at most."""
    bound = _bound()
    return [who for who in _held_people(db, "", 1_000) if bound is None or _taken(db, who) < bound]


def _held_people(db: Transaction, after: str, limit: int) -> Sequence[str]:
    """Identities of whom a run is held back, in order: by one statement, since SQLite has no index for who comes next."""
    theirs = select(_run.requested_by).where(tables.HELD_BACK, _run.requested_by > after)
    rows = db.rows(theirs.distinct().order_by(_run.requested_by).limit(limit))
    return [row["requested_by"] for row in rows]


def _let_all_go(limit: int) -> int:
    with single_read() as db:
        if db.row(select(_run.id).where(tables.HELD_BACK).limit(1)) is None:
            return 0
    with transaction("let_go") as tx:
        due = _let_go(tx, tables.HELD_BACK, limit)
        for run_id, queue in due:
            ring.ring_after_commit(tx, run_id, queue)
    return len(due)
