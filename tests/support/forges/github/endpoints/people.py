"""docs.github.com/en/rest/collaborators/collaborators and …/teams/teams"""

from __future__ import annotations

from typing import Any

from tests.support.forges.github import shapes
from tests.support.forges.github.access import Needs
from tests.support.forges.github.answers import invalid, refusal
from tests.support.forges.github.calls import Call, created, no_content, ok
from tests.support.forges.github.endpoints.accounts import organization_shape
from tests.support.forges.github.state import ROLES, Account, node_id
from tests.support.forges.messages import Answer
from tests.support.forges.routing import Routes

routes = Routes()
_ROLES = {"pull": "read", "triage": "triage", "push": "write", "maintain": "maintain", "admin": "admin"}
_COLLABORATOR = "/repos/{owner}/{repo}/collaborators/{username}"
_TEAM = "/orgs/{org}/teams/{team_slug}"


def _role(call: Call) -> str:
    permission = call.field("permission", str, default="push")
    if permission in _ROLES:
        return _ROLES[permission]
    if permission in ROLES[1:]:
        return permission  # the roles' own names are taken as well
    raise invalid(call.page, "Repository", "invalid", "permission", f"{permission} is not a permission")


@routes.on(
    "GET",
    "/repos/{owner}/{repo}/collaborators",
    Needs("collaborators/collaborators#list-repository-collaborators", role="write"),
)
def list_collaborators(call: Call) -> Answer:
    people = {call.repository.owner: "admin"} if not call.account(call.repository.owner).is_organization else {}
    people |= call.repository.collaborators

    def shape(login: str) -> dict[str, Any]:
        may = {name: ROLES.index(people[login]) >= ROLES.index(role) for name, role in _ROLES.items()}
        return call.user(login) | {"permissions": may, "role_name": people[login]}

    return call.paged(list(people), shape)


@routes.on("GET", _COLLABORATOR, Needs("collaborators/collaborators#check-if-a-user-is-a-repository-collaborator"))
def check_collaborator(call: Call) -> Answer:
    if call.values["username"] not in call.repository.collaborators:
        raise call.not_found()
    return no_content()


@routes.on(
    "PUT",
    _COLLABORATOR,
    Needs("collaborators/collaborators#add-a-repository-collaborator", "administration=write", role="admin"),
)
def add_collaborator(call: Call) -> Answer:
    """201 with an invitation for who has to accept it; 204 for members of the organisation and for collaborators."""
    account, repository = call.account(call.values["username"]), call.repository
    owner = call.account(repository.owner)
    if account.is_organization or account.login == owner.login:
        raise invalid(call.page, "Repository", "custom", message="Repository owner cannot be a collaborator")
    role = _role(call)
    if account.login in repository.collaborators or account.login in owner.members:
        repository.collaborators[account.login] = role
        return no_content()
    repository.invitations[account.login] = role
    return created(_invitation(call, account.login))


def _invitation(call: Call, login: str) -> dict[str, Any]:
    """repository-invitation"""
    account, repository = call.account(login), call.repository
    return {
        "id": account.id,
        "node_id": node_id("RepositoryInvitation", account.id),
        "repository": shapes.repository(call.sites, call.state, repository, "admin"),
        "invitee": call.user(login),
        "inviter": call.user(call.credential.user),
        "permissions": repository.invitations[login],
        "created_at": repository.created_at,
        "expired": False,
        "url": f"{call.sites.api}/user/repository_invitations/{account.id}",
        "html_url": f"{call.sites.html}/{repository.full_name}/invitations",
    }


@routes.on(
    "GET",
    "/repos/{owner}/{repo}/invitations",
    Needs("collaborators/invitations#list-repository-invitations", "administration=read", role="admin"),
)
def list_invitations(call: Call) -> Answer:
    return call.paged(list(call.repository.invitations), lambda login: _invitation(call, login))


def _team_slug(call: Call) -> str:
    account = call.account(call.values["org"])
    if call.values["team_slug"] not in account.teams:
        raise call.not_found()
    return call.values["team_slug"]


@routes.on(
    "GET",
    _TEAM,
    Needs("teams/teams#get-a-team-by-name", "members=read", ("admin:org", "write:org", "read:org", "repo")),
)
def get_team(call: Call) -> Answer:
    slug, organization = _team_slug(call), call.account(call.values["org"])
    dates = dict.fromkeys(("created_at", "updated_at"), "2020-01-01T00:00:00Z")
    counts = {"members_count": len(organization.teams[slug]), "repos_count": 0}
    whole = {"organization": organization_shape(call, organization), **counts, **dates}
    return ok(_team(call, organization, slug, "pull") | whole)


def _team(call: Call, organization: Account, slug: str, permission: str) -> dict[str, Any]:
    """team"""
    url = f"{call.sites.api}/organizations/{organization.id}/team/{slug}"
    return {
        "id": organization.id,
        "node_id": node_id("Team", slug),
        "url": url,
        "html_url": f"{call.sites.html}/orgs/{organization.login}/teams/{slug}",
        "name": slug,
        "slug": slug,
        "description": None,
        "privacy": "closed",
        "permission": permission,
        "type": "organization",
        "parent": None,
        "members_url": f"{url}/members{{/member}}",
        "repositories_url": f"{url}/repos",
    }


@routes.on("GET", "/repos/{owner}/{repo}/teams", Needs("repos/repos#list-repository-teams", "administration=read"))
def list_teams(call: Call) -> Answer:
    """ "Lists the teams that have access to the specified repository": ``permission`` is named as PUT takes it."""
    organization = call.account(call.repository.owner)
    given = {role: permission for permission, role in _ROLES.items()}
    teams = call.repository.teams
    return call.paged(list(teams), lambda slug: _team(call, organization, slug, given[teams[slug]]))


@routes.on(
    "PUT",
    _TEAM + "/repos/{owner}/{repo}",
    Needs("teams/teams#add-or-update-team-repository-permissions", "members=read,administration=write", role="admin"),
)
def add_team(call: Call) -> Answer:
    """ "You will get a 422 if you attempt to add a repository to a team that is not owned by the organization." """
    slug = _team_slug(call)
    if call.repository.owner.lower() != call.values["org"].lower():
        raise refusal(
            422,
            "Validation Failed",
            call.page,
            errors=[{"code": "unprocessable", "field": "repo", "resource": "TeamMember"}],
        )
    call.repository.teams[slug] = _role(call)
    return no_content()
