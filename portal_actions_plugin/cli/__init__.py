"""``flask actions …``."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import click
from flask.cli import AppGroup, ScriptInfo
from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin.cli import audit, runs, tables, upkeep
from portal_actions_plugin.runs.outage import unusable_tables
from portal_actions_plugin.storage.away import said


class _Commands(AppGroup):
    """The group of our commands: a database that is away is a sentence, not a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SQLAlchemyError as error:
            raise click.ClickException(_in_words(ctx, error)) from None


def _in_words(ctx: click.Context, error: SQLAlchemyError) -> str:
    with suppress(SQLAlchemyError), ctx.ensure_object(ScriptInfo).load_app().app_context():
        if tables := unusable_tables(error):
            return f"The tables cannot be used: {tables.trouble}.\n  → {tables.mend}"
    return f"The database failed: {said(error)}\n  → flask actions doctor"


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
