"""Which workspaces and files of templates stay, and for how long: what nobody needs any more is deleted here.

Every step is a guarded write, so any number of processes may be at it. What a store refuses is left to the next pass.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Select, and_, case, delete, func, or_, select

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

MEASURED = 200
"""Workspaces at most that are looked at in the store in one pass, the largest: it may take a request for each."""

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
    """Delete the workspaces that have been kept for long enough, oldest ended first; says how many.

    One whose run was resumed is kept for as long as those of the runs that were, and goes after them.
    """
    config = extension().config
    kept = _kept()
    done = [run.id for run in kept.values() if run.is_to_be_forgotten and _safely(partial(_forget, run.id))]
    for run_id in done:
        del kept[run_id]
    gone = len(done)
    cutoff = _moment(-config.workspace_days * DAY_SECONDS)
    held = _Held(kept.values(), config.workspace_total)
    for last_end, run in _in_turn(kept):
        if last_end >= cutoff and held.total <= config.workspace_total:
            break
        if _safely(partial(lifetime.empty, run.id)):
            gone += 1
            held.let_go(run)
    if held.total > config.workspace_total:
        log.warning("the workspaces of runs that are at work hold %d bytes, more than WORKSPACE_TOTAL", held.total)
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
    for run in _ended_lately():
        _safely(partial(_forget_unsaved, run.id))
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


@dataclass(frozen=True, slots=True)
class _Kept:
    """A run whose workspace is kept.

    Attributes:
        source: the run that it resumes, whose contents it may refer to.
        rows: what it held at different times; they share contents.
        size: bytes of what all of these refer to, counted once for each.
    """

    id: str
    status: str
    finished_at: datetime | None
    source: str | None
    rows: int
    size: int
    is_left: bool

    @property
    def ended(self) -> datetime | None:
        """When it ended badly; None while it is at work."""
        return self.finished_at if self.status in (FAILED, CANCELED) else None

    @property
    def is_to_be_forgotten(self) -> bool:
        """Whether it has succeeded, and its process has left the workspace."""
        return self.status == SUCCESS and self.is_left


def _kept() -> dict[str, _Kept]:
    """The runs whose workspaces are kept, by id, those that were started first first."""
    source = case((_run.resumed_step.is_not(None), _run.retry_of))
    about = (_run.id, _run.status, _run.finished_at, source.label("source"))
    is_left = _run.finished_at < now_plus(-LEFT_TO_ITS_PROCESS)
    with reading() as db:
        rows = db.rows(
            select(*about, func.count().label("rows"), func.sum(_row.size).label("size"), is_left.label("is_left"))
            .join_from(tables.workspaces, tables.template_runs, _run.id == _row.template_run_id)
            .where(tables.KEPT)
            .group_by(*about)
            .order_by(_run.id)
        )
    return {row["id"]: _Kept(**{**row, "size": int(row["size"]), "is_left": bool(row["is_left"])}) for row in rows}


def _in_turn(kept: dict[str, _Kept]) -> list[tuple[datetime, _Kept]]:
    """The workspaces that may go, in the order in which they do, each with the last end of those that need it.

    None goes that a run at work needs. Of a chain the newest goes first: that is what lets those before it go.
    """
    at_work: set[str] = set()
    last: dict[str, datetime] = {}
    for run in kept.values():
        if run.status == SUCCESS:
            continue
        needed: _Kept | None = run
        while needed is not None:
            if run.ended is None:
                at_work.add(needed.id)
            else:
                last[needed.id] = max(run.ended, last.get(needed.id, run.ended))
            needed = kept.get(needed.source) if needed.source else None
    newest_first = [kept[run_id] for run_id in reversed(kept) if run_id in last.keys() - at_work]
    return sorted(((last[run.id], run) for run in newest_first), key=lambda one: one[0])


class _Held:
    """How many bytes all workspaces take, as exactly as is needed to tell whether that is too much."""

    def __init__(self, kept: Collection[_Kept], most: int) -> None:
        """Add up what the rows say, which is no less than it is; where that is too much, look into the store.

        Args:
            kept: all of them.
            most: how many bytes they may take.
        """
        self._own = {run.id: run.size for run in kept}
        self.total = sum(self._own.values())
        sharing = [run for run in kept if run.source or run.rows > 1]
        for run in sorted(sharing, key=lambda run: run.size, reverse=True)[:MEASURED]:
            if self.total <= most:
                break
            _safely(partial(self._measure, run))

    def _measure(self, run: _Kept) -> bool:
        own = min(run.size, sum(store().sizes(Shelf(RUNS, run.id)).values()))
        self.total -= self._own[run.id] - own
        self._own[run.id] = own
        return True

    def let_go(self, run: _Kept) -> None:
        """Count the workspace of a run no more."""
        self.total -= self._own[run.id]


def _ended_lately() -> Iterator[_Kept]:
    since = _moment(-2 * 3600)
    yield from (
        run for run in _kept().values() if run.status not in ACTIVE and run.finished_at and run.finished_at > since
    )


def _forget_unsaved(run_id: str) -> bool:
    """Delete what a killed step had begun to keep: a run that is over refers to the contents of its last row alone."""
    with single_read() as db:
        needed = needed_contents(db, run_id, extension().config.secret_keys)
    shelf = Shelf(RUNS, run_id)
    left = set(store().sizes(shelf)) - needed
    store().delete(shelf, sorted(left))
    return bool(left)


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
    """A run of the template that was started while these files were in use, and may read them still.

    One that was resumed goes on with files as they were, though nobody else may have used them at its start.
    """
    may_be_resumed = and_(_run.status.in_((FAILED, CANCELED)), _run.finished_at > now_plus(-days * DAY_SECONDS))
    last_start = row["used_at"] + timedelta(seconds=2 * NOTED_SECONDS)
    return (
        select(_run.id)
        .where(or_(_run.status.in_(ACTIVE), may_be_resumed))
        .where(_run.template == row["template"], or_(_run.queued_at < last_start, _run.resumed_step.is_not(None)))
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
