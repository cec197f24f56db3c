"""``publish:github:pull-request`` and ``publish:gitlab:merge-request``: the workspace, proposed to a repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields, post_load, validate

from portal_actions_plugin.actions.backstage.inputs.names import by_input_names
from portal_actions_plugin.actions.backstage.proposals import Proposal, WhenEmpty, committed, proposed
from portal_actions_plugin.actions.backstage.repo_url import (
    GITHUB,
    GITLAB,
    AtRepository,
    WithAuthor,
    named_people,
    open_at,
    repo_url_lock,
)
from portal_actions_plugin.actions.backstage.source_files import (
    source_files,
    source_path_field,
    target_path_field,
)
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.actions.scm_fields import branch_field, follows, optional_text
from portal_actions_plugin.scm.base import FileChange, Operation, PullDetails
from portal_actions_plugin.scm.names import check_branch, check_path

if TYPE_CHECKING:
    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.settings.forge_addresses import RepoUrl

_MAX_TITLE = 250
_MAX_BODY = 60_000
_MAX_FILES = 10_000
_TIMEOUT = 300


def _branch_name_field(description: str) -> fields.String:
    return fields.String(
        required=True,
        data_key="branchName",
        validate=follows(check_branch, "branchName"),
        metadata={"description": description},
    )


class PullRequestInput(WithAuthor, AtRepository):
    branch_name = _branch_name_field("The branch that is proposed; it is made from the one to merge into.")
    target_branch_name = branch_field(
        "The branch to merge into. Default: the default one.", data_key="targetBranchName"
    )
    title = fields.String(
        required=True, validate=validate.Length(min=1, max=_MAX_TITLE), metadata={"description": "Its title."}
    )
    description = fields.String(
        required=True, validate=validate.Length(max=_MAX_BODY), metadata={"description": "Its description."}
    )
    draft = fields.Boolean(
        load_default=False, allow_none=True, metadata={"description": "Whether it is not to be merged yet."}
    )
    source_path = source_path_field()
    target_path = target_path_field()
    reviewers = named_people(
        "reviewers", data_key="reviewers", description="The logins of those who are to look at it."
    )
    team_reviewers = named_people(
        "teams", data_key="teamReviewers", description="The short names of teams that are to look at it."
    )
    assignees = named_people("assignees", data_key="assignees", description="The logins of those who see to it.")
    commit_message = optional_text(
        "The commit's message. Default: the title.", data_key="commitMessage", validate=validate.Length(max=10_000)
    )
    update = fields.Boolean(
        load_default=False,
        allow_none=True,
        metadata={"description": "Whether a branch that is there already is committed to."},
    )
    create_when_empty = fields.Boolean(
        data_key="createWhenEmpty",
        load_default=True,
        allow_none=True,
        metadata={"description": "Whether one that changes nothing is opened as well, with an empty commit."},
    )
    files_to_delete = fields.List(
        fields.String(validate=follows(check_path, "filesToDelete")),
        data_key="filesToDelete",
        load_default=list,
        allow_none=True,
        validate=validate.Length(max=_MAX_FILES),
        metadata={"description": "Files of the repository that go, by their paths from targetPath."},
    )
    force_fork = fields.Boolean(
        data_key="forceFork",
        load_default=False,
        metadata={"description": "Not done here: the branch is made in the repository. A warning says so."},
    )
    force_empty_git_author = fields.Boolean(
        data_key="forceEmptyGitAuthor",
        load_default=False,
        metadata={"description": "Without a meaning here: what a GitHub App commits is signed by it in any case."},
    )


class PullRequestOutput(Schema):
    target_branch_name = fields.String(
        data_key="targetBranchName", metadata={"description": "The branch to merge into."}
    )
    remote_url = fields.String(data_key="remoteUrl", metadata={"description": "Its page."})
    pull_request_number = fields.Integer(
        data_key="pullRequestNumber", metadata={"description": "Its number in the repository."}
    )


def _of_pull(data: Mapping[str, object]) -> frozenset[Operation]:
    asked = {Operation.OPEN_PULL, Operation.COMMIT}
    if any(data.get(name) for name in ("reviewers", "teamReviewers", "assignees", "assignee", "labels")):
        asked.add(Operation.DETAIL_PULL)
    return frozenset(asked)


@action(
    "publish:github:pull-request",
    title="Open a pull request at GitHub",
    description="Commit the workspace to a new branch of a repository at GitHub, and open a pull request.",
    input=PullRequestInput,
    output=PullRequestOutput,
    idempotent=True,
    timeout=_TIMEOUT,
    lock=repo_url_lock,
    operations=_of_pull,
    workspace="reads",
    forges=GITHUB,
)
@by_input_names(PullRequestInput)
def github_pull_request(
    ctx: ActionContext,
    *,
    repo_url: RepoUrl,
    branch_name: str,
    target_branch_name: str | None,
    title: str,
    description: str,
    draft: bool,
    source_path: str | None,
    target_path: str | None,
    reviewers: Sequence[str] | None,
    team_reviewers: Sequence[str] | None,
    assignees: Sequence[str] | None,
    commit_message: str | None,
    update: bool,
    create_when_empty: bool,
    files_to_delete: Sequence[str] | None,
    force_fork: bool,
    force_empty_git_author: bool,  # noqa: ARG001 what an App commits names no author anyway
) -> dict[str, Any]:
    """Commit the workspace to a branch and propose it. Done twice it is one pull request."""
    if force_fork:
        ctx.warn("forceFork is not done here: the branch is made in the repository itself.")
    below = f"{target_path.strip('/')}/" if target_path and target_path.strip("./") else ""
    gone = [FileChange(f"{below}{path}", b"", is_gone=True) for path in files_to_delete or ()]
    opened = open_at(ctx, repo_url, GITHUB, Operation.OPEN_PULL)
    proposal = Proposal(
        head=branch_name,
        base=target_branch_name,
        title=title,
        body=description,
        message=commit_message or title,
        files=[*_kept(source_files(ctx, source_path, target_path), gone), *gone],
        updates=bool(update),
        is_draft=bool(draft),
        details=PullDetails(
            tuple(dict.fromkeys(reviewers or ())),
            tuple(dict.fromkeys(team_reviewers or ())),
            tuple(dict.fromkeys(assignees or ())),
        ),
    )
    pull = proposed(opened, proposal, WhenEmpty.COMMIT if create_when_empty else WhenEmpty.NOTHING)
    if pull is None:
        return {}
    return {"targetBranchName": pull.base, "remoteUrl": pull.url, "pullRequestNumber": pull.number}


class MergeRequestInput(AtRepository):
    branch_name = _branch_name_field("The branch that is proposed; it is made from the one to merge into.")
    target_branch_name = branch_field(
        "The branch to merge into. Default: the default one.", data_key="targetBranchName"
    )
    title = fields.String(
        required=True, validate=validate.Length(min=1, max=_MAX_TITLE), metadata={"description": "Its title."}
    )
    description = optional_text("Its description.", validate=validate.Length(max=_MAX_BODY))
    source_path = source_path_field()
    target_path = target_path_field()
    commit_action = fields.String(
        data_key="commitAction",
        load_default="auto",
        validate=validate.OneOf(["auto", "create", "update", "delete", "skip"]),
        metadata={
            "description": "What becomes of the files: auto, create and update write what differs, delete takes those of "
            "these names away, skip commits nothing."
        },
    )
    projectid = fields.Raw(load_default=None, metadata={"description": "Without a meaning: repoUrl names the project."})
    remove_source_branch = fields.Boolean(
        data_key="removeSourceBranch",
        load_default=False,
        allow_none=True,
        metadata={"description": "Whether the branch goes when it is merged."},
    )
    assignee = optional_text("The user name of who sees to it.", validate=validate.Length(max=255))
    reviewers = named_people("reviewers", data_key="reviewers", description="The user names of those who look at it.")
    assign_reviewers_from_approval_rules = fields.Boolean(
        data_key="assignReviewersFromApprovalRules",
        load_default=False,
        metadata={"description": "Not done here: a warning says so."},
    )
    labels = fields.Raw(load_default=None, metadata={"description": "Its labels: a list, or a text with commas."})

    @post_load
    def build_labels(self, data: dict[str, Any], **_options: object) -> dict[str, Any]:
        """Take labels as a list, or as one text with commas."""
        given = data["labels"]
        parts = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else []
        data["labels"] = tuple(dict.fromkeys(name for part in parts if (name := str(part).strip())))
        return data


class MergeRequestOutput(Schema):
    target_branch_name = fields.String(
        data_key="targetBranchName", metadata={"description": "The branch to merge into."}
    )
    projectid = fields.String(metadata={"description": "The project's whole path."})
    project_path = fields.String(data_key="projectPath", metadata={"description": "The project's whole path."})
    merge_request_url = fields.String(data_key="mergeRequestUrl", metadata={"description": "Its page."})


@action(
    "publish:gitlab:merge-request",
    title="Open a merge request at GitLab",
    description="Commit the workspace to a new branch of a project at GitLab, and open a merge request.",
    input=MergeRequestInput,
    output=MergeRequestOutput,
    idempotent=True,
    timeout=_TIMEOUT,
    lock=repo_url_lock,
    operations=_of_pull,
    workspace="reads",
    forges=GITLAB,
)
@by_input_names(MergeRequestInput)
def gitlab_merge_request(
    ctx: ActionContext,
    *,
    repo_url: RepoUrl,
    branch_name: str,
    target_branch_name: str | None,
    title: str,
    description: str | None,
    source_path: str | None,
    target_path: str | None,
    commit_action: str,
    projectid: object,  # noqa: ARG001 repoUrl names the project
    remove_source_branch: bool,
    assignee: str | None,
    reviewers: Sequence[str] | None,
    assign_reviewers_from_approval_rules: bool,
    labels: tuple[str, ...],
) -> dict[str, Any]:
    """Commit the workspace to a branch and propose it. Done twice it is one merge request."""
    if assign_reviewers_from_approval_rules:
        ctx.warn("assignReviewersFromApprovalRules is not done here: GitLab asks the approvers by itself.")
    opened = open_at(ctx, repo_url, GITLAB, Operation.OPEN_PULL)
    proposal = Proposal(
        head=branch_name,
        base=target_branch_name,
        title=title,
        body=description or "",
        message=title,
        # As at home, what lies at targetPath in the workspace is taken where no other folder is named.
        files=committed(ctx, source_path or target_path, target_path, commit_action),
        updates=commit_action == "skip",
        is_draft=False,
        details=PullDetails(
            reviewers=tuple(dict.fromkeys(reviewers or ())),
            assignees=(assignee,) if assignee else (),
            labels=labels,
            removes_branch=True if remove_source_branch else None,
        ),
    )
    pull = proposed(opened, proposal, WhenEmpty.BRANCH)
    name = opened.ref.full_name
    found = {"targetBranchName": pull.base, "mergeRequestUrl": pull.url} if pull else {}
    return {**found, "projectid": name, "projectPath": name}


def _kept(files: Sequence[FileChange], gone: Sequence[FileChange]) -> list[FileChange]:
    """The files without those that go: of both, what goes counts."""
    names = {one.path for one in gone}
    return [one for one in files if one.path not in names]
