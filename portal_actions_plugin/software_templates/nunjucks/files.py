"""Rendering files of skeletons as Backstage's scaffolder does."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import lru_cache
from typing import Any, cast

from portal_actions_plugin.software_templates.expressions import host_calls
from portal_actions_plugin.software_templates.expressions.limits import MAX_FILE_SIZE, SandboxError, budget
from portal_actions_plugin.software_templates.nunjucks import syntax
from portal_actions_plugin.software_templates.nunjucks.blocks import PLAIN, Style, parse_template
from portal_actions_plugin.software_templates.nunjucks.calls.filters import FILTERS
from portal_actions_plugin.software_templates.nunjucks.calls.functions import Global
from portal_actions_plugin.software_templates.nunjucks.calls.operands import Filter
from portal_actions_plugin.software_templates.nunjucks.evaluation import Evaluator
from portal_actions_plugin.software_templates.nunjucks.javascript import UNDEFINED, JavaScriptError, strictly_equal
from portal_actions_plugin.software_templates.nunjucks.rendering import FAILURES
from portal_actions_plugin.software_templates.nunjucks.syntax import NunjucksSyntaxError


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """What a file has become.

    Attributes:
        text: its new content.
        unknown: the names in it that nobody has given, each with its first line; they are nothing in the text.
    """

    text: str
    unknown: Mapping[str, int] = field(default_factory=dict)


class FileError(Exception):
    """A file cannot be rendered.

    Attributes:
        problem: in a template author's words, without any value: it may be a secret.
        line: where it is, from 1.
    """

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


def render_file(content: str, context: Mapping[str, object], style: Style = PLAIN) -> RenderedFile:
    """Render a file.

    Args:
        content: its text.
        context: what it may name, such as ``{"values": {…}}``.
        style: what its signs are.

    Raises:
        FileError: names the line and the problem.
    """
    if not style.is_in(content):
        return RenderedFile(content)
    evaluator = (_CookiecutterEvaluator if style.cookiecutter else Evaluator)(context, {})
    try:
        if len(content) > MAX_FILE_SIZE:
            raise SandboxError(f"a file with expressions has at most {MAX_FILE_SIZE:,} characters")
        body = _parsed(content, style) if len(content) <= _MAX_KEPT else parse_template(content, style)
        with budget(MAX_FILE_SIZE):
            evaluator.run(body)
    except NunjucksSyntaxError as error:
        raise FileError(error.message, error.line) from None
    except FAILURES as error:
        raise FileError(_said(error), evaluator.line) from None
    return RenderedFile("".join(evaluator.written), evaluator.unknown)


def check_file(content: str, style: Style = PLAIN) -> None:
    """Raise FileError for what of a file cannot be rendered whatever the values are; renders nothing."""
    if not style.is_in(content):
        return
    try:
        body = parse_template(content, style)
    except NunjucksSyntaxError as error:
        raise FileError(error.message, error.line) from None
    except RecursionError:
        raise FileError("it is nested too deeply", 1) from None
    known = {*(_CookiecutterEvaluator if style.cookiecutter else Evaluator).filters, *host_calls.current().filters}
    for statement in syntax.nodes(body):
        line = getattr(statement, "line", None)
        if isinstance(line, int) and (name := next(_unknown_filters(statement, known), "")):
            raise FileError(f"there is no filter {name!r}", line)


def _unknown_filters(statement: object, known: Container[str]) -> Iterator[str]:
    """The filters of a statement's own expressions, and not of the statements in it, that nobody has."""
    values = [getattr(statement, one.name) for one in fields(cast("Any", statement))]
    own = tuple(value for value in values if is_dataclass(value))
    for node in syntax.nodes(cast("syntax.Body", own)):
        if isinstance(node, syntax.Filtered) and node.name not in known:
            yield node.name


_MAX_KEPT = 300
"""Characters of a text that is kept once it is parsed: names of files are, with each file's folders in them."""


@lru_cache(maxsize=500)
def _parsed(text: str, style: Style) -> syntax.Body:
    return parse_template(text, style)


def _said(error: BaseException) -> str:
    if isinstance(error, JavaScriptError | SandboxError):
        return str(error).rstrip(".")
    return f"it fails with {type(error).__name__}"


class _CookiecutterEvaluator(Evaluator):
    """Knows what Nunjucks knows beside its own when it is told to be Jinja: Python's constants and a few of its methods."""

    filters: Mapping[str, Filter] = {**FILTERS, "jsonify": FILTERS["dump"]}

    def named(self, name: str) -> object:
        """Python's constants, or what else the name stands for."""
        return _CONSTANTS[name] if name in _CONSTANTS else super().named(name)

    def member(self, target: object, key: str) -> object:
        """What lies at a key; an index below zero counts from the end, as in Python."""
        if isinstance(target, list) and key.startswith("-") and key[1:].isdigit() and int(key[1:]) <= len(target):
            return target[int(key)]
        found = super().member(target, key)
        if found is UNDEFINED and isinstance(target, Mapping) and key in _OF_OBJECTS:
            return Global(lambda *given: _OF_OBJECTS[key](target, *given))
        if found is UNDEFINED and isinstance(target, list) and key in _OF_LISTS:
            return Global(lambda *given: _OF_LISTS[key](target, *given))
        return found


_CONSTANTS: Mapping[str, bool | None] = {"True": True, "False": False, "None": None}
_OF_OBJECTS: Mapping[str, Callable[..., object]] = {
    "get": lambda found, key, default=UNDEFINED: found.get(key, default),
    "has_key": lambda found, key: key in found,
    "items": lambda found: [[key, value] for key, value in found.items()],
    "iteritems": lambda found: [[key, value] for key, value in found.items()],
    "keys": list,
    "values": lambda found: list(found.values()),
}
_OF_LISTS: Mapping[str, Callable[..., object]] = {
    "count": lambda found, value: sum(strictly_equal(item, value) for item in found),
    "index": lambda found, value: next(index for index, item in enumerate(found) if strictly_equal(item, value)),
}
