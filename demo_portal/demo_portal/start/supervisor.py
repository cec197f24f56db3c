"""Starts the portal's processes, starts those again that die, and ends all of them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import click

from demo_portal.settings import Settings
from demo_portal.start import emulator, valkey
from demo_portal.start.child import Child, adopt_orphans, end_orphans
from demo_portal.start.folder import CannotStartError

TICK_SECONDS = 0.1
START_SECONDS = 60.0
NPM_SECONDS = 300.0
OLD_VALKEY_SECONDS = 10.0
WEB_PROCESSES = 2
_FOREIGN = ("FLASK_", "GUNICORN_", "WEB_CONCURRENCY", "PORTAL_ACTIONS_")


class _StoppedError(Exception):
    """Somebody asked for the end while something was waited for."""


class Supervisor:
    """The parent of all other processes."""

    def __init__(self, settings: Settings, port: int, workers: int) -> None:
        self._settings = settings
        self._port = port
        self._workers = workers
        self._children: list[Child] = []
        self._passing: list[Child] = []
        self._stops = 0

    def run(self) -> int:
        """Run until told to stop; the exit status."""
        adopt_orphans()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._count_stop)
        status = 0
        try:
            self._start()
            self._welcome()
            self._watch()
        except _StoppedError:
            pass
        except CannotStartError as error:
            click.echo(f"Error: {error}", err=True)
            status = 1
        finally:
            self._stop()
        return status

    # -- starting ----------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        _say(f"starting; data is kept in {self._settings.data_dir}")
        # A start program that was killed leaves a Valkey that still writes its last lines, and then removes its socket.
        self._wait(lambda: not valkey.answers(self._settings), OLD_VALKEY_SECONDS, "an older Valkey does not end")
        self._run_child("valkey", valkey.command(self._settings), patience=(2.0,))
        self._wait(lambda: valkey.answers(self._settings), START_SECONDS, "Valkey does not come up")
        if self._settings.github_url:
            self._start_emulator(self._settings.github_url)
        self._prepare()
        workers = str(self._workers)
        self._run_child("workers", _flask("actions", "worker", "--workers", workers), patience=(3.0, 2.0))
        self._run_child("web", self._gunicorn(), patience=(3.0,))
        self._wait(self._is_up, START_SECONDS, "the portal does not come up")

    def _start_emulator(self, url: str) -> None:
        if not emulator.is_installed(self._settings):
            _say("installing the emulator of GitHub")
            failure = "The emulator of GitHub could not be installed."
            self._pass("npm", emulator.install_command(self._settings), failure, NPM_SECONDS)
        self._run_child("emulator", emulator.command(self._settings, url), patience=(2.0,))
        self._wait(lambda: emulator.answers(url), START_SECONDS, "the emulator of GitHub does not come up")

    def _prepare(self) -> None:
        self._pass("prepare", _flask("demo", "prepare"), "The data could not be prepared.")

    def _pass(self, name: str, command: list[str], failure: str, seconds: float = START_SECONDS) -> None:
        """Run something to its end."""
        child = self._child(name, command, patience=(1.0,))
        self._passing.append(child)
        child.start()
        self._wait(lambda: child.ended() is not None, seconds, f"{name} does not end")
        if child.ended():
            raise CannotStartError(f"{failure} {child.last_words()}")
        child.stop()

    def _run_child(self, name: str, command: list[str], patience: tuple[float, ...]) -> None:
        child = self._child(name, command, patience)
        self._children.append(child)
        child.start()

    def _child(self, name: str, command: list[str], patience: tuple[float, ...]) -> Child:
        return Child(name, command, self._environment(), self._settings.data_dir, patience)

    def _environment(self) -> dict[str, str]:
        """Ours, without what would change how the children are set up."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        return {**kept, **self._settings.as_environment(), "PYTHONUNBUFFERED": "1"}

    def _gunicorn(self) -> list[str]:
        return [
            sys.executable, "-m", "gunicorn", "demo_portal.wsgi:app",
            "--bind", f"127.0.0.1:{self._port}",
            "--workers", str(WEB_PROCESSES), "--worker-class", "gthread", "--threads", "4",
            "--worker-tmp-dir", str(self._settings.data_dir),
            "--no-control-socket", "--graceful-timeout", "2", "--access-logfile", "-", "--name", "demo-portal",
        ]  # fmt: skip

    # -- running -----------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        while True:
            self._pause()
            for child in self._children:
                how = child.end()
                if how is None:
                    continue
                if child.died_too_often():
                    raise CannotStartError(f"{child.name} ended again and again, now with {how}. {child.last_words()}")
                _say(f"{child.name} ended unexpectedly with {how} and is started again; see {child.log}")
                child.stop(at_once=True)
                child.start()

    def _wait(self, true: Callable[[], bool], seconds: float, otherwise: str) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            for child in self._children:
                if how := child.end():
                    raise CannotStartError(f"{child.name} ended at once, with {how}. {child.last_words()}")
            if time.monotonic() > deadline:
                logs = self._settings.data_dir / "logs"
                raise CannotStartError(f"After {seconds:.0f} seconds, {otherwise}. The logs are in {logs}.")
            self._pause()

    def _pause(self) -> None:
        time.sleep(TICK_SECONDS)
        if self._stops:
            raise _StoppedError

    def _is_up(self) -> bool:
        """Whether the portal answers, and finds its database, Valkey and a worker."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=2)
        try:
            connection.request("GET", "/api/v1/health")
            return bool(json.loads(connection.getresponse().read())["status"] == "ok")
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            return False
        finally:
            connection.close()

    def _welcome(self) -> None:
        github = self._settings.github_url
        lines = (
            "",
            f"  Acme Portal is at {self._settings.url}",
            "",
            "  Sign in as   Ada Lovelace (developer), Grace Hopper (viewer) or Margaret Hamilton (platform-admin)",
            "  Scripts      Authorization: Bearer demo-developer, demo-viewer or demo-admin",
            *([f"  GitHub       an emulator at {github}, which forgets all at its end"] if github else []),
            f"  Logs         {self._settings.data_dir / 'logs'}",
            "  Ctrl-C       stops everything",
            "",
        )
        for line in lines:
            _say(line)

    # -- stopping ----------------------------------------------------------------------------------------------------

    def _count_stop(self, _signum: int, _frame: FrameType | None) -> None:
        self._stops += 1

    def _stop(self) -> None:
        """End the children: first who starts runs, then who does them, and Valkey last."""
        if self._children:
            _say("stopping")
        # They were started the other way round.
        for child in (*self._passing, *reversed(self._children)):
            child.stop(at_once=self._stops > 1)
        end_orphans()
        if self._children:
            _say("stopped")


def _flask(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "flask", "--app", "demo_portal", *arguments]


def _say(line: str) -> None:
    # The terminal may be closed by now, and that must not keep anything from being ended.
    with suppress(OSError):
        click.echo(line)
