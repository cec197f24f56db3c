"""The audit: what leaves a row, who may read it, how it is narrowed and exported, and its lines in the log."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select, update

import portal_actions_plugin
from portal_actions_plugin import plugin
from portal_actions_plugin.blueprints.pages.audit_page import EVENT_WORDS
from portal_actions_plugin.cli import actions
from portal_actions_plugin.errors import AuthError, PermissionDeniedError, RemoteError
from portal_actions_plugin.run_types import AuditEntry
from portal_actions_plugin.runner import recovery
from portal_actions_plugin.runs import audit, service
from portal_actions_plugin.runs.guards.limits import TooManyStartsError
from portal_actions_plugin.runs.reading import audit_trail, queries
from portal_actions_plugin.runs.reading.audit_trail import EVENTS, OUTCOMES, AuditFilter
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.signals import scorecard_fix_requested
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.pause_points import set_visitor
from portal_actions_plugin.storage.sessions import new_id, reading, transaction
from portal_actions_plugin.storage.sql import now_plus
from portal_actions_plugin.upkeep import retention
from portal_actions_plugin.upkeep.prunable_runs import Ages
from tests.support.page_rows import add_template_run, ago
from tests.support.people import Person, Visitor
from tests.support.portal import PEOPLE
from tests.support.run_helpers import ADA, MARGARET, claim, let_last_step_fail, perform, register, set_columns, work_off

ADA_ID, VERA_ID, MARGARET_ID = (PEOPLE[name].id for name in ("ada", "vera", "margaret"))
LOG = "/api/v1/actions/debug.log@v1/runs"
TWO_STEPS = "/api/v1/templates/two-steps/runs"
HELLO = {"input": {"message": "hello"}}
ORDERS = {"inputs": {"name": "orders"}}
ROOT = Path(__file__).parent.parent.parent
PACKAGE = Path(portal_actions_plugin.__file__).parent
DAY = 24 * 3600
_LOUD = "      if: ${{ parameters.loud }}\n"


def told() -> list[dict[str, Any]]:
    """Every row, oldest first."""
    with reading() as db:
        return [dict(row) for row in db.rows(select(tables.audit).order_by(tables.audit.c.id))]


def add(**values: Any) -> str:
    row = {"actor": ADA_ID, "event": "template_run.start", "outcome": "accepted", "target": "two-steps", "count": 1}
    row = {"id": new_id(), "at": now_plus(0), "last_at": now_plus(0), **row, **values}
    with transaction("test") as tx:
        tx.execute(insert(tables.audit).values(**row))
    return row["id"]


# -- what leaves a row -------------------------------------------------------------------------------------------------


class Scene:
    """A portal, the people in front of it, and runs for them to do something with."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def person(self, name: str) -> Person:
        return Person(self.app.test_client(), name)

    def command(self, *arguments: str) -> None:
        self.app.test_cli_runner().invoke(actions, arguments)

    def failed(self) -> str:
        run_id, _ = add_template_run(
            "failed",
            ("success", "failed"),
            template="two-steps",
            title="Two steps",
            inputs={"name": "orders"},
            steps=(("greet", "Greet", "debug.log@v1"), ("part", "Part", "debug.log@v1")),
        )
        return run_id

    def one_off(self, handler: Callable[..., Any] | None = None) -> str:
        register(once=handler or (lambda _ctx, **_input: None))
        return service.start_action_run(ADA, "test.once@v1", {}).run.id


def _newest_template_run() -> str:
    with reading() as db:
        return db.rows(select(tables.template_runs.c.id).order_by(tables.template_runs.c.id.desc()).limit(1))[0]["id"]


def _newest_action_run() -> str:
    with reading() as db:
        return db.rows(select(tables.action_runs.c.id).order_by(tables.action_runs.c.id.desc()).limit(1))[0]["id"]


Row = tuple[str, str, str, str, str | None, str | None, dict[str, Any]]
Ways = Callable[[Scene], list[Row]]


def start_by_api(scene: Scene) -> list[Row]:
    run_id = scene.person("ada").post(TWO_STEPS, ORDERS).json["id"]
    return [("template_run.start", "accepted", ADA_ID, "two-steps", run_id, run_id, {})]


