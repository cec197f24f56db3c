"""What a host hears of runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask

from portal_actions_plugin import ActionRun, signals


@contextmanager
def listening(app: Flask, *names: str) -> Iterator[list[tuple[str, str, str]]]:
    heard: list[tuple[str, str, str]] = []
    receivers = []
    for name in names:

        def receiver(sender: Flask, run: Any, name: str = name, **_: Any) -> None:
            assert sender is app
            kind = run.step_id or run.action if isinstance(run, ActionRun) else run.template
            heard.append((name, kind, run.status))

        getattr(signals, name).connect(receiver, sender=app, weak=False)
        receivers.append((getattr(signals, name), receiver))
    yield heard
    for signal, receiver in receivers:
        signal.disconnect(receiver, sender=app)


EVERYTHING = (
    "action_run_queued",
    "action_run_started",
    "action_run_finished",
    "template_run_started",
    "template_run_finished",
)
