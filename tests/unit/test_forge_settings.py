"""The setting SCM: what is said of a wrong one when the app starts, and that no value of it is shown."""

from __future__ import annotations

import re

import pytest

from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.settings.installations import read_installations

APP = {"app_id": 123456, "private_key": {"file": "/run/secrets/app.pem"}}


def github(**settings):
    return {"ghe": {"kind": "github", **settings}}


def said_of(value):
    with pytest.raises(ConfigurationError) as caught:
        read_installations(value)
    return f"{caught.value.message} {caught.value.hint}"


class TestWhatIsTaken:
    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"url": "https://ghe.example.com", "api_url": "https://ghe.example.com/api/v3"},
            {"url": "http://localhost:8080", "api_url": "http://127.0.0.1:8080/api"},
            {"url": "http://[::1]:8080"},
            {"token": "ghp_x"},
            {"token": {"env": "GHE_TOKEN"}, "ca_file": "/etc/ssl/acme.pem", "proxy": "http://ada:pw@proxy:3128"},
            APP,
            {"app_id": "Iv23liAbCdEf", "private_key": "-----BEGIN…"},
            {"owners": {"acme": {"token": {"file": "/run/secrets/acme"}}, "globex": APP}, "token": None},
        ],
    )
    def test_github(self, settings):
        assert read_installations(github(**settings))["ghe"].settings == settings

    def test_gitlab(self):
        settings = {"token": {"env": "X"}, "token_type": "bearer", "owners": {"acme/shop": {"token": "glpat-x"}}}
        assert read_installations({"lab": {"kind": "gitlab", **settings}})["lab"].settings == settings

    def test_what_another_package_brings_is_free(self):
        settings = {"organisation": "acme", "token": 7, "url": "ssh://x"}
        assert read_installations({"azure": {"kind": "devops", **settings}})["azure"].settings == settings

    def test_which_ones_the_setting_names_is_known(self):
        found = read_installations(github())
        assert (found["local"].is_named, found["ghe"].is_named) == (False, True)


class TestWhatIsWrong:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"tokn": "s3cret"}, "PORTAL_ACTIONS_SCM['ghe'] has an unknown key 'tokn'. Did you mean token?"),
            ({"token": 7}, "PORTAL_ACTIONS_SCM['ghe']['token'] takes a text, {'env': NAME} or {'file': PATH}"),
            ({"token": {"vault": "s3cret"}}, "['token'] takes a text"),
            ({"token": {"env": "A", "file": "s3cret"}}, "['token'] takes a text"),
            ({"token": " "}, "['token'] takes a text"),
            ({"token": "s3cret", **APP}, "has both a token and an app_id"),
            ({"app_id": 1}, "lacks private_key"),
            ({"private_key": "s3cret"}, "lacks app_id"),
            ({"app_id": True, "private_key": "s3cret"}, "['app_id'] takes the App's id or its client id"),
            ({"app_id": "s3cret id", "private_key": "k"}, "['app_id'] takes the App's id"),
            ({"url": "http://ghe.example.com"}, "['url'] takes an address that begins with https"),
            ({"api_url": "https://ada:s3cret@ghe.example.com"}, "['api_url'] takes an address such as"),
            ({"api_url": "https://ghe.example.com/?t=s3cret"}, "['api_url'] takes an address such as"),
            ({"url": "https://ghe.example.com:port"}, "['url'] takes an address such as"),
            ({"url": "http://localhost.example.com"}, "['url'] takes an address that begins with https"),
            ({"proxy": "socks5://s3cret:x@y"}, "['proxy'] takes the address of a proxy"),
            ({"ca_file": ""}, "['ca_file'] takes the path of a PEM file"),
            ({"owners": ["acme"]}, "['owners'] takes a mapping of owners"),
            ({"owners": {"acme": "s3cret"}}, "['owners']['acme'] takes the name of an owner"),
            ({"owners": {"acme": {"token": 1}}}, "PORTAL_ACTIONS_SCM['ghe']['owners']['acme']['token'] takes a text"),
            ({"owners": {"acme": {"url": "s3cret"}}}, "['owners']['acme'] has an unknown key 'url'"),
            ({"owners": {"acme": {}, "ACME": {}}}, "['owners']['ACME'] takes an owner once"),
            ({"token_type": "bearer"}, "unknown key 'token_type'"),
        ],
    )
    def test_the_key_is_named_and_its_value_is_not(self, settings, message):
        said = said_of(github(**settings))
        assert message in said
        assert "s3cret" not in re.sub("'tokn'", "", said)

    def test_of_gitlab(self):
        assert "['token_type'] takes one of 'private', 'bearer'" in said_of(
            {"l": {"kind": "gitlab", "token_type": "x"}}
        )
        assert "unknown key 'app_id'" in said_of({"l": {"kind": "gitlab", **APP}})

    def test_local_takes_more_hosts_and_nothing_else(self):
        assert "There a local takes hosts." in said_of({"local": {"root": "/srv/git"}})
