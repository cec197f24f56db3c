"""Inputs of Backstage's actions that nobody there knows: many templates have some, and run."""

from __future__ import annotations

from pathlib import Path

import pytest

from portal_actions_plugin.actions.registry import Registry
from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.field_messages import IS_UNKNOWN
from portal_actions_plugin.host import Severity
from portal_actions_plugin.software_templates.checking.literal_inputs import Fault, stops_runs
from portal_actions_plugin.software_templates.trial.report import Portal, State, try_folder

REGISTRY = Registry.from_entry_points()
OF_HOME = [one for one in REGISTRY if ":" in one.id]

TEMPLATE = """\
apiVersion: {version}
kind: Template
metadata: {{name: svc, title: Service}}
spec:
  owner: team:platform
  type: service
  parameters: []
  steps:
    - id: publish
      name: Publish
      action: publish:gitlab
      input:
        repoUrl: gitlab.com?owner=acme&repo=orders
        allowedHosts: [gitlab.com]
        descriptoin: mistyped
"""


@pytest.mark.parametrize("action", OF_HOME, ids=lambda action: action.id)
def test_each_ignores_an_input_that_it_does_not_know(action):
    refused = {}
    try:
        action.load_input({"nobodyKnows": 1})
    except ValidationError as error:
        refused = error.fields
    assert "nobodyKnows" not in refused


@pytest.mark.parametrize("action", OF_HOME, ids=lambda action: action.id)
def test_of_each_a_template_that_writes_one_is_known_to_run(action):
    assert not stops_runs(action, Fault(("nobodyKnows",), IS_UNKNOWN))


def test_a_template_that_writes_one_runs_and_its_owner_is_told(tmp_path: Path):
    (tmp_path / "svc.yaml").write_text(TEMPLATE.format(version="scaffolder.backstage.io/v1beta3"))
    (tried,) = try_folder(tmp_path, Portal(REGISTRY)).templates
    assert (tried.state, tried.problems) == (State.RUNS, ())
    (warning,) = tried.warnings
    assert (warning.severity, warning.key) == (Severity.WARNING, "spec.steps[0].input.descriptoin")


def test_in_a_template_of_ours_it_is_a_problem(tmp_path: Path):
    (tmp_path / "svc.yaml").write_text(TEMPLATE.format(version="portal-actions/v1"))
    (tried,) = try_folder(tmp_path, Portal(REGISTRY)).templates
    assert tried.state is not State.RUNS
    assert [one.key for one in tried.problems] == ["spec.steps[0].input.descriptoin"]
