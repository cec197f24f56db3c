"""A step with ``each``: its items one after the other or several at a time, what fails of them, and what goes on after that."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import func, select

from portal_actions_plugin.actions.context import ActionContext
from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.run_types import TemplateRun
from portal_actions_plugin.runner import recovery
from portal_actions_plugin.runner.attempt import execute, record
from portal_actions_plugin.runner.attempt.prepare import Performer
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.accept import Ask
from portal_actions_plugin.runs.changes import claims
from portal_actions_plugin.runs.changes.claims import Claim, StepRef
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.secrets.token_shapes import MASK
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import database, reading, transaction
from tests.support.run_helpers import ADA, change_action, register, start, work_off
from tests.support.statements import counting

ONE = {"action": "test.make@v1", "input": {"value": "${{ each.value }}"}}
AFTER = {"action": "test.make@v1", "input": {"value": "${{ steps['step-0'].output }}"}}
HEAD = {"kind": "Template", "metadata": {"name": "made", "title": "Made"}}


@pytest.fixture
def made() -> list[Any]:
    """What the items were given, in the order in which they ran; those that are called so fail."""
    made: list[Any] = []

    def make(ctx: ActionContext, value: object = None) -> dict[str, object]:
        made.append(value)
        if value == "fails" and made.count("fails") == 1:
            raise ValueError("not yet")
        return {"made": value, **({"even": value} if isinstance(value, int) and value % 2 == 0 else {})}

    register(make=make)
    return made


def each(values: object, **more: object) -> dict[str, Any]:
    return {**ONE, "each": values, **more}


def rows(run: TemplateRun, position: int = 0) -> list[dict[str, Any]]:
    """The action runs of a step, by their items."""
    step = tables.action_runs.c
    with reading() as db:
        found = db.rows(
            select(tables.action_runs)
            .where(step.template_run_id == run.id, step.position == position)
            .order_by(step.item)
        )
    return [dict(row) for row in found]


def statuses(run: TemplateRun, position: int = 0) -> list[str]:
    return [row["status"] for row in rows(run, position)]


def count(table: Any) -> int:
    with reading() as db:
        return int(db.execute(select(func.count()).select_from(table)).scalar_one())


def perform_item(run: TemplateRun, item: int, *, may_go_on: bool = False) -> None:
    (row,) = (row for row in rows(run) if row["item"] == item)
    execute.perform(row["id"], Performer(str(uuid.uuid4()), "test", may_go_on=lambda: may_go_on))


def home(template_folder: Path, *steps: dict[str, Any], **spec: Any) -> TemplateRun:
    """A run of a document of Backstage."""
    named = [{"id": f"step-{number}", "name": "A step", **step} for number, step in enumerate(steps)]
    document = {"apiVersion": "scaffolder.backstage.io/v1beta3", **HEAD}
    body = {"owner": "team:platform", "type": "service", "steps": named, **spec}
    (template_folder / "made.yaml").write_text(yaml.safe_dump({**document, "spec": body}))
    return service.start_template_run(ADA, "made", {}).run


# -- how many, and in which order --------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [[], [7], [1, 2, 3]], ids=len)
@pytest.mark.parametrize("goes_on", [False, True], ids=["a process for each", "one process"])
def test_items_run_one_after_the_other_and_their_outputs_are_lists(
    app: Flask, template_folder: Path, made: list[Any], values: list[int], goes_on: bool
) -> None:
    run = start(template_folder, each(values), AFTER)
    if goes_on and values:
        perform_item(run, 0, may_go_on=True)
    work_off()
    ended = queries.template_run(run.id)
    assert ended.status == "success"
    assert made[:-1] == values
    outputs = {"made": values, **({"even": [2]} if 2 in values else {})} if values else {}
    assert made[-1] == outputs
    assert statuses(run) == ["success"] * len(values), "of an empty list there is no row"
    items = ended.steps[0].items
    assert items
    assert (items.total, items.done, items.status, ended.steps[0].run) == (len(values), len(values), "success", None)
    assert (ended.progress.done, ended.progress.total) == (2, 2)


def test_hundreds_of_items_run_in_one_process_and_each_asks_little_of_the_database(
    app: Flask, template_folder: Path, made: list[Any], nobody_listens: None
) -> None:
    many = 500 if database().engine.dialect.name == "sqlite" else 60  # what the one shows need not be shown twice
    run = start(template_folder, each(f"${{{{ range({many}) | list }}}}"), AFTER)
    with counting(app) as asked:
        perform_item(run, 0, may_go_on=True)
    assert queries.template_run(run.id).status == "success"
    assert made[:-1] == list(range(many))
    assert made[-1]["even"] == list(range(0, many, 2))
    assert len(asked) < (many + 2) * 10


def test_a_list_that_is_too_long_is_refused_before_anything_has_run(
    app: Flask, template_folder: Path, made: list[Any]
) -> None:
    with pytest.raises(ValidationError, match="501 items; a step goes through 500 at most"):
        start(template_folder, each("${{ range(501) | list }}"))
    run = start(template_folder, {"action": "test.make@v1", "input": {}}, each("${{ range(501) | list }}"))
    work_off()
    ended = queries.template_run(run.id)
    assert (ended.status, ended.steps[1].run.error.code) == ("failed", "VALIDATION_ERROR")
    assert "500 at most" in ended.steps[1].run.error.message
    assert (made, count(tables.step_items)) == ([None], 0)


@pytest.mark.parametrize(
    ("value", "said"),
    [("'text'", "a text"), ("3", "a number"), ("null", "null"), ("true", "true or false"), ("steps.nothing", "")],
)
def test_what_is_no_list_fails_the_step(
    app: Flask, template_folder: Path, made: list[Any], value: str, said: str
) -> None:
    run = home(template_folder, {"action": "test.make@v1"}, each(f"${{{{ {value} }}}}"))
    work_off()
    ended = queries.template_run(run.id)
    error = ended.steps[1].run.error
    assert (ended.status, error.code, made) == ("failed", "VALIDATION_ERROR", [None])
    assert "step step-1: steps[1].each" in error.message
    assert said in error.message


def test_every_input_is_checked_before_the_first_item_runs(app: Flask, template_folder: Path, made: list[Any]) -> None:
    step = {"action": "debug.log@v1", "each": ["one", 2], "input": {"message": "${{ each.value }}"}}
    with pytest.raises(ValidationError, match=r"step-0\[1\].*message"):
        start(template_folder, step)
    with pytest.raises(ValidationError, match=r"step-0\[0\].*'nothing' is undefined"):
        start(template_folder, {**ONE, "each": [{}], "input": {"value": "${{ each.value.nothing }}"}})


def test_an_object_is_gone_through_by_its_keys_and_an_if_is_asked_of_each_item(
    app: Flask, template_folder: Path, made: list[Any]
) -> None:
    values = {"b": {"on": True}, "a": {"on": False}, "10": {"on": True}, "9": {"on": True}}
    step = each(values, **{"if": "${{ each.value.on }}"}, input={"value": "${{ each.key }}"})
    start(template_folder, step)
    work_off()
    assert made == ["10", "9", "b"], "as it is written"
    made.clear()
    run = home(template_folder, step, AFTER)
    work_off()
    assert made == ["9", "10", "b", {"made": ["9", "10", "b"]}], "as JavaScript has its keys, without a gap"
    items = queries.template_run(run.id).steps[0].items
    assert items
    assert (items.total, items.to_do, items.counts) == (4, 3, {"success": 3, "skipped": 1})


def test_a_step_whose_if_holds_for_no_item_has_nothing_to_do(
    app: Flask, template_folder: Path, made: list[Any]
) -> None:
    step = each([1, 2], **{"if": "${{ each.value > 2 }}"})
    count_them = {"action": "test.make@v1", "input": {"value": "${{ steps['step-0'].output.made | length }}"}}
    run = start(template_folder, step, count_them)
    work_off()
    ended = queries.template_run(run.id)
    assert (ended.status, made) == ("success", [0])
    assert [step.status for step in ended.steps] == ["success", "success"]
    run = start(template_folder, each([1], **{"if": False}), {"action": "test.make@v1"})
    work_off()
    assert [step.status for step in queries.template_run(run.id).steps] == ["skipped", "success"]


def test_a_run_whose_only_step_has_nothing_to_go_through_ends_at_once(
    app: Flask, template_folder: Path, made: list[Any]
) -> None:
    run = start(template_folder, each([]))
    assert (run.status, run.steps[0].status, made) == ("success", "success", [])


# -- failures ----------------------------------------------------------------------------------------------------------


def test_an_item_that_fails_ends_the_run_and_a_resume_goes_on_at_the_items(
    app: Flask, template_folder: Path, made: list[Any]
) -> None:
    run = start(template_folder, each([1, "fails", 3]), AFTER)
    work_off()
    failed = queries.template_run(run.id)
    assert (failed.status, made) == ("failed", [1, "fails"])
    items = failed.steps[0].items
    assert items
    assert items.counts == {"success": 1, "failed": 1, "not_run": 1}
    assert [(part.item_key, part.status) for part in items.shown] == [("1", "failed")]
    resumed = service.resume_template_run(ADA, run.id, Ask()).run
    assert statuses(resumed) == ["success", "queued"]
    work_off()
    ended = queries.template_run(resumed.id)
    assert (ended.status, made) == ("success", [1, "fails", "fails", 3, {"made": [1, "fails", 3]}])
    assert [row["taken_over_from"] for row in rows(resumed)] == [run.id, None, None]
    assert resumed.resumed_step == "step-0"


def test_a_resume_takes_the_list_as_it_was(app: Flask, template_folder: Path, made: list[Any]) -> None:
    lists = [[1, "fails"], ["other"]]

    def give(ctx: ActionContext) -> dict[str, object]:
        return {"values": lists.pop(0)}

    register(give=give)
    after = {**AFTER, "input": {"value": "${{ steps['step-1'].output.made }}"}}
    run = start(template_folder, {"action": "test.give@v1"}, each("${{ steps['step-0'].output['values'] }}"), after)
    work_off()
    resumed = service.resume_template_run(ADA, run.id, Ask()).run
    work_off()
    assert queries.template_run(resumed.id).status == "success"
    assert made == [1, "fails", "fails", [1, "fails"]]


def test_a_cancel_lets_no_item_begin_and_the_run_resumes_at_it(
    app: Flask, template_folder: Path, made: list[Any]
) -> None:
    run = start(template_folder, each([1, 2, 3, 4]), AFTER)
    for item in range(2):
        perform_item(run, item)
    third = rows(run)[2]["id"]
    service.cancel_template_run(ADA, run.id)
    execute.perform(third, Performer(str(uuid.uuid4()), "test"))
    ended = queries.template_run(run.id)
    assert (ended.status, made, statuses(run)) == ("canceled", [1, 2], ["success", "success", "canceled"])
    assert ended.steps[0].items
    assert ended.steps[0].items.counts == {"success": 2, "canceled": 1, "not_run": 1}
    resumed = service.resume_template_run(ADA, run.id, Ask()).run
    work_off()
    assert queries.template_run(resumed.id).status == "success"
    assert made == [1, 2, 3, 4, {"made": [1, 2, 3, 4], "even": [2, 4]}]


@pytest.mark.parametrize("lost", [0, 1, 2])
@pytest.mark.parametrize("again", [False, True], ids=["once", "again"])
def test_a_lost_worker_fails_its_item_or_tries_it_again(
    app: Flask, template_folder: Path, made: list[Any], lost: int, again: bool
) -> None:
    change_action("test.make@v1", idempotent=again, max_attempts=2)
    run = start(template_folder, each([1, 2, 3]), AFTER)
    for item in range(lost):
        perform_item(run, item)
    token, ref = str(uuid.uuid4()), StepRef(rows(run)[lost]["id"], run.id)
    with transaction("test") as tx:
        assert claims.claim(tx, Claim(ref, 0, token, "test", 30, 60))
    recovery.recover_process(token)
    if not again:
        assert (queries.template_run(run.id).status, statuses(run)) == ("failed", ["success"] * lost + ["failed"])
        run = service.resume_template_run(ADA, run.id, Ask()).run
    work_off()
    assert queries.template_run(run.id).status == "success"
    assert made == [1, 2, 3, {"made": [1, 2, 3], "even": [2]}]


def test_what_cleans_up_may_go_through_a_list_too(app: Flask, template_folder: Path, made: list[Any]) -> None:
    cleaning = each([1, 2], **{"if": "${{ always() and each.value > 1 }}"})
    run = start(template_folder, each(["one", "fails", "never"]), AFTER, cleaning, each([8]))
    work_off()
    ended = queries.template_run(run.id)
    assert (ended.status, made) == ("failed", ["one", "fails", 2])
    assert [step.status for step in ended.steps] == ["failed", "not_run", "success", "not_run"]
    resumed = service.resume_template_run(ADA, run.id, Ask()).run
    work_off()
    ended = queries.template_run(resumed.id)
    assert [step.status for step in ended.steps] == ["success"] * 4
    assert made[3:] == ["fails", "never", {"made": ["one", "fails", "never"]}, 2, 8]


def test_an_item_of_what_cleans_up_that_fails_ends_that_step_alone(
    app: Flask, template_folder: Path, made: list[Any]
) -> None:
    broken = {"action": "test.make@v1", "input": {"value": "${{ 1 / 0 }}"}}
    cleaning = each([1, "fails", 3], **{"if": "${{ always() }}"})
    last = {"action": "test.make@v1", "if": "${{ always() }}", "input": {"value": "last"}}
    run = start(template_folder, {"action": "test.make@v1"}, broken, cleaning, last)
    work_off()
    ended = queries.template_run(run.id)
    assert (ended.status, made) == ("failed", [None, 1, "fails", "last"])
    assert [step.status for step in ended.steps] == ["success", "failed", "failed", "success"]


# -- several at a time -------------------------------------------------------------------------------------------------


def test_several_items_are_queued_at_once_and_the_last_to_end_queues_what_follows(
    app: Flask, template_folder: Path, made: list[Any]
) -> None:
    run = start(template_folder, each([1, 2, 3, 4], concurrency=2), AFTER)
    assert statuses(run) == ["queued", "queued"]
    perform_item(run, 1)
    assert statuses(run) == ["queued", "success", "queued"]
    perform_item(run, 2)
    perform_item(run, 3)
    assert (statuses(run), rows(run, 1)) == (["queued", "success", "success", "success"], [])
    perform_item(run, 0)
    work_off()
    assert queries.template_run(run.id).status == "success"
    assert made == [2, 3, 4, 1, {"made": [1, 2, 3, 4], "even": [2, 4]}], "in the order of the items"


def test_two_that_end_at_once_settle_who_is_the_last(app: Flask, template_folder: Path) -> None:
    made: list[object] = []
    run: list[TemplateRun] = []

    def meet(ctx: ActionContext, value: object = None) -> dict[str, object]:
        made.append(value)
        return {"made": value}

    register(make=meet)
    run.append(start(template_folder, each([1, 2], concurrency=2), AFTER))
    first = rows(run[0])[0]["id"]
    really = execute.record.succeeded

    def slowly(*args: Any) -> None:
        if made == [1]:
            perform_item(run[0], 1)  # has ended when the first finds out that it is not alone any more
        really(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execute.record, "succeeded", slowly)
        execute.perform(first, Performer(str(uuid.uuid4()), "test"))
    work_off()
    assert queries.template_run(run[0].id).status == "success"
    assert made == [1, 2, {"made": [1, 2]}]


def test_an_item_that_fails_lets_running_ones_finish_and_cancels_those_that_wait(
    app: Flask, template_folder: Path, made: list[Any]
) -> None:
    always = {"action": "test.make@v1", "if": "${{ always() }}", "input": {"value": "cleaned"}}
    run = start(template_folder, each(["one", "fails", "three", "four"], concurrency=3), always)
    token, ref = str(uuid.uuid4()), StepRef(rows(run)[0]["id"], run.id)
    with transaction("test") as tx:
        assert claims.claim(tx, Claim(ref, 0, token, "test", 30, 60))
    perform_item(run, 1)
    assert statuses(run) == ["running", "failed", "canceled"]
    assert queries.template_run(run.id).status == "running"
    recovery.hand_back(token)  # it ends as well, whatever comes of it
    work_off()
    ended = queries.template_run(run.id)
    assert (ended.status, made) == ("failed", ["fails", "cleaned"])
    assert [step.status for step in ended.steps] == ["failed", "success"]
    resumed = service.resume_template_run(ADA, run.id, Ask()).run
    assert statuses(resumed) == ["queued"] * 3
    work_off()
    assert queries.template_run(resumed.id).status == "success"
    assert sorted(made[2:]) == ["cleaned", "fails", "four", "one", "three"]


def test_the_last_item_to_succeed_ends_the_run_in_which_another_has_failed(app: Flask, template_folder: Path) -> None:
    done: list[object] = []

    def make(ctx: ActionContext, value: object = None) -> None:
        done.append(value)
        if value == "first":
            perform_item(run, 1)
        if value == "fails":
            raise ValueError("no")

    register(make=make)
    run = start(template_folder, each(["first", "fails", "never"], concurrency=2), AFTER)
    perform_item(run, 0)
    ended = queries.template_run(run.id)
    assert (ended.status, done, statuses(run)) == ("failed", ["first", "fails"], ["success", "failed"])
    assert service.resume_template_run(ADA, run.id, Ask()).run.status == "queued"


def test_an_item_that_begins_while_another_fails_finishes_before_anything_cleans_up(
    app: Flask, template_folder: Path, made: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    always = {"action": "test.make@v1", "if": "${{ always() }}", "input": {"value": "cleaned"}}
    run = start(template_folder, each(["fails", "two"], concurrency=2), always)
    token, ref = str(uuid.uuid4()), StepRef(rows(run)[1]["id"], run.id)
    really = record.after_failure

    def slowly(*args: Any) -> Any:
        follows = really(*args)
        if statuses(run)[1] == "queued":
            with transaction("test") as tx:
                assert claims.claim(tx, Claim(ref, 0, token, "test", 30, 60))
        return follows

    monkeypatch.setattr(record, "after_failure", slowly)
    perform_item(run, 0)
    assert (queries.template_run(run.id).status, statuses(run)) == ("running", ["failed", "running"])
    recovery.recover_process(token)
    work_off()
    assert (queries.template_run(run.id).status, made) == ("failed", ["fails", "cleaned"])


def test_items_that_wait_are_canceled_also_when_what_cleans_up_cannot_be_queued(
    app: Flask, template_folder: Path, made: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "such as for the key of its lock")

    always = {"action": "test.make@v1", "if": "${{ always() }}"}
    run = start(template_folder, each(["fails", "two"], concurrency=2), always)
    monkeypatch.setattr(record, "queue_step", refuse)
    perform_item(run, 0)
    assert (queries.template_run(run.id).status, statuses(run)) == ("failed", ["failed", "canceled"])


@pytest.mark.parametrize(("first", "cleans"), [(1, False), (0, True)], ids=["ends", "cleans up"])
def test_of_items_that_fail_the_first_one_says_what_the_run_has_failed_with(
    app: Flask, template_folder: Path, made: list[Any], first: int, cleans: bool
) -> None:
    values = ["fails", "lost"] if first == 0 else ["lost", "fails"]
    always = [{"action": "test.make@v1", "if": "${{ always() }}"}] if cleans else []
    run = start(template_folder, each(values, concurrency=2), *always)
    token, ref = str(uuid.uuid4()), StepRef(rows(run)[1 - first]["id"], run.id)
    with transaction("test") as tx:
        assert claims.claim(tx, Claim(ref, 0, token, "test", 30, 60))
    perform_item(run, first)
    recovery.recover_process(token)
    work_off()
    ended = tables.audit.c.event == "template_run.finish"
    with reading() as db:
        [row] = db.rows(select(tables.audit.c.details).where(ended))
    assert {row["error_code"] for row in rows(run)} == {"INTERNAL_ERROR", "WORKER_LOST"}
    assert row["details"] == {"error_code": "INTERNAL_ERROR"}


# -- secrets -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def with_key(make_app: Callable[..., Flask], database_url: str) -> Iterator[Flask]:
    keys = [Fernet.generate_key().decode()]
    app = make_app(PORTAL_ACTIONS_SECRET_KEYS=keys, PORTAL_ACTIONS_DATABASE_URL=database_url)
    with app.app_context():
        yield app


def start_with_secret(template_folder: Path, *steps: dict[str, Any]) -> TemplateRun:
    parameters = [{"properties": {"token": {"type": "string", "ui:field": "Secret"}}, "required": ["token"]}]
    named = [{"id": f"step-{number}", "name": "A step", **step} for number, step in enumerate(steps)]
    body = {"owner": "o", "type": "t", "parameters": parameters, "steps": named}
    document = {"apiVersion": "portal-actions/v1", **HEAD, "spec": body}
    (template_folder / "made.yaml").write_text(yaml.safe_dump(document))
    return service.start_template_run(ADA, "made", {"token": TOKEN}).run


TOKEN = "hunter2-and-more"


def test_what_a_list_is_made_of_is_sealed_where_the_run_has_secrets(
    with_key: Flask, template_folder: Path, made: list[Any]
) -> None:
    values = {"${{ secrets.token | upper }}": 0, "list": ["${{ secrets.token | upper }}", "plain"]}["list"]
    run = start_with_secret(template_folder, each(values), each(["fails", "${{ secrets.token }}"]))
    work_off()
    assert made == [TOKEN.upper(), "plain", "fails"]
    with reading() as db:
        kept = [dict(row) for row in db.rows(select(tables.step_items))]
    assert all(row["sealed_value"] for row in kept)
    stored = str([{**row, "sealed_value": None} for row in kept] + rows(run) + rows(run, 1))
    assert TOKEN not in stored.lower()
    assert [row["value"] for row in kept] == [MASK, "plain", "fails", MASK]
    again = service.resume_template_run(ADA, run.id, Ask(secrets={"token": "another-one"})).run
    work_off()
    assert queries.template_run(again.id).status == "success"
    assert made[3:] == ["fails", TOKEN], "the list is taken as it was"
    with reading() as db:
        of_it = tables.step_items.c.template_run_id == again.id
        kept = [dict(row) for row in db.rows(select(tables.step_items).where(of_it))]
    assert (len(kept), {row["sealed_value"] for row in kept}) == (4, {None}), "wiped once nobody resumes it"
    assert TOKEN not in str(kept + rows(again) + rows(again, 1)).lower()


def test_what_is_sealed_of_a_list_with_nothing_to_do_is_wiped_when_the_run_ends_at_once(
    with_key: Flask, template_folder: Path, made: list[Any]
) -> None:
    run = start_with_secret(template_folder, each(["${{ secrets.token }}"], **{"if": "${{ each.value == 'other' }}"}))
    assert (queries.template_run(run.id).status, made) == ("success", [])
    with reading() as db:
        kept = [(row["value"], row["sealed_value"]) for row in db.rows(select(tables.step_items))]
    assert kept == [(MASK, None)]


def test_a_secret_in_an_error_about_a_list_is_masked(with_key: Flask, template_folder: Path, made: list[Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        start_with_secret(
            template_folder, each({"a": {"key": "${{ secrets.token }}"}}, input={"value": "${{ each.value.nothing }}"})
        )
    assert TOKEN not in f"{refused.value.message} {refused.value.fields}"


def test_a_lock_may_depend_on_an_item(app: Flask, template_folder: Path) -> None:
    held: list[object] = []

    def write(ctx: ActionContext, value: object = None) -> None:
        held.append(value)

    register(lock=lambda data: f"thing:{data['value']}", write=write)
    run = start(template_folder, {**each(["a", "b", "a"], concurrency=3), "action": "test.write@v1"})
    assert [row["lock_key"] for row in rows(run)] == ["thing:a", "thing:b", "thing:a"]
    work_off()
    assert (queries.template_run(run.id).status, sorted(held)) == ("success", ["a", "a", "b"])
