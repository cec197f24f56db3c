"""The commands of the plugin's own tables: up, back, where they stand, and which database they are in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask.cli import with_appcontext

from portal_actions_plugin.cli.terminal import say
from portal_actions_plugin.extension import extension
from portal_actions_plugin.settings.workspaces import part_of
from portal_actions_plugin.storage import database_identity
from portal_actions_plugin.storage.sessions import reading, transaction

_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command("upgrade")
@with_appcontext
def upgrade() -> None:
    """Create the plugin's tables, or bring them up to date, while workers are at work."""
    from portal_actions_plugin.storage import migrations

    with _says_why_not():
        before = migrations.upgrade(extension().database)
    if before.lived_with:
        say(f"The tables are at {before.found}, newer than this version, which lives with them. Nothing to do.")
    else:
        say("The tables are up to date.")


@click.command("downgrade")
@click.argument("revision")
@_yes
@with_appcontext
def downgrade(revision: str, yes: bool) -> None:  # noqa: FBT001 click hands it over
    """Take the tables back to REVISION, for an older version of the plugin. Stop this version's workers first."""
    from portal_actions_plugin.storage import migrations
    from portal_actions_plugin.storage.migrations.losses import losses

    database = extension().database
    with _says_why_not():
        lost = losses(database, revision)
        found = migrations.standing(database).found
        if found is None or not migrations.way_down(migrations.standing(database), revision):
            say(f"The tables are at {found or 'base: there are none'}. Nothing to do.")
            return
        say(f"The tables go from {found} back to {revision}.")
        for loss in lost:
            if loss.rows:
                say(f"  lost: {loss}")
        empty = sum(not loss.rows for loss in lost)
        say(f"  {'nothing is lost' if empty == len(lost) else 'and nothing else'}: {empty} that go are empty")
        if not yes:
            click.confirm("Workers and web processes of this version fail from then on. Go back?", abort=True)
        migrations.downgrade(database, revision)
    say(f"The tables are at {revision}.")


@click.command("current")
@with_appcontext
def current() -> None:
    """Say where the tables stand, and which database they are in; exits with 1 when this version cannot use them."""
    from portal_actions_plugin.storage import migrations

    tables = migrations.standing(extension().database)
    say(f"found     {tables.found or 'none'}", f"needed    {tables.needed}")
    if tables.known and tables.usable:
        with reading() as db:
            say(f"identity  {database_identity.identity_of(db)}")
    if not tables.usable:
        raise click.ClickException(f"{tables.trouble}\n  → {tables.mend}")


@click.command("new-identity")
@_yes
@with_appcontext
def new_identity(yes: bool) -> None:  # noqa: FBT001 click hands it over
    """Give the database another identity, after it was copied: two portals with one would take each other's wake-ups."""
    if not yes:
        say(
            "Names of queues and channels on Redis carry the identity. Workers and web processes go on with the old one",
            "until they are started again; a sweeper wakes workers again for what was queued meanwhile. Nothing is lost.",
        )
        click.confirm("Is this the copy, and not the portal that it was copied from?", abort=True)
    with transaction("new_identity") as tx:
        before = database_identity.known_identity(tx)
        identity = database_identity.renew(tx)
    say(f"This database is {identity} now. Start its workers and web processes again.")
    place = extension().config.workspaces
    if before and (there := part_of(place, identity)):
        say(
            f"Workspaces and files of templates are looked for in {there} from now on.",
            f"Before that, copy there what is in {part_of(place, before)}: what it was copied from may need that still.",
        )


COMMANDS = (upgrade, downgrade, current, new_identity)


@contextmanager
def _says_why_not() -> Iterator[None]:
    from portal_actions_plugin.storage.migrations import MigrationError

    try:
        yield
    except MigrationError as error:
        raise click.ClickException(str(error)) from None
