"""Which workspaces and files of templates stay, and for how long: what nobody needs any more is deleted here.

Every step is a guarded write, so any number of processes may be at it. What a store refuses is left to the next pass.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Select, and_, delete, func, or_, select

from portal_actions_plugin.errors import ActionError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.states import ACTIVE, CANCELED, FAILED, SUCCESS
from portal_actions_plugin.runs.workspaces import folders, lifetime
from portal_actions_plugin.runs.workspaces.generations import needed_contents
from portal_actions_plugin.runs.workspaces.stores.opening import store
from portal_actions_plugin.runs.workspaces.stores.store import RUNS, TEMPLATES, Shelf
from portal_actions_plugin.runs.workspaces.template_files import NOTED_SECONDS
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Row, reading, single_read, single_write
from portal_actions_plugin.storage.sql import now_plus

log = logging.getLogger(__name__)

DAY_SECONDS = 24 * 3600
LEFT_TO_ITS_PROCESS = 120
"""Seconds after a success in which the process that recorded it deletes the workspace itself."""

TEMPLATE_FILES_DAYS = 2
"""How long files of a template stay that no run was started with, and none needs that is at work or may be resumed."""

ROWS = 500

_row = tables.workspaces.c
_run = tables.template_runs.c
_files = tables.template_files.c


@dataclass(frozen=True, slots=True)
class Tidied:
    """How many workspaces, and files of templates, were deleted, and what nobody has known of."""

    workspaces: int = 0
    templates: int = 0
    orphans: int = 0


def is_anything_kept() -> bool:
    """Whether there is a workspace to look after."""
    with single_read() as db:
        return db.row(select(_row.template_run_id).where(tables.KEPT).limit(1)) is not None


def tidy() -> int:
    """Delete the workspaces that have been kept for long enough, oldest ended first; says how many."""
    config = extension().config
    ended = _ended()
    gone = sum(_safely(partial(_forget, row["id"])) for row in ended if row["status"] == SUCCESS)
    over = [row for row in ended if row["status"] in (FAILED, CANCELED)]
    cutoff = _moment(-config.workspace_days * DAY_SECONDS)
    total = _total()
    for row in over:
        if row["finished_at"] >= cutoff and total <= config.workspace_total:
            break  # they are in the order of their ends
        if _safely(partial(lifetime.empty, row["id"])):
            gone += 1
            total -= row["size"]
    if total > config.workspace_total:
        log.warning("the workspaces of runs that are at work hold %d bytes, more than WORKSPACE_TOTAL", total)
    return gone


def empty_all(ids: Sequence[str]) -> None:
    """Delete the contents of the workspaces of these runs, which are about to go: not all in the transaction that takes them."""
    with single_read() as db:
        kept = db.rows(select(_row.template_run_id).where(_row.template_run_id.in_(ids), tables.KEPT))
    for row in kept:
        _safely(partial(lifetime.empty, row["template_run_id"]))


def tidy_thoroughly() -> Tidied:
    """As ``tidy``, and delete what a process that died has left, on the store and on this machine."""
    workspaces = tidy()
    for folder in folders.left_behind(_at_work):
        folders.remove_tree(folder)
    templates = sum(_safely(partial(_forget_template_files, key)) for key in _unused_template_files())
    for row in _ended_lately():
        _safely(partial(_forget_unsaved, row["id"]))
    of_nobody = [shelf for kind in (RUNS, TEMPLATES) for shelf in _of_nobody(kind)]
    orphans = sum(_safely(partial(_clear, shelf)) for shelf in of_nobody)
    return Tidied(workspaces, templates, orphans)


def _safely(work: Callable[[], bool]) -> bool:
    """Do one thing; what a store refuses is left to the next pass, and does not keep the others from being done."""
    try:
        return work()
    except ActionError as error:
        log.warning("this part of a workspace's upkeep is for the next pass: %s", error.message)
        return False


def _forget(run_id: str) -> bool:
    lifetime.forget(run_id)
    return True


def _clear(shelf: Shelf) -> bool:
    log.info("deleting contents that belong to nobody: %s/%s", shelf.kind, shelf.owner)
    store().clear(shelf)
    return True


# -- workspaces --------------------------------------------------------------------------------------------------------


def _ended() -> Sequence[Row]:
    """The kept workspaces of runs that are over, those that ended first first."""
    long_enough = or_(_run.status != SUCCESS, _run.finished_at < now_plus(-LEFT_TO_ITS_PROCESS))
    with reading() as db:
        return db.rows(
            select(_run.id, _run.status, _run.finished_at, func.sum(_row.size).label("size"))
            .join_from(tables.workspaces, tables.template_runs, _run.id == _row.template_run_id)
            .where(tables.KEPT, _run.status.not_in(ACTIVE), _run.finished_at.is_not(None), long_enough)
            .group_by(_run.id, _run.status, _run.finished_at)
            .order_by(_run.finished_at)
        )


def _ended_lately() -> Iterator[Row]:
    since = _moment(-2 * 3600)
    yield from (row for row in _ended() if row["finished_at"] > since)


def _forget_unsaved(run_id: str) -> bool:
    """Delete what a killed step had begun to keep: a run that is over refers to the contents of its last row alone."""
    with single_read() as db:
        needed = needed_contents(db, run_id, extension().config.secret_keys)
    shelf = Shelf(RUNS, run_id)
    left = set(store().sizes(shelf)) - needed
    store().delete(shelf, sorted(left))
    return bool(left)


def _total() -> int:
    with single_read() as db:
        row = db.row(select(func.sum(_row.size).label("total")).where(tables.KEPT))
    return int((row["total"] if row else None) or 0)


def _moment(seconds: float) -> datetime:
    with single_read() as db:
        [row] = db.rows(select(now_plus(seconds).label("at")))
    moment: datetime = row["at"]
    return moment


def _at_work(process_tokens: list[str]) -> set[str]:
    """Which of these processes have a run still."""
    tokens = [token for token in process_tokens if _is_id(token)]
    of_process = tables.action_runs.c.process_token
    with single_read() as db:
        rows = db.rows(
            select(of_process).where(of_process.in_(tokens), tables.action_runs.c.status.in_(ACTIVE)).distinct()
        )
    return {row["process_token"] for row in rows}


def _is_id(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


# -- what belongs to nobody --------------------------------------------------------------------------------------------


def _of_nobody(kind: str) -> Iterator[Shelf]:
    try:
        owners = list(store().owners(kind))
    except ActionError as error:
        log.warning("the store of workspaces cannot be looked through: %s", error.message)
        return
    known = _runs_with_contents if kind == RUNS else _known_template_files
    for start in range(0, len(owners), ROWS):
        some = owners[start : start + ROWS]
        there = known(some)
        yield from (Shelf(kind, owner) for owner in some if owner not in there)


def _runs_with_contents(ids: Sequence[str]) -> set[str]:
    """Which of these runs may have contents: those at work, and those whose workspace is kept."""
    known = [run_id for run_id in ids if _is_id(run_id)]
    kept = select(_row.template_run_id).where(_row.template_run_id == _run.id, tables.KEPT).exists()
    with reading() as db:
        rows = db.rows(select(_run.id).where(_run.id.in_(known), or_(_run.status.in_(ACTIVE), kept)))
    return {row["id"] for row in rows}


def _known_template_files(keys: Sequence[str]) -> set[str]:
    with reading() as db:
        return {row["key"] for row in db.rows(select(_files.key).where(_files.key.in_(keys), _files.piece == 0))}


# -- files of templates ------------------------------------------------------------------------------------------------


def _unused_template_files() -> list[str]:
    """Files that no run was started with for long, and that none needs which is at work or may be resumed."""
    days = max(TEMPLATE_FILES_DAYS, extension().config.workspace_days)
    with reading() as db:
        old = db.rows(
            select(_files.key, _files.template, _files.used_at).where(
                _files.piece == 0, _files.used_at < now_plus(-days * DAY_SECONDS)
            )
        )
        return [row["key"] for row in old if db.row(_needing(row, days)) is None]


def _needing(row: Row, days: int) -> Select[Any]:
    """A run of the template that was started while these files were in use, and may read them still."""
    may_be_resumed = and_(_run.status.in_((FAILED, CANCELED)), _run.finished_at > now_plus(-days * DAY_SECONDS))
    last_start = row["used_at"] + timedelta(seconds=2 * NOTED_SECONDS)
    return (
        select(_run.id)
        .where(or_(_run.status.in_(ACTIVE), may_be_resumed))
        .where(_run.template == row["template"], _run.queued_at < last_start)
        .limit(1)
    )


def _forget_template_files(key: str) -> bool:
    days = max(TEMPLATE_FILES_DAYS, extension().config.workspace_days)
    with single_write("template_files_gone") as tx:
        gone = tx.changed(
            delete(tables.template_files).where(
                _files.key == key, _files.piece == 0, _files.used_at < now_plus(-days * DAY_SECONDS)
            )
        )
    if gone:
        store().clear(Shelf(TEMPLATES, key))
    return bool(gone)
