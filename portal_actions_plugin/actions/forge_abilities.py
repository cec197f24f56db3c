"""What a kind of forge cannot do at all: known when a template is loaded, where it names the forge as plain text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal_actions_plugin.scm.optional import WORDS

if TYPE_CHECKING:
    from portal_actions_plugin.actions.registry import Registry
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.providers import ProviderKinds
    from portal_actions_plugin.settings.installations import Installation


@dataclass(frozen=True, slots=True)
class ForgeAbilities:
    """The forges of an app, and the actions that ask something of them; called for each step that names a forge."""

    registry: Registry
    kinds: ProviderKinds
    installations: Mapping[str, Installation]

    def __call__(self, action_id: str, provider: str, data: Mapping[str, JsonValue]) -> str | None:
        """What a forge cannot do that an action asks of it.

        Args:
            action_id: one that the registry may not have.
            provider: the name of an installation, which this portal may not have.
            data: what is known of the action's input.

        Returns:
            Such as ``gitea cannot start workflows``; None where nothing is known to be in the way.
        """
        installation = self.installations.get(provider)
        can = self.kinds.operations(installation.kind) if installation else None
        if can is None or action_id not in self.registry:
            return None
        lacking = sorted(self.registry.get(action_id).operations_for(data) - can)
        return f"{provider} cannot {WORDS[lacking[0]]}" if lacking else None
