"""Actions on pull requests that are there, guarded by the head that somebody has seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields, validate

from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.actions.scm_commits import branch_named, open_repo
from portal_actions_plugin.actions.scm_fields import AsRequester, number_field, optional_text, repo_field, repo_lock
from portal_actions_plugin.scm.base import Operation

if TYPE_CHECKING:
    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.scm.base import PullRequest, RepoRef

METHODS = ("merge", "squash", "rebase")
_SHA = validate.Regexp(r"^([0-9a-f]{40}|[0-9a-f]{64})$(?!\n)", error="A commit is 40 or 64 small hexadecimal digits.")


class ClosePr(AsRequester):
    repo = repo_field()
    number = number_field("The pull request's number.")
    expected_head = optional_text(
        "Close it only if its head branch is at this commit: the headSha of scm.openPrOrMr@v1.",
        data_key="expectedHead",
        validate=_SHA,
    )


class ClosePrOutput(Schema):
    pr_url = fields.String(data_key="prUrl", metadata={"description": "Its page."})
    state = fields.String(metadata={"description": "closed; or merged, when it was merged before."})


class MergePr(ClosePr):
    expected_head = optional_text(
        "Merge it only if its head branch is at this commit: the headSha of scm.openPrOrMr@v1. Without it, whatever "
        "is there by then is merged.",
        data_key="expectedHead",
        validate=_SHA,
    )
    method = fields.String(
        load_default="merge",
        validate=validate.OneOf(METHODS),
        metadata={"description": "By a merge commit, as one commit, or commit by commit."},
    )


class MergePrOutput(Schema):
    pr_url = fields.String(data_key="prUrl", metadata={"description": "Its page."})
    merge_sha = fields.String(
        data_key="mergeSha", allow_none=True, metadata={"description": "The commit that the merge has made."}
    )


@action(
    "scm.closePr@v1",
    title="Close a pull request",
    input=ClosePr,
    output=ClosePrOutput,
    idempotent=True,
    timeout=60,
    lock=repo_lock,
    operations=(Operation.CLOSE_PULL,),
)
def close_pr(ctx: ActionContext, *, repo: RepoRef, number: int, expected_head: str | None) -> dict[str, Any]:
    """Close a pull request or merge request without merging it. A closed or merged one is left as it is."""
    opened = open_repo(ctx, repo, Operation.CLOSE_PULL)
    pull = opened.scm.close_pull(opened.ref, number, expected_head=expected_head or None)
    name = f"{opened.pull_name(number)} of {repo.full_name}"
    if pull.state == "merged":
        ctx.warn(f"{name} is merged already, so it was not closed.")
    else:
        ctx.log(f"{name} is closed")
    _link(ctx, opened.pull_name(number), pull)
    return {"prUrl": pull.url, "state": pull.state}


@action(
    "scm.mergePr@v1",
    title="Merge a pull request",
    input=MergePr,
    output=MergePrOutput,
    idempotent=True,
    timeout=120,
    lock=repo_lock,
    operations=(Operation.MERGE_PULL,),
)
def merge_pr(
    ctx: ActionContext, *, repo: RepoRef, number: int, expected_head: str | None, method: str
) -> dict[str, Any]:
    """Merge a pull request or merge request, if the forge lets it. A merged one is left as it is."""
    opened = open_repo(ctx, repo, Operation.MERGE_PULL)
    with branch_named(None):
        pull = opened.scm.merge_pull(opened.ref, number, expected_head=expected_head or None, method=method)
    at = f" by commit {pull.merge_sha[:7]}" if pull.merge_sha else ""
    ctx.log(f"{opened.pull_name(number)} of {repo.full_name} is merged into {pull.base}{at}")
    _link(ctx, opened.pull_name(number), pull)
    return {"prUrl": pull.url, "mergeSha": pull.merge_sha}


def _link(ctx: ActionContext, name: str, pull: PullRequest) -> None:
    ctx.link(f"{name[0].upper()}{name[1:]}", pull.url)
