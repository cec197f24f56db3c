"""``http.request@v1`` through the runner: what is tried again, and where its secrets are seen."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import select

from portal_actions_plugin.errors import ConflictError, RemoteError, WorkerLostError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner import recovery
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.accept import Ask
from portal_actions_plugin.runs.guards.retries import Tried, is_idempotent, next_attempt_in
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.secrets.sealing import MASK
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading
from tests.support.http_server import Handler, Server, says, serving
from tests.support.people import Person
from tests.support.run_helpers import ADA, change_action, claim, is_due_after, make_due, perform, run_one_off, work_off

REQUEST = "http.request@v1"
CANARY = "canary-4711-secret"
CALL = """\
apiVersion: portal-actions/v1
kind: Template
metadata: {name: call}
spec:
  owner: team:platform
  type: service
  parameters:
    required: [method, url, token]
    properties:
      method: {type: string}
      url: {type: string}
      token: {type: string, ui:field: Secret}
  steps:
    - id: ask
      action: http.request@v1
      input:
        method: ${{ parameters.method }}
        url: ${{ parameters.url }}
        secretHeaders: {Authorization: "Bearer ${{ secrets.token }}"}
"""


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as running:
        yield running


@pytest.fixture
def app(make_app: Callable[..., Flask], database_url: str, server: Server, template_folder: Path) -> Iterator[Flask]:
    (template_folder / "call.yaml").write_text(CALL)
    app = make_app(
        PORTAL_ACTIONS_DATABASE_URL=database_url,
        PORTAL_ACTIONS_SECRET_KEYS=[Fernet.generate_key().decode()],
        PORTAL_ACTIONS_HTTP_ALLOWED_HOSTS=[f"127.0.0.1:{server.port}"],
        PORTAL_ACTIONS_HTTP_ALLOWED_NETWORKS=["127.0.0.0/8"],
    )
    with app.app_context():
        yield app


@pytest.fixture
def url(app: Flask, server: Server) -> str:
    return f"http://127.0.0.1:{server.port}/"


def lost_at_first(server: Server) -> None:
    """Do what is asked, and lose the first answer."""

    def respond(handler: Handler) -> None:
        if len(server.seen) > 1:
            handler.reply(200, f"Bearer {CANARY} and {CANARY}")

    server.routes["/"] = respond


def test_a_get_whose_answer_was_lost_is_made_again(server: Server, url: str) -> None:
    lost_at_first(server)
    run_id = run_one_off(REQUEST, {"method": "GET", "url": url})
    perform(run_id)
    assert queries.action_run(run_id).status == "queued"
    make_due(run_id)
    perform(run_id)
    assert (queries.action_run(run_id).status, len(server.seen)) == ("success", 2)


def test_a_post_whose_answer_was_lost_is_not_made_again(server: Server, url: str) -> None:
    lost_at_first(server)
    run_id = run_one_off(REQUEST, {"method": "POST", "url": url, "body": {"a": 1}})
    perform(run_id)
    run = queries.action_run(run_id)
    assert (run.status, run.error.code, len(server.seen)) == ("failed", "REMOTE_ERROR", 1)


def test_a_post_that_was_refused_for_its_rate_is_made_again_when_the_other_side_says(server: Server, url: str) -> None:
    server.routes["/"] = says(429, Retry_After="77")
    run_id = run_one_off(REQUEST, {"method": "POST", "url": url})
    perform(run_id)
    run = queries.action_run(run_id)
    assert run.status == "queued"
    assert is_due_after(run_id, 77)
    assert (run.attempt, run.max_attempts) == (1, 4), "no attempt is used up"


@pytest.mark.parametrize(("method", "then"), [("GET", "queued"), ("POST", "failed")])
def test_a_step_is_made_again_by_the_method_that_was_rendered(server: Server, url: str, method: str, then: str) -> None:
    lost_at_first(server)
    run = service.start_template_run(ADA, "call", {"method": method, "url": url, "token": CANARY}).run
    step = run.steps[0].run.id
    perform(step)
    assert queries.action_run(step).status == then


@pytest.mark.parametrize(("method", "then"), [("PUT", "queued"), ("PATCH", "failed")])
@pytest.mark.parametrize("deal_with", [recovery.recover_process, recovery.hand_back])
def test_what_a_lost_worker_was_asking_is_asked_again_by_its_method(
    url: str, method: str, then: str, deal_with: Callable[[str], None]
) -> None:
    run_id, token = run_one_off(REQUEST, {"method": method, "url": url}), str(uuid.uuid4())
    assert claim(run_id, token)
    deal_with(token)
    assert queries.action_run(run_id).status == then


def test_a_step_takes_its_secret_header_and_shows_it_nowhere(server: Server, url: str) -> None:
    lost_at_first(server)
    run = service.start_template_run(ADA, "call", {"method": "GET", "url": url, "token": CANARY}).run
    step = run.steps[0].run.id
    work = [perform(step), make_due(step), perform(step)]
    assert work
    done = queries.action_run(step)
    assert [seen.headers["authorization"] for seen in server.seen] == [f"Bearer {CANARY}"] * 2
    assert done.input["secretHeaders"] == {"Authorization": MASK}
    assert done.outputs["body"] == f"{MASK} and {MASK}"
    assert CANARY not in everything_stored()


def test_a_one_off_takes_secret_headers_and_masks_even_the_bare_token(server: Server, url: str) -> None:
    server.routes["/"] = says(200, {"token": CANARY})
    secret = {"Authorization": f"Bearer {CANARY}"}
    run_id = run_one_off(REQUEST, {"method": "GET", "url": url, "secretHeaders": secret})
    assert queries.action_run(run_id).input["secretHeaders"] == MASK
    assert work_off() == 1
    assert queries.action_run(run_id).outputs["json"] == {"token": MASK}
    assert server.seen[0].headers["authorization"] == f"Bearer {CANARY}"
    assert CANARY not in everything_stored()


def test_a_one_off_can_be_run_again_with_its_secret_headers_as_text(server: Server, url: str) -> None:
    server.routes["/"] = says(403, CANARY)
    secret = {"Authorization": f"Bearer {CANARY}"}
    first = run_one_off(REQUEST, {"method": "GET", "url": url, "secretHeaders": secret})
    work_off()
    assert queries.action_run(first).error.message == f"GET 127.0.0.1:{server.port} answered 403 Forbidden: {MASK}"
    text = f'{{"Authorization": "Bearer {CANARY}"}}'
    service.retry_action_run(ADA, first, Ask(secrets={"secretHeaders": text}))
    work_off()
    assert [seen.headers["authorization"] for seen in server.seen] == [f"Bearer {CANARY}"] * 2
    assert CANARY not in everything_stored()


def everything_stored() -> str:
    with reading() as db:
        rows = [
            db.rows(select(row)) for row in (tables.action_runs, tables.template_runs, tables.log_lines, tables.audit)
        ]
    return str(rows)


def test_a_host_that_is_not_allowed_ends_the_run_and_names_whom_to_ask(url: str) -> None:
    run_id = run_one_off(REQUEST, {"method": "GET", "url": "https://other.example/"})
    perform(run_id)
    error = queries.action_run(run_id).error
    assert (error.code, error.message) == ("VALIDATION_ERROR", "This portal may not call other.example.")
    assert "PORTAL_ACTIONS_HTTP_ALLOWED_HOSTS" in error.hint


# -- repeated or not, by the input -----------------------------------------------------------------------------------


@pytest.mark.fault("E30")
def test_a_request_without_a_method_is_not_repeated_and_logs_no_traceback(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    assert not is_idempotent(REQUEST, {})
    assert caplog.records == []


def test_an_action_that_cannot_say_of_its_input_is_not_repeated(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    change_action("debug.log@v1", idempotent=lambda data: data["method"] == "GET")
    assert not is_idempotent("debug.log@v1", {})
    assert "cannot be worked out" in caplog.text
    assert next_attempt_in(RemoteError("down"), Tried(REQUEST, 1, 3, {"method": "GET"})) is not None
    assert next_attempt_in(WorkerLostError("gone"), Tried(REQUEST, 1, 3, {"method": "POST"})) is None
    assert next_attempt_in(ConflictError("no"), Tried(REQUEST, 1, 3, {"method": "GET"})) is None
    assert not is_idempotent("test.unknown@v1", {"method": "GET"})


def test_the_function_gets_the_input_without_its_secrets(app: Flask) -> None:
    asked: list[dict[str, Any]] = []
    change_action(REQUEST, idempotent=lambda data: asked.append(data) or True)
    assert extension().registry.get(REQUEST).may_be_repeated({"method": "GET", "secretHeaders": {"A": "b"}})
    assert asked == [{"method": "GET"}]


def test_the_api_says_null_when_it_depends_on_the_input(app: Flask, ada: Person) -> None:
    said = {one["id"]: one["idempotent"] for one in ada.get("/api/v1/actions").json["data"]}
    assert (said[REQUEST], said["debug.log@v1"]) == (None, True)
    schema = ada.get("/api/v1/openapi.json").json["components"]["schemas"]["Action"]["properties"]["idempotent"]
    assert schema["type"] == ["boolean", "null"]


def test_the_api_describes_what_the_action_takes_and_gives(app: Flask, ada: Person) -> None:
    shown = ada.get(f"/api/v1/actions/{REQUEST}").json
    taken, given = shown["input_schema"], shown["output_schema"]
    assert set(taken["required"]) == {"method", "url"}
    assert taken["properties"]["secretHeaders"]["type"] == "object"
    assert set(given["properties"]) == {"status", "headers", "body", "bodyBase64", "json", "truncated"}
