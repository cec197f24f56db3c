"""What a parameter's JSON Schema says to a form: which control it gets, its options, its order and its hints."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Schema = Mapping[str, Any]

_FORGE_FIELDS = {"ForgePicker": "name", "ForgeOwnerPicker": "owners"}
"""What forges.js suggests for a field, of each forge that ``GET /api/v1/scm`` lists."""

_INPUT_TYPES = {"date": "date", "email": "email", "idn-email": "email", "uri": "url"}
_EXAMPLES = {
    "RepoUrlPicker": "github.com?owner=acme&repo=orders",
    "date-time": "2026-01-31T09:30:00Z",
    "time": "09:30:00Z",
}
_CONDITIONS = ("if", "allOf", "anyOf", "oneOf", "dependencies", "dependentSchemas", "dependentRequired")
_SCALARS = ("string", "integer", "number")


class Option(NamedTuple):
    """One of the values that a parameter takes: the text that a form sends for it, and what people read."""

    value: Any
    text: str
    label: str


class Child(NamedTuple):
    """A parameter inside another one, or on a page."""

    name: str
    schema: Schema
    required: bool


def ui(schema: Schema, word: str) -> Any:
    """A hint to the form, which may be written in two ways: ``ui:widget`` and ``ui:options: {widget: …}``."""
    options = schema.get("ui:options")
    return schema.get(f"ui:{word}", options.get(word) if isinstance(options, Mapping) else None)


def type_of(schema: Schema) -> str:
    """The type of what is given, where null may stand for nothing."""
    types = schema.get("type")
    if isinstance(types, list):
        types = next((one for one in types if one != "null"), None)
    if types is None and "properties" in schema:
        return "object"
    if types is None and (found := options_of(schema)):
        return "boolean" if all(isinstance(option.value, bool) for option in found) else "string"
    return str(types or "string")


def kind_of(schema: Schema) -> str:
    """The control that a parameter gets."""
    widget, kind = ui(schema, "widget"), type_of(schema)
    if widget == "hidden":
        return "hidden"
    if ui(schema, "field") == "Secret" or schema.get("writeOnly") is True or widget == "password":
        return "password"
    if kind == "boolean":
        return str(widget) if widget in ("radio", "select") else "checkbox"
    if "const" in schema:
        return "const"
    return _kind_of_type(schema, kind)


def _kind_of_type(schema: Schema, kind: str) -> str:
    if options_of(schema):
        return "radio" if ui(schema, "widget") == "radio" else "select"
    if kind == "array":
        return _kind_of_list(schema)
    if kind == "object":
        return "group" if schema.get("properties") else "json"
    if kind == "string":
        return "textarea" if ui(schema, "widget") == "textarea" else "text"
    return "number" if kind in _SCALARS else "json"


def _kind_of_list(schema: Schema) -> str:
    items = schema.get("items")
    if not isinstance(items, Mapping):
        return "json"
    if options_of(items):
        return "choices"
    if items.get("properties"):
        return "rows"
    return "lines" if type_of(items) in _SCALARS else "json"


def options_of(schema: Schema) -> tuple[Option, ...]:
    """The values that a parameter takes, by ``enum`` or ``oneOf: [{const, title}]``; none when it takes any."""
    values, labels = schema.get("enum"), schema.get("enumNames") or ui(schema, "enumNames")
    if values is None:
        titled = schema.get("oneOf") or schema.get("anyOf") or ()
        if not titled or not all(isinstance(one, Mapping) and "const" in one for one in titled):
            return ()
        values, labels = [one["const"] for one in titled], [one.get("title") for one in titled]
    labels = _labels(values, labels)
    keys = [json.dumps(value, sort_keys=True) for value in values]
    once = {key: index for index, key in reversed(list(enumerate(keys)))}
    first = sorted(once.values())
    values, named = [values[index] for index in first], [labels[index] for index in first]
    texts = list(map(written, values))
    if len(set(texts)) < len(texts):  # such as 1 and "1"
        texts = [json.dumps(value, ensure_ascii=False) for value in values]
    return tuple(Option(*one) for one in zip(values, texts, named, strict=True))


def _labels(values: Sequence[Any], labels: Any) -> list[str]:
    if isinstance(labels, Mapping):
        return [str(labels.get(written(value), written(value))) for value in values]
    given = list(labels) if isinstance(labels, list) else []
    padded = [*given, *[None] * len(values)][: len(values)]
    return [written(value) if label is None else str(label) for value, label in zip(values, padded, strict=True)]


def chosen(schema: Schema, text: str) -> Any:
    """The option that a form sent; what is none stays a text, for the check to refuse."""
    return next((option.value for option in options_of(schema) if option.text == text), text)


def children(schema: Schema) -> list[Child]:
    """The parameters on a page or inside an object, in the order that ``ui:order`` says.

    A default of the whole is that of its parts.
    """
    fields, required = schema.get("properties", {}), schema.get("required", ())
    whole = schema.get("default")
    defaults = whole if isinstance(whole, Mapping) else {}
    return [
        Child(name, {**part, "default": defaults[name]} if name in defaults else part, name in required)
        for name in _ordered(list(fields), ui(schema, "order"))
        if isinstance(part := fields[name], Mapping)
    ]


def _ordered(names: list[str], order: Any) -> list[str]:
    if not isinstance(order, list):
        return names
    first = order[: order.index("*")] if "*" in order else order
    last = order[order.index("*") + 1 :] if "*" in order else []
    rest = [name for name in names if name not in order]
    return [name for name in [*first, *rest, *last] if name in names]


def row_schema(schema: Schema, index: int) -> Schema:
    """What a row of a list of objects has: its own branches where it is there already."""
    rows = schema.get("prefixItems") or ()
    found: Schema = rows[index] if index < len(rows) else schema["items"]
    return found


def has_conditions(part: Any) -> bool:
    """Whether what is shown depends on what is chosen."""
    if isinstance(part, list):
        return any(map(has_conditions, part))
    if not isinstance(part, Mapping):
        return False
    if any(word in part for word in _CONDITIONS) and not options_of(part):
        return True
    return any(map(has_conditions, part.values()))


def help_of(schema: Schema, kind: str) -> str:
    """What stands below a control."""
    parts = [str(ui(schema, "help") or ui(schema, "description") or schema.get("description") or "")]
    if kind == "lines":
        parts.append("One per line.")
    if kind == "json":
        parts.append("As JSON.")
    return " ".join(part for part in parts if part)


def attributes_of(schema: Schema, kind: str) -> dict[str, str]:
    """What the browser needs to know, and checks by itself before anything is sent."""
    example = _EXAMPLES.get(str(ui(schema, "field"))) or _EXAMPLES.get(str(schema.get("format")))
    found: dict[str, Any] = {
        "placeholder": (ui(schema, "placeholder") or example)
        if kind in ("text", "number", "textarea", "lines")
        else None,
        "data-forges": _FORGE_FIELDS.get(str(ui(schema, "field"))),
        "readonly": "" if schema.get("readOnly") or ui(schema, "readonly") or ui(schema, "disabled") else None,
    }
    if kind in ("text", "password", "textarea"):
        found |= {"minlength": schema.get("minLength"), "maxlength": schema.get("maxLength")}
    if kind in ("text", "password") and "pattern" in schema:
        found["pattern"] = html_pattern(schema["pattern"])
    if kind in ("textarea", "lines", "json"):
        found["rows"] = ui(schema, "rows") or 3
    if kind == "number":
        step = schema.get("multipleOf", 1 if type_of(schema) == "integer" else "any")
        found |= {"min": schema.get("minimum"), "max": schema.get("maximum"), "step": step}
    return {name: str(value) for name, value in found.items() if value is not None}


def input_type(schema: Schema, kind: str, value: str) -> str:
    """The ``type`` of an input. A browser shows nothing where a value does not fit it: then it is a text."""
    if kind == "password":
        return "password"
    if kind == "number":
        return "number" if not value or isinstance(number(value), int | float) else "text"
    found = _INPUT_TYPES.get(str(schema.get("format")), "text") if kind == "text" else "text"
    return "text" if found == "date" and value and not re.fullmatch(r"\d{4}-\d\d-\d\d", value) else found


def number(text: str) -> Any:
    """A number that was typed; anything else stays a text, for the check to refuse."""
    text = text.strip()
    if len(text) > 300 or not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
        return text
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    value = float(text)
    return value if value - value == 0 else text  # an infinite one is no JSON


def written(value: Any) -> str:
    """A value as a form shows it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def words(schema: Schema, name: str) -> str:
    """What people call a parameter."""
    return str(ui(schema, "title") or schema.get("title") or name)


def scalars(values: Any) -> Iterator[str]:
    """The items of a list as a form shows them."""
    yield from map(written, values if isinstance(values, list) else ())


def html_pattern(pattern: str) -> str:
    """Write a JSON Schema pattern as HTML's, which covers the whole value and reads a bare ``-`` in a set as an error."""
    whole = pattern if pattern.startswith("^") else f".*(?:{pattern})"
    whole = whole if whole.endswith("$") else f"{whole}.*"
    return re.sub(r"(?<=[^\\])-(?=\])|(?<=[^\\]\[)-|(?<=[^\\]\[\^)-", r"\\-", whole)
