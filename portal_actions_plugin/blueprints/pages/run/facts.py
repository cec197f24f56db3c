"""What the page of a template run and of a one-off shows, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from flask import request

from portal_actions_plugin.blueprints.pages.findings_page import counted
from portal_actions_plugin.blueprints.pages.live import MOVING
from portal_actions_plugin.blueprints.pages.logs.filter import LOG_FILTERS, LogFilter
from portal_actions_plugin.blueprints.pages.logs.html import log_items
from portal_actions_plugin.blueprints.pages.page_answer import page_url, run_url
from portal_actions_plugin.blueprints.pages.run.items import Unfolded, item_rows, item_url
from portal_actions_plugin.blueprints.pages.run.origins import origin_facts
from portal_actions_plugin.blueprints.pages.run.receipts import receipt_of
from portal_actions_plugin.blueprints.pages.run.results import other_results, result_links, result_texts
from portal_actions_plugin.errors import ActionError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.host import Identity
from portal_actions_plugin.run_types import ActionRun, RunError, Step, TemplateRun
from portal_actions_plugin.runs.guards import access, offers
from portal_actions_plugin.runs.guards.findings import findings_about
from portal_actions_plugin.runs.reading import permitted
from portal_actions_plugin.runs.reading.workspaces import permitted as permitted_workspaces
from portal_actions_plugin.runs.resume import LeftOff, fails_again
from portal_actions_plugin.runs.secrets.token_shapes import MASK
from portal_actions_plugin.runs.states import ACTIVE, FAILED, RUNNING, SUCCESS

AT_WORK = "at_work"
"""The query's word for: somebody asked for another retry, and was led to this one instead."""

LOG_LINES = 500
FOLDED_LOG_LINES = 100
"""How many of a log's last lines a page shows, open or folded; the file has all of them."""


def template_run_facts(identity: Identity, run: TemplateRun, log: LogFilter, unfolded: Unfolded) -> dict[str, Any]:
    """What is shown of a template run."""
    run = permitted.with_item(identity, run, unfolded.item) if unfolded.item else run
    shared = _facts(identity, run, run.inputs, run.steps, log)
    begin = offers.resumable(identity, run) if shared["can_retry"] else None
    resume_at = _resume_at(run) if begin else None
    again = _fails_again(begin, run, shared["error"]) if begin else None
    results = {"links": result_links(run), "texts": result_texts(run), "results": other_results(run)}
    own = {"run": run, "receipt": receipt_of(run), "resume_at": resume_at, "resume_fails": again}
    own["resumes_items"] = resume_at is not None and resume_at.items is not None and resume_at.items.failed > 0
    own |= {"asked": unfolded, "unfolded": unfolded.of(run), "workspace": permitted_workspaces.of_page(identity, run)}
    return {**shared, **results, **own}


def one_off_facts(identity: Identity, run: ActionRun, log: LogFilter) -> dict[str, Any]:
    """What is shown of a one-off: it is its own and only step."""
    registry = extension().registry
    title = registry.get(run.action).title if run.action in registry else run.action
    step = Step(step_id="", name=title, action=run.action, status=run.status, run=run)
    own = {"run": run, "step": step, "resume_at": None, "resume_fails": None, "resumes_items": False}
    return {**own, **_facts(identity, run, run.input, (step,), log)}


def due_moments(runs: Sequence[ActionRun]) -> list[datetime]:
    """When something becomes due, and the page reads otherwise though no row has changed."""
    return [run.not_before for run in runs if run.not_before]


def _facts(
    identity: Identity,
    run: ActionRun | TemplateRun,
    inputs: Mapping[str, Any],
    steps: Sequence[Step],
    log: LogFilter,
) -> dict[str, Any]:
    runs = [part for step in steps for part in step.runs]
    origin = origin_facts(run)
    # The fix of a rule that passes is refused: no button is offered for it.
    can_retry = offers.can_retry(identity, run) and not origin.passes
    logs = permitted.log_ends(identity, runs, log.levels)
    return {
        "origin": origin,
        "log": log,
        "log_filters": LOG_FILTERS,
        "logs": logs,
        "open_logs": {one.id: logs[one.id] for one in runs if one.id in logs and one.status in (FAILED, RUNNING)},
        "folded_logs": {one.id: logs[one.id] for one in runs if one.id in logs and one.status not in (FAILED, RUNNING)},
        "moments": due_moments(runs),
        "live": MOVING if run.status in ACTIVE else None,
        "can_read_logs": access.allowed(identity, "action:read"),
        "can_retry": can_retry,
        "was_at_work": AT_WORK in request.args and run.retry_of is not None,
        "can_cancel": offers.can_cancel(identity, run),
        "error": _error(run, runs) if can_retry else None,
        "quota": permitted.starts_left(identity) if can_retry else None,
        "starts_period": extension().config.rate_limit.period,
        "secret_names": sorted(name for name, value in inputs.items() if value == MASK) if can_retry else [],
    }


def _resume_at(run: TemplateRun) -> Step | None:
    """The step that Resume would begin at."""
    return next((step for step in run.steps if (step.run or step.items) and step.status != SUCCESS), None)


@dataclass(frozen=True, slots=True)
class FailsAgain:
    """Why Resume would end as the run did: its step is given the same. ``changed`` says whether Retry takes another template."""

    code: str
    changed: bool


def _fails_again(begin: LeftOff, run: TemplateRun, error: RunError | None) -> FailsAgain | None:
    if error is None or not fails_again(begin, error.code):
        return None
    try:
        return FailsAgain(error.code, extension().templates.get(run.template).version != begin.template.version)
    except ActionError:
        return FailsAgain(error.code, changed=False)


def rest(identity: Identity, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What does not change while the facts are the same, so only who shows a page reads it.

    Which lines of the logs are shown follows from how far the logs go; what is usual, from what had ended before.
    """
    run, levels = facts["run"], facts["log"].levels
    if isinstance(run, TemplateRun):
        here = facts["asked"].address_of(run.id, facts["log"].word)
    else:
        here = partial(page_url, "action_run", run_id=run.id)
    return {
        "input_titles": permitted.titles_of_inputs(run) if isinstance(run, TemplateRun) else {},
        "findings": counted(findings_about(identity, run.template)) if isinstance(run, TemplateRun) else "",
        "usual": _usual(identity, run),
        "log_items": log_items,
        "item_rows": item_rows,
        "here": here,
        "item_url": item_url(here),
        "log_url": run_url("download_log", times=None),
        "lines": {
            **permitted.log_tails(facts["open_logs"], LOG_LINES, levels),
            **permitted.log_tails(facts["folded_logs"], FOLDED_LOG_LINES, levels),
        },
    }


def _usual(identity: Identity, run: ActionRun | TemplateRun) -> dict[str, int]:
    """The usual milliseconds of each action run that has begun, where enough is known."""
    runs = [run] if isinstance(run, ActionRun) else [part for step in run.steps for part in step.runs]
    times = permitted.usual_times(identity, run) if any(one.started_at for one in runs) else {}
    return {one.id: times[one.step_id, one.action] for one in runs if (one.step_id, one.action) in times}


def _error(run: ActionRun | TemplateRun, runs: Sequence[ActionRun]) -> RunError | None:
    """Why the run failed: what Retry and Resume have to get past, also where its cleanup was canceled."""
    if run.status != FAILED and not (isinstance(run, TemplateRun) and run.failed_at_step):
        return None
    return next((one.error for one in runs if one.error), None)
