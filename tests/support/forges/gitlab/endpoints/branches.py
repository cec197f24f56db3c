"""Branches and trees: docs.gitlab.com/api/branches/ and docs.gitlab.com/api/repositories/"""

from __future__ import annotations

from urllib.parse import unquote

from tests.support.forges.git_store import NO_COMMIT, GitError
from tests.support.forges.gitlab import code_entities
from tests.support.forges.gitlab.access import matching
from tests.support.forges.gitlab.endpoints.projects import initialize
from tests.support.forges.gitlab.pushed import after_push
from tests.support.forges.gitlab.routing import Call, endpoint, forbidden, not_found, refused
from tests.support.forges.gitlab.state import DEVELOPER
from tests.support.forges.messages import Answer, json_answer


# docs.gitlab.com/api/branches/#list-all-repository-branches
@endpoint("GET", "/projects/:id/repository/branches")
def branches(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    call.check(optional="search regex page:int per_page:int")
    project = call.project(id)
    found = project.repository.branches().items()
    wanted = call.params.get("search", "")
    return call.page([code_entities.branch(call.caller, project, name, sha) for name, sha in found if wanted in name])


# docs.gitlab.com/api/branches/#retrieve-a-repository-branch
@endpoint("GET", "/projects/:id/repository/branches/:branch")
def branch(call: Call, id: str, branch: str) -> Answer:  # noqa: A002 the documentation's word
    call.check()
    project, name = call.project(id), unquote(branch)
    sha = project.repository.head(name)
    if sha is None:
        raise not_found("Branch")
    return json_answer(200, code_entities.branch(call.caller, project, name, sha))


# docs.gitlab.com/api/branches/#create-a-repository-branch
@endpoint("POST", "/projects/:id/repository/branches")
def create_branch(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    call.check("branch ref")
    project = call.project(id)
    call.must_have(project, DEVELOPER)
    call.must_not_be_archived(project)
    name, ref = call.params["branch"], call.params["ref"]
    if project.empty:
        # Branches::CreateService of gitlab-org/gitlab (app/services/branches/create_service.rb) makes the default branch
        # of an empty repository first, with an empty README.md.
        initialize(call.state, project, call.caller.user)
    if project.repository.head(name) is not None:
        raise refused(400, "Branch already exists")
    if (sha := project.repository.resolve(ref)) is None:
        raise refused(400, f"Failed to create branch '{name}': invalid reference name '{ref}'")
    try:
        made = project.repository.set_ref(f"refs/heads/{name}", sha, NO_COMMIT)
    except GitError:
        raise refused(400, "Branch name is invalid") from None
    if not made:
        raise refused(400, f"Failed to create branch '{name}': Branch name conflicts with existing branch hierarchy.")
    after_push(call.state, project)
    return json_answer(201, code_entities.branch(call.caller, project, name, sha))


# docs.gitlab.com/api/branches/#delete-a-repository-branch
@endpoint("DELETE", "/projects/:id/repository/branches/:branch")
def delete_branch(call: Call, id: str, branch: str) -> Answer:  # noqa: A002 the documentation's word
    project, name = call.project(id), unquote(branch)
    call.must_have(project, DEVELOPER)
    call.must_not_be_archived(project)
    if project.repository.head(name) is None:
        raise not_found("Branch")
    if name == project.default_branch:
        raise refused(400, "Cannot delete the default branch. Change the default branch first.")
    if matching(project, name):
        raise forbidden("Branch is protected")
    project.repository.delete_ref(f"refs/heads/{name}")
    return Answer(204)


# docs.gitlab.com/api/tags/#retrieve-a-tag
@endpoint("GET", "/projects/:id/repository/tags/:tag")
def tag(call: Call, id: str, tag: str) -> Answer:  # noqa: A002 the documentation's word
    call.check()
    project, name = call.project(id), unquote(tag)
    sha = project.repository.ref(f"refs/tags/{name}")
    if sha is None:
        raise not_found("Tag")
    commit = code_entities.commit(call.state, project, project.repository.commit(sha))
    return json_answer(200, {"name": name, "message": "", "target": sha, "commit": commit, "protected": False})


# docs.gitlab.com/api/repositories/#list-repository-tree
@endpoint("GET", "/projects/:id/repository/tree", "read_repository")
def tree(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    call.check(optional="path ref recursive:bool page:int per_page:int pagination page_token")
    project, folder = call.project(id), call.params.get("path", "").strip("/")
    commit = project.repository.resolve(call.params.get("ref") or project.default_branch)
    if commit is None:
        raise not_found("Tree")
    try:
        found = project.repository.entries(commit, recursive=bool(call.params.get("recursive")), path=folder)
    except GitError:
        raise not_found("invalid revision or path") from None
    # Folders come before files, as the documentation's example shows.
    found.sort(key=lambda entry: entry.kind != "tree")
    return call.page([code_entities.tree_entry(entry, folder) for entry in found])