def start_action_by_api(scene: Scene) -> list[Row]:
    run_id = scene.person("ada").post(LOG, HELLO).json["id"]
    return [("action_run.start", "accepted", ADA_ID, "debug.log@v1", run_id, None, {})]


def start_twice_with_one_key(scene: Scene) -> list[Row]:
    for _ in range(2):
        run_id = scene.person("ada").post(LOG, HELLO, headers={"Idempotency-Key": "one"}).json["id"]
    return [("action_run.start", "accepted", ADA_ID, "debug.log@v1", run_id, None, {})]


def start_by_command(scene: Scene) -> list[Row]:
    scene.command("run-template", "two-steps", "--inputs", '{"name": "orders"}')
    run_id = _newest_template_run()
    return [("template_run.start", "accepted", "system:cli", "two-steps", run_id, run_id, {})]


def start_by_python(_scene: Scene) -> list[Row]:
    run_id = plugin.run_action(ADA, "debug.log@v1", {"message": "hello"}).id
    return [("action_run.start", "accepted", ADA_ID, "debug.log@v1", run_id, None, {})]


def start_a_fix(scene: Scene) -> list[Row]:
    origin = {"entity": "orders", "scorecard": "docs", "rule": "README exists"}
    asked = {**origin, "action": "debug.log@v1", "input": {"message": "hello"}, "requested_by": ADA}
    ((_, run),) = scorecard_fix_requested.send(scene.app, **asked)
    scorecard_fix_requested.send(scene.app, **{**asked, "requested_by": MARGARET})
    return [("action_run.start", "accepted", ADA_ID, "debug.log@v1", run.id, None, {"origin": origin})]


def retry_by_page(scene: Scene) -> list[Row]:
    failed, ada = scene.failed(), Visitor(scene.app, "ada")
    assert ada.press(ada.see(f"/templates/runs/{failed}"), "Retry").status_code == 303
    run_id = _newest_template_run()
    return [("template_run.retry", "accepted", ADA_ID, "two-steps", run_id, run_id, {"retry_of": failed})]


def retry_by_command(scene: Scene) -> list[Row]:
    failed = scene.failed()
    scene.command("retry", failed, "--as", "user:ops")
    run_id = _newest_template_run()
    return [("template_run.retry", "accepted", "user:ops", "two-steps", run_id, run_id, {"retry_of": failed})]


def resume_by_api(scene: Scene) -> list[Row]:
    failed = scene.failed()
    run_id = scene.person("ada").post(f"/api/v1/template-runs/{failed}/resume").json["id"]
    return [("template_run.resume", "accepted", ADA_ID, "two-steps", run_id, run_id, {"retry_of": failed})]


def run_a_one_off_again(scene: Scene) -> list[Row]:
    first = scene.one_off()
    perform(first)
    run_id = scene.person("ada").post(f"/api/v1/action-runs/{first}/retry").json["id"]
    return [
        ("action_run.start", "accepted", ADA_ID, "test.once@v1", first, None, {}),
        ("action_run.finish", "success", ADA_ID, "test.once@v1", first, None, {}),
        ("action_run.retry", "accepted", ADA_ID, "test.once@v1", run_id, None, {"retry_of": first}),
    ]


def start_what_has_nothing_to_do(scene: Scene) -> list[Row]:
    folder = scene.app.extensions["portal_actions"].config.template_path[0]
    text = (Path(folder) / "two-steps.yaml").read_text()
    never = re.sub(r"( +)action:", r"\1if: ${{ parameters.loud }}\n\1action:", text.replace(_LOUD, ""))
    (Path(folder) / "never.yaml").write_text(never.replace("name: two-steps", "name: never"))
    run_id = scene.person("ada").post("/api/v1/templates/never/runs", ORDERS).json["id"]
    return [
        ("template_run.start", "accepted", ADA_ID, "never", run_id, run_id, {}),
        ("template_run.finish", "success", ADA_ID, "never", run_id, run_id, {}),
    ]


def denied_start(scene: Scene) -> list[Row]:
    assert scene.person("vera").post(TWO_STEPS, ORDERS).status_code == 403
    return [("template_run.start", "denied", VERA_ID, "two-steps", None, None, {"permission": "template:run"})]


