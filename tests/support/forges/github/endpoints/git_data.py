"""docs.github.com/en/rest/git: refs, trees, blobs and commits."""

from __future__ import annotations

import base64
from typing import Any

from tests.support.forges.git_store import NO_COMMIT, Entry, GitError, Person
from tests.support.forges.github import branch_rules, shapes
from tests.support.forges.github.access import Needs
from tests.support.forges.github.answers import invalid, malformed, not_found, refusal
from tests.support.forges.github.calls import Call, created, no_content, ok
from tests.support.forges.github.endpoints.contents import decoded, person
from tests.support.forges.github.state import node_id
from tests.support.forges.messages import Answer
from tests.support.forges.routing import Routes

routes = Routes()
_TREE_LIMIT = 100_000
_MODES = {"100644": "blob", "100755": "blob", "120000": "blob", "040000": "tree", "160000": "commit"}


def _read(page: str) -> Needs:
    return Needs(page, "contents=read")


def _write(page: str) -> Needs:
    return Needs(page, "contents=write", role="write")


def _base(call: Call) -> str:
    return f"{call.sites.api}/repos/{call.repository.full_name}/git"


# The part of the reference on refs


def _ref(call: Call, name: str, sha: str) -> dict[str, Any]:
    kind = call.git.kind(sha)
    return {
        "ref": name,
        "node_id": node_id("Ref", name),
        "url": f"{_base(call)}/{name}",
        "object": {"type": kind, "sha": sha, "url": f"{_base(call)}/{kind}s/{sha}"},
    }


@routes.on("GET", "/repos/{owner}/{repo}/git/ref/{ref:**}", _read("git/refs#get-a-reference"))
def get_ref(call: Call) -> Answer:
    """ "If the :ref doesn't match an existing ref, a 404 is returned." """
    call.refuse_when_empty()
    name = f"refs/{call.values['ref']}"
    sha = call.git.ref(name)
    if sha is None:
        raise call.not_found()
    return ok(_ref(call, name, sha))


@routes.on("GET", "/repos/{owner}/{repo}/git/matching-refs/{ref:**}", _read("git/refs#list-matching-references"))
def matching_refs(call: Call) -> Answer:
    call.refuse_when_empty()
    start = f"refs/{call.values['ref']}"
    found = [(name, sha) for name, sha in call.git.refs().items() if name.startswith(start)]
    return call.paged(found, lambda pair: _ref(call, *pair))


@routes.on("POST", "/repos/{owner}/{repo}/git/refs", _write("git/refs#create-a-reference"))
def create_ref(call: Call) -> Answer:
    """ "You are unable to create new references for empty repositories, even if the commit SHA-1 hash used exists." """
    call.refuse_when_empty()
    name, sha = call.field("ref", str), call.field("sha", str)
    if not name.startswith("refs/") or name.count("/") < 2:
        raise refusal(
            422, f"Reference name must start with 'refs/' and contain at least two slashes: {name}", call.page
        )
    _known(call, sha)
    _refuse_workflows(call, call.git.head(call.git.default_branch), sha)
    if call.git.ref(name):
        raise refusal(422, "Reference already exists", call.page)
    try:
        made = call.git.set_ref(name, sha, NO_COMMIT)
    except GitError as error:
        raise refusal(422, "Reference name is not valid", call.page) from error
    if not made:
        raise refusal(422, "Reference cannot be created", call.page)
    branch_rules.after_change(call.state, call.repository, was_empty=False)
    shape = _ref(call, name, sha)
    return created(shape, ("Location", shape["url"]))


@routes.on("PATCH", "/repos/{owner}/{repo}/git/refs/{ref:**}", _write("git/refs#update-a-reference"))
def update_ref(call: Call) -> Answer:
    """ "force: Leaving this out or setting it to false will make sure you're not overwriting work." """
    call.refuse_when_empty()
    name, sha, force = f"refs/{call.values['ref']}", call.field("sha", str), call.field("force", bool, default=False)
    old = call.git.ref(name)
    if old is None:
        raise refusal(422, "Reference does not exist", call.page)
    _known(call, sha)
    branch = name.removeprefix("refs/heads/")
    if complaint := branch_rules.protected(call.state, call.credential, call.repository, branch):
        raise refusal(422, complaint, call.page)
    if not force and not call.git.is_ancestor(old, sha):
        raise refusal(422, "Update is not a fast forward", call.page)
    _refuse_workflows(call, old, sha)
    if not call.git.set_ref(name, sha, old):
        raise refusal(409, "Reference cannot be updated", call.page)
    branch_rules.after_change(call.state, call.repository, was_empty=False)
    return ok(_ref(call, name, sha))


