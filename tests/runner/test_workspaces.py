"""The folder that the steps of a template run share: kept between steps, wherever the next one runs."""

from __future__ import annotations

import inspect
import os
import shutil
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import delete, select, update
from sqlalchemy.exc import OperationalError

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.attempt import call_handler, execute, time_left
from portal_actions_plugin.runner.attempt.prepare import Performer
from portal_actions_plugin.runner.process.job_process import JobProcess
from portal_actions_plugin.runner.process.shared_memory import Shared
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.accept import Ask
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.runs.workspaces import folders, generations, travel
from portal_actions_plugin.runs.workspaces.stores.opening import store
from portal_actions_plugin.runs.workspaces.stores.store import RUNS, Shelf
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.pause_points import set_visitor
from portal_actions_plugin.storage.sessions import database, reading, transaction
from tests.support.portal import PEOPLE
from tests.support.run_helpers import work_off
from tests.support.workspaces import fail, look, rows_of, start_steps, write

ADA = PEOPLE["ada"]
SECRET = "the secret of this run"


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where working folders of this test are."""
    place = (tmp_path / "temporary").resolve()
    monkeypatch.setattr(folders, "_root", lambda: place)
    return place


@pytest.fixture
def app(make_app: Callable[..., Flask], database_url: str) -> Iterator[Flask]:
    """A portal on each kind of database."""
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, PORTAL_ACTIONS_SECRET_KEYS=Fernet.generate_key().decode())
    with app.app_context():
        yield app


@pytest.fixture
def run_steps(app: Flask, template_folder: Path) -> Callable[..., str]:
    """Start a template whose steps are these handlers, by their use of the workspace; gives the run's id."""
    return partial(start_steps, template_folder)


def status(run_id: str) -> str:
    return queries.template_run(run_id).status


def error(run_id: str) -> tuple[str, str, str]:
    [step] = [one for one in queries.template_run(run_id).steps if one.status == "failed"]
    found = step.run and step.run.error
    assert found
    return found.code, found.message, found.hint


def step_off() -> None:
    """Make one step in a process of its own, which goes on with nothing."""
    [queued] = queries.action_runs(RunFilter(status=("queued",)), limit=1).items
    execute.perform(queued.id, Performer(str(uuid.uuid4()), "test"))


def go_on() -> None:
    """Make all steps in one process."""
    [queued] = queries.action_runs(RunFilter(status=("queued",)), limit=1).items
    execute.perform(queued.id, Performer(str(uuid.uuid4()), "test", may_go_on=lambda: True))


# -- from step to step -------------------------------------------------------------------------------------------------


def make_all_kinds(ctx: Any, **_input: Any) -> None:
    folder = ctx.workspace.folder
    (folder / "src").mkdir()
    (folder / "src" / "run.sh").write_bytes(b"#!/bin/sh\n\xff\x00")
    (folder / "src" / "run.sh").chmod(0o755)
    (folder / "empty").mkdir(mode=0o750)
    (folder / "link").symlink_to("src/run.sh")
    (folder / "src" / "up").symlink_to("../empty")
    (folder / "nothing.txt").touch()
    (folder / "same.txt").write_text("twice")
    (folder / "also.txt").write_text("twice")
    (folder / "closed").mkdir()
    (folder / "closed" / "key").write_text("mine")
    (folder / "closed" / "key").chmod(0o400)
    (folder / "closed").chmod(0o500)


def tree(folder: Path) -> list[tuple[str, int, str]]:
    found = []
    for place in sorted(folder.rglob("*")):
        mode = place.lstat().st_mode
        content = str(place.readlink()) if place.is_symlink() else place.read_bytes().hex() if place.is_file() else ""
        found.append((str(place.relative_to(folder)), 0 if place.is_symlink() else mode, content))
    return found


@pytest.mark.parametrize("make_steps", [step_off, go_on])
def test_the_next_step_has_every_file_folder_and_link_with_its_mode(run_steps, make_steps):
    trees = []

    def note(ctx: Any, **_input: Any) -> None:
        trees.append(tree(ctx.workspace.folder))

    def make(ctx: Any, **_input: Any) -> None:
        make_all_kinds(ctx)
        note(ctx)

    run_id = run_steps(("writes", make), ("reads", note), ("reads", note))
    while status(run_id) in ("queued", "running"):
        make_steps()
    assert status(run_id) == "success"
    assert len(trees) == 3
    assert len(trees[0]) == 10
    assert trees[0] == trees[1] == trees[2]


