"""Checking a template's file when it is loaded: a document becomes a template, or a list of what is wrong with it.

Its parameters are checked in ``parameters.checks``, its expressions in ``expressions.checks``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from portal_actions_plugin.control_characters import escaped
from portal_actions_plugin.software_templates.checking.exclusive_ifs import exclude_each_other
from portal_actions_plugin.software_templates.checking.items import read_concurrency, read_each
from portal_actions_plugin.software_templates.checking.known_outputs import check_outputs
from portal_actions_plugin.software_templates.checking.literal_inputs import ActionFinder, faults
from portal_actions_plugin.software_templates.checking.optional_values import check_presence
from portal_actions_plugin.software_templates.checking.skeletons import Place, hash_skeletons, skeletons_of
from portal_actions_plugin.software_templates.expressions import host_calls
from portal_actions_plugin.software_templates.expressions.checks import (
    STATUS_FUNCTIONS,
    Scope,
    check_condition,
    check_each,
    check_value,
)
from portal_actions_plugin.software_templates.expressions.limits import current_budget
from portal_actions_plugin.software_templates.findings import Checked, Findings
from portal_actions_plugin.software_templates.forge_targets import Target, target_of_step
from portal_actions_plugin.software_templates.known_inputs import literal
from portal_actions_plugin.software_templates.missing_actions import no_action
from portal_actions_plugin.software_templates.outputs.checks import check_output
from portal_actions_plugin.software_templates.parameters.checking.pages import KEY as PARAMETERS
from portal_actions_plugin.software_templates.parameters.checking.pages import page_places, read_pages
from portal_actions_plugin.software_templates.parameters.checking.words import check_decorators, check_tags, check_when
from portal_actions_plugin.software_templates.parameters.choices import Choices
from portal_actions_plugin.software_templates.parameters.tags import KEY as TAGS
from portal_actions_plugin.software_templates.parameters.tags import tags_of
from portal_actions_plugin.software_templates.places import value_at, written
from portal_actions_plugin.software_templates.readings import API_VERSIONS, Reading
from portal_actions_plugin.software_templates.skeletons.files import signature
from portal_actions_plugin.software_templates.spec import Step, Template, fingerprint, holds_always, repeated_ids

if TYPE_CHECKING:
    from pathlib import Path

    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.places import Key
    from portal_actions_plugin.software_templates.yaml.documents import Document

KIND = "Template"
MAX_STEPS = 200
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_STEP_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
MAX_STEP_ID = 255
"""Characters of a step's id in a document of Backstage, where it may be any text: so many are stored."""
_TOP_KEYS = ("apiVersion", "kind", "metadata", "spec")
_METADATA_KEYS = ("name", "title", "description", "tags")
_SPEC_KEYS = ("owner", "type", "lifecycle", "parameters", "steps", "output", "permissions", "presentation")
_STEP_KEYS = ("id", "name", "action", "input", "if", "each", TAGS)
_UNLESS = {Reading.STRICT: "", Reading.BACKSTAGE: ", or ifs that exclude each other"}


Forbids = Callable[[str, str, Mapping[str, "JsonValue"]], str | None]
"""Why an action with what is known of its input cannot be done on the forge of that name; None when nothing forbids it."""


def forbids_nothing(_action: str, _provider: str, _data: Mapping[str, JsonValue]) -> None:
    """Know of no forge."""


