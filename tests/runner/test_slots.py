"""A bound on the steps of one identity that run at a time: who is held back, who goes ahead, and who is next."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert

from portal_actions_plugin.cli import actions
from portal_actions_plugin.doctor import examination
from portal_actions_plugin.doctor.findings import Finding
from portal_actions_plugin.errors import RemoteError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner import recovery, sweeper
from portal_actions_plugin.runner.attempt import execute
from portal_actions_plugin.runner.attempt.prepare import Performer, prepare
from portal_actions_plugin.runner.attempt.queued_run import load_queued_run
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.changes import due, slots
from portal_actions_plugin.runs.news import ring
from portal_actions_plugin.runs.reading import queries, workers
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import new_id, reading, transaction
from portal_actions_plugin.storage.sql import now_plus
from portal_actions_plugin.upkeep import measures, still_queues
from tests.support.page_rows import ADA as ADAS
from tests.support.page_rows import BOB as BOBS
from tests.support.page_rows import add_action_run
from tests.support.people import Person
from tests.support.portal import PEOPLE
from tests.support.run_helpers import (
    ADA,
    HELLO,
    claim,
    columns,
    go_on,
    perform,
    register,
    run_one_off,
    set_columns,
    start,
)
from tests.support.statements import counting
from tests.support.waiting import wait_until
from tests.support.workers import Workers

BOB = PEOPLE["bob"]
LOG = "debug.log@v1"


@pytest.fixture
def rung(app: Flask, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that doorbells ring for from now on; none of them reaches Redis."""
    heard: list[str] = []
    monkeypatch.setattr(ring, "ring", lambda due, _end=None: heard.extend(run_id for run_id, _ in due) or len(due))
    return heard


def bound(number: int | None) -> None:
    object.__setattr__(extension().config, "max_running_per_identity", number)


@pytest.fixture(autouse=True)
def one_at_a_time(app: Flask) -> None:
    bound(1)


def add(*, mine: bool = True, **values: Any) -> str:
    row = {"input": {"message": "hello"}, **(ADAS if mine else BOBS), **values}
    return add_action_run("queued", **row)


def begin(run_id: str, lock_key: str | None = None) -> str:
    """Let a run begin, and be at it for an hour."""
    token = str(uuid.uuid4())
    assert claim(run_id, token, lock_key=lock_key)
    return token


def status(run_id: str) -> str:
    return queries.action_run(run_id).status


def is_held(run_id: str) -> bool:
    row = columns(run_id)
    return row["held_back_at"] is not None and row["status"] == "queued"


def due_now() -> list[str]:
    with reading() as db:
        return list(due.oldest(db, "default", 4))


def test_a_step_beyond_the_bound_is_held_back_and_somebody_else_s_starts_at_once(app: Flask, rung: list[str]) -> None:
    first, second, bobs = add(), add(), add(mine=False)
    begin(first)
    assert due_now() == [second, bobs]
    perform(second)
    assert is_held(second)
    assert due_now() == [bobs], "it is in nobody's way"
    perform(bobs)
    assert status(bobs) == "success"


def test_who_ends_a_step_rings_for_the_oldest_that_is_held_back(app: Flask, rung: list[str]) -> None:
    first, second, third = add(action="test.once@v1"), add(), add()
    token = begin(first)
    perform(third)
    assert is_held(second)
    assert is_held(third), "all of theirs at the head of the queue are held back together"
    rung.clear()
    recovery.recover_process(token)
    assert status(first) == "failed"
    assert rung == [second]
    assert not is_held(second)
    perform(second)
    assert status(second) == "success"
    assert rung == [second, third]


def test_a_step_that_is_tried_again_at_once_keeps_its_slot(app: Flask, rung: list[str]) -> None:
    first, second = add(), add()
    token = begin(first)
    perform(second)
    rung.clear()
    recovery.recover_process(token)  # its worker was killed, and it may be repeated
    assert rung == [first]
    perform(second)
    assert is_held(second)
    perform(first)
    assert status(first) == "success"
    assert rung == [first, second]


