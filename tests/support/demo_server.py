"""The demo portal behind a real web server, with a real worker: what a client of the API meets."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from demo_portal.settings import Settings
from demo_portal.start import valkey

from tests.support.waiting import PATIENCE_SECONDS, wait_until

_FLASK = (sys.executable, "-m", "flask", "--app", "demo_portal")


class DemoServer:
    """A running portal: its Valkey, a worker, and any number of web processes with settings of their own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="demo-"))  # a unix socket's path may not be long
        self._settings = Settings(self.folder)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FLASK_")}
        self._environment = {**kept, **self._settings.as_environment()}
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start everything but the web."""
        self._run("valkey", *valkey.command(self._settings))
        wait_until(lambda: valkey.answers(self._settings))
        assert self._run("prepare", *_FLASK, "demo", "prepare").wait(PATIENCE_SECONDS) == 0, self.log("prepare")
        self._run("workers", *_FLASK, "actions", "worker", "--workers", "1")

    def web(self, **config: Any) -> str:
        """Start a web server whose settings win over the demo's; its address."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        arguments = ", ".join(f"{name}={value!r}" for name, value in config.items())
        self._run(
            "web", sys.executable, "-m", "gunicorn", f"demo_portal.app:create_app({arguments})",
            "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread", "--threads", "4", "--keep-alive", "30",
            "--worker-tmp-dir", str(self.folder), "--no-control-socket", "--graceful-timeout", "1",
        )  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _is_up(url))
        return url

    def log(self, name: str) -> str:
        """What a kind of process has written."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def stop(self) -> None:
        """End all processes, the last one first."""
        for process in reversed(self._processes):
            _stop(process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as out:
            process = subprocess.Popen(command, env=self._environment, cwd=self.folder, stdout=out, stderr=out)
        self._processes.append(process)
        return process


@contextmanager
def demo_server() -> Iterator[DemoServer]:
    """A demo portal for as long as the block lasts."""
    server = DemoServer()
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _is_up(url: str) -> bool:
    health = f"{url}/api/v1/health"
    with suppress(OSError, urllib.error.URLError), urllib.request.urlopen(health, timeout=60) as answer:
        return b'"ok"' in answer.read()
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(4)
