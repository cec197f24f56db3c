"""Statements that are compiled once: they take, refuse and give what SQLAlchemy's own way would."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import ClauseElement, Column, MetaData, String, Table, bindparam, event, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidRequestError, OperationalError, StatementError

from portal_actions_plugin.runner.process.interruptions import TimeLimitError, time_limit
from portal_actions_plugin.runs.states import ACTIVE
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Database, Transaction, new_id
from portal_actions_plugin.storage.sql import now_plus
from portal_actions_plugin.storage.statements import CompiledOnce

ADD = CompiledOnce(insert(tables.audit).values(at=now_plus(0), last_at=now_plus(0)).returning(tables.audit))
ADD_ONE = CompiledOnce(insert(tables.audit).values(at=now_plus(0), last_at=now_plus(0)))
ENTRY: dict[str, Any] = {"actor": "user:ann", "event": "start", "outcome": "accepted", "target": "50 % of it: all"}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close_connections()


@pytest.fixture
def tx(database: Database) -> Iterator[Transaction]:
    with database.rehearsing() as tx:
        yield tx


def test_rows_are_read_as_sqlalchemy_reads_them(tx: Transaction) -> None:
    entry_id = new_id()
    added = tx.row(ADD, {"id": entry_id, "details": {"a": [1, None]}, "run_id": None, **ENTRY})
    assert added == tx.row(select(tables.audit))
    assert added
    assert (added["id"], added["details"], added["run_id"]) == (entry_id, {"a": [1, None]}, None)
    assert isinstance(added["at"], datetime)
    assert added["at"].tzinfo


def test_a_column_that_is_not_given_has_its_default(tx: Transaction) -> None:
    added = tx.row(ADD, {"id": new_id(), **ENTRY})
    assert added
    assert added["count"] == 1


def test_another_set_of_values_is_another_statement(tx: Transaction) -> None:
    plain = tx.row(ADD, {"id": new_id(), **ENTRY})
    detailed = tx.row(ADD, {"id": new_id(), **ENTRY, "details": {"x": 1}, "count": 7})
    assert plain
    assert detailed
    assert (plain["details"], plain["count"]) == (None, 1)
    assert (detailed["details"], detailed["count"]) == ({"x": 1}, 7)


def test_a_list_in_the_statement_itself_is_bound(tx: Transaction) -> None:
    which = CompiledOnce(
        select(tables.action_runs.c.id).where(
            tables.action_runs.c.status.in_(ACTIVE), tables.action_runs.c.action == bindparam("what", type_=String())
        )
    )
    assert tx.rows(which, {"what": "debug.log@v1"}) == []


def test_a_list_among_the_values_is_refused(tx: Transaction) -> None:
    which = CompiledOnce(select(tables.audit.c.id).where(tables.audit.c.actor.in_(bindparam("actors", expanding=True))))
    with pytest.raises(ValueError, match="actors"):
        tx.rows(which, {"actors": ["a", "b"]})


@pytest.mark.parametrize(
    "clause",
    [
        select(tables.audit.c.id).where(tables.audit.c.actor == bindparam("who", callable_=lambda: "user:ann")),
        select(tables.audit.c.id).where(tables.audit.c.actor == bindparam("who", "user:ann", literal_execute=True)),
        insert(Table("made", MetaData(), Column("who", String), Column("id", String, default=new_id))),
        update(Table("made", MetaData(), Column("who", String), Column("at", String, onupdate=new_id))),
    ],
)
def test_what_is_made_anew_for_each_use_is_refused(tx: Transaction, clause: ClauseElement) -> None:
    with pytest.raises(ValueError, match="for each use"):
        tx.changed(CompiledOnce(clause), {"who": "user:bob"})


def test_several_rows_are_added_at_once(tx: Transaction) -> None:
    add = CompiledOnce(insert(tables.audit).values(at=now_plus(0), last_at=now_plus(0)))
    tx.add(add, [{"id": new_id(), **ENTRY, "actor": f"user:{number}"} for number in range(3)])
    assert [row["actor"] for row in tx.rows(select(tables.audit.c.actor).order_by(tables.audit.c.id))] == [
        "user:0",
        "user:1",
        "user:2",
    ]


def test_changed_says_how_many_rows_were_hit(tx: Transaction) -> None:
    tx.changed(ADD, {"id": new_id(), **ENTRY})
    rename = CompiledOnce(update(tables.audit).where(tables.audit.c.actor == bindparam("who", type_=String())))
    assert tx.changed(rename, {"who": "user:ann", "target": "another"}) == 1
    assert tx.changed(rename, {"who": "user:bob", "target": "another"}) == 0


def test_a_value_that_is_missing_is_refused_before_the_database_is_asked(tx: Transaction) -> None:
    which = CompiledOnce(select(tables.audit.c.id).where(tables.audit.c.actor == bindparam("who", type_=String())))
    tx.rows(which, {"who": "user:ann"})
    with pytest.raises(InvalidRequestError, match="'who'"):
        tx.rows(which)


def test_a_value_that_is_none_for_its_column_is_a_statement_error(tx: Transaction) -> None:
    late = CompiledOnce(update(tables.audit).where(tables.audit.c.actor == bindparam("who", type_=String())))
    with pytest.raises(StatementError, match="has no time zone") as refused:
        tx.changed(late, {"who": "hunter2", "at": datetime(2026, 1, 1)})  # noqa: DTZ001 that is what is wrong with it
    assert not isinstance(refused.value, OperationalError)
    assert "hunter2" not in str(refused.value)


def test_a_row_that_is_there_already_is_an_integrity_error_without_its_values(tx: Transaction) -> None:
    entry_id = new_id()
    tx.changed(ADD, {"id": entry_id, **ENTRY})
    with pytest.raises(IntegrityError) as refused:
        tx.changed(ADD, {"id": entry_id, **ENTRY, "target": "hunter2"})
    assert "hunter2" not in str(refused.value)


def test_whoever_watches_statements_sees_them_and_nothing_is_another(tx: Transaction) -> None:
    entry_id, rename = new_id(), CompiledOnce(update(tables.audit))
    seen: list[str] = []
    engine = tx._connection.engine

    def watch(*call: Any) -> None:
        seen.append(call[2])

    event.listen(engine, "before_cursor_execute", watch)
    try:
        watched = tx.row(ADD, {"id": entry_id, **ENTRY})
        hit = tx.changed(rename, {"target": "another"})
        tx.add(ADD_ONE, [{"id": new_id(), **ENTRY}, {"id": new_id(), **ENTRY}])
    finally:
        event.remove(engine, "before_cursor_execute", watch)
    assert [statement.split()[0] for statement in seen] == ["INSERT", "UPDATE", "INSERT"]
    assert hit == 1
    assert watched
    assert watched | {"target": "another"} == tx.row(select(tables.audit).where(tables.audit.c.id == entry_id))
    assert tx.changed(rename, {"target": "a third"}) == 3


def test_bare_rows_have_the_values_of_the_columns_in_their_order(tx: Transaction) -> None:
    tx.changed(ADD, {"id": new_id(), **ENTRY})
    some = select(tables.audit.c.id, tables.audit.c.at, tables.audit.c.target, tables.audit.c.details)
    kept = CompiledOnce(some)
    assert [tuple(row) for row in tx.tuples(kept)] == [tuple(row.values()) for row in tx.rows(kept)]
    assert [tuple(row) for row in tx.tuples(some)] == [tuple(row) for row in tx.tuples(kept)]


def test_a_lost_connection_is_an_operational_error_and_used_no_more(database: Database) -> None:
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no server")
    count = CompiledOnce(select(tables.workers.c.name).where(tables.workers.c.queue == bindparam("of", type_=String())))
    with database.reading() as db:
        db.rows(count, {"of": "default"})
        with database.single_read() as other:
            end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            other.execute(text(f"{end} AND datname = current_database()"))
        with pytest.raises(OperationalError) as lost:
            db.rows(count, {"of": "default"})
    assert lost.value.connection_invalidated
    with database.reading() as db:
        assert db.rows(count, {"of": "default"}) == []


def test_a_time_limit_ends_a_statement_that_waits_and_its_connection(database: Database) -> None:
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite waits before its transaction begins")
    join = CompiledOnce(insert(tables.workers).values(started_at=now_plus(0), seen_at=now_plus(0)))
    worker = {"name": "w", "queue": "default", "host": "h", "pid": 1}
    with database._writer.connect() as other:
        join.run(other, worker)
        with pytest.raises(TimeLimitError), database.transaction("test") as tx, time_limit(0.2):
            tx.changed(join, worker)
    with database.transaction("test") as tx:
        assert tx.changed(join, worker) == 1


def test_whoever_has_statements_logged_sees_them(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "sqlalchemy.engine"), database.rehearsing() as tx:
        tx.changed(ADD_ONE, {"id": new_id(), **ENTRY})
    assert "INSERT INTO portal_actions_audit" in caplog.text


def test_reads_with_them_see_one_state(database: Database) -> None:
    count = CompiledOnce(select(tables.workers.c.name).where(tables.workers.c.queue == bindparam("of", type_=String())))
    join = CompiledOnce(insert(tables.workers).values(started_at=now_plus(0), seen_at=now_plus(0)))
    with database.reading() as db:
        assert not db.rows(count, {"of": "default"})
        with database._writer.begin() as other:
            join.run(other, {"name": "w", "queue": "default", "host": "h", "pid": 1})
        assert not db.rows(count, {"of": "default"})
    with database.reading() as db:
        assert len(db.rows(count, {"of": "default"})) == 1


def test_what_is_used_of_sqlalchemy_beside_its_documented_functions_is_there(tx: Transaction) -> None:
    """SQLAlchemy documents no way to run what was compiled before. A version without one of these needs another one."""
    dialect = tx._connection.dialect
    compiled = insert(tables.audit).values(at=now_plus(0)).compile(dialect=dialect, column_keys=["id", "actor"])
    expanded = compiled.construct_expanded_state({"id": new_id(), "actor": "user:ann"})
    assert {"statement", "positiontup", "processors", "parameters", "parameter_expansion"} <= set(expanded._fields)
    assert [column.key for column in compiled.prefetch] == ["count"]
    assert all({"callable", "literal_execute", "type"} <= set(dir(bind)) for bind in compiled.binds.values())
    assert tables.audit.c.count.default.is_scalar
    implementation = tables.audit.c.id.type.dialect_impl(dialect)
    assert callable(implementation.bind_processor)
    assert callable(implementation.result_processor)
    assert {"before_cursor_execute", "after_cursor_execute"} <= set(dir(tx._connection.dispatch))
    assert callable(dialect.is_disconnect)
    assert callable(DBAPIError.instance)
