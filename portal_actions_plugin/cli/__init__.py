"""``flask actions …``."""

from __future__ import annotations

from typing import Any

import click
from flask.cli import AppGroup
from sqlalchemy.exc import DBAPIError

from portal_actions_plugin.cli import audit, runs, tables, upkeep


class _Commands(AppGroup):
    """The group of our commands: a database that is away is a sentence, not a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DBAPIError as error:
            reason = str(error.orig).strip().partition("\n")[0]
            raise click.ClickException(f"The database failed: {reason}\n  → flask actions doctor") from None


actions = _Commands("actions", help="Run, watch and repair self-service actions.")
for _command in (*upkeep.COMMANDS, *runs.COMMANDS):
    actions.add_command(_command)

_db = AppGroup("db", help="The plugin's own tables.")
for _command in tables.COMMANDS:
    _db.add_command(_command)
actions.add_command(_db)

_audit = AppGroup("audit", help="Who did what.")
_audit.add_command(audit.export)
actions.add_command(_audit)
