"""Rewriting a parsed template so that everything in it which can grow, or take long, passes one of our checks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from jinja2 import nodes
from jinja2.exceptions import TemplateSyntaxError
from jinja2.visitor import NodeTransformer

from portal_actions_plugin.software_templates.expressions.limits import SandboxError, current_budget, measured
from portal_actions_plugin.software_templates.expressions.values import concatenated

MAX_ARGUMENTS = 20
# A space keeps these out of a template author's reach.
_LITERAL, _LOOP, _PAIRS, _CONCAT, _TIMED = " literal", " loop", " pairs", " concat", " timed"

T = TypeVar("T")
Node = TypeVar("Node", bound=nodes.Node)


def bounded(tree: Node) -> Node:
    """Put a check around everything in a parsed template that can grow or take long.

    Args:
        tree: an expression or a whole template as Jinja has parsed it; it is changed.

    Returns:
        The rewritten tree, which only an environment with the filters of ``CHECKS`` can compile.

    Raises:
        jinja2.TemplateSyntaxError: it has what no check can bound, such as a recursive loop or ``*`` in a call.
        SandboxError: a literal in it is too large.
    """
    rewritten: Node = _Bounded().visit(tree)
    return rewritten


def _timed(value: T) -> T:
    current_budget().check_time()
    return value


class _Watched(list[object]):
    """A list whose loop is stopped when the time is up, whatever its body does."""

    def __iter__(self) -> Iterator[object]:
        for item in super().__iter__():
            current_budget().check_time()
            yield item


def _loop(items: Iterable[object]) -> list[object]:
    found = list(items) if isinstance(items, Mapping) else items
    if not isinstance(found, list | tuple | str | range):
        found = list(iter(items))
    current_budget().check_time()
    current_budget().loop(len(found))
    return _Watched(found)


def _loop_pairs(items: Iterable[object]) -> list[object]:
    """As in the format, ``for key, value in object`` goes through pairs."""
    return _loop([list(pair) for pair in items.items()] if isinstance(items, Mapping) else items)


CHECKS: Mapping[str, Callable[..., object]] = {
    _LITERAL: measured,
    _LOOP: _loop,
    _PAIRS: _loop_pairs,
    _CONCAT: concatenated,
    _TIMED: _timed,
}
"""The filters that a rewritten template calls, by their hidden names."""


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


def _through(filter_name: str, node: nodes.Node) -> nodes.Filter:
    return nodes.Filter(node, filter_name, [], [], None, None, lineno=node.lineno)
