"""docs.github.com/en/rest/repos/contents"""

from __future__ import annotations

import base64
from typing import Any

from tests.support.forges.git_store import Entry, Person
from tests.support.forges.github import branch_rules, shapes
from tests.support.forges.github.access import Needs
from tests.support.forges.github.answers import malformed, not_found, refusal
from tests.support.forges.github.calls import Call, created, ok
from tests.support.forges.messages import Answer
from tests.support.forges.routing import Routes

routes = Routes()
_READ = Needs("repos/contents#get-repository-content", "contents=read")
_README = Needs("repos/contents#get-a-repository-readme", "contents=read")


@routes.on("GET", "/repos/{owner}/{repo}/contents", _READ)
@routes.on("GET", "/repos/{owner}/{repo}/contents/", _READ)
@routes.on("GET", "/repos/{owner}/{repo}/contents/{path:**}", _READ)
def get(call: Call) -> Answer:
    """A folder is a list, a file an object; a file of 1 to 100 MB comes without its content."""
    git = call.git
    if git.is_empty():
        raise refusal(404, "This repository is empty.", call.page)
    ref = call.request.parameter("ref") or git.default_branch
    commit = git.resolve(ref)
    if commit is None:
        raise refusal(404, f"No commit found for the ref {ref}", "v3/repos/contents/")
    path = call.values.get("path", "").strip("/")
    found = git.entry(commit, path) if path else Entry("", "040000", "tree", commit)
    if found is None:
        raise call.not_found()
    if found.kind == "tree":
        entries = git.entries(commit, recursive=False, path=path)[
            :1000
        ]  # "an upper limit of 1,000 files for a directory"
        return ok([_shape(call, ref, f"{path}/{one.path}".lstrip("/"), one) for one in entries])
    content = git.read_blob(found.sha)
    if "raw" in call.request.headers.get("accept", ""):
        return Answer(200, content, (("Content-Type", "application/vnd.github.raw+json; charset=utf-8"),))
    shape = _shape(call, ref, path, found)
    if len(content) > 1024 * 1024:
        return ok(shape | {"content": "", "encoding": "none"})
    # The content is broken into lines of 60 characters, as base64 in the MIME manner.
    encoded = base64.b64encode(content).decode()
    lines = [encoded[at : at + 60] + "\n" for at in range(0, len(encoded), 60)]
    return ok(shape | {"content": "".join(lines), "encoding": "base64"})


def _shape(call: Call, ref: str, path: str, entry: Entry) -> dict[str, Any]:
    base, html = f"{call.sites.api}/repos/{call.repository.full_name}", f"{call.sites.html}/{call.repository.full_name}"
    is_tree = entry.kind == "tree"
    git_url = f"{base}/git/{'trees' if is_tree else 'blobs'}/{entry.sha}"
    links = {
        "self": f"{base}/contents/{path}?ref={ref}",
        "git": git_url,
        "html": f"{html}/{'tree' if is_tree else 'blob'}/{ref}/{path}",
    }
    kind = "dir" if is_tree else "symlink" if entry.mode == "120000" else "file"
    return {
        "name": path.rpartition("/")[2],
        "path": path,
        "sha": entry.sha,
        "size": entry.size or 0,
        "url": links["self"],
        "html_url": links["html"],
        "git_url": git_url,
        "download_url": None if is_tree else f"{html}/raw/{ref}/{path}",
        "type": kind,
        "_links": links,
    }


@routes.on(
    "PUT",
    "/repos/{owner}/{repo}/contents/{path:**}",
    Needs("repos/contents#create-or-update-file-contents", "contents=write", role="write"),
)
def put(call: Call) -> Answer:
    """ "sha: Required if you are updating a file." An empty repository gets its first branch by this."""
    git, path = call.git, call.values["path"].strip("/")
    message, encoded = call.field("message", str), call.field("content", str)
    was_empty = git.is_empty()
    branch = call.field("branch", str, default=git.default_branch)
    head = git.head(branch)
    if head is None and not was_empty:
        raise refusal(404, f"Branch {branch} not found", call.page)
    _refuse_forbidden(call, branch, path)
    try:
        content = decoded(encoded)
    except ValueError as error:
        raise refusal(422, "content is not valid Base64", call.page) from error
    there = git.entry(head, path) if head else None
    expected = call.field("sha", str, default="")
    if there is not None and not expected:
        raise malformed(call.page, '"sha" wasn\'t supplied.')
    if there is not None and expected != there.sha:
        raise refusal(409, f"{path} does not match {expected}", call.page)
    if there is None and expected:
        raise refusal(409, f"{path} does not match {expected}", call.page)
    entry = Entry(path, there.mode if there else "100644", "blob", git.write_blob(content), len(content))
    tree = git.write_tree([entry], base=git.commit(head).tree if head else None)
    committer = person(
        call,
        "committer",
        Person(call.credential.user, f"{call.credential.user}@users.noreply.github.com", call.state.clock.now()),
    )
    author = person(call, "author", committer)
    sha = git.write_commit(tree, [head] if head else [], message, author=author, committer=committer)
    git.set_ref(f"refs/heads/{branch}", sha)
    branch_rules.after_change(call.state, call.repository, was_empty=was_empty)
    commit = shapes.git_commit(call.sites, call.repository, git.commit(sha))
    answer = ok if there else created
    return answer({"content": _shape(call, branch, path, entry), "commit": commit})


def _refuse_forbidden(call: Call, branch: str, path: str) -> None:
    if path.startswith(branch_rules.WORKFLOWS) and not call.may_edit_workflows():
        # "The `workflow` scope is also required in order to modify files in the `.github/workflows` directory": without
        # it a person gets 404, an app 403 (see "Create a release", which spells it out).
        if call.credential.kind == "classic":
            raise not_found(call.page)
        who = "integration" if call.credential.kind == "installation" else "personal access token"
        raise refusal(403, f"Resource not accessible by {who}", call.page)
    if complaint := branch_rules.protected(call.state, call.credential, call.repository, branch):
        is_rule = complaint.startswith("Repository rule violations")
        raise refusal(409, complaint if is_rule else f"Could not update file: {complaint}", call.page)


def decoded(text: str) -> bytes:
    """What is in Base64, whose lines may be broken as in MIME; raises ValueError."""
    return base64.b64decode("".join(text.split()), validate=True)


def person(call: Call, role: str, default: Person) -> Person:
    """The author or committer of a body: name and email are required in it, the date is not."""
    from datetime import datetime

    value = call.field(role, dict, default={})
    if not value:
        return default
    if missing := [name for name in ("name", "email") if not value.get(name)]:
        raise malformed(call.page, *(f'"{name}" wasn\'t supplied.' for name in missing))
    at = datetime.fromisoformat(value["date"].replace("Z", "+00:00")) if value.get("date") else default.at
    return Person(value["name"], value["email"], at)


@routes.on("GET", "/repos/{owner}/{repo}/readme", _README)
def readme(call: Call) -> Answer:
    call.values["path"] = "README.md"
    return get(call)
