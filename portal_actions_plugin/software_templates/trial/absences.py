"""Which optional parameters a template cannot do without: each step is rendered with made-up values, none is run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import WHOLE, ValidationError
from portal_actions_plugin.software_templates.checking.known_outputs import NAMED, PART, Promised, never_given, promised
from portal_actions_plugin.software_templates.checking.literal_inputs import ActionFinder, faults, stops_runs
from portal_actions_plugin.software_templates.expressions.limits import SandboxError, budget
from portal_actions_plugin.software_templates.places import written
from portal_actions_plugin.software_templates.spec import texts_of
from portal_actions_plugin.software_templates.step_rendering import (
    input_context,
    names_of,
    render_step_input,
    step_context,
    where_of,
)
from portal_actions_plugin.software_templates.trial.samples import all_inputs, required_inputs

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.spec import Step, Template
    from portal_actions_plugin.software_templates.step_rendering import StepContext

_MAX_ITEMS = 20
"""Of a step with ``each``, so many items are tried."""
SECONDS = 5.0
"""Processor time of trying one template."""
_USER = {"id": "user:default/example", "ref": "user:default/example", "displayName": "Example"}

Failure = tuple[str, str]
"""The id of a step, and what fails there."""


def needed_optionals(template: Template, known_actions: Container[str]) -> tuple[str, ...]:
    """The optional parameters whose absence makes a step fail which does not fail when all is given.

    Args:
        template: whose steps are rendered, with made-up outputs of the steps before.
        known_actions: those whose inputs are checked by their schemas, when more than their names are known.

    Returns:
        Their names, sorted; none where trying takes too long.
    """
    try:
        with budget(seconds=SECONDS):
            return _needed(_Trial(template, known_actions, promised(template.steps, known_actions)))
    except (SandboxError, RecursionError):
        return ()


def _needed(trial: _Trial) -> tuple[str, ...]:
    template = trial.template
    required = required_inputs(template)
    whole = {**all_inputs(template), **required}
    inevitable = trial.failures(whole)
    if not trial.failures(required) - inevitable:
        return ()
    optional = sorted(set(whole) - set(required))
    without = {name: {key: value for key, value in whole.items() if key != name} for name in optional}
    needed = [name for name in optional if trial.failures(without[name]) - inevitable]
    # Where none is missed alone, one of several would do: each that mends something by itself is told.
    return tuple(needed or (name for name in optional if trial.mends(required, name, whole[name])))


def refused_inputs(template: Template, known_actions: Container[str]) -> frozenset[str]:
    """The keys of what every run fails by: a part of a step's input that its action refuses, and no ``if`` spares it.

    Args:
        template: whose steps are looked at.
        known_actions: those whose inputs are checked by their schemas, when more than their names are known.

    Returns:
        Places in the document, as findings name them.
    """
    if not isinstance(known_actions, ActionFinder):
        return frozenset()
    return frozenset(
        written(("spec", "steps", index, "input", *fault.place))
        for index, step in enumerate(template.steps)
        if step.is_unconditional and step.action in known_actions
        for action in (known_actions.get(step.action),)
        for fault in faults(action, step.input)
        if stops_runs(action, fault)
    )


def missed_names(template: Template, known_actions: Container[str]) -> Mapping[int, frozenset[str]]:
    """What no run has, and a step cannot do without: parameters that no page declares, outputs that no action gives.

    Args:
        template: whose steps are rendered, with made-up values for all that a run may have.
        known_actions: those whose inputs and outputs are known by their schemas, when more than their names are.

    Returns:
        The names by the number of each step that fails in every run; none where trying takes too long.
    """
    try:
        with budget(seconds=SECONDS):
            return _missed(template, known_actions)
    except (SandboxError, RecursionError):
        return {}


def _missed(template: Template, known_actions: Container[str]) -> Mapping[int, frozenset[str]]:
    known = promised(template.steps, known_actions)
    names = [_absent(template, index, known) for index in range(len(template.steps))]
    if not any(names):
        return {}
    whole = {**all_inputs(template), **required_inputs(template)}
    wished = {**dict.fromkeys(frozenset().union(*names) - set(whole), "example"), **whole}
    failing = _Trial(template, known_actions, known).failures(whole)
    because = {step for step, _ in failing - _Trial(template, known_actions).failures(wished)}
    steps = enumerate(template.steps)
    return {
        index: names[index] for index, step in steps if step.id in because and step.is_unconditional and names[index]
    }


def _absent(template: Template, index: int, known: Promised) -> frozenset[str]:
    """The names in a step's input that have no value in any run."""
    texts = list(texts_of(dict(template.steps[index].input)))
    used = (found for text in texts for found in template.language.references(text))
    undeclared = frozenset().union(*(found.parameters for found in used)) - template.parameter_names
    return undeclared.union(name for text in texts for _, name in never_given(text, known))


def missing_actions(template: Template, known_actions: Container[str]) -> frozenset[str]:
    """The actions that are not there, and that a run with its required parameters alone comes to, or may come to.

    Args:
        template: whose steps are looked at.
        known_actions: those that there are.
    """
    missing = [step for step in template.steps if step.action not in known_actions]
    if not missing:
        return frozenset()
    asked = {step.action for step in missing if step.is_unconditional or _depends_on_steps(template, step)}
    trial = _Trial(template, known_actions)
    try:
        with budget(seconds=SECONDS):
            trial.failures(required_inputs(template))
    except (SandboxError, RecursionError):
        return frozenset(step.action for step in missing)
    return frozenset(trial.reached.intersection(step.action for step in missing) | asked)


