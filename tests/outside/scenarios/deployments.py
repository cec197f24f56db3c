"""What operators do: restart, upgrade, restore."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.outside.parts import Postgres, Sqlite, wait_until
from tests.outside.play import Play, SkipScenarioError
from tests.outside.scenarios import scenario
from tests.outside.stage import Stage

ROOT = Path(__file__).parent.parent.parent.parent
BEFORE = "1126d75"


@scenario("rolling-restart")
def rolling_restart(play: Play) -> None:
    """Supervisors are replaced one after another, each new one at work before the old one is told to stop; the web too."""
    stage = play.open()
    play.people(stage, 30)
    for _ in range(3):
        old = stage.supervisors()[0]
        stage.add_supervisor()
        wait_until(lambda: stage.workers_alive() == stage.workers_wanted(), 60, "the new workers are up")
        if status := stage.end(old):
            play.verdict.notes.append(f"a supervisor that was told to stop ended with {status}")
        web = next(service for service in stage.services if service.name == "web")
        assert web.process is not None
        web.process.send_signal(signal.SIGHUP)
        play.wait(play.span(3))
    play.settle()


@scenario("upgrade-from-before")
def upgrade_from_before(play: Play) -> None:
    """A portal of the version before is upgraded under load: tables, then workers, then the web, each with an overlap."""
    before = _package_of(BEFORE)
    stage = play.make_stage(python_path=before)
    stage.start()
    play.measure(stage)
    play.people(stage, 40)
    play.wait(3)
    stage.python_path = None
    stage.flask("actions", "db", "upgrade")
    play.wait(3)
    old = stage.supervisors()[0]
    stage.add_supervisor()
    wait_until(lambda: stage.workers_alive() == stage.workers_wanted(), 60, "the new workers are up")
    play.wait(4)
    if status := stage.end(old):
        play.verdict.notes.append(f"the supervisor of before ended with {status}")
    play.wait(3)
    stage.end(next(service for service in stage.services if service.name == "web"))
    stage.add_web()
    play.settle()


def _package_of(commit: str) -> Path:
    """A folder with the package of a commit, from git, as its wheel has it."""
    asked = ["git", "-C", str(ROOT), "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"]
    whole = (
        subprocess.run(asked, check=False, capture_output=True, text=True).stdout.strip() if shutil.which("git") else ""
    )
    if not whole:
        raise SkipScenarioError(f"THE VERSION BEFORE IS NOT TRIED: the commit {commit} is not in this git history")
    place = Path(tempfile.gettempdir()) / f"portal-actions-{whole}"
    if place.exists():
        return place
    with tempfile.TemporaryDirectory(prefix="outside-build-") as made:
        source, wheel, new = Path(made, "source"), Path(made, "wheel"), Path(made, "package")
        source.mkdir()
        archive = Path(made, "source.tar")
        subprocess.run(["git", "-C", str(ROOT), "archive", "--output", str(archive), whole], check=True)
        shutil.unpack_archive(archive, source, filter="data")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        build = [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheel), str(source)]
        subprocess.run(build, check=True, capture_output=True)
        (built,) = wheel.glob("*.whl")
        subprocess.run([*pip, "install", "--quiet", "--no-deps", "--target", str(new), str(built)], check=True)
        try:
            shutil.move(new, place)
        except OSError:
            assert place.exists()  # somebody else was quicker
    return place


@scenario("old-backup")
def old_backup(play: Play) -> None:
    """A backup is restored that is older than the doorbells in Redis: runs that it does not know are dropped quietly."""
    stage = play.open()
    play.people(stage, 6, runs=8)
    play.wait(5)
    began = time.monotonic()
    copy = stage.database.copy_data()
    for service in stage.supervisors():
        stage.end(service)
    play.people(stage, 2, runs=20, cancel=0)
    wait_until(lambda: sum(at > began for _, at in stage.client.accepted.values()) >= 20, 60, "runs wait")
    stage.end(next(service for service in stage.services if service.name == "web"))
    _restore(stage, copy)
    play.forget_since(stage, began, time.monotonic())
    stage.add_supervisor()
    stage.add_web()
    stage.wait_for_web()
    play.settle()


def _restore(stage: Stage, copy: Path) -> None:
    database = stage.database
    if isinstance(database, Postgres):
        database.stop("fast")
        database.data = copy
        database.start()
        return
    assert isinstance(database, Sqlite)
    for suffix in ("", "-wal", "-shm"):  # the folder of workspaces stays as it is
        database.file.with_name(f"{database.file.name}{suffix}").unlink(missing_ok=True)
    shutil.move(copy, database.file)
