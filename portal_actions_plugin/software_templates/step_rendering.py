"""Which step comes next, what it gets, and what the run gives in the end. Nothing here touches a database."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.software_templates.expressions import rendering
from portal_actions_plugin.software_templates.expressions.limits import budget
from portal_actions_plugin.software_templates.expressions.undefined import Sparse

if TYPE_CHECKING:
    from portal_actions_plugin.software_templates.spec import Template

log = logging.getLogger(__name__)

_DROPPED = object()


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
    inputs: Mapping[str, Any],
    outputs_by_step: Mapping[str, Mapping[str, Any]],
    user: Mapping[str, Any],
    context: Mapping[str, Any],
) -> dict[str, Any]:
    """Build what expressions may name.

    Args:
        inputs: the template run's inputs.
        outputs_by_step: the outputs of each finished step by its id; a step that is not in it has none.
        user: the requester.
        context: the run.
    """
    steps = {step: {"output": dict(outputs), "outputs": dict(outputs)} for step, outputs in outputs_by_step.items()}
    return {"parameters": dict(inputs), "steps": steps, "user": dict(user), "context": dict(context)}


def first_or_next(template: Template, position: int, context: Mapping[str, Any]) -> int | None:
    """Find the next step whose ``if`` is true: its index at or after ``position``, or None when no step is left.

    A declared parameter that was not given and the output of a skipped step count as false.

    Raises:
        ConditionError: the ``if`` of a step cannot be evaluated; carries its position.
    """
    known = _known(template, context)
    with budget():
        for index in range(position, len(template.steps)):
            try:
                if rendering.evaluate_condition(template.steps[index].condition, known, _where(template, index, "if")):
                    return index
            except ValidationError as error:
                raise ConditionError(error.message, index) from None
    return None


def render_step_input(
    template: Template, position: int, context: Mapping[str, Any], secrets: Mapping[str, Any]
) -> dict[str, Any]:
    """Render a step's input, the only place where ``secrets`` can be named.

    Raises:
        ExpressionError: names the step, the field and the expression.
    """
    known = {**_known(template, context), "secrets": dict(secrets)}
    rendered: dict[str, Any] = rendering.render(
        template.steps[position].input, known, _where(template, position, "input")
    )
    return rendered


def made_of_secrets(
    template: Template,
    position: int,
    context: Mapping[str, Any],
    secrets: Mapping[str, Any],
    masked: tuple[Mapping[str, Any], Mapping[str, Any]],
) -> Iterator[tuple[Any, Any]]:
    """The values in a step's input that are others with other secrets.

    Args:
        template: as for ``render_step_input``, which has succeeded with it.
        position: likewise.
        context: likewise.
        secrets: likewise.
        masked: a context and secrets that have something else in place of each secret.

    Yields:
        Each value, and what it is with the others; None where it cannot be rendered with them.
    """
    known = {**_known(template, context), "secrets": dict(secrets)}
    others = {**_known(template, masked[0]), "secrets": dict(masked[1])}
    where = _where(template, position, "input")
    for text in _texts(template.steps[position].input):
        value = rendering.render(text, known, where)
        try:
            other = rendering.render(text, others, where)
        except ValidationError:
            other = None
        if value != other:
            yield value, other


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(part)


def render_output(template: Template, context: Mapping[str, Any]) -> dict[str, Any]:
    """Render what the run gives in the end; never raises, since the run has succeeded.

    A value that is undefined, such as an output of a skipped step, is left out, and so is an item of a list that lost
    a part: a link without its url is none. An item's own ``if`` is evaluated, as in the format.
    """
    with budget():
        rendered = _render_output(template.output, _known(template, context), "output")
    return rendered if isinstance(rendered, dict) else {}


def _known(template: Template, context: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **context,
        "parameters": Sparse(
            context["parameters"],
            template.parameter_names,
            "was not given: write a default in the parameters, or | default('…') in the expression",
        ),
        "steps": Sparse(
            context["steps"], (step.id for step in template.steps), "has no output: that step was skipped or not run"
        ),
    }


def _where(template: Template, position: int, part: str) -> str:
    return f"step {template.steps[position].id}: steps[{position}].{part}"


def _render_output(value: Any, context: Mapping[str, Any], where: str) -> Any:
    if isinstance(value, Mapping):
        parts = {key: _render_output(item, context, f"{where}.{key}") for key, item in value.items()}
        return {key: part for key, part in parts.items() if part is not _DROPPED}
    if isinstance(value, list | tuple):
        items = [_render_item(item, context, f"{where}[{index}]") for index, item in enumerate(value)]
        return [item for item in items if item is not _DROPPED]
    try:
        return rendering.render(value, context, where)
    except ValidationError as error:
        if not isinstance(error, rendering.UndefinedValueError):
            log.warning("A value of a template's output is left out: %s", error.message)
        return _DROPPED


def _render_item(item: Any, context: Mapping[str, Any], where: str) -> Any:
    if not isinstance(item, Mapping):
        return _render_output(item, context, where)
    wanted = {key: value for key, value in item.items() if key != "if"}
    try:
        if not rendering.evaluate_condition(item.get("if"), context, f"{where}.if"):
            return _DROPPED
    except ValidationError:
        return _DROPPED
    rendered = _render_output(wanted, context, where)
    return rendered if len(rendered) == len(wanted) else _DROPPED
