"""Steps that are still to run in a template run that is over, as after a restored backup or a change by hand.

No transition leaves one. But where one is, no claim and no recovery can end it: it would be rung for and looked at for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sqlalchemy import and_, or_, select

from portal_actions_plugin import signals
from portal_actions_plugin.run_types import AuditEntry
from portal_actions_plugin.runs import audit
from portal_actions_plugin.runs.changes.cancels import cancel_action_runs
from portal_actions_plugin.runs.conditions import NOW
from portal_actions_plugin.runs.news import tell
from portal_actions_plugin.runs.states import CANCELED, OVER, QUEUED, RUNNING
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction

log = logging.getLogger(__name__)

_IS_OVER = tables.action_runs.c.template_run_id.in_(
    select(tables.template_runs.c.id).where(tables.template_runs.c.status.in_(OVER))
)
_NOBODY_IS_AT_IT = or_(
    tables.action_runs.c.status == QUEUED,
    and_(tables.action_runs.c.status == RUNNING, tables.action_runs.c.lease_expires_at < NOW),
)


def cancel_left_over(tx: Transaction, run_ids: Sequence[str]) -> set[str]:
    """Cancel those of these steps that nobody is at, and whose template run is over.

    Args:
        tx: of who has found them due, or their lease lapsed.
        run_ids: at most as many as a sweep looks at.

    Returns:
        The ids of those that were canceled.
    """
    left = cancel_action_runs(tx, and_(tables.action_runs.c.id.in_(run_ids), _IS_OVER, _NOBODY_IS_AT_IT))
    for run in left:
        log.warning("run %s was left over in a template run that is over: it is canceled", run.id)
        audit.record(tx, AuditEntry("system:sweeper", "action_run.finish", CANCELED, run.action, run.id))
        tell.tell_after_commit(tx, signals.action_run_finished, run.id)
    return {run.id for run in left}
