"""The input ``repoUrl`` of Backstage's actions: which repository of which forge they work on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields, post_load, validate
from marshmallow import ValidationError as SchemaError

from portal_actions_plugin.actions.backstage.inputs.names import about
from portal_actions_plugin.actions.files.fields import HomeInput
from portal_actions_plugin.actions.scm_commits import OpenRepo, open_repo
from portal_actions_plugin.actions.scm_fields import (
    GIT_AUTHOR_EMAIL,
    GIT_AUTHOR_NAME,
    AsRequester,
    follows,
    optional_text,
)
from portal_actions_plugin.errors import ActionError, RateLimitedError, RemoteError, ValidationError
from portal_actions_plugin.scm.base import RepoRef
from portal_actions_plugin.scm.names import check_owner_path, check_repo
from portal_actions_plugin.settings.forge_addresses import RepoUrl

if TYPE_CHECKING:
    from collections.abc import Callable

    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.scm.base import Operation
    from portal_actions_plugin.settings.installations import Installation

REPO_URL = "repoUrl"
GITHUB = ("github", "local")
"""The kinds of forges that actions for GitHub work on: a template runs on the local one of a demo as it is."""
GITLAB = ("gitlab", "local")

_MAX_PEOPLE = 100


class RepoUrlField(fields.String):
    """A repository, written like ``github.com?owner=acme&repo=orders``."""

    def _deserialize(  # type: ignore[override]  # a RepoUrl, of what marshmallow calls a text
        self, value: object, attr: str | None, data: Mapping[str, Any] | None, **kwargs: object
    ) -> RepoUrl:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            found = RepoUrl.read(str(text))
        except ValueError as error:
            raise SchemaError(f"This names no repository: {error}.") from None
        if not found.project:
            follows(check_owner_path, "owner")(found.owner)
            follows(check_repo, "repo")(found.repo)
        return found


def repo_url_field() -> RepoUrlField:
    """The input ``repoUrl``."""
    return RepoUrlField(
        required=True,
        data_key=REPO_URL,
        metadata={
            "title": "Repository",
            "description": "Which repository, written like github.com?owner=acme&repo=orders. The host is that of a forge "
            "of this portal.",
            "example": "github.com?owner=acme&repo=orders",
        },
    )


class AtRepository(HomeInput, AsRequester):
    """The input of an action on a repository that ``repoUrl`` names."""

    repo_url = repo_url_field()
    allowed_hosts = fields.List(
        fields.String(),
        data_key="allowedHosts",
        load_default=None,
        allow_none=True,
        metadata={"description": "Without a meaning here, as at home: it is an option of the form's field."},
    )

    @post_load
    def leave_out_hosts(self, data: dict[str, Any], **_options: object) -> dict[str, Any]:
        """Many templates give it to the step as well; no handler needs it."""
        return {name: value for name, value in data.items() if name != "allowed_hosts"}


class WithAuthor(Schema):
    """Who a commit is by. The forge is opened with it, so no handler needs it."""

    git_author_name = optional_text(
        "Who the commit is by. Default: the requester.",
        data_key=GIT_AUTHOR_NAME,
        validate=validate.Length(max=255),
    )
    git_author_email = optional_text(
        "The address of who the commit is by. Default: the requester's.",
        data_key=GIT_AUTHOR_EMAIL,
        validate=validate.Length(max=255),
    )

    @post_load
    def leave_out_author(self, data: dict[str, Any], **_options: object) -> dict[str, Any]:
        """The forge is opened with it before."""
        return {name: value for name, value in data.items() if not name.startswith("git_author_")}


def repo_url_lock(data: Mapping[str, Any]) -> str | None:
    """The lock of whatever writes to a repository that ``repoUrl`` names; None while that names none.

    Args:
        data: an input, as it is given.

    Returns:
        Such as ``scm:github.com/acme/orders``.
    """
    written = data.get(REPO_URL)
    try:
        found = RepoUrl.read(written) if isinstance(written, str) else None
    except ValueError:
        return None
    return f"scm:{found.host}/{found.owner}/{found.repo or found.project}".lower() if found else None


def forge_at(ctx: ActionContext, place: RepoUrl, kinds: tuple[str, ...]) -> Installation:
    """The portal's forge at the host of a ``repoUrl``.

    Args:
        ctx: of the run.
        place: the input.
        kinds: the kinds of forges that the action is for.

    Raises:
        ValidationError: this portal has no forge at that host, or one of another kind.
    """
    found = ctx.forge_addresses.at_host(place.host)
    if found is None:
        known = ", ".join(ctx.forge_addresses.hosts) or "none"
        message = f"This portal has no forge at {place.host}: it knows {known}."
        raise ValidationError(
            message,
            hint="Correct the host, or ask your platform team to set the forge up in PORTAL_ACTIONS_SCM.",
            fields={REPO_URL: [message]},
        )
    if found.kind not in kinds:
        message = f"{place.host} is a forge of the kind {found.kind}, and {ctx.run.action} is for {kinds[0]}."
        raise ValidationError(
            message, hint=f"Use the action of {found.kind}, or another repository.", fields={REPO_URL: [message]}
        )
    return found


def open_at(ctx: ActionContext, place: RepoUrl, kinds: tuple[str, ...], *operations: Operation) -> OpenRepo:
    """Open the repository that a ``repoUrl`` names.

    Args:
        ctx: of the run.
        place: the input.
        kinds: the kinds of forges that the action is for.
        operations: what is going to be asked of the forge, which has to have them.

    Raises:
        ValidationError: this portal has no forge at that host, or one of another kind.
        ConfigurationError: the forge lacks an operation; names it.
        ActionError: there is no such repository.
    """
    provider = forge_at(ctx, place, kinds).name
    if place.project and not place.repo:
        return open_project(ctx, provider, place.project, *operations)
    with about(REPO_URL):
        return open_repo(ctx, RepoRef(provider, place.owner, place.repo, ""), *operations)


def open_project(
    ctx: ActionContext, provider: str, project: str, *operations: Operation, field: str = REPO_URL
) -> OpenRepo:
    """Open a repository by the forge's own number of it.

    Args:
        ctx: of the run.
        provider: the installation's name.
        project: the number, in digits.
        operations: as for ``open_at``.
        field: of the input that it was given in.

    Raises:
        ValidationError: it is no number.
        ActionError: as for ``open_at``.
    """
    if not (project.isascii() and project.isdigit()):
        message = f"{project[:100]!r} is neither a project's number nor its whole path."
        raise ValidationError(message, fields={field: [message]})
    with about(field):
        found = ctx.scm(provider).find_repo(provider, int(project))
    return open_repo(ctx, found.ref, *operations)


def or_warn(ctx: ActionContext, what: str, do: Callable[[], None]) -> None:
    """Do what a run can do without: where the forge refuses, that is a warning, as at home.

    Args:
        ctx: of the run.
        what: is left out then, such as ``the topics``.
        do: does it.

    Raises:
        RateLimitedError, RemoteError: it may be done later, by the next attempt.
    """
    try:
        do()
    except (RateLimitedError, RemoteError):
        raise
    except ActionError as error:
        help_ = "" if error.hint == type(error).hint else f" {error.hint}"
        ctx.warn(f"Left out: {what}. {error.message}{help_}")


def named_people(names: str, *, data_key: str, description: str) -> Any:
    """A list of people or teams by their names that may be left out or null.

    Args:
        names: what errors call them.
        data_key: the field's name in the input.
        description: for the API's JSON Schema.
    """
    return fields.List(
        fields.String(validate=validate.Length(min=1, max=255)),
        data_key=data_key,
        load_default=list,
        allow_none=True,
        validate=validate.Length(max=_MAX_PEOPLE, error=f"There are more than {_MAX_PEOPLE} {names}."),
        metadata={"description": description},
    )
