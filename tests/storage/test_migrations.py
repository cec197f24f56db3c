"""The tables: up from empty, no difference to the models, down and up again, and unseen by a host's own alembic."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, Index, MetaData, inspect, text
from sqlalchemy.schema import CreateIndex

from portal_actions_plugin.storage import migrations, tables
from portal_actions_plugin.storage.sessions import Database
from portal_actions_plugin.storage.sql import folded

pytestmark = pytest.mark.filterwarnings(
    "ignore:Skipped unsupported reflection of expression-based index",
    "ignore:autogenerate skipping metadata-specified expression-based index",
)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close_connections()


@pytest.fixture
def engine(database: Database) -> Engine:
    return database.engine


def test_the_migrations_make_what_the_models_say(database: Database, engine: Engine) -> None:
    written = {
        index.name for table in tables.metadata.tables.values() for index in filter(_is_of_an_expression, table.indexes)
    }
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": tables.VERSION_TABLE,
                "compare_type": True,
                "compare_server_default": True,
                "include_object": lambda one, name, *_: name not in written and not _is_of_an_expression(one),
            },
        )
        assert compare_metadata(context, tables.metadata) == []
    assert migrations.is_current(database)


def test_the_indexes_of_expressions_are_made_as_the_models_say(engine: Engine) -> None:
    """No database tells alembic of these exactly: they are compared as they are written."""
    sqlite = engine.dialect.name == "sqlite"
    all_of_them = "SELECT sql FROM sqlite_master" if sqlite else "SELECT indexdef FROM pg_indexes"
    with engine.connect() as connection:
        made = {_plain(definition) for definition in connection.execute(text(all_of_them)).scalars() if definition}
    said = {
        _plain(str(CreateIndex(index).compile(engine)))
        for table in tables.metadata.tables.values()
        for index in table.indexes
        if _is_of_an_expression(index)
    }
    assert len(said) == 10
    assert said <= made


def _is_of_an_expression(index: object) -> bool:
    return isinstance(index, Index) and any(isinstance(part, folded) for part in index.expressions)


def _plain(definition: str) -> str:
    """Without what PostgreSQL adds when it writes a definition down."""
    return re.sub(r"::text|USING btree|public\.|[() ]", "", definition)


def test_they_go_down_and_up_again(database: Database, engine: Engine) -> None:
    migrations.downgrade(database, "base")
    assert inspect(engine).get_table_names() == [tables.VERSION_TABLE]
    assert not migrations.is_current(database)
    migrations.upgrade(database)
    assert migrations.is_current(database)


def test_of_several_upgrades_at_once_one_does_it_and_none_fails(database: Database) -> None:
    migrations.downgrade(database, "base")
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: migrations.upgrade(database), range(3)))
    assert migrations.is_current(database)


def test_every_table_carries_our_prefix_and_none_points_at_a_hosts(engine: Engine) -> None:
    assert all(name.startswith(tables.PREFIX) for name in inspect(engine).get_table_names())
    for table in tables.metadata.tables.values():
        assert all(key.column.table.name.startswith(tables.PREFIX) for key in table.foreign_keys)


def test_a_hosts_own_autogenerate_stays_silent_about_our_tables(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": migrations.include_name})
        assert compare_metadata(context, MetaData()) == []


def test_sqlite_is_durable_and_lets_readers_in(tmp_path: Path, sqlite_url: str) -> None:
    database = Database(sqlite_url)
    with database.engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
    with database.transaction("test") as tx:
        tx.execute(text("DELETE FROM portal_actions_audit"))
        with database.reading() as db:
            assert db.rows(text("SELECT 1 AS one FROM portal_actions_audit")) == []
    database.close_connections()


@pytest.mark.fault("F41")
def test_alembic_says_at_a_command_only_what_is_migrated(tmp_path: Path) -> None:
    """In a process of its own: what it says when it is imported is said once."""
    script = f"""
import logging
logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
from portal_actions_plugin.storage import migrations
from portal_actions_plugin.storage.sessions import Database
database = Database("sqlite:///{tmp_path}/portal.db")
migrations.upgrade(database)
migrations.standing(database)
logging.getLogger("alembic.runtime.migration").info("Context impl of the host's own")
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stderr
    lines = [line for line in said.splitlines() if line.startswith("alembic")]
    assert lines[-1] == "alembic.runtime.migration: Context impl of the host's own"
    assert all(line.startswith("alembic.runtime.migration: Running upgrade ") for line in lines[:-1])
    assert len(lines) > 2
