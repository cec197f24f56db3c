"""The command of the repositories that templates come from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
from flask.cli import with_appcontext

from portal_actions_plugin.cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.upkeep.template_repositories import Source


@click.command("sources")
@click.option("--refresh", is_flag=True, help="Fetch new commits first, on this machine.")
@click.option(
    "--format", "form", default="text", show_default=True, type=click.Choice(["text", "json"]), help="How to tell."
)
@with_appcontext
def sources(refresh: bool, form: str) -> None:  # noqa: FBT001 click hands it over
    """Show the git repositories that templates come from, with the commit of each that this machine uses.

    Exits with 1 when one of them cannot be fetched.
    """
    from portal_actions_plugin.upkeep import template_changes, template_repositories

    if refresh:
        template_repositories.refresh()
        template_changes.record()
    found = template_repositories.sources()
    if form == "json":
        say(json.dumps([_as_json(one) for one in found]))
    else:
        say(
            *(line for one in found for line in _lines(one))
            if found
            else ["PORTAL_ACTIONS_TEMPLATE_REPOSITORIES is empty."]
        )
    raise SystemExit(1 if any(one.state.error for one in found) else 0)


COMMANDS = (sources,)


def _lines(source: Source) -> Iterator[str]:
    from portal_actions_plugin.software_templates.sources.checkouts import moment

    state = source.state
    yield source.repository.name
    if state.commit:
        yield f"  commit {state.commit}, since {moment(state.fetched_at)}"
    else:
        yield "  was not fetched yet"
    if state.error:
        yield f"  cannot be fetched since {moment(state.failing_since)}: {state.error}"
    elif state.commit:
        yield f"  looked at {moment(state.seen_at)}"


def _as_json(source: Source) -> dict[str, JsonValue]:
    from portal_actions_plugin.software_templates.sources.checkouts import instant

    one, state = source.repository, source.state
    return {
        "name": one.name,
        "address": one.address,
        "ref": one.ref,
        "path": one.path,
        "commit": state.commit or None,
        "fetched_at": instant(state.fetched_at),
        "looked_at": instant(state.seen_at),
        "tried_at": instant(state.tried_at),
        "error": state.error or None,
        "failing_since": instant(state.failing_since),
    }
