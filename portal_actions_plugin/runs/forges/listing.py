"""The forges that a portal can use: what forms offer, and what pages say of one that cannot be used."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from portal_actions_plugin.errors import ConfigurationError, PortalActionsError, RemoteError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.forges.reaching import Question, Reached, all_reached
from portal_actions_plugin.scm.base import Operation
from portal_actions_plugin.settings.forge_settings import URLS
from portal_actions_plugin.settings.installations import token_variable

if TYPE_CHECKING:
    from portal_actions_plugin.settings.installations import Installation

PAGE_SECONDS = 3.0
"""How long a page waits for all forges together."""

MAX_OWNERS = 200


@dataclass(frozen=True, slots=True)
class Forge:
    """An installation as people see it.

    Attributes:
        name: what an input's ``provider`` calls it.
        kind: such as ``github``.
        url: where people find it; None where there is no such place.
        version: the forge's own name and version; empty while it is not known.
        operations: what can be done there now.
        missing: what the portal's credential lacks for an operation that the forge could do.
        actions: the ids of the actions that ask for no more than that.
        owners: where repositories may be created, as far as that is known; at most ``MAX_OWNERS``.
        problem: why nothing can be done there, or nobody knows; None when all is well.
    """

    name: str
    kind: str
    url: str | None
    version: str
    operations: frozenset[Operation]
    missing: Mapping[Operation, str]
    actions: tuple[str, ...]
    owners: tuple[str, ...]
    problem: PortalActionsError | None


def candidates() -> list[Installation]:
    """The installations that a portal may have set up, in the order of the setting.

    One that the setting does not name is one of them when a token for it is in the environment: nobody imports the
    provider of another to find out.
    """
    return [
        one
        for one in extension().config.scm.values()
        if one.is_named or one.kind == "local" or os.environ.get(token_variable(one.kind))
    ]


def forges() -> list[Forge]:
    """All forges that are set up, by the order of the setting; takes ``PAGE_SECONDS`` at most."""
    asked = [Question(installation, None) for installation in candidates()]
    found = all_reached(asked, seconds=PAGE_SECONDS)
    pairs = [(question.installation, reached) for question, reached in zip(asked, found, strict=True)]
    return [_shown(installation, reached) for installation, reached in pairs if is_set_up(installation, reached)]


def is_set_up(installation: Installation, reached: Reached | None) -> bool:
    """Whether the portal means to use it: the settings name it, or there is a credential for it."""
    return installation.is_named or not (reached and isinstance(reached.error, ConfigurationError))


def is_by_owner(installation: Installation) -> bool:
    """Whether it has credentials for single owners, and none of its own: the hook's, or the settings'."""
    settings = installation.settings
    has_own = settings.get("token") is not None or settings.get("app_id") is not None
    return not has_own and bool(extension().hooks.scm_credentials or settings.get("owners"))


def _shown(installation: Installation, reached: Reached | None) -> Forge:
    problem = _problem(installation, reached)
    can = (reached.operations if reached else None) or extension().provider_kinds.operations(installation.kind)
    missing = dict(reached.reach.missing) if reached and reached.reach else {}
    known = frozenset() if problem or can is None else can
    operations = known - missing.keys()
    return Forge(
        name=installation.name,
        kind=installation.kind,
        url=url_of(installation),
        version=reached.reach.forge if reached and reached.reach else "",
        operations=operations,
        missing={operation: missing[operation] for operation in sorted(known & missing.keys())},
        actions=tuple(_actions_within(installation.kind, operations)),
        owners=tuple(_owners(installation, reached)),
        problem=problem,
    )


def _problem(installation: Installation, reached: Reached | None) -> PortalActionsError | None:
    """What to say to anybody who may see the forges: where a credential lies on the server is nothing for them."""
    if reached is None:
        return RemoteError(f"{installation.name} has not answered in time.")
    if isinstance(reached.error, ConfigurationError):
        if is_by_owner(installation):
            return None
        return ConfigurationError(
            f"This portal has no credential for {installation.name} that can be used.",
            hint="Your platform team finds out why with `flask actions doctor`.",
        )
    return reached.error


def _actions_within(kind: str, operations: frozenset[Operation]) -> Iterator[str]:
    for action in extension().registry:
        if action.operations and (not action.forges or kind in action.forges):
            asked = action.operations_for({})
            if asked and asked <= operations:
                yield action.id


def _owners(installation: Installation, reached: Reached | None) -> Iterable[str]:
    given = installation.settings.get("owners")
    named = [str(owner) for owner in given] if isinstance(given, Mapping) else []
    found = reached.reach.owners if reached and reached.reach else ()
    by_name = {owner.casefold(): owner for owner in (*named, *found)}
    return [by_name[name] for name in sorted(by_name)][:MAX_OWNERS]


def url_of(installation: Installation) -> str | None:
    """Where people find a forge, without a credential that may stand in the setting."""
    settings = installation.settings
    given = settings.get("url") or settings.get("api_url") or URLS.get(installation.kind)
    if installation.kind == "local":
        given = extension().config.local_scm_url
    if not isinstance(given, str):
        return None
    parts = urlsplit(given)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl().rstrip("/") or None
