"""The places of a supervisor: each has one worker at a time, and gets another when that dies."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from portal_actions_plugin.runner.liveness.pulse import Pulse

CALM_RESTART_SECONDS = 10
MAX_RESTART_SECONDS = 30


@dataclass(slots=True)
class Place:
    """A worker's place: when its worker dies, another takes it, later each time it dies young.

    The moments are of the machine's monotonic clock, in seconds.

    Attributes:
        queue: the queue that its worker hears.
        name: what the database and the log call it.
        pid: its worker's process; 0 when it has none.
        born: when that was forked.
        start_at: from when on another one may be forked.
        backoff: how long the next one waits, in seconds, should it die young.
        died_with: the status that the last worker ended with, as ``os.waitpid`` has it.
        pulse: what its worker says of itself.
        empty_since: since when it has no worker.
    """

    queue: str
    name: str
    pid: int = 0
    born: float = 0.0
    start_at: float = 0.0
    backoff: float = 0.5
    died_with: int | None = None
    pulse: Pulse = field(default_factory=Pulse)
    empty_since: float = field(default_factory=time.monotonic)

    def began(self, now: float) -> None:
        """Expect a worker that is about to be forked at this moment: nothing is known of it yet."""
        self.born = now
        self.pulse = Pulse()

    def died(self, now: float) -> None:
        """Have no worker any more, or still none, from this moment on, and work out when another may be forked."""
        if self.pid:
            self.empty_since = now
        self.pid = 0
        lived_long = now - self.born > CALM_RESTART_SECONDS
        self.backoff = 0.5 if lived_long else min(self.backoff * 2, MAX_RESTART_SECONDS)
        self.start_at = now + (0 if lived_long else self.backoff)
