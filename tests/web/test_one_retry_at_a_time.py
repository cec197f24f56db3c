"""While a retry of a run is at work, another one answers with that run."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask

from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.filters import RunFilter
from tests.support.people import Person, Visitor
from tests.support.run_helpers import fail_a_run, work_off

LOG = "/api/v1/actions/debug.log@v1/runs"


def retries_of(run_id: str) -> list[str]:
    page = queries.template_runs(RunFilter(), limit=200)
    return [run.id for run in page.items if run.retry_of == run_id]


@pytest.mark.fault("0f")
@pytest.mark.parametrize("verb", ["retry", "resume"])
def test_of_twenty_retries_at_once_one_starts_a_run_and_the_others_name_it(
    app: Flask, ada: Person, template_folder: Path, verb: str
) -> None:
    path = fail_a_run(ada, template_folder)
    failed = path.rpartition("/")[2]

    def ask(_n: int) -> Any:
        return Person(app.test_client(), "ada").post(f"{path}/{verb}")

    with ThreadPoolExecutor(8) as people:
        answers = list(people.map(ask, range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [202]
    assert {answer.json["id"] for answer in answers} == set(retries_of(failed))
    assert len({answer.headers["Location"] for answer in answers}) == 1


@pytest.mark.fault("0f")
def test_a_retry_while_one_is_at_work_takes_nothing_from_the_limit(ada: Person, template_folder: Path) -> None:
    path = fail_a_run(ada, template_folder)
    left = ada.post(f"{path}/retry").headers["RateLimit-Remaining"]
    again = ada.post(f"{path}/resume")
    assert (again.status_code, again.headers["RateLimit-Remaining"]) == (200, left)


def test_once_the_retry_has_ended_another_one_starts_a_new_run(ada: Person, template_folder: Path) -> None:
    path = fail_a_run(ada, template_folder)
    first = ada.post(f"{path}/retry").json["id"]
    work_off()
    second = ada.post(f"{path}/retry")
    assert (second.status_code, second.json["id"] == first) == (202, False)


@pytest.mark.fault("0f")
def test_somebody_elses_retry_at_work_is_the_answer_too(
    ada: Person, person: Callable[[str], Person], template_folder: Path
) -> None:
    path = fail_a_run(ada, template_folder)
    assert person("bob").post(f"{path}/retry").json["id"] == ada.post(f"{path}/retry").json["id"]


@pytest.mark.fault("0f")
def test_a_one_off_is_run_again_once_at_a_time(ada: Person) -> None:
    path = ada.post(LOG, {"input": {"message": "hello"}}).headers["Location"]
    work_off()
    first, second = (ada.post(f"{path}/retry") for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json["id"] == second.json["id"]


@pytest.mark.fault("0f")
def test_whoever_presses_retry_while_one_is_at_work_is_led_there_and_told(
    app: Flask, ada: Person, template_folder: Path
) -> None:
    failed = fail_a_run(ada, template_folder).rpartition("/")[2]
    visitor = Visitor(app, "ada")
    pages = [visitor.see(f"/templates/runs/{failed}") for _ in range(2)]
    answers = []
    for page in pages:
        action, fields = page.form("Retry")
        answers.append(visitor.post(action, fields))
    [again] = retries_of(failed)
    assert [answer.location.partition("?")[0] for answer in answers] == [f"/templates/runs/{again}"] * 2
    assert "Nothing new was started: this retry was at work already." in visitor.see(answers[1].location).text
    assert "Nothing new was started" not in visitor.see(answers[0].location).text


@pytest.mark.parametrize(("given", "is_same"), [("first", True), ("second", False)])
def test_a_retry_with_other_secrets_is_another_one(
    make_app: Callable[..., Flask], database_url: str, template_folder: Path, given: str, is_same: bool
) -> None:
    template = template_folder / "two-steps.yaml"
    declared = "loud: {type: boolean, default: false}\n        token: {type: string, writeOnly: true}"
    template.write_text(template.read_text().replace("loud: {type: boolean, default: false}", declared))
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, PORTAL_ACTIONS_SECRET_KEYS=Fernet.generate_key().decode())
    with app.app_context():
        ada = Person(app.test_client(), "ada")
        run = ada.post("/api/v1/templates/two-steps/runs", {"inputs": {"name": "orders", "token": "wrong"}})
        path = run.headers["Location"]
        assert ada.post(f"{path}/cancel").status_code == 200
        first, again = (ada.post(f"{path}/retry", {"secrets": {"token": word}}) for word in ("first", given))
    assert (first.status_code, first.json["id"] == again.json["id"]) == (202, is_same)
