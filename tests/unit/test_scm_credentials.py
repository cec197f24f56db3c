"""Which credential a provider gets, from where, and that nobody is shown it."""

from __future__ import annotations

import re

import pytest

from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.hooks import asking
from portal_actions_plugin.scm.base import Author
from portal_actions_plugin.scm.opening import Opening
from portal_actions_plugin.scm.remote.credentials import TokenSource, given_token, token_key
from portal_actions_plugin.settings.installations import Installation

ADA = Author("Ada Lovelace", "ada@example.com")
ENVIRONMENT = "PORTAL_ACTIONS_GITHUB_TOKEN"


class Portal:
    """Opens an installation as a portal that has set it so, and keeps what was to be masked."""

    def __init__(self):
        self.redacted = []
        self.asked = []

    def opening(self, *, name="github", hook=None, **settings):
        def host_token(owner):
            self.asked.append(owner)
            return (hook or {}).get(owner)

        return Opening(Installation(name, "github", settings), ADA, redact=self.redacted.append, host_token=host_token)

    def token(self, owner="acme", **given):
        return given_token(self.opening(**given), owner, environment=ENVIRONMENT)


@pytest.fixture
def portal(monkeypatch):
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    return Portal()


class TestTheOrder:
    def test_the_hook_wins_over_all_settings(self, portal):
        found = portal.token(hook={"acme": "hook-1"}, token="all-1", owners={"acme": {"token": "owner-1"}})
        assert found == "hook-1"

    def test_an_owner_has_its_own_however_its_name_is_spelled(self, portal):
        owners = {"Acme": {"token": "owner-1"}}
        assert portal.token("aCME", token="all-1", owners=owners) == "owner-1"
        assert portal.token("other", token="all-1", owners=owners) == "all-1"

    def test_a_group_counts_for_the_groups_in_it(self, portal):
        owners = {"acme": {"token": "acme-1"}, "acme/shop": {"token": "shop-1"}}
        assert portal.token("acme/shop/web", owners=owners) == "shop-1"
        assert portal.token("acme/desk", owners=owners) == "acme-1"
        assert portal.token("acmeshop", owners=owners) is None

    def test_the_environment_is_for_the_installation_that_needs_no_setting(self, portal, monkeypatch):
        monkeypatch.setenv(ENVIRONMENT, "env-1")
        assert portal.token() == "env-1"
        assert portal.token(token="all-1") == "all-1"
        assert portal.token(name="ghe") is None

    def test_the_hook_is_not_asked_when_it_is_about_no_owner(self, portal):
        assert portal.token(None, hook={"": "hook-1"}, token="all-1") == "all-1"
        assert portal.asked == []

    def test_an_app_has_the_place_of_a_token(self, portal, monkeypatch):
        monkeypatch.setenv(ENVIRONMENT, "env-1")
        assert portal.token(app_id="12", private_key="…") is None

    def test_a_hook_that_fails_is_named_and_what_its_error_says_is_told_to_nobody(self, caplog):
        def vault(provider, owner):
            raise ValueError(f"no lease for s3cret-of-the-vault of {provider}/{owner}")

        with pytest.raises(ConfigurationError, match="failed when it was asked for a credential of ghe: ValueError"):
            asking.scm_token(vault, "ghe", "acme")
        assert "asked for ghe/acme: ValueError" in caplog.text
        assert "(vault)" in caplog.text, "the log says where"
        assert "s3cret" not in caplog.text


class TestWhereItIs:
    def test_a_file_is_read_each_time(self, portal, tmp_path):
        file = tmp_path / "token"
        file.write_text("first-1\n")
        opening = portal.opening(token={"file": str(file)})
        assert given_token(opening, "acme", environment=ENVIRONMENT) == "first-1"
        file.write_text("second-2\n")
        assert given_token(opening, "acme", environment=ENVIRONMENT) == "second-2"
        assert portal.redacted == ["first-1", "second-2"]

    def test_a_variable_of_the_environment(self, portal, monkeypatch):
        monkeypatch.setenv("ACME_TOKEN", "env-2")
        assert portal.token(token={"env": "ACME_TOKEN"}) == "env-2"

    def test_what_cannot_be_read_is_named(self, portal, tmp_path, monkeypatch):
        with pytest.raises(ConfigurationError, match=re.escape("PORTAL_ACTIONS_SCM['ghe']['token'] names the env")):
            portal.token(name="ghe", token={"env": "NOT_THERE"})
        monkeypatch.setenv("BLANK", " \n")
        with pytest.raises(ConfigurationError, match="BLANK, which is not set"):
            portal.token(name="ghe", token={"env": "BLANK"})
        with pytest.raises(ConfigurationError, match=r"\['owners'\]\['acme'\]\['token'\] names .*: No such file"):
            portal.token(owners={"acme": {"token": {"file": str(tmp_path / "missing")}}})
        (tmp_path / "empty").write_text("\n")
        with pytest.raises(ConfigurationError, match="is empty"):
            portal.token(token={"file": str(tmp_path / "empty")})
        with (tmp_path / "large").open("wb") as large:
            large.truncate(2**20)
        with pytest.raises(ConfigurationError, match="larger than 65536 bytes"):
            portal.token(token={"file": str(tmp_path / "large")})

    @pytest.mark.parametrize("broken", ["two words", "two\nlines", "emdash—1", "\x00"])
    def test_what_no_header_takes_is_refused_and_not_shown(self, portal, broken):
        with pytest.raises(ConfigurationError) as caught:
            portal.token(token=f"s3cret{broken}s3cret")
        assert "s3cret" not in str(caught.value) + caught.value.hint + repr(caught.value)


class TestWhatIsShown:
    def source(self, opening):
        return TokenSource(opening, ENVIRONMENT, lambda token: {"Authorization": f"Bearer {token}"})

    def test_a_credential_shows_its_name_alone(self, portal):
        opening = portal.opening(token="ghp_abcdefghijkl")
        found = self.source(opening).credential("acme")
        assert found.headers == {"Authorization": "Bearer ghp_abcdefghijkl"}
        assert found.key == token_key(opening, "ghp_abcdefghijkl")
        assert "ghp_" not in f"{found!r} {found} {opening!r}"
        assert re.fullmatch("token:[0-9a-f]{12}", found.key)

    def test_every_credential_is_masked_from_then_on(self, portal):
        self.source(portal.opening(hook={"acme": "hook-1"})).credential("acme")
        assert portal.redacted == ["hook-1"]

    def test_the_same_token_of_another_installation_has_another_name(self, portal):
        assert token_key(portal.opening(), "t") != token_key(portal.opening(name="ghe"), "t")

    def test_without_any_every_way_to_set_one_is_named(self, portal):
        with pytest.raises(ConfigurationError, match="no credential for acme on github") as caught:
            self.source(portal.opening()).credential("acme")
        for way in ("['owners']['acme']", "['token']", "['app_id']", ENVIRONMENT, "@plugin.scm_credentials"):
            assert way in caught.value.hint
        with pytest.raises(ConfigurationError) as caught:
            self.source(portal.opening(name="ghe")).credential(None)
        assert ENVIRONMENT not in caught.value.hint
