"""A GitHub App against the double: where it is installed, which tokens it gets, how long they serve, and what is said."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal_actions_plugin.errors import AuthError, ConfigurationError
from portal_actions_plugin.scm.base import Author, Operation
from portal_actions_plugin.scm.github.access import app as app_module
from portal_actions_plugin.scm.github.access.credentials import GitHubCredentials, app_reach
from portal_actions_plugin.scm.opening import Opening
from portal_actions_plugin.scm.remote import transport
from portal_actions_plugin.scm.remote.client import ForgeClient, Place
from portal_actions_plugin.settings.installations import Installation
from tests.support.forges.faults import Reset
from tests.support.forges.github.double import GitHubDouble
from tests.support.forges.scripted import error_of, limit_of

RIGHTS = {"administration": "write", "contents": "write", "pull_requests": "write", "issues": "read"}
COMMIT = frozenset({Operation.COMMIT})


@pytest.fixture
def github(monkeypatch):
    monkeypatch.delenv("PORTAL_ACTIONS_GITHUB_TOKEN", raising=False)
    app_module.forget_all()
    with GitHubDouble() as double:
        double.add_user("mona")
        double.add_organization("acme", mona="admin")
        yield double
    app_module.forget_all()
    transport.close_kept()


@pytest.fixture(scope="module")
def private_key_of_another():
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


class Portal:
    """A portal that has an App, and what it masks, logs and asks for."""

    def __init__(self, github):
        self.github = github
        self.app, self.key = github.add_app("portal-bot", "mona", RIGHTS)
        self.redacted, self.lines = [], []

    def credentials(self, operations=frozenset(), **settings):
        given = {"app_id": self.app.id, "private_key": self.key, **settings}
        opening = Opening(
            Installation("github", "github", {key: value for key, value in given.items() if value is not None}),
            Author("Ada", "ada@example.org"),
            operations=operations,
            redact=self.redacted.append,
            log=self.lines.append,
        )
        client = ForgeClient(
            Place(self.github.api_url),
            opening,
            {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"},
            error_of,
            limit_of,
        )
        return GitHubCredentials(opening, client)

    def reach(self, owner, **settings):
        app = self.credentials(**settings).app(owner)
        assert app is not None
        return app_reach(app, owner)

    def minted(self):
        """What the double was asked for tokens with."""
        return self.github.log.entries("POST", "/app/installations/*/access_tokens")

    def token(self, credential):
        """The double's side of a token."""
        return next(one for one in self.github.state.credentials if one.token == credential.token)


@pytest.fixture
def portal(github):
    return Portal(github)


class TestTokens:
    def test_an_installation_is_found_by_owner_and_gives_a_token_that_works(self, portal, github):
        github.install(portal.app, "acme")
        github.add_repository("acme/shop", {"README.md": "# shop\n"})
        credentials = portal.credentials()
        found = credentials.credential("ACME")
        answer = credentials.client.send(found, "GET", "/repos/acme/shop")
        assert answer.object()["full_name"] == "acme/shop"
        assert (found.kind, found.key) == ("app", f"app:{portal.app.id}/acme")
        assert found.token not in repr(found)

    def test_an_app_is_found_by_its_client_id_too(self, portal, github):
        github.install(portal.app, "acme")
        assert portal.credentials(app_id=portal.app.client_id).credential("acme").token

    def test_a_personal_account_has_an_installation_as_well(self, portal, github):
        github.install(portal.app, "mona")
        assert portal.credentials().credential("mona").token

    def test_a_token_is_used_again_by_whoever_opens_the_forge(self, portal, github):
        github.install(portal.app, "acme")
        first = portal.credentials().credential("acme")
        assert portal.credentials().credential("acme").token == first.token
        assert len(portal.minted()) == 1

    def test_a_token_is_not_used_in_the_five_minutes_before_its_end(self, portal, github, monkeypatch):
        github.install(portal.app, "acme")
        first = portal.credentials().credential("acme")
        now = app_module.monotonic()
        monkeypatch.setattr(app_module, "monotonic", lambda: now + 54 * 60)
        assert portal.credentials().credential("acme").token == first.token
        monkeypatch.setattr(app_module, "monotonic", lambda: now + 56 * 60)
        assert portal.credentials().credential("acme").token != first.token

    def test_its_end_is_reckoned_by_githubs_clock(self, portal, github, monkeypatch):
        """An hour from its making, also where ours thinks that this is long over."""
        github.clock.skew = timedelta(hours=-3)
        github.install(portal.app, "acme")
        first = portal.credentials().credential("acme")
        assert portal.credentials().credential("acme").token == first.token

    def test_every_token_and_the_key_are_masked(self, portal, github):
        github.install(portal.app, "acme")
        token = portal.credentials().credential("acme").token
        assert token in portal.redacted
        assert portal.key.strip() in portal.redacted
        assert any(value.count(".") == 2 for value in portal.redacted)  # what the App signs

    def test_a_lost_answer_is_asked_for_again(self, portal, github):
        github.install(portal.app, "acme")
        order = github.faults.order("POST", "/app/installations/*/access_tokens", Reset(), after=True)
        assert portal.credentials().credential("acme").token
        assert order.fired == 1


