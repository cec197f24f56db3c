"""Telling the host after a commit: by its signals, and every web process by an echo over Redis. Losing either loses nothing."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from blinker import NamedSignal

from portal_actions_plugin.extension import extension
from portal_actions_plugin.run_types import ActionRun, TemplateRun
from portal_actions_plugin.runs.news import announced
from portal_actions_plugin.runs.news.delivery import delivery
from portal_actions_plugin.runs.news.redis_names import NamespaceUnknownError, redis_names
from portal_actions_plugin.runs.reading import queries, rows
from portal_actions_plugin.runs.reading.records import action_run_record, template_run_record
from portal_actions_plugin.storage.sessions import Row, Transaction

log = logging.getLogger(__name__)


def tell_after_commit(tx: Transaction, signal: NamedSignal, run_id: str) -> None:
    """Send a signal about a run once it is committed, and let every web process hear of the change.

    Args:
        tx: the transaction that makes the change. What it has in hand of the run is what receivers get.
        signal: one of ``signals``; it says whether the run is an action run or a template run.
        run_id: the run's id.
    """
    change = announced.change(announced.kind_of(signal), run_id)
    if signal.receivers:
        tx.tell_after_rings(partial(_send, signal, run_id, tx.in_hand(run_id)))
        if signal in announced.FINISHED:
            tx.echo_last(change, delivery().keep)
    tx.echo_last(change, _echo)


def announce(finished: NamedSignal, run_id: str) -> None:
    """Send the signal of a run that has finished a while ago, unless it went out, and remember that it did.

    Args:
        finished: ``action_run_finished`` or ``template_run_finished``.
        run_id: the run's id.
    """
    kind = announced.kind_of(finished)
    if not announced.is_to_be_sent(kind, run_id):
        return
    if finished.receivers:
        _send(finished, run_id, None)
    change = announced.change(kind, run_id)
    delivery().keep([change])
    _echo([change])


def _send(signal: NamedSignal, run_id: str, row: Row | None) -> None:
    delivery().send(signal, _run(signal, row) if row else _read(signal, run_id))


def _run(signal: NamedSignal, row: Row) -> ActionRun | TemplateRun:
    """A run of its row, without its steps and attempts."""
    if announced.kind_of(signal) == announced.ACTION_RUN:
        return rows.action_run(action_run_record(row))
    return rows.template_run(template_run_record(row), row["steps_done"])


def _read(signal: NamedSignal, run_id: str) -> ActionRun | TemplateRun:
    load = queries.action_run if announced.kind_of(signal) == announced.ACTION_RUN else queries.template_run
    return load(run_id)


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
