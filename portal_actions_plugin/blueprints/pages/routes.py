"""The HTML pages: ``/actions``, ``/templates/runs/<id>`` and ``/actions/runs/<id>``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from flask import Blueprint, Response, redirect, request
from werkzeug import Response as AnyResponse

from portal_actions_plugin.blueprints.pages.errors import show_errors
from portal_actions_plugin.blueprints.pages.form_again import SECRETS, SEEN
from portal_actions_plugin.blueprints.pages.list_rows import list_facts, unfolded_row
from portal_actions_plugin.blueprints.pages.live import MOVING, STILL
from portal_actions_plugin.blueprints.pages.logs.file import log_file
from portal_actions_plugin.blueprints.pages.logs.filter import LogFilter
from portal_actions_plugin.blueprints.pages.page_answer import page, page_url
from portal_actions_plugin.blueprints.pages.query import PANEL_WORDS, ListQuery
from portal_actions_plugin.blueprints.pages.run.facts import (
    AT_WORK,
    due_moments,
    one_off_facts,
    rest,
    template_run_facts,
)
from portal_actions_plugin.blueprints.pages.run.items import Unfolded
from portal_actions_plugin.errors import UnauthenticatedError
from portal_actions_plugin.host import Identity
from portal_actions_plugin.run_types import ActionRun, Page, TemplateRun
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.accept import Ask, Started
from portal_actions_plugin.runs.guards import access, offers
from portal_actions_plugin.runs.guards.identity import current_identity
from portal_actions_plugin.runs.reading import permitted
from portal_actions_plugin.runs.reading.paging import Sight
from portal_actions_plugin.runs.states import ACTIVE, STATUSES
from portal_actions_plugin.storage.sessions import in_one_state

PAGE_SIZE = 50

SHARE_OF_CHIPS = 0.2
"""Which part of what the host is asked for a page of the list goes into the numbers beside the chips."""

blueprint = Blueprint(
    "portal_actions",
    __name__,
    template_folder="../../jinja",
    static_folder="../../static/portal_actions",
    static_url_path="/portal-actions-static",
)
show_errors(blueprint)


# -- the list --------------------------------------------------------------------------------------------------------


@blueprint.get("/actions")
@in_one_state
def action_runs() -> Response:
    """Show action runs, newest first."""
    identity = access.require_read(current_identity(), "action:read")
    query = ListQuery.of(request)
    seen = permitted.sight(identity, "action:read", 1 - SHARE_OF_CHIPS)
    found = _found(identity, query, seen)
    counts = permitted.active_counts(identity, permitted.sight(identity, "action:read", SHARE_OF_CHIPS))
    facts = {
        "query": query,
        "runs": list(found.items),
        "unfolded": unfolded_row(found.items, query),
        "retried": permitted.retries_of_listed(identity, found.items, seen),
        "moments": due_moments(found.items),
        "live": _live_list(query, found.items),
        "newer": found.previous_cursor,
        "older": found.next_cursor,
        "searched_back_to": found.searched_back_to,
        "unmatched": found.unmatched,
        "counts": counts.of,
        "count_cap": counts.cap,
        "statuses": STATUSES,
        "me": identity.id,
        "panel_words": PANEL_WORDS,
        "may_audit": access.allowed(identity, "audit:read", "audit"),
        "may_change": offers.may_change_runs(identity),
        "actions": [action.id for action in permitted.actions(identity)],
    }
    return page("actions.html", facts, more=partial(list_facts, identity))


def _found(identity: Identity, query: ListQuery, seen: Sight | None) -> Page:
    wanted = query.run_filter(datetime.now(UTC))
    found = permitted.action_runs(identity, wanted, limit=PAGE_SIZE, cursor=query.cursor, seen=seen)
    if query.cursor and not found.previous_cursor:
        # Back at the newest run: a whole page from there, not what was left over.
        return permitted.action_runs(identity, wanted, limit=PAGE_SIZE, seen=seen)
    return found


def _live_list(query: ListQuery, runs: Sequence[ActionRun]) -> str | None:
    if any(run.status in ACTIVE for run in runs):
        return MOVING
    # What begins is newer than all of them: it is not on an older page.
    return None if query.cursor else STILL


# -- a run -----------------------------------------------------------------------------------------------------------


@blueprint.get("/templates/runs/<run_id>")
@in_one_state
def template_run(run_id: str) -> Response:
    """Show a template run with every step of its template."""
    identity = access.require_read(current_identity(), "template:read")
    run = permitted.template_run(identity, run_id)
    facts = template_run_facts(identity, run, LogFilter.of(request), Unfolded.of_request(request))
    return page("run.html", facts, more=partial(rest, identity))


@blueprint.get("/actions/runs/<run_id>")
@in_one_state
def action_run(run_id: str) -> AnyResponse:
    """Show a one-off; a step is shown by its template run."""
    identity = access.require_read(current_identity(), "action:read")
    run = permitted.action_run(identity, run_id)
    if run.template_run_id:
        return redirect(page_url("template_run", run_id=run.template_run_id, _anchor=f"step-{run.position + 1}"))
    return page("action_run.html", one_off_facts(identity, run, LogFilter.of(request)), more=partial(rest, identity))


@blueprint.get("/actions/runs/<run_id>/log.txt")
def download_log(run_id: str) -> Response:
    """Give an action run's whole log as a file."""
    return log_file(permitted.action_run(current_identity(), run_id))


