"""Tables that change while others are at work, and the way back: nobody is ended, nothing is half done, and each is told."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from portal_actions_plugin.cli import actions
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.storage import migrations, tables
from portal_actions_plugin.storage.sessions import Database, new_id
from tests.support.definitions import definitions
from tests.support.run_helpers import ADA
from tests.support.waiting import wait_until

NEWEST = "0009"


@pytest.fixture
def store(database_url: str) -> Iterator[Database]:
    store = Database(database_url)
    yield store
    store.close_connections()


@pytest.fixture
def on_postgresql(store: Database) -> Database:
    if store.engine.dialect.name != "postgresql":
        pytest.skip("SQLite locks no table")
    return store


def begin_at(store: Database, revision: str) -> None:
    migrations.downgrade(store, "base")
    migrations.upgrade(store, revision)


def run_sql(store: Database, *statements: str) -> None:
    with store.transaction("test") as tx:
        for statement in statements:
            tx.execute(text(statement))


def command(app: Flask, *arguments: str, **kw: Any) -> Any:
    return app.test_cli_runner().invoke(actions, list(arguments), **kw)


# -- while others are at work ------------------------------------------------------------------------------------------


def waits_for_a_lock(engine: Engine) -> bool:
    asked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with engine.connect() as connection:
        return bool(connection.execute(text(asked)).scalar())


@pytest.mark.fault("33")
def test_an_upgrade_and_a_page_that_is_read_meanwhile_do_not_wait_for_each_other(on_postgresql: Database) -> None:
    begin_at(on_postgresql, "0003")
    engine = on_postgresql.engine
    with ThreadPoolExecutor(1) as pool, engine.connect() as page:
        page.execute(text("SELECT count(*) FROM portal_actions_action_runs"))
        upgraded = pool.submit(migrations.upgrade, on_postgresql)
        wait_until(lambda: waits_for_a_lock(engine), 60)
        page.execute(text("SELECT count(*) FROM portal_actions_template_runs"))
        page.rollback()
        upgraded.result()
    assert migrations.is_current(on_postgresql)


def test_writers_go_on_while_the_tables_go_up_and_down(store: Database) -> None:
    begin_at(store, "0003")
    run_id, step_id = new_id(), new_id()
    add_template_run(store, run_id)
    add_step(store, step_id, run_id)
    done, stop = [0, 0], threading.Event()

    def step(place: int) -> None:
        """Lock what a step locks, in its order."""
        while not stop.is_set():
            run_sql(
                store,
                f"UPDATE portal_actions_template_runs SET version = version + 1 WHERE id = '{sql_id(store, run_id)}'",
                f"UPDATE portal_actions_action_runs SET version = version + 1 WHERE id = '{sql_id(store, step_id)}'",
                "DELETE FROM portal_actions_workers WHERE pid = 0",
            )
            done[place] += 1

    def wait_for_both() -> None:
        before = list(done)
        wait_until(lambda: all(new > old for new, old in zip(done, before, strict=True)), 60)

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(step, place) for place in (0, 1)]
        try:
            for move, revision in (
                (migrations.upgrade, "head"),
                (migrations.downgrade, "0006"),
                (migrations.upgrade, "head"),
            ):
                wait_for_both()
                move(store, revision)
            wait_for_both()
        finally:
            stop.set()
        for writer in writers:
            writer.result()
    assert migrations.is_current(store)


@pytest.mark.fault("33")
def test_an_upgrade_that_is_kept_waiting_says_by_whom_and_changes_nothing(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = extension().database
    if database.engine.dialect.name != "postgresql":
        pytest.skip("SQLite locks no table")
    migrations.downgrade(database, "0006")
    with contextlib.suppress(ImportError):  # a version before this one waits as long as it takes
        from portal_actions_plugin.storage.migrations import stages

        monkeypatch.setattr(stages, "LOCK_PAUSES", (0.01,) * 2)
    with database.engine.connect() as somebody:
        pid = somebody.execute(text("SELECT pg_backend_pid()")).scalar()
        somebody.execute(text("LOCK TABLE portal_actions_template_runs IN ROW EXCLUSIVE MODE"))
        result = command(app, "db", "upgrade")
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert f"pid {pid} (" in result.output
    assert "The tables are at 0006 as before" in result.output
    assert migrations.standing(database).found == "0006"
    assert command(app, "db", "upgrade").exit_code == 0


def test_a_file_that_somebody_writes_to_for_long_is_told_as_such(
    make_app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portal_actions_plugin.storage import engines

    app = make_app()
    database = app.extensions["portal_actions"].database
    migrations.downgrade(database, "0006")
    with app.app_context(), database.transaction("test"):
        monkeypatch.setattr(engines, "BUSY_SECONDS", 0.01)
        result = command(app, "db", "upgrade")
    assert (result.exit_code, type(result.exception)) == (1, SystemExit)
    assert "database is locked" in result.output or "Somebody has been writing" in result.output


# -- stopped in between ------------------------------------------------------------------------------------------------


class StoppedError(Exception):
    """A process that is killed after so many statements."""


@contextlib.contextmanager
def stopped_after(statements: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from portal_actions_plugin.storage.migrations import stages

    left = statements

    def stopping(run: Callable[..., Any]) -> Callable[..., Any]:
        def run_or_stop(*args: Any, **kw: Any) -> Any:
            nonlocal left
            if not left:
                raise StoppedError
            left -= 1
            return run(*args, **kw)

        return run_or_stop

    with monkeypatch.context() as patch:
        patch.setattr(stages._OnSqlite, "_exec", stopping(stages._OnSqlite._exec))
        for name in ("_exec", "_run"):
            patch.setattr(stages._OnPostgresql, name, stopping(getattr(stages._OnPostgresql, name)))
        yield


@pytest.mark.parametrize(("start", "end", "move"), [("0006", NEWEST, "upgrade"), (NEWEST, "0005", "downgrade")])
def test_what_was_stopped_anywhere_is_gone_on_with(
    store: Database, monkeypatch: pytest.MonkeyPatch, start: str, end: str, move: str
) -> None:
    go = getattr(migrations, move)
    begin_at(store, end)
    wanted = definitions(store.engine)
    begin_at(store, start)
    for statements in range(100):
        with stopped_after(statements, monkeypatch), contextlib.suppress(StoppedError):
            go(store, end)
            break
    assert statements > 5
    assert migrations.standing(store).found == end
    assert definitions(store.engine) == wanted


def test_an_index_that_a_try_left_unfinished_is_made_again(on_postgresql: Database) -> None:
    begin_at(on_postgresql, "0006")
    run_id = new_id()
    add_template_run(on_postgresql, run_id)
    for step_id in ("one", "other"):
        add_step(on_postgresql, new_id(), run_id, step_id)
    with pytest.raises(DBAPIError, match="action_runs_place"):
        migrations.upgrade(on_postgresql)
    assert migrations.standing(on_postgresql).found == "0006"
    run_sql(on_postgresql, "UPDATE portal_actions_action_runs SET position = 1 WHERE step_id = 'other'")
    migrations.upgrade(on_postgresql)
    with on_postgresql.engine.connect() as connection:
        invalid = text("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")
        assert connection.execute(invalid).all() == []
    with pytest.raises(DBAPIError, match="action_runs_place"):
        add_step(on_postgresql, new_id(), run_id, "third")


def sql_id(store: Database, run_id: str) -> str:
    return run_id.replace("-", "") if store.engine.dialect.name == "sqlite" else run_id


def add_template_run(store: Database, run_id: str) -> None:
    run_sql(
        store,
        "INSERT INTO portal_actions_template_runs (id, template, title, template_version, definition, inputs, status, "
        "version, requested_by, requester_name, queued_at) VALUES "
        f"('{sql_id(store, run_id)}', 't', 't', '1', '{{}}', '{{}}', 'running', 1, 'ada', 'Ada', CURRENT_TIMESTAMP)",
    )


def add_step(store: Database, step: str, run_id: str, step_id: str = "step") -> None:
    """Add a step at the first place, as code of any version does."""
    no = "0" if store.engine.dialect.name == "sqlite" else "false"
    run_sql(
        store,
        "INSERT INTO portal_actions_action_runs (id, template_run_id, step_id, position, item, action, queue, status, "
        "version, attempt, max_attempts, requested_by, requester_name, queued_at, rings, lock_held) VALUES "
        f"('{sql_id(store, step)}', '{sql_id(store, run_id)}', '{step_id}', 0, 0, 'debug.log@v1', 'default', 'running', "
        f"1, 1, 3, 'ada', 'Ada', CURRENT_TIMESTAMP, 1, {no})",
    )


# -- which side is older -----------------------------------------------------------------------------------------------


def of_a_newer_version(database: Database, oldest_code: str) -> None:
    run_sql(database, f"UPDATE {tables.VERSION_TABLE} SET version_num = '9999'")
    with contextlib.suppress(DBAPIError):  # tables without a mark are lived with by nobody
        run_sql(database, f"UPDATE portal_actions_database_identity SET oldest_code = '{oldest_code}'")


@pytest.mark.fault("34")
def test_a_worker_on_tables_of_a_newer_version_is_not_told_to_upgrade_them(app: Flask) -> None:
    of_a_newer_version(extension().database, "9998")
    result = command(app, "worker")
    assert result.exit_code == 1
    assert "9999" in result.output
    assert "db upgrade" not in result.output


def test_a_worker_on_tables_of_a_newer_version_is_told_both_ways_out(app: Flask) -> None:
    of_a_newer_version(extension().database, "9998")
    output = command(app, "worker").output
    assert re.search(r"at 9999, which this version \(\d\S*\) does not know: a newer version has upgraded them", output)
    assert f"install that version here too, or go back with it: flask actions db downgrade {NEWEST}" in output


@pytest.mark.fault("34")
def test_an_upgrade_of_tables_of_a_newer_version_is_a_sentence(app: Flask) -> None:
    of_a_newer_version(extension().database, "9998")
    result = command(app, "db", "upgrade")
    assert (result.exit_code, type(result.exception)) == (1, SystemExit)
    assert "9999" in result.output


def test_a_version_works_on_newer_tables_that_say_it_may(app: Flask, start_workers: Callable[..., Any]) -> None:
    of_a_newer_version(extension().database, NEWEST)
    run_id = service.start_template_run(ADA, "two-steps", {"name": "orders"}).run.id
    start_workers()
    wait_until(lambda: queries.template_run(run_id).status == "success", 60)
    result = command(app, "db", "upgrade")
    assert (result.exit_code, "Nothing to do" in result.output) == (0, True)
    assert command(app, "db", "current").exit_code == 0


# -- the way back ------------------------------------------------------------------------------------------------------


@pytest.mark.fault("34")
def test_a_command_goes_back_after_it_said_what_is_lost(app: Flask) -> None:
    database = extension().database
    service.start_template_run(ADA, "two-steps", {"name": "orders"})
    refused = command(app, "db", "downgrade", "0006", input="n\n")
    assert refused.exit_code == 1
    assert migrations.standing(database).found != "0006"
    result = command(app, "db", "downgrade", "0006", "--yes")
    assert (result.exit_code, migrations.standing(database).found) == (0, "0006")


def test_what_a_way_back_would_lose_is_counted(app: Flask) -> None:
    database = extension().database
    run_sql(
        database,
        "INSERT INTO portal_actions_search_terms VALUES ('ada', 'person', 'user:ada'), ('orders', 'entity', 'orders')",
        "INSERT INTO portal_actions_workers (name, queue, host, pid, started_at, seen_at, state) "
        "VALUES ('w', 'default', 'h', 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, 'standing by')",
    )
    output = command(app, "db", "downgrade", "0005", input="n\n").output
    lost = set(re.findall(r"lost: (\S+: \d+ \w+)", output))
    assert lost == {
        "portal_actions_search_terms: 2 rows",
        "portal_actions_database_identity: 1 row",
        "portal_actions_workers.state: 1 value",
    }
    assert re.search(r"and nothing else: \d+ that go are empty", output)


@pytest.mark.parametrize("revision", ["9999", "head", "0010"])
def test_a_way_back_to_nowhere_names_the_revisions(app: Flask, revision: str) -> None:
    result = command(app, "db", "downgrade", revision, "--yes")
    if revision == "head":
        assert "Nothing to do" in result.output
    else:
        assert (result.exit_code, type(result.exception)) == (1, SystemExit)
        assert "base, 0001, 0002" in result.output


def test_only_the_version_that_upgraded_can_go_back(app: Flask) -> None:
    of_a_newer_version(extension().database, NEWEST)
    result = command(app, "db", "downgrade", "0006", "--yes")
    assert (result.exit_code, type(result.exception)) == (1, SystemExit)
    assert "Only the version that has upgraded the tables can go back" in result.output


# -- which database it is ----------------------------------------------------------------------------------------------


def identity(database: Database) -> str:
    from portal_actions_plugin.storage.database_identity import identity_of

    with database.reading() as db:
        return identity_of(db)


def test_each_database_has_an_identity_of_its_own(store: Database) -> None:
    first = identity(store)
    begin_at(store, "head")
    assert identity(store) != first


def test_a_copied_database_gets_another_identity_when_somebody_says_so(app: Flask) -> None:
    database = extension().database
    first = identity(database)
    asked = command(app, "db", "new-identity", input="n\n")
    assert (asked.exit_code, identity(database)) == (1, first)
    assert "Start" not in asked.output
    done = command(app, "db", "new-identity", "--yes")
    assert identity(database) in done.output
    assert identity(database) != first
    assert identity(database) in command(app, "db", "current").output
    assert "Workspaces" not in done.output, "they are beside the file, or in the database itself"


@pytest.mark.parametrize("place", ["/srv/portal/workspaces", "s3://bucket/prefix"])
def test_a_copied_database_says_from_where_to_where_its_workspaces_go(make_app: Any, place: str) -> None:
    app = make_app(PORTAL_ACTIONS_WORKSPACES=place)
    database = app.extensions["portal_actions"].database
    first = identity(database)
    said = command(app, "db", "new-identity", "--yes").output
    assert f"looked for in {place}/{identity(database)} from now on" in said
    assert f"copy there what is in {place}/{first}:" in said


def test_a_database_that_lost_its_identity_says_what_to_run(app: Flask) -> None:
    from portal_actions_plugin.errors import ConfigurationError

    database = extension().database
    run_sql(database, "DELETE FROM portal_actions_database_identity")
    with pytest.raises(ConfigurationError, match="does not know which one it is"):
        identity(database)
    assert command(app, "db", "new-identity", "--yes").exit_code == 0
    assert identity(database)
    assert migrations.is_current(database)


def test_the_tables_say_what_code_may_work_with_them(store: Database) -> None:
    from portal_actions_plugin.storage import tables

    with store.reading() as db:
        (row,) = db.rows(text("SELECT oldest_code FROM portal_actions_database_identity"))
    assert row["oldest_code"] == tables.OLDEST_CODE
