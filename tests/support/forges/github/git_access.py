"""Git over HTTPS: who may clone and push, and what pushes are refused.

docs.github.com/en/get-started/git-basics/about-remote-repositories#cloning-with-https-urls
"""

from __future__ import annotations

from tests.support.forges import git_http
from tests.support.forges.git_http import RefUpdate, Refusal
from tests.support.forges.git_store import NO_COMMIT
from tests.support.forges.github import access, branch_rules
from tests.support.forges.github.state import ROLES, Credential, Repository, State
from tests.support.forges.messages import Answer, Request


def answer(state: State, request: Request, owner: str, name: str, rest: str) -> Answer:
    """Answer a request of git's protocol."""
    service = git_http.service_of(request, rest)
    if service is None:
        return _text(403, "Please upgrade your git client.\nGitHub.com no longer supports git over dumb-http")
    moved = None if (repository := state.repository(owner, name)) else state.moved_repository(owner, name)
    repository = repository or moved
    token = access.token_of(request)
    credential = state.credential(token) if token else None
    if token is not None and (credential is None or not request.headers["authorization"].startswith("Basic ")):
        return _unauthorized("Invalid username or token. Password authentication is not supported for Git operations.")
    pushes = service == "git-receive-pack"
    if credential is None and (pushes or repository is None or repository.is_private):
        return _unauthorized("No anonymous write access.")
    if repository is None or not access.may_see(state, credential, repository):
        return _text(404, "Repository not found.")
    if credential is not None and (refused := _refused(state, credential, repository, pushes=pushes)):
        return refused
    if moved is not None:
        # "Renaming a repository": git clone, fetch and push go on, by a redirection of the first request.
        query = f"?{request.query_text}" if request.query_text else ""
        return Answer(301, headers=(("Location", f"/{moved.full_name}.git/{rest}{query}"),))
    user = credential.user if credential else ""
    if not pushes or credential is None or request.method == "GET":
        return git_http.answer(repository.git, request, rest, user)
    return _push(state, request, credential, repository)


def _refused(state: State, credential: Credential, repository: Repository, *, pushes: bool) -> Answer | None:
    if state.accounts[repository.owner.lower()].forbids:
        return _text(403, state.accounts[repository.owner.lower()].forbids)
    if not pushes:
        return None
    if repository.archived:
        return _text(403, "This repository was archived so it is read-only.")
    if credential.kind == "classic":
        needed = {"repo"} if repository.is_private else {"repo", "public_repo"}
        may = bool(needed & credential.scopes)
    else:
        may = access.reaches(credential, repository) and access.has_permission(credential, "contents=write")
    if not may:
        return _text(403, "Write access to repository not granted.")
    if credential.kind != "installation":
        role = state.role(credential.user, repository)
        if ROLES.index(role) < ROLES.index("write"):
            return _text(403, f"Permission to {repository.full_name}.git denied to {credential.user}.")
    return None


def _push(state: State, request: Request, credential: Credential, repository: Repository) -> Answer:
    updates = git_http.updates_of(request)
    if refusal := _forbidden(state, credential, repository, updates):
        return git_http.refuse(request, refusal)
    before = repository.git.refs()
    was_empty = not repository.git.branches()
    done = git_http.answer(repository.git, request, "git-receive-pack", credential.user)
    after = repository.git.refs()
    if not access.may_edit_workflows(credential):
        for update in updates:
            path = branch_rules.changed_workflow(repository.git, before.get(update.ref), after.get(update.ref))
            if path:
                _put_back(repository, before, updates)
                return git_http.refuse(request, Refusal(branch_rules.workflow_refusal(credential, path)))
    branch_rules.after_change(state, repository, was_empty=was_empty)
    return done


def _forbidden(
    state: State, credential: Credential, repository: Repository, updates: list[RefUpdate]
) -> Refusal | None:
    if repository.push_refusal:
        return Refusal(*repository.push_refusal)
    for update in updates:
        branch = update.ref.removeprefix("refs/heads/")
        if complaint := branch_rules.protected(state, credential, repository, branch):
            # docs.github.com/en/get-started/using-git/pushing-commits-to-a-remote-repository and "About protected branches"
            message = f"error: GH006: Protected branch update failed for {update.ref}.\nerror: {complaint}"
            return Refusal("protected branch hook declined", message)
    return None


def _put_back(repository: Repository, before: dict[str, str], updates: list[RefUpdate]) -> None:
    for update in updates:
        if old := before.get(update.ref):
            repository.git.set_ref(update.ref, old)
        elif update.new != NO_COMMIT:
            repository.git.delete_ref(update.ref)


def _unauthorized(text: str) -> Answer:
    return _text(401, text).with_headers(("WWW-Authenticate", 'Basic realm="GitHub"'))


def _text(status: int, text: str) -> Answer:
    return Answer(status, text.encode(), (("Content-Type", "text/plain; charset=utf-8"),))
