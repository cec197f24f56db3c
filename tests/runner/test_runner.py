"""Doorbells, sweeps and what a job process does, step by step and in this process."""

from __future__ import annotations

import asyncio
import json
import math
import os
import pickle
import uuid
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema, fields
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import select, update

from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.cli import actions
from portal_actions_plugin.errors import RemoteError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.host import Identity
from portal_actions_plugin.runner import recovery, sweeper
from portal_actions_plugin.runner.attempt import execute
from portal_actions_plugin.runner.attempt.prepare import Performer
from portal_actions_plugin.runner.doorbells.listener import DoorbellListener
from portal_actions_plugin.runner.process.connections import Connections
from portal_actions_plugin.runner.supervisor import Supervisor
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.changes import claims
from portal_actions_plugin.runs.changes.claims import Claim, LeaseLostError, StepRef
from portal_actions_plugin.runs.news import doorbells, ring
from portal_actions_plugin.runs.news.redis_names import redis_names
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading, transaction
from portal_actions_plugin.storage.sql import now_plus
from tests.support.doorbells import queue_key
from tests.support.people import Person
from tests.support.portal import PEOPLE, decide
from tests.support.run_helpers import work_off
from tests.support.waiting import wait_until
from tests.support.workers import Workers

ADA = PEOPLE["ada"]
HELLO = {"message": "hello"}


class Nothing(Schema):
    pass


class Anything(Schema):
    value = fields.Raw()


def register(**handlers: Callable[..., Any]) -> None:
    """Register handlers as ``test.<name>@v1``, idempotent ones as they would be in a module."""
    for name, handler in handlers.items():
        declared = action(f"test.{name}@v1", title=name, input=Anything, idempotent=name.startswith("again"))(handler)
        extension().registry.add(declared, "the tests")


def run_one_off(action_id: str, data: dict[str, Any] | None = None) -> str:
    return service.start_action_run(ADA, action_id, data or {}).run.id


def set_columns(run_id: str, **values: Any) -> None:
    with transaction("test") as tx:
        tx.execute(update(tables.action_runs).where(tables.action_runs.c.id == run_id).values(**values))


def claim(run_id: str, token: str) -> None:
    with transaction("test") as tx:
        assert claims.claim(tx, Claim(StepRef(run_id, None), 0, token, "test", 30, 60))


# -- handlers ----------------------------------------------------------------------------------------------------------


def test_what_a_handler_gathers_is_kept_also_when_it_fails(app: Flask) -> None:
    def handler(ctx: Any, value: Any = None) -> None:
        ctx.link("Half done", "https://example.com/half")
        ctx.warn("that was close")
        ctx.progress(1, 2)
        raise RemoteError("the forge is down")

    register(half=handler)
    run_id = run_one_off("test.half@v1")
    work_off()
    run = queries.action_run(run_id)
    assert run.status == "failed"
    assert run.error
    assert (run.error.code, run.error.retryable) == ("REMOTE_ERROR", True)
    assert [link.url for link in run.links] == ["https://example.com/half"]
    assert run.warnings == ("that was close",)
    assert run.progress
    assert (run.progress.done, run.progress.total) == (1, 2)


@pytest.mark.parametrize("wrong", [ValueError("boom"), SystemExit(3)])
def test_an_unexpected_error_is_internal_and_says_what_it_was(app: Flask, wrong: BaseException) -> None:
    def handler(ctx: Any, value: Any = None) -> None:
        raise wrong

    register(broken=handler)
    run_id = run_one_off("test.broken@v1")
    work_off()
    error = queries.action_run(run_id).error
    assert error
    assert error.code == "INTERNAL_ERROR"
    assert type(wrong).__name__ in error.message


@pytest.mark.fault("E28")
def test_a_handler_that_runs_out_of_memory_says_so_and_the_next_run_works(app: Flask) -> None:
    free = iter([False, True])

    def handler(_ctx: Any, **_given: Any) -> None:
        if not next(free):
            raise MemoryError

    register(greedy=handler)
    first = run_one_off("test.greedy@v1")
    work_off()
    error = queries.action_run(first).error
    assert error is not None
    assert (error.code, error.message) == ("OUT_OF_MEMORY", "test.greedy@v1 ran out of memory.")
    assert "memory" in error.hint
    second = run_one_off("test.greedy@v1")
    work_off()
    assert queries.action_run(second).status == "success"


