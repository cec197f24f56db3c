"""Runs of several workers, whose credentials a forge lets make a few requests a second: nobody fails, and few are refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.states import OVER, SUCCESS
from tests.support.forges.github import GitHubDouble, secondary_limit
from tests.support.forges.rate_limit import Rate
from tests.support.run_helpers import ADA
from tests.support.waiting import wait_until
from tests.support.workers import Workers

OWNERS = ("acme", "umbrella")
RUNS, WORKERS, A_SECOND, LONGER_THAN_IS_SLEPT = 20, 4, 5, "6"
SERVICE = """\
apiVersion: portal-actions/v1
kind: Template
metadata: {name: service}
spec:
  owner: team:platform
  type: service
  parameters:
    required: [owner, name]
    properties: {owner: {type: string}, name: {type: string}}
  steps:
    - id: create
      action: scm.createRepo@v1
      input: {provider: github, owner: "${{ parameters.owner }}", repo: "${{ parameters.name }}", initWithReadme: true}
    - id: propose
      action: scm.openPrOrMr@v1
      input:
        repo: ${{ steps.create.output.repo }}
        headBranch: portal/pipeline
        title: Add a pipeline
        files: [{path: .ci/pipeline.yaml, content: "steps: []"}]
"""


@pytest.fixture
def github() -> Iterator[GitHubDouble]:
    with GitHubDouble() as double:
        double.add_user("ada")
        for owner in OWNERS:
            double.add_organization(owner, ada="admin")
        yield double


@pytest.fixture
def scm(github: GitHubDouble) -> dict[str, Any]:
    """A token for each owner, by which the double counts."""
    tokens = {owner: {"token": github.classic_token("ada", "repo", name=owner).token} for owner in OWNERS}
    return {"github": {"url": github.url, "api_url": github.api_url, "owners": tokens}}


@pytest.fixture
def app(
    make_app: Callable[..., Flask], database_url: str, template_folder: Path, scm: dict[str, Any]
) -> Iterator[Flask]:
    (template_folder / "service.yaml").write_text(SERVICE)
    app = make_app(
        PORTAL_ACTIONS_DATABASE_URL=database_url, PORTAL_ACTIONS_SCM=scm, PORTAL_ACTIONS_RATE_LIMIT="1000/minute"
    )
    with app.app_context():
        yield app


@pytest.mark.nightly
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_runs_of_many_workers_keep_to_a_limit_together(
    app: Flask, github: GitHubDouble, scm: dict[str, Any], start_workers: Callable[..., Workers]
) -> None:
    github.limiter.rate = Rate(A_SECOND)
    github.faults.order("POST", "/orgs/acme/repos", secondary_limit(retry_after=LONGER_THAN_IS_SLEPT))
    started = [
        service.start_template_run(ADA, "service", {"owner": OWNERS[number % 2], "name": f"service-{number}"}).run.id
        for number in range(RUNS)
    ]
    start_workers(WORKERS, PORTAL_ACTIONS_SCM=json.dumps(scm), PORTAL_ACTIONS_SWEEP_SECONDS=1)
    wait_until(lambda: all(queries.template_run(run_id).status in OVER for run_id in started))

    runs = [queries.template_run(run_id) for run_id in started]
    assert [step.run and step.run.error for run in runs for step in run.steps if step.status != SUCCESS] == []
    made = [queries.action_run(step.run.id) for run in runs for step in run.steps if step.run]
    assert {run.max_attempts - run.attempt for run in made} == {2}, "no attempt is used up"
    failed = [attempt for run in made for attempt in run.attempts[:-1]]
    assert {attempt.error_code for attempt in failed} == {"RATE_LIMITED"}, "a long wait gives the step back"
    refused = [entry for entry in github.log.entries() if entry.status in (403, 429)]
    assert 2 < len(refused) <= len(github.log.entries()) / 10
    assert len(github.repositories()) == RUNS
    assert [len(github.pulls(name)) for name in github.repositories()] == [1] * RUNS
