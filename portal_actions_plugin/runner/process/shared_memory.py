"""What a job process and its parent have in common: memory that both see, so that a word costs nobody a wake-up.

The parent makes it before the fork. What the process has put there outlives it.
"""

from __future__ import annotations

import json
import math
import mmap
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from portal_actions_plugin.runs.changes.log_lines import Line

_NUMBER = 8
"""Bytes. One that is written through a cast view is there as a whole or not at all; ``struct`` clears it first."""


class SharedDeadline:
    """Until when a job process may go on."""

    def __init__(self) -> None:
        self._ends_at = memoryview(mmap.mmap(-1, _NUMBER)).cast("d")
        self.set(math.inf)

    def set(self, seconds: float) -> None:
        """Let it be over in so many seconds; infinity is as long as the process has its lease."""
        # As a moment: the monotonic clock is the machine's, and a parent that was stopped may read this late.
        self._ends_at[0] = time.monotonic() + seconds

    def set_moment(self, moment: float) -> None:
        """Let it be over at a moment, as ``moment`` says it."""
        self._ends_at[0] = moment

    def moment(self) -> float:
        """When it is over, by the machine's monotonic clock."""
        return self._ends_at[0]


class Word(IntEnum):
    """What a job process says just before it ends. A process that was killed, or that a handler ended, has said nothing."""

    NOTHING = 0
    DONE = 1
    DONE_HOLDING_A_LOCK = 2
    SPOILT = 3
    """A handler has closed or replaced its descriptors, so it could not record how its run ended."""


class Said:
    """What a job process tells its worker: how many of the runs it was told it has begun and done, and its last word.

    No handler writes here by accident: an exit status, or a byte in a pipe, is easily another's.
    """

    def __init__(self) -> None:
        self._cells = memoryview(mmap.mmap(-1, 3 * _NUMBER)).cast("Q")

    def begin(self) -> None:
        """Say that it has read what to begin with."""
        self._cells[0] += 1

    def begun(self) -> int:
        """How many it has begun."""
        return self._cells[0]

    def stand_by(self) -> None:
        """Say that all it was told is done, and recorded."""
        self._cells[1] = self._cells[0]

    def done(self) -> int:
        """How many it has done."""
        return self._cells[1]

    def end(self, word: Word) -> None:
        """Say the last word."""
        self._cells[2] = word

    def word(self) -> Word:
        """The last word."""
        return Word(self._cells[2])


class SpokenLines:
    """Lines of a run's log that wait to be written, with the run's outcome or with more of them.

    The process alone adds and clears. The parent reads whenever it likes: for a process that is silent or gone.
    """

    WAIT_SECONDS = 0.2
    """A line may wait when the process has written something within the last so many seconds."""

    ROOM = 64 * 1024
    """Bytes. A line that finds no room is written at once, with all that wait."""

    def __init__(self) -> None:
        memory = mmap.mmap(-1, 2 * _NUMBER + self.ROOM)
        self._head = memoryview(memory)[: 2 * _NUMBER].cast("Q")  # how often all was written, and the bytes since then
        self._lines = memoryview(memory)[2 * _NUMBER :]
        self._written_at = -math.inf

    def add(self, line: Line) -> bool:
        """Let a line wait in memory.

        Args:
            line: of the run that the process is at.

        Returns:
            False when it may not: it has to be written now, after those that wait.
        """
        now = time.monotonic()
        if now - self._written_at > self.WAIT_SECONDS:
            return False
        entry = json.dumps([now, *line[:-1]]).encode() + b"\n"
        used = self._head[1]
        if used + len(entry) > self.ROOM:
            return False
        self._lines[used : used + len(entry)] = entry
        # Last: a parent that reads meanwhile sees whole lines, and none that is half there.
        self._head[1] = used + len(entry)
        return True

    def all_written(self) -> None:
        """Forget the lines: they are in the database. So is something else of this process, just now."""
        self._written_at = time.monotonic()
        if self._head[1]:
            self._head[0] += 1
            self._head[1] = 0

    def waiting(self) -> Sequence[Line]:
        """The lines that wait, in their order; none when the process is just writing them, or has spoilt its memory."""
        before, used = self._head
        entries = bytes(self._lines[:used])
        if self._head[0] != before:
            return ()
        now = time.monotonic()
        try:
            return [Line(*said)._replace(age=now - at) for at, *said in map(json.loads, entries.splitlines())]
        except (ValueError, TypeError):
            return ()

    def mark(self) -> tuple[int, int]:
        """What is another one when there are other lines."""
        written, used = self._head
        return written, used


