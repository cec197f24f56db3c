"""Rendering a template's steps: whether a step's ``if`` holds, and what its input becomes.

Expressions are evaluated in ``expressions.rendering``. Nothing here touches a database.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.software_templates.expressions import rendering
from portal_actions_plugin.software_templates.expressions.checks import MEMBERS
from portal_actions_plugin.software_templates.expressions.limits import budget
from portal_actions_plugin.software_templates.expressions.undefined import NoItems, Sparse, SparseTree
from portal_actions_plugin.software_templates.languages import LANGUAGES
from portal_actions_plugin.software_templates.nunjucks.rendering import StatusCheck
from portal_actions_plugin.software_templates.places import asks_for_status
from portal_actions_plugin.software_templates.readings import Reading
from portal_actions_plugin.software_templates.spec import texts_of

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.spec import Step, Template

    Values = Mapping[str, JsonValue]
    StepContext = Mapping[str, Values]
    """What expressions may name: ``parameters``, ``steps``, ``user`` and ``context``; see ``step_context``."""

_OF_A_STEP = ("output", "outputs", "status")
_NOT_GIVEN = "was not given: write a default in the parameters, or | default('…') in the expression"


class ConditionError(ValidationError):
    """The ``if`` of a step cannot be evaluated.

    Attributes:
        position: the step's index in the template.
    """

    hint = "Correct the step's `if` in the template, or the input that it reads."

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


def step_context(
    inputs: Values,
    outputs_by_step: Mapping[str, Values],
    user: Values,
    context: Values,
    environment: Values = MappingProxyType({}),
    failed_steps: Collection[str] = (),
) -> dict[str, Values]:
    """Build what expressions may name.

    Args:
        inputs: the template run's inputs by parameter.
        outputs_by_step: the outputs of each finished step by its id; a step that is not in it has none.
        user: of the requester: ``id``, ``ref`` and ``displayName``.
        context: of the run: ``runId``, ``template`` and ``entity``.
        environment: of the portal: ``parameters``; while a step's input is rendered, ``secrets`` too.
        failed_steps: the ids of those that failed, the last time that one of that id ran.

    Returns:
        ``parameters``, ``steps`` (by id, each with ``output`` and ``outputs``, which are equal, and ``status``), ``user``, ``context``, ``environment``.
    """
    steps: dict[str, dict[str, JsonValue]] = {
        step: {"output": dict(outputs), "outputs": dict(outputs), "status": "success"}
        for step, outputs in outputs_by_step.items()
    }
    for step in failed_steps:  # as at home, one that failed gives what one of that id gave before, if any did
        steps[step] = Sparse({**steps.get(step, {}), "status": "failed"}, _OF_A_STEP, "is not there: that step failed")
    return {
        "parameters": dict(inputs),
        "steps": dict(steps),
        "user": dict(user),
        "context": dict(context),
        "environment": dict(environment),
    }


def next_step(template: Template, position: int, context: StepContext) -> int | None:
    """Find the next step whose ``if`` is true, or is asked of each of its items.

    A declared parameter that was not given and the output of a skipped step count as false.

    Args:
        template: whose steps they are.
        position: the index of the first step that may be next.
        context: as ``step_context`` builds it.

    Returns:
        The step's index, at or after ``position``; None when no step is left.

    Raises:
        ConditionError: the ``if`` of a step cannot be evaluated; carries its position.
    """
    known = names_of(template, context)
    with budget():
        for index in range(position, len(template.steps)):
            if asks_each_item(template.steps[index]):
                return index
            try:
                if template.language.holds(template.steps[index].condition, known, where_of(template, index, "if")):
                    return index
            except ValidationError as error:
                raise ConditionError(error.message, index) from None
    return None


def next_step_after_failure(template: Template, position: int, context: StepContext) -> int | None:
    """Find the next step that runs although one has failed.

    That is one whose ``if`` is true and has called ``always()`` or ``failure()`` while it was evaluated.

    Args:
        template: whose steps they are.
        position: the index of the first step that may be next.
        context: as ``step_context`` builds it.

    Returns:
        The step's index, at or after ``position``; None when nothing is left to do.

    Raises:
        ConditionError: the ``if`` of a step has called one of them and cannot be evaluated; carries its position.
    """
    known = names_of(template, context)
    with budget():
        for index in range(position, len(template.steps)):
            condition = template.steps[index].condition
            if not asks_for_status(condition):
                continue
            if asks_each_item(template.steps[index]):
                return index
            check = StatusCheck(has_failed=True)
            try:
                holds = template.language.holds(condition, known, where_of(template, index, "if"), check)
            except ValidationError as error:
                if check.was_called:
                    raise ConditionError(error.message, index) from None
                continue
            if holds and check.was_called:
                return index
    return None


def asks_each_item(step: Step) -> bool:
    """Whether the ``if`` of a step with ``each`` is asked of each item, and not once for all."""
    return step.each is not None and isinstance(step.condition, str) and "${{" in step.condition


def render_step_input(
    template: Template, position: int, context: StepContext, secrets: Values, check: StatusCheck | None = None
) -> dict[str, JsonValue]:
    """Render a step's input, the only place where ``secrets`` can be named.

    Args:
        template: whose step it is.
        position: the step's index.
        context: as ``step_context`` builds it.
        secrets: the secret inputs by parameter.
        check: answers ``always()`` and ``failure()``; without it nothing has failed.

    Returns:
        What the step's action gets: its input's values by name, all of them JSON.

    Raises:
        ExpressionError: names the step, the field and the expression.
    """
    known = {**names_of(template, context), **input_context(template, secrets)}
    return template.language.render(template.steps[position].input, known, where_of(template, position, "input"), check)


def made_of_secrets(
    template: Template,
    position: int,
    context: StepContext,
    secrets: Values,
    masked: tuple[StepContext, Values],
    check: StatusCheck | None = None,
) -> Iterator[tuple[JsonValue, JsonValue]]:
    """The values in a step's input that are others with other secrets: what the template has made of secrets.

    Args:
        template: whose step it is.
        position: the step's index. ``render_step_input`` has succeeded with it, and with the next two.
        context: as ``step_context`` builds it.
        secrets: the secret inputs by parameter.
        masked: a context and secrets that have something else in place of each secret.
        check: as for ``render_step_input``.

    Yields:
        Each value, and what it is with the others; None where it cannot be rendered with them.
    """
    own = (template.steps[position].input, where_of(template, position, "input"))
    return texts_made_of_secrets(template, own, (context, secrets), masked, check)


def texts_made_of_secrets(
    template: Template,
    part: tuple[JsonValue, str],
    real: tuple[StepContext, Values],
    masked: tuple[StepContext, Values],
    check: StatusCheck | None = None,
) -> Iterator[tuple[JsonValue, JsonValue]]:
    """The same of any part of a step.

    Args:
        template: whose step it is.
        part: its value, and its place for errors.
        real: a context and the secrets.
        masked: a context and secrets that have something else in place of each secret.
        check: as for ``render_step_input``.
    """
    value_of, where = part
    known = {**names_of(template, real[0]), **input_context(template, real[1])}
    others = {**names_of(template, masked[0]), **input_context(template, masked[1])}
    secret = template.secret_names
    for text in texts_of(value_of):
        if not _names_secrets(text, template.reading, secret):
            continue  # the time, or something by chance, may be another one each time
        try:
            value = template.language.value(text, known, where, check)
        except rendering.UndefinedValueError:
            continue  # nothing was made
        try:
            other = template.language.value(text, others, where, check)
        except ValidationError:
            other = None
        if value != other:
            yield value, other


@lru_cache(maxsize=512)
def _names_secrets(text: str, reading: Reading, secret: frozenset[str]) -> bool:
    """Whether a secret may be in what a text becomes. A template's texts are the same in each of its runs."""
    return any(
        found.problems
        or found.names & {"secrets", "environment", "each"}
        or found.parameters & secret
        or (secret and "parameters" in found.whole)
        for found in LANGUAGES[reading].references(text)
    )


