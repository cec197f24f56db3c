"""The OpenAPI document, and a page that shows it without asking another origin for anything."""

from __future__ import annotations

import logging
from copy import deepcopy

from flask import Blueprint, Response, current_app, jsonify, request

from portal_actions_plugin.blueprints.api.openapi import operations
from portal_actions_plugin.blueprints.api.openapi.document import Json, complete_document
from portal_actions_plugin.blueprints.api.requests import answer_conditionally
from portal_actions_plugin.blueprints.headers import protect_data
from portal_actions_plugin.blueprints.pages.page_answer import OWN_LAYOUT, page, static_url
from portal_actions_plugin.extension import extension

log = logging.getLogger(__name__)

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
    """Show the document to people; no identity needed."""
    spec = openapi_document()
    base = extension().config.public_url or request.url_root.rstrip("/")
    facts = {
        "info": spec["info"],
        "reference_style_url": static_url("reference.css"),
        "base": base,
        "groups": operations.operations(spec, base),
        "headers": operations.headers(spec),
        "errors": operations.errors(spec),
        "shapes": spec["components"]["schemas"],
        "cookie": spec["components"]["securitySchemes"]["session"]["name"],
        "csrf": spec["components"]["securitySchemes"]["csrf"]["name"],
    }
    try:
        return page("reference.html", facts)
    except Exception:  # a layout that needs somebody who is signed in, such as its author always was
        log.exception("the host's layout cannot be shown: %s", extension().config.base_template)
        return page("reference.html", facts, layout=OWN_LAYOUT)
