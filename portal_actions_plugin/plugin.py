"""The Flask extension: what a host creates, hooks into, and asks for navigation and runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from flask import Flask, request, url_for

from portal_actions_plugin import blueprints
from portal_actions_plugin.actions.registry import Registry
from portal_actions_plugin.config import Config
from portal_actions_plugin.db import Database
from portal_actions_plugin.extension import NAME, Extension, extension
from portal_actions_plugin.host import ActionRun, Hooks, Identity, NavItem, TemplateRun, TemplateSource
from portal_actions_plugin.runs import access, fixes, outage, reads, relay, service
from portal_actions_plugin.runs.accept import Ask
from portal_actions_plugin.runs.identity import current_identity
from portal_actions_plugin.runs.limits import Quota
from portal_actions_plugin.software_templates.loader import FolderTemplateSource

H = TypeVar("H", bound=Callable[..., Any])


class PortalActions:
    """Action Runs for a Flask portal.

    ``PortalActions(app)``, or ``init_app`` later. The object keeps no app: the state of each is in
    ``app.extensions["portal_actions"]``, so one object serves any number of apps.
    """

    def __init__(self, app: Flask | None = None) -> None:
        self._hooks = Hooks()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Wire the plugin into an app, with the hooks given so far.

        Raises:
            ConfigurationError: a wrong setting, a broken entry point, an action or a route that is taken; each named.
        """
        config = Config.from_app(app)
        registry = Registry.from_entry_points()
        app.extensions[NAME] = Extension(
            config=config,
            hooks=self._hooks,
            database=Database(config.database_url),
            registry=registry,
            templates=_templates(self._hooks, config, registry),
        )
        blueprints.register(app, config)
        fixes.listen(app)
        relay.listen(app)
        app.jinja_env.globals["portal_actions_nav"] = self._nav_of_the_visitor

    # -- what the host gives -----------------------------------------------------------------------------------------

    def identity_loader(self, hook: H) -> H:
        """Register ``() -> Identity | None``: who asks, in the current request."""
        return self._hook("identity_loader", hook)

    def authorizer(self, hook: H) -> H:
        """Register ``(identity, permission, target) -> bool``, instead of the role table."""
        return self._hook("authorizer", hook)

    def template_source(self, hook: H) -> H:
        """Register an object, or a class without arguments, with ``list()`` and ``get(name)``."""
        return self._hook("template_source", hook)

    def catalog(self, hook: H) -> H:
        """Register an object, or a class without arguments, with ``register_entity(entity, source)``."""
        return self._hook("catalog", hook)

    def scorecards(self, hook: H) -> H:
        """Register an object, or a class without arguments, with ``evaluate(entity_id, scorecard_id, force)``."""
        return self._hook("scorecards", hook)

    def scm_credentials(self, hook: H) -> H:
        """Register ``(provider, owner) -> token | None``."""
        return self._hook("scm_credentials", hook)

    def _hook(self, name: str, hook: H) -> H:
        given: Any = hook() if isinstance(hook, type) else hook
        self._hooks = replace(self._hooks, **{name: given})
        return hook

    # -- what the host gets ------------------------------------------------------------------------------------------

    def nav_items(self, identity: Identity | None) -> list[NavItem]:
        """The navigation entries that this identity may see; none while it cannot be known what those are."""
        if not outage.unless_away(lambda: access.allowed(identity, "action:read"), otherwise=False):
            return []
        active = request.blueprint == blueprints.PAGES if request else False
        return [NavItem("Actions", url_for(f"{blueprints.PAGES}.action_runs"), "play", active)]

    def _nav_of_the_visitor(self) -> list[NavItem]:
        return self.nav_items(outage.unless_away(current_identity, otherwise=None))

    @outage.told()
    def starts_left(self, identity: Identity) -> Quota:
        """What is left of the identity's start limit right now, to be told before somebody clicks."""
        return reads.starts_left(identity)

    def may_run_template(self, identity: Identity | None, name: str) -> bool:
        """Whether a start of this template would be let through; raises NotFoundError, or what its file has wrong."""
        return access.may_start_template(identity, extension().templates.get(name))

    def may_run_action(self, identity: Identity | None, action_id: str) -> bool:
        """Whether a start of this action as a one-off would be let through; raises NotFoundError."""
        return access.may_start_action(identity, extension().registry.get(action_id))

    @outage.told()
    def run_template(
        self, identity: Identity, name: str, inputs: Mapping[str, Any], ask: Ask | None = None
    ) -> ActionRun | TemplateRun:
        """Start a template; see ``runs.service.start_template_run`` for arguments and errors.

        Returns the template run, or the run that is already at work on the rule that ``ask.origin`` names.
        """
        return service.start_template_run(identity, name, inputs, ask or Ask()).run

    @outage.told()
    def run_action(
        self, identity: Identity, action_id: str, data: Mapping[str, Any], ask: Ask | None = None
    ) -> ActionRun | TemplateRun:
        """Start a one-off; see ``runs.service.start_action_run`` for arguments and errors. Returns as above."""
        return service.start_action_run(identity, action_id, data, ask or Ask()).run

    @outage.told()
    def retry(
        self, identity: Identity, run: ActionRun | TemplateRun, ask: Ask | None = None
    ) -> ActionRun | TemplateRun:
        """Start a run anew; see ``runs.service``."""
        again = service.retry_template_run if isinstance(run, TemplateRun) else service.retry_action_run
        return again(identity, run.id, ask or Ask()).run

    @outage.told()
    def resume(self, identity: Identity, run: TemplateRun, ask: Ask | None = None) -> ActionRun | TemplateRun:
        """Start a new run at the failed step; see ``runs.service``."""
        return service.resume_template_run(identity, run.id, ask or Ask()).run

    @outage.told()
    def cancel(self, identity: Identity, run: ActionRun | TemplateRun) -> ActionRun | TemplateRun:
        """Cancel a run; see ``runs.service``."""
        if isinstance(run, TemplateRun):
            return service.cancel_template_run(identity, run.id)
        return service.cancel_action_run(identity, run.id)


def _templates(hooks: Hooks, config: Config, registry: Registry) -> TemplateSource:
    return hooks.template_source or FolderTemplateSource(config.template_path, registry)
