"""The page of one run: how long its steps take and usually took, its logs, what can be copied, and whether a retry helps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from jinja2 import StrictUndefined
from sqlalchemy import event, insert, select

from portal_actions_plugin import errors
from portal_actions_plugin.blueprints.pages.words import PageText
from portal_actions_plugin.runner.attempt import bounds
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.reading import permitted, queries
from portal_actions_plugin.runs.reading.usual_times import FEWEST, LAST, MAX_ROWS, usual_times
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import database, new_id, transaction
from tests.support.page_html import Element, query
from tests.support.page_rows import (
    AUTH_ERROR,
    ORIGIN,
    TWO_STEPS,
    add_action_run,
    add_attempt,
    add_log,
    add_template_run,
    ago,
)
from tests.support.people import Visitor
from tests.support.portal import PEOPLE, decide
from tests.support.run_helpers import work_off

LONG_AGO = 5_000
"""Seconds: when the runs ended that others are measured against."""


@pytest.fixture
def portal(make_app: Callable[..., Flask]) -> Iterator[Flask]:
    app = make_app()
    app.jinja_env.undefined = StrictUndefined
    with app.app_context():
        yield app


@pytest.fixture
def ada(portal: Flask) -> Visitor:
    return Visitor(portal, "ada")


def took(*seconds: float, status: str = "success", **values: Any) -> None:
    """Runs of the template, whose first step took so long."""
    for long in seconds:
        times = {"started_at": ago(LONG_AGO), "finished_at": ago(LONG_AGO - long)}
        add_template_run(status, (status,), **TWO_STEPS, step_values={0: {**times, **values}})


def one_off_took(*seconds: float, status: str = "success", **values: Any) -> None:
    for long in seconds:
        add_action_run(status, started_at=ago(LONG_AGO), finished_at=ago(LONG_AGO - long), **values)


def step(page: Element, number: int = 1) -> Element:
    return page.one(id=f"step-{number}")


def bars(page: Element) -> list[str]:
    return [bar.one("title").text for bar in page.all("svg", role="img")]


def shown(log: Element) -> list[str]:
    return [line.all("span")[0].text for line in log.one(class_="pa-lines").all("li") if line.all("span")]


# -- the usual time --------------------------------------------------------------------------------------------------


def test_a_step_is_measured_against_the_median_of_its_last_successes(app: Flask) -> None:
    took(1, 1.1, 40)
    took(9, 9, 9, status="failed", **AUTH_ERROR)
    took(9, 9, 9, action="other@v1")
    took(9, 9, 9, step_id="other")
    one_off_took(9, 9, 9)
    run_id, _ = add_template_run("success", ("success",), **TWO_STEPS)
    page = Visitor(app, "ada").see(f"/templates/runs/{run_id}")
    assert bars(page) == ["took 1.2s, usually 1.1s"]
    assert step(page).one(class_="pa-took").text == "took 1.2s, usually 1.1s1.2s"


def test_a_one_off_is_measured_against_one_offs_of_its_action(app: Flask) -> None:
    one_off_took(2, 2.1, 2.2)
    one_off_took(9, 9, 9, action="other@v1")
    one_off_took(9, 9, 9, status="failed", **AUTH_ERROR)
    took(9, 9, 9)
    run_id = add_action_run()
    assert bars(Visitor(app, "ada").see(f"/actions/runs/{run_id}")) == ["took 1.2s, usually 2.1s"]


def test_only_the_last_successes_make_the_usual_time(app: Flask) -> None:
    took(*[9] * LAST, *[1] * LAST)
    run_id, _ = add_template_run("success", ("success",), **TWO_STEPS)
    assert usual_times(queries.template_run(run_id)) == {("greet", "debug.log@v1"): 1_000}


def test_a_usual_time_is_looked_for_among_a_bounded_number_of_runs(app: Flask) -> None:
    one_off_took(1, 1, 1)
    with transaction("test") as tx:
        [first, *_] = tx.rows(select(tables.action_runs))
        for _ in range(MAX_ROWS // 500):
            failures = [{**first, "id": new_id(), "status": "failed"} for _ in range(500)]
            tx.execute(insert(tables.action_runs).values(failures))
    assert usual_times(queries.action_run(add_action_run())) == {}


def test_too_few_successes_make_no_bar(ada: Visitor) -> None:
    took(*[1] * (FEWEST - 1))
    run_id, _ = add_template_run("success", ("success",), **TWO_STEPS)
    page = ada.see(f"/templates/runs/{run_id}")
    assert bars(page) == []
    assert step(page).one(class_="pa-took").text == "1.2s"


@pytest.mark.usefixtures("no_renewals")
def test_what_ends_later_changes_neither_the_usual_time_nor_the_page(ada: Visitor) -> None:
    took(1, 1, 1)
    run_id, _ = add_template_run("success", ("success",), **TWO_STEPS)
    path = f"/templates/runs/{run_id}"
    first = ada.get(path)
    for _ in range(LAST):
        add_template_run("success", ("success",), **TWO_STEPS, step_values={0: {"started_at": ago(900)}})
    again = ada.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert bars(ada.see(path)) == ["took 1.2s, usually 1.0s"]


def test_a_run_that_was_still_going_on_is_not_what_is_usual(app: Flask) -> None:
    took(1, 1)
    took(1, finished_at=ago(10))
    run_id, _ = add_template_run("success", ("success",), **TWO_STEPS)
    assert usual_times(queries.template_run(run_id)) == {}


def test_a_step_that_was_taken_over_took_no_time(app: Flask) -> None:
    first, _ = add_template_run("success", ("success",), **TWO_STEPS)
    took(*[1] * FEWEST, taken_over_from=first, started_at=None)
    run_id, _ = add_template_run("success", ("success",), **TWO_STEPS)
    assert usual_times(queries.template_run(run_id)) == {}


@pytest.mark.parametrize(("seconds", "width"), [(1, "27.0"), (2, "54.0"), (3, "81.0"), (60, "90")])
def test_the_bar_is_filled_as_far_as_it_took_with_the_usual_time_at_one_place(
    ada: Visitor, seconds: float, width: str
) -> None:
    took(2, 2, 2)
    end = {"started_at": ago(100), "finished_at": ago(100 - seconds)}
    run_id, _ = add_template_run("success", ("success",), **TWO_STEPS, step_values={0: end})
    track, fill, tick = ada.see(f"/templates/runs/{run_id}").one("svg", role="img").all("rect")
    assert (track.attributes["width"], tick.attributes["x"]) == ("90", "53")
    assert float(fill.attributes["width"]) == pytest.approx(float(width), abs=0.1)


def test_a_running_step_says_since_when_and_what_is_usual_for_the_script_to_count(ada: Visitor) -> None:
    took(2, 2, 2)
    begin = ago(75)
    run_id, _ = add_template_run(
        "running", ("running",), **TWO_STEPS, started_at=begin, step_values={0: {"started_at": begin}}
    )
    page = ada.see(f"/templates/runs/{run_id}")
    counting = step(page).one(class_="pa-took")
    assert counting.attributes["data-pa-since"] == PageText.iso(begin)
    assert counting.attributes["data-pa-usual"] == "2000"
    assert counting.text == "usually 2.0s1m 15s"
    head = page.one("ul", id="run-meta").one("li", data_pa_since=PageText.iso(begin))
    assert head.text == "Running for 1m 15s"


@pytest.mark.usefixtures("no_renewals")
def test_only_the_clock_does_not_change_a_page_that_counts(ada: Visitor) -> None:
    import time_machine

    run_id, _ = add_template_run("running", ("running",), **TWO_STEPS)
    path = f"/templates/runs/{run_id}"
    with time_machine.travel("2026-01-01T12:01:00Z", tick=False):
        tag = ada.get(path).headers["ETag"]
    with time_machine.travel("2026-01-01T12:01:07Z", tick=False):
        assert ada.get(path, headers={"If-None-Match": tag}).status_code == 304


def test_nothing_counts_for_a_step_that_has_no_worker_or_has_not_begun(ada: Visitor) -> None:
    took(2, 2, 2)
    lost, _ = add_template_run("running", ("running",), **TWO_STEPS, step_values={0: {"lease_expires_at": ago(5)}})
    queued, _ = add_template_run("queued", ("queued",), **TWO_STEPS)
    for run_id in (lost, queued):
        page = ada.see(f"/templates/runs/{run_id}")
        assert [e for e in page.all() if {"data-pa-since", "data-pa-elapsed"} & set(e.attributes)] == []
        assert page.all(class_="pa-spin") == page.all(class_="pa-took") == []


def test_usual_times_are_of_actions_that_the_visitor_may_see(portal: Flask) -> None:
    took(2, 2, 2)
    run_id, _ = add_template_run("success", ("success",), **TWO_STEPS)
    run = queries.template_run(run_id)
    assert permitted.usual_times(PEOPLE["vera"], run) != {}
    assert permitted.usual_times(None, run) == {}
    decide(portal, lambda _identity, _permission, target: target != "debug.log@v1")
    assert permitted.usual_times(PEOPLE["vera"], run) == {}
    decide(portal, lambda _identity, permission, _target: permission != "action:read")
    assert bars(Visitor(portal, "vera").see(f"/templates/runs/{run_id}")) == []


def test_a_page_reads_the_database_the_same_few_times_however_many_steps_it_has(app: Flask) -> None:
    statements: list[str] = []
    event.listen(database().engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    counts = []
    for steps in (3, 30):
        many = tuple((f"step-{n}", f"Step {n}", "debug.log@v1") for n in range(steps))
        for _ in range(FEWEST):
            times = {n: {"started_at": ago(LONG_AGO), "finished_at": ago(LONG_AGO - 1)} for n in range(steps)}
            add_template_run("success", ("success",) * steps, steps=many, template=f"of-{steps}", step_values=times)
        run_id, ids = add_template_run("success", ("success",) * steps, steps=many, template=f"of-{steps}")
        for one in ids:
            add_log(one, "made it")
        statements.clear()
        page = Visitor(app, "ada").see(f"/templates/runs/{run_id}?log=error")
        counts.append(len(statements))
        assert len(bars(page)) == steps
    assert counts[0] == counts[1] < 12


# -- logs ------------------------------------------------------------------------------------------------------------


def test_an_error_at_the_top_of_a_long_log_is_found(app: Flask) -> None:
    run_id = add_action_run("failed", **AUTH_ERROR)
    lines: list[Any] = [f"line {n}" for n in range(2_500)]
    lines[2] = ("error", "403 from the forge")
    lines[7] = ("warning", "slow")
    add_log(run_id, *lines)
    ada = Visitor(app, "ada")
    page = ada.see(f"/actions/runs/{run_id}")
    assert "403 from the forge" not in page.text
    errors_alone = ada.see(page.link("Errors"))
    assert shown(errors_alone) == ["403 from the forge"]
    assert errors_alone.one("summary").text == "1 error in 2,500 log lines"
    assert [link.text for link in errors_alone.all("a", aria_current="true")] == ["Errors"]
    both = ada.see(errors_alone.link("Warnings"))
    assert shown(both) == ["403 from the forge", "slow"]
    assert both.one("summary").text == "2 warnings or errors in 2,500 log lines"
    assert both.link("All") == f"/actions/runs/{run_id}#step-1"


def test_a_level_with_many_lines_shows_the_last_of_them_and_says_how_many(app: Flask) -> None:
    run_id = add_action_run("failed", **AUTH_ERROR)
    add_log(run_id, *[("error" if n % 2 else "info", f"line {n}") for n in range(1_400)])
    page = Visitor(app, "ada").see(f"/actions/runs/{run_id}?log=error")
    assert shown(page) == [f"line {n}" for n in range(401, 1_400, 2)]
    assert page.one("summary").text == "700 errors in 1,400 log lines"
    assert "The last 500 of them. The file has all lines." in page.text
    assert len(Visitor(app, "ada").get(page.link("Download")).text.splitlines()) == 1_400


def test_a_filter_opens_the_logs_in_which_it_finds_something(ada: Visitor) -> None:
    run_id, ids = add_template_run("success", ("success", "success", "success"), **TWO_STEPS)
    add_log(ids[0], "fine")
    add_log(ids[1], ("warning", "odd"))
    folds = ada.see(f"/templates/runs/{run_id}?log=warning").all("details")
    assert [(fold.one("summary").text, "open" in fold.attributes) for fold in folds] == [
        ("No warnings or errors in 1 log line", False),
        ("1 warning or error in 1 log line", True),
    ]
    assert not any("open" in fold.attributes for fold in ada.see(f"/templates/runs/{run_id}").all("details"))


def test_a_filter_keeps_how_times_are_shown_and_lands_on_its_step(ada: Visitor) -> None:
    run_id, ids = add_template_run("failed", ("success", "failed"), **TWO_STEPS, step_values={1: AUTH_ERROR})
    add_log(ids[1], "trying")
    page = ada.see(f"/templates/runs/{run_id}?times=absolute")
    link = page.link("Errors")
    assert query(link) == {"log": ["error"], "times": ["absolute"]}
    assert link.endswith("#step-2")
    filtered = ada.see(link)
    assert query(filtered.link("Show relative times")) == {"log": ["error"]}
    assert query(filtered.link("All")) == {"times": ["absolute"]}


def test_an_unknown_level_is_a_422_and_an_empty_one_is_all(ada: Visitor) -> None:
    run_id, _ = add_template_run("success", ("success",), **TWO_STEPS)
    for path in (f"/templates/runs/{run_id}", f"/actions/runs/{add_action_run()}"):
        assert "log may be warning or error" in ada.see(f"{path}?log=debug", 422).text
        ada.see(f"{path}?log=")


def test_a_log_has_what_the_script_matches_it_by(ada: Visitor) -> None:
    run_id = add_action_run("failed", attempt=2, **AUTH_ERROR)
    add_log(run_id, ("info", "first", 1), ("info", "second", 2))
    add_attempt(run_id, 1, error_code="REMOTE_ERROR", error_message="502")
    page = ada.see(f"/actions/runs/{run_id}")
    log = page.one("ol", id=f"log-{run_id}")
    keys = [line.attributes["data-pa-key"] for line in log.all("li")]
    assert keys == ["attempt-1", "1", "attempt-2", "2"]
    assert "data-pa-log" in page.one(class_="pa-lines").attributes
    assert page.one("details", id=f"log-fold-{run_id}")
    assert page.one("details", id=f"attempts-{run_id}")
    follow = page.one("button", data_pa_follow="")
    assert (follow.text, "hidden" in follow.attributes) == ("Jump to the end", True)


def test_no_two_elements_of_a_page_have_the_same_id(ada: Visitor) -> None:
    values = {"outputs": {"short": "a", "long": "x" * 1_000}}
    run_id, ids = add_template_run(
        "failed",
        ("success", "success", "failed"),
        **TWO_STEPS,
        outputs={"long": "x" * 1_000},
        step_values={0: values, 1: values, 2: AUTH_ERROR},
    )
    for one in ids:
        add_log(one, "made it")
    found = [e.attributes["id"] for e in ada.see(f"/templates/runs/{run_id}").all() if "id" in e.attributes]
    assert sorted(found) == sorted(set(found))
    assert {"run-head", "run-meta", "run-progress", "run-buttons", "step-1", "step-3"} <= set(found)


# -- copies ----------------------------------------------------------------------------------------------------------


def copies(page: Element) -> dict[str, str]:
    """What each copy button copies, by its name; needs no script to be hidden without one."""
    buttons = page.all("button", class_="pa-copy")
    assert all("pa-needs-js" in button.attributes["class"] for button in buttons)
    found = {}
    for button in buttons:
        source = button.attributes.get("data-pa-copy-from")
        text = page.one(id=source).text if source else button.attributes["data-pa-copy"]
        found[button.attributes["aria-label"]] = text
    return found


def test_the_run_id_the_outputs_and_the_error_can_be_copied(ada: Visitor) -> None:
    made = {"outputs": {"repoUrl": "https://forge.example/acme/orders", "tags": ["a", "b"], "files": 7}}
    run_id, ids = add_template_run(
        "failed", ("success", None, "failed"), **TWO_STEPS, step_values={0: made, 2: AUTH_ERROR}
    )
    assert copies(ada.see(f"/templates/runs/{run_id}")) == {
        "Copy run id": run_id,
        "Copy repoUrl of Greet": "https://forge.example/acme/orders",
        "Copy tags of Greet": "a\nb",
        "Copy files of Greet": "7",
        "Copy the error for your platform team, Part": f"AUTH_ERROR: GitHub refused the token\nRun {ids[1]}",
    }


def test_a_runs_own_outputs_can_be_copied_and_its_inputs_have_no_buttons(ada: Visitor) -> None:
    run_id, _ = add_template_run("success", ("success",), **TWO_STEPS, outputs={"size": 3})
    assert copies(ada.see(f"/templates/runs/{run_id}")) == {"Copy run id": run_id, "Copy size": "3"}


def test_a_long_value_is_not_written_twice_and_a_cut_one_is_not_copied(ada: Visitor) -> None:
    long = "x" * 3_900
    run_id, _ = add_template_run(
        "success",
        ("success",),
        **TWO_STEPS,
        step_values={0: {"outputs": {"long": long, "cut": "y" * 5_000, "many": list(range(101))}}},
    )
    answer = ada.get(f"/templates/runs/{run_id}").text
    assert answer.count(long) == 1
    found = copies(ada.see(f"/templates/runs/{run_id}"))
    assert found["Copy long of Greet"] == long
    assert not {"Copy cut of Greet", "Copy many of Greet"} & set(found)


# -- whether a retry helps -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(errors._BY_CODE))
@pytest.mark.parametrize("named", [False, True], ids=["", "with a moment"])
def test_page_and_api_say_the_same_of_a_retry(portal: Flask, ada: Visitor, code: str, named: bool) -> None:
    retry_at = ago(-95) if named else None
    failure = {"error_code": code, "error_message": "It failed", "error_hint": "Look", "retry_at": retry_at}
    run_id, _ = add_template_run("failed", ("success", None, "failed"), **TWO_STEPS, step_values={2: failure})
    api = portal.test_client().get(f"/api/v1/template-runs/{run_id}", headers={"Authorization": "Bearer ada"}).json
    error = api["steps"][2]["error"]
    page = ada.see(f"/templates/runs/{run_id}")
    words = f"{error['retry_verdict']} {code}"
    assert page.one(class_="pa-verdict").text == page.one(id="run-verdict").text == words
    promises = "Retrying helps" in words or "Retrying can help" in words
    assert promises == error["retryable"]


def test_a_named_moment_says_what_it_waits_for(ada: Visitor) -> None:
    limited = {"error_code": "RATE_LIMITED", "error_message": "Too many", "error_hint": "Wait", "retry_at": ago(-95)}
    run_id = add_action_run("failed", **limited)
    assert ada.see(f"/actions/runs/{run_id}").one(id="run-verdict").text.endswith("when the limit resets. RATE_LIMITED")


def test_a_verdict_stands_only_beside_a_button(portal: Flask, ada: Visitor) -> None:
    run_id, _ = add_template_run("failed", ("failed",), **TWO_STEPS, step_values={0: AUTH_ERROR})
    canceled, _ = add_template_run("canceled", ("canceled",), **TWO_STEPS)
    assert ada.see(f"/templates/runs/{run_id}").all(id="run-verdict")
    assert not Visitor(portal, "vera").see(f"/templates/runs/{run_id}").all(id="run-verdict")
    assert not ada.see(f"/templates/runs/{canceled}").all(id="run-verdict")


# -- what has come to its end ----------------------------------------------------------------------------------------


def test_the_steps_that_a_cancel_kept_from_running_are_not_run(ada: Visitor) -> None:
    run_id, _ = add_template_run("canceled", ("success", "canceled"), **TWO_STEPS)
    page = ada.see(f"/templates/runs/{run_id}")
    badges = [badge.text for badge in page.one("ol", id="run-steps").all(class_="pa-badge")]
    assert badges == ["success", "canceled", "not run"]
    assert page.all(class_="pa-spin") == []
    assert "Running for" not in page.text


def test_a_one_off_page_has_the_same_places(ada: Visitor) -> None:
    run_id = add_action_run("failed", origin=ORIGIN, **AUTH_ERROR)
    page = ada.see(f"/actions/runs/{run_id}")
    for place in ("run-head", "run-meta", "run-buttons", "run-quota", "run-verdict", "step-1"):
        page.one(id=place)


UNSEEN_INPUT = """
apiVersion: scaffolder.backstage.io/v1beta3
kind: Template
metadata: {name: unseen}
spec:
  owner: team:platform
  type: service
  parameters: {properties: {owner: {type: string}, repo: {type: string}}}
  steps:
    - id: create
      action: scm.createRepo@v1
      input: {provider: local, owner: "${{ parameters.owner }}", repo: "${{ parameters.repo }}", visibility: secret}
