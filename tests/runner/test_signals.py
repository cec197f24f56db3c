"""What the host hears, when, and that a host that misbehaves harms nobody."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from portal_actions_plugin import Identity, signals
from portal_actions_plugin.errors import PermissionDeniedError, ValidationError
from portal_actions_plugin.runner import sweeper
from portal_actions_plugin.runner.attempt import execute
from portal_actions_plugin.runner.attempt.prepare import Performer
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.news import relay, tell
from portal_actions_plugin.runs.news.delivery import Delivery
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import transaction
from portal_actions_plugin.storage.sql import now_plus
from tests.support.listening import EVERYTHING, listening
from tests.support.portal import PEOPLE
from tests.support.run_helpers import work_off
from tests.support.statements import counting
from tests.support.waiting import wait_until

ADA = PEOPLE["ada"]
FIX = {"entity": "component:default/orders", "scorecard": "production", "rule": "readme"}


def test_a_run_is_told_from_its_start_to_its_end(app: Flask) -> None:
    with listening(app, *EVERYTHING) as heard:
        service.start_template_run(ADA, "two-steps", {"name": "orders"})
        work_off()
    assert heard == [
        ("action_run_queued", "greet", "queued"),
        ("action_run_started", "greet", "running"),
        ("template_run_started", "two-steps", "running"),
        ("action_run_finished", "greet", "success"),
        ("action_run_queued", "part", "queued"),
        ("action_run_started", "part", "running"),
        ("action_run_finished", "part", "success"),
        ("template_run_finished", "two-steps", "success"),
    ]


def test_signals_are_sent_after_the_commit(app: Flask) -> None:
    seen: list[str] = []

    def receiver(_app: Flask, run: Any, **_: Any) -> None:
        with transaction("test") as tx:
            tx.changed(update(tables.action_runs).where(tables.action_runs.c.id == run.id).values(entity="seen"))
        seen.append(queries.action_run(run.id).entity or "")

    with signals.action_run_finished.connected_to(receiver, sender=app):
        service.start_action_run(ADA, "debug.log@v1", {"message": "hello"})
        work_off()
    assert seen == ["seen"]


def test_a_run_is_frozen(app: Flask) -> None:
    run = service.start_action_run(ADA, "debug.log@v1", {"message": "hello"}).run
    with pytest.raises(FrozenInstanceError):
        run.status = "success"  # type: ignore[misc]


def test_a_receiver_that_raises_harms_nobody(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_app: Flask, **_: Any) -> None:
        raise ValueError("the host's own bug")

    with (
        signals.action_run_finished.connected_to(broken, sender=app),
        listening(app, "template_run_finished") as heard,
    ):
        run_id = service.start_template_run(ADA, "two-steps", {"name": "orders"}).run.id
        work_off()
    assert queries.template_run(run_id).status == "success"
    assert heard == [("template_run_finished", "two-steps", "success")]
    assert "the host's own bug" in caplog.text


def test_signals_of_a_process_that_died_before_them_are_sent_by_the_sweeper_once(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(app, "action_run_finished", "template_run_finished") as heard:
        service.start_template_run(ADA, "two-steps", {"name": "orders"})
        with monkeypatch.context() as dying:
            dying.setattr(Delivery, "send", lambda *_: None)
            dying.setattr(Delivery, "keep", lambda *_: None)
            work_off()
        assert heard == []
        assert sweeper.sweep().announced == 0, "the process itself has some time"
        with transaction("test") as tx:
            tx.execute(update(tables.action_runs).values(finished_at=now_plus(-61)))
            tx.execute(update(tables.template_runs).values(finished_at=now_plus(-61)))
        assert sweeper.sweep().announced == 3
        assert sorted(heard) == [
            ("action_run_finished", "greet", "success"),
            ("action_run_finished", "part", "success"),
            ("template_run_finished", "two-steps", "success"),
        ]
        assert sweeper.sweep().announced == 0


def test_every_web_process_hears_an_echo_of_changes_elsewhere(make_app: Callable[..., Flask]) -> None:
    web, worker = make_app(), make_app()
    with listening(web, "run_changed") as heard:
        web.test_client().get("/api/v1/health")
        with worker.app_context():
            run_id = service.start_action_run(ADA, "debug.log@v1", {"message": "hello"}).run.id

            def heard_of_it() -> bool:
                # The relay subscribes in its own time: tell again until it listens.
                tell.announce(signals.action_run_finished, run_id)
                return bool(heard)

            wait_until(heard_of_it)
            execute.perform(run_id, Performer(str(uuid.uuid4()), "test"))
        assert wait_until(lambda: ("run_changed", "debug.log@v1", "success") in heard)
    relays = [thread for thread in threading.enumerate() if thread.name == "portal-actions-relay"]
    assert relays
    wait_until(lambda: not any(relay.is_alive() for relay in relays))  # nobody listens any more


def test_changes_that_come_together_are_read_together_and_each_run_is_told_once(app: Flask) -> None:
    ids = [service.start_action_run(ADA, "debug.log@v1", {"message": "hello"}).run.id for _ in range(3)]
    echoes = [f"action_run {run_id}" for run_id in ids] * 2
    messages = iter([{"data": "\n".join(echoes).encode()}, {"data": f"action_run no-id\nx {ids[0]}\n".encode()}, None])
    with listening(app, "run_changed") as heard:
        changes = relay._all_there_are(SimpleNamespace(get_message=lambda **_: next(messages)))
        with counting(app) as said:
            relay._Relay(app)._tell(changes)
    assert heard == [("run_changed", "debug.log@v1", "queued")] * 3
    assert len([one for one in said if one.startswith("SELECT")]) == 1


# -- scorecard fixes ---------------------------------------------------------------------------------------------------


def ask_for_fix(app: Flask, person: Identity, **asked: Any) -> Any:
    answers = signals.scorecard_fix_requested.send(app, **FIX, requested_by=person, **asked)
    return next(answer for _, answer in answers if answer is not None)


def test_a_fix_is_a_one_off_with_its_origin(app: Flask) -> None:
    run = ask_for_fix(app, ADA, action="debug.log@v1", input={"message": "fixed"})
    assert (run.entity, run.origin.rule, run.template_run_id) == (FIX["entity"], "readme", None)
    origins: list[Any] = []

    def receiver(_app: Flask, run: Any, **_: Any) -> None:
        origins.append(run.origin)

    with signals.action_run_finished.connected_to(receiver, sender=app):
        work_off()
    assert origins == [run.origin]


def test_a_second_click_by_anybody_is_the_same_fix_until_it_has_ended(app: Flask) -> None:
    first = ask_for_fix(app, ADA, action="debug.log@v1", input={"message": "fixed"})
    second = ask_for_fix(app, PEOPLE["bob"], action="debug.log@v1", input={"message": "fixed"})
    assert second.id == first.id
    work_off()
    third = ask_for_fix(app, PEOPLE["bob"], action="debug.log@v1", input={"message": "fixed"})
    assert third.id != first.id


def test_a_fix_may_be_a_template(app: Flask) -> None:
    run = ask_for_fix(app, ADA, template="two-steps", input={"name": "orders"})
    assert (run.template, run.origin.scorecard) == ("two-steps", "production")
    assert ask_for_fix(app, PEOPLE["bob"], template="two-steps", input={"name": "orders"}).id == run.id


def test_a_fix_by_an_action_and_one_by_a_template_are_the_same_fix(app: Flask) -> None:
    run = ask_for_fix(app, ADA, action="debug.log@v1", input={"message": "fixed"})
    assert ask_for_fix(app, PEOPLE["bob"], template="two-steps", input={"name": "orders"}).id == run.id


def test_a_fix_is_refused_like_any_other_start(app: Flask) -> None:
    with pytest.raises(PermissionDeniedError):
        ask_for_fix(app, PEOPLE["vera"], action="debug.log@v1", input={"message": "fixed"})
    with pytest.raises(ValidationError):
        ask_for_fix(app, ADA, input={"message": "fixed"})
