"""A page that is older than what others have done starts nothing before that is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from jinja2 import StrictUndefined

from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.runs.secrets.token_shapes import MASK
from tests.support import page_html
from tests.support.page_rows import AUTH_ERROR, add_action_run, failed
from tests.support.people import Person, Visitor
from tests.support.portal import PEOPLE
from tests.support.run_helpers import work_off

BOB = PEOPLE["bob"]


@pytest.fixture
def portal(make_app: Callable[..., Flask]) -> Iterator[Flask]:
    app = make_app(
        PORTAL_ACTIONS_RATE_LIMIT="100 per minute", PORTAL_ACTIONS_SECRET_KEYS=Fernet.generate_key().decode()
    )
    app.jinja_env.undefined = StrictUndefined
    with app.app_context():
        yield app


@pytest.fixture
def ada(portal: Flask) -> Visitor:
    return Visitor(portal, "ada")


def retries_of(run_id: str) -> list[str]:
    runs = [*queries.template_runs(RunFilter(), limit=200).items, *queries.action_runs(RunFilter(), limit=200).items]
    return [run.id for run in runs if run.retry_of == run_id]


def retried_by_bob(run_id: str) -> str:
    """Bob's retry, which has ended already."""
    again = service.retry_template_run(BOB, run_id).run.id
    work_off()
    return again


@pytest.mark.fault("D20")
@pytest.mark.parametrize("button", ["Retry", "Resume"])
def test_a_page_that_is_older_than_somebody_elses_retry_starts_nothing_and_asks(ada: Visitor, button: str) -> None:
    run_id, _ = failed()
    page = ada.see(f"/templates/runs/{run_id}")
    again = retried_by_bob(run_id)
    name = next(one.text for one in page.all("button") if one.text.startswith(button))
    asked = ada.press(page, name)
    assert (asked.status_code, retries_of(run_id)) == (409, [again])
    shown = page_html.read(asked.text)
    assert f"Bob Kahn has retried this run meanwhile, as {again}: that has succeeded." in shown.text
    assert again in [link.attributes["href"].rpartition("/")[2] for link in shown.all("a")]
    all_the_same = ada.press(shown, f"{button} all the same")
    assert all_the_same.status_code == 303
    assert len(retries_of(run_id)) == 2


@pytest.mark.fault("D20")
def test_ten_pages_that_were_open_start_one_run(ada: Visitor) -> None:
    run_id = add_action_run("failed", input={"message": "hello"}, **AUTH_ERROR)
    pages = [ada.see(f"/actions/runs/{run_id}") for _ in range(10)]
    statuses = []
    for page in pages:
        statuses.append(ada.press(page, "Run again").status_code)
        work_off()
    assert (statuses, len(retries_of(run_id))) == ([303] + [409] * 9, 1)


def test_a_form_that_is_sent_twice_is_still_the_same_run(ada: Visitor) -> None:
    run_id, _ = failed()
    page = ada.see(f"/templates/runs/{run_id}")
    first = ada.press(page, "Retry")
    work_off()
    assert ada.press(page, "Retry").location == first.location


def test_a_retry_that_the_page_shows_is_no_news(ada: Visitor) -> None:
    run_id, _ = failed()
    retried_by_bob(run_id)
    assert ada.press(ada.see(f"/templates/runs/{run_id}"), "Retry").status_code == 303
    assert len(retries_of(run_id)) == 2


@pytest.mark.fault("D20")
def test_typed_secrets_are_still_there_when_it_is_asked_whether_to_retry_all_the_same(ada: Visitor) -> None:
    run_id = add_action_run(
        "failed", action="http.request@v1", input={"url": "https://a.example", "token": MASK}, **AUTH_ERROR
    )
    page = ada.see(f"/actions/runs/{run_id}")
    action, hidden = page.form("Run again")
    add_action_run("failed", retry_of=run_id, requested_by=BOB.id, requester_name=BOB.name)
    add_action_run("failed", retry_of=run_id, requested_by=BOB.id, requester_name=BOB.name)
    stale = ada.post(action, {**hidden, "csrf_token": "stale", "secrets.token": "typed"})
    assert (stale.status_code, len(retries_of(run_id))) == (403, 2)
    assert "Nothing has happened." in stale.text
    assert stale.headers["Cache-Control"] == "no-store"
    _, kept = page_html.read(stale.text).form("Run again")
    assert kept["secrets.token"] == "typed"
    assert kept["retried_as"] == ""


# -- many at once ----------------------------------------------------------------------------------------------------


def confirm(visitor: Visitor, page: Any) -> Any:
    [form] = page.all("form")
    fields: dict[str, Any] = {}
    for field in form.all("input"):
        fields.setdefault(field.attributes["name"], []).append(field.attributes["value"])
    return page_html.read(visitor.post(form.attributes["action"], fields).text)


def told(page: Any) -> list[str]:
    return [cell.text for cell in page.all("td", class_="pa-c-plan")]


