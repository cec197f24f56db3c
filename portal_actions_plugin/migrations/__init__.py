"""The plugin's own alembic history, in its own version table, so that a host's migrations never meet it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from portal_actions_plugin.columns import PREFIX
from portal_actions_plugin.db import Database
from portal_actions_plugin.models import VERSION_TABLE


def include_name(name: str | None, type_: str, _parent_names: Any = None) -> bool:
    """Tell a host's own alembic to leave our tables alone: pass it as ``include_name`` in the host's ``env.py``."""
    return not (type_ == "table" and (name or "").startswith(PREFIX))


def upgrade(database: Database, revision: str = "head") -> None:
    """Bring the tables up to date; of several processes at once, one does it."""
    with database.migrating() as connection:
        command.upgrade(_config(connection), revision)


def downgrade(database: Database, revision: str) -> None:
    """Take the tables back to a revision; ``base`` removes them."""
    with database.migrating() as connection:
        command.downgrade(_config(connection), revision)


@dataclass(frozen=True, slots=True)
class Standing:
    """Which revision the tables are at, which one this version needs, and whether it knows the former."""

    found: str | None
    needed: str | None
    known: bool


def standing(database: Database) -> Standing:
    """Where the tables stand."""
    script = ScriptDirectory.from_config(_config(None))
    with database.engine.connect() as connection:
        found = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    known = {revision.revision for revision in script.walk_revisions()}
    return Standing(found, script.get_current_head(), found in known)


def is_current(database: Database) -> bool:
    """Whether the tables are those that this version needs."""
    tables = standing(database)
    return tables.found == tables.needed


def _config(connection: Connection | None) -> Config:
    config = Config()
    # A literal % would be read as interpolation.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
