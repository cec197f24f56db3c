"""What a template means otherwise here than in Backstage's scaffolder: one list, for the docs and for the comparison with it."""

from __future__ import annotations

from typing import Final

from portal_actions_plugin.software_templates.differences.difference import Difference, Kind
from portal_actions_plugin.software_templates.differences.documents import OF_DOCUMENTS
from portal_actions_plugin.software_templates.differences.expressions import OF_EXPRESSIONS
from portal_actions_plugin.software_templates.differences.files import OF_FILES
from portal_actions_plugin.software_templates.differences.forges import OF_FORGES
from portal_actions_plugin.software_templates.differences.strictness import OF_STRICTNESS
from portal_actions_plugin.software_templates.differences.yaml import OF_YAML

__all__ = ["DIFFERENCES", "Difference", "Kind"]

DIFFERENCES: Final[tuple[Difference, ...]] = (
    *OF_DOCUMENTS,
    *OF_FILES,
    *OF_FORGES,
    *OF_EXPRESSIONS,
    *OF_YAML,
    *OF_STRICTNESS,
)
"""Those of both readings first, then those of our own documents only."""
