"""Examples for the OpenAPI document: what somebody who reads it sees first."""

from __future__ import annotations

from typing import Any

RUN_ID = "019a1b2c-3d4e-7f50-8a61-9b72c3d4e5f6"
STEP_RUN_ID = "019a1b2c-3d52-7c11-9e0f-5a4b3c2d1e0f"
NEXT_RUN_ID = "019a1b2f-0a1b-7c2d-8e3f-4a5b6c7d8e9f"
NEXT_CURSOR = "bgGaGyw9Tn9QimGbcsPU5fY"

PARAMETERS = {"run_id": RUN_ID, "action_id": "debug.log@v1", "name": "create-service"}

_QUEUED_AT = "2025-11-22T09:12:30.118000+00:00"
_STARTED_AT = "2025-11-22T09:12:30.302000+00:00"
_FINISHED_AT = "2025-11-22T09:12:31.114000+00:00"
_INPUTS = {"name": "order-history", "owner": "acme", "description": "What was ordered, and when"}
_REPO_URL = "https://git.example.com/acme/order-history"
_REQUESTER = "user:ada@example.com"

_ONE_OFF: dict[str, Any] = {
    "id": RUN_ID,
    "kind": "action_run",
    "action": "debug.log@v1",
    "step_id": None,
    "template": None,
    "template_run_id": None,
    "status": "success",
    "attempt": 1,
    "max_attempts": 3,
    "requested_by": _REQUESTER,
    "entity": "component:default/orders",
    "origin": None,
    "retry_of": None,
    "retried_as": None,
    "taken_over_from": None,
    "queued_at": _QUEUED_AT,
    "started_at": _STARTED_AT,
    "finished_at": _FINISHED_AT,
    "not_before": None,
    "duration_ms": 812,
    "worker_lost": False,
    "input": {"message": "Hello"},
    "outputs": {},
    "links": [],
    "warnings": [],
    "progress": None,
    "error": None,
    "html_url": f"/actions/runs/{RUN_ID}",
}
_QUEUED: dict[str, Any] = {"status": "queued", "started_at": None, "finished_at": None, "duration_ms": None}
_CANCELED: dict[str, Any] = {"status": "canceled", "started_at": None, "duration_ms": None}
_ATTEMPT = {
    "number": 1,
    "started_at": _STARTED_AT,
    "finished_at": _FINISHED_AT,
    "outcome": "success",
    "error_code": None,
    "error_message": None,
    "worker": "worker-1",
}
_STEP = {
    **_ONE_OFF,
    "id": STEP_RUN_ID,
    "action": "scm.createRepo@v1",
    "step_id": "create-repo",
    "name": "Create the repository",
    "template": "create-service",
    "template_run_id": RUN_ID,
    "entity": None,
    "input": {"provider": "local", "owner": "acme", "repo": "order-history", "visibility": "internal"},
    "outputs": {"repoUrl": _REPO_URL, "defaultBranch": "main"},
    "links": [{"title": "Repository", "url": _REPO_URL}],
    "html_url": f"/templates/runs/{RUN_ID}",
}
_TEMPLATE_RUN: dict[str, Any] = {
    "id": RUN_ID,
    "kind": "template_run",
    "template": "create-service",
    "title": "Create a service",
    "status": "success",
    "requested_by": _REQUESTER,
    "entity": None,
    "origin": None,
    "retry_of": None,
    "retried_as": None,
    "resumed_step": None,
    "queued_at": _QUEUED_AT,
    "started_at": _STARTED_AT,
    "finished_at": _FINISHED_AT,
    "duration_ms": 812,
    "progress": {"done": 1, "total": 1},
    "inputs": _INPUTS,
    "outputs": {"links": [{"title": "Repository", "url": _REPO_URL}]},
    "links": [{"title": "Repository", "url": _REPO_URL}],
    "html_url": f"/templates/runs/{RUN_ID}",
}
_NOTHING_DONE: dict[str, Any] = {"outputs": {}, "links": [], "progress": {"done": 0, "total": 1}}
_QUEUED_STEP = {**_STEP, **_QUEUED, "outputs": {}, "links": [], "attempt": 0}
_QUEUED_TEMPLATE_RUN = {**_TEMPLATE_RUN, **_QUEUED, **_NOTHING_DONE, "steps": [_QUEUED_STEP]}
_AGAIN = {
    **_QUEUED_TEMPLATE_RUN,
    "id": NEXT_RUN_ID,
    "retry_of": RUN_ID,
    "html_url": f"/templates/runs/{NEXT_RUN_ID}",
    "steps": [{**_QUEUED_STEP, "template_run_id": NEXT_RUN_ID, "html_url": f"/templates/runs/{NEXT_RUN_ID}"}],
}
_ACTION = {
    "id": "debug.log@v1",
    "title": "Write to the log",
    "description": "Write a message to the run's log.",
    "idempotent": True,
    "timeout": 30.0,
    "max_attempts": 3,
    "permissions": [],
    "may_run": True,
    "input_schema": {
        "type": "object",
        "properties": {"message": {"type": "string", "minLength": 1, "maxLength": 4000}},
        "required": ["message"],
        "additionalProperties": False,
    },
    "output_schema": None,
}
_TEMPLATE = {
    "name": "create-service",
    "title": "Create a service",
    "description": "A repository with a small service that runs.",
    "tags": ["service", "python"],
    "owner": "team:platform",
    "type": "service",
    "version": "3f0c9a1d2b4e",
    "permissions": [],
    "may_run": True,
    "inputs_schema": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Create a service",
        "type": "object",
        "properties": {"name": {"type": "string"}, "owner": {"type": "string"}, "description": {"type": "string"}},
        "required": ["name", "owner"],
        "additionalProperties": False,
    },
}
_PROBLEM = {
    "file": "create-queue/template.yaml",
    "line": 14,
    "key": "spec.steps[0].action",
    "message": "there is no action 'queue.create@v1'",
}


