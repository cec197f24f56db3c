"""Actions on what a repository is set to: webhooks, protection, topics, and who works in it. What is so is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from marshmallow import Schema, fields, post_load, validate
from marshmallow import ValidationError as SchemaError

from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.actions.scm_commits import open_repo
from portal_actions_plugin.actions.scm_fields import (
    AsRequester,
    branch_field,
    check_unique,
    repo_field,
    repo_lock,
    texts_field,
)
from portal_actions_plugin.scm.base import ROLES, Collaborator, Operation, Protection, WebhookSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.scm.base import RepoRef

_NAME = validate.Length(min=1, max=255)
_TOPIC = validate.Regexp(
    r"^[a-z0-9][a-z0-9-]{0,49}$(?!\n)",
    error="A topic is up to 50 small letters, digits and '-', and starts with a letter or digit.",
)
_MAX_REVIEWS = 6


def check_callback(url: str) -> None:
    """Raise marshmallow's ValidationError for an address that a forge could not, or should not, be told to call."""
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname)
    except ValueError:
        parts, has_host = urlsplit(""), False
    if parts.scheme not in {"http", "https"} or not has_host or not url.isprintable() or " " in url:
        raise SchemaError("This is not an http:// or https:// address.")
    if parts.username or parts.password:
        raise SchemaError("An address holds no user and no password: give the secret instead.")
    if parts.fragment:
        raise SchemaError("An address that is called has no '#'.")


class EnsureWebhook(AsRequester):
    repo = repo_field()
    callback_url = fields.String(
        required=True,
        data_key="callbackUrl",
        validate=[validate.Length(max=2000), check_callback],
        metadata={"description": "Where the forge calls. The webhook is found by it."},
    )
    events = texts_field("What for: the forge's own names of events, such as push.", each=_NAME, most=50)
    secret = fields.String(
        load_default=None,
        allow_none=True,
        load_only=True,
        validate=validate.Length(min=1, max=1000),
        metadata={"description": "What the forge signs its calls with, or sends along. Without it, it has none."},
    )


class EnsureWebhookOutput(Schema):
    webhook_id = fields.String(data_key="webhookId", metadata={"description": "The forge's id of it."})
    webhook_url = fields.String(data_key="webhookUrl", metadata={"description": "Its address at the forge."})
    changed = fields.Boolean(metadata={"description": "False when it was there already, as it should be."})


@action(
    "scm.ensureWebhook@v1",
    title="Set up a webhook",
    input=EnsureWebhook,
    output=EnsureWebhookOutput,
    idempotent=True,
    timeout=60,
    lock=repo_lock,
    operations=(Operation.ENSURE_WEBHOOK,),
)
def ensure_webhook(
    ctx: ActionContext, *, repo: RepoRef, callback_url: str, events: Sequence[str], secret: str | None
) -> dict[str, Any]:
    """Create a webhook, or update the one of the same address where its events or its secret differ."""
    opened = open_repo(ctx, repo, Operation.ENSURE_WEBHOOK)
    hook = opened.scm.ensure_webhook(opened.ref, WebhookSpec(callback_url, tuple(events), secret or None))
    done = "is there already" if hook.outcome == "unchanged" else f"is {hook.outcome}"
    ctx.log(f"the webhook of {repo.full_name} that calls {callback_url} {done}: {', '.join(events)}")
    return {"webhookId": hook.id, "webhookUrl": hook.url, "changed": hook.outcome != "unchanged"}


class ProtectBranch(AsRequester):
    repo = repo_field()
    branch = branch_field("The branch to protect. Default: the default branch.")
    required_reviews = fields.Integer(
        data_key="requiredReviews",
        strict=True,
        load_default=1,
        validate=validate.Range(min=0, max=_MAX_REVIEWS),
        metadata={"description": "How many people have to approve a change before it is merged."},
    )
    required_checks = fields.List(
        fields.String(validate=_NAME),
        data_key="requiredChecks",
        load_default=list,
        validate=[validate.Length(max=100), check_unique],
        metadata={"description": "The names of the checks that must have passed before."},
    )
    code_owners = fields.Boolean(
        data_key="codeOwners",
        load_default=False,
        metadata={"description": "Whether an owner of the changed code has to be among those who approve."},
    )


class ProtectBranchOutput(Schema):
    branch = fields.String(metadata={"description": "The branch that is protected."})
    changed = fields.Boolean(metadata={"description": "False when it was protected so already."})


