"""Database rows become frozen types here, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import has_request_context, request
from sqlalchemy import Column, Select, case, false, func, select

from portal_actions_plugin.errors import error_class, verdict_on
from portal_actions_plugin.extension import extension
from portal_actions_plugin.run_types import (
    ActionRun,
    Attempt,
    AuditEntry,
    Link,
    LockHolder,
    Origin,
    OwnSteps,
    Progress,
    RepositoryCommit,
    RunError,
    Step,
    StepItems,
    TemplateRun,
)
from portal_actions_plugin.runs.conditions import LOST
from portal_actions_plugin.runs.reading.records import ActionRunRecord, AttemptRecord, AuditRecord, TemplateRunRecord
from portal_actions_plugin.runs.states import NOT_RUN, SUCCESS, unrun_cleanup_status, unrun_step_status
from portal_actions_plugin.software_templates.places import asks_for_status
from portal_actions_plugin.storage import tables

_FOR_WORKERS = frozenset(
    {
        "announced_at", "deadline_at", "dedupe_key", "item", "lapse_seen_at", "lease_expires_at", "lock_held",
        "process_token", "queue", "ring_again_at", "rings", "rung_at", "secrets", "template_version", "worker",
    }
)  # fmt: skip
"""What nobody is shown of a run. A list reads fifty rows, and each column of them costs."""


def _shown_columns(table: tables.RunTable) -> list[Column[Any]]:
    return [column for column in table.columns if column.name not in _FOR_WORKERS]


WRITTEN_COLUMNS = (*_shown_columns(tables.action_runs), false().label("worker_lost"))
"""What an action run is made of, of a row that is just being written: nobody is on it that could be lost."""

STEPS_DONE = func.count(tables.action_runs.c.position.distinct()) - func.count(
    case((tables.action_runs.c.status != SUCCESS, tables.action_runs.c.position)).distinct()
)
"""How many steps of a template run are done: of one with items, all that have begun have succeeded, and one has always begun."""

_steps_done = select(STEPS_DONE).where(tables.action_runs.c.template_run_id == tables.template_runs.c.id)
WRITTEN_TEMPLATE_COLUMNS = (
    *_shown_columns(tables.template_runs),
    _steps_done.correlate(tables.template_runs).scalar_subquery().label("steps_done"),
)
"""What a template run is made of, without its steps, of a row that is just being written."""


def select_action_runs() -> Select[Any]:
    return select(*_shown_columns(tables.action_runs), LOST.label("worker_lost"))


def select_template_runs() -> Select[Any]:
    return select(*_shown_columns(tables.template_runs))


def _origin(value: Mapping[str, str] | None) -> Origin | None:
    return Origin(**value) if value else None


def run_error(code: str, message: str, hint: str, retry_at: datetime | None) -> RunError:
    """An error as people and programs see it; page and API use the same words."""
    kind = error_class(code)
    verdict = verdict_on(kind)
    if retry_at and kind.retryable:
        verdict = f"Retrying helps from {retry_at:%Y-%m-%d %H:%M:%S} UTC on, {kind.awaited}."
    return RunError(code, message, hint, kind.retryable, verdict, retry_at)


def action_run_url(run_id: str, template_run_id: str | None) -> str:
    """The page of an action run: its template run's, or its own when it is a one-off."""
    page = f"/templates/runs/{template_run_id}" if template_run_id else f"/actions/runs/{run_id}"
    return _page_url(page)


def _page_url(path: str) -> str:
    # A worker knows no request, and so no mount: there, PUBLIC_URL says it.
    return extension().config.page_url(path, request.script_root if has_request_context() else "")


