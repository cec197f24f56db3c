"""What the inputs of Backstage's actions say of the rules of a branch at GitHub, by their names at home."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, Schema, fields, post_load, validate

from portal_actions_plugin.actions.backstage.repo_url import named_people
from portal_actions_plugin.scm.base import Operation, People, Protection

_MAX_ENTRIES = 100


def switch(default: bool | None, description: str, data_key: str) -> fields.Boolean:  # noqa: FBT001 a default, as it is written
    """An input that is true or false, or left out."""
    return fields.Boolean(
        data_key=data_key, load_default=default, allow_none=default is None, metadata={"description": description}
    )


class PeopleInput(Schema):
    """Those whom a rule of a branch names."""

    class Meta:
        unknown = EXCLUDE

    users = named_people("users", data_key="users", description="Logins.")
    teams = named_people("teams", data_key="teams", description="Short names of teams.")
    apps = named_people("apps", data_key="apps", description="Short names of Apps.")

    @post_load
    def build(self, data: dict[str, Any], **_options: object) -> People:
        return People(*(tuple(data[name] or ()) for name in ("users", "teams", "apps")))


class ProtectionInput(Schema):
    """What a branch at GitHub asks for before a merge."""

    required_approving_review_count = fields.Integer(
        data_key="requiredApprovingReviewCount",
        load_default=1,
        validate=validate.Range(min=0, max=6),
        metadata={"description": "How many people have to approve; 0 for none."},
    )
    require_code_owner_reviews = switch(False, "Whether a code owner has to approve.", "requireCodeOwnerReviews")  # noqa: FBT003
    dismiss_stale_reviews = switch(False, "Whether a new push takes approvals away.", "dismissStaleReviews")  # noqa: FBT003
    required_status_check_contexts = fields.List(
        fields.String(validate=validate.Length(min=1, max=255)),
        data_key="requiredStatusCheckContexts",
        load_default=list,
        allow_none=True,
        validate=validate.Length(max=_MAX_ENTRIES),
        metadata={"description": "The checks that must have passed."},
    )
    require_branches_to_be_up_to_date = switch(
        True,  # noqa: FBT003
        "Whether a branch has to have what is in this one before it is merged.",
        "requireBranchesToBeUpToDate",
    )
    required_conversation_resolution = switch(
        False,  # noqa: FBT003
        "Whether every conversation has to be resolved.",
        "requiredConversationResolution",
    )
    require_last_push_approval = switch(
        False,  # noqa: FBT003
        "Whether somebody else than who pushed last has to approve.",
        "requireLastPushApproval",
    )
    required_commit_signing = switch(False, "Whether commits have to be signed.", "requiredCommitSigning")  # noqa: FBT003
    required_linear_history = switch(False, "Whether there may be no merge commits.", "requiredLinearHistory")  # noqa: FBT003
    bypass_pull_request_allowances = fields.Nested(
        PeopleInput,
        data_key="bypassPullRequestAllowances",
        load_default=People(),
        metadata={"description": "Who needs no pull request."},
    )
    restrictions = fields.Nested(
        PeopleInput,
        load_default=None,
        allow_none=True,
        metadata={"description": "The only ones who may push."},
    )

    @post_load
    def build_protection(self, data: dict[str, Any], **_options: object) -> dict[str, Any]:
        """Gather all that is about the branch's rules in ``protection``."""
        own = {name: data.pop(name) for name in list(data) if name in ProtectionInput._declared_fields}
        data["protection"] = Protection(
            required_reviews=own["required_approving_review_count"],
            required_checks=tuple(dict.fromkeys(own["required_status_check_contexts"] or ())),
            code_owners=own["require_code_owner_reviews"],
            by_pull_only=True,
            up_to_date=own["require_branches_to_be_up_to_date"],
            dismisses_stale=own["dismiss_stale_reviews"],
            by_others=own["require_last_push_approval"],
            conversations=own["required_conversation_resolution"],
            linear=own["required_linear_history"],
            signed=own["required_commit_signing"],
            may_bypass=own["bypass_pull_request_allowances"] or People(),
            may_push=own["restrictions"],
        )
        return data


class PushProtectionInput(ProtectionInput):
    """The protection of the branch that is pushed to, which may be left out."""

    protect_default_branch = switch(True, "Whether the branch is protected.", "protectDefaultBranch")  # noqa: FBT003
    protect_enforce_admins = switch(True, "Whether it is so for administrators, too.", "protectEnforceAdmins")  # noqa: FBT003


def operations_of_push(data: Mapping[str, object]) -> set[Operation]:
    """What pushing a first commit asks of GitHub, by what is known of an input."""
    protects = data.get("protectDefaultBranch") not in (False, "false")
    return {Operation.COMMIT, Operation.PROTECT_BRANCH} if protects else {Operation.COMMIT}
