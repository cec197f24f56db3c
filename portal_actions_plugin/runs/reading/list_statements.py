"""The statements of the lists of runs: one for each kind of list, since making one takes longer than running it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Select

from portal_actions_plugin.runs.reading import rows
from portal_actions_plugin.runs.reading.filters import LISTS, conditions, values_of
from portal_actions_plugin.runs.reading.paging import Reader, first_of
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Statement
from portal_actions_plugin.storage.statements import CompiledOnce

KEPT = 200
"""So many statements are kept, the last ones that were asked for: few of all combinations of filters are ever in use."""

_EXECUTED = rows.select_action_runs().where(tables.action_runs.c.taken_over_from.is_(None))


@dataclass(frozen=True, slots=True)
class ListKind:
    """What the statement of a list depends on: all but the values.

    Attributes:
        table: whose runs it lists.
        filters: the names of those that are set.
        older: whether it leads to older runs from where it starts.
    """

    table: tables.RunTable
    filters: tuple[str, ...]
    older: bool


def reader_of(table: tables.RunTable, filters: Mapping[str, Any]) -> Reader:
    """How a list without words is read.

    Args:
        table: whose runs it lists.
        filters: by name, as ``set_filters`` gives them.
    """
    names, values = tuple(sorted(filters)), values_of(filters)
    return lambda db, stretch: stretch.read(db, statement_of(ListKind(table, names, stretch.older)), values)


@lru_cache(maxsize=KEPT)
def statement_of(kind: ListKind) -> Statement:
    """What reads a page of such a list, for ``Stretch.read``."""
    return kept(first_of(narrowed(kind), kind.table.c.id, older=kind.older), kind)


def kept(statement: Select[Any], kind: ListKind) -> Statement:
    """A statement about such a list, compiled once where it is always the same."""
    return statement if LISTS.intersection(kind.filters) else CompiledOnce(statement)


def narrowed(kind: ListKind) -> Select[Any]:
    """All runs that such a list has, in no order."""
    whole = _EXECUTED if kind.table is tables.action_runs else rows.select_template_runs()
    return whole.where(*conditions(kind.table, kind.filters))
