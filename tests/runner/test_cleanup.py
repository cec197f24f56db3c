"""After a failure: what cleans up, what a second failure, a cancel, a resume and a lost worker make of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import select

from portal_actions_plugin import signals
from portal_actions_plugin.actions.context import ActionContext
from portal_actions_plugin.run_types import TemplateRun
from portal_actions_plugin.runner import recovery
from portal_actions_plugin.runner.attempt import execute
from portal_actions_plugin.runner.attempt.prepare import Performer
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.accept import Ask
from portal_actions_plugin.runs.changes import claims, slots
from portal_actions_plugin.runs.changes.claims import Claim, StepRef
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.secrets.token_shapes import MASK
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading, transaction
from tests.support.run_helpers import ADA, HELLO, columns, register, start, work_off

FAIL = {"action": "test.fail@v1", "input": {"value": "the first"}}
ALWAYS = {"action": "test.note@v1", "if": "${{ always() }}"}
FAILURE = {"action": "test.note@v1", "if": "${{ failure() }}"}
NOTE = {"action": "test.note@v1"}


@pytest.fixture
def noted() -> list[Any]:
    """What the steps were given, in the order in which they ran."""
    noted: list[Any] = []

    def note(ctx: ActionContext, value: object = None) -> dict[str, object]:
        noted.append(value)
        return {"made": value}

    def fail(ctx: ActionContext, value: str) -> None:
        noted.append(f"fail: {value}")
        raise ValueError(value)

    register(note=note, fail=fail)
    return noted


def with_input(step: dict[str, Any], value: object) -> dict[str, Any]:
    return {**step, "input": {"value": value}}


def whole(run_id: str) -> dict[str, Any]:
    with reading() as db:
        return dict(db.rows(select(tables.template_runs).where(tables.template_runs.c.id == run_id))[0])


def audited(event: str) -> list[dict[str, Any]]:
    with reading() as db:
        rows = db.rows(select(tables.audit).where(tables.audit.c.event == event).order_by(tables.audit.c.id))
    return [{"outcome": row["outcome"], **(row["details"] or {})} for row in rows]


def performed(run: TemplateRun, position: int, may_go_on: Callable[[], bool] = lambda: False) -> TemplateRun:
    """The run after one of its steps, which was queued."""
    step = queries.template_run(run.id).steps[position].run
    execute.perform(step.id, Performer(str(uuid.uuid4()), "test", may_go_on=may_go_on))
    return queries.template_run(run.id)


def test_after_a_failure_only_steps_run_that_ask_for_it_and_the_run_ends_as_failed_after_them(
    app: Flask, template_folder: Path, noted: list[Any]
) -> None:
    told: list[str] = []

    def tell(_sender: object, **about: Any) -> None:
        told.append(about["run"].status)

    run = start(
        template_folder,
        with_input(NOTE, "one"),
        FAIL,
        with_input(NOTE, "never"),
        with_input(FAILURE, "${{ 'after a failure' if failure() else 'after a success' }}"),
        with_input({**NOTE, "if": "${{ true }}"}, "neither"),
        with_input({**ALWAYS, "if": "${{ always() and steps['step-1'].status == 'failed' }}"}, "always"),
    )
    with signals.template_run_finished.connected_to(tell):
        performed(run, 0)
        failed = performed(run, 1)
        assert failed.status == "running"
        assert (whole(run.id)["failed_at_step"], whole(run.id)["finished_at"]) == (1, None)
        assert failed.steps[3].status == "queued", "in the transaction of the failure"
        assert not told
        assert not audited("template_run.finish")
        work_off()
    ended = queries.template_run(run.id)
    assert ended.status == "failed"
    assert noted == ["one", "fail: the first", "after a failure", "always"]
    assert [step.status for step in ended.steps] == ["success", "failed", "not_run", "success", "not_run", "success"]
    assert told == ["failed"]
    assert audited("template_run.finish") == [{"outcome": "failed", "error_code": "INTERNAL_ERROR"}]
    assert (whole(run.id)["failed_at_step"], whole(run.id)["secrets"]) == (1, None)


@pytest.mark.parametrize(("first", "made"), [(NOTE, ["always"]), (FAIL, ["fail: the first", "always"])])
def test_a_step_that_always_runs_runs_in_its_place(
    app: Flask, template_folder: Path, noted: list[Any], first: dict[str, Any], made: list[str]
) -> None:
    run = start(template_folder, {"input": {}, **first}, with_input(ALWAYS, "always"), with_input(FAILURE, "never"))
    work_off()
    ended = queries.template_run(run.id)
    assert (ended.status, [step.status for step in ended.steps][1:]) == (
        ("success", ["success", "skipped"]) if first is NOTE else ("failed", ["success", "success"])
    )
    assert [one for one in noted if one] == (made if first is NOTE else [*made, "never"])


def test_an_always_that_was_not_called_does_not_count(app: Flask, template_folder: Path, noted: list[Any]) -> None:
    run = start(
        template_folder,
        FAIL,
        with_input({**NOTE, "if": "${{ false and always() }}"}, "not called"),
        with_input({**NOTE, "if": "${{ true or always() }}"}, "not called, and true"),
    )
    performed(run, 0)
    ended = queries.template_run(run.id)
    assert (ended.status, noted) == ("failed", ["fail: the first"])
    assert whole(run.id)["failed_at_step"] == 0


def test_a_second_failure_leaves_the_first_error_the_runs_and_lets_the_rest_clean_up(
    app: Flask, template_folder: Path, noted: list[Any]
) -> None:
    cleaning = {**FAIL, "if": "${{ always() }}", "input": {"value": "the second"}}
    broken = with_input({**ALWAYS, "if": "${{ always() and 1 / 0 }}"}, "an if that cannot be evaluated")
    run = start(template_folder, {**HELLO, "input": {"message": "${{ 1 / 0 }}"}}, cleaning, broken, ALWAYS)
    work_off()
    ended = queries.template_run(run.id)
    assert ended.status == "failed"
    assert [step.status for step in ended.steps] == ["failed", "failed", "failed", "success"]
    assert [step.run.error.code for step in ended.steps[:3]] == [
        "VALIDATION_ERROR",
        "INTERNAL_ERROR",
        "VALIDATION_ERROR",
    ]
    assert whole(run.id)["failed_at_step"] == 0
    assert audited("template_run.finish") == [{"outcome": "failed", "error_code": "VALIDATION_ERROR"}]
    assert noted == ["fail: the second", None]


def test_a_cancel_ends_the_cleanup_at_once_and_nothing_begins_after_it(
    app: Flask, template_folder: Path, noted: list[Any]
) -> None:
    run = start(template_folder, FAIL, with_input(ALWAYS, "one"), with_input(ALWAYS, "two"))
    performed(run, 0)
    queued = queries.template_run(run.id).steps[1].run.id
    service.cancel_template_run(ADA, run.id)
    execute.perform(queued, Performer(str(uuid.uuid4()), "test"))
    ended = queries.template_run(run.id)
    assert [step.status for step in ended.steps] == ["failed", "canceled", "not_run"]
    assert (ended.status, noted) == ("canceled", ["fail: the first"])
    assert audited("template_run.finish") == []


def test_a_cancel_while_a_cleanup_step_runs_lets_its_outcome_change_nothing(
    app: Flask, template_folder: Path, noted: list[Any]
) -> None:
    def cancel(ctx: ActionContext) -> None:
        service.cancel_template_run(ADA, ctx.run.template_run_id)

    register(cancel=cancel)
    run = start(template_folder, FAIL, {"action": "test.cancel@v1", "if": "${{ always() }}"}, ALWAYS)
    work_off()
    ended = queries.template_run(run.id)
    assert (ended.status, [step.status for step in ended.steps]) == ("canceled", ["failed", "canceled", "not_run"])


def test_a_process_goes_on_with_the_next_cleanup_step(app: Flask, template_folder: Path, noted: list[Any]) -> None:
    run = start(template_folder, FAIL, with_input(ALWAYS, "one"), with_input(NOTE, "never"), with_input(ALWAYS, "two"))
    performed(run, 0)
    ended = performed(run, 1, may_go_on=lambda: True)
    assert (ended.status, noted) == ("failed", ["fail: the first", "one", "two"])
    assert whole(run.id)["failed_at_step"] == 0


@pytest.mark.parametrize("lost", [0, 1], ids=["the step", "its cleanup"])
def test_a_lost_worker_is_a_failure_like_any_other(
    app: Flask, template_folder: Path, noted: list[Any], lost: int
) -> None:
    run = start(template_folder, *[FAIL] * lost, ALWAYS, with_input(ALWAYS, "always"))
    if lost:
        performed(run, 0)
    token = str(uuid.uuid4())
    ref = StepRef(queries.template_run(run.id).steps[lost].run.id, run.id)
    with transaction("test") as tx:
        assert claims.claim(tx, Claim(ref, 0, token, "test", 30, 60))
    recovery.recover_process(token)
    assert queries.template_run(run.id).status == "running"
    work_off()
    ended = queries.template_run(run.id)
    assert ended.status == "failed"
    assert [step.status for step in ended.steps] == ["failed", "failed", "success"][1 - lost :]
    assert whole(run.id)["failed_at_step"] == 0
    assert audited("template_run.finish") == [
        {"outcome": "failed", "error_code": "INTERNAL_ERROR" if lost else "WORKER_LOST"}
    ]


def test_a_resumed_run_runs_what_cleaned_up_in_its_own_course(
    app: Flask, template_folder: Path, noted: list[Any]
) -> None:
    failing = [True]

    def flaky(ctx: ActionContext) -> None:
        if failing[0]:
            raise ValueError("not yet")

    register(flaky=flaky)
    run = start(
        template_folder,
        with_input(ALWAYS, "before"),
        {"action": "test.flaky@v1"},
        with_input(NOTE, "after"),
        with_input(ALWAYS, "always"),
        with_input(FAILURE, "${{ 'cleans up' }}"),
    )
    work_off()
    assert noted == ["before", "always", "cleans up"]
    failing[0] = False
    resumed = service.resume_template_run(ADA, run.id, Ask()).run
    assert [step.status for step in resumed.steps] == ["success", "queued", "pending", "pending", "pending"]
    work_off()
    ended = queries.template_run(resumed.id)
    assert (ended.status, noted[3:]) == ("success", ["after", "always"])
    assert [step.status for step in ended.steps] == ["success", "success", "success", "success", "skipped"]
    assert [step.run.taken_over_from for step in ended.steps[:2]] == [run.id, None]


def test_a_run_that_was_canceled_in_its_cleanup_resumes_at_the_step_that_failed(
    app: Flask, template_folder: Path, noted: list[Any]
) -> None:
    run = start(template_folder, with_input(NOTE, "one"), FAIL, with_input(ALWAYS, "a"), with_input(ALWAYS, "b"))
    for position in range(3):
        performed(run, position)
    service.cancel_template_run(ADA, run.id)
    resumed = service.resume_template_run(ADA, run.id, Ask()).run
    assert [step.status for step in resumed.steps] == ["success", "queued", "pending", "pending"]
    assert whole(resumed.id)["failed_at_step"] is None


def test_what_cleans_up_waits_for_the_lock_of_the_step_that_failed_until_its_process_is_gone(
    app: Flask, template_folder: Path
) -> None:
    done: list[str] = []

    def fail(ctx: ActionContext) -> None:
        raise ValueError("no")

    register(lock=lambda data: "one at a time", fail=fail, undo=lambda ctx: done.append("undone"))
    run = start(template_folder, {"action": "test.fail@v1"}, {"action": "test.undo@v1", "if": "${{ failure() }}"})
    token = str(uuid.uuid4())
    execute.perform(run.steps[0].run.id, Performer(token, "test"))
    assert (performed(run, 1).steps[1].status, done) == ("queued", [])
    recovery.recover_process(token)
    assert (performed(run, 1).status, done) == ("failed", ["undone"])


def test_what_cleans_up_has_the_secrets_the_slot_and_a_part_in_the_output(
    make_app: Callable[..., Flask], template_folder: Path
) -> None:
    given: list[Any] = []

    def fail(ctx: ActionContext, value: object = None) -> None:
        raise ValueError("no")

    def undo(ctx: ActionContext, value: object) -> dict[str, object]:
        given.append(value)
        return {"left": "a branch"}

    (template_folder / "secret.yaml").write_text("""
