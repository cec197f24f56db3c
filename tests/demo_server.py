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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo_portal.settings import Settings
from demo_portal.start import valkey
from tests.conftest import wait_until


@dataclass(frozen=True)
class DemoServer:
    """A running portal: where it answers, and where its processes write."""

    url: str
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "web.log").read_text(errors="replace")

    def is_up(self) -> bool:
        with suppress(OSError, urllib.error.URLError):
            with urllib.request.urlopen(f"{self.url}/api/v1/health", timeout=5) as answer:
                return b'"ok"' in answer.read()
        return False


@contextmanager
def demo_server(**config: Any) -> Iterator[DemoServer]:
    """Start the demo portal with settings of the test: Valkey, a worker, and a web process; stop them at the end."""
    folder = Path(tempfile.mkdtemp(prefix="demo-"))  # a unix socket's path may not be long
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(folder, f"http://127.0.0.1:{port}")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLASK_")}
    environment |= settings.as_environment()
    processes: list[subprocess.Popen[bytes]] = []

    def start(name: str, *command: str) -> subprocess.Popen[bytes]:
        with (folder / f"{name}.log").open("ab") as out:
            process = subprocess.Popen(command, env=environment, cwd=folder, stdout=out, stderr=out)
        processes.append(process)
        return process

    try:
        start("valkey", *valkey.command(settings))
        wait_until(lambda: valkey.answers(settings), 30)
        flask = (sys.executable, "-m", "flask", "--app", "demo_portal")
        assert start("prepare", *flask, "demo", "prepare").wait(60) == 0, (folder / "prepare.log").read_text()
        start("workers", *flask, "actions", "worker", "--workers", "1")
        arguments = ", ".join(f"{name}={value!r}" for name, value in config.items())
        start(
            "web", sys.executable, "-m", "gunicorn", f"demo_portal.app:create_app({arguments})",
            "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread", "--threads", "4", "--keep-alive", "30",
            "--worker-tmp-dir", str(folder), "--no-control-socket", "--graceful-timeout", "1",
        )  # fmt: skip
        server = DemoServer(settings.url, folder)
        wait_until(server.is_up, 60)
        yield server
    finally:
        for process in reversed(processes):
            _stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def _stop(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(4)
