"""The plugin's own alembic history, in its own version table, so that a host's migrations never meet it."""

from __future__ import annotations

from portal_actions_plugin.storage.quiet_alembic import quiet  # isort: split

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy import Connection, inspect, select
from sqlalchemy.exc import OperationalError

from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.engines import BUSY_SECONDS, WRITES
from portal_actions_plugin.storage.migrations.one_at_a_time import one_at_a_time
from portal_actions_plugin.storage.migrations.stages import BlockedError, each_alone
from portal_actions_plugin.storage.sessions import Database

_BASE = "base"
_DOES_NOT_KNOW = "which this version ({}) does not know: a newer version has upgraded them"


class MigrationError(Exception):
    """The tables cannot be brought there; says why, and what to do."""


def include_name(name: str | None, type_: str, _parent_names: object = None) -> bool:
    """Tell a host's own alembic to leave our tables alone: pass it as ``include_name`` in the host's ``env.py``."""
    return not (type_ == "table" and (name or "").startswith(tables.PREFIX))


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the tables stand.

    Attributes:
        found: the revision that they are at; None when there are none.
        needed: the one that this version brings them to.
        known: whether this version knows the former.
        lived_with: whether they are of a newer version, but say that code as old as this lives with them.
    """

    found: str | None
    needed: str
    known: bool
    lived_with: bool = False

    @property
    def usable(self) -> bool:
        """Whether this version can work with the tables."""
        return self.found == self.needed or self.lived_with

    @property
    def trouble(self) -> str:
        """Why it cannot, as a part of a sentence about the tables."""
        if self.found is None:
            return "there are none yet"
        if self.known:
            return f"they are at {self.found} and this version ({_version()}) needs {self.needed}"
        return f"they are at {self.found}, {_DOES_NOT_KNOW.format(_version())}"

    @property
    def mend(self) -> str:
        """What to do about it."""
        if self.found is None or self.known:
            return "flask actions db upgrade"
        return f"install that version here too, or go back with it: flask actions db downgrade {self.needed}"


def standing(database: Database) -> Standing:
    """Where the tables stand."""
    with quiet(), database.engine.connect() as connection:
        return _standing(connection, _script())


def is_current(database: Database) -> bool:
    """Whether this version can work with the tables."""
    return standing(database).usable


def upgrade(database: Database, revision: str = "head") -> Standing:
    """Bring the tables up to date while others are at work; of several processes at once, one does it.

    Returns:
        Where the tables were before. Those of a newer version that this one lives with are left as they are.

    Raises:
        MigrationError: when somebody keeps the tables locked, or a newer version has upgraded them.
    """
    with _moving(database) as (connection, script):
        before = _standing(connection, script)
        if before.lived_with:
            return before
        if before.found is not None and not before.known:
            raise MigrationError(f"The tables are not those of this version: {before.trouble}.\n  → {before.mend}")
        if before.found is None:
            # Nobody is at tables that are not there yet: all of them or none.
            _move(connection, command.upgrade, revision, in_stages=False)
            return before
        way = _way(script, revision, before.found)
        for step in reversed(way):
            _take(connection, script, command.upgrade, step, step.revision)
    return before


def downgrade(database: Database, revision: str) -> Standing:
    """Take the tables back to a revision; ``base`` removes them. What only newer tables hold is lost: see ``losses``.

    Returns:
        Where the tables were before.

    Raises:
        MigrationError: when there is no such revision before theirs, or somebody keeps the tables locked.
    """
    with _moving(database) as (connection, script):
        before = _standing(connection, script)
        for step in way_down(before, revision):
            _take(connection, script, command.downgrade, step, str(step.down_revision or _BASE))
    return before


def way_down(tables: Standing, revision: str) -> list[Script]:
    """The migrations to undo, newest first, on the way from where tables stand to a revision; see ``downgrade``."""
    if tables.found is None:
        return []
    if not tables.known:
        raise MigrationError(f"Only the version that has upgraded the tables can go back: {tables.trouble}.")
    return _way(_script(), tables.found, revision)


# -- helpers ---------------------------------------------------------------------------------------------------------


def _version() -> str:
    return version("portal-actions-plugin")


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config(**attributes: object) -> Config:
    config = Config()
    # A literal % would be read as interpolation.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes.update(attributes)
    return config


def _standing(connection: Connection, script: ScriptDirectory) -> Standing:
    found = MigrationContext.configure(connection, opts={"version_table": tables.VERSION_TABLE}).get_current_revision()
    known = {revision.revision for revision in script.walk_revisions()}
    is_newer = found is not None and found not in known
    return Standing(
        found,
        str(script.get_current_head()),
        known=found in known,
        lived_with=is_newer and _oldest_code(connection) in known,
    )


def _oldest_code(connection: Connection) -> str | None:
    """The oldest revision whose code lives with tables of a newer version, as those say."""
    if not inspect(connection).has_table(tables.database_identity.name):
        return None
    return connection.execute(select(tables.database_identity.c.oldest_code)).scalar()


def _way(script: ScriptDirectory, upper: str, lower: str) -> list[Script]:
    """The migrations after one revision up to another, newest first."""
    try:
        return list(script.iterate_revisions(upper, lower))
    except (CommandError, RevisionError):
        names = sorted(revision.revision for revision in script.walk_revisions())
        raise MigrationError(
            f"There is no way from {upper} to {lower}: the revisions are {_BASE}, {', '.join(names)}."
        ) from None


@contextmanager
def _moving(database: Database) -> Iterator[tuple[Connection, ScriptDirectory]]:
    """Open a connection for migrations, while nobody else migrates."""
    script = _script()
    with (
        quiet(),
        one_at_a_time(database.engine),
        database.engine.execution_options(**{WRITES: True}).connect() as connection,
    ):
        yield connection, script


def _take(
    connection: Connection, script: ScriptDirectory, move: Callable[..., None], step: Script, revision: str
) -> None:
    """Go one step, in stages where that can be."""
    is_postgresql = connection.dialect.name == "postgresql"
    # An early migration rebuilds tables of SQLite, which nobody may write to meanwhile.
    in_stages = is_postgresql or getattr(step.module, "in_stages", False)
    try:
        _move(connection, move, revision, in_stages=in_stages)
    except BlockedError as error:
        raise MigrationError(_blocked(_standing(connection, script), f"Somebody is at the tables: {error}")) from None
    except OperationalError as error:
        if is_postgresql or "locked" not in str(error.orig):
            raise
        who = f"Somebody has been writing to the file for {BUSY_SECONDS} s"
        raise MigrationError(_blocked(_standing(connection, script), who)) from None


def _blocked(tables: Standing, who: str) -> str:
    return (
        f"{who}.\n  The tables are at {tables.found} as before, and what works with them goes on. "
        "Nothing is lost.\n  → end that session, or wait for its end; then run this again: it goes on where it stopped."
    )


def _move(connection: Connection, move: Callable[..., None], revision: str, *, in_stages: bool) -> None:
    """Let alembic go to a revision: in a transaction, or each statement in its own."""
    connection.rollback()  # what was read so far
    each_for_itself = in_stages and connection.dialect.name == "postgresql"
    with each_alone(connection) if each_for_itself else nullcontext():
        connection.begin()
        try:
            move(_config(connection=connection, in_stages=in_stages), revision)
            connection.commit()
        finally:
            connection.rollback()
