"""What the inputs of Backstage's actions say of a repository at GitHub and of its branches, by their names at home."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import EXCLUDE, Schema, fields, post_load, validate
from marshmallow import ValidationError as SchemaError

from portal_actions_plugin.actions.backstage.publishing import NewRepository, visibility_field
from portal_actions_plugin.actions.backstage.repo_url import AtRepository, named_people
from portal_actions_plugin.actions.scm_fields import optional_text
from portal_actions_plugin.scm.base import Collaborator, Operation, People, Protection, Variable
from portal_actions_plugin.settings.forge_addresses import RepoUrl

ROLE_OF: Mapping[str, str] = {
    "pull": "read",
    "read": "read",
    "triage": "triage",
    "push": "write",
    "write": "write",
    "maintain": "maintain",
    "admin": "admin",
}
"""What a collaborator's ``access`` is called here."""
_SETTINGS: Mapping[str, object] = {
    "homepage": None,
    "has_issues": True,
    "has_projects": True,
    "has_wiki": True,
    "allow_merge_commit": True,
    "allow_squash_merge": True,
    "allow_rebase_merge": True,
    "allow_auto_merge": False,
    "allow_update_branch": False,
    "delete_branch_on_merge": False,
    "squash_merge_commit_title": "COMMIT_OR_PR_TITLE",
    "squash_merge_commit_message": "COMMIT_MESSAGES",
}
"""What a new repository is set to without being asked: only what differs is sent."""
_NOT_DONE = ("oidcCustomization", "customProperties", "subscribe")
_MAX_ENTRIES = 100
_VARIABLE_NAME = validate.Regexp(
    r"^[A-Za-z_][A-Za-z0-9_]{0,254}$(?!\n)",
    error="A variable is up to 255 letters, digits and '_', and starts with no digit.",
)


def switch(default: bool | None, description: str, data_key: str) -> fields.Boolean:  # noqa: FBT001 a default, as it is written
    """An input that is true or false, or left out."""
    return fields.Boolean(
        data_key=data_key, load_default=default, allow_none=default is None, metadata={"description": description}
    )


class CollaboratorField(fields.Field[Collaborator]):
    """``{user, access}``, ``{team, access}``, or ``{username, access}`` as it was written once."""

    def _deserialize(
        self,
        value: object,
        attr: str | None,  # noqa: ARG002 marshmallow's arguments
        data: Mapping[str, Any] | None,  # noqa: ARG002
        **kwargs: object,  # noqa: ARG002
    ) -> Collaborator:
        given = value if isinstance(value, Mapping) else {}
        kind = next((key for key in ("user", "team", "username") if isinstance(given.get(key), str)), None)
        access = given.get("access")
        if kind is None or not isinstance(access, str):
            raise SchemaError("Write {user: a name, access: a role} or {team: a name, access: a role}.")
        if access not in ROLE_OF:
            raise SchemaError(f"{access[:50]!r} is no access: it is one of {', '.join(ROLE_OF)}.")
        name = entity_name(given[kind])
        if not name:
            raise SchemaError("A name is missing.")
        return Collaborator(name, ROLE_OF[access], is_team=kind == "team")


def entity_name(reference: str) -> str:
    """The name in a reference to a user or a group, such as ``group:default/platform``."""
    return re.sub(r"^.*[:/]", "", reference)


def table_field(description: str, *, data_key: str, load_only: bool) -> fields.Dict:
    """A table of texts by the names of variables."""
    return fields.Dict(
        keys=fields.String(validate=_VARIABLE_NAME),
        values=fields.String(validate=validate.Length(max=48 * 1024)),
        data_key=data_key,
        load_default=dict,
        allow_none=True,
        load_only=load_only,
        validate=validate.Length(max=_MAX_ENTRIES),
        metadata={"description": description},
    )


