"""What people read. Each asks first whether this identity may; what a host hides from somebody does not exist for them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from portal_actions_plugin.actions.registry import Action, no_action
from portal_actions_plugin.errors import NotFoundError, PortalActionsError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.host import Identity, TemplateListing
from portal_actions_plugin.run_types import ActionRun, ItemRun, LogEnd, LogLine, Page, TemplateRun
from portal_actions_plugin.runs.forges import listing
from portal_actions_plugin.runs.guards import access, findings
from portal_actions_plugin.runs.guards.limits import Quota
from portal_actions_plugin.runs.reading import names, queries
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.runs.reading.paging import COUNT_CAP, Sight
from portal_actions_plugin.runs.reading.references import all_as_seen_by, as_seen_by, retries_seen_by
from portal_actions_plugin.runs.reading.search.unmatched import unmatched
from portal_actions_plugin.runs.reading.usual_times import Kind
from portal_actions_plugin.runs.reading.usual_times import usual_times as usual_times_of
from portal_actions_plugin.runs.reading.within_runs import logs
from portal_actions_plugin.runs.run_ids import no_run
from portal_actions_plugin.runs.states import ACTIVE
from portal_actions_plugin.software_templates.loader import no_template
from portal_actions_plugin.software_templates.spec import Template

_LOG_PIECE = 1_000

OWN_RUNS = 100
"""So many of somebody's own runs tell which entities they may have meant."""

ASKED_CAP = 100
"""Chips count so far where the host is asked about each run."""

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
    return as_seen_by(identity, run)


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
    return as_seen_by(identity, run)


def with_item(identity: Identity | None, run: TemplateRun, run_id: str) -> TemplateRun:
    """A run that ``template_run`` gave, which shows this item of a step in full, too; as it is when that is none of it."""
    try:
        return as_seen_by(identity, queries.with_item(run, run_id))
    except NotFoundError:  # it is no id at all
        return run


def items(run: TemplateRun, position: int, *, after: int, limit: int) -> list[ItemRun]:
    """The items of a step of a run that ``template_run`` gave.

    Args:
        run: the template run.
        position: the step's index.
        after: the index of the last item that is known already; -1 to begin with the first.
        limit: how many at most.
    """
    return queries.items_of(run, position, after=after, limit=limit)


def items_in_list(run: ActionRun, statuses: Sequence[str], limit: int) -> list[ItemRun]:
    """The first items that a run of a list of ``action_runs`` stands for: those of these statuses, or all."""
    return queries.items_in_list(run, statuses, limit)


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


def as_it_is_now(identity: Identity | None, run: ActionRun | TemplateRun) -> ActionRun | TemplateRun:
    """A run that somebody was given, as it is by now; raises NotFoundError once it is gone."""
    if isinstance(run, TemplateRun):
        return as_seen_by(identity, queries.template_run(run.id))
    return as_seen_by(identity, queries.action_run(run.id))


def retry_of(identity: Identity | None, run: ActionRun | TemplateRun) -> ActionRun | TemplateRun | None:
    """The newest retry of a run that the identity was given, as ``retried_as`` names it."""
    if run.retried_as is None:
        return None
    try:
        return (
            template_run(identity, run.retried_as)
            if isinstance(run, TemplateRun)
            else action_run(identity, run.retried_as)
        )
    except NotFoundError:
        return None  # it was deleted just now


def retries_of_listed(identity: Identity | None, runs: Sequence[ActionRun], seen: Sight | None) -> dict[str, str]:
    """The newest retries of what has ended badly in a list, by the ids of the runs of the list.

    Args:
        identity: who looks at the list.
        runs: on it. A step's are those of its template run.
        seen: of ``sight``, as the list was read with it.
    """
    return retries_seen_by(identity, runs, all_seen=seen is None)


def sight(identity: Identity | None, permission: str, share: float = 1.0) -> Sight | None:
    """What the identity may see of a list, where the host decides about each run; else None.

    Args:
        identity: who asks.
        permission: that reading a run of the list takes.
        share: which part of what the host is asked for one answer this list may use.
    """
    if not access.decides_by_object():
        return None
    return Sight(lambda run: access.allowed(identity, permission, run), share)


def action_runs(
    identity: Identity | None,
    wanted: RunFilter,
    *,
    limit: int,
    cursor: str | None = None,
    seen: Sight | None = None,
) -> Page:
    """Action runs, newest first, those that the identity may see.

    Args:
        identity: who asks.
        wanted: what the list is narrowed to.
        limit: how many there are at most; fewer where the host hides so many that they are not all asked about.
        cursor: of the page before.
        seen: of ``sight``, when several lists are read for one answer.
    """
    asker = access.require_read(identity, "action:read")
    read = partial(queries.action_runs, sight=seen or sight(identity, "action:read"))
    return _with_unmatched(asker, _shown(asker, read(wanted, limit=limit, cursor=cursor)), wanted, read)


