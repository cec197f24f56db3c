"""The logs of action runs: how far they go, their last lines, and all of them piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnClause, ColumnElement, Integer, Select, String, bindparam, func, select

from portal_actions_plugin.run_types import LogEnd, LogLine
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading
from portal_actions_plugin.storage.sql import Id

_run_id = bindparam("run_id", type_=Id())
_run_ids = bindparam("run_ids", type_=Id(), expanding=True)
_levels = bindparam("levels", type_=String(), expanding=True)
_limit = bindparam("limit", type_=Integer())
_LINE: tuple[ColumnClause[Any], ...] = (
    tables.log_lines.c.action_run_id,
    tables.log_lines.c.seq,
    tables.log_lines.c.attempt,
    tables.log_lines.c.at,
    tables.log_lines.c.level,
    tables.log_lines.c.message,
)


def _log_ends(matching: ColumnElement[int]) -> Select[Any]:
    line = tables.log_lines.c
    total = func.max(line.seq)  # They are numbered without a gap.
    ends: tuple[Any, ...] = (line.action_run_id, total.label("total"), matching.label("matching"))
    return select(*ends).where(line.action_run_id.in_(_run_ids)).group_by(line.action_run_id)


def _last_lines_of_levels() -> Select[Any]:
    line = tables.log_lines.c
    place = func.row_number().over(partition_by=line.action_run_id, order_by=line.seq.desc()).label("place")
    placed = select(*_LINE, place).where(line.action_run_id.in_(_run_ids), line.level.in_(_levels)).subquery()
    columns = [placed.c[column.key] for column in _LINE]
    return select(*columns).where(placed.c.place <= _limit).order_by(placed.c.action_run_id, placed.c.seq)


_LOG_ENDS = _log_ends(func.max(tables.log_lines.c.seq))
_LOG_ENDS_OF_LEVELS = _log_ends(func.count().filter(tables.log_lines.c.level.in_(_levels)))
_WHOLE_LOGS = (
    select(*_LINE)
    .where(tables.log_lines.c.action_run_id.in_(_run_ids))
    .order_by(tables.log_lines.c.action_run_id, tables.log_lines.c.seq)
)
LINES_AFTER = (
    select(*_LINE)
    .where(tables.log_lines.c.action_run_id == _run_id, tables.log_lines.c.seq > bindparam("after", type_=Integer()))
    .order_by(tables.log_lines.c.seq)
    .limit(_limit)
)
_LAST_LINES_OF_LEVELS = _last_lines_of_levels()


def log_ends(run_ids: Sequence[str], levels: Sequence[str] = ()) -> dict[str, LogEnd]:
    """How far each log goes, and how many of its lines are of these levels. A run without a log is not in the answer."""
    of_runs = {"run_ids": run_ids}
    with reading() as db:
        found = db.rows(_LOG_ENDS_OF_LEVELS, {**of_runs, "levels": levels}) if levels else db.rows(_LOG_ENDS, of_runs)
    return {row["action_run_id"]: LogEnd(row["total"], row["matching"]) for row in found}


def log_tails(ends: Mapping[str, LogEnd], limit: int, levels: Sequence[str] = ()) -> dict[str, list[LogLine]]:
    """The last lines of each log that ``log_ends`` gave, or of those levels, however far up they are."""
    tails: dict[str, list[LogLine]] = {run_id: [] for run_id in ends}
    with reading() as db:
        for statement, values in _tails(ends, limit, levels):
            found: Sequence[Any] = db.execute(statement, values).all()
            for run_id, seq, attempt, at, level, message in found:
                tails[run_id].append(LogLine(seq, attempt, at, level, message))
    return tails


def _tails(
    ends: Mapping[str, LogEnd], limit: int, levels: Sequence[str]
) -> Iterator[tuple[Select[Any], dict[str, Any]]]:
    """The statements that read them, with their values."""
    if levels:
        yield _LAST_LINES_OF_LEVELS, {"run_ids": list(ends), "limit": limit, "levels": levels}
        return
    # All that is read as a whole takes one statement. Of a longer log so much is read that its own is no matter.
    if whole := [run_id for run_id, end in ends.items() if end.total <= limit]:
        yield _WHOLE_LOGS, {"run_ids": whole}
    for run_id, end in ends.items():
        if end.total > limit:
            yield LINES_AFTER, {"run_id": run_id, "after": end.total - limit, "limit": limit}
