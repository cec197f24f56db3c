"""What pull requests and merge requests do alike: commit the workspace to a branch of ours, and propose it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from portal_actions_plugin.actions.backstage.inputs.names import about
from portal_actions_plugin.actions.backstage.publishing import branch_before
from portal_actions_plugin.actions.backstage.repo_url import or_warn
from portal_actions_plugin.actions.backstage.source_files import source_files
from portal_actions_plugin.errors import ConflictError, NotFoundError, ValidationError
from portal_actions_plugin.scm.base import FileChange, Operation, PullDetails

if TYPE_CHECKING:
    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.actions.scm_commits import OpenRepo
    from portal_actions_plugin.scm.base import PullRequest


class WhenEmpty(Enum):
    """What becomes of a proposal that changes nothing."""

    NOTHING = auto()
    COMMIT = auto()
    """It is opened with a commit that changes nothing: GitHub opens none without a commit."""
    BRANCH = auto()
    """It is opened as it is, as GitLab does."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is to be proposed.

    Attributes:
        head: the branch that is proposed.
        base: the branch to merge into; None for the default one.
        title: one line.
        body: its description.
        message: of the commit.
        files: to commit to the head branch first.
        updates: whether the head branch may be there already.
        is_draft: whether it is not to be merged yet.
        details: people and labels.
    """

    head: str
    base: str | None
    title: str
    body: str
    message: str
    files: Sequence[FileChange]
    updates: bool
    is_draft: bool
    details: PullDetails


def committed(ctx: ActionContext, source: str | None, target: str | None, commit_action: str) -> list[FileChange]:
    """What a ``commitAction`` makes of the files of the workspace.

    Args:
        ctx: of the run.
        source: the folder of the workspace.
        target: the folder of the repository.
        commit_action: auto, create, update, delete or skip.
    """
    if commit_action == "skip":
        return []
    found = source_files(ctx, source, target)
    if commit_action == "delete":
        return [FileChange(one.path, b"", is_gone=True) for one in found]
    return found


def proposed(opened: OpenRepo, wanted: Proposal, when_empty: WhenEmpty) -> PullRequest | None:
    """Commit and propose.

    Args:
        opened: the repository.
        wanted: what is to be proposed.
        when_empty: what becomes of a proposal that changes nothing.

    Returns:
        The pull request; None where there is nothing to propose, and nothing is to become of that.

    Raises:
        ConflictError: the head branch was there before this run came to it, and is not to be written to.
        ActionError: a branch is missing, or what the forge says.
    """
    scm, ref, ctx = opened.scm, opened.ref, opened.ctx
    base = wanted.base or ref.default_branch
    if wanted.head == base:
        message = f"{base} cannot be merged into itself: name another branch."
        raise ValidationError(message, fields={"branchName": [message]})
    if scm.branch_head(ref, base) is None:
        raise NotFoundError(
            f"{ref.full_name} has no branch {base} to merge into.",
            hint="Push a first commit there, or name another one.",
            fields={"targetBranchName": [f"There is no branch {base}."]},
        )
    was_at = branch_before(opened, wanted.head)
    if was_at and wanted.files and not wanted.updates:
        message = f"{ref.full_name} has a branch {wanted.head} already, at {was_at[:7]}. Nothing was written to it."
        raise ConflictError(message, hint="Name another branch.", fields={"branchName": [message]})
    if wanted.files:
        with about("branchName"):
            opened.commit(wanted.head, wanted.files, wanted.message, base)
    more = {"draft": True} if wanted.is_draft else {}
    if when_empty is WhenEmpty.BRANCH:  # also where the base has moved since an attempt before this one made the branch
        more["allow_empty"] = True
    if scm.branch_head(ref, wanted.head) in (None, scm.branch_head(ref, base)):
        ctx.log(f"there is nothing to propose: {base} of {ref.full_name} has these files already")
        if when_empty is WhenEmpty.NOTHING:
            return None
        _begin(opened, wanted, base, when_empty)
    pull = scm.open_pull(ref, head=wanted.head, base=base, title=wanted.title, body=wanted.body, **more)
    name = opened.pull_name(pull.number)
    ctx.log(
        f"{'opened' if pull.fresh else f'found the {pull.state}'} {name} of {ref.full_name}: {wanted.head} into {base}"
    )
    ctx.link(f"{name[0].upper()}{name[1:]}", pull.url)
    if wanted.details != PullDetails():
        or_warn(ctx, f"people and labels of {name}", lambda: _detail(opened, pull, wanted.details))
    return pull


def _begin(opened: OpenRepo, wanted: Proposal, base: str, when_empty: WhenEmpty) -> None:
    """Make the head branch of a proposal that changes nothing."""
    scm, ref = opened.scm, opened.ref
    if when_empty is WhenEmpty.BRANCH:
        scm.ensure_branch(ref, wanted.head, base)
        return
    scm.put_files(ref, wanted.head, [], wanted.message, base_branch=base, allow_empty=True)
    opened.ctx.log(f"one commit on {wanted.head} of {ref.full_name} that changes nothing")


def _detail(opened: OpenRepo, pull: PullRequest, details: PullDetails) -> None:
    opened.require(Operation.DETAIL_PULL)
    for part in opened.scm.detail_pull(opened.ref, pull.number, details):
        opened.ctx.warn(f"{opened.pull_name(pull.number)} of {opened.ref.full_name}: {part}")
