"""What may be called on a number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal, localcontext

from portal_actions_plugin.software_templates.nunjucks.javascript import (
    EXACT,
    UNDEFINED,
    JavaScriptError,
    integer,
    number_text,
    to_text,
)

_MOST_DIGITS = 100
_PRECISION = 500
"""Digits of decimals along the way: those of the largest float and of a hundred digits more."""
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_LARGE, _SMALL = 1e21, 1e-6
_MOST_PLACES = 1_100


def _fixed(number: float, given: list[object]) -> str:
    digits = _digits(given[0], 0, "toFixed")
    if abs(number) >= _LARGE or not math.isfinite(number):
        return to_text(number)
    with localcontext(prec=_PRECISION):
        shown = f"{Decimal(number).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP):f}"
    return shown if number != 0 else shown.removeprefix("-")


def _exponential(number: float, given: list[object]) -> str:
    digits = None if given[0] is UNDEFINED else integer(given[0])
    if not math.isfinite(number):
        return to_text(number)
    places = None if digits is None else _digits(given[0], 0, "toExponential")
    return _scientific(*_significant(number, None if places is None else places + 1))


def _precision(number: float, given: list[object]) -> str:
    if given[0] is UNDEFINED or not math.isfinite(number):
        return to_text(number)
    count = _digits(given[0], 1, "toPrecision")
    negative, digits, exponent = _significant(number, count)
    if exponent < math.log10(_SMALL) or exponent >= count:
        return _scientific(negative, digits, exponent)
    sign = "-" if negative else ""
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole, part = digits[: exponent + 1], digits[exponent + 1 :]
    return sign + whole + (f".{part}" if part else "")


def _digits(given: object, least: int, who: str) -> int:
    digits = integer(given)
    if not least <= digits <= _MOST_DIGITS:
        raise JavaScriptError(f"{who} takes {least} to {_MOST_DIGITS} digits")
    return int(digits)


def _significant(number: float, count: int | None) -> tuple[bool, str, int]:
    """Sign, so many significant digits, and the exponent of the first; as many as it needs without a count."""
    if number == 0:
        return False, "0" * (count or 1), 0
    with localcontext(prec=_PRECISION):
        exact = Decimal(repr(float(number))) if count is None else Decimal(number)
        exponent = exact.adjusted()
        if count is not None:
            exact = exact.quantize(Decimal(1).scaleb(exponent - count + 1), ROUND_HALF_UP)
            exponent = exact.adjusted()
        digits = "".join(map(str, exact.as_tuple().digits))
    return number < 0, digits.rstrip("0") or "0" if count is None else digits[:count], exponent


def _scientific(negative: bool, digits: str, exponent: int) -> str:  # noqa: FBT001 the number's sign
    mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
    return f"{'-' if negative else ''}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent)}"


def _in_base(number: float, given: list[object]) -> str:
    base = 10.0 if given[0] is UNDEFINED else integer(given[0])
    if not 2 <= base <= len(_DIGITS):
        raise JavaScriptError(f"toString takes a base from 2 to {len(_DIGITS)}")
    if base == 10 or not math.isfinite(number):
        return number_text(number)
    whole, part = divmod(abs(float(number)), 1)
    return ("-" if number < 0 else "") + _whole(whole, int(base)) + _part(part, abs(number), int(base))


def _whole(number: float, base: int) -> str:
    """The digits before the point: zeros where a number has no exact ones any more, as JavaScript's engines write them."""
    found = ""
    while number >= EXACT:
        number /= base
        found = "0" + found
    while number or not found:
        digit = math.fmod(number, base)
        found = _DIGITS[int(digit)] + found
        number = (number - digit) / base
    return found


def _part(part: float, number: float, base: int) -> str:
    """The digits after the point, as few as make it the same number again."""
    delta = max(0.5 * (math.nextafter(number, math.inf) - number), math.nextafter(0.0, 1.0))
    if part < delta:
        return ""
    digits: list[int] = []
    while True:
        part *= base
        delta *= base
        digit = int(part)
        digits.append(digit)
        part -= digit
        if (part > 0.5 or (part == 0.5 and digit % 2)) and part + delta > 1:
            return "." + _carried(digits, base)
        if part < delta or len(digits) > _MOST_PLACES:
            return "." + "".join(_DIGITS[one] for one in digits)


def _carried(digits: list[int], base: int) -> str:
    while digits and digits[-1] + 1 == base:
        digits.pop()
    if digits:
        digits[-1] += 1
    return "".join(_DIGITS[one] for one in digits)


OF_NUMBERS: Mapping[str, tuple[int, int, Callable[..., object]]] = {
    "toExponential": (0, 1, _exponential),
    "toFixed": (0, 1, _fixed),
    "toPrecision": (0, 1, _precision),
    "toString": (0, 1, _in_base),
}
"""The least and the most that each takes, and what it does."""
