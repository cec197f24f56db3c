"""The form as its page shows it: fields with their values and errors, nested as the parameters are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from demo_portal.forms.parameters import (
    Option,
    Schema,
    attributes_of,
    children,
    has_conditions,
    help_of,
    input_type,
    kind_of,
    options_of,
    row_schema,
    scalars,
    type_of,
    ui,
    words,
    written,
)
from demo_portal.forms.reading import MAX_ROWS, Place, Reading, Typed, count_of, key_of, read

MAX_LABEL = 60
"""Characters of a button."""
_MAX_ROUNDS = 10
"""How often an answer may lead to fields whose answers lead to more."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``kind`` says which control it gets; ``value`` is a text, the chosen texts, a yes, or rows of fields."""

    key: str
    title: str
    kind: str
    required: bool
    help: str
    value: Any = ""
    type: str = "text"
    options: tuple[Option, ...] = ()
    suggestions: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[Field, ...] = ()
    errors: tuple[str, ...] = ()
    focus: bool = False

    def walk(self) -> Iterator[Field]:
        """This field and all inside it."""
        yield self
        for one in self.fields:
            yield from one.walk()


@dataclass(frozen=True, slots=True)
class Page:
    """One page of parameters: a fieldset."""

    title: str
    description: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """A template's form.

    Attributes:
        pages: as they are shown.
        reading: what was typed.
        is_open: whether what is chosen says what is shown.
        unplaced: what is wrong and has no field on the page.
        start: what the button says that starts the template.
    """

    pages: tuple[Page, ...]
    reading: Reading
    is_open: bool
    unplaced: tuple[str, ...]
    start: str = "Start"

    def fields(self) -> Iterator[Field]:
        """All fields, also those inside others."""
        for page in self.pages:
            for one in page.fields:
                yield from one.walk()

    def keys(self) -> list[str]:
        """The names of all fields, for the page to say which it showed."""
        return [one.key for one in self.fields()]

    def unseen(self, shown: str) -> bool:
        """Whether what was chosen asks for a field that the page did not show.

        Args:
            shown: the names that the page sent back, as JSON.
        """
        try:
            seen = json.loads(shown)
        except ValueError:
            return False  # a program: it knows what it sends
        return isinstance(seen, list) and any(key_of(place) not in seen for place in self.reading.unseen)

    def wrong(self) -> list[Field]:
        """The fields that have an error."""
        return [one for one in self.fields() if one.errors]

    def typed_again(self, typed: Typed) -> list[tuple[str, str]]:
        """What was typed into the form's own fields, but for secrets: those are typed again."""
        keys = [one.key for one in self.fields() if one.kind != "password"]
        return [(key, text) for key in keys for text in typed.getlist(key)]


def build(template: Any, typed: Typed, errors: Mapping[str, Any] | None = None, forge: str = "") -> Form:
    """Make the form.

    Args:
        template: the plugin's.
        typed: what was sent, to be shown again; nothing for a fresh form with the defaults.
        errors: what is wrong, nested by parameter.
        forge: what a field for one begins with.
    """
    pages, reading = _settle(template, typed)
    messages = dict(_messages(errors or {}))
    builder = _Builder(typed, messages, forge)
    shown = tuple(
        Page(str(page.get("title", "")), str(page.get("description", "")), builder.fields(page, ())) for page in pages
    )
    unplaced = [f"{'.'.join(place)}: {said}" if place else said for place, found in messages.items() for said in found]
    is_open = any("when" in page for page in template.parameters) or has_conditions(list(template.parameters))
    return Form(shown, reading, is_open, tuple(unplaced), _start_label(template.presentation))


def _start_label(presentation: Mapping[str, Any]) -> str:
    """What the author calls the button that starts the template."""
    labels = presentation.get("buttonLabels")
    text = labels.get("createButtonText") if isinstance(labels, Mapping) else None
    return text.strip()[:MAX_LABEL] if isinstance(text, str) and text.strip() else "Start"


def _settle(template: Any, typed: Typed) -> tuple[Sequence[Schema], Reading]:
    """The pages that go with what was typed: a choice may lead to a field that was filled in, and that to the next."""
    reading = Reading()
    pages: Sequence[Schema] = ()
    for _ in range(_MAX_ROUNDS):
        pages = template.shown(reading.inputs, reading.left_empty)
        again = read(pages, typed)
        if again == reading:
            break
        reading = again
    return pages, reading


