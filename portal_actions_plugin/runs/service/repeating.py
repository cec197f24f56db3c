"""Retrying and resuming runs: may they, has it ended so, are the secrets given again; then it is a start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portal_actions_plugin.errors import ConflictError, ValidationError
from portal_actions_plugin.host import Identity
from portal_actions_plugin.run_types import TemplateRun
from portal_actions_plugin.runs.accept import Ask, Started
from portal_actions_plugin.runs.guards import access
from portal_actions_plugin.runs.resume import LeftOff, left_empty_of, left_off
from portal_actions_plugin.runs.secrets.token_shapes import MASK
from portal_actions_plugin.runs.service.change_access import action_run_to_change, template_run_to_change
from portal_actions_plugin.runs.service.starting import start_action, start_template
from portal_actions_plugin.runs.states import CANCELED, FAILED, OVER
from portal_actions_plugin.runs.workspaces.handover import as_unavailable, require_contents

_PLAIN = Ask()


def retry_template_run(identity: Identity | None, run_id: str, ask: Ask = _PLAIN) -> Started:
    """Start a failed or canceled template run anew: the template as it is now, the same inputs.

    Args:
        identity: who asks.
        run_id: the template run's id.
        ask: its idempotency key, the secret inputs again, since those of the run are wiped, and which retry is known of.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not.
        NotFoundError: there is no such run, or its template is gone.
        ConflictError: the run has neither failed nor been canceled, or was retried meanwhile.
        ValidationError: a secret input is missing, or the inputs do not fit the template any more; each is named.
        TooManyStartsError: the identity's limit is reached; it names the wait.
        ConfigurationError: the template is broken.
    """
    run = template_run_to_change(identity, run_id, "template_run.retry")
    asker = access.require_again(identity, run, event="template_run.retry", target=run.template)
    inputs, again = _once_more(run, ask)
    return start_template(asker, run.template, inputs, again, event="template_run.retry", retry_of=run.id)


def resume_template_run(identity: Identity | None, run_id: str, ask: Ask = _PLAIN) -> Started:
    """Start a new run at the step that failed or was canceled: the template as it was, the finished steps taken over.

    The template has to be there still, and what it demands by now counts too.

    Args:
        identity: who asks.
        run_id: the template run's id.
        ask: its idempotency key, the secret inputs again, since those of the run are wiped, and which retry is known of.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not.
        NotFoundError: there is no such run, or its template is gone.
        ConflictError: the run has neither failed nor been canceled, it cannot go on with the template as it was, or its
            workspace is gone.
        ValidationError: a secret input is missing; it is named.
        TooManyStartsError: the identity's limit is reached; it names the wait.
        ConfigurationError: the template is broken, or no key opens what the run has kept.
        UnavailableError: the store of workspaces does not answer.
    """
    run = template_run_to_change(identity, run_id, "template_run.resume")
    asker = access.require_again(identity, run, event="template_run.resume", target=run.template)
    inputs, again = _once_more(run, ask)

    def begin() -> LeftOff:
        with as_unavailable():
            place = left_off(run.id)
        require_contents(place.workspace)
        return place

    return start_template(asker, run.template, inputs, again, event="template_run.resume", retry_of=run.id, begin=begin)


def retry_action_run(identity: Identity | None, run_id: str, ask: Ask = _PLAIN) -> Started:
    """Start an ended one-off anew with the same input.

    Args:
        identity: who asks.
        run_id: the action run's id.
        ask: its idempotency key, the secret inputs again, since those of the run are wiped, and which retry is known of.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not.
        NotFoundError: there is no such run, or its action is gone.
        ConflictError: it is a step of a template run, has not ended, or was run again meanwhile.
        ValidationError: a secret input is missing, or the input does not fit the action any more; each is named.
        TooManyStartsError: the identity's limit is reached; it names the wait.
    """
    run = action_run_to_change(identity, run_id, "action_run.retry")
    asker = access.require_again(identity, run, event="action_run.retry", target=run.action)
    if run.template_run_id:
        raise ConflictError(
            "This is a step of a template run: the template run is what is retried.",
            hint=f"Retry the template run {run.template_run_id}.",
        )
    if run.status not in OVER:
        raise ConflictError(f"This run is {run.status}: it can be run again once it has ended.")
    data, secrets = _inputs_again(run.input, ask.secrets)
    again = Ask(ask.idempotency_key, run.entity, run.origin, secrets, seen_retry=ask.seen_retry)
    return start_action(asker, run.action, data, again, event="action_run.retry", retry_of=run.id)


def _once_more(run: TemplateRun, ask: Ask) -> tuple[dict[str, Any], Ask]:
    if run.is_cleaning_up:
        raise ConflictError(
            "This run has failed and still cleans up: it can be retried or resumed once that is done.",
            hint="Wait for its end, or cancel it: then nothing more is cleaned up.",
        )
    if run.status not in (FAILED, CANCELED):
        raise ConflictError(
            f"This run is {run.status}: only a failed or canceled run can be retried or resumed.",
            hint="Start the template again for another run.",
        )
    inputs, secrets = _inputs_again(run.inputs, ask.secrets)
    return inputs, Ask(ask.idempotency_key, run.entity, run.origin, secrets, left_empty_of(run), ask.seen_retry)


def _inputs_again(shown: Mapping[str, Any], secrets: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split kept inputs from the secrets that were wiped; raises ValidationError naming those not given again."""
    wiped = {name for name, value in shown.items() if value == MASK}
    if foreign := sorted(set(secrets) - wiped):
        raise ValidationError(
            f"This run had no secret input named {', '.join(foreign)}.",
            hint="A retry takes the same inputs; start anew to change one.",
            fields={"secrets": {name: ["Is not a secret input of this run."] for name in foreign}},
        )
    if missing := sorted(wiped - set(secrets)):
        raise ValidationError(
            f"This run's secret inputs are wiped: give {', '.join(missing)} again.",
            hint='Send them as {"secrets": {"name": "value"}}.',
            fields={"secrets": {name: ["Is needed again."] for name in missing}},
        )
    return {name: value for name, value in shown.items() if name not in wiped}, dict(secrets)
