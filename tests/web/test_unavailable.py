"""A database that is away, or that nobody has set up: every answer says so, and the log what to do."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from jinja2 import FileSystemLoader
from sqlalchemy import create_engine, inspect, make_url
from sqlalchemy.exc import OperationalError

from portal_actions_plugin import PortalActions
from portal_actions_plugin.cli import actions
from portal_actions_plugin.errors import PortalActionsError
from portal_actions_plugin.runs import accept
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Database
from tests.support.failover import Failover
from tests.support.people import Person
from tests.support.run_helpers import ADA

RUN = "01890a5d-ac96-774b-bcce-b302099a8057"
HELLO = {"input": {"message": "hello"}}
PATHS = [
    "/api/v1/action-runs",
    f"/api/v1/action-runs/{RUN}",
    f"/api/v1/action-runs/{RUN}/logs",
    "/api/v1/template-runs",
    f"/api/v1/template-runs/{RUN}",
    "/api/v1/audit",
    "/actions",
    "/actions/audit",
    f"/actions/runs/{RUN}",
    f"/actions/runs/{RUN}/log.txt",
    f"/templates/runs/{RUN}",
]
STARTS = {
    "/api/v1/actions/debug.log@v1/runs": HELLO,
    "/api/v1/templates/two-steps/runs": {"inputs": {"name": "orders"}},
    f"/api/v1/action-runs/{RUN}/cancel": None,
    f"/api/v1/action-runs/{RUN}/retry": {},
    f"/api/v1/template-runs/{RUN}/resume": {},
}


@pytest.fixture(params=["sqlite", "postgresql"])
def away_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    # A folder is no file that SQLite can open.
    return f"sqlite:///{tmp_path}" if request.param == "sqlite" else "postgresql://me:geheim@127.0.0.1:1/portal"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
        return
    server = request.getfixturevalue("postgres")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE empty")
    yield server.replace("/postgres?", "/empty?").replace("postgresql:", "postgresql+psycopg:")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE empty WITH (FORCE)")


@pytest.fixture
def admin(make_app: Callable[..., Flask]) -> Callable[..., Person]:
    return lambda url, **config: Person(make_app(PORTAL_ACTIONS_DATABASE_URL=url, **config).test_client(), "margaret")


def ask(person: Person, path: str) -> Any:
    return person.post(path, STARTS[path]) if path in STARTS else person.get(path)


def require_no_detail(text: str) -> None:
    for word in ("SELECT", "INSERT", "UPDATE ", "sqlalche", "Traceback", "127.0.0.1", "geheim", "psycopg", "sqlite3"):
        assert word not in text


# -- away --------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("0f")
@pytest.mark.parametrize("path", [*PATHS, *STARTS])
def test_without_a_database_an_answer_is_a_503_that_says_when_to_ask_again(
    admin: Callable[..., Person], away_url: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = ask(admin(away_url), path)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    require_no_detail(answer.text)
    if path.startswith("/api"):
        assert (answer.json["error_code"], answer.json["retry_after"]) == ("UNAVAILABLE", 5)
    else:
        assert "does not answer" in answer.text
    [said] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "flask actions doctor" in said.getMessage()
    assert said.exc_info is None


@pytest.mark.fault("0f")
def test_a_pool_without_a_connection_left_is_a_503(
    admin: Callable[..., Person], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = admin(database_url)
    engine = ada._client.application.extensions["portal_actions"].database.engine
    monkeypatch.setattr(engine.pool, "_timeout", 0.2)
    with ExitStack() as held:
        for _ in range(15):
            held.enter_context(engine.connect())
        answer = ada.get("/api/v1/action-runs")
        assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
    assert ada.get("/api/v1/action-runs").status_code == 200


@pytest.mark.fault("0f")
def test_a_server_that_takes_no_more_connections_is_a_503(admin: Callable[..., Person], postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE ROLE crowd LOGIN CONNECTION LIMIT 0")
    url = make_url(postgres).set(drivername="postgresql+psycopg", username="crowd")
    answer = admin(url.render_as_string(hide_password=False)).get("/api/v1/action-runs")
    assert (answer.status_code, answer.json["error_code"]) == (503, "UNAVAILABLE")


@pytest.mark.fault("0f")
def test_the_navigation_on_a_host_s_page_is_empty_when_nobody_knows_who_asks(
    settings: dict[str, Any], away_url: str
) -> None:
    plugin = PortalActions()

    @plugin.identity_loader
    def from_the_database() -> Any:
        connect(away_url)

    app = Flask("host", instance_path=settings["INSTANCE_PATH"])
    app.config.update(settings, SECRET_KEY="for tests only", PORTAL_ACTIONS_DATABASE_URL=away_url)
    plugin.init_app(app)
    with app.test_request_context():
        assert app.jinja_env.globals["portal_actions_nav"]() == []


def connect(url: str) -> None:
    driver = "sqlite" if url.startswith("sqlite") else "postgresql+psycopg"
    create_engine(make_url(url).set(drivername=driver)).connect()


@pytest.mark.fault("0f")
def test_a_host_whose_layout_needs_the_database_still_shows_the_error(
    make_app: Callable[..., Flask], away_url: str, tmp_path: Path
) -> None:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=away_url, PORTAL_ACTIONS_BASE_TEMPLATE="theirs.html")
    (tmp_path / "layouts").mkdir()
    (tmp_path / "layouts" / "theirs.html").write_text("{{ menu() }}{% block content %}{% endblock %}")
    app.jinja_loader = FileSystemLoader(tmp_path / "layouts")

    app.jinja_env.globals["menu"] = lambda: connect(away_url)
    answer = Person(app.test_client(), "ada").get("/actions")
    assert answer.status_code == 503
    assert "does not answer" in answer.text


@pytest.mark.fault("0f")
def test_the_python_api_says_it_in_one_sentence(make_app: Callable[..., Flask], away_url: str) -> None:
    with make_app(PORTAL_ACTIONS_DATABASE_URL=away_url).app_context():
        for call in (
            lambda: PortalActions().starts_left(ADA),
            lambda: PortalActions().run_action(ADA, "debug.log@v1", {"message": "hello"}),
            lambda: PortalActions().run_template(ADA, "two-steps", {"name": "orders"}),
        ):
            with pytest.raises(PortalActionsError, match="does not answer") as failed:
                call()
            assert failed.value.http_status == 503
            assert failed.value.__cause__ is None


@pytest.mark.parametrize(
    "command", [("list",), ("show", RUN), ("sweep",), ("audit", "export", "--since", "1d"), ("db", "upgrade")]
)
def test_a_command_says_it_on_one_line(make_app: Callable[..., Flask], away_url: str, command: tuple[str, ...]) -> None:
    result = make_app(PORTAL_ACTIONS_DATABASE_URL=away_url).test_cli_runner().invoke(actions, command)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output


# -- not set up --------------------------------------------------------------------------------------------------------


@pytest.mark.fault("A7")
@pytest.mark.parametrize("path", [*PATHS, *STARTS])
def test_without_tables_an_answer_is_a_503_and_the_log_names_the_command(
    admin: Callable[..., Person], empty_url: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = ask(admin(empty_url), path)
    assert answer.status_code == 503
    assert "team has to finish the set-up" in answer.text
    require_no_detail(answer.text)
    [said] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "flask actions db upgrade" in said.getMessage()
    assert said.exc_info is None


@pytest.mark.fault("A7")
def test_tables_of_a_newer_version_that_this_one_cannot_read_are_said_to_be_so(
    admin: Callable[..., Person], database_url: str
) -> None:
    database = Database(database_url)
    with database.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {tables.VERSION_TABLE} SET version_num = '9999'")
        connection.exec_driver_sql("ALTER TABLE portal_actions_action_runs RENAME TO elsewhere")
        if inspect(connection).has_table("portal_actions_database_identity"):
            connection.exec_driver_sql("UPDATE portal_actions_database_identity SET oldest_code = '9998'")
    database.close_connections()
    answer = admin(database_url).get("/actions")
    assert answer.status_code == 503
    assert "of a newer version" in answer.text


@pytest.mark.fault("A7")
def test_a_table_that_somebody_has_taken_away_is_a_503_too(
    admin: Callable[..., Person], database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(database_url)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE portal_actions_action_runs RENAME TO elsewhere")
    database.close_connections()
    answer = admin(database_url).get("/actions")
    assert answer.status_code == 503
    assert "team has to finish the set-up" in answer.text
    require_no_detail(answer.text)
    [said] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "restore a backup" in said.getMessage()


def test_a_command_without_tables_names_the_one_that_makes_them(make_app: Callable[..., Flask], empty_url: str) -> None:
    result = make_app(PORTAL_ACTIONS_DATABASE_URL=empty_url).test_cli_runner().invoke(actions, ["list"])
    assert result.exit_code == 1
    assert "flask actions db upgrade" in result.output
    assert "Traceback" not in result.output


# -- what may have been accepted ---------------------------------------------------------------------------------------


@pytest.mark.fault("0f")
def test_a_start_whose_answer_was_lost_is_asked_for_again_by_its_key_and_is_one_run(
    app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = accept.transaction

    @contextmanager
    def answer_lost(name: str) -> Iterator[Any]:
        with real(name) as tx:
            yield tx
        raise OperationalError("COMMIT", {}, Exception("the answer was lost"), connection_invalidated=True)

    def send() -> Any:
        return ada.post("/api/v1/actions/debug.log@v1/runs", HELLO, headers={"Idempotency-Key": "once"})

    monkeypatch.setattr(accept, "transaction", answer_lost)
    lost = send()
    assert (lost.status_code, "Idempotency-Key" in lost.json["hint"]) == (503, True)
    monkeypatch.setattr(accept, "transaction", real)
    again = send()
    assert again.status_code == 200
    assert [run.id for run in queries.action_runs(RunFilter(), limit=10).items] == [again.json["id"]]


# -- health ------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("F37")
def test_health_says_null_of_what_it_did_not_ask(admin: Callable[..., Person], away_url: str) -> None:
    answer = admin(away_url).get("/api/v1/health")
    assert answer.status_code == 503
    assert (answer.json["status"], answer.json["database"]) == ("down", False)
    assert {answer.json[part] for part in ("redis", "workers")} == {None}


@pytest.mark.fault("F37")
def test_a_portal_that_can_write_is_ready_and_nothing_is_left_behind(app: Flask, ada: Person) -> None:
    answer = ada.get("/api/v1/health/ready")
    assert (answer.status_code, answer.json) == (200, {"ready": True})
    assert ada.get("/api/v1/health").json["writable"] is True
    with app.extensions["portal_actions"].database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM portal_actions_workers").scalar() == 0


@pytest.mark.fault("F37")
def test_a_portal_whose_database_is_away_is_not_ready(admin: Callable[..., Person], away_url: str) -> None:
    answer = admin(away_url).get("/api/v1/health/ready")
    assert (answer.status_code, answer.json) == (503, {"ready": False})
    require_no_detail(answer.text)


@pytest.mark.fault("F37")
def test_a_server_that_takes_no_writes_is_healthy_but_not_ready(
    admin: Callable[..., Person], failover: Failover
) -> None:
    ada = admin(failover.url)
    failover.set_read_only("on")
    try:
        health = ada.get("/api/v1/health")
        assert (health.status_code, health.json["status"], health.json["writable"]) == (200, "degraded", False)
        assert ada.get("/api/v1/health/ready").status_code == 503
        assert ada.get("/api/v1/action-runs").status_code == 200, "and can be read"
        assert ada.post("/api/v1/actions/debug.log@v1/runs", HELLO).status_code == 503
    finally:
        failover.set_read_only("off")
    assert ada.get("/api/v1/health/ready").status_code == 200


@pytest.mark.fault("F37")
def test_a_file_that_somebody_keeps_locked_is_not_ready_and_nobody_waits_for_long(
    admin: Callable[..., Person], sqlite_url: str
) -> None:
    ada = admin(sqlite_url)
    with closing(sqlite3.connect(make_url(sqlite_url).database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answers: list[Any] = []
        waits = threading.Thread(target=lambda: answers.append(ada.get("/api/v1/health/ready")))
        waits.start()
        waits.join(12)  # the one writer of other transactions is waited for 15 s
        assert [answer.status_code for answer in answers] == [503]
        other.execute("ROLLBACK")
    assert ada.get("/api/v1/health/ready").status_code == 200


FULL_DISK = """
import sys
from pathlib import Path
from tests.support.portal import create_app
folder, url = sys.argv[1:]
app = create_app(INSTANCE_PATH=folder, PORTAL_ACTIONS_DATABASE_URL=url)
client = app.test_client()
print(client.get("/api/v1/health/ready").status_code)
filler = Path(folder) / "filler"
with filler.open("wb") as out:
    try:
        while True:
            out.write(b"x" * 65536)
            out.flush()
    except OSError:
        pass
print(client.get("/api/v1/health/ready").status_code, client.get("/api/v1/health").json["writable"])
filler.unlink()
print(client.get("/api/v1/health/ready").status_code)
"""


@pytest.mark.fault("F37")
def test_a_full_disk_beside_the_file_is_not_ready(migrated_sqlite: Path, tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    script = (
        f"mount -t tmpfs -o size=16m none {mount} && cp {migrated_sqlite} {mount}/some.db && "
        f"exec {sys.executable} -c '{FULL_DISK}' {mount} sqlite:///{mount}/some.db"
    )
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this system lets nobody mount")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parent.parent.parent,
    )
    assert done.stdout.split() == ["200", "503", "False", "200"], done.stderr


# -- the document ------------------------------------------------------------------------------------------------------


@pytest.mark.fault("0f")
def test_every_operation_that_needs_the_database_documents_its_503(make_app: Callable[..., Flask]) -> None:
    document = make_app().test_client().get("/api/v1/openapi.json").json
    open_to_all = ("/openapi.json", "/docs")
    without = [
        (path, method)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in ("get", "post") and not path.endswith(open_to_all) and "503" not in operation["responses"]
    ]
    assert without == []
    assert "/api/v1/health/ready" in document["paths"]
