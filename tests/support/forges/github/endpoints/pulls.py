"""docs.github.com/en/rest/pulls/pulls"""

from __future__ import annotations

from typing import Any

from tests.support.forges.git_store import Person
from tests.support.forges.github import branch_rules, shapes
from tests.support.forges.github.access import Needs
from tests.support.forges.github.answers import invalid, malformed, refusal
from tests.support.forges.github.calls import Call, created, ok
from tests.support.forges.github.endpoints.issues import label
from tests.support.forges.github.state import Pull, node_id
from tests.support.forges.messages import Answer
from tests.support.forges.routing import Routes

routes = Routes()
_PULL = "/repos/{owner}/{repo}/pulls/{number}"
_CREATE = Needs("pulls/pulls#create-a-pull-request", "pull_requests=write", role="read")


@routes.on("GET", "/repos/{owner}/{repo}/pulls", Needs("pulls/pulls#list-pull-requests", "pull_requests=read"))
def list_pulls(call: Call) -> Answer:
    """ "Filter pulls by head user or head organization and branch name in the format of user:ref-name": without an owner
    the filter is ignored. Open ones, latest first, unless something else is asked for.
    """
    state, head, base = (call.request.parameter(name) for name in ("state", "head", "base"))
    if state not in ("", "open", "closed", "all"):
        raise malformed(call.page, f"{state!r} is not a valid value for state")
    found = [one for one in call.repository.pulls if state == "all" or one.state == (state or "open")]
    owner, colon, branch = head.partition(":")
    if colon:
        same = owner.lower() == call.repository.owner.lower()
        found = [one for one in found if same and one.head == branch]
    if base:
        found = [one for one in found if one.base == base]
    newest_first = (
        call.request.parameter("direction", "desc" if call.request.parameter("sort", "created") == "created" else "asc")
        == "desc"
    )
    return call.paged(sorted(found, key=lambda one: one.number, reverse=newest_first), lambda one: _simple(call, one))


@routes.on("POST", "/repos/{owner}/{repo}/pulls", _CREATE)
def create_pull(call: Call) -> Answer:
    """What is wrong is a 422 each time, told apart by its error: a missing branch has ``field`` and the code invalid,
    "already exists" and "No commits between" the code custom and a message (troubleshooting-the-rest-api,
    "Validation Failed": "custom: refer to the message property").
    """
    title, head, base = call.field("title", str, default=""), call.field("head", str), call.field("base", str)
    if not title and not call.field("issue", int, default=0):
        raise invalid(call.page, "PullRequest", "missing_field", "title")
    owner, colon, branch = head.rpartition(":")
    head_sha, base_sha = call.git.head(branch), call.git.head(base)
    if (colon and owner.lower() != call.repository.owner.lower()) or head_sha is None:
        raise invalid(call.page, "PullRequest", "invalid", "head")
    if base_sha is None:
        raise invalid(call.page, "PullRequest", "invalid", "base")
    if call.git.is_ancestor(head_sha, base_sha):
        raise invalid(call.page, "PullRequest", "custom", message=f"No commits between {base} and {branch}")
    if call.git.merge_base(head_sha, base_sha) is None:
        message = f"The {branch} branch has no history in common with {base}"
        raise invalid(call.page, "PullRequest", "custom", message=message)
    if any(one.state == "open" and (one.head, one.base) == (branch, base) for one in call.repository.pulls):
        message = f"A pull request already exists for {call.repository.owner}:{branch}."
        raise invalid(call.page, "PullRequest", "custom", message=message)
    pull = Pull(
        id=call.state.new_id(),
        number=call.repository.next_number,
        head=branch,
        base=base,
        head_sha=head_sha,
        base_sha=base_sha,
        title=title,
        body=call.field("body", str, default=None),
        user=call.credential.user,
        created_at=call.state.clock.text(),
        draft=call.field("draft", bool, default=False),
    )
    call.repository.pulls.append(pull)
    shape = _full(call, pull)
    return created(shape, ("Location", shape["url"]))


def _found(call: Call) -> Pull:
    number = call.values["number"]
    for one in call.repository.pulls:
        if str(one.number) == number:
            return one
    raise call.not_found()


@routes.on("GET", _PULL, Needs("pulls/pulls#get-a-pull-request", "pull_requests=read"))
def get_pull(call: Call) -> Answer:
    return ok(_full(call, _found(call)))