def test_what_a_step_that_reads_changes_is_not_kept(run_steps):
    seen: dict[str, str] = {}
    run_id = run_steps(("writes", write(a="1")), ("reads", write(a="2", b="new")), ("reads", look(seen)))
    go_on()
    assert (status(run_id), seen) == ("success", {"a": "1"})


def make_pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


def lead_out(folder: Path) -> None:
    (folder / "a").unlink()
    (folder / "a").symlink_to("/etc/passwd")


@pytest.mark.parametrize("leave", [make_pipe, lead_out, shutil.rmtree])
def test_what_no_workspace_can_hold_is_no_matter_to_the_next_step_of_the_process(run_steps, leave):
    seen: dict[str, str] = {}
    run_id = run_steps(
        ("writes", write(a="1")), ("reads", lambda ctx, **_: leave(ctx.workspace.folder)), ("reads", look(seen))
    )
    go_on()
    assert (status(run_id), seen) == ("success", {"a": "1"})


@pytest.mark.parametrize("leave", [lambda _folder: None, make_pipe, shutil.rmtree])
def test_the_folder_of_each_step_is_held_whatever_the_one_before_has_left(run_steps, monkeypatch, leave):
    monkeypatch.setattr(folders, "LEFT_SECONDS", -1.0)
    seen: list[list[Path]] = []

    def look_as_another_portal(ctx: Any, **_input: Any) -> None:
        assert ctx.workspace.path("a").exists()
        seen.append(list(folders.left_behind(lambda _tokens: set())))

    run_id = run_steps(
        ("writes", write(a="1")),
        ("reads", lambda ctx, **_: leave(ctx.workspace.folder)),
        ("reads", look_as_another_portal),
    )
    go_on()
    assert (status(run_id), seen) == ("success", [[]])


def test_what_a_failed_step_changes_is_not_kept(run_steps):
    def change_and_fail(ctx: Any, **_input: Any) -> None:
        ctx.workspace.path("a").write_text("2")
        fail(ctx)

    run_id = run_steps(("writes", write(a="1", b="1")), ("writes", change_and_fail), ("reads", look({})))
    work_off()
    assert status(run_id) == "failed"
    [row] = rows_of(run_id)
    assert (row["generation"], row["position"], row["files"], row["size"]) == (1, 0, 2, 2)


def test_what_a_step_has_deleted_is_gone_for_the_next_one(run_steps):
    seen: dict[str, str] = {}

    def delete(ctx: Any, **_input: Any) -> None:
        ctx.workspace.path("a/b").unlink()
        ctx.workspace.path("a").rmdir()
        ctx.workspace.path("a").write_text("a file now")

    run_steps(("writes", write(a__b="1", c="1")), ("writes", delete), ("reads", look(seen)))
    work_off()
    assert seen == {"a": "a file now", "c": "1"}


def test_an_action_that_declares_nothing_has_no_workspace(run_steps):
    run_id = run_steps(("", write(a="1")))
    work_off()
    assert error(run_id)[0] == "CONFIGURATION_ERROR"


def test_nothing_of_a_run_that_has_succeeded_is_kept(run_steps):
    run_id = run_steps(("writes", write(a="1")), ("writes", write(b="1")))
    step_off()
    assert store().sizes(Shelf(RUNS, run_id))
    step_off()
    assert (status(run_id), rows_of(run_id), dict(store().sizes(Shelf(RUNS, run_id)))) == ("success", [], {})
    assert run_id not in set(store().owners(RUNS))


def test_only_what_has_changed_travels(run_steps, monkeypatch):
    put: list[str] = []
    got: list[str] = []
    where = type(store())
    putting, getting = where.put, where.get

    def note_put(self: Any, shelf: Shelf, contents: Any) -> None:
        kept = list(contents)
        put.extend(content.decode() for _, content in kept)
        putting(self, shelf, kept)

    def note_get(self: Any, shelf: Shelf, names: Any) -> Any:
        got.extend(names)
        return getting(self, shelf, names)

    monkeypatch.setattr(where, "put", note_put)
    monkeypatch.setattr(where, "get", note_get)
    steps = ("writes", write(a="1", b="same")), ("writes", write(a="2", c="same")), ("writes", write(d="3"))
    run_id = run_steps(*steps, ("", fail))
    go_on()
    assert status(run_id) == "failed"
    assert (sorted(put), got) == (["1", "2", "3", "same"], [])
    assert len(store().sizes(Shelf(RUNS, run_id))) == 3, "what was replaced is deleted"


