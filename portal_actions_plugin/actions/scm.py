"""Actions on repositories. Each may be done twice: what is there already is left as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields, validate, validates_schema
from marshmallow import ValidationError as SchemaError

from portal_actions_plugin.actions.claims import create_claimed
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.actions.scm_commits import branch_named, open_repo, rendered_skeleton
from portal_actions_plugin.actions.scm_fields import (
    AsRequester,
    Content,
    RepoReference,
    branch_field,
    commit_sha_field,
    content_bytes,
    files_field,
    follows,
    message_field,
    name_lock,
    optional_text,
    owner_field,
    path_field,
    provider_field,
    repo_field,
    repo_lock,
    repo_name_field,
    target_branch_field,
)
from portal_actions_plugin.actions.scm_operations import of_file, of_files, of_pull
from portal_actions_plugin.errors import ConflictError, NotFoundError, ValidationError
from portal_actions_plugin.scm.base import VISIBILITIES, FileChange, Operation, RepoRef
from portal_actions_plugin.scm.names import check_branch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.base import Repository
    from portal_actions_plugin.scm.provider import ScmProvider

_MAX_TITLE = 250
_MAX_DESCRIPTION = 350


class CreateRepo(AsRequester):
    provider = provider_field()
    owner = owner_field("The user, organisation or group that it will belong to. It must exist.")
    repo = repo_name_field()
    visibility = fields.String(
        load_default="private", validate=validate.OneOf(VISIBILITIES), metadata={"description": "Who may see it."}
    )
    description = optional_text("One line about it.", validate=validate.Length(max=_MAX_DESCRIPTION))
    init_with_readme = fields.Boolean(
        data_key="initWithReadme",
        load_default=False,
        metadata={"description": "Start with a README.md. Otherwise it is empty until something is pushed."},
    )
    if_exists = fields.String(
        data_key="ifExists",
        load_default="fail",
        validate=validate.OneOf(["fail", "use"]),
        metadata={
            "description": "What to do about a repository of that name that somebody else has made. use takes it as it "
            "is, if the portal's authorizer lets the requester: permission repo:write, target owner/name."
        },
    )


class CreateRepoOutput(Schema):
    repo_url = fields.String(data_key="repoUrl", metadata={"description": "Its page."})
    clone_url = fields.String(data_key="cloneUrl", metadata={"description": "Where git clones it from."})
    default_branch = fields.String(data_key="defaultBranch", metadata={"description": "Its default branch."})
    repo = fields.Nested(RepoReference, metadata={"description": "The reference that later steps take as repo."})


@action(
    "scm.createRepo@v1",
    title="Create a repository",
    input=CreateRepo,
    output=CreateRepoOutput,
    idempotent=True,
    timeout=60,
    lock=name_lock,
    operations=(Operation.CREATE_REPO,),
)
def create_repo(
    ctx: ActionContext,
    *,
    provider: str,
    owner: str,
    repo: str,
    visibility: str,
    description: str | None,
    init_with_readme: bool,
    if_exists: str,
) -> dict[str, Any]:
    """Create a repository. One that exists is a conflict, unless this run or one that it retries has made it."""
    try:
        made = create_claimed(
            ctx,
            RepoRef(provider, owner, repo, ""),
            visibility=visibility,
            description=description or "",
            init_with_readme=init_with_readme,
        )
    except ConflictError as conflict:
        if if_exists != "use":
            raise
        made = _existing(ctx, ctx.scm(provider), owner, repo, conflict)
        ctx.log(f"{made.ref.full_name} is there already, and is used as it is")
    return _repository(ctx, made)


def _existing(ctx: ActionContext, scm: ScmProvider, owner: str, repo: str, conflict: ConflictError) -> Repository:
    """The repository that is in the way, for a requester who may write to it; raises ConflictError for any other."""
    found = scm.get_repo(owner, repo)
    name = found.ref.full_name  # a forge leads from an old name to the new one: that is what is asked for
    if not ctx.may("repo:write", name):
        raise ConflictError(
            f"{conflict.message} It is not used either: {ctx.run.requester_name or ctx.run.requested_by} lacks the "
            f"permission repo:write for {name}.",
            hint="Choose another name, or ask your platform team: the portal's authorizer decides, and where there is "
            "none, nobody may.",
        ) from conflict
    return found


def _repository(ctx: ActionContext, found: Repository) -> dict[str, Any]:
    ctx.link("Repository", found.web_url)
    return {
        "repoUrl": found.web_url,
        "cloneUrl": found.clone_url,
        "defaultBranch": found.ref.default_branch,
        "repo": found.ref.as_output(),
    }


class CreateOrUpdateFile(AsRequester, Content):
    repo = repo_field()
    path = path_field()
    message = message_field("Update and the path")
    branch = target_branch_field()
    expected_sha = optional_text(
        "Write only if the file is as you know it: its blob SHA, or the commit that you saw it in.",
        data_key="expectedSha",
        validate=validate.Length(max=64),
    )


class CreateOrUpdateFileOutput(Schema):
    commit_sha = commit_sha_field()
    file_url = fields.String(data_key="fileUrl", metadata={"description": "The file's page."})
    changed = fields.Boolean(metadata={"description": "False when the file had this content already."})


@action(
    "scm.createOrUpdateFile@v1",
    title="Create or update a file",
    input=CreateOrUpdateFile,
    output=CreateOrUpdateFileOutput,
    idempotent=True,
    timeout=60,
    lock=repo_lock,
    operations=of_file,
)
def create_or_update_file(
    ctx: ActionContext,
    *,
    repo: RepoRef,
    path: str,
    content: str | None,
    content_base64: bytes | None,
    message: str | None,
    branch: str | None,
    expected_sha: str | None,
) -> dict[str, Any]:
    """Write one file to a branch. The same content makes no commit."""
    opened = open_repo(ctx, repo)
    change = FileChange(path, content_bytes(content, content_base64), expected_sha=expected_sha or None)
    result = opened.commit_to(branch, [change], message or f"Update {path}")
    url = opened.scm.file_url(opened.ref, branch or opened.ref.default_branch, path)
    ctx.link(path, url)
    return {"commitSha": result.sha, "fileUrl": url, "changed": bool(result.changed)}


class PushSkeleton(AsRequester):
    repo = repo_field()
    branch = target_branch_field()
    message = message_field("Add the skeleton")
    files = files_field("The files to write, as they are.")
    skeleton = optional_text("Instead of files: a folder of the template, whose names and texts are rendered.")
    values = fields.Dict(
        keys=fields.String(),
        load_default=None,
        allow_none=True,
        metadata={"description": "What the skeleton's expressions see as values."},
    )

    @validates_schema
    def check_one_source(self, data: dict[str, Any], **_options: object) -> None:
        if bool(data.get("files")) == bool(data.get("skeleton")):
            raise SchemaError("Give either files or skeleton.", "files")


class PushSkeletonOutput(Schema):
    commit_sha = commit_sha_field()
    changed_files = fields.List(
        fields.String(), data_key="changedFiles", metadata={"description": "The paths that the commit changed."}
    )


@action(
    "scm.pushSkeleton@v1",
    title="Push a skeleton",
    input=PushSkeleton,
    output=PushSkeletonOutput,
    idempotent=True,
    timeout=180,
    lock=repo_lock,
    operations=of_files,
)
def push_skeleton(
    ctx: ActionContext,
    *,
    repo: RepoRef,
    branch: str | None,
    message: str | None,
    files: Sequence[FileChange] | None,
    skeleton: str | None,
    values: Mapping[str, JsonValue] | None,
) -> dict[str, Any]:
    """Write many files to a branch with one commit. The same content makes none."""
    opened = open_repo(ctx, repo)
    if skeleton:
        files = rendered_skeleton(ctx, skeleton, values or {})
    result = opened.commit_to(branch, files or (), message or "Add the skeleton")
    return {"commitSha": result.sha, "changedFiles": list(result.changed)}


class OpenPrOrMr(AsRequester):
    repo = repo_field()
    base_branch = branch_field("The branch to merge into. Default: the default branch.", data_key="baseBranch")
    head_branch = fields.String(
        required=True,
        data_key="headBranch",
        validate=follows(check_branch, "headBranch"),
        metadata={"description": "The branch that is proposed. With files, a missing one is made from the base."},
    )
    title = fields.String(
        required=True, validate=validate.Length(min=1, max=_MAX_TITLE), metadata={"description": "Its title."}
    )
    body = optional_text("Its description.", validate=validate.Length(max=60_000))
    files = files_field("Files to commit to the head branch first.")


class OpenPrOrMrOutput(Schema):
    pr_url = fields.String(data_key="prUrl", metadata={"description": "Its page."})
    number = fields.Integer(metadata={"description": "Its number in the repository."})
    branch = fields.String(metadata={"description": "The head branch."})
    head_sha = fields.String(
        data_key="headSha",
        allow_none=True,
        metadata={"description": "The commit that it proposes: what scm.mergePr@v1 takes as expectedHead."},
    )


@action(
    "scm.openPrOrMr@v1",
    title="Open a pull request",
    input=OpenPrOrMr,
    output=OpenPrOrMrOutput,
    idempotent=True,
    timeout=120,
    lock=repo_lock,
    operations=of_pull,
)
def open_pr_or_mr(
    ctx: ActionContext,
    *,
    repo: RepoRef,
    base_branch: str | None,
    head_branch: str,
    title: str,
    body: str | None,
    files: Sequence[FileChange] | None,
) -> dict[str, Any]:
    """Open a pull request or merge request. The open one of the same branches is returned as it is."""
    opened = open_repo(ctx, repo, Operation.OPEN_PULL)
    scm, ref = opened.scm, opened.ref
    base = base_branch or ref.default_branch
    if head_branch == base:
        message = f"{base} cannot be merged into itself: name another headBranch."
        raise ValidationError(message, fields={"headBranch": [message]})
    if scm.branch_head(ref, base) is None:
        raise NotFoundError(
            f"{ref.full_name} has no branch {base} to merge into.",
            hint="Push a first commit there, or name another one.",
        )
    if files:
        with branch_named("headBranch"):
            result = opened.commit(head_branch, files, title, base)
        if not result.changed and scm.branch_head(ref, head_branch) is None:
            message = f"There is nothing to propose: {base} of {ref.full_name} has these files already."
            raise ValidationError(message, hint="Nothing needs to be done.", fields={"files": [message]})
    pull = scm.open_pull(ref, head=head_branch, base=base, title=title, body=body or "")
    done = "opened" if pull.fresh else f"found the {pull.state}"
    name = opened.pull_name(pull.number)
    ctx.log(f"{done} {name} of {ref.full_name}: {head_branch} into {base}")
    ctx.link(f"{name[0].upper()}{name[1:]}", pull.url)
    head_sha = pull.head_sha or scm.branch_head(ref, head_branch)
    return {"prUrl": pull.url, "number": pull.number, "branch": head_branch, "headSha": head_sha}
