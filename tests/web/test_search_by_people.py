"""Search finds what people have in hand: each word that they see of a run, or the beginning of one, whatever the capitals."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from portal_actions_plugin.runs.dictionary import catch_up, terms
from portal_actions_plugin.runs.reading.search import engine
from tests.support.page_rows import add_action_run
from tests.support.people import Person
from tests.support.portal import PEOPLE
from tests.support.templates import TWO_STEPS

TITLED = TWO_STEPS.replace("name: two-steps, title: Two steps", "name: make-service, title: Launch a Straßen Service")
ENTITY = "component:default/orders-api"
RUNS = "/api/v1/action-runs"
TEMPLATE_RUNS = "/api/v1/template-runs"


@pytest.fixture
def runs(ada: Person, person: Any, template_folder: Path) -> Mapping[str, str]:
    """One run of a template about an entity, Ada's, and one one-off, Margaret's; the ids of all three rows."""
    template_folder.joinpath("make-service.yaml").write_text(TITLED)
    started = ada.post(
        "/api/v1/templates/make-service/runs", json={"inputs": {"name": "payments"}, "entity": ENTITY}
    ).json
    one_off = person("margaret").post("/api/v1/actions/debug.wait@v1/runs", json={"input": {"seconds": 1}}).json
    step = next(step for step in started["steps"] if step["id"])
    return {"run": started["id"], "step": step["id"], "one_off": one_off["id"]}


def found(person: Person, path: str = RUNS, **query: str) -> set[str]:
    return {run["id"] for run in person.get(path, query_string=query).json["data"]}


@pytest.mark.fault("E26")
def test_a_step_is_found_by_each_word_that_is_seen_of_it_and_by_several(ada: Person, runs: Mapping[str, str]) -> None:
    only_its = (
        "orders-api", "orders", "API", "default/orders", "component:default/ord", "ＯＲＤＥＲＳ",
        "lovelace", "Ada Lovelace", "lovelace ada", "ada@example.com", "user:ada",
        "launch", "straSSen", "service launch", "make", "service", "greet", "debug.log",
        "lovelace orders greet launch make-service debug",
    )  # fmt: skip
    assert {q: found(ada, q=q) for q in only_its} == {q: {runs["step"]} for q in only_its}
    of_both = ("debug", "v1", "@v1", "example.com", "user")
    assert {q: found(ada, q=q) for q in of_both} == {q: {runs["step"], runs["one_off"]} for q in of_both}


@pytest.mark.fault("E26")
def test_a_step_is_found_by_its_template_runs_id_as_the_copy_button_gives_it(
    ada: Person, runs: Mapping[str, str]
) -> None:
    assert found(ada, q=runs["run"]) == {runs["step"]}
    assert found(ada, q=runs["run"].replace("-", "").upper()) == {runs["step"]}
    assert found(ada, q=f"  {runs['run']} greet ") == {runs["step"]}


def test_what_begins_no_word_or_is_of_another_run_finds_nothing(ada: Person, runs: Mapping[str, str]) -> None:
    for q in ("ders", "lovelace margaret", "orders wait", "launchpad", "=", "%", "orders_", str(uuid.uuid4())):
        assert found(ada, q=q) == set(), q


@pytest.mark.fault("E26")
def test_filters_take_names_as_they_are_shown(ada: Person, runs: Mapping[str, str]) -> None:
    for query in (
        {"entity": "orders-api"}, {"entity": "default/orders-api"}, {"entity": "COMPONENT:default/orders-api"},
        {"requested_by": "Ada Lovelace"}, {"requested_by": "ada@example.com"},
        {"template": "launch a  straßen service"}, {"action": "debug.log"},
        {"entity": "orders-api", "requested_by": "ada lovelace", "q": "launch"},
    ):  # fmt: skip
        assert found(ada, **query) == {runs["step"]}, query
        assert found(ada, TEMPLATE_RUNS, **query) == {runs["run"]}, query
    for query in ({"entity": "orders"}, {"requested_by": "Ada"}, {"template": "launch"}, {"action": "debug"}):
        assert found(ada, **query) == set(), "a whole name, and not its beginning"


@pytest.mark.fault("E26")
def test_a_template_run_is_found_by_what_is_seen_of_it(ada: Person, runs: Mapping[str, str]) -> None:
    for q in ("launch", "orders lovelace", "make", runs["run"], runs["run"][:18]):
        assert found(ada, TEMPLATE_RUNS, q=q) == {runs["run"]}


def test_a_filter_that_names_two_entities_lists_the_runs_of_both(ada: Person, runs: Mapping[str, str]) -> None:
    other = ada.post(
        "/api/v1/actions/debug.log@v1/runs", json={"input": {"message": "x"}, "entity": "system:shop/orders-api"}
    ).json["id"]
    assert found(ada, entity="orders-api") == {runs["step"], other}
    assert found(ada, entity="system:shop/orders-api") == {other}
    assert found(ada, entity="orders-api", q="greet") == {runs["step"]}


def test_an_id_goes_before_a_name_that_is_the_same(ada: Person, person: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else somebody who calls himself as another one is called would be among that one's runs."""
    mine = ada.post("/api/v1/actions/debug.log@v1/runs", json={"input": {"message": "x"}}).json["id"]
    monkeypatch.setitem(PEOPLE, "bob", type(PEOPLE["bob"])("user:bob", PEOPLE["ada"].id, PEOPLE["bob"].roles))
    person("bob").post("/api/v1/actions/debug.log@v1/runs", json={"input": {"message": "x"}})
    assert found(ada, requested_by=PEOPLE["ada"].id) == {mine}


