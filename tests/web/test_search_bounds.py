"""A search that finds little says how far it has looked and goes on from there; a filter that fits nothing says so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from portal_actions_plugin.host import Identity
from portal_actions_plugin.runs.dictionary import catch_up
from portal_actions_plugin.runs.reading.search import engine
from tests.support.page_rows import ADA, BOB, add_action_run, add_template_run
from tests.support.people import Person
from tests.support.portal import decide

RUNS = "/api/v1/action-runs"


@pytest.fixture
def few_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LOOKED_AT", 6)
    monkeypatch.setattr(engine, "FIRST_LOOK", 2)


def answers(person: Person, **query: str) -> Iterator[Any]:
    cursor: dict[str, str] = {}
    while True:
        answer = person.get(RUNS, query_string={**query, **cursor}).json
        yield answer
        if answer["pagination"]["next_cursor"] is None:
            return
        cursor = {"cursor": answer["pagination"]["next_cursor"]}


def test_words_that_hardly_meet_are_found_over_several_answers_each_of_bounded_work(
    ada: Person, few_looked_at: None
) -> None:
    wanted = add_action_run(action="debug.log@v1", entity="component:default/orders")
    for _ in range(10):
        add_action_run(action="debug.log@v1", entity="component:default/payments")
        add_action_run(action="debug.wait@v1", entity="component:default/orders")
    catch_up_wholly()
    pages = list(answers(ada, q="orders log", limit="5"))
    assert [run["id"] for page in pages for run in page["data"]] == [wanted]
    assert [bool(page["pagination"]["searched_back_to"]) for page in pages] == [True] * (len(pages) - 1) + [False]
    moments = [page["pagination"]["searched_back_to"] for page in pages[:-1]]
    assert len(moments) > 1
    assert moments == sorted(moments, reverse=True), "further back with each"


def test_a_page_that_has_found_nothing_yet_leads_further_back(app: Flask, few_looked_at: None) -> None:
    wanted = add_action_run(action="debug.log@v1", entity="component:default/orders")
    for _ in range(5):
        add_action_run(action="debug.log@v1", entity="component:default/payments")
        add_action_run(action="debug.wait@v1", entity="component:default/orders")
    catch_up_wholly()
    visitor = app.test_client()
    visitor.set_cookie("person", "ada")
    path, seen = "/actions?q=orders+log", []
    while path:
        html = visitor.get(path).text
        seen.append(html)
        further = re.search(r'<a href="([^"]+)">Search further back</a>', html)
        path = further[1].replace("&amp;", "&") if further else ""
    assert len(seen) > 1
    assert all("No action runs found so far." in html and "Searched back to <time" in html for html in seen[:-1])
    assert wanted in seen[-1]
    assert "Newer" in seen[-1]


def catch_up_wholly() -> None:
    for _ in catch_up.SHELVES:
        catch_up.catch_up()


def test_a_filter_that_fits_nothing_says_so_and_names_what_is_alike(ada: Person, app: Flask) -> None:
    add_action_run(action="debug.log@v1", entity="component:default/orders")
    answer = ada.get(RUNS, query_string={"entity": "odrers", "action": "debug.log@v1"}).json
    assert answer["unmatched"] == [
        {
            "filter": "entity",
            "message": "No run that you may see is about this entity.",
            "similar": ["component:default/orders"],
        }
    ]
    visitor = app.test_client()
    visitor.set_cookie("person", "ada")
    html = visitor.get("/actions?action=debug.lgo&requested_by=Ada+Lovelase").text
    assert ">debug.lgo</b>: No run that you may see is of this action. Did you mean <a" in html
    assert "<bdi>debug.log@v1</bdi></a>" in html
    assert 'requested_by=Ada+Lovelace"><bdi>Ada Lovelace</bdi></a>?' in html
    catch_up_wholly()
    assert "unmatched" not in ada.get(RUNS, query_string={"entity": "orders"}).json


def test_what_is_alike_is_never_another_ones(ada: Person, app: Flask) -> None:
    add_action_run(action="debug.log@v1", entity="component:default/secret-plan", **BOB)
    add_template_run(entity="component:default/secret-plan", **BOB)

    def own_only(identity: Identity, _permission: str, target: Any) -> bool:
        if isinstance(target, str):
            return target not in {"debug.wait@v1", "create-service"}
        return getattr(target, "requested_by", identity.id) == identity.id

    decide(app, own_only)
    for query in ({"entity": "secret-plam"}, {"requested_by": "Bob Kohn"}, {"action": "debug.wat@v1"}):
        for path in (RUNS, "/api/v1/template-runs"):
            (one,) = ada.get(path, query_string=query).json["unmatched"]
            assert not {
                "component:default/secret-plan",
                BOB["requester_name"],
                BOB["requested_by"],
                "debug.wait@v1",
            } & {*one["similar"]}
    hidden, missing = (
        ada.get(RUNS, query_string={"entity": name}).json["unmatched"] for name in ("secret-plan", "no-such-plan")
    )
    assert hidden == missing


def test_what_is_narrowed_by_words_alone_says_nothing_of_filters(ada: Person) -> None:
    add_action_run(**ADA)
    assert "unmatched" not in ada.get(RUNS, query_string={"q": "nothing"}).json
