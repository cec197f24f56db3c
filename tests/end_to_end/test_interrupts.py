"""What is left of a test run that is interrupted, stopped or killed: nothing.

These hold for fault 31, without its mark: `.ci/proves` runs today's tests, and so today's reaper, beside an older wheel.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.waiting import wait_until

ROOT = Path(__file__).parent.parent.parent
WORD = "INTERRUPTED_RUN"


class Program:
    """A program that starts others; it and all below it have a word in their environment."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.word, self.temporary, self.notes = uuid.uuid4().hex, folder / "tmp", folder / "notes"
        self.temporary.mkdir()
        self.output = folder / "output"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "XDG_"))}
        given = {WORD: self.word, "INTERRUPTED_NOTES": str(self.notes), "TMPDIR": str(self.temporary)}
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                # Also where whoever started these tests ignores the signal, as a shell does for what is in the background.
                ["env", "--default-signal=INT", sys.executable, "-m", *arguments],
                cwd=ROOT,
                env=kept | given,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def wait_until_at_work(self) -> list[int]:
        """The process ids that it has written down: first its own or that of its worker, then all below."""
        wait_until(lambda: self.notes.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.output.read_text()
        return [int(word) for word in self.notes.read_text().split()]

    def left(self) -> dict[int, str]:
        """Every process of it that lives: known by its environment, its working folder, or its command line."""
        signs = (f"{WORD}={self.word}".encode(), os.fsencode(self.temporary))
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes()
                about = command + (entry / "environ").read_bytes() + os.fsencode((entry / "cwd").readlink())
            except OSError:
                continue
            if any(sign in about for sign in signs):
                found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
        return found


Begin = Callable[..., Program]


@pytest.fixture
def begin() -> Iterator[Begin]:
    started: list[Program] = []
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # a socket's path may not be long, and they add to it

    def start(*arguments: str) -> Program:
        started.append(Program(folder, *arguments))
        return started[-1]

    yield start
    for program in started:
        for pid in program.left():
            os.kill(pid, signal.SIGKILL)
        program.process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def start_tests(begin: Begin, *options: str) -> tuple[Program, list[int]]:
    tests = begin("pytest", "-q", "-p", "no:cacheprovider", *options, "tests/support/interrupted.py")
    pids = tests.wait_until_at_work()
    at_work = " ".join(tests.left().values())
    for program in ("postgres", "valkey-server", "actions worker", "chromium", "tests.chaos.nursery", "sleep"):
        assert program in at_work
    return tests, pids


def nothing_is_left(program: Program) -> bool:
    return not program.left() and not list(program.temporary.glob("t-*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_whatever_tests_have_started_ends_with_them_also_when_they_are_interrupted_or_killed(
    begin: Begin, number: signal.Signals
) -> None:
    tests, everyone = start_tests(begin)
    tests.process.send_signal(number)
    tests.process.wait()
    wait_until(lambda: nothing_is_left(tests))
    assert not [pid for pid in everyone if is_alive(pid)]


def test_whatever_tests_in_several_processes_have_started_ends_with_them_when_they_are_terminated(begin: Begin) -> None:
    tests, everyone = start_tests(begin, "-n", "1")
    tests.process.send_signal(signal.SIGTERM)
    tests.process.wait()
    wait_until(lambda: nothing_is_left(tests))
    assert not [pid for pid in everyone if is_alive(pid)]


def test_whatever_one_of_several_test_processes_has_started_ends_with_it_when_it_is_killed(begin: Begin) -> None:
    tests, everyone = start_tests(begin, "-n", "1", "--max-worker-restart", "0")
    os.kill(everyone[0], signal.SIGKILL)
    tests.process.wait()
    wait_until(lambda: nothing_is_left(tests))
    assert not [pid for pid in everyone if is_alive(pid)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_whatever_a_measurement_has_started_ends_with_it_also_when_it_is_terminated_or_killed(
    begin: Begin, number: signal.Signals
) -> None:
    benchmark = begin("benchmarks", "--quick", "--only", "throughput", "--databases", "postgresql", "--sizes", "100")
    wait_until(lambda: benchmark.process.poll() is not None or "actions worker" in " ".join(benchmark.left().values()))
    everyone = benchmark.left()
    for program in ("postgres", "valkey-server"):
        assert program in " ".join(everyone.values()), benchmark.output.read_text()
    benchmark.process.send_signal(number)
    benchmark.process.wait()
    wait_until(lambda: nothing_is_left(benchmark))
    assert not [pid for pid in everyone if is_alive(pid)]
