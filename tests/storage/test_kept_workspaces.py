"""How long workspaces and the files of templates are kept, and who deletes what nobody needs any more."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from portal_actions_plugin.doctor.workspaces import CHECK
from portal_actions_plugin.errors import ConflictError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.guards import offers
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.workspaces import shown
from portal_actions_plugin.runs.workspaces import folders, template_files
from portal_actions_plugin.runs.workspaces.stores.folder import FolderStore
from portal_actions_plugin.runs.workspaces.stores.opening import store
from portal_actions_plugin.runs.workspaces.stores.store import RUNS, TEMPLATES, Shelf
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import new_id, transaction
from portal_actions_plugin.storage.sql import now_plus
from portal_actions_plugin.upkeep import retention
from portal_actions_plugin.upkeep.kept_workspaces import tidy, tidy_thoroughly
from portal_actions_plugin.upkeep.prunable_runs import Ages
from tests.support.portal import PEOPLE
from tests.support.run_helpers import work_off
from tests.support.statements import counting
from tests.support.workspaces import fail, look, rows_of, start_steps, write

ADA = PEOPLE["ada"]
DAY = 24 * 3600


@pytest.fixture
def app(make_app: Callable[..., Flask], database_url: str) -> Iterator[Flask]:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, PORTAL_ACTIONS_RATE_LIMIT="10000 per hour")
    with app.app_context():
        yield app


@pytest.fixture
def failed(app: Flask, template_folder: Path) -> Callable[..., str]:
    """Let a run fail that has written a file; gives its id."""

    def run(content: str = "content", ended_days_ago: float = 0, **files: str) -> str:
        run_id = start_steps(template_folder, ("writes", write(a=content, **files)), ("reads", fail))
        work_off()
        end(run_id, ended_days_ago)
        return run_id

    return run


def end(run_id: str, days_ago: float) -> None:
    with transaction("test") as tx:
        whole = tables.template_runs.c
        tx.execute(update(tables.template_runs).where(whole.id == run_id).values(finished_at=now_plus(-days_ago * DAY)))


def is_kept(run_id: str) -> bool:
    [row] = rows_of(run_id)
    there = bool(store().sizes(Shelf(RUNS, run_id)))
    assert there is (row["emptied_at"] is None)
    return there


def test_workspaces_of_failed_runs_go_a_week_after_their_end(failed):
    old, new = failed(ended_days_ago=7.1), failed(ended_days_ago=6.9)
    assert tidy() == 1
    assert (is_kept(old), is_kept(new)) == (False, True)
    assert tidy() == 0


def test_a_resume_after_that_says_that_the_workspace_is_gone_and_is_not_offered(failed):
    run_id = failed(ended_days_ago=8)
    assert offers.resumable(ADA, queries.template_run(run_id))
    tidy()
    assert not offers.resumable(ADA, queries.template_run(run_id))
    with pytest.raises(ConflictError, match="workspace of this run is gone") as refused:
        service.resume_template_run(ADA, run_id)
    assert "Retry" in refused.value.hint
    assert service.retry_template_run(ADA, run_id).run.status == "queued"


def test_what_a_resumed_run_refers_to_stays_until_that_one_is_gone(app, template_folder, failed):
    source = failed(ended_days_ago=0)
    resumed = service.resume_template_run(ADA, source).run.id
    work_off()
    end(source, 9)
    end(resumed, 1)
    assert tidy() == 0
    end(resumed, 8)
    assert tidy() == 2
    assert (is_kept(source), is_kept(resumed)) == (False, False)


@pytest.fixture
def chain(app: Flask, template_folder: Path) -> Callable[..., list[str]]:
    """Let a run fail and be resumed, and that one again; the first has written one file, the second another."""

    def run(*ended_days_ago: float, last: Any = fail, first: str = "first") -> list[str]:
        tries = iter([fail, write(b="second"), fail, last])

        def try_next(ctx: Any, **given: Any) -> None:
            next(tries)(ctx, **given)

        steps = [("writes", write(a=first)), ("writes", try_next), ("writes", try_next)]
        ids = [start_steps(template_folder, *steps)]
        work_off()
        for _ in ended_days_ago[1:]:
            ids.append(service.resume_template_run(ADA, ids[-1]).run.id)
            work_off()
        for run_id, days_ago in zip(ids, ended_days_ago, strict=True):
            end(run_id, days_ago)
        return ids

    return run


def emptied(runs: list[str]) -> list[bool]:
    return [all(row["emptied_at"] is not None for row in rows_of(run_id)) for run_id in runs]


def test_a_chain_of_resumes_is_kept_for_its_last_run_which_has_all_that_those_before_it_made(app, chain):
    first, second, third = runs = chain(20, 15, 1)
    assert tidy_thoroughly().workspaces == 0
    assert offers.resumable(ADA, queries.template_run(third))
    files = {file.path: shown.download(third, file.path).content for file in shown.listing(third, 0, 9).files}
    assert files == {"a": b"first", "b": b"second"}
    assert [bool(store().sizes(Shelf(RUNS, run_id))) for run_id in runs] == [True, True, False]
    end(third, 8)
    assert tidy() == 3
    assert (emptied(runs), [*store().owners(RUNS)]) == ([True] * 3, [])
    assert not any(offers.resumable(ADA, queries.template_run(run_id)) for run_id in (first, second, third))


def test_a_chain_of_resumes_is_kept_while_its_last_run_is_at_work(app, chain):
    runs = chain(20, 15)
    runs.append(service.resume_template_run(ADA, runs[-1]).run.id)
    assert tidy_thoroughly().workspaces == 0
    assert emptied(runs) == [False] * 3


def test_a_chain_of_resumes_goes_once_its_last_run_has_succeeded(app, chain):
    runs = chain(20, 15, 1, last=look({}))
    assert queries.template_run(runs[-1]).status == "success"
    assert (tidy(), emptied(runs[:2]), [*store().owners(RUNS)]) == (2, [True] * 2, [])


def test_a_run_that_was_retried_is_not_kept_for_the_retry(failed):
    source = failed(ended_days_ago=8)
    again = service.retry_template_run(ADA, source).run.id
    work_off()
    assert (tidy(), is_kept(source), is_kept(again)) == (1, False, True)


def test_contents_that_resumed_runs_share_count_once(chain, monkeypatch):
    runs = chain(3, 2, 1, first="x" * 100)
    stored = sum(sum(store().sizes(Shelf(RUNS, run_id)).values()) for run_id in runs)
    monkeypatch.setattr(type(extension().config), "workspace_total", stored, raising=False)
    assert tidy() == 0
    monkeypatch.setattr(type(extension().config), "workspace_total", stored - 1, raising=False)
    assert (tidy(), emptied(runs)) == (2, [False, True, True])


def test_a_chain_goes_by_the_end_of_its_last_run_when_all_are_more_than_may_be_kept(chain, failed, monkeypatch):
    runs = chain(5, 4, 1)
    older, newer = failed("y" * 10, ended_days_ago=2), failed("z" * 10, ended_days_ago=0.5)
    monkeypatch.setattr(type(extension().config), "workspace_total", 12, raising=False)
    tidy()
    assert (emptied(runs), is_kept(older), is_kept(newer)) == ([True] * 3, False, True)


def test_those_that_ended_first_go_when_all_are_more_than_may_be_kept(failed, monkeypatch):
    monkeypatch.setattr(type(extension().config), "workspace_total", 25, raising=False)
    runs = [failed("x" * 10, ended_days_ago=days) for days in (1, 4, 2, 3)]
    assert tidy() == 2
    assert [is_kept(run_id) for run_id in runs] == [True, False, True, False]


def test_what_a_killed_process_has_left_on_the_store_goes(app, failed):
    run_id = failed()
    kept = set(store().sizes(Shelf(RUNS, run_id)))
    store().put(Shelf(RUNS, run_id), [("f" * 64, b"half saved")])
    tidy_thoroughly()
    assert set(store().sizes(Shelf(RUNS, run_id))) == kept


def test_what_belongs_to_no_run_goes(sqlite_url, make_app, template_folder):
    with make_app().app_context():
        at_work = start_steps(template_folder, ("writes", write(a="1")))
        of_nobody = new_id()
        for owner in (at_work, of_nobody, "no run at all"):
            store().put(Shelf(RUNS, owner), [("a" * 64, b"1")])
        store().put(Shelf(TEMPLATES, "b" * 64), [("b" * 64, b"1")])
        assert tidy_thoroughly().orphans == 3
        assert list(store().owners(RUNS)) == [at_work]
        assert list(store().owners(TEMPLATES)) == []


def test_a_workspace_goes_with_its_run(app, failed):
    run_id = failed(ended_days_ago=1)
    ended = timedelta(hours=2).total_seconds()
    with transaction("test") as tx:
        for table in (tables.template_runs, tables.action_runs):
            tx.execute(update(table).values(queued_at=now_plus(-DAY), announced_at=now_plus(0)))
    assert retention.prune("system:test", Ages(int(ended), 100 * DAY)).template_runs == 1
    assert rows_of(run_id) == []
    assert store().sizes(Shelf(RUNS, run_id)) == {}


def test_folders_of_processes_that_are_gone_go(sqlite_url, make_app, tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "_root", (tmp_path / "temporary").resolve)
    monkeypatch.setattr(folders, "LEFT_SECONDS", -1.0)
    with make_app().app_context():
        left = folders.make(str(uuid.uuid4()))
        (left / "closed").mkdir()
        (left / "closed" / "secret").touch()
        (left / "closed").chmod(0)
        tidy_thoroughly()
        assert not left.exists()


def test_a_folder_that_a_process_of_another_portal_works_in_stays(sqlite_url, make_app, tmp_path, monkeypatch):
    """Both run as one user on one machine: neither database knows the other's processes."""
    monkeypatch.setattr(folders, "_root", (tmp_path / "temporary").resolve)
    monkeypatch.setattr(folders, "LEFT_SECONDS", -1.0)
    at_work = folders.make(str(uuid.uuid4()))
    hold = folders.Hold(at_work)
    (at_work / "made").touch()
    with make_app().app_context():
        tidy_thoroughly()
        assert (at_work / "made").exists()
        hold.let_go()  # as a process that dies does
        tidy_thoroughly()
        assert not at_work.exists()


