"""``publish:gitlab``: a new project at GitLab, from the workspace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from marshmallow import EXCLUDE, INCLUDE, Schema, fields, post_load, validate

from portal_actions_plugin.actions.backstage.inputs.names import about, by_input_names
from portal_actions_plugin.actions.backstage.publishing import (
    FIRST_MESSAGE,
    NewRepository,
    PublishOutput,
    commit_message_field,
    contents_url,
    default_branch_field,
    make_repository,
    protect_at_once,
    push_first,
    visibility_field,
)
from portal_actions_plugin.actions.backstage.repo_url import (
    GITLAB,
    AtRepository,
    WithAuthor,
    forge_at,
    repo_url_lock,
)
from portal_actions_plugin.actions.backstage.source_files import SOURCE_PATH, required_files
from portal_actions_plugin.actions.files.fields import TextOrTruth
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.actions.scm_commits import OpenRepo
from portal_actions_plugin.actions.scm_fields import branch_field, follows, optional_text
from portal_actions_plugin.errors import ConflictError
from portal_actions_plugin.scm.base import VISIBILITIES, Collaborator, Operation, Protection, Variable
from portal_actions_plugin.scm.names import check_branch, check_repo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.scm.base import Repository
    from portal_actions_plugin.settings.forge_addresses import RepoUrl

_OURS = ("description", "topics", "visibility")
"""What of ``settings`` a new project begins with; the rest is set on it afterwards."""
_MAX_ENTRIES = 100
_KEY = validate.Regexp(r"^[A-Za-z0-9_]{1,255}$(?!\n)", error="A key is up to 255 letters, digits and '_'.")


class ProjectSettings(Schema):
    """Settings of a project by the names of GitLab's API; others than these go there as they are."""

    class Meta:
        unknown = INCLUDE

    name = fields.String(
        validate=validate.Length(min=1, max=255), metadata={"description": "What pages call it. Default: the path."}
    )
    path = fields.String(
        validate=follows(check_repo, "path"), metadata={"description": "The project's path. Default: the name."}
    )
    description = fields.String(allow_none=True, metadata={"description": "One line about it."})
    topics = fields.List(fields.String(), metadata={"description": "Its topics."})
    visibility = fields.String(
        validate=validate.OneOf(VISIBILITIES), metadata={"description": "Who may see it; counts before repoVisibility."}
    )
    merge_method = fields.String(
        validate=validate.OneOf(["merge", "rebase_merge", "ff"]), metadata={"description": "How it merges."}
    )
    squash_option = fields.String(
        validate=validate.OneOf(["default_off", "default_on", "never", "always"]),
        metadata={"description": "Whether commits become one when they are merged."},
    )
    auto_devops_enabled = fields.Boolean(metadata={"description": "Whether Auto DevOps is on."})
    ci_config_path = fields.String(metadata={"description": "Where the CI's configuration lies."})
    only_allow_merge_if_pipeline_succeeds = fields.Boolean(
        metadata={"description": "Whether a merge needs a pipeline that has passed."}
    )
    only_allow_merge_if_all_discussions_are_resolved = fields.Boolean(
        metadata={"description": "Whether a merge needs all discussions resolved."}
    )
    allow_merge_on_skipped_pipeline = fields.Boolean(metadata={"description": "Whether a skipped pipeline has passed."})


class BranchInput(Schema):
    """A branch of the new project."""

    class Meta:
        unknown = EXCLUDE

    name = fields.String(required=True, validate=follows(check_branch, "name"), metadata={"description": "Its name."})
    protect = fields.Boolean(load_default=False, metadata={"description": "Whether it is protected."})
    create = fields.Boolean(load_default=False, metadata={"description": "Whether it is made when it is missing."})
    ref = branch_field("The branch that it is made from. Default: the one that was pushed to.")


