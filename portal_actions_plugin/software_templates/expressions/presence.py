"""What an expression needs that may not be there when it is evaluated: an optional parameter, a skipped step's output.

Read from Jinja's tree, with what a step's own ``if`` and each condition on the way say about it. What cannot be
followed counts as there: a finding takes a template away, and a run says it in any case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from jinja2 import nodes

from portal_actions_plugin.software_templates.expressions import compiling, host_calls
from portal_actions_plugin.software_templates.expressions.filters import FILTERS
from portal_actions_plugin.software_templates.expressions.limits import SandboxError, current_budget
from portal_actions_plugin.software_templates.expressions.rendering import FAILURES

Path = tuple[str, ...]
"""``("parameters", "db", "size")``, ``("steps", "create-repo")``."""

NO_ELSE: Path = ("if",)
"""Stands for an ``if`` without an ``else``, which gives nothing where it is false."""
_DEFAULTS = frozenset({"default", "d"})
_TOLERANT_TESTS = frozenset(
    [
        *(
            "defined",
            "undefined",
            "none",
            "string",
            "number",
            "mapping",
            "boolean",
            "true",
            "false",
            "integer",
            "float",
        ),
        *("eq", "ne", "equalto", "==", "!=", "in"),
    ]
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known where an expression is evaluated.

    Attributes:
        there: paths that have a value.
        holds: the conditions that are true, each in one spelling.
    """

    there: frozenset[Path] = frozenset()
    holds: frozenset[str] = frozenset()

    def has(self, path: Path) -> bool:
        """Whether a path, or a part of what it leads to, is known to be there."""
        return any(known[: len(path)] == path for known in self.there)

    def and_that(self, there: frozenset[Path]) -> Facts:
        """With more that is there."""
        return Facts(self.there | there, self.holds) if there else self