@pytest.mark.fault("D20")
def test_what_was_retried_between_preview_and_press_is_left_out_and_the_rest_goes(ada: Visitor) -> None:
    runs = [failed() for _ in range(3)]
    preview = ada.see(f"/actions/bulk?{urlencode({'do': 'retry', 'run': [step for _, step in runs]}, doseq=True)}")
    again = retried_by_bob(runs[1][0])
    done = confirm(ada, preview)
    said = told(done)
    assert "Left out: Bob Kahn has retried it meanwhile" in said[1]
    assert [line.startswith("Started ") for line in said] == [True, False, True]
    assert [len(retries_of(run_id)) for run_id, _ in runs] == [1, 1, 1]
    assert retries_of(runs[1][0]) == [again]
    assert told(confirm(ada, preview)) == said, "pressed again, nothing more is started"
    assert [len(retries_of(run_id)) for run_id, _ in runs] == [1, 1, 1]


@pytest.mark.fault("D20")
def test_a_preview_says_whose_retry_there_is_already_and_what_became_of_it(ada: Visitor) -> None:
    (ended, step), (busy, other) = failed(), failed()
    retried_by_bob(ended)
    service.retry_template_run(BOB, busy)
    page = ada.see(f"/actions/bulk?{urlencode({'do': 'retry', 'run': [step, other]}, doseq=True)}")
    said = told(page)
    assert re.search(r"A new run of Two steps\. It was retried already, as \S+ of Bob Kahn, success\.", said[0], re.I)
    assert re.search(r"A retry of it is at work already\. It is \S+ of Bob Kahn, queued\.", said[1], re.I)
    assert "1 of 2 runs can be retried now" in page.text


@pytest.mark.fault("D20")
def test_the_list_marks_what_was_retried_already(ada: Visitor) -> None:
    (run_id, step), (_, other) = failed(), failed()
    one_off = add_action_run("failed", **AUTH_ERROR)
    again = [retried_by_bob(run_id), add_action_run(retry_of=one_off)]
    rows = {
        row.attributes["id"].removeprefix("run-"): row
        for row in ada.see("/actions").all("tr")
        if "id" in row.attributes
    }
    assert [rows[one].all("a")[0].text for one in (step, one_off)] == ["retried"] * 2
    links = [rows[one].all("a")[0].attributes["href"].rpartition("/")[2] for one in (step, one_off)]
    assert links == again
    assert "retried" not in rows[other].text


# -- the API ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["retry", "resume"])
def test_who_says_which_retry_they_know_of_is_told_of_a_newer_one(portal: Flask, verb: str) -> None:
    ada = Person(portal.test_client(), "ada")
    run_id, _ = failed()
    again = retried_by_bob(run_id)
    path = f"/api/v1/template-runs/{run_id}/{verb}"
    refused = ada.post(path, {"retried_as": None})
    assert (refused.status_code, refused.json["errors"]) == (409, {"retried_as": [again]})
    assert "send its id as retried_as" in refused.json["hint"]
    assert ada.post(path, {"retried_as": again}).status_code == 202


def test_a_retry_that_they_canceled_themselves_is_no_news_but_one_of_somebody_else_before_it_is(portal: Flask) -> None:
    ada = Person(portal.test_client(), "ada")
    run_id, _ = failed()
    path = f"/api/v1/template-runs/{run_id}/retry"
    for of_bob in (None, retried_by_bob):
        again = of_bob(run_id) if of_bob else None
        own = ada.post(path).json["id"]
        ada.post(f"/api/v1/template-runs/{own}/cancel", {})
        answer = ada.post(path, {"retried_as": None})
        assert answer.status_code == (409 if again else 202)
        assert (answer.json.get("errors") or {}).get("retried_as") == ([again] if again else None)
        if not again:
            ada.post(f"/api/v1/template-runs/{answer.json['id']}/cancel", {})


def test_who_does_not_say_it_starts_another_one_as_before(portal: Flask) -> None:
    run_id, _ = failed()
    retried_by_bob(run_id)
    assert Person(portal.test_client(), "ada").post(f"/api/v1/template-runs/{run_id}/retry").status_code == 202


# -- forms that came too late ----------------------------------------------------------------------------------------


@pytest.mark.fault("D20")
@pytest.mark.parametrize("person", ["ada", ""])
def test_a_stale_form_starts_nothing_and_can_be_sent_from_where_it_came_to(
    portal: Flask, ada: Visitor, person: str
) -> None:
    run_id, _ = failed()
    action, hidden = ada.see(f"/templates/runs/{run_id}").form("Retry")
    late = Visitor(portal, person)
    answer = late.post(action, {**hidden, "csrf_token": "stale"})
    assert (answer.status_code, retries_of(run_id)) == (403 if person else 401, [])
    address, kept = page_html.read(answer.text).form("Retry")
    assert (address, kept["retried_as"]) == (action, "")
    if person:
        assert late.post(address, kept).status_code == 303
        assert len(retries_of(run_id)) == 1


def test_a_page_of_another_site_gets_no_form_to_send_again(ada: Visitor) -> None:
    run_id, _ = failed()
    answer = ada.post(f"/templates/runs/{run_id}/retry", {"secrets.a": "x"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert "<form" not in answer.text
