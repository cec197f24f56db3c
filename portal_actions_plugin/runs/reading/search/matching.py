"""Whether a run has all that is looked for, by what its row shows."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from portal_actions_plugin.runs.dictionary.values import is_called
from portal_actions_plugin.runs.dictionary.words import beginnings

SHOWN = ("template", "title", "step_id", "step_name", "action", "requested_by", "requester_name", "entity")
"""The columns in which people see words, as far as a table has them."""

_DIGITS = frozenset("0123456789abcdef")

LONG_ENOUGH = 8
"""So many digits of an id are a minute's runs: few enough to look for by themselves."""


@dataclass(frozen=True, slots=True)
class IdRange:
    """The ids that begin alike. ``is_narrow`` says that there can be few of them only."""

    first: str
    last: str
    is_narrow: bool

    @classmethod
    def of(cls, word: str) -> IdRange | None:
        """The ids that begin with this word; None where no id can."""
        digits = word.replace("-", "")
        if not 0 < len(digits) <= 32 or not _DIGITS.issuperset(digits):
            return None
        first, last = (str(uuid.UUID(digits.ljust(32, filler))) for filler in "0f")
        return cls(first, last, len(digits) >= LONG_ENOUGH)

    def has(self, run_id: str) -> bool:
        """Whether an id begins so."""
        return self.first <= run_id <= self.last


@dataclass(frozen=True, slots=True)
class Word:
    """A folded word that somebody looks for: a run has it in a value, or begins its id or its template run's with it."""

    text: str
    ids: IdRange | None

    @classmethod
    def of(cls, text: str) -> Word:
        """Make one of a folded word."""
        return cls(text, IdRange.of(text))

    def fits(self, _column: str, value: str) -> bool:
        """Whether a word in this value begins so."""
        return any(beginning.startswith(self.text) for beginning in beginnings(value))


@dataclass(frozen=True, slots=True)
class OneOf:
    """Values, by column, of which a run has to have one: those that are called by the same name."""

    values: Mapping[str, Sequence[str]]
    ids: None = None

    def fits(self, column: str, value: str) -> bool:
        """Whether it is one of them."""
        return value in self.values.get(column, ())


@dataclass(frozen=True, slots=True)
class Called:
    """A whole name that more values go by than can lead to rows: each value is looked at whether it does.

    Attributes:
        key: the name, as ``name_key`` gives it.
        fields: where it is looked for.
    """

    key: str
    fields: Sequence[str]
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ids: None = None

    def fits(self, column: str, value: str) -> bool:
        """Whether it goes by the name."""
        return column in self.fields and is_called(column, value, self.key)


Wanted = Word | OneOf | Called


class Matcher:
    """Tells whether runs have all that is wanted. What it has found out about a value it does not find out again."""

    def __init__(self, wanted: Sequence[Wanted], columns: Sequence[str]) -> None:
        """Take what is wanted, and the columns that rows will have, in their order."""
        self._wanted = wanted
        self._all = (1 << len(wanted)) - 1
        self._columns = columns
        self._known: list[dict[str | None, int]] = [{None: 0} for _ in columns]
        self._ids = [(1 << place, one.ids) for place, one in enumerate(wanted) if one.ids]

    def fits(self, run_id: str, template_run_id: str | None, values: Sequence[str | None]) -> bool:
        """Whether a run with these ids and values has all that is wanted."""
        found = 0
        for place, value in enumerate(values):
            known = self._known[place]
            bits = known.get(value)
            if bits is None:
                assert value is not None  # noqa: S101 None is known from the beginning
                bits = known[value] = self._bits(self._columns[place], value)
            found |= bits
        if found != self._all and self._ids:
            for bit, ids in self._ids:
                if ids.has(run_id) or (template_run_id is not None and ids.has(template_run_id)):
                    found |= bit
        return found == self._all

    def _bits(self, column: str, value: str) -> int:
        return sum(1 << place for place, one in enumerate(self._wanted) if one.fits(column, value))
