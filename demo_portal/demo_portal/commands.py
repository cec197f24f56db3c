"""``flask --app demo_portal demo …``: what the start program does before the portal is up."""

from __future__ import annotations

from flask import Flask, current_app
from flask.cli import AppGroup

from demo_portal import seed
from demo_portal.portal import this_app

group = AppGroup("demo", help="The demo's own data.")


def init_app(app: Flask) -> None:
    app.cli.add_command(group)


@group.command("prepare")
def prepare() -> None:
    """Bring the tables up to date, and at the very first start fill them: safe to run again."""
    seed.create_tables(this_app())
    seed.seed()
    seed.first_run()
    current_app.logger.info("prepared")
