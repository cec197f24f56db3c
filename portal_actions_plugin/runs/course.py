"""A template run as its steps see it: what expressions may name, which step is next, and what a step would lock."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from portal_actions_plugin.actions.registry import Action
from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.secrets.token_shapes import MASK
from portal_actions_plugin.runs.states import FAILED, SUCCESS
from portal_actions_plugin.software_templates import step_rendering
from portal_actions_plugin.software_templates.items import Item, gathered
from portal_actions_plugin.software_templates.nunjucks.rendering import StatusCheck
from portal_actions_plugin.software_templates.outputs import rendering
from portal_actions_plugin.software_templates.spec import Template

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """The first failure of a template run. Its error is the run's, whatever fails after it.

    Attributes:
        position: of the step that failed, by its index in the template.
        code: of its error.
    """

    position: int
    code: str


@dataclass(frozen=True, slots=True)
class Course:
    """A template run as its steps see it: who asked for what, and what the finished steps made.

    Attributes:
        user_entity: what the host's catalog has of who asked, where the template names it.
        failure: what ended the run's own course; only steps that clean up follow. None while nothing has failed.
        failed_steps: the ids of those that failed, the last time that one of that id ran.
        item: of a step with ``each``, the item that is done.
    """

    run_id: str
    template: Template
    inputs: Mapping[str, Any]
    requested_by: str
    requester_name: str
    entity: str | None = None
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    user_entity: Mapping[str, Any] | None = None
    failure: Failure | None = None
    failed_steps: frozenset[str] = frozenset()
    item: Item | None = None

    def at_item(self, item: Item | None) -> Course:
        """The run as the step with ``each`` sees it that is at this item; None for any other step."""
        return replace(self, item=item)

    def with_steps(
        self, rows: Sequence[Mapping[str, Any]], lists: Collection[int], failed_at_step: int | None
    ) -> Course:
        """The run with what its steps have come to.

        Args:
            rows: of those that have begun, by their places and items: ``position``, ``step_id``, ``status``, ``outputs``,
                ``error_code``, ``finished_at``.
            lists: the places of those whose lists have been worked out: one that is empty has no row.
            failed_at_step: the place of the one that has failed first; None when none has.
        """
        failed = sorted((row for row in rows if row["status"] == FAILED), key=lambda row: row["finished_at"])
        course, codes = self, {row["position"]: row["error_code"] or "" for row in reversed(failed)}
        of_steps: dict[int, list[Mapping[str, Any]]] = {position: [] for position in lists}
        for row in rows:
            of_steps.setdefault(row["position"], []).append(row)
        for position, own in sorted(of_steps.items()):  # of several steps of one id the last one counts
            step = self.template.steps[position]
            if position in codes:
                course = replace(course, failed_steps=course.failed_steps | {step.id})
            elif all(row["status"] == SUCCESS for row in own):
                made = [row["outputs"] or {} for row in own]
                course = (
                    course.after_success(step.id, made[-1]) if step.each is None else course.after_items(step.id, made)
                )
        if failed_at_step is None:
            return course
        return replace(course, failure=Failure(failed_at_step, codes.get(failed_at_step, "")))

    def context(self) -> dict[str, Any]:
        """What expressions may name."""
        return self._with_item(self.item.context) if self.item else self._context()

    def context_as_shown(self) -> dict[str, Any]:
        """The same, with an item as people may see it."""
        return self._with_item(self.item.shown_context) if self.item else self._context()

    def _with_item(self, each: Mapping[str, Any]) -> dict[str, Any]:
        return {**self._context(), "each": dict(each)}

    def _context(self) -> dict[str, Any]:
        return step_rendering.step_context(
            self.inputs,
            self.outputs,
            user={
                "id": self.requested_by,
                "ref": self.requested_by,
                "displayName": self.requester_name,
                **({} if self.user_entity is None else {"entity": dict(self.user_entity)}),
            },
            context={
                "runId": self.run_id,
                "template": self.template.name,
                "entity": self.entity,
                "task": {"id": self.run_id},  # what Backstage calls it
            },
            environment={"parameters": dict(extension().config.environment.parameters)},
            failed_steps=self.failed_steps,
        )

    def output(self) -> dict[str, Any]:
        """What the run gives in the end. Never raises."""
        render = rendering.render_output_after_failure if self.failure else rendering.render_output
        return render(self.template, self.context())

    def next_step(self, position: int) -> int | None:
        """The first step at or after ``position`` that is to run, by its ``if``; raises ConditionError."""
        find = step_rendering.next_step_after_failure if self.failure else step_rendering.next_step
        return find(self.template, position, self.context())

    def after_success(self, step_id: str, outputs: Mapping[str, Any]) -> Course:
        """The run once a step has made this."""
        made = {**self.outputs, step_id: outputs}
        return replace(self, outputs=made, failed_steps=self.failed_steps - {step_id})

    def after_items(self, step_id: str, made: Sequence[Mapping[str, Any]]) -> Course:
        """The run once all items of a step have made this, in their order."""
        return self.after_success(step_id, gathered(made))

    def after_failure(self, step_id: str, failure: Failure) -> Course:
        """The run once a step has failed so: after an earlier failure that stays the run's."""
        return replace(self, failure=self.failure or failure, failed_steps=self.failed_steps | {step_id})

    def status_check(self) -> StatusCheck:
        """What answers ``always()`` and ``failure()`` in a step's input."""
        return StatusCheck(has_failed=self.failure is not None)

    def lock_key(self, position: int, action: Action) -> str | None:
        """What only one run may write while this step runs; None when nothing is locked.

        Secrets play no part in it. A step whose key cannot be worked out fails when it is run, and says why.

        Args:
            position: the step's index in the template.
            action: the step's.
        """
        if action.lock is None:
            return None
        masks = dict.fromkeys(self.template.secret_names | self.template.requester_secrets, MASK)
        context = self.context_as_shown()
        known = with_secrets(context, masks, dict.fromkeys(extension().config.environment.secrets, MASK))
        try:
            data = step_rendering.render_step_input(self.template, position, known, masks, self.status_check())
        except ValidationError:
            return None
        return lock_key_of(action, data)


def with_secrets(
    context: Mapping[str, Any], secrets: Mapping[str, Any], environment: Mapping[str, str]
) -> dict[str, Any]:
    """What the expressions of a step's input may name: ``context`` with secrets among its parameters and environment.

    Args:
        context: as ``Course.context`` gives it.
        secrets: the run's secret inputs by name.
        environment: the portal's secrets by name.
    """
    return {
        **context,
        "parameters": {**context["parameters"], **secrets},
        "environment": {**context["environment"], "secrets": dict(environment)},
    }


def lock_key_of(action: Action, data: Mapping[str, Any]) -> str | None:
    """What only one run may write, for an input; None also when that cannot be worked out.

    Then the run is queued all the same, and fails when its attempt begins, where the error has its name.
    """
    try:
        return action.lock_key(data)
    except Exception:
        if _takes(action, data):
            log.warning("the lock of %s cannot be worked out", action.id, exc_info=True)
        return None


def _takes(action: Action, data: Mapping[str, Any]) -> bool:
    """Whether an action's schema takes an input: where it does not, what its other functions say of it is no bug."""
    try:
        action.load_input(data)
    except Exception:  # noqa: BLE001 the attempt says which
        return False
    return True
