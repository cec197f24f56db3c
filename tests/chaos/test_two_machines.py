"""A workspace goes from a worker to one that shares no folder with it, also when that is killed while it keeps it."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from flask import Flask

from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.accept import Ask
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.workspaces.stores.opening import store
from portal_actions_plugin.runs.workspaces.stores.store import RUNS, Shelf
from tests.support import machines
from tests.support.run_helpers import ADA
from tests.support.waiting import wait_until
from tests.support.workers import Workers
from tests.support.workspaces import rows_of

pytestmark = [
    pytest.mark.skipif("CHAOS_RUNS" not in os.environ, reason="a part of make chaos"),
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
    pytest.mark.timeout(1200),
]
SMALL, LARGE = (60, 60_000), (3_000, 49_000_000)
SECONDS = 300


@pytest.fixture
def app(make_app: Callable[..., Flask], database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url)
    for one in (machines.fill, machines.change, machines.change_once, machines.look):
        app.extensions["portal_actions"].registry.add(one, "the tests")
    monkeypatch.setenv("TEST_PORTAL_MACHINES", "1")
    with app.app_context():
        yield app


@pytest.fixture
def start_machine(
    start_workers: Callable[..., Workers], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[Path, Workers]]:
    """Starts a worker with a folder of its own for all that it keeps; killed once at a pause point, if one is given."""

    def begin(name: str, killed_at: str = "") -> tuple[Path, Workers]:
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.setenv("TMPDIR", str(folder))
        monkeypatch.delenv("TEST_PORTAL_HARM_AT", raising=False)
        if killed_at:
            harm = [killed_at, "itself", signal.SIGKILL, str(folder / "killed")]
            monkeypatch.setenv("TEST_PORTAL_HARM_AT", json.dumps(harm))
        return folder, start_workers()

    return begin


def start(template_folder: Path, change: str, files: int, size: int) -> str:
    given = "${{ steps.%s.output.digest }}"
    steps = [
        {"id": "fill", "action": "test.fill@v1", "input": {"files": files, "size": size}},
        {"id": "change", "action": change, "input": {"digest": given % "fill"}},
        {"id": "look", "action": "test.look@v1", "input": {"digest": given % "change"}},
    ]
    named = [{"name": "A step", **step} for step in steps]
    document = {"apiVersion": "portal-actions/v1", "kind": "Template", "metadata": {"name": "made", "title": "Made"}}
    spec = {"owner": "team:platform", "type": "service", "parameters": [], "steps": named}
    (template_folder / "made.yaml").write_text(yaml.safe_dump({**document, "spec": spec}))
    return service.start_template_run(ADA, "made", {}).run.id


def names(folder: Path, what: str) -> Counter[str]:
    """The contents that a machine has put into the store or got from it, and how often."""
    place = folder / what
    return Counter(place.read_text().splitlines() if place.exists() else [])


def ended(run_id: str) -> str:
    return wait_until(
        lambda: (status := queries.template_run(run_id).status) in ("success", "failed") and status, SECONDS
    )


@pytest.mark.parametrize(("files", "size"), [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("change", ["test.change@v1", "test.changeOnce@v1"], ids=["again", "once"])
def test_a_workspace_goes_to_a_machine_that_shares_no_folder_and_a_kill_leaves_the_last_good_one(
    app: Flask,
    template_folder: Path,
    start_machine: Callable[..., tuple[Path, Workers]],
    change: str,
    files: int,
    size: int,
) -> None:
    run_id = start(template_folder, change, files, size)
    first, worker = start_machine("first")
    wait_until((first / "filled").exists, SECONDS)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(SECONDS) == 0
    kept = names(first, "put")
    assert set(kept.values()) == {1}
    assert len(kept) == files + 1
    [row] = rows_of(run_id)
    assert (row["generation"], row["files"], [step.status for step in queries.template_run(run_id).steps]) == (
        1, files + 2, ["success", "queued", "pending"],
    )  # fmt: skip
    assert not list(first.rglob("*.bin")), "nothing of it stays on the machine"
    shutil.rmtree(first)
    second, worker = start_machine("second", killed_at="workspace.put")
    if change == "test.changeOnce@v1":
        assert ended(run_id) == "failed"
        [error] = [step.run.error for step in queries.template_run(run_id).steps if step.status == "failed"]
        assert error.code == "WORKER_LOST"
        [row] = rows_of(run_id)
        assert (row["generation"], row["files"]) == (1, files + 2)
        assert kept.keys() <= store().sizes(Shelf(RUNS, run_id)).keys()
        run_id = service.resume_template_run(ADA, run_id, Ask()).run.id
    assert ended(run_id) == "success"
    assert (second / "killed").exists()
    changed = names(second, "put")
    assert not changed.keys() & kept.keys(), "what was there already does not travel again"
    assert len(changed) == len(range(1, files, 50))
    assert set(changed.values()) <= {1, 2}
    assert 2 in changed.values(), "by the attempt that was killed, and by the next one"
    assert names(second, "got") == Counter(dict.fromkeys(kept, 2)), "once for each process, not for each step"