"""


@pytest.mark.fault("E24")
def test_a_step_whose_rendered_input_is_wrong_says_what_is_wrong_with_which_field(
    ada: Visitor, template_folder: Path
) -> None:
    (template_folder / "unseen.yaml").write_text(UNSEEN_INPUT)
    run = service.start_template_run(PEOPLE["ada"], "unseen", {"owner": "-acme", "repo": "a b"}).run
    work_off()
    error = queries.template_run(run.id).steps[0].run.error
    assert error.code == "VALIDATION_ERROR"
    first, *others = error.message.splitlines()
    assert first == "scm.createRepo@v1 cannot take this input: see owner, repo, visibility."
    assert [line.partition(": ")[0] for line in others] == ["owner", "repo", "visibility"]
    note = step(ada.see(f"/templates/runs/{run.id}")).one("div", class_="pa-is-failed")
    assert note.one(class_="pa-note-title").text == first
    assert [line.text for line in note.all("p")[1:4]] == others


@pytest.mark.fault("E24")
def test_an_error_with_many_fields_names_the_first_twenty_once() -> None:
    many = errors.ValidationError(
        "Wrong: see a.", fields={"a": ["Wrong: see a."], **{f"f{n}": ["bad"] for n in range(50)}}
    )
    lines = bounds.error(many, Redactor()).message.splitlines()
    assert lines[:2] == ["Wrong: see a.", "f0: bad"]
    assert lines[-1] == "… and more than 20 fields"
    assert len(lines) == 21
