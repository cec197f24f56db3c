"""Who a command asks for, and how it says that it was refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from portal_actions_plugin.cli.terminal import say
from portal_actions_plugin.errors import PortalActionsError
from portal_actions_plugin.host import Identity

identity_option = click.option(
    "--as",
    "requester",
    default="system:cli",
    show_default=True,
    help="The id of who asks: runs are requested by it, and audited under it.",
)
role_option = click.option(
    "--role",
    "roles",
    multiple=True,
    default=("platform-admin",),
    show_default=True,
    help="A role of that id; whoever may run commands on this machine may choose it.",
)


def identity_of(requester: str, roles: tuple[str, ...]) -> Identity:
    """The identity that these options name."""
    return Identity(requester, requester, frozenset(roles))


def says_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Print a domain error as a sentence, its fields and its hint, and exit with 2."""

    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except PortalActionsError as error:
            lines = [f"{error.code}: {error.message}"]
            lines += [f"  {name}: {json.dumps(found, ensure_ascii=False)}" for name, found in error.fields.items()]
            say(*lines, f"  → {error.hint}", err=True)
            raise SystemExit(2) from None

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run
