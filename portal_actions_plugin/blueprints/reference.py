"""The OpenAPI document, and a page that shows it without asking another origin for anything."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request

from portal_actions_plugin.blueprints.page_answer import OWN_LAYOUT, page

blueprint = Blueprint(
    "portal_actions_reference",
    __name__,
    template_folder="../jinja",
)


def spec_options() -> dict[str, Any]:
    """What the document says besides the paths."""
    return {
        "info": {
            "description": (
                "Run, watch and repair self-service actions. Send `Authorization: Bearer …`, or a session cookie and, "
                "on writes, the CSRF token in `X-CSRFToken`."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
        "security": [{"bearer": []}],
    }


def document() -> dict[str, Any]:
    """The OpenAPI document of the current app's API."""
    api = current_app.extensions["flask-smorest"]["apis"]["PORTAL_ACTIONS_"]["ext_obj"]
    spec: dict[str, Any] = api.spec.to_dict()
    return spec


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """Publish the document; no identity needed."""
    response = jsonify(document())
    response.add_etag()
    return response.make_conditional(request)  # type: ignore[return-value]


@blueprint.get("/docs")
def docs() -> Response:
    """Show the document to people."""
    return page("reference.html", {"spec": document()}, layout=OWN_LAYOUT)