def names_of(template: Template, context: StepContext) -> dict[str, Values]:
    """What expressions may name in a template's steps and output: ``context``, with what is known and has no value."""
    return {
        **context,
        "parameters": SparseTree(context["parameters"], template.parameter_names, _NOT_GIVEN),
        "user": SparseTree(context["user"], MEMBERS["user"], "is not known of the requester"),
        "environment": SparseTree(context.get("environment") or {}, None, "is not in PORTAL_ACTIONS_ENVIRONMENT"),
        "steps": Sparse(
            _with_lists(template, context["steps"]),
            [*(step.id for step in template.steps), *template.withheld_steps],
            "has no output: that step was skipped or not run",
        ),
    }


def _with_lists(template: Template, steps: Values) -> Values:
    """The steps with, in the strict reading, an empty list for each output of a step that had no items."""
    if template.reading is not Reading.STRICT:
        return steps
    lists = {step.id for step in template.steps if step.each is not None} & steps.keys()
    bare = {key: found for key in lists if isinstance(found := steps[key], Mapping) and found.get("output") == {}}
    return {**steps, **{key: {**found, "output": NoItems(), "outputs": NoItems()} for key, found in bare.items()}}


def input_context(template: Template, secrets: Values) -> dict[str, Values]:
    """What expressions may name where they may name secrets, beside all else."""
    return {"secrets": Sparse(secrets, template.secret_names, _NOT_GIVEN)}


def where_of(template: Template, position: int, part: str) -> str:
    """How errors name a part of a step, such as ``step create-repo: steps[0].input``."""
    return f"step {template.steps[position].id}: steps[{position}].{part}"
