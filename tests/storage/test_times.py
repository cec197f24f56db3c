"""When runs, their steps and their attempts begin and end, by the database's clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import event

from portal_actions_plugin.extension import extension
from portal_actions_plugin.run_types import ActionRun, TemplateRun
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.reading import queries
from tests.support.run_helpers import ADA, HELLO, go_on, perform, register, start, work_off


@pytest.fixture
def slow_database(app: Flask) -> Iterator[None]:
    """A database in which time passes between two statements, as it does in a real one under load."""

    def takes_its_time(*_: object) -> None:
        time.sleep(0.003)

    engine = extension().database.engine
    event.listen(engine, "before_cursor_execute", takes_its_time)
    yield
    event.remove(engine, "before_cursor_execute", takes_its_time)


def first_step(run: TemplateRun) -> str:
    [step, *_] = run.steps
    assert step.run is not None
    return step.run.id


def whole(run_id: str) -> TemplateRun:
    run = queries.template_run(run_id)
    for step in run.steps:
        if step.run:
            assert run.queued_at <= step.run.queued_at
            assert_holds(run, step.run)
    return run


def assert_holds(run: TemplateRun | ActionRun, part: ActionRun) -> None:
    assert run.started_at is not None
    assert run.finished_at is not None
    if part.started_at:
        assert run.started_at <= part.started_at
    assert part.finished_at is not None
    assert part.finished_at <= run.finished_at
    for attempt in part.attempts:
        assert part.started_at is not None
        assert attempt.finished_at is not None
        assert part.started_at <= attempt.started_at <= attempt.finished_at <= part.finished_at


@pytest.mark.fault("E27")
@pytest.mark.usefixtures("slow_database")
def test_a_run_is_never_shorter_than_its_steps_nor_a_step_than_its_attempts(template_folder: Path) -> None:
    one_by_one = service.start_template_run(ADA, "two-steps", {"name": "orders"}).run
    work_off()
    assert whole(one_by_one.id).status == "success"
    in_one_process = start(template_folder, HELLO, HELLO)
    go_on(in_one_process)
    assert whole(in_one_process.id).status == "success"


@pytest.mark.fault("E27")
@pytest.mark.usefixtures("slow_database")
def test_a_run_that_fails_or_is_canceled_ends_no_earlier_than_its_step(template_folder: Path) -> None:
    def cancels(_ctx: object, *, value: str | None = None) -> None:
        service.cancel_template_run(ADA, canceled.id)

    def fails(_ctx: object, *, value: str | None = None) -> None:
        raise ValueError("no")

    register(cancels=cancels, fails=fails)
    canceled = start(template_folder, {"action": "test.cancels@v1"})
    perform(first_step(canceled))
    assert whole(canceled.id).status == "canceled"
    failed = start(template_folder, {"action": "test.fails@v1"})
    perform(first_step(failed))
    assert whole(failed.id).status == "failed"
