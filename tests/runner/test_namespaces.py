"""Several portals on one Redis: each goes by names of its own, and one that does not is told so."""

from __future__ import annotations

import logging
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import insert, text, update

from portal_actions_plugin.cli import actions
from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.sweeper import sweep
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.news import ring
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import transaction
from portal_actions_plugin.storage.sql import now_plus
from tests.support.portal import PEOPLE
from tests.support.waiting import wait_until
from tests.support.workers import Workers

ADA = PEOPLE["ada"]
HELLO = {"message": "hello"}
NEVER = {"PORTAL_ACTIONS_RING_AGAIN_SECONDS": 3600}
"""A doorbell that is lost stays lost for the length of a test."""

four = pytest.mark.fault("4")


@pytest.fixture
def other_url(tmp_path: Path, migrated_sqlite: Path) -> str:
    """The database of another portal."""
    shutil.copy(migrated_sqlite, tmp_path / "other.db")
    return f"sqlite:///{tmp_path / 'other.db'}"


@pytest.fixture
def app(make_app: Callable[..., Flask], database_url: str) -> Iterator[Flask]:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, **NEVER, PORTAL_ACTIONS_RATE_LIMIT="1000 per minute")
    with app.app_context():
        yield app


@pytest.fixture
def other(make_app: Callable[..., Flask], other_url: str) -> Flask:
    """Another portal on the same Redis. In the tests, all databases are copies of one."""
    other = make_app(PORTAL_ACTIONS_DATABASE_URL=other_url, **NEVER, PORTAL_ACTIONS_RATE_LIMIT="1000 per minute")
    give_new_identity(other)
    return other


def give_new_identity(portal: Flask) -> None:
    with portal.app_context():
        portal.test_cli_runner().invoke(actions, ["db", "new-identity", "--yes"])


def start() -> str:
    return service.start_action_run(ADA, "debug.log@v1", HELLO).run.id


def ended(run_id: str) -> bool:
    return queries.action_run(run_id).status == "success"


def findings(part: str = "namespace") -> list[Any]:
    from portal_actions_plugin.doctor.examination import examine

    return [one for one in examine() if one.part == part]


# -- two portals -------------------------------------------------------------------------------------------------------


@four
def test_a_portals_workers_leave_another_ones_doorbells_alone(
    app: Flask, other: Flask, other_url: str, start_workers: Callable[..., Workers]
) -> None:
    with other.app_context():
        theirs = [start() for _ in range(5)]
    ours = [start() for _ in range(5)]
    workers = start_workers(**NEVER)
    wait_until(lambda: all(map(ended, ours)), 60)
    with other.app_context():
        assert [queries.action_run(run_id).status for run_id in theirs] == ["queued"] * 5
        # Nobody rings again: each of them is there for its own workers, or is never heard.
        start_workers(**NEVER, PORTAL_ACTIONS_DATABASE_URL=other_url)
        wait_until(lambda: all(map(ended, theirs)), 60)
    assert workers.process.poll() is None


@four
def test_no_step_of_two_portals_at_work_waits_for_a_sweeper(
    app: Flask, other: Flask, other_url: str, start_workers: Callable[..., Workers]
) -> None:
    start_workers(**NEVER)
    start_workers(**NEVER, PORTAL_ACTIONS_DATABASE_URL=other_url)
    runs: list[tuple[Flask, str]] = []
    for _ in range(20):
        for portal in (app, other):
            with portal.app_context():
                runs.append((portal, start()))
            # One at a time: a worker that is done goes on with what is due, whatever became of its doorbell.
            wait_until(lambda portal=portal, run_id=runs[-1][1]: in_portal(portal, run_id), 60)
    with Redis.from_url(extension().config.redis_url) as redis:
        assert redis.keys("portal-actions:*:foreign") == []


def in_portal(portal: Flask, run_id: str) -> bool:
    with portal.app_context():
        return ended(run_id)


# -- one namespace, two databases --------------------------------------------------------------------------------------


def test_doorbells_of_runs_that_are_not_there_are_dropped_counted_and_told(
    app: Flask, start_workers: Callable[..., Workers]
) -> None:
    from portal_actions_plugin.upkeep import measures
    from portal_actions_plugin.upkeep.metric_sums import FOREIGN_DOORBELLS

    def dropped() -> float:
        (found,) = [one.values for one in measures.read() if one.metric.name == FOREIGN_DOORBELLS]
        return found["default",]

    assert dropped() == 0
    ring.ring([(str(uuid.uuid4()), "default") for _ in range(7)])
    workers = start_workers()
    wait_until(lambda: dropped() == 7, 60)
    warnings = [finding for finding in findings() if finding.level == "warning"]
    assert warnings[0].message.startswith("7 wake-ups of another portal came to this one's workers")
    assert "db new-identity" in warnings[0].mend
    assert workers.log.read_text().count("wake-ups were dropped") == 1


