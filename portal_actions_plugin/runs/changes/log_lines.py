"""The lines of a run's log: how they get into the database. Whoever is not the run's process any more adds none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Float, Integer, String, Text, Uuid, bindparam, insert, not_, or_, select

from portal_actions_plugin.runs.changes.claims import is_of
from portal_actions_plugin.runs.conditions import THIS_RUN
from portal_actions_plugin.runs.states import CANCELED, RUNNING
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction
from portal_actions_plugin.storage.sql import now_plus
from portal_actions_plugin.storage.statements import CompiledOnce


class Line(NamedTuple):
    """A line of a run's log, and whose it is. ``age`` is how many seconds ago it was said."""

    run: str
    token: str
    seq: int
    attempt: int
    level: str
    message: str
    age: float = 0.0


_SEQ = bindparam("line_seq", type_=Integer())
_TAKEN = select(tables.action_runs.c.id).where(
    tables.action_runs.c.id == THIS_RUN, is_of(bindparam("token", type_=Uuid(as_uuid=False)))
)
_OURS = _TAKEN.where(tables.action_runs.c.status == RUNNING)
_LINE = select(
    THIS_RUN,
    _SEQ,
    bindparam("line_attempt", type_=Integer()),
    now_plus(-bindparam("line_age", type_=Float())),
    bindparam("line_level", type_=String()),
    bindparam("line_message", type_=Text()),
)
_THERE = select(tables.log_lines.c.seq).where(
    tables.log_lines.c.action_run_id == THIS_RUN, tables.log_lines.c.seq == _SEQ
)
_COLUMNS = ["action_run_id", "seq", "attempt", "at", "level", "message"]

_LOCK = CompiledOnce(_OURS.with_for_update())
_LOCK_LEFT = CompiledOnce(
    _TAKEN.where(or_(tables.action_runs.c.status == RUNNING, tables.action_runs.c.status == CANCELED)).with_for_update()
)
_ADD_OURS = CompiledOnce(
    insert(tables.log_lines).from_select(_COLUMNS, _LINE.where(_OURS.exists())).returning(tables.log_lines.c.seq)
)
_ADD_NEW = CompiledOnce(insert(tables.log_lines).from_select(_COLUMNS, _LINE.where(not_(_THERE.exists()))))


def add(tx: Transaction, line: Line) -> bool:
    """Add a line that nobody else can be adding; False when the run is not the process's any more."""
    return tx.row(_ADD_OURS, _values(line)) is not None


def add_all(tx: Transaction, lines: Sequence[Line]) -> bool:
    """Add those of a run's lines that are not there yet; False when the run is not the process's any more."""
    return _add_all(tx, lines, _LOCK)


def add_left(tx: Transaction, lines: Sequence[Line]) -> None:
    """Add those lines of a run that are not there yet, for a process that does not write them itself.

    They are added to a canceled run as well: what its handler had said before the cancel belongs to it.
    """
    _add_all(tx, lines, _LOCK_LEFT)


def _add_all(tx: Transaction, lines: Sequence[Line], lock: CompiledOnce) -> bool:
    # A process and its parent may write the same lines: the one that comes second must see what the first has written.
    if lines and tx.row(lock, {"run": lines[0].run, "token": lines[0].token}) is None:
        return False
    add_to_ended(tx, lines)
    return True


def add_to_ended(tx: Transaction, lines: Sequence[Line]) -> None:
    """Add those of a run's lines that are not there yet, in the transaction that has just ended its attempt and so has its row."""
    if lines:
        tx.add(_ADD_NEW, [_values(line) for line in lines])


def _values(line: Line) -> dict[str, Any]:
    return {
        "run": line.run,
        "token": line.token,
        "line_seq": line.seq,
        "line_attempt": line.attempt,
        "line_level": line.level,
        "line_message": line.message,
        "line_age": line.age,
    }