def test_a_step_that_waits_for_its_next_attempt_has_no_slot_meanwhile(app: Flask, rung: list[str]) -> None:
    def fail(_ctx: Any, **_: Any) -> None:
        perform(second)
        raise RemoteError("gone")

    register(again=fail)
    first, second = run_one_off("test.again@v1"), add()
    rung.clear()
    perform(first)
    assert status(first) == "queued"
    assert rung == [second]
    perform(second)
    assert status(second) == "success"


def test_a_dead_worker_s_step_gives_its_slot_back_by_a_sweep(app: Flask, rung: list[str]) -> None:
    first, second = add(action="test.once@v1"), add()
    begin(first)
    perform(second)
    set_columns(first, lease_expires_at=now_plus(-30), lapse_seen_at=now_plus(-11))
    rung.clear()
    sweeper.sweep()
    assert (status(first), rung) == ("failed", [second])


def test_the_next_step_of_a_template_run_keeps_the_slot_of_the_one_before(
    app: Flask, rung: list[str], template_folder: Path
) -> None:
    run = start(template_folder, HELLO, HELLO)
    other, steps = add(), run.steps
    perform(steps[0].run.id)
    (second,) = [step.run.id for step in queries.template_run(run.id).steps if step.run and step.run.status == "queued"]
    assert rung[-1] == second
    perform(other)
    assert is_held(other), "the slot is the next step's, which has not begun yet"
    perform(second)
    assert queries.template_run(run.id).status == "success"
    assert rung[-1] == other
    perform(other)
    assert status(other) == "success"


def test_a_process_that_goes_on_takes_the_slot_along(app: Flask, rung: list[str], template_folder: Path) -> None:
    run, other = start(template_folder, HELLO, HELLO, HELLO), add()
    go_on(run)
    assert queries.template_run(run.id).status == "success"
    perform(other)
    assert status(other) == "success"


def test_a_step_that_waits_for_a_lock_has_no_slot_meanwhile(app: Flask, rung: list[str], template_folder: Path) -> None:
    """Else two runs of one person could wait for each other: one for the slot, and the other one for the lock."""
    register(again=lambda _ctx, **_: {}, lock=lambda data: data.get("value"))
    locked = {"action": "test.again@v1", "input": {"value": "shop"}}
    bobs = begin(add(mine=False, action="test.once@v1"), lock_key="shop")
    run, older = start(template_folder, HELLO, locked), add()
    perform(older_locked := add(action="test.again@v1", input={"value": "shop"}))
    assert not is_held(older_locked), "there is a slot, and no lock"
    go_on(run)
    (second,) = [step.run.id for step in queries.template_run(run.id).steps if step.run and step.run.status == "queued"]
    perform(older)
    assert status(older) == "success"
    recovery.recover_process(bobs)
    set_columns(older_locked, held_back_at=now_plus(0), ring_again_at=None)
    perform(second)
    assert status(second) == "success", "who waits for a slot stands in no line for a lock"


def test_what_is_held_back_can_be_canceled_and_retried(app: Flask, rung: list[str]) -> None:
    first, second, third = add(), add(), add()
    begin(first)
    perform(second)
    service.cancel_action_run(ADA, second)
    assert rung == [], "nothing is free by that"
    again = service.retry_action_run(ADA, second).run.id
    perform(again)
    assert is_held(again)
    service.cancel_action_run(ADA, first)
    assert rung[-1] == third
    perform(third)
    assert rung[-1] == again
    perform(again)
    assert status(again) == "success"
    assert status(second) == "canceled"


def test_a_canceled_template_run_gives_back_the_slot_that_its_next_step_keeps(
    app: Flask, rung: list[str], template_folder: Path
) -> None:
    run, other = start(template_folder, HELLO, HELLO), add()
    perform(run.steps[0].run.id)
    perform(other)
    service.cancel_template_run(ADA, run.id)
    assert rung[-1] == other
    perform(other)
    assert status(other) == "success"


@pytest.mark.parametrize("now", [None, 5])
def test_another_bound_or_none_frees_what_is_held_back(app: Flask, rung: list[str], now: int | None) -> None:
    first, *others = (add() for _ in range(4))
    begin(first)
    perform(others[0])
    assert all(map(is_held, others))
    sweeper.sweep()
    assert rung == []
    bound(now)
    sweeper.sweep()
    assert rung == others
    assert not any(map(is_held, others))