class TestNarrowing:
    def test_a_token_is_for_one_repository_and_what_the_step_asks_for(self, portal, github):
        github.install(portal.app, "acme", permissions={**RIGHTS, "workflows": "write"})
        for name in ("shop", "desk"):
            github.add_repository(f"acme/{name}", {"README.md": "x"})
        token = portal.token(portal.credentials(COMMIT).credential("acme", "shop"))
        assert token.repositories == {github.repository("acme/shop").id}
        # A skeleton may hold workflows, which nobody knows before.
        assert token.permissions == {"metadata": "read", "contents": "write", "workflows": "write"}

    def test_no_more_is_asked_for_than_is_granted(self, portal, github):
        github.install(portal.app, "acme")
        operations = frozenset({Operation.COMMIT, Operation.ENSURE_WEBHOOK, Operation.CREATE_ISSUE})
        token = portal.token(portal.credentials(operations).credential("acme"))
        assert token.permissions == {"metadata": "read", "contents": "write", "issues": "read"}

    def test_a_repository_is_created_by_a_token_for_all(self, portal, github):
        github.install(portal.app, "acme")
        credentials = portal.credentials(frozenset({Operation.CREATE_REPO}))
        made = credentials.client.send(
            credentials.credential("acme"), "POST", "/orgs/acme/repos", body={"name": "shop", "private": True}
        )
        assert made.status == 201

    def test_a_token_that_was_made_before_a_repository_is_not_used_for_it(self, portal, github):
        github.install(portal.app, "acme")
        credentials = portal.credentials()
        before = credentials.credential("acme")
        github.add_repository("acme/shop", {"README.md": "x"})
        credentials.forget("acme")
        after = credentials.credential("acme")
        assert before.token != after.token
        assert credentials.client.send(after, "GET", "/repos/acme/shop").status == 200

    def test_a_repository_that_cannot_be_narrowed_to_gets_a_wide_token_for_a_moment(self, portal, github, monkeypatch):
        github.install(portal.app, "acme")
        credentials = portal.credentials(COMMIT)
        wide = credentials.credential("acme", "shop")
        github.add_repository("acme/shop", {"README.md": "x"})
        now = app_module.monotonic()
        monkeypatch.setattr(app_module, "monotonic", lambda: now + app_module.WIDE_SECONDS + 1)
        narrow = credentials.credential("acme", "shop")
        assert narrow.token != wide.token
        assert portal.token(narrow).repositories == {github.repository("acme/shop").id}


