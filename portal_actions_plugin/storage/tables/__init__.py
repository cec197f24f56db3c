"""The tables: ``tables.action_runs.c.status`` after ``from portal_actions_plugin.storage import tables``.

They never leave ``runs/`` and what is beside it: everybody else gets the frozen types of ``run_types.py``.
"""

from __future__ import annotations

from portal_actions_plugin.storage.tables.common import OLDEST_CODE, PREFIX, VERSION_TABLE, metadata
from portal_actions_plugin.storage.tables.conditions import (
    ACTIVE_FIX,
    ENDED,
    HELD_BACK,
    KEPT,
    NO_SUCCESS,
    QUEUED_ROW,
    REFUSED,
    TO_ANNOUNCE,
    UNUSUAL,
    WAITS_FOR_NOBODY,
    WANTS_LOCK,
)
from portal_actions_plugin.storage.tables.parts_of_runs import (
    attempts,
    checkpoints,
    log_lines,
    step_items,
    step_lists,
    workspace_blobs,
    workspaces,
)
from portal_actions_plugin.storage.tables.portal import (
    AuditColumns,
    audit,
    database_identity,
    forge_pauses,
    idempotency_keys,
    metric_sums,
    metric_watermark,
    search_terms,
    template_files,
    workers,
)
from portal_actions_plugin.storage.tables.runs import (
    SEARCHED,
    ActionRunColumns,
    RunTable,
    TemplateRunColumns,
    action_runs,
    template_runs,
)

__all__ = [
    "ACTIVE_FIX",
    "ENDED",
    "HELD_BACK",
    "KEPT",
    "NO_SUCCESS",
    "OLDEST_CODE",
    "PREFIX",
    "QUEUED_ROW",
    "REFUSED",
    "SEARCHED",
    "TO_ANNOUNCE",
    "UNUSUAL",
    "VERSION_TABLE",
    "WAITS_FOR_NOBODY",
    "WANTS_LOCK",
    "ActionRunColumns",
    "AuditColumns",
    "RunTable",
    "TemplateRunColumns",
    "action_runs",
    "attempts",
    "audit",
    "checkpoints",
    "database_identity",
    "forge_pauses",
    "idempotency_keys",
    "log_lines",
    "metadata",
    "metric_sums",
    "metric_watermark",
    "search_terms",
    "step_items",
    "step_lists",
    "template_files",
    "template_runs",
    "workers",
    "workspace_blobs",
    "workspaces",
]
