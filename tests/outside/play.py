"""One scenario at work: people who start and cancel runs, the harm, the calm after it, and the verdict."""

from __future__ import annotations

import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.outside import truth
from tests.outside.parts import Database, Postgres, Redis, Sqlite, wait_until
from tests.outside.stage import ALIVE_SECONDS, SHARED, Stage

CALM_SECONDS = 120
PROBE_SECONDS = 5.0
"""In which a new run has to start and end, beside what it took before the harm."""

PROBES = {"default": "outside.step@v1", "slow": "outside.slow@v1"}
SHOWN = 8
USUAL_RUNS = 40


@dataclass
class Verdict:
    """What one scenario has come to; every count but the first two, and what is alive, has to be none.

    Attributes:
        accepted: runs.
        shared: those of them whose steps share a folder, go through items, and clean up; versions from before have none.
    """

    scenario: str
    database: str
    seed: int
    accepted: int = 0
    shared: int = 0
    lost: int = 0
    stuck: int = 0
    doubled: int = 0
    after_cancel: int = 0
    two_holders: int = 0
    untold: int = 0
    failed: int = 0
    bare_500: int = 0
    refused: int = 0
    alive: int = 0
    wanted: int = 0
    probe: float = 0.0
    seconds: float = 0.0
    skipped: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        counts = (self.lost, self.stuck, self.doubled, self.after_cancel, self.two_holders, self.untold, self.failed)
        return not any(counts) and not self.bare_500 and self.alive == self.wanted and not self.notes

    def line(self) -> str:
        where = f"{self.scenario} {self.database} seed {self.seed}"
        if self.skipped:
            return f"SKIPPED {where}: {self.skipped}"
        counts = (
            f"{self.accepted} accepted, {self.shared} of them with items, {self.lost} lost, {self.stuck} stuck, {self.doubled} doubled, "
            f"{self.after_cancel} begun after cancel, {self.two_holders} locks held twice, {self.untold} untold, "
            f"{self.failed} failed, {self.bare_500} answers of 500, {self.refused} of 503 or none, {self.alive} of {self.wanted} workers alive, "
            f"new run in {self.probe:.2f} s, {self.seconds:.0f} s in all"
        )
        return f"{'ok' if self.ok else 'FAILED'} {where}: {counts}"

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "ok": self.ok}


class SkipScenarioError(Exception):
    """What a scenario needs is not on this machine."""


@dataclass
class Asked:
    """What the command was asked for."""

    scenario: str
    database: str
    seed: int
    runs: int
    python: str
    keep: bool = False


