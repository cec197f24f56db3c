"""One writer per lock key: who waits, who is next, and when a lock is free again."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema, fields
from sqlalchemy import event, select

from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.actions.scm import open_pr_or_mr
from portal_actions_plugin.errors import RateLimitedError, RemoteError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner import recovery, sweeper
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.changes import claims, locks
from portal_actions_plugin.runs.news import ring
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import transaction
from portal_actions_plugin.storage.sql import now_plus
from tests.support.doorbells import queue_key
from tests.support.page_rows import add_action_run
from tests.support.people import Person
from tests.support.run_helpers import (
    ADA,
    change_action,
    claim,
    columns,
    make_due,
    perform,
    register,
    run_one_off,
    set_columns,
)
from tests.support.waiting import wait_until
from tests.support.workers import Workers


def of_value(data: Any) -> str | None:
    return data.get("value")


@pytest.fixture
def rung(app: Flask, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that doorbells ring for from now on; none of them reaches Redis."""
    heard: list[str] = []
    monkeypatch.setattr(ring, "ring", lambda due, _end=None: heard.extend(run_id for run_id, _ in due) or len(due))
    return heard


def locked_run(value: str | None = "shop") -> str:
    return run_one_off("test.again@v1", {"value": value} if value else {})


def register_locked(handler: Callable[..., Any] = lambda ctx, value=None: None) -> None:
    register(again=handler, lock=of_value)


def test_one_run_at_a_time_holds_a_key_and_the_others_wait(app: Flask, rung: list[str]) -> None:
    register_locked()
    first, second, other = locked_run(), locked_run(), locked_run("else")
    token = str(uuid.uuid4())
    assert claim(first, token, lock_key="shop")
    perform(second)
    assert queries.action_run(second).status == "queued"
    perform(other)
    assert queries.action_run(other).status == "success", "another key is not in the way"
    rung.clear()
    recovery.recover_process(token)
    assert second in rung or first in rung


def test_a_lock_is_not_free_while_its_process_may_still_write(app: Flask, rung: list[str]) -> None:
    register_locked()
    first, second = locked_run(), locked_run()
    token = perform(first)
    assert queries.action_run(first).status == "success"
    perform(second)
    assert queries.action_run(second).status == "queued", "the first one's process has not been reaped yet"
    rung.clear()
    recovery.recover_process(token)
    assert rung == [second]
    perform(second)
    assert queries.action_run(second).status == "success"


def test_a_canceled_run_keeps_its_lock_until_its_process_is_gone(app: Flask, rung: list[str]) -> None:
    register_locked()
    first, second = locked_run(), locked_run()
    token = str(uuid.uuid4())
    assert claim(first, token, lock_key="shop")
    service.cancel_action_run(ADA, first)
    perform(second)
    assert queries.action_run(second).status == "queued"
    with transaction("test") as tx:
        assert claims.renew(tx, token, 30) == 1, "its parent goes on renewing until it is reaped"
    recovery.recover_process(token)
    perform(second)
    assert queries.action_run(second).status == "success"
    assert queries.action_run(first).status == "canceled"


def test_a_lock_that_a_death_left_behind_is_freed_when_its_lease_has_lapsed(app: Flask, rung: list[str]) -> None:
    register_locked()
    first, second = locked_run(), locked_run()
    assert claim(first, str(uuid.uuid4()), lock_key="shop")
    service.cancel_action_run(ADA, first)
    sweeper.sweep()
    assert columns(first)["lock_held"]
    set_columns(first, lease_expires_at=now_plus(-11))
    rung.clear()
    sweeper.sweep()
    assert not columns(first)["lock_held"]
    assert rung == [second]


def test_a_lapsed_running_row_gives_its_lock_back_with_its_lease(app: Flask, rung: list[str]) -> None:
    register_locked()
    first = locked_run()
    assert claim(first, str(uuid.uuid4()), lock_key="shop")
    set_columns(first, lease_expires_at=now_plus(-30), lapse_seen_at=now_plus(-11))
    sweeper.sweep()
    run, row = queries.action_run(first), columns(first)
    assert (run.status, row["lock_held"], row["lock_key"]) == ("queued", False, "shop")
    perform(first)
    assert queries.action_run(first).status == "success"


def test_the_oldest_due_row_goes_first(app: Flask, rung: list[str]) -> None:
    register_locked()
    first, second = locked_run(), locked_run()
    perform(second)
    assert queries.action_run(second).status == "queued", "an older due row wants the key"
    set_columns(first, not_before=now_plus(60))
    perform(second)
    assert queries.action_run(second).status == "success", "an older row that is not due is not in the way"


