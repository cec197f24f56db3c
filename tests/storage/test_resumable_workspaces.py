"""What a resume needs of an older run is looked for before it starts: the page offers none that would be refused."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import delete, func, make_url, select, update

from portal_actions_plugin.doctor.workspaces import CHECK
from portal_actions_plugin.errors import ConfigurationError, ConflictError, UnavailableError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.accept import Ask
from portal_actions_plugin.runs.guards import offers
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.workspaces import template_files
from portal_actions_plugin.runs.workspaces.stores.opening import store
from portal_actions_plugin.runs.workspaces.stores.store import RUNS, TEMPLATES, Shelf, unreachable
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading, transaction
from portal_actions_plugin.storage.sql import now_plus
from portal_actions_plugin.upkeep.kept_workspaces import tidy_thoroughly
from tests.support.people import Visitor
from tests.support.portal import PEOPLE
from tests.support.run_helpers import work_off
from tests.support.workspaces import fail, look, rows_of, start_steps, write

ADA = PEOPLE["ada"]
DAY = 24 * 3600


@pytest.fixture
def app(make_app: Callable[..., Flask], database_url: str) -> Iterator[Flask]:
    key = Fernet.generate_key().decode()
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, PORTAL_ACTIONS_SECRET_KEYS=[key])
    with app.app_context():
        yield app


@pytest.fixture
def failed(app: Flask, template_folder: Path) -> str:
    """A run that has written two files and failed; its third step would read them."""
    steps = ("writes", write(a="1", b="2")), ("", fail), ("reads", look({}))
    run_id = start_steps(template_folder, *steps)
    work_off()
    return run_id


def is_offered(run_id: str) -> bool:
    return offers.resumable(ADA, queries.template_run(run_id)) is not None


def refused(run_id: str, error: type[Exception], match: str, ask: Ask | None = None) -> str:
    """Have a resume refused before anything is started; gives the hint."""
    before = number_of_runs()
    with pytest.raises(error, match=match) as told:
        service.resume_template_run(ADA, run_id, ask or Ask())
    assert number_of_runs() == before
    return str(told.value.hint)  # type: ignore[attr-defined]


def number_of_runs() -> int:
    with reading() as db:
        [row] = db.rows(select(func.count().label("runs")).select_from(tables.template_runs))
    return int(row["runs"])


def names_of(run_id: str) -> list[str]:
    return sorted(store().sizes(Shelf(RUNS, run_id)))


@pytest.mark.parametrize("lost", [1, 2])
def test_a_run_whose_files_are_lost_is_retried_and_not_resumed(failed, lost):
    assert is_offered(failed)
    store().delete(Shelf(RUNS, failed), names_of(failed)[:lost])
    assert not is_offered(failed)
    hint = refused(failed, ConflictError, f"{store().describe()} lacks {lost} of its 2 files")
    assert "retry the run" in hint
    assert service.retry_template_run(ADA, failed).run.status == "queued"


def test_a_resume_that_is_asked_for_again_is_answered_though_what_it_took_is_gone_by_now(failed):
    ask = Ask(idempotency_key="once")
    first = service.resume_template_run(ADA, failed, ask)
    store().delete(Shelf(RUNS, failed), names_of(failed))
    again = service.resume_template_run(ADA, failed, ask)
    assert (again.run.id, again.replayed) == (first.run.id, True)
    refused(failed, ConflictError, "lacks 2 of its 2 files", Ask(idempotency_key="another"))


def test_a_run_that_was_resumed_needs_the_files_of_the_one_before(failed):
    again = service.resume_template_run(ADA, failed).run.id
    work_off()
    assert (is_offered(again), names_of(again)) == (True, [])
    store().clear(Shelf(RUNS, failed))
    assert not is_offered(again)
    refused(again, ConflictError, "lacks 2 of its 2 files")


def test_what_a_step_that_is_left_does_not_use_may_be_lost(app, template_folder):
    run_id = start_steps(template_folder, ("writes", write(a="1")), ("", fail))
    work_off()
    store().clear(Shelf(RUNS, run_id))
    assert is_offered(run_id)
    assert service.resume_template_run(ADA, run_id).run.status == "queued"


def test_a_page_asks_no_store_that_is_far_and_a_resume_does(failed, monkeypatch):
    where = type(store())
    monkeypatch.setattr(where, "is_near", False)
    monkeypatch.setattr(where, "lacks", lambda *_args: pytest.fail("a page asks it"))
    assert is_offered(failed)
    monkeypatch.setattr(where, "lacks", lambda _self, _shelf, names: set(names))
    refused(failed, ConflictError, "lacks 2 of its 2 files")
    monkeypatch.setattr(where, "lacks", _does_not_answer)
    refused(failed, UnavailableError, "does not answer")


def test_a_page_asks_a_store_that_is_near_once(app, template_folder, monkeypatch):
    run_id = start_steps(template_folder, ("writes", write(a="1")), ("reads", lambda _ctx, **_: no_setting()))
    work_off()
    asked = []
    lacks = type(store()).lacks
    monkeypatch.setattr(type(store()), "lacks", lambda *given: asked.append(given) or lacks(*given))
    page = Visitor(app, "ada").see(f"/templates/runs/{run_id}")
    assert "would fail the same way" in page.one(id="run-choice").text
    assert len(asked) == 1


def no_setting() -> None:
    raise ConfigurationError("No token")


def test_a_store_that_is_near_and_does_not_answer_offers_no_resume(failed, monkeypatch):
    monkeypatch.setattr(type(store()), "lacks", _does_not_answer)
    assert not is_offered(failed)
    refused(failed, UnavailableError, "does not answer")


def _does_not_answer(*_args: Any) -> None:
    raise unreachable("the store of this test", "Input/output error")


def test_a_run_whose_files_are_in_another_store_says_so_before_it_is_resumed(failed):
    with transaction("test") as tx:
        tx.execute(update(tables.workspaces).values(store="bucket"))
    assert not is_offered(failed)
    refused(failed, ConfigurationError, "another store")


def test_a_run_whose_key_is_gone_says_so_before_it_is_resumed(app, template_folder, monkeypatch):
    steps = ("writes", write(a="1")), ("reads", fail)
    run_id = start_steps(template_folder, *steps, inputs={"token": "a-secret-4711"})
    work_off()
    assert [row["sealed_key"] is not None for row in rows_of(run_id)] == [True]
    assert is_offered(run_id)
    another = (Fernet.generate_key().decode(),)
    monkeypatch.setattr(type(extension().config), "secret_keys", another, raising=False)
    assert not is_offered(run_id)
    hint = refused(run_id, ConfigurationError, "No key opens", Ask(secrets={"token": "a-secret-4711"}))
    assert "PORTAL_ACTIONS_SECRET_KEYS" in hint


# -- a machine that was restored ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_machine_restored_without_its_folder_says_what_is_lost(app, failed, make_app, database_url, tmp_path):
    there = tmp_path / "restored" / "portal.db"
    there.parent.mkdir()
    with (
        closing(sqlite3.connect(str(make_url(database_url).database))) as source,
        closing(sqlite3.connect(there)) as to,
    ):
        source.backup(to)
    keys = list(extension().config.secret_keys)
    folder = Path(f"{make_url(database_url).database}-workspaces")
    with make_app(PORTAL_ACTIONS_DATABASE_URL=f"sqlite:///{there}", PORTAL_ACTIONS_SECRET_KEYS=keys).app_context():
        for action in app.extensions["portal_actions"].registry:
            if action.id not in extension().registry:
                extension().registry.add(action, "the tests")
        assert "this one was lost" in next(iter(CHECK.look())).message
        assert not is_offered(failed)
        assert "restored" in refused(failed, ConflictError, f"the folder {there}-workspaces lacks 2")
        shutil.copytree(folder, f"{there}-workspaces", dirs_exist_ok=True)
        assert next(iter(CHECK.look())).level == "ok"
        assert is_offered(failed)


def test_the_doctor_tells_of_some_workspaces_that_are_lost(failed, template_folder):
    other = start_steps(template_folder, ("writes", write(a="1")), ("reads", fail))
    work_off()
    assert next(iter(CHECK.look())).level == "ok"
    store().clear(Shelf(RUNS, other))
    found = next(iter(CHECK.look()))
    assert (found.level, "1 of the last 2 workspaces" in found.message) == ("warning", True)


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
    - {id: log, name: Log, action: debug.log@v1, input: {message: hello}}
    - id: push
      name: Push
      action: scm.pushSkeleton@v1
      input: {repo: {provider: local, owner: acme, repo: orders}, skeleton: ./files, values: {}}
"""