def test_foreign_doorbells_are_told_once_a_minute(
    app: Flask, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portal_actions_plugin.runner.doorbells import foreign

    heard = foreign.Foreign()
    for _ in range(3):
        heard.heard(["one", "two"])
        heard.tell("default")
    monkeypatch.setattr(foreign, "TELL_SECONDS", -1)
    heard.tell("default")
    heard.tell("default")
    assert [record.args[0] for record in caplog.records if record.name == foreign.log.name] == [2, 4]


def test_the_doctor_knows_of_two_databases_of_one_identity(
    app: Flask,
    make_app: Callable[..., Flask],
    other_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from portal_actions_plugin.runner.doorbells import neighbours
    from portal_actions_plugin.storage import tables

    copy = make_app(PORTAL_ACTIONS_DATABASE_URL=other_url)
    identity = str(uuid.uuid4())
    for portal in (app, copy):
        with portal.app_context(), transaction("test") as tx:
            tx.execute(update(tables.database_identity).values(identity=identity))
    monkeypatch.setattr(neighbours, "TELL_SECONDS", 0)
    monkeypatch.setattr(neighbours, "TOGETHER_SECONDS", 1e-5)
    neighbours.be_seen()
    assert [one.level for one in findings()] == ["ok"]
    for portal in (copy, app) * 3:
        with portal.app_context():
            neighbours.be_seen()
    (shared,) = findings()
    assert shared.level == "critical"
    assert shared.message.startswith("2 databases go by ")
    assert "other.db of " in shared.message
    assert "flask actions db new-identity" in shared.mend
    assert "PORTAL_ACTIONS_NAMESPACE" in shared.mend
    assert "another database goes by the namespace" in caplog.text
    give_new_identity(copy)
    with copy.app_context():
        assert [one.level for one in findings()] == ["ok"]


def test_a_server_that_was_started_anew_is_no_second_database(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    from portal_actions_plugin.runner.doorbells import neighbours
    from portal_actions_plugin.runs.news.redis_names import redis_names

    monkeypatch.setattr(neighbours, "TELL_SECONDS", 0)
    for mark in ("before", "before", "after", "after"):
        monkeypatch.setattr(neighbours, "fingerprint", lambda _db, mark=mark: mark)
        neighbours.be_seen()
    assert [one.fingerprint for one in neighbours.seen(redis_names())] == ["before", "after"]
    assert neighbours.together(redis_names()) == []


def test_the_doctor_sees_workers_that_go_by_the_name_of_before(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    from portal_actions_plugin.runner.doorbells import neighbours
    from portal_actions_plugin.runs.news.redis_names import redis_names

    with transaction("test") as tx:
        tx.execute(insert(tables.workers).values(**a_worker(version="1.0")))
    neighbours.be_seen()
    assert [one.level for one in findings()] == ["ok"]
    before = redis_names()
    give_new_identity(app)
    assert redis_names() == before, "a process goes by one name for as long as it lives"
    (renamed,) = findings()
    assert (renamed.level, "go by another namespace than" in renamed.message) == ("warning", True)


def test_a_worker_that_went_long_ago_goes_by_no_name_however_late_a_stall_is_told(
    make_app: Callable[..., Flask], database_url: str
) -> None:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, PORTAL_ACTIONS_STALL_SECONDS=600)
    with app.app_context():
        with transaction("test") as tx:
            tx.execute(insert(tables.workers).values(**a_worker(version="1.0", seen_at=now_plus(-60))))
        assert [one.level for one in findings()] == ["ok"], "Redis has forgotten its supervisor, too"


def a_worker(**values: Any) -> dict[str, Any]:
    seen = {"started_at": now_plus(0), "seen_at": now_plus(0), "host": "here", "pid": 1}
    return {"name": "here:1:default:1", "queue": "default", **seen, **values}


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["a.b", "a b", "x" * 65, "é", "a:b", 5])
def test_a_namespace_that_is_no_part_of_a_name_stops_the_start(make_app: Callable[..., Flask], value: Any) -> None:
    with pytest.raises(ConfigurationError, match="PORTAL_ACTIONS_NAMESPACE"):
        make_app(PORTAL_ACTIONS_NAMESPACE=value)


def test_everything_on_redis_carries_the_namespace(make_app: Callable[..., Flask], redis_url: str) -> None:
    portal = make_app(PORTAL_ACTIONS_NAMESPACE="Portal_1")
    with portal.app_context(), Redis.from_url(redis_url) as redis:
        from portal_actions_plugin.runner.doorbells import neighbours

        start()
        neighbours.be_seen()
        sweep()
        names = {key.decode() for key in redis.keys("*")} - {"rq:queues"}
        jobs = {name for name in names if name.startswith("rq:job:")}
        assert names - jobs == {
            "rq:queue:portal-actions.Portal_1.default",
            "portal-actions:Portal_1:alive",
            "portal-actions:Portal_1:databases",
            "portal-actions:Portal_1:databases-since",
        }


def test_without_a_setting_the_namespace_is_the_databases_own_and_asked_for_once(app: Flask) -> None:
    from portal_actions_plugin.runs.news.redis_names import redis_names
    from portal_actions_plugin.storage.database_identity import identity_of
    from portal_actions_plugin.storage.sessions import reading

    with reading() as db:
        assert redis_names().namespace == identity_of(db)
    with transaction("test") as tx:
        tx.execute(text("DELETE FROM portal_actions_database_identity"))
    assert redis_names().queue("default") == f"portal-actions.{redis_names().namespace}.default"


def test_a_start_is_accepted_while_nobody_knows_the_namespace(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    with transaction("test") as tx:
        tx.execute(text("DROP TABLE portal_actions_database_identity"))
    run_id = start()
    assert queries.action_run(run_id).status == "queued"
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "1 wake-ups could not be sent" in line
    assert "flask actions db upgrade" in line


# -- the version before ------------------------------------------------------------------------------------------------


OLD_QUEUE = "portal-actions.default"


def ring_as_before(run_id: str) -> None:
    """As web processes of the version before do, and nobody else."""
    with Redis.from_url(extension().config.redis_url) as redis:
        redis.delete(*[key for key in redis.keys("rq:queue:*") if key != f"rq:queue:{OLD_QUEUE}".encode()] or ["none"])
        ring._enqueue(redis, run_id, OLD_QUEUE, OLD_QUEUE)


def test_what_an_old_web_process_rings_for_starts_with_todays_workers(
    app: Flask, start_workers: Callable[..., Workers], caplog: pytest.LogCaptureFixture
) -> None:
    start_workers(**NEVER)
    first = start()
    wait_until(lambda: ended(first), 60)
    for _ in range(3):
        run_id = start_unheard()
        ring_as_before(run_id)
        wait_until(lambda run_id=run_id: ended(run_id), 60)


def start_unheard() -> str:
    """Start a run whose doorbell no worker of today hears."""
    portal = extension()
    kept = dict(portal.kept)
    try:
        from portal_actions_plugin.runs.news.redis_names import RedisNames

        portal.kept["names"] = RedisNames("nowhere")
        return start()
    finally:
        portal.kept.clear()
        portal.kept.update(kept)


def test_old_doorbells_of_other_portals_stay_where_they_are(app: Flask, redis_url: str) -> None:
    theirs, done, ours = str(uuid.uuid4()), start_unheard(), start_unheard()
    with transaction("test") as tx:
        tx.execute(update(tables.action_runs).where(tables.action_runs.c.id == done).values(status="canceled"))
    for run_id in (theirs, done, ours):
        ring_as_before(run_id)
    from portal_actions_plugin.runner.doorbells.old_queues import bring_over
    from portal_actions_plugin.runs.news.redis_names import redis_names

    assert bring_over() == 1
    with Redis.from_url(redis_url) as redis:
        assert rung_for(redis, OLD_QUEUE) == [theirs]
        assert rung_for(redis, redis_names().queue("default")) == [ours]


def test_rings_go_to_old_workers_too_while_they_live(app: Flask, redis_url: str) -> None:
    from portal_actions_plugin.runs.news.redis_names import redis_names

    with Redis.from_url(redis_url) as redis:
        alone = start()
        assert rung_for(redis, OLD_QUEUE) == []
        # Somebody listens there, but on another portal's behalf.
        redis.sadd(f"rq:workers:{OLD_QUEUE}", "rq:worker:old")
        foreign = start()
        assert rung_for(redis, OLD_QUEUE) == []
        with transaction("test") as tx:
            tx.execute(insert(tables.workers).values(**a_worker()))
        extension().kept.pop("older")
        both = start()
        assert rung_for(redis, OLD_QUEUE) == [both]
        assert rung_for(redis, redis_names().queue("default")) == [alone, foreign, both]


def rung_for(redis: Any, queue: str) -> list[str | None]:
    jobs = redis.lrange(f"rq:queue:{queue}", 0, -1)
    return [ring.rung_for(redis.hget(f"rq:job:{job.decode()}", "data")) for job in jobs]


def test_a_sweep_multiplies_no_doorbells_while_old_workers_live(app: Flask, redis_url: str) -> None:
    from portal_actions_plugin.runner.doorbells.old_queues import bring_over

    with transaction("test") as tx:
        old = {"queue": "default", "host": "old", "pid": 1, "started_at": now_plus(0), "seen_at": now_plus(0)}
        tx.execute(insert(tables.workers).values(name="old:1:default:1", **old))
    with Redis.from_url(redis_url) as redis:
        # RQ lists the old worker, as it does while that lives.
        redis.sadd("rq:workers:portal-actions.default", "rq:worker:old")
        for _ in range(3):
            service.start_action_run(ADA, "debug.log@v1", HELLO)
        queues = sorted(key for key in redis.scan_iter("rq:queue:*"))
        before = [redis.llen(key) for key in queues]
        assert [bring_over() for _ in range(3)] == [0, 0, 0]
        assert [redis.llen(key) for key in queues] == before
    assert len(queues) == 2
