"""What somebody is offered: a button, a form, a link to start. Whoever takes the offer passes ``access`` again."""

from __future__ import annotations

from portal_actions_plugin.actions.registry import Action
from portal_actions_plugin.errors import ActionError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.host import Identity
from portal_actions_plugin.run_types import ActionRun, TemplateRun
from portal_actions_plugin.runs.course import Course
from portal_actions_plugin.runs.guards import access
from portal_actions_plugin.runs.resume import LeftOff, first_step, left_off
from portal_actions_plugin.runs.secrets.requester import entity_of_requester
from portal_actions_plugin.runs.states import ACTIVE, CANCELED, FAILED, OVER
from portal_actions_plugin.software_templates.spec import Template


def may_change_runs(identity: Identity | None) -> bool:
    """Whether the identity may do anything to runs at all: what a list goes by, which does not ask about each."""
    return any(access.allowed(identity, permission) for permission in ("template:run", "action:run", "run:cancel-any"))


def can_cancel(identity: Identity | None, run: ActionRun | TemplateRun) -> bool:
    """Whether a Cancel button would work right now. A step is canceled with its template run."""
    is_step = isinstance(run, ActionRun) and run.template_run_id is not None
    return run.status in ACTIVE and not is_step and access.may_cancel(identity, run)


def can_retry(identity: Identity | None, run: ActionRun | TemplateRun) -> bool:
    """Whether a Retry button would work right now: a template run that ended badly, or a one-off that ended."""
    if isinstance(run, TemplateRun):
        return run.status in (FAILED, CANCELED) and _may_start_again(identity, run)
    return run.template_run_id is None and run.status in OVER and _may_start_again(identity, run)


def resumable(identity: Identity | None, run: TemplateRun) -> LeftOff | None:
    """Where Resume would go on; None where it would not work right now, or do the same as Retry.

    What the run's template demanded counts too.
    """
    if not (run.progress.done or any(step.items and step.items.done for step in run.steps)):
        return None
    if not can_retry(identity, run):
        return None
    assert identity is not None  # noqa: S101 nobody can retry without being somebody
    try:
        begin = left_off(run.id)
        course = Course(
            *(run.id, begin.template, run.inputs, identity.id, identity.name, run.entity),
            outputs=begin.outputs,
            user_entity=entity_of_requester(begin.template, identity),
        )
        first_step(begin, extension().templates.get(run.template), course)
    except ActionError:
        return None
    template = begin.template
    is_permitted = access.permitted_template(identity, template) is template
    return begin if is_permitted and access.has_all(identity, access.demands_of_template(template)) else None


def may_start_template(identity: Identity | None, template: Template) -> bool:
    """Whether the identity may start this template, with all that it demands."""
    if access.hides(identity, "template:read", template.name):
        return False
    permitted = access.permitted_template(identity, template)
    return access.has_all(identity, [("template:run", template.name), *access.demands_of_template(permitted)])


def may_start_action(identity: Identity | None, action: Action) -> bool:
    """Whether the identity may start this action as a one-off, with all that it demands."""
    if access.hides(identity, "action:read", action.id):
        return False
    return access.has_all(identity, [("action:run", action.id), *access.demands_of_action(action)])


def _may_start_again(identity: Identity | None, run: ActionRun | TemplateRun) -> bool:
    """Whether what a run executed may be started again, with all that it demands by now; what is gone may not."""
    parts = extension()
    try:
        if isinstance(run, TemplateRun):
            may = may_start_template(identity, parts.templates.get(run.template))
        else:
            may = may_start_action(identity, parts.registry.get(run.action))
    except ActionError:
        return False
    return may and access.allowed(identity, access.run_permission(run), run)
