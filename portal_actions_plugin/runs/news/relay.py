"""The live echo: ``run_changed`` in every web process, over Redis pub/sub, best effort."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from flask import Flask

from portal_actions_plugin import signals
from portal_actions_plugin.errors import NotFoundError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.run_types import ActionRun, TemplateRun
from portal_actions_plugin.runs.news import announced
from portal_actions_plugin.runs.news.delivery import delivery
from portal_actions_plugin.runs.news.redis_names import NamespaceUnknownError, redis_names
from portal_actions_plugin.runs.reading import related
from portal_actions_plugin.runs.run_ids import parse_id

log = logging.getLogger(__name__)

WAIT_FOR_REDIS = 2.0

PAUSE_SECONDS = 0.2
"""After changes were told, so that those of a busy portal are read together, and each run once for all that it did."""

AT_ONCE, MOST_WAITING = 500, 10_000
"""Runs that are read together, and changes that are taken off Redis together."""


def listen(app: Flask) -> None:
    """Start the relay with the first request after a receiver has connected: then the server has forked.

    It ends once its last receiver has gone.
    """
    relay = _Relay(app)
    app.before_request(relay.start_once)


class _Relay:
    def __init__(self, app: Flask) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._started_in: int | None = None

    def start_once(self) -> None:
        if self._started_in == os.getpid() or not self._is_heard():
            return
        with self._lock:
            if self._started_in == os.getpid():
                return
            self._started_in = os.getpid()
        threading.Thread(target=self._run, name="portal-actions-relay", daemon=True).start()

    def _is_heard(self) -> bool:
        return any(True for _ in signals.run_changed.receivers_for(self._app))

    def _run(self) -> None:
        from redis.exceptions import RedisError  # a web process that nobody listens in does without

        while self._is_heard():
            try:
                with self._app.app_context():
                    url, channel = extension().config.redis_url, redis_names().channel
                self._relay(url, channel)
            except (RedisError, OSError, NamespaceUnknownError) as error:
                log.info("the live echo has to wait: %s", error)
                time.sleep(WAIT_FOR_REDIS)
        self._started_in = None

    def _relay(self, url: str, channel: str) -> None:
        from redis import Redis

        client: Any = Redis.from_url(url, socket_connect_timeout=2, health_check_interval=15)
        with client.pubsub(ignore_subscribe_messages=True) as news:
            news.subscribe(channel)
            while self._is_heard():
                changes = _all_there_are(news)
                if changes and self._is_heard():
                    for first in range(0, len(changes), AT_ONCE):
                        self._tell(changes[first : first + AT_ONCE])
                    time.sleep(PAUSE_SECONDS)

    def _tell(self, changes: Sequence[str]) -> None:
        """Tell of runs as they are now: of one that has changed several times meanwhile, once."""
        with self._app.app_context():
            try:
                for run in _read(changes):
                    delivery().send(signals.run_changed, run)
            except Exception:
                log.exception("the echo of %d changes failed", len(changes))


def _all_there_are(news: Any) -> Sequence[str]:
    """What has been published since the last look, each once; waits a moment for the first."""
    changes: dict[str, None] = {}
    message = news.get_message(timeout=1)
    while message and len(changes) < MOST_WAITING:
        changes |= dict.fromkeys(message["data"].decode(errors="replace").splitlines())
        message = news.get_message(timeout=0)
    return list(changes)


def _read(changes: Sequence[str]) -> Iterator[ActionRun | TemplateRun]:
    ids: dict[str, list[str]] = {announced.ACTION_RUN: [], announced.TEMPLATE_RUN: []}
    for change in changes:
        kind, _, run_id = change.partition(" ")
        with suppress(NotFoundError):
            ids.get(kind, []).append(parse_id(run_id))
    yield from related.action_runs_by_id(ids[announced.ACTION_RUN])
    yield from related.template_runs_by_id(ids[announced.TEMPLATE_RUN])
