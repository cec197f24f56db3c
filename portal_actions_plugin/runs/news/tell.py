"""Telling the host after a commit: by its signals, and every web process by an echo over Redis. Losing either loses nothing."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from blinker import NamedSignal
from flask import Flask, current_app
from sqlalchemy import update

from portal_actions_plugin import signals
from portal_actions_plugin.answers import settled
from portal_actions_plugin.extension import extension
from portal_actions_plugin.run_types import ActionRun, TemplateRun
from portal_actions_plugin.runs.conditions import NOW
from portal_actions_plugin.runs.news.redis_names import NamespaceUnknownError, redis_names
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.pause_points import reached
from portal_actions_plugin.storage.sessions import Transaction, transaction

log = logging.getLogger(__name__)


_OF_TEMPLATE_RUNS = (signals.template_run_started, signals.template_run_finished)
_FINISHED = (signals.action_run_finished, signals.template_run_finished)


def tell_after_commit(tx: Transaction, signal: NamedSignal, run_id: str) -> None:
    """Send a signal about a run once it is committed, and let every web process hear of the change.

    Args:
        tx: the transaction that makes the change.
        signal: one of ``signals``; it says whether the run is an action run or a template run.
        run_id: the run's id.
    """
    if signal in _FINISHED and signal.receivers:
        tx.tell_after_rings(lambda: announce(signal, run_id))
        return
    if signal.receivers:
        tx.tell_after_rings(lambda: send(signal, _read(signal, run_id)))
    tx.echo_last(_change(signal, run_id), _echo)


def announce(finished: NamedSignal, run_id: str) -> None:
    """Send the signal of a finished run, and remember in its row that it went out.

    Args:
        finished: ``action_run_finished`` or ``template_run_finished``.
        run_id: the run's id.
    """
    if finished.receivers:
        send(finished, _read(finished, run_id))
    with transaction("announced") as tx:
        _keep_announced(tx, tables.template_runs if finished in _OF_TEMPLATE_RUNS else tables.action_runs, run_id)
        tx.echo_last(_change(finished, run_id), _echo)


def _read(signal: NamedSignal, run_id: str) -> ActionRun | TemplateRun:
    return queries.template_run(run_id) if signal in _OF_TEMPLATE_RUNS else queries.action_run(run_id)


def _change(signal: NamedSignal, run_id: str) -> str:
    """A change as an echo has it: the kind of the run, and its id."""
    return f"{'template_run' if signal in _OF_TEMPLATE_RUNS else 'action_run'} {run_id}"


def send(signal: NamedSignal, run: ActionRun | TemplateRun) -> None:
    """Send a signal to each receiver; one that raises is logged and harms nobody."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 Flask's documented way to the sender
    reached(f"signal.{signal.name}.before")
    for receiver in signal.receivers_for(app):
        try:
            settled(receiver(app, run=run))
        except Exception:
            log.exception("a receiver of %s failed on run %s", signal.name, run.id)
    reached(f"signal.{signal.name}.after")


def _echo(changes: Sequence[str]) -> None:
    """Let every web process hear of a transaction's changes; best effort."""
    from redis.exceptions import RedisError

    pool = extension().echoes.connection_pool
    try:
        channel = redis_names().channel
        connection: Any = pool.get_connection()
        try:
            # How many have heard it is of no use, and a worker would wait for that after each transaction.
            echo = [("CLIENT", "REPLY", "SKIP"), ("PUBLISH", channel, "\n".join(changes))]
            connection.send_packed_command(connection.pack_commands(echo))
        finally:
            pool.release(connection)
    except (RedisError, OSError, NamespaceUnknownError) as error:
        log.debug("no echo of %s: %s", changes, error)


def _keep_announced(tx: Transaction, table: tables.RunTable, run_id: str) -> None:
    """Remember that a finished run's signals went out."""
    tx.changed(update(table).where(table.c.id == run_id, table.c.announced_at.is_(None)).values(announced_at=NOW))
