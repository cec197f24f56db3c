"""The rows of runs, attempts and the audit as they are read: a type each, and the one function that gives it.

``tests/storage/test_columns.py`` compares each type with the columns that are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NotRequired, TypedDict, cast

from portal_actions_plugin.run_types import Json
from portal_actions_plugin.storage.sessions import Row


class ActionRunRecord(TypedDict):
    """An action run, but for what only workers need; ``retried_as`` is there only where one run is looked at."""

    id: str
    template_run_id: str | None
    template: str | None
    step_id: str | None
    step_name: str | None
    position: int
    action: str
    status: str
    version: int
    attempt: int
    max_attempts: int
    requested_by: str
    requester_name: str
    entity: str | None
    origin: Mapping[str, str] | None
    retry_of: str | None
    taken_over_from: str | None
    input: Mapping[str, Json] | None
    outputs: Mapping[str, Json] | None
    links: Sequence[Mapping[str, str]] | None
    warnings: Sequence[str] | None
    progress_done: int | None
    progress_total: int | None
    error_code: str | None
    error_message: str | None
    error_hint: str | None
    retry_at: datetime | None
    queued_at: datetime
    not_before: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    lock_key: str | None
    input_fingerprint: str | None
    held_back_at: datetime | None
    worker_lost: bool
    retried_as: NotRequired[str | None]


class ItemRecord(ActionRunRecord):
    """An item of a step: ``number`` is its ``item``."""

    number: int


class TemplateRunRecord(TypedDict):
    """A template run, but for what only workers need; ``retried_as`` is there only where one run is looked at."""

    id: str
    template: str
    title: str
    definition: Mapping[str, Json]
    inputs: Mapping[str, Json]
    status: str
    version: int
    requested_by: str
    requester_name: str
    entity: str | None
    origin: Mapping[str, str] | None
    retry_of: str | None
    resumed_step: str | None
    outputs: Mapping[str, Json] | None
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    failed_at_step: int | None
    retried_as: NotRequired[str | None]


class AttemptRecord(TypedDict):
    """A row of the attempts."""

    action_run_id: str
    number: int
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    error_code: str | None
    error_message: str | None
    worker: str


class AuditRecord(TypedDict):
    """A row of the audit."""

    id: str
    at: datetime
    last_at: datetime
    actor: str
    event: str
    outcome: str
    target: str
    run_id: str | None
    template_run_id: str | None
    details: Mapping[str, Json] | None
    count: int


def action_run_record(row: Row) -> ActionRunRecord:
    """A row of ``rows.select_action_runs`` or ``rows.WRITTEN_COLUMNS``."""
    return cast("ActionRunRecord", row)


def item_record(row: Row) -> ItemRecord:
    """A row of ``rows.select_action_runs`` with its ``item`` as ``number``."""
    return cast("ItemRecord", row)


def template_run_record(row: Row) -> TemplateRunRecord:
    """A row of ``rows.select_template_runs``."""
    return cast("TemplateRunRecord", row)


def attempt_record(row: Row) -> AttemptRecord:
    """A row of the attempts, with all its columns."""
    return cast("AttemptRecord", row)


def audit_record(row: Row) -> AuditRecord:
    """A row of the audit, with all its columns."""
    return cast("AuditRecord", row)