class Play:
    """What a scenario has in its hands."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.rng = random.Random(asked.seed)
        self.verdict = Verdict(asked.scenario, asked.database, asked.seed)
        self.excuses = truth.Excuses()
        self.stages: list[Stage] = []
        self._baseline: dict[str, float] = {}
        self._people: list[threading.Thread] = []
        self._probes = 0
        self._crowds = 0
        self._folders: list[Path] = []
        self._closers: list[Callable[[], None]] = []

    # -- setting up --------------------------------------------------------------------------------------------------

    def at_the_end(self, close: Callable[[], None]) -> None:
        self._closers.append(close)

    def make_database(self) -> Database:
        """A database of this scenario alone, up."""
        database: Database = Sqlite(self.make_folder()) if self.asked.database == "sqlite" else Postgres()
        self.at_the_end(database.close)
        database.start()
        return database

    def make_redis(self) -> Redis:
        redis = Redis()
        self.at_the_end(redis.close)
        redis.start()
        return redis

    def make_folder(self) -> Path:
        """A folder that is gone at the end, unless it is to be kept."""
        folder = Path(tempfile.mkdtemp(prefix="outside-"))
        self._folders.append(folder)
        return folder

    def make_stage(self, database: Database | None = None, redis: Redis | None = None, **settings: Any) -> Stage:
        """A portal whose tables are there, and none of whose processes is up."""
        stage = Stage(
            self.make_folder(),
            self.asked.python,
            database or self.make_database(),
            redis or self.make_redis(),
            **settings,
        )
        self.stages.append(stage)
        stage.set_up()
        return stage

    def open(self, *, workers: int = 2, **settings: Any) -> Stage:
        """A portal at work, whose pace is known."""
        stage = self.make_stage(**settings)
        stage.start(workers=workers)
        self.measure(stage)
        return stage

    # -- people ------------------------------------------------------------------------------------------------------

    def people(self, stage: Stage, seconds: float, *, cancel: float = 0.1, runs: int | None = None) -> None:
        """Let people start runs for so long, and cancel some of them. Returns at once."""
        count, seconds = self.asked.runs if runs is None else runs, self.span(seconds)
        self._crowds += 1
        crowd = f"crowd-{self._crowds}"
        for person in range(4):
            share = range(person, count, 4)
            rng = random.Random(self.rng.random())
            thread = threading.Thread(
                target=self._person, args=(stage, crowd, share, rng, seconds / max(1, count), cancel), daemon=True
            )
            thread.start()
            self._people.append(thread)

    def _person(self, stage: Stage, crowd: str, share: range, rng: random.Random, pause: float, cancel: float) -> None:
        begun = time.monotonic()
        offers_shared = stage.offers(SHARED)
        for number in share:
            time.sleep(max(0.0, begun + number * pause - time.monotonic()))
            template = rng.choice(("outside-once", "outside-three", SHARED if offers_shared else "outside-three"))
            inputs = {"key": rng.choice("abc"), "seconds": round(rng.uniform(0.01, 0.4), 3)}
            try:
                run_id = stage.client.start_template(template, inputs, key=f"{crowd}-{number}")
                if rng.random() < cancel:
                    time.sleep(rng.uniform(0, 0.8))
                    stage.client.cancel(run_id)
            except Exception as error:
                self.verdict.notes.append(f"somebody was not served: {error!r}")

    # -- harm --------------------------------------------------------------------------------------------------------

    def span(self, seconds: float) -> float:
        """How long a harm lasts that is meant to last so long while the usual number of runs is made."""
        return seconds * self.asked.runs / USUAL_RUNS

    def during(self, seconds: float) -> Iterator[float]:
        """Go round for so long; yields how far it is, from 0 to 1."""
        begun, span = time.monotonic(), self.span(seconds)
        while (gone := time.monotonic() - begun) < span:
            yield gone / span

    def wait(self, seconds: float) -> None:
        """Let harm last: this is its length, not a wait for something."""
        time.sleep(seconds)

    def forget_since(self, stage: Stage, began: float, gone: float) -> None:
        """Excuse what became of the commits between two moments, of which the database knows nothing any more."""
        known = {row["id"] for table in ("template_runs", "action_runs") for row in stage.ids(table)}
        client = stage.client
        late = {run_id for run_id, at in client.accepted.values() if at > began}
        self.excuses.forgotten |= late - known
        for line in stage.lines("effects"):
            if line["at"] > began - truth.A_LOOK_AND_A_WRITE_SECONDS:
                self.excuses.repeated |= {line["action_run"], line["run"]}
                self.excuses.resumed[line["pid"]] = gone
        for run_id in [run_id for run_id, at in client.canceled_at.items() if began <= at <= gone + 1]:
            del client.canceled_at[run_id]

    # -- calm --------------------------------------------------------------------------------------------------------

    def measure(self, stage: Stage) -> None:
        """Learn how long a new run takes on each queue while all is well: the second one, since all is warm then."""
        for queue in PROBES:
            self.probe(stage, queue, 300)
            self._baseline[queue] = self.probe(stage, queue, 300)

    def probe(self, stage: Stage, queue: str, limit: float) -> float:
        """Start a run on a queue, and say how many seconds later it had succeeded; raises when it has not."""
        self._probes += 1
        begun = time.monotonic()
        run_id = stage.client.start_action(PROBES[queue], {}, key=f"probe-{self._probes}")

        def is_over() -> bool:
            return stage.client.action_run(run_id)["status"] in ("success", "failed")

        wait_until(is_over, limit, f"a new run on {queue} is over")
        if (status := stage.client.action_run(run_id)["status"]) != "success":
            raise AssertionError(f"a new run on {queue} ended as {status}")
        return time.monotonic() - begun

    def slowest_before(self) -> float:
        """How long a new run took before the harm, in seconds."""
        return max(self._baseline.values())

    def settle(self, *stages: Stage) -> None:
        """Wait until nothing more is going to happen, then look at everything."""
        for thread in self._people:
            thread.join(CALM_SECONDS + 60)
            if thread.is_alive():
                self.verdict.notes.append("somebody still waits for an answer")
        for stage in stages or self.stages:
            self._settle(stage)

    def _settle(self, stage: Stage) -> None:
        verdict = self.verdict
        try:
            wait_until(lambda: not truth.unfinished(stage.database), CALM_SECONDS, "everything is over")
        except TimeoutError:
            left = truth.unfinished(stage.database)
            self._note(f"unfinished {CALM_SECONDS} s after the harm", left)
        self._count_workers(stage)
        for queue, before in self._baseline.items():
            limit = PROBE_SECONDS + 5 * before
            try:
                verdict.probe = max(verdict.probe, self.probe(stage, queue, limit))
            except Exception as error:
                verdict.notes.append(f"a new run on {queue}, within {limit:.1f} s: {error}")
        found = truth.Truth(stage, self.excuses)
        verdict.accepted += len(stage.client.accepted)
        verdict.shared += found.shared()
        verdict.refused += stage.client.answers["503"] + stage.client.answers["none"]
        verdict.lost += self._note("lost", found.lost())
        verdict.lost += self._note("of files, items and cleanups", found.unshared())
        verdict.stuck += self._note("stuck", found.stuck())
        verdict.doubled += self._note("doubled", found.doubled())
        verdict.after_cancel += self._note("begun after cancel", found.begun_after_cancel())
        verdict.two_holders += self._note("locks held twice", found.two_holders())
        verdict.failed += self._note("failed for nothing", found.failed_for_nothing())
        verdict.bare_500 += self._note("answers of 500", stage.client.bare)
        verdict.untold += self._note("untold", found.untold())

    def _count_workers(self, stage: Stage) -> None:
        wanted = stage.workers_wanted()
        try:
            wait_until(lambda: stage.workers_alive() == wanted, ALIVE_SECONDS, "all workers live")
        except TimeoutError as error:
            self.verdict.notes.append(str(error))
        self.verdict.alive += stage.workers_alive()
        self.verdict.wanted += wanted

    def _note(self, what: str, found: Any) -> int:
        lines = list(found)
        if lines:
            more = f" … and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
            self.verdict.notes.append(f"{what}: " + "; ".join(lines[:SHOWN]) + more)
        return len(lines)

    def close(self) -> None:
        for stage in self.stages:
            stage.close()
        for close in reversed(self._closers):
            close()
        if not self.asked.keep:
            for folder in self._folders:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def playing(asked: Asked) -> Iterator[Play]:
    """A play whose processes are gone at its end, however it ends."""
    play = Play(asked)
    begun = time.monotonic()
    try:
        yield play
    finally:
        play.verdict.seconds = time.monotonic() - begun
        play.close()
