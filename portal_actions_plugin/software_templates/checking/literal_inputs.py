"""What an action's schema refuses of a step's input whatever the run is: literal values, unknown and missing keys."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from difflib import get_close_matches
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from marshmallow import EXCLUDE, RAISE, Schema, fields
from marshmallow import ValidationError as SchemaError

from portal_actions_plugin.errors import WHOLE
from portal_actions_plugin.field_messages import IS_REQUIRED, IS_UNKNOWN, sentences
from portal_actions_plugin.software_templates.places import has_expression

if TYPE_CHECKING:
    from portal_actions_plugin.actions.registry import Action
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.places import Key

log = logging.getLogger(__name__)

AnyField = fields.Field[Any]
_MAX_FAULTS = 50


@runtime_checkable
class ActionFinder(Protocol):
    """Who knows actions and not only their names, such as the registry."""

    def get(self, action_id: str) -> Action:
        """Find an action."""


class Fault(NamedTuple):
    """What is wrong with a part of an input.

    Attributes:
        place: below the input.
        message: goes on after the place; no value is in it.
        near: the key that an unknown one is most likely meant to be; empty when there is none.
    """

    place: Key
    message: str
    near: str = ""


def faults(action: Action, written: Mapping[str, JsonValue]) -> list[Fault]:
    """What an action's schema is sure to refuse of an unrendered input. An expression stands for anything.

    Args:
        action: whose input it is.
        written: the input, unrendered.

    Returns:
        At most 50 of them; none where the action's own check fails in a way of its own.
    """
    schema = action.input()
    try:
        schema.load(deepcopy(dict(written)), unknown=RAISE)  # also what a run would ignore
    except SchemaError as error:
        found = sentences(error.messages)
    except Exception as error:  # noqa: BLE001 a schema is anybody's code, and may be in need of a run
        log.debug("the input schema of %s cannot judge a template: %s", action.id, type(error).__name__)
        return []
    else:
        return []
    errors = found if isinstance(found, Mapping) else {WHOLE: found}
    return list(_of_mapping(schema, errors, written))[:_MAX_FAULTS]


def stops_runs(action: Action, fault: Fault) -> bool:
    """Whether a run fails by it: an action may ignore what it does not know, as those of Backstage do."""
    is_ignored = action.ignores_unknown_keys or action.input().unknown == EXCLUDE
    return fault.message != IS_UNKNOWN or len(fault.place) > 1 or not is_ignored


def _of_mapping(schema: Schema, errors: Mapping[Any, Any], written: Mapping[str, JsonValue]) -> Iterator[Fault]:
    """The errors that hold whatever the expressions in a mapping become."""
    is_known = not has_expression(dict(written))
    by_name = {field.data_key or name: field for name, field in schema.fields.items()}
    for name, said in errors.items():
        field = by_name.get(str(name))
        if name in written and field is None and IS_UNKNOWN in _texts(said):
            near = get_close_matches(str(name), by_name, n=1)
            yield Fault((name,), IS_UNKNOWN, near[0] if near else "")
            continue
        if is_known:
            yield from _below(name, _all(said, field))
            continue
        if name in written and field is not None:
            yield from _below(name, _of_value(field, said, written[name]))
        elif name not in written and IS_REQUIRED in _texts(said):
            yield Fault((name,), IS_REQUIRED)


def _of_value(field: AnyField, said: object, written: JsonValue) -> Iterator[Fault]:
    if not has_expression(written):
        # What is wrong with it for the sake of another one may not be so once that is rendered.
        yield from _alone(field, written)
    elif isinstance(said, Mapping) and isinstance(written, Mapping):
        if isinstance(field, fields.Nested) and not field.many:
            yield from _of_mapping(field.schema, said, written)
        elif isinstance(field, fields.Mapping) and isinstance(field.value_field, fields.Field):
            for name, inner in said.items():
                if name in written and isinstance(inner, Mapping) and "value" in inner:
                    yield from _below(name, _of_value(field.value_field, inner["value"], written[name]))
    elif isinstance(said, Mapping) and isinstance(written, list) and isinstance(field, fields.List):
        for index, inner in said.items():
            if isinstance(index, int) and index < len(written):
                yield from _below(index, _of_value(field.inner, inner, written[index]))


def _alone(field: AnyField, written: JsonValue) -> Iterator[Fault]:
    try:
        field.deserialize(deepcopy(written))
    except SchemaError as error:
        yield from _all(sentences(error.messages), field)
    except Exception:  # noqa: BLE001 as above
        return


def _all(said: object, field: AnyField | None) -> Iterator[Fault]:
    """All errors of a field, each at its place in the input: a mapping's are told by key and by value."""
    if isinstance(said, list | tuple):
        for inner in said:
            yield from _all(inner, field)
    elif not isinstance(said, Mapping):
        yield Fault((), str(said))
    elif isinstance(field, fields.Mapping) and not isinstance(field, fields.Nested):
        for name, parts in said.items():
            inside = parts.values() if isinstance(parts, Mapping) else (parts,)
            yield from _below(name, chain.from_iterable(_all(part, field.value_field) for part in inside))
    else:
        for name, inner in said.items():
            yield from _all(inner, None) if name == WHOLE else _below(name, _all(inner, _inner(field, name)))


def _inner(field: AnyField | None, name: object) -> AnyField | None:
    if isinstance(field, fields.List):
        return field.inner
    if not isinstance(field, fields.Nested):
        return None
    if field.many and isinstance(name, int):
        return fields.Nested(field.schema)
    return next((part for key, part in field.schema.fields.items() if (part.data_key or key) == name), None)


def _below(name: str | int, found: Iterable[Fault]) -> Iterator[Fault]:
    return (fault._replace(place=(name, *fault.place)) for fault in found)


def _texts(said: object) -> list[object]:
    return list(said) if isinstance(said, list | tuple) else [said]
