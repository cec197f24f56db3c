"""What receivers of signals cost: the rate of ``throughput.py`` with one on every signal, and without, in turn."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.effort import Effort, Values
from benchmarks.figures import throughput
from benchmarks.rig import Rig

_QUIET, _LISTENING = "portal:create_app", "portal:create_listening_app"


def measure(rig: Rig, effort: Effort) -> Values:
    """Runs a second with receivers that do nothing, and by how much that is the rate without, turn by turn.

    A machine that becomes slower meanwhile does so for both.
    """
    rates, parts = [], []
    one = replace(effort, rounds=1)
    for _ in range(effort.rounds):
        quiet, listening = (_rate(rig, one, app) for app in (_QUIET, _LISTENING))
        rates.append(listening)
        parts.append(listening / quiet)
    return {"runs a second, receivers": rates, "receivers, of the rate without": parts}


def _rate(rig: Rig, effort: Effort, app: str) -> float:
    with rig.web(app) as web, rig.workers(throughput.WORKERS, app):
        return throughput.load(rig, web.address, effort)["runs a second"][0]
