"""Which values people see of a run, in which field, and by which names they call them.

A field is a column of runs, but for titles and names of steps: what has those is found by the template and the step that
have them, whose columns have an index.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from portal_actions_plugin.runs.dictionary.words import beginnings, name_key

MAX_VALUE_CHARS = 255
"""What is longer has no place in the dictionary: only a title, a step's name or a person's name can be."""

TITLE = "title"
STEP_NAME = "step_name"

COLUMN_OF: Mapping[str, str] = {TITLE: "template", STEP_NAME: "step_id"}
"""The column that leads to what is seen in a field, where that is another one."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What people see in a field, and the value of the column that leads to it.

    Attributes:
        field: such as ``entity`` or ``title``.
        value: of the column.
        shown: what is seen; the value itself but for titles and names of steps.
    """

    field: str
    value: str
    shown: str

    @property
    def column(self) -> str:
        """The column that the value is of."""
        return COLUMN_OF.get(self.field, self.field)

    def found_by(self) -> Iterator[str]:
        """What it is found by in the dictionary."""
        yield from beginnings(self.shown)
        for name in _names(self.field, self.shown):
            yield name_key(name)


def seen_in(field: str, value: str | None, shown: str | None = None) -> Iterator[Seen]:
    """What there is to see, if anything."""
    text = value if shown is None else shown
    if value and text and len(value) <= MAX_VALUE_CHARS:
        yield Seen(field, value, text)


def is_called(field: str, shown: str, key: str) -> bool:
    """Whether what is seen in a field goes by a whole name, as ``name_key`` gives it."""
    return any(name_key(name) == key for name in _names(field, shown))


def _names(field: str, shown: str) -> Iterable[str]:
    """The whole names that stand for a value: an entity goes without its kind and namespace as well."""
    yield shown
    if field == "entity":
        without_kind = shown.partition(":")[2]
        if without_kind:
            yield without_kind
        bare = (without_kind or shown).rpartition("/")[2]
        if bare:
            yield bare
    elif field == "requested_by" and ":" in shown:
        yield shown.partition(":")[2]
    elif field == "action" and "@" in shown:
        yield shown.rpartition("@")[0]
