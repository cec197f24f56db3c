"""Rows for the pages to show, written as a worker would have left them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert

from portal_actions_plugin.runs.secrets.token_shapes import MASK
from portal_actions_plugin.software_templates.spec import Step, Template
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import new_id, transaction

ADA = {"requested_by": "user:ada@example.com", "requester_name": "Ada Lovelace"}
BOB = {"requested_by": "user:bob@example.com", "requester_name": "Bob Kahn"}
GRACE = {"requested_by": "user:grace@example.com", "requester_name": "Grace Hopper"}

STEPS = (
    ("create-repo", "Create the repository", "scm.createRepo@v1"),
    ("push-skeleton", "Push the skeleton", "scm.pushSkeleton@v1"),
    ("open-pr", "Open the pull request", "scm.openPrOrMr@v1"),
    ("register", "Register in the catalog", "catalog.registerEntity@v1"),
)

TWO_STEPS: dict[str, Any] = {
    "template": "two-steps",
    "title": "Two steps",
    "inputs": {"name": "orders"},
    "steps": (
        ("greet", "Greet", "debug.log@v1"),
        ("shout", "Shout", "debug.log@v1"),
        ("part", "Part", "debug.log@v1"),
    ),
}
AUTH_ERROR = {
    "error_code": "AUTH_ERROR",
    "error_message": "GitHub refused the token",
    "error_hint": "Check SCM token",
}
ORIGIN = {"entity": "orders", "scorecard": "docs", "rule": "README exists"}


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def add_action_run(status: str = "success", **values: Any) -> str:
    """Add an action run; times fit the status unless they are given."""
    over = status in ("success", "failed", "canceled")
    row = {
        "id": new_id(),
        "status": status,
        "action": "debug.log@v1",
        "queue": "default",
        "version": 1,
        "attempt": 0 if status == "queued" else 1,
        "max_attempts": 3,
        "position": 0,
        "item": 0,
        "rings": 1,
        "lock_held": False,
        "queued_at": ago(120),
        "started_at": None if status == "queued" else ago(119),
        "finished_at": ago(117.8) if over else None,
        "lease_expires_at": ago(-600) if status == "running" else None,
        **ADA,
        **values,
    }
    with transaction("test") as tx:
        tx.execute(insert(tables.action_runs).values(**row))
    return row["id"]


def add_template_run(status: str = "success", statuses: tuple[str, ...] = (), **values: Any) -> tuple[str, list[str]]:
    """Add a template run with an action run for each of ``statuses``; returns its id and theirs.

    A status that is None has no action run. ``step_values`` adds values to a step by its position.
    """
    steps = values.pop("steps", STEPS)
    step_values = values.pop("step_values", {})
    inputs = values.pop("inputs", {"name": "payments-api"})
    permissions = values.pop("permissions", ())
    over = status in ("success", "failed", "canceled")
    row = {
        "id": new_id(),
        "template": "create-service",
        "title": "Create a service",
        "template_version": "1",
        "definition": definition(values.get("template", "create-service"), steps, inputs, permissions),
        "inputs": inputs,
        "status": status,
        "version": 1,
        "queued_at": ago(121),
        "started_at": None if status == "queued" else ago(120),
        "finished_at": ago(115.2) if over else None,
        **ADA,
        **values,
    }
    who = {name: row[name] for name in ("requested_by", "requester_name", "template")}
    with transaction("test") as tx:
        tx.execute(insert(tables.template_runs).values(**row))
    ids = []
    for position, step_status in enumerate(statuses):
        if step_status is None:
            continue
        step_id, name, action = steps[position]
        step = {"step_id": step_id, "step_name": name, "action": action, "position": position}
        extra = step_values.get(position, {})
        ids.append(add_action_run(step_status, template_run_id=row["id"], **who, **{**step, **extra}))
    return row["id"], ids


def failed(**values: Any) -> tuple[str, str]:
    """A failed template run, and the step of it that one would tick."""
    run_id, steps = add_template_run(
        "failed", ("success", "failed"), **{**TWO_STEPS, **values}, step_values={1: AUTH_ERROR}
    )
    return run_id, steps[1]


def definition(
    name: str, steps: tuple[tuple[str, str, str], ...], inputs: dict[str, Any], permissions: tuple[str, ...]
) -> dict[str, Any]:
    """A template as a run keeps it, with a parameter for each input."""
    parameters = {key: {"writeOnly": True} if value == MASK else {} for key, value in inputs.items()}
    return Template(
        name=name,
        title=name,
        description="",
        tags=(),
        owner="team:platform",
        type="service",
        parameters=({"properties": parameters},),
        steps=tuple(Step(id=i, name=n, action=a, input={"message": n}) for i, n, a in steps),
        output={},
        permissions=permissions,
        version="1",
    ).snapshot()


def add_log(run_id: str, *lines: str | tuple[str, str] | tuple[str, str, int]) -> None:
    """Add log lines: a text, or level and text, or level, text and attempt."""
    whole = [("info", line) if isinstance(line, str) else line for line in lines]
    rows = [
        {
            "action_run_id": run_id,
            "seq": number,
            "attempt": line[2] if len(line) == 3 else 1,
            "at": ago(120) + timedelta(milliseconds=118 * number),
            "level": line[0],
            "message": line[1],
        }
        for number, line in enumerate(whole, 1)
    ]
    with transaction("test") as tx:
        tx.execute(insert(tables.log_lines).values(rows))


def add_attempt(run_id: str, number: int, outcome: str | None = "failed", **values: Any) -> None:
    """Add a try of an action run."""
    row = {"started_at": ago(200 - number), "finished_at": ago(199 - number), "worker": "worker-1", **values}
    with transaction("test") as tx:
        tx.execute(insert(tables.attempts).values(action_run_id=run_id, number=number, outcome=outcome, **row))
