"""The Flask extension: what a host creates, hooks into, and asks for navigation and runs."""

from __future__ import annotations

import gc
import threading
from collections.abc import Mapping
from functools import partial
from typing import Any
from weakref import WeakSet

from flask import Flask, current_app, has_app_context, request, url_for

from portal_actions_plugin import blueprints
from portal_actions_plugin.actions.forge_abilities import ForgeAbilities
from portal_actions_plugin.actions.registry import Registry
from portal_actions_plugin.answers import name_of
from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.extension import NAME, Extension, extension, of_app
from portal_actions_plugin.hooks.decorators import HookDecorators
from portal_actions_plugin.hooks.table import HookTable
from portal_actions_plugin.host import Identity, NavItem
from portal_actions_plugin.log_records import keep_ours_to_their_lines
from portal_actions_plugin.run_types import ActionRun, TemplateRun
from portal_actions_plugin.runs import outage, scorecard_fixes, service
from portal_actions_plugin.runs.accept import Ask
from portal_actions_plugin.runs.guards import access, offers
from portal_actions_plugin.runs.guards.identity import current_identity
from portal_actions_plugin.runs.guards.limits import Quota
from portal_actions_plugin.runs.news import relay
from portal_actions_plugin.runs.reading import permitted
from portal_actions_plugin.scm.providers import ProviderKinds
from portal_actions_plugin.settings.config import Config
from portal_actions_plugin.settings.template_repositories import commit_pages
from portal_actions_plugin.software_templates.expressions import host_calls
from portal_actions_plugin.software_templates.loader import FolderTemplateSource
from portal_actions_plugin.software_templates.sources.checkouts import Checkouts
from portal_actions_plugin.software_templates.spec import Template
from portal_actions_plugin.storage.sessions import Database
from portal_actions_plugin.upkeep import template_refresh


class HooksOfAnApp(HookDecorators):
    """The hooks of one app: what ``plugin.of(app)`` gives."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def _register(self, kind: str, hook: object, *, replaces: bool) -> None:
        how = f"plugin.of(app).{kind}(…, replace=True)"
        _hook_table(self._app).register(kind, hook, replaces=replaces, how=how)


def _hook_table(app: Flask) -> HookTable:
    table: HookTable = app.extensions.setdefault(f"{NAME}_hooks", HookTable())
    return table


def _table_of_active_app(kind: str) -> HookTable:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 Flask's documented way
    if NAME not in app.extensions:
        raise ConfigurationError(
            f"The {kind} would be for the app {app.name}, whose context is active, and it has no Portal Actions yet. "
            f"Call init_app(app) first, or name the app: plugin.of(app).{kind}(…)."
        )
    return _hook_table(app)


class _Apps:
    """The apps that are alive and have the plugin, of all objects.

    A host may make an object for its app, and give hooks to the one that is there already.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.all: WeakSet[Flask] = WeakSet()
        self._are_looked_through = False

    def add(self, app: Flask) -> None:
        self.all.add(app)
        self._are_looked_through = False

    def forget_dropped(self) -> None:
        """An app is in cycles of references: it lives until those are looked for. Takes long, so it is done once."""
        if not self._are_looked_through:
            gc.collect()
            self._are_looked_through = True


_apps = _Apps()