def _depends_on_steps(template: Template, step: Step) -> bool:
    """Whether only a run can say if a step is come to: what steps give is made up here."""
    return any(found.steps for text in texts_of(step.condition) for found in template.language.references(text))


def unanswerable(template: Template) -> frozenset[str]:
    """The parameters that every start has to give, and that no page declares: nothing can be started."""
    try:
        with budget(seconds=SECONDS):
            template.input_check.fill(required_inputs(template))
    except ValidationError as error:
        return frozenset(error.fields) - template.parameter_names - {WHOLE}
    except (SandboxError, RecursionError):
        pass
    return frozenset()


class _Trial:
    """Renders the steps of one template.

    Attributes:
        reached: the actions of the steps that it has come to.
    """

    def __init__(self, template: Template, known_actions: Container[str], known: Promised | None = None) -> None:
        """Take a template, and what its steps may give; None lets them give all that is named."""
        self.template = template
        self._known_actions = known_actions
        self._outputs = _made_up_outputs(template, known or {})
        self.reached: set[str] = set()

    def mends(self, inputs: Mapping[str, JsonValue], name: str, value: JsonValue) -> bool:
        """Whether one more input lets fewer steps fail."""
        return bool(self.failures(inputs) - self.failures({**inputs, name: value}))

    def failures(self, inputs: Mapping[str, JsonValue]) -> frozenset[Failure]:
        """What fails with these inputs: an ``if``, an expression, or a part that an action does not take."""
        return frozenset(self._failures(inputs))

    def _failures(self, inputs: Mapping[str, JsonValue]) -> Iterator[Failure]:
        template = self.template
        secrets = {name: inputs[name] for name in template.secret_names if name in inputs}
        open_inputs = {name: value for name, value in inputs.items() if name not in secrets}
        secrets |= dict.fromkeys(template.requester_secrets, "example")
        outputs: dict[str, Mapping[str, JsonValue]] = {}
        for index, step in enumerate(template.steps):
            context = step_context(
                open_inputs, outputs, _USER, {"runId": "example", "template": template.name, "entity": None}
            )
            made = self._outputs.get(step.id, {})
            if step.each is None:
                yield from self._failures_of_step(index, context, secrets)
            else:
                made = {name: [value] for name, value in made.items()}
                yield from self._failures_of_items(index, context, secrets)
            outputs[step.id] = made

    def _failures_of_items(
        self, index: int, context: StepContext, secrets: Mapping[str, JsonValue]
    ) -> Iterator[Failure]:
        template, step = self.template, self.template.steps[index]
        where = where_of(template, index, "each")
        names = {**names_of(template, context), **input_context(template, secrets)}
        try:
            items = template.language.items(step.each, names, where)
        except ValidationError as error:
            if not any(found.steps for text in texts_of(step.each) for found in template.language.references(text)):
                yield step.id, error.message
            return  # what another step makes is made up here, and no list
        for key, value in items[:_MAX_ITEMS]:
            yield from self._failures_of_step(index, {**context, "each": {"key": key, "value": value}}, secrets)

    def _failures_of_step(
        self, index: int, context: StepContext, secrets: Mapping[str, JsonValue]
    ) -> Iterator[Failure]:
        template, step = self.template, self.template.steps[index]
        try:
            where = where_of(template, index, "if")
            if not template.language.holds(step.condition, names_of(template, context), where):
                return
            self.reached.add(step.action)
            data = render_step_input(template, index, context, secrets)
        except ValidationError as error:
            yield step.id, error.message
        else:
            for place in self._refused(step.action, data):
                yield step.id, place

    def _refused(self, action_id: str, data: Mapping[str, JsonValue]) -> Iterator[str]:
        known = self._known_actions
        if not isinstance(known, ActionFinder) or action_id not in known:
            return
        try:
            known.get(action_id).load_input(data)
        except ValidationError as error:
            yield from (f"{name}: {said}" for name, said in error.fields.items())
        except Exception as error:  # noqa: BLE001 a schema is anybody's code
            yield type(error).__name__


def _made_up_outputs(template: Template, known: Promised) -> dict[str, dict[str, JsonValue]]:
    """A text for each output that a step names, by the step that would give it, as far as it may."""
    found: dict[str, dict[str, JsonValue]] = {}
    texts = json.dumps([[step.condition, step.each, dict(step.input)] for step in template.steps], ensure_ascii=False)
    for match in NAMED.finditer(texts.replace('\\"', '"')):
        way = PART.findall(match["way"])
        if match["call"]:
            way.pop()  # the name of a method
        step = match["plain"] or match["quoted"]
        place: dict[str, JsonValue] = found.setdefault(step, {})
        if way and way[0] not in known.get(step, (way[0],)):
            continue
        for name in way[:-1]:
            below = place.get(name)
            if not isinstance(below, dict):
                below = place[name] = {}
            place = below
        if way:
            is_url = "url" in way[-1].lower()
            place.setdefault(way[-1], "https://example.com/example" if is_url else "example")
    return found