def test_a_lower_bound_holds_for_who_begins_next(app: Flask) -> None:
    bound(3)
    first, second, third = add(), add(), add()
    begin(first)
    bound(1)
    perform(second)
    assert is_held(second)
    assert is_held(third)


def test_of_many_claims_at_once_as_many_begin_as_may(app: Flask) -> None:
    bound(3)
    runs = [add() for _ in range(8)]
    waiting = Barrier(8)

    def act(run_id: str) -> bool:
        with app.app_context():
            run = load_queued_run(run_id)
            assert run
            attempt = prepare(run, Performer(str(uuid.uuid4()), "test"), Redactor())
            waiting.wait(60)
            return execute._claim(attempt) is not None

    with ThreadPoolExecutor(8) as pool:
        begun = list(pool.map(act, runs))
    assert sum(begun) == 3
    assert sorted(map(status, runs)) == ["queued"] * 5 + ["running"] * 3
    assert sum(map(is_held, runs)) == 5


def test_ends_and_claims_at_once_forget_nobody(app: Flask) -> None:
    """An end that does not see a row which is just being held back would leave it to a sweeper."""
    runs = [add() for _ in range(12)]

    def act(run_id: str) -> None:
        with app.app_context():
            execute.perform(run_id, Performer(str(uuid.uuid4()), "test"))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(act, runs))
    for _ in runs:
        for run_id in due_now()[:1]:
            perform(run_id)
    assert {status(run_id) for run_id in runs} == {"success"}, "no sweeper was needed"


MANY = 10_000


