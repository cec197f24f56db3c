"""What ``is`` can ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from portal_actions_plugin.software_templates.nunjucks.javascript import (
    UNDEFINED,
    Function,
    JavaScriptError,
    SafeText,
    is_nothing,
    is_number,
    order,
    remainder,
    strictly_equal,
    to_number,
    truthy,
)
from portal_actions_plugin.software_templates.nunjucks.patterns import RegularExpression

Test = Callable[[object, list[object]], bool]


def _taking(count: int, test: Test) -> Test:
    def asked(value: object, given: list[object]) -> bool:
        if len(given) != count:
            raise JavaScriptError(f"the test takes {count} values")
        return test(value, given)

    return asked


def _ordered(holds: Callable[[float], bool]) -> Test:
    return _taking(1, lambda value, given: holds(order(value, given[0])))


def _remainder(of: object, by: object) -> float:
    return remainder(to_number(of), to_number(by))


def _iterable(value: object, _given: list[object]) -> bool:
    if is_nothing(value):
        raise JavaScriptError("iterable asks a value that is there")
    return isinstance(value, str | list)


def _cased(change: Callable[[str], str]) -> Test:
    def test(value: object, _given: list[object]) -> bool:
        if not isinstance(value, str):
            raise JavaScriptError("it asks a text only")
        return not isinstance(value, SafeText) and change(value) == value

    return _taking(0, test)


_EQUAL = _taking(1, lambda value, given: strictly_equal(value, given[0]))

TESTS: Mapping[str, Test] = {
    "callable": _taking(0, lambda value, _given: isinstance(value, Function)),
    "defined": _taking(0, lambda value, _given: value is not UNDEFINED),
    "divisibleby": _taking(1, lambda value, given: _remainder(value, given[0]) == 0),
    "eq": _EQUAL,
    "equalto": _EQUAL,
    "escaped": _taking(0, lambda value, _given: isinstance(value, SafeText)),
    "even": _taking(0, lambda value, _given: _remainder(value, 2) == 0),
    "falsy": _taking(0, lambda value, _given: not truthy(value)),
    "ge": _ordered(lambda found: found >= 0),
    "greaterthan": _ordered(lambda found: found > 0),
    "gt": _ordered(lambda found: found > 0),
    "iterable": _taking(0, _iterable),
    "le": _ordered(lambda found: found <= 0),
    "lessthan": _ordered(lambda found: found < 0),
    "lower": _cased(str.lower),
    "lt": _ordered(lambda found: found < 0),
    "mapping": _taking(0, lambda value, _given: isinstance(value, dict | SafeText | RegularExpression)),
    "ne": _taking(1, lambda value, given: not strictly_equal(value, given[0])),
    "null": _taking(0, lambda value, _given: value is None),
    "number": _taking(0, lambda value, _given: is_number(value)),
    "odd": _taking(0, lambda value, _given: _remainder(value, 2) == 1),
    "sameas": _EQUAL,
    "string": _taking(0, lambda value, _given: isinstance(value, str) and not isinstance(value, SafeText)),
    "truthy": _taking(0, lambda value, _given: truthy(value)),
    "undefined": _taking(0, lambda value, _given: value is UNDEFINED),
    "upper": _cased(str.upper),
}
"""By name; each takes the value and what it is given."""
