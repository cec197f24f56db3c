"""What a job process and its parent have in common: memory that both see, so that a word costs nobody a wake-up.

The parent makes it before the fork. What the process has put there outlives it.
"""

from __future__ import annotations

import json
import math
import mmap
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from portal_actions_plugin.runs.log_lines import Line

_MOMENT = struct.Struct("d")
_HEAD = struct.Struct("QQ")


class SharedDeadline:
    """Until when a job process may go on."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _MOMENT.size)
        self.set(math.inf)

    def set(self, seconds: float) -> None:
        """Let it be over in so many seconds; infinity is as long as the process has its lease."""
        # As a moment: the monotonic clock is the machine's, and a parent that was stopped may read this late.
        _MOMENT.pack_into(self._memory, 0, time.monotonic() + seconds)

    def moment(self) -> float:
        """When it is over, by the machine's monotonic clock."""
        found: float = _MOMENT.unpack_from(self._memory)[0]
        return found


class SpokenLines:
    """Lines of a run's log that wait to be written, with the run's outcome or with more of them.

    The process alone adds and clears. The parent reads whenever it likes: for a process that is silent or gone.
    """

    WAIT_SECONDS = 0.2
    """A line may wait when the process has written something within the last so many seconds."""

    ROOM = 64 * 1024
    """Bytes. A line that finds no room is written at once, with all that wait."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _HEAD.size + self.ROOM)
        self._written_at = -math.inf

    def add(self, line: Line) -> bool:
        """Let a line wait; False when it has to be written now."""
        now = time.monotonic()
        if now - self._written_at > self.WAIT_SECONDS:
            return False
        entry = json.dumps([now, *line[:-1]]).encode() + b"\n"
        written, used = _HEAD.unpack_from(self._memory)
        if used + len(entry) > self.ROOM:
            return False
        self._memory[_HEAD.size + used : _HEAD.size + used + len(entry)] = entry
        # Last: a parent that reads meanwhile sees whole lines, and none that is half there.
        _HEAD.pack_into(self._memory, 0, written, used + len(entry))
        return True

    def all_written(self) -> None:
        """Forget the lines: they are in the database. So is something else of this process, just now."""
        self._written_at = time.monotonic()
        written, used = _HEAD.unpack_from(self._memory)
        if used:
            _HEAD.pack_into(self._memory, 0, written + 1, 0)

    def waiting(self) -> Sequence[Line]:
        """The lines that wait, in their order; none when the process is just writing them, or has spoilt its memory."""
        before, used = _HEAD.unpack_from(self._memory)
        entries = self._memory[_HEAD.size : _HEAD.size + used]
        if _HEAD.unpack_from(self._memory)[0] != before:
            return ()
        now = time.monotonic()
        try:
            return [Line(*said)._replace(age=now - at) for at, *said in map(json.loads, entries.splitlines())]
        except (ValueError, TypeError):
            return ()

    def mark(self) -> tuple[int, int]:
        """What is another one when there are other lines."""
        written, used = _HEAD.unpack_from(self._memory)
        return written, used


@dataclass(frozen=True, slots=True)
class Shared:
    """All that the two share."""

    deadline: SharedDeadline = field(default_factory=SharedDeadline)
    spoken: SpokenLines = field(default_factory=SpokenLines)
