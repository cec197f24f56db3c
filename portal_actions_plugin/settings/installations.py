"""The setting ``SCM``: which forges a portal knows, and under which names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from portal_actions_plugin.settings.forge_settings import check_forge
from portal_actions_plugin.settings.values import PREFIX, wrong

BUILT_IN = ("local", "github", "gitlab")
"""Installations that need no setting: one of each kind that the plugin brings."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class Installation:
    """One forge that this portal knows.

    Attributes:
        name: what an input's ``provider`` calls it, such as ``ghe``.
        kind: the name of the entry point that opens it, such as ``github``.
        settings: all else that the portal has set for it, such as ``url``; credentials may be among it.
        is_named: whether the setting names it; those of ``BUILT_IN`` are there without it.
    """

    name: str
    kind: str
    settings: Mapping[str, object] = field(default_factory=dict, repr=False)
    is_named: bool = False


def token_variable(kind: str) -> str:
    """The environment's variable that may hold the token of a built-in kind's own installation."""
    return f"{PREFIX}{kind.upper()}_TOKEN"


def read_installations(value: object) -> Mapping[str, Installation]:
    """Read the setting; the installations of ``BUILT_IN`` are there without it.

    Args:
        value: by name, a mapping each: ``kind`` (default: the name, where that is a built-in kind) and what that kind
            of provider takes.

    Raises:
        ConfigurationError: says which entry is wrong, without showing any credential.
    """
    found = {name: Installation(name, name) for name in BUILT_IN}
    if not isinstance(value, Mapping):
        raise wrong("SCM", type(value).__name__, "a mapping of names to mappings, such as {'ghe': {'kind': 'github'}}")
    for name, given in value.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise wrong("SCM", name, "names of small letters, digits and '-' that begin with a letter")
        if not isinstance(given, Mapping):
            raise wrong(f"SCM[{name!r}]", type(given).__name__, "a mapping, such as {'kind': 'github', 'url': '…'}")
        kind = given.get("kind", name if name in BUILT_IN else None)
        if not isinstance(kind, str) or not kind:
            raise wrong(
                f"SCM[{name!r}]['kind']", kind, f"the kind of forge: {', '.join(BUILT_IN)}, or another package's"
            )
        settings = {key: part for key, part in given.items() if key != "kind"}
        check_forge(f"{PREFIX}SCM[{name!r}]", kind, settings)
        found[name] = Installation(name, kind, settings, is_named=True)
    return found
