"""How long it takes from a start to its first step, and to its end, one run at a time while the workers idle."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from benchmarks.client import Client
from benchmarks.effort import Effort, Values
from benchmarks.figures.statistics import percentile
from benchmarks.portal import THREE_STEPS
from benchmarks.rig import Rig, wait_for

WORKERS = 2
_RUN_SECONDS = 300.0
_FIRST = 10
"""Starts that are not counted: they pay for imports and connections."""

_BETWEEN_SECONDS = (0.05, 0.25)
"""A random pause, or starts would always meet the workers in the same moment of their round."""


def measure(rig: Rig, effort: Effort) -> Values:
    """Milliseconds: of the POST, to the first step and to success (by the database's clock, and from the client's POST)."""
    values: dict[str, list[float]] = {}
    with rig.web() as web, rig.workers(WORKERS):
        client = Client(web.address)
        for number in range(_FIRST):
            one_run(rig, client, number)
        for _ in range(effort.rounds):
            for name, value in _summary([one_run(rig, client, number) for number in range(effort.singles)]).items():
                values.setdefault(name, []).append(value)
    return values


def one_run(rig: Rig, client: Client, number: int, template: str = THREE_STEPS, **inputs: object) -> dict[str, float]:
    """Start a template run and wait for its end; milliseconds by name."""
    moments = (
        "SELECT run.status, run.queued_at, run.finished_at, min(step.started_at) AS started_at "
        "FROM portal_actions_template_runs AS run JOIN portal_actions_action_runs AS step "
        "ON step.template_run_id = run.id WHERE run.id = :id GROUP BY run.status, run.queued_at, run.finished_at"
    )
    return _timed(rig, lambda: client.start(number, template, **inputs), "template_runs", moments)


def one_off(rig: Rig, client: Client, number: int, action: str, **given: object) -> dict[str, float]:
    """The same with an action run that belongs to no template run."""
    moments = "SELECT status, queued_at, started_at, finished_at FROM portal_actions_action_runs WHERE id = :id"
    return _timed(rig, lambda: client.start_one_off(number, action, **given), "action_runs", moments)


def _timed(rig: Rig, start: Callable[[], tuple[str, float]], table: str, moments: str) -> dict[str, float]:
    time.sleep(random.uniform(*_BETWEEN_SECONDS))
    began = time.time()
    run_id, answered = start()
    ended = f"SELECT finished_at FROM portal_actions_{table} WHERE id = :id AND status NOT IN ('queued', 'running')"
    wait_for(lambda: rig.number(ended, id=rig.id(run_id)) is not None, _RUN_SECONDS, pause=0.02)
    row = rig.rows(moments, id=rig.id(run_id))[0]
    if row["status"] != "success":
        raise SystemExit(f"run {run_id} ended as {row['status']}")
    queued, started, finished = (_seconds(row[name]) for name in ("queued_at", "started_at", "finished_at"))
    return {
        "POST": answered * 1000,
        "to running": (started - queued) * 1000,
        "POST to running": (started - began) * 1000,
        "to success": (finished - queued) * 1000,
        "POST to success": (finished - began) * 1000,
    }


def _summary(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    found = {}
    for name in runs[0]:
        values = [run[name] for run in runs]
        found[f"{name}, p50"] = percentile(values, 50)
        found[f"{name}, p95"] = percentile(values, 95)
    return found


def _seconds(moment: Any) -> float:
    """SQLite gives text, in UTC."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    return float(moment.timestamp())
