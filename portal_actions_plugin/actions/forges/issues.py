"""Actions on issues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields, validate

from portal_actions_plugin.actions.claims import claim_on
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.actions.scm_commits import open_repo
from portal_actions_plugin.actions.scm_fields import (
    AsRequester,
    check_unique,
    number_field,
    optional_text,
    repo_field,
    repo_lock,
    texts_field,
)
from portal_actions_plugin.scm.base import Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.scm.base import RepoRef

LABEL = validate.Regexp(r"^[^,\x00-\x1f]{1,50}$(?!\n)", error="A label is 1 to 50 characters, without ','.")
_LOGIN = validate.Length(min=1, max=255)


class CreateIssue(AsRequester):
    repo = repo_field()
    title = fields.String(
        required=True, validate=validate.Length(min=1, max=250), metadata={"description": "Its title."}
    )
    body = optional_text("Its description.", validate=validate.Length(max=60_000))
    labels = fields.List(
        fields.String(validate=LABEL),
        load_default=list,
        validate=[validate.Length(max=50), check_unique],
        metadata={"description": "Its labels. Most forges make those that they do not know."},
    )
    assignees = fields.List(
        fields.String(validate=_LOGIN),
        load_default=list,
        validate=[validate.Length(max=10), check_unique],
        metadata={"description": "The logins of those who are to look at it."},
    )


class CreateIssueOutput(Schema):
    issue_url = fields.String(data_key="issueUrl", metadata={"description": "Its page."})
    number = fields.Integer(metadata={"description": "Its number in the repository."})


@action(
    "scm.createIssue@v1",
    title="Open an issue",
    input=CreateIssue,
    output=CreateIssueOutput,
    idempotent=True,
    timeout=60,
    lock=repo_lock,
    operations=(Operation.CREATE_ISSUE,),
)
def create_issue(
    ctx: ActionContext,
    *,
    repo: RepoRef,
    title: str,
    body: str | None,
    labels: Sequence[str],
    assignees: Sequence[str],
    milestone: int | None = None,
) -> dict[str, Any]:
    """Open an issue, once for each run and those that retry it."""
    opened = open_repo(ctx, repo, Operation.CREATE_ISSUE)
    claim = claim_on(ctx, "createIssue", repo.provider, repo.full_name.lower(), title)
    more = {} if milestone is None else {"milestone": milestone}
    issue = opened.scm.create_issue(
        opened.ref, title=title, body=body or "", labels=labels, assignees=assignees, claim=claim, **more
    )
    done = "opened" if issue.fresh else "an earlier attempt of this run, or a run it retries, opened"
    ctx.log(f"{done} issue #{issue.number} of {repo.full_name}")
    ctx.link(f"Issue #{issue.number}", issue.url)
    return {"issueUrl": issue.url, "number": issue.number}


class LabelIssue(AsRequester):
    repo = repo_field()
    number = number_field("The issue's number, or a pull request's, where the forge counts them together.")
    labels = texts_field("What to add to the labels that it has.", each=LABEL, most=50)


class LabelIssueOutput(Schema):
    added = fields.List(fields.String(), metadata={"description": "The labels that it did not have."})


@action(
    "scm.labelIssue@v1",
    title="Label an issue",
    input=LabelIssue,
    output=LabelIssueOutput,
    idempotent=True,
    timeout=60,
    lock=repo_lock,
    operations=(Operation.LABEL_ISSUE,),
)
def label_issue(ctx: ActionContext, *, repo: RepoRef, number: int, labels: Sequence[str]) -> dict[str, Any]:
    """Add labels to an issue. Those that it has stay."""
    opened = open_repo(ctx, repo, Operation.LABEL_ISSUE)
    added = opened.scm.label_issue(opened.ref, number, labels)
    ctx.log(
        f"#{number} of {repo.full_name} has these labels: {', '.join(labels)}; new are: {', '.join(added) or 'none'}"
    )
    return {"added": list(added)}
