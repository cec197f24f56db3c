"""Steps of Backstage's templates whose action is not there, and that a run may pass by."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from tests.support.people import Person, Visitor
from tests.support.run_helpers import work_off

TEMPLATE = """\
apiVersion: scaffolder.backstage.io/v1beta3
kind: Template
metadata: {name: two-forges, title: Two forges}
spec:
  owner: team:platform
  type: service
  parameters:
    - properties: {forge: {type: string, enum: [ours, theirs], default: ours}}
  steps:
    - id: theirs
      if: ${{ parameters.forge === 'theirs' }}
      action: publish:elsewhere
      input: {repoUrl: x}
    - id: log
      action: debug:log
      input: {message: "${{ steps.theirs.output.remoteUrl or 'nowhere' }}"}
"""


@pytest.mark.parametrize(
    ("inputs", "status", "of_steps"), [({}, "success", ["skipped", "success"]), ({"forge": "theirs"}, "failed", None)]
)
def test_a_run_that_passes_it_by_succeeds_and_one_that_comes_to_it_says_what_is_missing(
    app: Flask, ada: Person, template_folder: Path, inputs: dict[str, str], status: str, of_steps: list[str] | None
) -> None:
    (template_folder / "two-forges.yaml").write_text(TEMPLATE)
    started = ada.post("/api/v1/templates/two-forges/runs", {"inputs": inputs})
    assert started.status_code == 202, started.text
    work_off()
    run = ada.get(started.headers["Location"]).json
    assert run["status"] == status
    Visitor(app, "ada").see(f"/templates/runs/{run['id']}")
    if of_steps:
        assert [step["status"] for step in run["steps"]] == of_steps
    else:
        error = run["steps"][0]["error"]
        assert "publish:elsewhere is not installed" in error["message"]