def denied_start_by_python(_scene: Scene) -> list[Row]:
    with pytest.raises(PermissionDeniedError):
        plugin.run_action(PEOPLE["vera"], "debug.log@v1", {})
    return [("action_run.start", "denied", VERA_ID, "debug.log@v1", None, None, {"permission": "action:run"})]


def denied_start_by_command(scene: Scene) -> list[Row]:
    scene.command("run-action", "debug.log@v1", "--as", VERA_ID, "--role", "viewer")
    return [("action_run.start", "denied", VERA_ID, "debug.log@v1", None, None, {"permission": "action:run"})]


def denied_for_what_a_template_demands(scene: Scene) -> list[Row]:
    file = Path(scene.app.extensions["portal_actions"].config.template_path[0]) / "two-steps.yaml"
    file.write_text(file.read_text().replace("  type: service", "  type: service\n  permissions: [audit:read]"))
    assert scene.person("ada").post(TWO_STEPS, ORDERS).status_code == 403
    return [("template_run.start", "denied", ADA_ID, "two-steps", None, None, {"permission": "audit:read"})]


def denied_retry_and_resume(scene: Scene) -> list[Row]:
    failed, vera = scene.failed(), scene.person("vera")
    for verb in ("retry", "resume"):
        assert vera.post(f"/api/v1/template-runs/{failed}/{verb}").status_code == 403
    needs = {"permission": "template:run"}
    return [(f"template_run.{verb}", "denied", VERA_ID, "two-steps", None, None, needs) for verb in ("retry", "resume")]


def denied_cancel(scene: Scene) -> list[Row]:
    run_id = service.start_template_run(ADA, "two-steps", {"name": "orders"}).run.id
    assert scene.person("vera").post(f"/api/v1/template-runs/{run_id}/cancel").status_code == 403
    return [
        ("template_run.start", "accepted", ADA_ID, "two-steps", run_id, run_id, {}),
        ("template_run.cancel", "denied", VERA_ID, run_id, run_id, run_id, {"permission": "run:cancel-any"}),
    ]


def limited_start(_scene: Scene) -> list[Row]:
    rows: list[Row] = []
    for _ in range(10):
        run_id = service.start_action_run(ADA, "debug.log@v1", {"message": "hello"}).run.id
        rows.append(("action_run.start", "accepted", ADA_ID, "debug.log@v1", run_id, None, {}))
    with pytest.raises(TooManyStartsError):
        service.start_template_run(ADA, "two-steps", {"name": "orders"})
    return [*rows, ("template_run.start", "rate_limited", ADA_ID, "two-steps", None, None, {})]


def cancel_by_an_admin(scene: Scene) -> list[Row]:
    run = service.start_template_run(ADA, "two-steps", {"name": "orders"}).run
    step = queries.template_run(run.id).steps[0].run
    assert step
    assert scene.person("margaret").post(f"/api/v1/template-runs/{run.id}/cancel").status_code == 200
    return [
        ("template_run.start", "accepted", ADA_ID, "two-steps", run.id, run.id, {}),
        ("template_run.cancel", "canceled", MARGARET_ID, "two-steps", run.id, run.id, {}),
        ("action_run.finish", "canceled", MARGARET_ID, "debug.log@v1", step.id, run.id, {}),
    ]


def cancel_by_command(scene: Scene) -> list[Row]:
    run_id = scene.one_off()
    scene.command("cancel", run_id)
    return [
        ("action_run.start", "accepted", ADA_ID, "test.once@v1", run_id, None, {}),
        ("action_run.cancel", "canceled", "system:cli", "test.once@v1", run_id, None, {}),
    ]


def succeed(_scene: Scene) -> list[Row]:
    run = service.start_template_run(ADA, "two-steps", {"name": "orders"}).run
    work_off()
    first, _, last = (step.run.id if step.run else "" for step in queries.template_run(run.id).steps)
    return [
        ("template_run.start", "accepted", ADA_ID, "two-steps", run.id, run.id, {}),
        ("action_run.finish", "success", ADA_ID, "debug.log@v1", first, run.id, {}),
        ("action_run.finish", "success", ADA_ID, "debug.log@v1", last, run.id, {}),
        ("template_run.finish", "success", ADA_ID, "two-steps", run.id, run.id, {}),
    ]


