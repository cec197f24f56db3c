"""``gitlab:repo:push``, ``gitlab:projectVariable:create`` and ``gitlab:group:ensureExists``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields, validate
from marshmallow import ValidationError as SchemaError

from portal_actions_plugin.actions.backstage.inputs.names import about, by_input_names
from portal_actions_plugin.actions.backstage.proposals import committed
from portal_actions_plugin.actions.backstage.publishing import branch_before
from portal_actions_plugin.actions.backstage.repo_url import (
    GITLAB,
    REPO_URL,
    AtRepository,
    forge_at,
    open_at,
    open_project,
    repo_url_lock,
)
from portal_actions_plugin.actions.backstage.source_files import source_path_field, target_path_field
from portal_actions_plugin.actions.files.fields import flag_field
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.actions.scm_commits import OpenRepo, open_repo
from portal_actions_plugin.actions.scm_fields import AsRequester, follows, optional_text
from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.scm.base import Operation, RepoRef, Variable
from portal_actions_plugin.scm.names import check_branch
from portal_actions_plugin.scm.optional import require
from portal_actions_plugin.settings.forge_addresses import RepoUrl

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from portal_actions_plugin.actions.context import ActionContext

_KEY = validate.Regexp(r"^[A-Za-z0-9_]{1,255}$(?!\n)", error="A key is up to 255 letters, digits and '_'.")


class RepoPush(AtRepository):
    branch_name = fields.String(
        required=True,
        data_key="branchName",
        validate=follows(check_branch, "branchName"),
        metadata={"description": "The branch to commit to; a missing one is made from the default one."},
    )
    commit_message = fields.String(
        required=True,
        data_key="commitMessage",
        validate=validate.Length(min=1, max=10_000),
        metadata={"description": "The commit's message.", "example": "Add orders"},
    )
    source_path = source_path_field()
    target_path = target_path_field()
    commit_action = fields.String(
        data_key="commitAction",
        load_default="auto",
        validate=validate.OneOf(["create", "update", "delete", "auto"]),
        metadata={
            "description": "What becomes of the files: create, update and auto write what differs, delete takes those of "
            "these names away."
        },
    )
    allow_empty = flag_field("Whether a commit is made that changes nothing.", data_key="allowEmpty")


class RepoPushOutput(Schema):
    projectid = fields.String(metadata={"description": "The project's whole path."})
    project_path = fields.String(data_key="projectPath", metadata={"description": "The project's whole path."})
    commit_hash = fields.String(
        data_key="commitHash", metadata={"description": "Where the branch is now; nothing where there were no files."}
    )


@action(
    "gitlab:repo:push",
    title="Commit to a project at GitLab",
    description="Commit the workspace to a branch of a project at GitLab.",
    input=RepoPush,
    output=RepoPushOutput,
    idempotent=True,
    timeout=300,
    lock=repo_url_lock,
    operations=(Operation.COMMIT,),
    workspace="reads",
    forges=GITLAB,
)
@by_input_names(RepoPush)
def gitlab_repo_push(
    ctx: ActionContext,
    *,
    repo_url: RepoUrl,
    branch_name: str,
    commit_message: str,
    source_path: str | None,
    target_path: str | None,
    commit_action: str,
    allow_empty: bool,
) -> dict[str, Any]:
    """Commit the workspace to a branch. The same files make no commit, unless that is asked for."""
    files = committed(ctx, source_path, target_path, commit_action)
    opened = open_at(ctx, repo_url, GITLAB, Operation.COMMIT)
    name = opened.ref.full_name
    found = {"projectid": name, "projectPath": name}
    default = opened.ref.default_branch
    was_at = branch_before(opened, branch_name) or branch_before(opened, default) if allow_empty else ""
    with about("branchName"):
        if files:
            found["commitHash"] = opened.commit_to(branch_name, files, commit_message).sha
        else:
            opened.scm.ensure_branch(opened.ref, branch_name, default)
    if allow_empty:
        head = opened.scm.branch_head(opened.ref, branch_name) or ""
        found["commitHash"] = head if head != was_at else _commit_nothing(opened, branch_name, commit_message)
    elif not files:
        ctx.warn(f"There are no files in {source_path or 'the workspace'}: nothing is committed to {name}.")
    return found


def _commit_nothing(opened: OpenRepo, branch: str, message: str) -> str:
    base = opened.ref.default_branch
    sha = opened.scm.put_files(opened.ref, branch, [], message, base_branch=base, allow_empty=True).sha
    opened.ctx.log(f"one commit {sha[:7]} on {branch} of {opened.ref.full_name} that changes nothing")
    return sha


class HostField(fields.String):
    """A ``repoUrl`` of which only the host counts, so that the host alone is taken as well."""

    def _deserialize(  # type: ignore[override]  # a RepoUrl, of what marshmallow calls a text
        self, value: object, attr: str | None, data: Mapping[str, Any] | None, **kwargs: object
    ) -> RepoUrl:
        text = str(super()._deserialize(value, attr, data, **kwargs))
        try:
            return RepoUrl.read(text)
        except ValueError as error:
            host = text.partition("?")[0].strip("/ ").lower()
            if not host or "/" in host:
                raise SchemaError(f"This names no forge: {error}.") from None
            return RepoUrl(host, "", "")


class AtHost(AsRequester):
    repo_url = HostField(
        required=True,
        data_key=REPO_URL,
        metadata={"description": "The forge, written like gitlab.com?owner=acme&repo=orders; only the host counts."},
    )


class ProjectId(fields.Raw):
    """A project's number, or its whole path."""

    def _deserialize(self, value: object, *_more: object, **_options: object) -> str:
        if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).strip("/ "):
            raise SchemaError("Write a project's number, or its whole path.")
        return str(value).strip("/ ")


