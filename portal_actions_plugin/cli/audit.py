"""``flask actions audit …``."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
from flask.cli import with_appcontext

from portal_actions_plugin.cli.ages import first_moment, last_moment
from portal_actions_plugin.cli.asker import identity_of, identity_option, role_option, says_errors
from portal_actions_plugin.runs.guards import access
from portal_actions_plugin.runs.reading import audit_trail
from portal_actions_plugin.runs.reading.audit_trail import EVENTS, OUTCOMES, AuditFilter

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import AuditEntry

_FIELDS = (
    "id",
    "at",
    "last_at",
    "actor",
    "event",
    "outcome",
    "target",
    "run_id",
    "template_run_id",
    "details",
    "count",
)


@click.command("export")
@click.option(
    "--since", type=first_moment, required=True, metavar="AGE|TIME", help="From then on: 90d, 12h or 2025-11-22."
)
@click.option("--until", type=last_moment, metavar="AGE|TIME", help="Up to then; a day is taken whole.")
@click.option("--actor", help="Only what this id did.")
@click.option("--event", type=click.Choice(EVENTS), metavar="EVENT", help="Only this event: template_run.start, say.")
@click.option("--outcome", type=click.Choice(OUTCOMES), help="Only with this outcome.")
@click.option("--target", help="Only this template, action or run.")
@click.option("--run", "run_id", metavar="RUN_ID", help="Only this run; of a template run, with its steps.")
@identity_option
@role_option
@with_appcontext
@says_errors
def export(
    since: int | datetime, until: int | datetime | None, requester: str, roles: tuple[str, ...], **words: str | None
) -> None:
    """Print audit rows as JSON lines, oldest first. Ages are by the database's clock, times in UTC."""
    access.require_audit(identity_of(requester, roles))
    wanted = AuditFilter(**words, since=_moment(since), until=None if until is None else _moment(until))
    for entry in audit_trail.export(wanted):
        sys.stdout.write(json.dumps(_as_the_api_says(entry)) + "\n")
    # Not left to the interpreter's end: only until then does click end quietly when the reader has gone.
    sys.stdout.flush()


def _moment(given: int | datetime) -> datetime:
    return given if isinstance(given, datetime) else audit_trail.moment_ago(given)


def _as_the_api_says(entry: AuditEntry) -> dict[str, Any]:
    values = {name: getattr(entry, name) for name in _FIELDS}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}
