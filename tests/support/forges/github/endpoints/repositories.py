"""docs.github.com/en/rest/repos/repos"""

from __future__ import annotations

import re
from typing import Any

from tests.support.forges.git_store import Entry, Person
from tests.support.forges.github import shapes
from tests.support.forges.github.access import Needs, all_scopes
from tests.support.forges.github.answers import invalid, not_found, refusal
from tests.support.forges.github.calls import Call, created, no_content, ok
from tests.support.forges.github.state import Account, Repository
from tests.support.forges.messages import Answer
from tests.support.forges.routing import Routes

routes = Routes()
_GET = Needs("repos/repos#get-a-repository")
_LIST = Needs("repos/repos#list-repositories-for-a-user", scopes=())


@routes.on(
    "POST",
    "/user/repos",
    Needs("repos/repos#create-a-repository-for-the-authenticated-user", "administration=write", app="no"),
)
def create_for_user(call: Call) -> Answer:
    """GitHub's OpenAPI says ``enabledForGitHubApps: false``: an installation gets 403."""
    return _create(call, call.account(call.credential.user))


@routes.on("POST", "/orgs/{org}/repos", Needs("repos/repos#create-an-organization-repository", "administration=write"))
def create_in_organization(call: Call) -> Answer:
    """ "The authenticated user must be a member of the organization." """
    owner = call.account(call.values["org"])
    if not owner.is_organization:
        raise call.not_found()
    if owner.forbids:
        raise refusal(403, owner.forbids)
    credential = call.credential
    if credential.kind != "classic" and credential.owner.lower() != owner.login.lower():
        who = "integration" if credential.kind == "installation" else "personal access token"
        raise refusal(403, f"Resource not accessible by {who}", call.page)
    if credential.kind != "installation":
        role = owner.members.get(credential.user)
        if role is None:
            raise refusal(403, "You need admin access to the organization before adding a repository to it.", call.page)
        if role != "admin" and not owner.members_create:
            raise refusal(403, f"{credential.user} cannot create a repository for {owner.login}.", call.page)
    return _create(call, owner)


def _create(call: Call, owner: Account) -> Answer:
    name = normalized(call.field("name", str))
    visibility = _visibility(call, owner)
    if (
        visibility != "public"
        and call.credential.kind == "classic"
        and "repo" not in all_scopes(call.credential.scopes)
    ):
        # "`repo` scope to create a private repository"
        raise not_found(call.page)
    if not name.strip("."):
        raise invalid(call.page, "Repository", "custom", "name", "name is too short (minimum is 1 character)")
    if len(name) > 100:
        raise invalid(call.page, "Repository", "custom", "name", "name is too long (maximum is 100 characters)")
    if call.state.repository(owner.login, name):
        message = "name already exists on this account"
        raise invalid(call.page, "Repository", "custom", "name", message, title="Repository creation failed.")
    if len(call.field("description", str, default=None) or "") > 350:
        message = "description is too long (maximum is 350 characters)"
        raise invalid(call.page, "Repository", "custom", "description", message, title="Repository creation failed.")
    settings = {key: value for key, value in call.body().items() if key in shapes.SETTINGS}
    repository = call.state.add_repository(owner.login, name, visibility, **settings)
    if call.credential.kind != "installation" and owner.is_organization:
        repository.collaborators[call.credential.user] = "admin"
    for installation in call.state.installations:
        if installation.repositories is not None and call.credential.owner == installation.account == owner.login:
            installation.repositories.add(repository.id)
    if call.field("auto_init", bool, default=False):
        _first_commit(call, repository)
    body = shapes.repository(call.sites, call.state, repository, "admin")
    return created(body, ("Location", body["url"]))


