"""Keeps runs going while things die, and in the end waits for calm and has everything checked."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Executable, delete, func, insert, select, update

from portal_actions_plugin.runs.conditions import NOW
from portal_actions_plugin.runs.news import ring
from portal_actions_plugin.runs.states import ACTIVE, FAILED, QUEUED, RUNNING
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Database, new_id, ride_out
from portal_actions_plugin.storage.sql import now_plus
from tests.chaos import invariants
from tests.chaos.actions import RESUMED, TEMPLATES
from tests.chaos.arena import Arena
from tests.chaos.client import Client
from tests.chaos.points import Reached, read_points

TICK_SECONDS = 0.1
CALM_SECONDS = 600
DECK = ("chaos-plain", "chaos-flaky", *TEMPLATES)
"""All are started before one is started again; two of them oftener."""


class Play:
    def __init__(self, arena: Arena, database: Database, rng: random.Random) -> None:
        self.arena = arena
        self.rng = rng
        self.client = Client(arena.port)
        self.started = 0
        self.templates: Counter[str] = Counter()
        self.points: dict[str, Reached] = {}
        self._database = database
        self._pool = ThreadPoolExecutor(6)
        self._asked: list[Future[Any]] = []
        self._seconds = (0.4, 0.9) if arena.mode == "stop" else (0.02, 0.7)
        self._stopped: dict[str, tuple[int, Reached]] = {}
        self._fed_at = 0.0
        self._resumed: set[str] = set()
        self._deck: list[str] = []

    # -- going on ----------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Do what is due: start what died, answer processes at pause points, look whether a client has failed."""
        time.sleep(TICK_SECONDS)
        self.arena.tick()
        if time.monotonic() - self._fed_at > 1:
            self.arena.feed()
            self._resume_those_that_failed()
            self._fed_at = time.monotonic()
        for reached in read_points(self.arena.folder):
            if reached.name not in self.points:
                self.points[reached.name] = reached
                self._answer(reached)
        self._continue_those_that_were_succeeded()
        for future in [future for future in self._asked if future.done()]:
            self._asked.remove(future)
            future.result()

    def _answer(self, reached: Reached) -> None:
        mode = self.arena.mode
        self.arena.done[f"points, {mode}"] += 1
        if mode == "stop":
            self.arena.continue_later(reached.pids)
            if reached.role == "job" and (step := self._step(reached.run)):
                self._stopped[step["id"]] = (step["attempt"], reached)
        elif mode == "cancel":
            self._ask(self._cancel_at, reached)

    def _cancel_at(self, reached: Reached) -> None:
        """Cancel the run that a process at a pause point has in hand, or else a young one."""
        run_id = self._template_run_of(reached.run) if reached.run else None
        if run_id or (run_id := next(iter(self.active(newest=True)), None)):
            self.client.cancel(run_id)
        (self.arena.folder / "canceled" / reached.name).touch()

    def _continue_those_that_were_succeeded(self) -> None:
        """Let a stopped attempt go on just while the next one is running: that is when it could do harm."""
        for run_id, (attempt, reached) in list(self._stopped.items()):
            step = self._step(run_id)
            if step and step["status"] == RUNNING and step["attempt"] > attempt:
                self.arena.done["stopped attempts continued beside the next one"] += 1
                self.arena.continue_later(reached.pids, 0)
                del self._stopped[run_id]

    def _step(self, run_id: str | None) -> Any:
        with self._database.reading() as db:
            wanted = (tables.action_runs.c.id, tables.action_runs.c.status, tables.action_runs.c.attempt)
            return db.row(select(*wanted).where(tables.action_runs.c.id == run_id)) if run_id else None

    def _template_run_of(self, run_id: str) -> str | None:
        """A run's template run; None when it is not committed, and so not to be seen."""
        with self._database.reading() as db:
            step = db.row(select(tables.action_runs.c.template_run_id).where(tables.action_runs.c.id == run_id))
            whole = db.row(select(tables.template_runs.c.id).where(tables.template_runs.c.id == run_id))
        found: str | None = step["template_run_id"] if step else (whole["id"] if whole else None)
        return found

    # -- what a person does ------------------------------------------------------------------------------------------

    def start_run(self) -> None:
        self.started += 1
        seconds = round(self.rng.uniform(*self._seconds), 2)
        inputs = {"key": self.rng.choice("abc"), "seconds": seconds, "nonce": str(self.started)}
        self._deck = self._deck or self.rng.sample(DECK, len(DECK))
        template = self._deck.pop()
        self.templates[template] += 1
        self._ask(self.client.start, f"key-{self.started}", template, inputs)

    def _resume_those_that_failed(self) -> None:
        for run_id in self._to_resume():
            self.arena.done["resumes"] += 1
            self._resumed.add(run_id)
            self.started += 1
            self._ask(self.client.resume, run_id)

    def _to_resume(self) -> list[str]:
        whole = tables.template_runs.c
        with self._database.reading() as db:
            failed = db.rows(select(whole.id).where(whole.status == FAILED, whole.template.in_(RESUMED)))
        return [row["id"] for row in failed if row["id"] not in self._resumed]

    def keep_busy(self, runs: int, at_once: int) -> None:
        """Start runs up to so many in all and so many at once."""
        if self.started < runs and self.asking + self.count_active() < at_once:
            self.start_run()

    def cancel_one(self) -> None:
        if active := self.active():
            self.arena.done["cancels"] += 1
            self._ask(self.client.cancel, self.rng.choice(active))

    def leave_an_old_audit_row(self) -> None:
        """Leave something for a prune: the runs of this portal are all too young."""
        entry = {"actor": "user:long@ago", "event": "audit.read", "outcome": "denied", "target": "audit", "count": 1}
        old = insert(tables.audit).values(id=new_id(), at=now_plus(-7300), last_at=now_plus(-7300), **entry)
        self._ask(self._write, old)

    def hold_one_back(self) -> None:
        """Leave a run held back, as of somebody whose other step died before it could pass its slot on."""
        runs = tables.action_runs
        one = select(runs.c.id).where(runs.c.status == QUEUED, runs.c.held_back_at.is_(None)).limit(1)
        self._ask(self._write, update(runs).where(runs.c.id.in_(one.scalar_subquery())).values(held_back_at=NOW))

    def forget_words(self) -> None:
        """Leave values that no process has put into the dictionary, as runs that older versions have started."""
        self._ask(self._write, delete(tables.search_terms))

    def forget_files(self) -> None:
        """Leave no files of templates, as of those that nobody has started for days: a new web process keeps them again."""
        self._ask(self._write, delete(tables.template_files))

    def _write(self, statement: Executable) -> None:
        """Not in the hand that continues stopped processes: on SQLite one of them may have the only writer's place."""

        def write() -> None:
            with self._database.transaction("test") as tx:
                tx.execute(statement)

        ride_out(write, 60)

    def be_refused(self) -> None:
        self._ask(self.client.be_refused)

    def ring_for_nobody(self) -> None:
        """Ring for a run that the database does not know, as another portal of the same name would."""
        try:
            with Redis.from_url(self.arena.redis_url) as redis:
                for workers in redis.scan_iter("rq:workers:portal-actions.*"):
                    queue = workers.decode().removeprefix("rq:workers:")
                    ring._enqueue(redis, new_id(), queue, queue)
        except RedisError:
            return  # it is harmed too

    def _ask(self, call: Callable[..., Any], *args: Any) -> None:
        self._asked.append(self._pool.submit(call, *args))

    @property
    def asking(self) -> int:
        return len(self._asked)

    # -- what is going on --------------------------------------------------------------------------------------------

    def active(self, *, newest: bool = False) -> list[str]:
        order = tables.template_runs.c.id.desc() if newest else tables.template_runs.c.id
        with self._database.reading() as db:
            found = db.rows(
                select(tables.template_runs.c.id).where(tables.template_runs.c.status.in_(ACTIVE)).order_by(order)
            )
        return [row["id"] for row in found]

    def count_active(self) -> int:
        with self._database.reading() as db:
            row = db.row(select(func.count().label("n")).where(tables.template_runs.c.status.in_(ACTIVE)))
        return int(row["n"]) if row else 0

    # -- the end -----------------------------------------------------------------------------------------------------

    def settle(self) -> list[str]:
        """Stop harming, wait until nothing more is going to happen, and say what is wrong then."""
        self.arena.calm_down()
        give_up = time.monotonic() + CALM_SECONDS
        while self._goes_on():
            if time.monotonic() > give_up:
                stuck = invariants.unfinished(self._database)
                return [f"still unfinished after {CALM_SECONDS} s:", *stuck, f"{self.asking} requests not answered"]
            self.tick()
        return invariants.violations(self._database, self.arena, self.client)

    def _goes_on(self) -> bool:
        answered = not self.asking and self.started == len(self.client.runs) + len(self.client.gone)
        return not answered or bool(invariants.unfinished(self._database) or self._to_resume())

    def summary(self) -> str:
        done = ", ".join(f"{count} × {what}" for what, count in sorted(self.arena.done.items()))
        answers = ", ".join(f"{count} × {status}" for status, count in sorted(self.client.answers.items()))
        ended = ", ".join(f"{count} {how}" for how, count in invariants.endings(self._database).items())
        done += f", {len(self.client.gone)} × no resume without its workspace"
        started = ", ".join(f"{count} × {template}" for template, count in sorted(self.templates.items()))
        return (
            f"  {self.started} runs: {ended}\n  started: {started}\n  done to them: {done}\n  HTTP answers: {answers}"
        )

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


@contextmanager
def playing(folder: Path, database_url: str, seed: int, *, mode: str = "", every_role: bool = False) -> Iterator[Play]:
    """A portal at work, and the hand that harms it."""
    folder.mkdir()
    database = Database(database_url)
    with Arena(folder, database_url, mode=mode, every_role=every_role) as arena:
        play = Play(arena, database, random.Random(seed))
        try:
            yield play
        finally:
            play.close()
            database.close_connections()
