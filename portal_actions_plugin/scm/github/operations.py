"""What GitHub can do, for those who have to know it without the provider's code."""

from __future__ import annotations

from portal_actions_plugin.scm.base import Operation

OPERATIONS = frozenset(Operation) - {Operation.ENSURE_GROUP}
