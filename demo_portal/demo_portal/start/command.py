"""The command line of ``python -m demo_portal``."""

from __future__ import annotations

from pathlib import Path

import click

from demo_portal.settings import Settings
from demo_portal.start import emulator, folder
from demo_portal.start.supervisor import Supervisor


@click.command()
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535), help="On 127.0.0.1, only.")
@click.option(
    "--data-dir",
    default="var/demo",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Everything that the portal keeps.",
)
@click.option(
    "--forge",
    default="local",
    show_default=True,
    type=click.Choice(["local", "github"]),
    help="Where repositories are: on this machine's disk, or on an emulator of GitHub that is started too.",
)
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 16), help="Processes that run steps.")
def main(port: int, data_dir: Path, forge: str, workers: int) -> None:
    """Start Acme Portal, the demo of Portal Actions. Ctrl-C stops it."""
    github_url = f"http://127.0.0.1:{emulator.free_port()}" if forge == "github" else ""
    settings = Settings(data_dir.absolute(), f"http://127.0.0.1:{port}", github_url)
    try:
        with folder.taken(settings):
            folder.check_port(port)
            status = Supervisor(settings, port, workers).run()
    except folder.CannotStartError as error:
        raise click.ClickException(str(error)) from None
    raise SystemExit(status)
