"""What a template of Nunjucks is once it is parsed: expressions, and the statements around them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import TypeAlias


class NunjucksSyntaxError(Exception):
    """A template cannot be parsed. ``line`` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(frozen=True, slots=True)
class Literal:
    """A text, a number, true, false or null."""

    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Pattern:
    """``r/source/flags``."""

    source: str
    flags: str


@dataclass(frozen=True, slots=True)
class Name:
    """A name of the context, or one that the template has set."""

    name: str


@dataclass(frozen=True, slots=True)
class ListOf:
    """``[a, b]``."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class ObjectOf:
    """``{a: b}``: keys are never evaluated."""

    pairs: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class Group:
    """``(a, b)``, which is its last part."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Lookup:
    """``a.b`` or ``a['b']``."""

    target: Expression
    key: Expression


@dataclass(frozen=True, slots=True)
class Slice:
    """``a[start:stop:step]``."""

    target: Expression
    start: Expression | None
    stop: Expression | None
    step: Expression | None


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a call or a filter is given."""

    positional: tuple[Expression, ...] = ()
    keyword: tuple[tuple[str, Expression], ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """``a(b)``."""

    target: Expression
    arguments: Arguments


@dataclass(frozen=True, slots=True)
class Filtered:
    """``a | name(b)``."""

    value: Expression
    name: str
    arguments: Arguments


@dataclass(frozen=True, slots=True)
class Tested:
    """``a is name(b)``."""

    value: Expression
    name: str
    arguments: Arguments


@dataclass(frozen=True, slots=True)
class Unary:
    """``not``, ``-``, ``+``, or ``floor`` for what ``//`` does after its division."""

    operator: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    """``and``, ``or``, ``in``, and what computes: ``+ - * / % ** ~``."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Comparison:
    """``a < b``; of several in a row each compares with what the one before gave."""

    first: Expression
    rest: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class Either:
    """``a if condition else b``."""

    value: Expression
    condition: Expression
    otherwise: Expression | None


@dataclass(frozen=True, slots=True)
class Capture:
    """What statements write, as a value."""

    body: Body


Expression: TypeAlias = (
    Literal
    | Pattern
    | Name
    | ListOf
    | ObjectOf
    | Group
    | Lookup
    | Slice
    | Call
    | Filtered
    | Tested
    | Unary
    | Binary
    | Comparison
    | Either
    | Capture
)


@dataclass(frozen=True, slots=True)
class Text:
    """What is written as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Output:
    """``${{ expression }}``."""

    expression: Expression
    line: int


@dataclass(frozen=True, slots=True)
class If:
    """``{% if %}``; ``otherwise`` is what its ``else`` or ``elif`` has."""

    condition: Expression
    body: Body
    otherwise: Body
    line: int


@dataclass(frozen=True, slots=True)
class For:
    """``{% for a, b in items %}``; ``otherwise`` is for an empty one."""

    targets: tuple[str, ...]
    items: Expression
    body: Body
    otherwise: Body
    line: int


@dataclass(frozen=True, slots=True)
class Set:
    """``{% set a = b %}``, or ``{% set a %}…{% endset %}``."""

    targets: tuple[str, ...]
    value: Expression
    line: int


@dataclass(frozen=True, slots=True)
class Switch:
    """``{% switch a %}{% case b %}…{% default %}…{% endswitch %}``."""

    value: Expression
    cases: tuple[tuple[Expression, Body], ...]
    otherwise: Body
    line: int


@dataclass(frozen=True, slots=True)
class Block:
    """``{% block name %}``, which means something to templates that extend others only."""

    body: Body


Statement: TypeAlias = Block | Text | Output | If | For | Set | Switch
Body: TypeAlias = tuple[Statement, ...]


def nodes(body: Body) -> Iterator[object]:
    """Every statement and every expression of a template, at every depth."""
    waiting: list[object] = [body]
    while waiting:
        one = waiting.pop()
        if isinstance(one, tuple):
            waiting.extend(one)
        elif is_dataclass(one):
            yield one
            waiting.extend(getattr(one, field.name) for field in fields(one))


def may_call(body: Body, methods: Collection[object]) -> bool:
    """Whether a template may call one of these methods, by its name or by one that it makes up."""
    parts = list(nodes(body))
    if any(isinstance(one, Literal) and one.value in methods for one in parts):
        return True
    keys = [one.key if isinstance(one, Lookup) else one.start for one in parts if isinstance(one, Lookup | Slice)]
    is_made_up = any(key is not None and not isinstance(key, Literal) for key in keys)
    return is_made_up and any(isinstance(one, Call) for one in parts)
