"""The REST API beside the host's own: its blueprints, and the OpenAPI document that is made of their views."""

from __future__ import annotations

from threading import RLock

from apispec import APISpec
from flask import Flask
from flask_smorest import Api, Blueprint

from portal_actions_plugin.blueprints.api import action_runs, actions, audit, health, scm, templates, workspaces
from portal_actions_plugin.blueprints.api.openapi import document
from portal_actions_plugin.blueprints.api.schemas.common import ErrorSchema

API_PREFIX = "PORTAL_ACTIONS_"
API_BLUEPRINTS = (
    action_runs.blueprint,
    templates.blueprint,
    workspaces.blueprint,
    actions.blueprint,
    scm.blueprint,
    audit.blueprint,
    health.blueprint,
)


class PluginApi(Api):
    """An Api beside the host's own: its error handlers sit on our blueprints, never on the app.

    Its document is made when somebody asks for it: most processes end without, and it takes longer than all other wiring.
    """

    ERROR_SCHEMA = ErrorSchema

    def __init__(self, app: Flask) -> None:
        self._describing = RLock()
        self._described: APISpec | None = None
        super().__init__(app, config_prefix=API_PREFIX, spec_kwargs=document.spec_options(app))

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
            assert self._described is not None  # noqa: S101 just described
            return self._described

    @spec.setter
    def spec(self, spec: APISpec | None) -> None:
        self._described = spec

    def _init_spec(self, **options: object) -> None:
        self._options = options

    def _describe(self) -> None:
        super()._init_spec(**self._options)
        document.add_components(self.spec)
        for blueprint in API_BLUEPRINTS:
            blueprint.register_views_in_doc(self, self._app, self.spec, name=blueprint.name, parameters=None)
            self.spec.tag({"name": blueprint.name, "description": blueprint.description})

    def register_blueprint(self, blueprint: Blueprint, **options: object) -> None:
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
