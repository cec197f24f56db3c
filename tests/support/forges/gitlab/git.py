"""Git's own protocol on the same repositories: who may, and what GitLab says to who may not.

docs.gitlab.com/topics/git/clone/#clone-with-https and docs.gitlab.com/user/project/repository/branches/protected/. The words
are those of lib/gitlab/git_access.rb and lib/gitlab/checks/ of gitlab-org/gitlab.
"""

from __future__ import annotations

import gzip
from urllib.parse import unquote

from tests.support.forges import git_http
from tests.support.forges.git_store import NO_COMMIT, GitError, GitRepository
from tests.support.forges.gitlab.access import Caller, matching, token_of_git
from tests.support.forges.gitlab.endpoints.projects import make_project
from tests.support.forges.gitlab.pushed import after_push
from tests.support.forges.gitlab.state import DEVELOPER, REPORTER, Project, State
from tests.support.forges.messages import Answer, Request

_DENIED = (
    "HTTP Basic: Access denied. If a password was provided for Git authentication, the password was incorrect or you're "
    "required to use a token instead of a password. If a token was provided, it was either incorrect, expired, or "
    "improperly scoped. See {url}/help/topics/git/troubleshooting_git.md#error-on-git-fetch-http-basic-access-denied"
)
_PROTECTED = "You are not allowed to push code to protected branches on this project."
_READ_ONLY = "Git push is not allowed because this GitLab instance is currently in (read-only) maintenance mode."
_UNSEEN = "The project you were looking for could not be found or you don't have permission to view it."


def is_git(request: Request) -> bool:
    return ".git/" in request.path and not request.path.startswith("/api/")


def answer(state: State, request: Request) -> Answer:
    path, _, rest = request.path.lstrip("/").partition(".git/")
    service = git_http.service_of(request, rest)
    if service is None:
        return Answer(404)
    pushes = service == "git-receive-pack"
    token = state.tokens.get(token_of_git(request))
    if token is not None and token.ends:
        token = None
    if token is not None and not _scoped(token.scopes, pushes=pushes):
        return _text(403, f"You are not allowed to {'upload' if pushes else 'download'} code.")
    if token is None and (request.headers.get("authorization") or pushes):
        return _denied(state)
    caller = Caller(state, token)
    project = _project(state, caller, unquote(path), pushes=pushes)
    if project is None or not caller.can_see(project):
        # Nobody is asked who they are before they hear that there is nothing.
        return _denied(state) if token is None else _text(404, _UNSEEN)
    if refused := _refused(state, caller, project, pushes=pushes):
        return refused
    if request.method == "POST" and pushes:
        return _push(state, caller, project, request, rest)
    return git_http.answer(project.repository, request, rest, token.user.username if token else "")


def _scoped(scopes: tuple[str, ...], *, pushes: bool) -> bool:
    """docs.gitlab.com/user/profile/personal_access_tokens/#personal-access-token-scopes"""
    return bool({"api", "write_repository", *(() if pushes else ("read_repository", "read_api"))} & set(scopes))


def _project(state: State, caller: Caller, path: str, *, pushes: bool) -> Project | None:
    """The project of an address, also of one that it had; a push makes one that is missing, where its pusher may.

    docs.gitlab.com/user/project/repository/#repository-path-changes and
    docs.gitlab.com/topics/git/project/: "When you push to a repository that does not exist, GitLab creates it".
    """
    project = state.project(path) or state.projects.get(state.moved.get(path.lower(), 0))
    if project is not None or not pushes or caller.user is None:
        return project
    parent, _, name = path.rpartition("/")
    namespace = state.namespace(parent)
    if namespace is None or not caller.can_create_in(namespace):
        return None
    return make_project(state, namespace, name, caller.user)


def _refused(state: State, caller: Caller, project: Project, *, pushes: bool) -> Answer | None:
    if not pushes:
        public = project.visibility != "private"
        allowed = public or caller.level(project) >= REPORTER
        return None if allowed else _text(403, "You are not allowed to download code from this project.")
    if state.maintenance:
        # docs.gitlab.com/administration/maintenance_mode/#git-actions
        return _text(403, _READ_ONLY)
    if project.archived:
        return _text(403, "You can't push code to an archived project.")
    if caller.level(project) < DEVELOPER:
        return _text(403, "You are not allowed to push code to this project.")
    return None


def _push(state: State, caller: Caller, project: Project, request: Request, rest: str) -> Answer:
    updates = git_http.updates_of(request)
    for update in updates:
        branch = update.ref.removeprefix("refs/heads/")
        if words := _forbidden(caller, project, branch, update, request) if branch != update.ref else "":
            # docs.gitlab.com/user/project/repository/push_rules/ and …/branches/protected/: a hook of GitLab's declines
            return git_http.refuse(request, git_http.Refusal("pre-receive hook declined", f"GitLab: {words}"))
    done = git_http.answer(project.repository, request, rest, caller.user.username)
    if updates:
        after_push(state, project)
    return done


def _forbidden(caller: Caller, project: Project, branch: str, update: git_http.RefUpdate, request: Request) -> str:
    if project.push_rule:
        return project.push_rule
    rules = matching(project, branch)
    if not caller.can_push(project, branch):
        if not project.settled:
            return f"{_PROTECTED} Ask a project Owner or Maintainer to create a default branch: {project.full_path}"
        return _PROTECTED
    if rules and update.new == NO_COMMIT:
        return "You can only delete protected branches using the web interface."
    forced = update.old != NO_COMMIT and update.new != NO_COMMIT and not _continues(project.repository, update, request)
    if rules and forced and not any(rule.allow_force_push for rule in rules):
        return "You are not allowed to force push code to a protected branch on this project."
    return ""


def _continues(repository: GitRepository, update: git_http.RefUpdate, request: Request) -> bool:
    """Whether the new commit has the old one in its history; for that its objects are taken in, as git's quarantine does."""
    body = gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body
    _, begins, pack = body.partition(b"0000PACK")
    try:
        if begins:
            repository.git("index-pack", "--stdin", "--fix-thin", stdin=b"PACK" + pack)
        return repository.is_ancestor(update.old, update.new)
    except GitError:
        return False


def _denied(state: State) -> Answer:
    answer = _text(401, _DENIED.format(url=state.url))
    return answer.with_headers(("WWW-Authenticate", 'Basic realm="GitLab"'))


def _text(status: int, words: str) -> Answer:
    return Answer(status, words.encode(), (("Content-Type", "text/plain; charset=utf-8"),))