@pytest.mark.parametrize("outputs", [{"when": datetime.now(UTC)}, {"big": "x" * 300_000}])
def test_outputs_that_cannot_be_kept_fail_the_run(app: Flask, outputs: dict[str, Any]) -> None:
    register(strange=lambda ctx, value=None: outputs)
    run_id = run_one_off("test.strange@v1")
    work_off()
    run = queries.action_run(run_id)
    assert (run.status, run.outputs) == ("failed", {})


@pytest.mark.parametrize(
    "misbehave",
    [
        lambda ctx: ctx.link("x", None),
        lambda ctx: ctx.warn(404),
        lambda ctx: (_ for _ in ()).throw(RemoteError(ValueError("not a text"))),
        lambda ctx: {"number": float("nan")},
        lambda ctx: {"deep": deep(600)},
        lambda ctx: (_ for _ in ()).throw(asyncio.CancelledError()),
        lambda ctx: (_ for _ in ()).throw(type("Odd", (RemoteError,), {"code": "X" * 99})("odd")),
        lambda ctx: (_ for _ in ()).throw(KeyboardInterrupt),
    ],
)
def test_whatever_a_handler_does_its_run_comes_to_an_end(app: Flask, misbehave: Callable[[Any], Any]) -> None:
    register(odd=lambda ctx, value=None: misbehave(ctx))
    run_id = run_one_off("test.odd@v1")
    work_off()
    assert queries.action_run(run_id).status in ("success", "failed")


def deep(levels: int) -> Any:
    nested: Any = 0
    for _ in range(levels):
        nested = [nested]
    return nested


def test_the_watch_is_never_told_less_time_than_the_row_has(app: Flask) -> None:
    # Else a process that was ended for its time would look as if its worker had died.
    run = service.start_action_run(ADA, "debug.log@v1", {"message": "hello"}).run
    told: list[tuple[float, float]] = []

    def tell(seconds: float) -> None:
        if seconds < math.inf:
            with reading() as db:
                row = db.row(select(tables.action_runs.c.deadline_at, now_plus(0).label("now")))
            assert row is not None
            told.append((seconds, (row["deadline_at"] - row["now"]).total_seconds()))

    execute.perform(run.id, Performer(str(uuid.uuid4()), "test", tell=tell))
    ((seconds, left),) = told
    assert seconds >= left


def test_what_a_handler_says_is_kept_whatever_characters_it_holds(app: Flask) -> None:
    def handler(ctx: Any, value: Any = None) -> dict[str, str]:
        ctx.log("nul \x00 and half \ud800")
        return {"out\x00put": "\ud800"}

    register(rude=handler)
    run_id = run_one_off("test.rude@v1")
    work_off()
    run = queries.action_run(run_id)
    assert (run.status, run.outputs) == ("success", {"out\ufffdput": "?"})
    assert [line.message for line in queries.log_lines(run_id)] == ["nul \ufffd and half ?"]


def test_a_checkpoint_is_done_once_also_when_its_value_is_false(app: Flask) -> None:
    done: list[str] = []

    def handler(ctx: Any, value: Any = None) -> Any:
        part = ctx.checkpoint("part", lambda: done.append("part"))
        if ctx.run.attempt == 1 and not ctx.run.template_run_id and len(done) == 1 and value == "fail":
            done.append("failed")
            raise RemoteError("later")
        return {"part": part}

    register(parts=handler)
    first = run_one_off("test.parts@v1", {"value": "fail"})
    work_off()
    again = service.retry_action_run(ADA, first).run.id
    work_off()
    assert queries.action_run(again).status == "success"
    assert queries.action_run(again).outputs == {"part": None}
    assert done == ["part", "failed"]


def test_a_log_that_never_ends_is_cut_and_says_so(make_app: Callable[..., Flask]) -> None:
    def handler(ctx: Any, value: Any = None) -> None:
        for line in range(10):
            ctx.log("x" * 50 if line == 0 else f"line {line}")

    app = make_app(PORTAL_ACTIONS_MAX_LOG_LINES=5, PORTAL_ACTIONS_MAX_LOG_LINE_CHARS=10)
    with app.app_context():
        register(chatty=handler)
        run_id = run_one_off("test.chatty@v1")
        work_off()
        lines = [line.message for line in queries.log_lines(run_id)]
    assert lines[0] == "x" * 10 + " … (cut)"
    assert lines[1:5] == ["line 1", "line 2", "line 3", "line 4"]
    assert lines[5:] == ["The log is cut here: a run keeps 5 lines."]


