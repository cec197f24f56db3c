"""The peers: what each needs, which programs it runs, and how it is measured."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.effort import Effort
from benchmarks.figures.statistics import percentile
from benchmarks.rig import Site

HERE = Path(__file__).parent
_INSTALL_SECONDS = 600
_PATIENCE_SECONDS = 300


class NoPeerError(Exception):
    """A peer could not be installed, started or measured; the others can."""


@dataclass(frozen=True)
class Peer:
    """Another queue.

    Attributes:
        name: in the table.
        packages: what pip installs, pinned; the first is what it is.
        script: its steps, and what starts a run of them.
        programs: what runs beside it, in this order. ``{python}`` and the like are of ``_places``.
        environment: more variables, likewise.
        backlog: how many runs are kept on their way.
        start_seconds: how long the programs take to be ready.
        stranded_seconds: a run that takes longer is given up.
        singles: how many runs are started one by one.
    """

    name: str
    packages: Sequence[str]
    script: str
    programs: Sequence[Sequence[str]]
    environment: Mapping[str, str] = field(default_factory=dict)
    backlog: int = 40
    start_seconds: float = 5
    stranded_seconds: float = 10
    singles: int = 20


_CELERY = ("celery==5.7.0", "packaging==26.3", "redis==8.1.0", "sqlalchemy==2.1.9", "psycopg[binary]==3.3.9")
_CELERY_WORKER = (
    "{python}",
    "-m",
    "celery",
    "-A",
    "celery_steps",
    "worker",
    "--concurrency",
    "2",
    "--loglevel",
    "warning",
)
_BROKER = {"PEER_BROKER": "redis+socket://{redis}"}

PEERS = (
    Peer("Celery, no results", _CELERY, "celery_steps.py", [_CELERY_WORKER], _BROKER),
    Peer(
        "Celery, results in PostgreSQL",
        _CELERY,
        "celery_steps.py",
        [_CELERY_WORKER],
        {**_BROKER, "PEER_BACKEND": "db+{postgresql}"},
    ),
    Peer(
        "RQ, depends_on",
        ("rq==3.0.0", "redis==8.1.0"),
        "rq_steps.py",
        [("{bin}/rq", "worker", "--quiet", "--url", "unix://{redis}")] * 2,
    ),
    Peer(
        "Prefect",
        ("prefect==3.9.1", "redis==8.1.0"),
        "prefect_steps.py",
        [
            ("{bin}/prefect", "server", "start", "--host", "127.0.0.1", "--port", "{port}"),
            ("{python}", "prefect_steps.py", "serve"),
        ],
        {
            "PREFECT_HOME": "{folder}/prefect",
            "PREFECT_API_URL": "http://127.0.0.1:{port}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_LOGGING_LEVEL": "WARNING",
            "DO_NOT_TRACK": "1",
        },
        backlog=6,
        start_seconds=25,
        stranded_seconds=90,
        singles=5,
    ),
)


def measure(site: Site, effort: Effort, environments: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each peer's figures by name, or why there are none. Environments are kept in a folder, and made where missing."""
    for peer in PEERS:
        try:
            python = _environment(peer, environments)
            figures = _measured(peer, python, site, effort)
            yield peer.name, {"version": peer.packages[0], **figures, "packages": _installed(python)}
        except (NoPeerError, OSError, subprocess.SubprocessError) as error:
            yield peer.name, {"version": peer.packages[0], "missing": str(error)[-600:]}


def _environment(peer: Peer, environments: Path) -> Path:
    """The Python of the peer's own environment, made on first use and again when a version has changed."""
    folder = environments / peer.packages[0].partition("==")[0]
    stamp = folder / "installed"
    wanted = "\n".join(peer.packages)
    if not stamp.exists() or stamp.read_text() != wanted:
        _run([sys.executable, "-m", "venv", "--clear", str(folder)], "its environment cannot be made")
        _run([str(folder / "bin/python"), "-m", "pip", "install", "--quiet", *peer.packages], "it cannot be installed")
        stamp.write_text(wanted)
    return folder / "bin/python"


def _installed(python: Path) -> list[str]:
    """The version of every package in the peer's environment: only the first ones are pinned."""
    return _run([str(python), "-m", "pip", "freeze"], "its packages cannot be listed").splitlines()


def _run(command: Sequence[str], trouble: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False)
    if done.returncode:
        raise NoPeerError(f"{trouble}: {done.stderr.strip()}")
    return done.stdout


def _measured(peer: Peer, python: Path, site: Site, effort: Effort) -> dict[str, Any]:
    site.flush()
    with site.empty_postgresql() as postgresql_url, ExitStack() as programs:
        places = _places(site, postgresql_url, python)
        environment = _environment_variables(peer, site, places)
        started = []
        for number, command in enumerate(peer.programs):
            words = [word.format(**places) for word in command]
            started.append(programs.enter_context(_program(words, environment, site.folder / f"peer-{number}.log")))
            time.sleep(peer.start_seconds)
        for process, log in started:
            if process.poll() is not None:
                raise NoPeerError(f"it ended: {log.read_text()[-400:]}")
        numbers = (peer.singles, effort.seconds, peer.backlog)
        ran = subprocess.run(
            [str(python), peer.script, *map(str, numbers)],
            cwd=HERE,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    if ran.returncode:
        raise NoPeerError(ran.stderr)
    found = json.loads(ran.stdout.splitlines()[-1])
    if not found["latencies"]:
        raise NoPeerError(f"no run has ended: {started[-1][1].read_text()[-400:]}")
    return {
        "runs a second": found["rate"],
        "to success, p50": percentile(found["latencies"], 50),
        "to success, p95": percentile(found["latencies"], 95),
        "stranded": found["stranded"],
        "started": found["started"],
    }


def _places(site: Site, postgresql_url: str, python: Path) -> dict[str, str]:
    """Where everything is, by the name that a peer's programs and environment have for it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    return {
        "python": str(python),
        "bin": str(python.parent),
        "redis": site.redis_url.removeprefix("unix://"),
        "postgresql": postgresql_url,
        "folder": str(site.folder),
        "port": port,
    }


def _environment_variables(peer: Peer, site: Site, places: Mapping[str, str]) -> dict[str, str]:
    return {
        **os.environ,
        **{name: value.format(**places) for name, value in peer.environment.items()},
        "PYTHONPATH": str(HERE),
        "PEER_REDIS": site.redis_url,
        "PEER_STRANDED_SECONDS": str(peer.stranded_seconds),
    }


@contextmanager
def _program(
    command: Sequence[str], environment: Mapping[str, str], log: Path
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=HERE, env=environment, stdout=out, stderr=out, start_new_session=True)
    try:
        yield process, log
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
