"""A run that has failed and cleans up, as pages, API, commands and bulk say it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from portal_actions_plugin.actions.context import ActionContext
from portal_actions_plugin.cli import actions
from portal_actions_plugin.errors import ConflictError
from portal_actions_plugin.run_types import TemplateRun
from portal_actions_plugin.runner.attempt import execute
from portal_actions_plugin.runner.attempt.prepare import Performer
from portal_actions_plugin.runs import bulk, service
from portal_actions_plugin.runs.reading import queries
from tests.support.people import Person, Visitor
from tests.support.run_helpers import ADA, HELLO, register, start, work_off

STEPS: tuple[dict[str, Any], ...] = (
    {**HELLO, "id": "greet", "name": "Greet"},
    {"id": "create", "name": "Create", "action": "test.create@v1"},
    {**HELLO, "id": "part", "name": "Part"},
    {"id": "delete", "name": "Delete", "action": "test.delete@v1", "if": "${{ failure() }}"},
    {**HELLO, "id": "tell", "name": "Tell", "if": "${{ always() }}"},
    {**HELLO, "id": "never", "name": "Never", "if": "${{ always() and failure() == false }}"},
)


@pytest.fixture
def portal(make_app: Callable[..., Flask]) -> Iterator[Flask]:
    app = make_app()
    with app.app_context():
        yield app


@pytest.fixture
def failing(portal: Flask, template_folder: Path) -> TemplateRun:
    """A run whose second step has failed, and that has not begun to clean up."""

    def create(ctx: ActionContext) -> None:
        ctx.link("Repository", "https://forge.example/r")
        raise ConflictError("The repository is there already.")

    def delete(ctx: ActionContext) -> None:
        ctx.link("Deleted", "https://forge.example/d")

    register(create=create, delete=delete)
    run = start(template_folder, *STEPS)
    go_on(run)
    go_on(run)
    return queries.template_run(run.id)


def go_on(run: TemplateRun) -> None:
    """Make the step that is queued, and no more."""
    [queued] = [step.run for step in queries.template_run(run.id).steps if step.status == "queued"]
    execute.perform(queued.id, Performer(str(uuid.uuid4()), "test"))


def test_a_run_that_cleans_up_says_so_with_its_first_error_and_what_is_still_to_run(
    portal: Flask, failing: TemplateRun
) -> None:
    page = Visitor(portal, "ada").see(f"/templates/runs/{failing.id}")
    assert page.one("h1").text == "Made failed, cleaning up"
    assert page.one(id="run-failure").text == (
        "Failed at “Create”: The repository is there already. The run is cleaning up, and ends as failed after that. "
        "Now: Delete. After that, if their conditions hold: Tell, Never."
    )
    assert [badge.text for badge in page.one(id="run-steps").all("span", class_="pa-badge")] == [
        *("success", "failed", "not run", "queued", "pending", "pending")
    ]
    assert page.one(id="run-receipt").text == "Canceling stops the cleanup at once. What is done stays: Greet."
    assert page.all("form", id="run-cancel")
    assert not [form for name in ("run-retry", "run-resume") for form in page.all("form", id=name)]
    assert "Running for" in page.one(id="run-meta").text


def test_a_run_that_has_cleaned_up_has_a_receipt_of_what_was_made_cleaned_up_and_left(
    portal: Flask, failing: TemplateRun
) -> None:
    work_off()
    page = Visitor(portal, "ada").see(f"/templates/runs/{failing.id}")
    assert page.one("h1").text == "Made failed"
    assert page.all(id="run-failure") == []
    receipt = page.one("div", id="run-receipt")
    assert [line.text for line in receipt.all("p")] == [
        "Failed. What was done by then is there unless it was cleaned up:",
        "Create failed: look at what it may have done · Repository",
        "After the failure these ran, to clean up:",
        "Left undone: Part.",
        "Resume does not undo what cleaned up. Where that took away what an earlier step had made, Retry makes it again.",
    ]
    assert [line.text for line in receipt.all("li")] == ["Greet", "Delete · Deleted", "Tell"]
    assert page.one("form", id="run-resume").text.strip().endswith("Resume from “Create”")


def test_a_receipt_says_when_not_all_was_cleaned_up(portal: Flask, template_folder: Path) -> None:
    def fail(ctx: ActionContext) -> None:
        raise ConflictError("No.")

    register(create=fail, delete=fail)
    run = start(template_folder, *STEPS[:4])
    work_off()
    page = Visitor(portal, "ada").see(f"/templates/runs/{run.id}")
    assert [line.text for line in page.one("div", id="run-receipt").all("p")][2:4] == [
        "Delete failed: look at what it may have done.",
        "So not all may have been cleaned up: look at what is left.",
    ]
    canceled = start(template_folder, *STEPS[:4])
    go_on(canceled)
    go_on(canceled)
    service.cancel_template_run(ADA, canceled.id)
    page = Visitor(portal, "ada").see(f"/templates/runs/{canceled.id}")
    assert "Delete was canceled before it began." in page.one("div", id="run-receipt").text
    assert page.one(id="run-verdict").text.endswith("CONFLICT"), "why it failed, which a cancel has not changed"


def test_the_api_says_where_a_running_run_has_failed_and_refuses_a_retry_until_it_has_ended(
    portal: Flask, failing: TemplateRun
) -> None:
    ada, path = Person(portal.test_client(), "ada"), f"/api/v1/template-runs/{failing.id}"
    about = ada.get(path).json
    assert (about["status"], about["failed_at_step"], about["finished_at"]) == ("running", "create", None)
    assert [step["error"] and step["error"]["code"] for step in about["steps"]][:3] == [None, "CONFLICT", None]
    for again in ("retry", "resume"):
        refused = ada.post(f"{path}/{again}", {})
        assert (refused.status_code, refused.json["error_code"]) == (409, "CONFLICT")
        assert "still cleans up" in refused.json["message"]
    listed = ada.get("/api/v1/template-runs?status=running").json["data"]
    assert [one["failed_at_step"] for one in listed] == ["create"]
    work_off()
    about = ada.get(path).json
    assert (about["status"], about["failed_at_step"]) == ("failed", "create")
    assert ada.post(f"{path}/resume", {}).status_code == 202


def test_commands_and_bulk_say_it_too(portal: Flask, failing: TemplateRun) -> None:
    shown = portal.test_cli_runner().invoke(actions, ["show", failing.id]).output
    assert "failed at create, and cleans up" in shown
    step = failing.steps[1].run.id
    [cancel] = bulk.plan(ADA, bulk.CANCEL, [step])
    assert cancel.words == "Will be canceled; it has failed, and what has not been cleaned up stays."
    [again] = bulk.plan(ADA, bulk.RETRY, [step])
    assert (again.works, again.words) == (False, "Has failed and still cleans up: once that is done it can be retried.")