@routes.on("DELETE", "/repos/{owner}/{repo}/git/refs/{ref:**}", _write("git/refs#delete-a-reference"))
def delete_ref(call: Call) -> Answer:
    call.refuse_when_empty()
    name = f"refs/{call.values['ref']}"
    if call.git.ref(name) is None:
        raise refusal(422, "Reference does not exist", call.page)
    if name == f"refs/heads/{call.git.default_branch}":
        raise refusal(422, "Cannot delete the default branch", call.page)
    call.git.delete_ref(name)
    branch_rules.after_change(call.state, call.repository, was_empty=False)
    return no_content()


def _known(call: Call, sha: str) -> None:
    if len(sha) != 40:
        raise malformed(call.page, "The sha parameter must be exactly 40 characters and contain only [0-9a-f].")
    if call.git.kind(sha) is None:
        raise refusal(422, "Object does not exist", call.page)


def _refuse_workflows(call: Call, old: str | None, new: str) -> None:
    """As in contents: who may not change workflows gets 404 as a person, and 403 as an app."""
    if call.may_edit_workflows() or not branch_rules.changed_workflow(call.git, old, new):
        return
    _refuse_workflow(call)


def _refuse_workflow(call: Call) -> None:
    if call.credential.kind == "classic":
        raise not_found(call.page)
    who = "integration" if call.credential.kind == "installation" else "personal access token"
    raise refusal(403, f"Resource not accessible by {who}", call.page)


# The part of the reference on trees


@routes.on("GET", "/repos/{owner}/{repo}/git/trees/{tree_sha:**}", _read("git/trees#get-a-tree"))
def get_tree(call: Call) -> Answer:
    """ "using the SHA1 value or ref name"; any value of ``recursive`` means yes, even 0 and false."""
    call.refuse_when_empty()
    name = call.values["tree_sha"]
    sha = _tree_of(call, name)
    if sha is None:
        raise call.not_found()
    recursive = "recursive" in call.request.query
    entries = call.git.entries(sha, recursive=recursive)
    limit = call.state.tree_limit if recursive else _TREE_LIMIT
    return ok(_tree(call, sha, entries[:limit], truncated=len(entries) > limit))


def _tree_of(call: Call, name: str) -> str | None:
    if call.git.kind(name) == "tree" and len(name) == 40:
        return name
    commit = call.git.resolve(name.removeprefix("refs/").removeprefix("heads/"))
    return call.git.commit(commit).tree if commit else None


def _tree(call: Call, sha: str, entries: list[Entry], *, truncated: bool) -> dict[str, Any]:
    return {
        "sha": sha,
        "url": f"{_base(call)}/trees/{sha}",
        "tree": [
            {"path": one.path, "mode": one.mode, "type": one.kind, "sha": one.sha}
            | ({} if one.size is None else {"size": one.size})
            | {"url": f"{_base(call)}/{one.kind}s/{one.sha}"}
            for one in entries
        ],
        "truncated": truncated,
    }


@routes.on("POST", "/repos/{owner}/{repo}/git/trees", _write("git/trees#create-a-tree"))
def create_tree(call: Call) -> Answer:
    """Entries with ``content`` are written here; ``sha`` null takes a path away, which has to be there."""
    call.refuse_when_empty()
    base = call.field("base_tree", str, default="")
    if base and call.git.kind(base) != "tree":
        # "base_tree: The SHA1 of an existing Git tree object": a commit is none.
        raise refusal(422, f"base_tree {base} is not a tree", call.page)
    given = call.field("tree", list)
    if not given:
        raise refusal(422, "Invalid tree info", call.page)
    entries, contents = [_entry(call, base, one) for one in given], {}
    for index, one in enumerate(given):
        if "content" in one:
            contents[index] = str(one["content"]).encode()
    shas = dict(zip(contents, call.git.write_blobs(list(contents.values())), strict=True))
    written = [
        Entry(entry.path, entry.mode, entry.kind, shas.get(index, entry.sha)) for index, entry in enumerate(entries)
    ]
    if not call.may_edit_workflows() and any(one.path.startswith(branch_rules.WORKFLOWS) for one in written):
        _refuse_workflow(call)
    sha = call.git.write_tree(written, base or None)
    return created(_tree(call, sha, call.git.entries(sha, recursive=False), truncated=False))


