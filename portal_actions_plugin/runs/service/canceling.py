"""Canceling runs: may they, is there anything left to cancel, then all that belongs to it in one transaction."""

from __future__ import annotations

from portal_actions_plugin import signals
from portal_actions_plugin.errors import ConflictError
from portal_actions_plugin.host import Identity
from portal_actions_plugin.run_types import ActionRun, AuditEntry, TemplateRun
from portal_actions_plugin.runs import audit
from portal_actions_plugin.runs.changes import cancels, locks, slots
from portal_actions_plugin.runs.guards import access
from portal_actions_plugin.runs.news import tell
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.references import as_seen_by
from portal_actions_plugin.runs.service.change_access import action_run_to_change, template_run_to_change
from portal_actions_plugin.runs.states import CANCELED


def cancel_template_run(identity: Identity | None, run_id: str) -> TemplateRun:
    """Cancel a template run and its active step.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not.
        NotFoundError: there is no such run.
        ConflictError: it has ended already.
    """
    run = template_run_to_change(identity, run_id, "template_run.cancel")
    asker = _require_cancel(identity, run, "template_run.cancel")
    with slots.changing("cancel", run.requested_by) as tx:
        steps = cancels.cancel_template_run(tx, run.id)
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
    return as_seen_by(asker, queries.template_run(run.id))


def cancel_action_run(identity: Identity | None, run_id: str) -> ActionRun:
    """Cancel a one-off.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not.
        NotFoundError: there is no such run.
        ConflictError: it has ended already, or is a step of a template run.
    """
    run = action_run_to_change(identity, run_id, "action_run.cancel")
    asker = _require_cancel(identity, run, "action_run.cancel")
    if run.template_run_id:
        raise ConflictError(
            "This is a step of a template run: the template run is what is canceled.",
            hint=f"Cancel the template run {run.template_run_id}.",
        )
    with slots.changing("cancel", run.requested_by) as tx:
        canceled = cancels.cancel_one_off(tx, run.id)
        if not canceled:
            raise _ended(run.id)
        locks.ring_for_next_after_commit(tx, [one.lock_key for one in canceled if one.lock_key])
        audit.record(tx, AuditEntry(asker.id, "action_run.cancel", CANCELED, run.action, run.id))
        tell.tell_after_commit(tx, signals.action_run_finished, run.id)
    return as_seen_by(asker, queries.action_run(run.id))


def _require_cancel(identity: Identity | None, run: ActionRun | TemplateRun, event: str) -> Identity:
    asker = access.require_somebody(identity)
    if not access.may_cancel(asker, run):
        access.refuse_cancel(asker, run, event=event)
    return asker


def _ended(run_id: str) -> ConflictError:
    return ConflictError(f"The run {run_id} has ended already.", hint="Look at the run: nothing is left to cancel.")
