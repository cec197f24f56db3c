"""Workers whose log nobody reads: what has to be done does not wait for what is said about it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.support.people import Person
from tests.support.run_helpers import HELLO
from tests.support.waiting import wait_until
from tests.support.workers import Workers


class Pipe:
    """What workers write their log to. Whoever writes more than it holds stands still until somebody reads."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._read_end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._write_end = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        self._over = Event()
        self._reader = Thread(target=self._read_on)

    def fill(self) -> None:
        for size in (4096, 1):
            try:
                while True:
                    os.write(self._write_end, b"x" * size)
            except BlockingIOError:
                continue

    def read_from_now_on(self) -> None:
        self._reader.start()

    def _read_on(self) -> None:
        while not self._over.wait(0.02):
            try:
                os.read(self._read_end, 1 << 20)
            except BlockingIOError:
                continue

    def close(self) -> None:
        self._over.set()
        self._reader.join()
        os.close(self._read_end)
        os.close(self._write_end)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Pipe]:
    """The log of the workers that a test starts."""
    pipe = Pipe(tmp_path / "workers.log")
    yield pipe
    pipe.close()


@pytest.mark.fault("C15")
def test_a_process_whose_time_is_over_is_killed_though_nobody_reads_what_its_worker_says(
    log: Pipe, ada: Person, start_workers: Callable[..., Workers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_PORTAL_STUBBORN_SECONDS", "3")
    workers = start_workers()
    try:
        [child] = wait_until(workers.grandchildren)
        run = ada.post(f"/api/v1/actions/{HELLO['action']}/runs", {"input": HELLO["input"]}).json["id"]
        wait_until(lambda: ada.get(f"/api/v1/action-runs/{run}").json["status"] == "running")
        log.fill()
        wait_until(lambda: child not in workers.grandchildren() or is_dead(child))
    finally:
        log.read_from_now_on()


def is_dead(pid: int) -> bool:
    """Whether it has ended, also when nobody has waited for it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
