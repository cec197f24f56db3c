"""What Backstage's actions do in a repository at GitHub that is there: webhooks, rules, issues, runs of workflows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields, post_load, validate
from marshmallow import ValidationError as SchemaError

from portal_actions_plugin.actions.backstage.inputs.github_rules import ProtectionInput, switch
from portal_actions_plugin.actions.backstage.inputs.names import about, by_input_names
from portal_actions_plugin.actions.backstage.repo_url import GITHUB, AtRepository, open_at, or_warn, repo_url_lock
from portal_actions_plugin.actions.forges.ci import DispatchWorkflow, started
from portal_actions_plugin.actions.forges.issues import LABEL, create_issue, label_issue
from portal_actions_plugin.actions.forges.repo_settings import check_callback
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.actions.scm_fields import branch_field, check_unique, follows, optional_text
from portal_actions_plugin.scm.base import Operation, Protection, WebhookSpec
from portal_actions_plugin.scm.names import check_branch

if TYPE_CHECKING:
    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.settings.forge_addresses import RepoUrl

_TIMEOUT = 60
_MAX_LABELS = 50


class GitHubWebhook(AtRepository):
    webhook_url = fields.String(
        required=True,
        data_key="webhookUrl",
        validate=[validate.Length(max=2_000), check_callback],
        metadata={"description": "Where GitHub calls."},
    )
    webhook_secret = fields.String(
        data_key="webhookSecret",
        load_default=None,
        allow_none=True,
        load_only=True,
        validate=validate.Length(min=1, max=1_000),
        metadata={"description": "What GitHub signs its calls with."},
    )
    events = fields.List(
        fields.String(validate=validate.Length(min=1, max=255)),
        load_default=lambda: ["push"],
        validate=validate.Length(min=1, max=100),
        metadata={"description": "What for; * for all events."},
    )
    active = switch(True, "Whether it calls at all.", "active")  # noqa: FBT003
    content_type = fields.String(
        data_key="contentType",
        load_default="form",
        validate=validate.OneOf(["form", "json"]),
        metadata={"description": "How GitHub writes what it sends."},
    )
    insecure_ssl = switch(False, "Whether the address's certificate is not looked at.", "insecureSsl")  # noqa: FBT003


@action(
    "github:webhook",
    title="Set up a webhook at GitHub",
    description="Make a webhook of a repository at GitHub, or change the one of the same address.",
    input=GitHubWebhook,
    idempotent=True,
    timeout=_TIMEOUT,
    lock=repo_url_lock,
    operations=(Operation.ENSURE_WEBHOOK,),
    forges=GITHUB,
)
@by_input_names(GitHubWebhook)
def github_webhook(
    ctx: ActionContext,
    *,
    repo_url: RepoUrl,
    webhook_url: str,
    webhook_secret: str | None,
    events: Sequence[str],
    active: bool,
    content_type: str,
    insecure_ssl: bool,
) -> None:
    """Make a webhook. Where GitHub refuses it, that is a warning, as at home."""
    opened = open_at(ctx, repo_url, GITHUB, Operation.ENSURE_WEBHOOK)
    spec = WebhookSpec(
        webhook_url,
        tuple(dict.fromkeys(events)),
        webhook_secret,
        is_form=content_type == "form",
        is_active=active,
        is_unverified=insecure_ssl,
    )

    def do() -> None:
        hook = opened.scm.ensure_webhook(opened.ref, spec)
        ctx.log(f"the webhook of {opened.ref.full_name} that calls {webhook_url} is {hook.outcome}")

    or_warn(ctx, f"the webhook that calls {webhook_url}", do)


class BranchProtection(ProtectionInput, AtRepository):
    branch = branch_field("The branch to protect. Default: the default one.")
    enforce_admins = switch(True, "Whether it is so for administrators, too.", "enforceAdmins")  # noqa: FBT003
    block_creations = switch(False, "Whether nobody else may make such a branch.", "blockCreations")  # noqa: FBT003


@action(
    "github:branch-protection:create",
    title="Protect a branch at GitHub",
    description="Set what a branch of a repository at GitHub asks for before a merge.",
    input=BranchProtection,
    idempotent=True,
    timeout=_TIMEOUT,
    lock=repo_url_lock,
    operations=(Operation.PROTECT_BRANCH,),
    forges=GITHUB,
)
@by_input_names(BranchProtection)
def github_branch_protection(
    ctx: ActionContext,
    *,
    repo_url: RepoUrl,
    branch: str | None,
    protection: Protection,
    enforce_admins: bool,
    block_creations: bool,
) -> None:
    """Protect a branch at least so; what is stricter already stays."""
    opened = open_at(ctx, repo_url, GITHUB, Operation.PROTECT_BRANCH)
    name = branch or opened.ref.default_branch
    rules = replace(protection, for_admins=enforce_admins, no_creation=block_creations)
    with about("branch"):
        done = opened.scm.protect_branch(opened.ref, name, rules)
    for part in done.cannot:
        ctx.warn(f"{name} of {opened.ref.full_name}: {part}")
    ctx.log(f"{name} of {opened.ref.full_name} {'is protected now' if done.changed else 'stays as it is'}")


class ActionsDispatch(AtRepository):
    workflow_id = fields.String(
        required=True,
        data_key="workflowId",
        validate=validate.Length(min=1, max=255),
        metadata={"description": "The workflow's file, or its id.", "example": "release.yml"},
    )
    branch_or_tag_name = fields.String(
        required=True,
        data_key="branchOrTagName",
        validate=follows(check_branch, "branchOrTagName"),
        metadata={"description": "The branch or tag that it runs on.", "example": "main"},
    )
    workflow_inputs = fields.Dict(
        keys=fields.String(),
        data_key="workflowInputs",
        load_default=dict,
        allow_none=True,
        metadata={"description": "Its inputs. None of them is secret."},
    )
    return_workflow_run_details = fields.Boolean(
        data_key="returnWorkflowRunDetails",
        load_default=False,
        metadata={"description": "Without a meaning here: which run it is is always told."},
    )

    @post_load
    def build_inputs(self, data: dict[str, Any], **_options: object) -> dict[str, Any]:
        """Take the workflow's inputs as ci.dispatchWorkflow@v1 does."""
        try:
            given = DispatchWorkflow(only=("inputs",)).load({"inputs": dict(data["workflow_inputs"] or {})})
        except SchemaError as error:
            said = error.messages_dict
            raise SchemaError(said.get("inputs", said), "workflowInputs") from None
        return {**data, "workflow_inputs": given["inputs"]}