def test_an_id_lists_no_runs_of_one_with_other_capitals_or_that_ends_alike(
    ada: Person, person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(who: Person) -> str:
        return str(who.post("/api/v1/actions/debug.log@v1/runs", json={"input": {"message": "x"}}).json["id"])

    mine, known = start(ada), PEOPLE["bob"]
    for other in (PEOPLE["ada"].id.upper(), f"bot:{PEOPLE['ada'].id}"):
        monkeypatch.setitem(PEOPLE, "bob", type(known)(other, known.name, known.roles))
        theirs = start(person("bob"))
        assert found(ada, requested_by=PEOPLE["ada"].id) == {mine}
        assert found(ada, requested_by=other) == {theirs}


def test_an_older_run_is_found_by_its_own_capitals(ada: Person) -> None:
    older = add_action_run(entity="component:default/Orders")
    add_action_run(entity="component:default/orders")
    for _ in catch_up.SHELVES:
        catch_up.catch_up()
    assert older in found(ada, entity="component:default/Orders")


def test_words_and_an_action_narrow_template_runs_however_far_back(
    ada: Person, runs: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A template run has no action of its own whose index could lead to it."""
    monkeypatch.setattr(engine, "FIRST_LOOK", 1)
    newer = ada.post("/api/v1/templates/make-service/runs", json={"inputs": {"name": "orders"}}).json["id"]
    for action in ("debug.log@v1", "debug.log"):
        assert found(ada, TEMPLATE_RUNS, q="launch", action=action) == {runs["run"], newer}


def test_a_name_that_many_go_by_lists_the_runs_of_all_of_them(
    ada: Person, runs: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terms, "MOST_VALUES", 2)
    of_all = {runs["step"]}
    for entity in ("system:shop/orders-api", "api:bank/Orders-API", "component:default/orders"):
        body = {"input": {"message": "x"}, "entity": entity}
        of_all.add(ada.post("/api/v1/actions/debug.log@v1/runs", json=body).json["id"])
    other = found(ada, entity="component:default/orders")
    assert found(ada, entity="orders-api") == of_all - other
    assert found(ada, entity="orders-api", q="greet") == {runs["step"]}


def test_a_title_that_many_templates_have_lists_the_runs_of_all_of_them(
    ada: Person, runs: Mapping[str, str], template_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terms, "MOST_VALUES", 2)
    whole, steps = {runs["run"]}, {runs["step"]}
    for name in ("make-two", "make-three"):
        template_folder.joinpath(f"{name}.yaml").write_text(TITLED.replace("name: make-service", f"name: {name}"))
        run = ada.post(f"/api/v1/templates/{name}/runs", json={"inputs": {"name": "payments"}}).json
        whole.add(run["id"])
        steps |= {step["id"] for step in run["steps"] if step["id"]}
    assert found(ada, TEMPLATE_RUNS, template="Launch a Straßen Service") == whole
    assert found(ada, template="Launch a Straßen Service") == steps