def test_a_handler_whose_run_was_canceled_can_write_nothing_more(app: Flask) -> None:
    def handler(ctx: Any, value: Any = None) -> dict[str, str]:
        service.cancel_action_run(ADA, ctx.run.id)
        assert ctx.canceled
        ctx.log("too late")
        return {"late": "yes"}

    register(canceled=handler)
    run_id = run_one_off("test.canceled@v1")
    work_off()
    run = queries.action_run(run_id)
    assert (run.status, run.outputs, queries.log_lines(run_id)) == ("canceled", {}, [])


def test_an_action_that_this_worker_lacks_is_a_configuration_error(app: Flask) -> None:
    register(gone=lambda ctx, value=None: None)
    run_id = run_one_off("test.gone@v1")
    set_columns(run_id, action="test.uninstalled@v1")
    work_off()
    error = queries.action_run(run_id).error
    assert error
    assert error.code == "CONFIGURATION_ERROR"
    assert "test.uninstalled@v1" in error.message


NOBODYS = "019a1b2c-3d4e-7f50-8a61-9b72c3d4e5f6"

# -- doorbells ---------------------------------------------------------------------------------------------------------


def heard(app: Flask, redis_url: str, queue: str = "default") -> str | None:
    with Redis.from_url(redis_url) as redis:
        return DoorbellListener(queue, redis).hear()


def test_a_doorbell_is_heard_and_leaves_nothing_in_redis(app: Flask, redis_url: str) -> None:
    run_id = run_one_off("debug.log@v1", HELLO)
    assert heard(app, redis_url) == run_id
    with Redis.from_url(redis_url) as redis:
        assert [key for key in redis.scan_iter() if b"job" in key or b"queue:" in key] == []


@pytest.mark.parametrize(
    "payload",
    [
        json.dumps(["os.system", None, ["touch /tmp/owned"], {}]).encode(),
        json.dumps([ring.DOORBELL, None, ["not an id"], {}]).encode(),
        json.dumps([ring.DOORBELL, None, [NOBODYS], {"also": 1}]).encode(),
        json.dumps(["portal_actions_plugin.cli.worker", None, [NOBODYS], {}]).encode(),
        pickle.dumps(("os.system", None, ("true",), {})),
        b"garbage",
    ],
)
@pytest.mark.parametrize("compress", [zlib.compress, bytes])
def test_a_forged_job_runs_nothing(
    app: Flask, redis_url: str, payload: bytes, compress: Callable[[bytes], bytes]
) -> None:
    with Redis.from_url(redis_url) as redis:
        forged = {
            "data": compress(payload),
            "origin": redis_names().queue("default"),
            "meta": pickle.dumps(os.system),
            "success_callback_name": "os.abort",
            "failure_callback_name": "os.abort",
        }
        redis.hset("rq:job:forged", mapping=forged)
        redis.lpush(queue_key(), "forged")
    assert heard(app, redis_url) is None


def test_a_doorbell_is_the_job_that_rq_itself_would_have_put_on_its_queue(app: Flask, redis_url: str) -> None:
    run_id = run_one_off("debug.log@v1", HELLO)
    ttl = ring.DOORBELL_TTL
    with Redis.from_url(redis_url) as redis:
        (queue,) = Queue.all(connection=redis, serializer=JSONSerializer)
        (ours,) = queue.jobs
        rqs = queue.enqueue_call(
            ring.DOORBELL,
            args=(run_id,),
            timeout=-1,
            ttl=ttl,
            result_ttl=0,
            failure_ttl=ttl,
            description=run_id,
        )
        assert queue.job_ids == [ours.id, rqs.id]
        assert ours.get_status() == rqs.get_status()
        assert redis.ttl(ours.key) == pytest.approx(redis.ttl(rqs.key), abs=5)
        said, said_by_rq = (redis.hgetall(job.key) for job in (ours, rqs))
    for job in (said, said_by_rq):
        job[b"data"] = zlib.decompress(job[b"data"])
    moments = {b"created_at", b"enqueued_at"}
    assert said.keys() == {name for name, value in said_by_rq.items() if value}
    assert {name: said[name] for name in said.keys() - moments} == {
        name: value for name, value in said_by_rq.items() if value and name not in moments
    }
    assert (ours.func_name, ours.args, ours.kwargs) == (ring.DOORBELL, [run_id], {})
    assert [len(said[name]) for name in moments] == [len(said_by_rq[name]) for name in moments]
    assert ours.created_at.tzinfo == rqs.created_at.tzinfo
    assert 0 <= (rqs.created_at - ours.enqueued_at).total_seconds() < 60