@dataclass(frozen=True, slots=True)
class Optional:
    """What may not be there.

    Attributes:
        parameters: for each path of an optional parameter, what to write as its default.
        on_condition: those that a condition of the form asks for: taken as there wherever anything is asked first.
        steps: the steps that may be skipped, or have failed.
        after_failure: whether it is asked after a failure, too.
    """

    parameters: Mapping[Path, str] = field(default_factory=dict)
    on_condition: frozenset[Path] = frozenset()
    steps: frozenset[str] = frozenset()
    after_failure: bool = False

    def part_of(self, path: Path, facts: Facts) -> Path | None:
        """The shortest part of a path that may not be there; None when all of it is."""
        if path[0] == "steps":
            absent = len(path) > 1 and path[1] in self.steps and not facts.has(path[:2])
            return path[:2] if absent else None
        for length in range(2, len(path) + 1):
            part = path[:length]
            is_asked_for = part in self.on_condition and (facts.there or facts.holds)
            if part in self.parameters and not is_asked_for and not facts.has(part):
                return part
        return None


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that an expression needs, and that may not be there.

    Attributes:
        expression: as it is written.
        part: what may not be there, or ``NO_ELSE``.
        used: the whole of what is written there, such as ``("steps", "gh", "output", "url")``.
        alone: whether the expression is nothing else.
    """

    expression: str
    part: Path
    used: Path
    alone: bool


def lacks(text: str, optional: Optional, facts: Facts, *, value_needed: bool) -> tuple[Lack, ...]:
    """What the expressions of a text need that may not be there; never raises.

    Args:
        text: of a template.
        optional: what may not be there.
        facts: what is known where it is evaluated.
        value_needed: whether a text that is one expression must have a value; an ``if`` needs none.
    """
    found: dict[Lack, None] = {}
    try:
        parts = compiling.split(text) if "${{" in text else ()
        for part in parts:
            if isinstance(part, compiling.Expression):
                tree = _tree(part.source)
                reader = _Reader(optional)
                needed = value_needed or len(parts) > 1
                open_ = reader.visit(tree, facts)
                wanting = [*reader.found, *(open_ if needed else ())]
                for lack, used in wanting:
                    found[Lack(f"${{{{ {part.source} }}}}", lack, used, _path(tree) == used)] = None
    except FAILURES:
        return ()
    return tuple(found)


def facts_of(condition: object) -> Facts:
    """What is known where an ``if`` holds; never raises."""
    if not isinstance(condition, str) or "${{" not in condition:
        return Facts()
    try:
        parts = compiling.split(condition)
        if len(parts) != 1 or not isinstance(parts[0], compiling.Expression):
            return Facts()
        tree = _tree(parts[0].source)
        return Facts(_if_true(tree), frozenset(map(repr, _conjuncts(tree))))
    except FAILURES:
        return Facts()


@lru_cache(maxsize=512)
def _tree(source: str) -> nodes.Expr:
    return compiling.parse(source)


def _conjuncts(node: nodes.Expr) -> Iterator[nodes.Expr]:
    if isinstance(node, nodes.And):
        yield from _conjuncts(node.left)
        yield from _conjuncts(node.right)
    else:
        yield node


def _path(node: nodes.Node) -> Path | None:
    """The path that a look-up writes out from ``parameters``, ``secrets`` or ``steps``; None for anything else."""
    keys: list[str] = []
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        if isinstance(node, nodes.Getattr):
            keys.append(node.attr)
        elif isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            keys.append(node.arg.value)
        else:
            keys.clear()  # it is computed: what it is taken from counts
        node = node.node
    if isinstance(node, nodes.Name) and node.name in {"parameters", "secrets", "steps"} and keys:
        return (node.name, *reversed(keys))
    return None


def _if_true(node: nodes.Expr) -> frozenset[Path]:  # noqa: C901, PLR0911 a case for each kind of node
    """What is there when an expression is true."""
    if (path := _path(node)) is not None:
        return _told(path)
    match node:
        case nodes.And():
            return _if_true(node.left) | _if_true(node.right)
        case nodes.Or():
            return _if_true(node.left) & _if_true(node.right)
        case nodes.Not():
            return _if_false(node.node)
        case nodes.Test(name="defined") if (tested := _path(node.node)) is not None:
            return _told(tested)
        case nodes.Compare(ops=[nodes.Operand(op="eq", expr=other)]):
            if isinstance(other, nodes.Const) and not _is_null(other):
                return _told(_path(node.expr))
            if isinstance(node.expr, nodes.Const) and not _is_null(node.expr):
                return _told(_path(other))
        case nodes.Compare(ops=[nodes.Operand(op="ne", expr=other)]) if _is_null(other):
            return _told(_path(node.expr))
        case nodes.Compare(ops=[nodes.Operand(op="in")]):
            return _told(_path(node.expr))
    return frozenset()


def _if_false(node: nodes.Expr) -> frozenset[Path]:
    match node:
        case nodes.Not():
            return _if_true(node.node)
        case nodes.Or():
            return _if_false(node.left) | _if_false(node.right)
        case nodes.And():
            return _if_false(node.left) & _if_false(node.right)
        case nodes.Test(name="undefined") if (tested := _path(node.node)) is not None:
            return _told(tested)
        case nodes.Compare(ops=[nodes.Operand(op="eq", expr=other)]) if _is_null(other):
            return _told(_path(node.expr))
    return frozenset()


def _is_null(node: nodes.Expr) -> bool:
    """``none`` and, as the format writes it, ``null``."""
    return (isinstance(node, nodes.Const) and node.value is None) or (
        isinstance(node, nodes.Name) and node.name == "null"
    )


def _told(path: Path | None) -> frozenset[Path]:
    return frozenset({path}) if path else frozenset()


class _Reader:
    """Goes through an expression.

    Attributes:
        found: what is needed on the way and may not be there, each with the whole of what is written.
    """

    def __init__(self, optional: Optional) -> None:
        self._optional = optional
        self.found: list[tuple[Path, Path]] = []

    def visit(self, node: nodes.Node, facts: Facts) -> list[tuple[Path, Path]]:  # noqa: PLR0911 as above
        """Why the value of a part of it may not be there: empty when it is."""
        current_budget().check_time()
        if (path := _path(node)) is not None:
            self._computed_keys(node, facts)
            part = self._optional.part_of(path, facts)
            return [(part, path)] if part else []
        match node:
            case nodes.And():
                left = self.visit(node.left, facts)
                return [*left, *self.visit(node.right, facts.and_that(_if_true(node.left)))]
            case nodes.Or():
                self.visit(node.left, facts)
                return self.visit(node.right, facts.and_that(_if_false(node.left)))
            case nodes.Not():
                self.visit(node.node, facts)
                return []
            case nodes.CondExpr():
                self.visit(node.test, facts)
                first = self.visit(node.expr1, facts.and_that(_if_true(node.test)))
                if node.expr2 is None:
                    return [*first, (NO_ELSE, NO_ELSE)]
                return [*first, *self.visit(node.expr2, facts.and_that(_if_false(node.test)))]
            case nodes.Getattr():
                return self.visit(node.node, facts)
            case nodes.Getitem():
                self._need(node.arg, facts)
                return self.visit(node.node, facts)
        return self._computed(node, facts)

    def _computed(self, node: nodes.Node, facts: Facts) -> list[tuple[Path, Path]]:
        match node:
            case nodes.Call(node=nodes.Getattr(node=target)):  # a method: what it is called on is needed
                self._need(target, facts)
                self._need_all([*node.args, *(one.value for one in node.kwargs)], facts)
                return []
            case nodes.Filter() if node.name not in FILTERS and node.name not in host_calls.current().filters:
                raise SandboxError("it cannot be evaluated at all, and that is said elsewhere")
            case nodes.Filter() if node.name in _DEFAULTS and node.node is not None:
                self.visit(node.node, facts)
                return [why for given in node.args for why in self.visit(given, facts)]
            case nodes.Test() if node.name in _TOLERANT_TESTS:
                self.visit(node.node, facts)
                self._need_all(node.args, facts)
                return []
            case nodes.Compare() if all(one.op in {"eq", "ne", "in", "notin"} for one in node.ops):
                self.visit(node.expr, facts)
                for one in node.ops:
                    why = self.visit(one.expr, facts)
                    self.found.extend(why if one.op in {"in", "notin"} else ())
                return []
        self._need_all(node.iter_child_nodes(), facts)
        return []

    def _computed_keys(self, node: nodes.Node, facts: Facts) -> None:
        while isinstance(node, nodes.Getattr | nodes.Getitem):
            if isinstance(node, nodes.Getitem):
                self._need(node.arg, facts)
            node = node.node

    def _need(self, node: nodes.Node, facts: Facts) -> None:
        self.found.extend(self.visit(node, facts))

    def _need_all(self, parts: Iterator[nodes.Node] | list[nodes.Expr], facts: Facts) -> None:
        for part in parts:
            self._need(part, facts)
