"""The run that somebody wants to change: it has to be one that they may know of."""

from __future__ import annotations

from portal_actions_plugin.errors import NotFoundError
from portal_actions_plugin.host import Identity
from portal_actions_plugin.run_types import ActionRun, TemplateRun
from portal_actions_plugin.runs.guards import access
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.run_ids import no_run


def template_run_to_change(identity: Identity | None, run_id: str, event: str) -> TemplateRun:
    """The template run that somebody wants to change, once they may read it.

    Args:
        identity: who asks.
        run_id: the run's id.
        event: what they want, one of ``audit_trail.EVENTS``: a denial leaves its row in the audit.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not read template runs.
        NotFoundError: there is no such run, or the host's authorizer hides it.
    """
    asker = access.require_reader(identity, "template:read", event=event, target=run_id)
    try:
        run = queries.template_run(run_id)
    except NotFoundError as error:
        _refuse_missing(asker, "template:read", error, event, run_id)
        raise
    if access.hides(asker, "template:read", run):
        access.refuse_unseen(asker, "template:read", no_run("template run", run_id), event=event, target=run.id)
    return run


def action_run_to_change(identity: Identity | None, run_id: str, event: str) -> ActionRun:
    """The action run that somebody wants to change, once they may read it.

    Args:
        identity: who asks.
        run_id: the run's id.
        event: what they want, one of ``audit_trail.EVENTS``: a denial leaves its row in the audit.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not read action runs.
        NotFoundError: there is no such run, or the host's authorizer hides it.
    """
    asker = access.require_reader(identity, "action:read", event=event, target=run_id)
    try:
        run = queries.action_run(run_id)
    except NotFoundError as error:
        _refuse_missing(asker, "action:read", error, event, run_id)
        raise
    if access.hides(asker, "action:read", run):
        access.refuse_unseen(asker, "action:read", no_run("action run", run_id), event=event, target=run.id)
    return run


def _refuse_missing(asker: Identity, permission: str, error: NotFoundError, event: str, run_id: str) -> None:
    """Refuse what is not there as what is hidden is refused, where something may be: neither is quicker."""
    if access.decides_by_object():
        access.refuse_unseen(asker, permission, error, event=event, target=run_id)
