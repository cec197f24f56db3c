"""How long the page of a template run takes, and how long it takes to hear that nothing has changed."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import insert

from benchmarks.client import Client
from benchmarks.effort import Effort, Values
from benchmarks.figures.latency import one_run
from benchmarks.figures.pages import medians
from benchmarks.figures.statistics import percentile
from benchmarks.portal import LOG, write_template
from benchmarks.rig import Rig
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sql import now_plus

STEPS = 10
LINES = 100
"""Of each step: as many as a folded log shows. All of them are on the page."""

MAX_RENEWALS = 3
"""The first answer is one, and the page is renewed every ten minutes."""

_TEMPLATE = "ten-steps"


def measure(rig: Rig, effort: Effort) -> Values:
    """Milliseconds at the median: the whole page with all its lines, and the 304."""
    write_template(rig.folder, _TEMPLATE, STEPS, "debug.log@v1", LOG)
    with rig.web() as web:
        client = Client(web.address)
        with rig.workers(1):
            one_run(rig, client, 0, _TEMPLATE)
        run_id = rig.number(f"SELECT id FROM portal_actions_template_runs WHERE template = '{_TEMPLATE}'")
        _lengthen_logs(rig, run_id)
        return page_and_304(client, f"/templates/runs/{run_id}", effort)


def page_and_304(client: Client, path: str, effort: Effort) -> Values:
    """The median of a run's page, and of its 304."""
    return {**medians(client, {"run page": path}, effort), "run page, 304": _unchanged(client, path, effort)}


def _unchanged(client: Client, path: str, effort: Effort) -> Sequence[float]:
    """The median of each round of 304s. A page is renewed now and then, since form tokens age: then its new state counts."""
    state, renewals, rounds = "", 0, []
    for _ in range(effort.rounds):
        times: list[float] = []
        while len(times) < effort.requests:
            answer = client.ask("GET", path, headers={"If-None-Match": state})
            if answer.status == 304:
                times.append(answer.seconds * 1000)
                continue
            state, renewals = answer.headers["ETag"], renewals + 1
            if renewals > MAX_RENEWALS:
                raise SystemExit(f"{path} is another page each time, though nothing has changed")
        rounds.append(percentile(times, 50))
    return rounds


def _lengthen_logs(rig: Rig, run_id: object) -> None:
    steps = rig.rows("SELECT id FROM portal_actions_action_runs WHERE template_run_id = :id", id=run_id)
    lines = [
        {
            "action_run_id": str(step["id"]),
            "seq": seq,
            "attempt": 1,
            "level": "info",
            "message": f"line {seq} of {LINES}",
        }
        for step in steps
        for seq in range(2, LINES + 1)
    ]
    with rig.database.engine.begin() as connection:
        connection.execute(insert(tables.log_lines).values(at=now_plus(0)), lines)
