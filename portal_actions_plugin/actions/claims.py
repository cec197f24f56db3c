"""Claims: how a run knows again what it has made, though the answer was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from portal_actions_plugin.scm.base import Operation
from portal_actions_plugin.scm.optional import require

if TYPE_CHECKING:
    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.base import RepoRef, Repository


def claim_on(ctx: ActionContext, what: str, *identity: JsonValue) -> str:
    """A text that only this run and those that retry it know, kept before anything is made.

    It belongs to what is going to be made: a run that retries this one with another input gets another claim.

    Args:
        ctx: of the run.
        what: is going to be done, such as ``createRepo``.
        identity: the parts of the input that say which one it is; no secret, since a checkpoint's key is readable.
    """
    return ctx.checkpoint(f"{what}.claim", lambda: uuid4().hex, of=identity)


def create_claimed(
    ctx: ActionContext, wanted: RepoRef, *, visibility: str, description: str, init_with_readme: bool
) -> Repository:
    """Create a repository, or find the one that this run, or one that it retries, has created before.

    Args:
        ctx: of the run.
        wanted: where it is to be.
        visibility: one of ``scm.base.VISIBILITIES``.
        description: made one line.
        init_with_readme: whether it starts with a commit of a README.md; otherwise it is empty.

    Raises:
        ConflictError: it exists, and another run or nobody of ours has made it.
        ActionError: what the forge says; see ``ScmProvider.create_repo``.
    """
    scm = ctx.scm(wanted.provider)
    require(scm, Operation.CREATE_REPO, wanted.provider)
    # Kept before the repository is made: whoever finds it later can tell that it is ours.
    claim = claim_on(ctx, "createRepo", wanted.provider, wanted.owner.lower(), wanted.repo.lower())
    made = scm.create_repo(
        wanted.owner,
        wanted.repo,
        visibility=visibility,
        description=" ".join(description.split()),
        init_with_readme=init_with_readme,
        claim=claim,
    )
    if made.fresh:
        ctx.log(f"created {made.ref.full_name} ({visibility})")
    else:
        ctx.log(f"{made.ref.full_name} is there already: an earlier attempt of this run, or a run it retries, made it")
    return made
