"""docs.github.com/en/rest/branches/branches and …/commits/commits"""

from __future__ import annotations

from typing import Any

from tests.support.forges.git_store import EMPTY_TREE
from tests.support.forges.github import shapes
from tests.support.forges.github.access import Needs
from tests.support.forges.github.answers import refusal
from tests.support.forges.github.calls import Call, ok
from tests.support.forges.messages import Answer
from tests.support.forges.routing import Routes

routes = Routes()
_COMMITS = Needs("commits/commits#list-commits", "contents=read")


@routes.on("GET", "/repos/{owner}/{repo}/branches", Needs("branches/branches#list-branches", "contents=read"))
def list_branches(call: Call) -> Answer:
    protected = call.request.parameter("protected")
    names = [
        name
        for name in call.git.branches()
        if not protected or (name in call.repository.protections) == (protected == "true")
    ]

    def shape(name: str) -> dict[str, Any]:
        sha = call.git.head(name)
        url = f"{call.sites.api}/repos/{call.repository.full_name}/commits/{sha}"
        return {"name": name, "commit": {"sha": sha, "url": url}, "protected": name in call.repository.protections}

    return call.paged(names, shape)


@routes.on("GET", "/repos/{owner}/{repo}/branches/{branch}", Needs("branches/branches#get-a-branch", "contents=read"))
def get_branch(call: Call) -> Answer:
    name = call.values["branch"]
    head = call.git.head(name)
    if head is None:
        raise refusal(404, "Branch not found", call.page)
    url = f"{call.sites.api}/repos/{call.repository.full_name}/branches/{name}"
    is_protected = name in call.repository.protections
    return ok(
        {
            "name": name,
            "commit": shapes.commit(call.sites, call.repository, call.git.commit(head)),
            "_links": {"self": url, "html": f"{call.sites.html}/{call.repository.full_name}/tree/{name}"},
            "protected": is_protected,
            "protection": {
                "enabled": is_protected,
                "required_status_checks": {"enforcement_level": "off", "contexts": [], "checks": []},
            },
            "protection_url": f"{url}/protection",
        }
    )


@routes.on("GET", "/repos/{owner}/{repo}/commits", _COMMITS)
def list_commits(call: Call) -> Answer:
    """Of the default branch, or of ``sha``, which is a commit or a branch; 409 of an empty repository."""
    call.refuse_when_empty()
    start = call.request.parameter("sha") or call.git.default_branch
    commit = call.git.resolve(start)
    if commit is None:
        raise call.not_found()
    return call.paged(call.git.history(commit), lambda one: shapes.commit(call.sites, call.repository, one))


@routes.on("GET", "/repos/{owner}/{repo}/commits/{ref:**}", Needs("commits/commits#get-a-commit", "contents=read"))
def get_commit(call: Call) -> Answer:
    call.refuse_when_empty()
    ref = call.values["ref"]
    sha = call.git.resolve(ref.removeprefix("refs/").removeprefix("heads/"))
    if sha is None:
        raise refusal(422, f"No commit found for SHA: {ref}", call.page)
    if call.request.headers.get("accept") == "application/vnd.github.sha":
        return Answer(200, sha.encode(), (("Content-Type", "application/vnd.github.sha; charset=utf-8"),))
    one = call.git.commit(sha)
    parent = one.parents[0] if one.parents else EMPTY_TREE
    return ok(shapes.commit(call.sites, call.repository, one) | {"stats": {}, "files": _files(call, parent, sha)})


@routes.on(
    "GET", "/repos/{owner}/{repo}/compare/{basehead}", Needs("commits/commits#compare-two-commits", "contents=read")
)
def compare(call: Call) -> Answer:
    """``BASE...HEAD``: the commits that head has and base lacks, oldest first."""
    names = call.values["basehead"].split("...")
    shas = [call.git.resolve(name.rpartition(":")[2]) for name in names]
    if len(shas) != 2 or None in shas:
        raise call.not_found()
    base, head = str(shas[0]), str(shas[1])
    common = call.git.merge_base(base, head)
    if common is None:
        raise refusal(404, f"No common ancestor between {names[0]} and {names[1]}.", call.page)
    ahead, behind = call.git.history(head, without=base), call.git.history(base, without=head)
    status = "diverged" if ahead and behind else "ahead" if ahead else "behind" if behind else "identical"
    html = f"{call.sites.html}/{call.repository.full_name}/compare/{call.values['basehead']}"
    return ok(
        {
            "url": f"{call.sites.api}/repos/{call.repository.full_name}/compare/{call.values['basehead']}",
            "html_url": html,
            "permalink_url": html,
            "diff_url": f"{html}.diff",
            "patch_url": f"{html}.patch",
            "base_commit": shapes.commit(call.sites, call.repository, call.git.commit(base)),
            "merge_base_commit": shapes.commit(call.sites, call.repository, call.git.commit(common)),
            "status": status,
            "ahead_by": len(ahead),
            "behind_by": len(behind),
            "total_commits": len(ahead),
            "commits": [shapes.commit(call.sites, call.repository, one) for one in reversed(ahead)],
            "files": _files(call, common, head),
        }
    )


def _files(call: Call, old: str, new: str) -> list[dict[str, Any]]:
    """The first 300 files that differ: "Compare two commits"."""
    base, html = f"{call.sites.api}/repos/{call.repository.full_name}", f"{call.sites.html}/{call.repository.full_name}"
    found = []
    for path in call.git.changed_files(old, new)[:300]:
        before = None if old == EMPTY_TREE else call.git.entry(old, path)
        after = call.git.entry(new, path)
        found.append(
            {
                "sha": after.sha if after else before.sha if before else None,
                "filename": path,
                "status": "removed" if after is None else "modified" if before else "added",
                "additions": 0,
                "deletions": 0,
                "changes": 0,
                "blob_url": f"{html}/blob/{new}/{path}",
                "raw_url": f"{html}/raw/{new}/{path}",
                "contents_url": f"{base}/contents/{path}?ref={new}",
            }
        )
    return found