apiVersion: portal-actions/v1
kind: Template
metadata: {name: secret}
spec:
  owner: team:platform
  type: service
  parameters: {required: [token], properties: {token: {type: string, ui:field: Secret}}}
  steps:
    - {id: made, name: Made, action: test.fail@v1}
    - {id: undo, name: Undo, action: test.undo@v1, if: "${{ always() }}", input: {value: "${{ secrets.token }}"}}
  output:
    text: [{title: Left, if: "${{ failure() }}", content: "${{ steps.undo.output.left }}"}]
    made: "${{ steps.made.output.x | default('') }}"
""")
    app = make_app(PORTAL_ACTIONS_SECRET_KEYS=Fernet.generate_key().decode(), PORTAL_ACTIONS_MAX_RUNNING_PER_IDENTITY=1)
    with app.app_context():
        register(fail=fail, undo=undo)
        run = service.start_template_run(ADA, "secret", {"token": "s3cr3t-value"}).run
        queued = performed(run, 0).steps[1].run
        assert columns(queued.id)["process_token"] == slots.token(ADA.id)
        assert whole(run.id)["secrets"] is not None
        ended = performed(run, 1)
        assert (ended.status, given) == ("failed", ["s3cr3t-value"])
        assert ended.outputs == {"text": [{"title": "Left", "content": "a branch"}]}
        assert whole(run.id)["secrets"] is None
        assert (ended.steps[1].run.input, whole(run.id)["failed_at_step"]) == ({"value": MASK}, 0)


@pytest.mark.parametrize(
    "broken",
    [
        "portal_actions_plugin.runner.attempt.record.queue_step",
        "portal_actions_plugin.runner.attempt.following.prepare_step",
    ],
)
def test_a_run_ends_as_failed_all_the_same_when_what_cleans_up_cannot_be_queued(
    app: Flask, template_folder: Path, noted: list[Any], monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "such as for the key of its lock")

    run = start(template_folder, FAIL, with_input(ALWAYS, "one"))
    monkeypatch.setattr(broken, refuse)
    ended = performed(run, 0)
    assert (ended.status, ended.failed_at_step) == ("failed", "step-0")
    assert [step.status for step in ended.steps] == ["failed", "skipped"]
    assert audited("template_run.finish") == [{"outcome": "failed", "error_code": "INTERNAL_ERROR"}]
