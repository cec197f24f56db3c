"""Everywhere that a secret could have got to: the database, Redis, and what people are shown."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
from flask import Flask
from redis import Redis

from portal_actions_plugin.cli import actions
from tests.support.people import Person


def everything_in_the_database(app: Flask, database_url: str) -> bytes:
    if database_url.startswith("sqlite"):
        file = Path(database_url.removeprefix("sqlite:///"))
        parts = sorted(file.parent.glob(f"{file.name}*"))
        assert len(parts) == 3, "the file, its -wal and its -shm"
        # Another process reads them: to close a file ends every lock that this one's connections have on it.
        return subprocess.run(["cat", *map(str, parts)], capture_output=True, check=True).stdout
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE tablename LIKE 'portal_actions_%'"
        ).fetchall()
        assert len(tables) >= 8
        rows = [row for (name,) in tables for row in connection.execute(f"SELECT * FROM {name}").fetchall()]
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row)


def everything_in_redis(redis_url: str) -> bytes:
    readers = {
        b"string": lambda client, key: client.get(key),
        b"hash": lambda client, key: client.hgetall(key),
        b"list": lambda client, key: client.lrange(key, 0, -1),
        b"set": lambda client, key: client.smembers(key),
        b"zset": lambda client, key: client.zrange(key, 0, -1),
        b"stream": lambda client, key: client.xrange(key),
        b"none": lambda _client, _key: b"",  # It ran out since the scan named it: the dump above has what it was.
    }
    with Redis.from_url(redis_url) as client:
        client.save()
        folder, name = client.config_get("dir")["dir"], client.config_get("dbfilename")["dbfilename"]
        found = [Path(folder, name).read_bytes()]
        for key in client.scan_iter():
            value = readers[client.type(key)](client, key)
            found += [key, client.dump(key) or b"", repr(value).encode(), value if isinstance(value, bytes) else b""]
    return b"\n".join(found)


def everything_shown(app: Flask, person: Callable[[str], Person]) -> Iterator[tuple[str, str]]:
    ada, margaret = person("ada"), person("margaret")
    api = [f"/api/v1/{name}" for name in ("action-runs", "template-runs", "actions", "templates", "templates/canary")]
    paths = ["/actions", *api]
    ids = []
    for run in ada.get("/api/v1/action-runs?limit=100").json["data"]:
        ids.append(run["id"])
        address = f"/api/v1/action-runs/{run['id']}"
        paths += [address, f"{address}/logs?limit=1000", f"/actions/runs/{run['id']}"]
    for run in ada.get("/api/v1/template-runs?limit=100").json["data"]:
        ids.append(run["id"])
        paths += [f"/api/v1/template-runs/{run['id']}", f"/templates/runs/{run['id']}"]
    rules = [str(rule) for rule in app.url_map.iter_rules() if "log" in str(rule) and "run_id" in str(rule)]
    paths += [rule.replace("<run_id>", run_id) for rule in rules for run_id in ids]
    for path in paths:
        answer = ada.get(path)
        assert answer.status_code in (200, 302, 303, 404), path
        yield path, answer.get_data(as_text=True) + str(answer.headers)
    yield "the audit", margaret.get("/api/v1/audit?limit=200").get_data(as_text=True)
    for run_id in ids:
        shown = app.test_cli_runner().invoke(actions, ["show", run_id])
        assert shown.exit_code == 0, shown.output
        yield f"flask actions show {run_id}", shown.output
