"""Everything that pages, API, commands and signals read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Integer, bindparam, func, select

from portal_actions_plugin.errors import NotFoundError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.run_types import (
    ActionRun,
    Attempt,
    ItemRun,
    LockHolder,
    LogLine,
    OwnSteps,
    Page,
    TemplateRun,
)
from portal_actions_plugin.runs.guards.limits import Quota, quota
from portal_actions_plugin.runs.reading import rows
from portal_actions_plugin.runs.reading.filters import RunFilter, bound_to, set_filters
from portal_actions_plugin.runs.reading.list_statements import reader_of
from portal_actions_plugin.runs.reading.paging import COUNT_CAP, Listing, Reader, Sight, page
from portal_actions_plugin.runs.reading.records import (
    ActionRunRecord,
    TemplateRunRecord,
    action_run_record,
    attempt_record,
    item_record,
    template_run_record,
)
from portal_actions_plugin.runs.reading.search.narrowing import BY_NAME, Narrowed, all_called_so, ids_first
from portal_actions_plugin.runs.reading.within_runs import items, logs
from portal_actions_plugin.runs.run_ids import no_run, parse_id
from portal_actions_plugin.runs.states import ACTIVE, QUEUED, SUCCESS
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Row, Transaction, reading
from portal_actions_plugin.storage.sql import ONE, Id
from portal_actions_plugin.storage.statements import CompiledOnce

# -- the statements of every look at a run: made once, since making one takes longer than running it --------------------


def _retried_as(table: tables.RunTable) -> ColumnElement[Any]:
    again = table.alias().c
    newest = select(again.id).where(again.retry_of == table.c.id).order_by(again.id.desc()).limit(ONE)
    return newest.scalar_subquery().label("retried_as")


_run_id = bindparam("run_id", type_=Id())
_ACTION_RUN = (
    rows.select_action_runs().add_columns(_retried_as(tables.action_runs)).where(tables.action_runs.c.id == _run_id)
)
_TEMPLATE_RUN = (
    rows.select_template_runs()
    .add_columns(_retried_as(tables.template_runs))
    .where(tables.template_runs.c.id == _run_id)
)
_STEPS = (
    rows.select_action_runs().where(tables.action_runs.c.template_run_id == _run_id).order_by(tables.action_runs.c.id)
)
_places = bindparam("places", type_=Integer(), expanding=True)
_STEPS_WITHOUT_ITEMS = _STEPS.where(tables.action_runs.c.position.not_in(_places))
_run_ids = bindparam("run_ids", type_=Id(), expanding=True)
_STEPS_DONE = (
    select(tables.action_runs.c.template_run_id, rows.STEPS_DONE.label("done"))
    .where(tables.action_runs.c.template_run_id.in_(_run_ids))
    .group_by(tables.action_runs.c.template_run_id)
)
_ATTEMPTS = (
    select(tables.attempts).where(tables.attempts.c.action_run_id.in_(_run_ids)).order_by(tables.attempts.c.number)
)


def _count_of(status: str) -> ColumnElement[int]:
    some = select(tables.action_runs.c.id).where(tables.action_runs.c.status == status).limit(COUNT_CAP).subquery()
    return select(func.count()).select_from(some).scalar_subquery().label(status)


_ACTIVE_COUNTS = CompiledOnce(select(*map(_count_of, ACTIVE)))


# -- one -------------------------------------------------------------------------------------------------------------


def action_run(run_id: str) -> ActionRun:
    """One action run with every try; raises NotFoundError."""
    with reading() as db:
        row = db.row(_ACTION_RUN, {"run_id": parse_id(run_id)})
        if row is None:
            raise no_run("action run", run_id)
        return replace(whole_action_run(db, action_run_record(row)), retried_as=row["retried_as"])


def whole_action_run(db: Transaction, row: ActionRunRecord) -> ActionRun:
    """An action run's row with every try."""
    return rows.action_run(row, _attempts(db, [row])[row["id"]], _waits(db, [row]).get(row["id"]))


def template_run(run_id: str) -> TemplateRun:
    """One template run with every step of its template in order; raises NotFoundError."""
    with reading() as db:
        return template_run_within(db, run_id)


def template_run_within(db: Transaction, run_id: str) -> TemplateRun:
    """One template run with every step of its template in order, as an open transaction or read sees it.

    Raises:
        NotFoundError: there is no such run.
    """
    row = db.row(_TEMPLATE_RUN, {"run_id": parse_id(run_id)})
    if row is None:
        raise no_run("template run", run_id)
    whole = _whole_template_run(db, template_run_record(row), None)
    return replace(whole, retried_as=row["retried_as"])


