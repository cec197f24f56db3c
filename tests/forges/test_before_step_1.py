"""What a portal knows of real credentials before a run: it asks the doubles of GitHub and GitLab, over real sockets."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal_actions_plugin.doctor import forges as doctor
from portal_actions_plugin.runs.forges import listing, requirements
from portal_actions_plugin.scm.github.access import app as app_module
from portal_actions_plugin.scm.remote import transport
from tests.support.forges.faults import html_page
from tests.support.forges.github import GitHubDouble
from tests.support.forges.gitlab import GitLabDouble
from tests.support.people import Person

API = "/api/v1"


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    for module, name in ((requirements, "START_SECONDS"), (listing, "PAGE_SECONDS"), (doctor, "FORGES_SECONDS")):
        monkeypatch.setattr(module, name, 60.0)
    for kind in ("GITHUB", "GITLAB"):
        monkeypatch.delenv(f"PORTAL_ACTIONS_{kind}_TOKEN", raising=False)
    app_module.forget_all()
    yield
    transport.close_kept()


@pytest.fixture
def github():
    with GitHubDouble(enterprise="3.17.4") as double:
        double.add_user("mona")
        double.add_organization("acme", mona="admin")
        yield double


@pytest.fixture
def gitlab(tmp_path):
    with GitLabDouble(tmp_path / "gitlab") as double:
        yield double


@pytest.fixture
def portal(make_app):
    """A portal that has these forges."""

    def portal(**scm):
        return make_app(PORTAL_ACTIONS_SCM=scm, PORTAL_ACTIONS_RATE_LIMIT="1000 per minute")

    return portal


def ghe(github, **settings):
    return {"kind": "github", "url": github.url, "api_url": github.api_url, **settings}


def create(app, provider, owner="acme"):
    data = {"provider": provider, "owner": owner, "repo": "shop"}
    return Person(app.test_client(), "ada").post(f"{API}/actions/scm.createRepo@v1/runs", json={"input": data})


def listed(app, name):
    data = Person(app.test_client(), "vera").get(f"{API}/scm").json["data"]
    return next(forge for forge in data if forge["name"] == name)


def examined(app, name):
    with app.app_context():
        return [(one.level, one.message) for one in doctor.CHECK.look() if one.message.startswith(name)]


class TestGitHub:
    def test_a_scope_that_is_missing_is_named_before_there_is_a_run(self, portal, github):
        app = portal(ghe=ghe(github, token=github.classic_token("mona", "read:org").token))
        answer = create(app, "ghe")
        assert answer.status_code == 422
        assert answer.json["message"] == "mona may not create repositories on ghe for acme: it lacks the scope repo."
        assert github.log.writes() == []

    def test_one_that_has_it_starts_and_is_asked_about_once(self, portal, github):
        app = portal(ghe=ghe(github, token=github.classic_token("mona", "repo").token))
        assert create(app, "ghe").status_code == 202
        asked = github.log.count()
        assert create(app, "ghe").status_code == 202
        assert github.log.count() == asked

    def test_a_token_that_github_does_not_know(self, portal, github):
        app = portal(ghe=ghe(github, token="ghp_unknown1"))
        answer = create(app, "ghe")
        assert answer.status_code == 422
        assert "does not know the credential" in answer.json["message"]
        assert "ghp_unknown1" not in answer.text
        ((level, message),) = examined(app, "ghe")
        assert level == "critical"
        assert "ghp_unknown1" not in message
        assert listed(app, "ghe")["problem"]["error_code"] == "AUTH_ERROR"

    def test_an_app_that_lacks_a_permission(self, portal, github):
        installed, key = github.add_app("portal-bot", "mona", {"contents": "write"})
        github.install(installed, "acme")
        app = portal(ghe=ghe(github, app_id=installed.id, private_key=key))
        assert "it lacks the permission Administration (write)" in create(app, "ghe").json["message"]
        assert "is not installed on mona" in create(app, "ghe", "mona").json["message"]
        assert "installations/new" in create(app, "ghe", "mona").json["hint"]
        forge = listed(app, "ghe")
        assert (forge["owners"], forge["problem"]) == (["acme"], None)
        assert forge["missing"]["createRepo"] == "the permission Administration (write)"

    def test_no_app_creates_a_repository_in_a_personal_account(self, portal, github):
        installed, key = github.add_app("portal-bot", "mona", {"administration": "write"})
        github.install(installed, "mona")
        answer = create(portal(ghe=ghe(github, app_id=installed.id, private_key=key)), "ghe", "mona")
        assert "an App creates no repository in a personal account" in answer.json["message"]

    def test_the_doctor_says_the_version_and_what_is_missing(self, portal, github):
        app = portal(ghe=ghe(github, token=github.classic_token("mona", "repo").token))
        (first, second) = examined(app, "ghe")
        assert first[0] == second[0] == "ok"
        assert first[1].startswith(f"ghe: mona, GitHub Enterprise Server 3.17.4 at {github.url}, in ")
        assert "commit workflows of its CI (the scope workflow)" in second[1]

    def test_the_doctor_names_a_wrong_clock(self, portal, github):
        github.clock.skew = timedelta(hours=1)
        app = portal(ghe=ghe(github, token=github.classic_token("mona", "repo", "workflow", "read:org").token))
        (*_, (level, message)) = examined(app, "ghe")
        assert level == "warning"
        assert message == "ghe: this machine's clock is 60 min behind the forge's"

    def test_a_page_in_place_of_the_api_refuses_no_start(self, portal, github):
        github.faults.order("GET", "/user", html_page(), times=9)
        app = portal(ghe=ghe(github, token=github.classic_token("mona", "repo").token))
        assert create(app, "ghe").status_code == 202
        ((level, message),) = examined(app, "ghe")
        assert level == "warning"
        assert "HTML instead of JSON" in message


class TestGitLab:
    @pytest.fixture
    def token_with(self, gitlab):
        ada = gitlab.add_user("ada")
        return lambda *scopes: gitlab.add_token(ada, *scopes)

    def test_a_scope_that_is_missing_is_named(self, portal, gitlab, token_with):
        app = portal(lab={"kind": "gitlab", "url": gitlab.url, "token": token_with("read_api")})
        answer = create(app, "lab", "ada")
        assert answer.status_code == 422
        assert answer.json["message"].startswith("ada may not create repositories on lab for ada: ")
        assert "scope api" in answer.json["message"]
        assert gitlab.log.writes() == []

    def test_a_group_that_the_account_is_no_member_of(self, portal, gitlab, token_with):
        app = portal(lab={"kind": "gitlab", "url": gitlab.url, "token": token_with("api")})
        assert "sees no group nowhere" in create(app, "lab", "nowhere").json["message"]
        assert create(app, "lab", "ada").status_code == 202
        assert listed(app, "lab")["version"].startswith("GitLab ")