class ProjectVariable(AtHost):
    project_id = ProjectId(
        required=True,
        data_key="projectId",
        metadata={
            "description": "The project's number, such as the projectId of publish:gitlab, or its whole path.",
            "example": "acme/orders",
        },
    )
    key = fields.String(required=True, validate=_KEY, metadata={"description": "The variable's name."})
    value = fields.String(
        required=True,
        load_only=True,
        metadata={"description": "Its value. It is kept as every secret is: encrypted, until the run ends."},
    )
    variable_type = fields.String(
        required=True,
        data_key="variableType",
        validate=validate.OneOf(["env_var", "file"]),
        metadata={"description": "Whether jobs get it as a variable, or as a file."},
    )
    variable_protected = fields.Boolean(
        data_key="variableProtected",
        load_default=False,
        metadata={"description": "Whether only protected branches get it."},
    )
    masked = fields.Boolean(load_default=False, metadata={"description": "Whether job logs hide it."})
    masked_and_hidden = flag_field(
        "Whether job logs hide it, and nobody can look at it later.", data_key="maskedAndHidden"
    )
    raw = fields.Boolean(load_default=False, metadata={"description": "Whether a $ in it is one."})
    environment_scope = fields.String(
        data_key="environmentScope", load_default="*", metadata={"description": "Which environments get it."}
    )


@action(
    "gitlab:projectVariable:create",
    title="Set a variable of a project at GitLab",
    description="Set a variable of the CI of a project at GitLab.",
    input=ProjectVariable,
    idempotent=True,
    timeout=60,
    operations=(Operation.SET_VARIABLE,),
    forges=GITLAB,
)
@by_input_names(ProjectVariable)
def gitlab_project_variable(
    ctx: ActionContext,
    *,
    repo_url: RepoUrl,
    project_id: str,
    key: str,
    value: str,
    variable_type: str,
    variable_protected: bool,
    masked: bool,
    masked_and_hidden: bool,
    raw: bool,
    environment_scope: str,
) -> None:
    """Set a variable, whatever it was before."""
    opened = _project(ctx, repo_url, project_id)
    variable = Variable(
        key,
        value,
        is_secret=masked or masked_and_hidden,
        is_hidden=masked_and_hidden,
        is_protected=variable_protected,
        is_file=variable_type == "file",
        is_raw=raw,
        scope=environment_scope,
    )
    opened.scm.set_variable(opened.ref, variable)
    ctx.log(f"the variable {key} of {opened.ref.full_name} is set")


def _project(ctx: ActionContext, place: RepoUrl, project: str) -> OpenRepo:
    provider = forge_at(ctx, place, GITLAB).name
    owner, _, repo = project.rpartition("/")
    if owner:
        with about("projectId"):
            return open_repo(ctx, RepoRef(provider, owner, repo, ""), Operation.SET_VARIABLE)
    return open_project(ctx, provider, project, Operation.SET_VARIABLE, field="projectId")


class GroupEnsureExists(AtHost):
    path = fields.List(
        fields.Raw(),
        required=True,
        validate=validate.Length(min=1, max=20),
        metadata={
            "description": "The names of groups within each other, the outermost first.",
            "example": ["acme", "shop"],
        },
    )
    description = optional_text("One line about the innermost one, should it be made.")


class GroupEnsureExistsOutput(Schema):
    group_id = fields.Integer(data_key="groupId", metadata={"description": "The number of the innermost group."})


@action(
    "gitlab:group:ensureExists",
    title="Make a group at GitLab",
    description="Make groups within each other at GitLab, as far as they are missing.",
    input=GroupEnsureExists,
    output=GroupEnsureExistsOutput,
    idempotent=True,
    timeout=120,
    operations=(Operation.ENSURE_GROUP,),
    forges=GITLAB,
)
def gitlab_group(
    ctx: ActionContext, *, repo_url: RepoUrl, path: Sequence[object], description: str | None
) -> dict[str, Any]:
    """Find groups by their names, and make those that are missing."""
    provider = forge_at(ctx, repo_url, GITLAB).name
    scm = ctx.scm(provider)
    require(scm, Operation.ENSURE_GROUP, provider)
    named = [one for part in path for one in _groups(part)]
    slugs, names = [slug for slug, _ in named], [name for _, name in named]
    # A provider that knows neither of both is not asked for them.
    more: dict[str, Any] = {"names": names} if names != slugs else {}
    if description:
        more["description"] = " ".join(description.split())
    found = scm.ensure_group(provider, slugs, **more)
    ctx.log(f"the group {'/'.join(slugs)} is there, as number {found}")
    return {"groupId": found}


def _groups(part: object) -> Iterator[tuple[str, str]]:
    """Short name and name of groups: of a text, which may hold several, or of ``{name, slug}``."""
    given = part if isinstance(part, dict) else {}
    slug, name = (given.get(key) for key in ("slug", "name")) if given else (part, None)
    if not isinstance(slug, str) or not slug or not isinstance(name, str | None):
        message = "A group is written by its name, or as {name: …, slug: …}."
        raise ValidationError(message, fields={"path": [message]})
    if given:
        yield slug, name or slug
        return
    for one in slug.strip("/").split("/"):
        yield one, one