def action_run(
    row: ActionRunRecord, attempts: tuple[Attempt, ...] = (), waits_for: LockHolder | OwnSteps | None = None
) -> ActionRun:
    """An action run of its row. A list and a signal do without the rest."""
    error = None
    if row["error_code"]:
        error = run_error(row["error_code"], row["error_message"] or "", row["error_hint"] or "", row["retry_at"])
    progress = Progress(row["progress_done"] or 0, row["progress_total"]) if row["progress_total"] else None
    return ActionRun(
        id=row["id"],
        action=row["action"],
        status=row["status"],
        attempt=row["attempt"],
        max_attempts=row["max_attempts"],
        requested_by=row["requested_by"],
        requester_name=row["requester_name"],
        queued_at=row["queued_at"],
        html_url=action_run_url(row["id"], row["template_run_id"]),
        version=row["version"],
        step_id=row["step_id"],
        step_name=row["step_name"],
        position=row["position"],
        template_run_id=row["template_run_id"],
        template=row["template"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        not_before=row["not_before"],
        waits_for=waits_for,
        worker_lost=bool(row["worker_lost"]),
        entity=row["entity"],
        origin=_origin(row["origin"]),
        retry_of=row["retry_of"],
        taken_over_from=row["taken_over_from"],
        input=row["input"] or {},
        outputs=row["outputs"] or {},
        links=tuple(Link(**link) for link in row["links"] or ()),
        warnings=tuple(row["warnings"] or ()),
        progress=progress,
        error=error,
        attempts=attempts,
    )


def template_run(row: TemplateRunRecord, steps_done: int) -> TemplateRun:
    outputs = row["outputs"] or {}
    steps = row["definition"]["steps"]
    # A step that was skipped counts as done once the run is through.
    done = len(steps) if row["status"] == SUCCESS else steps_done
    return TemplateRun(
        id=row["id"],
        template=row["template"],
        title=row["title"],
        status=row["status"],
        requested_by=row["requested_by"],
        requester_name=row["requester_name"],
        queued_at=row["queued_at"],
        html_url=_page_url(f"/templates/runs/{row['id']}"),
        version=row["version"],
        progress=Progress(done, len(steps)),
        inputs=row["inputs"],
        outputs=outputs,
        links=_output_links(outputs),
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        entity=row["entity"],
        origin=_origin(row["origin"]),
        retry_of=row["retry_of"],
        resumed_step=row["resumed_step"],
        failed_at_step=None if row["failed_at_step"] is None else steps[row["failed_at_step"]]["id"],
        source=RepositoryCommit.from_json(row["definition"].get("source")),
    )


def _output_links(outputs: Mapping[str, Any]) -> tuple[Link, ...]:
    links = outputs.get("links")
    if not isinstance(links, list):
        return ()
    return tuple(
        Link(str(link.get("title") or link["url"]), str(link["url"]))
        for link in links
        if isinstance(link, dict) and link.get("url")
    )


def attempt(row: AttemptRecord) -> Attempt:
    return Attempt(
        row["number"],
        row["started_at"],
        row["finished_at"],
        row["outcome"],
        row["error_code"],
        row["error_message"],
        row["worker"],
    )


def steps(row: TemplateRunRecord, runs: Mapping[int, ActionRun], items: Mapping[int, StepItems]) -> tuple[Step, ...]:
    last_started = max((*runs, *items), default=-1)
    begun: dict[int, ActionRun | StepItems] = {**runs, **items}
    return tuple(
        Step(
            step_id=step["id"],
            name=step.get("name") or step["id"],
            action=step["action"],
            status=begun[position].status if position in begun else _unrun(row, position, last_started),
            run=runs.get(position),
            items=items.get(position),
        )
        for position, step in enumerate(row["definition"]["steps"])
    )


def _unrun(row: TemplateRunRecord, position: int, last_started: int) -> str:
    failed_at = row["failed_at_step"]
    if failed_at is None or position < failed_at:
        return unrun_step_status(position, last_started, row["status"])
    if not asks_for_status(row["definition"]["steps"][position].get("if")):
        return NOT_RUN
    return unrun_cleanup_status(position, last_started, row["status"])


def audit_entry(row: AuditRecord) -> AuditEntry:
    return AuditEntry(
        id=row["id"],
        at=row["at"],
        last_at=row["last_at"],
        actor=row["actor"],
        event=row["event"],
        outcome=row["outcome"],
        target=row["target"],
        run_id=row["run_id"],
        template_run_id=row["template_run_id"],
        details=row["details"] or {},
        count=row["count"],
    )
