"""What the provider ``local`` can do: known without importing it, and git with it."""

from portal_actions_plugin.scm.base import Operation

OPERATIONS = frozenset(Operation) - {Operation.DISPATCH_WORKFLOW, Operation.ENSURE_GROUP}