def test_what_was_replaced_stays_while_another_process_may_write_it_again(run_steps):
    run_id = run_steps(("writes", write(a="1")), ("writes", write(a="2")), ("", fail))
    step_off()
    step_off()
    assert len(store().sizes(Shelf(RUNS, run_id))) == 2


def test_a_step_that_changes_nothing_writes_nothing(run_steps):
    run_id = run_steps(("writes", write(a="1")), ("writes", write(a="1")), ("", fail))
    work_off()
    assert [row["generation"] for row in rows_of(run_id)] == [1]


# -- what may be kept --------------------------------------------------------------------------------------------------


def make_link_out(ctx: Any, **_input: Any) -> None:
    ctx.workspace.path("way").symlink_to("../../..")


def make_absolute_link(ctx: Any, **_input: Any) -> None:
    ctx.workspace.path("way").symlink_to(ctx.workspace.folder)


def make_pipe(ctx: Any, **_input: Any) -> None:
    os.mkfifo(ctx.workspace.path("way"))


def make_odd_name(ctx: Any, **_input: Any) -> None:
    Path(os.fsdecode(os.fsencode(ctx.workspace.folder) + b"/way-\xff")).touch()


@pytest.mark.parametrize("make", [make_link_out, make_absolute_link, make_pipe, make_odd_name])
def test_what_cannot_be_kept_fails_its_step_by_name(run_steps, make):
    run_id = run_steps(("writes", make), ("", fail))
    work_off()
    code, message, _ = error(run_id)
    assert (code, rows_of(run_id)) == ("VALIDATION_ERROR", [])
    assert "way" in message


def test_a_workspace_that_is_too_large_names_the_file_and_the_limit(app, run_steps, monkeypatch):
    monkeypatch.setattr(type(extension().config), "max_workspace_bytes", 10, raising=False)
    run_id = run_steps(("writes", write(a="123", big="123456789")), ("", fail))
    work_off()
    code, message, hint = error(run_id)
    assert code == "VALIDATION_ERROR"
    assert "big" in message
    assert "PORTAL_ACTIONS_MAX_WORKSPACE_BYTES" in hint


# -- secrets -----------------------------------------------------------------------------------------------------------


def contents_at_rest(tmp_path: Path, run_id: str) -> bytes:
    """All that is written down: the database's files or rows, the store, working folders."""
    found = [place.read_bytes() for place in tmp_path.rglob("*") if place.is_file()]
    with reading() as db:
        every = tables.metadata.sorted_tables
        found += [repr([dict(row) for row in db.rows(select(table))]).encode() for table in every]
    found += [content for _, content in store().get(Shelf(RUNS, run_id), list(store().sizes(Shelf(RUNS, run_id))))]
    return b"\n".join(found)


def test_a_secret_in_a_file_or_a_name_is_readable_nowhere_at_rest(run_steps, tmp_path):
    seen: dict[str, str] = {}

    def leak(ctx: Any, **_input: Any) -> None:
        ctx.workspace.path("config.ini").write_text(f"password={ctx.secret('token')}\n")
        ctx.workspace.path(f"of-{ctx.secret('token')}.bin").write_bytes(b"\xff" + ctx.secret("token").encode())

    run_id = run_steps(("writes", leak), ("reads", look(seen)), ("", fail), inputs={"token": SECRET})
    step_off()
    assert SECRET.encode() not in contents_at_rest(tmp_path, run_id)
    [row] = rows_of(run_id)
    assert (row["manifest"], row["sealed_manifest"] is None, row["sealed_key"] is None) == (None, False, False)


