"""Fetching in a web process, in the background: where no supervisor of the same machine does it, and after a push."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from flask import has_request_context

from portal_actions_plugin.extension import of_app
from portal_actions_plugin.upkeep import template_changes, template_pushes, template_repositories

if TYPE_CHECKING:
    from flask import Flask

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
"""How often a web process that reads templates asks whether they should be fetched."""

BETWEEN_SECONDS = 5.0
"""From one fetch of a process to the next, however often a forge tells of pushes."""

PATIENCE = 1.5
"""Of the schedule: by then a supervisor of this machine would have asked."""

_KEPT = "template_refresh"
_UNSEEN = -1
"""A count of pushes that no Redis has."""


@dataclass(slots=True)
class _Background:
    """The thread of a process, one at a time.

    Attributes:
        looked_at: when it last began, on the process's monotonic clock.
        pushes: as many as were dealt with; None before the first look.
        wanted: whether a push has come to this process itself.
        fetched_at: when it last fetched, on that clock.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    thread: threading.Thread | None = None
    looked_at: float = float("-inf")
    pushes: int | None = None
    wanted: bool = False
    fetched_at: float = float("-inf")


def look(app: Flask) -> None:
    """Have somebody look in the background whether a repository is due; called whenever templates are read.

    Nothing happens outside of a request: workers fork, and a thread would be lost, or worse.
    """
    if has_request_context():
        _begin(app, LOOK_SECONDS)


def pushed(app: Flask) -> None:
    """A forge has told of a push: fetch in the background, and let other machines know."""
    background = _of(app)
    with background.lock:
        background.wanted = True
    _begin(app, 0.0)


def _of(app: Flask) -> _Background:
    return cast("_Background", of_app(app).kept.setdefault(_KEPT, _Background()))


def _begin(app: Flask, older_than: float) -> None:
    background = _of(app)
    with background.lock:
        is_busy = background.thread is not None and background.thread.is_alive()
        if is_busy or time.monotonic() - background.looked_at < older_than:
            return  # who is busy sees what is wanted before it ends
        background.looked_at = time.monotonic()
        background.thread = threading.Thread(
            target=_work, args=(app, background), name="portal-actions-templates", daemon=True
        )
        background.thread.start()


def _work(app: Flask, background: _Background) -> None:
    try:
        with app.app_context():
            while _once(app, background):
                pass
    except Exception:  # a thread's error goes nowhere else
        log.exception("looking for new templates failed")


def _once(app: Flask, background: _Background) -> bool:
    """Look once; whether there is more to do."""
    with background.lock:
        is_wanted, background.wanted = background.wanted, False
    if is_wanted:
        template_pushes.add()
    pushes = template_pushes.count()
    is_told = background.pushes is not None and pushes is not None and pushes != background.pushes
    seconds = of_app(app).config.template_refresh_seconds * PATIENCE
    time.sleep(max(0.0, background.fetched_at + BETWEEN_SECONDS - time.monotonic()) if is_wanted or is_told else 0.0)
    asked = template_repositories.refresh(0.0 if is_wanted or is_told else seconds)
    if asked:
        background.fetched_at = time.monotonic()
        template_changes.record()
    if (is_wanted or is_told) and len(asked) < len(of_app(app).checkouts.all):
        background.pushes = _UNSEEN  # somebody else was at it, perhaps since before the push: the next look sees to it
    elif pushes is not None:
        background.pushes = pushes
    with background.lock:
        if not background.wanted:
            background.thread = None
        return background.wanted
