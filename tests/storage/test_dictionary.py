"""The dictionary of search: learning what is there already, also of versions before it, and being of values and not of runs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from flask import Flask
from sqlalchemy import delete, func, select

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner import sweeper
from portal_actions_plugin.runs.dictionary import catch_up, terms
from portal_actions_plugin.runs.dictionary.values import seen_in
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading, transaction
from tests.support.page_rows import ADA, BOB, add_action_run, add_template_run
from tests.support.statements import counting

NAMES = ("action", "template", "title", "step_id", "step_name", "requested_by", "requester_name", "entity")


@pytest.fixture
def history(app: Flask) -> None:
    """Runs as a version left them that knew no dictionary."""
    add_template_run("success", ("success", "success"), entity="component:default/orders", **BOB)
    for number in range(5):
        add_action_run("failed", action="http.request@v1", entity=f"component:shop/thing-{number}", **ADA)


def a_round() -> int:
    """Everything that a round of passes adds, from its beginning."""
    extension().kept.clear()
    added = 0
    place = None
    while place is None or place.rest_until < 0:
        added += catch_up.catch_up()
        place = extension().kept[f"{catch_up.__name__}.round"]
    return added


def called(name: str, fields: Sequence[str] = NAMES) -> dict[str, tuple[str, ...]]:
    with reading() as db:
        return dict(terms.named(db, name, fields))


def number_of_terms() -> int:
    with reading() as db:
        (row,) = db.rows(select(func.count().label("number")).select_from(tables.search_terms))
    number: int = row["number"]
    return number


@pytest.mark.usefixtures("history")
def test_sweepers_learn_what_was_there_before_and_what_older_versions_write_meanwhile(app: Flask) -> None:
    assert called("orders") == {}
    for _ in catch_up.SHELVES:
        assert sweeper.sweep().failed == ()
    assert called("orders") == {"entity": ("component:default/orders",)}
    assert called("Bob Kahn") == {"requester_name": ("Bob Kahn",)}
    assert called("bob@example.com") == {"requested_by": ("user:bob@example.com",)}
    assert called("create the repository") == {"step_id": ("create-repo",)}
    assert called("http.request") == {"action": ("http.request@v1",)}
    add_action_run("failed", action="http.request@v1", entity="component:default/payments")
    sweeper.sweep()
    assert called("payments") == {}, "it rests between rounds"
    assert a_round() == 1
    assert called("payments") == {"entity": ("component:default/payments",)}


@pytest.mark.usefixtures("history")
def test_a_round_that_finds_nothing_new_only_reads(app: Flask) -> None:
    assert a_round() > 10
    before = number_of_terms()
    with counting(app) as said:
        assert a_round() == 0
    assert not [statement for statement in said if statement.startswith(("INSERT", "UPDATE", "DELETE"))]
    assert number_of_terms() == before


@pytest.mark.usefixtures("history")
def test_values_however_many_are_learnt_in_batches(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    a_round()
    whole = number_of_terms()
    with transaction("test") as tx:
        tx.execute(delete(tables.search_terms))
    monkeypatch.setattr(catch_up, "VALUES_A_BATCH", 2)
    a_round()
    assert number_of_terms() == whole


@pytest.mark.usefixtures("history")
def test_more_runs_with_the_same_values_are_no_more_words(app: Flask) -> None:
    a_round()
    before = number_of_terms()
    for _ in range(5):
        add_action_run("success", action="http.request@v1", entity="component:shop/thing-1", **ADA)
    assert a_round() == 0
    assert number_of_terms() == before


def test_a_process_remembers_a_bounded_number_of_values_and_forgets_to_no_harm(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terms, "KNOWN", 2)
    for name in ("one", "two", "three", "one"):
        with transaction("test") as tx:
            terms.keep(tx, seen_in("entity", f"component:default/{name}"))
    assert called("one") == {"entity": ("component:default/one",)}
    assert called("three") == {"entity": ("component:default/three",)}