class VariableInput(Schema):
    """A variable of the CI. What it holds is no secret of the run: a secret one is set by scm.setVariable@v1."""

    class Meta:
        unknown = EXCLUDE

    key = fields.String(required=True, validate=_KEY, metadata={"description": "Its name."})
    value = fields.String(required=True, metadata={"description": "Its value."})
    description = fields.String(load_default="", allow_none=True, metadata={"description": "One line about it."})
    variable_type = fields.String(
        load_default="env_var", validate=validate.OneOf(["env_var", "file"]), metadata={"description": "Its type."}
    )
    protected = fields.Boolean(load_default=False, metadata={"description": "Whether only protected branches get it."})
    masked = fields.Boolean(load_default=False, metadata={"description": "Whether job logs hide it."})
    masked_and_hidden = fields.Boolean(
        load_default=False, metadata={"description": "Whether job logs hide it, and nobody can look at it later."}
    )
    raw = fields.Boolean(load_default=False, metadata={"description": "Whether a $ in it is one."})
    environment_scope = fields.String(load_default="*", metadata={"description": "Which environments get it."})

    @post_load
    def build(self, data: dict[str, Any], **_options: object) -> Variable:
        return Variable(
            data["key"],
            data["value"],
            is_secret=data["masked"] or data["masked_and_hidden"],
            is_hidden=data["masked_and_hidden"],
            is_protected=data["protected"],
            is_file=data["variable_type"] == "file",
            is_raw=data["raw"],
            scope=data["environment_scope"],
            description=data["description"] or "",
        )


class PublishGitLab(WithAuthor, AtRepository):
    repo_visibility = visibility_field()
    default_branch = default_branch_field("master")
    git_commit_message = commit_message_field()
    source_path = TextOrTruth(
        data_key=SOURCE_PATH,
        load_default=True,
        metadata={
            "description": "The folder of the workspace that is taken. true, the default, takes all of it; false pushes "
            "nothing, and leaves the project empty."
        },
    )
    skip_existing = fields.Boolean(
        data_key="skipExisting",
        load_default=False,
        metadata={"description": "Whether a project that is there already is left as it is, and no error."},
    )
    owner_username = optional_text("A user who becomes an owner, too.", data_key="ownerUsername")
    set_user_as_owner = fields.Boolean(
        data_key="setUserAsOwner",
        load_default=False,
        metadata={"description": "Not done here: whose token makes the project is its owner. A warning says so."},
    )
    topics = fields.List(
        fields.String(validate=validate.Length(min=1, max=255)),
        load_default=list,
        allow_none=True,
        validate=validate.Length(max=_MAX_ENTRIES),
        metadata={"description": "Its topics; settings.topics counts before it."},
    )
    settings = fields.Nested(
        ProjectSettings,
        load_default=dict,
        allow_none=True,
        metadata={"description": "Settings of the project, by the names of GitLab's API."},
    )
    branches = fields.List(
        fields.Nested(BranchInput),
        load_default=list,
        allow_none=True,
        validate=validate.Length(max=_MAX_ENTRIES),
        metadata={"description": "More branches, and which are protected."},
    )
    project_variables = fields.List(
        fields.Nested(VariableInput),
        data_key="projectVariables",
        load_default=list,
        allow_none=True,
        validate=validate.Length(max=_MAX_ENTRIES),
        metadata={"description": "Variables of its CI."},
    )

    @post_load
    def build_project(self, data: dict[str, Any], **_options: object) -> dict[str, Any]:
        """Gather what belongs to the new project in ``new``."""
        settings: dict[str, Any] = data.pop("settings") or {}
        visibility, topics = data.pop("repo_visibility"), data.pop("topics") or ()
        data["new"] = NewRepository(
            visibility=settings.get("visibility") or visibility,
            description=settings.get("description") or "",
            settings={name: value for name, value in settings.items() if name not in (*_OURS, "path")},
            topics=tuple(dict.fromkeys(settings.get("topics") or topics)),
            variables=tuple(data.pop("project_variables") or ()),
            variables_of=("projectVariables", "projectVariables"),
            collaborators=(Collaborator(owner, "admin"),) if (owner := data.pop("owner_username")) else (),
        )
        data["branches"] = data["branches"] or []
        if path := settings.get("path"):  # the project is found by its path, and is called what repoUrl says
            data["new"] = replace(data["new"], settings={"name": data["repo_url"].repo, **data["new"].settings})
            data["repo_url"] = replace(data["repo_url"], repo=path)
        return data


