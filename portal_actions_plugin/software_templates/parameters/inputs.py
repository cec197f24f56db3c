"""Checking a user's inputs against the parameters' JSON Schema: defaults first, then every error at once."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from referencing import Registry

from portal_actions_plugin.errors import WHOLE, ValidationError
from portal_actions_plugin.software_templates.expressions.limits import SandboxError, budget
from portal_actions_plugin.software_templates.parameters.branches import Branches, Kept
from portal_actions_plugin.software_templates.parameters.defaults import Defaults
from portal_actions_plugin.software_templates.parameters.keywords import Validator
from portal_actions_plugin.software_templates.parameters.patterns import in_words
from portal_actions_plugin.software_templates.parameters.schemas import declared
from portal_actions_plugin.software_templates.readings import Reading

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError as SchemaError
    from jsonschema.protocols import Validator as SchemaValidator

    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.parameters.schemas import Schema
    from portal_actions_plugin.software_templates.places import Key

    Found = tuple[Key, str]
    """The place of a wrong field, and a message."""

_MAX_ERRORS = 1_000
_MAX_SHOWN = 200
_MAX_TOLD = 50
_KINDS = {"string": "a text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
          "array": "a list", "object": "an object", "null": "empty"}  # fmt: skip
_LIMITS = {
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be more than {}",
    "exclusiveMaximum": "must be less than {}",
    "multipleOf": "must be a multiple of {}",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "minProperties": "must have at least {} fields",
    "maxProperties": "must have at most {} fields",
    "pattern": "must match {}",
    "format": "is no valid {}",
    "const": "must be {}",
    "uniqueItems": "must not have the same item twice",
}


def validator(schema: Schema) -> SchemaValidator:
    """A validator that never fetches a ``$ref`` from elsewhere, and whose checks end within the budget of ``limits``."""
    registry: Registry[Any] = Registry()
    return Validator(schema, registry=registry)


class ValueCheck:
    """What checks single values of a form, such as the defaults that it brings along."""

    def __init__(self, form: Schema) -> None:
        """Take the form, where each ``$ref`` leads."""
        self._form = {word: value for word, value in form.items() if word != "$schema"}
        self._root = validator(self._form)

    def refusals(self, schema: Schema, value: JsonValue) -> list[tuple[Key, str, str]]:
        """What a part of the form has against a value, once the defaults inside the value are filled in.

        Args:
            schema: the part, in the 2020-12 dialect.
            value: any JSON value.

        Returns:
            Place in the value, message and the schema's word for each rule that it breaks; at most 50.
        """
        filled = Defaults(self._root, self._form, ()).fill(schema, deepcopy(value))
        errors = islice(self._root.evolve(schema=schema).iter_errors(filled), _MAX_TOLD)
        return [(place, message, str(error.validator)) for error in errors for place, message in _explain(error)]


@contextmanager
def checking(name: str) -> Iterator[None]:
    """Bound a check of inputs; raises ValidationError where it takes too long.

    Args:
        name: the template's name.
    """
    try:
        with budget():
            yield
    except RecursionError:
        raise ValidationError(f"{name} cannot take these inputs: they are nested too deeply.") from None
    except SandboxError as error:
        raise ValidationError(
            f"{name} cannot take these inputs: the check was given up, {error}.",
            hint="Give less, or have the template's owner simplify its parameters.",
        ) from None


class InputCheck:
    """What checks users' inputs by one schema. To make it takes longer than to check with it; threads may share it.

    Attributes:
        schema: by which it checks.
    """

    def __init__(self, schema: Schema, name: str, reading: Reading = Reading.STRICT) -> None:
        """Prepare the check.

        Args:
            schema: of an object: all pages of a template as one.
            name: the template's name, for messages.
            reading: whether values of branches that are not shown are wrong, or are dropped.
        """
        # A schema that names its dialect would be checked by that dialect's own words, not by ours.
        strict = {word: value for word, value in schema.items() if word not in {"$schema", "unevaluatedProperties"}}
        self._name = name
        self.schema = strict
        self._root = validator(strict)
        self._reading = reading
        self._branches = Branches(strict, self._root)
        self._known = declared(schema) if schema.get("unevaluatedProperties") is False else None

    def fill(
        self, inputs: object, left_empty: Collection[Key] = (), wrong: Collection[Found] = ()
    ) -> dict[str, JsonValue]:
        """Add the defaults to a user's inputs, and check the whole.

        No message repeats a value: it may be a secret. Neither the author nor the user can keep a process busy with it.

        Args:
            inputs: what the user gave, secrets too.
            left_empty: the places of fields that stay away, whatever their default: the user saw them, and left them
                empty.
            wrong: what is known to be wrong already.

        Returns:
            The inputs with defaults, in nested objects too; what was given is not changed. Values of branches that the
            answers do not lead to are not among them.

        Raises:
            ValidationError: ``fields`` has the messages of every wrong field, nested as the inputs are; or the check
                was given up, since it took too long.
        """
        name = self._name
        if not isinstance(inputs, Mapping):
            raise ValidationError(f"{name} takes its inputs as an object.", fields={"inputs": ["must be an object"]})
        with checking(name):
            kept = self._kept(inputs, left_empty)
            filled = self._defaults(left_empty).fill(self.schema, kept.values)
            found = [*wrong, *self._refused(kept), *islice(self._wrong(filled), _MAX_ERRORS)]
        if self._known is not None:
            found += islice((((extra,), "is unknown") for extra in filled if extra not in self._known), _MAX_ERRORS)
        if found:
            raise _refusal(name, found)
        return filled

    def answers(self, inputs: Mapping[str, JsonValue], left_empty: Collection[Key]) -> dict[str, JsonValue]:
        """What the inputs say so far, right or wrong: with the defaults, and without values of branches that are not shown.

        Args:
            inputs: by parameter; they are not changed.
            left_empty: the places of fields where no default counts.
        """
        return self._defaults(left_empty).fill(self.schema, self._kept(inputs, left_empty).values)

    def left_empty(self, inputs: Mapping[str, JsonValue]) -> frozenset[Key]:
        """The places of fields that have a default and are not in the inputs of a run all the same.

        Args:
            inputs: as ``fill`` returned them for that run; what is missing there was left empty on purpose.
        """
        try:
            with budget():
                defaults = self._defaults(())
                defaults.fill(self.schema, dict(inputs))
        except (RecursionError, SandboxError):
            return frozenset()  # the check of the same inputs says what is wrong with them
        return frozenset(defaults.added)

    def _kept(self, inputs: Mapping[str, JsonValue], left_empty: Collection[Key]) -> Kept:
        return self._branches.keep(dict(inputs), self._defaults(left_empty))

    def _refused(self, kept: Kept) -> Iterable[Found]:
        return islice(kept.gone, _MAX_ERRORS) if self._reading is Reading.STRICT else ()

    def _defaults(self, left_empty: Collection[Key]) -> Defaults:
        return Defaults(self._root, self.schema, left_empty)

    def _wrong(self, filled: Mapping[str, JsonValue]) -> Iterator[Found]:
        return (one for error in self._root.iter_errors(filled) for one in _explain(error))


def _refusal(name: str, found: Iterable[Found]) -> ValidationError:
    fields = _nested(found)
    names = list(fields)
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    shown = ", ".join("the whole" if key == WHOLE else key for key in names[:10])
    return ValidationError(f"{name} cannot take these inputs: see {shown}{more}.", fields=fields)


def _explain(error: SchemaError) -> Iterator[Found]:
    place = tuple(error.absolute_path)
    rule, wanted, given = error.validator, cast("Any", error.validator_value), cast("Any", error.instance)
    if rule == "required":
        yield from (((*place, name), "is required") for name in wanted if name not in given)
    elif rule == "dependentRequired":
        for name, needs in wanted.items():
            missing = [need for need in needs if need not in given] if name in given else []
            yield from (((*place, need), f"is required when {name} is given") for need in missing)
    elif rule in {"additionalProperties", "unevaluatedProperties"} and isinstance(error.schema, Mapping):
        yield from (((*place, name), "is unknown") for name in given if not _is_known(name, error.schema))
    elif rule in {"oneOf", "anyOf"}:
        yield from _explain_choice(error, place)
    elif rule == "pattern" and isinstance(error.schema, Mapping) and _has_help(error.schema):
        yield place, _form_that_is_asked_for(str(wanted))
    else:
        yield place, _message(str(rule), wanted)


def _has_help(schema: Schema) -> bool:
    """Whether people are told in words what to write: a regular expression says less to them."""
    return any(isinstance(schema.get(word), str) for word in ("description", "ui:help", "ui:description"))


def _form_that_is_asked_for(pattern: str) -> str:
    words = in_words(pattern)
    return f"must be {words}" if words else "does not have the form that is asked for"


def _is_known(name: str, schema: Schema) -> bool:
    return name in schema.get("properties", {})


def _explain_choice(error: SchemaError, place: Key) -> Iterator[Found]:
    """When one branch is clearly meant, say what it lacks; else that none fits."""
    branches: dict[Any, list[SchemaError]] = {}
    for part in error.context or ():
        branches.setdefault(part.relative_schema_path[0], []).append(part)
    meant = list(branches.values())
    for rules in ({"enum", "const", "not"}, {"type"}):
        if len(meant) > 1:
            meant = [parts for parts in meant if not any(part.validator in rules for part in parts)]
    if len(meant) == 1:
        for part in meant[0]:
            yield from _explain(part)
    else:
        yield place, "fits none of the forms that it may have" if error.context else "fits more than one form"


def _message(rule: str, wanted: JsonValue) -> str:
    if rule == "type":
        kinds = wanted if isinstance(wanted, list) else [wanted]
        return f"must be {' or '.join(_KINDS.get(str(kind), str(kind)) for kind in kinds)}"
    if rule == "enum" and isinstance(wanted, list):
        return f"must be one of {_options(wanted)}"
    return _LIMITS[rule].format(_shown(wanted)) if rule in _LIMITS else "is not valid"


def _options(wanted: Iterable[JsonValue]) -> str:
    options = [_shown(option) for option in wanted]
    return ", ".join(options[:10]) + (f" or {len(options) - 10} others" if len(options) > 10 else "")


def _shown(wanted: JsonValue) -> str:
    said = wanted if isinstance(wanted, str) else json.dumps(wanted, ensure_ascii=False)
    return said if len(said) <= _MAX_SHOWN else f"{said[:_MAX_SHOWN]}…"


def _nested(found: Iterable[Found]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for place, message in found:
        inside = fields
        names = [str(part) for part in place] or [WHOLE]
        for name in names[:-1]:
            inside = _object(inside, name)
        messages = inside.setdefault(names[-1], [])
        if isinstance(messages, dict):
            messages = messages.setdefault(WHOLE, [])
        if message not in messages:
            messages.append(message)
    return fields


def _object(fields: dict[str, Any], name: str) -> dict[str, Any]:
    """The nested errors below a name, which may have messages of its own already."""
    below = fields.setdefault(name, {})
    if isinstance(below, list):
        below = fields[name] = {WHOLE: below}
    nested: dict[str, Any] = below
    return nested
