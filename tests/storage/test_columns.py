"""Each column that the code names is there: for mypy, any name is a column of a table."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Table

from portal_actions_plugin.runs.reading import records, rows
from portal_actions_plugin.storage import tables

ROOT = Path(__file__).parents[2]
FILES = [
    file
    for folder in ("portal_actions_plugin", "benchmarks", "tests")
    for file in (ROOT / folder).rglob("*.py")
    if "versions" not in file.parts and file != Path(__file__)
]
TABLES = {name: table for name in dir(tables) if isinstance(table := getattr(tables, name), Table)}
WRITES = {"insert", "update"}


def parsed(text: str) -> ast.Module:
    return ast.parse(text)


def table_of(node: ast.AST) -> str | None:
    """The name of the table that an expression is, such as ``tables.action_runs``."""
    is_one = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "tables"
    return node.attr if is_one and node.attr in TABLES else None


def shorthands(tree: ast.Module) -> dict[str, str]:
    """Names that stand for a table's columns, such as ``run = tables.action_runs.c``. They mean nothing else in their module."""
    found: dict[str, set[str | None]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            value = node.value
            is_columns = isinstance(value, ast.Attribute) and value.attr == "c"
            source = value.value if is_columns else None
            if isinstance(source, ast.Call) and isinstance(source.func, ast.Attribute) and source.func.attr == "alias":
                source = source.func.value
            found.setdefault(node.targets[0].id, set()).add(table_of(source) if source else None)
    return {name: of for name, several in found.items() if len(several) == 1 and (of := next(iter(several)))}


def columns(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each column that is named as an attribute: its table's name, and its own."""
    short = shorthands(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        if isinstance(node.value, ast.Attribute) and node.value.attr == "c" and (name := table_of(node.value.value)):
            yield name, node.attr
        elif isinstance(node.value, ast.Name) and node.value.id in short:
            yield short[node.value.id], node.attr


def values(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each column that an INSERT or UPDATE of a table gives a value to by a keyword."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "values":
            for name in written(node.func.value):
                yield from ((name, keyword.arg) for keyword in node.keywords if keyword.arg)


def written(statement: ast.AST) -> list[str]:
    """The table that a chain of calls writes to, which begins with ``insert`` or ``update``."""
    while isinstance(statement, ast.Call) and isinstance(statement.func, ast.Attribute):
        statement = statement.func.value
    is_write = isinstance(statement, ast.Call) and isinstance(statement.func, ast.Name) and statement.func.id in WRITES
    return [name for name in map(table_of, statement.args[:1]) if name] if is_write else []


def missing(tree: ast.Module) -> set[tuple[str, str]]:
    return {(table, name) for table, name in (*columns(tree), *values(tree)) if name not in TABLES[table].c}


def test_each_column_that_the_code_names_exists() -> None:
    wrong = {str(file.relative_to(ROOT)): missing(parsed(file.read_text())) for file in FILES}
    assert {file: names for file, names in wrong.items() if names} == {}


def test_so_many_columns_are_named_that_they_are_all_looked_at() -> None:
    trees = [parsed(file.read_text()) for file in FILES if "portal_actions_plugin" in file.parts]
    assert {name for tree in trees for table, name in columns(tree) if table == "action_runs"} >= {"id", "status"}
    assert sum(1 for tree in trees for _ in columns(tree)) > 300
    assert sum(1 for tree in trees for _ in values(tree)) > 30


@pytest.mark.parametrize(
    "line",
    [
        "select(tables.audit.c.nope)",
        "run = tables.audit.c\nselect(run.nope)",
        "other = tables.audit.alias().c\nselect(other.nope)",
        "insert(tables.audit).values(nope=1)",
        "update(tables.audit).where(tables.audit.c.id == 1).values(at=2).values(nope=1).returning(tables.audit.c.id)",
    ],
)
def test_a_column_that_is_not_there_is_found(line: str) -> None:
    assert missing(parsed(line)) == {("audit", "nope")}


@pytest.mark.parametrize(
    ("record", "read"),
    [
        (records.ActionRunRecord, rows.select_action_runs().selected_columns.keys()),
        (records.ActionRunRecord, [column.key for column in rows.WRITTEN_COLUMNS]),
        (records.TemplateRunRecord, rows.select_template_runs().selected_columns.keys()),
        (records.AttemptRecord, tables.attempts.c.keys()),
        (records.AuditRecord, tables.audit.c.keys()),
    ],
)
def test_a_record_has_the_columns_that_are_read(record: type, read: list[str]) -> None:
    assert set(record.__annotations__) - {"retried_as"} == set(read)
