"""What was typed as a template's inputs: what the page showed, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

from werkzeug.datastructures import MultiDict

from demo_portal.forms.parameters import Schema, children, chosen, kind_of, number, row_schema, type_of

PREFIX = "input-"
"""Before each parameter's name, so that none is mistaken for a field of our own."""

MAX_ROWS = 100

_LISTS = ("rows", "choices", "lines")
_MAY_BE_EMPTY = ("text", "textarea")

Typed = MultiDict[str, str]
Place = tuple[str | int, ...]


class _Nothing(Enum):
    NOTHING = auto()


NOTHING: Final = _Nothing.NOTHING
"""No input: the page did not show the field, or it was left empty."""


@dataclass
class Reading:
    """What was typed.

    Attributes:
        inputs: by parameter.
        left_empty: the places of fields that the page showed and that are not in the inputs: no default belongs there.
        unseen: the places of fields that the page did not show, though what was chosen on it asks for them.
    """

    inputs: dict[str, Any] = field(default_factory=dict)
    left_empty: set[Place] = field(default_factory=set)
    unseen: set[Place] = field(default_factory=set)


def key_of(place: Place) -> str:
    """The name of a field's control."""
    return PREFIX + ".".join(str(part).replace("~", "~0").replace(".", "~1") for part in place)


def count_of(typed: Typed, key: str) -> int:
    """How many rows of a list the page showed."""
    text = typed.get(key, "")
    return min(int(text), MAX_ROWS) if text.isdecimal() and len(text) < 6 else 0


def read(pages: Sequence[Schema], typed: Typed) -> Reading:
    """Read a form.

    Args:
        pages: as ``Template.shown`` says for the same answers.
        typed: what was sent.
    """
    reading = Reading()
    for page in pages:
        for child in children(page):
            value = _Reader(typed, reading).value(child.schema, (child.name,), required=child.required)
            if value is not NOTHING:
                reading.inputs[child.name] = value
    return reading


class _Reader:
    def __init__(self, typed: Typed, reading: Reading) -> None:
        self._typed = typed
        self._reading = reading

    def value(self, schema: Schema, place: Place, *, required: bool) -> Any:
        kind, key = kind_of(schema), key_of(place)
        if kind == "hidden":
            return NOTHING
        if kind == "group":
            return self._group(schema, place, required=required)
        if key not in self._typed:
            self._reading.unseen.add(place)
            return NOTHING
        value = self._items(schema, kind, place) if kind in _LISTS else self._one(schema, kind, key)
        if value is NOTHING and kind in _MAY_BE_EMPTY and not required and _takes_an_empty_text(schema):
            value = ""
        if value == [] and schema.get("minItems") and not required:
            value = NOTHING
        if value is NOTHING:
            self._reading.left_empty.add(place)
        return value

    def _items(self, schema: Schema, kind: str, place: Place) -> list[Any]:
        key = key_of(place)
        if kind == "rows":
            count = count_of(self._typed, key)
            return [self._fields(row_schema(schema, index), (*place, index)) for index in range(count)]
        sent = [text for text in self._typed.getlist(key) if text]
        if kind == "choices":
            return [chosen(schema["items"], text) for text in sent]
        lines = [line.strip() for text in sent for line in text.splitlines() if line.strip()]
        return [line if type_of(schema["items"]) == "string" else number(line) for line in lines]

    def _one(self, schema: Schema, kind: str, key: str) -> Any:
        # An empty value of the same name says that the page showed it.
        text = next((text for text in reversed(self._typed.getlist(key)) if text), "").replace("\r\n", "\n")
        if kind == "checkbox":
            return bool(text)
        if kind == "const":
            return schema["const"]
        if not text.strip() and kind != "password":
            text = ""
        if not text:
            return NOTHING
        read = _FROM_TEXT.get(kind)
        return read(schema, text) if read else text

    def _group(self, schema: Schema, place: Place, *, required: bool) -> Any:
        before = set(self._reading.left_empty)
        found = self._fields(schema, place)
        if not required and all(_is_untouched(child.schema, found.get(child.name)) for child in children(schema)):
            # Nobody asked for it: what its parts have as defaults is the template's to fill in.
            self._reading.left_empty = before
            return NOTHING
        return found

    def _fields(self, schema: Schema, place: Place) -> dict[str, Any]:
        values = {
            child.name: self.value(child.schema, (*place, child.name), required=child.required)
            for child in children(schema)
        }
        return {name: value for name, value in values.items() if value is not NOTHING}


def _is_untouched(schema: Schema, value: Any) -> bool:
    """Whether a part of an object is as the page first showed it, and so says nothing about the whole."""
    default = schema.get("default")
    if isinstance(value, dict):
        return all(_is_untouched(child.schema, value.get(child.name)) for child in children(schema))
    if kind_of(schema) == "const" or value == default:
        return True
    return default in (None, False, "", []) and value in (None, False, "", [])


def _takes_an_empty_text(schema: Schema) -> bool:
    """Whether a default that somebody cleared is an empty text from then on: a step that counts on it has a text."""
    return "default" in schema and not any(word in schema for word in ("minLength", "pattern", "format"))


def _option(schema: Schema, text: str) -> Any:
    if type_of(schema) == "boolean":
        return {"true": True, "false": False}.get(text, text)
    return chosen(schema, text)


def _parsed(_schema: Schema, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=lambda _: text)
    except (ValueError, RecursionError):
        return text


_FROM_TEXT: Mapping[str, Callable[[Schema, str], Any]] = {
    "select": _option,
    "radio": _option,
    "number": lambda _schema, text: number(text),
    "json": _parsed,
}


def with_rows(typed: Typed, step: str) -> Typed:
    """What was typed, with a row more or less in a list of objects.

    Args:
        typed: what was sent.
        step: ``add:`` and the list's key, or ``remove:`` and the row's.
    """
    what, _, key = step.partition(":")
    if what == "add":
        changed = typed.copy()
        changed[key] = str(count_of(typed, key) + 1)
        return changed
    key, _, row = key.rpartition(".")
    count = count_of(typed, key)
    if what != "remove" or not row.isdecimal() or int(row) >= count:
        return typed
    changed = MultiDict()
    for name, text in typed.items(multi=True):
        if (moved := _without_row(name, key, int(row))) is not None:
            changed.add(moved, text)
    changed[key] = str(count - 1)
    return changed


def _without_row(name: str, key: str, row: int) -> str | None:
    """What a control is called once a row is gone; None when it is in that row."""
    if not name.startswith(f"{key}."):
        return name
    index, dot, rest = name.removeprefix(f"{key}.").partition(".")
    if not index.isdecimal() or int(index) < row:
        return name
    return None if int(index) == row else f"{key}.{int(index) - 1}{dot}{rest}"