def _entry(call: Call, base: str, one: Any) -> Entry:
    if not isinstance(one, dict):
        raise malformed(call.page, "tree entries are objects.")
    path, mode, kind = str(one.get("path", "")), one.get("mode"), one.get("type")
    if not path or path.startswith("/") or path.endswith("/") or ".git" in path.split("/") or ".." in path.split("/"):
        raise refusal(422, "tree.path contains a malformed path component", call.page)
    if mode not in _MODES:
        raise refusal(422, "Must supply a valid tree.mode", call.page)
    if ("sha" in one) == ("content" in one):
        # "Using both tree.sha and content will return an error", says the reference.
        raise refusal(422, "Must supply either tree.sha or tree.content", call.page)
    kind = kind or _MODES[mode]
    if kind != _MODES[mode]:
        raise refusal(422, "Must supply a valid tree.type", call.page)
    if "content" in one:
        return Entry(path, mode, "blob", "")
    sha = one["sha"]
    if sha is None:
        if not base or call.git.entry(base, path) is None:
            raise refusal(
                422, "GitRPC::BadObjectState", call.page
            )  # "an error if you try to delete a file that does not exist"
        return Entry(path, mode, kind, "")
    if kind != "commit" and call.git.kind(sha) != kind:
        raise refusal(422, f"tree.sha {sha} is not a valid {kind}", call.page)
    return Entry(path, mode, kind, sha)


# The part of the reference on blobs


@routes.on("POST", "/repos/{owner}/{repo}/git/blobs", _write("git/blobs#create-a-blob"))
def create_blob(call: Call) -> Answer:
    call.refuse_when_empty()
    content, encoding = call.field("content", str), call.field("encoding", str, default="utf-8")
    if encoding not in ("utf-8", "base64"):
        raise refusal(422, f"Unsupported encoding: {encoding}", call.page)
    try:
        data = decoded(content) if encoding == "base64" else content.encode()
    except ValueError as error:
        raise invalid(call.page, "Blob", "custom", "content", "content is not valid Base64") from error
    sha = call.git.write_blob(data)
    url = f"{_base(call)}/blobs/{sha}"
    return created({"sha": sha, "url": url}, ("Location", url))


@routes.on("GET", "/repos/{owner}/{repo}/git/blobs/{file_sha}", _read("git/blobs#get-a-blob"))
def get_blob(call: Call) -> Answer:
    """ "The content in the response will always be Base64 encoded." """
    call.refuse_when_empty()
    sha = call.values["file_sha"]
    if call.git.kind(sha) != "blob":
        raise call.not_found()
    content = call.git.read_blob(sha)
    if "raw" in call.request.headers.get("accept", ""):
        return Answer(200, content, (("Content-Type", "application/vnd.github.raw+json; charset=utf-8"),))
    encoded = base64.encodebytes(content).decode()
    url = f"{_base(call)}/blobs/{sha}"
    return ok(
        {
            "sha": sha,
            "node_id": node_id("Blob", sha),
            "size": len(content),
            "url": url,
            "content": encoded,
            "encoding": "base64",
        }
    )


# The part of the reference on commits


@routes.on("POST", "/repos/{owner}/{repo}/git/commits", _write("git/commits#create-a-commit"))
def create_commit(call: Call) -> Answer:
    """The author is the token's person, and the date now, unless the body says otherwise."""
    call.refuse_when_empty()
    message, tree = call.field("message", str), call.field("tree", str)
    parents = call.field("parents", list, default=[])
    if call.git.kind(tree) != "tree":
        raise refusal(422, "Tree SHA does not exist", call.page)
    if wrong := [sha for sha in parents if call.git.kind(str(sha)) != "commit"]:
        raise refusal(422, f"Parent SHA does not exist or is not a commit object: {wrong[0]}", call.page)
    user = call.credential.user
    author = person(call, "author", Person(user, f"{user}@users.noreply.github.com", call.state.clock.now()))
    sha = call.git.write_commit(tree, parents, message, author=author, committer=person(call, "committer", author))
    shape = shapes.git_commit(call.sites, call.repository, call.git.commit(sha))
    if call.credential.kind == "installation" and not {"author", "committer"} & call.body().keys():
        # "About commit signature verification", bots: GitHub signs what an app commits without an author of its own.
        shape["verification"] |= {"verified": True, "reason": "valid", "verified_at": call.state.clock.text()}
    return created(shape, ("Location", shape["url"]))


@routes.on("GET", "/repos/{owner}/{repo}/git/commits/{commit_sha}", _read("git/commits#get-a-commit-object"))
def get_commit(call: Call) -> Answer:
    call.refuse_when_empty()
    if call.git.kind(call.values["commit_sha"]) != "commit":
        raise call.not_found()
    return ok(shapes.git_commit(call.sites, call.repository, call.git.commit(call.values["commit_sha"])))
