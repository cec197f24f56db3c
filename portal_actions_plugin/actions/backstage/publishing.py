"""What ``publish:github`` and ``publish:gitlab`` do alike: make a repository, set it up, push the workspace into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from marshmallow import Schema, fields, validate

from portal_actions_plugin.actions.backstage.inputs.names import about, named
from portal_actions_plugin.actions.backstage.repo_url import REPO_URL, forge_at, or_warn
from portal_actions_plugin.actions.claims import create_claimed
from portal_actions_plugin.actions.scm_commits import OpenRepo
from portal_actions_plugin.actions.scm_fields import follows, optional_text
from portal_actions_plugin.errors import ConflictError, ValidationError
from portal_actions_plugin.scm.base import VISIBILITIES, Operation, RepoRef
from portal_actions_plugin.scm.names import check_branch

if TYPE_CHECKING:
    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.base import Collaborator, FileChange, Protection, Repository, Variable
    from portal_actions_plugin.settings.forge_addresses import RepoUrl

FIRST_MESSAGE = "initial commit"
_ACCESS = "access"


@dataclass(frozen=True, slots=True)
class NewRepository:
    """A repository to make.

    Attributes:
        visibility: one of ``VISIBILITIES``.
        description: made one line.
        settings: what it is set to, by the names of the forge's own API.
        demanded: the same by the input that asks for it: where the forge refuses that, it is an error.
        topics: of it.
        admin: who is to be let in as an administrator; that the forge refuses it is an error.
        collaborators: who else is to work in it.
        variables: of its CI, secrets among them.
        variables_of: the inputs that variables and secrets come from.
        init_with_readme: whether the forge makes a first commit.
    """

    visibility: str = "private"
    description: str = ""
    settings: Mapping[str, JsonValue] = field(default_factory=dict)
    demanded: Mapping[str, Mapping[str, JsonValue]] = field(default_factory=dict)
    topics: Sequence[str] = ()
    admin: Collaborator | None = None
    collaborators: Sequence[Collaborator] = ()
    variables: Sequence[Variable] = field(default=(), repr=False)
    variables_of: tuple[str, str] = ("repoVariables", "secrets")
    init_with_readme: bool = False


def visibility_field() -> fields.String:
    """The input ``repoVisibility``."""
    return fields.String(
        data_key="repoVisibility",
        load_default="private",
        validate=validate.OneOf(VISIBILITIES),
        metadata={"description": "Who may see the repository."},
    )


def default_branch_field(default: str) -> fields.String:
    """The input ``defaultBranch``; its default is that at home, whatever the forge's own is."""
    return fields.String(
        data_key="defaultBranch",
        load_default=default,
        validate=follows(check_branch, "defaultBranch"),
        metadata={"description": "The branch that the files are pushed to, which becomes the default one."},
    )


def commit_message_field() -> fields.String:
    """The input ``gitCommitMessage``."""
    return optional_text(
        f"The commit's message. Default: {FIRST_MESSAGE}.",
        data_key="gitCommitMessage",
        validate=validate.Length(max=10_000),
    )


class PublishOutput(Schema):
    remote_url = fields.String(data_key="remoteUrl", metadata={"description": "Where git clones the repository from."})
    repo_contents_url = fields.String(
        data_key="repoContentsUrl", metadata={"description": "The page of its files: what catalog:register takes."}
    )
    commit_hash = fields.String(data_key="commitHash", metadata={"description": "The commit of the files."})


def make_repository(ctx: ActionContext, place: RepoUrl, kinds: tuple[str, ...], new: NewRepository) -> Repository:
    """Make a repository and set it up; one that this run, or one that it retries, has made is set up again.

    Args:
        ctx: of the run.
        place: where.
        kinds: the kinds of forges that the action is for.
        new: what it is to be.

    Raises:
        ConflictError: it exists, and another run or nobody of ours has made it.
        ActionError: what the forge says of the repository itself; of people, topics and settings that is a warning.
    """
    provider = forge_at(ctx, place, kinds).name
    if not place.repo:
        message = "This names a project by its number: a new one has an owner and a name."
        raise ValidationError(message, fields={REPO_URL: [message]})
    with about(REPO_URL):
        made = create_claimed(
            ctx,
            RepoRef(provider, place.owner, place.repo, ""),
            visibility=new.visibility,
            description=new.description,
            init_with_readme=new.init_with_readme,
        )
    ctx.link("Repository", made.web_url)
    opened = OpenRepo(ctx, ctx.scm(provider), made.ref)
    _set_up(opened, new)
    return made