# -- what buttons do -------------------------------------------------------------------------------------------------


@blueprint.post("/templates/runs/<run_id>/retry")
def retry_template_run(run_id: str) -> AnyResponse:
    """Start the run anew and go there."""
    return _go_to_started(service.retry_template_run(_somebody(), run_id, _ask()))


@blueprint.post("/templates/runs/<run_id>/resume")
def resume_template_run(run_id: str) -> AnyResponse:
    """Go on where the run left off, in a new run, and go there."""
    return _go_to_started(service.resume_template_run(_somebody(), run_id, _ask()))


@blueprint.post("/templates/runs/<run_id>/cancel")
def cancel_template_run(run_id: str) -> AnyResponse:
    """Cancel the run and show what became of it."""
    return _go_to(service.cancel_template_run(_somebody(), run_id))


@blueprint.post("/actions/runs/<run_id>/retry")
def retry_action_run(run_id: str) -> AnyResponse:
    """Run the one-off again and go there."""
    return _go_to_started(service.retry_action_run(_somebody(), run_id, _ask()))


@blueprint.post("/actions/runs/<run_id>/cancel")
def cancel_action_run(run_id: str) -> AnyResponse:
    """Cancel the one-off and show what became of it."""
    return _go_to(service.cancel_action_run(_somebody(), run_id))


@blueprint.get("/templates/runs/<run_id>/retry", endpoint="after_retry_template_run")
@blueprint.get("/templates/runs/<run_id>/resume", endpoint="after_resume_template_run")
@blueprint.get("/templates/runs/<run_id>/cancel", endpoint="after_cancel_template_run")
def back_to_template_run(run_id: str) -> AnyResponse:
    """Whoever loads a form's address again, as after signing in, gets the run."""
    return redirect(page_url("template_run", run_id=run_id))


@blueprint.get("/actions/runs/<run_id>/retry", endpoint="after_retry_action_run")
@blueprint.get("/actions/runs/<run_id>/cancel", endpoint="after_cancel_action_run")
def back_to_action_run(run_id: str) -> AnyResponse:
    """Whoever loads a form's address again, as after signing in, gets the run."""
    return redirect(page_url("action_run", run_id=run_id))


def _go_to(run: ActionRun | TemplateRun, **query: str) -> AnyResponse:
    # Where a fix is at work already, that one is what comes back, and it may be of the other kind.
    kind = "template_run" if isinstance(run, TemplateRun) else "action_run"
    return redirect(page_url(kind, run_id=run.id, **query), 303)


def _go_to_started(started: Started) -> AnyResponse:
    # The page of a retry says that it was there before: it would look like the one that was asked for.
    was_there = started.at_work and started.run.retry_of
    return _go_to(started.run, **({AT_WORK: "yes"} if was_there else {}))


def _somebody() -> Identity:
    identity = current_identity()
    if identity is None:
        raise UnauthenticatedError
    return identity


def _ask() -> Ask:
    secrets = {
        name.removeprefix(SECRETS): value for name, value in request.form.items() if name.startswith(SECRETS) and value
    }
    key, seen_retry = request.form.get("idempotency_key") or None, request.form.get(SEEN)
    return Ask(idempotency_key=key, secrets=secrets, seen_retry=seen_retry)