def test_a_worker_does_not_start_with_an_rq_that_listens_elsewhere(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Queue, "redis_queue_namespace_prefix", "rq4:queue:")
    result = app.test_cli_runner().invoke(actions, ["worker"])
    assert (result.exit_code, "does not listen where starts wake workers" in result.output) == (1, True)


def test_the_hosts_own_jobs_are_left_alone(app: Flask, redis_url: str) -> None:
    with Redis.from_url(redis_url) as redis:
        Queue("default", connection=redis, serializer=JSONSerializer).enqueue("os.getcwd")
        run_id = run_one_off("debug.log@v1", HELLO)
        assert heard(app, redis_url) == run_id
        assert redis.llen("rq:queue:default") == 1


def test_a_foreign_worker_that_runs_a_doorbell_is_told_off() -> None:
    from portal_actions_plugin.runner.worker import doorbell

    with pytest.raises(RuntimeError, match="flask actions worker"):
        doorbell("some-id")
    assert f"{doorbell.__module__}.{doorbell.__name__}" == ring.DOORBELL


def test_actions_are_routed_to_their_queue(make_app: Callable[..., Flask], redis_url: str) -> None:
    app = make_app(PORTAL_ACTIONS_QUEUES={"debug.*": "slow"})
    with app.app_context():
        run_id = run_one_off("debug.log@v1", HELLO)
        assert heard(app, redis_url) is None
        assert heard(app, redis_url, "slow") == run_id


def test_each_worker_process_has_one_queue(app: Flask, redis_url: str) -> None:
    supervisor = Supervisor(app, ["default", "slow"], 2)
    assert [place.queue for place in supervisor._places] == ["default", "default", "slow", "slow"]
    with Redis.from_url(redis_url) as redis:
        assert len(DoorbellListener("slow", redis).queues) == 1


def test_no_connection_is_open_at_a_fork(app: Flask) -> None:
    connections = Connections()
    queries.active_counts()
    connections.close_all()
    with extension().database.reading(), pytest.raises(RuntimeError, match="open at a fork"):
        queries.active_counts()
        connections.close_all()


# -- sweeps ------------------------------------------------------------------------------------------------------------


def test_a_lost_doorbell_rings_again_later_each_time(app: Flask, redis_url: str) -> None:
    run_id = run_one_off("debug.log@v1", HELLO)
    sweeper.sweep()
    with Redis.from_url(redis_url) as redis:
        redis.delete(queue_key())
    assert sweeper.sweep().rung == 0
    set_columns(run_id, rings=1, ring_again_at=now_plus(-1))
    assert sweeper.sweep().rung == 1
    assert heard(app, redis_url) == run_id
    assert sweeper.sweep().rung == 0
    with transaction("test") as tx:
        row: Any = tx.row(tables.action_runs.select().where(tables.action_runs.c.id == run_id))
    assert 55 <= (row["ring_again_at"] - row["rung_at"]).total_seconds() <= 65


def test_a_redis_that_comes_back_without_its_data_makes_every_due_row_ring_at_once(app: Flask, redis_url: str) -> None:
    run_id, later = run_one_off("debug.log@v1", HELLO), run_one_off("debug.log@v1", HELLO)
    for _ in range(6):  # it has waited in a long queue
        set_columns(run_id, ring_again_at=now_plus(-1))
        sweeper.sweep()
    set_columns(later, not_before=now_plus(600), ring_again_at=now_plus(600))
    assert sweeper.sweep().rung == 0, "its next ring is far away by now"
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
    assert sweeper.sweep().rung == 1
    assert heard(app, redis_url) == run_id
    assert sweeper.sweep().rung == 0


def test_a_doorbell_that_a_dying_process_heard_rings_again_before_long(app: Flask) -> None:
    run_id = run_one_off("debug.log@v1", HELLO)
    set_columns(run_id, rings=7, ring_again_at=now_plus(1920))
    recovery.ring_soon(run_id)
    with transaction("test") as tx:
        row: Any = tx.row(tables.action_runs.select().where(tables.action_runs.c.id == run_id))
        now: Any = tx.row(select(now_plus(0).label("now")))
    assert 25 <= (row["ring_again_at"] - now["now"]).total_seconds() <= 31


