"""Values as JavaScript has them: what is true, what equals what, which comes first, what a text or a number of it is."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from portal_actions_plugin.software_templates.expressions.limits import (
    MAX_DEPTH,
    MAX_SIZE,
    SandboxError,
    current_budget,
    fits,
)
from portal_actions_plugin.software_templates.nunjucks.patterns import RegularExpression

EXACT = 2**53
"""Up to here every whole number is one of JavaScript's."""
_DECIMAL = re.compile(r"[-+]?(?:Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\Z")
_BASED = re.compile(r"0(?:[xX]([0-9a-fA-F]+)|[oO]([0-7]+)|[bB]([01]+))\Z")
SPACE = " \t\n\r\v\f\xa0\ufeff\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
_LARGE_DIGITS, _SMALL_DIGITS = 21, 6
_LONGEST_INDEX = 10


class Undefined:
    """JavaScript's ``undefined``: what a name or a key gives that is not there."""

    def __repr__(self) -> str:
        return "undefined"


UNDEFINED: Final = Undefined()


class SafeText(str):
    """A text that the filter ``safe`` or ``escape`` made; it equals others, but is not identical with them."""

    __slots__ = ()


class Function:
    """Something that can be called, and is no value of its own."""

    def __call__(self, positional: list[object], keyword: dict[str, object]) -> object:
        """Call it."""
        raise NotImplementedError


class JavaScriptError(Exception):
    """What throws in JavaScript, in a template author's words."""


