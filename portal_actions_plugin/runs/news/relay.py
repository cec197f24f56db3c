"""The live echo: ``run_changed`` in every web process, over Redis pub/sub, best effort."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any

from flask import Flask

from portal_actions_plugin import signals
from portal_actions_plugin.errors import NotFoundError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.news.delivery import delivery
from portal_actions_plugin.runs.news.redis_names import NamespaceUnknownError, redis_names
from portal_actions_plugin.runs.reading import queries

log = logging.getLogger(__name__)

WAIT_FOR_REDIS = 2.0


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
                message = news.get_message(timeout=1)
                if message and self._is_heard():
                    for change in message["data"].decode(errors="replace").splitlines():
                        self._tell(change)

    def _tell(self, change: str) -> None:
        kind, _, run_id = change.partition(" ")
        with self._app.app_context():
            try:
                load = queries.template_run if kind == "template_run" else queries.action_run
                delivery().send(signals.run_changed, load(run_id))
            except (NotFoundError, UnicodeError):
                log.debug("an echo of a run that is gone: %.80r", change)
            except Exception:
                log.exception("the echo of %.80r failed", change)
