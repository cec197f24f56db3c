"""Examples for the OpenAPI document: what somebody who reads it sees first."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

from portal_actions_plugin.blueprints.api.schemas.catalog import ActionListSchema, ForgeListSchema, TemplateListSchema
from portal_actions_plugin.blueprints.api.schemas.common import PageSchema, page_body
from portal_actions_plugin.blueprints.api.schemas.operations import AuditPageSchema
from portal_actions_plugin.blueprints.api.schemas.runs import (
    ActionRunDetailSchema,
    ActionRunPageSchema,
    ActionRunSchema,
    ItemsSchema,
    LogSchema,
    TemplateRunDetailSchema,
    TemplateRunPageSchema,
)
from portal_actions_plugin.blueprints.api.schemas.workspaces import WorkspaceSchema
from portal_actions_plugin.run_types import (
    ActionRun,
    Attempt,
    AuditEntry,
    ItemRun,
    KeptFile,
    KeptWorkspace,
    Link,
    LogLine,
    Page,
    Progress,
    Step,
    TemplateRun,
)
from portal_actions_plugin.runs.states import CANCELED, QUEUED, SUCCESS

Json = dict[str, Any]

RUN_ID = "019a1b2c-3d4e-7f50-8a61-9b72c3d4e5f6"
STEP_RUN_ID = "019a1b2c-3d52-7c11-9e0f-5a4b3c2d1e0f"
NEXT_RUN_ID = "019a1b2f-0a1b-7c2d-8e3f-4a5b6c7d8e9f"
NEXT_CURSOR = "pQ0v3rW8mYx1cK5nT7bJ2gHdSfLzAqEoUiRkVwXyB4M"

PARAMETERS = {"run_id": RUN_ID, "action_id": "debug.log@v1", "name": "create-service", "position": "1"}

_QUEUED_AT = datetime.fromisoformat("2025-11-22T09:12:30.118000+00:00")
_STARTED_AT = datetime.fromisoformat("2025-11-22T09:12:30.302000+00:00")
_FINISHED_AT = datetime.fromisoformat("2025-11-22T09:12:31.114000+00:00")
_INPUTS = {"name": "order-history", "owner": "acme", "description": "What was ordered, and when"}
_REPO_URL = "https://git.example.com/acme/order-history"
_REQUESTER = "user:ada@example.com"
_URL = f"/templates/runs/{RUN_ID}"
_NEXT_URL = f"/templates/runs/{NEXT_RUN_ID}"

# Read models, so that a new field with a default is in every example by itself.
_ONE_OFF = ActionRun(
    id=RUN_ID,
    action="debug.log@v1",
    status=SUCCESS,
    attempt=1,
    max_attempts=3,
    requested_by=_REQUESTER,
    requester_name="Ada",
    queued_at=_QUEUED_AT,
    started_at=_STARTED_AT,
    finished_at=_FINISHED_AT,
    html_url=f"/actions/runs/{RUN_ID}",
    version=3,
    entity="component:default/orders",
    input={"message": "Hello"},
)
_QUEUED_ONE_OFF = replace(_ONE_OFF, status=QUEUED, attempt=0, started_at=None, finished_at=None)
_ATTEMPT = Attempt(1, _STARTED_AT, _FINISHED_AT, SUCCESS, None, None, "worker-1")
_STEP_RUN = replace(
    _ONE_OFF,
    id=STEP_RUN_ID,
    action="scm.createRepo@v1",
    step_id="create-repo",
    template="create-service",
    template_run_id=RUN_ID,
    html_url=_URL,
    entity=None,
    input={"provider": "local", "owner": "acme", "repo": "order-history", "visibility": "internal"},
    outputs={"repoUrl": _REPO_URL, "defaultBranch": "main"},
    links=(Link("Repository", _REPO_URL),),
)
_QUEUED_STEP_RUN = replace(_STEP_RUN, status=QUEUED, attempt=0, started_at=None, finished_at=None, outputs={}, links=())
_TEMPLATE_RUN = TemplateRun(
    id=RUN_ID,
    template="create-service",
    title="Create a service",
    status=SUCCESS,
    requested_by=_REQUESTER,
    requester_name="Ada",
    queued_at=_QUEUED_AT,
    started_at=_STARTED_AT,
    finished_at=_FINISHED_AT,
    html_url=_URL,
    version=3,
    progress=Progress(1, 1),
    inputs=_INPUTS,
    outputs={"links": [{"title": "Repository", "url": _REPO_URL}]},
    links=(Link("Repository", _REPO_URL),),
)


def _with_step(run: TemplateRun, step: ActionRun) -> TemplateRun:
    return replace(run, steps=(Step("create-repo", "Create the repository", step.action, step.status, step),))


_NOTHING_DONE = replace(_TEMPLATE_RUN, outputs={}, links=(), progress=Progress(0, 1))
_QUEUED_TEMPLATE_RUN = _with_step(
    replace(_NOTHING_DONE, status=QUEUED, started_at=None, finished_at=None), _QUEUED_STEP_RUN
)
_CANCELED_TEMPLATE_RUN = _with_step(
    replace(_NOTHING_DONE, status=CANCELED, started_at=None), replace(_QUEUED_STEP_RUN, status=CANCELED)
)
_AGAIN = _with_step(
    replace(_QUEUED_TEMPLATE_RUN, id=NEXT_RUN_ID, retry_of=RUN_ID, html_url=_NEXT_URL),
    replace(_QUEUED_STEP_RUN, template_run_id=NEXT_RUN_ID, html_url=_NEXT_URL),
)
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
    "presentation": {"buttonLabels": {"createButtonText": "Order it"}},
    "source": {
        "repository": "https://github.com/acme/templates",
        "ref": "main",
        "commit": "9f3c51b6c7a3e3f5d3c4fd0c6e3e7f2a1b0c9d8e",
        "path": "services",
        "url": "https://github.com/acme/templates/commit/9f3c51b6c7a3e3f5d3c4fd0c6e3e7f2a1b0c9d8e",
    },
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
    "severity": "problem",
    "template": "create-queue",
    "file": "create-queue/template.yaml",
    "line": 14,
    "key": "spec.steps[0].action",
    "value": "",
    "message": "there is no action 'queue.create@v1'",
    "write": "",
}


_FORGE = {
    "name": "github",
    "kind": "github",
    "url": "https://github.com",
    "version": "GitHub",
    "operations": ["commit", "createRepo", "openPull", "read"],
    "missing": {"commitWorkflows": "the scope workflow"},
    "actions": ["scm.createRepo@v1", "scm.openPrOrMr@v1", "scm.pushSkeleton@v1"],
    "owners": ["acme"],
    "problem": None,
}

_AUDIT_ENTRY = AuditEntry(
    actor=_REQUESTER,
    event="template_run.start",
    outcome="accepted",
    target="create-service",
    run_id=RUN_ID,
    template_run_id=RUN_ID,
    id="019a1b2c-3d4f-7a01-8b23-c45d67e89f01",
    at=_QUEUED_AT,
    last_at=_QUEUED_AT,
)


_WORKSPACE = KeptWorkspace(
    run_id=RUN_ID,
    files=(KeptFile("README.md", 812), KeptFile("src/settings.ini", 96, masked=True)),
    count=2,
    size=908,
    kept_at=_FINISHED_AT,
)


@cache
def answers() -> dict[str, Json]:
    """What each operation answers when it works, by operation id."""
    one_off, template_run = ActionRunSchema(), TemplateRunDetailSchema()
    canceled = replace(_ONE_OFF, status=CANCELED, attempt=0, started_at=None)
    again = replace(_QUEUED_ONE_OFF, id=NEXT_RUN_ID, retry_of=RUN_ID, html_url=f"/actions/runs/{NEXT_RUN_ID}")
    line = LogLine(1, 1, _STARTED_AT, "info", "Hello")
    return {
        "list_action_runs": _page(ActionRunPageSchema(), _ONE_OFF),
        "get_action_run": ActionRunDetailSchema().dump(replace(_ONE_OFF, attempts=(_ATTEMPT,))),
        "get_action_run_logs": LogSchema().dump({"data": [line]}),
        "cancel_action_run": one_off.dump(canceled),
        "retry_action_run": one_off.dump(again),
        "list_actions": _page(ActionListSchema(), _ACTION, None),
        "get_action": _ACTION,
        "start_action_run": one_off.dump(_QUEUED_ONE_OFF),
        "list_templates": {**_page(TemplateListSchema(), _TEMPLATE, None), "problems": [_PROBLEM], "warnings": []},
        "get_template": _TEMPLATE,
        "list_forges": _page(ForgeListSchema(), _FORGE, None),
        "start_template_run": template_run.dump(_QUEUED_TEMPLATE_RUN),
        "list_template_runs": _page(TemplateRunPageSchema(), _TEMPLATE_RUN),
        "get_step_items": _page(
            ItemsSchema(), ItemRun(0, "0", "orders", "orders", "success", RUN_ID, _STARTED_AT), None
        ),
        "get_template_run": template_run.dump(_with_step(_TEMPLATE_RUN, _STEP_RUN)),
        "cancel_template_run": template_run.dump(_CANCELED_TEMPLATE_RUN),
        "retry_template_run": template_run.dump(_AGAIN),
        "resume_template_run": template_run.dump(replace(_AGAIN, resumed_step="create-repo")),
        "get_workspace": WorkspaceSchema().dump(_WORKSPACE),
        "list_audit": _page(AuditPageSchema(), _AUDIT_ENTRY),
        "get_health": {
            "status": "ok",
            "database": True,
            "writable": True,
            "redis": True,
            "workers": 2,
            "workers_stalled": 0,
            "queues_still": 0,
            "oldest_queued_seconds": None,
        },
        "get_readiness": {"ready": True},
    }


def _page(schema: PageSchema, item: object, next_cursor: str | None = NEXT_CURSOR) -> Json:
    shown: Json = schema.dump(page_body(Page([item], 50, next_cursor)))
    return shown


DOWN = {
    "status": "down",
    "database": False,
    "writable": None,
    "redis": None,
    "workers": None,
    "workers_stalled": None,
    "queues_still": None,
    "oldest_queued_seconds": None,
}
NOT_READY = {"ready": False}

BODIES: dict[str, Json] = {
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
    412: ("Precondition Failed", "CONFLICT",
          "It has changed since it was read: it is not the version that If-Match names.",
          "Read it again, and compare with what you expected."),
    413: ("Request Entity Too Large", "TOO_LARGE", "The body is larger than this portal takes.",
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
_MORE: dict[int, Json] = {
    422: {"errors": {"name": ["is required"]}},
    429: {"retry_after": 42},
    503: {"retry_after": 5},
}


def error(status: int) -> Json:
    """An error body as the API answers it with this status."""
    phrase, error_code, message, hint = _SAY[status]
    body = {"code": status, "status": phrase, "message": message, "error_code": error_code, "hint": hint}
    return {**body, **_MORE.get(status, {})}