def test_a_sweep_rings_a_bounded_number_and_oldest_first(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper, "RINGS_A_PASS", 2)
    ids = [run_one_off("debug.log@v1", HELLO) for _ in range(3)]
    for age, run_id in enumerate(ids):
        set_columns(run_id, ring_again_at=now_plus(age - 10))
    rung: list[str] = []
    monkeypatch.setattr(ring, "ring", lambda due, _end=None: rung.extend(run_id for run_id, _ in due) or len(due))
    sweeper.sweep()
    assert sorted(rung) == sorted(ids[:2])


def test_a_ring_that_redis_did_not_take_is_due_at_once(make_app: Callable[..., Flask]) -> None:
    app = make_app(PORTAL_ACTIONS_REDIS_URL="unix:///nowhere/redis.sock")
    with app.app_context():
        run_id = run_one_off("debug.log@v1", HELLO)
        assert sweeper.sweep() == sweeper.Swept(0, 0, 0, ("wake-ups",)), "it is not said to have been rung"
        with transaction("test") as tx:
            due = tx.row(select(tables.action_runs.c.id).where(tables.action_runs.c.ring_again_at <= now_plus(0)))
        assert due
        assert due["id"] == run_id


def test_a_lapsed_lease_is_acted_on_at_the_second_look_only(app: Flask) -> None:
    run_id = run_one_off("debug.log@v1", HELLO)
    token = str(uuid.uuid4())
    claim(run_id, token)
    set_columns(run_id, lease_expires_at=now_plus(-1))
    assert sweeper.sweep().lapsed == 0
    with transaction("test") as tx:
        claims.renew(tx, token, 30)
    set_columns(run_id, lease_expires_at=now_plus(-1))
    assert sweeper.sweep().lapsed == 0, "renewing forgets the first look"
    set_columns(run_id, lapse_seen_at=now_plus(-11))
    assert sweeper.sweep().lapsed == 1
    run = queries.action_run(run_id)
    assert (run.status, [a.outcome for a in run.attempts]) == ("queued", ["lost"])
    assert sweeper.sweep().lapsed == 0


def lapse(run_id: str, **values: Any) -> None:
    claim(run_id, str(uuid.uuid4()))
    set_columns(run_id, lease_expires_at=now_plus(-20), lapse_seen_at=now_plus(-11), **values)
    sweeper.sweep()


@pytest.mark.parametrize("status", ["running", "queued"])
def test_a_step_that_is_left_over_in_a_run_that_is_over_is_ended_once(
    app: Flask, caplog: pytest.LogCaptureFixture, status: str
) -> None:
    template_run = service.start_template_run(ADA, "two-steps", {"name": "orders"}).run
    step = queries.action_runs(RunFilter(), limit=1).items[0]
    if status == "running":
        claim(step.id, str(uuid.uuid4()))
        set_columns(step.id, lease_expires_at=now_plus(-20), lapse_seen_at=now_plus(-11))
    with transaction("test") as tx:
        tx.execute(
            update(tables.template_runs)
            .where(tables.template_runs.c.id == template_run.id)
            .values(status="failed", finished_at=now_plus(0))
        )
    set_columns(step.id, ring_again_at=now_plus(-1))
    for _ in range(3):
        assert sweeper.sweep().failed == ()
    assert queries.action_run(step.id).status == "canceled"
    assert queries.template_run(template_run.id).status == "failed"
    said = [record.getMessage() for record in caplog.records if step.id in record.getMessage()]
    assert [message for message in said if "alive after all" in message] == []
    assert [message for message in said if "left over" in message] == [
        f"run {step.id} was left over in a template run that is over: it is canceled"
    ]


def test_a_lost_step_is_repeated_although_its_deadline_is_over_by_now(app: Flask) -> None:
    run_id = run_one_off("debug.log@v1", HELLO)
    lapse(run_id, deadline_at=now_plus(-20))
    assert queries.action_run(run_id).status == "queued"


def test_a_parent_that_renews_after_the_second_look_keeps_its_run(app: Flask) -> None:
    run_id = run_one_off("debug.log@v1", HELLO)
    token = str(uuid.uuid4())
    claim(run_id, token)
    with pytest.raises(LeaseLostError), transaction("test") as tx:
        claims.take_over(tx, StepRef(run_id, None), token, str(uuid.uuid4()))
    assert queries.action_run(run_id).status == "running"


