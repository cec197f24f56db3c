"""docs.github.com/en/rest/users/users, …/orgs/orgs, …/meta/meta and …/rate-limit/rate-limit"""

from __future__ import annotations

from typing import Any

from tests.support.forges.github import shapes
from tests.support.forges.github.access import Needs
from tests.support.forges.github.answers import refusal
from tests.support.forges.github.calls import Call, ok
from tests.support.forges.github.state import Account, node_id
from tests.support.forges.messages import Answer
from tests.support.forges.routing import Routes

routes = Routes()


@routes.on("GET", "/meta", Needs("meta/meta#get-apiname-meta-information", scopes=()))
def meta(call: Call) -> Answer:
    """github.com says where it is; an Enterprise Server says ``installed_version``."""
    if call.enterprise:
        return ok({"verifiable_password_authentication": True, "installed_version": call.enterprise})
    return ok(
        {"verifiable_password_authentication": False, "hooks": ["192.30.252.0/22"], "web": [], "api": [], "git": []}
    )


@routes.on("GET", "/user", Needs("users/users#get-the-authenticated-user", scopes=(), app="no"))
def me(call: Call) -> Answer:
    """An installation is nobody: "Resource not accessible by integration"."""
    if call.anonymous:
        raise refusal(401, "Requires authentication", call.page)
    account = call.account(call.credential.user)
    private = {
        "private_gists": 0,
        "total_private_repos": 0,
        "owned_private_repos": 0,
        "disk_usage": 0,
        "collaborators": 0,
        "two_factor_authentication": True,
    }
    return ok(_full_user(call, account) | private)


_LISTS_ORGANIZATIONS = frozenset({"user", "read:org", "write:org", "admin:org"})


@routes.on("GET", "/user/orgs", Needs("orgs/orgs#list-organizations-for-the-authenticated-user", scopes=(), app="no"))
def my_organizations(call: Call) -> Answer:
    """ "Requests with insufficient scope will receive a 403", and those of a fine-grained token an empty list."""
    if call.anonymous:
        raise refusal(401, "Requires authentication", call.page)
    if call.credential.kind == "classic" and not call.credential.scopes & _LISTS_ORGANIZATIONS:
        raise refusal(403, "You need at least read:org scope or user scope to list your organizations.", call.page)
    mine = [one for one in call.state.accounts.values() if call.credential.user in one.members]
    shown = mine if call.credential.kind == "classic" else []
    return call.paged(shown, lambda one: _organization_simple(call, one))


@routes.on("GET", "/users/{username}", Needs("users/users#get-a-user", scopes=()))
def user(call: Call) -> Answer:
    """Organisations are found here as well; their ``type`` says what they are."""
    return ok(_full_user(call, call.account(call.values["username"])))


@routes.on("GET", "/orgs/{org}", Needs("orgs/orgs#get-an-organization", scopes=()))
def organization(call: Call) -> Answer:
    account = call.account(call.values["org"])
    if not account.is_organization:
        raise call.not_found()
    return ok(organization_shape(call, account) | _for_members(call, account))


def _organization_simple(call: Call, account: Account) -> dict[str, Any]:
    """organization-simple"""
    url = f"{call.sites.api}/orgs/{account.login}"
    return {
        "login": account.login,
        "id": account.id,
        "node_id": node_id("Organization", account.id),
        "url": url,
        "repos_url": f"{url}/repos",
        "events_url": f"{url}/events",
        "hooks_url": f"{url}/hooks",
        "issues_url": f"{url}/issues",
        "members_url": f"{url}/members{{/member}}",
        "public_members_url": f"{url}/public_members{{/member}}",
        "avatar_url": f"{call.sites.html}/u/{account.id}",
        "description": None,
    }


def organization_shape(call: Call, account: Account) -> dict[str, Any]:
    """organization-full"""
    return _organization_simple(call, account) | {
        "html_url": f"{call.sites.html}/{account.login}",
        "has_organization_projects": True,
        "has_repository_projects": True,
        "public_repos": 0,
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "type": "Organization",
        "created_at": "2020-01-01T00:00:00Z",
        "updated_at": "2020-01-01T00:00:00Z",
        "archived_at": None,
    }


def _for_members(call: Call, account: Account) -> dict[str, Any]:
    """Only members are told what members may do, and the plan: "Get an organization"."""
    if call.anonymous or call.credential.user not in account.members:
        return {}
    return {
        "default_repository_permission": account.base_role,
        "members_can_create_repositories": account.members_create,
        "plan": {"name": account.plan, "space": 1, "private_repos": 9999},
    }


@routes.on(
    "GET", "/rate_limit", Needs("rate-limit/rate-limit#get-rate-limit-status-for-the-authenticated-user", scopes=())
)
def rate_limit(call: Call) -> Answer:
    """The headers of the very answer have the figures of ``core``; searches have their own, of which nothing is used."""
    if call.enterprise:
        # "Rate limits are disabled by default" there, and this endpoint has a 404 in GitHub's description.
        raise refusal(404, "Rate limiting is not enabled.", call.page)
    core = call.rate
    search = {"limit": 30, "used": 0, "remaining": 30, "reset": core["reset"]}
    return ok({"resources": {"core": core, "search": search}, "rate": core})


def _full_user(call: Call, account: Account) -> dict[str, Any]:
    nothing = dict.fromkeys(("name", "company", "location", "email", "hireable", "bio", "twitter_username"))
    numbers = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
    dates = dict.fromkeys(("created_at", "updated_at"), "2020-01-01T00:00:00Z")
    return {**shapes.user(call.sites, call.state, account.login), **nothing, "blog": "", **numbers, **dates}