class RepositoryInput(AtRepository):
    """A repository to make at GitHub."""

    description = optional_text("One line about it.")
    homepage = optional_text("Its website.")
    access = optional_text("Who gets the role admin: a user, or a team written owner/team.")
    repo_visibility = visibility_field()
    delete_branch_on_merge = switch(False, "Delete a branch once it is merged.", "deleteBranchOnMerge")  # noqa: FBT003
    allow_merge_commit = switch(True, "Allow merges by a merge commit.", "allowMergeCommit")  # noqa: FBT003
    allow_squash_merge = switch(True, "Allow merges as one commit.", "allowSquashMerge")  # noqa: FBT003
    allow_rebase_merge = switch(True, "Allow merges commit by commit.", "allowRebaseMerge")  # noqa: FBT003
    allow_auto_merge = switch(False, "Allow merges by themselves once all is well.", "allowAutoMerge")  # noqa: FBT003
    allow_update_branch = switch(False, "Offer to update a branch before it is merged.", "allowUpdateBranch")  # noqa: FBT003
    squash_merge_commit_title = fields.String(
        data_key="squashMergeCommitTitle",
        load_default="COMMIT_OR_PR_TITLE",
        validate=validate.OneOf(["PR_TITLE", "COMMIT_OR_PR_TITLE"]),
        metadata={"description": "The title of what is merged as one commit."},
    )
    squash_merge_commit_message = fields.String(
        data_key="squashMergeCommitMessage",
        load_default="COMMIT_MESSAGES",
        validate=validate.OneOf(["PR_BODY", "COMMIT_MESSAGES", "BLANK"]),
        metadata={"description": "The message of what is merged as one commit."},
    )
    has_issues = switch(None, "Whether it has issues.", "hasIssues")
    has_projects = switch(None, "Whether it has projects.", "hasProjects")
    has_wiki = switch(None, "Whether it has a wiki.", "hasWiki")
    topics = fields.List(
        fields.String(validate=validate.Length(min=1, max=50)),
        load_default=list,
        allow_none=True,
        validate=validate.Length(max=_MAX_ENTRIES),
        metadata={"description": "Its topics; they become small letters."},
    )
    collaborators = fields.List(
        CollaboratorField(),
        load_default=list,
        allow_none=True,
        validate=validate.Length(max=_MAX_ENTRIES),
        metadata={"description": "Who is to work in it: {user, access} or {team, access}."},
    )
    repo_variables = table_field("Variables of its CI, by name.", data_key="repoVariables", load_only=False)
    secrets = table_field("Secrets of its CI, by name.", data_key="secrets", load_only=True)
    oidc_customization = fields.Raw(
        data_key=_NOT_DONE[0], load_default=None, metadata={"description": "Not done here: a warning says so."}
    )
    custom_properties = fields.Raw(
        data_key=_NOT_DONE[1], load_default=None, metadata={"description": "Not done here: a warning says so."}
    )
    subscribe = fields.Raw(load_default=None, metadata={"description": "Not done here: a warning says so."})

    @post_load
    def build_repository(self, data: dict[str, Any], **_options: object) -> dict[str, Any]:
        """Gather what belongs to the new repository in ``new``, and what is not done in ``not_done``."""
        undone = {"oidc_customization": _NOT_DONE[0], "custom_properties": _NOT_DONE[1], "subscribe": _NOT_DONE[2]}
        own = {name: data.pop(name) for name in list(data) if name in RepositoryInput._declared_fields}
        kept = {name: own.pop(name) for name in ("repo_url",) if name in own}
        settings = {
            name: value
            for name, usual in _SETTINGS.items()
            if (value := own.get(name)) is not None and value not in (usual, "")
        }
        new = NewRepository(
            visibility=own["repo_visibility"],
            description=own["description"] or "",
            settings=settings,
            topics=tuple(dict.fromkeys(topic.lower() for topic in own["topics"] or ())),
            collaborators=(*_admin(own["access"], kept["repo_url"]), *(own["collaborators"] or ())),
            variables=(
                *(Variable(name, value, is_secret=False) for name, value in (own["repo_variables"] or {}).items()),
                *(Variable(name, value) for name, value in (own["secrets"] or {}).items()),
            ),
        )
        not_done = tuple(key for name, key in undone.items() if own.get(name))
        return {**data, **kept, "new": new, "not_done": not_done}


def _admin(access: str | None, place: RepoUrl) -> Sequence[Collaborator]:
    """Whom ``access`` makes an administrator; the owner of a personal account is one already."""
    if not access or access == place.owner:
        return ()
    if access.startswith(f"{place.owner}/"):
        return (Collaborator(access.partition("/")[2], "admin", is_team=True),)
    return (Collaborator(access, "admin"),)


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


def operations_of_repository(data: Mapping[str, object]) -> set[Operation]:
    """What making a repository asks of GitHub, by what is known of an input."""
    asked = {Operation.CREATE_REPO}
    for names, operation in (
        (("topics",), Operation.SET_TOPICS),
        (("collaborators", "access"), Operation.ADD_COLLABORATORS),
        (("repoVariables",), Operation.SET_VARIABLE),
    ):
        if any(data.get(name) for name in names):
            asked.add(operation)
    return asked


def operations_of_push(data: Mapping[str, object]) -> set[Operation]:
    """What pushing a first commit asks of GitHub, by what is known of an input."""
    protects = data.get("protectDefaultBranch") not in (False, "false")
    return {Operation.COMMIT, Operation.PROTECT_BRANCH} if protects else {Operation.COMMIT}
