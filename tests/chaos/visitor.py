"""What happens at a pause point: once at each, in the first process that comes there, as the chaos folder says.

A file ``points/<point>`` is both the mark that the deed was done and the word to the arena about who did it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from portal_actions_plugin.storage import pause_points

CANCEL_WAIT_SECONDS = 2.0

TIMES = {("stop", "handler.after"): 6}
"""Once each but here: what comes next records an outcome, and not every run that is stopped here is taken over."""

_CHANGES_OF_ROLE = {"fork_worker.child": "worker", "fork_job.child": "job"}


class Visitor:
    """Kills, stops or has the run canceled in the process that calls it."""

    def __init__(self, folder: Path, mode: str, role: str, *, every_role: bool) -> None:
        self._folder = folder
        self._mode = mode
        self._role = role
        self._every_role = every_role

    def __call__(self, point: str) -> None:
        self._role = _CHANGES_OF_ROLE.get(point, self._role)
        name = f"{point}@{self._role}" if self._every_role else point
        times = TIMES.get((self._mode, point), 1)
        for mark in [name, *(f"{name}.{count}" for count in range(2, times + 1))]:
            path = self._folder / "points" / mark
            if self._may_act(path) and self._is_first_at(point, path):
                getattr(self, f"_{self._mode}")(point, mark)
                break

    def _may_act(self, mark: Path) -> bool:
        if mark.exists() or (self._folder / "disarmed").exists():
            return False
        return self._mode != "stop" or self._role != "job" or self._take_a_turn()

    def _take_a_turn(self) -> bool:
        """Leave half of the workers going: somebody has to run the next attempt of what is stopped."""
        for turn in ("turn-1", "turn-2"):
            try:
                with (self._folder / turn).open("x") as file:
                    file.write(str(os.getpid()))
            except FileExistsError:
                continue
            return True
        return False

    def _give_the_turn_back(self) -> None:
        for turn in self._folder.glob("turn-*"):
            if turn.read_text() == str(os.getpid()):
                turn.unlink()

    def _is_first_at(self, point: str, mark: Path) -> bool:
        word = self._folder / f"word-{os.getpid()}-{time.monotonic_ns()}"
        word.write_text(json.dumps(self._word(point)))
        try:
            os.link(word, mark)
        except FileExistsError:
            self._give_the_turn_back()
            return False
        finally:
            word.unlink()
        return True

    def _word(self, point: str) -> dict[str, Any]:
        pids = [os.getpid()]
        if self._role == "job" and self._mode == "stop":
            # As long as its parent renews the lease, nobody takes a stopped job's run over.
            pids.append(os.getppid())
        return {"point": point, "role": self._role, "pids": pids, "run": run_in_hand(), "at": time.monotonic()}

    def _kill(self, _point: str, _mark: str) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def _stop(self, _point: str, _mark: str) -> None:
        parent = os.getppid()
        if self._role == "job" and parent != 1:
            os.kill(parent, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)

    def _cancel(self, point: str, mark: str) -> None:
        """Wait for the arena to cancel; before a commit in vain: the cancel is what then waits."""
        answer = self._folder / "canceled" / mark
        wait = CANCEL_WAIT_SECONDS / 4 if point.endswith(".before_commit") else CANCEL_WAIT_SECONDS
        give_up = time.monotonic() + wait
        while not answer.exists() and time.monotonic() < give_up:
            time.sleep(0.02)


def run_in_hand() -> str | None:
    """The id of the run that the code at a pause point is about: what the nearest caller calls ``run_id`` or ``ref``."""
    frame = sys._getframe(1)
    while frame := frame.f_back:
        found = frame.f_locals.get("run_id")
        if not isinstance(found, str):
            found = getattr(frame.f_locals.get("ref"), "id", None)
        if isinstance(found, str):
            return found
    return None


def install() -> None:
    """Set the visitor that the environment asks for, if it does."""
    if mode := os.environ.get("CHAOS_MODE"):
        role, every_role = os.environ["CHAOS_ROLE"], bool(os.environ.get("CHAOS_EVERY_ROLE"))
        visitor = Visitor(Path(os.environ["CHAOS_FOLDER"]), mode, role, every_role=every_role)
        pause_points.set_visitor(visitor)
