"""From a text with expressions to what can be evaluated: taken apart, parsed, and compiled once in a sandbox."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from functools import lru_cache

from jinja2 import Template, nodes
from jinja2.environment import TemplateExpression
from jinja2.exceptions import TemplateSyntaxError
from jinja2.meta import find_undeclared_variables

from portal_actions_plugin.software_templates.expressions import host_calls
from portal_actions_plugin.software_templates.expressions.limits import MAX_FILE_SIZE, MAX_SIZE, SandboxError
from portal_actions_plugin.software_templates.expressions.rewriting import bounded
from portal_actions_plugin.software_templates.expressions.sandbox import Sandbox

MAX_SOURCE = 8_000
"""Characters of one expression."""
_VALUES = "values"
"""All that the files of a skeleton may name, beside what a host gives."""
_IN_FILES = (nodes.Output, nodes.If, nodes.For, nodes.Assign)

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
    value = bounded(parse(source))
    body = [nodes.Assign(nodes.Name("result", "store", lineno=1), value, lineno=1)]
    tree = nodes.Template(body, lineno=1)
    tree.set_environment(_EXPRESSIONS)
    return TemplateExpression(_EXPRESSIONS.from_string(tree), undefined_to_none=False)


def compiled_file(whole: str, *, trim_blocks: bool = False, lstrip_blocks: bool = False) -> Template:
    """Compile a skeleton file: expressions, ``if``, ``for``, ``set`` and ``raw``.

    Args:
        whole: its text.
        trim_blocks: leave out the line break after a block.
        lstrip_blocks: leave out the spaces before a block that is the first thing on its line.
    """
    environment = _file_environment(whole, trim_blocks=trim_blocks, lstrip_blocks=lstrip_blocks)
    return environment.from_string(bounded(_parse_file(environment, whole)))


def unknown_names(whole: str, known: Container[str]) -> dict[str, int]:
    """The names that a skeleton file reads and nobody gives, each with its first line; raises as ``compiled_file``."""
    tree = _parse_file(_file_environment(whole), whole)
    undeclared = find_undeclared_variables(tree)
    lines: dict[str, int] = {}
    for name in sorted(tree.find_all(nodes.Name), key=lambda one: one.lineno):
        if name.name in undeclared and name.name not in known:
            lines.setdefault(name.name, name.lineno)
    return lines


def check_file(whole: str) -> None:
    """Read a skeleton file and compile nothing; raises what ``compiled_file``, or any render of it, raises."""
    environment = _file_environment(whole)
    tree = _parse_file(environment, whole)
    for used in tree.find_all((nodes.Filter, nodes.Test)):
        is_filter = isinstance(used, nodes.Filter)
        if used.name not in (environment.filters if is_filter else environment.tests):
            raise TemplateSyntaxError(f"there is no {'filter' if is_filter else 'test'} {used.name!r}", used.lineno)
    known = {one.name for one in tree.find_all(nodes.Name) if one.ctx != "load"}
    known |= {_VALUES, "loop", *environment.globals, *host_calls.current().globals}
    for written in (one for output in tree.find_all(nodes.Output) for one in output.nodes):
        name = _root(written)
        if name and name.name not in known:
            said = f"{name.name!r} is unknown in a file, which knows {_VALUES}"
            hint = "put what is not for this portal between {% raw %} and {% endraw %}"
            raise TemplateSyntaxError(f"{said}: {hint}", name.lineno)


def _root(written: nodes.Node) -> nodes.Name | None:
    """The name that a value is a part of, such as that of ``github.ref``; it is written, so it must be there."""
    while isinstance(written, nodes.Getattr | nodes.Getitem):
        written = written.node
    return written if isinstance(written, nodes.Name) else None


def has_syntax(whole: str) -> bool:
    """Whether a skeleton file has anything to be rendered."""
    return "${{" in whole or "{%" in whole or "{#" in whole


def _file_environment(whole: str, **options: bool) -> Sandbox:
    if len(whole) > MAX_FILE_SIZE:
        raise SandboxError(f"a file with expressions has at most {MAX_FILE_SIZE:,} characters")
    return Sandbox(newline_sequence="\r\n" if "\r\n" in whole else "\n", **options)


def _parse_file(environment: Sandbox, whole: str) -> nodes.Template:
    tree = environment.parse(whole)
    for statement in tree.find_all(nodes.Stmt):
        if not isinstance(statement, _IN_FILES):
            raise TemplateSyntaxError("only if, for, set and raw can be used in a skeleton file", statement.lineno)
    return tree
