"""YAML as people write it: in the given order, with longer texts as blocks."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from portal_actions_plugin.software_templates.yaml.core import resolvers


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 PyYAML's own
        """Indent lists below their key, too."""
        super().increase_indent(flow, False)  # noqa: FBT003 likewise

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 likewise
        """Write out what stands in several places."""
        return True


_LOOK_ALIKES = resolvers()
"""What YAML 1.2 takes for something else than a text; PyYAML itself knows what 1.1 does."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    is_alike = any(pattern.match(value) for _, pattern in _LOOK_ALIKES.get(value[:1], ()))
    style = "|" if "\n" in value else "'" if is_alike else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def yaml_text(value: Mapping[str, object]) -> str:
    """A document of YAML; any text in it is a text there, whatever it looks like."""
    return yaml.dump(dict(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
