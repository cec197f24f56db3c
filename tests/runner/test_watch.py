"""A worker's watch over its job process: whatever becomes of the descriptors between them, it neither spins nor hangs."""

from __future__ import annotations

import errno
import logging
import os
import resource
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from flask import Flask

from portal_actions_plugin.runner.liveness.lookout import ToReplace
from portal_actions_plugin.runner.liveness.places import Place
from portal_actions_plugin.runner.process import monitor
from portal_actions_plugin.runner.process.interruptions import StopRequest
from portal_actions_plugin.runner.process.monitor import JobProcess, watch
from portal_actions_plugin.runner.process.shared_memory import Shared
from portal_actions_plugin.runner.supervisor import Supervisor
from tests.support.waiting import wait_until


def fork(does: Callable[[Shared, int, int], Any]) -> JobProcess:
    """A job process that was told to begin, and does this with what it shares, where it hears and where it speaks."""
    heard, words = os.pipe()
    orders, told = os.pipe()
    shared = Shared()
    pid = os.fork()
    if pid == 0:
        try:
            os.setpgid(0, 0)
            os.close(heard)
            os.close(told)
            does(shared, orders, words)
        finally:
            os._exit(0)
    os.close(words)
    os.close(orders)
    job = JobProcess(pid, str(uuid.uuid4()), shared, orders=told, words=heard)
    job.begin(str(uuid.uuid4()))
    return job


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When a watch has looked at a process."""
    looked: list[float] = []
    wait = JobProcess.wait

    def counting(job: JobProcess, seconds: float) -> bool:
        looked.append(time.monotonic())
        return wait(job, seconds)

    monkeypatch.setattr(JobProcess, "wait", counting)
    return looked


def test_a_process_that_has_closed_all_descriptors_is_waited_for_as_any_other(
    make_app: Callable[..., Flask], turns: list[float]
) -> None:
    def close_all(_shared: Shared, _orders: int, _words: int) -> None:
        os.closerange(3, 4096)
        time.sleep(1)

    job = fork(close_all)
    with make_app().app_context():
        watch(job, StopRequest())
    assert job.exit_status == 0
    assert len(turns) < 100, "it spins"


def test_a_process_that_writes_without_end_to_its_worker_does_not_make_it_spin(
    make_app: Callable[..., Flask], turns: list[float]
) -> None:
    def write_on(_shared: Shared, _orders: int, words: int) -> None:
        give_up = time.monotonic() + 1
        while time.monotonic() < give_up:
            os.write(words, b"." * 64)

    job = fork(write_on)
    with make_app().app_context():
        watch(job, StopRequest())
    assert job.exit_status == 0, "nothing that it wrote was taken for a word"
    assert len(turns) < 500


@pytest.fixture
def many_files() -> Iterator[None]:
    """A process in which the next descriptor is beyond what ``select`` can look at."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, before[1]), before[1]))
    opened = []
    while not opened or opened[-1] < 1100:
        opened.append(os.open("/dev/null", os.O_RDONLY))
    yield
    for descriptor in opened:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_worker_may_have_more_than_a_thousand_files_open(make_app: Callable[..., Flask], many_files: None) -> None:
    job = fork(lambda *_: time.sleep(0.2))
    with make_app().app_context():
        watch(job, StopRequest())
    assert job.exit_status == 0


def test_a_process_whose_time_is_over_is_killed_before_anything_is_said_about_it(
    make_app: Callable[..., Flask],
) -> None:
    """Whoever does not read the log would keep it alive, past its lease."""

    class Patient(logging.Handler):
        """Returns when the process is gone, as a pipe that is full until then."""

        def emit(self, _record: logging.LogRecord) -> None:
            wait_until(lambda: not Path(f"/proc/{job.pid}").exists() or state_of(job.pid) == "Z", 20)

    def never_end(shared: Shared, _orders: int, _words: int) -> None:
        shared.deadline.set(0.5)
        time.sleep(60)

    patient = Patient()
    log = logging.getLogger(monitor.__name__)
    log.addHandler(patient)
    try:
        job = fork(never_end)
        with make_app().app_context():
            watch(job, StopRequest())
    finally:
        log.removeHandler(patient)
    assert job.exit_status == -signal.SIGKILL


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_process_that_is_gone_is_never_asked_again(make_app: Callable[..., Flask]) -> None:
    """Its descriptors are closed, and their numbers are other files' by now."""
    job = fork(lambda *_: None)
    with make_app().app_context():
        watch(job, StopRequest())
    pipes = [os.pipe() for _ in range(4)]
    for _, end in pipes:
        os.write(end, b"not for it")
    assert job.wait(0)
    job.begin(str(uuid.uuid4()))
    assert job.wait(0), "it stays gone"
    assert not job.stands_by
    job.kill()
    job.dismiss()
    assert [os.read(end, 100) for end, _ in pipes] == [b"not for it"] * 4
    for pair in pipes:
        for end in pair:
            os.close(end)


def test_what_is_not_redis_trouble_is_not_called_so() -> None:
    from redis.exceptions import RedisError

    from portal_actions_plugin.runner.doorbells.redis_calls import asking_redis

    with pytest.raises(RedisError), asking_redis():
        raise ConnectionResetError(errno.ECONNRESET, "reset")
    with pytest.raises(OSError, match="descriptor"), asking_redis():
        raise OSError(errno.EBADF, "bad descriptor")


def test_a_worker_that_stands_still_is_killed_before_anything_is_said_about_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What it hangs in may be the log, and whoever reads that hangs its supervisor as well."""
    said_before: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _pid, _signal: said_before.append(len(caplog.records)))
    place = Place("default", "here:1:default:1")
    place.pid = 4711
    Supervisor._replace(cast("Supervisor", None), [ToReplace(place, "it hangs")])
    assert said_before == [0]
    assert "it hangs" in caplog.text


def test_an_alarm_just_as_a_process_is_reaped_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    job = fork(lambda *_: None)
    reap = os.waitpid

    def reap_and_be_alarmed(pid: int, options: int) -> tuple[int, int]:
        found = reap(pid, options)
        monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("its number may be another process's by now"))
        job.kill()
        return found

    monkeypatch.setattr(os, "waitpid", reap_and_be_alarmed)
    wait_until(lambda: job.wait(1))
    assert (job.exit_status, job.killed) == (0, False)