def test_one_row_that_cannot_be_dealt_with_does_not_hold_up_a_sweep(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run_one_off("debug.log@v1", HELLO)
    monkeypatch.setattr(doorbells, "take_due", lambda *_: 1 / 0)
    lost = run_one_off("debug.log@v1", HELLO)
    lapse(lost)
    assert queries.action_run(lost).status == "queued"
    assert "this part of the sweep failed" in caplog.text
    assert sweeper.sweep().failed == ("wake-ups",)


def test_a_lost_step_that_may_not_be_repeated_fails_with_worker_lost(app: Flask) -> None:
    register(once=lambda ctx, value=None: None)
    run_id = run_one_off("test.once@v1")
    lapse(run_id)
    error = queries.action_run(run_id).error
    assert error
    assert error.code == "WORKER_LOST"
    assert "Look first" in error.retry_verdict


def test_a_step_that_was_lost_too_often_fails(app: Flask) -> None:
    run_id = run_one_off("debug.log@v1", HELLO)
    lapse(run_id, attempt=3)
    error = queries.action_run(run_id).error
    assert error
    assert error.code == "WORKER_LOST"


def test_a_step_that_was_killed_at_its_deadline_fails_with_timeout(app: Flask) -> None:
    run_id = run_one_off("debug.log@v1", HELLO)
    token = str(uuid.uuid4())
    claim(run_id, token)
    set_columns(run_id, deadline_at=now_plus(-1))
    recovery.recover_process(token)
    error = queries.action_run(run_id).error
    assert error
    assert error.code == "TIMEOUT"


def test_a_step_whose_worker_was_stopped_until_past_the_deadline_was_lost_and_not_slow(app: Flask) -> None:
    run_id = run_one_off("debug.log@v1", HELLO)
    token = str(uuid.uuid4())
    claim(run_id, token)
    set_columns(run_id, deadline_at=now_plus(-1), lapse_seen_at=now_plus(-20))
    recovery.recover_process(token)
    run = queries.action_run(run_id)
    assert (run.status, run.attempts[0].error_code) == ("queued", "WORKER_LOST")


def test_a_handler_that_catches_everything_and_blocks_signals_is_ended_at_its_deadline(
    ada: Person, start_workers: Callable[..., Workers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_PORTAL_STUBBORN_SECONDS", "1")
    workers = start_workers()
    [child] = wait_until(workers.grandchildren)
    answer = ada.post("/api/v1/actions/debug.log@v1/runs", {"input": HELLO})
    path = f"/api/v1/action-runs/{answer.json['id']}"
    run = wait_until(lambda: (r := ada.get(path).json)["status"] == "failed" and r)
    assert run["error"]["code"] == "TIMEOUT"
    wait_until(lambda: child not in workers.grandchildren())


def test_performing_a_run_that_is_over_does_nothing(app: Flask) -> None:
    run_id = run_one_off("debug.log@v1", HELLO)
    work_off()
    before = queries.action_run(run_id)
    execute.perform(run_id, Performer(str(uuid.uuid4()), "test"))
    execute.perform(str(uuid.uuid4()), Performer(str(uuid.uuid4()), "test"))
    assert queries.action_run(run_id) == before


def test_the_local_forge_is_written_by_a_step(app: Flask, tmp_path: Path) -> None:
    data = {"provider": "local", "owner": "acme", "repo": "orders", "initWithReadme": True}
    run_id = run_one_off("scm.createRepo@v1", data)
    again = run_one_off("scm.createRepo@v1", data)
    work_off()
    assert queries.action_run(run_id).outputs["cloneUrl"].startswith("file://")
    assert (tmp_path / "git" / "acme" / "orders.git").is_dir()
    error = queries.action_run(again).error
    assert error
    assert error.code == "CONFLICT"


def test_a_worker_asks_the_authorizer_whether_a_repository_that_is_there_may_be_used(app: Flask) -> None:
    data = {"provider": "local", "owner": "acme", "repo": "orders"}
    asked: list[tuple[Identity, str, Any]] = []
    run_one_off("scm.createRepo@v1", data)
    before_any = run_one_off("scm.createRepo@v1", {**data, "ifExists": "use"})
    work_off()
    decide(app, lambda *question: bool(asked.append(question)) or True)
    used = run_one_off("scm.createRepo@v1", {**data, "ifExists": "use"})
    work_off()
    assert queries.action_run(before_any).status == "failed", "without an authorizer nobody may"
    assert queries.action_run(used).status == "success"
    (question,) = [one for one in asked if one[1] == "repo:write"]
    assert question == (Identity(ADA.id, ADA.display_name), "repo:write", "acme/orders")