def test_a_secret_that_a_handler_learns_seals_all_of_the_workspace_from_then_on(run_steps, tmp_path):
    def learn(ctx: Any, **_input: Any) -> None:
        ctx.redact(SECRET)
        ctx.workspace.path("b").write_text(SECRET)

    seen: dict[str, str] = {}
    run_id = run_steps(("writes", write(a="not secret")), ("writes", learn), ("reads", look(seen)), ("", fail))
    step_off()
    step_off()
    at_rest = contents_at_rest(tmp_path, run_id)
    assert SECRET.encode() not in at_rest
    assert b"not secret" not in at_rest
    work_off()
    assert seen == {"a": "not secret", "b": SECRET}


def test_without_a_key_a_file_with_a_secret_is_refused_by_name(make_app, database_url, run_steps, app):
    def learn(ctx: Any, **_input: Any) -> None:
        ctx.redact(SECRET)
        ctx.workspace.path("plain.txt").write_text("fine")
        ctx.workspace.path("config.ini").write_text(f"password={SECRET}")

    config = extension().config
    object.__setattr__(config, "secret_keys", ())
    run_id = run_steps(("writes", learn), ("", fail))
    work_off()
    code, message, hint = error(run_id)
    assert code == "CONFIGURATION_ERROR"
    assert "config.ini" in message
    assert "PORTAL_ACTIONS_SECRET_KEYS" in hint
    assert rows_of(run_id) == []


# -- this machine ------------------------------------------------------------------------------------------------------


def test_a_folder_that_is_too_deep_for_the_standard_library_is_removed(tmp_path):
    deep = tmp_path / "top" / "/".join(["x"] * 120)
    deep.mkdir(parents=True)
    (deep / "file").write_text("")
    (deep / "link").symlink_to(tmp_path)
    (tmp_path / "kept").write_text("")
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    try:
        folders.remove_tree(tmp_path / "top")
    finally:
        sys.setrecursionlimit(usual)
    assert [one.name for one in tmp_path.iterdir()] == ["kept"]


def test_a_working_folder_is_private_and_gone_after_its_attempt(run_steps, temporary_folder):
    modes = []

    def note(ctx: Any, **_input: Any) -> None:
        folder = ctx.workspace.folder
        modes.extend(place.stat().st_mode & 0o777 for place in (folder, folder.parent))
        ctx.workspace.path("a").write_text("1")
        fail(ctx)

    run_steps(("writes", note))
    work_off()
    assert modes == [0o700, 0o700]
    assert list(temporary_folder.iterdir()) == []


def test_a_working_folder_that_others_may_read_is_not_used(run_steps, temporary_folder):
    folders.root().chmod(0o755)
    run_id = run_steps(("writes", write(a="1")))
    work_off()
    assert error(run_id)[0] == "CONFIGURATION_ERROR"


# -- resume and retry --------------------------------------------------------------------------------------------------


class Refusing:
    """A step that fails until it is told otherwise."""

    def __init__(self) -> None:
        self.refuses = True

    def __call__(self, ctx: Any, **_input: Any) -> None:
        if self.refuses:
            fail(ctx)


def test_a_resumed_run_has_the_workspace_as_the_last_finished_step_left_it(run_steps, monkeypatch):
    seen: dict[str, str] = {}
    refusing = Refusing()
    steps = ("writes", write(a="1", b="old")), ("writes", refusing), ("writes", write(b="new")), ("reads", look(seen))
    failed = run_steps(*steps, inputs={"token": SECRET})
    work_off()
    refusing.refuses = False
    resumed = service.resume_template_run(ADA, failed, Ask(secrets={"token": SECRET})).run.id
    step_off()
    step_off()
    owned = [len(store().sizes(Shelf(RUNS, run_id))) for run_id in (failed, resumed)]
    assert owned == [2, 1], "nothing was copied, and nothing deleted that the failed run may be resumed from again"
    work_off()
    assert (status(resumed), seen) == ("success", {"a": "1", "b": "new"})
    assert len(store().sizes(Shelf(RUNS, failed))) == 2


def test_a_retried_run_begins_with_an_empty_workspace(run_steps):
    seen = []

    def look_and_write(ctx: Any, **_input: Any) -> None:
        seen.append([one.path for one in ctx.workspace.files()])
        ctx.workspace.path("a").write_text("1")

    failed = run_steps(("writes", look_and_write), ("", fail))
    work_off()
    service.retry_template_run(ADA, failed)
    work_off()
    assert seen == [[], []]


