"""The pages, as somebody without JavaScript gets them."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from jinja2 import DictLoader, StrictUndefined

from portal_actions_plugin.blueprints.pages.words import PageText
from portal_actions_plugin.run_types import Origin
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.accept import Ask
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.software_templates.outputs.addresses import link_address
from tests.support import page_html
from tests.support.page_html import Element, query, rows
from tests.support.page_rows import (
    AUTH_ERROR,
    BOB,
    ORIGIN,
    TWO_STEPS,
    add_action_run,
    add_attempt,
    add_log,
    add_template_run,
    ago,
)
from tests.support.people import Visitor
from tests.support.portal import PEOPLE


@pytest.fixture
def portal(make_app: Callable[..., Flask]) -> Iterator[Flask]:
    app = make_app(PORTAL_ACTIONS_SECRET_KEYS=Fernet.generate_key().decode())
    app.jinja_env.undefined = StrictUndefined
    with app.app_context():
        yield app


@pytest.fixture
def visit(portal: Flask) -> Callable[[str], Visitor]:
    return lambda name: Visitor(portal, name)


@pytest.fixture
def ada(visit: Callable[[str], Visitor]) -> Visitor:
    return visit("ada")


@pytest.fixture
def vera(visit: Callable[[str], Visitor]) -> Visitor:
    return visit("vera")


def failed_run(**step: Any) -> str:
    run_id, _ = add_template_run(
        "failed", ("success", None, "failed"), **TWO_STEPS, step_values={2: step or AUTH_ERROR}
    )
    return run_id


# -- the list --------------------------------------------------------------------------------------------------------


def test_the_list_has_its_heading_and_exactly_these_columns(ada: Visitor) -> None:
    add_action_run()
    page = ada.see("/actions")
    assert page.one("h1").text == "Action Runs"
    assert "Recent action executions across all templates." in page.text
    titles = ["Status", "Action / Step", "Requested By", "Started", "Duration", "Template Run"]
    assert [head.text for head in page.all("th")] == titles


def test_a_row_tells_of_its_step_and_leads_to_its_template_run(ada: Visitor) -> None:
    run_id, _ = add_template_run("success", ("success",), **TWO_STEPS)
    page = ada.see("/actions")
    assert rows(page) == [["success", "greetdebug.log@v1", "ALAda Lovelace", "1m ago", "1.2s", "View run →"]]
    assert page.link("View run →") == f"/templates/runs/{run_id}"


def test_a_one_off_leads_to_its_own_page_and_says_what_it_fixes(ada: Visitor) -> None:
    run_id = add_action_run("failed", action="scm.createOrUpdateFile@v1", origin=ORIGIN, **AUTH_ERROR)
    page = ada.see("/actions")
    assert rows(page)[0][1] == "scm.createOrUpdateFile@v1README exists · orders"
    assert page.link("View action →") == f"/actions/runs/{run_id}"


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_run_that_has_not_ended_has_no_duration(ada: Visitor, status: str) -> None:
    add_action_run(status)
    assert rows(ada.see("/actions"))[0][4] == "—"


def test_a_lost_worker_is_not_shown_as_running(ada: Visitor) -> None:
    run_id, _ = add_template_run("running", ("running",), **TWO_STEPS, step_values={0: {"lease_expires_at": ago(5)}})
    assert rows(ada.see("/actions"))[0][0] == "worker lost"
    page = ada.see(f"/templates/runs/{run_id}")
    badges = [badge.text for badge in page.all(class_="pa-badge")]
    assert badges == ["worker lost", "worker lost", "pending", "pending"]
    assert "stopped answering" in page.text


def test_chips_are_links_and_the_active_one_says_so(ada: Visitor) -> None:
    page = ada.see("/actions?status=failed")
    chips = page.one("nav", class_="pa-chips").all("a")
    assert [chip.text.split()[0] for chip in chips] == ["All", "queued", "running", "success", "failed", "canceled"]
    assert [chip.text for chip in chips if chip.attributes.get("aria-current") == "true"] == ["failed"]
    assert chips[4].attributes["href"] == "/actions?status=failed"
    assert [chip.text for chip in ada.see("/actions").all("a", aria_current="true")] == ["All"]


def test_queued_and_running_carry_their_counts(ada: Visitor) -> None:
    for status in ("queued", "queued", "running", "success"):
        add_action_run(status)
    chips = [chip.text for chip in ada.see("/actions").one("nav", class_="pa-chips").all("a")]
    assert chips == ["All", "queued 2", "running 1", "success", "failed", "canceled"]


def test_a_chip_keeps_the_other_filters(ada: Visitor) -> None:
    page = ada.see("/actions?status=queued&action=debug.log%40v1&requested_by=user:ada&since=7d&times=absolute")
    kept = {"action": ["debug.log@v1"], "requested_by": ["user:ada"], "since": ["7d"], "times": ["absolute"]}
    assert query(page.link("failed")) == {**kept, "status": ["failed"]}
    assert query(page.link("All")) == kept


def test_refresh_keeps_everything_and_another_filter_begins_at_the_newest(ada: Visitor) -> None:
    for _ in range(60):
        add_action_run()
    older = ada.see("/actions?status=success").link("Older →")
    page = ada.see(older)
    assert query(page.link("↻ Refresh")) == query(older)
    assert "cursor" not in query(page.link("failed"))


def test_all_filters_are_cleared_at_once_or_one_by_one(ada: Visitor) -> None:
    page = ada.see("/actions?status=failed&action=a%40v1&entity=orders")
    assert page.link("Clear all") == "/actions"
    assert query(page.link("Remove the filter entity orders ✕")) == {"status": ["failed"], "action": ["a@v1"]}


def test_the_filter_form_sends_what_is_set_and_keeps_the_status(ada: Visitor) -> None:
    page = ada.see("/actions?status=failed&template=two-steps&times=absolute")
    action, fields = page.form("Apply")
    assert action == "/actions"
    names = ("action", "template", "requested_by", "entity", "since", "until")
    assert fields == {**dict.fromkeys(names, ""), "template": "two-steps", "status": "failed", "times": "absolute"}


@pytest.mark.parametrize(
    ("address", "steps"),
    [
        ("?status=failed", ["a"]),
        ("?status=failed&status=queued", ["b", "a"]),
        ("?action=other%40v1", ["b"]),
        ("?template=two-steps", ["a"]),
        ("?requested_by=user:bob@example.com", ["c"]),
        ("?entity=orders", ["c"]),
        ("?since=1h", ["c", "b", "a"]),
        ("?until=1h", ["old"]),
        ("?since=2d&until=2h", ["old"]),
        ("?since=2020-01-01&until=2020-01-01T12:00:00%2B02:00", []),
        ("?action=&entity=&since=&cursor=", ["c", "b", "a", "old"]),
    ],
)
def test_the_list_is_narrowed_by_what_the_address_says(ada: Visitor, address: str, steps: list[str]) -> None:
    run_id, _ = add_template_run("failed", **TWO_STEPS)
    add_action_run(step_id="old", template_run_id=run_id, queued_at=ago(9000), id=_id_of_age(9000))
    add_action_run("failed", step_id="a", item=1, template_run_id=run_id, template="two-steps")
    add_action_run("queued", step_id="b", item=2, template_run_id=run_id, action="other@v1")
    add_action_run("running", step_id="c", item=3, template_run_id=run_id, entity="orders", **BOB)
    page = ada.see(f"/actions{address}")
    found = [cell.all("code")[0].text for cell in page.all("td", class_="pa-c-step")]
    assert found == steps


def _id_of_age(seconds: float) -> str:
    return f"{int(ago(seconds).timestamp() * 1000):012x}70008000{0:012x}"


def test_mine_is_a_filter_that_can_be_shared_and_switched_off(ada: Visitor, vera: Visitor) -> None:
    add_action_run()
    add_action_run(**BOB)
    mine = ada.see("/actions?status=success").link("Mine")
    assert query(mine) == {"status": ["success"], "requested_by": ["user:ada@example.com"]}
    assert len(rows(ada.see(mine))) == len(rows(vera.see(mine))) == 1
    assert ada.see(mine).link("Mine") == "/actions?status=success"


@pytest.mark.parametrize("address", ["?status=lost", "?since=yesterday", "?until=0001-01-01", "?cursor=x"])
def test_an_address_that_means_nothing_is_a_422_with_a_way_out(ada: Visitor, address: str) -> None:
    page = ada.see(f"/actions{address}", 422)
    assert page.link("All action runs") == "/actions"


def test_fifty_to_a_page_newest_first_with_links_both_ways(ada: Visitor) -> None:
    ids = [add_action_run() for _ in range(120)][::-1]

    def shown(page: Element) -> list[str]:
        return [link.attributes["href"].rpartition("/")[2] for link in page.all("a") if link.text == "View action →"]

    first = ada.see("/actions?status=success")
    assert shown(first) == ids[:50]
    assert "← Newer" not in first.links()
    second = ada.see(first.link("Older →"))
    assert shown(second) == ids[50:100]
    third = ada.see(second.link("Older →"))
    assert shown(third) == ids[100:]
    assert "Older →" not in third.links()
    assert shown(ada.see(third.link("← Newer"))) == ids[50:100]
    assert query(third.link("← Newer"))["status"] == ["success"]


def test_newer_ends_in_a_whole_first_page(ada: Visitor) -> None:
    for _ in range(60):
        add_action_run()
    page = ada.see(ada.see("/actions").link("Older →"))
    for _ in range(10):
        add_action_run()
    while "← Newer" in page.links():
        page = ada.see(page.link("← Newer"))
    assert len(rows(page)) == 50


def test_an_empty_list_says_what_to_do(ada: Visitor) -> None:
    assert "No action runs yet. Run a template to get started." in ada.see("/actions").text
    page = ada.see("/actions?status=failed&entity=orders")
    assert "No action runs match this filter." in page.text
    assert page.link("Clear the filter") == "/actions"


def test_times_are_relative_with_the_absolute_one_in_the_title_and_can_be_switched(ada: Visitor) -> None:
    add_action_run(started_at=ago(130))
    page = ada.see("/actions?status=success")
    relative = page.one("time")
    assert relative.text == "2m ago"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", relative.attributes["datetime"])
    assert page.link("Show absolute times") == "/actions?status=success&times=absolute"
    absolute = ada.see("/actions?status=success&times=absolute")
    assert absolute.one("time").text == relative.attributes["title"]
    assert absolute.one("time").attributes["title"] == "2m ago"
    assert absolute.link("Show relative times") == "/actions?status=success"
    assert query(absolute.link("View action →")) == {"times": ["absolute"]}


def test_a_list_reads_the_database_the_same_few_times_however_long_it_is(portal: Flask, ada: Visitor) -> None:
    from sqlalchemy import event

    statements: list[str] = []
    engine = portal.extensions["portal_actions"].database.engine
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    add_action_run()
    statements.clear()
    ada.see("/actions")
    few = len(statements)
    for _ in range(30):
        add_action_run()
    statements.clear()
    ada.see("/actions")
    assert len(statements) == few < 8


# -- a template run --------------------------------------------------------------------------------------------------


def test_a_run_tells_who_when_how_long_and_every_step_in_order(ada: Visitor) -> None:
    run_id = failed_run()
    page = ada.see(f"/templates/runs/{run_id}")
    assert page.one("h1").text == "Two steps failed"
    meta = page.one("ul", class_="pa-meta").text
    assert "Ada Lovelace" in meta
    assert "Started 2m ago" in meta
    assert "Took 4.8s" in meta
    assert run_id in meta
    steps = page.one("ol", class_="pa-steps").all("article")
    assert [step.one("h3").text for step in steps] == ["Greet", "Shout", "Part"]
    assert [step.one(class_="pa-badge").text for step in steps] == ["success", "skipped", "failed"]
    assert "greet · debug.log@v1" in steps[0].text
    assert "1.2s" in steps[0].text


def test_steps_to_come_are_pending_and_those_never_reached_not_run(ada: Visitor) -> None:
    running, _ = add_template_run("running", ("running",), **TWO_STEPS)
    failed, _ = add_template_run("failed", ("failed",), **TWO_STEPS, step_values={0: AUTH_ERROR})

    def badges(run_id: str) -> list[str]:
        return [badge.text for badge in ada.see(f"/templates/runs/{run_id}").all(class_="pa-badge")[1:]]

    assert badges(running) == ["running", "pending", "pending"]
    assert badges(failed) == ["failed", "not run", "not run"]


def test_progress_is_a_segment_for_each_step_and_a_sentence(ada: Visitor) -> None:
    run_id, _ = add_template_run("running", ("success", "running"), **TWO_STEPS)
    page = ada.see(f"/templates/runs/{run_id}")
    segments = page.one(class_="pa-progress").all("span")
    assert [s.attributes["class"] for s in segments] == ["pa-is-success", "pa-is-running", "pa-is-pending"]
    assert "1 of 3 steps done" in page.text


def test_inputs_are_shown_and_secrets_are_not(ada: Visitor) -> None:
    run_id, _ = add_template_run(**{**TWO_STEPS, "inputs": {"name": "orders", "token": "•••", "loud": False}})
    values = ada.see(f"/templates/runs/{run_id}").one("dl", aria_label="Inputs")
    assert [part.text for part in values.all("dt")] == ["name", "token", "loud"]
    assert [part.text for part in values.all("dd")] == ["orders", "•••", "false"]


def test_retries_lead_to_each_other(ada: Visitor) -> None:
    first = failed_run()
    second, _ = add_template_run("queued", ("queued",), **TWO_STEPS, retry_of=first)
    assert ada.see(f"/templates/runs/{first}").link(second[:13]) == f"/templates/runs/{second}"
    page = ada.see(f"/templates/runs/{second}")
    assert f"Retry of {first[:13]}" in page.text
    assert page.link(first[:13]) == f"/templates/runs/{first}"


def test_a_failure_tells_message_hint_verdict_and_code(ada: Visitor) -> None:
    note = ada.see(f"/templates/runs/{failed_run()}").one(class_="pa-note")
    assert [line.text for line in note.all("p")] == [
        "GitHub refused the token",
        "Check SCM token",
        "Retrying will not help until the token changes. AUTH_ERROR",
    ]


def test_an_attempt_is_told_only_when_it_says_something(ada: Visitor) -> None:
    once, _ = add_template_run("running", ("running",), **TWO_STEPS)
    twice, ids = add_template_run("running", ("running",), **TWO_STEPS, step_values={0: {"attempt": 2}})
    add_attempt(ids[0], 1, "lost", error_code="WORKER_LOST", error_message="The worker died during the step.")
    add_attempt(ids[0], 2, None, finished_at=None)
    assert "attempt" not in ada.see(f"/templates/runs/{once}").text
    page = ada.see(f"/templates/runs/{twice}")
    assert "attempt 2 of 3" in page.text
    fold = page.one("details")
    assert fold.one("summary").text == "2 attempts"
    first, second = [attempt.text for attempt in fold.all("li")]
    assert first == ("attempt 1 · 3m ago · 1.0s · worker lost · worker-1WORKER_LOST: The worker died during the step.")
    assert second == "attempt 2 · 3m ago · — · running · worker-1"


def test_a_step_that_waits_for_its_next_attempt_says_when_that_is_due(ada: Visitor) -> None:
    due = ago(-95)
    waiting = {"attempt": 1, "not_before": due, "started_at": ago(20)}
    run_id, ids = add_template_run("running", ("queued",), **TWO_STEPS, step_values={0: waiting})
    add_attempt(ids[0], 1, error_code="REMOTE_ERROR", error_message="502 from the forge")
    step = ada.see(f"/templates/runs/{run_id}").all("article")[0]
    assert step.one(class_="pa-badge").text == "queued"
    told, why = step.one(class_="pa-doing").all("p")
    clock = PageText.clock(due)
    assert told.text in {
        f"Attempt 1 of 3 failed: REMOTE_ERROR. Attempt 2 is due in 1m ({moment})." for moment in (clock, clock[11:])
    }
    assert why.text == "502 from the forge"
    assert told.one("time").attributes == {"datetime": PageText.iso(due), "title": clock, "data-pa-until": ""}
    assert step.one("summary").text == "1 attempt"
    assert "attempt 1 of 3" not in step.one(class_="pa-facts").text
    absolute = ada.see(f"/templates/runs/{run_id}?times=absolute").one(class_="pa-doing")
    assert f"Attempt 2 is due at {clock}." in absolute.text
    assert absolute.one("time").attributes["title"] == "in 1m"


def test_a_step_that_waits_for_a_limit_says_that_this_uses_up_no_attempt(ada: Visitor) -> None:
    due = ago(-95)
    waiting = {"attempt": 2, "max_attempts": 4, "not_before": due, "started_at": ago(20)}
    run_id, ids = add_template_run("running", ("queued",), **TWO_STEPS, step_values={0: waiting})
    add_attempt(ids[0], 1, error_code="REMOTE_ERROR", error_message="502 from the forge")
    add_attempt(ids[0], 2, error_code="RATE_LIMITED", error_message="You have exceeded a secondary rate limit")
    told, why = ada.see(f"/templates/runs/{run_id}?times=absolute").one(class_="pa-doing").all("p")
    assert told.text == (
        "Waits for a limit of the other side: RATE_LIMITED. That uses up no attempt: 2 are left. "
        f"Attempt 3 is due at {PageText.clock(due)}."
    )
    assert why.text == "You have exceeded a secondary rate limit"


@pytest.mark.parametrize("not_before", [None, 5])
def test_an_attempt_that_is_due_waits_for_a_worker_only(ada: Visitor, not_before: float | None) -> None:
    waiting = {"attempt": 1, "not_before": not_before and ago(not_before), "started_at": ago(20)}
    run_id, ids = add_template_run("running", ("queued",), **TWO_STEPS, step_values={0: waiting})
    add_attempt(ids[0], 1, "lost", error_code="WORKER_LOST", error_message="The worker died during the step.")
    told = ada.see(f"/templates/runs/{run_id}").one(class_="pa-doing").all("p")[0]
    assert told.text == ("Attempt 1 of 3 lost its worker: WORKER_LOST. Attempt 2 starts as soon as a worker is free.")


def test_a_row_that_waits_for_its_next_attempt_says_so_under_its_status(ada: Visitor) -> None:
    add_action_run("queued")
    add_action_run("queued", attempt=1, started_at=ago(20))
    add_action_run("queued", attempt=2, started_at=ago(20), not_before=ago(-95))
    assert [row[0] for row in rows(ada.see("/actions"))] == [
        "queuedattempt 3 of 3, in 1m",
        "queuedattempt 2 of 3",
        "queued",
    ]


def test_the_moment_from_which_a_retry_helps_is_told_in_the_apis_words(portal: Flask, ada: Visitor) -> None:
    limited = {"error_code": "RATE_LIMITED", "error_message": "Too many", "error_hint": "Wait", "retry_at": ago(-95)}
    run_id = add_action_run("failed", **limited)
    answer = portal.test_client().get(f"/api/v1/action-runs/{run_id}", headers={"Authorization": "Bearer ada"})
    error = answer.json["error"]
    verdict = ada.see(f"/actions/runs/{run_id}").one(class_="pa-verdict")
    assert verdict.text == f"{error['retry_verdict']} RATE_LIMITED"
    assert verdict.one("time").text in error["retry_verdict"]
    assert verdict.one("time").attributes["datetime"][:19] == error["retry_at"][:19]
    assert verdict.one("time").attributes["title"] == "in 1m"


def test_a_step_that_was_taken_over_leads_to_where_it_ran(ada: Visitor) -> None:
    first = failed_run()
    taken = {"taken_over_from": first, "attempt": 0, "started_at": None, "outputs": {"repo": "orders"}}
    run_id, _ = add_template_run(
        "running",
        ("success", None, "running"),
        **TWO_STEPS,
        retry_of=first,
        resumed_step="part",
        step_values={0: taken},
    )
    page = ada.see(f"/templates/runs/{run_id}")
    step = page.all("article")[0]
    assert step.one(class_="pa-facts").text == f"taken over from {first[:13]} success"
    assert step.link(first[:13]) == f"/templates/runs/{first}#step-1"
    assert step.one("dl").text == "repo orders"
    assert "1 of 3 steps done" in page.text
    meta = page.one("ul", class_="pa-meta")
    assert f"Resumed from {first[:13]} at Part" in meta.text
    assert "Retry of" not in meta.text
    assert meta.link(first[:13]) == f"/templates/runs/{first}"


def test_outputs_links_and_warnings_of_a_step_are_shown(ada: Visitor) -> None:
    made = {
        "outputs": {"repoUrl": "https://forge.example/acme/orders", "files": 7, "both": ["a", "https://b.example"]},
        "links": [{"title": "Pull request", "url": "https://forge.example/pull/1"}],
        "warnings": ["No branch protection"],
    }
    run_id, _ = add_template_run("success", ("success",), **TWO_STEPS, step_values={0: made})
    step = ada.see(f"/templates/runs/{run_id}").all("article")[0]
    assert step.links() == {
        "https://forge.example/acme/orders": "https://forge.example/acme/orders",
        "https://b.example": "https://b.example",
        "Pull request": "https://forge.example/pull/1",
    }
    assert "Warning: No branch protection" in step.text


@pytest.mark.parametrize(
    "value",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " https://forge.example",
        "https://forge.example\njavascript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "//evil.example",
        "/actions",
        "https://forge.example@evil.example/",
        "https://",
        "https://[",
        "https:\\\\evil.example",
        "https://forge.example/\u202egnp.exe",
        "see https://forge.example",
        "file:///etc/passwd",
        "mailto:ada@example.com",
    ],
)
def test_nothing_but_a_whole_web_address_becomes_a_link(ada: Visitor, value: str) -> None:
    made = {"outputs": {"evil": value, "list": [value]}, "links": [{"title": "Evil", "url": value}]}
    links = [{"title": "Evil", "url": value}] if link_address(value) is None else []  # test_output.py has the others
    outputs = {"links": links, "evil": value}
    run_id, _ = add_template_run(
        "success", ("success",), **TWO_STEPS, outputs=outputs, entity=value, step_values={0: made}
    )
    page = ada.see(f"/templates/runs/{run_id}")
    page.one("h1")
    own = ("/actions", "/templates/", "/portal-actions-static/", "#content")
    assert [link for link in page.links().values() if not link.startswith(own)] == []
    assert "Evil" not in page.links()


def test_hostile_words_stay_words(ada: Visitor) -> None:
    evil = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"
    made = {
        "outputs": {evil: evil},
        "warnings": [evil],
        "error_code": "AUTH_ERROR",
        "error_message": evil,
        "error_hint": evil,
        "links": [{"title": evil, "url": "https://forge.example"}],
    }
    steps = ((evil, evil, evil),)
    run_id, ids = add_template_run(
        "failed",
        ("failed",),
        steps=steps,
        title=evil,
        template=evil,
        inputs={evil: evil},
        entity=evil,
        requested_by=evil,
        requester_name=evil,
        step_values={0: made},
    )
    add_log(ids[0], evil, ("error", evil))
    for number in (1, 2):
        add_attempt(ids[0], number, error_code="REMOTE_ERROR", error_message=evil, worker=evil)
    one_off = add_action_run(
        "failed",
        action=evil,
        origin={"entity": evil, "scorecard": evil, "rule": evil},
        input={evil: evil},
        **AUTH_ERROR,
    )
    for path in ("/actions", f"/templates/runs/{run_id}", f"/actions/runs/{one_off}", "/actions?entity=%3Cscript%3E"):
        page = ada.see(path)
        assert [script.text for script in page.all("script")] == [""], "ours alone, from a file"
        assert page.all("img") == []


def test_a_long_value_is_cut_and_says_so(ada: Visitor) -> None:
    big = {"outputs": {"big": "x" * 100_000, **{f"name{n}": n for n in range(150)}}}
    run_id, _ = add_template_run("success", ("success",), **TWO_STEPS, step_values={0: big})
    page = ada.see(f"/templates/runs/{run_id}")
    assert "… (96,000 characters more)" in page.text
    assert "and 51 more" in page.text


def test_logs_are_folded_and_open_for_the_failed_step(ada: Visitor) -> None:
    run_id, ids = add_template_run("failed", ("success", "failed"), **TWO_STEPS, step_values={1: AUTH_ERROR})
    add_log(ids[0], "made it")
    add_log(ids[1], "trying", ("error", "403 from the forge"))
    page = ada.see(f"/templates/runs/{run_id}")
    done, failed = page.all("details")
    assert (done.one("summary").text, failed.one("summary").text) == ("1 log line", "2 log lines")
    assert "open" not in done.attributes
    assert "open" in failed.attributes
    assert "error 403 from the forge" in failed.text
    assert page.all("article")[1].link("Download") == f"/actions/runs/{ids[1]}/log.txt"


def test_the_log_of_a_running_step_is_open(ada: Visitor) -> None:
    run_id, ids = add_template_run("running", ("running",), **TWO_STEPS)
    add_log(ids[0], "working")
    assert "open" in ada.see(f"/templates/runs/{run_id}").one("details").attributes


def test_a_long_log_shows_its_end_and_the_file_has_all_of_it(ada: Visitor) -> None:
    run_id = add_action_run("failed", **AUTH_ERROR)
    add_log(run_id, *[f"line {n}" for n in range(1, 2502)])
    page = ada.see(f"/actions/runs/{run_id}")
    lines = [line.all("span")[0].text for line in page.one(class_="pa-lines").all("li")]
    assert lines == [f"line {n}" for n in range(2002, 2502)]
    assert "The last 500 lines." in page.text
    assert page.one("summary").text == "2,501 log lines"
    answer = ada.get(page.link("Download"))
    assert answer.mimetype == "text/plain"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="debug.log-v1-')
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    whole = answer.text.splitlines()
    assert len(whole) == 2501
    assert whole[0].endswith(" attempt 1 info: line 1")


def test_a_log_file_holds_nothing_that_a_terminal_obeys(ada: Visitor) -> None:
    run_id = add_action_run()
    add_log(run_id, "\x1b[2Jgone\r\nnext\x9b\u2028\u202eand\tno more")
    text = ada.get(f"/actions/runs/{run_id}/log.txt").text
    assert not set("\x1b\x9b\r\u2028\u202e") & set(text)
    assert "\n    next" in text
    assert re.search(r"and +no more\n$", text)


def test_log_lines_of_several_attempts_are_told_apart(ada: Visitor) -> None:
    run_id = add_action_run("failed", attempt=2, **AUTH_ERROR)
    add_log(run_id, ("info", "first", 1), ("info", "second", 2))
    lines = [line.text for line in ada.see(f"/actions/runs/{run_id}").one(class_="pa-lines").all("li")]
    assert [line.rpartition(" ")[2] for line in lines] == ["1", "first", "2", "second"]


def test_a_finished_runs_own_links_are_buttons(ada: Visitor) -> None:
    outputs = {"links": [{"title": "Repository", "url": "https://forge.example/r"}], "size": 3}
    run_id, _ = add_template_run("success", ("success", None, "success"), **TWO_STEPS, outputs=outputs)
    page = ada.see(f"/templates/runs/{run_id}")
    buttons = page.one("div", class_="pa-buttons")
    assert buttons.links() == {"Repository": "https://forge.example/r"}
    assert page.one("dl", aria_label="Outputs").text == "size 3"


# -- retry and cancel ------------------------------------------------------------------------------------------------


def test_retry_starts_a_new_run_and_lands_on_it(ada: Visitor) -> None:
    run_id = failed_run()
    answer = ada.press(ada.see(f"/templates/runs/{run_id}"), "Retry")
    assert answer.status_code == 303
    again = queries.template_run(answer.location.rpartition("/")[2])
    assert (again.retry_of, again.status, again.inputs["name"]) == (run_id, "queued", "orders")


def test_a_double_click_is_one_run_and_a_later_retry_another(ada: Visitor) -> None:
    run_id = failed_run()
    page = ada.see(f"/templates/runs/{run_id}")
    first = ada.press(page, "Retry").location
    assert first == ada.press(page, "Retry").location
    service.cancel_template_run(PEOPLE["ada"], first.rpartition("/")[2])
    ada.press(ada.see(f"/templates/runs/{run_id}"), "Retry")
    assert len(queries.template_runs(RunFilter(), limit=10).items) == 3


def test_a_retry_asks_for_the_secrets_that_were_wiped(ada: Visitor, template_folder: Any) -> None:
    text = (template_folder / "two-steps.yaml").read_text()
    secret = "loud: {type: boolean, default: false}\n        token: {type: string, writeOnly: true}"
    (template_folder / "two-steps.yaml").write_text(text.replace("loud: {type: boolean, default: false}", secret))
    run_id, _ = add_template_run("failed", **{**TWO_STEPS, "inputs": {"name": "orders", "token": "•••"}})
    page = ada.see(f"/templates/runs/{run_id}")
    field = page.one("input", type="password")
    assert field.attributes["name"] == "secrets.token"
    assert "required" in field.attributes
    refused = ada.press(page, "Retry")
    assert refused.status_code == 422
    assert "give token again" in refused.text
    answer = ada.press(page, "Retry", **{"secrets.token": "hunter2"})
    assert answer.status_code == 303
    assert "hunter2" not in ada.get(answer.location).text


def test_resume_starts_a_new_run_at_the_failed_step_and_lands_on_it(ada: Visitor) -> None:
    run_id = failed_run()
    page = ada.see(f"/templates/runs/{run_id}")
    assert "Retry runs every step again" in page.text
    primary = [button.text for button in page.all("button", class_="pa-primary")]
    assert primary == ["Resume from “Part”"]
    answer = ada.press(page, "Resume from “Part”")
    assert answer.status_code == 303
    again = queries.template_run(answer.location.rpartition("/")[2])
    assert (again.retry_of, again.resumed_step, again.progress.done) == (run_id, "part", 1)
    assert ada.press(page, "Resume from “Part”").location == answer.location
    # Whoever goes back and presses the other button asks for something else, once this one is over.
    service.cancel_template_run(PEOPLE["ada"], again.id)
    assert ada.press(page, "Retry").status_code == 303
    assert len(queries.template_runs(RunFilter(), limit=10).items) == 3


def test_a_run_of_which_nothing_is_done_has_retry_alone(ada: Visitor) -> None:
    run_id, _ = add_template_run("failed", ("failed",), **TWO_STEPS, step_values={0: AUTH_ERROR})
    page = ada.see(f"/templates/runs/{run_id}")
    assert [button.text for button in page.all("button", class_="pa-primary")] == ["Retry"]
    assert len(page.all("button", class_="pa-button")) == 1
    assert "Resume" not in page.text


@pytest.mark.parametrize(("button", "step"), [("Resume from “Part”", "part"), ("Retry", None)])
def test_who_gives_the_secrets_again_may_resume_or_retry(
    ada: Visitor, template_folder: Any, button: str, step: str | None
) -> None:
    file = template_folder / "two-steps.yaml"
    plain = "loud: {type: boolean, default: false}"
    file.write_text(file.read_text().replace(plain, f"{plain}\n        token: {{type: string, writeOnly: true}}"))
    run_id, _ = add_template_run(
        "failed",
        ("success", None, "failed"),
        **{**TWO_STEPS, "inputs": {"name": "orders", "token": "•••"}},
        step_values={2: AUTH_ERROR},
    )
    page = ada.see(f"/templates/runs/{run_id}")
    assert len(page.all("form")) == 1
    assert [shown.text for shown in page.all("button", class_="pa-button")] == ["Resume from “Part”", "Retry"]
    assert ada.press(page, button).status_code == 422
    answer = ada.press(page, button, **{"secrets.token": "hunter2"})
    assert answer.status_code == 303
    again = queries.template_run(answer.location.rpartition("/")[2])
    assert (again.retry_of, again.resumed_step) == (run_id, step)
    assert ada.press(page, button, **{"secrets.token": "hunter2"}).location == answer.location


def test_the_quota_is_told_beside_retry_before_the_click(ada: Visitor) -> None:
    run_id = failed_run(started_at=ago(300))
    for _ in range(2):
        add_action_run(queued_at=ago(5))
    assert "8 of 10 starts left this minute" in ada.see(f"/templates/runs/{run_id}").text


def test_a_limited_retry_says_how_long_to_wait(ada: Visitor) -> None:
    run_id = failed_run()
    for _ in range(10):
        add_action_run(queued_at=ago(20))
    page = ada.see(f"/templates/runs/{run_id}")
    assert "0 of 10 starts left this minute. The next one is free in" in page.text
    assert all("disabled" in button.attributes for button in page.all("button", class_="pa-button"))
    answer = ada.press(page, "Retry")
    assert answer.status_code == 429
    wait = answer.headers["Retry-After"]
    assert 30 <= int(wait) <= 40
    told = page_html.read(answer.text)
    assert f"Wait {wait} s, then start again." in told.text
    assert [e.attributes["data-pa-countdown"] for e in told.all() if "data-pa-countdown" in e.attributes] == [wait]
    assert told.link("Back to the run") == f"/templates/runs/{run_id}"


def test_cancel_stops_the_run_and_tells_what_was_done(ada: Visitor) -> None:
    made = {"links": [{"title": "Repository", "url": "https://forge.example/r"}]}
    run_id, _ = add_template_run("running", ("success", "running"), **TWO_STEPS, step_values={0: made})
    page = ada.see(f"/templates/runs/{run_id}")
    assert "What is done stays: Greet." in page.text
    answer = ada.press(page, "Cancel")
    assert (answer.status_code, answer.location) == (303, f"/templates/runs/{run_id}")
    after = ada.see(answer.location)
    assert after.one("h1").text == "Two steps canceled"
    receipt = after.one("div", class_="pa-receipt")
    assert "Greet" in receipt.text
    assert receipt.links() == {"Repository": "https://forge.example/r"}


def test_the_receipt_of_a_cancel_names_a_step_that_was_in_the_middle_and_what_it_had_made(ada: Visitor) -> None:
    branch = {"links": [{"title": "Branch", "url": "https://forge.example/b"}]}
    run_id, _ = add_template_run("canceled", ("success", "canceled"), **TWO_STEPS, step_values={1: branch})
    receipt = ada.see(f"/templates/runs/{run_id}").one("div", class_="pa-receipt")
    assert "Shout was canceled in the middle: look at what it may have done · Branch" in receipt.text
    assert receipt.links() == {"Branch": "https://forge.example/b"}


def test_the_receipt_of_a_cancel_between_two_attempts_says_that(ada: Visitor) -> None:
    run_id, ids = add_template_run("canceled", ("canceled",), **TWO_STEPS)
    add_attempt(ids[0], 1, error_code="REMOTE_ERROR", error_message="502")
    assert [line.text for line in ada.see(f"/templates/runs/{run_id}").one("div", class_="pa-receipt").all("p")] == [
        "Canceled before any step was done.",
        "Greet was canceled between two attempts: look at what it may have done.",
        "Left undone: Shout, Part.",
    ]


def test_the_receipt_of_a_cancel_before_anything_began_says_no_more(ada: Visitor) -> None:
    waiting = {"attempt": 0, "started_at": None}
    run_id, _ = add_template_run("canceled", ("canceled",), **TWO_STEPS, step_values={0: waiting})
    receipt = ada.see(f"/templates/runs/{run_id}").one("div", class_="pa-receipt")
    assert receipt.text == "Canceled before any step was done."


def test_a_canceled_one_off_has_a_receipt_too(ada: Visitor) -> None:
    commit = [{"title": "Commit", "url": "https://forge.example/c"}, {"title": "Evil", "url": "javascript:alert(1)"}]
    run_id = add_action_run("canceled", links=commit)
    receipt = ada.see(f"/actions/runs/{run_id}").one("div", class_="pa-receipt")
    assert receipt.text.startswith("Canceled in the middle: look at what it may have done · Commit")
    assert receipt.links() == {"Commit": "https://forge.example/c"}
    waiting = add_action_run("canceled", attempt=0, started_at=None)
    receipt = ada.see(f"/actions/runs/{waiting}").one("div", class_="pa-receipt")
    assert receipt.text == "Canceled before it began: nothing was done."


def test_canceling_what_has_ended_is_a_409_that_leads_back(ada: Visitor) -> None:
    run_id, _ = add_template_run("running", ("running",), **TWO_STEPS)
    page = ada.see(f"/templates/runs/{run_id}")
    ada.press(page, "Cancel")
    answer = ada.press(page, "Cancel")
    assert answer.status_code == 409
    assert "has ended already" in answer.text
    assert page_html.read(answer.text).link("Back to the run") == f"/templates/runs/{run_id}"


def test_a_viewer_sees_no_retry_button_and_the_server_refuses_all_the_same(ada: Visitor, vera: Visitor) -> None:
    run_id = failed_run()
    _, fields = ada.see(f"/templates/runs/{run_id}").form("Retry")
    page = vera.see(f"/templates/runs/{run_id}")
    assert page.all("button", class_="pa-button") == []
    assert "starts left" not in page.text
    for verb in ("retry", "resume"):
        refused = vera.post(f"/templates/runs/{run_id}/{verb}", fields, headers={"Authorization": "Bearer vera"})
        assert refused.status_code == 403
        assert "template:run" in refused.text


def test_other_peoples_runs_have_no_cancel_button_but_for_an_admin(visit: Callable[[str], Visitor]) -> None:
    run_id, _ = add_template_run("running", ("running",), **TWO_STEPS)
    assert visit("bob").see(f"/templates/runs/{run_id}").all("button", class_="pa-button") == []
    refused = visit("bob").post(f"/templates/runs/{run_id}/cancel", headers={"Authorization": "Bearer bob"})
    assert refused.status_code == 403
    assert visit("margaret").see(f"/templates/runs/{run_id}").form("Cancel")


def test_a_template_that_demands_more_or_is_gone_has_no_retry_button(ada: Visitor, template_folder: Any) -> None:
    run_id = failed_run()
    assert ada.see(f"/templates/runs/{run_id}").form("Retry")
    file = template_folder / "two-steps.yaml"
    file.write_text(file.read_text().replace("spec:\n", "spec:\n  permissions: [deploy:production]\n", 1))
    assert ada.see(f"/templates/runs/{run_id}").all("button", class_="pa-button") == []
    file.unlink()
    assert ada.see(f"/templates/runs/{run_id}").all("button", class_="pa-button") == []


def test_a_form_without_its_token_is_refused_and_leads_back(ada: Visitor) -> None:
    run_id = failed_run()
    answer = ada.post(f"/templates/runs/{run_id}/retry")
    assert answer.status_code == 403
    page = page_html.read(answer.text)
    assert "CSRF token" in page.text
    assert page.link("Back to the run") == f"/templates/runs/{run_id}"
    assert len(queries.template_runs(RunFilter(), limit=10).items) == 1


def test_a_form_that_is_too_large_is_a_413(make_app: Callable[..., Flask]) -> None:
    app = make_app(PORTAL_ACTIONS_MAX_BODY_BYTES=1000)
    app.register_error_handler(413, lambda error: ({"host": str(error)}, 599))
    answer = Visitor(app, "ada").post("/templates/runs/x/retry", {"secrets.a": "x" * 2000})
    assert (answer.status_code, answer.mimetype) == (413, "text/html")


def test_a_form_that_comes_in_chunks_and_is_too_large_is_not_taken_for_half_of_it(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app(PORTAL_ACTIONS_MAX_BODY_BYTES=1000)
    with app.app_context():
        run_id = add_action_run("success", input={"message": "hello"})
    client = app.test_client()
    for size, status in ((2000, 413), (500, 303)):
        chunks = {
            "wsgi.input": io.BytesIO(b"idempotency_key=once&more=" + b"x" * size),
            "wsgi.input_terminated": True,
            "HTTP_TRANSFER_ENCODING": "chunked",
        }
        answer = client.post(
            f"/actions/runs/{run_id}/retry",
            environ_overrides=chunks,
            content_type="application/x-www-form-urlencoded",
            headers={"Authorization": "Bearer ada"},
        )
        assert (answer.status_code, answer.mimetype) == (status, "text/html")


def test_a_retry_leads_to_the_fix_that_is_at_work_already_of_whatever_kind(ada: Visitor) -> None:
    origin = Origin("component:default/orders", "basics", "readme")
    start = service.start_template_run(PEOPLE["ada"], "two-steps", {"name": "orders"}, Ask(origin=origin))
    service.cancel_template_run(PEOPLE["ada"], start.run.id)
    fix = service.start_action_run(PEOPLE["ada"], "debug.log@v1", {"message": "hello"}, Ask(origin=origin)).run
    answer = ada.press(ada.see(f"/templates/runs/{start.run.id}"), "Retry")
    assert (answer.status_code, answer.location) == (303, f"/actions/runs/{fix.id}")


@pytest.mark.parametrize(
    "form", ["templates retry", "templates resume", "templates cancel", "actions retry", "actions cancel"]
)
def test_the_address_of_a_form_leads_to_its_run_when_it_is_loaded(ada: Visitor, form: str) -> None:
    kind, what = form.split()
    answer = ada.get(f"/{kind}/runs/0199/{what}")
    assert (answer.status_code, answer.location) == (302, f"/{kind}/runs/0199")


# -- a one-off -------------------------------------------------------------------------------------------------------


def test_a_one_off_has_its_own_page_with_its_origin_and_run_again(ada: Visitor) -> None:
    run_id = add_action_run("failed", input={"message": "hello"}, origin=ORIGIN, entity="orders", **AUTH_ERROR)
    page = ada.see(f"/actions/runs/{run_id}")
    assert "Fix for README exists on orders" in page.text
    assert page.one("dl", aria_label="Input").text == "message hello"
    assert page.one("article").one(class_="pa-badge").text == "failed"
    answer = ada.press(page, "Run again")
    assert answer.status_code == 303
    again = queries.action_run(answer.location.rpartition("/")[2])
    assert (again.retry_of, again.input) == (run_id, {"message": "hello"})
    assert ada.see(f"/actions/runs/{run_id}").link(again.id[:13]) == f"/actions/runs/{again.id}"


def test_a_running_one_off_can_be_canceled(ada: Visitor) -> None:
    run_id = add_action_run("running")
    answer = ada.press(ada.see(f"/actions/runs/{run_id}"), "Cancel")
    assert ada.see(answer.location).one("h1").text.endswith("canceled")


def test_a_steps_own_address_leads_to_its_template_run(ada: Visitor) -> None:
    run_id, ids = add_template_run("success", ("success", None, "success"), **TWO_STEPS)
    answer = ada.get(f"/actions/runs/{ids[1]}")
    assert (answer.status_code, answer.location) == (302, f"/templates/runs/{run_id}#step-3")
    assert ada.see(f"/templates/runs/{run_id}").one("li", id="step-3").one("h3").text == "Part"


# -- around them -----------------------------------------------------------------------------------------------------


def test_a_run_that_is_not_there_is_a_page_with_404(ada: Visitor) -> None:
    for path in ("/templates/runs/nope", f"/templates/runs/{add_action_run()}", "/actions/runs/nope/log.txt"):
        assert ada.see(path, 404).one("h1").text == "Not found"


def test_nobody_gets_401(portal: Flask) -> None:
    nobody = Visitor(portal, "")
    run_id = failed_run()
    for path in ("/actions", f"/templates/runs/{run_id}", "/actions/runs/x", "/actions/runs/x/log.txt"):
        page = nobody.see(path, 401)
        assert page.one("h1").text == "You are not signed in"
    for path in (f"/templates/runs/{run_id}/retry", "/templates/runs/x/cancel", "/actions/runs/x/retry"):
        assert nobody.post(path).status_code == 401


def test_nobody_is_sent_to_flask_logins_sign_in_where_there_is_one(portal: Flask) -> None:
    from flask_login import LoginManager

    manager = LoginManager(portal)
    manager.user_loader(lambda _: None)
    portal.add_url_rule("/sign-in", "sign_in", lambda: "")
    nobody = Visitor(portal, "")
    assert nobody.see("/actions", 401)
    manager.login_view = "sign_in"
    answer = nobody.get("/actions?status=failed")
    assert answer.status_code == 302
    assert answer.location.startswith("/sign-in?next=")
    assert nobody.post("/templates/runs/x/retry").status_code == 401


@pytest.mark.fault("5")
def test_nobody_gets_a_401_and_one_log_line_where_the_host_s_sign_in_page_cannot_be_found(
    portal: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    """Flask-AppBuilder's login manager names an endpoint that the app does not have."""
    from flask_login import LoginManager

    manager = LoginManager(portal)
    manager.user_loader(lambda _: None)
    manager.login_view = "login"
    portal.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    assert Visitor(portal, "").see("/actions", 401).one("h1").text == "You are not signed in"
    [line] = [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    assert "the host's login manager gives no sign-in page: BuildError" in line.getMessage()
    assert line.exc_info is None


def test_who_may_not_read_gets_a_403_and_no_navigation(make_app: Callable[..., Flask]) -> None:
    app = make_app(PORTAL_ACTIONS_ROLE_PERMISSIONS={})
    page = Visitor(app, "ada").see("/actions", 403)
    assert "action:read" in page.text
    assert page.one("nav", class_="pa-nav").all("a") == []


def test_our_pages_stay_html_and_the_hosts_errors_stay_its_own(portal: Flask, ada: Visitor) -> None:
    for what in (404, 500, Exception):
        portal.register_error_handler(what, lambda error: ({"host": str(error)}, 599))
    assert ada.see("/templates/runs/nope", 404)
    assert ada.get("/elsewhere").json is not None


def test_a_bug_is_a_plain_page_without_a_stack_trace(
    portal: Flask, ada: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal.register_error_handler(Exception, lambda error: ({"host": str(error)}, 599))
    portal.config["PROPAGATE_EXCEPTIONS"] = False
    monkeypatch.setattr(queries, "active_counts", lambda: 1 / 0)
    page = ada.see("/actions", 500)
    assert page.one("h1").text == "Something went wrong"
    assert "ZeroDivision" not in page.text


def test_our_own_base_page_comes_with_a_strict_policy_and_nothing_inline(ada: Visitor) -> None:
    answer = ada.get(f"/templates/runs/{failed_run()}")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    page = page_html.read(answer.text)
    [script] = page.all("script")
    assert (script.text, ada.get(script.attributes["src"]).mimetype) == ("", "text/javascript")
    assert page.all("style") == []
    assert "style" not in {name for element in page.all() for name in element.attributes}
    assert not [name for element in page.all() for name in element.attributes if name.startswith("on")]
    icon, *styles = page.all("link")
    assert {ada.get(style.attributes["href"]).mimetype for style in styles} == {"text/css"}
    assert ada.get(icon.attributes["href"]).status_code == 200


LAYOUT = (
    "<html><head><title>{% block title %}{% endblock %}</title>{% block head %}<meta name=host>{% endblock %}</head>"
    "<body>{{ run }}{% block content %}{% endblock %}</body></html>"
)


def test_a_hosts_layout_is_extended_and_keeps_its_own_policy_and_names(make_app: Callable[..., Flask]) -> None:
    app = make_app(PORTAL_ACTIONS_BASE_TEMPLATE="host.html")
    app.jinja_loader = DictLoader({"host.html": LAYOUT})
    app.context_processor(lambda: {"run": "the host's run"})
    with app.app_context():
        run_id = failed_run()
    ada = Visitor(app, "ada")
    for path in ("/actions", f"/templates/runs/{run_id}", "/templates/runs/nope"):
        answer = ada.get(path)
        assert "Content-Security-Policy" not in answer.headers
        assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert "<meta name=host>" in answer.text
        assert "<body>the host&#39;s run" in answer.text
        page = page_html.read(answer.text)
        assert page.one("body").all(class_="portal-actions")
    assert "<title>Two steps: failed</title>" in ada.get(f"/templates/runs/{run_id}").text


def test_a_base_page_that_the_host_put_over_ours_keeps_the_hosts_policy(portal: Flask, ada: Visitor) -> None:
    portal.jinja_loader = DictLoader({"portal_actions/base.html": LAYOUT.replace("{{ run }}", "")})
    answer = ada.get("/actions")
    assert "<meta name=host>" in answer.text
    assert "Content-Security-Policy" not in answer.headers


def test_the_stylesheet_touches_nothing_of_the_hosts(ada: Visitor) -> None:
    style = "".join(ada.get(f"/portal-actions-static/{name}.css").text for name in ("portal-actions", "print"))
    flat = re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL)
    # Rules are nested in one of the root classes: what is below no other rule has to name one itself.
    above: list[str] = []
    loose = []
    for text, brace in re.findall(r"([^{}]*)([{}])", flat):
        if brace == "}":
            above.pop()
            continue
        rule = text.rpartition(";")[2].strip()
        if not rule.startswith("@") and all(one.startswith("@") for one in above):
            loose.append(rule)
        above.append(rule)
    assert [one for one in loose if not one.startswith((".portal-actions", ":where(.portal-actions", "to"))] == []
    assert len(loose) > 5
    assert "url(" not in style
    assert "@import" not in style


def test_a_page_that_is_only_renewed_says_so_and_pages_are_not_renewed_all_at_once(
    ada: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else every open page would ask quickly for minutes, all at the same time, every ten minutes."""
    paths = [f"/actions?q=nobody-{number}" for number in range(12)]
    now = time.time()

    def tags(seconds: float) -> list[tuple[str, str]]:
        monkeypatch.setattr(time, "time", lambda: now + seconds)
        found = [ada.get(path).headers["ETag"] for path in paths]
        return [(tag[:35], tag[35:]) for tag in found]

    before, soon, late = tags(0), tags(300), tags(600)
    assert [state for state, _ in before] == [state for state, _ in soon] == [state for state, _ in late]
    assert all(renewed != again for (_, renewed), (_, again) in zip(before, late, strict=True))
    renewed_soon = sum(one != other for one, other in zip(before, soon, strict=True))
    assert 0 < renewed_soon < len(paths)


@pytest.mark.usefixtures("no_renewals")
def test_an_unchanged_page_costs_a_304_and_a_changed_one_does_not(ada: Visitor) -> None:
    run_id = failed_run()
    for path in ("/actions", f"/templates/runs/{run_id}"):
        first = ada.get(path)
        assert first.headers["Cache-Control"] == "private, no-cache"
        again = ada.get(path, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
        add_action_run()
        add_template_run("queued", **TWO_STEPS, retry_of=run_id)
        assert ada.get(path, headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


def test_a_person_who_reloads_gets_fresh_times_and_a_fresh_token(ada: Visitor) -> None:
    tag = ada.get("/actions").headers["ETag"]
    assert ada.get("/actions", headers={"If-None-Match": tag, "Sec-Fetch-Mode": "navigate"}).status_code == 200


def test_one_visitors_page_is_not_anothers(ada: Visitor, vera: Visitor) -> None:
    assert ada.get("/actions").headers["ETag"] != vera.get("/actions").headers["ETag"]


def test_pages_read_either_kind_of_database(app: Flask) -> None:
    run_id, ids = add_template_run("failed", ("success", "failed"), **TWO_STEPS, step_values={1: AUTH_ERROR})
    add_log(ids[0], *[f"line {n}" for n in range(600)])
    add_log(ids[1], *[f"line {n}" for n in range(600)])
    ada = Visitor(app, "ada")
    page = ada.see(f"/templates/runs/{run_id}")
    assert [len(log.all("li")) for log in page.all(class_="pa-lines")] == [100, 500]
    assert len(rows(ada.see("/actions?action=%00debug.log%40v1&since=1h&status=success&status=failed"))) == 2
