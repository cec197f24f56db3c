"""A process that dies, or a cancel that comes, at each pause point of a run that fails and cleans up."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from portal_actions_plugin.actions.context import ActionContext
from portal_actions_plugin.errors import ConflictError
from portal_actions_plugin.run_types import TemplateRun
from portal_actions_plugin.runner import recovery
from portal_actions_plugin.runner.attempt import execute
from portal_actions_plugin.runner.attempt.prepare import Performer
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.pause_points import set_visitor
from portal_actions_plugin.storage.sessions import reading
from tests.support.run_helpers import ADA, register, start, work_off

STEPS = (
    {"action": "test.fail@v1"},
    {"action": "test.note@v1"},
    {"action": "test.note@v1", "if": "${{ always() }}"},
    {"action": "test.again@v1", "if": "${{ failure() }}"},
)
MOST = 60
"""More points than there are on the way."""


class DeadError(BaseException):
    """Stands for a SIGKILL: nobody catches it, but handlers' errors are caught, so none comes while one is at work."""


@pytest.fixture
def app(make_app: Callable[..., Flask], database_url: str) -> Iterator[Flask]:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, PORTAL_ACTIONS_RATE_LIMIT="10000 per minute")
    with app.app_context():
        yield app


@pytest.fixture
def begun(app: Flask) -> Iterator[list[str]]:
    """The steps whose handlers have begun."""
    begun: list[str] = []

    def note(ctx: ActionContext) -> None:
        begun.append(str(ctx.run.step_id))

    def fail(ctx: ActionContext) -> None:
        note(ctx)
        raise ConflictError("The first error.")

    register(fail=fail, note=note, again=note)
    yield begun
    set_visitor(None)


def at_point(number: int, act: Callable[[], None], is_there: Callable[[str], bool]) -> list[str]:
    """Act at the n-th pause point that is one; the points that were come to."""
    passed: list[str] = []

    def visit(point: str) -> None:
        if not is_there(point):
            return
        passed.append(point)
        if len(passed) == number:
            act()

    set_visitor(visit)
    return passed


def go_on_as_processes_do(run: TemplateRun) -> None:
    """Perform what is queued; a process that dies is cleared away, and another one looks."""
    while any(step.status == "queued" for step in queries.template_run(run.id).steps):
        [queued] = [step.run for step in queries.template_run(run.id).steps if step.status == "queued"]
        token = str(uuid.uuid4())
        try:
            execute.perform(queued.id, Performer(token, "test", may_go_on=lambda: True))
            recovery.recover_process(token)
        except DeadError:
            set_visitor(None)
            recovery.recover_process(token)


def ends_of(run: TemplateRun) -> list[str]:
    with reading() as db:
        mine = tables.audit.c.run_id == run.id
        rows = db.rows(select(tables.audit).where(mine, tables.audit.c.event != "template_run.start"))
    return [row["outcome"] for row in rows]


def claimed(run: TemplateRun) -> list[str]:
    """The steps that have begun."""
    return [step.step_id for step in queries.template_run(run.id).steps if step.run and step.run.attempt]


def die() -> None:
    raise DeadError


def test_a_process_that_dies_anywhere_leaves_a_run_that_cleans_up_and_fails_with_its_first_error(
    app: Flask, template_folder: Path, begun: list[str]
) -> None:
    visited: list[str] = []
    for number in range(1, MOST):
        begun.clear()
        set_visitor(None)
        run = start(template_folder, *STEPS)
        passed = at_point(number, die, lambda point: not point.startswith("handler."))
        go_on_as_processes_do(run)
        set_visitor(None)
        work_off()
        ended = queries.template_run(run.id)
        assert (ended.status, ended.failed_at_step) == ("failed", "step-0"), passed
        first, never, always, again = ended.steps
        assert (never.status, again.status) == ("not_run", "success"), passed
        assert first.run.error.code in ("CONFLICT", "WORKER_LOST"), passed
        assert always.status == "success" or always.run.error.code == "WORKER_LOST", passed
        assert ends_of(run) == ["failed"], passed
        assert [begun.count(step) for step in ("step-0", "step-1", "step-2")][1:] in ([0, 0], [0, 1]), passed
        if len(passed) < number:
            break
        visited.append(passed[-1])
    assert {"fail.before_commit", "fail.committed", "succeed.before_commit", "succeed.committed"} <= set(visited)


def test_a_cancel_that_comes_anywhere_lets_nothing_begin_after_it(
    app: Flask, template_folder: Path, begun: list[str]
) -> None:
    outcomes = set()
    for number in range(1, MOST):
        begun.clear()
        set_visitor(None)
        run = start(template_folder, *STEPS)
        before: list[list[str]] = []

        def cancel(run: TemplateRun = run, before: list[list[str]] = before) -> None:
            set_visitor(None)
            if queries.template_run(run.id).status in ("queued", "running"):
                service.cancel_template_run(ADA, run.id)
                before.append(claimed(run))

        passed = at_point(number, cancel, lambda point: not point.endswith(".before_commit"))
        go_on_as_processes_do(run)
        set_visitor(None)
        ended = queries.template_run(run.id)
        assert ended.status == ("canceled" if before else "failed"), passed
        assert ends_of(run) == [ended.status], passed
        if before:
            assert claimed(run) == before[0], passed
            outcomes.add((ended.failed_at_step, *(step.status for step in ended.steps)))
        if len(passed) < number:
            break
    assert ("step-0", "failed", "not_run", "canceled", "not_run") in outcomes
    assert ("step-0", "failed", "not_run", "success", "canceled") in outcomes