def fail_in_a_handler(scene: Scene) -> list[Row]:
    def refused(_ctx: Any, **_input: Any) -> None:
        raise AuthError("the forge refused the token")

    run_id = scene.one_off(refused)
    perform(run_id)
    return [
        ("action_run.start", "accepted", ADA_ID, "test.once@v1", run_id, None, {}),
        ("action_run.finish", "failed", ADA_ID, "test.once@v1", run_id, None, {"error_code": "AUTH_ERROR"}),
    ]


def fail_a_whole_template_run(scene: Scene) -> list[Row]:
    let_last_step_fail(Path(scene.app.extensions["portal_actions"].config.template_path[0]))
    run = service.start_template_run(ADA, "two-steps", {"name": "orders"}).run
    work_off()
    first, _, last = (step.run.id if step.run else "" for step in queries.template_run(run.id).steps)
    why = {"error_code": "VALIDATION_ERROR"}
    return [
        ("template_run.start", "accepted", ADA_ID, "two-steps", run.id, run.id, {}),
        ("action_run.finish", "success", ADA_ID, "debug.log@v1", first, run.id, {}),
        ("action_run.finish", "failed", ADA_ID, "debug.log@v1", last, run.id, why),
        ("template_run.finish", "failed", ADA_ID, "two-steps", run.id, run.id, why),
    ]


def lose_the_worker(scene: Scene) -> list[Row]:
    run_id, token = scene.one_off(), str(uuid.uuid4())
    assert claim(run_id, token)
    recovery.recover_process(token)
    return [
        ("action_run.start", "accepted", ADA_ID, "test.once@v1", run_id, None, {}),
        ("action_run.finish", "failed", ADA_ID, "test.once@v1", run_id, None, {"error_code": "WORKER_LOST"}),
    ]


def run_out_of_time(scene: Scene) -> list[Row]:
    run_id, token = scene.one_off(), str(uuid.uuid4())
    assert claim(run_id, token)
    set_columns(run_id, deadline_at=ago(1))
    recovery.recover_process(token)
    return [
        ("action_run.start", "accepted", ADA_ID, "test.once@v1", run_id, None, {}),
        ("action_run.finish", "failed", ADA_ID, "test.once@v1", run_id, None, {"error_code": "TIMEOUT"}),
    ]


def try_again_by_itself(_scene: Scene) -> list[Row]:
    def flaky(_ctx: Any, **_input: Any) -> None:
        raise RemoteError("502")

    register(again=flaky)
    run_id = service.start_action_run(ADA, "test.again@v1", {}).run.id
    perform(run_id)
    assert queries.action_run(run_id).status == "queued"
    return [("action_run.start", "accepted", ADA_ID, "test.again@v1", run_id, None, {})]


def read_the_audit_without_leave(scene: Scene) -> list[Row]:
    assert scene.person("ada").get("/api/v1/audit").status_code == 403
    Visitor(scene.app, "vera").see("/actions/audit", status=403)
    scene.command("audit", "export", "--since", "1d", "--as", "user:ops", "--role", "developer")
    needs = {"permission": "audit:read"}
    return [("audit.read", "denied", who, "audit", None, None, needs) for who in (ADA_ID, VERA_ID, "user:ops")]


def read_the_audit(scene: Scene) -> list[Row]:
    assert scene.person("margaret").get("/api/v1/audit").status_code == 200
    Visitor(scene.app, "margaret").see("/actions/audit")
    return []


def prune(scene: Scene) -> list[Row]:
    add_template_run("success", ("success",), finished_at=ago(9 * DAY), queued_at=ago(9 * DAY), announced_at=ago(1))
    with transaction("test") as tx:
        tx.execute(update(tables.action_runs).values(announced_at=now_plus(0)))
    scene.command("prune", "--older-than", "8d", "--as", "user:ops")
    gone = {"template_runs": 1, "steps": 1, "one_offs": 0, "audit_rows": 0}
    ages = {"older_than_seconds": 8 * DAY, "audit_older_than_seconds": 730 * DAY}
    return [("prune", "accepted", "user:ops", "runs", None, None, {**gone, **ages})]