@routes.on("PATCH", _PULL, Needs("pulls/pulls#update-a-pull-request", "pull_requests=write", role="write"))
def update_pull(call: Call) -> Answer:
    """Closing, reopening and rewording. What is merged stays so."""
    pull = _found(call)
    state = call.field("state", str, default=pull.state)
    if state not in ("open", "closed"):
        raise malformed(call.page, f"{state!r} is not a valid value for state")
    if state == "open" and pull.state == "closed":
        twins = [
            one
            for one in call.repository.pulls
            if one.state == "open" and (one.head, one.base) == (pull.head, pull.base)
        ]
        if pull.merged_at or twins or call.git.head(pull.head) is None:
            raise invalid(
                call.page,
                "PullRequest",
                "custom",
                "state",
                "state cannot be changed. The pull request cannot be reopened.",
            )
        pull.closed_at = None
    if state == "closed" and pull.state == "open":
        pull.closed_at = call.state.clock.text()
    pull.state = state
    pull.title = call.field("title", str, default=pull.title)
    pull.body = call.field("body", str, default=pull.body)
    base = call.field("base", str, default=pull.base)
    if call.git.head(base) is None:
        raise invalid(call.page, "PullRequest", "invalid", "base")
    pull.base = base
    return ok(_full(call, pull))