def normalized(name: str) -> str:
    """What GitHub makes of a name: all but letters of ASCII, digits, ``.``, ``-`` and ``_`` becomes a hyphen.

    docs.github.com/en/repositories/creating-and-managing-repositories/creating-a-new-repository; the answer has it.
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).removesuffix(".git")


def _visibility(call: Call, owner: Account) -> str:
    """``visibility`` is a field of an organisation's repositories only, and internal one of enterprises' only."""
    private = "private" if call.field("private", bool, default=False) else "public"
    if not owner.is_organization:
        return private
    visibility = call.field("visibility", str, default=private)
    if visibility not in ("public", "private", *(["internal"] if owner.plan == "enterprise" else [])):
        raise invalid(
            call.page, "Repository", "custom", "visibility", f"{visibility} is not allowed for this organization"
        )
    return str(visibility)


def _first_commit(call: Call, repository: Repository) -> None:
    """ "Pass true to create an initial commit with empty README." """
    title = f"# {repository.name}\n"
    text = title + (f"{repository.settings['description']}\n" if repository.settings.get("description") else "")
    git = repository.git
    tree = git.write_tree([Entry("README.md", "100644", "blob", git.write_blob(text.encode()))])
    user = call.credential.user
    author = Person(user, f"{user}@users.noreply.github.com", call.state.clock.now())
    git.set_ref("refs/heads/main", git.write_commit(tree, [], "Initial commit", author=author))


@routes.on("GET", "/repos/{owner}/{repo}", _GET)
def get(call: Call) -> Answer:
    return ok(shapes.repository(call.sites, call.state, call.repository, call.shown_role()))


@routes.on("GET", "/users/{username}/repos", _LIST)
@routes.on("GET", "/orgs/{org}/repos", Needs("repos/repos#list-organization-repositories", scopes=()))
def list_of_owner(call: Call) -> Answer:
    owner = call.account(call.values.get("org") or call.values["username"])
    seen = [one for one in call.visible_repositories() if one.owner == owner.login]
    return call.paged(seen, lambda one: shapes.repository(call.sites, call.state, one, "read"))


@routes.on(
    "PATCH", "/repos/{owner}/{repo}", Needs("repos/repos#update-a-repository", "administration=write", role="admin")
)
def update(call: Call) -> Answer:
    repository, body = call.repository, call.body()
    if repository.archived and body.get("archived") is not False:
        raise refusal(403, "Repository was archived so is read-only.", call.page)
    if "archived" in body:
        repository.archived = call.field("archived", bool)
    if branch := call.field("default_branch", str, default=""):
        if repository.git.head(branch) is None:
            message = (
                f"The branch {branch} was not found. Please push that ref first or create it via the Git Data API."
            )
            raise invalid(call.page, "Repository", "invalid", "default_branch", message)
        repository.git.set_default_branch(branch)
    if "private" in body or "visibility" in body:
        repository.visibility = _visibility(call, call.account(repository.owner))
    repository.settings |= {key: value for key, value in body.items() if key in shapes.SETTINGS}
    name = normalized(call.field("name", str, default=repository.name))
    if name.lower() != repository.name.lower():
        if call.state.repository(repository.owner, name):
            raise invalid(call.page, "Repository", "custom", "name", "name already exists on this account")
        call.state.rename(repository, repository.owner, name)
    return get(call)


@routes.on(
    "DELETE",
    "/repos/{owner}/{repo}",
    Needs("repos/repos#delete-a-repository", "administration=write", ("delete_repo",), "admin"),
)
def delete(call: Call) -> Answer:
    del call.state.repositories[call.repository.id]
    return no_content()


@routes.on("GET", "/repos/{owner}/{repo}/topics", Needs("repos/repos#get-all-repository-topics"))
def topics(call: Call) -> Answer:
    return ok({"names": call.repository.topics})


@routes.on(
    "PUT",
    "/repos/{owner}/{repo}/topics",
    Needs("repos/repos#replace-all-repository-topics", "administration=write", role="admin"),
)
def replace_topics(call: Call) -> Answer:
    """ "Topic names will be saved as lowercase." At most 20, of letters, digits and hyphens, 50 characters each:
    docs.github.com/en/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/classifying-your-repository-with-topics
    """
    names: list[Any] = [str(name).lower() for name in call.field("names", list)]
    if len(names) > 20:
        raise refusal(422, "Validation Failed", call.page, errors=["A repository cannot have more than 20 topics."])
    if wrong := [name for name in names if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,49}", name)]:
        message = f"Topic {wrong[0]} is invalid. Topics must start with a lowercase letter or number, consist of 50 characters or less, and can include hyphens."
        raise refusal(422, "Validation Failed", call.page, errors=[message])
    call.repository.topics = list(dict.fromkeys(names))
    return topics(call)
