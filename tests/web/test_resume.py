"""Resuming a template run: a new run that begins where another one ended, and does nothing twice."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from marshmallow import Schema, fields

from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.errors import AuthError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.attempt import execute
from portal_actions_plugin.runner.attempt.prepare import Performer
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.runs.states import STATUSES
from tests.support.page_rows import TWO_STEPS, add_template_run
from tests.support.people import Person, Visitor
from tests.support.portal import PEOPLE
from tests.support.run_helpers import work_off

START = "/api/v1/templates/three/runs"
ORDERS = {"inputs": {"name": "orders"}}
THREE = """\
apiVersion: portal-actions/v1
kind: Template
metadata: {name: three, title: Three steps}
spec:
  owner: team:platform
  type: service
  parameters:
    - required: [name]
      properties:
        name: {type: string}
        token: {type: string, writeOnly: true}
  steps:
    - {id: make, name: Make, action: test.make@v1, input: {value: "${{ parameters.name }}"}}
    - {id: skipped, name: Skipped, if: false, action: debug.log@v1, input: {message: never}}
    - {id: check, name: Check, action: test.check@v1, input: {}}
    - {id: tell, name: Tell, action: debug.log@v1, input: {message: "made ${{ steps.make.output.repo }}"}}
  output:
    links: [{title: Repository, url: "https://forge.example/${{ steps.make.output.repo }}"}]
