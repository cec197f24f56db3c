"""A day of a portal, as people would find it on its pages: for pictures, for Lighthouse, and for what a page may weigh."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any, Literal, NamedTuple

from tests.support.page_rows import BOB, GRACE, STEPS, add_action_run, add_attempt, add_log, add_template_run, ago

ADA = {"requested_by": "user:ada@acme.example", "requester_name": "Ada Lovelace"}
ALAN = {"requested_by": "user:alan@acme.example", "requester_name": "Alan Turing"}
MARGARET = {"requested_by": "user:margaret@acme.example", "requester_name": "Margaret Hamilton"}
PEOPLE = (ADA, GRACE, MARGARET, ALAN, BOB)

NEVER_LOST = datetime(2999, 1, 1, tzinfo=UTC)
"""When the lease of a run ends that is to look alive whatever the clock says."""

INPUTS = {"name": "payments-api", "owner": "acme", "description": "Takes payments", "visibility": "internal"}
SERVICE = {"title": "Create a service", "template": "create-service", "inputs": INPUTS}
CODEOWNERS = {
    "title": "Add code owners",
    "template": "add-codeowners",
    "inputs": {"entity": "component:default/orders", "team": "team:checkout"},
    "steps": (
        ("add-file", "Add CODEOWNERS", "scm.createOrUpdateFile@v1"),
        ("open-pr", "Open the pull request", "scm.openPrOrMr@v1"),
    ),
}
ENVIRONMENT = {
    "title": "Request an environment",
    "template": "request-environment",
    "inputs": {"service": "ledger", "size": "small", "days": 7},
    "steps": (
        ("create-repo", "Create the repository", "scm.createRepo@v1"),
        ("deploy-preview", "Deploy the preview", "http.request@v1"),
        ("announce", "Tell the team", "http.request@v1"),
    ),
}
TEN_STEPS = tuple((f"{step_id}-{n}", f"{name} {n}", action) for n in range(1, 4) for step_id, name, action in STEPS)[
    :10
]

REPOSITORY = {
    "outputs": {"repoUrl": "https://forge.example/acme/payments-api", "defaultBranch": "main"},
    "links": [{"title": "Repository", "url": "https://forge.example/acme/payments-api"}],
}
PREVIEWS = {
    "outputs": {"repoUrl": "https://forge.example/platform/ledger-preview", "defaultBranch": "main"},
    "links": [{"title": "Repository", "url": "https://forge.example/platform/ledger-preview"}],
}
SKELETON = {"outputs": {"commitSha": "9f2c1e7", "changedFiles": 7}}
PULL_REQUEST = {
    "outputs": {"prUrl": "https://forge.example/acme/payments-api/pull/1", "number": 1},
    "links": [{"title": "Pull request", "url": "https://forge.example/acme/payments-api/pull/1"}],
}
ENTITY = {"outputs": {"entity": "component:default/payments-api"}}
REFUSED = {
    "error_code": "AUTH_ERROR",
    "error_message": "The forge refused the token for acme/payments-api",
    "error_hint": "Check SCM token: it lacks the permission pull_requests: write.",
}
README_RULE = {"entity": "orders", "scorecard": "docs", "rule": "README exists"}


class Day(NamedTuple):
    """The paths of a page of each kind."""

    list: str
    filtered_list: str
    running: str
    failed: str
    success: str
    canceled: str
    one_off: str


_numbers = count(1)


def id_of_age(seconds: float) -> str:
    """An id as of that long ago: lists are sorted by it."""
    text = f"{int(ago(seconds).timestamp() * 1000):012x}7{0:03x}8{next(_numbers):015x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def add_run(
    status: str,
    age: float,
    statuses: tuple[str, ...],
    seconds: tuple[float, ...],
    step_values: Mapping[int, Mapping[str, Any]] | None = None,
    **values: Any,
) -> tuple[str, list[str]]:
    """Add a template run that began ``age`` seconds ago, with steps that took so many seconds, one after the other."""
    filled: dict[int, dict[str, Any]] = {}
    began = age
    for position, (step_status, took) in enumerate(zip(statuses, seconds, strict=True)):
        over = step_status in ("success", "failed", "canceled")
        filled[position] = {
            "id": id_of_age(began),
            "queued_at": ago(began),
            "started_at": None if step_status == "queued" else ago(began - 0.04),
            "finished_at": ago(began - 0.04 - took) if over else None,
            "lease_expires_at": NEVER_LOST if step_status == "running" else None,
            **(step_values or {}).get(position, {}),
        }
        began -= took + 0.08
    over = status in ("success", "failed", "canceled")
    times = {"queued_at": ago(age), "started_at": ago(age - 0.04), "finished_at": ago(began) if over else None}
    return add_template_run(
        status, statuses, **{**SERVICE, **ADA, "id": id_of_age(age), **times, **values}, step_values=filled
    )


def live_through() -> Day:
    """Fill the list, and say where a page of each kind is."""
    for number in range(8):
        _quiet_hours(number)
    running = _running()
    add_run("running", 11, ("success", "queued"), (1.2, 0), **{**CODEOWNERS, **GRACE})
    failed, success, canceled, one_off = _failed(), _success(), _canceled(), _one_off()
    return Day(
        list="/actions",
        filtered_list="/actions?status=failed&requested_by=user%3Aada%40acme.example&since=7d",
        running=f"/templates/runs/{running}",
        failed=f"/templates/runs/{failed}",
        success=f"/templates/runs/{success}",
        canceled=f"/templates/runs/{canceled}",
        one_off=f"/actions/runs/{one_off}",
    )


def fifty_rows() -> None:
    """Fill a whole page of the list and the beginning of another, with some of everything."""
    live_through()
    for number in range(8, 20):
        _quiet_hours(number)


def ten_steps(status: Literal["success", "running"] = "success") -> str:
    """Add a run of ten steps; its path."""
    last = 9 if status == "running" else 10
    statuses = ("success",) * last + (("running",) if status == "running" else ())
    made = {position: (REPOSITORY, SKELETON, PULL_REQUEST, ENTITY)[position % 4] for position in range(last)}
    seconds = tuple(0.6 + 0.3 * position for position in range(len(statuses)))
    run_id, ids = add_run(status, 900, statuses, seconds, made, steps=TEN_STEPS)
    for step in ids:
        add_log(step, *[f"line {number} of what the handler told" for number in range(40)])
    return f"/templates/runs/{run_id}"


def _quiet_hours(number: int) -> None:
    """What went well some hours ago: also what says how long a step takes as a rule."""
    age = 3_700 + number * 5_500
    person = PEOPLE[number % len(PEOPLE)]
    made = {0: REPOSITORY, 1: SKELETON, 2: PULL_REQUEST, 3: ENTITY}
    add_run("success", age, ("success",) * 4, (1.1 + number % 3 / 10, 2.8, 1.9, 0.2 + number % 2 / 20), made, **person)


def _running() -> str:
    waiting = {"progress_done": 3, "progress_total": 7}
    run_id, ids = add_run("running", 12, ("success", "running"), (1.2, 0), {0: REPOSITORY, 1: waiting})
    add_log(ids[0], "creating acme/payments-api", "created, default branch main")
    add_log(
        ids[1],
        "rendering 7 files of the skeleton",
        "README.md",
        "src/service.py",
        ("warning", "catalog-info.yaml has no owner yet: using acme"),
        "catalog-info.yaml",
    )
    return run_id


def _failed() -> str:
    run_id, ids = add_run(
        "failed",
        125,
        ("success", "success", "failed"),
        (1.2, 2.9, 0.64),
        {0: REPOSITORY, 1: SKELETON, 2: {**REFUSED, "attempt": 2}},
    )
    add_log(ids[0], "creating acme/payments-api", "created, default branch main")
    add_attempt(
        ids[2], 1, started_at=ago(122), finished_at=ago(121), error_code="REMOTE_ERROR", error_message="502 Bad Gateway"
    )
    add_attempt(
        ids[2], 2, started_at=ago(121), finished_at=ago(120), **{k: REFUSED[k] for k in ("error_code", "error_message")}
    )
    add_log(
        ids[2],
        ("info", "branch portal/add-catalog created from main", 1),
        ("warning", "502 Bad Gateway: tried again", 1),
        ("info", "POST /repos/acme/payments-api/pulls", 2),
        ("error", "403 Resource not accessible by personal access token (request C2A4:1F3B)", 2),
        ("info", "not retried: AUTH_ERROR", 2),
    )
    return run_id


def _success() -> str:
    outputs = {"links": [*REPOSITORY["links"], *PULL_REQUEST["links"]], "entity": "component:default/payments-api"}
    made = {
        0: REPOSITORY,
        1: SKELETON,
        2: PULL_REQUEST,
        3: {**ENTITY, "warnings": ["The owner acme is not in the catalog yet"]},
    }
    run_id, ids = add_run(
        "success", 320, ("success",) * 4, (1.2, 2.9, 2.1, 0.24), made, **{**GRACE, "outputs": outputs}
    )
    for step in ids:
        add_log(step, "began", "done")
    return run_id


def _canceled() -> str:
    run_id, ids = add_run(
        "canceled", 1_130, ("success", "canceled"), (1.1, 41), {0: PREVIEWS}, **{**ENVIRONMENT, **ADA}
    )
    add_log(ids[1], "POST https://deploy.example/previews", "202: asking every 5 s", "asking", "asking")
    return run_id


def _one_off() -> str:
    missing = {
        "error_code": "NOT_FOUND",
        "error_message": "There is no repository acme/orders",
        "error_hint": "Check the entity's source location.",
    }
    run_id = add_action_run(
        "failed",
        id=id_of_age(150),
        action="scm.createOrUpdateFile@v1",
        origin=README_RULE,
        entity=README_RULE["entity"],
        input={"repo": "acme/orders", "path": "README.md", "branch": "portal/readme"},
        queued_at=ago(150),
        started_at=ago(149.9),
        finished_at=ago(146.5),
        **ALAN,
        **missing,
    )
    add_log(run_id, "looking for acme/orders", ("error", "404 Not Found"))
    return run_id
