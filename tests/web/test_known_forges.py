"""What is known of forges before a start: a start that a forge would refuse is refused itself, and no forge holds one up."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

from portal_actions_plugin.errors import AuthError, RemoteError
from portal_actions_plugin.runs.forges import reaching, requirements
from portal_actions_plugin.scm.base import Operation, Reach
from portal_actions_plugin.scm.optional import WORDS
from tests.support import fake_forge
from tests.support.people import Person
from tests.support.waiting import wait_until

API = "/api/v1"
NEW = {"provider": "fake", "owner": "acme", "repo": "shop"}
NO_REPOS = Reach("robot", "Fake Forge 1.0", missing={Operation.CREATE_REPO: "the scope repo"})

TEMPLATE = """\
apiVersion: portal-actions/v1
kind: Template
metadata: {name: service, title: Service}
spec:
  parameters:
    - title: Service
      required: [owner]
      properties:
        forge: {type: string, default: fake}
        owner: {type: string}
        withIssue: {type: boolean, default: false}
  steps:
    - {id: hello, action: debug.log@v1, input: {message: hi}}
    - id: create
      action: scm.createRepo@v1
      input: {provider: "${{ parameters.forge }}", owner: "${{ parameters.owner }}", repo: shop}
    - id: push
      action: scm.pushSkeleton@v1
      input:
        repo: ${{ steps.create.output.repo }}
        files: [{path: .github/workflows/ci.yml, content: x}]
    - id: propose
      if: ${{ parameters.withIssue }}
      action: scm.openPrOrMr@v1
      input: {repo: "${{ steps.create.output }}", headBranch: change, title: Change it}
    - id: later
      if: ${{ steps.create.output.repoUrl }}
      action: scm.openPrOrMr@v1
      input: {repo: "${{ steps.create.output }}", headBranch: other, title: Change it}
"""


PUBLISH = """\
apiVersion: scaffolder.backstage.io/v1beta3
kind: Template
metadata: {name: publish, title: Publish}
spec:
  owner: team:shop
  type: service
  parameters:
    - title: Service
      required: [repoUrl]
      properties:
        repoUrl: {type: string, ui:field: RepoUrlPicker}
  steps:
    - {id: publish, name: Publish, action: publish:github, input: {repoUrl: "${{ parameters.repoUrl }}"}}