def test_what_a_step_that_cleans_up_changes_is_for_those_that_clean_up_after_it_and_not_for_a_resume(run_steps):
    cleaned: list[list[str]] = []
    seen: dict[str, str] = {}
    refusing = Refusing()

    def clean(ctx: Any, **_input: Any) -> None:
        cleaned.append([one.path for one in ctx.workspace.files()])
        for one in ctx.workspace.files():
            one.file.unlink()

    always = "${{ always() }}"
    steps = ("writes", write(a="1")), ("writes", refusing), ("reads", look(seen))
    failed = run_steps(*steps, ("writes", clean, always), ("writes", clean, always))
    work_off()
    assert (status(failed), cleaned) == ("failed", [["a"], []])
    refusing.refuses = False
    resumed = service.resume_template_run(ADA, failed).run.id
    work_off()
    assert (status(resumed), seen, cleaned) == ("success", {"a": "1"}, [["a"], [], ["a"], []])


# -- a process that is killed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["workspace.put", "workspace.saved", "record.before", "succeed.before_commit"])
def test_a_process_that_is_killed_while_it_keeps_files_leaves_the_last_ones_and_nothing_on_the_machine(
    run_steps, temporary_folder, point
):
    seen: dict[str, str] = {}
    run_id = run_steps(("writes", write(a="1", b="1")), ("writes", write(a="2", c="2")), ("reads", look(seen)))
    step_off()
    [queued] = queries.action_runs(RunFilter(status=("queued",)), limit=1).items
    token = str(uuid.uuid4())
    job = JobProcess(
        fork_to_be_killed(queued.id, token, point), token, Shared(), orders=os.pipe()[1], words=os.pipe()[0]
    )
    while not job.wait(60):
        pass
    assert job.exit_status == -signal.SIGKILL
    assert list(temporary_folder.iterdir()) == [], "whoever reaps it removes what it had"
    assert [(row["generation"], row["size"]) for row in rows_of(run_id)] == [(1, 2)]
    with transaction("test") as tx:  # as a sweeper does, once its lease has lapsed
        again = {"status": "queued", "attempt": 0, "process_token": None, "lease_expires_at": None}
        tx.execute(update(tables.action_runs).where(tables.action_runs.c.id == queued.id).values(**again))
        tx.execute(delete(tables.attempts).where(tables.attempts.c.action_run_id == queued.id))
    work_off()
    assert (status(run_id), seen) == ("success", {"a": "2", "b": "1", "c": "2"})


def fork_to_be_killed(run_id: str, token: str, point: str) -> int:
    """A process that makes a run and kills itself at a pause point; gives its id."""
    database().close_connections()
    pid = os.fork()
    if pid:
        return pid
    try:
        set_visitor(lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == point else None)
        execute.perform(run_id, Performer(token, "test"))
    finally:
        os._exit(1)


def test_a_database_that_blinks_fails_no_step_with_a_workspace(run_steps, monkeypatch):
    """It may be the store, and has each run's place in it in any case."""
    blinks = [(type(store()), "put"), (travel, "bring"), (generations, "newest"), (call_handler, "read_skeleton")]
    for place, name in blinks:
        monkeypatch.setattr(place, name, blinking(getattr(place, name)))
    seen: dict[str, str] = {}
    run_id = run_steps(("writes", write(a="1")), ("reads", look(seen)))
    work_off()
    assert (status(run_id), seen) == ("success", {"a": "1"})
    with pytest.raises(ValidationError):  # what else it says is told
        call_handler._read_skeleton(extension().templates.get(queries.template_run(run_id).template), "./nothing")


def test_a_database_that_stays_away_is_named_for_what_it_is(run_steps, monkeypatch):
    monkeypatch.setattr(type(store()), "put", _away)
    monkeypatch.setattr(time_left, "ride_out", lambda work, _seconds: work())
    run_id = run_steps(("writes", write(a="1")))
    work_off()
    code, message, _ = error(run_id)
    assert (code, "The portal's database was away" in message) == ("REMOTE_ERROR", True)


def blinking(work: Callable[..., Any]) -> Callable[..., Any]:
    """As the work, but for the first time, when the database is away."""
    calls = count()

    def first_away(*args: Any, **kwargs: Any) -> Any:
        return work(*args, **kwargs) if next(calls) else _away()

    return first_away


def _away(*_args: Any) -> None:
    raise OperationalError("INSERT", {}, Exception("the server closed the connection"))
