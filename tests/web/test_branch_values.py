"""A run that was kept with a value of a branch that is not shown is not repeated with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import update

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import transaction
from tests.support.run_helpers import ADA

HOSTS = """\
apiVersion: {version}
kind: Template
metadata: {{name: {name}}}
spec:
  parameters:
    required: [host]
    properties: {{host: {{type: string, enum: [gh, gl]}}}}
    dependencies:
      host:
        oneOf:
          - {{properties: {{host: {{enum: [gh]}}, org: {{type: string}}}}}}
          - {{properties: {{host: {{enum: [gl]}}, group: {{type: string}}}}}}
  steps:
    - {{id: say, action: debug.log@v1, input: {{message: "${{{{ parameters.org or 'none' }}}}"}}}}
"""
VERSIONS = {"home": "scaffolder.backstage.io/v1beta3", "ours": "portal-actions/v1"}


@pytest.mark.fault("D18")
def test_a_retry_of_a_run_from_before_leaves_the_value_out_or_names_it(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    for name, version in VERSIONS.items():
        (tmp_path / f"{name}.yaml").write_text(HOSTS.format(version=version, name=name))
    with make_app(PORTAL_ACTIONS_TEMPLATE_PATH=[str(tmp_path)]).app_context():
        before = {name: service.start_template_run(ADA, name, {"host": "gl"}).run.id for name in VERSIONS}
        runs = tables.template_runs
        for run in before.values():
            service.cancel_template_run(ADA, run)
            with transaction("keep as before") as tx:
                kept = {"host": "gl", "group": "g", "org": "acme"}
                tx.execute(update(runs).where(runs.c.id == run).values(inputs=kept))
        again = service.retry_template_run(ADA, before["home"]).run.id
        assert queries.template_run(again).inputs == {"host": "gl", "group": "g"}
        with pytest.raises(ValidationError) as caught:
            service.retry_template_run(ADA, before["ours"])
        assert caught.value.fields == {"org": ["is unknown when host is gl"]}
