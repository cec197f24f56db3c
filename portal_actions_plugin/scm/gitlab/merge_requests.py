"""Merge requests: one for a pair of branches, found again whatever became of the answer.

docs.gitlab.com/api/merge_requests/
"""

from __future__ import annotations

import re
from time import monotonic, sleep
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import (
    ActionError,
    AuthError,
    ConflictError,
    NotFoundError,
    ValidationError,
)
from portal_actions_plugin.scm.base import PullDetails, PullRequest
from portal_actions_plugin.scm.gitlab.client import ProjectApi, Query
from portal_actions_plugin.scm.names import check_branch
from portal_actions_plugin.scm.remote.fields import at, maybe_text, moment, number, objects, text
from portal_actions_plugin.scm.remote.lost_answers import write_again, write_once

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.remote.fields import JsonObject

_SETTLING = ("unchecked", "checking", "preparing", "approvals_syncing", "ci_still_running_checks")
"""Of ``detailed_merge_status``: GitLab finds out in the background whether it can be merged."""
_SETTLE_SECONDS = 10.0
_STATES: Mapping[str, str] = {"opened": "open", "locked": "open", "merged": "merged", "closed": "closed"}
_NUMBER = re.compile(r"!(\d+)")
_METHODS: Mapping[str, tuple[str, ...]] = {"merge": ("merge", "rebase_merge"), "rebase": ("ff", "rebase_merge")}


def open_pull(
    repo: ProjectApi, *, head: str, base: str, title: str, body: str, allow_empty: bool = False
) -> PullRequest:
    """Open a merge request, or return the one of the same two branches, as ``ScmProvider.open_pull`` says."""
    check_branch(head, "headBranch")
    check_branch(base, "baseBranch")
    same = _of_branches(repo, head, base)
    for one in same:
        if _STATES.get(text(one, "state")) == "open":
            return _public(one)
    head_sha = repo.head(head)
    for one in same:
        if text(one, "state") == "merged" and head_sha is not None and maybe_text(one, "sha") == head_sha:
            return _public(one)
    _check_branches(repo, head, head_sha, base)
    if not allow_empty:  # GitLab opens merge requests without any commit
        _check_ahead(repo, head, base)
    sent: JsonValue = {"source_branch": head, "target_branch": base, "title": title, "description": body}
    return write_once(lambda: _post(repo, sent, head, base), lambda: _look_up(repo, head, base), log=repo.opening.log)


def get_pull(repo: ProjectApi, pull: int) -> PullRequest:
    """Find a merge request; raises NotFoundError."""
    return _public(_read(repo, pull))


def close_pull(repo: ProjectApi, pull: int, *, expected_head: str | None) -> PullRequest:
    """Close a merge request without merging it; a closed or merged one is returned as it is."""
    found = _read(repo, pull)
    if _STATES.get(text(found, "state")) != "open":
        return _public(found)
    _check_head(repo, found, expected_head)

    def closed() -> JsonObject | None:
        now = _read(repo, pull)
        return now if text(now, "state") == "closed" else None

    return _public(repo.write_object("PUT", f"/merge_requests/{pull}", body={"state_event": "close"}, look_up=closed))


def merge_pull(repo: ProjectApi, pull: int, *, expected_head: str | None, method: str) -> PullRequest:
    """Merge a merge request; a merged one is returned as it is.

    How commits come to the base is a setting of the project: the method has to be that one, or ``squash``, which a merge
    request may ask for itself.
    """
    found = _read(repo, pull)
    if text(found, "state") == "merged":
        return _public(found)
    _check_head(repo, found, expected_head)
    _check_method(repo, method)
    found = _settled(repo, found)
    head = expected_head or text(found, "sha")

    def merged() -> JsonObject | None:
        now = _read(repo, pull)
        return now if text(now, "state") == "merged" else None

    body: JsonValue = {"sha": head, "squash": method == "squash"}
    try:
        return _public(repo.write_object("PUT", f"/merge_requests/{pull}/merge", body=body, look_up=merged))
    except AuthError as error:
        # GitLab says 401 to whoever may not merge: docs.gitlab.com/api/merge_requests/#merge-a-merge-request
        raise AuthError(
            f"The portal's account may not merge !{pull} of {repo.name}: {error.message}",
            hint="A Maintainer of the project says who may merge in Settings > Repository > Protected branches.",
        ) from None
    except (ConflictError, ValidationError) as error:
        raise _unmergeable(repo, pull, error) from None


def detail_pull(repo: ProjectApi, pull: int, details: PullDetails) -> tuple[str, ...]:
    """Add people and labels to a merge request as ``ScmProvider.detail_pull`` says.

    GitLab replaces the lists of people, and adds labels: docs.gitlab.com/api/merge_requests/#update-a-merge-request
    """
    cannot: list[str] = []
    there = _read(repo, pull)
    body: dict[str, JsonValue] = {}
    for key, names in (("reviewer", details.reviewers), ("assignee", details.assignees)):
        before = [number(one, "id") for one in objects(there, f"{key}s")]
        added = [one for one in _people(repo, names, cannot) if one not in before]
        if added:
            body[f"{key}_ids"] = [*before, *added]
    if details.team_reviewers:
        cannot.append(f"GitLab asks no groups for a review ({', '.join(details.team_reviewers)}): name people.")
    if details.labels:
        body["add_labels"] = ",".join(details.labels)
    if details.removes_branch is not None:
        body["remove_source_branch"] = details.removes_branch
    if body:
        write_again(lambda: repo.write("PUT", f"/merge_requests/{pull}", body=body), log=repo.opening.log)
    return tuple(cannot)


