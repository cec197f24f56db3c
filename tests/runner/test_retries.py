"""Which errors are tried again, when, and what people see of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from portal_actions_plugin.errors import (
    ActionError,
    ActionTimeoutError,
    AuthError,
    ConfigurationError,
    ConflictError,
    InternalError,
    NotFoundError,
    RateLimitedError,
    RemoteError,
    ValidationError,
    WorkerLostError,
)
from portal_actions_plugin.runner import sweeper
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.guards import retries
from portal_actions_plugin.runs.guards.retries import Limits, Tried, next_attempt_in
from portal_actions_plugin.runs.news import ring
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import transaction
from portal_actions_plugin.storage.sql import now_plus
from tests.support.people import Person
from tests.support.run_helpers import (
    ADA,
    change_action,
    columns,
    is_due_after,
    make_due,
    perform,
    register,
    run_one_off,
    set_columns,
    start,
    work_off,
)

NEVER = (
    AuthError,
    NotFoundError,
    ConflictError,
    ValidationError,
    ConfigurationError,
    InternalError,
    ActionTimeoutError,
)


def failing(error: Exception, times: int = 100) -> Callable[..., Any]:
    def handler(ctx: Any, value: Any = None) -> dict[str, int]:
        ctx.log(f"attempt {ctx.run.attempt}")
        if ctx.run.attempt <= times:
            raise error
        return {"attempt": ctx.run.attempt}

    return handler


def wait_of(run_id: str) -> float:
    row = columns(run_id)
    last = queries.action_run(run_id).attempts[-1]
    return (row["not_before"] - last.finished_at).total_seconds()


@pytest.mark.parametrize("error", NEVER)
def test_trap_5_an_error_that_does_not_pass_is_never_tried_again(app: Flask, error: type[Exception]) -> None:
    register(again=failing(error("no use")))
    run_id = run_one_off("test.again@v1")
    perform(run_id)
    run = queries.action_run(run_id)
    assert (run.status, run.attempt, run.error.code) == ("failed", 1, error.code)


def test_trap_5_the_forges_retry_after_is_waited_for_and_not_much_longer(app: Flask) -> None:
    register(limited=failing(RateLimitedError("slow down", retry_after=77), times=1))
    run_id = run_one_off("test.limited@v1")
    perform(run_id)
    assert queries.action_run(run_id).status == "queued"
    assert is_due_after(run_id, 77)
    perform(run_id)
    assert queries.action_run(run_id).attempt == 1, "it is not due yet, whoever rings"
    make_due(run_id)
    perform(run_id)
    assert queries.action_run(run_id).outputs == {"attempt": 2}


def test_the_wait_grows_three_fold_with_jitter_up_to_its_cap(app: Flask) -> None:
    register(again=failing(RemoteError("down")))
    waits = [next_attempt_in(RemoteError("down"), Tried("test.again@v1", attempt, 99)) for attempt in range(1, 9)]
    for wait, base in zip(waits, (10, 30, 90, 270, 600, 600, 600, 600), strict=True):
        assert base <= wait <= min(base * (1 + retries.JITTER), 600)
    many = {next_attempt_in(RemoteError("down"), Tried("test.again@v1", 1, 9)) for _ in range(20)}
    assert len(many) > 1, "runs that failed together do not come back together"
    assert next_attempt_in(RemoteError("down"), Tried("test.again@v1", 10_000, 99_999)) == 600


def test_each_attempt_is_kept_with_its_start_end_error_and_worker(app: Flask) -> None:
    register(again=failing(RemoteError("the forge is down"), times=2))
    run_id = run_one_off("test.again@v1")
    for _ in range(3):
        perform(run_id)
        make_due(run_id)
    run = queries.action_run(run_id)
    assert (run.status, run.attempt, run.outputs) == ("success", 3, {"attempt": 3})
    assert [(tried.number, tried.outcome, tried.error_code) for tried in run.attempts] == [
        (1, "failed", "REMOTE_ERROR"),
        (2, "failed", "REMOTE_ERROR"),
        (3, "success", None),
    ]
    assert {tried.worker for tried in run.attempts} == {"test"}
    assert all(tried.started_at <= tried.finished_at for tried in run.attempts)
    assert [line.attempt for line in queries.log_lines(run_id)] == [1, 2, 3]


def test_a_run_that_has_used_up_its_attempts_fails_with_the_last_error(app: Flask) -> None:
    register(again=failing(RemoteError("down")))
    run_id = run_one_off("test.again@v1")
    for _ in range(3):
        perform(run_id)
        make_due(run_id)
    run = queries.action_run(run_id)
    assert (run.status, run.attempt, run.error.code) == ("failed", 3, "REMOTE_ERROR")


def test_trap_14_an_action_that_may_not_be_repeated_is_not_when_its_effect_is_unknown(app: Flask) -> None:
    register(once=failing(RemoteError("the answer was lost")))
    run_id = run_one_off("test.once@v1")
    perform(run_id)
    assert queries.action_run(run_id).status == "failed"
    assert next_attempt_in(WorkerLostError("gone"), Tried("test.once@v1", 1, 3)) is None
    assert next_attempt_in(RateLimitedError("refused"), Tried("test.once@v1", 1, 3)) is not None


def test_a_limit_uses_up_no_attempt(app: Flask) -> None:
    register(limited=failing(RateLimitedError("slow down", retry_after=60), times=5))
    run_id = run_one_off("test.limited@v1")
    for number in range(1, 6):
        perform(run_id)
        run = queries.action_run(run_id)
        assert (run.status, run.attempt, run.max_attempts) == ("queued", number, 3 + number)
        make_due(run_id)
    perform(run_id)
    run = queries.action_run(run_id)
    assert (run.status, run.outputs) == ("success", {"attempt": 6})
    assert [(tried.number, tried.error_code) for tried in run.attempts] == [
        *((number, "RATE_LIMITED") for number in range(1, 6)),
        (6, None),
    ]


def test_after_limits_a_run_still_has_all_of_its_attempts(app: Flask) -> None:
    def handler(ctx: Any, value: Any = None) -> None:
        raise RateLimitedError("slow down") if ctx.run.attempt in (1, 3) else RemoteError("down")

    register(again=handler)
    run_id = run_one_off("test.again@v1")
    while queries.action_run(run_id).status == "queued":
        perform(run_id)
        make_due(run_id)
    codes = [tried.error_code for tried in queries.action_run(run_id).attempts]
    assert codes == ["RATE_LIMITED", "REMOTE_ERROR", "RATE_LIMITED", "REMOTE_ERROR", "REMOTE_ERROR"]


def test_a_limit_without_a_time_is_waited_for_twice_as_long_each_time(app: Flask) -> None:
    def waits(named: float | None) -> list[float]:
        error = RateLimitedError("slow down", retry_after=named)
        tried = [Tried("test.limited@v1", 9, 9, limits=Limits(in_a_row)) for in_a_row in range(12)]
        return [next_attempt_in(error, each) or 0 for each in tried]

    for wait, base in zip(waits(None), (60 * 2**number for number in range(12)), strict=True):
        assert base <= wait <= base + 60 or (wait, base) == (0, 60 * 2**11), "longer than a day is not waited for"
    for wait, base in zip(waits(0.0), (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600), strict=True):
        assert base <= wait <= base + 60, "who says at once, and refuses again, is not asked at once for a whole day"


def test_a_run_waits_for_limits_for_a_day_in_all_and_then_says_when_to_retry(app: Flask) -> None:
    register(limited=failing(RateLimitedError("slow down", retry_after=200)))
    run_id = run_one_off("test.limited@v1")
    for waited in (40_000, 46_300):
        perform(run_id)
        assert queries.action_run(run_id).status == "queued"
        make_due(run_id)
        has_waited(run_id, waited)
    perform(run_id)
    run = queries.action_run(run_id)
    assert (run.status, run.attempt, run.error.code) == ("failed", 3, "RATE_LIMITED")
    assert run.error.retry_at - run.finished_at == pytest.approx(timedelta(seconds=200), abs=timedelta(seconds=1))
    assert run.error.hint.endswith("It has waited for limits for 24 h, and waits for a day in all.")


def test_other_waits_are_none_for_a_limit(app: Flask) -> None:
    def handler(ctx: Any, value: Any = None) -> None:
        raise RemoteError("down") if ctx.run.attempt == 1 else RateLimitedError("slow down", retry_after=200)

    register(again=handler)
    run_id = run_one_off("test.again@v1")
    perform(run_id)
    has_waited(run_id, 86_390)
    make_due(run_id)
    perform(run_id)
    assert queries.action_run(run_id).status == "queued"


def has_waited(run_id: str, seconds: float) -> None:
    """Let the last attempt have ended so long ago."""
    with transaction("test") as tx:
        newest = select(func.max(tables.attempts.c.number)).where(tables.attempts.c.action_run_id == run_id)
        tx.execute(
            update(tables.attempts)
            .where(tables.attempts.c.action_run_id == run_id, tables.attempts.c.number == newest.scalar_subquery())
            .values(finished_at=now_plus(-seconds))
        )


def test_a_wait_longer_than_a_day_is_not_waited_for_but_told(app: Flask, ada: Person) -> None:
    register(limited=failing(RateLimitedError("monthly quota", retry_after=3 * 86_400)))
    run_id = run_one_off("test.limited@v1")
    perform(run_id)
    run = queries.action_run(run_id)
    assert run.status == "failed"
    assert run.error.retry_at - run.finished_at == pytest.approx(timedelta(days=3), abs=timedelta(seconds=1))
    assert f"{run.error.retry_at:%Y-%m-%d %H:%M}" in run.error.retry_verdict
    shown = ada.get(f"/api/v1/action-runs/{run_id}").json["error"]
    assert (shown["retryable"], shown["retry_verdict"]) == (True, run.error.retry_verdict)
    assert shown["retry_at"]


@pytest.mark.parametrize("nonsense", [float("nan"), float("inf"), "soon", pytest.param(10**400, id="huge")])
def test_a_wait_that_makes_no_sense_counts_as_none(app: Flask, nonsense: Any) -> None:
    register(again=failing(RemoteError("down", retry_after=nonsense)))
    run_id = run_one_off("test.again@v1")
    perform(run_id)
    assert 1 < wait_of(run_id) < 20, "what is usual, within its spread"


def test_a_negative_wait_is_none_at_all(app: Flask) -> None:
    register(again=failing(RateLimitedError("now", retry_after=-5), times=1))
    run_id = run_one_off("test.again@v1")
    assert work_off() == 2
    assert queries.action_run(run_id).status == "success"


def test_the_sweeper_rings_when_the_next_attempt_is_due_and_not_before(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(again=failing(RemoteError("down"), times=1))
    run_id = run_one_off("test.again@v1")
    perform(run_id)
    rung: list[str] = []
    monkeypatch.setattr(ring, "ring", lambda due, _end=None: rung.extend(run_id for run_id, _ in due) or len(due))
    sweeper.sweep()
    assert rung == []
    set_columns(run_id, not_before=now_plus(-1), ring_again_at=now_plus(-1))
    sweeper.sweep()
    assert rung == [run_id]
    perform(run_id)
    assert queries.action_run(run_id).status == "success"


def test_a_step_that_is_tried_again_keeps_its_template_run_running(app: Flask) -> None:
    run = service.start_template_run(ADA, "two-steps", {"name": "orders"}).run
    change_action("debug.log@v1", handler=flaky_log)
    step = run.steps[0].run.id
    perform(step)
    whole = queries.template_run(run.id)
    assert (whole.status, whole.steps[0].status) == ("running", "queued")
    make_due(step)
    work_off()
    assert queries.template_run(run.id).status == "success"


def flaky_log(ctx: Any, message: str) -> None:
    if ctx.run.attempt == 1 and ctx.run.step_id == "greet":
        raise RemoteError("the forge is down")


def test_trap_2_a_run_that_waits_for_its_next_attempt_can_be_canceled_and_stays_so(app: Flask) -> None:
    register(again=failing(RemoteError("down")))
    run_id = run_one_off("test.again@v1")
    perform(run_id)
    service.cancel_action_run(ADA, run_id)
    perform(run_id)
    make_due(run_id)
    perform(run_id)
    run = queries.action_run(run_id)
    assert (run.status, run.attempt, run.not_before) == ("canceled", 1, None)


def test_what_an_attempt_has_made_is_linked_whatever_becomes_of_the_next(app: Flask) -> None:
    def handler(ctx: Any, value: Any = None) -> None:
        if ctx.run.attempt == 1:
            ctx.link("Repository", "https://example.com/repo")
        raise RemoteError("down")

    register(again=handler)
    run_id = run_one_off("test.again@v1")
    perform(run_id)
    assert [link.title for link in queries.action_run(run_id).links] == ["Repository"]
    make_due(run_id)
    perform(run_id)
    service.cancel_action_run(ADA, run_id)
    run = queries.action_run(run_id)
    assert (run.status, [link.title for link in run.links]) == ("canceled", ["Repository"])


def test_the_queued_signal_is_sent_for_a_retry_too(app: Flask) -> None:
    from portal_actions_plugin.signals import action_run_queued

    seen: list[int] = []

    def receiver(_app: Flask, run: Any) -> None:
        seen.append(run.attempt)

    with action_run_queued.connected_to(receiver):
        register(again=failing(RemoteError("down"), times=1))
        run_id = run_one_off("test.again@v1")
        perform(run_id)
    assert seen == [0, 1]


def test_what_was_in_the_making_when_a_cancel_came_is_on_the_receipt(app: Flask) -> None:
    def handler(ctx: Any, value: Any = None) -> None:
        service.cancel_action_run(ADA, ctx.run.id)
        ctx.link("Repository", "https://example.com/repo")
        ctx.link("Never", "https://example.com/never")

    register(once=handler)
    run_id = run_one_off("test.once@v1")
    perform(run_id)
    run = queries.action_run(run_id)
    assert (run.status, [link.title for link in run.links]) == ("canceled", ["Repository"])


def test_trap_13_a_checkpoint_is_found_past_a_retry_that_never_got_that_far(app: Flask) -> None:
    made: list[int] = []
    failing_step = ["after the part"]

    def handler(ctx: Any, message: str) -> None:
        if ctx.run.step_id == failing_step[0]:
            raise ConflictError("no")
        if ctx.run.step_id == "part":
            ctx.checkpoint("part", lambda: made.append(1) or "made")
            if failing_step[0] == "after the part":
                raise ConflictError("no")

    change_action("debug.log@v1", handler=handler)
    first = service.start_template_run(ADA, "two-steps", {"name": "orders"}).run
    work_off()
    failing_step[0] = "greet"
    second = service.retry_template_run(ADA, first.id).run
    work_off()
    failing_step[0] = ""
    third = service.retry_template_run(ADA, second.id).run
    work_off()
    assert [queries.template_run(run.id).status for run in (first, second, third)] == ["failed", "failed", "success"]
    assert made == [1]


@pytest.mark.parametrize(
    ("of", "change", "parts"),
    [
        ({}, "nothing", 1),
        ({}, "the message", 2),
        ({"of": "orders"}, "the message", 1),
        ({}, "the message, and nobody knows what it was", 1),
    ],
)
def test_a_checkpoint_is_for_a_retry_with_the_same_input(
    app: Flask, template_folder: Path, of: dict[str, Any], change: str, parts: int
) -> None:
    made: list[str] = []
    is_broken = [True]

    def handler(ctx: Any, message: str) -> None:
        ctx.checkpoint("part", lambda: made.append(message) or "made", **of)
        ctx.checkpoint("part", lambda: made.append("twice") or "made", **of)
        if is_broken:
            raise ConflictError("no")

    change_action("debug.log@v1", handler=handler)
    step = {"action": "debug.log@v1", "input": {"message": "before"}}
    run = start(template_folder, step)
    work_off()
    if "nobody" in change:
        set_columns(run.steps[0].run.id, input_fingerprint=None)
    if "message" in change:
        file = next(file for file in template_folder.rglob("*.yaml") if "before" in file.read_text())
        file.write_text(file.read_text().replace("before", "after"))
    is_broken.clear()
    again = service.retry_template_run(ADA, run.id).run
    work_off()
    assert queries.template_run(again.id).status == "success"
    assert len(made) == parts


@pytest.mark.parametrize("key", ["", "x" * 256, "nul\x00"])
def test_a_checkpoint_with_an_unusable_key_does_nothing(app: Flask, key: str) -> None:
    done: list[str] = []
    register(once=lambda ctx, value=None: ctx.checkpoint(key, lambda: done.append("done")))
    run_id = run_one_off("test.once@v1")
    perform(run_id)
    assert (queries.action_run(run_id).status, done) == ("failed", [])


class QuotaError(ActionError):
    """The quota of this month is used up."""

    code = "QUOTA_USED_UP"
    retryable = True


@pytest.mark.fault("C17")
def test_an_error_with_a_code_of_its_own_is_shown_as_it_is_retried_and_is_no_bug(app: Flask, ada: Person) -> None:
    def fail(_ctx: Any, **_: Any) -> None:
        raise QuotaError

    register(again=fail)
    change_action("test.again@v1", max_attempts=2)
    run_id = run_one_off("test.again@v1")
    perform(run_id)
    assert queries.action_run(run_id).status == "queued"
    make_due(run_id)
    perform(run_id)
    error = ada.get(f"/api/v1/action-runs/{run_id}").json["error"]
    assert (error["code"], error["retryable"]) == ("QUOTA_USED_UP", True)
    assert error["retry_verdict"] == "Retrying can help."
    set_columns(run_id, error_code="OF_ANOTHER_PROCESS")
    error = ada.get(f"/api/v1/action-runs/{run_id}").json["error"]
    assert "bug" not in error["retry_verdict"]
    set_columns(run_id, error_code="INTERNAL_ERROR")
    assert "bug" in ada.get(f"/api/v1/action-runs/{run_id}").json["error"]["retry_verdict"]
