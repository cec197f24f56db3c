"""The OpenAPI document, and a page that shows it without asking another origin for anything."""

from __future__ import annotations

from copy import deepcopy

from flask import Blueprint, Response, current_app, jsonify, request

from portal_actions_plugin.blueprints.api.openapi.document import Json, complete_document
from portal_actions_plugin.blueprints.api.requests import answer_conditionally
from portal_actions_plugin.blueprints.headers import protect_data
from portal_actions_plugin.blueprints.pages.page_answer import OWN_LAYOUT, page
from portal_actions_plugin.extension import extension

blueprint = Blueprint(
    "portal_actions_reference",
    __name__,
    template_folder="../../../jinja",
)


def openapi_document() -> Json:
    """The OpenAPI document of the current app's API."""
    api = current_app.extensions["flask-smorest"]["apis"]["PORTAL_ACTIONS_"]["ext_obj"]
    # A copy: what it gives is what it keeps.
    return complete_document(current_app, extension().config, deepcopy(api.spec.to_dict()), request.root_path)


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """Publish the document; no identity needed."""
    response = jsonify(openapi_document())
    response.headers["Cache-Control"] = "no-cache, public"
    return protect_data(answer_conditionally(response))


@blueprint.get("/docs")
def docs() -> Response:
    """Show the document to people."""
    spec = openapi_document()
    shown = {**spec, "paths": _resolved(spec["paths"], spec["components"])}
    return page("reference.html", {"spec": shown}, layout=OWN_LAYOUT)


def _resolved(part: object, components: Json) -> object:
    """The part with what it refers to in its place, but for schemas: they have a place of their own on the page."""
    if isinstance(part, dict):
        _, _, kind, name = str(part.get("$ref", "")).split("/") if "$ref" in part else ("", "", "schemas", "")
        if kind != "schemas":
            return _resolved(components[kind][name], components)
        return {key: _resolved(value, components) for key, value in part.items()}
    return [_resolved(one, components) for one in part] if isinstance(part, list) else part