def test_age_is_told_by_the_databases_clock_and_not_by_ids(app: Flask, rung: list[str]) -> None:
    register_locked()
    first, second = locked_run(), locked_run()
    set_columns(first, queued_at=now_plus(10))
    perform(first)
    assert queries.action_run(first).status == "queued"
    token = perform(second)
    recovery.recover_process(token)
    perform(first)
    assert queries.action_run(first).status == "success"


def test_a_run_that_waits_for_its_next_attempt_lets_others_have_the_lock(app: Flask, rung: list[str]) -> None:
    def handler(ctx: Any, value: Any = None) -> None:
        if ctx.run.attempt == 1 and ctx.run.id == first:
            raise RemoteError("down")

    register_locked(handler)
    first, second = locked_run(), locked_run()
    token = perform(first)
    assert queries.action_run(first).status == "queued"
    make_due(first)
    perform(first)
    assert queries.action_run(first).attempt == 1, "its own last process is not gone yet"
    set_columns(first, not_before=now_plus(30))
    recovery.recover_process(token)
    token = perform(second)
    assert queries.action_run(second).status == "success"
    make_due(first)
    perform(first)
    assert queries.action_run(first).attempt == 1, "the lock is the second one's now"
    recovery.recover_process(token)
    perform(first)
    assert queries.action_run(first).status == "success"


def test_a_refused_claim_leaves_its_template_run_queued(app: Flask, rung: list[str]) -> None:
    run = service.start_template_run(ADA, "two-steps", {"name": "orders"}).run
    change_action("debug.log@v1", lock=lambda data: data["message"])
    held = run_one_off("debug.log@v1", {"message": "hello orders"})
    set_columns(held, queued_at=now_plus(-60))
    assert claim(held, str(uuid.uuid4()), lock_key="hello orders")
    perform(run.steps[0].run.id)
    whole = queries.template_run(run.id)
    assert (whole.status, whole.started_at, whole.steps[0].status) == ("queued", None, "queued")
    assert columns(run.steps[0].run.id)["lock_key"] == "hello orders", "it is kept for the line"


def test_a_run_that_waits_for_a_lock_says_who_holds_it(app: Flask, rung: list[str], ada: Person) -> None:
    register_locked()
    first, second = locked_run(), locked_run()
    assert ada.get(f"/api/v1/action-runs/{second}").json["waits_for"] is None
    assert claim(first, str(uuid.uuid4()), lock_key="shop")
    assert ada.get(f"/api/v1/action-runs/{second}").json["waits_for"] == {
        "reason": "lock",
        "message": f"It waits until the run {first} is through with shop.",
        "lock": "shop",
        "run_id": first,
        "html_url": f"/actions/runs/{first}",
    }
    page = ada.get(f"/actions/runs/{second}").get_data(as_text=True)
    assert f'<a href="/actions/runs/{first}">another run</a> is through with <code>shop</code>' in page


def test_a_wait_that_was_named_is_kept_exactly_also_when_a_doorbell_rings_early(app: Flask) -> None:
    def handler(ctx: Any, value: Any = None) -> None:
        raise RateLimitedError("slow down", retry_after=5)

    register_locked(handler)
    run_id = locked_run()
    recovery.recover_process(perform(run_id))
    perform(run_id)
    row = columns(run_id)
    assert row["ring_again_at"] == row["not_before"]


def test_a_cancel_lets_the_next_in_line_know(app: Flask, rung: list[str]) -> None:
    register_locked()
    first, second = locked_run(), locked_run()
    perform(second)
    set_columns(second, rings=7, ring_again_at=now_plus(1920))
    rung.clear()
    service.cancel_action_run(ADA, first)
    assert rung == [second]
    assert columns(second)["rings"] == 1
    perform(second)
    assert queries.action_run(second).status == "success"


