"""``GET /api/v1/scm``: the forges that a portal can use, as forms offer them."""

from __future__ import annotations

import pytest

from portal_actions_plugin import plugin
from portal_actions_plugin.errors import AuthError
from portal_actions_plugin.runs.forges import listing
from portal_actions_plugin.scm.base import Operation, Reach
from tests.support import fake_forge
from tests.support.people import Person
from tests.support.portal import decide

SCM = "/api/v1/scm"


@pytest.fixture
def forge(monkeypatch):
    monkeypatch.setattr(listing, "PAGE_SECONDS", 60.0)
    monkeypatch.delenv("PORTAL_ACTIONS_GITHUB_TOKEN", raising=False)
    monkeypatch.delenv("PORTAL_ACTIONS_GITLAB_TOKEN", raising=False)
    yield (brought := fake_forge.bring(monkeypatch))
    brought.go_on()


@pytest.fixture
def portal(forge, make_app):
    def portal(**settings):
        scm = {"fake": {"kind": "fake", "token": "s3cret-token", **settings}}
        return make_app(PORTAL_ACTIONS_SCM=scm)

    return portal


def listed(app, name="vera"):
    answer = Person(app.test_client(), name).get(SCM)
    assert answer.status_code == 200, answer.json
    return {forge["name"]: forge for forge in answer.json["data"]}


def test_it_says_what_can_be_done_where(forge, portal):
    forge.reach = Reach(
        "robot", "Fake Forge 1.0", missing={Operation.CREATE_REPO: "the scope repo"}, owners=("globex", "Acme")
    )
    fake = listed(portal(url="https://ada:s3cret@fake.example.com/x/", owners={"acme": {"token": "x"}, "zoo": {}}))[
        "fake"
    ]
    assert fake["url"] == "https://fake.example.com/x"
    assert (fake["kind"], fake["version"], fake["problem"]) == ("fake", "Fake Forge 1.0", None)
    assert fake["owners"] == ["Acme", "globex", "zoo"]
    assert fake["missing"] == {"createRepo": "the scope repo"}
    assert "commit" in fake["operations"]
    assert not {"createRepo", "dispatchWorkflow"} & set(fake["operations"])
    assert "scm.pushSkeleton@v1" in fake["actions"]
    assert not {"scm.createRepo@v1", "debug.log@v1"} & set(fake["actions"])


def test_the_forge_on_disk_is_there_when_it_is_set_up(portal, make_app):
    local = listed(portal())["local"]
    assert local["owners"] == ["acme"]
    assert "scm.createRepo@v1" in local["actions"]
    assert "local" not in listed(make_app(PORTAL_ACTIONS_LOCAL_SCM_ROOT=None))


def test_a_built_in_forge_that_nobody_has_set_up_is_not_there(portal):
    assert set(listed(portal())) == {"local", "fake"}


def test_who_may_not_read_templates_sees_none(portal, make_app):
    app = portal()
    assert Person(app.test_client(), "").get(SCM).status_code == 401
    decide(app, lambda _who, permission, _target: permission != "template:read")
    assert Person(app.test_client(), "ada").get(SCM).status_code == 403


def test_an_action_that_the_host_hides_is_not_named(portal):
    app = portal()
    decide(app, lambda _who, _permission, target: target != "scm.createRepo@v1")
    assert "scm.createRepo@v1" not in listed(app, "ada")["fake"]["actions"]


class TestProblems:
    def test_a_credential_that_the_forge_does_not_know(self, forge, portal):
        forge.error = AuthError("Fake does not know s3cret-token.", hint="Make another one.")
        fake = listed(portal())["fake"]
        assert fake["problem"] == {
            "error_code": "AUTH_ERROR",
            "message": "Fake does not know •••.",
            "hint": "Make another one.",
        }
        assert (fake["operations"], fake["actions"]) == ([], [])

    def test_a_missing_credential_is_not_told_by_where_it_should_lie(self, portal, tmp_path):
        problem = listed(portal(token={"file": str(tmp_path / "missing")}))["fake"]["problem"]
        assert problem["message"] == "This portal has no credential for fake that can be used."
        assert "doctor" in problem["hint"]
        assert str(tmp_path) not in str(problem)

    def test_credentials_of_single_owners_are_no_problem(self, portal):
        fake = listed(portal(token=None, owners={"acme": {"token": "x"}}))["fake"]
        assert fake["problem"] is None
        assert fake["owners"] == ["acme"]
        assert "commit" in fake["operations"]

    def test_a_hook_that_gives_them_is_no_problem(self, portal):
        app = portal(token=None)
        plugin.of(app).scm_credentials(lambda _provider, _owner: "x")
        assert listed(app)["fake"]["problem"] is None

    def test_a_forge_that_does_not_answer_holds_up_nothing(self, forge, portal, monkeypatch):
        monkeypatch.setattr(listing, "PAGE_SECONDS", 0.01)
        forge.hang()
        app = portal()
        assert listed(app)["fake"]["problem"]["message"] == "fake has not answered in time."
        assert listed(app)["fake"]["operations"] == []
        assert forge.asked == [None]


def test_it_is_asked_once_in_minutes(forge, portal):
    app = portal()
    listed(app)
    listed(app)
    assert forge.asked == [None]


def test_no_secret_is_in_it(portal):
    assert "s3cret" not in Person(portal(proxy="http://a:s3cret@b").test_client(), "vera").get(SCM).text


def test_it_has_pages(portal):
    ada = Person(portal().test_client(), "ada")
    names, cursor = [], ""
    while cursor is not None:
        page = ada.get(f"{SCM}?limit=1{cursor and f'&cursor={cursor}'}").json
        names += [forge["name"] for forge in page["data"]]
        cursor = page["pagination"]["next_cursor"]
    assert names == sorted(listed(portal()))
    assert {"fake", "local"} <= set(names)