class TestWhatIsSaid:
    def test_where_it_is_not_installed_the_link_to_install_it_is_named(self, portal, github):
        github.install(portal.app, "mona")
        with pytest.raises(AuthError, match="is not installed on acme") as caught:
            portal.credentials().credential("acme")
        assert caught.value.hint == f"An owner of acme can install it: {github.url}/apps/portal-bot/installations/new"

    def test_a_suspended_installation(self, portal, github):
        installation = github.install(portal.app, "acme")
        installation.suspended = True
        with pytest.raises(AuthError, match="on acme is suspended") as caught:
            portal.credentials().credential("acme")
        assert f"/settings/installations/{installation.id}" in caught.value.hint

    def test_one_that_is_suspended_between_two_tokens(self, portal, github):
        installation = github.install(portal.app, "acme")
        portal.credentials().credential("acme")
        installation.suspended = True
        with pytest.raises(AuthError, match=r"gives no token: .*suspended") as caught:
            portal.credentials().credential("acme", "shop")
        assert f"/settings/installations/{installation.id}" in caught.value.hint
        installation.suspended = False
        assert portal.credentials().credential("acme", "shop").token

    def test_a_key_that_is_not_the_apps(self, portal, github, private_key_of_another):
        github.install(portal.app, "acme")
        with pytest.raises(AuthError, match="does not take the key of the App") as caught:
            portal.credentials(private_key=private_key_of_another).credential("acme")
        assert "PORTAL_ACTIONS_SCM['github']['private_key'] is not a key of the App" in caught.value.hint

    def test_an_app_that_does_not_exist(self, portal, github):
        with pytest.raises(AuthError, match="Integration not found"):
            portal.credentials(app_id=999_999).credential("acme")

    @pytest.mark.parametrize("skew", [timedelta(minutes=40), timedelta(minutes=-40)])
    def test_a_wrong_clock_is_made_up_for_and_told(self, portal, github, skew):
        github.clock.skew = skew
        github.install(portal.app, "acme")
        assert portal.credentials().credential("acme").token
        which = "behind" if skew > timedelta(0) else "ahead of"
        assert any(f"s {which} GitHub's" in line for line in portal.lines)
        assert portal.reach("acme").skew == pytest.approx(skew.total_seconds(), abs=30)

    @pytest.mark.parametrize("broken", ["s3cret", "-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----"])
    def test_a_key_that_is_none_is_not_shown(self, portal, broken):
        with pytest.raises(ConfigurationError, match=r"\['private_key'\] is no RSA key") as caught:
            portal.credentials(private_key=broken).credential("acme")
        assert "s3cret" not in f"{caught.value} {caught.value.hint}"

    def test_a_key_may_lie_in_a_file_or_have_its_line_breaks_written_out(self, portal, github, tmp_path):
        github.install(portal.app, "acme")
        (tmp_path / "app.pem").write_text(portal.key)
        assert portal.credentials(private_key={"file": str(tmp_path / "app.pem")}).credential("acme").token
        assert portal.credentials(private_key=portal.key.replace("\n", "\\n")).credential("acme", "shop").token

    def test_without_the_package_that_signs_the_extra_is_named(self, portal, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "jwt", None)
        with pytest.raises(ConfigurationError, match="PyJWT") as caught:
            portal.credentials().credential("acme")
        assert "portal-actions-plugin[github]" in caught.value.hint

    def test_an_app_works_for_an_owner(self, portal):
        with pytest.raises(AuthError, match="works for an owner"):
            portal.credentials().credential(None)


class TestReach:
    def test_of_an_organisation(self, portal, github):
        github.install(portal.app, "acme")
        found = portal.reach("acme")
        assert (found.who, found.forge, found.owners) == ("the App portal-bot", "GitHub", ("acme",))
        assert found.missing[Operation.CREATE_ISSUE] == "the permission Issues (write)"
        assert Operation.COMMIT not in found.missing
        assert Operation.CREATE_REPO not in found.missing

    def test_no_app_creates_a_repository_in_a_personal_account(self, portal, github):
        github.install(portal.app, "mona")
        found = portal.reach("mona")
        assert "personal account" in found.missing[Operation.CREATE_REPO]
        assert found.owners == ()

    def test_without_an_owner_it_is_about_all_installations(self, portal, github):
        github.install(portal.app, "acme")
        github.install(portal.app, "mona")
        assert portal.reach(None).owners == ("acme",)

    def test_it_is_asked_anew_each_time(self, portal, github):
        installation = github.install(portal.app, "acme")
        portal.reach("acme")
        installation.permissions["issues"] = "write"
        assert Operation.CREATE_ISSUE not in portal.reach("acme").missing

    def test_a_token_has_no_app(self, portal):
        assert portal.credentials(app_id=None, private_key=None, token="ghp_x").app("acme") is None
