"""Our own providers keep the contract that other packages' providers are tested by."""

from __future__ import annotations

import pytest

from portal_actions_plugin.scm.base import Collaborator, FileChange
from portal_actions_plugin.scm.github.provider import open_github
from portal_actions_plugin.scm.local.provider import open_local
from portal_actions_plugin.scm.opening import Opening
from portal_actions_plugin.scm.remote import transport
from portal_actions_plugin.settings.installations import Installation
from portal_actions_plugin.testing.provider_contract import ForgeUnderTest, ProviderContract
from tests.support.action_helpers import ADA
from tests.support.forges.benches import OWNER_NAME, GitLabBench, KeptPauses


class TestLocal(ProviderContract):
    @pytest.fixture
    def forge(self, tmp_path):
        (tmp_path / "acme").mkdir()
        opening = Opening(Installation("disk", "local"), ADA, local_root=tmp_path, local_url="https://forge.example")
        people = (Collaborator("grace", "write"), Collaborator("buyers", "read", is_team=True))
        return ForgeUnderTest(open_local, opening, "acme", collaborators=people)


class TestGitHub(ProviderContract):
    @pytest.fixture
    def forge(self, github):
        acme = github.double.state.accounts["acme"]
        for login in ("grace", "ada"):
            github.double.add_user(login)
        acme.teams["buyers"] = {"ada"}
        people = (Collaborator("grace", "write"), Collaborator("buyers", "read", is_team=True))
        workflow = FileChange(".github/workflows/ci.yml", b"on:\n  workflow_dispatch:\n    inputs:\n      env: {}\n")
        github.token = github.double.classic_token("mona", "repo", "workflow").token
        return ForgeUnderTest(
            open_github,
            github.opening(),
            "acme",
            collaborators=people,
            workflow="ci.yml",
            workflow_files=(workflow,),
            credential=github.token,
        )


class TestGitLab(ProviderContract):
    @pytest.fixture
    def forge(self, gitlab_bench):
        installation = gitlab_bench.installation()
        opening = Opening(Installation("gitlab-internal", "gitlab", installation.settings), ADA, pauses=KeptPauses())
        return ForgeUnderTest(
            gitlab_bench.open,
            opening,
            OWNER_NAME,
            collaborators=(Collaborator("bob", "write"),),
            workflow="the pipeline",
            workflow_files=(FileChange(".gitlab-ci.yml", b"build:\n  script: make\n"),),
            webhook_events=("push_events", "tag_push_events"),
            credential=str(installation.settings["token"]),
        )


@pytest.fixture(scope="module")
def gitlab_bench(tmp_path_factory):
    bench = GitLabBench(tmp_path_factory.mktemp("gitlab"))
    bench.double.add_user("bob")
    with bench.double:
        yield bench
        transport.close_kept()