@pytest.mark.parametrize(
    "happens",
    [
        start_by_api,
        start_action_by_api,
        start_twice_with_one_key,
        start_by_command,
        start_by_python,
        start_a_fix,
        start_what_has_nothing_to_do,
        retry_by_page,
        retry_by_command,
        resume_by_api,
        run_a_one_off_again,
        denied_start,
        denied_start_by_python,
        denied_start_by_command,
        denied_for_what_a_template_demands,
        denied_retry_and_resume,
        denied_cancel,
        limited_start,
        cancel_by_an_admin,
        cancel_by_command,
        succeed,
        fail_in_a_handler,
        fail_a_whole_template_run,
        lose_the_worker,
        run_out_of_time,
        try_again_by_itself,
        read_the_audit_without_leave,
        read_the_audit,
        prune,
    ],
)
def test_each_of_these_leaves_exactly_these_rows(app: Flask, happens: Ways) -> None:
    expected = happens(Scene(app))
    columns = ("event", "outcome", "actor", "target", "run_id", "template_run_id")
    assert [(*(row[name] for name in columns), row["details"] or {}) for row in told()] == expected
    assert {row["event"] for row in told()} <= set(EVENTS)
    assert {row["outcome"] for row in told()} <= set(OUTCOMES)


@pytest.fixture
def breaks() -> Iterator[Callable[[str], None]]:
    """Let a transaction break right before its commit."""

    def breaks_at(point: str) -> None:
        def visit(name: str) -> None:
            if name == point:
                raise RuntimeError(point)

        set_visitor(visit)

    yield breaks_at
    set_visitor(None)


