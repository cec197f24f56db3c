"""What ``flask actions doctor`` says of forges."""

from __future__ import annotations

from dataclasses import replace

import pytest

from portal_actions_plugin import plugin
from portal_actions_plugin.doctor import forges
from portal_actions_plugin.errors import AuthError, RemoteError
from portal_actions_plugin.scm.base import Operation, Reach
from tests.support import fake_forge

REACH = Reach("robot", "Fake Forge 1.0", skew=0.5)


@pytest.fixture
def forge(monkeypatch):
    monkeypatch.setattr(forges, "FORGES_SECONDS", 60.0)
    for kind in ("GITHUB", "GITLAB"):
        monkeypatch.delenv(f"PORTAL_ACTIONS_{kind}_TOKEN", raising=False)
    brought = fake_forge.bring(monkeypatch)
    brought.reach = REACH
    yield brought
    brought.go_on()


@pytest.fixture
def doctor(forge, make_app):
    def doctor(hook=None, **settings):
        app = make_app(PORTAL_ACTIONS_SCM={"fake": {"kind": "fake", "token": "s3cret-token", **settings}})
        if hook:
            plugin.of(app).scm_credentials(hook)
        with app.app_context():
            found = list(forges.CHECK.look())
        assert "s3cret" not in repr(found)
        return [(one.level, one.message, one.mend) for one in found if one.message.startswith("fake")]

    return doctor


def test_who_the_portal_is_and_what_it_may_not_do(forge, doctor):
    lacking = dict.fromkeys((Operation.CREATE_REPO, Operation.COMMIT), "the scope repo")
    forge.reach = replace(REACH, missing={**lacking, Operation.DISPATCH_WORKFLOW: "the scope workflow"})
    (first, second) = doctor(url="https://ada:s3cret@fake.example.com")
    assert first[0] == second[0] == "ok"
    assert first[1].startswith("fake: robot, Fake Forge 1.0 at https://fake.example.com, in ")
    assert second[1] == ("fake: what its credential may not do: commit files, create repositories (the scope repo)")


def test_the_forge_on_disk_has_a_line(forge, make_app):
    with make_app().app_context():
        (only,) = forges.CHECK.look()
    assert only.message.startswith("local: git repositories on this machine's disk, in ")


def test_a_credential_that_it_does_not_know_is_critical(forge, doctor):
    forge.error = AuthError("Fake does not know s3cret-token.", hint="Make another one.")
    assert doctor() == [("critical", "fake: Fake does not know •••.", "Make another one.")]


def test_a_missing_credential_is_critical_and_every_way_to_set_one_is_named(doctor):
    ((level, message, mend),) = doctor(token=None)
    assert (level, message) == ("critical", "fake: This portal has no credential for fake.")
    assert "PORTAL_ACTIONS_SCM['fake']['token']" in mend


def test_each_owner_of_the_settings_is_tried(forge, doctor):
    found = doctor(token=None, owners={"acme": {"token": "a"}, "globex": {}})
    assert [(level, message.partition(",")[0]) for level, message, _ in found] == [
        ("ok", "fake for acme: robot"),
        ("critical", "fake for globex: This portal has no credential for globex on fake."),
    ]


def test_a_hook_gives_them_by_owner(doctor):
    assert doctor(lambda _provider, _owner: "s3cret", token=None) == [
        ("ok", "fake: credentials come from the hook scm_credentials, by owner: none is tried", None)
    ]


def test_one_that_is_away_is_a_warning(forge, doctor):
    forge.error = RemoteError("Fake could not be reached.")
    ((level, message, mend),) = doctor()
    assert (level, message) == ("warning", "fake: Fake could not be reached.")
    assert "PORTAL_ACTIONS_SCM['fake']" in mend


def test_one_that_does_not_answer_is_waited_for_no_longer_than_all_may_take(forge, doctor, monkeypatch):
    monkeypatch.setattr(forges, "FORGES_SECONDS", 0.01)
    forge.hang()
    ((level, message, _),) = doctor()
    assert (level, message) == ("warning", "fake does not answer within 0.01 s: its runs wait or fail")


@pytest.mark.parametrize(("skew", "which"), [(300.0, "behind"), (-300.0, "ahead of")])
def test_a_wrong_clock_is_named(forge, doctor, skew, which):
    forge.reach = replace(REACH, skew=skew)
    _, (level, message, mend) = doctor()
    assert (level, message) == ("warning", f"fake: this machine's clock is 5 min {which} the forge's")
    assert "NTP" in mend