def add_many(number: int) -> None:
    at = {"queued_at": now_plus(-600), "ring_again_at": now_plus(600), "rings": 1, "version": 1, "attempt": 0}
    row = {"action": LOG, "queue": "default", "status": "queued", "max_attempts": 3, "position": 0, "item": 0}
    with transaction("test") as tx:
        for _ in range(number // 500):
            rows = [{"id": new_id(), "input": {"message": "hello"}, **ADAS} for _ in range(500)]
            tx.execute(insert(tables.action_runs).values({**row, **at, "lock_held": False}), rows)


def test_ten_thousand_due_runs_of_one_person_are_in_nobody_s_way(app: Flask, rung: list[str]) -> None:
    begin(add())
    add_many(MANY)
    bobs = add(mine=False)
    looks = 0
    with counting(app) as said:
        while (head := due_now()) != [bobs] and looks < 20:
            perform(head[0])
            looks += 1
    assert looks == MANY / slots.HELD_AT_ONCE
    assert len(said) <= 12 * looks
    rung.clear()
    with counting(app) as said:
        sweeper.sweep()
    assert rung == []
    assert len(said) < 40
    with reading() as db:
        set_columns(bobs, queued_at=now_plus(-600))
        assert workers.waits_in_vain(db, "default").id == bobs, "none of those is a worker's fault"
    perform(bobs)
    assert status(bobs) == "success"


def test_a_sweep_finds_all_who_are_held_back_by_one_statement_and_goes_on_where_it_stopped(
    app: Flask, rung: list[str]
) -> None:
    held = [add(requested_by=f"user:{name}") for name in ("carol", "dan", "eve") for _ in range(2)]
    for run_id in held:
        set_columns(run_id, held_back_at=now_plus(0), ring_again_at=None)
    with reading() as db, counting(app) as said:
        assert len(slots.with_a_free_slot(db)) == 3
    assert len(said) == 1 + 3
    assert [slots.pass_on_all(2), slots.pass_on_all(2)] == [2, 1]
    assert rung == held[::2]


# -- what people see of it -------------------------------------------------------------------------------------------


def test_a_run_that_is_held_back_says_so_in_the_api_on_its_page_and_by_the_command(app: Flask) -> None:
    begin(run_one_off(LOG, {"message": "hello"}))
    held = run_one_off(LOG, {"message": "hello"})
    ada = Person(app.test_client(), "ada")
    assert ada.get(f"/api/v1/action-runs/{held}").json["waits_for"] is None
    perform(held)
    words = "It waits until another step of Ada Lovelace ends: of one person, 1 step may run here at a time."
    assert ada.get(f"/api/v1/action-runs/{held}").json["waits_for"] == {
        "reason": "own_steps",
        "message": words,
        "lock": None,
        "run_id": None,
        "html_url": None,
    }
    assert words in ada.get(f"/actions/runs/{held}").text
    assert words in app.test_cli_runner().invoke(actions, ["show", held]).output
    bound(None)
    assert ada.get(f"/api/v1/action-runs/{held}").json["waits_for"] is None


def test_a_queue_on_which_nothing_moves_is_told_by_health_and_doctor(app: Flask) -> None:
    bound(None)
    for _ in range(2):
        begin(hour := add())
        set_columns(hour, started_at=now_plus(-3600))
    bobs = add(mine=False, queued_at=now_plus(-700), ring_again_at=now_plus(60))
    assert Person(app.test_client(), "").get("/api/v1/health").json["queues_still"] == 1
    (moving,) = (one for one in examination.examine() if one.part == "moving")
    assert moving.level == "critical"
    assert f"the run {bobs} is due, and 2 of 2 steps at work there belong to user:ada@example.com" in moving.message
    assert "PORTAL_ACTIONS_MAX_RUNNING_PER_IDENTITY" in moving.mend
    add_action_run("success", finished_at=now_plus(-60))
    assert Person(app.test_client(), "").get("/api/v1/health").json["queues_still"] == 0, "a backlog that is worked on"


def test_of_a_queue_that_may_be_still_its_head_is_looked_at_and_not_all_of_it(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound(None)
    for queue in ("default", "other"):
        add(mine=False, queue=queue)
        late = add(mine=False, queue=queue, queued_at=now_plus(-700))
    with reading() as db:
        assert [(still.queue, still.running) for still in still_queues.still_queues(db)] == [
            ("default", 0),
            ("other", 0),
        ]
        assert still_queues.still_queues(db)[1].waiting == late
        monkeypatch.setattr(still_queues, "LOOKED_AT", 1)
        assert still_queues.still_queues(db) == []


def test_the_doctor_counts_who_is_held_back_and_sees_who_is_so_in_vain(app: Flask) -> None:
    def found() -> Finding:
        (only,) = (one for one in examination.examine() if one.part == "held back")
        return only

    assert found().level == "ok"
    begin(first := add())
    perform(held := add(queued_at=now_plus(-9000)))
    set_columns(held, held_back_at=now_plus(-7200))
    assert (found().level, "1 run" in found().message) == ("ok", True)
    levels = {one.part: one.level for one in examination.examine()}
    assert levels["waiting"] == levels["wake-ups"] == "ok", "it is not late, and not forgotten"
    set_columns(first, status="canceled")
    assert (found().level, found().mend) == ("critical", "flask actions sweep")
    sweeper.sweep()
    assert found().level == "ok"
    assert not is_held(held)


def test_metrics_count_what_is_held_back_apart(app: Flask) -> None:
    begin(add())
    perform(add(queued_at=now_plus(-9000)))
    readings = {reading.metric: reading.values for reading in measures.read()}
    depth = readings[measures.QUEUE_DEPTH]
    assert (depth["default", "held_back"], depth["default", "due"]) == (1, 0)
    assert readings[measures.OLDEST_QUEUED]["default",] == 0


def test_without_a_bound_no_claim_and_no_end_costs_a_statement_more(app: Flask) -> None:
    bound(None)
    with counting(app) as said:
        perform(add())
    assert not any("count(" in one or "advisory" in one or "held_back_at=" in one for one in said)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_somebody_else_s_run_starts_at_once_beside_a_person_s_long_steps(
    app: Flask, start_workers: Callable[..., Workers], rung: list[str]
) -> None:
    bound(None)
    mine = [add(action="debug.wait@v1", input={"seconds": 3600}) for _ in range(3)]
    bobs = add(mine=False)
    set_columns(bobs, ring_again_at=now_plus(0))
    for run_id in mine:
        set_columns(run_id, ring_again_at=now_plus(0))
    start_workers(2, PORTAL_ACTIONS_MAX_RUNNING_PER_IDENTITY=1)
    wait_until(lambda: status(bobs) == "success")
    assert sorted(map(status, mine)) == ["queued", "queued", "running"]