def test_the_statements_about_locks_read_no_whole_table(app: Flask) -> None:
    seen: list[tuple[str, Any]] = []

    def listen(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "lock_held" in statement:
            seen.append((statement, parameters))

    engine = extension().database.engine
    event.listen(engine, "before_cursor_execute", listen)
    with transaction("test") as tx:
        locks.free_lapsed(tx, 10)
        tx.rows(select(tables.action_runs.c.id).where(*locks.is_free("shop")))
    event.remove(engine, "before_cursor_execute", listen)
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by how full a table is")
    with engine.connect() as connection:
        plans = [str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", given).all()) for sql, given in seen]
    assert len(plans) == 2
    for plan in plans:
        assert "USING INDEX uq_portal_actions_action_runs_held_lock_key" in plan


def test_of_many_claims_at_once_one_gets_the_lock(app: Flask, rung: list[str]) -> None:
    register_locked()
    runs = [locked_run() for _ in range(4)]
    for run_id in runs:
        set_columns(run_id, queued_at=now_plus(0), lock_key=None)
    moment = columns(runs[0])["queued_at"]
    for run_id in runs:
        set_columns(run_id, queued_at=moment)
    barrier = Barrier(len(runs))

    def take(run_id: str) -> bool:
        with app.app_context():
            barrier.wait()
            return claim(run_id, str(uuid.uuid4()), lock_key="shop")

    with ThreadPoolExecutor(len(runs)) as pool:
        assert sum(pool.map(take, runs)) == 1
    assert sum(bool(columns(run_id)["lock_held"]) for run_id in runs) == 1


def test_a_key_that_cannot_be_worked_out_lets_no_handler_run(app: Flask) -> None:
    called: list[str] = []
    register(again=lambda ctx, value=None: called.append("called"), lock=lambda data: data["missing"])
    run_id = add_action_run("queued", action="test.again@v1", input={"value": 1}, template_run_id=None)
    perform(run_id)
    run = queries.action_run(run_id)
    assert (run.status, run.error.code, called) == ("failed", "INTERNAL_ERROR", [])


def test_wrong_input_of_a_locked_action_is_a_validation_error(app: Flask) -> None:
    run_id = add_action_run("queued", action=open_pr_or_mr.id, input={"repo": 3}, template_run_id=None)
    perform(run_id)
    error = queries.action_run(run_id).error
    assert error.code == "VALIDATION_ERROR"
    assert "repo" in error.message


def test_writers_to_a_repository_share_its_lock_however_it_is_named() -> None:
    plain = {"repo": {"provider": "local", "owner": "Acme", "repo": "Shop"}}
    from_outputs = {"repo": {"repoUrl": "…", "repo": {"provider": "local", "owner": "acme", "repo": "shop"}}}
    assert open_pr_or_mr.lock_key(plain) == open_pr_or_mr.lock_key(from_outputs) == "scm:local/acme/shop"


def test_a_secret_field_plays_no_part_in_a_lock() -> None:
    class WithToken(Schema):
        token = fields.String(load_only=True)
        repo = fields.String()

    @action("test.locked@v1", title="Locked", input=WithToken, lock=lambda data: ",".join(sorted(data)))
    def locked(ctx: Any, **_: Any) -> None:
        """Lock."""

    assert locked.lock_key({"token": "s3cret", "repo": "shop"}) == "repo"


def test_a_very_long_key_still_locks(app: Flask, rung: list[str]) -> None:
    register_locked()
    first, second = locked_run("x" * 400), locked_run("x" * 400)
    perform(first)
    perform(second)
    assert [queries.action_run(run_id).status for run_id in (first, second)] == ["success", "queued"]


def test_real_workers_hand_a_lock_on_without_waiting_for_a_sweep(
    app: Flask, ada: Person, start_workers: Callable[..., Workers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_PORTAL_LOCKED", "1")
    change_action("debug.wait@v1", lock=lambda _data: "the only one")
    start_workers(workers=3)
    paths = [
        ada.post("/api/v1/actions/debug.wait@v1/runs", {"input": {"seconds": 0.2}}).headers["Location"]
        for _ in range(6)
    ]
    wait_until(lambda: all(ada.get(path).json["status"] == "success" for path in paths))
    runs = sorted((ada.get(path).json for path in paths), key=lambda run: run["started_at"])
    for before, after in itertools.pairwise(runs):
        assert before["finished_at"] <= after["started_at"], "no two of them at the same time"
    assert [run["id"] for run in runs] == [path.rpartition("/")[2] for path in paths], "oldest first"


TWO_LOCKED = """
apiVersion: portal-actions/v1
kind: Template
metadata: {name: two-locked}
spec:
  owner: team:platform
  type: service
  parameters: {required: [key], properties: {key: {type: string}}}
  steps:
    - {id: first, action: test.again@v1, input: {value: "${{ parameters.key }}"}}
    - {id: second, action: test.again@v1, input: {value: "${{ parameters.key }}"}}
"""


@pytest.mark.fault("F40")
def test_in_a_backlog_the_next_step_of_a_run_that_has_begun_goes_first(app: Flask, template_folder: Path) -> None:
    register(again=lambda _ctx, **_: {}, lock=of_value)
    (template_folder / "two-locked.yaml").write_text(TWO_LOCKED)
    runs = [service.start_template_run(ADA, "two-locked", {"key": f"repository-{n}"}).run for n in range(5)]
    begun = runs[0].steps[0].run.id
    assert begun
    perform(begun)
    next_step = queries.template_run(runs[0].id).steps[1].run.id
    first_on_redis = extension().redis.lindex(queue_key(), 0)
    description = extension().redis.hget(f"rq:job:{first_on_redis.decode()}", "description")
    assert description.decode() == next_step
