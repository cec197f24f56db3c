"""The REST API as a client meets it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from portal_actions_plugin.blueprints.api import named_pages
from portal_actions_plugin.runs.reading import paging, queries
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading, transaction
from portal_actions_plugin.storage.sql import now_plus
from tests.support.people import Person
from tests.support.run_helpers import fail_a_run, let_last_step_fail, work_off

LOG = "/api/v1/actions/debug.log@v1/runs"
TWO_STEPS = "/api/v1/templates/two-steps/runs"
HELLO = {"input": {"message": "hello"}}
ORDERS = {"inputs": {"name": "orders"}}


def rows() -> int:
    with reading() as db:
        counts = [
            db.row(select(func.count().label("n")).select_from(row))
            for row in (tables.action_runs, tables.template_runs)
        ]
    return sum(row["n"] for row in counts if row)


# -- starting and reading ----------------------------------------------------------------------------------------------


def test_a_template_run_tells_every_step_before_they_have_run(ada: Person) -> None:
    run = ada.post(TWO_STEPS, ORDERS).json
    assert [(step["step_id"], step["status"], bool(step["id"])) for step in run["steps"]] == [
        ("greet", "queued", True),
        ("shout", "pending", False),
        ("part", "pending", False),
    ]
    assert run["inputs"] == {"name": "orders", "loud": False}
    assert run["progress"] == {"done": 0, "total": 3}
    assert run["html_url"] == f"/templates/runs/{run['id']}"


def test_a_step_whose_if_is_false_is_skipped_also_when_it_is_the_first(
    ada: Person, template_folder: Path, app: Flask
) -> None:
    text = (template_folder / "two-steps.yaml").read_text()
    first = text.replace("name: Greet\n", "name: Greet\n      if: ${{ parameters.loud }}\n")
    (template_folder / "two-steps.yaml").write_text(first)
    path = ada.post(TWO_STEPS, ORDERS).headers["Location"]
    work_off()
    run = ada.get(path).json
    assert run["status"] == "success"
    assert [step["status"] for step in run["steps"]] == ["skipped", "skipped", "success"]


def test_a_template_all_of_whose_steps_are_skipped_succeeds_at_once(
    ada: Person, margaret: Person, template_folder: Path
) -> None:
    (template_folder / "nothing.yaml").write_text(
        "apiVersion: portal-actions/v1\nkind: Template\nmetadata: {name: nothing}\nspec:\n  owner: o\n  type: t\n"
        "  steps:\n    - {id: only, action: debug.log@v1, if: false, input: {message: hi}}\n"
    )
    run = ada.post("/api/v1/templates/nothing/runs", {"inputs": {}}).json
    assert (run["status"], [step["status"] for step in run["steps"]]) == ("success", ["skipped"])
    [finish] = margaret.get("/api/v1/audit?outcome=success").json["data"]
    assert (finish["event"], finish["target"]) == ("template_run.finish", "nothing")


def test_an_if_that_cannot_be_evaluated_fails_its_own_step_by_name(ada: Person, template_folder: Path) -> None:
    text = (template_folder / "two-steps.yaml").read_text()
    wrong = text.replace("${{ parameters.loud }}", "${{ steps.greet.output.nothing.at.all }}")
    (template_folder / "two-steps.yaml").write_text(wrong)
    path = ada.post(TWO_STEPS, ORDERS).headers["Location"]
    work_off()
    run = ada.get(path).json
    assert (run["status"], [step["status"] for step in run["steps"]]) == ("failed", ["success", "failed", "not_run"])
    assert run["steps"][1]["error"]["code"] == "VALIDATION_ERROR"
    assert "nothing" in run["steps"][1]["error"]["message"]


def test_a_failed_step_names_itself_and_ends_the_run(ada: Person, template_folder: Path) -> None:
    let_last_step_fail(template_folder)
    path = ada.post(TWO_STEPS, ORDERS).headers["Location"]
    work_off()
    run = ada.get(path).json
    assert [step["status"] for step in run["steps"]] == ["success", "skipped", "failed"]
    error = run["steps"][2]["error"]
    assert error["code"] == "VALIDATION_ERROR"
    assert error["message"]
    assert error["hint"]
    assert error["retryable"] is False
    assert "will not help" in error["retry_verdict"]


def test_a_finished_run_has_times_outputs_and_one_attempt(ada: Person) -> None:
    path = ada.post(LOG, {**HELLO, "entity": "component:default/orders"}).headers["Location"]
    work_off()
    run = ada.get(path).json
    assert run["status"] == "success"
    assert run["template_run_id"] is None
    assert run["entity"] == "component:default/orders"
    assert run["html_url"] == f"/actions/runs/{run['id']}"
    assert run["queued_at"] <= run["started_at"] <= run["finished_at"]
    assert run["duration_ms"] >= 0
    assert [(a["number"], a["outcome"]) for a in run["attempts"]] == [(1, "success")]


def test_an_unchanged_run_costs_a_304(ada: Person) -> None:
    path = ada.post(LOG, HELLO).headers["Location"]
    tag = ada.get(path).headers["ETag"]
    assert ada.get(path, headers={"If-None-Match": tag}).status_code == 304
    work_off()
    assert ada.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_logs_are_read_from_where_one_was(ada: Person) -> None:
    path = ada.post(LOG, HELLO).headers["Location"]
    work_off()
    lines = ada.get(f"{path}/logs").json["data"]
    assert [line["message"] for line in lines] == ["hello"]
    assert ada.get(f"{path}/logs?after={lines[0]['seq']}").json["data"] == []


# -- lists -------------------------------------------------------------------------------------------------------------


def test_pages_by_cursor_are_whole_and_newest_first(ada: Person, app: Flask) -> None:
    ids = [ada.post(LOG, HELLO).json["id"] for _ in range(7)]
    seen: list[str] = []
    path = "/api/v1/action-runs?limit=3"
    while path:
        page = ada.get(path).json
        seen += [run["id"] for run in page["data"]]
        cursor = page["pagination"]["next_cursor"]
        path = f"/api/v1/action-runs?limit=3&cursor={cursor}" if cursor else ""
    assert seen == ids[::-1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=queued", 2),
        ("status=success&status=queued", 2),
        ("status=failed", 0),
        ("action=debug.log@v1", 2),
        ("action=debug.wait@v1", 0),
        ("template=two-steps", 1),
        ("requested_by=user:ada@example.com", 2),
        ("requested_by=user:bob@example.com", 0),
        ("entity=component:default/orders", 1),
        ("since=2020-01-01T00:00:00Z", 2),
        ("since=2120-01-01T00:00:00Z", 0),
        ("until=2020-01-01T00:00:00Z", 0),
        ("since=0001-01-01T00:00:00Z", 2),
        ("until=9999-12-31T23:59:59-05:00", 2),
        ("q=gre", 1),
        ("q=Ada", 2),
        ("q=component:", 1),
        ("q=%25", 0),
    ],
)
def test_lists_are_narrowed_by_every_filter(ada: Person, query: str, expected: int) -> None:
    ada.post(TWO_STEPS, ORDERS)
    ada.post(LOG, {**HELLO, "entity": "component:default/orders"})
    assert len(ada.get(f"/api/v1/action-runs?{query}").json["data"]) == expected


def test_a_run_is_found_by_the_beginning_of_its_id(ada: Person) -> None:
    run_id = ada.post(LOG, HELLO).json["id"]
    assert [run["id"] for run in ada.get(f"/api/v1/action-runs?q={run_id[:13]}").json["data"]] == [run_id]


def test_template_runs_are_listed_with_progress(ada: Person) -> None:
    ada.post(TWO_STEPS, ORDERS)
    work_off()
    page = ada.get("/api/v1/template-runs?action=debug.log@v1").json
    assert [(run["status"], run["progress"]) for run in page["data"]] == [("success", {"done": 3, "total": 3})]
    assert ada.get("/api/v1/template-runs?action=debug.wait@v1").json["data"] == []


def test_actions_and_templates_are_listed_with_their_schemas(ada: Person, template_folder: Path) -> None:
    (template_folder / "broken.yaml").write_text("kind: Template\nmetadata: [")
    actions = {action["id"]: action for action in ada.get("/api/v1/actions").json["data"]}
    assert "message" in actions["debug.log@v1"]["input_schema"]["properties"]
    assert ada.get("/api/v1/actions/debug.log@v1").json == actions["debug.log@v1"]
    templates = ada.get("/api/v1/templates").json
    assert [template["name"] for template in templates["data"]] == ["two-steps"]
    assert templates["data"][0]["inputs_schema"]["required"] == ["name"]
    assert templates["problems"][0]["file"] == "broken.yaml"
    assert ada.get("/api/v1/templates/two-steps").json == templates["data"][0]


def test_a_page_ends_early_when_its_runs_are_large(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "MAX_PAGE_BYTES", 5_000)
    ids = [ada.post(LOG, {"input": {"message": "x" * 3_000}}).json["id"] for _ in range(5)]
    seen: list[list[str]] = []
    path = "/api/v1/action-runs?limit=4"
    while path:
        page = ada.get(path).json
        seen.append([run["id"] for run in page["data"]])
        cursor = page["pagination"]["next_cursor"]
        path = f"/api/v1/action-runs?limit=4&cursor={cursor}" if cursor else ""
    assert [len(page) for page in seen] == [2, 2, 1]
    assert [run_id for page in seen for run_id in page] == ids[::-1]


@pytest.mark.parametrize(("path", "key"), [("/api/v1/actions", "id"), ("/api/v1/templates", "name")])
def test_actions_and_templates_are_paged_by_name(
    ada: Person, template_folder: Path, path: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (template_folder / "two-steps.yaml").read_text()
    for name in ("one", "three"):
        (template_folder / f"{name}.yaml").write_text(text.replace("two-steps", name))
    everything = [one[key] for one in ada.get(path).json["data"]]
    assert everything == sorted(everything)
    assert len(everything) >= 3
    monkeypatch.setattr(named_pages, "MAX_PAGE_BYTES", 1)
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = ada.get(f"{path}?limit=2" + (f"&cursor={cursor}" if cursor else "")).json
        assert len(page["data"]) == 1
        seen += [one[key] for one in page["data"]]
        cursor = page["pagination"]["next_cursor"]
    assert seen == everything


def test_a_parameter_with_a_default_is_not_asked_of_a_client(ada: Person, template_folder: Path) -> None:
    text = (template_folder / "two-steps.yaml").read_text()
    (template_folder / "two-steps.yaml").write_text(text.replace("required: [name]", "required: [name, loud]"))
    assert ada.get("/api/v1/templates/two-steps").json["inputs_schema"]["required"] == ["name"]
    assert ada.post(TWO_STEPS, ORDERS).status_code == 202


# -- headers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/api/v1/action-runs", "/api/v1/health", "/api/v1/openapi.json", "/api/v1/action-runs/none", "log"]
)
def test_data_is_nothing_to_show_to_frame_or_to_guess_at(ada: Person, path: str) -> None:
    if path == "log":
        path = f"/actions/runs/{ada.post(LOG, HELLO).json['id']}/log.txt"
    headers = ada.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_a_static_file_is_kept_only_at_the_address_of_its_version(ada: Person) -> None:
    page = ada.get("/api/v1/docs").text
    versioned = re.search(r'href="(/portal-actions-static/[^"]+\?v=\w+)"', page)
    assert versioned
    with ada.get(versioned[1]) as kept:
        assert "immutable" in kept.headers["Cache-Control"]
        assert kept.headers["X-Content-Type-Options"] == "nosniff"
    for other in (versioned[1].partition("?")[0], versioned[1][:-1] + "x"):
        with ada.get(other) as answer:
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "immutable" not in answer.headers.get("Cache-Control", "")
    assert ada.get("/portal-actions-static/none.css?v=1").status_code == 404


def test_what_is_read_on_a_condition_is_304_or_412(ada: Person) -> None:
    path = ada.post(LOG, HELLO).headers["Location"]
    tag = ada.get(path).headers["ETag"]
    assert ada.get(path, headers={"If-Match": tag}).status_code == 200
    assert ada.get(path, headers={"If-Match": " * "}).status_code == 200
    for by_a_proxy in (f"W/{tag}", f'{tag[:-1]}-gzip"', f'"another", W/{tag}'):
        assert ada.get(path, headers={"If-Match": by_a_proxy}).status_code == 200
        assert ada.get(path, headers={"If-None-Match": by_a_proxy}).status_code == 304
    answer = ada.get(path, headers={"If-Match": '"another"'})
    assert (answer.status_code, answer.json["code"], answer.json["error_code"]) == (412, 412, "CONFLICT")


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "status", "names"),
    [
        ("/api/v1/templates/unknown/runs", ORDERS, 404, "unknown"),
        ("/api/v1/actions/no.such@v1/runs", HELLO, 404, "no.such@v1"),
        (TWO_STEPS, {"inputs": {"name": "NOT VALID"}}, 422, "name"),
        (TWO_STEPS, {"inputs": {"name": 7}}, 422, "name"),
        (TWO_STEPS, {"inputs": {}}, 422, "name"),
        (TWO_STEPS, {"inputs": {"name": "orders", "extra": 1}}, 422, "extra"),
        (TWO_STEPS, {"inputs": []}, 422, "inputs"),
        (TWO_STEPS, {"input": {}}, 422, "input"),
        (TWO_STEPS, [], 422, ""),
        (LOG, {"input": {}}, 422, "message"),
        (LOG, {"input": {"message": 7}}, 422, "message"),
        (LOG, {"input": "hello"}, 422, "input"),
        (LOG, {"input": {"message": "nul \x00"}}, 422, "input.message"),
        (LOG, {"input": {"message": "half \ud800"}}, 422, "input.message"),
        (LOG, {"input": {"message": "hello"}, "entity": "\x00"}, 422, "entity"),
        (TWO_STEPS, {"inputs": {"name": ["\x00"]}}, 422, "inputs.name[0]"),
        (LOG, {"input": {"message": float("nan")}}, 422, "input.message"),
        (LOG, {"input": {"message": 2**70}}, 422, "input.message"),
        (LOG, {"input": {"message": json.loads("[" * 100 + "]" * 100)}}, 422, "input.message"),
    ],
)
def test_bad_input_is_a_clear_error_and_leaves_no_row(
    ada: Person, path: str, body: Any, status: int, names: str
) -> None:
    answer = ada.post(path, body)
    assert answer.status_code == status, answer.json
    assert answer.json["code"] == status
    assert answer.json["message"]
    assert answer.json["hint"]
    assert names in str(answer.json.get("errors") or answer.json["message"])
    assert rows() == 0


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        ("{", "application/json"),
        ("name=orders", "text/plain"),
        ("\xff", "application/json"),
        ("9" * 5000, "application/json"),
        ("[" * 2000, "application/json"),
    ],
)
def test_a_body_that_is_not_json_is_a_400(ada: Person, data: str, content_type: str) -> None:
    answer = ada.post(TWO_STEPS, data=data.encode("latin-1"), content_type=content_type)
    assert answer.status_code == 400, answer.json
    assert "JSON" in answer.json["message"] + answer.json["hint"]
    assert rows() == 0


def test_a_broken_template_says_where_it_is_broken(ada: Person, template_folder: Path) -> None:
    text = (template_folder / "two-steps.yaml").read_text().replace("debug.log@v1", "debug.shout@v9", 1)
    (template_folder / "two-steps.yaml").write_text(text)
    answer = ada.post(TWO_STEPS, ORDERS)
    assert answer.status_code == 422
    assert answer.json["error_code"] == "VALIDATION_ERROR"
    assert "debug.shout@v9" in answer.json["message"]
    assert rows() == 0


@pytest.mark.parametrize("kind", ["action-runs", "template-runs"])
@pytest.mark.parametrize("run_id", ["no-id", "0", "0199aaaa-0000-7000-8000-000000000000", "..%2f", "a" * 300, "%00"])
def test_an_id_of_nothing_is_a_404(ada: Person, kind: str, run_id: str) -> None:
    answer = ada.get(f"/api/v1/{kind}/{run_id}")
    assert answer.status_code == 404
    if run_id != "..%2f":
        assert answer.json["hint"]


@pytest.mark.parametrize(
    "query",
    [
        "action=%00",
        "q=%00",
        "cursor=nonsense",
        "limit=0",
        "limit=201",
        "limit=x",
        "status=done",
        "since=yesterday",
        "cursor=bg",
    ],
)
def test_a_bad_query_is_a_422_that_names_the_field(ada: Person, query: str) -> None:
    answer = ada.get(f"/api/v1/action-runs?{query}")
    assert answer.status_code == 422, answer.json
    assert query.split("=", maxsplit=1)[0] in answer.json["errors"]


def test_a_body_over_the_limit_is_a_413(make_app: Callable[..., Flask]) -> None:
    app = make_app(PORTAL_ACTIONS_MAX_BODY_BYTES=1000)
    answer = Person(app.test_client(), "ada").post(LOG, {"input": {"message": "x" * 2000}})
    assert answer.status_code == 413
    assert answer.json["error_code"] == "TOO_LARGE"


def test_a_bug_is_a_500_in_json_without_a_stack_trace(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(TESTING=False)
    monkeypatch.setattr(queries, "action_runs", lambda *_, **__: 1 / 0)
    answer = Person(app.test_client(), "ada").get("/api/v1/action-runs")
    assert answer.status_code == 500
    assert answer.json["error_code"] == "INTERNAL_ERROR"
    assert "Zero" not in answer.text


# -- who may -----------------------------------------------------------------------------------------------------------


def test_nobody_gets_401_and_is_told_how_to_sign_in(person: Callable[[str], Person]) -> None:
    for path in ("/api/v1/action-runs", "/api/v1/templates", "/api/v1/audit"):
        answer = person("").get(path)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert person("").post(LOG, HELLO).status_code == 401
    assert person("stranger").post(LOG, HELLO).status_code == 401


def test_nobody_learns_which_runs_there_are(person: Callable[[str], Person], ada: Person) -> None:
    there = ada.post(LOG, HELLO).json["id"]
    for run_id in (there, "0199aaaa-0000-7000-8000-000000000000"):
        for verb in ("retry", "cancel"):
            assert person("").post(f"/api/v1/action-runs/{run_id}/{verb}", {"wrong": 1}).status_code == 401


def test_a_viewer_may_read_and_not_run(vera: Person, margaret: Person) -> None:
    assert vera.get("/api/v1/action-runs").status_code == 200
    for path, body in ((LOG, HELLO), (TWO_STEPS, ORDERS), ("/api/v1/templates/unknown/runs", ORDERS)):
        answer = vera.post(path, body)
        assert (answer.status_code, answer.json["error_code"]) == (403, "PERMISSION_DENIED")
    assert rows() == 0
    audit = margaret.get("/api/v1/audit?outcome=denied").json["data"]
    assert {(entry["actor"], entry["event"]) for entry in audit} == {
        ("user:vera@example.com", "action_run.start"),
        ("user:vera@example.com", "template_run.start"),
    }


def test_a_denial_of_something_unspeakable_is_kept_too(vera: Person, margaret: Person) -> None:
    assert vera.post("/api/v1/actions/%00/runs", HELLO).status_code == 403
    [entry] = margaret.get("/api/v1/audit?outcome=denied").json["data"]
    assert entry["target"] == "\ufffd"


def test_repeated_denials_are_counted_on_one_row(vera: Person, margaret: Person) -> None:
    for _ in range(3):
        vera.post(LOG, HELLO)
    [entry] = margaret.get("/api/v1/audit?outcome=denied").json["data"]
    assert entry["count"] == 3


def test_the_audit_is_for_those_who_may_read_it_and_knows_starts_and_outcomes(ada: Person, margaret: Person) -> None:
    assert ada.get("/api/v1/audit").status_code == 403
    path = ada.post(TWO_STEPS, ORDERS).headers["Location"]
    work_off()
    run_id = path.rpartition("/")[2]
    events = [
        (entry["event"], entry["outcome"]) for entry in margaret.get(f"/api/v1/audit?run_id={run_id}").json["data"]
    ]
    assert events == [
        ("template_run.finish", "success"),
        ("action_run.finish", "success"),
        ("action_run.finish", "success"),
        ("template_run.start", "accepted"),
    ]


def test_the_audit_names_the_template_of_a_failed_run_too(ada: Person, margaret: Person, template_folder: Path) -> None:
    fail_a_run(ada, template_folder)
    failed = margaret.get("/api/v1/audit?outcome=failed").json["data"]
    assert {(entry["event"], entry["target"]) for entry in failed} == {
        ("template_run.finish", "two-steps"),
        ("action_run.finish", "debug.log@v1"),
    }


def test_a_template_that_demands_more_is_refused_without_it(
    vera: Person, ada: Person, margaret: Person, template_folder: Path
) -> None:
    text = (template_folder / "two-steps.yaml").read_text()
    (template_folder / "two-steps.yaml").write_text(
        text.replace("  type: service", "  type: service\n  permissions: [audit:read]")
    )
    assert ada.post(TWO_STEPS, ORDERS).status_code == 403
    assert margaret.post(TWO_STEPS, ORDERS).status_code == 202


# -- retry and cancel --------------------------------------------------------------------------------------------------


def test_retry_is_a_new_run_with_the_same_inputs_and_the_template_as_it_is_now(
    ada: Person, template_folder: Path
) -> None:
    path = fail_a_run(ada, template_folder)
    failed = ada.get(path).json
    answer = ada.post(f"{path}/retry")
    assert answer.status_code == 202
    again = answer.json
    assert again["id"] != failed["id"]
    assert again["retry_of"] == failed["id"]
    assert again["inputs"] == failed["inputs"]
    work_off()
    assert ada.get(answer.headers["Location"]).json["status"] == "success"
    assert ada.get(path).json["retried_as"] == again["id"]


def test_only_a_failed_or_canceled_template_run_is_retried(ada: Person) -> None:
    path = ada.post(TWO_STEPS, ORDERS).headers["Location"]
    assert ada.post(f"{path}/retry").status_code == 409
    work_off()
    assert ada.post(f"{path}/retry").status_code == 409


def test_a_step_is_not_retried_alone_and_says_what_is(ada: Person) -> None:
    run = ada.post(TWO_STEPS, ORDERS).json
    work_off()
    answer = ada.post(f"/api/v1/action-runs/{run['steps'][0]['id']}/retry")
    assert answer.status_code == 409
    assert run["id"] in answer.json["hint"]


def test_a_one_off_is_run_again_with_the_same_input(ada: Person) -> None:
    path = ada.post(LOG, HELLO).headers["Location"]
    assert ada.post(f"{path}/retry").status_code == 409
    work_off()
    again = ada.post(f"{path}/retry").json
    assert (again["input"], again["retry_of"]) == ({"message": "hello"}, path.rpartition("/")[2])


def test_a_canceled_run_ends_and_cannot_be_canceled_twice(ada: Person, margaret: Person) -> None:
    path = ada.post(TWO_STEPS, ORDERS).headers["Location"]
    run = ada.post(f"{path}/cancel").json
    assert (run["status"], [step["status"] for step in run["steps"]]) == (
        "canceled",
        ["canceled", "not_run", "not_run"],
    )
    assert ada.post(f"{path}/cancel").status_code == 409
    assert work_off() == 0
    entries = margaret.get("/api/v1/audit?outcome=canceled").json["data"]
    assert [entry["event"] for entry in entries] == ["action_run.finish", "template_run.cancel"]


def test_nobody_cancels_other_peoples_runs_but_an_admin(
    ada: Person, person: Callable[[str], Person], margaret: Person
) -> None:
    path = ada.post(LOG, HELLO).headers["Location"]
    assert person("bob").post(f"{path}/cancel").status_code == 403
    assert person("vera").post(f"{path}/cancel").status_code == 403
    assert ada.get(path).json["status"] == "queued"
    assert margaret.post(f"{path}/cancel").json["status"] == "canceled"


# -- limits and idempotency --------------------------------------------------------------------------------------------


def test_the_eleventh_start_in_a_minute_is_limited_and_says_for_how_long(ada: Person, margaret: Person) -> None:
    for left in range(9, -1, -1):
        answer = ada.post(LOG, HELLO)
        assert (answer.status_code, answer.headers["RateLimit-Remaining"]) == (202, str(left))
    answer = ada.post(LOG, HELLO)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert answer.json["retry_after"] == int(answer.headers["Retry-After"])
    assert answer.headers["RateLimit-Limit"] == "10"
    assert rows() == 10
    [entry] = margaret.get("/api/v1/audit?outcome=rate_limited").json["data"]
    assert entry["actor"] == "user:ada@example.com"
    assert margaret.post(LOG, HELLO).status_code == 202


def test_a_start_is_free_again_when_the_oldest_is_a_minute_old(ada: Person) -> None:
    first = ada.post(LOG, HELLO).json["id"]
    for _ in range(9):
        ada.post(LOG, HELLO)
    assert ada.post(LOG, HELLO).status_code == 429
    with transaction("test") as tx:
        tx.execute(update(tables.action_runs).where(tables.action_runs.c.id == first).values(queued_at=now_plus(-61)))
    assert ada.post(LOG, HELLO).status_code == 202
    assert ada.post(LOG, HELLO).status_code == 429


def test_a_long_template_counts_once(ada: Person) -> None:
    ada.post(TWO_STEPS, {"inputs": {"name": "orders", "loud": True}})
    work_off()
    assert ada.post(LOG, HELLO).headers["RateLimit-Remaining"] == "8"


def test_the_same_key_and_body_is_the_same_run_in_any_state_and_costs_nothing(ada: Person) -> None:
    key = {"Idempotency-Key": "abc"}
    first = ada.post(TWO_STEPS, ORDERS, headers=key)
    work_off()
    second = ada.post(TWO_STEPS, ORDERS, headers=key)
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json["id"] == second.json["id"]
    assert second.json["status"] == "success"
    assert second.headers["RateLimit-Remaining"] == "9"


def test_a_replay_needs_no_template_any_more(ada: Person, template_folder: Path) -> None:
    key = {"Idempotency-Key": "abc"}
    first = ada.post(TWO_STEPS, ORDERS, headers=key)
    (template_folder / "two-steps.yaml").unlink()
    second = ada.post(TWO_STEPS, ORDERS, headers=key)
    assert (second.status_code, second.json["id"]) == (200, first.json["id"])


def test_the_same_key_with_another_body_or_path_is_refused(ada: Person) -> None:
    key = {"Idempotency-Key": "abc"}
    ada.post(TWO_STEPS, ORDERS, headers=key)
    for path, body in ((TWO_STEPS, {"inputs": {"name": "other"}}), (LOG, HELLO)):
        answer = ada.post(path, body, headers=key)
        assert answer.status_code == 422
        assert "Idempotency-Key" in answer.json["errors"]


def test_a_key_means_nothing_to_another_identity(ada: Person, person: Callable[[str], Person]) -> None:
    key = {"Idempotency-Key": "abc"}
    first = ada.post(TWO_STEPS, ORDERS, headers=key).json["id"]
    answer = person("bob").post(TWO_STEPS, ORDERS, headers=key)
    assert (answer.status_code, answer.json["id"] == first) == (202, False)


def test_a_refused_start_does_not_use_its_key_up(ada: Person) -> None:
    key = {"Idempotency-Key": "abc"}
    assert ada.post(TWO_STEPS, {"inputs": {"name": "NO"}}, headers=key).status_code == 422
    assert ada.post(TWO_STEPS, ORDERS, headers=key).status_code == 202


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_an_unusable_key_is_a_422(ada: Person, key: str) -> None:
    assert ada.post(LOG, HELLO, headers={"Idempotency-Key": key}).status_code == 422


# -- the document ------------------------------------------------------------------------------------------------------


def test_openapi_is_published_to_everybody_with_every_route(person: Callable[[str], Person], app: Flask) -> None:
    document = person("").get("/api/v1/openapi.json").json
    assert document["openapi"].startswith("3.1")
    rules = {
        rule.rule.replace("<", "{").replace(">", "}")
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/")
    }
    assert set(document["paths"]) == rules - {"/api/v1/template-sources/webhook"}, (
        "forges call that, in their own words"
    )
    start = document["paths"]["/api/v1/templates/{name}/runs"]["post"]
    assert {"200", "202", "400", "401", "403", "404", "409", "413", "422", "429", "503"} <= set(start["responses"])


def test_health_tells_nobody_any_detail(person: Callable[[str], Person]) -> None:
    assert set(person("").get("/api/v1/health").json) == {
        "status",
        "database",
        "redis",
        "workers",
        "oldest_queued_seconds",
        "queues_still",
        "workers_stalled",
        "writable",
    }


def test_health_is_503_without_the_database(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=f"sqlite:///{tmp_path}/empty.db")
    answer = app.test_client().get("/api/v1/health")
    assert (answer.status_code, answer.json["status"]) == (503, "down")


# -- what somebody may start, and fixes ------------------------------------------------------------------------------


def test_an_action_and_a_template_say_whether_their_reader_may_run_them(ada: Person, vera: Person) -> None:
    for path in ("/api/v1/actions/debug.log@v1", "/api/v1/templates/two-steps"):
        assert (ada.get(path).json["may_run"], vera.get(path).json["may_run"]) == (True, False)
    for path in ("/api/v1/actions", "/api/v1/templates"):
        assert {one["may_run"] for one in vera.get(path).json["data"]} == {False}


def test_a_fix_over_the_api_keeps_its_origin_and_is_one_run_while_it_is_active(ada: Person, margaret: Person) -> None:
    origin = {"entity": "component:default/orders", "scorecard": "basics", "rule": "readme"}
    body = {"input": {"message": "hello"}, "origin": origin}
    first = ada.post("/api/v1/actions/debug.log@v1/runs", body)
    assert (first.status_code, first.json["origin"], first.json["entity"]) == (202, origin, origin["entity"])
    second = margaret.post("/api/v1/actions/debug.log@v1/runs", body)
    assert (second.status_code, second.json["id"]) == (200, first.json["id"])
    other_kind = margaret.post("/api/v1/templates/two-steps/runs", {"inputs": {"name": "orders"}, "origin": origin})
    assert (other_kind.status_code, other_kind.json["error_code"]) == (409, "CONFLICT")
    work_off()
    assert margaret.post("/api/v1/actions/debug.log@v1/runs", body).status_code == 202


@pytest.mark.parametrize("origin", [{}, {"entity": "x"}, "x", [], {"entity": "", "scorecard": "s", "rule": "r"}])
def test_an_origin_that_is_none_is_refused_field_by_field(ada: Person, origin: Any) -> None:
    answer = ada.post("/api/v1/actions/debug.log@v1/runs", {"input": {"message": "hello"}, "origin": origin})
    assert answer.status_code == 422
    assert "origin" in answer.json["errors"]


def test_a_key_that_started_one_thing_is_refused_for_the_fix_of_a_rule(ada: Person) -> None:
    body = {"input": {"message": "hello"}, "entity": "component:default/orders"}
    key = {"Idempotency-Key": "once"}
    assert ada.post("/api/v1/actions/debug.log@v1/runs", body, headers=key).status_code == 202
    origin = {"entity": "component:default/orders", "scorecard": "basics", "rule": "readme"}
    answer = ada.post("/api/v1/actions/debug.log@v1/runs", {**body, "origin": origin}, headers=key)
    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.json["errors"]


def test_the_location_of_a_start_names_the_path_below_which_the_portal_is_mounted(ada: Person) -> None:
    answer = ada.post(
        "/api/v1/actions/debug.log@v1/runs", {"input": {"message": "hello"}}, base_url="http://localhost/portal"
    )
    assert answer.headers["Location"] == f"/portal/api/v1/action-runs/{answer.json['id']}"
