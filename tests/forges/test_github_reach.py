"""What a credential for GitHub can do, known before the first step; addresses; and the table for administrators."""

from __future__ import annotations

import runpy
from datetime import timedelta
from pathlib import Path

import pytest

from portal_actions_plugin.actions.registry import Registry
from portal_actions_plugin.errors import AuthError, ConfigurationError
from portal_actions_plugin.scm.base import Operation
from portal_actions_plugin.scm.github import permissions
from portal_actions_plugin.scm.github.client import Addresses
from portal_actions_plugin.scm.github.operations import OPERATIONS
from portal_actions_plugin.scm.optional import WORDS
from portal_actions_plugin.settings.installations import Installation
from tests.support.forges.github_opened import OpenedGitHub


def test_a_classic_token_is_known_by_its_scopes(github: OpenedGitHub) -> None:
    reach = github.provider().reach("acme")
    assert (reach.who, reach.forge) == ("mona", "GitHub Enterprise Server 3.17.4")
    assert reach.missing == {Operation.COMMIT_WORKFLOWS: "the scope workflow"}
    assert reach.owners == ("mona",)
    wide = github.as_token(github.double.classic_token("mona", "repo", "workflow", "read:org").token)
    assert wide.provider().reach(None).missing == {}
    assert wide.provider().reach(None).owners == ("mona", "acme")
    nothing = github.as_token(github.double.classic_token("mona").token).provider().reach(None)
    assert set(nothing.missing) == OPERATIONS
    assert nothing.missing[Operation.COMMIT_WORKFLOWS] == "the scopes repo and workflow"
    assert github.double.log.writes() == []


def test_what_github_does_not_say_of_a_credential_is_not_held_against_it(github_com: OpenedGitHub) -> None:
    fine = github_com.double.fine_grained_token("mona", "acme", {"contents": "read"})
    reach = github_com.as_token(fine.token).provider().reach("acme")
    assert (reach.who, reach.forge, reach.missing) == ("mona", "GitHub", {})
    installed = github_com.as_installation("acme", {"contents": "read"}).provider().reach("acme")
    assert (installed.who, installed.missing, installed.owners) == ("", {}, ())


def test_a_credential_that_is_unknown_is_an_error(github: OpenedGitHub) -> None:
    with pytest.raises(AuthError, match="GitHub does not know the credential"):
        github.as_token("ghp_wrong").provider().reach(None)


def test_the_clock_of_the_forge_is_compared_with_ours(github: OpenedGitHub) -> None:
    github.double.clock.skew = timedelta(hours=1)
    skew = github.provider().reach(None).skew
    assert skew is not None
    assert 3500 < skew < 3700


def test_every_operation_says_what_it_needs() -> None:
    assert set(permissions.NEEDS) == OPERATIONS
    for need in permissions.NEEDS.values():
        assert need.scopes
        assert set(need.permissions) | set(need.besides) <= set(permissions.LABELS)


def test_permissions_of_an_app_hold_those_of_a_lower_level() -> None:
    missing = permissions.missing_by_permissions({"contents": "write", "administration": "read"})
    assert Operation.COMMIT not in missing
    assert Operation.READ not in missing
    assert missing[Operation.SET_TOPICS] == "the permission Administration (write)"
    assert missing[Operation.COMMIT_WORKFLOWS] == "the permission Workflows (write)"
    assert permissions.permissions_for([Operation.READ, Operation.COMMIT]) == {"contents": "write"}


@pytest.mark.parametrize(
    ("settings", "web_url", "api_url", "is_server"),
    [
        ({}, "https://github.com", "https://api.github.com", False),
        ({"url": "https://github.com/"}, "https://github.com", "https://api.github.com", False),
        ({"url": "https://acme.ghe.com"}, "https://acme.ghe.com", "https://api.acme.ghe.com", False),
        ({"api_url": "https://api.acme.ghe.com"}, "https://acme.ghe.com", "https://api.acme.ghe.com", False),
        ({"url": "https://git.acme.org"}, "https://git.acme.org", "https://git.acme.org/api/v3", True),
        ({"api_url": "https://git.acme.org/api/v3/"}, "https://git.acme.org", "https://git.acme.org/api/v3", True),
        ({"api_url": "https://api.github.com"}, "https://github.com", "https://api.github.com", False),
        (
            {"url": "https://a.test", "api_url": "https://b.test/x"},
            "https://a.test",
            "https://b.test/x",
            True,
        ),
    ],
)
def test_each_address_follows_from_the_other(
    settings: dict[str, str], web_url: str, api_url: str, is_server: bool
) -> None:
    found = Addresses.of(Installation("ghe", "github", settings))
    assert (found.web_url, found.api_url, found.is_server) == (web_url, api_url, is_server)


def test_an_address_that_is_no_text_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"PORTAL_ACTIONS_SCM\['ghe'\]\['url'\] is a int"):
        Addresses.of(Installation("ghe", "github", {"url": 1}))


def test_the_page_for_administrators_is_made_from_what_credentials_are_checked_by() -> None:
    documents = Path(__file__).parent.parent.parent / "docs"
    table = runpy.run_path(str(documents / "conf.py"))["github_reference"]()
    rows = {row.split(" | ")[0].removeprefix("| "): row for row in table.splitlines()[2:]}
    assert set(rows) == {WORDS[operation] for operation in OPERATIONS}
    assert "`scm.pushSkeleton@v1`" in rows["commit workflows of its CI"]
    assert "`repo`, `workflow`" in rows["commit workflows of its CI"]
    assert "Workflows: write" in rows["commit workflows of its CI"]
    asking = {
        one.id for one in Registry.from_entry_points() if one.operations and (not one.forges or "github" in one.forges)
    }
    assert {name for name in asking if f"`{name}`" in table} == asking
    assert "<!-- github -->" in (documents / "connect-github.md").read_text()