def whole_template_run(db: Transaction, row: TemplateRunRecord, steps: Sequence[ActionRunRecord]) -> TemplateRun:
    """A template run's row and those of its steps as one; ``steps`` is all that it has, as long as none has items."""
    return _whole_template_run(db, row, None if items.has_lists(row["definition"]) else steps)


def _whole_template_run(
    db: Transaction, row: TemplateRunRecord, steps: Sequence[ActionRunRecord] | None
) -> TemplateRun:
    lists = items.counted(db, row["id"]) if items.has_lists(row["definition"]) else {}
    if steps is None:
        found = db.rows(_STEPS_WITHOUT_ITEMS, {"run_id": row["id"], "places": list(lists)})
        steps = [action_run_record(step) for step in found]
    of_items = items.rows_in_full(db, row["id"], lists)
    both = [*steps, *of_items]
    attempts, waits = _attempts(db, both), _waits(db, both)
    runs = {step["id"]: rows.action_run(step, attempts[step["id"]], waits.get(step["id"])) for step in both}
    shown = items.with_names(db, row["id"], of_items, runs)
    made = {place: items.step_items(one, row["status"], shown.get(place, ())) for place, one in lists.items()}
    single = {step["position"]: runs[step["id"]] for step in steps}
    done = sum(run.status == SUCCESS for run in single.values()) + sum(one.status == SUCCESS for one in made.values())
    return replace(rows.template_run(row, done), steps=rows.steps(row, single, made))


def any_run(run_id: str) -> ActionRun | TemplateRun:
    """The template run or action run with this id; raises NotFoundError."""
    try:
        return template_run(run_id)
    except NotFoundError:
        return action_run(run_id)


def template_runs_of(run_ids: Sequence[str]) -> dict[str, str]:
    """The template run that each of these action runs is a step of, by the step's id."""
    steps = select(tables.action_runs.c.id, tables.action_runs.c.template_run_id).where(
        tables.action_runs.c.id.in_(run_ids), tables.action_runs.c.template_run_id.is_not(None)
    )
    with reading() as db:
        return {row["id"]: row["template_run_id"] for row in db.rows(steps)}


def _attempts(db: Transaction, runs: Sequence[ActionRunRecord]) -> dict[str, tuple[Attempt, ...]]:
    tries: dict[str, tuple[Attempt, ...]] = {run["id"]: () for run in runs}
    begun = [run["id"] for run in runs if run["started_at"]]
    if begun:
        for row in db.rows(_ATTEMPTS, {"run_ids": begun}):
            tries[row["action_run_id"]] += (rows.attempt(attempt_record(row)),)
    return tries


def _waits(db: Transaction, runs: Sequence[ActionRunRecord]) -> dict[str, LockHolder | OwnSteps]:
    """What each queued run waits for, by its id; nothing for those that wait for a worker alone."""
    most = extension().config.max_running_per_identity
    held = [run for run in runs if most and run["status"] == QUEUED and run["held_back_at"]]
    own_steps = {run["id"]: OwnSteps(most or 0, run["requester_name"]) for run in held}
    return {**_lock_holders(db, runs), **own_steps}


def _lock_holders(db: Transaction, runs: Sequence[ActionRunRecord]) -> dict[str, LockHolder]:
    """Who holds the lock that a queued run waits for, by the waiting run's id."""
    waiting = {run["id"]: run["lock_key"] for run in runs if run["status"] == QUEUED and run["lock_key"]}
    if not waiting:
        return {}
    held = db.rows(
        select(tables.action_runs.c.id, tables.action_runs.c.template_run_id, tables.action_runs.c.lock_key).where(
            tables.action_runs.c.lock_held, tables.action_runs.c.lock_key.in_(set(waiting.values()))
        )
    )
    holders = {row["lock_key"]: row for row in held}
    return {
        run_id: LockHolder(key, holder["id"], rows.action_run_url(holder["id"], holder["template_run_id"]))
        for run_id, key in waiting.items()
        if (holder := holders.get(key)) and holder["id"] != run_id
    }


def log_lines(run_id: str, *, after: int = 0, limit: int = 1000) -> list[LogLine]:
    """Log lines of an action run with a sequence number above ``after``, at most ``limit``."""
    with reading() as db:
        lines = db.execute(logs.LINES_AFTER, {"run_id": parse_id(run_id), "after": after, "limit": limit}).all()
    return [LogLine._make(line[1:]) for line in lines]


# -- lists -----------------------------------------------------------------------------------------------------------


def action_runs(wanted: RunFilter, *, limit: int, cursor: str | None = None, sight: Sight | None = None) -> Page:
    """Action runs, newest first: those that may be seen."""
    convert = partial(listed_with_items, one_status=bool(wanted.status)) if wanted.folded else listed_action_runs
    of = _listing("action_runs", tables.action_runs, wanted, convert, sight)
    return page(of, limit, cursor, sight)


