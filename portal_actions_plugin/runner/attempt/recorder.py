"""Where a handler's news go: log lines, progress and checkpoints, each write guarded by the attempt's token."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import RLock
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from portal_actions_plugin.errors import InternalError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.run_types import Link
from portal_actions_plugin.runner.attempt import bounds, checkpoints
from portal_actions_plugin.runner.attempt.prepare import Performer, PreparedAttempt
from portal_actions_plugin.runner.attempt.time_left import ride_out_a_lease
from portal_actions_plugin.runs.changes import log_lines, transitions
from portal_actions_plugin.runs.changes.claims import LeaseLostError, is_of
from portal_actions_plugin.runs.changes.log_lines import Line
from portal_actions_plugin.runs.conditions import NOW
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.runs.states import RUNNING
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import (
    Transaction,
    reading,
    single_read,
    single_write,
    transaction,
)

log = logging.getLogger(__name__)

_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_MAX_RETRIES_BACK = 50
_MAX_COUNT = 2**31 - 1

T = TypeVar("T")


class DatabaseRecorder:
    """The runner's Recorder: what it writes is in the database when the call returns.

    Of lines that follow each other quickly, the last ones may still wait, in memory that outlives the process.
    """

    def __init__(self, attempt: PreparedAttempt, performer: Performer, redactor: Redactor) -> None:
        self._run = run = attempt.run
        self._fingerprint = attempt.claim.input_fingerprint
        self._token = performer.process_token
        self._ours = performer.ours
        self._redactor = redactor
        self._spoken = performer.spoken
        self._speaking = RLock()
        # Earlier attempts may have said something.
        self._seq = self._ride_out(partial(_last_line, run.ref.id)) if run.attempt else 0

    def log(self, level: str, message: str) -> None:
        """Write a line; past the run's limit one last line says that the log is cut.

        Args:
            level: ``info``, ``warning`` or ``error``; anything else counts as ``info``.
            message: of any length; masked, and cut at the limit of a line.

        Raises:
            LeaseLostError: the run is not ours any more.
            RemoteError: the database was away for a whole lease.
        """
        self._ours.require()
        if self._seq > extension().config.max_log_lines:
            return  # No more is kept: nothing is masked for it, and the worker's own log is spared as well.
        text = bounds.masked(str(message), extension().config.max_log_line_chars, self._redactor)
        log.log(_LEVELS.get(level, logging.INFO), "%s", text)
        # A handler's threads may speak at once, and a finalizer while its own thread speaks.
        with self._speaking:
            self._say(level, text)

    def _say(self, level: str, text: str) -> None:
        config = extension().config
        if self._seq > config.max_log_lines:
            return
        if self._seq == config.max_log_lines:
            level, text = "warning", f"The log is cut here: a run keeps {config.max_log_lines} lines."
        self._seq += 1
        self._write_line(level if level in _LEVELS else "info", text)

    def _write_line(self, level: str, text: str) -> None:
        line = Line(self._run.ref.id, self._token, self._seq, self._run.attempt + 1, level, text)
        if self._spoken.add(line):
            return
        waiting = self._spoken.waiting()
        if not self._ride_out(partial(_write_all, [*waiting, line]) if waiting else partial(_write, line)):
            raise LeaseLostError(self._run.ref.id)
        self._spoken.all_written()

    def progress(self, done: int, total: int) -> None:
        """Keep how far the handler is.

        Args:
            done: parts that are finished.
            total: of so many.

        Raises:
            LeaseLostError: the run is not ours any more.
            RemoteError: the database was away for a whole lease.
        """
        ours = update(tables.action_runs).where(*self._ours_only())
        values = {"progress_done": _whole(done), "progress_total": _whole(total)}

        def write() -> int:
            with single_write("progress") as tx:
                return tx.changed(ours.values(**values))

        if not self._ride_out(write):
            raise LeaseLostError(self._run.ref.id)

    def keep_links(self, links: Sequence[Link]) -> None:
        """Keep what was made so far.

        Args:
            links: all that this run has made, those of earlier attempts too.

        Raises:
            LeaseLostError: the run is not ours any more.
            RemoteError: the database was away for a whole lease.
        """
        safe = bounds.links(links, self._redactor)

        def write() -> bool:
            with single_write("keep_links") as tx:
                return transitions.keep_links(tx, self._run.ref.id, self._token, safe)

        if not self._ride_out(write):
            raise LeaseLostError(self._run.ref.id)

    def load_checkpoint(self, key: str) -> tuple[bool, Any]:
        """Look for a checkpoint in this run, then in the runs it retries, newest first, that had the same input.

        Args:
            key: its name.

        Returns:
            Whether there is one, and its value.

        Raises:
            ValueError: the key holds a secret.
            InternalError: there is none, and no room for it.
            ConfigurationError: it is sealed, and no key opens it.
        """
        mine = self._fingerprint
        had_my_input = tables.action_runs.c.input_fingerprint == mine if mine else None
        return self._load(key, had_my_input)

    def load_note(self, key: str) -> tuple[bool, Any]:
        """As ``load_checkpoint``, also of retried runs that had another input."""
        return self._load(key, None)

    def _load(self, key: str, of_which: ColumnElement[bool] | None) -> tuple[bool, Any]:
        if self._redactor.text(key) != key:
            raise ValueError("A checkpoint's key is stored readable, and this one holds a secret.")
        kept = self._ride_out(lambda: self._load_kept(key, of_which))
        if kept is None:
            return False, None
        value, secrets = checkpoints.opened(kept)
        self._redactor.add(secrets)
        return True, value

    def _load_kept(self, key: str, of_which: ColumnElement[bool] | None) -> Mapping[str, Any] | None:
        with reading() as db:
            run_id: str | None = self._run.ref.id
            for _ in range(_MAX_RETRIES_BACK):
                if run_id is None:
                    break
                row = db.row(_kept_of(run_id, key, None if run_id == self._run.ref.id else of_which))
                if row:
                    kept: Mapping[str, Any] = row["value"]
                    return kept
                run_id = _retried(db, run_id)
            self._require_room(db)
        return None

    def _require_room(self, db: Transaction) -> None:
        """Said before the part is done: afterwards, nobody would know that it was."""
        kept = db.rows(select(tables.checkpoints.c.key).where(tables.checkpoints.c.action_run_id == self._run.ref.id))
        if len(kept) >= bounds.MAX_CHECKPOINTS:
            raise InternalError(f"The action makes too many checkpoints: a run keeps {bounds.MAX_CHECKPOINTS}.")

    def save_checkpoint(self, key: str, value: object) -> None:
        """Keep a checkpoint, sealed when it holds a secret.

        Args:
            key: its name.
            value: anything that is JSON.

        Raises:
            LeaseLostError: the run is not ours any more.
            InternalError: the value is not JSON, or too large.
            ConfigurationError: it holds a secret, and there is no key.
        """
        row = {"action_run_id": self._run.ref.id, "key": key, "value": checkpoints.kept(key, value, self._redactor)}

        def write() -> None:
            with transaction("checkpoint") as tx:
                if not tx.row(self._row().with_for_update()):
                    raise LeaseLostError(self._run.ref.id)
                there = select(tables.checkpoints.c.key).where(
                    tables.checkpoints.c.action_run_id == self._run.ref.id, tables.checkpoints.c.key == key
                )
                # It is there when the answer to a commit was lost, not the checkpoint.
                if not tx.row(there):
                    tx.execute(insert(tables.checkpoints).values(**row, made_at=NOW))

        self._ride_out(write)

    def canceled(self) -> bool:
        """Whether the run is somebody else's, or nobody's, by now."""
        return self._ride_out(self._canceled)

    def _canceled(self) -> bool:
        with single_read() as db:
            return db.row(self._row()) is None

    def _ride_out(self, work: Callable[[], T]) -> T:
        self._ours.require()
        return ride_out_a_lease(work)

    def ensure_ours(self) -> None:
        """Raise LeaseLostError when this attempt may not write to the outside any more."""
        if self.canceled():
            raise LeaseLostError(self._run.ref.id)

    def _ours_only(self) -> tuple[Any, ...]:
        return tables.action_runs.c.id == self._run.ref.id, tables.action_runs.c.status == RUNNING, is_of(self._token)

    def _row(self) -> Any:
        return select(tables.action_runs.c.id).where(*self._ours_only())


def _write(line: Line) -> bool:
    try:
        with single_write("log") as tx:
            return log_lines.add(tx, line)
    except IntegrityError:
        return True  # the answer to the commit was lost, not the line


def _write_all(lines: Sequence[Line]) -> bool:
    with transaction("log") as tx:
        return log_lines.add_all(tx, lines)


def _last_line(run_id: str) -> int:
    with reading() as db:
        last = db.row(
            select(func.max(tables.log_lines.c.seq).label("seq")).where(tables.log_lines.c.action_run_id == run_id)
        )
    return (last["seq"] if last else None) or 0


def _whole(number: float) -> int:
    return min(max(0, int(number)), _MAX_COUNT)


def _kept_of(run_id: str, key: str, of_which: ColumnElement[bool] | None) -> Select[Any]:
    """A checkpoint of a run; of a run of which this holds, or of which nobody knows, when that is given."""
    kept = select(tables.checkpoints.c.value).where(
        tables.checkpoints.c.action_run_id == run_id, tables.checkpoints.c.key == key
    )
    if of_which is None:
        return kept
    unknown = tables.action_runs.c.input_fingerprint.is_(None)
    return kept.join(tables.action_runs, tables.action_runs.c.id == run_id).where(or_(unknown, of_which))


def _retried(db: Transaction, run_id: str) -> str | None:
    """The action run that this one repeats: a one-off's own ``retry_of``, or the same step of the retried template run."""
    row = db.row(
        select(
            tables.action_runs.c.retry_of,
            tables.action_runs.c.step_id,
            tables.action_runs.c.item,
            tables.template_runs.c.retry_of.label("template_retry_of"),
        )
        .outerjoin(tables.template_runs, tables.template_runs.c.id == tables.action_runs.c.template_run_id)
        .where(tables.action_runs.c.id == run_id)
    )
    if row is None or row["template_retry_of"] is None:
        return row["retry_of"] if row else None
    return _same_step(db, row["template_retry_of"], row["step_id"], row["item"])


def _same_step(db: Transaction, template_run_id: str | None, step_id: str, item: int) -> str | None:
    """A step's run in a template run, or in the one that this retries when it never got that far, and so on."""
    step = and_(
        tables.action_runs.c.template_run_id == tables.template_runs.c.id,
        tables.action_runs.c.step_id == step_id,
        tables.action_runs.c.item == item,
    )
    for _ in range(_MAX_RETRIES_BACK):
        run = db.row(
            select(tables.template_runs.c.retry_of, tables.action_runs.c.id)
            .outerjoin(tables.action_runs, step)
            .where(tables.template_runs.c.id == template_run_id)
        )
        if run is None or run["id"]:
            return run["id"] if run else None
        template_run_id = run["retry_of"]
    return None
