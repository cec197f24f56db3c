"""Ids of runs as people and programs give them."""

from __future__ import annotations

import uuid

from portal_actions_plugin.errors import NotFoundError


def parse_id(run_id: str) -> str:
    """A run id in its one spelling; raises NotFoundError for what is no id at all."""
    try:
        return str(uuid.UUID(run_id))
    except (ValueError, AttributeError, TypeError):
        raise no_run("run", run_id) from None


def no_run(kind: str, run_id: str) -> NotFoundError:
    return NotFoundError(
        f"There is no {kind} {str(run_id)[:80]}.", hint="Check the id; the page Actions lists the runs."
    )
