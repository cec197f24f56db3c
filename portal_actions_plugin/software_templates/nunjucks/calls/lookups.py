"""What lies at a key of a value: its own parts and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from portal_actions_plugin.software_templates.nunjucks.expressions import RESERVED
from portal_actions_plugin.software_templates.nunjucks.javascript import (
    UNDEFINED,
    JavaScriptError,
    SafeText,
    index_of,
    is_nothing,
    to_text,
    truthy,
)


def lookup(target: object, key: str) -> object:
    """The part of a value, such as an item of a list or a length; undefined when there is none."""
    if isinstance(target, Mapping):
        return target.get(key, UNDEFINED)
    if isinstance(target, list | str):
        if key == "length":
            return len(target)
        if key == "val" and isinstance(target, SafeText):
            return str(target)
        index = index_of(key)
        if index is not None and index < len(target):
            return target[index]
    return UNDEFINED


def lookup_path(target: object, path: object) -> object:
    """What a path such as ``a.b`` leads to; the value itself without one.

    Raises:
        JavaScriptError: it leads through nothing, or names what cannot be used.
    """
    if not truthy(path):
        return target
    for key in to_text(path).split("."):
        if key in RESERVED:
            raise JavaScriptError(f"{key!r} cannot be used")
        if is_nothing(target):
            raise JavaScriptError(f"there is nothing to look {key!r} up in")
        target = lookup(target, key)
        if target is UNDEFINED:
            return UNDEFINED
    return target
