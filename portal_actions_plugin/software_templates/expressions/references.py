"""What the expressions of a text name, and what is wrong with them: everything that can be known without a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinja2 import nodes

from portal_actions_plugin.software_templates.expressions import compiling, host_calls
from portal_actions_plugin.software_templates.expressions.filters import FILTERS, TESTS
from portal_actions_plugin.software_templates.expressions.rendering import FAILURES, problem_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_STEP_PARTS = {"output", "outputs", "status"}


@dataclass(frozen=True, slots=True)
class References:
    """What one expression names.

    Attributes:
        expression: as it is written, or the whole text when that cannot be read.
        names: the names at the top, such as ``parameters``.
        parameters: ``x`` of each ``parameters.x``.
        secrets: ``x`` of each ``secrets.x``.
        steps: ``x`` of each ``steps.x``.
        problems: what is wrong whatever the context is: syntax, unknown filters.
        members: name and ``x`` of each ``name.x``, for all names at the top.
        whole: the names at the top that are used as a whole, or with a computed key.
        called: the names at the top that are called.
    """

    expression: str
    names: frozenset[str] = frozenset()
    parameters: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    steps: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()
    members: frozenset[tuple[str, str]] = frozenset()
    whole: frozenset[str] = frozenset()
    called: frozenset[str] = frozenset()


def references(text: str) -> tuple[References, ...]:
    """Read every expression of a text; never raises."""
    if "${{" not in text:
        return ()
    try:
        parts = compiling.split(text)
    except FAILURES as error:
        return (References(text, problems=(problem_of(error),)),)
    return tuple(_read(part.source) for part in parts if isinstance(part, compiling.Expression))


def _read(source: str) -> References:
    shown = f"${{{{ {source} }}}}"
    try:
        tree = nodes.Output([compiling.parse(source)])
        found = References(
            shown,
            names=frozenset(_names(tree)),
            parameters=frozenset(_parts(tree, "parameters")),
            secrets=frozenset(_parts(tree, "secrets")),
            steps=frozenset(_parts(tree, "steps")),
            problems=tuple(dict.fromkeys(_problems(tree))),
            members=frozenset(_members(tree)),
            whole=frozenset(_whole(tree)),
            called=frozenset(_called(tree)),
        )
        if not found.problems:
            compiling.compiled(source)
    except FAILURES as error:
        return References(shown, problems=(problem_of(error),))
    return found


def _names(tree: nodes.Node) -> Iterator[str]:
    quoted = {id(pair.key) for pair in tree.find_all(nodes.Pair)}  # {defaultKind: …} names nothing
    for name in tree.find_all(nodes.Name):
        if id(name) not in quoted and name.name != "null":
            yield name.name


def _parts(tree: nodes.Node, top: str) -> Iterator[str]:
    for node in _lookups(tree):
        if isinstance(node.node, nodes.Name) and node.node.name == top:
            key = _key(node)
            if key is not None:
                yield key


def _members(tree: nodes.Node) -> Iterator[tuple[str, str]]:
    for node in _lookups(tree):
        if isinstance(node.node, nodes.Name) and (key := _key(node)) is not None:
            yield node.node.name, key


def _whole(tree: nodes.Node) -> Iterator[str]:
    in_part = {id(node.node) for node in _lookups(tree) if _key(node) is not None}
    quoted = {id(pair.key) for pair in tree.find_all(nodes.Pair)}
    for name in tree.find_all(nodes.Name):
        if id(name) not in in_part | quoted:
            yield name.name


def _called(tree: nodes.Node) -> Iterator[str]:
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name):
            yield call.node.name


def _lookups(tree: nodes.Node) -> Iterator[nodes.Getattr | nodes.Getitem]:
    yield from tree.find_all(nodes.Getattr)
    yield from tree.find_all(nodes.Getitem)


def _key(node: nodes.Getattr | nodes.Getitem) -> str | None:
    if isinstance(node, nodes.Getattr):
        return node.attr
    return str(node.arg.value) if isinstance(node.arg, nodes.Const) else None


def _problems(tree: nodes.Node) -> Iterator[str]:
    for used in tree.find_all(nodes.Filter):
        if used.name not in FILTERS and used.name not in host_calls.current().filters:
            yield f"there is no filter {used.name!r}; there is {', '.join(sorted(FILTERS))}"
    for asked in tree.find_all(nodes.Test):
        if asked.name not in TESTS:
            yield f"there is no test {asked.name!r}"
    for node in _lookups(tree):
        key = _key(node)
        if key is not None and key.startswith("__"):
            yield f"{key!r} cannot be used"
        if key not in {None, *_STEP_PARTS} and _is_step(node.node):
            yield f"a step has only 'output', not {key!r}"


def _is_step(node: nodes.Node) -> bool:
    top = node.node if isinstance(node, nodes.Getattr | nodes.Getitem) else None
    return isinstance(top, nodes.Name) and top.name == "steps"