def without_undefined(value: object, depth: int = 0) -> object:
    """A value with null in place of each undefined; raises SandboxError for what is too deep."""
    if depth > MAX_DEPTH:
        raise SandboxError(f"it makes a value nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return {key: without_undefined(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [without_undefined(item, depth + 1) for item in value]
    return None if value is UNDEFINED else str(value) if isinstance(value, str) else value


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_nothing(value: object) -> bool:
    """Whether it is null or undefined."""
    return value is None or value is UNDEFINED


def truthy(value: object) -> bool:
    """Whether it counts as true: empty lists and objects do."""
    if is_nothing(value) or value is False:
        return False
    if isinstance(value, SafeText):
        return True
    if isinstance(value, str):
        return bool(value)
    return not isinstance(value, int | float) or isinstance(value, bool) or not (value == 0 or math.isnan(value))


def tidy(number: float) -> int | float:
    """A number as JSON writes it: whole ones without a point, but for the zero that has a sign."""
    number = _float(number)
    is_whole = math.isfinite(number) and number.is_integer() and abs(number) <= EXACT
    return int(number) if is_whole and (number or math.copysign(1, number) > 0) else number


def to_number(value: object) -> float:
    """``Number(value)``."""
    if value is UNDEFINED:
        return math.nan
    if value is None or value is False:
        return 0.0
    if value is True:
        return 1.0
    if isinstance(value, int | float):
        return _float(value)
    return _number_of_text(to_text(value))


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _number_of_text(text: str) -> float:
    text = text.strip(SPACE)
    if not text:
        return 0.0
    if based := _BASED.match(text):
        digits, base = next((digits, base) for digits, base in zip(based.groups(), (16, 8, 2), strict=True) if digits)
        return _float(int(digits, base))
    return float(text.replace("Infinity", "inf")) if _DECIMAL.match(text) else math.nan


def to_text(value: object) -> str:
    """``String(value)``; raises JavaScriptError for a function, SandboxError for what is too large."""
    if value is UNDEFINED:
        return "undefined"
    return "null" if value is None else written(value)


def written(value: object) -> str:
    """What a template writes of a value: null and undefined are nothing.

    Raises:
        JavaScriptError: it is a function.
        SandboxError: it is too large.
    """
    if isinstance(value, str):
        return str(value)
    return together(_pieces(value, 0))


def together(pieces: Iterator[str]) -> str:
    """Join pieces, and stop before they are too many: one list may lie in others a thousand times."""
    found, size = [], 0
    for piece in pieces:
        current_budget().check_time()
        size += len(piece) + 1
        if size > MAX_SIZE:
            raise SandboxError(f"it makes a value larger than {MAX_SIZE:,} characters or items")
        found.append(piece)
    current_budget().make(size)
    return "".join(found)


def _pieces(value: object, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        raise SandboxError(f"it makes a value nested deeper than {MAX_DEPTH} levels")
    if is_nothing(value):
        return
    if isinstance(value, bool | RegularExpression):
        yield str(value).lower() if isinstance(value, bool) else str(value)
    elif isinstance(value, int | float):
        yield number_text(value)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if index:
                yield ","
            yield from _pieces(item, depth + 1)
    elif isinstance(value, dict):
        yield "[object Object]"
    else:
        raise JavaScriptError("a function is no value: call it with ()")


def number_text(number: float) -> str:
    """A number as JavaScript writes it, such as ``1e+21`` and ``0.000001``."""
    tidied = tidy(number)
    if isinstance(tidied, int):
        return str(tidied)
    if not math.isfinite(tidied):
        return "NaN" if math.isnan(tidied) else f"{'-' if tidied < 0 else ''}Infinity"
    if tidied == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(tidied)).as_tuple()
    return ("-" if sign else "") + _positional("".join(map(str, digits)).rstrip("0"), len(digits) + int(exponent))


def _positional(digits: str, point: int) -> str:
    """Digits with a point after so many of them, or with an exponent when that is far away."""
    if len(digits) <= point <= _LARGE_DIGITS:
        return digits + "0" * (point - len(digits))
    if 0 < point <= _LARGE_DIGITS:
        return f"{digits[:point]}.{digits[point:]}"
    if -_SMALL_DIGITS < point <= 0:
        return f"0.{'0' * -point}{digits}"
    exponent = point - 1
    mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
    return f"{mantissa}e{'+' if exponent > 0 else '-'}{abs(exponent)}"


def strictly_equal(left: object, right: object) -> bool:
    """``===``: of lists and objects only the same one."""
    if is_number(left) and is_number(right):
        return left == right
    if isinstance(left, bool) or isinstance(right, bool) or isinstance(left, SafeText) or isinstance(right, SafeText):
        return left is right
    return left == right if isinstance(left, str) and isinstance(right, str) else left is right


def loosely_equal(left: object, right: object) -> bool:
    """``==``."""
    if left is right:
        return not (isinstance(left, float) and math.isnan(left))
    if not _is_primitive(left) and not _is_primitive(right):
        return False
    left, right = _primitive(left), _primitive(right)
    if is_nothing(left) or is_nothing(right):
        return is_nothing(left) and is_nothing(right)
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    return to_number(left) == to_number(right)


def order(left: object, right: object) -> float:
    """Negative, zero or positive as ``left`` comes before ``right``; NaN when neither comes first."""
    current_budget().check_time()
    left, right = _primitive(left), _primitive(right)
    if isinstance(left, str) and isinstance(right, str):
        one, other = left.encode("utf-16-be", "surrogatepass"), right.encode("utf-16-be", "surrogatepass")
        return float((one > other) - (one < other))
    numbers = to_number(left), to_number(right)
    if any(map(math.isnan, numbers)):
        return math.nan
    return float((numbers[0] > numbers[1]) - (numbers[0] < numbers[1]))


def add(left: object, right: object) -> object:
    """``+``: texts are joined as soon as one of the two is one."""
    left, right = _primitive(left), _primitive(right)
    if isinstance(left, str) or isinstance(right, str):
        return joined(to_text(left), to_text(right))
    return tidy(to_number(left) + to_number(right))


def joined(*texts: str) -> str:
    """Join texts; raises SandboxError before anything is made that would be too long."""
    fits(sum(map(len, texts)))
    found = "".join(texts)
    current_budget().make(len(found))
    return found


def index_of(key: str) -> int | None:
    """The index that a key is; None for another key."""
    is_index = key.isdecimal() and key.isascii() and len(key) <= _LONGEST_INDEX and str(int(key)) == key
    return int(key) if is_index else None


def entries(value: Mapping[str, object]) -> list[tuple[str, object]]:
    """Keys and values of an object: those that are indexes come first, by size."""
    first = sorted((index, key) for key in value if (index := index_of(key)) is not None)
    if not first:
        return [*value.items()]
    return [*((key, value[key]) for _, key in first), *(pair for pair in value.items() if index_of(pair[0]) is None)]


def bounded(value: object) -> object:
    """A value that a filter or a method made, when it is not too large; raises SandboxError."""
    if isinstance(value, str | list):
        fits(len(value))
        current_budget().make(len(value))
    return value


def remainder(left: float, right: float) -> float:
    """``%``: it has the sign of what is divided."""
    if math.isnan(left) or math.isnan(right) or math.isinf(left) or right == 0:
        return math.nan
    return left if math.isinf(right) else math.fmod(left, right)


def divided(left: float, right: float) -> float:
    """``/``: by zero it is infinite, or no number."""
    if right != 0:
        return left / right
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def power(left: float, right: float) -> float:
    """``**``."""
    if math.isnan(right) or (abs(left) == 1 and math.isinf(right)):
        return math.nan
    try:
        return math.pow(left, right)
    except OverflowError:
        return -math.inf if left < 0 and remainder(right, 2) != 0 else math.inf
    except ValueError:
        return math.inf if left == 0 else math.nan


def rounded(number: float) -> float:
    """``Math.round``: a half goes up."""
    return math.floor(number + 0.5) if math.isfinite(number) and abs(number) < EXACT else number


def integer(value: object) -> float:
    """A number without what comes after its point; not a number is 0."""
    number = to_number(value)
    return 0.0 if math.isnan(number) else float(math.trunc(number)) if math.isfinite(number) else number


def _is_primitive(value: object) -> bool:
    return not isinstance(value, list | dict | SafeText | Function)


def _primitive(value: object) -> object:
    return written(value) if isinstance(value, list | dict | SafeText | Function) else value
