"""What a list's filters and words mean: names become the values that they stand for, and the list is read accordingly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from portal_actions_plugin.runs.dictionary import terms, words
from portal_actions_plugin.runs.dictionary.values import COLUMN_OF, TITLE
from portal_actions_plugin.runs.reading.list_statements import reader_of
from portal_actions_plugin.runs.reading.paging import Found, Reader, Stretch
from portal_actions_plugin.runs.reading.search.engine import Search
from portal_actions_plugin.runs.reading.search.matching import Called, OneOf
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction

BY_NAME: Mapping[str, Sequence[str]] = {
    "action": ("action",),
    "template": ("template", TITLE),
    "requested_by": ("requested_by", "requester_name"),
    "entity": ("entity",),
}
"""The filters that take names, and the fields in which people see those."""


ValuesOf = Callable[[Transaction, str, str], Mapping[str, Sequence[str]]]
"""What the name that a filter was given stands for: takes the filter and the name, and gives the values by column."""


class Narrowed:
    """A list of runs by filters and words. What names mean is found out once, when it is first read."""

    def __init__(
        self, table: tables.RunTable, filters: Mapping[str, Any], text: str, values_of: ValuesOf | None = None
    ) -> None:
        """Take what narrows it.

        Args:
            table: whose runs it lists.
            filters: by name, as ``set_filters`` gives them.
            text: what somebody typed to look for; may be blank.
            values_of: what names stand for: ``ids_first`` if it is not given, or ``all_called_so``.
        """
        self._table = table
        self._values_of = values_of or ids_first
        self._filters = filters
        self._words = words.typed(text)
        self._reader: Reader | None = None

    def read(self, db: Transaction, stretch: Stretch) -> Found:
        """The first rows of a stretch."""
        self._reader = self._reader or self._made(db)
        return self._reader(db, stretch)

    def _made(self, db: Transaction) -> Reader:
        filters = dict(self._filters)
        chosen: list[OneOf | Called] = []
        for name in BY_NAME.keys() & filters.keys():
            found = self._values_of(db, name, filters[name])
            match [(column, value) for column, several in found.items() for value in several]:
                case []:
                    pass  # Such a value may be there all the same, noted by nobody yet: its index knows.
                case [(column, value)]:
                    del filters[name]
                    filters[column] = value
                case several if name == "action" and self._table is tables.template_runs:
                    del filters[name]
                    filters["actions"] = [value for _, value in several]
                case several if len(several) >= terms.MOST_VALUES:  # there may be more of them
                    del filters[name]
                    chosen.append(_called(name, self._filters[name], found))
                case _:
                    del filters[name]
                    chosen.append(OneOf(found))
        if self._words or chosen:
            return Search(self._table, filters, self._words, chosen).read
        return reader_of(self._table, filters)


def all_called_so(db: Transaction, name: str, given: str) -> Mapping[str, Sequence[str]]:
    """The values, by column, that people call so, and the given one whether or not any run has it.

    For who may not see all runs: a run of theirs is listed or not whatever other runs there are.
    """
    found = terms.named(db, given, BY_NAME[name])
    return {**found, name: tuple(dict.fromkeys((given, *found.get(name, ()))))}


def ids_first(db: Transaction, name: str, given: str) -> Mapping[str, Sequence[str]]:
    """The values, by column, that people call so.

    An id goes before a name, and before one with other capitals: those are of others. Of several that differ by capitals
    alone, not all may be noted yet.
    """
    found = terms.named(db, given, BY_NAME[name])
    if name not in found:
        return found
    if given in found[name]:
        return {name: (given,)}
    differs_by_capitals = any(words.fold(value) == words.fold(given) for value in found[name])
    return {name: (*found[name], given) if differs_by_capitals else found[name]}


def _called(name: str, given: str, found: Mapping[str, Sequence[str]]) -> Called:
    """The name itself, in those of its fields where it was found."""
    fields = [field for field in BY_NAME[name] if COLUMN_OF.get(field, field) in found]
    return Called(words.name_key(given), fields)
