"""A short choice of the scenarios: ``python -m tests.outside --list`` has them all, ``make chaos`` plays them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
RUNS = 12
LONGEST_SECONDS = 420
"""Most of it is patience, which only a fault uses up."""

pytestmark = pytest.mark.timeout(LONGEST_SECONDS)


def go(scenario: str, database: str, runs: int = RUNS) -> None:
    """Play in a process of its own: what it starts ends with it, and it with this one."""
    command = [
        sys.executable,
        "-m",
        "tests.outside",
        scenario,
        "--database",
        database,
        "--seed",
        "1",
        "--runs",
        str(runs),
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            said, _ = process.communicate(timeout=LONGEST_SECONDS - 20)
        finally:
            process.terminate()
    assert process.returncode == 0, said


@pytest.mark.fault("0a")
def test_a_storm_of_ended_sessions_leaves_every_worker_alive_and_every_run_done() -> None:
    go("terminate-storm", "postgresql")


@pytest.mark.fault("0c")
@pytest.mark.fault("0f")
def test_a_read_only_moment_ends_no_step_that_did_its_work() -> None:
    go("read-only-moments", "postgresql")


@pytest.mark.fault("0b")
def test_a_worker_whose_job_process_dies_just_as_it_stands_by_takes_the_next_run() -> None:
    go("job-killed-as-it-stands-by", "sqlite")


def test_killed_processes_lose_nothing_and_are_replaced() -> None:
    go("kill-processes", "sqlite")


def test_a_redis_that_forgets_everything_loses_nothing() -> None:
    go("redis-killed", "sqlite")