class ActionsDispatchOutput(Schema):
    run_id = fields.String(data_key="runId", metadata={"description": "GitHub's id of the run."})
    run_url = fields.String(data_key="runUrl", metadata={"description": "The run's page."})
    workflow_run_id = fields.Integer(data_key="workflowRunId", metadata={"description": "The same as runId, a number."})
    workflow_run_url = fields.String(
        data_key="workflowRunUrl", metadata={"description": "Where GitHub's API has the run."}
    )
    workflow_run_html_url = fields.String(
        data_key="workflowRunHtmlUrl", metadata={"description": "The same as runUrl."}
    )


@action(
    "github:actions:dispatch",
    title="Start a workflow at GitHub",
    description="Start a run of a workflow of a repository at GitHub, without waiting for its end.",
    input=ActionsDispatch,
    output=ActionsDispatchOutput,
    idempotent=True,
    timeout=120,
    lock=repo_url_lock,
    operations=(Operation.DISPATCH_WORKFLOW,),
    forges=GITHUB,
)
@by_input_names(ActionsDispatch)
def github_actions_dispatch(
    ctx: ActionContext,
    *,
    repo_url: RepoUrl,
    workflow_id: str,
    branch_or_tag_name: str,
    workflow_inputs: Mapping[str, str],
    return_workflow_run_details: bool,  # noqa: ARG001 it costs nothing to tell
) -> dict[str, Any]:
    """Start a workflow, once for each run and those that retry it."""
    opened = open_at(ctx, repo_url, GITHUB, Operation.DISPATCH_WORKFLOW)
    with about("workflowId"):
        run = started(opened, workflow_id, branch_or_tag_name, workflow_inputs)
    more = {"workflowRunUrl": run.api_url} if run.api_url else {}
    return {
        "runId": run.id,
        "runUrl": run.url,
        "workflowRunId": int(run.id),
        "workflowRunHtmlUrl": run.url,
        **more,
    }


