"""What people read. Each asks first whether this identity may; what a host hides from somebody does not exist for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from portal_actions_plugin.actions.registry import Action, no_action
from portal_actions_plugin.errors import NotFoundError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.host import Identity, TemplateListing
from portal_actions_plugin.run_types import ActionRun, LogEnd, LogLine, Page, TemplateRun
from portal_actions_plugin.runs.forges import listing
from portal_actions_plugin.runs.guards import access
from portal_actions_plugin.runs.guards.limits import Quota
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.runs.reading.usual_times import Kind
from portal_actions_plugin.runs.reading.usual_times import usual_times as usual_times_of
from portal_actions_plugin.runs.run_ids import no_run
from portal_actions_plugin.software_templates.loader import no_template
from portal_actions_plugin.software_templates.spec import Template

_LOG_PIECE = 1_000

# -- runs ------------------------------------------------------------------------------------------------------------


def action_run(identity: Identity | None, run_id: str) -> ActionRun:
    """One action run with every try.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not read action runs.
        NotFoundError: there is no such run, or the host's authorizer hides it.
    """
    access.require_read(identity, "action:read")
    run = queries.action_run(run_id)
    if not access.allowed(identity, "action:read", run):
        raise no_run("action run", run_id)
    return run


def template_run(identity: Identity | None, run_id: str) -> TemplateRun:
    """One template run with every step.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not read template runs.
        NotFoundError: there is no such run, or the host's authorizer hides it.
    """
    access.require_read(identity, "template:read")
    run = queries.template_run(run_id)
    if not access.allowed(identity, "template:read", run):
        raise no_run("template run", run_id)
    return run


def any_run(identity: Identity | None, run_id: str) -> ActionRun | TemplateRun:
    """The template run or action run with this id.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not read such runs.
        NotFoundError: there is no such run, or the host's authorizer hides it.
    """
    try:
        return template_run(identity, run_id)
    except NotFoundError:
        return action_run(identity, run_id)


def as_it_is_now(run: ActionRun | TemplateRun) -> ActionRun | TemplateRun:
    """A run that somebody was given, as it is by now; raises NotFoundError once it is gone."""
    return queries.template_run(run.id) if isinstance(run, TemplateRun) else queries.action_run(run.id)


def action_runs(identity: Identity | None, wanted: RunFilter, *, limit: int, cursor: str | None = None) -> Page:
    """Action runs, newest first. A page is shorter than ``limit`` where the host hides some."""
    access.require_read(identity, "action:read")
    found = queries.action_runs(wanted, limit=limit, cursor=cursor)
    return replace(found, items=[run for run in found.items if access.allowed(identity, "action:read", run)])


def template_runs(identity: Identity | None, wanted: RunFilter, *, limit: int, cursor: str | None = None) -> Page:
    """Template runs, newest first, without their steps. A page is shorter than ``limit`` where the host hides some."""
    access.require_read(identity, "template:read")
    found = queries.template_runs(wanted, limit=limit, cursor=cursor)
    return replace(found, items=[run for run in found.items if access.allowed(identity, "template:read", run)])


def active_counts(identity: Identity | None) -> dict[str, int]:
    """How many action runs are queued and running, all people's together."""
    access.require_read(identity, "action:read")
    return queries.active_counts()


def usual_times(identity: Identity | None, run: ActionRun | TemplateRun) -> dict[Kind, int]:
    """How long the parts of a run usually take, all people's runs together: of the actions that the identity may see."""
    if not access.allowed(identity, "action:read"):
        return {}
    found = usual_times_of(run)
    seen = {action for _, action in found if access.allowed(identity, "action:read", action)}
    return {kind: usual for kind, usual in found.items() if kind[1] in seen}


def starts_left(identity: Identity) -> Quota:
    """What the identity may still start right now."""
    return queries.starts_left(identity.id)


# -- logs ------------------------------------------------------------------------------------------------------------


def log_lines(identity: Identity | None, run_id: str, *, after: int, limit: int) -> list[LogLine]:
    """At most ``limit`` log lines of an action run, those with a number above ``after``, oldest first.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not read action runs.
        NotFoundError: there is no such run, or the host's authorizer hides it.
    """
    return queries.log_lines(action_run(identity, run_id).id, after=after, limit=limit)


def whole_log(run: ActionRun) -> Iterator[list[LogLine]]:
    """The log of a run that ``action_run`` gave, in pieces: a long one never is in memory as a whole."""
    last = 0
    while lines := queries.log_lines(run.id, after=last, limit=_LOG_PIECE):
        yield lines
        last = lines[-1].seq


def log_ends(identity: Identity | None, runs: Sequence[ActionRun], levels: Sequence[str] = ()) -> dict[str, LogEnd]:
    """How far the logs of those runs go whose log the identity may read; ``levels`` says which lines are counted."""
    readable = [run.id for run in runs if access.allowed(identity, "action:read", run)]
    return queries.log_ends(readable, levels) if readable else {}


def log_tails(ends: Mapping[str, LogEnd], limit: int, levels: Sequence[str] = ()) -> dict[str, list[LogLine]]:
    """The last lines of logs that ``log_ends`` gave; ``levels`` narrows them."""
    return queries.log_tails(ends, limit, levels) if ends else {}


# -- what can be run -------------------------------------------------------------------------------------------------


def action(identity: Identity | None, action_id: str) -> Action:
    """An action of the registry.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not read actions.
        NotFoundError: there is no such action, or the host's authorizer hides it.
    """
    access.require_read(identity, "action:read")
    if not access.allowed(identity, "action:read", action_id):
        raise no_action(action_id)
    return extension().registry.get(action_id)


def actions(identity: Identity | None) -> list[Action]:
    """The registry."""
    access.require_read(identity, "action:read")
    return [found for found in extension().registry if access.allowed(identity, "action:read", found.id)]


def template(identity: Identity | None, name: str) -> Template:
    """A template.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not read templates.
        NotFoundError: there is no such template, or the host's authorizer hides it.
        ConfigurationError: its file cannot be used.
    """
    access.require_read(identity, "template:read")
    if not access.allowed(identity, "template:read", name):
        raise no_template(name)
    return extension().templates.get(name)


def templates(identity: Identity | None) -> TemplateListing:
    """The templates that can be used, what is wrong with the others, and warnings for who may edit a template."""
    access.require_read(identity, "template:read")
    found = extension().templates.list()
    visible = tuple(one for one in found.templates if access.allowed(identity, "template:read", one.name))
    mine = tuple(one for one in found.warnings if access.allowed(identity, "template:edit", one.template or None))
    return replace(found, templates=visible, warnings=mine)


def forges(identity: Identity | None) -> list[listing.Forge]:
    """The forges that are set up, each with those of its actions that the identity may see.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not read templates.
    """
    access.require_read(identity, "template:read")
    return [
        replace(forge, actions=tuple(name for name in forge.actions if access.allowed(identity, "action:read", name)))
        for forge in listing.forges()
    ]
