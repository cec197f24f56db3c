"""A page of a list that is narrowed by words or names: where its rows come from, and when to stop.

The newest rows are looked at first: what is common is soon found there. For what is not, the dictionary knows the values
that a word stands in, and their indexes have the rows in the list's order. Of several words the one leads whose first
rows reach back the furthest: it is the rarest. Each row is looked at whether it has all that is wanted, and a page looks
at a bounded number of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portal_actions_plugin.runs.dictionary import terms
from portal_actions_plugin.runs.dictionary.values import TITLE
from portal_actions_plugin.runs.reading.filters import values_of
from portal_actions_plugin.runs.reading.list_statements import ListKind
from portal_actions_plugin.runs.reading.paging import Found, Stretch
from portal_actions_plugin.runs.reading.search.matching import SHOWN, Called, IdRange, Matcher, OneOf, Word
from portal_actions_plugin.runs.reading.search.statements import (
    LED_BY,
    SourceKind,
    any_of_ids,
    bounds,
    bunch,
    bunch_values,
    rows_of,
    whole_rows,
)
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Statement, Transaction
from portal_actions_plugin.storage.statements import Values

LOOKED_AT = 20_000
"""So many rows are looked at for a page. Then it has what was found, and goes on from there by its cursor."""

FIRST_LOOK = 100
"""So many rows of each source show which of them reaches back the furthest."""

LONGEST_LOOK = 8_000

LOOKED_UP = 8
"""So many words are looked up, the longest: any of them narrows what is looked at, and all are looked for in the rows."""

_SPARE = 1.5
"""So many times more rows are looked at than should be needed, by how often one fitted so far."""


Rows = Sequence[Sequence[Any]]
"""Of each row its id, its template run's, what is seen in it, and whether the filters hold."""


@dataclass(frozen=True, slots=True)
class _Source:
    """Where rows come from, in the list's order."""

    kind: SourceKind
    values: Values

    @property
    def leads_anywhere(self) -> bool:
        """Whether it has any row at all."""
        return bool(self.kind.bunches or self.kind.ids)

    def rows(self, db: Transaction, start: str, many: int) -> Rows:
        return db.tuples(rows_of(self.kind), {**self.values, "start": start, "many": many})


class Search:
    """What one page of a list looks for. It may be read in several stretches, which share the bound."""

    def __init__(
        self, table: tables.RunTable, filters: Mapping[str, Any], words: Sequence[str], chosen: Sequence[OneOf | Called]
    ) -> None:
        """Take what narrows the list.

        Args:
            table: whose runs it lists.
            filters: those that hold one value each, by name.
            words: folded; a run has to have all of them.
            chosen: of each a run has to have one value.
        """
        self._table = table
        self._filters = filters
        self._words = [Word.of(word) for word in words]
        self._chosen = chosen
        self._matcher = Matcher([*self._words, *chosen], SHOWN)
        self._asks_titles = any(isinstance(one, Called) and TITLE in one.fields for one in chosen)
        self._left = LOOKED_AT

    def read(self, db: Transaction, stretch: Stretch) -> Found:
        """The first rows of a stretch that have all that is wanted, and where it stopped before the stretch's end."""
        look = _Look(db, stretch, self._matcher, self._left)
        sources = _Sources(self._table, self._filters, stretch)
        walk = sources.walk(titled=bool(self._words) or self._asks_titles)
        reach = look.at_some_of(walk)
        if not look.is_done:
            source = self._leading(look, sources, walk, reach)
            while not look.is_done:
                look.at_more_of(source)
        self._left = look.left
        return look.found(whole_rows(sources.kind))

    def _leading(self, look: _Look, sources: _Sources, walk: _Source, reach: int) -> _Source:
        """The source whose first rows reach back the furthest: all that fits is among its rows."""
        leads, titled = self._leads(look.db, sources)
        best, rows = sources.walk(titled=titled), None
        # Rows of one status can be rarer than those of a word. All rows are never rarer than any.
        furthest = reach if walk.kind.one_status else -1
        for lead in leads:
            if look.left < FIRST_LOOK:
                break
            first = look.first_rows(lead)
            if len(first) < FIRST_LOOK:
                look.see(first, is_last=True)
                return lead
            if (reached := abs(_number(look.at) - _number(first[-1][0]))) > furthest:
                best, rows, furthest = lead, first, reached
        if rows is not None:
            look.see(rows, is_last=False)
        return best

    def _leads(self, db: Transaction, sources: _Sources) -> tuple[list[_Source], bool]:
        """What can lead, fewest values first; and whether a title can be what fits."""
        meanings = {
            word: terms.meaning(db, word.text)
            for word in sorted(self._words, key=lambda word: len(word.text))[-LOOKED_UP:]
        }
        titled = (
            self._asks_titles
            or len(meanings) < len(self._words)
            or any(TITLE in found.fields or not found.is_whole for found in meanings.values())
        )
        # A template run has no action: its steps are looked at for that.
        led_by = [name for name in self._filters if name in LED_BY and name in self._table.c]
        leads = [sources.values({name: [self._filters[name]]}, titled) for name in led_by]
        leads += [sources.values(one.values, titled) for one in self._chosen if one.values]
        for word, found in meanings.items():
            if not found.is_whole:
                continue
            ids = word.ids
            if ids and not ids.is_narrow:
                if sources.has(db, ids):
                    continue
                ids = None
            leads.append(sources.values(found.values, titled, ids))
        return sorted(leads, key=lambda lead: sum(size for _, size in lead.kind.bunches)), titled


