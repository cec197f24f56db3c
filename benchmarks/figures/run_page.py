"""How long the page of a template run takes, and how long it takes to hear that nothing has changed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from sqlalchemy import insert

from benchmarks.client import Client
from benchmarks.effort import Effort, Values
from benchmarks.figures.latency import one_run
from benchmarks.figures.pages import medians
from benchmarks.portal import LOG, write_template
from benchmarks.rig import Rig
from portal_actions_plugin.models import LogLineRow
from portal_actions_plugin.sql import now_plus

STEPS = 10
LINES = 100
"""Of each step: as many as a folded log shows. All of them are on the page."""

RENEWED_SECONDS = 600
"""How often a page is another one though nothing has changed."""

CLOSE_SECONDS = 30

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
        return page_and_304(client, {"run page": f"/templates/runs/{run_id}"}, effort)


def page_and_304(client: Client, pages: Mapping[str, str], effort: Effort) -> Values:
    """The median of a page, and of its 304."""
    found: dict[str, Sequence[float]] = {}
    for name, path in pages.items():
        found |= medians(client, {name: path}, effort)
        _let_pages_be_renewed()
        state = client.ask("GET", path).headers["ETag"]
        found |= medians(client, {f"{name}, 304": path}, effort, {"If-None-Match": state})
    return found


def _let_pages_be_renewed() -> None:
    """Wait until every page has become another one, if that is near: their form tokens age."""
    left = -time.time() % RENEWED_SECONDS
    if left < CLOSE_SECONDS:
        time.sleep(left + 0.1)


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
        connection.execute(insert(LogLineRow).values(at=now_plus(0)), lines)
