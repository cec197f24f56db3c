"""Which index answers which query, by the database's own plan: nothing that is asked all the time reads a whole table."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from flask import Flask
from sqlalchemy import Engine, Index, TextClause, event, inspect, select, text, update

from benchmarks import seed
from portal_actions_plugin.extension import extension
from portal_actions_plugin.run_types import AuditEntry, Origin
from portal_actions_plugin.runner import recovery, sweeper
from portal_actions_plugin.runs import accept, audit, service
from portal_actions_plugin.runs.accept import Start
from portal_actions_plugin.runs.changes import claims, due, locks, log_lines, transitions
from portal_actions_plugin.runs.changes.claims import LeaseLostError, StepRef
from portal_actions_plugin.runs.changes.log_lines import Line
from portal_actions_plugin.runs.changes.transitions import Result
from portal_actions_plugin.runs.dictionary import catch_up
from portal_actions_plugin.runs.guards import limits
from portal_actions_plugin.runs.news import doorbells
from portal_actions_plugin.runs.reading import audit_trail, queries, related
from portal_actions_plugin.runs.reading.audit_trail import AuditFilter
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.runs.states import QUEUED, STATUSES
from portal_actions_plugin.storage import migrations, tables
from portal_actions_plugin.storage.sessions import Database, Transaction, database, reading, transaction
from portal_actions_plugin.storage.sql import now_plus
from tests.support.definitions import definitions
from tests.support.run_helpers import ADA, work_off

RUNS = 5_000
"""So many that PostgreSQL reads none of the tables whole where an index does."""

QUEUED_RUNS = 400

_NOT_BY_ID = r"(?! \(status=\? AND id=\?\)|.*\n\s*Index Cond: .* AND \(id = )"
"""Of the index of status and id, which serves as well as the primary key where a guarded UPDATE says both."""

SOMEBODY = "user:person-001@example.com"
TOKEN = str(uuid.uuid4())

Query = Callable[[Transaction], object]


def _start() -> Start:
    return cast("Start", SimpleNamespace(origin=Origin("component:default/orders", "basics", "readme")))


def distinct_values() -> None:
    with reading() as db:
        for shelf in range(len(catch_up.SHELVES)):
            db.rows(catch_up._next_values(shelf), {"after": "", "many": 1000})


def learn_all_words() -> None:
    """Have a sweeper go through all the values that there are: few enough for two passes each."""
    extension().kept.clear()
    for _ in range(2 * len(catch_up.SHELVES)):
        catch_up.catch_up()


QUERIES: Mapping[str, tuple[Query, set[str]]] = {
    # The sweeper's.
    "rings that are due": (lambda tx: doorbells.take_due(tx, 200, 30), {"action_runs_to_ring"}),
    "leases that ran out": (claims.note_lapses, {"action_runs_status_id"}),
    "locks of lapsed leases": (lambda tx: locks.free_lapsed(tx, 10), {"action_runs_held_lock_key"}),
    # A job process's, and its parent's.
    "the oldest due run": (lambda tx: due.oldest(tx, "default", 5), {"action_runs_ready"}),
    "the leases of a process": (lambda tx: claims.renew(tx, TOKEN, 30), {"action_runs_process_token"}),
    "whether a lock is free": (
        lambda tx: tx.rows(
            select(tables.action_runs.c.id).where(tables.action_runs.c.id == TOKEN, *locks.is_free("shop"))
        ),
        {"action_runs_held_lock_key", "action_runs_lock_queue"},
    ),
    "who is next for a lock": (lambda tx: locks.take_next_in_line(tx, "shop", 30), {"action_runs_lock_queue"}),
    "whether a run is a process's": (lambda tx: claims.is_ours(tx, TOKEN, TOKEN), set()),
    "the links of an attempt": (lambda tx: transitions.keep_links(tx, TOKEN, TOKEN, ()), set()),
    "the end of an attempt": (lambda tx: end_of_an_attempt(tx, TOKEN), set()),
    "the lines of an attempt": (
        lambda tx: log_lines.add_all(tx, [Line(TOKEN, TOKEN, seq=1, attempt=1, level="info", message="")]),
        set(),
    ),
    # A start's.
    "an active fix": (
        lambda tx: accept._active_fix(tx, _start()),
        {"template_runs_active_dedupe_key", "action_runs_active_dedupe_key"},
    ),
    "what is left to start": (
        lambda tx: limits.quota(tx, SOMEBODY, extension().config.rate_limit),
        {"template_runs_requested_by_queued_at", "action_runs_one_offs"},
    ),
    "refusals just now": (
        lambda tx: audit.record_refusal(tx, AuditEntry(SOMEBODY, "action_run.start", audit.DENIED, "debug.log@v1")),
        {"audit_refusals"},
    ),
}
"""Within a transaction, with the indexes that each has to take beside those that find a row by its id."""

READS: Mapping[str, tuple[Callable[[], object], set[str]]] = {
    "ends of action runs that nobody was told": (
        lambda: sweeper._unannounced(tables.action_runs),
        {"action_runs_to_announce"},
    ),
    "ends of template runs that nobody was told": (
        lambda: sweeper._unannounced(tables.template_runs),
        {"template_runs_to_announce"},
    ),
    "leases that ran out for good": (lambda: recovery.lapsed(10, 200), {"action_runs_status_id"}),
    "a page of failures in the audit": (
        lambda: audit_trail.entries(AuditFilter(outcome="failed"), limit=50),
        {"audit_outcome_id"},
    ),
    "a page of what somebody did": (
        lambda: audit_trail.entries(AuditFilter(actor=SOMEBODY), limit=50),
        {"audit_actor_id"},
    ),
    "a page of what was accepted": (lambda: audit_trail.entries(AuditFilter(outcome="accepted"), limit=50), set()),
    "a search for a rare word": (
        lambda: queries.action_runs(RunFilter(q="zoe@example"), limit=50),
        {"action_runs_requested_by"},
    ),
    "a search for two common words": (
        lambda: queries.action_runs(RunFilter(q="createrepo create-service-09"), limit=50),
        {"action_runs_action", "action_runs_template"},
    ),
    "a search for a word of several values": (
        lambda: queries.action_runs(RunFilter(q="service-0042 service-0043"), limit=50),
        {"action_runs_entity"},
    ),
    "a search by a template run's id": (
        lambda: queries.action_runs(RunFilter(q=str(uuid.UUID(int=2**127))), limit=50),
        {"action_runs_place"},
    ),
    "a list by somebody's name": (
        lambda: queries.action_runs(RunFilter(requested_by="Person 42"), limit=50),
        {"action_runs_requester_name"},
    ),
    "the distinct values of all columns": (
        distinct_values,
        {
            *(f"template_runs_{name}" for name in ("template", "requested_by", "requester_name", "entity")),
            *(f"action_runs_{name}" for name in ("step_id", "action", "requested_by", "requester_name", "entity")),
        },
    ),
    "the retries of a page's runs": (
        lambda: related.retry_ids(ids_of(tables.template_runs), ids_of(tables.action_runs)),
        {"template_runs_retry_of", "action_runs_retry_of"},
    ),
    "the runs that are named by others": (lambda: related.action_runs_by_id(ids_of(tables.action_runs)), set()),
    "the steps of a page's template runs": (
        lambda: queries.template_runs(RunFilter(), limit=50),
        {"action_runs_place"},
    ),
    "a page of successes": (lambda: audit_trail.entries(AuditFilter(outcome="success"), limit=50), set()),
}
"""The same for what opens a transaction of its own."""


def ids_of(table: tables.RunTable) -> list[str]:
    """As many as a page has."""
    with reading() as db:
        return [row["id"] for row in db.rows(select(table.c.id).order_by(table.c.id).limit(50))]


def end_of_an_attempt(tx: Transaction, run_id: str) -> None:
    with pytest.raises(LeaseLostError):
        transitions.succeed(tx, StepRef(run_id, None), TOKEN, Result())


@pytest.fixture
def filled(app: Flask) -> Flask:
    """A portal with a history and a long queue, of which a part waits for locks."""
    seed.fill(extension().database, RUNS)
    with transaction("test") as tx:
        newest = select(tables.action_runs.c.id).order_by(tables.action_runs.c.id.desc()).limit(QUEUED_RUNS)
        ended = {"status": QUEUED, "finished_at": None, "announced_at": None, "ring_again_at": now_plus(60)}
        tx.execute(update(tables.action_runs).where(tables.action_runs.c.id.in_(newest)).values(ended))
        last = newest.limit(QUEUED_RUNS // 4)
        tx.execute(update(tables.action_runs).where(tables.action_runs.c.id.in_(last)).values(lock_key="somebody's"))
    learn_all_words()
    if database().engine.dialect.name == "postgresql":
        with transaction("test") as tx:
            tx.execute(text("ANALYZE"))
    return app


def test_each_query_is_answered_by_its_indexes(filled: Flask) -> None:
    wanted = {name: indexes for name, (_, indexes) in (*QUERIES.items(), *READS.items())}
    taken = {}
    for name, (query, _) in QUERIES.items():
        with sent() as statements, transaction("test") as tx:
            query(tx)
        taken[name] = indexes_of(statements)
    for name, (read, _) in READS.items():
        with sent() as statements:
            read()
        taken[name] = indexes_of(statements)
    assert taken == wanted


def test_sqlite_reads_a_page_of_one_status_in_its_order(filled: Flask) -> None:
    """Also of queued runs, which other indexes find but do not have in that order."""
    if database().engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by how many there are")
    for status in STATUSES:
        with sent() as statements:
            queries.action_runs(RunFilter(status=(status,)), limit=50)
        assert indexes_of(statements) == {"action_runs_status_id"}


def test_an_ordinary_run_leaves_nothing_in_indexes_of_what_is_not(app: Flask) -> None:
    service.start_template_run(ADA, "two-steps", {"name": "orders"})
    assert work_off() == 2
    partial = [
        index for table in tables.metadata.tables.values() for index in table.indexes if condition(index) is not None
    ]
    left = {str(index.name).partition("portal_actions_")[2] for index in partial if rows_in(index)}
    assert left == {
        "template_runs_finished_at",
        "action_runs_finished_at",
        "action_runs_process_token",
        "action_runs_template",
        "action_runs_step_id",
    }


@contextmanager
def sent() -> Iterator[list[tuple[str, Any]]]:
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, given: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "WITH")):
            statements.append((statement, given))

    engine = database().engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


def indexes_of(statements: list[tuple[str, Any]]) -> set[str]:
    """The indexes that these statements take, but for those that find a row by its id; no table is read whole."""
    assert statements
    engine = database().engine
    explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    with engine.connect() as connection:
        plan = "\n".join(
            str(row[-1])
            for statement, given in statements
            for row in connection.exec_driver_sql(f"{explain} {statement}", given)
        )
    assert not re.search(r"Seq Scan on portal_|SCAN portal_\w+$", plan, re.MULTILINE), plan
    return set(re.findall(rf"(?:ix|uq)_portal_actions_(\w+)\b{_NOT_BY_ID}", plan))


def condition(index: Index) -> TextClause | None:
    found: TextClause | None = index.dialect_options[database().engine.dialect.name]["where"]
    return found


def rows_in(index: Index) -> int:
    """How many rows a partial index has: those that its condition holds for."""
    assert index.table is not None
    with transaction("test") as tx:
        return len(tx.rows(select(*index.table.primary_key).where(condition(index))))


# -- from the tables before, and back ----------------------------------------------------------------------------------


@pytest.fixture
def store(database_url: str) -> Iterator[Database]:
    store = Database(database_url)
    yield store
    store.close_connections()


def test_the_way_down_and_up_keeps_every_row(store: Database) -> None:
    seed.fill(store, 200)
    before = contents(store.engine)
    assert all(
        before[row.name] for row in (tables.template_runs, tables.action_runs, tables.attempts, tables.log_lines)
    )
    migrations.downgrade(store, "0005")
    for name, rows in contents(store.engine).items():
        assert rows == [
            {column: row[column] for column in found} for row, found in zip(before[name], rows, strict=True)
        ]
    migrations.upgrade(store)
    made_anew = {
        tables.database_identity.name: None,
        tables.search_terms.name: None,
    }  # a sweep fills the dictionary again
    assert contents(store.engine) | made_anew == before | made_anew
    with store.transaction("test") as tx:
        tx.execute(text("DELETE FROM portal_actions_template_runs"))
        tx.execute(text("DELETE FROM portal_actions_action_runs"))
    after = contents(store.engine)
    assert after[tables.attempts.name] == after[tables.log_lines.name] == [], "what belongs to a run goes with it"


def test_the_way_down_leads_to_what_was_there_before(store: Database) -> None:
    migrations.downgrade(store, "base")
    migrations.upgrade(store, "0005")
    was = definitions(store.engine)
    migrations.upgrade(store)
    assert definitions(store.engine) != was
    migrations.downgrade(store, "0005")
    assert definitions(store.engine) == was


def test_sqlite_keeps_attempts_and_lines_in_their_primary_keys(sqlite_url: str) -> None:
    store = Database(sqlite_url)
    without = {name for name, sql in definitions(store.engine).items() if "WITHOUT ROWID" in sql}
    store.close_connections()
    assert without == {row.name for row in (tables.attempts, tables.log_lines, tables.search_terms)}


def contents(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """The rows of each table that there is, with those of today's columns that it has."""
    there = inspect(engine)
    found = {}
    for name in set(there.get_table_names()) & set(tables.metadata.tables):
        table = tables.metadata.tables[name]
        columns = [table.c[column["name"]] for column in there.get_columns(name)]
        with engine.connect() as connection:
            rows = connection.execute(select(*columns).order_by(*table.primary_key)).mappings()
            found[name] = [dict(row) for row in rows]
    return found
