"""What one app has of the plugin. ``init_app`` puts it into ``app.extensions["portal_actions"]``."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from flask import current_app

from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.hooks import asking
from portal_actions_plugin.hooks.template_calls import template_calls

if TYPE_CHECKING:
    from flask import Flask
    from redis import Redis

    from portal_actions_plugin.actions.registry import Registry
    from portal_actions_plugin.hooks.table import HookTable
    from portal_actions_plugin.host import Hooks, TemplateSource
    from portal_actions_plugin.scm.providers import ProviderKinds
    from portal_actions_plugin.settings.config import Config
    from portal_actions_plugin.software_templates.expressions.host_calls import HostCalls
    from portal_actions_plugin.software_templates.loader import FolderTemplateSource
    from portal_actions_plugin.software_templates.sources.checkouts import Checkouts
    from portal_actions_plugin.storage.sessions import Database

log = logging.getLogger(__name__)

NAME = "portal_actions"

REDIS_SECONDS = 0.3
"""Seconds after which a ring gives up: a start must answer while Redis is away."""


@dataclass(frozen=True)
class Extension:
    """The parts of one app. Two apps in one process have two of these and never meet."""

    config: Config
    hook_table: HookTable
    database: Database
    registry: Registry
    provider_kinds: ProviderKinds
    folder_templates: FolderTemplateSource
    checkouts: Checkouts

    @property
    def hooks(self) -> Hooks:
        """What the host has given by now: it may give more at any time."""
        return self.hook_table.hooks

    @property
    def templates(self) -> TemplateSource:
        """Where templates come from by now: the host's source, else the folders."""
        source = self.hooks.template_source
        return asking.templates(source) if source else self.folder_templates

    @property
    def template_calls(self) -> HostCalls:
        """What the host adds to what expressions of templates may call, by now."""
        return template_calls(self.hooks.template_filters, self.hooks.template_globals)

    def say_that_nobody_may(self) -> None:
        """Log once why everything is denied."""
        _ = self._nobody_may

    @cached_property
    def _nobody_may(self) -> None:
        log.error(
            "everything is denied: PORTAL_ACTIONS_REQUIRE_AUTHORIZER is set, and no authorizer is registered: "
            "@plugin.authorizer"
        )

    @cached_property
    def kept(self) -> dict[str, Any]:
        """What a process has found out and keeps, by who found it out."""
        return {}

    @cached_property
    def redis(self) -> Redis:
        """A client that gives up quickly and never repeats: a lost doorbell rings again by itself."""
        return self._connect()

    @cached_property
    def echoes(self) -> Redis:
        """A client for what is said without waiting for an answer: should one come, nobody takes it for theirs."""
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
    """The current app's parts.

    Raises:
        ConfigurationError: the app has not loaded the plugin.
    """
    return of_app(current_app)


def of_app(app: Flask) -> Extension:
    """An app's parts.

    Raises:
        ConfigurationError: the app has not loaded the plugin.
    """
    try:
        return cast("Extension", app.extensions[NAME])
    except KeyError:
        raise ConfigurationError(
            f"The app {app.name} has not loaded Portal Actions.",
            hint="Call PortalActions(app) where the app is made, or name another app: flask --app portal:create_app …",
        ) from None


def queues_in_use() -> list[str]:
    """Every queue that an action of this app goes to."""
    parts = extension()
    return sorted({parts.config.queue_for(action.id, action.queue) for action in parts.registry})
