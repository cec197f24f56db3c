"""Commits: docs.gitlab.com/api/commits/

What the pages leave open follows Commits::CreateService and Files::MultiService of gitlab-org/gitlab
(app/services/commits/create_service.rb, app/services/files/), which were read for order and words of their refusals.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from tests.support.forges.git_store import NO_COMMIT, GitError, Person
from tests.support.forges.git_store import Entry as TreeEntry
from tests.support.forges.gitlab import code_entities
from tests.support.forges.gitlab.endpoints.files import decoded, last_commit
from tests.support.forges.gitlab.pushed import after_push
from tests.support.forges.gitlab.routing import Call, bad_request, endpoint, forbidden, not_found, refused
from tests.support.forges.gitlab.state import Project
from tests.support.forges.messages import Answer, json_answer

_ACTIONS = ("create", "update", "move", "delete", "chmod")
_KNOWN = {"action", "file_path", "previous_path", "content", "encoding", "last_commit_id", "execute_filemode"}


# docs.gitlab.com/api/commits/#list-all-repository-commits
@endpoint("GET", "/projects/:id/repository/commits")
def commits(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    call.check(optional="ref_name path since until author all:bool with_stats:bool page:int per_page:int")
    project, ref = call.project(id), call.params.get("ref_name")
    # "The name of a repository branch, tag or revision range"
    before, dots, until = (ref or "").partition("..")
    start = project.repository.resolve((until if dots else ref) or project.default_branch)
    without = project.repository.resolve(before) if dots else None
    if start is None or (dots and without is None):
        if ref:
            raise not_found("Commit")
        return call.page([])
    found = project.repository.history(start, without)
    if path := call.params.get("path"):
        touched = (
            project.repository.git("--literal-pathspecs", "log", "--format=%H", start, "--", path).decode().split()
        )
        found = [one for one in found if one.sha in touched]
    return call.page([code_entities.commit(call.state, project, one) for one in found])


# docs.gitlab.com/api/commits/#retrieve-a-commit
@endpoint("GET", "/projects/:id/repository/commits/:sha")
def commit(call: Call, id: str, sha: str) -> Answer:  # noqa: A002 the documentation's word
    call.check(optional="stats:bool")
    project = call.project(id)
    found = project.repository.resolve(unquote(sha))
    if found is None:
        raise not_found("Commit")
    return json_answer(200, _detail(call, project, found, stats=call.params.get("stats", True)))


# docs.gitlab.com/api/commits/#create-a-commit
@endpoint("POST", "/projects/:id/repository/commits")
def create(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    project, params = call.project(id), call.params
    call.must_be_known()
    if not call.caller.can_push(project, str(params.get("branch", ""))):
        raise forbidden("You are not allowed to push into this branch")
    _validate(params)
    call.check(
        "branch commit_message actions:hashes",
        "start_branch start_sha start_project author_email author_name stats:bool force:bool allow_empty:bool",
    )
    if project.push_rule:
        # docs.gitlab.com/user/project/repository/push_rules/: the words of a rule are the message
        raise refused(400, project.push_rule)
    parent, seen = _start(project, params)
    entries = _apply(project, parent, params)
    author = Person(
        params.get("author_name") or call.caller.user.name,
        params.get("author_email") or call.caller.user.email,
        call.state.now(),
    )
    committer = Person(call.caller.user.name, call.caller.user.email, call.state.now())
    repository, base = project.repository, None
    if parent is not None:
        base = repository.commit(parent).tree
    try:
        tree = repository.write_tree(entries, base)
        made = repository.write_commit(
            tree, [parent] if parent else [], params["commit_message"], author=author, committer=committer
        )
        moved = repository.set_ref(f"refs/heads/{params['branch']}", made, seen or NO_COMMIT)
    except GitError:
        raise refused(400, f"Something went wrong when we tried to create '{params['branch']}' for you") from None
    if not moved:
        raise refused(400, "Could not update refs/heads/{}. Please refresh and try again.".format(params["branch"]))
    after_push(call.state, project)
    return json_answer(201, _detail(call, project, made, stats=params.get("stats", True)))


def _validate(params: dict[str, Any]) -> None:
    """The order and words of lib/api/commits.rb, which checks these itself."""
    for name in ("branch", "commit_message"):
        if not params.get(name):
            raise bad_request(f"{name} is required")
    if not params.setdefault("actions", []) and not params.get("allow_empty"):
        # The words of gitlab-org/gitlab!211520, which has made allow_empty
        raise bad_request("Provide at least one action, or set allow_empty to true")
    if not isinstance(params["actions"], list):
        raise bad_request("actions must be an array")
    if "start_sha" in params and "start_branch" in params:
        raise bad_request("start_branch, start_sha are mutually exclusive")
    for index, action in enumerate(params["actions"]):
        _validate_action(f"actions[{index}]", action)


def _validate_action(where: str, action: dict[str, Any]) -> None:
    if strange := action.keys() - _KNOWN:
        raise AssertionError(f"{where}: no page of the documentation knows {sorted(strange)}")
    if absent := [name for name in ("action", "file_path") if not action.get(name)]:
        raise bad_request(f"{where}[{absent[0]}] is required")
    kind = action["action"]
    if kind not in _ACTIONS:
        raise bad_request(f"{where}[action] must be one of: create, update, move, delete, chmod")
    if action.setdefault("encoding", "text") not in ("text", "base64"):
        raise bad_request(f"{where}[encoding] must be text or base64")
    needed = {"update": "content", "move": "previous_path", "chmod": "execute_filemode"}.get(kind)
    if needed and action.get(needed) is None:
        raise bad_request(f"{where}[{needed}] is required for {kind} action")
    if kind == "chmod" and not isinstance(action["execute_filemode"], bool):
        raise bad_request(f"{where}[execute_filemode] must be a boolean")


def _start(project: Project, params: dict[str, Any]) -> tuple[str | None, str | None]:
    """The commit to stand on, and where the branch is now."""
    repository, branch = project.repository, params["branch"]
    head = repository.head(branch)
    start_sha, start_branch = params.get("start_sha"), params.get("start_branch") or branch
    if start_sha and not re.fullmatch(r"[0-9a-f]{40}", start_sha):
        raise refused(400, f"Invalid start_sha '{start_sha}'")
    if start_sha and repository.resolve(start_sha) is None:
        raise refused(400, f"Cannot find start_sha '{start_sha}'")
    if not start_sha and not project.empty and repository.head(start_branch) is None:
        raise refused(400, "You can only create or edit files when you are on a branch")
    elsewhere = bool(start_sha) or start_branch != branch
    if elsewhere and head is not None and not params.get("force"):
        raise refused(400, f"A branch called '{branch}' already exists. Switch to that branch in order to make changes")
    return start_sha or repository.head(start_branch), head


def _apply(project: Project, parent: str | None, params: dict[str, Any]) -> list[TreeEntry]:
    """What the actions leave at each path they touch, one after the other; an empty SHA: it is gone."""
    repository, actions = project.repository, params["actions"]
    listed = repository.entries(parent, recursive=True) if parent else []
    there = {entry.path: entry for entry in listed}
    after: dict[str, TreeEntry] = {}
    given = [decoded(action.get("content") or "", action["encoding"]) for action in actions]
    for action, blob in zip(actions, repository.write_blobs(given), strict=True):
        path, previous = _path(action["file_path"]), _path(action.get("previous_path") or action["file_path"])
        _check_unchanged(project, params, action, previous)
        old = there.get(previous)
        if action["action"] in ("create", "move"):
            _check_free(there, path)
        if action["action"] != "create" and (old is None or old.kind != "blob"):
            raise refused(400, "A file with this name doesn't exist")
        for left in _left(action, path, old, blob):
            after[left.path] = there[left.path] = left
            if not left.sha:
                del there[left.path]
    return list(after.values())


def _left(action: dict[str, Any], path: str, old: TreeEntry | None, blob: str) -> list[TreeEntry]:
    """What one action leaves; ``old`` is what it found, which only a new file has none of."""
    if old is None or action["action"] == "create":
        # execute_filemode counts for chmod alone: docs.gitlab.com/api/commits/#create-a-commit
        return [TreeEntry(path, "100644", "blob", blob)]
    match action["action"]:
        case "update":
            return [TreeEntry(path, old.mode, "blob", blob)]
        case "delete":
            return [TreeEntry(path, old.mode, "blob", "")]
        case "move":
            # "If you do not specify content, the existing file content is preserved"
            content = old.sha if action.get("content") is None else blob
            return [TreeEntry(old.path, old.mode, "blob", ""), TreeEntry(path, old.mode, "blob", content)]
        case _:
            return [TreeEntry(path, "100755" if action["execute_filemode"] else "100644", "blob", old.sha)]


def _check_free(there: dict[str, TreeEntry], path: str) -> None:
    if path in there:
        what = "directory" if there[path].kind == "tree" else "file"
        raise refused(400, f"A {what} with this name already exists")
    parts = path.split("/")
    above = ("/".join(parts[:count]) for count in range(1, len(parts)))
    if any(there[folder].kind == "blob" for folder in above if folder in there):
        raise refused(400, "A file with this name already exists")


def _check_unchanged(project: Project, params: dict[str, Any], action: dict[str, Any], path: str) -> None:
    """``last_commit_id`` is for update, move and delete: docs.gitlab.com/api/commits/#create-a-commit

    It is refused when the file's last commit differs between the branch that the commit starts from and the one that is
    named: Files::BaseService#file_has_changed?. With ``start_sha`` that branch is nobody, so the default one.
    """
    named, repository = action.get("last_commit_id"), project.repository
    if not named or action["action"] not in ("update", "move", "delete"):
        return
    start = project.default_branch if params.get("start_sha") else params.get("start_branch") or params["branch"]
    head, then = repository.resolve(start), repository.resolve(named)
    now_at = last_commit(repository, head, path) if head else ""
    was_at = last_commit(repository, then, path) if then else ""
    if now_at and was_at and now_at != was_at:
        raise refused(400, f"The file has changed since you started editing it: {path}")


def _path(path: str) -> str:
    # Gitaly's words: internal/git/… IndexError
    if ".." in path.split("/"):
        raise refused(400, "Path cannot include directory traversal")
    if path.startswith("/") or path.endswith("/") or "//" in path or ".git" in path.split("/"):
        raise refused(400, f"invalid path: '{path}'")
    return path


def _detail(call: Call, project: Project, sha: str, *, stats: bool) -> dict[str, Any]:
    about = project.repository.commit(sha)
    counted = None
    if stats:
        parent = about.parents[0] if about.parents else "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
        lines = project.repository.git("diff-tree", "-r", "--numstat", parent, sha).decode().splitlines()
        numbers = [line.split("\t")[:2] for line in lines]
        added = sum(int(one) for one, _ in numbers if one.isdigit())
        removed = sum(int(one) for _, one in numbers if one.isdigit())
        counted = {"additions": added, "deletions": removed, "total": added + removed}
    return code_entities.commit_detail(call.state, project, about, counted)
