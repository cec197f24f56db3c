"""Processes that are killed, stopped and let go on: at random, and at every pause point of the package."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

from tests.outside.parts import is_alive, signal_all, wait_until
from tests.outside.play import PROBES, Play
from tests.outside.scenarios import scenario
from tests.outside.stage import Stage, children, parent_of

STOPPED_SECONDS = 9.0
"""Longer than a lease and its grace: by then others have taken over what a stopped process was at."""

REACHED_SECONDS = 2.5
WHOM = ("self", "parent", "both")


@scenario("kill-processes")
def kill_processes(play: Play) -> None:
    """Supervisors, workers, job processes and the web process are killed with -9 at random."""
    stage = play.open()
    play.people(stage, 30)
    for _ in play.during(30):
        if pids := _of_kind(stage, play.rng.choice(("worker", "job", "job", "supervisor", "web"))):
            signal_all([play.rng.choice(pids)], signal.SIGKILL)
        play.wait(play.rng.uniform(0.3, 2.5))
    play.settle()


@scenario("stop-processes")
def stop_processes(play: Play) -> None:
    """Supervisors, workers, job processes, and workers with theirs, are stopped for up to 9 s, and go on."""
    stage = play.open(workers=3)
    play.people(stage, 40)
    halted = Halted(play, stage)
    for _ in play.during(40):
        kind = play.rng.choice(("worker", "job", "both", "both", "supervisor"))
        if pids := _of_kind(stage, "worker" if kind == "both" else kind):
            chosen = [play.rng.choice(pids)]
            halted.stop([*chosen, *children(chosen[0])] if kind == "both" else chosen, play.rng.uniform(1, 9))
        play.wait(play.rng.uniform(1, 3))
        halted.go_on(all_of_them=False)
    halted.go_on(all_of_them=True)
    play.settle()


def _waits_in(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/wchan").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@scenario("job-killed-as-it-stands-by")
def job_killed_as_it_stands_by(play: Play) -> None:
    """A worker is stopped for a moment in which its job process says that it stands by, and is killed; then it goes on."""
    stage = play.open(workers=1)
    for number in range(4):
        for queue, action in PROBES.items():
            stage.client.start_action(action, {"seconds": 0.3}, key=f"stands-by-{queue}-{number}")
            begun = _begun(stage, action, number)
            job = begun["pid"]
            try:
                worker = parent_of(job)
            except FileNotFoundError:
                continue  # on a machine this busy, all is over before anybody could look
            time.sleep(max(0.0, begun["at"] + 0.22 - time.monotonic()))
            signal_all([worker], signal.SIGSTOP)
            # A worker that was stopped for longer finds its own wait over, and does not read the word.
            give_up = time.monotonic() + 0.4
            while time.monotonic() < give_up and is_alive(job) and "pipe_read" not in _waits_in(job):
                time.sleep(0.002)
            time.sleep(0.02)
            signal_all([job], signal.SIGKILL)
            while is_alive(job):
                time.sleep(0.002)
            signal_all([worker], signal.SIGCONT)
            play.probe(stage, queue, 300)
    play.settle()


def _begun(stage: Stage, action: str, number: int) -> dict[str, Any]:
    """The line that a run leaves at its begin, as soon as it is there: of the runs that take their time."""
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        begun = [line for line in stage.lines("effects") if line["action"] == action and line["event"] == "begin"]
        slow = [line for line in begun if line["seconds"] > 0.2]
        if len(slow) > number:
            return slow[number]
        time.sleep(0.005)
    raise TimeoutError(f"no begin of {action}")


@scenario("kill-at-pause-points")
def kill_at_pause_points(play: Play) -> None:
    """At each pause point the process, its parent or both are killed with -9; another seed, another of them."""
    stage = _with_pauses(play)
    reached = 0
    for number, point in enumerate(_points(play, stage)):
        if _arm(stage, "kill", WHOM[(number + play.asked.seed) % len(WHOM)], point):
            reached += 1
    _disarm(stage)
    assert reached > 10, f"only {reached} pause points were reached"
    play.settle()


@scenario("stop-at-pause-points")
def stop_at_pause_points(play: Play) -> None:
    """At pause points the process, its parent or both are stopped for 9 s, and go on; another seed, others of them."""
    stage = _with_pauses(play)
    halted = Halted(play, stage)
    # Whoever is stopped in a transaction on SQLite stops everybody who writes.
    at_a_time = 1 if play.asked.database == "sqlite" else 3
    points, reached = _points(play, stage), 0
    give_up = time.monotonic() + max(30.0, play.span(75))
    for number, point in enumerate(points):
        while len(halted) >= at_a_time:
            time.sleep(0.1)
            halted.go_on(all_of_them=False)
        if time.monotonic() > give_up:
            break
        if pids := _arm(stage, "stop", WHOM[(number + play.asked.seed) % len(WHOM)], point):
            halted.note(pids, STOPPED_SECONDS)
            reached += 1
    _disarm(stage)
    halted.go_on(all_of_them=True)
    assert reached, "no pause point was reached"
    play.settle()


class Halted:
    """Who is stopped, and when it goes on."""

    def __init__(self, play: Play, stage: Stage) -> None:
        self._play = play
        self._stage = stage
        self._due: list[tuple[float, list[int]]] = []
        play.at_the_end(lambda: self.go_on(all_of_them=True))

    def __len__(self) -> int:
        return len(self._due)

    def stop(self, pids: list[int], seconds: float) -> None:
        signal_all(pids, signal.SIGSTOP)
        self.note(pids, seconds)

    def note(self, pids: list[int], seconds: float) -> None:
        self._due.append((time.monotonic() + seconds, pids))

    def go_on(self, *, all_of_them: bool) -> None:
        now = time.monotonic()
        for due, pids in [one for one in self._due if all_of_them or one[0] <= now]:
            self._due.remove((due, pids))
            for pid in pids:
                self._play.excuses.resumed[pid] = time.monotonic()
            signal_all(pids, signal.SIGCONT)


def _of_kind(stage: Stage, kind: str) -> list[int]:
    if kind == "worker":
        return stage.workers()
    if kind == "job":
        return stage.jobs()
    return [service.pid for service in stage.services if service.name == kind]


# -- pause points --------------------------------------------------------------------------------------------------------


def _with_pauses(play: Play) -> Stage:
    stage = play.make_stage()
    stage.extra["OUTSIDE_PAUSES"] = "yes"
    stage.start(workers=3)
    play.measure(stage)
    return stage


def _points(play: Play, stage: Stage) -> list[str]:
    """The points that processes come to when nobody harms them, then those of harm, as they are found on the way."""
    _order(stage, "note self -")
    play.people(stage, 3, runs=8)
    play.wait(4)
    _disarm(stage)
    found = sorted(set((stage.folder / "points").read_text().split("\n")) - {""})
    play.rng.shuffle(found)
    play.people(stage, 1.6 * len(found), runs=3 * len(found))
    return found


def _arm(stage: Stage, deed: str, whom: str, point: str) -> list[int]:
    """Have a deed done at a point, and say to whom it was done, if anybody came."""
    paused = stage.folder / "paused"
    paused.unlink(missing_ok=True)
    _order(stage, f"{deed} {whom} {point}")
    try:
        wait_until(paused.exists, REACHED_SECONDS)
    except TimeoutError:
        return []
    finally:
        _disarm(stage)
    pids: list[int] = json.loads(paused.read_text())["pids"]
    return pids


def _order(stage: Stage, word: str) -> None:
    new = stage.folder / "armed.new"
    new.write_text(word)
    new.rename(stage.folder / "armed")


def _disarm(stage: Stage) -> None:
    (stage.folder / "armed").unlink(missing_ok=True)
