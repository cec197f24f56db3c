"""What belongs to a run and goes with it: attempts, log lines, and what its steps share and repeat.

Some are made before anything uses them: a migration that only adds is harmless while workers are at work.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, String, Table, Text, TypedColumns

from portal_actions_plugin.storage.sql import Id, UtcDateTime
from portal_actions_plugin.storage.tables.common import (
    JSON_DATA,
    PREFIX,
    metadata,
    of_action_run,
    of_template_run,
    partial_index,
)
from portal_actions_plugin.storage.tables.conditions import KEPT, NO_SUCCESS


class AttemptColumns(TypedColumns):
    """One try of an action run; ``outcome`` is None while it lasts."""

    action_run_id: Column[str] = Column(Id(), of_action_run(), primary_key=True)
    number: Column[int] = Column(Integer(), primary_key=True, autoincrement=False)
    started_at: Column[datetime] = Column(UtcDateTime())
    finished_at: Column[datetime | None] = Column(UtcDateTime())
    outcome: Column[str | None] = Column(String(16))
    error_code: Column[str | None] = Column(String(32))
    error_message: Column[str | None] = Column(Text())
    worker: Column[str] = Column(String(255))


attempts = Table(
    f"{PREFIX}attempts",
    metadata,
    AttemptColumns,
    partial_index(None, "finished_at", where=NO_SUCCESS),
    sqlite_with_rowid=False,  # SQLite then keeps the rows in their primary key, where it else keeps both
)


class LogLineColumns(TypedColumns):
    """A line of an action run's log."""

    action_run_id: Column[str] = Column(Id(), of_action_run(), primary_key=True)
    seq: Column[int] = Column(Integer(), primary_key=True, autoincrement=False)
    attempt: Column[int] = Column(Integer())
    at: Column[datetime] = Column(UtcDateTime())
    level: Column[str] = Column(String(16))
    message: Column[str] = Column(Text())


log_lines = Table(
    f"{PREFIX}log_lines",
    metadata,
    LogLineColumns,
    sqlite_with_rowid=False,  # SQLite then keeps the rows in their primary key, where it else keeps both
)


class CheckpointColumns(TypedColumns):
    """A finished part of an action run, kept over attempts and readable by the runs that retry it."""

    action_run_id: Column[str] = Column(Id(), of_action_run(), primary_key=True)
    key: Column[str] = Column(String(255), primary_key=True)
    value: Column[Any] = Column(JSON_DATA)
    made_at: Column[datetime] = Column(UtcDateTime())


checkpoints = Table(
    f"{PREFIX}checkpoints",
    metadata,
    CheckpointColumns,
)


class StepListColumns(TypedColumns):
    """The list that a step with ``each`` goes through, worked out once; of an empty one this row is all there is.

    A collection of columns has a method ``items`` already: this column is ``tables.step_lists.c["items"]``.
    """

    template_run_id: Column[str] = Column(Id(), of_template_run(), primary_key=True)
    position: Column[int] = Column(Integer(), primary_key=True, autoincrement=False)
    items: Column[int] = Column(Integer())  # type: ignore[assignment]  # the method of that name is nobody's here
    made_at: Column[datetime] = Column(UtcDateTime())


step_lists = Table(
    f"{PREFIX}step_lists",
    metadata,
    StepListColumns,
)


class StepItemColumns(TypedColumns):
    """One item of such a list. What became of it is its action run's status, if it has one.

    ``value`` is what ``each.value`` gives. Of a run with secrets, ``sealed_value`` has it with the key, encrypted, and ``key``
    and ``value`` are as people may see them. ``runs`` is whether the step's ``if`` held for it.
    """

    template_run_id: Column[str] = Column(Id(), of_template_run(), primary_key=True)
    position: Column[int] = Column(Integer(), primary_key=True, autoincrement=False)
    item: Column[int] = Column(Integer(), primary_key=True, autoincrement=False)
    key: Column[str] = Column(Text())
    value: Column[Any | None] = Column(JSON_DATA)
    sealed_value: Column[bytes | None] = Column(LargeBinary())
    runs: Column[bool] = Column(Boolean())


step_items = Table(
    f"{PREFIX}step_items",
    metadata,
    StepItemColumns,
)


class WorkspaceColumns(TypedColumns):
    """What a template run's folder held after the step at ``position``: the newest generation is what the next step gets.

    ``manifest`` has mode, size, hash and owning run of each path; of a run with secrets it is in ``sealed_manifest``, and
    ``sealed_key`` opens the contents. ``emptied_at`` says that the contents are gone, though the run is still there.
    """

    template_run_id: Column[str] = Column(Id(), of_template_run(), primary_key=True)
    generation: Column[int] = Column(Integer(), primary_key=True, autoincrement=False)
    position: Column[int] = Column(Integer())
    store: Column[str] = Column(String(32))
    manifest: Column[Any | None] = Column(JSON_DATA)
    sealed_manifest: Column[bytes | None] = Column(LargeBinary())
    sealed_key: Column[bytes | None] = Column(LargeBinary())
    files: Column[int] = Column(Integer())
    size: Column[int] = Column(BigInteger())
    made_at: Column[datetime] = Column(UtcDateTime())
    emptied_at: Column[datetime | None] = Column(UtcDateTime())


workspaces = Table(
    f"{PREFIX}workspaces",
    metadata,
    WorkspaceColumns,
    partial_index(f"ix_{PREFIX}workspaces_kept", "template_run_id", where=KEPT),
)


class WorkspaceBlobColumns(TypedColumns):
    """A piece of a file's content, by the hash of the whole; only where contents are kept in PostgreSQL."""

    template_run_id: Column[str] = Column(Id(), of_template_run(), primary_key=True)
    sha256: Column[str] = Column(String(64), primary_key=True)
    piece: Column[int] = Column(Integer(), primary_key=True, autoincrement=False)
    content: Column[bytes] = Column(LargeBinary())


workspace_blobs = Table(
    f"{PREFIX}workspace_blobs",
    metadata,
    WorkspaceBlobColumns,
)