class IssuesLabel(AtRepository):
    number = fields.Integer(
        required=True,
        validate=validate.Range(min=1),
        metadata={"description": "The number of an issue or a pull request."},
    )
    labels = fields.List(
        fields.String(validate=LABEL),
        required=True,
        validate=[validate.Length(min=1, max=_MAX_LABELS), check_unique],
        metadata={"description": "What to add to the labels that it has."},
    )


@action(
    "github:issues:label",
    title="Label an issue at GitHub",
    description="Add labels to an issue or a pull request at GitHub.",
    input=IssuesLabel,
    idempotent=True,
    timeout=_TIMEOUT,
    lock=repo_url_lock,
    operations=(Operation.LABEL_ISSUE,),
    forges=GITHUB,
)
@by_input_names(IssuesLabel)
def github_issues_label(ctx: ActionContext, *, repo_url: RepoUrl, number: int, labels: Sequence[str]) -> None:
    """Add labels. Where GitHub refuses them, that is a warning, as at home."""
    opened = open_at(ctx, repo_url, GITHUB, Operation.LABEL_ISSUE)

    def do() -> None:
        label_issue.handler(ctx, repo=opened.ref, number=number, labels=labels)

    or_warn(ctx, f"the labels {', '.join(labels)} of #{number}", do)


class IssuesCreate(AtRepository):
    title = fields.String(
        required=True, validate=validate.Length(min=1, max=250), metadata={"description": "Its title."}
    )
    body = optional_text("Its description.", validate=validate.Length(max=60_000))
    assignees = fields.List(
        fields.String(validate=validate.Length(min=1, max=255)),
        load_default=list,
        allow_none=True,
        validate=validate.Length(max=10),
        metadata={"description": "The logins of those who see to it."},
    )
    milestone = fields.Integer(
        load_default=None,
        allow_none=True,
        validate=validate.Range(min=1),
        metadata={"description": "The number of its milestone."},
    )
    labels = fields.List(
        fields.String(validate=LABEL),
        load_default=list,
        allow_none=True,
        validate=[validate.Length(max=_MAX_LABELS), check_unique],
        metadata={"description": "Its labels."},
    )


class IssuesCreateOutput(Schema):
    issue_url = fields.String(data_key="issueUrl", metadata={"description": "Its page."})
    issue_number = fields.Integer(data_key="issueNumber", metadata={"description": "Its number in the repository."})


@action(
    "github:issues:create",
    title="Open an issue at GitHub",
    description="Open an issue in a repository at GitHub.",
    input=IssuesCreate,
    output=IssuesCreateOutput,
    idempotent=True,
    timeout=_TIMEOUT,
    lock=repo_url_lock,
    operations=(Operation.CREATE_ISSUE,),
    forges=GITHUB,
)
@by_input_names(IssuesCreate)
def github_issues_create(
    ctx: ActionContext,
    *,
    repo_url: RepoUrl,
    title: str,
    body: str | None,
    assignees: Sequence[str] | None,
    milestone: int | None,
    labels: Sequence[str] | None,
) -> dict[str, Any]:
    """Open an issue, once for each run and those that retry it."""
    opened = open_at(ctx, repo_url, GITHUB, Operation.CREATE_ISSUE)
    done = create_issue.handler(
        ctx,
        repo=opened.ref,
        title=title,
        body=body,
        labels=labels or [],
        assignees=assignees or [],
        milestone=milestone,
    )
    made = dict(done or {})
    return {"issueUrl": made["issueUrl"], "issueNumber": made["number"]}