def test_a_row_and_its_change_are_there_together_or_not_at_all(
    app: Flask, breaks: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    run_id = service.start_action_run(ADA, "debug.log@v1", {"message": "hello"}).run.id
    before = told()
    caplog.set_level(logging.INFO, audit.log.name)
    caplog.clear()
    breaks("accept.before_commit")
    with pytest.raises(RuntimeError):
        service.start_action_run(ADA, "debug.log@v1", {"message": "hello"})
    breaks("cancel.before_commit")
    with pytest.raises(RuntimeError):
        service.cancel_action_run(ADA, run_id)
    assert told() == before
    assert [run.status for run in queries.action_runs(RunFilter(), limit=9).items] == ["queued"]
    assert [record for record in caplog.records if record.name == audit.log.name] == []


def test_only_the_audit_adds_rows_and_only_retention_deletes_them() -> None:
    written = {
        (str(file.relative_to(PACKAGE)), verb)
        for file in PACKAGE.rglob("*.py")
        for verb in re.findall(r"\b(insert|update|delete|merge|add)\(\s*tables.audit\b", file.read_text())
    }
    assert written == {("runs/audit.py", "insert"), ("runs/audit.py", "update"), ("upkeep/retention.py", "delete")}
    naming = {
        file.name
        for file in PACKAGE.rglob("*.py")
        if re.search(r"\btables\.audit\b|\btables\S* import .*\baudit\b", file.read_text())
    }
    # The doctor tries whether the table takes writes, with one that hits no row.
    assert naming == {"audit.py", "audit_trail.py", "metric_sums.py", "retention.py", "parts.py"}
    by_name = {file.name for file in PACKAGE.rglob("*.py") if "portal_actions_audit" in file.read_text()}
    migrations = {"0001_the_tables_of_runs.py", "0003_sums_of_metrics.py", "0006_fewer_pages_for_each_run.py"}
    # These two name the API's blueprint.
    assert by_name <= migrations | {"audit.py", "document.py"}


def test_a_row_that_is_there_changes_in_nothing_but_its_count_and_a_prunes_sum(app: Flask) -> None:
    refused = AuditEntry(VERA_ID, "template_run.start", audit.DENIED, "two-steps", details={"permission": "x"})
    with transaction("test") as tx:
        audit.record_refusal(tx, refused)
        started = audit.record(tx, AuditEntry(ADA_ID, "template_run.start", audit.ACCEPTED, "two-steps"))
    before = told()
    with transaction("test") as tx:
        audit.record_refusal(tx, refused)
        audit.amend_prune(tx, started, {"forged": True})
    changed = {name for old, new in zip(before, told(), strict=True) for name in old if old[name] != new[name]}
    assert changed <= {"count", "last_at"}
    assert [row["count"] for row in told()] == [2, 1]


def test_every_event_of_the_source_is_known_has_its_words_and_is_documented() -> None:
    source = "\n".join(file.read_text() for room in ("runs", "runner") for file in (PACKAGE / room).rglob("*.py"))
    named = set(re.findall(r'"((?:template_run|action_run|audit)\.[a-z]+)"', source)) | {
        audit.PRUNE,
        *audit.TEMPLATE_EVENTS,
    }
    assert named == set(EVENTS) == set(EVENT_WORDS)
    page = (ROOT / "docs" / "audit.md").read_text()
    assert set(re.findall(r"^\| `([a-z_.]+)` \|", page, re.MULTILINE)) == set(EVENTS)
    assert all(f"`{outcome}`" in page for outcome in OUTCOMES)


# -- reading -----------------------------------------------------------------------------------------------------------


def test_a_runs_rows_are_found_with_those_of_its_steps_while_it_runs_and_after(app: Flask, margaret: Person) -> None:
    mine = service.start_template_run(ADA, "two-steps", {"name": "orders"}).run.id
    service.start_template_run(ADA, "two-steps", {"name": "orders"})

    def found(run_id: str) -> list[str]:
        rows = margaret.get("/api/v1/audit", query_string={"run_id": run_id}).json["data"]
        return [f"{row['event']} {row['outcome']}" for row in rows]

    assert found(mine) == ["template_run.start accepted"]
    with pytest.raises(PermissionDeniedError):
        service.cancel_template_run(PEOPLE["bob"], mine)
    work_off()
    assert found(mine) == [
        "template_run.finish success",
        "action_run.finish success",
        "action_run.finish success",
        "template_run.cancel denied",
        "template_run.start accepted",
    ]
    step = queries.template_run(mine).steps[0].run
    assert step
    assert found(step.id) == ["action_run.finish success"]


def test_the_audit_is_narrowed_by_each_of_its_filters_and_by_all_together(app: Flask, margaret: Person) -> None:
    run_id = new_id()
    wanted = add(
        id=_id_of_age(3 * DAY),
        at=ago(3 * DAY),
        actor="user:bob",
        event="template_run.resume",
        outcome="success",
        target="other",
        run_id=run_id,
    )
    add(at=ago(5 * DAY), id=_id_of_age(5 * DAY))
    add()
    narrow = {
        "actor": "user:bob",
        "event": "template_run.resume",
        "outcome": "success",
        "target": "other",
        "run_id": run_id,
    }
    between = {"since": ago(4 * DAY).isoformat(), "until": ago(2 * DAY).isoformat()}
    for query in ({name: value} for name, value in narrow.items()):
        assert _ids(margaret, query) == [wanted], query
    assert _ids(margaret, between) == [wanted]
    assert _ids(margaret, {**narrow, **between}) == [wanted]
    assert _ids(margaret, {**narrow, "actor": "user:eve"}) == []
    assert len(_ids(margaret, {"since": between["since"]})) == 2
    assert len(_ids(margaret, {"until": between["until"]})) == 2


def _id_of_age(seconds: float) -> str:
    at = int(ago(seconds).timestamp() * 1000)
    return str(uuid.UUID(int=at << 80 | uuid.uuid4().int & (2**80 - 1)))


def _ids(person: Person, query: dict[str, str]) -> list[str]:
    answer = person.get("/api/v1/audit", query_string=query)
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json["data"]]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"event": "nothing"}, 422),
        ({"outcome": "maybe"}, 422),
        ({"actor": "x" * 256}, 422),
        ({"target": ""}, 422),
        ({"target": "a\0b"}, 422),
        ({"since": "yesterday"}, 422),
        ({"limit": "201"}, 422),
        ({"cursor": "x"}, 422),
        ({"run_id": "x"}, 404),
    ],
)
def test_a_filter_that_can_be_none_is_refused(app: Flask, margaret: Person, query: Any, status: int) -> None:
    assert margaret.get("/api/v1/audit", query_string=query).status_code == status


