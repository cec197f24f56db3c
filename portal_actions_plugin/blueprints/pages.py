"""The HTML pages: ``/actions``, ``/templates/runs/<id>`` and ``/actions/runs/<id>``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, redirect, request
from werkzeug import Response as AnyResponse

from portal_actions_plugin.blueprints.log_file import log_file
from portal_actions_plugin.blueprints.page_answer import page, page_url
from portal_actions_plugin.blueprints.page_errors import show_errors
from portal_actions_plugin.blueprints.page_query import ListQuery
from portal_actions_plugin.errors import UnauthenticatedError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.host import ActionRun, Identity, Page, Step, TemplateRun
from portal_actions_plugin.runs import access, reads, service
from portal_actions_plugin.runs.accept import Ask
from portal_actions_plugin.runs.identity import current_identity
from portal_actions_plugin.runs.queries import COUNT_CAP, LogTail
from portal_actions_plugin.runs.states import FAILED, RUNNING, STATUSES, SUCCESS
from portal_actions_plugin.runs.token_shapes import MASK

PAGE_SIZE = 50
LOG_LINES = 500
FOLDED_LOG_LINES = 100
"""How many of a log's last lines a page shows, open or folded; the file has all of them."""

blueprint = Blueprint(
    "portal_actions",
    __name__,
    template_folder="../jinja",
    static_folder="../static/portal_actions",
    static_url_path="/portal-actions-static",
)
show_errors(blueprint)


# -- the list --------------------------------------------------------------------------------------------------------


@blueprint.get("/actions")
def action_runs() -> Response:
    """Show action runs, newest first."""
    identity = access.require_read(current_identity(), "action:read")
    query = ListQuery.of(request)
    found = _found(identity, query)
    facts = {
        "query": query,
        "runs": list(found.items),
        "moments": _moments(found.items),
        "newer": found.previous_cursor,
        "older": found.next_cursor,
        "counts": reads.active_counts(identity),
        "count_cap": COUNT_CAP,
        "statuses": STATUSES,
        "me": identity.id,
        "may_audit": access.allowed(identity, "audit:read", "audit"),
        "may_change": access.may_change_runs(identity),
        "actions": [action.id for action in reads.actions(identity)],
    }
    return page("actions.html", facts)


def _found(identity: Identity, query: ListQuery) -> Page:
    wanted = query.run_filter(datetime.now(UTC))
    found = reads.action_runs(identity, wanted, limit=PAGE_SIZE, cursor=query.cursor)
    if query.cursor and not found.previous_cursor:
        # Back at the newest run: a whole page from there, not what was left over.
        return reads.action_runs(identity, wanted, limit=PAGE_SIZE)
    return found


# -- a run -----------------------------------------------------------------------------------------------------------


@blueprint.get("/templates/runs/<run_id>")
def template_run(run_id: str) -> Response:
    """Show a template run with every step of its template."""
    identity = access.require_read(current_identity(), "template:read")
    run = reads.template_run(identity, run_id)
    results = {name: value for name, value in run.outputs.items() if name != "links" or not run.links}
    own = {"run": run, "results": results, "resume_at": _resume_at(identity, run)}
    return page("run.html", {**own, **_run_facts(identity, run, run.inputs, run.steps)})


def _resume_at(identity: Identity, run: TemplateRun) -> Step | None:
    """The step that a Resume button would begin at; None where there is no such button."""
    if not access.can_resume(identity, run):
        return None
    return next((step for step in run.steps if step.run and step.status != SUCCESS), None)


@blueprint.get("/actions/runs/<run_id>")
def action_run(run_id: str) -> AnyResponse:
    """Show a one-off; a step is shown by its template run."""
    identity = access.require_read(current_identity(), "action:read")
    run = reads.action_run(identity, run_id)
    if run.template_run_id:
        return redirect(page_url("template_run", run_id=run.template_run_id, _anchor=f"step-{run.position + 1}"))
    registry = extension().registry
    title = registry.get(run.action).title if run.action in registry else run.action
    step = Step(step_id="", name=title, action=run.action, status=run.status, run=run)
    own = {"run": run, "step": step, "resume_at": None}
    return page("action_run.html", {**own, **_run_facts(identity, run, run.input, (step,))})


def _run_facts(
    identity: Identity, run: ActionRun | TemplateRun, inputs: Mapping[str, Any], steps: tuple[Step, ...]
) -> dict[str, Any]:
    can_retry = access.can_retry(identity, run)
    return {
        "logs": _logs(identity, [step.run for step in steps if step.run]),
        "moments": _moments([step.run for step in steps if step.run]),
        "can_read_logs": access.allowed(identity, "action:read"),
        "can_retry": can_retry,
        "can_cancel": access.can_cancel(identity, run),
        "quota": reads.starts_left(identity) if can_retry else None,
        "starts_period": extension().config.rate_limit.period,
        "secret_names": sorted(name for name, value in inputs.items() if value == MASK) if can_retry else [],
    }


def _moments(runs: Sequence[ActionRun]) -> list[datetime]:
    """When something becomes due, and the page reads otherwise though no row has changed."""
    return [run.not_before for run in runs if run.not_before]


def _logs(identity: Identity, runs: list[ActionRun]) -> dict[str, LogTail]:
    open_ones = [run for run in runs if run.status in (FAILED, RUNNING)]
    folded = [run for run in runs if run.status not in (FAILED, RUNNING)]
    return reads.log_tails(identity, open_ones, LOG_LINES) | reads.log_tails(identity, folded, FOLDED_LOG_LINES)


@blueprint.get("/actions/runs/<run_id>/log.txt")
def download_log(run_id: str) -> Response:
    """Give an action run's whole log as a file."""
    return log_file(reads.action_run(current_identity(), run_id))


# -- what buttons do -------------------------------------------------------------------------------------------------


@blueprint.post("/templates/runs/<run_id>/retry")
def retry_template_run(run_id: str) -> AnyResponse:
    """Start the run anew and go there."""
    return _go_to(service.retry_template_run(_somebody(), run_id, _ask()).run)


@blueprint.post("/templates/runs/<run_id>/resume")
def resume_template_run(run_id: str) -> AnyResponse:
    """Go on where the run left off, in a new run, and go there."""
    return _go_to(service.resume_template_run(_somebody(), run_id, _ask()).run)


@blueprint.post("/templates/runs/<run_id>/cancel")
def cancel_template_run(run_id: str) -> AnyResponse:
    """Cancel the run and show what became of it."""
    return _go_to(service.cancel_template_run(_somebody(), run_id))


@blueprint.post("/actions/runs/<run_id>/retry")
def retry_action_run(run_id: str) -> AnyResponse:
    """Run the one-off again and go there."""
    return _go_to(service.retry_action_run(_somebody(), run_id, _ask()).run)


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


def _go_to(run: ActionRun | TemplateRun) -> AnyResponse:
    # Where a fix is at work already, that one is what comes back, and it may be of the other kind.
    kind = "template_run" if isinstance(run, TemplateRun) else "action_run"
    return redirect(page_url(kind, run_id=run.id), 303)


def _somebody() -> Identity:
    identity = current_identity()
    if identity is None:
        raise UnauthenticatedError
    return identity


def _ask() -> Ask:
    secrets = {
        name.removeprefix("secrets."): value
        for name, value in request.form.items()
        if name.startswith("secrets.") and value
    }
    return Ask(idempotency_key=request.form.get("idempotency_key") or None, secrets=secrets)
