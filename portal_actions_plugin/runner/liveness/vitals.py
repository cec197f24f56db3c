"""What a worker tells at each turn of its loop."""

from __future__ import annotations

from dataclasses import dataclass

from portal_actions_plugin.runner.liveness.pulse import Doing, Pulse
from portal_actions_plugin.runner.liveness.watchdog import Watchdog


@dataclass(frozen=True, slots=True)
class Vitals:
    """What proves that a worker's loop turns: to its supervisor, and to its own watchdog."""

    pulse: Pulse
    watchdog: Watchdog

    def turn(self, doing: Doing) -> None:
        """Say that the loop turns, and what it is about to do."""
        self.pulse.turn(doing)
        self.watchdog.turned()
