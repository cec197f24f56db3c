"""How long a large workspace takes from one machine to the next, and how long another writer waits meanwhile."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from flask import current_app
from sqlalchemy import insert, select, update

from benchmarks import portal
from benchmarks.effort import Effort, Values
from benchmarks.rig import Rig
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.runs.workspaces import generations, lifetime, travel
from portal_actions_plugin.runs.workspaces.generations import Place
from portal_actions_plugin.runs.workspaces.scanning import Limits
from portal_actions_plugin.runs.workspaces.stores.opening import store
from portal_actions_plugin.runs.workspaces.travel import Secrets
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import single_read, transaction
from portal_actions_plugin.storage.sql import now_plus
from portal_actions_plugin.upkeep import kept_workspaces

FILES = 3_000
BYTES = 49_000_000
FAILED = 1_000
_LIMITS = Limits(50_000_000, 10_000)


def measure(rig: Rig, effort: Effort) -> Values:
    """Milliseconds to keep and to bring 49 MB in 3,000 files, and of the longest wait of somebody who writes meanwhile."""
    found: dict[str, list[float]] = {}
    with patch.dict(os.environ, rig.environment):
        app = portal.create_app()
    with app.app_context(), TemporaryDirectory() as temporary:
        for number in range(min(2, effort.rounds)):
            folder = Path(temporary).resolve() / str(number)
            for name, value in _travel(_some_run(number), folder).items():
                found.setdefault(name, []).append(value)
        found["workspaces, to keep within the total"] = [_keep_within_total()]
    return found


def _travel(run_id: str, folder: Path) -> dict[str, float]:
    here, there = folder / "here", folder / "there"
    _fill(here)
    there.mkdir(parents=True)
    found = {}
    with _another_writer() as waits:
        found["workspace, to keep"] = _keep(run_id, here)
        time.sleep(0.1)
    found["workspace, another writer's longest wait"] = max(waits) * 1000
    found["workspace, to bring"] = _timed(lambda: travel.bring(_newest(run_id), there, store()))
    (there / "f0.txt").write_text("changed")
    found["workspace, to keep after a change"] = _keep(run_id, there)
    lifetime.forget(run_id)
    return found


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _keep(run_id: str, folder: Path) -> float:
    def keep() -> None:
        secrets = Secrets((), Redactor(), are_given=False)
        new = travel.save(_newest(run_id), folder, Place(0), store(), _LIMITS, secrets)
        assert new is not None  # noqa: S101 a file has changed
        with transaction("benchmark") as tx:
            generations.add(tx, new)

    return _timed(keep)


def _newest(run_id: str) -> generations.Generation:
    with single_read() as db:
        return generations.newest(db, run_id, ())


def _fill(folder: Path) -> None:
    noise = random.Random(1)
    for number in range(FILES):
        place = folder / (f"folder-{number % 50}" if number else "") / f"f{number}.txt"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(noise.randbytes(BYTES // FILES))


def _some_run(number: int) -> str:
    with single_read() as db:
        rows = db.rows(select(tables.template_runs.c.id).order_by(tables.template_runs.c.id).limit(number + 1))
    return str(rows[number]["id"])


@contextmanager
def _another_writer() -> Iterator[list[float]]:
    """Somebody who writes a row all the time; yields the seconds that each write has taken."""
    waits: list[float] = [0.0]
    over = threading.Event()

    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 a thread needs the app itself

    def write() -> None:
        with app.app_context():
            while not over.is_set():
                began = time.perf_counter()
                with transaction("benchmark") as tx:
                    tx.execute(update(tables.database_identity).values(made_at=now_plus(0)))
                waits.append(time.perf_counter() - began)
                time.sleep(0.002)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield waits
    finally:
        over.set()
        thread.join()


def _keep_within_total() -> float:
    """Milliseconds to delete the workspaces of as many failed runs as hold more than they may."""
    whole = tables.template_runs.c
    with single_read() as db:
        rows = db.rows(select(whole.id).where(whole.finished_at.is_not(None)).order_by(whole.id).limit(FAILED))
    ids = [str(row["id"]) for row in rows]
    row = {"generation": 1, "position": 0, "store": store().name, "files": 1, "size": 50_000_000}
    with transaction("benchmark") as tx:
        tx.execute(update(tables.template_runs).where(whole.id.in_(ids)).values(status="failed"))
        for run_id in ids:
            tx.execute(insert(tables.workspaces).values(template_run_id=run_id, made_at=now_plus(0), **row))
    return _timed(kept_workspaces.tidy)
