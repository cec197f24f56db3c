"""What the dictionary has: written when a process meets a value for the first time, and looked up by words and names.

It is of distinct values and not of runs: nothing is written for a run that brings nothing new.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from threading import Lock
from types import MappingProxyType
from typing import cast

from sqlalchemy import Integer, String, bindparam, select, text

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.dictionary.values import COLUMN_OF, Seen
from portal_actions_plugin.runs.dictionary.words import ABOVE_ALL, NAME, name_key
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction
from portal_actions_plugin.storage.statements import CompiledOnce

KNOWN = 20_000
"""So many values a process remembers to be in the dictionary. One that is forgotten is written again, to no effect."""

MOST_VALUES = 32
"""So many values of a word are led by at most: a word with more is soon found among the newest runs."""

_ROWS_OF_VALUES = 4 * MOST_VALUES
"""A word may stand several times in a value, and a value in several fields."""

_term = tables.search_terms.c
_KEEP = CompiledOnce(
    text(
        f"INSERT INTO {tables.search_terms.name} (word, field, value) VALUES (:word, :field, :value) "  # noqa: S608 a table's name
        "ON CONFLICT DO NOTHING"  # both databases say it so, and SQLAlchemy has an INSERT of its own for each
    )
)
_rows = bindparam("rows", type_=Integer())
_BEGINNING = CompiledOnce(
    select(_term.field, _term.value)
    .where(_term.word >= bindparam("first", type_=String()), _term.word < bindparam("end", type_=String()))
    .limit(_rows)
)
_THERE = select(_term.word, _term.field, _term.value).where(_term.word.in_(bindparam("words", expanding=True)))


@cache
def _named_in(fields: tuple[str, ...]) -> CompiledOnce:
    """What finds the values of a name in these fields: each filter has its own, and there are a few."""
    named = _term.word == bindparam("name", type_=String())
    return CompiledOnce(select(_term.field, _term.value).where(named, _term.field.in_(fields)).limit(_rows))


class _Known:
    """Which values are in the dictionary, as far as this process knows: a bounded number, the last ones met."""

    def __init__(self) -> None:
        self._values: dict[Seen, None] = {}
        self._lock = Lock()

    def unknown(self, seen: Iterable[Seen]) -> list[Seen]:
        return [one for one in dict.fromkeys(seen) if one not in self._values]

    def add(self, seen: Iterable[Seen]) -> None:
        with self._lock:
            self._values.update(dict.fromkeys(seen))
            while len(self._values) > KNOWN:
                del self._values[next(iter(self._values))]


def _known() -> _Known:
    return cast("_Known", extension().kept.setdefault(f"{__name__}.known", _Known()))


def keep(tx: Transaction, seen: Iterable[Seen]) -> None:
    """Put into the dictionary what is new to this process, with the transaction of the run that brings it.

    Nothing is sent to the database for what is known.
    """
    if new := _known().unknown(seen):
        write(tx, new)


def write(tx: Transaction, seen: Sequence[Seen]) -> None:
    """Put values into the dictionary, at least one; those that are there already change nothing."""
    # In one order everywhere: two transactions with the same words wait for one another, and never in a circle.
    terms = sorted({(key, one.field, one.value) for one in seen for key in one.found_by()})
    tx.add(_KEEP, [{"word": word, "field": field, "value": value} for word, field, value in terms])
    tx.tell_after_rings(partial(_known().add, seen))


def missing(db: Transaction, seen: Iterable[Seen]) -> list[Seen]:
    """Those of these values that the dictionary has not, whatever this process knows: by their whole names."""
    asked = {(name_key(one.shown), one.field, one.value): one for one in seen}
    words = sorted({word for word, _, _ in asked})
    there = {tuple(term) for term in db.execute(_THERE, {"words": words})} if words else set()
    return [one for key, one in asked.items() if key not in there]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a word stands for.

    Attributes:
        values: of each column, those in which a word begins so.
        is_whole: whether these are all; False also says that there are many.
        fields: in which of them it was seen.
    """

    values: Mapping[str, tuple[str, ...]]
    is_whole: bool
    fields: Collection[str]


_NOTHING = Meaning(MappingProxyType({}), is_whole=True, fields=())


def meaning(db: Transaction, word: str) -> Meaning:
    """The values in which a word begins with this one, which is folded."""
    if word.startswith(NAME):
        return _NOTHING
    asked = {"first": word, "end": f"{word}{ABOVE_ALL}", "rows": _ROWS_OF_VALUES}
    found = cast("Sequence[tuple[str, str]]", db.tuples(_BEGINNING, asked))
    values = _by_column(found)
    many = len(found) == _ROWS_OF_VALUES or sum(map(len, values.values())) > MOST_VALUES
    return Meaning(values, not many, {field for field, _ in found})


def named(db: Transaction, name: str, fields: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """The values, by column, that have this whole name in one of these fields, at most ``MOST_VALUES`` of them."""
    asked = {"name": name_key(name), "rows": MOST_VALUES}
    return _by_column(cast("Sequence[tuple[str, str]]", db.tuples(_named_in(tuple(fields)), asked)))


def _by_column(found: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    values: dict[str, dict[str, None]] = {}
    for field, value in found:
        values.setdefault(COLUMN_OF.get(field, field), {})[value] = None
    return {column: tuple(distinct) for column, distinct in values.items()}