"""


class Anything(Schema):
    value = fields.Raw()


@dataclass
class Forge:
    """What the handlers did, and what is wrong with it just now."""

    asked: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    refuses: bool = True
    makes: bool = True
    cancels: bool = False

    def make(self, ctx: Any, value: Any = None) -> dict[str, Any]:
        self.asked.append("make")
        if not self.makes:
            raise AuthError("The forge makes nothing.")
        ctx.checkpoint("made", lambda: self.made.append(value))
        ctx.link("Repository", f"https://forge.example/{value}")
        if self.cancels:
            service.cancel_template_run(PEOPLE["ada"], ctx.run.template_run_id)
        return {"repo": value}

    def check(self, _ctx: Any, **_data: Any) -> None:
        self.asked.append("check")
        if self.refuses:
            raise AuthError("The forge refused the token.")


@pytest.fixture
def app(make_app: Callable[..., Flask], database_url: str) -> Iterator[Flask]:
    """A portal on each kind of database that takes secrets."""
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, PORTAL_ACTIONS_SECRET_KEYS=Fernet.generate_key().decode())
    with app.app_context():
        yield app


@pytest.fixture
def forge(app: Flask, template_folder: Path) -> Forge:
    """Two actions on a forge, and a template with them."""
    forge = Forge()
    for name, handler in {"make": forge.make, "check": forge.check}.items():
        declared = action(f"test.{name}@v1", title=name, input=Anything)(
            lambda ctx, handler=handler, **data: handler(ctx, **data)
        )
        extension().registry.add(declared, "the tests")
    (template_folder / "three.yaml").write_text(THREE)
    return forge


def rewrite(template_folder: Path, old: str, new: str) -> None:
    file = template_folder / "three.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def fail_a_run(ada: Person, body: Any = ORDERS) -> str:
    """Let a run fail at its second step; returns its address."""
    path: str = ada.post(START, body).headers["Location"]
    work_off()
    assert ada.get(path).json["status"] == "failed"
    return path


def work_one() -> None:
    queued = queries.action_runs(RunFilter(status=("queued",)), limit=1).items
    execute.perform(queued[0].id, Performer(str(uuid.uuid4()), "test"))


def statuses(run: Any) -> list[str]:
    return [step["status"] for step in run["steps"]]


def resume(person: Person, path: str, **kw: Any) -> Any:
    """Resume a run that is accepted; returns its address."""
    answer = person.post(f"{path}/resume", **kw)
    assert answer.status_code == 202, answer.json
    return answer.headers["Location"]


# -- what it does ------------------------------------------------------------------------------------------------------


def test_a_resumed_run_begins_at_the_failed_step_with_what_the_finished_ones_made(ada: Person, forge: Forge) -> None:
    failed = fail_a_run(ada)
    before = ada.get(failed).json
    forge.refuses = False
    answer = ada.post(f"{failed}/resume")
    assert answer.status_code == 202
    queued = answer.json
    assert (queued["retry_of"], queued["resumed_step"], queued["inputs"]) == (before["id"], "check", before["inputs"])
    assert statuses(queued) == ["success", "skipped", "queued", "pending"]
    assert queued["progress"] == {"done": 1, "total": 4}
    work_off()
    run = ada.get(answer.headers["Location"]).json
    assert (run["status"], statuses(run)) == ("success", ["success", "skipped", "success", "success"])
    assert forge.asked == ["make", "check", "check"]
    assert run["links"] == [{"title": "Repository", "url": "https://forge.example/orders"}]
    logs = ada.get(f"/api/v1/action-runs/{run['steps'][3]['id']}/logs").json["data"]
    assert [line["message"] for line in logs] == ["made orders"]
    assert ada.get(failed).json["retried_as"] == run["id"]


def test_a_step_that_was_taken_over_says_where_it_ran_and_nothing_of_an_attempt(ada: Person, forge: Forge) -> None:
    failed = fail_a_run(ada)
    [made] = [step for step in ada.get(failed).json["steps"] if step["step_id"] == "make"]
    taken = ada.get(resume(ada, failed)).json["steps"][0]
    assert taken["id"] != made["id"]
    assert taken["taken_over_from"] == failed.rpartition("/")[2]
    assert (taken["outputs"], taken["links"], taken["input"]) == (made["outputs"], made["links"], made["input"])
    assert (taken["attempt"], taken["started_at"], taken["duration_ms"]) == (0, None, None)
    assert made["taken_over_from"] is None


def test_trap_13_a_resumed_run_does_not_repeat_what_succeeded_as_a_retry_does(ada: Person, forge: Forge) -> None:
    failed = fail_a_run(ada)
    forge.refuses = False
    forge.asked.clear()
    resume(ada, failed)
    work_off()
    assert forge.asked == ["check"]
    forge.asked.clear()
    ada.post(f"{failed}/retry")
    work_off()
    assert forge.asked == ["make", "check"]


def test_a_resumed_run_has_the_template_as_it_was_and_a_retry_as_it_is(
    ada: Person, forge: Forge, template_folder: Path
) -> None:
    failed = fail_a_run(ada)
    forge.refuses = False
    rewrite(template_folder, "name: Tell, action: debug.log@v1", "name: Say, action: debug.log@v1")
    retry = ada.post(f"{failed}/retry").json
    assert retry["steps"][3]["name"] == "Say"
    ada.post(f"/api/v1/template-runs/{retry['id']}/cancel")
    path = resume(ada, failed)
    work_off()
    run = ada.get(path).json
    assert (run["status"], run["steps"][3]["name"]) == ("success", "Tell")


def test_a_resumed_run_that_fails_can_be_resumed_and_the_first_run_stays_the_origin(ada: Person, forge: Forge) -> None:
    first = fail_a_run(ada)
    second = resume(ada, first)
    work_off()
    forge.refuses = False
    third = resume(ada, second)
    work_off()
    run = ada.get(third).json
    assert (run["status"], run["retry_of"]) == ("success", second.rpartition("/")[2])
    assert run["steps"][0]["taken_over_from"] == first.rpartition("/")[2]
    assert forge.asked == ["make", "check", "check", "check"]


def test_a_retry_of_a_resumed_run_finds_what_the_first_run_made(ada: Person, forge: Forge) -> None:
    second = resume(ada, fail_a_run(ada))
    work_off()
    forge.refuses = False
    answer = ada.post(f"{second}/retry")
    assert (answer.status_code, answer.json["resumed_step"]) == (202, None)
    work_off()
    assert ada.get(answer.headers["Location"]).json["status"] == "success"
    assert forge.asked.count("make") == 2
    assert forge.made == ["orders"]


def test_a_canceled_run_is_resumed_at_the_step_that_was_canceled(ada: Person, forge: Forge) -> None:
    path = ada.post(START, ORDERS).headers["Location"]
    work_one()
    assert statuses(ada.post(f"{path}/cancel").json) == ["success", "skipped", "canceled", "not_run"]
    forge.refuses = False
    again = resume(ada, path)
    work_off()
    run = ada.get(again).json
    assert (run["status"], run["resumed_step"]) == ("success", "check")
    assert forge.asked == ["make", "check"]


def test_what_a_step_had_made_when_it_was_canceled_is_on_the_receipt(ada: Person, forge: Forge, app: Flask) -> None:
    forge.cancels = True
    path = ada.post(START, ORDERS).headers["Location"]
    work_off()
    run = ada.get(path).json
    assert (run["status"], run["steps"][0]["status"], run["steps"][0]["outputs"]) == ("canceled", "canceled", {})
    receipt = Visitor(app, "ada").see(f"/templates/runs/{run['id']}").one("div", class_="pa-receipt")
    assert "Make was canceled in the middle" in receipt.text
    assert receipt.links() == {"Repository": "https://forge.example/orders"}


def test_a_run_of_which_nothing_is_done_is_resumed_at_its_first_step(ada: Person, forge: Forge, app: Flask) -> None:
    forge.makes = False
    failed = fail_a_run(ada)
    page = Visitor(app, "ada").see(f"/templates/runs/{failed.rpartition('/')[2]}")
    assert [button.text for button in page.all("button", class_="pa-button")] == ["Retry"]
    forge.makes, forge.refuses = True, False
    path = resume(ada, failed)
    work_off()
    assert (ada.get(path).json["status"], ada.get(path).json["resumed_step"]) == ("success", "make")


def test_taken_over_steps_are_no_executions_and_in_no_list(ada: Person, forge: Forge, app: Flask) -> None:
    failed = fail_a_run(ada)
    executed = [run["id"] for run in ada.get("/api/v1/action-runs").json["data"]]
    assert len(executed) == 2
    run = ada.get(resume(ada, failed)).json
    [queued] = [run["id"] for run in ada.get("/api/v1/action-runs").json["data"] if run["id"] not in executed]
    assert queued == run["steps"][2]["id"]
    assert len(ada.get("/api/v1/action-runs?status=success").json["data"]) == 1
    assert len(Visitor(app, "ada").see("/actions").one("tbody").all("tr")) == 3


# -- when and for whom -------------------------------------------------------------------------------------------------


def test_only_a_failed_or_canceled_run_is_resumed(ada: Person, forge: Forge) -> None:
    forge.refuses = False
    path = ada.post(START, ORDERS).headers["Location"]
    assert ada.post(f"{path}/resume").status_code == 409
    work_one()
    answer = ada.post(f"{path}/resume")
    assert answer.status_code == 409
    assert "running" in answer.json["message"]
    work_off()
    answer = ada.post(f"{path}/resume")
    assert answer.status_code == 409
    assert "success" in answer.json["message"]
    assert len(ada.get("/api/v1/template-runs").json["data"]) == 1


def test_secrets_are_asked_for_again(ada: Person, forge: Forge) -> None:
    failed = fail_a_run(ada, {"inputs": {"name": "orders", "token": "hunter2"}})
    answer = ada.post(f"{failed}/resume")
    assert (answer.status_code, answer.json["errors"]) == (422, {"secrets": {"token": ["Is needed again."]}})
    forge.refuses = False
    path = resume(ada, failed, json={"secrets": {"token": "hunter3"}})
    work_off()
    assert ada.get(path).json["status"] == "success"
    assert "hunter" not in ada.get(path).text


def test_the_same_key_resumes_once_and_is_not_a_retrys(ada: Person, forge: Forge) -> None:
    failed = fail_a_run(ada)
    key = {"Idempotency-Key": "abc"}
    first = ada.post(f"{failed}/resume", headers=key)
    second = ada.post(f"{failed}/resume", headers=key)
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json["id"] == second.json["id"]
    assert second.headers["RateLimit-Remaining"] == first.headers["RateLimit-Remaining"]
    assert ada.post(f"{failed}/retry", headers=key).status_code == 422


def test_a_resume_counts_as_one_start(ada: Person, forge: Forge, margaret: Person) -> None:
    failed = fail_a_run(ada)
    left = []
    for _ in range(9):
        answer = ada.post(f"{failed}/resume")
        left.append(answer.headers["RateLimit-Remaining"])
        ada.post(f"{answer.headers['Location']}/cancel")
    assert left == [str(number) for number in range(8, -1, -1)]
    answer = ada.post(f"{failed}/resume")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    [entry] = margaret.get("/api/v1/audit?outcome=rate_limited").json["data"]
    assert (entry["event"], entry["target"]) == ("template_run.resume", "three")


def test_a_resume_is_audited(ada: Person, forge: Forge, margaret: Person) -> None:
    run_id = resume(ada, fail_a_run(ada)).rpartition("/")[2]
    [entry] = margaret.get(f"/api/v1/audit?run_id={run_id}").json["data"]
    assert (entry["actor"], entry["event"], entry["outcome"], entry["target"]) == (
        "user:ada@example.com",
        "template_run.resume",
        "accepted",
        "three",
    )


def test_nobody_and_a_viewer_may_not(
    ada: Person, forge: Forge, vera: Person, person: Callable[[str], Person], margaret: Person
) -> None:
    failed = fail_a_run(ada)
    assert person("").post(f"{failed}/resume").status_code == 401
    answer = vera.post(f"{failed}/resume")
    assert (answer.status_code, answer.json["error_code"]) == (403, "PERMISSION_DENIED")
    [entry] = margaret.get("/api/v1/audit?outcome=denied").json["data"]
    assert (entry["actor"], entry["event"]) == ("user:vera@example.com", "template_run.resume")
    assert len(ada.get("/api/v1/template-runs").json["data"]) == 1


@pytest.mark.parametrize("when", ["now", "then"])
def test_what_the_template_demands_now_and_what_it_demanded_then_both_count(
    ada: Person, forge: Forge, margaret: Person, template_folder: Path, app: Flask, when: str
) -> None:
    demanding = "  type: service\n  permissions: [audit:read]\n"
    if when == "then":
        rewrite(template_folder, "  type: service\n", demanding)
    failed = fail_a_run(margaret)
    if when == "now":
        rewrite(template_folder, "  type: service\n", demanding)
    else:
        rewrite(template_folder, demanding, "  type: service\n")
    address = f"/templates/runs/{failed.rpartition('/')[2]}"
    assert ada.post(f"{failed}/resume").status_code == 403
    assert "Resume from “Check”" not in [button.text for button in Visitor(app, "ada").see(address).all("button")]
    assert Visitor(app, "margaret").see(address).form("Resume from “Check”")
    resume(margaret, failed)


def test_a_template_that_is_gone_is_a_404_and_no_button(
    ada: Person, forge: Forge, template_folder: Path, app: Flask
) -> None:
    failed = fail_a_run(ada)
    (template_folder / "three.yaml").unlink()
    assert ada.post(f"{failed}/resume").status_code == 404
    assert (
        Visitor(app, "ada").see(f"/templates/runs/{failed.rpartition('/')[2]}").all("button", class_="pa-button") == []
    )


@pytest.mark.parametrize("who", ["vera", "bob", "ada", "margaret"])
@pytest.mark.parametrize("status", STATUSES)
def test_trap_13_no_button_says_yes_while_the_api_says_no_nor_the_other_way_round(
    app: Flask, person: Callable[[str], Person], status: str, who: str
) -> None:
    for verb, button in (("retry", "Retry"), ("resume", "Resume from “Shout”"), ("cancel", "Cancel")):
        run_id, _ = add_template_run(status, ("success", status), **TWO_STEPS)
        buttons = [shown.text for shown in Visitor(app, who).see(f"/templates/runs/{run_id}").all("button")]
        answer = person(who).post(f"/api/v1/template-runs/{run_id}/{verb}")
        assert (button in buttons) == (answer.status_code in (200, 202)), (verb, buttons, answer.json)
        assert answer.status_code in (200, 202, 403, 409)


def test_trap_13_a_run_whose_condition_is_broken_offers_retry_only(
    app: Flask, ada: Person, forge: Forge, template_folder: Path
) -> None:
    """The template as it was cannot go on, whoever mends it meanwhile."""
    rewrite(template_folder, "name: Check,", "name: Check, if: '${{ parameters.name > 3 }}',")
    failed = fail_a_run(ada)
    run_id = failed.rpartition("/")[2]
    buttons = [shown.text for shown in Visitor(app, "ada").see(f"/templates/runs/{run_id}").all("button")]
    assert [text for text in buttons if text.startswith(("Retry", "Resume"))] == ["Retry"]
    answer = ada.post(f"{failed}/resume")
    assert answer.status_code == 409
    assert "Retry instead" in answer.json["hint"]


def test_an_input_that_is_a_secret_by_now_is_not_copied_readable(
    ada: Person, forge: Forge, template_folder: Path
) -> None:
    failed = fail_a_run(ada)
    rewrite(template_folder, "portal-actions/v1", "scaffolder.backstage.io/v1beta3")
    rewrite(template_folder, "name: {type: string", "name: {type: string, writeOnly: true")
    answer = ada.post(f"{failed}/resume")
    assert answer.status_code == 409
    assert "name is a secret by now" in answer.json["message"]
