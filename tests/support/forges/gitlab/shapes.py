"""How the shapes of GitLab's answers are written down, and how the double's answers are held against them.

The shapes themselves are in ``schemas`` and, of what lies in a repository, in ``code_schemas``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jsonschema_rs

Fields = dict[str, Any]

_TYPES: dict[str, Fields] = {
    "int": {"type": "integer"},
    "str": {"type": "string"},
    "bool": {"type": "boolean"},
    "null": {"type": "null"},
    "any": {},
    "object": {"type": "object"},
    "strings": {"type": "array", "items": {"type": "string"}},
    "sha": {"type": "string", "pattern": "^[0-9a-f]{40}$"},
    "url": {"type": "string", "pattern": "^https?://"},
    "time": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"},
    "date": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"},
    "visibility": {"enum": ["private", "internal", "public"]},
    "level": {"enum": [0, 5, 10, 15, 20, 25, 30, 40, 50, 60]},
}


def shape(fields: Fields) -> Fields:
    """The JSON Schema of an object with these fields and no others."""
    nothing = "?" in fields
    named = {name: spec for name, spec in fields.items() if name != "?"}
    schema: Fields = {
        "type": ["object", "null"] if nothing else "object",
        "properties": {name.removesuffix("?"): _schema(spec) for name, spec in named.items()},
        "required": [name for name in named if not name.endswith("?")],
        "additionalProperties": False,
    }
    return schema


def _schema(spec: Any) -> Fields:
    if isinstance(spec, dict):
        return shape(spec)
    if isinstance(spec, list):
        return {"type": "array", "items": _schema(spec[0])}
    kinds = [_TYPES[kind] for kind in spec.split("|")]
    return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}


@lru_cache(maxsize=64)
def _validator(name: str) -> jsonschema_rs.Validator:
    from tests.support.forges.gitlab import code_schemas, schemas

    fields = getattr(schemas, name, None) or getattr(code_schemas, name)
    return jsonschema_rs.validator_for(shape(fields))


def check(name: str, value: object) -> None:
    """Raise AssertionError when an answer does not have the documented shape of this name."""
    for error in _validator(name).iter_errors(value):
        raise AssertionError(f"{name}: {error.message} at {'/'.join(map(str, error.instance_path))}")