class PortalActions(HookDecorators):
    """Action Runs for a Flask portal.

    ``PortalActions(app)``, or ``init_app`` later. The object keeps no app: the state of each is in
    ``app.extensions["portal_actions"]``, so one object serves any number of apps.

    A hook that is registered before the first ``init_app`` is one that each app begins with. A later one is for the app
    whose context is active, else for the only one there is. ``of(app)`` names the app.
    """

    def __init__(self, app: Flask | None = None) -> None:
        self._defaults = HookTable()
        self._apps: WeakSet[Flask] = WeakSet()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Wire the plugin into an app. The hooks given before the first one are what each app begins with.

        Raises:
            ConfigurationError: a wrong setting, a broken entry point, an action or a route that is taken; each named.
        """
        keep_ours_to_their_lines()
        config = Config.from_app(app)
        registry = Registry.from_entry_points()
        provider_kinds = ProviderKinds.from_entry_points()
        provider_kinds.require(config.scm)
        hook_table = _hook_table(app)
        for defaults in (self._defaults, plugin._defaults):
            hook_table.take_defaults(defaults)
        pages = partial(commit_pages, addresses=config.forge_addresses)
        checkouts = Checkouts(config.template_repositories, config.template_checkouts, pages)
        app.extensions[NAME] = Extension(
            config=config,
            hook_table=hook_table,
            database=Database(config.database_url),
            registry=registry,
            provider_kinds=provider_kinds,
            folder_templates=FolderTemplateSource(
                config.template_path,
                registry,
                ForgeAbilities(registry, provider_kinds, config.scm),
                yaml_merge=config.yaml_merge,
                checkouts=checkouts,
            ),
            checkouts=checkouts,
        )
        checkouts.when_read = partial(template_refresh.look, app)
        blueprints.register(app, config)
        scorecard_fixes.listen(app)
        relay.listen(app)
        app.jinja_env.globals["portal_actions_nav"] = self._nav_of_the_visitor
        with _apps.lock:
            self._apps.add(app)
            _apps.add(app)

    def of(self, app: Flask) -> HooksOfAnApp:
        """The hooks of one app, before or after ``init_app``."""
        return HooksOfAnApp(getattr(app, "_get_current_object", lambda: app)())

    def _register(self, kind: str, hook: object, *, replaces: bool) -> None:
        for table in self._tables_for(kind, hook):
            table.register(kind, hook, replaces=replaces, how=f"plugin.{kind}(…, replace=True)")

    def _tables_for(self, kind: str, hook: object) -> list[HookTable]:
        """Whose hook it is: none's, where all have it already. Raises ConfigurationError when nobody can tell."""
        with _apps.lock:
            apps = _apps.all if self is plugin else self._apps
            if not apps:
                return [self._defaults]
            if has_app_context():
                return [_table_of_active_app(kind), *self._for_later()]
            _apps.forget_dropped()
            tables = [_hook_table(app) for app in apps]
        if len(tables) > 1 and all(table.has(kind, hook) for table in tables):
            return []
        if len(tables) > 1:
            raise ConfigurationError(
                f"Nobody can tell which app the {kind} {name_of(hook)} is for: {len(tables)} apps have Portal Actions, "
                f"and no app context is active. Name the app: plugin.of(app).{kind}(…)."
            )
        return [*tables, *self._for_later()]

    def _for_later(self) -> list[HookTable]:
        """The defaults too, when the app is another object's: this one's own may be yet to come."""
        return [] if self._apps else [self._defaults]

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
        return permitted.starts_left(identity)

    def template(self, identity: Identity | None, name: str) -> Template:
        """A template as it is for somebody, for a form: without the tagged parts that they may not have.

        Raises:
            UnauthenticatedError, PermissionDeniedError: nobody asks, or may not read templates.
            NotFoundError: there is no such template, or the host's authorizer hides it.
        """
        return permitted.template(identity, name)

    def may_run_template(self, identity: Identity | None, name: str) -> bool:
        """Whether a start of this template would be let through; raises NotFoundError, or what its file has wrong."""
        if access.hides(identity, "template:read", name) and access.template_exists(name):
            return False  # also where its file is broken: what is wrong there is not for them
        return offers.may_start_template(identity, extension().templates.get(name))

    def may_run_action(self, identity: Identity | None, action_id: str) -> bool:
        """Whether a start of this action as a one-off would be let through; raises NotFoundError."""
        return offers.may_start_action(identity, extension().registry.get(action_id))

    @outage.told()
    def run_template(
        self, identity: Identity, name: str, inputs: Mapping[str, Any], ask: Ask | None = None
    ) -> ActionRun | TemplateRun:
        """Start a template.

        Args:
            identity: who asks.
            name: the template's name.
            inputs: its parameters by name.
            ask: what accompanies the start: an idempotency key, an entity, the rule that it fixes, secret inputs.

        Returns:
            The template run, or the run that is already at work on the rule that ``ask.origin`` names.

        Raises:
            UnauthenticatedError, PermissionDeniedError: nobody asks, or may not.
            NotFoundError: there is no such template.
            ValidationError: inputs are wrong, each named; or the idempotency key was used for something else.
            TooManyStartsError: the identity's limit is reached; it names the wait.
            UnavailableError: the database does not answer.
        """
        return service.start_template_run(identity, name, inputs, ask or Ask()).run

    @outage.told()
    def run_action(
        self, identity: Identity, action_id: str, data: Mapping[str, Any], ask: Ask | None = None
    ) -> ActionRun | TemplateRun:
        """Start an action as a one-off.

        Args:
            identity: who asks.
            action_id: the action's id, with its version.
            data: its input by field.
            ask: what accompanies the start: an idempotency key, an entity, the rule that it fixes, secret inputs.

        Returns:
            The action run, or the run that is already at work on the rule that ``ask.origin`` names.

        Raises:
            UnauthenticatedError, PermissionDeniedError: nobody asks, or may not.
            NotFoundError: there is no such action.
            ValidationError: the input is wrong, field by field; or the idempotency key was used for something else.
            TooManyStartsError: the identity's limit is reached; it names the wait.
            UnavailableError: the database does not answer.
        """
        return service.start_action_run(identity, action_id, data, ask or Ask()).run

    @outage.told()
    def retry(
        self, identity: Identity, run: ActionRun | TemplateRun, ask: Ask | None = None
    ) -> ActionRun | TemplateRun:
        """Start a run anew: a template run that failed or was canceled, or a one-off that has ended.

        Args:
            identity: who asks.
            run: the run to repeat, with its inputs.
            ask: an idempotency key, and the secret inputs again: those of the run are wiped.

        Returns:
            The new run, or the retry of this one that is already at work.

        Raises:
            UnauthenticatedError, PermissionDeniedError: nobody asks, or may not.
            NotFoundError: there is no such run, template or action any more.
            ConflictError, ValidationError: the run is in the wrong state for it, or a secret input is missing.
            TooManyStartsError: the identity's limit is reached; it names the wait.
            UnavailableError: the database does not answer.
        """
        again = service.retry_template_run if isinstance(run, TemplateRun) else service.retry_action_run
        return again(identity, run.id, ask or Ask()).run

    @outage.told()
    def resume(self, identity: Identity, run: TemplateRun, ask: Ask | None = None) -> ActionRun | TemplateRun:
        """Start a new run at the step that failed or was canceled; the finished steps are taken over.

        Args:
            identity: who asks.
            run: the template run to go on with, and its template as it was.
            ask: an idempotency key, and the secret inputs again: those of the run are wiped.

        Returns:
            The new run, or the retry of this one that is already at work.

        Raises:
            UnauthenticatedError, PermissionDeniedError: nobody asks, or may not.
            NotFoundError: there is no such run or template any more.
            ConflictError, ValidationError: the run is in the wrong state for it, or a secret input is missing.
            TooManyStartsError: the identity's limit is reached; it names the wait.
            UnavailableError: the database does not answer.
        """
        return service.resume_template_run(identity, run.id, ask or Ask()).run

    @outage.told()
    def cancel(self, identity: Identity, run: ActionRun | TemplateRun) -> ActionRun | TemplateRun:
        """Cancel a queued or running run, and give it as it is then.

        Raises:
            UnauthenticatedError, PermissionDeniedError: nobody asks, or may not.
            NotFoundError: there is no such run.
            ConflictError: it has ended already, or is a step of a template run.
            UnavailableError: the database does not answer.
        """
        if isinstance(run, TemplateRun):
            return service.cancel_template_run(identity, run.id)
        return service.cancel_action_run(identity, run.id)


plugin = PortalActions()
"""The one that the entry point ``portal.plugins`` names. Its hooks are for the apps of other objects as well."""


def _template_calls() -> host_calls.HostCalls:
    """What the host of the app that is active adds to the language of templates."""
    app = current_app._get_current_object() if has_app_context() else None  # type: ignore[attr-defined] # noqa: SLF001
    return of_app(app).template_calls if app and NAME in app.extensions else host_calls.NONE


host_calls.look_up_with(_template_calls)