def check_document(
    document: Document,
    file: Path,
    known_actions: Container[str],
    forbids: Forbids = forbids_nothing,
    root: Path | None = None,
) -> Checked:
    """Check a document of kind Template.

    Args:
        document: what a file says, with the line of each value.
        file: where it was read; skeleton folders are named from its folder.
        known_actions: the action ids that a step may name.
        forbids: knows what the forges cannot do that steps name as plain text.
        root: the template folder, which no skeleton is outside of; by default the file's folder.
    """
    findings = Findings(file, document)
    data = document.mapping
    findings.typing_errors(data, (), _TOP_KEYS)
    if data.get("apiVersion") not in API_VERSIONS:
        findings.add(("apiVersion",), f"this must be {' or '.join(API_VERSIONS)}")
    metadata = findings.mapping(data, ("metadata",))
    findings.typing_errors(metadata, ("metadata",), _METADATA_KEYS)
    name = findings.text(metadata, ("metadata", "name"))
    if name and not _NAME.fullmatch(name):
        findings.add(("metadata", "name"), "a name has at most 63 letters, digits and . _ - and begins with no sign")
    spec = findings.mapping(data, ("spec",))
    findings.typing_errors(spec, ("spec",), _SPEC_KEYS)
    pages = read_pages(spec, findings)
    steps = _read_steps(spec, findings, known_actions)
    output = findings.mapping(spec, ("spec", "output"))
    named = skeletons_of(steps, Choices(pages), findings)
    skeletons = {one.path: signature(file.parent, one.path) for one in named}
    files = hash_skeletons(Place(file.parent, root), named, findings)
    template = Template(
        name=name,
        title=findings.text(metadata, ("metadata", "title"), name),
        description=findings.text(metadata, ("metadata", "description"), ""),
        tags=findings.texts(metadata, ("metadata", "tags")),
        owner=findings.text(spec, ("spec", "owner"), ""),
        type=findings.text(spec, ("spec", "type"), ""),
        parameters=pages,
        steps=steps,
        output=output,
        permissions=findings.texts(spec, ("spec", "permissions")),
        version=fingerprint(data, files),
        folder=str(file.parent.absolute()),
        skeleton_files=files,
        reading=findings.reading,
        presentation=findings.mapping(spec, ("spec", "presentation")),
    )
    check_decorators(spec, findings)
    _check_expressions(template, findings)
    _check_literals(steps, known_actions, findings)
    check_outputs(template, known_actions, findings)
    _check_forges(steps, forbids, findings)
    problems = findings.problems
    waits = problems and all(problem.waits_for for problem in problems)
    return Checked(
        name,
        document.line(("metadata", "name")),
        None if problems else template,
        problems,
        findings.warnings,
        skeletons,
        template if waits else None,
    )


def _read_steps(spec: Mapping[str, JsonValue], findings: Findings, known_actions: Container[str]) -> tuple[Step, ...]:
    key: Key = ("spec", "steps")
    given = spec.get("steps")
    if not isinstance(given, list) or not given:
        findings.add(key, "steps must be a list with at least one step")
        return ()
    if len(given) > MAX_STEPS:
        findings.add(key, f"a template has at most {MAX_STEPS} steps")
    steps: list[Step] = []
    for index, data in enumerate(given[:MAX_STEPS]):
        if not isinstance(data, Mapping):
            findings.add((*key, index), "a step must be a mapping with an action")
            data = {}  # noqa: PLW2901 so that the positions of later steps stay right
        step = _read_step(data, index, findings, known_actions)
        if same := [number for number, earlier in enumerate(steps) if earlier.id == step.id]:
            apart = all(exclude_each_other(steps[number].condition, step.condition) for number in same)
            if findings.reading is Reading.STRICT or not apart:
                said = f"the step id {step.id!r} is taken already, by spec.steps[{same[0]}]"
                findings.differ(
                    (*key, index, "id"), f"{said}; write another id{_UNLESS[findings.reading]}", value=step.id
                )
        steps.append(step)
    return tuple(steps)


def _ids(known_actions: Container[str]) -> list[str]:
    """The ids of actions, of the registry too; none of what only knows whether one is there."""
    if not isinstance(known_actions, Iterable):
        return []
    return [one if isinstance(one, str) else str(getattr(one, "id", "")) for one in known_actions]