class PublishGitLabOutput(PublishOutput):
    project_id = fields.Integer(
        data_key="projectId", allow_none=True, metadata={"description": "GitLab's number of it."}
    )
    created = fields.Boolean(metadata={"description": "Whether this run has made it, or one that it retries."})


def _asked(data: Mapping[str, object]) -> frozenset[Operation]:
    asked = {Operation.CREATE_REPO, Operation.COMMIT}
    settings = data.get("settings")
    named = settings if isinstance(settings, Mapping) else {}
    if data.get("topics") or named.get("topics"):
        asked.add(Operation.SET_TOPICS)
    if set(named) - {*_OURS, "path"}:
        asked.add(Operation.CONFIGURE_REPO)
    if data.get("projectVariables"):
        asked.add(Operation.SET_VARIABLE)
    if data.get("ownerUsername"):
        asked.add(Operation.ADD_COLLABORATORS)
    if data.get(SOURCE_PATH) is False:
        asked.discard(Operation.COMMIT)
    return frozenset(asked)


@action(
    "publish:gitlab",
    title="Publish to GitLab",
    description="Make a project at GitLab, and push the workspace into it as its first commit.",
    input=PublishGitLab,
    output=PublishGitLabOutput,
    idempotent=True,
    timeout=300,
    lock=repo_url_lock,
    operations=_asked,
    workspace="reads",
    forges=GITLAB,
)
@by_input_names(PublishGitLab)
def publish_gitlab(
    ctx: ActionContext,
    *,
    repo_url: RepoUrl,
    new: NewRepository,
    source_path: str | bool,
    skip_existing: bool,
    default_branch: str,
    git_commit_message: str | None,
    set_user_as_owner: bool,
    branches: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Make a project and push the workspace into it. What is there already by this run is left."""
    files = [] if source_path is False else required_files(ctx, source_path if isinstance(source_path, str) else None)
    try:
        made = make_repository(ctx, repo_url, GITLAB, new)
    except ConflictError:
        if not skip_existing:
            raise
        found = ctx.scm(forge_at(ctx, repo_url, GITLAB).name).get_repo(repo_url.owner, repo_url.repo)
        ctx.log(f"{found.ref.full_name} is there already, and is left as it is")
        return {**_outputs(ctx, found, found.ref.default_branch), "created": False}
    if set_user_as_owner:
        ctx.warn("setUserAsOwner is not done here: whose token makes the project is its owner.")
    opened = OpenRepo(ctx, ctx.scm(made.ref.provider), made.ref)
    found_there = {**_outputs(ctx, made, default_branch), "created": True}
    if not files:
        return found_there
    sha = push_first(opened, default_branch, files, git_commit_message or FIRST_MESSAGE)
    for one in branches:
        with about("branches"):
            _set_up_branch(opened, one, default_branch)
    return {**found_there, "commitHash": sha}


def _set_up_branch(opened: OpenRepo, one: Mapping[str, Any], default_branch: str) -> None:
    if one["create"]:
        opened.scm.ensure_branch(opened.ref, one["name"], one["ref"] or default_branch)
        opened.ctx.log(f"{opened.ref.full_name} has a branch {one['name']}")
    if one["protect"]:
        protect_at_once(opened, one["name"], Protection(required_reviews=0))


def _outputs(ctx: ActionContext, found: Repository, branch: str) -> dict[str, Any]:
    return {
        "remoteUrl": found.clone_url.removesuffix(".git"),
        "repoContentsUrl": contents_url(ctx, found, branch),
        "projectId": found.number,
    }
