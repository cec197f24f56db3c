"""Checking a template's expressions when it is loaded, before any run: what they name, and whether it will be there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from portal_actions_plugin.software_templates.expressions.limits import current_budget
from portal_actions_plugin.software_templates.places import has_expression

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.expressions.references import References
    from portal_actions_plugin.software_templates.findings import Findings
    from portal_actions_plugin.software_templates.places import Key

_EVERYWHERE = frozenset({"parameters", "steps", "user", "context", "environment"})
_FUNCTIONS = frozenset({"range"})
STATUS_FUNCTIONS = frozenset({"always", "failure"})
"""What steps and the output may call, and nothing before a run has begun."""
MEMBERS = {
    "each": frozenset({"key", "value"}),
    "user": frozenset({"id", "ref", "displayName", "entity"}),
    "context": frozenset({"runId", "template", "entity", "task"}),
    "environment": frozenset({"parameters", "secrets"}),
}
"""What these names have, whatever the run is."""
_CONSTANTS = {"True": "true", "False": "false", "None": "null", "undefined": "null", "nil": "null"}
_MAX_NAME = 64
_MAX_NAMES = 200
_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Scope:
    """What the expressions of one place may name.

    Attributes:
        earlier: the ids of the steps that have run by then.
        steps: the ids of all steps.
        parameters: all parameters; None when any name is allowed, or the parameters cannot be read.
        secrets: the parameters that are secret.
        is_input: whether this is a step's input, the only place for secrets.
        references: reads what the expressions of a text name.
        requested: the requester's own secrets that may be named.
        functions: what may be called beside what the language has of its own: the host's globals.
        instead: what to write instead of a text that cannot be read; empty where that is not known.
        blocks_are_texts: whether ``{% … %}`` is not evaluated: the strict reading.
        has_item: whether it is evaluated for each item of its step: ``each`` is that item.
    """

    earlier: tuple[str, ...]
    steps: tuple[str, ...]
    parameters: frozenset[str] | None
    secrets: frozenset[str]
    is_input: bool
    references: Callable[[str], tuple[References, ...]]
    requested: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    instead: Callable[[str], str] = lambda _text: ""
    blocks_are_texts: bool = True
    has_item: bool = False

    @property
    def known(self) -> frozenset[str]:
        """The names at the top."""
        here = {name for name, known in (("secrets", self.is_input), ("each", self.has_item)) if known}
        return _EVERYWHERE | _FUNCTIONS | self.functions | here


def check_value(value: JsonValue, key: Key, scope: Scope, findings: Findings) -> None:
    """Note every problem of every expression in a value, at every depth.

    Args:
        value: an unrendered part of a template, such as a step's input.
        key: its place in the template's document.
        scope: what its expressions may name.
        findings: where problems are noted.
    """
    current_budget().check_time()
    if isinstance(value, Mapping):
        for name, part in value.items():
            check_value(part, (*key, name), scope, findings)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            check_value(part, (*key, index), scope, findings)
    elif isinstance(value, str):
        _check_blocks(value, key, scope, findings)
        stays = "" if scope.blocks_are_texts else "; this stays as it is written"
        for used in scope.references(value):
            for said, write in _unreadable(used, scope):
                findings.differ(key, f"{said}{stays}", value=used.expression, write=write)
            _check_names(used, key, scope, findings)


def _check_blocks(text: str, key: Key, scope: Scope, findings: Findings) -> None:
    if "{%" in text and scope.blocks_are_texts:
        said = "blocks are not evaluated here, and would stay what they are: write an expression, such as ${{ 'a' if … else 'b' }}"
        findings.add(key, f"{_short(text)}: {said}", value=text)


def _check_names(used: References, key: Key, scope: Scope, findings: Findings) -> None:
    shown = _short(used.expression)
    for problem, write in _problems(used, scope):
        findings.differ(key, f"{shown}: {problem}", value=used.expression, write=write)


def check_condition(condition: JsonValue, key: Key, scope: Scope, findings: Findings) -> None:
    """Note every problem of an ``if``.

    Args:
        condition: as the template has it; None when there is no ``if``.
        key: its place in the template's document.
        scope: what its expression may name.
        findings: where problems are noted.
    """
    if condition is not None and not isinstance(condition, str | bool):
        findings.add(key, "this must be an expression, true or false")
    elif isinstance(condition, str) and not has_expression(condition) and condition not in {"", "true", "false"}:
        meant = f"${{{{ {condition} }}}}"
        findings.differ(key, "this is a text, and so always true", value=condition, write=meant)
        check_value(meant, key, scope, findings)
    elif isinstance(condition, str):
        # A problem in both readings: what cannot be read would be a text, and so always true.
        _check_evaluated(condition, key, scope, findings)


def check_each(each: JsonValue, key: Key, scope: Scope, findings: Findings) -> None:
    """Note every problem of an ``each``: what it goes through has to be a list or an object.

    Args:
        each: as the template has it.
        key: its place in the template's document.
        scope: what its expressions may name.
        findings: where problems are noted.
    """
    if isinstance(each, Mapping | list):
        check_value(each, key, scope, findings)
    elif not isinstance(each, str):
        findings.add(key, "this must be a list, an object or an expression that gives one", value=str(each))
    elif not has_expression(each):
        said = "this is a text, and no list: write the list itself, or an expression that gives one"
        findings.add(key, said, value=each, write=f"${{{{ {each} }}}}" if each else "")
    else:
        # A problem in both readings: what cannot be read would be a text, and fail the step.
        _check_evaluated(each, key, scope, findings)


def _check_evaluated(text: str, key: Key, scope: Scope, findings: Findings) -> None:
    """Note every problem of a text that has to be evaluated: at home it would stay one where that cannot be done."""
    _check_blocks(text, key, scope, findings)
    for used in scope.references(text):
        for said, write in _unreadable(used, scope):
            findings.add(key, said, value=used.expression, write=write)
        _check_names(used, key, scope, findings)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _unreadable(used: References, scope: Scope) -> Iterator[tuple[str, str]]:
    """Why an expression cannot be evaluated whatever the run is, and what to write: at home it would stay a text."""
    write = scope.instead(used.expression) if used.problems else ""
    return ((f"{_short(used.expression)}: {problem}", write) for problem in _unread_problems(used, scope))


def _unread_problems(used: References, scope: Scope) -> Iterator[str]:
    yield from used.problems
    for name in sorted(used.called & (scope.known - _FUNCTIONS - scope.functions)):
        yield f"{name} is no function"
    for name in sorted(used.called - scope.known):
        yield f"there is no function {name!r}{_near(name, _FUNCTIONS | scope.functions)}"


def _problems(used: References, scope: Scope) -> Iterator[tuple[str, str]]:
    """What is wrong with the names of an expression, and what to write instead where that is known."""
    yield from _name_problems(used, scope)
    yield from _member_problems(used, scope)
    for name in sorted(used.parameters):
        if scope.parameters is not None and name not in scope.parameters:
            yield f"there is no parameter {name!r}{_near(name, scope.parameters)}", ""
        elif name in scope.secrets and scope.is_input:
            yield f"{name!r} is a secret, and read as a parameter", f"secrets.{name}"
        elif name in scope.secrets:
            yield f"{name!r} is a secret: it is known in a step's input only", ""
    if "parameters" in used.whole and scope.secrets:
        secret = ", ".join(sorted(scope.secrets))
        yield f"all parameters are given, the secret {secret} too; write each parameter that is wanted by its name", ""
    for name in sorted(used.secrets) if scope.is_input else ():
        if name not in scope.secrets | scope.requested:
            yield f"no parameter {name!r} is marked as a secret (ui:field: Secret or writeOnly: true)", ""
    for step in sorted(used.steps):
        if step not in scope.earlier:
            yield _step_problem(step, scope), ""


def _name_problems(used: References, scope: Scope) -> Iterator[tuple[str, str]]:
    for name in sorted(used.names & STATUS_FUNCTIONS & scope.functions - used.called):
        yield f"{name} is a function, and is not called here", f"{name}()"
    for name in sorted(used.names - scope.known - used.called):
        if name == "secrets":
            yield "secrets can be named in a step's input only", ""
        elif name == "each":
            yield "each is the item of a step that has `each`, in its `if` and its input", ""
        elif name in _CONSTANTS:
            yield f"{name!r} is unknown", _CONSTANTS[name]
        else:
            near = _near(name, scope.known)
            yield f"{name!r} is unknown{near}; there is {', '.join(sorted(scope.known))}; a text needs quotes", ""


def _member_problems(used: References, scope: Scope) -> Iterator[tuple[str, str]]:
    for top, key in sorted(used.members):
        if top in MEMBERS and key not in MEMBERS[top]:
            yield f"there is no {top}.{key}; {top} has {', '.join(sorted(MEMBERS[top]))}", ""
    if ("environment", "secrets") in used.members and not scope.is_input:
        yield "environment.secrets can be named in a step's input only", ""


def _step_problem(step: str, scope: Scope) -> str:
    if step in scope.steps:
        return f"the step {step!r} has not run yet: a step can use only those before it"
    if any(known.startswith(f"{step}-") for known in scope.steps):
        return f"there is no step {step!r}; an id with a dash is written steps['{step}-…']"
    return f"there is no step {step!r}{_near(step, scope.steps)}"


def _near(name: str, known: frozenset[str] | tuple[str, ...]) -> str:
    if len(name) > _MAX_NAME or len(known) > _MAX_NAMES:  # looking for what is near is slow
        return ""
    near = get_close_matches(name, [one for one in known if len(one) <= _MAX_NAME], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
