"""The statements of lists and of a run's page: kept for each kind of list, without values, and few."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from portal_actions_plugin.runs.reading import list_statements, queries
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import database
from tests.support.page_rows import ADA, BOB, add_action_run, add_log, add_template_run, ago

FILTERS = (
    ("status", ("failed",), ("success",)),
    ("action", "debug.log@v1", "debug.wait@v1"),
    ("template", "create-service", "other"),
    ("requested_by", ADA["requested_by"], BOB["requested_by"]),
    ("entity", "component:orders", "component:payments"),
)


@pytest.fixture
def visitor(app: Flask) -> FlaskClient:
    visitor = app.test_client()
    visitor.set_cookie("person", "ada")
    return visitor


@contextmanager
def statements() -> Iterator[list[str]]:
    """What is sent to the database meanwhile, but for what begins and ends a transaction."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement != "BEGIN":
            sent.append(statement)

    event.listen(database().engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(database().engine, "before_cursor_execute", note)


@pytest.mark.parametrize(("name", "one", "other"), FILTERS, ids=[name for name, *_ in FILTERS])
def test_a_kept_statement_finds_by_the_values_of_each_request(app: Flask, name: str, one: Any, other: Any) -> None:
    ids = {}
    for value in (one, other):
        column, kept = name, value[0] if name == "status" else value
        ids[value] = add_action_run(**{"status": "canceled", "action": "http.request@v1", column: kept})
    for value in (one, other, one):
        found = queries.action_runs(RunFilter(**{name: value}), limit=5).items
        assert [run.id for run in found] == [ids[value]]
        assert not queries.action_runs(RunFilter(**{name: value}, q="nobody"), limit=5).items
        found = queries.action_runs(RunFilter(**{name: value}, q=ids[value]), limit=5).items
        assert [run.id for run in found] == [ids[value]]
    assert len(queries.action_runs(RunFilter(), limit=5).items) == 2, "another kind of list has another statement"


def test_several_statuses_are_the_same_kind_of_list_as_one(app: Flask) -> None:
    made = {status: add_action_run(status) for status in ("failed", "success", "canceled")}
    for wanted in (("failed",), ("canceled", "failed"), ("failed", "success", "canceled"), ("success",)):
        found = queries.action_runs(RunFilter(status=wanted), limit=5).items
        assert {run.id for run in found} == {made[status] for status in wanted}


def test_times_are_of_each_request(app: Flask) -> None:
    old, new = (add_action_run(queued_at=ago(seconds)) for seconds in (7200, 60))
    for seconds, expected in ((3600, [new]), (10_000, [new, old]), (10, [])):
        found = queries.action_runs(RunFilter(since=ago(seconds)), limit=5).items
        assert [run.id for run in found] == expected
    for seconds, expected in ((3600, [old]), (10, [new, old])):
        found = queries.action_runs(RunFilter(until=ago(0) - timedelta(seconds=seconds)), limit=5).items
        assert [run.id for run in found] == expected


def test_the_same_filters_are_one_statement_and_others_another(app: Flask) -> None:
    wanted = [RunFilter(), RunFilter(status=("failed",)), RunFilter(status=("failed", "success"))]
    wanted += [RunFilter(status=("failed",), template="other"), RunFilter(template="other", until=ago(0))]
    for narrowed in wanted:
        queries.action_runs(narrowed, limit=5)  # what a first read notes is read no more
    with statements() as first:
        found = [list(queries.action_runs(narrowed, limit=5).items) for narrowed in wanted]
    with statements() as again:
        assert [list(queries.action_runs(narrowed, limit=5).items) for narrowed in wanted] == found
    of_runs = [statement for statement in first if "portal_actions_action_runs" in statement]
    assert len(set(of_runs)) == len(of_runs) == len(wanted)
    assert again == first
    kinds = [
        list_statements.ListKind(table=tables.action_runs, filters=filters, older=older)
        for filters in ((), ("status",), ("statuses",), ("template",))
        for older in (True, False)
    ]
    for kind in kinds:
        assert list_statements.statement_of(kind) is list_statements.statement_of(kind)


def test_a_list_reads_nothing_that_only_workers_need(app: Flask) -> None:
    add_action_run("running")
    with statements() as sent:
        queries.action_runs(RunFilter(), limit=5)
    (statement,) = sent
    for name in ("secrets", "process_token", "dedupe_key", "ring_again_at", "lock_held"):
        assert f"{name}," not in statement


@pytest.mark.usefixtures("no_renewals")
def test_an_unchanged_list_takes_two_statements(visitor: FlaskClient) -> None:
    add_action_run()
    state = visitor.get("/actions").headers["ETag"]
    with statements() as sent:
        assert visitor.get("/actions", headers={"If-None-Match": state}).status_code == 304
    assert len(sent) == 2, sent  # the runs, and how many are active


@pytest.mark.usefixtures("no_renewals")
def test_an_unchanged_run_page_takes_four_statements_however_many_steps_it_has(visitor: FlaskClient) -> None:
    for statuses in (("success",), ("success",) * 4):
        run_id, steps = add_template_run("success", statuses)
        for step in steps:
            add_log(step, "one", "two")
        address = f"/templates/runs/{run_id}"
        state = visitor.get(address).headers["ETag"]
        with statements() as sent:
            assert visitor.get(address, headers={"If-None-Match": state}).status_code == 304
        assert len(sent) == 4, sent  # the run, its steps, their attempts, and how far their logs go
