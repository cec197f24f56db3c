"""YAML as people write it: in the given order, with longer texts as blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portal_actions_plugin.software_templates.yaml.writing import YamlStyle, write_yaml


def yaml_text(value: Mapping[str, Any]) -> str:
    """A document of YAML; any text in it is a text there, whatever it looks like. Raises ValueError, see ``write_yaml``."""
    return write_yaml(dict(value), YamlStyle(single_quotes=True))
