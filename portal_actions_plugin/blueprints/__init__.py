"""HTTP: the pages and the REST API, registered on a host's app without stepping on anything that is there."""

from __future__ import annotations

import re

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from portal_actions_plugin.blueprints import csrf
from portal_actions_plugin.blueprints.api import template_webhook
from portal_actions_plugin.blueprints.api.openapi import reference
from portal_actions_plugin.blueprints.api.plugin_api import API_BLUEPRINTS, API_PREFIX, PluginApi
from portal_actions_plugin.blueprints.api.requests import (
    bound_the_body,
    finish_api_response,
    prepare_api_request,
    refuse_what_is_cut_off,
)
from portal_actions_plugin.blueprints.errors import handle_api_error, handle_database_error, handle_http_error
from portal_actions_plugin.blueprints.headers import protect_if_static
from portal_actions_plugin.blueprints.pages import audit_page, bulk_page, findings_page, routes
from portal_actions_plugin.blueprints.pages.run import workspace
from portal_actions_plugin.errors import ConfigurationError, PortalActionsError
from portal_actions_plugin.settings.config import Config

PAGES = routes.blueprint.name

routes.blueprint.add_url_rule("/actions/audit", view_func=audit_page.audit)
routes.blueprint.add_url_rule("/templates/findings", view_func=findings_page.findings)
routes.blueprint.add_url_rule("/templates/runs/<run_id>/workspace", view_func=workspace.workspace)
routes.blueprint.add_url_rule("/templates/runs/<run_id>/workspace/file", view_func=workspace.workspace_file)
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
    app.register_blueprint(template_webhook.blueprint, url_prefix=config.api_prefix)
    app.register_blueprint(routes.blueprint, url_prefix=config.url_prefix or None)
    _refuse_taken_rules(app, taken)
    csrf.protect(app, [routes.blueprint, *API_BLUEPRINTS, template_webhook.blueprint])


def _refuse_taken_rules(app: Flask, taken: dict[str, str]) -> None:
    for rule in app.url_map.iter_rules():
        other = taken.get(_shape(rule.rule))
        if other and rule.endpoint.startswith("portal_actions"):
            raise ConfigurationError(
                f"The rule {rule.rule} of {rule.endpoint} is taken by the host's {other}.",
                hint="Set PORTAL_ACTIONS_URL_PREFIX or PORTAL_ACTIONS_API_PREFIX to a path that is free.",
            )


def _shape(rule: str) -> str:
    return re.sub(r"<[^>]*>", "<>", rule)
