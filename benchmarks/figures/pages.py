"""How long whole pages take over HTTP, one client asking."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from benchmarks.client import Client
from benchmarks.effort import Effort, Values
from benchmarks.figures.statistics import percentile
from benchmarks.portal import create_app
from benchmarks.rig import Rig
from benchmarks.seed import RARE_PERSON, SHOWN_TEMPLATE
from portal_actions_plugin.runs.reading.cursors import seal
from portal_actions_plugin.runs.reading.filters import RunFilter, bound_to

DEEP = 50_000
STATUSES = ("queued", "running", "success", "failed", "canceled")
_FIRST = 12
"""Requests that are not counted: each web process pays for its first ones."""


def measure(rig: Rig, effort: Effort) -> Values:
    """Milliseconds at the median, by page."""
    with rig.web() as web:
        return medians(Client(web.address), addresses(rig), effort)


def medians(client: Client, pages: Mapping[str, str], effort: Effort) -> Values:
    """The median of each round, by page. Every answer has to be a whole page."""
    values: dict[str, list[float]] = {}
    for name, path in pages.items():
        for _ in range(_FIRST):
            client.ask("GET", path)
        for _ in range(effort.rounds):
            answers = [client.ask("GET", path) for _ in range(effort.requests)]
            if wrong := [answer for answer in answers if answer.status != 200]:
                raise SystemExit(f"{path} was answered {wrong[0].status}: {wrong[0].body[:500]!r}")
            values.setdefault(name, []).append(percentile([answer.seconds * 1000 for answer in answers], 50))
    return values


def addresses(rig: Rig) -> dict[str, str]:
    """The list: whole, by each chip, deep down, and searched."""
    some = str(uuid.UUID(str(_run_at(rig, rig.runs // 3))))
    return {
        "list, All": "/actions",
        **{f"list, {status}": f"/actions?status={status}" for status in STATUSES},
        "list, mine": f"/actions?requested_by={quote('user:person-000@example.com')}",
        "list, deep": f"/actions?cursor={_cursor(rig, _run_at(rig, min(DEEP, rig.runs // 2)))}",
        "search, narrow": f"/actions?q={quote(RARE_PERSON)}",
        "search, prefix": "/actions?q=s",
        "search, rare and common": f"/actions?q={quote(RARE_PERSON)}+step",
        "search, common and common": "/actions?q=createrepo+create-service-09",
        "search, never together": "/actions?q=step-0+step-1",
        "search, title": "/actions?q=create+a+service",
        "search, broad": "/actions?q=create-service",
        "search, one template": f"/actions?q={SHOWN_TEMPLATE}",
        "search, none found": "/actions?q=nothing-begins-like-this",
        "search, run id": f"/actions?q={some}",
        "search, run id's beginning": f"/actions?q={some[:13]}",
        "search, failed": f"/actions?status=failed&q={SHOWN_TEMPLATE}",
    }


def _run_at(rig: Rig, depth: int) -> Any:
    return rig.number(f"SELECT id FROM portal_actions_action_runs ORDER BY id DESC LIMIT 1 OFFSET {depth}")


def _cursor(rig: Rig, run_id: Any) -> str:
    """The cursor of the page that begins below this run, as the portal seals it in the link to it."""
    os.environ.update(rig.environment)
    app = create_app()
    with app.app_context():
        cursor = seal(b"n" + uuid.UUID(str(run_id)).bytes, bound_to("action_runs", RunFilter()))
    app.extensions["portal_actions"].database.close_connections()
    return cursor
