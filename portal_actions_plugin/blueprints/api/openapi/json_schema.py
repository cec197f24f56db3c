"""JSON Schema of an action's marshmallow schemas, with nothing left to look up elsewhere."""

from __future__ import annotations

from functools import cache
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import Schema


@cache
def json_schema(schema: type[Schema]) -> dict[str, Any]:
    """The JSON Schema of a marshmallow schema, nested ones inlined."""
    spec = APISpec(title="", version="", openapi_version="3.1.0")
    converter = OpenAPIConverter("3.1.0", schema_name_resolver=_inline, spec=spec)
    converted: dict[str, Any] = converter.schema2jsonschema(schema())  # type: ignore[no-untyped-call]
    return converted


def _inline(_schema: object) -> None:
    return None