def test_a_folder_that_its_process_removes_meanwhile_is_no_matter(sqlite_url, make_app, tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "_root", (tmp_path / "temporary").resolve)
    monkeypatch.setattr(folders, "LEFT_SECONDS", -1.0)
    left, going = folders.make(str(uuid.uuid4())), folders.make(str(uuid.uuid4()))

    def time_after_removal() -> float:
        folders.remove_tree(going)
        return time.time()

    monkeypatch.setattr(folders, "time", SimpleNamespace(time=time_after_removal))
    with make_app().app_context():
        tidy_thoroughly()
    assert not left.exists()


# -- files of templates ------------------------------------------------------------------------------------------------

SKELETON = """\
apiVersion: portal-actions/v1
kind: Template
metadata: {name: skeleton, title: With a skeleton}
spec:
  owner: team:platform
  type: service
  parameters: []
  steps:
    - id: push
      name: Push
      action: scm.pushSkeleton@v1
      input: {repo: {provider: local, owner: acme, repo: orders}, skeleton: ./files, values: {}}
"""


@pytest.fixture
def skeleton(template_folder: Path) -> Path:
    (template_folder / "skeleton.yaml").write_text(SKELETON)
    folder = template_folder / "files"
    (folder / "bin").mkdir(parents=True)
    (folder / "README.md").write_text("as it was")
    (folder / "bin" / "run").write_bytes(b"\x00run")
    (folder / "bin" / "run").chmod(0o755)
    return folder