class _Sources:
    """The sources of one stretch."""

    def __init__(self, table: tables.RunTable, filters: Mapping[str, Any], stretch: Stretch) -> None:
        self.kind = ListKind(table, tuple(sorted(filters)), stretch.older)
        self._columns = {column.key for column in table.columns}
        self._values = {**values_of(filters), **bounds(filters)}
        self._one_status = "status" in filters

    def walk(self, *, titled: bool) -> _Source:
        """All rows; those of one status where that is wanted."""
        return _Source(SourceKind(self.kind, one_status=self._one_status, titled=titled), self._values)

    def values(self, values: Mapping[str, Sequence[str]], titled: bool, ids: IdRange | None = None) -> _Source:  # noqa: FBT001 part of what a statement is kept by
        """The rows that have one of these values, or begin with these ids."""
        its = {name: several for name, several in values.items() if several and name in self._columns}
        kind = SourceKind(self.kind, one_status=False, titled=titled, led=True, bunches=bunch(its), ids=ids is not None)
        own = {"first_own_id": ids.first, "last_own_id": ids.last} if ids else {}
        return _Source(kind, {**self._values, **bunch_values(its), **own})

    def has(self, db: Transaction, ids: IdRange) -> bool:
        """Whether any run, or any step's template run, begins so."""
        found = db.row(any_of_ids(self.kind.table), {"first_own_id": ids.first, "last_own_id": ids.last})
        return found is not None


class _Look:
    """How far one stretch has been looked through, and what has been found."""

    def __init__(self, db: Transaction, stretch: Stretch, matcher: Matcher, left: int) -> None:
        self.db = db
        self.at = stretch.start
        self.left = left
        self._stretch = stretch
        self._matcher = matcher
        self._ids: list[str] = []
        self._seen = 0
        self._is_over = False

    @property
    def is_done(self) -> bool:
        """Whether there is nothing more to look at, or enough has been found, or looked at."""
        return self._is_over or len(self._ids) > self._stretch.limit or self.left <= 0

    def at_some_of(self, source: _Source) -> int:
        """Look at the first rows of a source; returns over how wide a range of ids they lie."""
        many = min(FIRST_LOOK, self.left)
        rows = source.rows(self.db, self.at, many) if many > 0 else ()
        self.left -= len(rows)
        self.see(rows, is_last=many > 0 and len(rows) < many)
        return abs(_number(rows[0][0]) - _number(rows[-1][0])) if rows else 0

    def first_rows(self, source: _Source) -> Rows:
        """The first rows of a source from here on, not looked at yet: fewer than ``FIRST_LOOK`` are all that it has."""
        if not source.leads_anywhere:
            return ()
        rows = source.rows(self.db, self.at, FIRST_LOOK)
        self.left -= len(rows)
        return rows

    def at_more_of(self, source: _Source) -> None:
        """Look at the next rows of a source: at so many as should be enough."""
        many = min(self._enough(), self.left)
        rows = source.rows(self.db, self.at, many)
        self.left -= len(rows)
        self.see(rows, is_last=len(rows) < many)

    def see(self, rows: Rows, *, is_last: bool) -> None:
        """Note which of these rows fit."""
        self._seen += len(rows)
        self._is_over = is_last
        for row in rows:
            if row[-1] and self._matcher.fits(row[0], row[1], row[2:-1]):
                self._ids.append(row[0])
        if rows:
            self.at = rows[-1][0]

    def found(self, whole: Statement) -> Found:
        """The whole rows of what has been found."""
        ids = self._ids[: self._stretch.limit + 1]
        found = self._stretch.read(self.db, whole, {"found": ids}) if ids else Found([], more=False)
        if found.more or self._is_over:
            return found
        return Found(found.rows, more=True, stopped_at=self.at)

    def _enough(self) -> int:
        missing = self._stretch.limit + 1 - len(self._ids)
        if not self._ids:
            return min(4 * self._seen, LONGEST_LOOK)
        return min(max(FIRST_LOOK, int(_SPARE * missing * self._seen / len(self._ids))), LONGEST_LOOK)


def _number(run_id: str) -> int:
    return int(run_id.replace("-", ""), 16)