"""


@pytest.fixture
def forge(monkeypatch):
    monkeypatch.setattr(requirements, "START_SECONDS", 60.0)
    yield (brought := fake_forge.bring(monkeypatch))
    brought.go_on()


@pytest.fixture
def start(forge, make_app, template_folder):
    """Start the template or an action as Ada, in a portal with these settings of the fake forge."""
    (template_folder / "service.yaml").write_text(TEMPLATE)
    (template_folder / "publish.yaml").write_text(PUBLISH)
    apps = {}

    def start(what, inputs, **settings):
        key = json.dumps(settings, default=str)
        if key not in apps:
            scm = {"fake": {"kind": "fake", "token": "s3cret-token", **settings}}
            apps[key] = make_app(PORTAL_ACTIONS_SCM=scm, PORTAL_ACTIONS_RATE_LIMIT="1000 per minute")
        kind, name = ("actions", "input") if "@" in what else ("templates", "inputs")
        start.app = apps[key]
        start.ada = lambda: Person(apps[key].test_client(), "ada")
        return start.ada().post(f"{API}/{kind}/{what}/runs", json={name: inputs})

    return start


def runs(answer):
    assert answer.status_code == 202, answer.json
    return answer.json


class TestRefusing:
    def test_a_one_off_names_its_field(self, forge, start):
        forge.reach = NO_REPOS
        answer = start("scm.createRepo@v1", NEW)
        assert answer.status_code == 422
        assert answer.json["message"] == "robot may not create repositories on fake for acme: it lacks the scope repo."
        assert answer.json["errors"] == {"provider": [answer.json["message"]]}
        assert answer.json["hint"] == "Ask your platform team to give it the scope repo."

    def test_a_template_names_the_input_that_names_the_forge(self, forge, start):
        forge.reach = NO_REPOS
        answer = start("service", {"owner": "acme"})
        assert answer.status_code == 422
        assert list(answer.json["errors"]) == ["forge"]
        assert "which the step create asks for" in answer.json["message"]

    def test_a_repo_url_names_the_forge_by_its_host(self, forge, start, monkeypatch):
        forge.reach = NO_REPOS
        answer = start("publish", {"repoUrl": "fake.example?owner=acme&repo=shop"}, url="https://fake.example")
        assert answer.status_code == 422
        assert list(answer.json["errors"]) == ["repoUrl"]
        assert answer.json["message"] == "fake is of the kind fake, and the step publish is for github."
        registry = start.app.extensions["portal_actions"].registry
        publish = registry.get("publish:github")
        monkeypatch.setitem(registry._actions, publish.id, replace(publish, forges=("fake",)))
        answer = start("publish", {"repoUrl": "fake.example?owner=acme&repo=shop"}, url="https://fake.example")
        assert list(answer.json["errors"]) == ["repoUrl"]
        assert answer.json["message"].startswith("robot may not create repositories on fake for acme, which the step ")

    def test_a_host_that_no_forge_is_at_is_named_before_anything_runs(self, forge, start):
        answer = start("publish", {"repoUrl": "gitea.example?owner=acme&repo=shop"})
        assert answer.status_code == 422
        assert list(answer.json["errors"]) == ["repoUrl"]
        assert "gitea.example" in answer.json["message"]

    def test_what_a_later_step_needs_is_known_by_the_repository_that_an_earlier_one_makes(self, forge, start):
        forge.reach = Reach("robot", "Fake", missing={Operation.COMMIT_WORKFLOWS: "the scope workflow"})
        assert (
            "which the step push asks for: it lacks the scope workflow"
            in start("service", {"owner": "acme"}).json["message"]
        )

    def test_a_step_counts_when_it_is_known_that_it_will_be_run(self, forge, start):
        forge.reach = Reach("robot", "Fake", missing={Operation.OPEN_PULL: "the scope pulls"})
        runs(start("service", {"owner": "acme"}))
        answer = start("service", {"owner": "acme", "withIssue": True})
        assert "which the step propose asks for" in answer.json["message"]

    def test_no_run_and_nothing_of_the_limit_is_left_of_it(self, forge, start, make_app):
        forge.reach = NO_REPOS
        assert start("scm.createRepo@v1", NEW).status_code == 422
        assert Person(make_app().test_client(), "ada").get(f"{API}/action-runs").json["data"] == []

    def test_a_missing_credential(self, start):
        answer = start("scm.createRepo@v1", NEW, token=None)
        assert answer.status_code == 422
        assert "no credential for acme on fake" in answer.json["message"]
        assert "PORTAL_ACTIONS_SCM['fake']['token']" in answer.json["hint"]

    def test_a_credential_that_is_none_there(self, forge, start):
        forge.error = AuthError("Fake does not know s3cret-token.", hint="Make a new one instead of s3cret-token.")
        answer = start("scm.createRepo@v1", NEW)
        assert answer.status_code == 422
        assert answer.json["message"] == "Fake does not know •••."
        assert answer.json["hint"] == "Make a new one instead of •••."

    def test_what_the_forge_itself_cannot_do_is_known_without_asking(self, forge, make_app, monkeypatch):
        app = make_app(PORTAL_ACTIONS_SCM={"fake": {"kind": "fake", "token": "x"}})
        registry = app.extensions["portal_actions"].registry
        from dataclasses import replace

        create = registry.get("scm.createRepo@v1")
        monkeypatch.setitem(registry._actions, create.id, replace(create, operations=(Operation.DISPATCH_WORKFLOW,)))
        answer = Person(app.test_client(), "ada").post(f"{API}/actions/{create.id}/runs", json={"input": NEW})
        assert answer.status_code == 422
        assert answer.json["message"] == f"fake cannot {WORDS[Operation.DISPATCH_WORKFLOW]}."
        assert forge.asked == []

    def test_a_forge_that_this_portal_does_not_know(self, start):
        answer = start("service", {"owner": "acme", "forge": "gitea"})
        said = answer.json["message"]
        assert said.startswith("There is no SCM provider 'gitea': this portal knows local, ")
        assert said.endswith(", fake.")
        assert list(answer.json["errors"]) == ["forge"]

    def test_a_retry_is_looked_at_too(self, forge, start, monkeypatch):
        run = runs(start("scm.createRepo@v1", NEW))
        ada = start.ada()
        assert ada.post(f"{API}/action-runs/{run['id']}/cancel").status_code == 200
        forge.reach = NO_REPOS
        monkeypatch.setattr(reaching, "KEPT_SECONDS", 0.0)
        assert ada.post(f"{API}/action-runs/{run['id']}/retry").status_code == 422

    def test_of_a_repository_as_a_whole_the_reference_is_named(self, forge, start):
        forge.reach = Reach("robot", "Fake", missing={Operation.COMMIT: "the scope write"})
        file = {"repo": {**NEW, "defaultBranch": "main"}, "path": "README.md", "content": "x"}
        answer = start("scm.createOrUpdateFile@v1", file)
        assert answer.json["errors"] == {"repo": {"provider": [answer.json["message"]]}}


class TestAtTheLoadOfATemplate:
    """What a forge cannot do at all is wrong with a template that names it as plain text."""

    WRONG = """\
apiVersion: portal-actions/v1
kind: Template
metadata: {name: merging, title: Merging}
spec:
  steps:
    - {id: create, action: scm.createRepo@v1, input: {provider: PROVIDER, owner: acme, repo: shop}}
    - id: deploy
      action: scm.openPrOrMr@v1
      input: {repo: "${{ steps.create.output.repo }}", headBranch: change, title: Change it}