def template_of(name: str = "skeleton") -> Any:
    return extension().templates.get(name)


def test_a_run_has_the_files_of_its_template_as_they_were_whatever_becomes_of_the_checkout(app, skeleton):
    template = template_of()
    service.start_template_run(ADA, "skeleton", {})
    (skeleton / "README.md").write_text("changed")
    changed = template_files.read_skeleton(template, "./files")
    (skeleton / "README.md").unlink()
    gone = template_files.read_skeleton(template, "./files")
    as_it_was = [("README.md", b"as it was", False), ("bin/run", b"\x00run", True)]
    assert [(one.path, one.content, one.executable) for one in gone] == as_it_was
    assert changed == gone


def test_files_outside_of_the_templates_own_folder_are_kept_too(app, template_folder):
    step = "      action: fetch:plain\n      input: {url: ../shared/files}\n"
    (template_folder / "svc").mkdir()
    (template_folder / "svc" / "skeleton.yaml").write_text(f"{SKELETON.partition('      action')[0]}{step}")
    catalog = "apiVersion: backstage.io/v1alpha1\nkind: Location\nspec: {target: ./svc/skeleton.yaml}\n"
    (template_folder / "all.yaml").write_text(catalog)
    shared = template_folder / "shared" / "files"
    shared.mkdir(parents=True)
    (shared / "README.md").write_text("as it was")
    template = template_of()
    service.start_template_run(ADA, "skeleton", {})
    (shared / "README.md").unlink()
    for named, path in (("../shared/files", "README.md"), ("../shared/files/README.md", "README.md")):
        [found] = template_files.read_skeleton(template, named)
        assert (found.path, found.content) == (path, b"as it was")


