"""Who asks, and whether they may: tokens, scopes, permissions and roles.

docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps,
docs.github.com/en/rest/authentication/permissions-required-for-github-apps and
docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from tests.support.forges.github.answers import RefusedError, not_found, refusal
from tests.support.forges.github.state import ROLES, Credential, Repository, State
from tests.support.forges.messages import Request

_LEVELS = ("none", "read", "write", "admin")
_INCLUDED = {
    "admin:repo_hook": ("write:repo_hook", "read:repo_hook"),
    "write:repo_hook": ("read:repo_hook",),
    "admin:org": ("write:org", "read:org"),
    "write:org": ("read:org",),
    "repo": ("public_repo", "repo:status", "repo_deployment", "repo:invite", "security_events"),
}


@dataclass(frozen=True, slots=True)
class Needs:
    """What an endpoint asks for.

    Attributes:
        page: where below ``docs.github.com/rest`` it is described.
        permission: of an app or a fine-grained token, such as ``contents=write``; alternatives are parted by ``; ``.
        scopes: one of these is enough for a classic token; nothing for none at all.
        role: what a person has to be in the repository.
        app: how an installation may call it: yes, no, or jwt where only the app itself may.
    """

    page: str
    permission: str = "metadata=read"
    scopes: tuple[str, ...] = ("repo",)
    role: str = "read"
    app: str = "yes"


def token_of(request: Request) -> str | None:
    """The token of a request: "Authenticating to the REST API" knows ``Bearer`` and ``token``, and git ``Basic``."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() in ("bearer", "token"):
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return "" if scheme else None


def all_scopes(scopes: frozenset[str]) -> set[str]:
    """Scopes with those that they include: scopes-for-oauth-apps#normalized-scopes"""
    found = set(scopes)
    for scope in scopes:
        found |= set(_INCLUDED.get(scope, ()))
    return found


def has_permission(credential: Credential, wanted: str) -> bool:
    """Whether one of the alternatives of ``permission=level[,permission=level][; …]`` is granted."""

    def granted(one: str) -> bool:
        name, _, level = one.strip().partition("=")
        have = "read" if name == "metadata" else credential.permissions.get(name, "none")
        return _LEVELS.index(have) >= _LEVELS.index(level)

    return any(all(map(granted, alternative.split(","))) for alternative in wanted.split(";"))


def may_see(state: State, credential: Credential | None, repository: Repository) -> bool:
    """Whether a repository is there at all for somebody; "404 Not Found for an existing resource"."""
    if not repository.is_private:
        return True
    if credential is None:
        return False
    if credential.kind == "classic":
        return "repo" in credential.scopes and state.role(credential.user, repository) != "none"
    if not reaches(credential, repository):
        return False
    return credential.kind == "installation" or state.role(credential.user, repository) != "none"


def reaches(credential: Credential, repository: Repository) -> bool:
    """Whether a fine-grained or installation token was given for a repository."""
    if credential.owner.lower() != repository.owner.lower():
        return False
    return credential.repositories is None or repository.id in credential.repositories


def check(
    state: State, credential: Credential | None, repository: Repository | None, needs: Needs, method: str
) -> None:
    """Refuse who may not do it; the repository is one that they see."""
    writes = method not in ("GET", "HEAD")
    if credential is None:
        if writes or repository is None:
            raise refusal(401, "Requires authentication", needs.page)
        return
    if repository is not None:
        _check_organization(state, credential, repository.owner)
    if credential.kind == "classic":
        _check_scopes(credential, repository, needs, reads=not writes)
    else:
        _check_permissions(credential, repository, needs, writes=writes)
    if repository is None:
        return
    if credential.kind != "installation":
        _check_role(state, credential, repository, needs)
    if writes and repository.archived and needs.page != "repos/repos#update-a-repository":
        # "Archiving repositories": docs.github.com/en/repositories/archiving-a-github-repository/archiving-repositories
        raise refusal(403, "Repository was archived so is read-only.", needs.page)


def _check_organization(state: State, credential: Credential, owner: str) -> None:
    account = state.accounts[owner.lower()]
    if account.forbids:
        raise refusal(403, account.forbids)
    if owner.lower() in {one.lower() for one in credential.not_authorized_for}:
        raise sso_refusal(owner)


def sso_refusal(organization: str) -> RefusedError:
    """docs.github.com/en/rest/authentication/authenticating-to-the-rest-api, section on SAML single sign-on."""
    url = f"https://github.com/orgs/{organization}/sso?authorization_request=AZSCKLE47RRWOQC2FN6DTE"
    message = (
        "Resource protected by organization SAML enforcement. You must grant your Personal Access token access to this "
        "organization."
    )
    page = "https://docs.github.com/articles/authenticating-to-a-github-organization-with-saml-single-sign-on/"
    return refusal(403, message, page, ("X-GitHub-SSO", f"required; url={url}"))


def _check_scopes(credential: Credential, repository: Repository | None, needs: Needs, *, reads: bool) -> None:
    wanted = set(needs.scopes)
    if "repo" in wanted and (repository is None or not repository.is_private):
        wanted.add("public_repo")  # enough for public repositories: scopes-for-oauth-apps#available-scopes
    if repository is not None and not repository.is_private and reads and needs.role == "read":
        return  # anybody reads what is public
    if wanted and not wanted & all_scopes(credential.scopes):
        raise not_found(needs.page)  # X-Accepted-OAuth-Scopes says what would be enough


def _check_permissions(credential: Credential, repository: Repository | None, needs: Needs, *, writes: bool) -> None:
    who = "integration" if credential.kind == "installation" else "personal access token"
    refused = refusal(403, f"Resource not accessible by {who}", needs.page)
    if credential.kind == "installation" and needs.app != "yes":
        raise refused
    if repository is not None and not reaches(credential, repository):
        if writes:
            raise refused
        return  # anybody reads what is public
    if not has_permission(credential, needs.permission):
        raise refused


def _check_role(state: State, credential: Credential, repository: Repository, needs: Needs) -> None:
    role = state.role(credential.user, repository)
    if ROLES.index(role) >= ROLES.index(needs.role):
        return
    if needs.role == "admin":
        raise refusal(403, "Must have admin rights to Repository.", needs.page)
    raise not_found(needs.page)


def may_edit_workflows(credential: Credential) -> bool:
    """Whether somebody may change ``.github/workflows``: scopes-for-oauth-apps, ``workflow``; for apps a permission."""
    if credential.kind == "classic":
        return "workflow" in credential.scopes
    return has_permission(credential, "workflows=write")