def template_runs(wanted: RunFilter, *, limit: int, cursor: str | None = None, sight: Sight | None = None) -> Page:
    """Template runs, newest first, without their steps: those that may be seen."""
    of = _listing("template_runs", tables.template_runs, wanted, listed_template_runs, sight)
    return page(of, limit, cursor, sight)


def of_status(status: str, requested_by: str | None, *, limit: int, sight: Sight) -> Page:
    """The newest action runs of a status, all people's or those of who has this id: those that may be seen."""
    of = {"requested_by": requested_by} if requested_by else {}
    read = reader_of(tables.action_runs, {"status": status, **of})
    return page(Listing(read, listed_action_runs, "of_status"), limit, None, sight)


def _listing(
    name: str,
    table: tables.RunTable,
    wanted: RunFilter,
    convert: Callable[[Transaction, Sequence[Row]], list[Any]],
    sight: Sight | None,
) -> Listing[Any]:
    return Listing(_reader(table, wanted, sight), convert, bound_to(name, wanted))


def listed_action_runs(_db: Transaction, found: Sequence[Row]) -> list[ActionRun]:
    """Rows as action runs of a list."""
    return [rows.action_run(action_run_record(row)) for row in found]


def listed_with_items(db: Transaction, found: Sequence[Row], *, one_status: bool) -> list[ActionRun]:
    """Rows as action runs of a list where one stands for all items of its step: it knows what became of them.

    Args:
        db: where to read.
        found: the rows.
        one_status: whether the list is one of some statuses: then it keeps its own, and else it has that of the step.
    """
    runs = listed_action_runs(db, found)
    of = items.counted_of(db, {run.template_run_id for run in runs if run.template_run_id})
    return [_with_items(run, of.get((run.template_run_id or "", run.position)), one_status) for run in runs]


def _with_items(run: ActionRun, counted: items.Counted | None, one_status: bool) -> ActionRun:  # noqa: FBT001 as above
    if counted is None:
        return run
    whole = items.step_items(counted, run.status)
    if one_status:
        return replace(run, items=whole)
    ended = whole.finished_at if whole.duration_ms is not None else None
    return replace(run, items=whole, status=whole.status, started_at=whole.started_at, finished_at=ended)


def items_in_list(run: ActionRun, statuses: Sequence[str], limit: int) -> list[ItemRun]:
    """The first items that an action run of a list stands for: those of these statuses, or all."""
    with reading() as db:
        whole = run.template_run_id or ""
        return items.items_of(db, whole, run.position, run.status, limit=limit, statuses=statuses)


def with_item(run: TemplateRun, run_id: str) -> TemplateRun:
    """A template run that shows this item of a step in full, too; as it is when that is none of it."""
    with reading() as db:
        row = db.row(items.one_in_full(run.id), {"run_id": parse_id(run_id)})
        if row is None or any(part.id == row["id"] for step in run.steps for part in step.runs):
            return run
        found = item_record(row)
        whole = {found["id"]: whole_action_run(db, found)}
        (shown,) = items.with_names(db, run.id, [found], whole)[found["position"]]
    place = found["position"]
    steps = [
        replace(step, items=replace(step.items, shown=(*step.items.shown, shown)))
        if step.items and index == place
        else step
        for index, step in enumerate(run.steps)
    ]
    return replace(run, steps=tuple(steps))


def items_of(run: TemplateRun, position: int, *, after: int, limit: int) -> list[ItemRun]:
    """The items of a step of a template run, in their order, with an index above ``after``."""
    with reading() as db:
        return items.items_of(db, run.id, position, run.status, after=after, limit=limit)


def listed_template_runs(db: Transaction, found: Sequence[Row]) -> list[TemplateRun]:
    """Rows as template runs of a list, without their steps."""
    ids = [row["id"] for row in found]
    of_runs = db.rows(_STEPS_DONE, {"run_ids": ids}) if ids else ()
    done = {row["template_run_id"]: row["done"] for row in of_runs}
    return [rows.template_run(template_run_record(row), done.get(row["id"], 0)) for row in found]


def _reader(table: tables.RunTable, wanted: RunFilter, sight: Sight | None) -> Reader:
    filters = set_filters(wanted)
    if wanted.q or BY_NAME.keys() & filters.keys():
        return Narrowed(table, filters, wanted.q or "", ids_first if sight is None else all_called_so).read
    return reader_of(table, filters)


def active_counts() -> dict[str, int]:
    """How many action runs are queued and running, counted up to ``COUNT_CAP``."""
    with reading() as db:
        row = db.row(_ACTIVE_COUNTS)
    assert row is not None  # noqa: S101 a SELECT without FROM has one row
    return dict(row)


def starts_left(identity_id: str) -> Quota:
    """What the identity may still start right now."""
    with reading() as db:
        return quota(db, identity_id, extension().config.rate_limit)
