"""Shapes of workspaces."""

from __future__ import annotations

from marshmallow import Schema, fields


class WorkspaceFileSchema(Schema):
    """A file of a workspace."""

    path = fields.String(required=True, metadata={"description": "Below the workspace; secrets in it are masked."})
    size = fields.Integer(required=True, metadata={"description": "In bytes, with its secrets."})
    executable = fields.Boolean(required=True)
    masked = fields.Boolean(
        required=True, metadata={"description": "Whether secrets in it are masked where it is downloaded."}
    )
    link_to = fields.String(
        required=True, allow_none=True, metadata={"description": "Of a link, what is written in it."}
    )


class WorkspaceSchema(Schema):
    """What the steps of a template run share, as it was after the last one that has changed it."""

    data = fields.List(fields.Nested(WorkspaceFileSchema), attribute="files", required=True)
    count = fields.Integer(required=True, metadata={"description": "How many files and links there are in all."})
    size = fields.Integer(required=True, metadata={"description": "Bytes of all files."})
    kept_at = fields.AwareDateTime(required=True)
    emptied_at = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "When its files were deleted, if they are."}
    )
    next_after = fields.Integer(
        required=True, allow_none=True, metadata={"description": "The `after` of the next page, if there is one."}
    )