@routes.on("PUT", f"{_PULL}/merge", Needs("pulls/pulls#merge-a-pull-request", "contents=write", role="write"))
def merge_pull(call: Call) -> Answer:
    """405 "if merge cannot be performed", 409 "if sha was provided and pull request head did not match"."""
    pull, git = _found(call), call.git
    method = call.field("merge_method", str, default="merge")
    if pull.merged_at or pull.state == "closed" or pull.draft:
        raise refusal(405, "Pull Request is not mergeable", call.page)
    wanted = call.field("sha", str, default=pull.head_sha)
    if wanted != pull.head_sha:
        raise refusal(409, "Head branch was modified. Review and try the merge again.", call.page)
    if (
        call.repository.settings.get(
            {"merge": "allow_merge_commit", "squash": "allow_squash_merge", "rebase": "allow_rebase_merge"}.get(
                method, ""
            ),
            True,
        )
        is False
    ):
        raise refusal(405, f"{method.capitalize()} merges are not allowed on this repository.", call.page)
    if complaint := _required(call, pull):
        raise refusal(405, complaint, call.page)
    base = git.head(pull.base) or ""
    tree = git.merged_tree(base, pull.head_sha)
    if tree is None:
        raise refusal(405, "Pull Request is not mergeable", call.page)
    sha = _merge_commit(call, pull, method, base, tree)
    if not git.set_ref(f"refs/heads/{pull.base}", sha, base):
        raise refusal(405, "Base branch was modified. Review and try the merge again.", call.page)
    now = call.state.clock.text()
    pull.state, pull.closed_at, pull.merged_at, pull.merge_sha = "closed", now, now, sha
    pull.merged_by, pull.base_sha = call.credential.user, sha
    branch_rules.after_change(call.state, call.repository, was_empty=False)
    return ok({"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


@routes.on(
    "POST",
    f"{_PULL}/requested_reviewers",
    Needs("pulls/review-requests#request-reviewers-for-a-pull-request", "pull_requests=write", role="write"),
)
def request_reviewers(call: Call) -> Answer:
    """422 "if user is not a collaborator"; who is asked already stays so."""
    pull = _found(call)
    users, teams = call.field("reviewers", list, default=[]), call.field("team_reviewers", list, default=[])
    known = {login.lower() for login in (*call.repository.collaborators, call.credential.user)}
    if unknown := [login for login in users if login.lower() not in known]:
        raise invalid(
            call.page,
            "PullRequest",
            "custom",
            message=f"Reviews may only be requested from collaborators. {unknown[0]} is not one of them.",
        )
    pull.reviewers += [one for one in users if one not in pull.reviewers]
    pull.team_reviewers += [one for one in teams if one not in pull.team_reviewers]
    return created(_simple(call, pull))


def _required(call: Call, pull: Pull) -> str:
    """ "About protected branches": reviews and checks bind who merges as well; no test can approve anything here."""
    rule = call.repository.protections.get(pull.base) or {}
    reviews = rule.get("required_pull_request_reviews") or {}
    if not branch_rules.protected(call.state, call.credential, call.repository, pull.base):
        return ""
    if count := reviews.get("required_approving_review_count", 1) if reviews else 0:
        return f"At least {count} approving review is required by reviewers with write access."
    return "" if reviews else branch_rules.protected(call.state, call.credential, call.repository, pull.base)


def _merge_commit(call: Call, pull: Pull, method: str, base: str, tree: str) -> str:
    title = call.field(
        "commit_title", str, default=f"Merge pull request #{pull.number} from {call.repository.owner}/{pull.head}"
    )
    message = call.field("commit_message", str, default=pull.title)
    user = call.credential.user
    author = Person(user, f"{user}@users.noreply.github.com", call.state.clock.now())
    if method == "merge":
        return call.git.write_commit(tree, [base, pull.head_sha], f"{title}\n\n{message}", author=author)
    if method == "squash":
        title = call.field("commit_title", str, default=f"{pull.title} (#{pull.number})")
        return call.git.write_commit(tree, [base], title, author=author)
    if method != "rebase":
        raise malformed(call.page, f"{method!r} is not a valid value for merge_method")
    parent = base
    for one in reversed(call.git.history(pull.head_sha, without=base)):
        tree = call.git.merged_tree(parent, one.sha) or one.tree
        parent = call.git.write_commit(tree, [parent], one.message, author=one.author, committer=author)
    return parent


def _simple(call: Call, pull: Pull) -> dict[str, Any]:
    """pull-request-simple"""
    repository = call.repository
    base = f"{call.sites.api}/repos/{repository.full_name}"
    url, html = f"{base}/pulls/{pull.number}", f"{call.sites.html}/{repository.full_name}/pull/{pull.number}"
    issue = f"{base}/issues/{pull.number}"
    links = {
        "self": url,
        "html": html,
        "issue": issue,
        "comments": f"{issue}/comments",
        "review_comments": f"{url}/comments",
        "review_comment": f"{base}/pulls/comments{{/number}}",
        "commits": f"{url}/commits",
        "statuses": f"{base}/statuses/{pull.head_sha}",
    }
    owner = call.user(repository.owner)
    repo = shapes.repository(call.sites, call.state, repository, call.shown_role())

    def end(branch: str, sha: str) -> dict[str, Any]:
        return {"label": f"{repository.owner}:{branch}", "ref": branch, "sha": sha, "user": owner, "repo": repo}

    return {
        "id": pull.id,
        "node_id": node_id("PullRequest", pull.id),
        "number": pull.number,
        "url": url,
        "html_url": html,
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "issue_url": issue,
        **{
            f"{name}_url": links[name]
            for name in ("comments", "review_comments", "review_comment", "commits", "statuses")
        },
        "_links": {name: {"href": href} for name, href in links.items()},
        "state": pull.state,
        "locked": False,
        "draft": pull.draft,
        "title": pull.title,
        "body": pull.body,
        "user": call.user(pull.user),
        "labels": [label(call, name) for name in pull.labels],
        "milestone": None,
        "assignee": None,
        "assignees": [call.user(login) for login in pull.assignees],
        "requested_reviewers": [call.user(login) for login in pull.reviewers],
        "requested_teams": [],
        "created_at": pull.created_at,
        "updated_at": pull.closed_at or pull.created_at,
        "closed_at": pull.closed_at,
        "merged_at": pull.merged_at,
        "merge_commit_sha": pull.merge_sha,
        "head": end(pull.head, pull.head_sha),
        "base": end(pull.base, pull.base_sha),
        "author_association": "MEMBER",
        "auto_merge": None,
    }


def _full(call: Call, pull: Pull) -> dict[str, Any]:
    """pull-request; null of ``mergeable`` "means GitHub has started a background job": so is the first answer after each
    change: docs.github.com/en/rest/pulls/pulls#get-a-pull-request
    """
    mergeable, seen = None, (pull.head_sha, pull.base_sha)
    if pull.state == "open" and pull.looked_at == seen:
        mergeable = call.git.merged_tree(pull.base_sha, pull.head_sha) is not None
    pull.looked_at = seen
    ahead = call.git.history(pull.head_sha, without=pull.base_sha)
    return _simple(call, pull) | {
        "merged": pull.merged_at is not None,
        "merged_by": call.user(pull.merged_by) if pull.merged_by else None,
        "mergeable": mergeable,
        "rebaseable": mergeable,
        "mergeable_state": {True: "clean", False: "dirty", None: "unknown"}[mergeable],
        "maintainer_can_modify": False,
        "comments": 0,
        "review_comments": 0,
        "commits": len(ahead),
        "additions": 0,
        "deletions": 0,
        "changed_files": len(call.git.changed_files(pull.base_sha, pull.head_sha)),
    }
