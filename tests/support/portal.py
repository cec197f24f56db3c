"""A minimal host portal for the tests, also as a module that worker processes can load."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flask import Flask, current_app, request

from portal_actions_plugin import Identity, PortalActions, plugin
from portal_actions_plugin.signals import scorecard_fix_requested
from portal_actions_plugin.storage.pause_points import set_visitor

PEOPLE = {
    "ada": Identity("user:ada@example.com", "Ada Lovelace", frozenset({"developer"})),
    "bob": Identity("user:bob@example.com", "Bob Kahn", frozenset({"developer"})),
    "vera": Identity("user:vera@example.com", "Vera Rubin", frozenset({"viewer"})),
    "margaret": Identity("user:margaret@example.com", "Margaret Hamilton", frozenset({"platform-admin"})),
}


def load_identity() -> Identity | None:
    """Bearer tokens are first names; a cookie named ``person`` signs a browser in."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return PEOPLE.get(token if scheme == "Bearer" else request.cookies.get("person", ""))


def create_app(**config: Any) -> Flask:
    """A portal; in a worker process the settings come from the environment."""
    folder = Path(config.pop("INSTANCE_PATH", None) or os.environ.get("TEST_PORTAL_FOLDER", "."))
    app = Flask("portal", instance_path=str(folder.absolute()))
    app.config.update(SECRET_KEY="for tests only", TESTING=True)
    app.config.from_prefixed_env("TEST_PORTAL_CONFIG")
    app.config.update(config)
    plugin = PortalActions()
    plugin.identity_loader(load_identity)
    plugin.catalog(AsyncCatalog(folder) if os.environ.get("TEST_PORTAL_ASYNC_CATALOG") else Catalog(folder))
    plugin.init_app(app)
    app.add_url_rule("/fix", view_func=fix, methods=["POST"])
    if seconds := os.environ.get("TEST_PORTAL_STUBBORN_SECONDS"):
        make_stubborn(app, float(seconds))
    if hours := os.environ.get("TEST_PORTAL_CLOCK_HOURS"):
        import time_machine

        time_machine.travel(datetime.now(UTC) + timedelta(hours=float(hours))).start()
    change_actions(app)
    if harm := os.environ.get("TEST_PORTAL_HARM"):
        from tests.support import worker_harm

        worker_harm.HARMS[harm](folder)
    if imported := os.environ.get("TEST_PORTAL_IMPORTED"):
        note_imports_of_job_processes(Path(imported))
    add_tests_own_actions(app)
    if os.environ.get("TEST_PORTAL_CANARY"):
        from tests.support import canary

        canary.register(app)
        canary.watch(app, folder)
    return app


def decide(portal: Flask, authorizer: Callable[[Identity, str, Any], bool]) -> None:
    """Let the host of a portal decide by object."""
    if not hasattr(plugin, "of"):  # before hooks could be given late, where tests of faults look as well
        parts = portal.extensions["portal_actions"]
        portal.extensions["portal_actions"] = replace(parts, hooks=replace(parts.hooks, authorizer=authorizer))
        return
    plugin.of(portal).authorizer(authorizer, replace=True)


def add_tests_own_actions(app: Flask) -> None:
    if os.environ.get("TEST_PORTAL_DEEDS"):
        from tests.support import deeds

        deeds.register(app)
    if os.environ.get("TEST_PORTAL_HOSTILE"):
        from tests.support import hostile

        hostile.register(app)
    if os.environ.get("TEST_PORTAL_MACHINES"):
        from tests.support import machines

        machines.register(app)
    if harm := os.environ.get("TEST_PORTAL_HARM_AT"):
        harm_once(*json.loads(harm))


def change_actions(app: Flask) -> None:
    """Let installed actions do what the environment says."""
    if gate := os.environ.get("TEST_PORTAL_GATE"):
        change_action(app, "debug.wait@v1", handler=lambda _ctx, **_input: wait_at(Path(gate)))
    if pid_file := os.environ.get("TEST_PORTAL_LEAVES_BEHIND"):
        change_action(app, "debug.log@v1", handler=lambda _ctx, **_input: leave_behind(Path(pid_file)))
    if (status := os.environ.get("TEST_PORTAL_EXITS")) is not None:
        change_action(app, "debug.log@v1", handler=lambda _ctx, **_input: os._exit(int(status)))
    if os.environ.get("TEST_PORTAL_LOCKED"):
        change_action(app, "debug.wait@v1", lock=lambda _data: "the only one")


def fix() -> dict[str, str]:
    """The Fix button of a failing rule, as a host has it."""
    answers = scorecard_fix_requested.send(
        current_app._get_current_object(),
        entity="component:default/orders",
        scorecard="basics",
        rule="readme",
        action="debug.log@v1",
        input={"message": "hello"},
        requested_by=load_identity(),
    )
    return {"run": answers[0][1].id}


def change_action(app: Flask, action_id: str, **values: Any) -> None:
    """Declare an installed action otherwise."""
    registry = app.extensions["portal_actions"].registry
    registry._actions[action_id] = replace(registry.get(action_id), **values)


def harm_once(point: str, victim: str, signal_number: int, mark: str) -> None:
    """Send a signal to the process that comes to a pause point first, its parent or its child; a file says who it was.

    Without that file, it happens again.
    """

    def visit(name: str) -> None:
        if name != point:
            return
        pid = {"itself": os.getpid, "its parent": os.getppid, "its child": child_of_this_process}[victim]()
        try:
            with Path(mark).open("x") as out:
                out.write(str(pid))
        except FileExistsError:
            return
        os.kill(pid, signal_number)

    set_visitor(visit)


def child_of_this_process() -> int:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            return int(stat.parent.name)
    raise AssertionError("it has no child")


def make_stubborn(app: Flask, timeout: float) -> None:
    """Let ``debug.log@v1`` block all signals and catch everything, with a short timeout."""

    def never_ends(_ctx: Any, **_input: Any) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            try:
                time.sleep(3600)
            except BaseException:
                continue

    change_action(app, "debug.log@v1", handler=never_ends, timeout=timeout)


def wait_at(gate: Path) -> None:
    """Wait until the test opens it."""
    while not gate.exists():
        time.sleep(0.02)


def leave_behind(pid_file: Path) -> None:
    """Start a program and do not wait for it."""
    pid_file.write_text(str(subprocess.Popen(["sleep", "3600"]).pid))


class Catalog:
    """Keeps entities as files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "catalog"

    def register_entity(self, entity: Any, source: str | None) -> str:
        entity_id = f"{entity['kind']}:{entity['namespace']}/{entity['name']}".lower()
        self._folder.mkdir(exist_ok=True)
        (self._folder / entity_id.replace("/", "_")).write_text(str(source))
        return entity_id


class AsyncCatalog(Catalog):
    """A catalog whose method is a coroutine: some hosts have theirs behind an async client."""

    async def register_entity(self, entity: Any, source: str | None) -> str:  # type: ignore[override]
        return super().register_entity(entity, source)


def note_imports_of_job_processes(file: Path) -> None:
    """Write down what is imported in the forks of forks: a supervisor's workers fork the job processes."""
    forks = 0

    def note(event: str, args: tuple[Any, ...]) -> None:
        if event == "import":
            with file.open("a") as out:
                out.write(f"{args[0]}\n")

    def forked() -> None:
        nonlocal forks
        forks += 1
        if forks == 2:
            sys.addaudithook(note)

    os.register_at_fork(after_in_child=forked)
