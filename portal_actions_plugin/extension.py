"""What one app has of the plugin. ``init_app`` puts it into ``app.extensions["portal_actions"]``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

from flask import current_app

if TYPE_CHECKING:
    from redis import Redis

    from portal_actions_plugin.actions.registry import Registry
    from portal_actions_plugin.config import Config
    from portal_actions_plugin.db import Database
    from portal_actions_plugin.host import Hooks, TemplateSource

NAME = "portal_actions"

REDIS_SECONDS = 0.3
"""Seconds after which a ring gives up: a start must answer while Redis is away."""


@dataclass(frozen=True)
class Extension:
    """The parts of one app. Two apps in one process have two of these and never meet."""

    config: Config
    hooks: Hooks
    database: Database
    registry: Registry
    templates: TemplateSource

    @cached_property
    def redis(self) -> Redis:
        """A client that gives up quickly and never repeats: a lost doorbell rings again by itself."""
        return self._connect()

    @cached_property
    def echoes(self) -> Redis:
        """Another one for what is said without waiting for an answer: should one come, nobody takes it for theirs."""
        return self._connect()

    def _connect(self) -> Redis:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        return Redis.from_url(
            self.config.redis_url,
            socket_timeout=REDIS_SECONDS,
            socket_connect_timeout=REDIS_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )


def extension() -> Extension:
    """The current app's parts."""
    return cast("Extension", current_app.extensions[NAME])


def queues_in_use() -> list[str]:
    """Every queue that an action of this app goes to."""
    parts = extension()
    return sorted({parts.config.queue_for(action.id, action.queue) for action in parts.registry})
