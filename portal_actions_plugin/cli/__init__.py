"""``flask actions …``."""

from __future__ import annotations

from flask.cli import AppGroup

from portal_actions_plugin.cli import runs, upkeep

actions = AppGroup("actions", help="Run, watch and repair self-service actions.")
for _command in (*upkeep.COMMANDS, *runs.COMMANDS):
    actions.add_command(_command)

_db = AppGroup("db", help="The plugin's own tables.")
_db.add_command(upkeep.upgrade)
actions.add_command(_db)
