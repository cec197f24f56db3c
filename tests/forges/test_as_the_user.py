"""A run in its requester's name, against the doubles: their own token works there, and nobody sees it."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from portal_actions_plugin import plugin
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.scm.remote import transport
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading
from tests.support.forges.github import GitHubDouble
from tests.support.forges.gitlab import GitLabDouble
from tests.support.portal import PEOPLE
from tests.support.run_helpers import work_off

ADA = PEOPLE["ada"]
TEMPLATE = """\
apiVersion: portal-actions/v1
kind: Template
metadata: {name: own}
spec:
  steps:
    - id: create
      action: scm.createRepo@v1
      input: {provider: forge, owner: ada, repo: notes, initWithReadme: true, token: "${{ secrets.USER_OAUTH_TOKEN }}"}
    - id: write
      action: scm.createOrUpdateFile@v1
      input:
        repo: ${{ steps.create.output.repo }}
        path: notes.md
        content: "# Notes"
        token: ${{ secrets.USER_OAUTH_TOKEN }}
"""


@pytest.fixture(autouse=True)
def closed_connections():
    yield
    transport.close_kept()


@pytest.fixture
def run_as_ada(make_app, template_folder):
    """Run the template in a portal that has no credential of its own, with this token of Ada's."""
    (template_folder / "own.yaml").write_text(TEMPLATE)

    def run_as_ada(token, **forge):
        app = make_app(PORTAL_ACTIONS_SCM={"forge": forge}, PORTAL_ACTIONS_SECRET_KEYS=[Fernet.generate_key().decode()])
        with app.app_context():
            plugin.of(app).requester_secrets(lambda _identity, keys: dict.fromkeys(keys, token))
            run = service.start_template_run(ADA, "own", {}).run
            work_off()
            with reading() as db:
                stored = [
                    db.rows(select(table)) for table in (tables.action_runs, tables.log_lines, tables.checkpoints)
                ]
            assert token not in str(stored)
            return queries.template_run(run.id)

    return run_as_ada


def test_at_github(run_as_ada):
    with GitHubDouble(enterprise="3.17.4") as github:
        github.add_user("ada")
        token = github.classic_token("ada", "repo", name="Ada's own").token
        done = run_as_ada(token, kind="github", url=github.url, api_url=github.api_url)
        assert done.status == "success", done.steps
        assert {entry.credential for entry in github.log.entries()} == {"Ada's own"}
        assert github.files("ada/notes")["notes.md"] == b"# Notes"


def test_at_gitlab_it_is_a_bearers_as_oauth_has_it(run_as_ada, tmp_path):
    with GitLabDouble(tmp_path / "gitlab") as gitlab:
        token = gitlab.add_token(gitlab.add_user("ada"), "api", kind="oauth")
        done = run_as_ada(token, kind="gitlab", url=gitlab.url)
        assert done.status == "success", done.steps
        assert all("private-token" not in entry.header_names for entry in gitlab.log.entries())


def test_one_that_the_forge_ended_is_an_auth_error(run_as_ada):
    with GitHubDouble(enterprise="3.17.4") as github:
        github.add_user("ada")
        done = run_as_ada("gho_" + "x" * 36, kind="github", url=github.url, api_url=github.api_url)
        assert done.steps[0].run.error.code == "AUTH_ERROR"