@pytest.fixture
def begun(app: Flask, template_folder: Path) -> str:
    """A run that failed at a step that takes files from beside its template."""
    (template_folder / "skeleton.yaml").write_text(SKELETON)
    (template_folder / "files").mkdir()
    (template_folder / "files" / "README.md").write_text("as it was")
    run_id = service.start_template_run(ADA, "skeleton", {}).run.id
    work_off()
    assert queries.template_run(run_id).status == "failed"
    return run_id


def test_a_run_whose_templates_files_have_changed_is_resumed_while_they_are_kept(begun, template_folder):
    (template_folder / "files" / "README.md").write_text("changed")
    assert is_offered(begun)
    with transaction("test") as tx:
        tx.execute(update(tables.template_runs).values(finished_at=now_plus(-8 * DAY), queued_at=now_plus(-8 * DAY)))
        tx.execute(update(tables.template_files).values(used_at=now_plus(-8 * DAY)))
    assert tidy_thoroughly().templates == 1
    assert not is_offered(begun)
    assert "Retry" in refused(begun, ConflictError, "files that skeleton had when this run began are gone")
    (template_folder / "files" / "README.md").write_text("as it was")
    assert is_offered(begun)
    extension().kept.clear()
    service.resume_template_run(ADA, begun)
    assert len([*store().owners(TEMPLATES)]) == 1, "kept anew for the run that goes on"


