"""Which part of which forge the steps of a template work on, as far as their inputs say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal_actions_plugin.software_templates.known_inputs import parameter_of, step_of

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue

    Data = Mapping[str, JsonValue]


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


def target_of_action(data: Data) -> Target | None:
    """Where a one-off works: ``data`` is its input."""
    path = _path_to_place(data)
    return _target(_at(data, path), ((*path, "provider"), (*path, "owner")))


def target_of_step(data: Data, written: Data, earlier: Mapping[str, Target]) -> Target | None:
    """Where a step works; one whose repository is another step's output works where that one does.

    Args:
        data: as much of its input as is known.
        written: its unrendered input.
        earlier: where the steps before it work, by their ids.
    """
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


def _path_to_place(data: Data) -> tuple[str, ...]:
    """Where an input names provider and owner: itself, its ``repo``, or the ``repo`` in the outputs of createRepo."""
    paths: tuple[tuple[str, ...], ...] = ((), ("repo",), ("repo", "repo"))
    return next((path for path in paths if "provider" in _at(data, path)), ())


def _at(data: Data, path: tuple[str, ...]) -> Data:
    found: JsonValue = dict(data)
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}
