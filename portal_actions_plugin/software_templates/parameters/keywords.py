"""JSON Schema's words as templates use them: each is timed, and none reads a value twice as long as it must."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError as SchemaError
from jsonschema.validators import extend

from portal_actions_plugin.software_templates.expressions.limits import current_budget
from portal_actions_plugin.software_templates.parameters import formats
from portal_actions_plugin.software_templates.parameters.patterns import is_pattern, matches

if TYPE_CHECKING:
    from jsonschema.protocols import Validator as SchemaValidator

Keyword = Callable[[Any, Any, Any, Any], Iterator[SchemaError] | None]

META_FORMATS = FormatChecker(formats=())
"""What is checked of a schema itself: that its patterns are some."""
META_FORMATS.checkers = {"regex": (is_pattern, ())}


def _pattern(_validator: SchemaValidator, wanted: str, given: object, _schema: object) -> Iterator[SchemaError]:
    if isinstance(given, str) and not matches(wanted, given):
        yield SchemaError("")


def _format(_validator: SchemaValidator, wanted: str, given: object, _schema: object) -> Iterator[SchemaError]:
    if not formats.conforms(given, wanted):
        yield SchemaError("")


def _unique(_validator: SchemaValidator, wanted: bool, given: object, _schema: object) -> Iterator[SchemaError]:  # noqa: FBT001
    items = given if wanted and isinstance(given, list) else ()
    if len({json.dumps(_comparable(item), sort_keys=True) for item in items}) < len(items):
        yield SchemaError("")


def _multiple(_validator: SchemaValidator, wanted: float, given: object, _schema: object) -> Iterator[SchemaError]:
    """As the numbers are written: 0.3 is a multiple of 0.1, though not of the binary number next to it."""
    if isinstance(given, int | float) and not isinstance(given, bool):
        rest = _EXACTLY.remainder(Decimal(str(given)), Decimal(str(wanted)))
        if rest:
            yield SchemaError("")


_EXACTLY = Context(prec=700)
"""So many digits lie between the largest and the smallest float."""


def _comparable(value: object) -> object:
    """Write 1.0 as 1: JSON Schema has them equal."""
    if isinstance(value, Mapping):
        return {key: _comparable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _watched(keyword: Keyword) -> Keyword:
    def watched(validator: SchemaValidator, wanted: object, given: object, schema: object) -> Iterator[SchemaError]:
        current_budget().check_time()
        try:
            for error in keyword(validator, wanted, given, schema) or ():
                error.message, error.args = "", ()  # they repeat the value, which may be long, or a secret
                yield error
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            yield SchemaError("")  # such as a number that is too large to be divided

    return watched


_OURS: dict[str, Keyword] = {"pattern": _pattern, "format": _format, "uniqueItems": _unique, "multipleOf": _multiple}
Validator: type[SchemaValidator] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {word: _watched(keyword) for word, keyword in {**Draft202012Validator.VALIDATORS, **_OURS}.items()},
)
"""Draft 2020-12, whose checks end within the budget of ``limits``."""