def _people(repo: ProjectApi, names: Sequence[str], cannot: list[str]) -> list[int]:
    found = {name: repo.api.user_id(name) for name in names}
    cannot += [f"GitLab has no user {name}." for name, user in found.items() if user is None]
    return [user for user in found.values() if user is not None]


def _post(repo: ProjectApi, sent: JsonValue, head: str, base: str) -> PullRequest:
    answer = repo.write("POST", "/merge_requests", body=sent, accept=(409,))
    if answer.status != 409:
        return _public(answer.object(), fresh=True)
    known = _NUMBER.search(answer.body.decode(errors="replace"))  # somebody was faster: GitLab names theirs
    found = get_pull(repo, int(known[1])) if known else _look_up(repo, head, base)
    if found is None or (found.head, found.base) != (head, base):
        raise ConflictError(
            f"GitLab has a merge request from {head} into {base} of {repo.name} already, and does not say which one.",
            hint="Look at the merge requests of the project.",
        )
    return found


def _look_up(repo: ProjectApi, head: str, base: str) -> PullRequest | None:
    opened = (one for one in _of_branches(repo, head, base) if text(one, "state") == "opened")
    return next((_public(one, fresh=True) for one in opened), None)


def _of_branches(repo: ProjectApi, head: str, base: str) -> list[JsonObject]:
    """The merge requests from a branch of this project, not of a fork's, newest first."""
    query: Query = {"source_branch": head, "target_branch": base, "state": "all", "per_page": 100}
    found = repo.send("GET", "/merge_requests", query=query).list()
    return [one for one in found if at(one, "source_project_id") == repo.project.id]


def _read(repo: ProjectApi, pull: int) -> JsonObject:
    answer = repo.find(f"/merge_requests/{pull}")
    if answer is None:
        raise NotFoundError(f"{repo.name} has no merge request !{pull}.")
    return answer.object()


def _check_branches(repo: ProjectApi, head: str, head_sha: str | None, base: str) -> None:
    """GitLab says of a missing base only that it is not valid."""
    if repo.branch(base) is None:
        raise NotFoundError(
            f"{repo.name} has no branch {base} to merge into.", hint="Push a first commit there, or name another one."
        )
    if head_sha is None:
        raise _not_proposable(
            f"{repo.name} has no branch {head}: push it first, or give the files to commit to it.",
        )


def _check_ahead(repo: ProjectApi, head: str, base: str) -> None:
    ahead = repo.send("GET", "/repository/commits", query={"ref_name": f"{base}..{head}", "per_page": 1}).list()
    if not ahead:
        raise _not_proposable(f"{head} of {repo.name} has no commit that {base} lacks.")


def _not_proposable(message: str) -> ValidationError:
    return ValidationError(message, fields={"headBranch": [message]})


def _check_head(repo: ProjectApi, found: JsonObject, expected: str | None) -> None:
    now = maybe_text(found, "sha") or ""
    if expected is not None and now != expected:
        raise ConflictError(
            f"!{number(found, 'iid')} of {repo.name} is at {now[:8]} now, and {expected[:8]} was looked at.",
            hint="Look at what was pushed since, and start again.",
        )


def _check_method(repo: ProjectApi, method: str) -> None:
    has = maybe_text(repo.project.about, "merge_method")
    if has and has not in _METHODS.get(method, (has,)):
        takes, word = ("rebase", "a fast-forward") if has == "ff" else ("merge", "a merge commit")
        raise ConflictError(
            f"{repo.name} merges by {word}, which is not what the method {method} asks for.",
            hint=f"Give method: {takes}, or squash, or ask a Maintainer of the project to change Settings > Merge requests.",
        )


def _settled(repo: ProjectApi, found: JsonObject) -> JsonObject:
    """The merge request, when GitLab knows whether it can be merged, or has had its time to find out."""
    end = monotonic() + _SETTLE_SECONDS
    pause = 0.25
    while maybe_text(found, "detailed_merge_status") in _SETTLING and monotonic() < end:
        sleep(pause)
        pause *= 2
        found = _read(repo, number(found, "iid"))
    return found


def _unmergeable(repo: ProjectApi, pull: int, error: ActionError) -> ConflictError:
    """GitLab refuses with 405, 409, 422 or 406 and few words; the merge request says what is missing."""
    status = maybe_text(_read(repo, pull), "detailed_merge_status") or "unknown"
    return ConflictError(
        f"!{pull} of {repo.name} cannot be merged ({status.replace('_', ' ')}): {error.message}",
        hint="Look at the merge request: it says what it waits for, a check, an approval, or the end of a conflict.",
    )


def _public(found: JsonObject, *, fresh: bool = False) -> PullRequest:
    state = text(found, "state")
    merged_at = maybe_text(found, "merged_at")
    merged_by = maybe_text(found, "merge_user", "name") or maybe_text(found, "merged_by", "name")
    merge_sha = maybe_text(found, "merge_commit_sha") or maybe_text(found, "squash_commit_sha")
    return PullRequest(
        number=number(found, "iid"),
        url=text(found, "web_url"),
        head=text(found, "source_branch"),
        base=text(found, "target_branch"),
        title=text(found, "title"),
        body=maybe_text(found, "description") or "",
        state=_STATES.get(state, state),
        opened_by=maybe_text(found, "author", "name") or "",
        opened_at=moment(text(found, "created_at")),
        merged_by=merged_by if state == "merged" else None,
        merged_at=moment(merged_at) if merged_at else None,
        merge_sha=(merge_sha or maybe_text(found, "sha")) if state == "merged" else None,
        head_sha=maybe_text(found, "sha"),
        fresh=fresh,
    )