@action(
    "scm.protectBranch@v1",
    title="Protect a branch",
    input=ProtectBranch,
    output=ProtectBranchOutput,
    idempotent=True,
    timeout=60,
    lock=repo_lock,
    operations=(Operation.PROTECT_BRANCH,),
)
def protect_branch(
    ctx: ActionContext,
    *,
    repo: RepoRef,
    branch: str | None,
    required_reviews: int,
    required_checks: Sequence[str],
    code_owners: bool,
) -> dict[str, Any]:
    """Protect a branch. What the forge, or its plan, does not have is a warning, and the rest is done."""
    opened = open_repo(ctx, repo, Operation.PROTECT_BRANCH)
    name = branch or opened.ref.default_branch
    wanted = Protection(required_reviews, tuple(required_checks), code_owners)
    done = opened.scm.protect_branch(opened.ref, name, wanted)
    for part in done.cannot:
        ctx.warn(f"{name} of {repo.full_name}: {part}")
    ctx.log(f"{name} of {repo.full_name} {'is protected now' if done.changed else 'was protected so already'}")
    return {"branch": name, "changed": done.changed}


class SetTopics(AsRequester):
    repo = repo_field()
    topics = texts_field("What to add to the topics that it has.", each=_TOPIC, most=20)


class SetTopicsOutput(Schema):
    added = fields.List(fields.String(), metadata={"description": "The topics that it did not have."})


@action(
    "scm.setTopics@v1",
    title="Set topics",
    input=SetTopics,
    output=SetTopicsOutput,
    idempotent=True,
    timeout=60,
    lock=repo_lock,
    operations=(Operation.SET_TOPICS,),
)
def set_topics(ctx: ActionContext, *, repo: RepoRef, topics: Sequence[str]) -> dict[str, Any]:
    """Add topics to a repository. Those that it has stay."""
    opened = open_repo(ctx, repo, Operation.SET_TOPICS)
    added = opened.scm.set_topics(opened.ref, topics)
    ctx.log(f"{repo.full_name} has these topics now: {', '.join(topics)}; new are: {', '.join(added) or 'none'}")
    return {"added": list(added)}


class CollaboratorInput(Schema):
    """Somebody who is to work in a repository."""

    name = fields.String(
        required=True,
        validate=_NAME,
        metadata={"description": "A user's login, or a team's or group's short name at the forge."},
    )
    role = fields.String(
        load_default="write",
        validate=validate.OneOf(ROLES),
        metadata={"description": "What they may do; a forge takes its nearest role that allows no more."},
    )
    is_team = fields.Boolean(
        data_key="team", load_default=False, metadata={"description": "Whether it is a team or a group."}
    )

    @post_load
    def build(self, data: dict[str, Any], **_options: object) -> Collaborator:
        return Collaborator(data["name"], data["role"], data["is_team"])


def _check_names(collaborators: Sequence[Collaborator]) -> None:
    check_unique([(one.is_team, one.name) for one in collaborators])


class AddCollaborators(AsRequester):
    repo = repo_field()
    collaborators = fields.List(
        fields.Nested(CollaboratorInput),
        required=True,
        validate=[validate.Length(min=1, max=100), _check_names],
        metadata={"description": "Who is to work in it. Everybody else stays."},
    )


class AddCollaboratorsOutput(Schema):
    changed = fields.List(fields.String(), metadata={"description": "The names of those for whom anything changed."})


@action(
    "scm.addCollaborators@v1",
    title="Add collaborators",
    input=AddCollaborators,
    output=AddCollaboratorsOutput,
    idempotent=True,
    timeout=120,
    lock=repo_lock,
    operations=(Operation.ADD_COLLABORATORS,),
)
def add_collaborators(ctx: ActionContext, *, repo: RepoRef, collaborators: Sequence[Collaborator]) -> dict[str, Any]:
    """Let people and teams work in a repository. Those who may do so already stay as they are."""
    opened = open_repo(ctx, repo, Operation.ADD_COLLABORATORS)
    changed = opened.scm.add_collaborators(opened.ref, collaborators)
    for one in collaborators:
        done = "may now" if one.name in changed else "could already"
        ctx.log(f"{'the team ' if one.is_team else ''}{one.name} {done} work in {repo.full_name}: {one.role}")
    return {"changed": list(changed)}
