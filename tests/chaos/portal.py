"""The host portal of the chaos tests, for a web process and for workers: ``flask --app tests.chaos.portal …``."""

from __future__ import annotations

import random
import time
from typing import Any

from flask import Flask

from portal_actions_plugin import signals
from portal_actions_plugin.runner import housekeeper, sweeper
from tests.chaos import actions, visitor
from tests.support import portal

SIGNALS = (
    signals.action_run_queued,
    signals.action_run_started,
    signals.action_run_finished,
    signals.template_run_started,
    signals.template_run_finished,
    signals.run_changed,
)

SLOW, SLOW_SECONDS = 0.02, 0.6
"""How often a receiver takes so long that the time of what has been claimed meanwhile counts anew."""


def create_app() -> Flask:
    app = portal.create_app()
    app.extensions["portal_actions"].registry.add_module(actions, "the chaos tests")
    # No process lives long here, so one that has not sent its signals by then never will.
    sweeper.ANNOUNCE_AFTER_LEASES = 1
    housekeeper.FIRST_SECONDS = housekeeper.OFTEN_SECONDS = 2.0
    housekeeper.SELDOM_SECONDS = 10.0
    for signal in SIGNALS:
        signal.connect(_receiver(signal.name), weak=False)
    visitor.install()
    return app


def _receiver(name: str) -> Any:
    def receive(_app: Flask, run: Any, **_kwargs: Any) -> None:
        if random.random() < SLOW:
            time.sleep(SLOW_SECONDS)
        if "-finished" in name:
            actions.append("signals", signal=name, run=run.id, status=run.status)

    return receive
