"""Search by prefix: what it finds, in which order, page by page, and that it never reads a whole table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, insert, update

from portal_actions_plugin.runs.dictionary import terms
from portal_actions_plugin.runs.dictionary.of_runs import seen_of_one_off
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.runs.reading.paging import PIECE
from portal_actions_plugin.runs.reading.search import engine
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import database, new_id, reading, transaction
from portal_actions_plugin.storage.sql import now_plus

RUNS = 400


@pytest.fixture
def runs(app: Flask, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """One-offs, oldest first: the first hundred of one entity, then every tenth of Grace's, the rest of Ada's."""
    monkeypatch.setattr(engine, "FIRST_LOOK", 20)
    made = [
        {
            "id": new_id(),
            "action": "debug.log@v1" if place % 2 else "debug.wait@v1",
            "status": "failed" if place % 5 == 0 else "success",
            "requested_by": "user:grace" if place % 10 == 0 else "user:ada",
            "requester_name": "Grace Hopper" if place % 10 == 0 else "Ada_Lovelace",
            "entity": f"Legacy:thing-{place % 3}" if place < 100 else None,
        }
        for place in range(RUNS)
    ]
    with transaction("test") as tx:
        for run in made:
            fixed = {"queue": "default", "max_attempts": 1, "queued_at": now_plus(0)}
            tx.execute(insert(tables.action_runs).values(**run, **fixed))
            terms.keep(tx, seen_of_one_off(run["action"], run))
    return made


def pages(wanted: RunFilter, limit: int = 7) -> Iterator[list[str]]:
    cursor = None
    while True:
        found = queries.action_runs(wanted, limit=limit, cursor=cursor)
        yield [run.id for run in found.items]
        cursor = found.next_cursor
        if cursor is None:
            return


@pytest.mark.parametrize(
    ("q", "fits"),
    [
        ("user:", lambda run: True),
        ("ADA", lambda run: run["requester_name"].startswith("Ada")),
        ("ada_", lambda run: run["requester_name"].startswith("Ada")),
        ("ada%", lambda run: False),
        ("grace h", lambda run: run["requested_by"] == "user:grace"),
        ("legacy:", lambda run: run["entity"] is not None),
        ("LEGACY:thing-1", lambda run: run["entity"] == "Legacy:thing-1"),
        ("debug.w", lambda run: run["action"] == "debug.wait@v1"),
        ("nobody", lambda run: False),
    ],
)
def test_it_finds_all_that_begins_so_newest_first_page_by_page(runs: list[dict[str, Any]], q: str, fits: Any) -> None:
    expected = [run["id"] for run in reversed(runs) if fits(run)]
    assert [run_id for page in pages(RunFilter(q=q)) for run_id in page] == expected


def test_a_run_is_found_by_the_beginning_of_its_id(runs: list[dict[str, Any]]) -> None:
    run_id = runs[123]["id"]
    for q in (run_id, run_id.upper(), run_id.replace("-", ""), run_id[:-2]):
        assert run_id in [found for page in pages(RunFilter(q=q)) for found in page]
    assert [found for page in pages(RunFilter(q=run_id)) for found in page] == [run_id]


def test_other_filters_narrow_it_however_few_are_left(runs: list[dict[str, Any]]) -> None:
    expected = [run["id"] for run in reversed(runs) if run["entity"] and run["status"] == "failed"]
    wanted = RunFilter(q="legacy:", status=("failed",))
    assert [run_id for page in pages(wanted, limit=1) for run_id in page] == expected


def test_its_pages_lead_back_to_newer_ones(runs: list[dict[str, Any]]) -> None:
    wanted = RunFilter(q="legacy:")
    first = queries.action_runs(wanted, limit=10)
    second = queries.action_runs(wanted, limit=10, cursor=first.next_cursor)
    back = queries.action_runs(wanted, limit=10, cursor=second.previous_cursor)
    assert back.items == first.items
    assert back.previous_cursor is None


def test_a_page_of_many_pieces_is_whole_and_leads_back(runs: list[dict[str, Any]]) -> None:
    newest_first = [run["id"] for run in reversed(runs)]
    assert [run_id for page in pages(RunFilter(), limit=2 * PIECE) for run_id in page] == newest_first
    assert [run_id for page in pages(RunFilter(q="user:"), limit=2 * PIECE) for run_id in page] == newest_first
    second = queries.action_runs(RunFilter(), limit=150, cursor=queries.action_runs(RunFilter(), limit=150).next_cursor)
    back = queries.action_runs(RunFilter(), limit=150, cursor=second.previous_cursor)
    assert [run.id for run in back.items] == newest_first[:150]


def test_a_rare_status_is_found_below_what_is_walked_through(runs: list[dict[str, Any]]) -> None:
    oldest = runs[3]["id"]
    with transaction("test") as tx:
        tx.execute(update(tables.action_runs).values(status="canceled").where(tables.action_runs.c.id == oldest))
    for q in ("user:", "legacy:", "LEGACY:thing-0", oldest[:13]):
        assert [run.id for run in queries.action_runs(RunFilter(q=q, status=("canceled",)), limit=5).items] == [oldest]


@pytest.mark.parametrize(
    ("wanted", "most"),
    [
        (RunFilter(), 1),
        (RunFilter(status=("failed",)), 1),
        (RunFilter(q="user:"), 2),  # the newest rows, and what is on the page
        (RunFilter(q="Legacy:thing-1"), 4),  # what the word means, and the rows that have it
        (RunFilter(q="nobody"), 2),
    ],
    ids=str,
)
def test_a_whole_page_takes_few_statements(runs: list[dict[str, Any]], wanted: RunFilter, most: int) -> None:
    assert len(selects(wanted)) == most


def selects(wanted: RunFilter, limit: int = 5) -> list[tuple[str, Any]]:
    """What a page sends to the database."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            seen.append((statement, parameters))

    event.listen(database().engine, "before_cursor_execute", note)
    queries.action_runs(wanted, limit=limit)
    event.remove(database().engine, "before_cursor_execute", note)
    return seen


@pytest.mark.parametrize(
    "wanted",
    [RunFilter(q=q) for q in ("legacy:", "legacy:thing-1", "grace", "nobody")]
    + [
        RunFilter(status=("failed",)),
        RunFilter(requested_by="user:grace"),
        RunFilter(entity="Legacy:thing-1"),
        RunFilter(),
    ],
    ids=str,
)
def test_no_list_reads_a_whole_table(runs: list[dict[str, Any]], wanted: RunFilter) -> None:
    engine = database().engine
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")
    seen = selects(wanted)
    assert seen
    for statement, parameters in seen:
        for line in _plan(statement, parameters):
            assert "SCAN portal_actions_action_runs" not in line or "sqlite_autoindex" in line, line
            assert "Seq Scan on portal_actions" not in line, line


def _plan(statement: str, parameters: Any) -> list[str]:
    with reading() as db:
        connection = db._connection
        if connection.dialect.name == "sqlite":
            return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
        # A table of a few pages is read as a whole, whatever its indexes.
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        return [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)]
