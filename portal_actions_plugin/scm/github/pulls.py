"""Pull requests: found by their two branches, opened once, closed and merged only as they were seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import AuthError, ConflictError, NotFoundError, ValidationError
from portal_actions_plugin.scm.base import PullDetails, PullRequest
from portal_actions_plugin.scm.github.branches import find_branch
from portal_actions_plugin.scm.github.client import RepoApi
from portal_actions_plugin.scm.github.errors import ExistsError, NothingToProposeError
from portal_actions_plugin.scm.remote.fields import maybe_text, moment, number, text
from portal_actions_plugin.scm.remote.lost_answers import write_again, write_once

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.remote.fields import JsonObject


def open_pull(repo: RepoApi, *, head: str, base: str, title: str, body: str, draft: bool) -> PullRequest:
    """Open a pull request, or return the one of the same head and base, as ``ScmProvider.open_pull`` says."""
    wanted: dict[str, JsonValue] = {"title": title, "head": head, "base": base, "body": body}
    if draft:
        wanted["draft"] = True

    def write() -> PullRequest:
        try:
            made = repo.send("POST", "/pulls", body=wanted)
            return replace(pull_of(made.object()), fresh=True)
        except ExistsError:
            found = look_up()
            if found is None:
                raise
            return found

    def look_up() -> PullRequest | None:
        return next((pull for pull in _same(repo, head, base) if pull.state == "open"), None)

    return _there(repo, head, base) or _with_fields(
        repo, head, base, lambda: write_once(write, look_up, log=_log(repo))
    )


def _there(repo: RepoApi, head: str, base: str) -> PullRequest | None:
    """The open one, or the merged one that proposed the very commit that the head still is."""
    same = _same(repo, head, base)
    for pull in same:
        if pull.state == "open":
            return pull
    merged = [pull for pull in same if pull.state == "merged"]
    now = find_branch(repo, head) if merged else None
    return next((pull for pull in merged if now and pull.head_sha == now.commit), None)


def _same(repo: RepoApi, head: str, base: str) -> Sequence[PullRequest]:
    """Those of the same two branches, newest first. Without its owner before it, GitHub ignores ``head``."""
    owner = repo.owner_now
    found = _listed(repo, f"{owner}:{head}", base)
    if repo.owner_now != owner:
        found = _listed(repo, f"{repo.owner_now}:{head}", base)  # that it has moved was only just found out
    return [pull for pull in found if (pull.head, pull.base) == (head, base)]


def _listed(repo: RepoApi, head: str, base: str) -> Sequence[PullRequest]:
    query: dict[str, str | int] = {
        "head": head,
        "base": base,
        "state": "all",
        "sort": "created",
        "direction": "desc",
        "per_page": 100,
    }
    return [pull_of(one) for one in repo.send("GET", "/pulls", query=query).list()]


def _with_fields(repo: RepoApi, head: str, base: str, opened: Callable[[], PullRequest]) -> PullRequest:
    """Say which of the two branches is wrong when GitHub refuses them: "Validation Failed" names head or base."""
    try:
        return opened()
    except NothingToProposeError as error:
        message = f"{head} of {repo.name} has no commit that {base} lacks. {error.message}"
        raise ValidationError(message, fields={"headBranch": [message]}) from None
    except ValidationError as error:
        if "baseBranch" in error.fields:
            raise NotFoundError(
                f"{repo.name} has no branch {base} to merge into. {error.message}",
                hint="Push a first commit there, or name another one.",
                fields=error.fields,
            ) from None
        if "headBranch" in error.fields:
            message = f"{repo.name} has no branch {head}: push it first, or give the files to commit to it."
            raise ValidationError(f"{message} {error.message}", fields={"headBranch": [message]}) from None
        raise


def get_pull(repo: RepoApi, pull: int) -> PullRequest:
    """Find a pull request; raises NotFoundError."""
    return pull_of(repo.send("GET", f"/pulls/{pull}").object())


def detail_pull(repo: RepoApi, pull: int, details: PullDetails) -> tuple[str, ...]:
    """Add people and labels to a pull request as ``ScmProvider.detail_pull`` says; GitHub adds what it is sent."""
    reviewers: dict[str, JsonValue] = {
        "reviewers": list(details.reviewers),
        "team_reviewers": list(details.team_reviewers),
    }
    parts: list[tuple[str, str, dict[str, JsonValue]]] = [
        ("reviewers", f"/pulls/{pull}/requested_reviewers", {key: value for key, value in reviewers.items() if value}),
        ("assignees", f"/issues/{pull}/assignees", {"assignees": list(details.assignees)} if details.assignees else {}),
        ("labels", f"/issues/{pull}/labels", {"labels": list(details.labels)} if details.labels else {}),
    ]
    refused = []
    for name, rest, body in parts:
        if body:
            try:
                write_again(partial(repo.send, "POST", rest, body=body), log=_log(repo))
            except (AuthError, NotFoundError, ValidationError) as error:
                refused.append(f"GitHub takes these {name} not: {error.message}")
    return tuple(refused)


def close_pull(repo: RepoApi, pull: int, *, expected_head: str | None) -> PullRequest:
    """Close a pull request as ``ScmProvider.close_pull`` says."""
    there = get_pull(repo, pull)
    if there.state != "open":
        return there
    _require_head(repo, there, expected_head)

    def write() -> PullRequest:
        return pull_of(repo.send("PATCH", f"/pulls/{pull}", body={"state": "closed"}).object())

    def look_up() -> PullRequest | None:
        now = get_pull(repo, pull)
        return now if now.state != "open" else None

    return write_once(write, look_up, log=_log(repo))


def merge_pull(repo: RepoApi, pull: int, *, expected_head: str | None, method: str) -> PullRequest:
    """Merge a pull request as ``ScmProvider.merge_pull`` says. GitHub checks the head itself: "Merge a pull request"."""
    there = get_pull(repo, pull)
    if there.state == "merged":
        return there
    if there.state == "closed":
        raise ConflictError(
            f"#{pull} of {repo.name} is closed, so it cannot be merged.",
            hint=f"Open it again at {there.url}, or a new one.",
        )
    _require_head(repo, there, expected_head)
    body = {"sha": expected_head or there.head_sha, "merge_method": method}

    def write() -> PullRequest:
        made = repo.send("PUT", f"/pulls/{pull}/merge", body=body).object()
        now = get_pull(repo, pull)
        return now if now.state == "merged" else replace(now, state="merged", merge_sha=maybe_text(made, "sha"))

    def look_up() -> PullRequest | None:
        now = get_pull(repo, pull)
        return now if now.state == "merged" else None

    return write_once(write, look_up, log=_log(repo))


def _require_head(repo: RepoApi, pull: PullRequest, expected: str | None) -> None:
    if expected and pull.head_sha != expected:
        raise ConflictError(
            f"The head of #{pull.number} of {repo.name} is {(pull.head_sha or '')[:7]} by now, and not {expected[:7]}: "
            "nothing was done.",
            hint=f"Look at {pull.url}, and start again with the commit that is its head now.",
        )


def pull_of(found: JsonObject) -> PullRequest:
    """What an answer of GitHub says of a pull request."""
    merged_at = maybe_text(found, "merged_at")
    return PullRequest(
        number=number(found, "number"),
        url=text(found, "html_url"),
        head=text(found, "head", "ref"),
        base=text(found, "base", "ref"),
        title=text(found, "title"),
        body=maybe_text(found, "body") or "",
        state="merged" if merged_at else text(found, "state"),
        opened_by=maybe_text(found, "user", "login") or "",
        opened_at=moment(text(found, "created_at")),
        merged_by=maybe_text(found, "merged_by", "login"),
        merged_at=moment(merged_at) if merged_at else None,
        # Of an open one it is the commit of a merge that GitHub has tried.
        merge_sha=maybe_text(found, "merge_commit_sha") if merged_at else None,
        head_sha=maybe_text(found, "head", "sha"),
    )


def _log(repo: RepoApi) -> Callable[[str], None]:
    return repo.api.opening.log
