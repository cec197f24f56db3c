"""The items of a step with ``each``, as the pages, the API and the commands show them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal_actions_plugin.actions.context import ActionContext
from portal_actions_plugin.cli import actions
from portal_actions_plugin.run_types import TemplateRun
from portal_actions_plugin.runner.attempt import execute
from portal_actions_plugin.runner.attempt.prepare import Performer
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.runs.reading.usual_times import usual_times
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading, transaction
from tests.support.page_html import Element
from tests.support.page_rows import ago
from tests.support.people import Visitor
from tests.support.run_helpers import HELLO, register, set_columns, start, work_off

MANY = 120


@pytest.fixture
def portal(make_app: Callable[..., Flask]) -> Iterator[Flask]:
    app = make_app(PORTAL_ACTIONS_RATE_LIMIT="1000 per minute")
    with app.app_context():
        yield app


@pytest.fixture
def made(portal: Flask) -> None:
    def make(ctx: ActionContext, value: object = None) -> dict[str, object]:
        ctx.log(f"about {value}")
        if value == MANY - 2:
            raise ValueError("this one does not")
        return {"made": value}

    register(make=make)


def through(template_folder: Path, count: int, *more: dict[str, Any]) -> TemplateRun:
    """A run that has gone through a list of so many items; of ``MANY`` the last but one fails."""
    step = {"id": "many", "name": "Many", "action": "test.make@v1", "input": {"value": "${{ each.value }}"}}
    before = {**HELLO, "id": "before", "name": "Before"}
    run = start(template_folder, before, {**step, "each": f"${{{{ range({count}) | list }}}}"}, *more)
    first = run.steps[0].run
    assert first
    execute.perform(first.id, Performer(str(uuid.uuid4()), "test", may_go_on=lambda: True))
    return queries.template_run(run.id)


def test_the_page_of_a_run_sums_its_items_up_and_opens_those_that_failed(
    portal: Flask, template_folder: Path, made: None
) -> None:
    run = through(template_folder, MANY)
    page = Visitor(portal, "ada").see(f"/templates/runs/{run.id}")
    card = page.one(id="step-2")
    assert f"{MANY - 2} of {MANY} items done, 1 failed, 1 not run" in card.text
    assert [badge.text for badge in card.all("span", class_="pa-badge")] == ["failed", "failed"]
    assert f"about {MANY - 2}" in card.text, "the log of the one that failed"
    assert "about 7" not in card.text
    assert "Retry failed items of “Many”" in page.one(id="run-resume").text
    unfolded = Visitor(portal, "ada").see(f"/templates/runs/{run.id}?items=2")
    items = unfolded.one("ol", class_="pa-items").all("li")
    assert len(items) == MANY
    assert items[7].text.split()[:2] == ["7", "success"]
    narrowed = Visitor(portal, "ada").see(f"/templates/runs/{run.id}?items=2&log=error&times=absolute")
    links = {link.text: link.attributes["href"] for link in narrowed.all("a")}
    assert all("log=error" in links[text] for text in ("7", "Hide the list", "Show relative times"))
    assert all("items=2" in links[text] for text in ("7", "Warnings", "Show relative times"))
    one = items[7].one("a").attributes["href"]
    shown = Visitor(portal, "ada").see(one.partition("#")[0]).one(id=one.partition("#")[2])
    assert "about 7" in shown.text


@pytest.mark.parametrize("done", [0, 1])
def test_a_first_step_can_go_on_at_its_items_once_one_of_them_is_done(
    portal: Flask, template_folder: Path, made: None, done: int
) -> None:
    values = [*range(done), MANY - 2]
    run = start(template_folder, {"action": "test.make@v1", "each": values, "input": {"value": "${{ each.value }}"}})
    work_off()
    page = Visitor(portal, "ada").see(f"/templates/runs/{run.id}")
    offered = [form.text for form in page.all(id="run-resume")]
    assert bool(offered) == (done > 0)
    assert all("Retry failed items" in text for text in offered)


def test_a_step_that_has_nothing_to_go_through_says_so(portal: Flask, template_folder: Path, made: None) -> None:
    run = through(template_folder, 0)
    card = Visitor(portal, "ada").see(f"/templates/runs/{run.id}").one(id="step-2")
    assert "Nothing to do: its list was empty." in card.text
    assert [badge.text for badge in card.all("span", class_="pa-badge")] == ["success"]


def test_while_a_run_goes_on_its_page_is_light_and_has_a_hundred_items_at_once(
    portal: Flask, template_folder: Path, made: None
) -> None:
    step = {"id": "many", "name": "Many", "action": "test.make@v1", "each": "${{ range(150) | list }}"}
    run = start(template_folder, step)
    ada, path = Visitor(portal, "ada"), f"/templates/runs/{run.id}"
    assert len(ada.get(f"{path}?items=1").data) < 40_000
    first = ada.see(f"{path}?items=1")
    assert len(first.one("ol", class_="pa-items").all("li")) == 100
    (later,) = [link for link in first.all("a") if link.text == "Later →"]
    rest = ada.see(later.attributes["href"].partition("#")[0])
    assert rest.one("ol", class_="pa-items").all("li")[0].text == "100 pending"
    (earlier,) = [link for link in rest.all("a") if link.text == "← Earlier"]
    assert earlier.attributes["href"] == f"{path}?items=1#step-1"


def test_a_step_whose_items_have_lost_their_workers_is_not_shown_as_running(
    portal: Flask, template_folder: Path, made: None
) -> None:
    step = {"id": "many", "name": "Many", "action": "test.make@v1", "each": [1, 2, 3], "concurrency": 2}
    run = start(template_folder, step)
    ids = [item.run_id for item in queries.items_of(run, 0, after=-1, limit=2)]
    for id_ in ids:
        set_columns(id_, status="running", attempt=1, started_at=ago(60), lease_expires_at=ago(5))
    with transaction("test") as tx:
        tx.execute(tables.template_runs.update().values(status="running", started_at=ago(60)))
    ada, path = Visitor(portal, "ada"), f"/templates/runs/{run.id}?items=1"

    def shown() -> set[str]:
        listed = ada.see(address_of_items(ada.see("/actions").one("tbody").all("tr")[0])).one("tbody").all("tr")
        assert [row.all("td")[0].text for row in listed[1:]] == [*words, "pending"]
        page = ada.see(path)
        assert [item.text.split(maxsplit=1)[1] for item in page.one("ol", class_="pa-items").all("li")[:2]] == words
        assert bool(page.all("svg", class_="pa-spin")) == ("running" in words)
        return {badge.text for badge in page.all("span", class_="pa-badge")}

    words = ["worker lost", "worker lost"]
    assert shown() == {"worker lost"}
    set_columns(ids[1], lease_expires_at=ago(-60))
    words = ["worker lost", "running"]
    assert shown() == {"running", "worker lost"}


def address_of_items(row: Element) -> str:
    """Where a line of the list leads that unfolds it."""
    (link,) = [link for link in row.all("a") if "items done" in link.text]
    return link.attributes["href"].partition("#")[0]


def test_the_list_has_one_line_for_all_items_of_a_step_and_unfolds_it(
    portal: Flask, template_folder: Path, made: None
) -> None:
    failed, done = through(template_folder, MANY), through(template_folder, 3, {**HELLO, "id": "after"})
    ada = Visitor(portal, "ada")
    page = ada.see("/actions")
    rows = page.one("tbody").all("tr")
    lines = [" ".join(row.text.split()) for row in rows]
    assert [line.split()[0] for line in lines] == ["success", "success", "success", "failed", "success"]
    assert "3 of 3 items done" in lines[1]
    assert f"{MANY - 2} of {MANY} items done, 1 failed, 1 not run" in lines[3]
    of_failed = ada.see("/actions?status=failed").one("tbody").all("tr")
    assert len(of_failed) == 1
    opened = ada.see(address_of_items(of_failed[0])).one("tbody").all("tr")
    assert [" ".join(row.text.split())[:10] for row in opened[1:]] == [f"failed {MANY - 2}"]
    everything = ada.see(address_of_items(rows[3])).one("tbody").all("tr")
    assert len(everything) == 5 + 50 + 1
    assert f"{MANY - 50} more" in everything[4 + 50].text
    assert failed.id != done.id


def test_pages_of_the_list_stay_true_with_hundreds_of_items_between(
    portal: Flask, template_folder: Path, made: None
) -> None:
    runs = [through(template_folder, 30) for _ in range(3)]
    of_list = RunFilter(folded=True)
    seen: list[str] = []
    cursor = None
    while True:
        page = queries.action_runs(of_list, limit=2, cursor=cursor)
        seen += [run.step_id for run in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ["many", "before"] * len(runs)
    assert len(queries.action_runs(RunFilter(), limit=200).items) == 31 * 3


def test_the_api_counts_items_and_gives_them_piece_by_piece(portal: Flask, template_folder: Path, made: None) -> None:
    run = through(template_folder, MANY)
    client, headers = portal.test_client(), {"Authorization": "Bearer ada"}
    step = client.get(f"/api/v1/template-runs/{run.id}", headers=headers).json["steps"][1]
    assert (step["id"], step["status"]) == (None, "failed")
    others = dict.fromkeys(("queued", "running", "canceled", "pending", "skipped"), 0)
    assert step["items"] == {
        "total": MANY,
        "done": MANY - 2,
        "success": MANY - 2,
        "failed": 1,
        "not_run": 1,
        **others,
    }
    path = f"/api/v1/template-runs/{run.id}/steps/1/items"
    page = client.get(f"{path}?limit=100", headers=headers).json
    first, cursor = page["data"], page["pagination"]["next_cursor"]
    rest = client.get(f"{path}?limit=100&cursor={cursor}", headers=headers).json
    assert (len(first), page["pagination"]["limit"], rest["pagination"]["next_cursor"]) == (100, 100, None)
    rest = rest["data"]
    assert [item["value"] for item in first + rest] == list(range(MANY))
    assert [item["status"] for item in rest[-2:]] == ["failed", "not_run"]
    assert client.get(f"/api/v1/template-runs/{run.id}/steps/0/items", headers=headers).status_code == 404
    other = through(template_folder, 3)
    assert client.get(path.replace(run.id, other.id) + f"?cursor={cursor}", headers=headers).status_code == 422
    assert client.get(f"/api/v1/template-runs/{run.id}", headers=headers).json["steps"][0]["items"] is None


def test_a_command_shows_a_run_with_its_items_in_short(portal: Flask, template_folder: Path, made: None) -> None:
    run = through(template_folder, MANY)
    said = portal.test_cli_runner().invoke(actions, ["show", run.id]).output
    assert f"{MANY - 2} of {MANY} items done" in said
    assert "about 118" in said
    assert "about 7" not in said


def test_items_do_not_hide_how_long_other_steps_usually_take(portal: Flask, template_folder: Path, made: None) -> None:
    for _ in range(3):
        through(template_folder, 60)
    run = through(template_folder, 60)
    assert {step for step, _ in usual_times(run)} == {"before", "many"}


def test_a_run_that_is_pruned_takes_its_lists_with_it(portal: Flask, template_folder: Path, made: None) -> None:
    run = through(template_folder, 3)
    with transaction("test") as tx:
        tx.execute(tables.template_runs.delete().where(tables.template_runs.c.id == run.id))
    with reading() as db:
        for table in (tables.step_lists, tables.step_items, tables.action_runs):
            assert db.execute(select(func.count()).select_from(table)).scalar_one() == 0
