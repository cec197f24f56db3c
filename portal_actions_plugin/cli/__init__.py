"""``flask actions …``."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import click
from flask.cli import AppGroup, ScriptInfo
from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin.cli import audit, dry_run, runs, tables, template_sources, templates, upkeep, workspaces
from portal_actions_plugin.control_characters import escaped_lines
from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.extension import of_app
from portal_actions_plugin.runs.outage import unusable_tables
from portal_actions_plugin.storage.away import said


class _Commands(AppGroup):
    """The group of our commands: a database that is away, or an app without the plugin, is a sentence, not a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SQLAlchemyError as error:
            raise click.ClickException(_shown(_in_words(ctx, error))) from None
        except ConfigurationError as error:
            raise click.ClickException(_shown(f"{error.message}\n  → {error.hint}")) from None
        except click.ClickException as error:
            # It is final for those who type it; the exit code and the usage are the error's own.
            vars(error)["message"] = _shown(error.message)
            raise


def _shown(message: str) -> str:
    return escaped_lines(message, indent="")


def _in_words(ctx: click.Context, error: SQLAlchemyError) -> str:
    with suppress(SQLAlchemyError), ctx.ensure_object(ScriptInfo).load_app().app_context():
        if tables := unusable_tables(error):
            return f"The tables cannot be used: {tables.trouble}.\n  → {tables.mend}"
    return f"The database failed: {said(error)}\n  → flask actions doctor"


def _of_a_portal(command: click.Command) -> click.Command:
    """Let a command begin only in an app that has loaded the plugin. Its help needs none."""
    work = command.callback

    def require_and_work(*args: Any, **kwargs: Any) -> Any:
        of_app(click.get_current_context().ensure_object(ScriptInfo).load_app())
        return work(*args, **kwargs) if work else None

    command.callback = require_and_work
    return command


actions = _Commands("actions", help="Run, watch and repair self-service actions.")
for _command in (*upkeep.COMMANDS, *runs.COMMANDS, *workspaces.COMMANDS):
    # The doctor says by itself what keeps a portal from starting.
    actions.add_command(_command if _command is upkeep.doctor else _of_a_portal(_command))

_db = AppGroup("db", help="The plugin's own tables.")
for _command in tables.COMMANDS:
    _db.add_command(_of_a_portal(_command))
actions.add_command(_db)

_template = AppGroup("template", help="What templates need, before anybody runs them.")
for _command in templates.COMMANDS:
    _template.add_command(_command)  # they judge by the actions that are installed where there is no portal
for _command in (*template_sources.COMMANDS, *dry_run.COMMANDS):
    _template.add_command(_of_a_portal(_command))
actions.add_command(_template)

_audit = AppGroup("audit", help="Who did what.")
_audit.add_command(_of_a_portal(audit.export))
actions.add_command(_audit)
