"""``flask actions …``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from flask.testing import FlaskCliRunner
from marshmallow import Schema, fields
from sqlalchemy import insert

import portal_actions_plugin
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.cli import actions
from portal_actions_plugin.errors import RemoteError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.host import Identity
from portal_actions_plugin.runner import sweeper
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.storage import migrations, tables
from portal_actions_plugin.storage.sessions import transaction
from portal_actions_plugin.storage.sql import now_plus
from tests.support.portal import PEOPLE
from tests.support.run_helpers import let_last_step_fail, work_off
from tests.support.waiting import wait_until


@pytest.fixture
def run(make_app: Callable[..., Flask]) -> Callable[..., Any]:
    app = make_app()
    runner: FlaskCliRunner = app.test_cli_runner()

    def call(*arguments: str) -> Any:
        return runner.invoke(actions, arguments)

    call.app = app  # type: ignore[attr-defined]
    return call


def test_db_upgrade_makes_the_tables(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=f"sqlite:///{tmp_path}/new/portal.db")
    for _ in range(2):
        assert app.test_cli_runner().invoke(actions, ["db", "upgrade"]).exit_code == 0
    assert migrations.is_current(app.extensions["portal_actions"].database)


def test_a_run_is_started_listed_shown_and_retried(run: Any, template_folder: Path) -> None:
    let_last_step_fail(template_folder)
    started = run("run-template", "two-steps", "--inputs", '{"name": "orders"}', "--as", "user:ops")
    assert started.exit_code == 0, started.output
    run_id = started.output.strip()
    with run.app.app_context():
        work_off()
    listed = run("list", "--status", "failed").output
    assert "part (debug.log@v1)" in listed
    assert "user:ops" in listed
    shown = run("show", run_id).output
    assert "VALIDATION_ERROR" in shown
    assert "hello orders" in shown
    assert run("retry", run_id).exit_code == 0


HOSTILE = "a\x1b[2J\x9b31m\x7f\u202eb\r\n  12:00:00 info    forged\u2028"
ACTED_UPON = "\x1b\x9b\x7f\u202e\r\u2028"


@pytest.mark.fault("B12")
def test_no_command_hands_a_terminal_what_it_acts_upon(run: Any) -> None:
    class Input(Schema):
        text = fields.String()

    @action("test.says@v1", title="Say it", input=Input)
    def says(ctx: Any, text: str) -> dict[str, str]:
        """Says what it is given, and fails with it."""
        ctx.log(text)
        raise RemoteError(text, hint=text)

    with run.app.app_context():
        extension().registry.add(says, "the tests")
        run_id = service.start_action_run(
            Identity("user:ops", f"Ops {HOSTILE}", frozenset({"platform-admin"})), "test.says@v1", {"text": HOSTILE}
        ).run.id
        work_off()
    shown = {
        command: run(*command).output
        for command in (
            ("show", run_id),
            ("list",),
            ("show", HOSTILE),
            ("cancel", HOSTILE, "--as", HOSTILE),
            ("run-action", HOSTILE),
            ("run-template", "x", "--inputs", HOSTILE),
            ("doctor",),
            ("doctor", "--json"),
            ("audit", "export", "--since", "1h"),
            (HOSTILE,),
        )
    }
    for command, output in shown.items():
        assert output, command
        assert not any(mark in output for mark in ACTED_UPON), command
        assert "\n  12:00:00 info    forged" not in output, command
    said = shown["show", run_id]
    assert r"a\x1b[2J\x9b31m\x7f\u202eb" in said, "it is shown all the same"
    assert "\n      12:00:00 info    forged" in said, "set in, below what it is a part of"


def test_wait_follows_to_the_end_and_the_exit_code_tells(run: Any) -> None:
    results: list[Any] = []

    def follow() -> None:
        results.append(run("run-action", "debug.log@v1", "--input", '{"message": "hello"}', "--wait"))

    thread = threading.Thread(target=follow)
    thread.start()
    with run.app.app_context():
        wait_until(lambda: queries.action_runs(RunFilter(status=("queued",)), limit=1).items)
        work_off()
    thread.join(10)
    assert results[0].exit_code == 0
    assert "success" in results[0].output


def test_wait_exits_with_1_and_says_why_when_the_run_fails(run: Any) -> None:
    results: list[Any] = []
    data = '{"provider": "local", "owner": "no-such-owner", "repo": "orders"}'
    thread = threading.Thread(
        target=lambda: results.append(run("run-action", "scm.createRepo@v1", "--input", data, "--wait"))
    )
    thread.start()
    with run.app.app_context():
        wait_until(lambda: queries.action_runs(RunFilter(status=("queued",)), limit=1).items)
        work_off()
    thread.join(10)
    assert results[0].exit_code == 1
    assert "NOT_FOUND" in results[0].output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run-template", "unknown"), "NOT_FOUND"),
        (("run-template", "two-steps", "--inputs", '{"name": "NOT VALID"}'), "name"),
        (("run-template", "two-steps", "--inputs", "name=x"), "not JSON"),
        (("run-template", "two-steps", "--inputs", "[]"), "JSON object"),
        (("run-template", "two-steps", "--role", "viewer"), "PERMISSION_DENIED"),
        (("show", "nothing"), "NOT_FOUND"),
        (("retry", "nothing"), "NOT_FOUND"),
    ],
)
def test_an_error_is_a_sentence_and_a_hint(run: Any, arguments: tuple[str, ...], says: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert says in result.output
    assert "Traceback" not in result.output


@pytest.mark.fault("E30")
@pytest.mark.parametrize("command", ["list", "sweep", "worker", "prune --older-than 90d", "metrics", "db current"])
def test_an_app_without_the_plugin_is_a_sentence_and_not_a_traceback(command: str) -> None:
    done = Flask("bare").test_cli_runner().invoke(actions, command.split())
    assert done.exit_code != 0
    assert "Error: The app bare has not loaded Portal Actions." in done.output
    assert "PortalActions(app)" in done.output
    assert isinstance(done.exception, SystemExit)


def test_help_needs_no_portal() -> None:
    assert "Usage: actions worker" in Flask("bare").test_cli_runner().invoke(actions, ["worker", "--help"]).output


def test_templates_are_judged_by_what_their_portal_has_without_its_database(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=f"sqlite:///{tmp_path}/nowhere/portal.db")
    portal_actions_plugin.plugin.of(app).template_filters(lambda: {"shouted": str.upper})
    file = tmp_path / "template.yaml"
    file.write_text(
        "apiVersion: scaffolder.backstage.io/v1beta3\nkind: Template\nmetadata: {name: x}\nspec:\n  type: service\n"
        "  steps: [{action: debug.log@v1, input: {message: \"${{ 'x' | shouted }}\"}}]\n"
    )
    for command in (("lint", "--strict"), ("try",)):
        told = app.test_cli_runner().invoke(actions, ["template", *command, str(tmp_path)])
        assert (told.exit_code, "shouted" in told.output) == (0, False), told.output
    file.write_text(file.read_text().replace("shouted", "whispered"))
    assert app.test_cli_runner().invoke(actions, ["template", "lint", "--strict", str(file)]).exit_code == 1


def test_cancel_and_sweep(run: Any) -> None:
    run_id = run("run-action", "debug.log@v1", "--input", '{"message": "hello"}').output.strip()
    assert run("cancel", run_id).output.strip() == f"{run_id} is canceled"
    assert run("cancel", run_id).exit_code == 2
    assert "woke workers again for 0" in run("sweep").output


def test_show_tells_every_attempt_with_its_worker_and_error(run: Any) -> None:
    with run.app.app_context():
        from tests.support.run_helpers import make_due, perform, register, run_one_off

        def handler(ctx: Any, value: Any = None) -> None:
            raise RemoteError(f"no {ctx.run.attempt}")

        register(again=handler)
        run_id = run_one_off("test.again@v1")
        for _ in range(3):
            perform(run_id)
            make_due(run_id)
    shown = run("show", run_id).output
    for attempt in (1, 2, 3):
        assert f"attempt {attempt}  20" in shown
        assert f"REMOTE_ERROR: no {attempt}" in shown
    assert shown.count("on test") == 3


def test_show_ends_a_long_log_after_a_thousand_lines(run: Any) -> None:
    with run.app.app_context():
        from tests.support.run_helpers import register, run_one_off

        register(talks=lambda _ctx, value=None: None)
        run_id = run_one_off("test.talks@v1")
        said = {"action_run_id": run_id, "attempt": 1, "at": now_plus(0), "level": "info"}
        with transaction("test") as tx:
            for number in range(1, 1002):
                tx.execute(insert(tables.log_lines).values(**said, seq=number, message=f"line {number}."))
    shown = run("show", run_id).output
    assert ("line 1000." in shown, "line 1001." in shown) == (True, False)


def test_secrets_are_given_again_from_a_file_and_never_as_an_argument(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    app = make_app(PORTAL_ACTIONS_SECRET_KEYS=Fernet.generate_key().decode())
    with app.app_context():
        got: list[str] = []

        class WithToken(Schema):
            token = fields.String(required=True, load_only=True)

        def handler(ctx: Any, token: str) -> None:
            got.append(token)

        declared = action("test.token@v1", title="Token", input=WithToken)(handler)
        app.extensions["portal_actions"].registry.add(declared, "the tests")
        run_id = service.start_action_run(PEOPLE["ada"], "test.token@v1", {"token": "first"}).run.id
        work_off()
        runner = app.test_cli_runner()
        refused = runner.invoke(actions, ["retry", run_id])
        assert (refused.exit_code, "token" in refused.output) == (2, True)
        again = runner.invoke(actions, ["retry", run_id, "--secrets", "-"], input='{"token": "second"}')
        assert again.exit_code == 0, again.output
        work_off()
    assert got == ["first", "second"]


@pytest.mark.parametrize("command", [["list"], ["prune", "--older-than", "90d"], ["sweep"]])
def test_a_database_without_tables_is_a_sentence_and_not_a_traceback(
    make_app: Callable[..., Flask], tmp_path: Path, command: list[str]
) -> None:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=f"sqlite:///{tmp_path}/empty.db")
    result = app.test_cli_runner().invoke(actions, command)
    assert "Traceback" not in result.output
    assert result.exit_code == 1
    if command != ["sweep"]:
        assert "there are none yet" in result.output
        assert "flask actions db upgrade" in result.output


def test_a_sweep_that_could_not_do_all_exits_with_1_and_says_what(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def swept() -> Any:
        return SimpleNamespace(rung=0, lapsed=2, announced=0, failed=("ringing", "announcing"))

    monkeypatch.setattr(sweeper, "sweep", swept)
    result = run("sweep")
    assert result.exit_code == 1
    assert "acted on 2 lapsed leases" in result.output
    assert "could not do all of it: ringing, announcing" in result.output
