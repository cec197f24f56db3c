"""What a start that is refused costs: it lies outside of every limit until it is answered."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from sqlalchemy import text

from benchmarks.client import Client
from benchmarks.effort import Effort, Values
from benchmarks.figures.memory import children
from benchmarks.portal import LIMITED_STARTS_A_MINUTE, SECRET_KEYS
from benchmarks.rig import Rig, wait_for
from portal_actions_plugin.runs.secrets import sealing

_TICKS = os.sysconf("SC_CLK_TCK")
_TIMES = 20
"""Refusals of a round: the kernel counts a process's time in hundredths of a second."""

SECRETIVE = "bench.secretive@v1"
_LONG_SECRET = "line of a secret\n" * 51_000
_REFUSED: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "a secret of 870 kB": (SECRETIVE, {"token": _LONG_SECRET}),
    "25,000 wrong files": ("scm.pushSkeleton@v1", {"files": [{"path": 1} for _ in range(25_000)]}),
}
_OVER_THE_LIMIT: Mapping[str, object] = {
    "token": [f"secret-number-{n:04}" for n in range(50)],
    "note": "n" * 700_000,
}


def measure(rig: Rig, effort: Effort) -> Values:
    """Milliseconds of a web process's CPU for one refusal; of a step that fails on its secret, from claim to end."""
    found: dict[str, list[float]] = {}
    with rig.web() as web:
        client = Client(web.address)
        for name, (action, given) in _REFUSED.items():
            found[f"refused, {name}"] = _cpu_of_refusals(client, web.pid, effort, action, given, 422)
        waiting = _with_too_long_a_secret(rig, client)
    with rig.web("portal:create_limited_app") as web:
        client = Client(web.address)
        for number in range(LIMITED_STARTS_A_MINUTE):
            client.start_one_off(1, SECRETIVE, note=f"{number}")
        name = "refused, 50 secrets and a text of 700 kB, over the limit"
        found[name] = _cpu_of_refusals(client, web.pid, replace(effort, rounds=1), SECRETIVE, _OVER_THE_LIMIT, 429)
    with rig.workers(1):
        ended = "SELECT status FROM portal_actions_action_runs WHERE id = :id"
        wait_for(lambda: rig.number(ended, id=rig.id(waiting)) == "failed")
    return {**found, "failed, a secret of 870 kB": [_milliseconds_of_attempt(rig, waiting)]}


def _cpu_of_refusals(
    client: Client, web: int, effort: Effort, action: str, given: Mapping[str, object], status: int
) -> list[float]:
    """Milliseconds for one, a value for each round; the first one is not counted."""
    refuse = partial(_refused, client, action, given, status)
    refuse()
    return [_milliseconds_of_cpu(web, refuse) for _ in range(effort.rounds)]


def _milliseconds_of_cpu(web: int, refuse: Callable[[], None]) -> float:
    before = _cpu_seconds(web)
    for _ in range(_TIMES):
        refuse()
    return (_cpu_seconds(web) - before) / _TIMES * 1000


def _refused(client: Client, action: str, given: Mapping[str, object], status: int) -> None:
    answer = client.ask("POST", f"/api/v1/actions/{action}/runs", number=1, body={"input": given})
    if answer.status != status:
        raise SystemExit(f"what should be refused with {status} was answered {answer.status}: {answer.body[:500]!r}")


def _cpu_seconds(web: int) -> float:
    """What all web processes have used up."""
    return sum(_ticks(pid) for pid in children(web)) / _TICKS


def _ticks(pid: int) -> int:
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(after_name[11]) + int(after_name[12])


def _with_too_long_a_secret(rig: Rig, client: Client) -> str:
    """A queued run whose secret is longer than a start may bring, as an older version took it."""
    run_id, _ = client.start_one_off(0, SECRETIVE, token="short and sweet")  # noqa: S106 it protects nothing
    sealed = sealing.seal({"token": _LONG_SECRET}, SECRET_KEYS)
    with rig.database.engine.begin() as connection:
        statement = text("UPDATE portal_actions_action_runs SET secrets = :sealed WHERE id = :id")
        connection.execute(statement, {"sealed": sealed, "id": rig.id(run_id)})
    return run_id


def _milliseconds_of_attempt(rig: Rig, run_id: str) -> float:
    if rig.kind == "sqlite":
        lasted = "(julianday(finished_at) - julianday(started_at)) * 86400000"
    else:
        lasted = "extract(epoch FROM finished_at - started_at) * 1000"
    return float(rig.number(f"SELECT {lasted} FROM portal_actions_action_runs WHERE id = :id", id=rig.id(run_id)))
