"""A template's parameters as a form: what to show for each, and what was typed as inputs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from werkzeug.datastructures import MultiDict

PREFIX = "input-"
"""Before each parameter's name, so that none is mistaken for a field of our own."""

_FORGE_FIELDS = {"ForgePicker": "name", "ForgeOwnerPicker": "owners"}
"""What forges.js suggests for a field, of each forge that ``GET /api/v1/scm`` lists."""

Schema = Mapping[str, Any]
Typed = MultiDict[str, str]


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``kind`` says which control it gets; ``value`` is a text, or the chosen texts, or a yes."""

    name: str
    title: str
    kind: str
    required: bool
    help: str
    value: Any
    options: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return PREFIX + self.name


@dataclass(frozen=True, slots=True)
class Page:
    """One page of parameters: a fieldset."""

    title: str
    description: str
    fields: tuple[Field, ...]


def pages(schemas: Sequence[Schema], typed: Typed | None = None, errors: Mapping[str, Any] | None = None) -> list[Page]:
    """Make the form.

    Args:
        schemas: a JSON Schema object for each page.
        typed: what was sent, to be shown again; None for a fresh form with the defaults.
        errors: what is wrong, by parameter.
    """
    return [
        Page(
            str(schema.get("title", "")),
            str(schema.get("description", "")),
            tuple(
                _field(name, part, name in schema.get("required", ()), typed, (errors or {}).get(name))
                for name, part in schema.get("properties", {}).items()
            ),
        )
        for schema in schemas
    ]


def on_forge(schemas: Sequence[Schema], forge: str) -> list[Schema]:
    """The parameters, with a forge as what a field for one begins with."""
    return [
        {**schema, "properties": {name: _begun(part, forge) for name, part in schema.get("properties", {}).items()}}
        for schema in schemas
    ]


def _begun(schema: Schema, forge: str) -> Schema:
    return {**schema, "default": forge} if schema.get("ui:field") == "ForgePicker" else schema


def inputs(schemas: Sequence[Schema], typed: Typed) -> dict[str, Any]:
    """What was typed, as a template's inputs. A field that was left empty is left out."""
    parts = [item for schema in schemas for item in schema.get("properties", {}).items()]
    values = {name: _value(PREFIX + name, part, typed) for name, part in parts}
    return {name: value for name, value in values.items() if value is not None}


def kind_of(schema: Schema) -> str:
    """The control that a parameter gets."""
    if schema.get("ui:field") == "Secret" or schema.get("writeOnly") is True:
        return "password"
    if "enum" in schema:
        return "select"
    if schema.get("type") == "array":
        return "choices" if "enum" in schema.get("items", {}) else "lines"
    if schema.get("type") == "string" and schema.get("ui:widget") == "textarea":
        return "textarea"
    return {"boolean": "checkbox", "integer": "number", "number": "number", "object": "json"}.get(
        str(schema.get("type", "string")), "text"
    )


def _field(name: str, schema: Schema, required: bool, typed: Typed | None, errors: Any) -> Field:  # noqa: FBT001 a fact about the field
    kind = kind_of(schema)
    return Field(
        name=name,
        title=str(schema.get("title", name)),
        kind=kind,
        required=required,
        help=_help(schema, kind),
        value=_shown(PREFIX + name, schema, kind, typed),
        options=tuple(map(_written, schema.get("items", schema).get("enum", schema.get("enum", ())))),
        suggestions=tuple(map(str, schema.get("examples", ()))) if kind == "text" else (),
        attributes=_attributes(schema, kind),
        errors=tuple(_messages(errors)),
    )


def _help(schema: Schema, kind: str) -> str:
    parts = [str(schema.get("ui:help") or schema.get("description") or "")]
    if kind == "lines":
        parts.append("One per line.")
    if kind == "json":
        parts.append("As a JSON object.")
    return " ".join(part for part in parts if part)


def _shown(key: str, schema: Schema, kind: str, typed: Typed | None) -> Any:
    if kind == "password":
        return ""  # a secret is typed again: it never goes back into a page
    if typed is None:
        default = schema.get("default")
        if kind == "lines":
            return "\n".join(map(str, default or ()))
        if kind == "choices":
            return [_written(value) for value in default or ()]
        return bool(default) if kind == "checkbox" else "" if default is None else _written(default)
    if kind == "choices":
        return typed.getlist(key)
    return key in typed if kind == "checkbox" else typed.get(key, "")


def _value(key: str, schema: Schema, typed: Typed) -> Any:
    kind = kind_of(schema)
    if kind == "checkbox":
        return key in typed
    if kind == "choices":
        return [_option(chosen, schema["items"]["enum"]) for chosen in typed.getlist(key)] or None
    text = typed.get(key, "").replace("\r\n", "\n")
    if kind == "lines":
        return [line.strip() for line in text.split("\n") if line.strip()] or None
    if kind == "password":
        return text or None
    return _one_value(text, schema, kind) if text.strip() else None


def _one_value(text: str, schema: Schema, kind: str) -> Any:
    if kind == "select":
        return _option(text, schema["enum"])
    return _parsed(text) if kind in ("number", "json") else text


def _option(text: str, options: Sequence[Any]) -> Any:
    """The option that was written as this text; what is none stays a text, for the check to refuse."""
    return next((option for option in options if _written(option) == text), text)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _messages(errors: Any) -> list[str]:
    """The messages in nested errors, each with the place inside the field."""
    if isinstance(errors, Mapping):
        return [
            message if place == "_schema" else f"{place}: {message}"
            for place, inner in errors.items()
            for message in _messages(inner)
        ]
    return [str(error) for error in errors or ()] if not isinstance(errors, str) else [errors]


def _attributes(schema: Schema, kind: str) -> dict[str, str]:
    """What the browser checks by itself, before anything is sent."""
    found = {"placeholder": schema.get("ui:placeholder"), "data-forges": _FORGE_FIELDS.get(str(schema.get("ui:field")))}
    if kind in ("text", "password", "textarea"):
        found |= {"minlength": schema.get("minLength"), "maxlength": schema.get("maxLength")}
    if kind in ("text", "password") and "pattern" in schema:
        found["pattern"] = html_pattern(schema["pattern"])
    if kind == "number":
        step = schema.get("multipleOf", 1 if schema["type"] == "integer" else "any")
        found |= {"min": schema.get("minimum"), "max": schema.get("maximum"), "step": step}
    return {name: str(value) for name, value in found.items() if value is not None}


def html_pattern(pattern: str) -> str:
    """Write a JSON Schema pattern as HTML's, which covers the whole value and reads a bare ``-`` in a set as an error."""
    whole = pattern if pattern.startswith("^") else f".*(?:{pattern})"
    whole = whole if whole.endswith("$") else f"{whole}.*"
    return re.sub(r"(?<=[^\\])-(?=\])|(?<=[^\\]\[)-|(?<=[^\\]\[\^)-", r"\\-", whole)