class _Builder:
    """Makes fields, and takes each error away that it has a place for."""

    def __init__(self, typed: Typed, messages: dict[tuple[str, ...], list[str]], forge: str) -> None:
        self._typed = typed
        self._messages = messages
        self._forge = forge
        self._is_again = bool(messages)

    def fields(self, schema: Schema, place: Place, *, is_optional: bool = False) -> tuple[Field, ...]:
        """The fields of a page or an object. Those of an optional one may all be left empty, whatever it says."""
        found = children(schema)
        return tuple(
            self._field(child.schema, (*place, child.name), child.required and not is_optional, child.name)
            for child in found
            if kind_of(child.schema) != "hidden"
        )

    def _field(self, schema: Schema, place: Place, required: bool, name: str) -> Field:  # noqa: FBT001 a fact about the field
        if ui(schema, "field") == "ForgePicker" and self._forge:
            schema = {**schema, "default": self._forge}
        kind, key = kind_of(schema), key_of(place)
        value = self._shown(schema, kind, key)
        inside: tuple[Field, ...] = ()
        if kind == "group":
            inside = self.fields(schema, place, is_optional=not required)
        if kind == "rows":
            inside = tuple(self._row(schema, place, index) for index in range(value))
        return Field(
            key=key,
            title=words(schema, name),
            kind=kind,
            required=required,
            help=help_of(schema, kind),
            value=value,
            type=input_type(schema, kind, str(value)),
            options=_options(schema, kind),
            suggestions=tuple(map(str, schema.get("examples", ()))) if kind == "text" else (),
            attributes=attributes_of(schema, kind),
            fields=inside,
            errors=self._taken(place, kind),
            focus=bool(ui(schema, "autofocus")) and not self._is_again,
        )

    def _row(self, schema: Schema, place: Place, index: int) -> Field:
        defaults = schema.get("default")
        row = row_schema(schema, index)
        if isinstance(defaults, list) and index < len(defaults):
            row = {**row, "default": defaults[index]}
        own = (*place, index)
        return Field(
            key=key_of(own),
            title=f"{words(row, 'Item')} {index + 1}",
            kind="row",
            required=False,
            help=help_of(row, "row"),
            fields=self.fields(row, own),
            errors=self._taken(own, "row"),
        )

    def _shown(self, schema: Schema, kind: str, key: str) -> Any:
        if kind in ("password", "group"):
            return ""  # a secret is typed again: it never goes back into a page
        if kind == "const":
            return written(schema["const"])
        if key not in self._typed:
            return _default(schema, kind)
        if kind == "rows":
            return count_of(self._typed, key)
        sent = [text for text in self._typed.getlist(key) if text]
        if kind == "choices":
            return sent
        return bool(sent) if kind == "checkbox" else sent[-1] if sent else ""

    def _taken(self, place: Place, kind: str) -> tuple[str, ...]:
        """The errors of a field. One that has no fields inside has those of its parts, too."""
        own = tuple(map(str, place))
        is_whole = kind in ("group", "rows", "row")
        found = [one for one in self._messages if one == own or (not is_whole and one[: len(own)] == own)]
        said = [
            f"Item {int(one[len(own)]) + 1}: {message}" if len(one) > len(own) and one[len(own)].isdecimal()
            else ": ".join((*one[len(own):], message))
            for one in found for message in self._messages[one]
        ]  # fmt: skip
        for one in found:
            del self._messages[one]
        return tuple(said)


def _options(schema: Schema, kind: str) -> tuple[Option, ...]:
    if kind == "choices":
        return options_of(schema["items"])
    if kind not in ("select", "radio"):
        return ()
    if type_of(schema) != "boolean":
        return options_of(schema)
    labels = schema.get("enumNames") or ui(schema, "enumNames") or ["Yes", "No"]
    return options_of(schema) or options_of({"enum": [True, False], "enumNames": labels})


def _default(schema: Schema, kind: str) -> Any:
    default = schema.get("default")
    if kind == "rows":
        rows = len(default) if isinstance(default, list) else 0
        return min(max(rows, int(schema.get("minItems", 0))), MAX_ROWS)
    if kind == "lines":
        return "\n".join(scalars(default))
    if kind == "choices":
        return [option.text for option in options_of(schema["items"]) if option.value in (default or ())]
    if kind == "checkbox":
        return bool(default)
    if kind in ("select", "radio"):
        return next((one.text for one in _options(schema, kind) if _is_same(one.value, default)), "")
    return "" if default is None else written(default)


def _is_same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


def _messages(errors: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Nested errors, each with its place."""
    if isinstance(errors, Mapping):
        for name, inner in errors.items():
            yield from _messages(inner, place if name == "_schema" else (*place, str(name)))
    elif isinstance(errors, str):
        yield place, [errors]
    elif errors:
        yield place, list(map(str, errors))