def template_runs(identity: Identity | None, wanted: RunFilter, *, limit: int, cursor: str | None = None) -> Page:
    """Template runs, newest first, without their steps, those that the identity may see; see ``action_runs``."""
    asker = access.require_read(identity, "template:read")
    read = partial(queries.template_runs, sight=sight(identity, "template:read"))
    return _with_unmatched(asker, _shown(asker, read(wanted, limit=limit, cursor=cursor)), wanted, read)


def _shown(asker: Identity, found: Page) -> Page:
    return replace(found, items=all_as_seen_by(asker, found.items))


def _with_unmatched(asker: Identity, page: Page, wanted: RunFilter, read: Callable[..., Page]) -> Page:
    """Say of an empty list which of its filters fit nothing that the asker may see."""
    if page.items or page.next_cursor or page.previous_cursor:
        return page

    def finds(single: RunFilter) -> bool:
        some = page if single == wanted else read(single, limit=1)
        # Where the host decides about each, a page that goes on without a run tells that many are hidden.
        return bool(some.items or (some.next_cursor and not access.decides_by_object()))

    def names(filter_name: str) -> Iterator[str]:
        if filter_name == "action" and access.allowed(asker, "action:read"):
            yield from (found.id for found in actions(asker))
        elif filter_name == "template" and access.allowed(asker, "template:read"):
            yield from (name for found in templates(asker).templates for name in (found.name, found.title))
        elif filter_name == "requested_by":
            yield from (asker.id, asker.name)
        elif filter_name == "entity":
            own = read(RunFilter(requested_by=asker.id), limit=OWN_RUNS).items
            yield from (run.entity for run in own if run.entity)

    return replace(page, unmatched=unmatched(wanted, finds, names))


@dataclass(frozen=True, slots=True)
class ActiveCounts:
    """How many runs are queued and running, by status, counted up to ``cap``; without those that were not counted."""

    of: Mapping[str, int]
    cap: int


def active_counts(identity: Identity | None, seen: Sight | None = None) -> ActiveCounts:
    """How many action runs that the identity may see are queued and running, all people's together."""
    asker = access.require_read(identity, "action:read")
    seen = seen or sight(identity, "action:read")
    if seen is None:
        return ActiveCounts(queries.active_counts(), COUNT_CAP)
    counts: dict[str, int] = {}
    # Their own come first: for who sees nobody else's they are all, however many of others the host is asked about then.
    for of, status in itertools.product((asker.id, None), ACTIVE):
        found = queries.of_status(status, of, limit=ASKED_CAP, sight=seen)
        if found.next_cursor is None or len(found.items) == ASKED_CAP:
            counts[status] = len(found.items)
        elif any(run.requested_by != asker.id for run in found.items):
            counts.pop(status, None)
    return ActiveCounts(counts, ASKED_CAP)


def usual_times(identity: Identity | None, run: ActionRun | TemplateRun) -> dict[Kind, int]:
    """How long the parts of a run usually take: of the actions that the identity may see.

    All people's runs count, but where the host decides about each run: there the identity's own do.
    """
    if identity is None or not access.allowed(identity, "action:read"):
        return {}
    found = usual_times_of(run, identity.id if access.decides_by_object() else None)
    seen = {action for _, action in found if access.allowed(identity, "action:read", action)}
    return {kind: usual for kind, usual in found.items() if kind[1] in seen}


def starts_left(identity: Identity) -> Quota:
    """What the identity may still start right now."""
    return queries.starts_left(identity.id)


def titles_of_inputs(run: TemplateRun) -> dict[str, str]:
    """What its template called the inputs of a run that ``template_run`` gave, by their names: those that have a title."""
    return names.titles_of_inputs(run.id) if run.inputs else {}


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
    return logs.log_ends(readable, levels) if readable else {}


def log_tails(ends: Mapping[str, LogEnd], limit: int, levels: Sequence[str] = ()) -> dict[str, list[LogLine]]:
    """The last lines of logs that ``log_ends`` gave; ``levels`` narrows them."""
    return logs.log_tails(ends, limit, levels) if ends else {}


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
    is_seen = access.allowed(identity, "template:read", name)
    try:
        found = extension().templates.get(name)
    except PortalActionsError:
        if is_seen:
            raise
        raise no_template(name) from None
    if not is_seen:
        raise no_template(name)
    return access.permitted_template(identity, found)


def templates(identity: Identity | None) -> TemplateListing:
    """The templates that can be used, what is wrong with the others, and warnings for who may edit a template."""
    access.require_read(identity, "template:read")
    return findings.as_told(identity, extension().templates.list())


def own_templates(identity: Identity | None) -> findings.OwnTemplates:
    """What there is to mend about the templates that the identity may edit.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not read templates.
        NotFoundError: there is none that they may edit.
    """
    access.require_read(identity, "template:read")
    found = findings.own_templates(identity, extension().templates.list())
    if found is None:
        raise NotFoundError(
            "There is no template here that you may edit.", hint=f"Findings are for who has {findings.EDIT}."
        )
    return found


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
