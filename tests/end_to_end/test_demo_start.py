"""The demo's start program, as a process: up with everything, and gone with everything."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from demo_portal.start import emulator

from tests.support.waiting import PATIENCE_SECONDS, wait_until


class Demo:
    """A running start program, in a session of its own as a shell would have it."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder = folder
        self.output = folder.with_suffix(".out")
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                [*_command(self.port, folder), *options],
                stdout=out,
                stderr=out,
                start_new_session=True,
                cwd=folder.parent,
            )

    def get(self, path: str) -> Any:
        """The JSON that a path answers with; None while nobody answers."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        request.add_header("Authorization", "Bearer demo-developer")
        with suppress(OSError, urllib.error.URLError), urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def wait_until_up(self) -> None:
        wait_until(lambda: self.process.poll() is not None or "Acme Portal is at" in self.output.read_text())
        assert self.process.poll() is None, self.output.read_text()

    def processes(self) -> dict[int, str]:
        """Every process that has the data folder in its command line, environment or working directory."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes()
                about = command + (folder / "environ").read_bytes() + os.fsencode((folder / "cwd").readlink())
            except OSError:
                continue
            if os.fsencode(self.folder) in about and int(folder.name) != os.getpid():
                found[int(folder.name)] = command.replace(b"\0", b" ").decode(errors="replace")
        return found


def _command(port: int, folder: Path) -> list[str]:
    return [sys.executable, "-m", "demo_portal", "--port", str(port), "--data-dir", str(folder), "--workers", "1"]


@pytest.fixture
def options() -> tuple[str, ...]:
    """More of the command line."""
    return ()


@pytest.fixture
def demo(tmp_path: Path, options: tuple[str, ...]) -> Iterator[Demo]:
    demo = Demo(tmp_path / "d", *options)
    yield demo
    for pid in demo.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    demo.process.wait()


def test_the_first_start_has_a_finished_run_and_ctrl_c_leaves_nothing(demo: Demo) -> None:
    demo.wait_until_up()
    assert demo.folder.stat().st_mode & 0o777 == 0o700
    run = wait_until(lambda: _ended(demo.get("/api/v1/template-runs")))
    assert (run["template"], run["status"], run["requested_by"]) == ("create-service", "success", "system:demo")

    (web,) = (
        pid for pid, command in demo.processes().items() if "gunicorn" in command and _parent(pid) == demo.process.pid
    )
    os.kill(web, signal.SIGKILL)
    wait_until(lambda: "web ended unexpectedly" in demo.output.read_text())
    wait_until(lambda: demo.get("/api/v1/health"))

    os.killpg(demo.process.pid, signal.SIGINT)
    assert demo.process.wait(PATIENCE_SECONDS) == 0, demo.output.read_text()
    assert not demo.processes()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", demo.port)) != 0


@pytest.mark.parametrize("options", [("--forge", "github")])
def test_the_same_templates_run_on_an_emulator_of_github(node_packages: None, demo: Demo) -> None:
    demo.wait_until_up()
    run = wait_until(lambda: _ended(demo.get("/api/v1/template-runs")))
    assert (run["template"], run["inputs"]["provider"], run["status"]) == ("create-service", "github", "success")
    github = next(forge for forge in demo.get("/api/v1/scm")["data"] if forge["name"] == "github")
    assert {"acme", "platform"} <= set(github["owners"])
    pulls = urllib.request.Request(f"{github['url']}/repos/acme/greeter/pulls")
    pulls.add_header("Authorization", f"Bearer {emulator.TOKEN}")
    with urllib.request.urlopen(pulls, timeout=60) as answer:
        assert [pull["head"]["ref"] for pull in json.load(answer)] == ["portal/pipeline-and-reviewers"]

    os.killpg(demo.process.pid, signal.SIGINT)
    assert demo.process.wait(PATIENCE_SECONDS) == 0, demo.output.read_text()
    assert not demo.processes()
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(pulls, timeout=60)


def test_nothing_is_left_when_the_start_program_is_killed(demo: Demo) -> None:
    demo.wait_until_up()
    demo.process.kill()
    demo.process.wait()
    assert wait_until(lambda: not demo.processes())


def test_a_port_in_use_is_one_clear_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(_command(port, tmp_path / "d"), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert (
        done.stderr
        == f"Error: Port {port} of 127.0.0.1 is in use by another program. Choose another one with --port.\n"
    )


def test_a_folder_that_is_too_deep_for_a_socket_is_refused_before_anything_starts(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 100)
    done = subprocess.run(_command(5000, folder), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "too long for a unix socket" in done.stderr
    assert not folder.exists()


def _ended(answer: Any) -> Any:
    runs = [run for run in (answer or {}).get("data", []) if run["status"] in ("success", "failed", "canceled")]
    return runs[0] if runs else None


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
