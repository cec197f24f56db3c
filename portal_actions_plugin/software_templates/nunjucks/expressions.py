"""Parsing expressions, with the precedence of Nunjucks: ``not``, ``~``, ``//`` and ``**`` bind otherwise than in Jinja."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from portal_actions_plugin.software_templates.nunjucks import patterns, syntax
from portal_actions_plugin.software_templates.nunjucks.shapes import Operations, from_left, negated, tested
from portal_actions_plugin.software_templates.nunjucks.syntax import NunjucksSyntaxError
from portal_actions_plugin.software_templates.nunjucks.tokens import Token, tokens

MAX_SOURCE = 8_000
"""Characters of one expression."""
MAX_NESTED = 30
"""Parentheses, brackets and calls inside each other; each takes some twenty calls of Python's."""
RESERVED = frozenset({"constructor", "prototype", "__proto__"})

_LITERALS = {"true": True, "false": False, "none": None, "null": None}
_EQUALITY = ("==", "===", "!=", "!==")
_ORDER = ("<", "<=", ">", ">=")
_ADDITIVE = ("+", "-", "~")

T = TypeVar("T")


def parse(source: str, line: int) -> syntax.Expression:
    """Parse one expression.

    Args:
        source: without its braces.
        line: where it begins, counted from 1.

    Raises:
        NunjucksSyntaxError: names what is wrong and its line.
    """
    parser = _Parser(source, line)
    return parser.whole(parser.either)


def parse_targets(source: str, line: int) -> tuple[str, ...]:
    """Parse the names of a ``for`` or a ``set``; raises NunjucksSyntaxError."""
    parser = _Parser(source, line)
    return parser.whole(parser.targets)


def parse_filter(source: str, line: int, value: syntax.Expression) -> syntax.Filtered:
    """Parse what follows ``{% filter``, of a value that is there already; raises NunjucksSyntaxError."""
    parser = _Parser(source, line)
    return parser.whole(lambda: parser.filter_of(value))