def _read_step(data: Mapping[str, JsonValue], index: int, findings: Findings, known_actions: Container[str]) -> Step:
    key: Key = ("spec", "steps", index)
    known = (*_STEP_KEYS, "concurrency") if findings.reading is Reading.STRICT else _STEP_KEYS
    for name in data:
        if name not in known:
            findings.differ((*key, name), f"unknown key; a step has {', '.join(known)}")
    check_tags(data, key, findings)
    step_id = findings.text(data, (*key, "id"), f"step-{index + 1}")
    if not _STEP_ID.fullmatch(step_id):
        is_storable = 0 < len(step_id) <= MAX_STEP_ID and escaped(step_id) == step_id
        note = findings.differ if is_storable else findings.add
        said = "a step id has at most 63 letters, digits and _ - and begins with no sign"
        note((*key, "id"), said, value=step_id, write=_plain_id(step_id))
    action = findings.text(data, (*key, "action"))
    if action and action not in known_actions:
        if f"{action}@v1" in known_actions:
            message = f"there is no action {action!r}; did you mean {action}@v1?"
            findings.add((*key, "action"), message, value=action, write=f"{action}@v1")
        else:
            note_missing = findings.wait if holds_always(data.get("if")) else findings.wait_if_reached
            note_missing((*key, "action"), no_action(action, _ids(known_actions)), action)
    return Step(
        id=step_id,
        name=findings.text(data, (*key, "name"), step_id),
        action=action,
        input=findings.mapping(data, (*key, "input")),
        condition=data.get("if"),
        tags=tags_of(data),
        each=read_each(data, key, findings),
        concurrency=read_concurrency(data, key, findings, known_actions),
    )


def _plain_id(step_id: str) -> str:
    """An id made of what may be in one; empty where nothing is left."""
    return re.sub(r"[^A-Za-z0-9]+", "-", step_id).strip("-")[:63].rstrip("-")


def _check_expressions(template: Template, findings: Findings) -> None:
    known = _known_parameters(template, findings)
    ids = tuple(step.id for step in template.steps)
    secrets = template.secret_names
    asked, language = template.askable_secrets, template.language

    def scope(earlier: tuple[str, ...], *, is_input: bool, has_item: bool = False) -> Scope:
        return Scope(
            *(earlier, ids, known, secrets, is_input, language.references, asked),
            functions=host_calls.current().names[1] | STATUS_FUNCTIONS,
            instead=language.instead,
            blocks_are_texts=template.reading is Reading.STRICT,
            has_item=has_item,
        )

    for place, page in page_places(template.parameters, findings):
        if "when" in page:
            before = replace(scope((), is_input=False), functions=host_calls.current().names[1])
            check_when(page["when"], (*place, "when"), before, findings)
    for index, step in enumerate(template.steps):
        key: Key = ("spec", "steps", index)
        has_item = step.each is not None
        if has_item:
            check_each(step.each, (*key, "each"), scope(ids[:index], is_input=True), findings)
        check_condition(step.condition, (*key, "if"), scope(ids[:index], is_input=False, has_item=has_item), findings)
        check_value(step.input, (*key, "input"), scope(ids[:index], is_input=True, has_item=has_item), findings)
    check_output(template.output, scope(ids, is_input=False), findings)
    if template.reading is Reading.STRICT and known is not None:
        check_presence(template, findings)


def _check_literals(steps: tuple[Step, ...], known_actions: Container[str], findings: Findings) -> None:
    """Note what of a step's input its action refuses whatever the run is, where more than the actions' names are known."""
    if not isinstance(known_actions, ActionFinder):
        return
    for index, step in enumerate(steps):
        current_budget().check_time()
        if step.action not in known_actions:
            continue
        action = known_actions.get(step.action)
        for place, message, near in faults(action, step.input):
            key: Key = ("spec", "steps", index, "input", *place)
            value = value_at(step.input, place)
            is_shown = value is not None and place and place[0] not in action.secret_names()
            findings.differ(
                key,
                f"{step.action} cannot take this input: {written(place) if place else 'it'} {message}",
                value=findings.read_as(key, value) if is_shown else "",
                write=near,
            )


def _check_forges(steps: tuple[Step, ...], forbids: Forbids, findings: Findings) -> None:
    targets: dict[str, Target] = {}
    repeated = repeated_ids(steps)
    for index, step in enumerate(steps):
        data = {key: part for key, of in step.input.items() if (part := literal(of)) is not None}
        if target := target_of_step(data, step.input, targets):
            if step.id not in repeated:
                targets[step.id] = target
            if why := forbids(step.action, target.provider, data):
                findings.add(("spec", "steps", index, "action"), f"{why}, which {step.action} asks for")


def _known_parameters(template: Template, findings: Findings) -> frozenset[str] | None:
    """The parameters that expressions may name; None when the pages cannot be read or allow any."""
    is_unreadable = not template.parameters and bool(findings.at(PARAMETERS))
    if is_unreadable or template.inputs_schema().get("additionalProperties", False) is not False:
        return None
    return template.parameter_names
