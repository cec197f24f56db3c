"""What the expressions of a text name, as ``expressions.references`` says it of the strict reading."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from portal_actions_plugin.software_templates.expressions import host_calls
from portal_actions_plugin.software_templates.expressions.references import References
from portal_actions_plugin.software_templates.nunjucks import syntax
from portal_actions_plugin.software_templates.nunjucks.blocks import parse_template
from portal_actions_plugin.software_templates.nunjucks.calls.filters import FILTERS
from portal_actions_plugin.software_templates.nunjucks.calls.tests import TESTS
from portal_actions_plugin.software_templates.nunjucks.rendering import SIGNS
from portal_actions_plugin.software_templates.nunjucks.syntax import NunjucksSyntaxError

if TYPE_CHECKING:
    from collections.abc import Collection

_MAX_KEPT = 300
"""Characters of a text whose references are kept."""


def references(text: str) -> tuple[References, ...]:
    """Read every expression of a text; never raises. One that cannot be parsed has a problem, and names nothing."""
    if not any(sign in text for sign in SIGNS):
        return ()
    filters = frozenset(host_calls.current().filters)
    return _kept(text, filters) if len(text) <= _MAX_KEPT else _read(text, filters)


def _read(text: str, filters: frozenset[str]) -> tuple[References, ...]:
    try:
        body = parse_template(text)
    except NunjucksSyntaxError as error:
        return (References(text, problems=(error.message,)),)
    except RecursionError:
        return (References(text, problems=("it is nested too deeply",)),)
    set_here = frozenset(_set_names(body))
    return (
        References(
            text,
            names=frozenset(_names(body)) - set_here,
            parameters=frozenset(_parts_named(body, "parameters")),
            secrets=frozenset(_parts_named(body, "secrets")),
            steps=frozenset(_parts_named(body, "steps")),
            problems=tuple(dict.fromkeys(_problems(body, filters))),
            members=frozenset((top, key) for top, key in _members(body) if top not in set_here),
            whole=frozenset(_whole(body)) - set_here,
            called=frozenset(_called(body)) - set_here,
        ),
    )


_kept = lru_cache(maxsize=1_000)(_read)
"""A template's check asks for the same text several times; such texts are too short to be nested too deeply. With the host's filters."""


def _names(body: syntax.Body) -> Iterator[str]:
    for node in syntax.nodes(body):
        if isinstance(node, syntax.Name):
            yield node.name


def _set_names(body: syntax.Body) -> Iterator[str]:
    for node in syntax.nodes(body):
        if isinstance(node, syntax.For):
            yield from (*node.targets, "loop")
        elif isinstance(node, syntax.Set):
            yield from node.targets


def _parts_named(body: syntax.Body, top: str) -> Iterator[str]:
    for node in syntax.nodes(body):
        if isinstance(node, syntax.Lookup) and node.target == syntax.Name(top) and isinstance(node.key, syntax.Literal):
            yield str(node.key.value)


def _members(body: syntax.Body) -> Iterator[tuple[str, str]]:
    for node in syntax.nodes(body):
        match node:
            case syntax.Lookup(syntax.Name(top), syntax.Literal(key)):
                yield top, str(key)


def _whole(body: syntax.Body) -> Iterator[str]:
    in_part = {
        id(node.target)
        for node in syntax.nodes(body)
        if isinstance(node, syntax.Lookup) and isinstance(node.key, syntax.Literal)
    }
    for node in syntax.nodes(body):
        if isinstance(node, syntax.Name) and id(node) not in in_part:
            yield node.name


def _called(body: syntax.Body) -> Iterator[str]:
    for node in syntax.nodes(body):
        if isinstance(node, syntax.Call) and isinstance(node.target, syntax.Name):
            yield node.target.name


def _problems(body: syntax.Body, filters: frozenset[str]) -> Iterator[str]:
    for node in syntax.nodes(body):
        if isinstance(node, syntax.Filtered) and node.name not in FILTERS and node.name not in filters:
            yield f"there is no filter {node.name!r}; there is {_listed(FILTERS)}"
        elif isinstance(node, syntax.Tested) and node.name not in TESTS:
            yield f"there is no test {node.name!r}; there is {_listed(TESTS)}"


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names))