def test_the_files_of_a_version_are_stored_once_and_a_start_without_any_asks_nothing_more(app, skeleton, monkeypatch):
    puts: list[Shelf] = []
    where = type(store())
    put = where.put

    def note(self: Any, shelf: Shelf, contents: Any) -> None:
        puts.append(shelf)
        put(self, shelf, contents)

    monkeypatch.setattr(where, "put", note)

    def start(name: str) -> list[str]:
        """Start it; gives what was asked of the database about files and workspaces."""
        with counting(app) as said:
            service.start_template_run(ADA, name, {"name": "orders"} if name == "two-steps" else {})
        return [text for text in said if "template_files" in text or "workspace" in text]

    assert start("two-steps") == []
    assert start("skeleton")
    assert (start("skeleton"), len(puts)) == ([], 1)
    extension().kept.clear()
    start("skeleton")
    assert len(puts) == 1, "another process finds them kept"


def test_files_that_no_run_needs_go(app, skeleton):
    started = service.start_template_run(ADA, "skeleton", {}).run.id
    [kept] = store().owners(TEMPLATES)
    with transaction("test") as tx:
        tx.execute(update(tables.template_files).values(used_at=now_plus(-9 * DAY)))
        tx.execute(update(tables.template_runs).values(queued_at=now_plus(-9 * DAY)))
    assert tidy_thoroughly().templates == 0
    service.cancel_template_run(ADA, started)
    end(started, 8)
    assert tidy_thoroughly().templates == 1
    assert list(store().owners(TEMPLATES)) == []
    assert kept == template_files.key_of(template_of())


def test_a_store_that_is_away_keeps_nobody_from_starting(app, skeleton, monkeypatch):
    monkeypatch.setattr(type(store()), "put", partial(_refuse))
    assert service.start_template_run(ADA, "skeleton", {}).run.status == "queued"


def _refuse(*_args: Any) -> None:
    from portal_actions_plugin.runs.workspaces.stores.store import unreachable

    raise unreachable("the store of this test", os.strerror(5))


# -- the doctor --------------------------------------------------------------------------------------------------------


def test_the_doctor_tells_a_store_that_is_not_the_one_of_others_and_one_that_takes_nothing(app, failed, tmp_path):
    def said() -> tuple[str, str]:
        [finding] = CHECK.look()
        assert (finding.mend is None) is (finding.level == "ok")
        return finding.level, finding.message

    assert said()[0] == "ok"
    failed()
    assert said()[0] == "ok", "its own files are there"
    extension().kept["workspaces"] = FolderStore(tmp_path / "another")
    level, message = said()
    assert (level, str(tmp_path / "another") in message) == ("warning", True)
    (tmp_path / "file").touch()
    extension().kept["workspaces"] = FolderStore(tmp_path / "file" / "below")
    level, message = said()
    assert (level, "cannot be resumed" in message) == ("warning", True)
