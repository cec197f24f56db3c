"""What of a template may not be there when a step runs: optional parameters, outputs of steps that may be skipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from portal_actions_plugin.software_templates.expressions.limits import current_budget
from portal_actions_plugin.software_templates.expressions.presence import NO_ELSE, Facts, Optional, facts_of, lacks
from portal_actions_plugin.software_templates.parameters import schemas
from portal_actions_plugin.software_templates.places import asks_for_status

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.expressions.presence import Lack, Path
    from portal_actions_plugin.software_templates.findings import Findings
    from portal_actions_plugin.software_templates.parameters.schemas import Schema
    from portal_actions_plugin.software_templates.places import Key
    from portal_actions_plugin.software_templates.spec import Step, Template

_EMPTY: Mapping[object, str] = {
    "array": "[]", "boolean": "false", "integer": "0", "number": "0", "object": "{}", "null": "null",
}  # fmt: skip
_ASK_FIRST = "ask for it in this step's if, as in ${{ always() and steps.x.output.y }}"
_SAME_IF = "give this step the same if"
_MAX_DEPTH = 4
_MAX_PATHS = 2_000


def check_presence(template: Template, findings: Findings) -> None:
    """Note each expression of a step that needs what may not be there: its step would fail then.

    What a run gives in the end is no step: there, a value that is not there is left out.
    """
    skippable = frozenset(step.id for step in template.steps if _may_be_skipped(step))
    optional = _optional_parameters(template.inputs_schema(), template.secret_names, skippable)
    after_failure = replace(optional, steps=frozenset(step.id for step in template.steps), after_failure=True)
    for index, (step, facts) in enumerate(zip(template.steps, _facts(template.steps), strict=True)):
        key: Key = ("spec", "steps", index)
        missing = after_failure if asks_for_status(step.condition) else optional
        _check(step.condition, (*key, "if"), missing, Facts(), findings, value_needed=False)
        _check(step.each, (*key, "each"), missing, Facts(), findings, value_needed=True)
        _check(step.input, (*key, "input"), missing, facts, findings, value_needed=True)


def _may_be_skipped(step: Step) -> bool:
    # One with an `each` has run even if its `if` held for none of its items.
    asked = step.each is None and isinstance(step.condition, str) and "${{" in step.condition
    return step.condition is False or asked


def _facts(steps: Sequence[Step]) -> Iterator[Facts]:
    """What is known while each step runs: what its ``if`` says, and what those say of the steps that ran if it does.

    A step that may run after a failure knows only of those that have an output, says its ``if``.
    """
    known: list[Facts] = []
    for step in steps:
        facts = facts_of(step.condition)
        for earlier, its_facts in zip(reversed(steps[: len(known)]), reversed(known), strict=True):
            current_budget().check_time()
            ran = ("steps", earlier.id)
            if earlier.each is not None:
                continue  # its `if` may have held for none of its items
            ran_too = not asks_for_status(step.condition) and its_facts.holds and its_facts.holds <= facts.holds
            if facts.has(ran) or ran_too:
                facts = Facts(facts.there | its_facts.there | {ran}, facts.holds | its_facts.holds)
        known.append(facts)
        yield facts


def _check(
    value: JsonValue, key: Key, optional: Optional, facts: Facts, findings: Findings, *, value_needed: bool
) -> None:
    if isinstance(value, Mapping):
        for name, part in value.items():
            _check(part, (*key, name), optional, facts, findings, value_needed=value_needed)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            _check(part, (*key, index), optional, facts, findings, value_needed=value_needed)
    elif isinstance(value, str):
        for lack in lacks(value, optional, facts, value_needed=value_needed):
            message, write = _said(lack, optional)
            findings.add(key, f"{lack.expression}: {message}", value=lack.expression, write=write)


def _said(lack: Lack, optional: Optional) -> tuple[str, str]:
    if lack.part == NO_ELSE:
        return "it has no value where its if is false", "… else ''"
    used, part = _written(lack.used), _written(lack.part)
    default = optional.parameters.get(lack.used) or "''"
    filtered = f"{used} | default({default})"
    write = f"${{{{ {filtered} }}}}" if lack.alone else f"({filtered})"
    if lack.part[0] == "steps":
        why, ask = ("may have failed", _ASK_FIRST) if optional.after_failure else ("may be skipped", _SAME_IF)
        return f"the step {lack.part[1]} {why}, and then this has no value: {ask}, or a default", write
    return f"{part} may not be given: it is not required, and has no default of its own", write


def _written(path: Path) -> str:
    return path[0] + "".join(f".{key}" if key.isidentifier() else f"['{key}']" for key in path[1:])


def _optional_parameters(root: Schema, secret: frozenset[str], skippable: frozenset[str]) -> Optional:
    paths: dict[Path, str] = {}
    on_condition: set[Path] = set()
    always, sometimes = _asked_for(root)
    for name, found in schemas.declared(root).items():
        path = ("secrets" if name in secret else "parameters", name)
        if name not in always and not any(_has_default(part) for part in found):
            paths[path] = _EMPTY.get(_type_of(found), "''")
            if name in sometimes:
                on_condition.add(path)
        for part in found:
            _nested(root, part, path, paths)
    return Optional(paths, frozenset(on_condition), skippable)


def _nested(root: Schema, schema: object, path: Path, paths: dict[Path, str]) -> None:
    """The optional parts of an object that a form asks for."""
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(schema, Mapping) or not isinstance(properties, Mapping) or len(path) > _MAX_DEPTH:
        return
    required = schema.get("required") or ()
    for name, part in properties.items():
        whole = schemas.whole(root, part)
        inner = (*path, name)
        if name not in required and not _has_default(whole) and len(paths) < _MAX_PATHS:
            paths[inner] = _EMPTY.get(_type_of([whole]), "''")
        _nested(root, whole, inner, paths)


def _has_default(schema: object) -> bool:
    return isinstance(schema, Mapping) and "default" in schema


def _type_of(found: Sequence[object]) -> str | None:
    kinds = [kind for part in found if isinstance(part, Mapping) and isinstance(kind := part.get("type"), str)]
    return kinds[0] if kinds else None


def _asked_for(root: Schema) -> tuple[frozenset[str], frozenset[str]]:
    """The parameters that are required whatever is answered, and those that a condition requires."""
    always: set[str] = set()
    sometimes: set[str] = set()
    waiting: list[tuple[object, set[str]]] = [(root, always)]
    seen: set[tuple[int, bool]] = set()
    while waiting:
        schema, into = waiting.pop()
        schema = schemas.resolve(root, schema)
        if not isinstance(schema, Mapping) or (id(schema), into is always) in seen:
            continue
        seen.add((id(schema), into is always))
        into.update(name for name in schema.get("required") or () if isinstance(name, str))
        for word, parts in schema.items():
            if word == "allOf" and isinstance(parts, list):
                waiting.extend((part, into) for part in parts)
            elif word in {"oneOf", "anyOf"} and isinstance(parts, list):
                waiting.extend((part, sometimes) for part in parts)
            elif word in {"then", "else"}:
                waiting.append((parts, sometimes))
            elif word == "dependentSchemas" and isinstance(parts, Mapping):
                waiting.extend((part, sometimes) for part in parts.values())
            elif word == "dependentRequired" and isinstance(parts, Mapping):
                sometimes.update(name for names in parts.values() for name in names)
    return frozenset(always), frozenset(sometimes)
