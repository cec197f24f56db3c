"""The command that shows the workspace of a run, and gives a file of it."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from flask.cli import with_appcontext

from portal_actions_plugin.cli.asker import identity_of, identity_option, role_option, says_errors
from portal_actions_plugin.cli.terminal import say
from portal_actions_plugin.host import Identity
from portal_actions_plugin.runs.reading.workspaces import permitted

FILES_AT_ONCE = 1000


@click.command("workspace")
@click.argument("run_id")
@click.argument("path", required=False)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the file. Default: standard output.",
)
@identity_option
@role_option
@with_appcontext
@says_errors
def workspace(run_id: str, path: str | None, output: Path | None, requester: str, roles: tuple[str, ...]) -> None:
    """List the files of a template run's workspace, or give the one at PATH, its secrets masked."""
    identity = identity_of(requester, roles)
    if path is None:
        _list(identity, run_id)
        return
    file = permitted.file(identity, run_id, path)
    if output:
        output.write_bytes(file.content)
    elif sys.stdout.isatty():
        say(file.content.decode(errors="replace"))
    else:
        click.echo(file.content, nl=False)
    if file.is_masked:
        say("secrets in it are masked", err=True)


def _list(identity: Identity, run_id: str) -> None:
    after: int | None = 0
    while after is not None:
        found = permitted.listing(identity, run_id, after=after, limit=FILES_AT_ONCE)
        if found.emptied_at:
            say(f"its {found.count} files were deleted at {found.emptied_at:%Y-%m-%d %H:%M:%S} UTC")
            return
        for file in found.files:
            target = f" -> {file.link_to}" if file.link_to is not None else "  (masked)" if file.masked else ""
            say(f"{file.size:>10}  {file.path}{target}")
        after = found.next_after
    say(f"{found.count} files, {found.size} bytes", err=True)


COMMANDS = (workspace,)
