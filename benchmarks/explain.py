"""Prints each statement behind the list, the search and a run's page, how long it takes, and the database's plan for it.

``python -m benchmarks.explain --database postgresql --runs 1000000 --only search``
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from benchmarks import seed
from benchmarks.figures.pages import addresses
from benchmarks.portal import create_app, person
from benchmarks.rig import Rig, site

_EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN (ANALYZE, BUFFERS)"}


def main() -> None:
    """Explain the statements of the pages whose name has the words asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explain", description="Print statements and plans.")
    parser.add_argument("--database", choices=list(_EXPLAIN), default="postgresql")
    parser.add_argument("--runs", type=int, default=100_000, help="how many action runs the tables hold")
    parser.add_argument("--only", default="", help="a word in the names of the pages")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        site(Path(folder), seed.fill) as place,
        place.rig(asked.database, asked.runs) as rig,
    ):
        newest = rig.number("SELECT id FROM portal_actions_template_runs ORDER BY id DESC LIMIT 1")
        for name, path in {**addresses(rig), "run page": f"/templates/runs/{newest}"}.items():
            if asked.only in name:
                _explain(rig, name, path)


def _explain(rig: Rig, name: str, path: str) -> None:
    os.environ.update(rig.environment)
    app = create_app()
    engine: Engine = app.extensions["portal_actions"].database.engine
    sent: list[tuple[str, Any]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def _keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, parameters))

    answer = app.test_client().get(path, headers={"Authorization": f"Bearer {person(0)}"})
    print(f"\n{'=' * 20} {name}: {path} → {answer.status}")
    for statement, parameters in [one for one in sent if one[0].lstrip().upper().startswith(("SELECT", "WITH"))]:
        print(f"\n{statement}\n-- {parameters}")
        with engine.connect() as connection:
            began = time.perf_counter()
            found = len(connection.exec_driver_sql(statement, parameters).all())
            print(f"-- {found} rows in {(time.perf_counter() - began) * 1000:.1f} ms")
            for row in connection.exec_driver_sql(f"{_EXPLAIN[rig.kind]} {statement}", parameters):
                print(f"   {row[-1]}")
    engine.dispose()


if __name__ == "__main__":
    main()
