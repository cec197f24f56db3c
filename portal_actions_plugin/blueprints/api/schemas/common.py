"""Shapes that all of the API has: errors, and where the next page of a list begins."""

from __future__ import annotations

from marshmallow import Schema, fields

from portal_actions_plugin.run_types import Page


class ErrorSchema(Schema):
    """An error, field by field where there are fields."""

    code = fields.Integer(required=True, metadata={"description": "HTTP status."})
    status = fields.String(required=True, metadata={"description": "HTTP status in words."})
    message = fields.String(required=True)
    errors = fields.Dict(keys=fields.String(), metadata={"description": "Messages by field."})
    error_code = fields.String(required=True, metadata={"example": "VALIDATION_ERROR"})
    hint = fields.String(required=True, metadata={"description": "What to do about it."})
    retry_after = fields.Integer(metadata={"description": "Seconds, as in Retry-After."})


class PaginationSchema(Schema):
    """Where the next page begins."""

    limit = fields.Integer(required=True)
    next_cursor = fields.String(required=True, allow_none=True)
    searched_back_to = fields.AwareDateTime(
        allow_none=True,
        metadata={
            "description": "Where a search has looked at as many runs as one answer may: up to when it has got. "
            "It goes on by `next_cursor`, also when `data` is empty."
        },
    )


class UnmatchedSchema(Schema):
    """A filter that fits nothing."""

    filter = fields.String(required=True, metadata={"description": "Its name, such as `entity`."})
    message = fields.String(required=True)
    similar = fields.List(
        fields.String(), required=True, metadata={"description": "What may have been meant, of what you may see."}
    )


class PageSchema(Schema):
    """A list's page; a list has its ``data`` besides."""

    pagination = fields.Nested(PaginationSchema, required=True)


def page_body(page: Page) -> dict[str, object]:
    """A page as the API says it."""
    return {"data": page.items, "pagination": page, **({"unmatched": page.unmatched} if page.unmatched else {})}


class RepositoryCommitSchema(Schema):
    """The commit of a git repository that a template was read from."""

    repository = fields.String(required=True, metadata={"description": "Its address."})
    ref = fields.String(required=True, metadata={"description": "The branch or tag; empty for the default branch."})
    commit = fields.String(required=True)
    path = fields.String(required=True, metadata={"description": "The folder with templates; empty for all of it."})
    url = fields.String(required=True, metadata={"description": "The commit's page; may be empty."})
