"""``publish:github``, ``github:repo:create`` and ``github:repo:push``: new repositories at GitHub, from the workspace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields

from portal_actions_plugin.actions.backstage.inputs.github_repository import RepositoryInput, operations_of_repository
from portal_actions_plugin.actions.backstage.inputs.github_rules import PushProtectionInput, operations_of_push
from portal_actions_plugin.actions.backstage.inputs.names import by_input_names
from portal_actions_plugin.actions.backstage.publishing import (
    FIRST_MESSAGE,
    PublishOutput,
    commit_message_field,
    contents_url,
    default_branch_field,
    make_repository,
    protect,
    push_first,
)
from portal_actions_plugin.actions.backstage.repo_url import GITHUB, AtRepository, WithAuthor, open_at, repo_url_lock
from portal_actions_plugin.actions.backstage.source_files import required_files, source_path_field
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.actions.scm_commits import OpenRepo
from portal_actions_plugin.scm.base import Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portal_actions_plugin.actions.backstage.publishing import NewRepository
    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.scm.base import FileChange, Protection, Repository
    from portal_actions_plugin.settings.forge_addresses import RepoUrl

_TIMEOUT = 300


class PushInput(WithAuthor, PushProtectionInput):
    """Which files are pushed, where to, and how that branch is protected."""

    default_branch = default_branch_field("main")
    git_commit_message = commit_message_field()
    source_path = source_path_field()


class PublishGitHub(RepositoryInput, PushInput):
    pass


class RepoCreate(RepositoryInput):
    auto_init = fields.Boolean(
        data_key="autoInit",
        load_default=False,
        metadata={"description": "Start with a README.md. Otherwise it is empty until something is pushed."},
    )


class RepoPush(PushInput, AtRepository):
    pass


class RepoCreateOutput(Schema):
    remote_url = fields.String(data_key="remoteUrl", metadata={"description": "Where git clones the repository from."})


def _of_publish(data: Mapping[str, object]) -> frozenset[Operation]:
    return frozenset(operations_of_repository(data) | operations_of_push(data))


@action(
    "publish:github",
    title="Publish to GitHub",
    description="Make a repository at GitHub, and push the workspace into it as its first commit.",
    input=PublishGitHub,
    output=PublishOutput,
    idempotent=True,
    timeout=_TIMEOUT,
    lock=repo_url_lock,
    operations=_of_publish,
    workspace="reads",
    forges=GITHUB,
)
@by_input_names(PublishGitHub)
def publish_github(
    ctx: ActionContext,
    *,
    repo_url: RepoUrl,
    new: NewRepository,
    source_path: str | None,
    default_branch: str,
    git_commit_message: str | None,
    protection: Protection,
    protect_default_branch: bool,
    protect_enforce_admins: bool,
) -> dict[str, Any]:
    """Make a repository and push the workspace into it. What is there already by this run is left."""
    files = required_files(ctx, source_path)
    made = make_repository(ctx, repo_url, GITHUB, new)
    return _pushed(
        OpenRepo(ctx, ctx.scm(made.ref.provider), made.ref),
        made,
        default_branch,
        files,
        git_commit_message,
        _rules(protection, protect_default_branch, protect_enforce_admins),
    )


@action(
    "github:repo:create",
    title="Create a repository at GitHub",
    description="Make a repository at GitHub, and leave it empty.",
    input=RepoCreate,
    output=RepoCreateOutput,
    idempotent=True,
    timeout=_TIMEOUT,
    lock=repo_url_lock,
    operations=lambda data: frozenset(operations_of_repository(data)),
    forges=GITHUB,
)
@by_input_names(RepoCreate)
def github_repo_create(ctx: ActionContext, *, repo_url: RepoUrl, new: NewRepository, auto_init: bool) -> dict[str, Any]:
    """Make a repository. One that exists is a conflict, unless this run or one that it retries has made it."""
    made = make_repository(ctx, repo_url, GITHUB, replace(new, init_with_readme=auto_init))
    return {"remoteUrl": made.clone_url}


@action(
    "github:repo:push",
    title="Push to a repository at GitHub",
    description="Push the workspace into an empty repository at GitHub as its first commit.",
    input=RepoPush,
    output=PublishOutput,
    idempotent=True,
    timeout=_TIMEOUT,
    lock=repo_url_lock,
    operations=lambda data: frozenset(operations_of_push(data)),
    workspace="reads",
    forges=GITHUB,
)
@by_input_names(RepoPush)
def github_repo_push(
    ctx: ActionContext,
    *,
    repo_url: RepoUrl,
    source_path: str | None,
    default_branch: str,
    git_commit_message: str | None,
    protection: Protection,
    protect_default_branch: bool,
    protect_enforce_admins: bool,
) -> dict[str, Any]:
    """Push the workspace as the first commit of a branch. A branch that somebody else has made is a conflict."""
    files = required_files(ctx, source_path)
    opened = open_at(ctx, repo_url, GITHUB, Operation.COMMIT)
    found = opened.scm.get_repo(opened.ref.owner, opened.ref.repo)
    rules = _rules(protection, protect_default_branch, protect_enforce_admins)
    return _pushed(opened, found, default_branch, files, git_commit_message, rules)


def _rules(protection: Protection, is_wanted: bool, for_admins: bool) -> Protection | None:  # noqa: FBT001 as the inputs have them
    return replace(protection, for_admins=for_admins) if is_wanted else None


def _pushed(
    opened: OpenRepo,
    found: Repository,
    branch: str,
    files: Sequence[FileChange],
    message: str | None,
    rules: Protection | None,
) -> dict[str, Any]:
    sha = push_first(opened, branch, files, message or FIRST_MESSAGE)
    if rules is not None:
        protect(opened, branch, rules)
    return {
        "remoteUrl": found.clone_url,
        "repoContentsUrl": contents_url(opened.ctx, found, branch),
        "commitHash": sha,
    }
