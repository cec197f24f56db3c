"""Rendering the values of a template as Backstage's scaffolder does."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from portal_actions_plugin.software_templates.expressions.limits import MAX_SIZE, SandboxError, budget
from portal_actions_plugin.software_templates.nunjucks import syntax
from portal_actions_plugin.software_templates.nunjucks.blocks import parse_template
from portal_actions_plugin.software_templates.nunjucks.calls.functions import Global
from portal_actions_plugin.software_templates.nunjucks.evaluation import Evaluator
from portal_actions_plugin.software_templates.nunjucks.expressions import RESERVED
from portal_actions_plugin.software_templates.nunjucks.javascript import (
    UNDEFINED,
    Function,
    JavaScriptError,
    Undefined,
    tidy,
)
from portal_actions_plugin.software_templates.nunjucks.syntax import NunjucksSyntaxError

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue

FAILURES = (
    ArithmeticError,
    AttributeError,
    JavaScriptError,
    LookupError,
    MemoryError,
    NunjucksSyntaxError,
    RecursionError,
    SandboxError,
    TypeError,
    ValueError,
)
"""What rendering may raise, whatever a template does."""
SIGNS = ("${{", "{%", "{#", "#}")


def evaluate(text: str, context: Mapping[str, object], functions: Mapping[str, Function]) -> JsonValue | Undefined:
    """What a text of a template becomes: JSON, or undefined.

    A text that is one expression, or one block, becomes what that gives, with its type. Anything else is a text.

    Args:
        text: as the template has it.
        context: what it may name.
        functions: what it may call, by name.

    Raises:
        NunjucksSyntaxError: it cannot be parsed.
        JavaScriptError: something in it fails.
        SandboxError: it makes or computes too much.
    """
    if not any(sign in text for sign in SIGNS):
        return text or UNDEFINED
    if len(text) > MAX_SIZE:
        raise SandboxError(f"a text with expressions has at most {MAX_SIZE:,} characters")
    body = _parsed(text)
    evaluator = Evaluator(context, functions)
    with budget():
        evaluator.run(body)
    written = "".join(evaluator.written)
    if len(body) != 1 or isinstance(body[0], syntax.Text):
        return written or UNDEFINED
    as_json = "".join(evaluator.as_json)
    if not as_json:
        return UNDEFINED
    try:
        return _read(as_json)
    except (ValueError, RecursionError):
        return written or UNDEFINED


class StatusCheck:
    """``always()`` and ``failure()``, and whether one of them was called.

    Attributes:
        was_called: since this was made.
    """

    def __init__(self, *, has_failed: bool) -> None:
        """Say whether a step has failed."""
        self.was_called = False
        self._has_failed = has_failed

    @property
    def functions(self) -> Mapping[str, Function]:
        """What an ``if`` may call, by name."""
        return {"always": Global(self._always), "failure": Global(self._failure)}

    @property
    def callables(self) -> Mapping[str, Callable[[], bool]]:
        """The same for the strict reading."""
        return {"always": self._always, "failure": self._failure}

    def _always(self) -> bool:
        self.was_called = True
        return True

    def _failure(self) -> bool:
        self.was_called = True
        return self._has_failed


def _read(as_json: str) -> JsonValue:
    """What JSON says, as JavaScript reads it, without what nothing can store.

    Raises:
        ValueError: it is no JSON, or has half a character.
        JavaScriptError: it has a reserved key.
    """
    value: JsonValue = json.loads(
        as_json,
        parse_constant=_no_constant,
        parse_float=_number,
        parse_int=_number,
        object_pairs_hook=_object,
    )
    if "\\" in as_json or not as_json.isascii():
        json.dumps(value, ensure_ascii=False).encode()  # half a character raises UnicodeEncodeError
    return value


def _number(text: str) -> int | float | None:
    number = tidy(float(text))
    return (number or 0) if math.isfinite(number) else None  # no zero with a sign, and nothing infinite


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    if any(key in RESERVED for key, _ in pairs):
        raise JavaScriptError("it has a key that cannot be used")
    return dict(pairs)


_parsed = lru_cache(maxsize=512)(parse_template)


def _no_constant(name: str) -> JsonValue:
    raise ValueError(name)
