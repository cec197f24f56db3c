"""Checking a template's expressions when it is loaded, before any run: what they name, and whether it will be there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from portal_actions_plugin.software_templates.expressions.limits import current_budget
from portal_actions_plugin.software_templates.expressions.references import references

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.expressions.references import References
    from portal_actions_plugin.software_templates.findings import Findings
    from portal_actions_plugin.software_templates.places import Key

_EVERYWHERE = {"parameters", "steps", "user", "context", "range"}
_LATER = {"each", "always", "failure"}
_MAX_NAME = 64
_MAX_NAMES = 200


@dataclass(frozen=True, slots=True)
class Scope:
    """What the expressions of one place may name.

    Attributes:
        earlier: the ids of the steps that have run by then.
        steps: the ids of all steps.
        parameters: all parameters; None when any name is allowed, or the parameters cannot be read.
        secrets: the parameters that are secret.
        is_input: whether this is a step's input, the only place for secrets.
        requested: the requester's own secrets that may be named.
    """

    earlier: tuple[str, ...]
    steps: tuple[str, ...]
    parameters: frozenset[str] | None
    secrets: frozenset[str]
    is_input: bool
    requested: frozenset[str] = frozenset()


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
        for used in references(value):
            for problem in _problems(used, scope):
                shown = used.expression if len(used.expression) <= 120 else f"{used.expression[:120]}…"
                findings.add(key, f"{shown}: {problem}", value=used.expression)


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
    elif isinstance(condition, str) and "${{" not in condition and condition not in {"", "true", "false"}:
        meant = f"${{{{ {condition} }}}}"
        findings.add(key, "this is a text, and so always true", value=condition, write=meant)
        check_value(meant, key, scope, findings)
    else:
        check_value(condition, key, scope, findings)


def _problems(used: References, scope: Scope) -> Iterator[str]:
    yield from used.problems
    yield from _name_problems(used, scope)
    for name in sorted(used.parameters):
        if scope.parameters is not None and name not in scope.parameters:
            yield f"there is no parameter {name!r}{_near(name, scope.parameters)}"
        elif name in scope.secrets and not scope.is_input:
            yield f"{name!r} is a secret: it is known in a step's input only"
    for name in sorted(used.secrets) if scope.is_input else ():
        if name not in scope.secrets | scope.requested:
            yield f"no parameter {name!r} is marked as a secret (ui:field: Secret or writeOnly: true)"
    for step in sorted(used.steps):
        if step not in scope.earlier:
            yield _step_problem(step, scope)


def _name_problems(used: References, scope: Scope) -> Iterator[str]:
    known = _EVERYWHERE | ({"secrets"} if scope.is_input else set())
    for name in sorted(used.names - known):
        if name in _LATER:
            yield f"{name} is not supported yet"
        elif name == "secrets":
            yield "secrets can be named in a step's input only"
        else:
            yield f"{name!r} is unknown; there is {', '.join(sorted(known))}; a text needs quotes"


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