def _set_up(opened: OpenRepo, new: NewRepository) -> None:
    ctx, scm, ref = opened.ctx, opened.scm, opened.ref
    if new.settings:
        or_warn(ctx, f"settings ({', '.join(new.settings)})", lambda: scm.configure_repo(ref, new.settings))
    for name, settings in new.demanded.items():
        with named(name):
            scm.configure_repo(ref, settings)
    if new.admin is not None:
        with named(_ACCESS):
            _let_in(opened, new.admin)
    for one in new.collaborators:
        or_warn(ctx, f"{one.name} with the role {one.role}", lambda one=one: _let_in(opened, one))  # type: ignore[misc]
    if new.topics:
        or_warn(ctx, f"the topics {', '.join(new.topics)}", lambda: _set_topics(opened, new.topics))
    for variable in new.variables:
        opened.require(Operation.SET_SECRET if variable.is_secret else Operation.SET_VARIABLE)
        with named(new.variables_of[variable.is_secret]):
            scm.set_variable(ref, variable)
        ctx.log(f"the {'secret' if variable.is_secret else 'variable'} {variable.name} of {ref.full_name} is set")


def _let_in(opened: OpenRepo, one: Collaborator) -> None:
    opened.scm.add_collaborators(opened.ref, [one])
    opened.ctx.log(f"{'the team ' if one.is_team else ''}{one.name} may work in {opened.ref.full_name}: {one.role}")


def _set_topics(opened: OpenRepo, topics: Sequence[str]) -> None:
    opened.scm.set_topics(opened.ref, topics)
    opened.ctx.log(f"{opened.ref.full_name} has the topics {', '.join(topics)}")


def push_first(opened: OpenRepo, branch: str, files: Sequence[FileChange], message: str) -> str:
    """Push files as the first commit of a branch, in a repository that holds nothing of anybody else there.

    Args:
        opened: the repository.
        branch: where to.
        files: all of them.
        message: the commit's.

    Returns:
        The commit's SHA.

    Raises:
        ConflictError: the branch was there before this run came to it.
        ActionError: what the forge says.
    """
    if was_at := branch_before(opened, branch):
        said = f"{opened.ref.full_name} has a branch {branch} already, at {was_at[:7]}. Nothing was pushed."
        hint = "Push into a new repository, name another branch, or open a pull request with the files."
        raise ConflictError(said, hint=hint, fields={"defaultBranch": [said]})
    with about("defaultBranch"):
        return opened.commit(branch, files, message, branch).sha


def branch_before(opened: OpenRepo, branch: str) -> str:
    """Where a branch was before this run, and those that it retries, came to it; empty where it was missing.

    It is looked up once, before anything is written: whoever comes back finds a branch of ours, and not another one's.
    """
    ref = opened.ref
    return opened.ctx.checkpoint(
        "branchBefore",
        lambda: opened.scm.branch_head(ref, branch) or "",
        of=(ref.provider, ref.full_name.lower(), branch),
    )


def contents_url(ctx: ActionContext, made: Repository, branch: str) -> str:
    """The page of a repository's files, which ``catalog:register`` and ``fetch:plain`` find again."""
    installation = ctx.forge_addresses.installations.get(made.ref.provider)
    dash = "/-" if installation and installation.kind == "gitlab" else ""
    return f"{made.web_url.removesuffix('.git')}{dash}/blob/{quote(branch)}"


def protect(opened: OpenRepo, branch: str, protection: Protection) -> None:
    """Protect a branch; what the forge, its plan or the credential does not allow is a warning, as at home."""
    or_warn(opened.ctx, f"the protection of {branch}", lambda: protect_at_once(opened, branch, protection))


def protect_at_once(opened: OpenRepo, branch: str, protection: Protection) -> None:
    """Protect a branch; what the forge or its plan does not have is a warning, and what it refuses an error."""
    ctx = opened.ctx
    opened.require(Operation.PROTECT_BRANCH)
    done = opened.scm.protect_branch(opened.ref, branch, protection)
    for part in done.cannot:
        ctx.warn(f"{branch} of {opened.ref.full_name}: {part}")
    ctx.log(f"{branch} of {opened.ref.full_name} {'is protected now' if done.changed else 'stays as it is'}")
