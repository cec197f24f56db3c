"""Starting, retrying and canceling runs: authorise, replay a known key, validate, limit, write. One way for everybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from portal_actions_plugin import signals
from portal_actions_plugin.actions.registry import no_action
from portal_actions_plugin.errors import ConflictError, ValidationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.host import Identity
from portal_actions_plugin.run_types import ActionRun, AuditEntry, TemplateRun
from portal_actions_plugin.runs import audit
from portal_actions_plugin.runs.accept import ACTION_RUN, TEMPLATE_RUN, Ask, Start, Started, accept, known, who_and_why
from portal_actions_plugin.runs.changes import existing, locks, transitions
from portal_actions_plugin.runs.changes.new_template_run import NewTemplateRun
from portal_actions_plugin.runs.changes.steps import queue_first
from portal_actions_plugin.runs.course import Course, lock_key_of
from portal_actions_plugin.runs.guards import access
from portal_actions_plugin.runs.guards.idempotency import IdempotencyKey, idempotency_key
from portal_actions_plugin.runs.news import tell
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.resume import LeftOff, first_step, left_off
from portal_actions_plugin.runs.run_ids import no_run
from portal_actions_plugin.runs.secrets.sealing import masking_errors, require_secret, split_secrets
from portal_actions_plugin.runs.secrets.storable import require_storable
from portal_actions_plugin.runs.secrets.token_shapes import MASK
from portal_actions_plugin.runs.states import CANCELED, FAILED, OVER
from portal_actions_plugin.software_templates.loader import no_template
from portal_actions_plugin.software_templates.spec import Template, validate_inputs
from portal_actions_plugin.storage.sessions import Transaction, new_id, transaction

_PLAIN = Ask()


# -- template runs ---------------------------------------------------------------------------------------------------


def start_template_run(identity: Identity | None, name: str, inputs: Mapping[str, Any], ask: Ask = _PLAIN) -> Started:
    """Start a template.

    Args:
        identity: who asks.
        name: the template's name.
        inputs: its parameters by name, secrets among them or in ``ask``.
        ask: what accompanies the start.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not.
        NotFoundError: there is no such template.
        ValidationError: inputs are wrong, each named; or the idempotency key was used for something else.
        TooManyStartsError: the identity's limit is reached; it names the wait.
        ConfigurationError: the template is broken, or carries a secret that this portal cannot keep.
    """
    asker = access.require(identity, "template:run", event="template_run.start", target=name)
    return _start_template(asker, name, inputs, ask, event="template_run.start", retry_of=None)


def retry_template_run(identity: Identity | None, run_id: str, ask: Ask = _PLAIN) -> Started:
    """Start a failed or canceled template run anew: the template as it is now, the same inputs.

    Args:
        identity: who asks.
        run_id: the template run's id.
        ask: its idempotency key, and the secret inputs again: those of the run are wiped.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not.
        NotFoundError: there is no such run, or its template is gone.
        ConflictError: the run has neither failed nor been canceled.
        ValidationError: a secret input is missing, or the inputs do not fit the template any more; each is named.
        TooManyStartsError: the identity's limit is reached; it names the wait.
        ConfigurationError: the template is broken.
    """
    run = _template_run_to_change(identity, run_id, "template_run.retry")
    asker = access.require_again(identity, run, event="template_run.retry", target=run.template)
    inputs, again = _once_more(run, ask)
    return _start_template(asker, run.template, inputs, again, event="template_run.retry", retry_of=run.id)


def resume_template_run(identity: Identity | None, run_id: str, ask: Ask = _PLAIN) -> Started:
    """Start a new run at the step that failed or was canceled: the template as it was, the finished steps taken over.

    The template has to be there still, and what it demands by now counts too.

    Args:
        identity: who asks.
        run_id: the template run's id.
        ask: its idempotency key, and the secret inputs again: those of the run are wiped.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not.
        NotFoundError: there is no such run, or its template is gone.
        ConflictError: the run has neither failed nor been canceled, or it cannot go on with the template as it was.
        ValidationError: a secret input is missing; it is named.
        TooManyStartsError: the identity's limit is reached; it names the wait.
        ConfigurationError: the template is broken.
    """
    run = _template_run_to_change(identity, run_id, "template_run.resume")
    asker = access.require_again(identity, run, event="template_run.resume", target=run.template)
    inputs, again = _once_more(run, ask)
    return _start_template(
        asker,
        run.template,
        inputs,
        again,
        event="template_run.resume",
        retry_of=run.id,
        begin=left_off(run.id),
    )


def _once_more(run: TemplateRun, ask: Ask) -> tuple[dict[str, Any], Ask]:
    if run.status not in (FAILED, CANCELED):
        raise ConflictError(
            f"This run is {run.status}: only a failed or canceled run can be retried or resumed.",
            hint="Start the template again for another run.",
        )
    inputs, secrets = _inputs_again(run.inputs, ask.secrets)
    return inputs, Ask(ask.idempotency_key, run.entity, run.origin, secrets)


def _start_template(
    asker: Identity,
    name: str,
    inputs: Mapping[str, Any],
    ask: Ask,
    *,
    event: str,
    retry_of: str | None,
    begin: LeftOff | None = None,
) -> Started:
    key = _key(asker, [event, retry_of or name], "inputs", inputs, ask)
    if replay := known(asker, key):
        return replay
    current = _startable(asker, name, event, begin)
    template = begin.template if begin else current
    given = {**inputs, **ask.secrets}
    require_secret(ask.secrets, template.secret_names)
    with masking_errors(given, template.secret_names):
        valid = validate_inputs(template, given)
    kept = split_secrets(valid, template.secret_names, extension().config.secret_keys, about=ask.readable())
    course = Course(new_id(), template, kept.shown, asker.id, asker.name, ask.entity, begin.outputs if begin else {})
    first = first_step(begin, current, course) if begin else course.next_step(0)
    rows = NewTemplateRun.of(
        course, first, {**who_and_why(asker, ask), "secrets": kept.sealed, "retry_of": retry_of}, begin
    )
    return accept(
        Start(
            asker,
            event,
            template.name,
            TEMPLATE_RUN,
            key,
            rows.write,
            ask.origin,
            retry_of,
            end_at_once=rows.end if rows.step is None else None,
            sealed=kept.sealed,
        )
    )


def _startable(asker: Identity, name: str, event: str, begin: LeftOff | None) -> Template:
    """The template of this name as it is now, for who may start it, and go on with it as it was."""
    if access.hides(asker, "template:read", name):
        access.refuse_unseen(asker, "template:read", no_template(name), event=event, target=name)
    current = extension().templates.get(name)
    demands = {*access.demands_of_template(current), *(access.demands_of_template(begin.template) if begin else ())}
    access.require_demands(asker, sorted(demands), event=event, target=name)
    return current


# -- one-offs --------------------------------------------------------------------------------------------------------


def start_action_run(identity: Identity | None, action_id: str, data: Mapping[str, Any], ask: Ask = _PLAIN) -> Started:
    """Start an action as a one-off.

    Args:
        identity: who asks.
        action_id: the action's id, with its version.
        data: its input by field, secrets among it or in ``ask``.
        ask: what accompanies the start.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not.
        NotFoundError: there is no such action.
        ValidationError: the input is wrong, field by field; or the idempotency key was used for something else.
        TooManyStartsError: the identity's limit is reached; it names the wait.
        ConfigurationError: the input carries a secret that this portal cannot keep.
    """
    asker = access.require(identity, "action:run", event="action_run.start", target=action_id)
    return _start_action(asker, action_id, data, ask, event="action_run.start", retry_of=None)


def retry_action_run(identity: Identity | None, run_id: str, ask: Ask = _PLAIN) -> Started:
    """Start an ended one-off anew with the same input.

    Args:
        identity: who asks.
        run_id: the action run's id.
        ask: its idempotency key, and the secret inputs again: those of the run are wiped.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not.
        NotFoundError: there is no such run, or its action is gone.
        ConflictError: it is a step of a template run, or has not ended.
        ValidationError: a secret input is missing, or the input does not fit the action any more; each is named.
        TooManyStartsError: the identity's limit is reached; it names the wait.
    """
    run = _action_run_to_change(identity, run_id, "action_run.retry")
    asker = access.require_again(identity, run, event="action_run.retry", target=run.action)
    if run.template_run_id:
        raise ConflictError(
            "This is a step of a template run: the template run is what is retried.",
            hint=f"Retry the template run {run.template_run_id}.",
        )
    if run.status not in OVER:
        raise ConflictError(f"This run is {run.status}: it can be run again once it has ended.")
    data, secrets = _inputs_again(run.input, ask.secrets)
    again = Ask(ask.idempotency_key, run.entity, run.origin, secrets)
    return _start_action(asker, run.action, data, again, event="action_run.retry", retry_of=run.id)


def _start_action(
    asker: Identity, action_id: str, data: Mapping[str, Any], ask: Ask, *, event: str, retry_of: str | None
) -> Started:
    parts = extension()
    key = _key(asker, [event, retry_of or action_id], "input", data, ask)
    if replay := known(asker, key):
        return replay
    if access.hides(asker, "action:read", action_id):
        access.refuse_unseen(asker, "action:read", no_action(action_id), event=event, target=action_id)
    action = parts.registry.get(action_id)
    access.require_demands(asker, access.demands_of_action(action), event=event, target=action_id)
    given = {**data, **ask.secrets}
    require_secret(ask.secrets, action.secret_names())
    with masking_errors(given, action.secret_names()):
        action.load_input(given)
    kept = split_secrets(given, action.secret_names(), parts.config.secret_keys, about=ask.readable())
    lock_key = lock_key_of(action, kept.shown)

    def write(tx: Transaction) -> ActionRun:
        if retry_of:
            existing.require_action_run(tx, retry_of)
        row = queue_first(
            tx,
            {
                "action": action.id,
                "queue": parts.config.queue_for(action.id, action.queue),
                "max_attempts": action.max_attempts,
                "input": kept.shown,
                "secrets": kept.sealed,
                "retry_of": retry_of,
                "lock_key": lock_key,
                **who_and_why(asker, ask),
            },
        )
        return queries.whole_action_run(tx, row)

    return accept(Start(asker, event, action.id, ACTION_RUN, key, write, ask.origin, retry_of, sealed=kept.sealed))


def _key(asker: Identity, asked: list[str], field: str, data: Mapping[str, Any], ask: Ask) -> IdempotencyKey | None:
    """What makes this request the same as another; raises ValidationError for what cannot be stored."""
    origin = asdict(ask.origin) if ask.origin else None
    require_storable({field: data, "secrets": ask.secrets, "entity": ask.entity, "origin": origin})
    return idempotency_key(asker.id, ask.idempotency_key, [*asked, data, dict(ask.secrets), ask.entity, origin])


# -- retrying --------------------------------------------------------------------------------------------------------


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


# -- canceling -------------------------------------------------------------------------------------------------------


def cancel_template_run(identity: Identity | None, run_id: str) -> TemplateRun:
    """Cancel a template run and its active step.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not.
        NotFoundError: there is no such run.
        ConflictError: it has ended already.
    """
    run = _template_run_to_change(identity, run_id, "template_run.cancel")
    asker = _require_cancel(identity, run, "template_run.cancel")
    with transaction("cancel") as tx:
        steps = transitions.cancel_template_run(tx, run.id)
        if steps is None:
            raise _ended(run.id)
        audit.record(
            tx, AuditEntry(asker.id, "template_run.cancel", CANCELED, run.template, run.id, template_run_id=run.id)
        )
        for step in steps:
            audit.record(
                tx, AuditEntry(asker.id, "action_run.finish", CANCELED, step.action, step.id, template_run_id=run.id)
            )
            tell.tell_after_commit(tx, signals.action_run_finished, step.id)
        locks.ring_for_next_after_commit(tx, [step.lock_key for step in steps if step.lock_key])
        tell.tell_after_commit(tx, signals.template_run_finished, run.id)
    return queries.template_run(run.id)


def cancel_action_run(identity: Identity | None, run_id: str) -> ActionRun:
    """Cancel a one-off.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not.
        NotFoundError: there is no such run.
        ConflictError: it has ended already, or is a step of a template run.
    """
    run = _action_run_to_change(identity, run_id, "action_run.cancel")
    asker = _require_cancel(identity, run, "action_run.cancel")
    if run.template_run_id:
        raise ConflictError(
            "This is a step of a template run: the template run is what is canceled.",
            hint=f"Cancel the template run {run.template_run_id}.",
        )
    with transaction("cancel") as tx:
        canceled = transitions.cancel_one_off(tx, run.id)
        if not canceled:
            raise _ended(run.id)
        locks.ring_for_next_after_commit(tx, [one.lock_key for one in canceled if one.lock_key])
        audit.record(tx, AuditEntry(asker.id, "action_run.cancel", CANCELED, run.action, run.id))
        tell.tell_after_commit(tx, signals.action_run_finished, run.id)
    return queries.action_run(run.id)


def _template_run_to_change(identity: Identity | None, run_id: str, event: str) -> TemplateRun:
    """The run that somebody wants to change: it has to be one that they may know of."""
    asker = access.require_reader(identity, "template:read", event=event, target=run_id)
    run = queries.template_run(run_id)
    if access.hides(asker, "template:read", run):
        access.refuse_unseen(asker, "template:read", no_run("template run", run_id), event=event, target=run.id)
    return run


def _action_run_to_change(identity: Identity | None, run_id: str, event: str) -> ActionRun:
    asker = access.require_reader(identity, "action:read", event=event, target=run_id)
    run = queries.action_run(run_id)
    if access.hides(asker, "action:read", run):
        access.refuse_unseen(asker, "action:read", no_run("action run", run_id), event=event, target=run.id)
    return run


def _require_cancel(identity: Identity | None, run: ActionRun | TemplateRun, event: str) -> Identity:
    asker = access.require_somebody(identity)
    if not access.may_cancel(asker, run):
        access.refuse_cancel(asker, run, event=event)
    return asker


def _ended(run_id: str) -> ConflictError:
    return ConflictError(f"The run {run_id} has ended already.", hint="Look at the run: nothing is left to cancel.")