def test_pages_of_the_audit_follow_by_cursor(app: Flask, margaret: Person) -> None:
    ids = [add() for _ in range(5)][::-1]
    first = margaret.get("/api/v1/audit?limit=3").json
    cursor = first["pagination"]["next_cursor"]
    last = margaret.get(f"/api/v1/audit?limit=3&cursor={cursor}").json
    assert [row["id"] for row in first["data"] + last["data"]] == ids
    assert last["pagination"]["next_cursor"] is None


def test_an_export_is_read_in_pieces_and_misses_and_repeats_nothing(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_trail, "ROWS_A_PIECE", 3)
    ids = [add() for _ in range(9)]
    rows = audit_trail.export(AuditFilter(since=ago(60)))
    assert [next(rows).id for _ in range(4)] == ids[:4]
    late = add()
    add(actor="user:eve")
    assert [entry.id for entry in rows if entry.actor == ADA_ID] == [*ids[4:], late]
    assert [entry.id for entry in audit_trail.export(AuditFilter(actor="user:nobody"))] == []


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.fixture
def export(app: Flask) -> Callable[..., Any]:
    return lambda *arguments: app.test_cli_runner().invoke(actions, ["audit", "export", *arguments])


def exported(result: Any) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_an_export_has_what_the_api_has_oldest_first(
    export: Callable[..., Any], margaret: Person, vera: Person
) -> None:
    service.start_template_run(ADA, "two-steps", {"name": "orders"})
    work_off()
    assert vera.post(f"/api/v1/actions/{'%E2%80%A8é'}/runs", HELLO).status_code == 403
    rows = margaret.get("/api/v1/audit").json["data"]
    assert len(rows) == 5
    lines = exported(export("--since", "1h"))
    assert lines == rows[::-1]


def test_an_export_takes_ages_and_times_and_filters(export: Callable[..., Any]) -> None:
    old = add(at=ago(5 * DAY), id=_id_of_age(5 * DAY), actor="user:bob", target="other")
    new = add(outcome="denied", event="audit.read")
    for arguments, ids in (
        (("--since", "90d"), [old, new]),
        (("--since", "4d"), [new]),
        (("--since", f"{ago(5 * DAY):%Y-%m-%d}"), [old, new]),
        (("--since", f"{ago(2 * DAY):%Y-%m-%dT%H:%M}"), [new]),
        (("--since", f"{ago(2 * DAY):%Y-%m-%dT%H:%M:%S+00:00}"), [new]),
        (("--since", "90d", "--until", "4d"), [old]),
        (("--since", "90d", "--until", f"{datetime.now(UTC):%Y-%m-%d}"), [old, new]),
        (("--since", "90d", "--until", "5s"), [old]),
        (("--since", "90d", "--actor", "user:bob"), [old]),
        (("--since", "90d", "--target", "other"), [old]),
        (("--since", "90d", "--event", "audit.read"), [new]),
        (("--since", "90d", "--outcome", "denied"), [new]),
        (("--since", "90d", "--run", new_id()), []),
    ):
        assert [line["id"] for line in exported(export(*arguments))] == ids, arguments


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "--since"),
        (("--since", "soon"), "neither an age nor a time"),
        (("--since", "1960-01-01"), "too early"),
        (("--since", "99999w"), "too long"),
        (("--since", "0001-01-01T00:00+10:00"), "neither an age nor a time"),
        (("--since", "1d", "--until", "later"), "neither an age nor a time"),
        (("--since", "1d", "--event", "nothing"), "template_run.start"),
        (("--since", "1d", "--outcome", "maybe"), "rate_limited"),
        (("--since", "1d", "--run", "x"), "NOT_FOUND"),
        (("--since", "1d", "--role", "developer"), "You need the permission audit:read"),
    ],
)
def test_an_export_that_cannot_be_is_a_sentence(export: Callable[..., Any], arguments: Any, says: str) -> None:
    result = export(*arguments)
    assert result.exit_code == 2
    assert says in result.output
    assert result.stdout == ""