class ToldRuns:
    """Runs whose ends a process has told, and whose rows do not say so yet: that is written along with something else.

    The process alone adds and forgets, and its parent when the process stands by.
    """

    ROOM = 4096
    """Bytes."""

    def __init__(self) -> None:
        memory = mmap.mmap(-1, 2 * _NUMBER + self.ROOM)
        self._head = memoryview(memory)[: 2 * _NUMBER].cast(
            "Q"
        )  # how often some were forgotten, and the bytes since then
        self._lines = memoryview(memory)[2 * _NUMBER :]

    def add(self, changes: Sequence[str]) -> bool:
        """Keep some; False when there is no room for them."""
        entry = "".join(f"{change}\n" for change in changes).encode()
        used = self._head[1]
        if used + len(entry) > self.ROOM:
            return False
        self._lines[used : used + len(entry)] = entry
        # Last: a parent that reads meanwhile sees whole lines.
        self._head[1] = used + len(entry)
        return True

    def waiting(self) -> Sequence[str]:
        """Those that wait to be written; none when the process is just forgetting some, or has spoilt its memory."""
        before, used = self._head
        entries = bytes(self._lines[:used])
        if self._head[0] != before:
            return ()
        return entries.decode(errors="replace").splitlines()

    def forget(self, written: Sequence[str]) -> None:
        """Forget what is written."""
        left = [change for change in self.waiting() if change not in written]
        self._head[0] += 1
        self._head[1] = 0
        self.add(left)


class CallOfReceiver:
    """Which receiver of a host's a process is calling, should it never come back from there."""

    ROOM = 512
    """Bytes."""

    def __init__(self) -> None:
        memory = mmap.mmap(-1, 2 * _NUMBER + self.ROOM)
        self._head = memoryview(memory)[: 2 * _NUMBER].cast("Q")  # the bytes, and whether a handler waits for it
        self._words = memoryview(memory)[2 * _NUMBER :]

    def begin(self, change: str, words: str, *, in_handler: bool) -> None:
        """Say that it is being called.

        Args:
            change: the run that it is called with, as news name it.
            words: the receiver, the signal and the run, for the log.
            in_handler: whether a handler has brought it about, and waits for it.
        """
        said = f"{change}\n{words}".encode()[: self.ROOM]
        self._words[: len(said)] = said
        self._head[1] = in_handler
        self._head[0] = len(said)

    def over(self) -> None:
        """Say that it has come to an end."""
        self._head[0] = 0

    def change(self) -> str:
        """The run that one is being called with; empty when none is."""
        return self._said()[0]

    def words(self) -> str:
        """Which one is being called; empty when none is."""
        return self._said()[2]

    def is_between_handlers(self) -> bool:
        """Whether one is being called while no handler is at work."""
        return bool(self._head[0]) and not self._head[1]

    def _said(self) -> tuple[str, str, str]:
        return bytes(self._words[: self._head[0]]).decode(errors="replace").partition("\n")


@dataclass(frozen=True, slots=True)
class Shared:
    """All that the two share."""

    deadline: SharedDeadline = field(default_factory=SharedDeadline)
    spoken: SpokenLines = field(default_factory=SpokenLines)
    said: Said = field(default_factory=Said)
    told: ToldRuns = field(default_factory=ToldRuns)
    call: CallOfReceiver = field(default_factory=CallOfReceiver)