class _Parser:
    """Recursive descent; each method parses what binds at least as tightly as its name says."""

    def __init__(self, source: str, line: int) -> None:
        if len(source) > MAX_SOURCE:
            raise NunjucksSyntaxError(f"it is longer than {MAX_SOURCE:,} characters", line)
        self._tokens = list(tokens(source, line))
        self._at = 0
        self._depth = 0

    def whole(self, parse: Callable[[], T]) -> T:
        """Parse everything that there is."""
        found = parse()
        if self._now.kind != "end":
            raise self._unexpected()
        return found

    def targets(self) -> tuple[str, ...]:
        names = [self._name()]
        while self._took(","):
            names.append(self._name())
        if literals := [name for name in names if name in _LITERALS]:
            raise NunjucksSyntaxError(f"{literals[0]!r} is no name that can be set", self._now.line)
        return tuple(names)

    def either(self) -> syntax.Expression:
        value = self._or()
        if not self._took_name("if"):
            return value
        condition = self._or()
        return syntax.Either(value, condition, self._nested(self._or) if self._took_name("else") else None)

    def filter_of(self, value: syntax.Expression) -> syntax.Filtered:
        names = [self._name()]
        while self._took("."):
            names.append(self._name())
        arguments = self._nested(self._arguments) if self._took("(") else syntax.Arguments()
        return syntax.Filtered(value, ".".join(names), arguments)

    def _or(self) -> syntax.Expression:
        left = self._and()
        while self._took_name("or"):
            left = syntax.Binary("or", left, self._and())
        return left

    def _and(self) -> syntax.Expression:
        left = self._not()
        while self._took_name("and"):
            left = syntax.Binary("and", left, self._not())
        return left

    def _not(self) -> syntax.Expression:
        if self._took_name("not"):
            return negated(self._nested(self._not))
        return self._membership()

    def _membership(self) -> syntax.Expression:
        left = self._test()
        while True:
            negated = self._now.value == "not" and self._now.kind == "name" and self._next.value == "in"
            if negated:
                self._at += 2
            elif not self._took_name("in"):
                return left
            member = syntax.Binary("in", left, self._test())
            left = syntax.Unary("not", member) if negated else member

    def _test(self) -> syntax.Expression:
        left = self._equality()
        if not self._took_name("is"):
            return left
        negated = self._took_name("not")
        test = tested(left, self._equality())
        return syntax.Unary("not", test) if negated else test

    def _equality(self) -> syntax.Expression:
        return self._comparison(_EQUALITY, self._order)

    def _order(self) -> syntax.Expression:
        return self._comparison(_ORDER, self._additive)

    def _comparison(self, operators: tuple[str, ...], operand: Callable[[], syntax.Expression]) -> syntax.Expression:
        first = operand()
        rest = []
        while operator := self._took_one(operators):
            rest.append((operator, operand()))
        return syntax.Comparison(first, tuple(rest)) if rest else first

    def _additive(self) -> syntax.Expression:
        left = self._multiplicative()
        while operator := self._took_one(_ADDITIVE):
            left = syntax.Binary(operator, left, self._multiplicative())
        return left

    def _multiplicative(self) -> syntax.Expression:
        """``*``, ``/`` and ``%`` in a row are worked out from left to right; ``//`` binds more tightly than the first two."""
        first, operations = self._floored()
        while operator := self._took_one(("*", "/")):
            right, more = self._floored()
            operations += [(operator, right), *more]
        return from_left(first, operations)

    def _floored(self) -> tuple[syntax.Expression, Operations]:
        first, operations = self._remainder()
        while self._took("//"):
            right, more = self._remainder()
            first = syntax.Unary("floor", from_left(first, [*operations, ("/", right), *more]))
            operations = []
        return first, operations

    def _remainder(self) -> tuple[syntax.Expression, Operations]:
        first, operations = self._power(), []
        while self._took("%"):
            operations.append(("%", self._power()))
        return first, operations

    def _power(self) -> syntax.Expression:
        left = self._filtered()
        while self._took("**"):
            left = syntax.Binary("**", left, self._filtered())
        return left

    def _filtered(self) -> syntax.Expression:
        value = self._unary()
        while self._took("|"):
            value = self.filter_of(value)
        return value

    def _unary(self) -> syntax.Expression:
        operator = self._took_one(("-", "+"))
        if operator is None:
            return self._postfix()
        value = self._nested(self._unary)
        if isinstance(value, syntax.Unary) and value.operator == operator:
            raise NunjucksSyntaxError(f"two {operator} in a row need parentheses", self._now.line)
        return syntax.Unary(operator, value)

    def _postfix(self) -> syntax.Expression:
        value = self._primary()
        while True:
            if self._took("."):
                value = syntax.Lookup(value, syntax.Literal(self._name()))
            elif self._took("["):
                value = self._nested(lambda target=value: self._subscript(target))  # type: ignore[misc]
            elif self._took("("):
                value = syntax.Call(value, self._nested(self._arguments))
            else:
                return value

    def _subscript(self, target: syntax.Expression) -> syntax.Expression:
        start = None if self._is_one(":", "]") else self.either()
        if not self._took(":"):
            if start is None:
                raise self._unexpected()
            self._expect("]")
            if isinstance(start, syntax.Literal) and start.value in RESERVED:
                raise NunjucksSyntaxError(f"{start.value!r} cannot be used", self._now.line)
            return syntax.Lookup(target, start)
        stop = None if self._is_one(":", "]") else self.either()
        step = self.either() if self._took(":") and not self._is_one("]") else None
        self._expect("]")
        return syntax.Slice(target, start, stop, step)

    def _primary(self) -> syntax.Expression:  # noqa: PLR0911 a case for each kind of token
        token = self._now
        if token.kind in {"number", "text", "pattern", "name"}:
            self._at += 1
        if token.kind == "number":
            number = float(token.value)
            return syntax.Literal(int(number) if number.is_integer() else number)
        if token.kind == "text":
            return syntax.Literal(token.value)
        if token.kind == "pattern":
            return _pattern(token)
        if token.kind == "name":
            return syntax.Literal(_LITERALS[token.value]) if token.value in _LITERALS else syntax.Name(_allowed(token))
        if self._took("("):
            items = self._nested(lambda: self._list(")"))
            if not items:
                raise NunjucksSyntaxError("there is nothing between the parentheses", token.line)
            return syntax.Group(items)
        if self._took("["):
            return syntax.ListOf(self._nested(lambda: self._list("]")))
        if self._took("{"):
            return syntax.ObjectOf(self._nested(self._pairs))
        raise self._unexpected()

    def _list(self, end: str) -> tuple[syntax.Expression, ...]:
        if self._took(end):
            return ()
        items = [self.either()]
        while self._took(","):
            items.append(self.either())
        self._expect(end)
        return tuple(items)

    def _pairs(self) -> tuple[tuple[str, syntax.Expression], ...]:
        if self._took("}"):
            return ()
        pairs = [self._pair()]
        while self._took(","):
            pairs.append(self._pair())
        self._expect("}")
        return tuple(pairs)

    def _pair(self) -> tuple[str, syntax.Expression]:
        token = self._now
        if token.kind not in {"name", "text"} or (token.kind == "name" and token.value in _LITERALS):
            raise NunjucksSyntaxError("a key of an object is a text or a name", token.line)
        self._at += 1
        key = _allowed(token)
        self._expect(":")
        return key, self.either()

    def _arguments(self) -> syntax.Arguments:
        positional: list[syntax.Expression] = []
        keyword: list[tuple[str, syntax.Expression]] = []
        if self._took(")"):
            return syntax.Arguments()
        while True:
            if self._now.kind == "name" and self._next.value == "=" and self._next.kind == "operator":
                name = self._name()
                self._expect("=")
                keyword.append((name, self.either()))
            else:
                positional.append(self.either())
            if not self._took(","):
                self._expect(")")
                return syntax.Arguments(tuple(positional), tuple(keyword))

    @property
    def _now(self) -> Token:
        return self._tokens[self._at]

    @property
    def _next(self) -> Token:
        return self._tokens[min(self._at + 1, len(self._tokens) - 1)]

    def _is_one(self, *operators: str) -> bool:
        return self._now.kind == "operator" and self._now.value in operators

    def _took_one(self, operators: tuple[str, ...]) -> str | None:
        if not self._is_one(*operators):
            return None
        self._at += 1
        return self._tokens[self._at - 1].value

    def _took(self, operator: str) -> bool:
        return self._took_one((operator,)) is not None

    def _took_name(self, name: str) -> bool:
        if self._now.kind != "name" or self._now.value != name:
            return False
        self._at += 1
        return True

    def _expect(self, operator: str) -> None:
        if not self._took(operator):
            raise self._unexpected(f"instead of {operator!r}")

    def _name(self) -> str:
        token = self._now
        if token.kind != "name":
            raise self._unexpected("instead of a name")
        self._at += 1
        return _allowed(token)

    def _nested(self, parse: Callable[[], T]) -> T:
        self._depth += 1
        if self._depth > MAX_NESTED:
            raise NunjucksSyntaxError(f"it is nested deeper than {MAX_NESTED} levels", self._now.line)
        found = parse()
        self._depth -= 1
        return found

    def _unexpected(self, more: str = "here") -> NunjucksSyntaxError:
        token = self._now
        said = "it ends too early" if token.kind == "end" else f"unexpected {token.value[:40]!r} {more}"
        return NunjucksSyntaxError(said, token.line)


def _allowed(token: Token) -> str:
    if token.value in RESERVED:
        raise NunjucksSyntaxError(f"{token.value!r} cannot be used", token.line)
    return token.value


def _pattern(token: Token) -> syntax.Pattern:
    source, _, flags = token.value.removeprefix("r/").rpartition("/")
    try:
        patterns.compiled(source, flags)
    except ValueError as error:
        raise NunjucksSyntaxError(str(error), token.line) from None
    return syntax.Pattern(source, flags)