@pytest.mark.parametrize(("number", "read_lines"), [(1_500, 1), (1, 0)])
def test_an_export_whose_reader_goes_away_ends_quietly(
    make_app: Callable[..., Flask],
    settings: dict[str, Any],
    sqlite_url: str,
    tmp_path: Path,
    number: int,
    read_lines: int,
) -> None:
    with make_app().app_context():
        row = {"at": now_plus(0), "last_at": now_plus(0), "actor": "x", "event": "prune", "outcome": "accepted"}
        rows = [{"id": new_id(), **row, "target": "t" * 255, "count": 1} for _ in range(number)]
        with transaction("test") as tx:
            for start in range(0, len(rows), 300):
                tx.execute(insert(tables.audit).values(rows[start : start + 300]))
    given = {**settings, "PORTAL_ACTIONS_DATABASE_URL": sqlite_url}
    environment = {f"TEST_PORTAL_CONFIG_{name}": str(value) for name, value in given.items()}
    command = [
        sys.executable,
        "-m",
        "flask",
        "--app",
        "tests.support.portal",
        "actions",
        "audit",
        "export",
        "--since",
        "1d",
    ]
    with subprocess.Popen(
        command,
        env={**os.environ, "PYTHONUNBUFFERED": "", "TEST_PORTAL_FOLDER": str(tmp_path), **environment},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        for _ in range(read_lines):
            assert json.loads(process.stdout.readline())["event"] == "prune"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


# -- the log -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[logging.LogRecord]]:
    caplog.set_level(logging.INFO, audit.log.name)
    return lambda: [record for record in caplog.records if record.name == "portal_actions_plugin.audit"]


def test_each_row_is_a_line_in_the_hosts_log_too(app: Flask, lines: Callable[[], Any]) -> None:
    run = service.start_template_run(ADA, "two-steps", {"name": "orders"}).run
    (line,) = lines()
    assert (line.levelname, line.getMessage()) == (
        "INFO",
        "template_run.start accepted: two-steps by user:ada@example.com",
    )
    assert {name: value for name, value in vars(line).items() if name.startswith("audit_")} == {
        "audit_event": "template_run.start",
        "audit_outcome": "accepted",
        "audit_actor": ADA_ID,
        "audit_target": "two-steps",
        "audit_run_id": run.id,
        "audit_template_run_id": run.id,
        "audit_details": {},
    }


def test_a_refusal_is_a_warning_and_its_repeats_are_not_told_again(lines: Callable[[], Any], vera: Person) -> None:
    for _ in range(3):
        vera.post(LOG, HELLO)
    (line,) = lines()
    assert (line.levelname, line.audit_details) == ("WARNING", {"permission": "action:run"})


@pytest.mark.parametrize("mark", ["\n", "\r", "\x1b[2J", "\u2028", "\x85", "\u202e"])
def test_nobody_forges_a_line_of_the_log(app: Flask, lines: Callable[[], Any], mark: str) -> None:
    forged = f"x{mark}ERROR root: all is lost"
    with transaction("test") as tx:
        audit.record(tx, AuditEntry(f"user:{forged}", "action_run.start", audit.DENIED, forged))
    (line,) = lines()
    assert line.getMessage().isprintable()
    assert line.audit_target.isprintable()
    assert line.audit_actor.isprintable()
    assert told()[0]["target"] == forged


def test_names_that_a_host_or_a_worker_gives_its_records_do_no_harm(
    app: Flask, lines: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    make = logging.getLogRecordFactory()

    def with_names(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        for name in ("run_id", "action", "attempt", "requested_by", "template_run_id", "step_id", "event", "target"):
            setattr(record, name, "theirs")
        return record

    logging.setLogRecordFactory(with_names)
    try:
        service.start_action_run(ADA, "debug.log@v1", {"message": "hello"})
    finally:
        logging.setLogRecordFactory(make)
    (line,) = lines()
    assert (line.run_id, line.audit_target) == ("theirs", "debug.log@v1")


def test_a_prune_of_several_transactions_is_one_row_and_one_line(app: Flask, lines: Callable[[], Any]) -> None:
    for _ in range(2):
        add(at=ago(800 * DAY), last_at=ago(800 * DAY), id=_id_of_age(800 * DAY))
    add_template_run("success", (), finished_at=ago(9 * DAY), queued_at=ago(9 * DAY), announced_at=ago(1))
    retention.prune("system:cli", Ages(8 * DAY, 730 * DAY))
    assert [(line.audit_event, line.audit_target) for line in lines()] == [("prune", "runs")]
    (row,) = told()
    assert (row["details"]["template_runs"], row["details"]["audit_rows"]) == (1, 2)
