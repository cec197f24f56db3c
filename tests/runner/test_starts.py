"""The answer to a start: what it says, and what it takes."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from flask import Flask

from portal_actions_plugin.actions.context import ActionContext
from portal_actions_plugin.run_types import Origin
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.accept import Ask
from portal_actions_plugin.runs.dictionary import terms
from portal_actions_plugin.runs.guards import limits
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.settings.values import RateLimit
from portal_actions_plugin.storage import sessions
from portal_actions_plugin.storage.sessions import reading
from tests.support.run_helpers import ADA, HELLO, claim, go_on, register, start
from tests.support.statements import counting

FIX = Ask(entity="component:default/orders", origin=Origin("component:default/orders", "basics", "has-owner"))
MESSAGE = {"message": "hello"}


def fail(ctx: ActionContext) -> None:
    raise ValueError("this step fails")


def test_the_answer_to_a_start_is_what_a_look_at_the_run_says(app: Flask, template_folder: Path) -> None:
    run = start(template_folder, HELLO, HELLO)
    assert run == queries.template_run(run.id)
    fix = service.start_template_run(ADA, "made", {}, FIX).run
    assert fix == queries.template_run(fix.id)
    one_off = service.start_action_run(ADA, "debug.log@v1", MESSAGE, Ask(entity="component:default/orders")).run
    assert one_off == queries.action_run(one_off.id)
    nothing = start(template_folder, {**HELLO, "if": False})
    assert nothing.status == "success"
    assert nothing == queries.template_run(nothing.id)


def test_the_answer_to_a_resume_has_the_steps_that_were_taken_over(app: Flask, template_folder: Path) -> None:
    register(fail=fail)
    first = start(template_folder, HELLO, {"action": "test.fail@v1", "input": {}})
    go_on(first)
    assert queries.template_run(first.id).status == "failed"
    resumed = service.resume_template_run(ADA, first.id).run
    assert [step.status for step in resumed.steps] == ["success", "queued"]
    assert resumed == queries.template_run(resumed.id)


def test_the_answer_to_a_start_says_who_holds_its_lock(app: Flask) -> None:
    register(lock=lambda data: "one at a time", write=lambda ctx: None)
    holder = service.start_action_run(ADA, "test.write@v1", {}).run
    claim(holder.id, str(uuid.uuid4()), lock_key="one at a time")
    waiting = service.start_action_run(ADA, "test.write@v1", {}).run
    assert waiting.waits_for.run_id == holder.id
    assert waiting == queries.action_run(waiting.id)


@pytest.mark.parametrize(
    ("ask", "more"),
    [
        pytest.param(Ask(), 0, id="plain"),
        pytest.param(Ask(idempotency_key="once"), 3, id="key"),  # looked for, looked for under the lock, kept
        pytest.param(FIX, 2, id="fix"),  # is one of either kind active?
    ],
)
def test_a_start_takes_one_commit_and_few_statements(
    app: Flask, template_folder: Path, nobody_listens: None, ask: Ask, more: int
) -> None:
    start(template_folder, HELLO, HELLO)
    service.start_action_run(ADA, "debug.log@v1", MESSAGE, Ask(entity=ask.entity))  # its words are known from now on
    with counting(app) as of_template:
        service.start_template_run(ADA, "made", {}, ask)
    with counting(app) as of_action:
        service.start_action_run(ADA, "debug.log@v1", MESSAGE, Ask())
    written = [[word.split()[0] for word in said if "pg_advisory" not in word] for said in (of_template, of_action)]
    assert written[0].count("COMMIT") == written[1].count("COMMIT") == 1
    assert len(written[0]) == 5 + more  # the limit, the run, its first step, the audit, and the commit
    assert len(written[1]) == 4


def test_only_a_start_that_brings_something_new_writes_words_and_within_its_commit(
    app: Flask, template_folder: Path, nobody_listens: None
) -> None:
    start(template_folder, HELLO)
    said = []
    for entity in ("component:default/orders", "component:default/orders", "component:default/payments"):
        with counting(app) as one:
            service.start_template_run(ADA, "made", {}, Ask(entity=entity))
        said.append([word for word in one if "search_terms" in word or word == "COMMIT"])
    assert [len(one) for one in said] == [2, 1, 2]
    assert said[0][-1] == said[2][-1] == "COMMIT"


def test_a_start_that_is_undone_leaves_its_words_to_the_next_one(
    app: Flask, template_folder: Path, nobody_listens: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(template_folder, HELLO)

    def fail(*_: object) -> None:
        raise ConnectionError("the commit never comes")

    entity = Ask(entity="component:default/orders")
    with monkeypatch.context() as broken, pytest.raises(ConnectionError):
        broken.setattr(sessions, "reached", fail)
        service.start_template_run(ADA, "made", {}, entity)
    service.start_template_run(ADA, "made", {}, entity)
    with reading() as db:
        assert terms.named(db, "orders", ("entity",)) == {"entity": ("component:default/orders",)}


def test_what_is_left_is_counted_over_the_newest_starts_of_both_kinds(app: Flask, template_folder: Path) -> None:
    few = RateLimit(3, 60)
    left = []
    for begin in (
        lambda: start(template_folder, HELLO),
        lambda: service.start_action_run(ADA, "debug.log@v1", MESSAGE),
        lambda: start(template_folder, HELLO),
        lambda: start(template_folder, HELLO),
    ):
        begin()
        with queries.reading() as db:
            found = limits.quota(db, ADA.id, few)
        left.append(found.remaining)
        assert 1 <= found.reset <= 60
    assert left == [2, 1, 0, 0]
