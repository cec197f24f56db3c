"""What the inputs of Backstage's actions say of a repository at GitHub, by their names at home."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, Schema, fields, post_load, validate
from marshmallow import ValidationError as SchemaError

from portal_actions_plugin.actions.backstage.inputs.github_rules import switch
from portal_actions_plugin.actions.backstage.publishing import NewRepository, visibility_field
from portal_actions_plugin.actions.backstage.repo_url import AtRepository
from portal_actions_plugin.actions.scm_fields import optional_text
from portal_actions_plugin.run_types import JsonValue
from portal_actions_plugin.scm.base import Collaborator, Operation, Variable
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
"""What a collaborator's ``access`` is called here; any other one is a role that the organisation has made up."""
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
_OIDC, _PROPERTIES, _SUBSCRIBE, _ACCESS = "oidcCustomization", "customProperties", "subscribe", "workflowAccess"
_MAX_ENTRIES = 100
_VARIABLE_NAME = validate.Regexp(
    r"^[A-Za-z_][A-Za-z0-9_]{0,254}$(?!\n)",
    error="A variable is up to 255 letters, digits and '_', and starts with no digit.",
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
        name = entity_name(given[kind])
        if not name or not access:
            raise SchemaError(f"{'An access' if name else 'A name'} is missing.")
        # An organisation may have roles of its own, which only GitHub knows.
        return Collaborator(name, ROLE_OF.get(access, access), is_team=kind == "team")


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


class OidcInput(Schema):
    """``{useDefault, includeClaimKeys}``, as GitHub's API takes it."""

    class Meta:
        unknown = EXCLUDE

    use_default = fields.Boolean(
        data_key="useDefault", load_default=True, metadata={"description": "Whether it is GitHub's own."}
    )
    include_claim_keys = fields.List(
        fields.String(
            validate=validate.Regexp(r"^[A-Za-z0-9_]{1,100}$(?!\n)", error="A claim is letters, digits and '_'.")
        ),
        data_key="includeClaimKeys",
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=_MAX_ENTRIES),
        metadata={"description": "Otherwise the claims that it is made of."},
    )

    @post_load
    def build(self, data: dict[str, Any], **_options: object) -> dict[str, JsonValue]:
        """Leave out what was left out: GitHub takes the organisation's own then."""
        return {name: value for name, value in data.items() if value is not None}


class PropertyField(fields.Field[JsonValue]):
    """A text, or a list of texts."""

    def _deserialize(self, value: object, *_more: object, **_options: object) -> JsonValue:
        if isinstance(value, str):
            return value
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return list(value)
        raise SchemaError("A custom property is a text, or a list of texts.")


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
    oidc_customization = fields.Nested(
        OidcInput,
        data_key=_OIDC,
        load_default=None,
        allow_none=True,
        metadata={"description": "How the subject of a job's OpenID Connect token is made."},
    )
    custom_properties = fields.Dict(
        keys=fields.String(validate=validate.Length(min=1, max=75)),
        values=PropertyField(),
        data_key=_PROPERTIES,
        load_default=dict,
        allow_none=True,
        validate=validate.Length(max=_MAX_ENTRIES),
        metadata={
            "description": "Custom properties that its organisation has defined: a text, or a list of texts, by name."
        },
    )
    workflow_access = fields.String(
        data_key=_ACCESS,
        load_default=None,
        validate=validate.OneOf(["none", "organization", "user"]),
        metadata={"description": "From where else its workflows and actions may be used."},
    )
    subscribe = switch(False, "Whether the portal's account watches it.", _SUBSCRIBE)  # noqa: FBT003

    @post_load
    def build_repository(self, data: dict[str, Any], **_options: object) -> dict[str, Any]:
        """Gather what belongs to the new repository in ``new``."""
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
            demanded=_demanded(own),
            topics=tuple(dict.fromkeys(topic.lower() for topic in own["topics"] or ())),
            admin=_admin(own["access"], kept["repo_url"]),
            collaborators=tuple(own["collaborators"] or ()),
            variables=(
                *(Variable(name, value, is_secret=False) for name, value in (own["repo_variables"] or {}).items()),
                *(Variable(name, value) for name, value in (own["secrets"] or {}).items()),
            ),
        )
        return {**data, **kept, "new": new}


def _demanded(own: Mapping[str, Any]) -> dict[str, dict[str, JsonValue]]:
    """What GitHub keeps at addresses of its own, by the input that asks for it."""
    found: dict[str, dict[str, JsonValue]] = {}
    if own["oidc_customization"] is not None:
        found[_OIDC] = {"oidc_subject": own["oidc_customization"]}
    if own["custom_properties"]:
        found[_PROPERTIES] = {"custom_properties": own["custom_properties"]}
    if own["subscribe"]:
        found[_SUBSCRIBE] = {"subscription": {"subscribed": True, "ignored": False}}
    if own["workflow_access"] is not None:
        found[_ACCESS] = {"workflow_access": {"access_level": own["workflow_access"]}}
    return found


def _admin(access: str | None, place: RepoUrl) -> Collaborator | None:
    """Whom ``access`` makes an administrator; the owner of a personal account is one already."""
    if not access or access == place.owner:
        return None
    if access.startswith(f"{place.owner}/"):
        return Collaborator(access.partition("/")[2], "admin", is_team=True)
    return Collaborator(access, "admin")


def operations_of_repository(data: Mapping[str, object]) -> set[Operation]:
    """What making a repository asks of GitHub, by what is known of an input."""
    asked = {Operation.CREATE_REPO}
    for names, operation in (
        ((_OIDC, _PROPERTIES, _SUBSCRIBE, _ACCESS), Operation.CONFIGURE_REPO),
        (("topics",), Operation.SET_TOPICS),
        (("collaborators", "access"), Operation.ADD_COLLABORATORS),
        (("repoVariables",), Operation.SET_VARIABLE),
    ):
        if any(data.get(name) for name in names):
            asked.add(operation)
    return asked
