"""Names that have no value: unknown ones are errors, known ones without a value now count as false."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from jinja2 import StrictUndefined, Undefined

from portal_actions_plugin.software_templates.expressions.values import kind_of

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue


class Sparse(dict[str, "JsonValue"]):
    """A mapping some of whose keys are known but have no value now: they count as false, and are no values.

    Attributes:
        why: the end of the error's sentence about one without a value, after its name.
    """

    def __init__(self, values: Mapping[str, JsonValue], known: Iterable[str] | None, why: str) -> None:
        """Take the keys that have values, all keys that are known, None for any, and why some have no value."""
        super().__init__(values)
        self._known = None if known is None else frozenset(known)
        self.why = why

    def knows(self, key: str) -> bool:
        """Whether an expression may name a key, with a value or without one."""
        return self._known is None or key in self._known

    def part(self, key: str) -> object:
        """What lies at a key; raises KeyError."""
        return self[key]


class SparseTree(Sparse):
    """The same, with what lies in it at every depth: there, any key may have no value."""

    def part(self, key: str) -> object:
        found = self[key]
        return SparseTree(found, None, self.why) if isinstance(found, Mapping) else found


class NoItems(Sparse):
    """What a step has made that went through no item: of each output, whatever it is called, an empty list."""

    def __init__(self) -> None:
        super().__init__({}, None, "")

    def part(self, key: str) -> object:  # noqa: ARG002 all are alike
        return []


class Absent(StrictUndefined):
    """A known name without a value: false in a condition, an error as a value."""

    __slots__ = ()

    @property
    def reason(self) -> str:
        """Why there is no value."""
        return str(self._undefined_hint)

    def __bool__(self) -> bool:  # type: ignore[override]
        return False

    def __eq__(self, other: object) -> bool:  # type: ignore[override]
        return other is None or isinstance(other, Undefined)

    def __ne__(self, other: object) -> bool:  # type: ignore[override]
        return not self == other

    __hash__ = None  # type: ignore[assignment]


def nothing(obj: object, key: object, shown: str) -> Undefined:
    """What a look-up gives that finds nothing: an error as soon as it is used.

    Args:
        obj: what was looked into.
        key: the name or index that it has not.
        shown: what the error calls the key; a computed key may be a secret, which no error repeats.

    Returns:
        ``Absent`` for a key that a ``Sparse`` mapping knows, else Jinja's strict undefined.
    """
    name = key if isinstance(key, str) else None
    if isinstance(obj, Sparse) and name is not None and obj.knows(name):
        return Absent(f"{name!r} {obj.why}", obj, name)
    if isinstance(obj, Mapping):
        keys = sorted(str(key) for key in obj)
        there = f"; there is {', '.join(keys[:10])}{', …' if len(keys) > 10 else ''}" if keys else ""
        return StrictUndefined(f"{shown} is undefined{there}", obj, name)
    return StrictUndefined(f"{shown} cannot be used on {kind_of(obj)}", obj, name)
