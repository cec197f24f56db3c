"""What the portal does with the plugin's signals: a feed on the home page, and scorecards that look again.

They come at least once, in whichever process made the change; so everything here may be done twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Flask

from demo_portal import fixes, scorecards
from demo_portal.portal import portal
from demo_portal.store import now
from portal_actions_plugin import ActionRun, TemplateRun, signals

SHOWN = 6


@dataclass(frozen=True, slots=True)
class Event:
    """A run that ended."""

    title: str
    who: str
    status: str
    url: str
    at: str


def listen(app: Flask) -> None:
    """Hear of the runs of this app."""
    signals.template_run_finished.connect(template_run_finished, sender=app)
    signals.action_run_finished.connect(action_run_finished, sender=app)


def template_run_finished(app: Flask, run: TemplateRun, **_later: Any) -> None:
    with app.app_context():
        _keep(run.id, run.title, run)
        _fix_finished(run)


def action_run_finished(app: Flask, run: ActionRun, **_later: Any) -> None:
    if run.template_run_id:
        return
    with app.app_context():
        _keep(run.id, run.action, run)
        _fix_finished(run)


def latest() -> Sequence[Event]:
    """The runs that ended last."""
    with portal().store.reading() as db:
        rows = db.execute("SELECT * FROM activity ORDER BY at DESC, run_id DESC LIMIT ?", (SHOWN,)).fetchall()
    return [Event(row["title"], row["who"], row["status"], row["url"], row["at"]) for row in rows]


def _keep(run_id: str, title: str, run: ActionRun | TemplateRun) -> None:
    at = (run.finished_at.isoformat(timespec="milliseconds") if run.finished_at else None) or now()
    with portal().store.writing() as db:
        db.execute(
            "INSERT OR REPLACE INTO activity VALUES (?, ?, ?, ?, ?, ?)",
            (run_id, title, run.requester_name, run.status, run.html_url, at),
        )


def _fix_finished(run: ActionRun | TemplateRun) -> None:
    if run.origin is None:
        return
    fixes.fix_ended(run)
    scorecards.evaluate(run.origin.entity)
