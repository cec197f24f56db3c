"""Evaluating a parsed template. It can reach what it is given, our filters and our methods, and nothing else."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping

from portal_actions_plugin.software_templates.expressions import host_calls
from portal_actions_plugin.software_templates.expressions.limits import SandboxError, current_budget
from portal_actions_plugin.software_templates.nunjucks import javascript as js
from portal_actions_plugin.software_templates.nunjucks import syntax
from portal_actions_plugin.software_templates.nunjucks.as_json import json_text
from portal_actions_plugin.software_templates.nunjucks.calls.filters import BY_NAME, FILTERS, OF_BACKSTAGE
from portal_actions_plugin.software_templates.nunjucks.calls.functions import Global, host_call, host_functions
from portal_actions_plugin.software_templates.nunjucks.calls.lookups import lookup
from portal_actions_plugin.software_templates.nunjucks.calls.methods import MUTATING, method, slice_of
from portal_actions_plugin.software_templates.nunjucks.calls.operands import Filter
from portal_actions_plugin.software_templates.nunjucks.calls.tests import TESTS
from portal_actions_plugin.software_templates.nunjucks.javascript import UNDEFINED, Function, JavaScriptError
from portal_actions_plugin.software_templates.nunjucks.loops import loop_values, number_range, part_of, rounds
from portal_actions_plugin.software_templates.nunjucks.patterns import RegularExpression

MAX_NESTED = 100
"""Expressions and statements inside each other."""

ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": js.divided,
    "%": js.remainder,
    "**": js.power,
}
COMPARISONS: Mapping[str, Callable[[object, object], bool]] = {
    "==": js.loosely_equal,
    "!=": lambda left, right: not js.loosely_equal(left, right),
    "===": js.strictly_equal,
    "!==": lambda left, right: not js.strictly_equal(left, right),
    "<": lambda left, right: js.order(left, right) < 0,
    "<=": lambda left, right: js.order(left, right) <= 0,
    ">": lambda left, right: js.order(left, right) > 0,
    ">=": lambda left, right: js.order(left, right) >= 0,
}


class _Scope:
    """The names of a template. A loop sees, and sets, those around it."""

    def __init__(self, outer: _Scope | None = None) -> None:
        self._outer = outer
        self._values: dict[str, object] = {}

    def find(self, name: str) -> _Scope | None:
        scope: _Scope | None = self
        while scope is not None and name not in scope._values:  # noqa: SLF001 its own class
            scope = scope._outer  # noqa: SLF001
        return scope

    def get(self, name: str) -> object:
        return self._values[name]

    def bind(self, name: str, value: object) -> None:
        self._values[name] = value

    def assign(self, name: str, value: object) -> None:
        (self.find(name) or self).bind(name, value)


class Evaluator:
    """Evaluates with one context.

    Attributes:
        filters: by name.
        written: what the template has written so far, piece by piece.
        as_json: the same with each value as JSON, or as nothing where that has no JSON.
        line: where in the template it is, from 1.
        unknown: the names that were read and that nobody has given, each with its first line.
    """

    filters: Mapping[str, Filter] = FILTERS

    def __init__(self, context: Mapping[str, object], functions: Mapping[str, Function]) -> None:
        """Take what the template may name, and what it may call beside ``range``."""
        self.written: list[str] = []
        self.as_json: list[str] = []
        self.line = 1
        self.unknown: dict[str, int] = {}
        self._context = context
        self._host = host_calls.current()
        self._host_values = self._host.values
        self._functions = {"range": Global(number_range), **functions, **host_functions(self._host)}
        self._scope = _Scope()
        self._depth = 0

    def run(self, body: syntax.Body) -> None:
        """Write what a template writes.

        Raises:
            JavaScriptError: something in it fails.
            SandboxError: it makes or computes too much.
        """
        if syntax.may_call(body, MUTATING):  # what the run and the portal have must stay what it is
            self._context, self._host_values = copy.deepcopy((dict(self._context), self._host.values))
        self._body(body)

    def _body(self, body: syntax.Body) -> None:
        for statement in body:
            self._deeper()
            self.line = getattr(statement, "line", self.line)
            if isinstance(statement, syntax.Text):
                self._write(statement.text, statement.text)
            elif isinstance(statement, syntax.Output):
                value = self.value(statement.expression)
                self._write(js.written(value), json_text(value) or "")
            elif isinstance(statement, syntax.If):
                self._body(statement.body if js.truthy(self.value(statement.condition)) else statement.otherwise)
            elif isinstance(statement, syntax.For):
                self._loop(statement)
            elif isinstance(statement, syntax.Set):
                value = self.value(statement.value)
                for target in statement.targets:
                    self._scope.assign(target, value)
            elif isinstance(statement, syntax.Switch):
                self._body(self._case(statement))
            else:
                self._in_own_scope(statement.body)
            self._depth -= 1

    def _in_own_scope(self, body: syntax.Body) -> None:
        outer, self._scope = self._scope, _Scope()
        self._body(body)
        self._scope = outer

    def _write(self, text: str, as_json: str) -> None:
        current_budget().take(len(text))
        self.written.append(text)
        self.as_json.append(as_json)

    def _loop(self, loop: syntax.For) -> None:
        value = self.value(loop.items)
        items = rounds(value, len(loop.targets))
        current_budget().loop(len(items))
        outer, self._scope = self._scope, _Scope(self._scope)
        for index, item in enumerate(items):
            current_budget().check_time()
            parts = [item] if len(loop.targets) == 1 else [part_of(item, at) for at in range(len(loop.targets))]
            for target, part in zip(loop.targets, parts, strict=True):
                self._scope.bind(target, part)
            self._scope.bind("loop", loop_values(index, len(items)))
            self._body(loop.body)
        if not items:
            self._body(loop.otherwise)
        self._scope = outer

    def _case(self, switch: syntax.Switch) -> syntax.Body:
        """The first case that fits, or the next one after it that says anything."""
        value = self.value(switch.value)
        fits = False
        for condition, body in switch.cases:
            fits = fits or js.strictly_equal(value, self.value(condition))
            if fits and body:
                return body
        return switch.otherwise

    def _captured(self, body: syntax.Body) -> str:
        outer, self.written = self.written, []
        outer_json, self.as_json = self.as_json, []
        self._body(body)
        text = "".join(self.written)
        self.written, self.as_json = outer, outer_json
        return text

    def value(self, expression: syntax.Expression) -> object:
        """Evaluate an expression; raises as ``run``."""
        self._deeper()
        found = self._value(expression)
        self._depth -= 1
        return found

    def _deeper(self) -> None:
        current_budget().check_time()
        self._depth += 1
        if self._depth > MAX_NESTED:
            raise SandboxError(f"it is nested deeper than {MAX_NESTED} levels")

    def _value(self, expression: syntax.Expression) -> object:  # noqa: C901, PLR0911, PLR0912
        match expression:
            case syntax.Literal(value):
                return value
            case syntax.Pattern(source, flags):
                return RegularExpression(source, flags)
            case syntax.Name(name):
                return self.named(name)
            case syntax.ListOf(items):
                return [self.value(item) for item in items]
            case syntax.ObjectOf(pairs):
                return {key: self.value(item) for key, item in pairs}
            case syntax.Group(items):
                return [self.value(item) for item in items][-1]
            case syntax.Lookup(target, key):
                return self.member(self.value(target), js.to_text(self.value(key)))
            case syntax.Slice():
                return self._slice(expression)
            case syntax.Call():
                return self._call(expression)
            case syntax.Filtered():
                return self._filtered(expression)
            case syntax.Tested():
                return self._tested(expression)
            case syntax.Unary(operator, value):
                return _unary(operator, self.value(value))
            case syntax.Binary():
                return self._binary(expression)
            case syntax.Comparison(first, rest):
                found = self.value(first)
                for operator, right in rest:
                    found = COMPARISONS[operator](found, self.value(right))
                return found
            case syntax.Either(value, condition, otherwise):
                if js.truthy(self.value(condition)):
                    return self.value(value)
                return self.value(otherwise) if otherwise is not None else ""
            case syntax.Capture(body):
                return self._captured(body)

    def member(self, target: object, key: str) -> object:
        """What lies at a key of a value: a part of it, or one of its methods; undefined when nothing does."""
        found = lookup(target, key)
        return found if found is not UNDEFINED else method(target, key) or UNDEFINED

    def named(self, name: str) -> object:
        """What a name of the template stands for; undefined when nobody has given it."""
        scope = self._scope.find(name)
        if scope is not None:
            return scope.get(name)
        if name in self._context:
            return self._context[name]
        if name not in self._functions and name not in self._host_values:
            self.unknown.setdefault(name, self.line)
        return self._functions.get(name) or self._host_values.get(name, UNDEFINED)

    def _slice(self, expression: syntax.Slice) -> object:
        target = self.value(expression.target)
        start = None if expression.start is None else self.value(expression.start)
        stop = None if expression.stop is None else self.value(expression.stop)
        step: object = 1 if expression.step is None else self.value(expression.step)
        return slice_of(target, start, stop, step)

    def _binary(self, expression: syntax.Binary) -> object:
        left = self.value(expression.left)
        if expression.operator == "or":
            return left if js.truthy(left) else self.value(expression.right)
        if expression.operator == "and":
            return self.value(expression.right) if js.truthy(left) else left
        right = self.value(expression.right)
        if expression.operator == "+":
            return js.add(left, right)
        if expression.operator == "~":
            return js.joined(js.to_text(left), js.to_text(right))
        if expression.operator == "in":
            return _contains(right, left)
        return js.tidy(ARITHMETIC[expression.operator](js.to_number(left), js.to_number(right)))

    def _given(self, arguments: syntax.Arguments) -> tuple[list[object], dict[str, object]]:
        positional = [_no_function(self.value(one)) for one in arguments.positional]
        return positional, {name: _no_function(self.value(one)) for name, one in arguments.keyword}

    def _call(self, call: syntax.Call) -> object:
        target = self.value(call.target)
        if not isinstance(target, Function):
            raise JavaScriptError(f"{_shown(call.target)} is no function")
        return js.bounded(target(*self._given(call.arguments)))

    def _filtered(self, filtered: syntax.Filtered) -> object:
        own = self._host.filters.get(filtered.name)
        if own is None and filtered.name not in self.filters:
            raise JavaScriptError(f"there is no filter {filtered.name!r}")
        value = _no_function(self.value(filtered.value))
        if own is not None:
            positional, keyword = self._given(filtered.arguments)
            return host_call(f"filter {filtered.name!r}", own, [value, *positional], keyword)
        positional, keyword = self._given(filtered.arguments)
        if keyword and filtered.name not in BY_NAME:
            if filtered.name in OF_BACKSTAGE:
                raise JavaScriptError(f"{filtered.name} takes nothing by name")
            positional, keyword = [*positional, {**keyword, "__keywords": True}], {}  # as Nunjucks hands it on
        return js.bounded(self.filters[filtered.name](value, positional, keyword))

    def _tested(self, tested: syntax.Tested) -> object:
        if tested.name not in TESTS or tested.arguments.keyword:
            raise JavaScriptError(f"there is no test {tested.name!r}")
        value = self.value(tested.value)
        return TESTS[tested.name](value, [self.value(one) for one in tested.arguments.positional])


def _unary(operator: str, value: object) -> object:
    if operator == "not":
        return not js.truthy(value)
    number = js.to_number(value)
    if operator == "-":
        return js.tidy(-number)
    return js.tidy(math.floor(number) if operator == "floor" and math.isfinite(number) else number)


def _contains(container: object, value: object) -> bool:
    if isinstance(container, js.SafeText):  # an object, at home
        return js.to_text(value) in {"length", "val"}
    if isinstance(container, str):
        return js.to_text(value) in container
    if isinstance(container, list):
        return any(js.strictly_equal(item, value) for item in container)
    if isinstance(container, dict):
        return js.to_text(value) in container
    raise JavaScriptError("in looks into a list, an object or a text")


def _no_function(value: object) -> object:
    if isinstance(value, Function):
        raise JavaScriptError("a function is no value: call it with ()")
    return value


def _shown(expression: syntax.Expression) -> str:
    if isinstance(expression, syntax.Name):
        return expression.name
    if isinstance(expression, syntax.Lookup) and isinstance(expression.key, syntax.Literal):
        return f"{_shown(expression.target)}.{expression.key.value}"
    return "it"
