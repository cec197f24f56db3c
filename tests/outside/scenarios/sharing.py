"""A Redis that a portal shares with others."""

from __future__ import annotations

import re
import subprocess

from tests.outside.parts import is_alive
from tests.outside.play import Play
from tests.outside.scenarios import scenario
from tests.outside.stage import Stage
from tests.outside.truth import plain

LONGEST_WAIT_SECONDS = 5.0


@scenario("two-portals")
def two_portals(play: Play) -> None:
    """Two portals with a database each share a Redis: no step of one waits for the other."""
    redis = play.make_redis()
    stages = [play.make_stage(redis=redis, RING_AGAIN_SECONDS=30) for _ in range(2)]
    for stage in stages:
        stage.start(workers=1)
        play.measure(stage)
    for stage in stages:
        play.people(stage, 20, cancel=0, runs=max(5, play.asked.runs // 3))
    play.settle()
    for stage in stages:
        for wait, row in _waits(stage):
            if wait > LONGEST_WAIT_SECONDS + 5 * play.slowest_before():
                play.verdict.notes.append(f"a step waited {wait:.1f} s: {row}")


def _waits(stage: Stage) -> list[tuple[float, dict[str, object]]]:
    """How long each step without a lock waited from its start to its first attempt, by the database's clock."""
    seconds = {
        "sqlite": "(julianday(a.started_at) - julianday(r.queued_at)) * 86400",
        "postgresql": "EXTRACT(EPOCH FROM a.started_at - r.queued_at)",
    }[stage.database.kind]
    rows = stage.database.rows(
        f"SELECT {seconds} AS wait, r.id, r.action FROM portal_actions_action_runs r"
        " JOIN portal_actions_attempts a ON a.action_run_id = r.id AND a.number = 1 WHERE r.lock_key IS NULL"
    )
    return [(float(row.pop("wait")), plain(row)) for row in rows]


@scenario("foreign-rq-worker")
def foreign_rq_worker(play: Play) -> None:
    """Plain RQ workers listen on the portal's own queues, one with RQ's serializer and one with JSON, then go."""
    stage = play.open()
    raw = stage.redis.ask("SMEMBERS", "rq:queues").decode()
    queues: list[str] = re.findall(r"rq:queue:(\S+)", raw)
    assert queues, raw
    play.people(stage, 15, cancel=0)
    foreign = []
    for more in ([], ["--serializer", "json"]):
        with (stage.folder / "foreign.log").open("ab") as log:
            command = [stage.python, "-m", "rq.cli", "worker", "--url", stage.redis.url, *more, *queues]
            process = subprocess.Popen(command, env=stage.environment(), cwd=stage.folder, stdout=log, stderr=log)
        foreign.append(process)
    play.wait(play.span(15))
    for process in foreign:
        if not is_alive(process.pid):
            play.verdict.notes.append("a foreign worker had ended by itself: see foreign.log")
        process.terminate()
        process.wait(30)
    play.settle()
