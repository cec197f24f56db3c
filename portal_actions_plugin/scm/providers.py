"""Which kinds of forges (SCM providers) are installed, and how one is opened. Each is an entry point."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ConfigurationError, ValidationError
from portal_actions_plugin.scm.base import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from portal_actions_plugin.scm.opening import Opening
    from portal_actions_plugin.scm.provider import ScmProvider
    from portal_actions_plugin.settings.installations import Installation

GROUP = "portal_actions.scm_providers"
"""Entry points: the name is the kind, the object is called with an ``Opening`` and returns an ``ScmProvider``."""

OPERATIONS_GROUP = "portal_actions.scm_operations"
"""Entry points: the name is a kind, the object is its providers' ``operations``, in a module that imports little.

A package may leave it out. With it, what that kind cannot do is refused before its provider's code is imported.
"""


class ProviderKinds:
    """The kinds of forges that packages bring, by name. Their code is imported when the first one is opened."""

    def __init__(self, points: Mapping[str, EntryPoint], operations: Mapping[str, EntryPoint] | None = None) -> None:
        self._points = points
        self._operations = operations or {}

    @classmethod
    def from_entry_points(cls) -> ProviderKinds:
        """Find all of them without importing any.

        Raises:
            ConfigurationError: two packages bring one of the same name.
        """
        found: dict[str, EntryPoint] = {}
        for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
            before = found.setdefault(point.name, point)
            if before.value != point.value:
                raise ConfigurationError(
                    f"The kind of SCM provider {point.name} is there twice: {_who(before)} brings it, and so does "
                    f"{_who(point)}. Remove one of them."
                )
        return cls(found, {point.name: point for point in entry_points(group=OPERATIONS_GROUP)})

    def require(self, installations: Mapping[str, Installation]) -> None:
        """Refuse an installation of a kind that nobody brings.

        Raises:
            ConfigurationError: names the setting, the kind, and those that there are.
        """
        for installation in installations.values():
            if installation.kind not in self._points:
                raise ConfigurationError(
                    f"PORTAL_ACTIONS_SCM[{installation.name!r}] is of the kind {installation.kind!r}, which no package "
                    f"brings. There are: {', '.join(sorted(self._points))}.",
                    hint="Install the package that brings it, for web and workers alike, or correct the kind.",
                )

    def operations(self, kind: str) -> frozenset[Operation] | None:
        """What providers of a kind can do, without importing their code; None where their package does not say.

        Raises:
            ConfigurationError: what its package says cannot be read.
        """
        if kind not in self._operations:
            return None
        point = self._operations[kind]
        try:
            return frozenset(map(Operation, point.load()))
        except Exception as error:
            raise ConfigurationError(
                f"The operations of the SCM provider {_who(point)} cannot be loaded: {error!r}."
            ) from error

    def open(self, opening: Opening) -> ScmProvider:
        """Open an installation.

        Raises:
            ConfigurationError: its settings are wrong, or the provider's code cannot be imported.
        """
        kind = opening.installation.kind
        try:
            opener = self._points[kind].load()
        except KeyError:
            raise ConfigurationError(f"No package brings SCM providers of the kind {kind!r}.") from None
        except Exception as error:
            raise ConfigurationError(
                f"The SCM provider {_who(self._points[kind])} cannot be loaded: {error!r}.",
                hint="Tell your platform team: the package that brings it is broken.",
            ) from error
        provider: ScmProvider = opener(opening)
        return provider


def installation_named(installations: Mapping[str, Installation], name: str) -> Installation:
    """Find an installation by what an input's ``provider`` says.

    Raises:
        ValidationError: there is none of that name; says which there are.
    """
    if name not in installations:
        message = f"There is no SCM provider {name!r}: this portal knows {', '.join(installations)}."
        raise ValidationError(message, fields={"provider": [message]})
    return installations[name]


def _who(point: EntryPoint) -> str:
    package = point.dist.name if point.dist else "an unknown package"
    return f"{package} (entry point {point.name} = {point.value})"
