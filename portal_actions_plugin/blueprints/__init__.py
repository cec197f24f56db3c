"""HTTP: the pages and the REST API, registered on a host's app without stepping on anything that is there."""

from __future__ import annotations

import re
from threading import RLock
from typing import Any

from apispec import APISpec
from flask import Flask
from flask_smorest import Api, Blueprint
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from portal_actions_plugin.blueprints import csrf
from portal_actions_plugin.blueprints.api import action_runs, actions, audit, health, templates
from portal_actions_plugin.blueprints.api.openapi import document, reference
from portal_actions_plugin.blueprints.api.requests import (
    bound_the_body,
    finish_api_response,
    prepare_api_request,
    refuse_what_is_cut_off,
)
from portal_actions_plugin.blueprints.api.schemas import ErrorSchema
from portal_actions_plugin.blueprints.errors import handle_api_error, handle_database_error, handle_http_error
from portal_actions_plugin.blueprints.headers import protect_if_static
from portal_actions_plugin.blueprints.pages import audit_page, bulk_page, routes
from portal_actions_plugin.errors import ConfigurationError, PortalActionsError
from portal_actions_plugin.settings.config import Config

PAGES = routes.blueprint.name
API_PREFIX = "PORTAL_ACTIONS_"
API_BLUEPRINTS = (action_runs.blueprint, templates.blueprint, actions.blueprint, audit.blueprint, health.blueprint)

routes.blueprint.add_url_rule("/actions/audit", view_func=audit_page.audit)
routes.blueprint.add_url_rule("/actions/bulk", endpoint="bulk", view_func=bulk_page.preview)
routes.blueprint.add_url_rule("/actions/bulk", endpoint="do_bulk", view_func=bulk_page.confirm, methods=["POST"])
for _blueprint in (routes.blueprint, *API_BLUEPRINTS):
    _blueprint.url_value_preprocessor(bound_the_body)
    _blueprint.before_request_funcs.setdefault(None, []).insert(0, csrf.check_request)
# Before the CSRF check, which reads the form.
routes.blueprint.before_request_funcs[None].insert(0, refuse_what_is_cut_off)
routes.blueprint.after_request(protect_if_static)
for _blueprint in API_BLUEPRINTS:
    _blueprint.before_request(prepare_api_request)
    _blueprint.after_request(finish_api_response)
    _blueprint.register_error_handler(PortalActionsError, handle_api_error)
    _blueprint.register_error_handler(HTTPException, handle_http_error)
    _blueprint.register_error_handler(SQLAlchemyError, handle_database_error)


class PluginApi(Api):
    """An Api beside the host's own: its error handlers sit on our blueprints, never on the app.

    Its document is made when somebody asks for it: most processes end without, and it takes longer than all other wiring.
    """

    ERROR_SCHEMA = ErrorSchema

    def __init__(self, app: Flask) -> None:
        self._describing = RLock()
        self._described: Any = None
        super().__init__(app, config_prefix=API_PREFIX, spec_kwargs=document.options(app))

    @property
    def spec(self) -> APISpec:
        """What the views declare."""
        with self._describing:
            if self._described is None:
                try:
                    self._describe()
                except BaseException:
                    self._described = None  # half a document would look like a whole one
                    raise
            described: APISpec = self._described
            return described

    @spec.setter
    def spec(self, spec: APISpec | None) -> None:
        self._described = spec

    def _init_spec(self, **options: Any) -> None:
        self._options = options

    def _describe(self) -> None:
        super()._init_spec(**self._options)
        document.add_components(self.spec)
        for blueprint in API_BLUEPRINTS:
            blueprint.register_views_in_doc(self, self._app, self.spec, name=blueprint.name, parameters=None)
            self.spec.tag({"name": blueprint.name, "description": blueprint.description})

    def register_blueprint(self, blueprint: Blueprint, **options: Any) -> None:
        """Register a blueprint's views, and leave their description for later."""
        self._app.extensions["flask-smorest"]["blp_name_to_api"][blueprint.name] = self
        self._app.register_blueprint(blueprint, **options)

    def _register_error_handlers(self) -> None:
        """Do nothing: a handler on the app would turn the host's 403 and 500 pages into JSON."""

    # Every status is named by itself: one for all others would say nothing.
    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_pagination_header(self) -> None:
        """Do nothing: where the next page begins is in the body."""

    def _register_doc_blueprint(self) -> None:
        """Do nothing: ``reference`` serves the document, from our own origin and without an identity."""


def register(app: Flask, config: Config) -> None:
    """Register pages and API below the configured prefixes.

    Raises:
        ConfigurationError: the host has one of our rules already; both endpoints are named.
    """
    taken = {_shape(rule.rule): rule.endpoint for rule in app.url_map.iter_rules()}
    app.config.setdefault(f"{API_PREFIX}API_TITLE", "Portal Actions")
    app.config.setdefault(f"{API_PREFIX}API_VERSION", "v1")
    app.config.setdefault(f"{API_PREFIX}OPENAPI_VERSION", "3.1.0")
    api = PluginApi(app)
    for blueprint in API_BLUEPRINTS:
        api.register_blueprint(blueprint, url_prefix=config.api_prefix + blueprint.url_prefix)
    app.register_blueprint(reference.blueprint, url_prefix=config.api_prefix)
    app.register_blueprint(routes.blueprint, url_prefix=config.url_prefix or None)
    _refuse_taken_rules(app, taken)
    csrf.protect(app, [routes.blueprint, *API_BLUEPRINTS])


def _refuse_taken_rules(app: Flask, taken: dict[str, str]) -> None:
    for rule in app.url_map.iter_rules():
        other: Any = taken.get(_shape(rule.rule))
        if other and rule.endpoint.startswith("portal_actions"):
            raise ConfigurationError(
                f"The rule {rule.rule} of {rule.endpoint} is taken by the host's {other}.",
                hint="Set PORTAL_ACTIONS_URL_PREFIX or PORTAL_ACTIONS_API_PREFIX to a path that is free.",
            )


def _shape(rule: str) -> str:
    return re.sub(r"<[^>]*>", "<>", rule)