"""

    @pytest.fixture
    def problems(self, forge, make_app, template_folder, monkeypatch):
        monkeypatch.setattr(fake_forge, "OPERATIONS", frozenset({Operation.CREATE_REPO}))

        def problems(provider):
            (template_folder / "merging.yaml").write_text(self.WRONG.replace("PROVIDER", provider))
            app = make_app(PORTAL_ACTIONS_SCM={"fake": {"kind": "fake"}})
            return [str(one) for one in app.extensions["portal_actions"].folder_templates.list().problems]

        return problems

    def test_it_names_the_step_also_by_the_repository_of_an_earlier_one(self, problems, forge):
        assert problems("fake") == [
            "merging.yaml:8: spec.steps[1].action: fake cannot open pull requests, which scm.openPrOrMr@v1 asks for"
        ]
        assert forge.opened == 0

    @pytest.mark.parametrize("provider", ["local", "gitea", '"${{ parameters.forge }}"'])
    def test_a_forge_that_can_or_is_not_known_is_no_problem(self, problems, provider):
        assert [problem for problem in problems(provider) if "cannot" in problem] == []


class TestWhatItCosts:
    def test_a_start_that_names_no_remote_forge_opens_none(self, forge, start):
        runs(start("debug.log@v1", {"message": "hi"}))
        runs(start("scm.createRepo@v1", {**NEW, "provider": "local"}))
        assert (forge.opened, forge.asked) == (0, [])

    def test_many_starts_ask_once(self, forge, start):
        for _ in range(5):
            runs(start("service", {"owner": "acme"}))
        runs(start("service", {"owner": "ACME"}))
        assert forge.asked == ["acme"]

    def test_each_owner_is_asked_about(self, forge, start):
        runs(start("service", {"owner": "acme"}))
        runs(start("service", {"owner": "globex"}))
        assert forge.asked == ["acme", "globex"]

    def test_after_minutes_it_is_asked_again(self, forge, start, monkeypatch):
        runs(start("service", {"owner": "acme"}))
        monkeypatch.setattr(reaching, "KEPT_SECONDS", 0.0)
        runs(start("service", {"owner": "acme"}))
        assert forge.asked == ["acme", "acme"]

    def test_a_refusal_is_looked_at_again_once_it_is_some_seconds_old(self, forge, start, monkeypatch):
        forge.reach = NO_REPOS
        for _ in range(3):
            assert start("scm.createRepo@v1", NEW).status_code == 422
        assert forge.asked == ["acme"]
        forge.reach = Reach("robot", "Fake Forge 1.0")
        monkeypatch.setattr(requirements, "LOOK_AGAIN_SECONDS", 0.0)
        runs(start("scm.createRepo@v1", NEW))
        assert forge.asked == ["acme", "acme"]


class TestAForgeThatIsAway:
    def test_it_holds_up_no_start(self, forge, start, monkeypatch):
        monkeypatch.setattr(requirements, "START_SECONDS", 0.01)
        forge.hang()
        runs(start("service", {"owner": "acme"}))
        runs(start("service", {"owner": "acme"}))
        assert forge.asked == ["acme"]

    def test_its_answer_counts_when_it_comes_later(self, forge, start, monkeypatch):
        forge.reach = NO_REPOS
        monkeypatch.setattr(requirements, "START_SECONDS", 0.01)
        forge.hang()
        runs(start("scm.createRepo@v1", NEW))
        forge.go_on()
        wait_until(lambda: start("scm.createRepo@v1", NEW).status_code == 422)

    def test_an_error_that_passes_refuses_nothing(self, forge, start):
        forge.error = RemoteError("It has a problem.")
        runs(start("scm.createRepo@v1", NEW))
        runs(start("scm.createRepo@v1", NEW))
        assert forge.asked == ["acme"]

    def test_a_bug_of_a_provider_refuses_nothing_and_is_logged_without_its_credential(self, forge, start, caplog):
        forge.error = KeyError("s3cret-token")
        runs(start("scm.createRepo@v1", NEW))
        assert "fake could not be asked" in caplog.text
        assert "s3cret-token" not in caplog.text

    def test_starts_at_the_same_time_ask_once(self, forge, start):
        runs(start("debug.log@v1", {"message": "hi"}))  # the portal is made
        forge.hang()
        answers = []
        starts = [threading.Thread(target=lambda: answers.append(start("scm.createRepo@v1", NEW))) for _ in range(4)]
        for one in starts:
            one.start()
        wait_until(lambda: forge.asked)
        forge.go_on()
        for one in starts:
            one.join()
        assert [answer.status_code for answer in answers] == [202] * 4
        assert forge.asked == ["acme"]
