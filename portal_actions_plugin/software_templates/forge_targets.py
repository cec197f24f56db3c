"""Which part of which forge the steps of a template work on, as far as their inputs say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal_actions_plugin.settings.forge_addresses import RepoUrl
from portal_actions_plugin.software_templates.known_inputs import parameter_of, step_of

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue

    Data = Mapping[str, JsonValue]


REPO_URL = "repoUrl"
ProviderAt = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Target:
    """Which part of which forge a step works on.

    Attributes:
        provider: the installation's name.
        owner: None where it is not known yet.
        fields: the inputs of the start that name the two, as paths of its field errors, the provider's first.
    """

    provider: str
    owner: str | None
    fields: tuple[tuple[str, ...], ...] = ()


def no_hosts(_host: str) -> None:
    """Know no host."""


def target_of_action(data: Data, provider_at: ProviderAt = no_hosts) -> Target | None:
    """Where a one-off works.

    Args:
        data: its input.
        provider_at: the name of the installation at a host that ``repoUrl`` names.
    """
    if REPO_URL in data:
        return _at_repo_url(data[REPO_URL], provider_at, ((REPO_URL,),))
    path = _path_to_place(data)
    return _target(_at(data, path), ((*path, "provider"), (*path, "owner")))


def target_of_step(
    data: Data, written: Data, earlier: Mapping[str, Target], provider_at: ProviderAt = no_hosts
) -> Target | None:
    """Where a step works; one whose repository is another step's output works where that one does.

    Args:
        data: as much of its input as is known.
        written: its unrendered input.
        earlier: where the steps before it work, by their ids.
        provider_at: the name of the installation at a host that ``repoUrl`` names.
    """
    if REPO_URL in written:
        name = parameter_of(written[REPO_URL])
        return _at_repo_url(data.get(REPO_URL), provider_at, ((name,),) if name else ())
    path = _path_to_place(data)
    place = _at(written, path)
    names = (parameter_of(place.get(name)) or parameter_of(written.get("repo")) for name in ("provider", "owner"))
    found = _target(_at(data, path), tuple((name,) for name in names if name))
    return found or earlier.get(step_of(written.get("repo")) or "")


def _target(place: Data, fields: tuple[tuple[str, ...], ...]) -> Target | None:
    provider, owner = place.get("provider"), place.get("owner")
    if not isinstance(provider, str):
        return None
    return Target(provider, owner if isinstance(owner, str) else None, tuple(dict.fromkeys(fields)))


def _at_repo_url(value: object, provider_at: ProviderAt, fields: tuple[tuple[str, ...], ...]) -> Target | None:
    """Where Backstage's ``repoUrl`` leads; a host that nobody knows stands for the forge that is missing."""
    try:
        found = RepoUrl.read(value) if isinstance(value, str) else None
    except ValueError:
        return None  # the action says it, with the field
    if found is None or provider_at is no_hosts:
        return None
    return Target(provider_at(found.host) or found.host, found.owner or None, fields)


def _path_to_place(data: Data) -> tuple[str, ...]:
    """Where an input names provider and owner: itself, its ``repo``, or the ``repo`` in the outputs of createRepo."""
    paths: tuple[tuple[str, ...], ...] = ((), ("repo",), ("repo", "repo"))
    return next((path for path in paths if "provider" in _at(data, path)), ())


def _at(data: Data, path: tuple[str, ...]) -> Data:
    found: JsonValue = dict(data)
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}
