"""What going back would lose: the columns and tables that the migrations on the way take away, and what is in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from alembic.ddl.impl import DefaultImpl
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Connection, Table, column, func, inspect, select, table

from portal_actions_plugin.storage.migrations import standing, way_down
from portal_actions_plugin.storage.sessions import Database


@dataclass(frozen=True, slots=True)
class Loss:
    """A table that would go, or a column of one that stays, and in how many rows there is something."""

    table: str
    column: str | None
    rows: int

    def __str__(self) -> str:
        if self.column is None:
            return f"{self.table}: {self.rows} {'row' if self.rows == 1 else 'rows'}"
        return f"{self.table}.{self.column}: {self.rows} {'value' if self.rows == 1 else 'values'}"


def losses(database: Database, revision: str) -> list[Loss]:
    """What ``migrations.downgrade`` to a revision would lose, also what is empty; raises MigrationError as that does."""
    steps = way_down(standing(database), revision)
    with database.engine.connect() as connection:
        gone = _Gone()
        for step in steps:
            _note(connection, gone, step.module.downgrade)
        there = set(inspect(connection).get_table_names())
        tables = [Loss(name, None, _rows(connection, name)) for name in gone.tables if name in there]
        columns = [
            Loss(name, of_it, _rows(connection, name, of_it))
            for name, of_it in gone.columns
            if name in there - gone.tables.keys() and _has(connection, name, of_it)
        ]
    return [*tables, *columns]


@dataclass(slots=True)
class _Gone:
    """What has been taken away, in order."""

    tables: dict[str, None] = field(default_factory=dict)
    columns: list[tuple[str, str]] = field(default_factory=list)


class _Notes(DefaultImpl):
    """Does nothing but note what would go."""

    gone: _Gone

    def _exec(self, *_: object, **__: object) -> None:
        return None

    def drop_table(self, table: Table, **_: object) -> None:
        self.gone.tables[table.name] = None

    def rename_table(self, old_table_name: str, new_table_name: str, *_: object, **__: object) -> None:  # noqa: ARG002
        """One that was copied is there again."""
        self.gone.tables.pop(new_table_name, None)

    def drop_column(self, table_name: str, column: Column[Any], *_: object, **__: object) -> None:
        self.gone.columns.append((table_name, column.name))


def _note(connection: Connection, gone: _Gone, downgrade: Callable[[], None]) -> None:
    context = MigrationContext.configure(connection)
    notes = _Notes(context.dialect, connection, False, None, None, context.opts)  # noqa: FBT003 alembic's order
    notes.gone = gone
    context.impl = notes
    with Operations.context(context):
        downgrade()


def _has(connection: Connection, name: str, of_it: str) -> bool:
    return any(found["name"] == of_it for found in inspect(connection).get_columns(name))


def _rows(connection: Connection, name: str, of_it: str | None = None) -> int:
    counted = func.count() if of_it is None else func.count(column(of_it))
    found: int = connection.execute(select(counted).select_from(table(name))).scalar_one()
    return found
