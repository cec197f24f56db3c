"""Many runs while everything dies: no run is lost, none is stuck, none ends twice. The seed says what dies when."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.actions import TEMPLATES
from tests.chaos.arena import Process
from tests.chaos.play import Play, playing

RUNS = int(os.environ.get("CHAOS_RUNS", "12"))
SEED = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(10**6))
AT_ONCE = 10
PATIENCE_SECONDS = 600 + RUNS * 20

Harm = Callable[[Play], bool]


def plan(runs: int, rng: random.Random) -> list[str]:
    """What is done to so many runs, in a random order; for 200 of them at least 20 workers and 3 Redis are killed."""
    harms = {
        "worker": max(3, runs // 8),
        "job": max(2, runs // 12),
        "stop": max(1, runs // 14),
        "stop_job": max(1, runs // 40),
        "supervisor": max(1, runs // 50),
        "web": max(1, runs // 30),
        "redis": max(2, runs // 50),
        "cancel": max(2, runs // 8),
    }
    every = [name for name, count in harms.items() for _ in range(count)]
    rng.shuffle(every)
    return every


def harm(play: Play, name: str) -> bool:
    """Do something to the portal at work; False while there is nothing to do it to."""
    if name == "cancel":
        play.cancel_one()
        return True
    if name == "redis":
        keep_data = play.arena.done["Redis killed"] % 2 == 0
        return play.arena.kill_redis(play.rng.uniform(0.3, 2.5), keep_data=keep_data)
    kind = {"stop": "job", "stop_job": "job"}.get(name, name)
    alive = play.arena.processes(kind)
    if not alive:
        return False
    victim = play.rng.choice(alive)
    if name == "stop":
        play.arena.stop(victim, Process(victim.parent, 1, "worker"))
    elif name == "stop_job":
        play.arena.stop(victim)
    else:
        play.arena.kill(victim)
    return True


@pytest.mark.timeout(PATIENCE_SECONDS + 1200)
def test_no_run_is_lost_stuck_or_ended_twice_whatever_dies(database_url: str, tmp_path: Path) -> None:
    print(f"\nCHAOS_SEED={SEED} CHAOS_RUNS={RUNS} on {database_url.partition(':')[0]}")
    began = time.monotonic()
    with playing(tmp_path / "chaos", database_url, SEED) as play:
        harms = plan(RUNS, play.rng)
        number = len(harms)
        wait_until_it_runs(play)
        while harms or play.started < RUNS:
            assert time.monotonic() - began < PATIENCE_SECONDS, f"too slow: {len(harms)} of {harms} left"
            play.keep_busy(RUNS, AT_ONCE)
            play.tick()
            due = number * play.started / RUNS - (number - len(harms))
            if due > 0 and play.rng.random() < 0.4 and harm(play, harms[-1]):
                harms.pop()
        wrong = play.settle()
        print(f"{play.summary()}\n  in {time.monotonic() - began:.0f} s")
        if RUNS >= 200:
            assert set(play.templates) == set(TEMPLATES)
            assert play.arena.done["worker killed"] >= 20
            assert play.arena.done["Redis killed"] >= 3
    assert not wrong, f"CHAOS_SEED={SEED}\n" + "\n".join(wrong)


def wait_until_it_runs(play: Play) -> None:
    """Wait for the portal's first workers: before, there is nobody to kill."""
    while not play.arena.processes("worker"):
        play.tick()
