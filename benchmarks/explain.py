"""Prints each statement behind a page, a start, and a step from its claim to its end, and the database's plan for it.

``python -m benchmarks.explain --database postgresql --runs 1000000 --only search``

What reads is sent once more, and timed. What writes is planned and not done.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import Connection, Engine, event

from benchmarks import seed
from benchmarks.figures.pages import addresses
from benchmarks.portal import THREE_STEPS, create_app, person
from benchmarks.rig import Rig, site
from portal_actions_plugin.runner.attempt.execute import perform
from portal_actions_plugin.runner.attempt.prepare import Performer
from portal_actions_plugin.storage.sessions import new_id
from tests.support import reaper

Sent = list[tuple[str, Any]]
"""Statements with their parameters, in their order."""

_PLAN = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN"}
_PLAN_AND_TIMES = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN (ANALYZE, BUFFERS)"}
_READS = re.compile(r"\s*(SELECT|WITH)\b")
_WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE)\b|\s*WITH\b.*\b(INSERT INTO|UPDATE \S+ SET|DELETE FROM)\b", re.DOTALL)
_ASKER = {"Authorization": f"Bearer {person(0)}"}


def main() -> None:
    """Explain the statements of what has the words asked for in its name."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explain", description="Print statements and plans.")
    parser.add_argument("--database", choices=list(_PLAN), default="postgresql")
    parser.add_argument("--runs", type=int, default=100_000, help="how many action runs the tables hold")
    parser.add_argument("--only", default="", help="a word in the names: of the pages, start, step")
    asked = parser.parse_args()
    reaper.watch_over_this_process()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        site(Path(folder), seed.fill) as place,
        place.rig(asked.database, asked.runs) as rig,
    ):
        os.environ.update(rig.environment)
        app = create_app()
        engine: Engine = app.extensions["portal_actions"].database.engine
        for name, act in _acts(rig, app).items():
            if asked.only in name:
                with _listening(engine) as sent:
                    answer = act()
                print(f"\n{'=' * 20} {name}: {answer}")
                for statement, parameters in sent:
                    _explain(engine, statement, parameters)
        engine.dispose()


def _acts(rig: Rig, app: Flask) -> dict[str, Callable[[], str]]:
    """What is explained, by name."""
    newest = rig.number("SELECT id FROM portal_actions_template_runs ORDER BY id DESC LIMIT 1")
    pages = {**addresses(rig), "run page": f"/templates/runs/{newest}"}
    _start(app)  # there has to be a step, whatever is asked for

    def page(path: str) -> Callable[[], str]:
        return lambda: f"{path} → {app.test_client().get(path, headers=_ASKER).status}"

    return {
        **{name: page(path) for name, path in pages.items()},
        "start": lambda: _start(app),
        "step, from its claim to its end": lambda: _step(rig, app),
    }


def _start(app: Flask) -> str:
    path = f"/api/v1/templates/{THREE_STEPS}/runs"
    return f"POST {path} → {app.test_client().post(path, json={'inputs': {'name': 'x'}}, headers=_ASKER).status}"


def _step(rig: Rig, app: Flask) -> str:
    """Do the first step of the newest run of three steps, and queue the next one."""
    with app.app_context():
        run_id = rig.number(
            "SELECT id FROM portal_actions_action_runs WHERE status = 'queued' AND not_before IS NULL "
            "ORDER BY id DESC LIMIT 1"
        )
        perform(str(run_id), Performer(new_id(), "explain"))
    status = rig.number("SELECT status FROM portal_actions_action_runs WHERE id = :id", id=run_id)
    return f"{run_id} → {status}"


@contextmanager
def _listening(engine: Engine) -> Iterator[Sent]:
    """Keep what is sent, of many rows at once the first."""
    sent: Sent = []

    def _keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: Any) -> None:
        sent.append((statement, parameters[0] if many else parameters))

    event.listen(engine, "before_cursor_execute", _keep)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", _keep)


def _explain(engine: Engine, statement: str, parameters: Any) -> None:
    writes, reads = _WRITES.match(statement), _READS.match(statement)
    if not writes and not reads:
        return
    print(f"\n{statement}\n-- {parameters}")
    with engine.connect() as connection:
        if not writes:
            _time(connection, statement, parameters)
        plan = (_PLAN if writes else _PLAN_AND_TIMES)[connection.dialect.name]
        for row in connection.exec_driver_sql(f"{plan} {statement}", parameters):
            print(f"   {row[-1]}")


def _time(connection: Connection, statement: str, parameters: Any) -> None:
    began = time.perf_counter()
    found = len(connection.exec_driver_sql(statement, parameters).all())
    print(f"-- {found} rows in {(time.perf_counter() - began) * 1000:.1f} ms")


if __name__ == "__main__":
    main()
