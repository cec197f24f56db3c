"""Rendering ``${{ … }}`` in the values of a template, and in the files of its skeleton."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

from jinja2 import ChainableUndefined, Template, TemplateError, UndefinedError
from jinja2.exceptions import TemplateRuntimeError, TemplateSyntaxError

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.software_templates.expressions import compiling, host_calls, wording
from portal_actions_plugin.software_templates.expressions.limits import (
    MAX_DEPTH,
    MAX_FILE_SIZE,
    SandboxError,
    budget,
    current_budget,
    size_of,
)
from portal_actions_plugin.software_templates.expressions.sandbox import host_globals
from portal_actions_plugin.software_templates.expressions.undefined import Absent
from portal_actions_plugin.software_templates.expressions.values import plain, text

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue

    Context = Mapping[str, JsonValue]
    """What expressions may name, by its top-level name."""

FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    SandboxError,
    SyntaxError,
    TemplateError,
    TypeError,
    ValueError,
)


def _short(said: str, length: int) -> str:
    return said if len(said) <= length else f"{said[:length]}…"


class ExpressionError(ValidationError):
    """An expression of the template cannot be evaluated."""

    hint = "Correct the template, or the input that the expression reads."

    def __init__(self, where: str, expression: str, problem: str) -> None:
        """Name the place, the expression and what is wrong with it."""
        super().__init__(f"{where}: {_short(expression, 200)}: {_short(problem, 500)}.")
        self.problem = problem


class UndefinedValueError(ExpressionError):
    """An expression of the template has no value."""


class AbsentValueError(UndefinedValueError):
    """An expression of the template gives exactly something that is known, but has no value in this run."""


@overload
def render(value: Mapping[str, JsonValue], context: Context, where: str) -> dict[str, JsonValue]: ...
@overload
def render(value: JsonValue, context: Context, where: str) -> JsonValue: ...
def render(value: JsonValue, context: Context, where: str) -> JsonValue:
    """Render every string of a value. Keys are never rendered.

    A string that is exactly one expression becomes that expression's value, with its type. Anything around it makes
    a text, in which true, false, lists and objects are written as JSON and null as nothing.

    Args:
        value: any JSON value, such as a step's input.
        context: what expressions may name; JSON values only.
        where: the place of the value, such as ``steps[1].input``, for errors.

    Raises:
        ExpressionError: names the place, the expression and the problem.
    """
    with budget():
        return _render(value, context, where, 0)


def evaluate_condition(
    condition: JsonValue,
    context: Context,
    where: str,
) -> bool:
    """Whether an ``if`` holds. False, null, 0, [], an empty text and the text "false" do not; no ``if`` does.

    Neither does what a ``Sparse`` mapping of the context knows but has no value for.

    Args:
        condition: an ``if`` as the template has it, a text, true or false; None when there is none.
        context: what expressions may name; JSON values only.
        where: the place of the ``if``, for errors.

    Raises:
        ExpressionError: names the place, the expression and the problem.
    """
    if condition is None:
        return True
    try:
        value = render(condition, context, where)
    except AbsentValueError:
        return False
    if isinstance(value, str):
        return value.strip() not in {"", "false"}
    return not (value is None or value in (False, 0, []))


def render_file(content: str, context: Context, where: str) -> str:
    """Render a skeleton file: ``${{ values.x }}``, ``{% if %}``, ``{% for %}`` and ``{% set %}``.

    GitHub Actions writes its own expressions with the same signs. Put them between ``{% raw %}`` and ``{% endraw %}``;
    without that, ``${{ github.ref }}`` is an error about ``github``, never a silently empty text.

    Args:
        content: the file's text.
        context: what expressions may name, usually ``{"values": {…}}``.
        where: the file's path, for errors.

    Raises:
        ExpressionError: names the file, the line and the problem.
    """
    return _rendered_file(content, context, where) if compiling.has_syntax(content) else content


def render_forgivingly(
    content: str, context: Context, where: str, *, trim_blocks: bool, lstrip_blocks: bool
) -> tuple[str, Mapping[str, int]]:
    """Render a skeleton file in which a top-level name that nobody knows is nothing.

    Args:
        content: the file's text.
        context: what expressions may name.
        where: the file's path, for errors.
        trim_blocks: leave out the line break after a block.
        lstrip_blocks: leave out the spaces before a block that is the first thing on its line.

    Returns:
        The text, and the names that nobody knows, each with its first line.

    Raises:
        ExpressionError: names the file, the line and the problem.
    """
    if not compiling.has_syntax(content):
        return content, {}
    try:
        with budget(MAX_FILE_SIZE):
            unknown = compiling.unknown_names(content, {*context, *_with_globals({}), "range"})
    except FAILURES as error:
        raise _file_error(error, content, where, None) from None
    known = {**{name: ChainableUndefined(name=name) for name in unknown}, **context}
    text = _rendered_file(content, known, where, trim_blocks=trim_blocks, lstrip_blocks=lstrip_blocks)
    return text, unknown


def _rendered_file(content: str, context: Mapping[str, object], where: str, **options: bool) -> str:
    template = None
    try:
        with budget(MAX_FILE_SIZE) as left:
            template = compiling.compiled_file(content, **options)
            written = []
            for piece in template.root_render_func(template.new_context(dict(_with_globals(context)))):
                left.take(len(piece))
                written.append(piece)
            return "".join(written)
    except FAILURES as error:
        raise _file_error(error, content, where, template) from None


def _render(value: JsonValue, context: Context, where: str, depth: int) -> JsonValue:
    if depth > MAX_DEPTH:
        raise ValidationError(f"{where}: this is nested deeper than {MAX_DEPTH} levels.")
    if isinstance(value, Mapping):
        return {key: _render(item, context, f"{where}.{key}", depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_render(item, context, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    return _render_text(value, context, where) if isinstance(value, str) else value


def _render_text(whole: str, context: Context, where: str) -> JsonValue:
    if "${{" not in whole:
        return whole
    try:
        parts = compiling.split(whole)
    except FAILURES as error:
        raise _error(error, where, whole) from None
    if len(parts) == 1 and isinstance(parts[0], compiling.Expression):
        return _evaluate(parts[0], context, where)
    written = []
    for part in parts:
        if isinstance(part, str):
            _take(part, where, whole)
            written.append(part)
        else:
            written.append(text(_evaluate(part, context, where)))
    return "".join(written)


def _evaluate(expression: compiling.Expression, context: Context, where: str) -> JsonValue:
    shown = f"${{{{ {expression.source} }}}}"
    try:
        result = compiling.compiled(expression.source)(_with_globals(context))
        value = None if isinstance(result, Absent) else plain(result)
    except FAILURES as error:
        raise _error(error, where, shown) from None
    if isinstance(result, Absent):
        raise AbsentValueError(where, shown, result.reason)
    _take(value, where, shown)
    return value


def _with_globals(context: Mapping[str, object]) -> Mapping[str, object]:
    """What expressions may name, with what the host has given; a name of ours wins."""
    return {**host_globals(), **context} if host_calls.current().globals else context


def _take(value: JsonValue, where: str, shown: str) -> None:
    try:
        current_budget().take(size_of(value))
    except SandboxError as error:
        raise _error(error, where, shown) from None


def _error(error: BaseException, where: str, shown: str) -> ExpressionError:
    kind = UndefinedValueError if isinstance(error, UndefinedError) else ExpressionError
    return kind(where, shown, problem_of(error))


@dataclass(frozen=True, slots=True)
class FileFault:
    """What of a skeleton file cannot be read.

    Attributes:
        line: where it is, from 1.
        text: that line.
        problem: in a template author's words.
    """

    line: int
    text: str
    problem: str


def fault_of_file(content: str) -> FileFault | None:
    """What of a skeleton file cannot be read, whatever the values are; None when all can."""
    if not compiling.has_syntax(content):
        return None
    try:
        compiling.check_file(content)
    except FAILURES as error:
        line, text = _line_of(error, content, None)
        return FileFault(line or 1, text, problem_of(error))
    return None


def syntax_fault_of_file(content: str) -> FileFault | None:
    """As ``fault_of_file``, where a name that nobody knows is nothing and no fault."""
    if not compiling.has_syntax(content):
        return None
    try:
        compiling.unknown_names(content, ())
    except FAILURES as error:
        line, text = _line_of(error, content, None)
        return FileFault(line or 1, text, problem_of(error))
    return None


def _file_error(error: BaseException, content: str, where: str, template: Template | None) -> ExpressionError:
    line, text = _line_of(error, content, template)
    return _error(error, f"{where}, line {line}" if line else where, text)


def _line_of(error: BaseException, content: str, template: Template | None) -> tuple[int | None, str]:
    line = error.lineno if isinstance(error, TemplateSyntaxError) else None
    for frame, number in traceback.walk_tb(error.__traceback__) if template else ():
        if frame.f_code.co_filename == "<template>":
            line = template.get_corresponding_lineno(number) if template else None
    lines = content.split("\n")
    if line and isinstance(error, TemplateSyntaxError) and "end of print statement" in (error.message or ""):
        # It is noticed where something else comes instead: what is not closed has begun before.
        line = max((number for number, text in enumerate(lines[:line], 1) if "${{" in text), default=line)
    return line, lines[line - 1].strip() if line and line <= len(lines) else "the file"


def problem_of(error: BaseException) -> str:
    """Say what went wrong in a template author's words, without any value: it may be a secret."""
    if type(error) is TemplateRuntimeError:  # names what `map` or `select` were given
        return "there is no such filter or test"
    if isinstance(error, TypeError):
        return wording.type_problem(str(error))
    if isinstance(error, TemplateError | SandboxError):
        return wording.syntax_problem((getattr(error, "message", None) or str(error)).rstrip("."))
    if isinstance(error, RecursionError | MemoryError | SyntaxError):
        return "it is too long or nested too deeply"
    if isinstance(error, ZeroDivisionError):
        return "it divides by zero"
    return "its result is too large" if isinstance(error, OverflowError) else f"it fails with {type(error).__name__}"