def _page(item: dict[str, Any], next_cursor: str | None = NEXT_CURSOR) -> dict[str, Any]:
    return {"data": [item], "pagination": {"limit": 50, "next_cursor": next_cursor}}


_AUDIT_ENTRY = {
    "id": "019a1b2c-3d4f-7a01-8b23-c45d67e89f01",
    "at": _QUEUED_AT,
    "last_at": _QUEUED_AT,
    "actor": _REQUESTER,
    "event": "template_run.start",
    "outcome": "accepted",
    "target": "create-service",
    "run_id": RUN_ID,
    "template_run_id": RUN_ID,
    "details": {},
    "count": 1,
}

ANSWERS: dict[str, dict[str, Any]] = {
    "list_action_runs": _page(_ONE_OFF),
    "get_action_run": {**_ONE_OFF, "attempts": [_ATTEMPT], "waits_for": None},
    "get_action_run_logs": {
        "data": [{"seq": 1, "attempt": 1, "at": _STARTED_AT, "level": "info", "message": "Hello"}],
    },
    "cancel_action_run": {**_ONE_OFF, **_CANCELED, "attempt": 0},
    "retry_action_run": {**_ONE_OFF, **_QUEUED, "attempt": 0, "id": NEXT_RUN_ID, "retry_of": RUN_ID,
                         "html_url": f"/actions/runs/{NEXT_RUN_ID}"},
    "list_actions": _page(_ACTION, None),
    "get_action": _ACTION,
    "start_action_run": {**_ONE_OFF, **_QUEUED, "attempt": 0},
    "list_templates": {**_page(_TEMPLATE, None), "problems": [_PROBLEM]},
    "get_template": _TEMPLATE,
    "start_template_run": _QUEUED_TEMPLATE_RUN,
    "list_template_runs": _page(_TEMPLATE_RUN),
    "get_template_run": {**_TEMPLATE_RUN, "steps": [_STEP]},
    "cancel_template_run": {**_TEMPLATE_RUN, **_CANCELED, **_NOTHING_DONE,
                            "steps": [{**_QUEUED_STEP, **_CANCELED}]},
    "retry_template_run": _AGAIN,
    "resume_template_run": {**_AGAIN, "resumed_step": "create-repo"},
    "list_audit": _page(_AUDIT_ENTRY),
    "get_health": {"status": "ok", "database": True, "writable": True, "redis": True, "workers": 2, "workers_stalled": 0, "oldest_queued_seconds": None},
    "get_readiness": {"ready": True},
}  # fmt: skip
"""What each operation answers when it works, by operation id."""

DOWN = {
    "status": "down",
    "database": False,
    "writable": None,
    "redis": None,
    "workers": None,
    "workers_stalled": None,
    "oldest_queued_seconds": None,
}
NOT_READY = {"ready": False}

BODIES: dict[str, dict[str, Any]] = {
    "start_action_run": {"input": {"message": "Hello"}, "entity": "component:default/orders"},
    "start_template_run": {"inputs": _INPUTS},
    "retry_action_run": {},
    "retry_template_run": {},
    "resume_template_run": {},
}
"""What is sent to each operation that takes a body."""

_SAY = {
    400: ("Bad Request", "BAD_REQUEST", "The body is text/plain, not JSON.",
          "Send a JSON object, with Content-Type: application/json."),
    401: ("Unauthorized", "UNAUTHENTICATED", "You are not signed in.",
          "Sign in, or send a valid token in the Authorization header."),
    403: ("Forbidden", "PERMISSION_DENIED", "You need the permission template:run for this.",
          "Ask your platform team for the permission that is named."),
    404: ("Not Found", "NOT_FOUND", f"There is no template run {RUN_ID}.", "Check the id; /actions lists the runs."),
    409: ("Conflict", "CONFLICT", f"The run {RUN_ID} has ended already.",
          "Look at the run: nothing is left to cancel."),
    412: ("Precondition Failed", "CONFLICT", "The precondition on the request failed positive evaluation.",
          "Read it again, and compare with what you expected."),
    413: ("Request Entity Too Large", "TOO_LARGE", "The data value transmitted exceeds the capacity limit.",
          "Send a smaller body."),
    422: ("Unprocessable Entity", "VALIDATION_ERROR", "create-service cannot take these inputs: see name.",
          "Correct the input that is named and start again."),
    429: ("Too Many Requests", "RATE_LIMITED",
          "You have started 10 runs in the last minute. The next start is free in 42 s.",
          "Wait 42 s, then start again."),
    500: ("Internal Server Error", "INTERNAL_ERROR", "The server encountered an internal error.",
          "Give the run id to your platform team: it finds the log."),
    503: ("Service Unavailable", "UNAVAILABLE", "The portal's database does not answer.",
          "Try again in a moment. What is sent again with the same Idempotency-Key never starts twice."),
}  # fmt: skip
_MORE: dict[int, dict[str, Any]] = {
    422: {"errors": {"name": ["is required"]}},
    429: {"retry_after": 42},
    503: {"retry_after": 5},
}


def error(status: int) -> dict[str, Any]:
    """An error body as the API answers it with this status."""
    phrase, error_code, message, hint = _SAY[status]
    body = {"code": status, "status": phrase, "message": message, "error_code": error_code, "hint": hint}
    return {**body, **_MORE.get(status, {})}