def test_a_store_that_does_not_say_whether_it_keeps_a_templates_files_is_away(begun, template_folder, monkeypatch):
    (template_folder / "files" / "README.md").write_text("changed")
    monkeypatch.setattr(type(store()), "lacks", _does_not_answer)
    assert not is_offered(begun)
    refused(begun, UnavailableError, "does not answer")


def test_a_run_whose_templates_files_are_in_another_folder_by_now_is_resumed_while_they_are_in_theirs(
    begun, template_folder
):
    """As after a new commit of a repository of templates, when no store has kept them."""
    shutil.copytree(template_folder, before := template_folder.parent / "before")
    with transaction("test") as tx:
        definition = tables.template_runs.c.definition
        [row] = tx.rows(select(definition))
        tx.execute(update(tables.template_runs).values(definition={**row["definition"], "folder": str(before)}))
        tx.execute(delete(tables.template_files))
    (template_folder / "files" / "README.md").write_text("changed")
    assert is_offered(begun)
    shutil.rmtree(before)
    assert not is_offered(begun)


def test_files_stay_for_a_run_that_was_resumed_though_nobody_noted_its_start(begun):
    again = service.resume_template_run(ADA, begun).run.id
    with transaction("test") as tx:
        tx.execute(update(tables.template_files).values(used_at=now_plus(-9 * DAY)))
        whole = tables.template_runs
        tx.execute(update(whole).where(whole.c.id == begun).values(finished_at=now_plus(-9 * DAY)))
    assert tidy_thoroughly().templates == 0
    service.cancel_template_run(ADA, again)
    with transaction("test") as tx:
        tx.execute(update(tables.template_runs).values(finished_at=now_plus(-9 * DAY)))
    assert tidy_thoroughly().templates == 1


def test_files_that_a_restored_store_does_not_have_are_kept_again(begun):
    [key] = store().owners(TEMPLATES)
    store().clear(Shelf(TEMPLATES, key))
    extension().kept.clear()
    template = extension().templates.get("skeleton")
    template_files.keep(template)
    assert store().lacks(Shelf(TEMPLATES, key), [key]) == set()
