"""``/api/v1/template-runs/<id>/workspace``."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_smorest import Blueprint
from marshmallow import RAISE

from portal_actions_plugin.blueprints.api import arguments
from portal_actions_plugin.blueprints.api.requests import fails_with
from portal_actions_plugin.blueprints.api.schemas.workspaces import WorkspaceSchema
from portal_actions_plugin.blueprints.downloads import MASKED_HEADER, as_download
from portal_actions_plugin.run_types import KeptWorkspace
from portal_actions_plugin.runs.guards.identity import current_identity
from portal_actions_plugin.runs.reading.workspaces import permitted

blueprint = Blueprint(
    "portal_actions_workspaces",
    __name__,
    url_prefix="/template-runs/<run_id>/workspace",
    description="The files that the steps of a template run share.",
)

_FILE = {
    "description": "The file.",
    "content": {
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}, "example": "# Orders\n"}
    },
    "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in ("Content-Disposition", MASKED_HEADER)},
}


@blueprint.get("")
@blueprint.arguments(arguments.WorkspaceQuerySchema(), location="query", unknown=RAISE)
@blueprint.response(200, WorkspaceSchema)
@fails_with(blueprint, 401, 403, 404, 422)
def get_workspace(query: dict[str, Any], run_id: str) -> KeptWorkspace:
    """List the files of a run's workspace, by path, as the last step has left them that changed it.

    Takes the permission `workspace:read`. Ask again with `next_after` as `after` for those that follow. A workspace is kept
    while the run is at work, and for a while after it has failed or was canceled; `emptied_at` says when it was deleted.
    """
    return permitted.listing(current_identity(), run_id, after=query["after"], limit=query["limit"])


@blueprint.get("/file")
@blueprint.arguments(arguments.WorkspaceFileQuerySchema(), location="query", unknown=RAISE)
@blueprint.doc(responses={"200": _FILE})
@fails_with(blueprint, 401, 403, 404, 409, 422)
def get_workspace_file(query: dict[str, Any], run_id: str) -> Response:
    """Download a file of a run's workspace.

    Takes the permission `workspace:read`. Secrets of the run are masked in it, and what looks like a token.
    """
    file = permitted.file(current_identity(), run_id, query["path"])
    return as_download(file.name, file.content, is_masked=file.is_masked)
