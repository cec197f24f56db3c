"""How a process of a worker's calls the host's receivers: here and now, each within its time, and so without a thread."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Sequence

from portal_actions_plugin.runner.process.interruptions import TimeLimitError, time_limit
from portal_actions_plugin.runner.process.shared_memory import CallOfReceiver, SharedDeadline, ToldRuns
from portal_actions_plugin.runs.news import announced
from portal_actions_plugin.runs.news.delivery import Call, Delivery
from portal_actions_plugin.storage.pause_points import reached
from portal_actions_plugin.storage.sessions import Transaction

log = logging.getLogger(__name__)

GRACE_SECONDS = 1.0
"""How long after its time a receiver may clean up. Then the process is ended, by who watches over it."""


class TimedDelivery(Delivery):
    """Interrupts a receiver at the end of its time; one that is not to be interrupted ends the process."""

    def __init__(self, call: CallOfReceiver, deadline: SharedDeadline) -> None:
        """Prepare.

        Args:
            call: where who watches over this process finds which receiver is being called.
            deadline: when this process is to be ended.
        """
        super().__init__()
        self._at = call
        self._deadline = deadline

    def call(self, call: Call) -> None:
        """Call a receiver, and interrupt it at the end of its time."""
        if threading.current_thread() is not threading.main_thread():
            # A handler's own thread, which no signal reaches.
            super().call(call)
            return
        before = self._deadline.moment()
        self._at.begin(call.change, str(call), in_handler=before < math.inf)
        self._deadline.set_moment(min(before, time.monotonic() + call.seconds + GRACE_SECONDS))
        try:
            with time_limit(call.seconds):
                call.make()
        except TimeLimitError:
            log.exception("%s takes longer than its %g s: it was interrupted", call, call.seconds)
        finally:
            self._deadline.set_moment(before)
            self._at.over()


class RidingDelivery(TimedDelivery):
    """A job process's: that an end was told is written along with the next transaction that there is anyway."""

    def __init__(self, call: CallOfReceiver, deadline: SharedDeadline, told: ToldRuns) -> None:
        """Prepare.

        Args:
            call: likewise.
            deadline: likewise.
            told: where they wait. When this process stands by, or is gone, its parent writes them.
        """
        super().__init__(call, deadline)
        self._told = told

    def keep(self, changes: Sequence[str]) -> None:
        """Keep them until there is a transaction; without room for that, they are written now."""
        reached("told.before")
        if not self._told.add(changes):
            super().keep(changes)

    def take_along(self, tx: Transaction) -> None:
        """Write those that wait, and forget them once that is committed."""
        waiting = self._told.waiting()
        if waiting:
            announced.take_along(tx, waiting)
            tx.tell_after_rings(lambda: self._told.forget(waiting))
