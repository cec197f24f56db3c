"""A job process as its worker sees it: what it was told, what it has said, and what has become of it.

What it does itself, from its fork to its end, is in ``main.py``.
"""

from __future__ import annotations

import logging
import os
import select
import signal
from contextlib import suppress
from enum import Enum
from io import FileIO

from portal_actions_plugin.runner.process.leftovers import Leftovers
from portal_actions_plugin.runner.process.shared_memory import Shared, Word
from portal_actions_plugin.runs.workspaces import folders

log = logging.getLogger(__name__)

_OUTPUT = (0, 1, 2)
_WAKE_UP = b"."
_WAKE_UPS_AT_ONCE = 64
_LOOK_MILLISECONDS = 50
"""How long nobody may look where the kernel does not tell that a process has ended."""


class State(Enum):
    """What a job process is: it has one of these at a time, and never another once it is gone."""

    AT_WORK = "at work"
    STANDS_BY = "stands by"
    GONE = "gone"


def wake_up(pipe: int) -> None:
    """Let the worker look, from the job process, at what was said in shared memory.

    Args:
        pipe: the descriptor that the process got at its fork.
    """
    os.write(pipe, _WAKE_UP)


class JobProcess:
    """A forked child in a process group of its own, a pipe to it, one from it that wakes its worker, and shared memory.

    What it says is in the memory alone. A byte in the pipe means no more than "look": a handler may have written it.

    Attributes:
        deadline: when its time is over; never, when its handler is through.
        spoken: the lines of its run's log that wait to be written.
        told: the runs whose ends it has told, as is still to be written.
        call: which of the host's receivers it is calling.
        exit_status: None until it is gone; below 0 when a signal ended it.
        killed: whether it was told to go.
        leaves_nobody: whether what it started is gone as well, once it is.
    """

    def __init__(
        self,
        pid: int,
        process_token: str,
        shared: Shared,
        *,
        orders: int,
        words: int,
        leftovers: Leftovers | None = None,
    ) -> None:
        """Take charge of a child that was just forked, and of the descriptors.

        Args:
            pid: the child's.
            process_token: what each of its writes carries.
            shared: made before the fork.
            orders: where it reads which run to begin with.
            words: where it wakes this process.
            leftovers: what of this process's descendants can only be the child's; without it, its group is all that
                goes with it.
        """
        self.pid = pid
        self.process_token = process_token
        self.deadline = shared.deadline
        self.spoken = shared.spoken
        self.told = shared.told
        self.call = shared.call
        self.exit_status: int | None = None
        self.killed = False
        self.leaves_nobody = True
        self._said = shared.said
        self._state = State.STANDS_BY
        self._told = 0
        self._leftovers = leftovers
        self._buried = False
        self._blocking = _blocking()
        # They forget their numbers when they are closed: no other file is ever taken for them.
        self._orders = FileIO(orders, "w")
        self._words = FileIO(words, "r")
        self._handle = _handle(pid)

    @property
    def stands_by(self) -> bool:
        """Whether it waited for a run when it was last looked at; then it has no row, no lock and no lease."""
        return self._state is State.STANDS_BY

    @property
    def gone(self) -> bool:
        """Whether it was reaped: it is of no use any more."""
        return self._state is State.GONE

    def word(self) -> Word:
        """What it said last before it ended."""
        return self._said.word()

    def has_begun(self) -> bool:
        """Whether it has read which run to begin with, the last time that it was told."""
        return self._said.begun() >= self._told

    def has_done(self) -> bool:
        """Whether it has done all that it was told, and wrote that down: whatever ended it since."""
        return self._said.done() >= self._told or self.word() in (Word.DONE, Word.DONE_HOLDING_A_LOCK)

    def begin(self, run_id: str) -> None:
        """Tell a child that stands by which run to begin with; one that is gone by now is found out by who waits."""
        if self.gone:
            return
        self._state = State.AT_WORK
        self._told += 1
        try:
            self._orders.write(run_id.encode())
        except (BrokenPipeError, ValueError):
            log.debug("job process %d is gone; whoever waits for it sees that", self.pid)

    def dismiss(self) -> None:
        """Let the child end when its run is over, and at once when it stands by."""
        self._orders.close()

    def wait(self, seconds: float) -> bool:
        """Wait for it to stand by or end.

        Args:
            seconds: at most so long.

        Returns:
            Whether it is reaped, and what it had started was ended.
        """
        if not self.gone:
            self._sleep(seconds)
            self._look()
        return self.gone

    def _look(self) -> None:
        # Gone wins: what it said before it died does not make it one to give a run to. It may die right after this
        # look, too; so whoever gives it a run looks again then, and afterwards.
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            self._bury()
        elif self._said.done() >= self._told:
            self._state = State.STANDS_BY

    def _sleep(self, seconds: float) -> None:
        poll = select.poll()
        for file in (self._words, self._handle):
            if file and not file.closed:
                poll.register(file, select.POLLIN)
        longest = int(seconds * 1000)
        awake = poll.poll(longest if self._handle else min(longest, _LOOK_MILLISECONDS))
        words = None if self._words.closed else self._words.fileno()
        if any(descriptor == words for descriptor, _ in awake) and not self._words.read(_WAKE_UPS_AT_ONCE):
            # Its end is closed, and this one would be readable for ever. The process may live on for long.
            self._words.close()

    def kill(self) -> None:
        """Kill the child and what it started; ``wait`` then reaps it. Signal handlers may call it at any moment."""
        if not self._buried:
            self.killed = True
            self._kill_group()
            if self._leftovers:
                self._leftovers.kill()

    def _bury(self) -> None:
        self._buried = True  # nobody signals its number from here on: it may be another process's
        self._kill_group()  # a zombie's number is nobody else's, and what it left behind may still be writing
        _, status = os.waitpid(self.pid, 0)
        if self._leftovers:
            self.leaves_nobody = self._leftovers.end()
        folders.remove_of_process(self.process_token)
        for file in (self._orders, self._words, self._handle):
            if file:
                file.close()
        for descriptor, blocks in self._blocking.items():
            os.set_blocking(descriptor, blocks)
        self.exit_status = os.waitstatus_to_exitcode(status)
        self._state = State.GONE

    def _kill_group(self) -> None:
        # Nothing is logged here: who reads the log may be what it waits for.
        with suppress(OSError):
            # Never a group that is not the child's own: it could be ours.
            if os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, signal.SIGKILL)
            os.kill(self.pid, signal.SIGKILL)


def _blocking() -> dict[int, bool]:
    """Whether who writes to standard output waits: what a handler sets there holds for all that have the file, us too."""
    found = {}
    for descriptor in _OUTPUT:
        with suppress(OSError):
            found[descriptor] = os.get_blocking(descriptor)
    return found


def _handle(pid: int) -> FileIO | None:
    """Readable as soon as the process has ended; None where the kernel has no such thing, or a container forbids it."""
    try:
        return FileIO(os.pidfd_open(pid))
    except (AttributeError, OSError):
        return None
