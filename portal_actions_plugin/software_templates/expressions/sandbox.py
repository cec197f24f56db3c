"""The Jinja environments that evaluate a template author's expressions: few things are allowed, each in bounds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from jinja2 import StrictUndefined, Template, Undefined, nodes
from jinja2.environment import TemplateExpression
from jinja2.exceptions import TemplateSyntaxError
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from portal_actions_plugin.software_templates.expressions.filters import (
    FILTERS,
    METHODS,
    TESTS,
    check_power,
    concatenated,
    kind_of,
    text,
)
from portal_actions_plugin.software_templates.expressions.limits import (
    MAX_FILE_SIZE,
    MAX_RANGE,
    MAX_SIZE,
    SandboxError,
    current_budget,
    fits,
    measured,
    settled,
)

MAX_SOURCE = 8_000
"""Characters of one expression."""
MAX_TOKENS = 20_000
"""Words and signs of one skeleton file."""
MAX_ARGUMENTS = 20
_LOOP_PARTS = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "cycle"})
_IN_FILES = (nodes.Output, nodes.If, nodes.For, nodes.Assign)
# A space keeps these out of a template author's reach.
_LITERAL, _LOOP, _PAIRS, _CONCAT, _TIMED = " literal", " loop", " pairs", " concat", " timed"


class Sparse(dict[str, Any]):
    """A mapping some of whose keys are known but have no value now: they count as false, and are no values."""

    def __init__(self, values: Mapping[str, Any], known: Iterable[str], why: str) -> None:
        super().__init__(values)
        self.known = frozenset(known)
        self.why = why


class Absent(StrictUndefined):
    """A known name without a value: false in a condition, an error as a value."""

    __slots__ = ()

    @property
    def reason(self) -> str:
        """Why there is no value."""
        return str(self._undefined_hint)

    def __bool__(self) -> bool:  # type: ignore[override]
        return False

    def __eq__(self, other: object) -> bool:  # type: ignore[override]
        return other is None or isinstance(other, Undefined)

    def __ne__(self, other: object) -> bool:  # type: ignore[override]
        return not self == other

    __hash__ = None  # type: ignore[assignment]


class _ShortEnough(Extension):
    """Stops before a long source is parsed and compiled, which nothing could interrupt."""

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        """Count the tokens on their way to the parser."""
        for count, token in enumerate(stream):
            if count > MAX_TOKENS:
                raise SandboxError(f"it has more than {MAX_TOKENS:,} words and signs")
            yield token


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, narrowed: only named filters, tests and methods, and results that stay in bounds."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, **options: Any) -> None:
        super().__init__(
            variable_start_string="${{",
            variable_end_string="}}",
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            optimized=False,  # the optimizer would compute constants while a template is only being loaded
            finalize=text,
            extensions=(_ShortEnough,),
            **options,
        )
        self.globals.clear()
        self.globals["range"] = _short_range
        self.filters = {
            **FILTERS,
            _LITERAL: measured,
            _LOOP: _loop,
            _PAIRS: _loop_pairs,
            _CONCAT: concatenated,
            _TIMED: _timed,
        }
        self.tests = dict(TESTS)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Look up a name that the author wrote, which an error may repeat."""
        return self._look_up(obj, attribute, repr(attribute))

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Look up a computed key or index, which no error repeats: it may be a secret."""
        return self._look_up(obj, argument, "the key")

    def _look_up(self, obj: Any, argument: Any, shown: str) -> Any:
        """Find a key, an index or one of the allowed methods; a key wins over a method of its name."""
        current_budget().check_time()
        if isinstance(obj, Undefined):
            return obj
        try:
            if isinstance(obj, Mapping) or (isinstance(obj, str | list | tuple) and isinstance(argument, int | slice)):
                return obj[argument]
        except (LookupError, TypeError, ValueError):
            pass
        return self._allowed(obj, argument, shown)

    def _allowed(self, obj: Any, name: Any, shown: str) -> Any:
        if isinstance(obj, LoopContext) and name in _LOOP_PARTS:
            return getattr(obj, name)
        if name == "length" and isinstance(obj, str | list | tuple):
            return len(obj)
        for kind, methods in METHODS:
            if isinstance(obj, kind) and isinstance(name, str) and name in methods:
                return partial(methods[name], obj)
        return _nothing(obj, name, shown)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call what a look-up allowed, and measure what comes back."""
        return settled(super().call(context, obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute, after a look at the operands, so that no huge value is made first and measured later."""
        if operator == "%" and isinstance(left, str):
            raise SandboxError("% works on numbers only: write a ~ b to join texts")
        for number in (left, right):
            if isinstance(number, int):
                measured(number)
        if operator == "*":
            for many, times in ((left, right), (right, left)):
                if isinstance(many, str | list | tuple) and isinstance(times, int):
                    fits(len(many) * max(0, times))
        if operator == "**":
            check_power(left, right)
        return measured(super().call_binop(context, operator, left, right))


def _nothing(obj: Any, key: Any, shown: str) -> Undefined:
    name = key if isinstance(key, str) else None
    if isinstance(obj, Sparse) and name in obj.known:
        return Absent(f"{name!r} {obj.why}", obj, name)
    if isinstance(obj, Mapping):
        keys = sorted(str(key) for key in obj)
        there = f"; there is {', '.join(keys[:10])}{', …' if len(keys) > 10 else ''}" if keys else ""
        return StrictUndefined(f"{shown} is undefined{there}", obj, name)
    return StrictUndefined(f"{shown} cannot be used on {kind_of(obj)}", obj, name)


def _short_range(*numbers: int) -> range:
    made = range(*numbers)
    # len() of a range beyond the machine's word raises OverflowError, which is reported as "too large".
    if len(made) > MAX_RANGE:
        raise SandboxError(f"range gives at most {MAX_RANGE:,} numbers")
    return made


def _timed(value: Any) -> Any:
    current_budget().check_time()
    return value


class _Watched(list[Any]):
    """A list whose loop is stopped when the time is up, whatever its body does."""

    def __iter__(self) -> Iterator[Any]:
        for item in super().__iter__():
            current_budget().check_time()
            yield item


def _loop(items: Any) -> list[Any]:
    found: list[Any] = list(items) if isinstance(items, Mapping) else items
    if not isinstance(found, list | tuple | str | range):
        found = list(iter(items))
    current_budget().check_time()
    current_budget().loop(len(found))
    return _Watched(found)


def _loop_pairs(items: Any) -> list[Any]:
    """As in the format, ``for key, value in object`` goes through pairs."""
    return _loop([list(pair) for pair in items.items()] if isinstance(items, Mapping) else items)


class _Bounded(NodeTransformer):
    """Rewrites a parsed template so that everything which can grow passes one of our checks."""

    def visit_Name(self, node: nodes.Name) -> nodes.Node:  # noqa: N802 the visitor's naming
        return nodes.Const(None, lineno=node.lineno) if node.name == "null" and node.ctx == "load" else node

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802
        return _through(_LITERAL, self.generic_visit(node))

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802
        seen = self.generic_visit(node)
        return _through(_LITERAL, seen) if node.ctx == "load" else node

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802
        return _through(_LITERAL, self.generic_visit(node))

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:  # noqa: N802
        if isinstance(node.key, nodes.Name):  # {defaultKind: "group"}, as the format writes it
            node.key = nodes.Const(node.key.name, lineno=node.lineno)
        elif not isinstance(node.key, nodes.Const):  # errors name the keys of objects: none may be computed
            raise TemplateSyntaxError("a key of an object must be a name, or a text in quotes", node.lineno)
        self.generic_visit(node)
        return node

    def visit_Const(self, node: nodes.Const) -> nodes.Node:  # noqa: N802
        if isinstance(node.value, float) and not math.isfinite(node.value):  # Jinja would write it as the name inf
            raise SandboxError("it has a number that JSON does not have")
        return nodes.Const(measured(node.value), lineno=node.lineno)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.expr = _through(_TIMED, node.expr)
        return node

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802
        return self.generic_visit(_named_arguments(node))

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:  # noqa: N802
        return self.generic_visit(_named_arguments(node))

    def visit_Test(self, node: nodes.Test) -> nodes.Node:  # noqa: N802
        return self.generic_visit(_named_arguments(node))

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            return nodes.Getattr(node.node, node.arg.value, "load", lineno=node.lineno)
        if isinstance(node.arg, nodes.Slice):  # which Jinja leaves to Python
            node.node = _through(_TIMED, node.node)
            return _through(_LITERAL, node)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _through(_CONCAT, nodes.List(node.nodes, lineno=node.lineno))

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        if node.recursive:
            raise TemplateSyntaxError("a loop cannot be recursive here", node.lineno)
        self.generic_visit(node)
        node.iter = _through(_PAIRS if isinstance(node.target, nodes.Tuple) else _LOOP, node.iter)
        return node


def _named_arguments(node: nodes.Call | nodes.Filter | nodes.Test) -> nodes.Node:
    if node.dyn_args or node.dyn_kwargs:  # Python's errors repeat the name of an argument, which may be a secret
        raise TemplateSyntaxError("* and ** cannot be used in a call", node.lineno)
    if len(node.args) + len(node.kwargs) > MAX_ARGUMENTS:
        raise TemplateSyntaxError(f"a call has at most {MAX_ARGUMENTS} arguments", node.lineno)
    return node


def _through(filter_name: str, node: Any) -> nodes.Filter:
    return nodes.Filter(node, filter_name, [], [], None, None, lineno=node.lineno)


# Expressions only: these delimiters keep `{%` and `{#` in an input's text what they are.
_EXPRESSIONS = Sandbox(
    block_start_string="\x02%", block_end_string="%\x02", comment_start_string="\x02#", comment_end_string="#\x02"
)


@dataclass(frozen=True, slots=True)
class Expression:
    """The source between ``${{`` and ``}}``."""

    source: str


def split(whole: str) -> tuple[str | Expression, ...]:
    """Take a text apart into plain text and expressions.

    Raises:
        jinja2.TemplateSyntaxError: an expression cannot be read or is not closed.
        SandboxError: the text or an expression is too long.
    """
    if len(whole) > MAX_SIZE:
        raise SandboxError(f"a text with expressions has at most {MAX_SIZE:,} characters")
    return _split_short(whole) if len(whole) <= MAX_SOURCE else _split(whole)


def _split(whole: str) -> tuple[str | Expression, ...]:
    parts: list[str | Expression] = []
    inside: list[str] | None = None
    for line, kind, value in _EXPRESSIONS.lex(whole):
        if kind == "variable_begin":
            inside = []
        elif kind == "variable_end":
            parts.append(_expression(inside or []))
            inside = None
        elif inside is not None:
            inside.append(value)
        elif kind == "data":
            parts.append(value)
        else:
            raise TemplateSyntaxError(f"{value!r} cannot be used here", line)
    if inside is not None:
        raise TemplateSyntaxError("the expression is not closed with }}", 1)
    return tuple(parts)


_split_short = lru_cache(maxsize=512)(_split)
"""A template's texts are the same in each of its runs; long ones are not worth the memory."""


def _expression(tokens: list[str]) -> Expression:
    source = "".join(tokens).strip()
    if len(source) > MAX_SOURCE:
        raise SandboxError(f"it is longer than {MAX_SOURCE:,} characters")
    return Expression(source)


def parse(source: str) -> nodes.Expr:
    """Read one expression; raises TemplateSyntaxError."""
    body = _EXPRESSIONS.parse(f"${{{{ {source} }}}}").body
    if len(body) == 1 and isinstance(body[0], nodes.Output) and len(body[0].nodes) == 1:
        return body[0].nodes[0]
    raise TemplateSyntaxError("it is not one expression", 1)


@lru_cache(maxsize=512)
def compiled(source: str) -> TemplateExpression:
    """Compile one expression; call the result with the context."""
    value = _Bounded().visit(parse(source))
    body = [nodes.Assign(nodes.Name("result", "store", lineno=1), value, lineno=1)]
    tree = nodes.Template(body, lineno=1)
    tree.set_environment(_EXPRESSIONS)
    return TemplateExpression(_EXPRESSIONS.from_string(tree), undefined_to_none=False)


def compiled_file(whole: str) -> Template:
    """Compile a skeleton file: expressions, ``if``, ``for``, ``set`` and ``raw``."""
    if len(whole) > MAX_FILE_SIZE:
        raise SandboxError(f"a file with expressions has at most {MAX_FILE_SIZE:,} characters")
    environment = Sandbox(newline_sequence="\r\n" if "\r\n" in whole else "\n")
    tree = environment.parse(whole)
    for statement in tree.find_all(nodes.Stmt):
        if not isinstance(statement, _IN_FILES):
            raise TemplateSyntaxError("only if, for, set and raw can be used in a skeleton file", statement.lineno)
    bounded: nodes.Template = _Bounded().visit(tree)
    return environment.from_string(bounded)
