"""Many runs at once: what would become of each, and then doing it, each in its own transaction and by ``service``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from portal_actions_plugin.errors import (
    ActionError,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    PortalActionsError,
)
from portal_actions_plugin.extension import extension
from portal_actions_plugin.host import Identity
from portal_actions_plugin.run_types import ActionRun, TemplateRun
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.accept import Ask, RetriedMeanwhileError, Started
from portal_actions_plugin.runs.guards import access, offers
from portal_actions_plugin.runs.reading import permitted, queries
from portal_actions_plugin.runs.run_ids import parse_id
from portal_actions_plugin.runs.secrets.token_shapes import MASK
from portal_actions_plugin.runs.states import ACTIVE, CANCELED, FAILED

CANCEL = "cancel"
RETRY = "retry"
OPERATIONS = (CANCEL, RETRY)
MAX_RUNS = 50
"""At most this many runs go at a time: as many as a page of the list has."""

Run = ActionRun | TemplateRun


@dataclass(frozen=True, slots=True)
class Plan:
    """What would become of a run, in ``words``.

    Attributes:
        run_id: the id that stands for it, as it was asked for.
        run: None where there is none that the asker may know of.
        words: what will happen, or why nothing can.
        works: whether it can be done right now.
        wait: seconds until it can, where only the limit of starts is in the way.
        again: the newest retry of it that there is already.
    """

    run_id: str
    run: Run | None
    words: str
    works: bool = False
    wait: int | None = None
    again: Run | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a run.

    Attributes:
        run_id: the id that stands for it, as it was asked for.
        run: as it is now; None where there is none that the asker may know of.
        again: the run that a retry led to; with an error, the one that somebody else's led to meanwhile.
        at_work: whether that one was there before: a fix of the same rule, or a retry of the same run.
        error: why nothing was done.
    """

    run_id: str
    run: Run | None
    again: Run | None = None
    at_work: bool = False
    error: PortalActionsError | None = None


# -- what would happen -----------------------------------------------------------------------------------------------


def plan(asker: Identity, operation: str, run_ids: Iterable[str]) -> list[Plan]:
    """Say what an operation would do to each of these runs; a step stands for its template run, which comes once."""
    decide = _plan_cancel if operation == CANCEL else _plan_retry
    plans = []
    for one, run in _selected(asker, run_ids):
        plans.append(decide(asker, one.run_id, run) if run else Plan(one.run_id, None, "There is no such run."))
    return plans if operation == CANCEL else _within_limit(asker, plans)


def _plan_cancel(asker: Identity, run_id: str, run: Run) -> Plan:
    if offers.can_cancel(asker, run):
        return Plan(run_id, run, f"Will be canceled; {_what_stays(run)}.", works=True)
    if run.status not in ACTIVE:
        return Plan(run_id, run, "Has ended already.")
    whose = "runs" if run.requested_by == asker.id else "other people’s runs"
    return Plan(run_id, run, f"You may not cancel {whose}.")


def _what_stays(run: Run) -> str:
    if isinstance(run, ActionRun):
        return "what it has done stays" if run.attempt else "it has not begun"
    done, total = run.progress.done, run.progress.total
    if run.is_cleaning_up:
        return "it has failed, and what has not been cleaned up stays"
    if not done:
        return "no step is done yet"
    return f"{done} of {total} steps {'stays' if done == 1 else 'stay'} done"


def _plan_retry(asker: Identity, run_id: str, run: Run) -> Plan:
    if not offers.can_retry(asker, run):
        return Plan(run_id, run, _why_no_retry(asker, run))
    if MASK in _inputs(run).values():
        return Plan(run_id, run, "Needs its secret inputs again: open the run to give them.")
    again = permitted.retry_of(asker, run)
    if again and again.status in ACTIVE:
        return Plan(run_id, run, "A retry of it is at work already.", again=again)
    return Plan(run_id, run, f"A new run of {_title(run)}{_in_whose_name(run)}.", works=True, again=again)


def _in_whose_name(run: Run) -> str:
    """What a retry does with the asker's own token, if it is somebody's: nobody's is used silently."""
    if not isinstance(run, TemplateRun):
        return ""
    try:
        wants = extension().templates.get(run.template).requester_secrets
    except ActionError:
        return ""
    return f", in your name, with {', '.join(sorted(wants))} of yours" if wants else ""


def _why_no_retry(asker: Identity, run: Run) -> str:
    if isinstance(run, TemplateRun) and run.is_cleaning_up:
        return "Has failed and still cleans up: once that is done it can be retried."
    if run.status in ACTIVE:
        return f"Is still {run.status}: cancel it first."
    if isinstance(run, TemplateRun) and run.status not in (FAILED, CANCELED):
        return "Has succeeded: start the template anew for another run."
    try:
        if _is_gone(asker, run):
            return f"The {'template' if isinstance(run, TemplateRun) else 'action'} is gone."
    except ActionError:
        return "The template cannot be used: its file is broken."
    return "You may not start this again."


def _is_gone(asker: Identity, run: Run) -> bool:
    """Whether what the run executed is not there any more, or hidden, which nobody can tell apart."""
    try:
        if isinstance(run, TemplateRun):
            extension().templates.get(run.template)
            return access.hides(asker, "template:read", run.template)
        extension().registry.get(run.action)
        return access.hides(asker, "action:read", run.action)
    except NotFoundError:
        return True


def _within_limit(asker: Identity, plans: list[Plan]) -> list[Plan]:
    """These plans, with a wait for those starts that would go past the asker's limit."""
    left, rate = permitted.starts_left(asker), extension().config.rate_limit
    late = [one.run_id for one in plans if one.works][left.remaining :]
    words = f"Over your limit of {rate.count} {'start' if rate.count == 1 else 'starts'} a {rate.period}."
    wait = left.reset or rate.seconds
    return [replace(one, works=False, words=words, wait=wait) if one.run_id in late else one for one in plans]


# -- doing it --------------------------------------------------------------------------------------------------------


def carry_out(
    asker: Identity, operation: str, run_ids: Iterable[str], key: str | None, seen: Mapping[str, str] | None = None
) -> list[Result]:
    """Cancel or retry these runs, each by itself: a refusal of one is its result and stops no other.

    Args:
        asker: who asks; each run asks again whether they may.
        operation: one of ``OPERATIONS``.
        run_ids: action runs; a step stands for its template run, which comes once.
        key: what makes the same request the same starts; each run has an idempotency key of its own, made from it.
        seen: by the given ids, the retry of each run that the asker knows of, empty for none: one that was retried
            since is left out, and its result says so.
    """
    known = seen or {}
    return [_carry_out(asker, operation, one, key, known.get(one.given)) for one, _ in _selected(asker, run_ids)]


def _carry_out(asker: Identity, operation: str, one: _Selected, key: str | None, seen: str | None) -> Result:
    try:
        if operation == CANCEL:
            return Result(one.run_id, one.cancel(asker))
        again = one.retry(asker, Ask(idempotency_key=f"{key}-{one.run_id}" if key else None, seen_retry=seen))
        return Result(one.run_id, one.read(asker), again.run, at_work=again.at_work)
    except PortalActionsError as error:
        return _refused(operation, one.run_id, one.read(asker), error)


def _refused(operation: str, run_id: str, run: Run | None, error: PortalActionsError) -> Result:
    if run is None:
        # What is hidden has left its denial in the audit, and reads like what is not there.
        error = NotFoundError("There is no such run.", hint="The page Actions lists the runs.")
    elif operation == CANCEL and run.status == CANCELED and isinstance(error, ConflictError):
        # Canceled is canceled, also by the first of two clicks.
        return Result(run_id, run)
    again = error.again if isinstance(error, RetriedMeanwhileError) else None
    return Result(run_id, run, again, error=error)


# -- which runs ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Selected:
    """What an action run's id stands for: the template run that it is a step of, or else the one-off itself."""

    run_id: str
    template_run_id: str | None
    given: str

    def read(self, asker: Identity) -> Run | None:
        """The run; None where there is none that the asker may know of."""
        try:
            if self.template_run_id:
                return permitted.template_run(asker, self.template_run_id)
            return permitted.action_run(asker, self.run_id)
        except (NotFoundError, PermissionDeniedError):
            return None

    def cancel(self, asker: Identity) -> Run:
        if self.template_run_id:
            return service.cancel_template_run(asker, self.template_run_id)
        return service.cancel_action_run(asker, self.run_id)

    def retry(self, asker: Identity, ask: Ask) -> Started:
        if self.template_run_id:
            return service.retry_template_run(asker, self.template_run_id, ask)
        return service.retry_action_run(asker, self.run_id, ask)


def _selected(asker: Identity, run_ids: Iterable[str]) -> list[tuple[_Selected, Run | None]]:
    """What these ids stand for, each run once and in this order, and what the asker may know of it."""
    known = {given: _canonical(given) for given in run_ids}
    steps = queries.template_runs_of([run_id for run_id in known.values() if run_id])
    found: dict[str, tuple[_Selected, Run | None]] = {}
    read: dict[str, Run | None] = {}
    for given, run_id in known.items():
        one = _Selected(run_id or given, steps.get(run_id) if run_id else None, given)
        name = one.template_run_id or one.run_id
        if name not in read:
            read[name] = one.read(asker)
        # What is hidden stays by itself: it would tell which steps belong together.
        found.setdefault(name if read[name] else one.run_id, (one, read[name]))
    return list(found.values())


def _canonical(given: str) -> str | None:
    """An id in its one spelling; None for what is no id at all."""
    try:
        return parse_id(given)
    except NotFoundError:
        return None


def _inputs(run: Run) -> Mapping[str, Any]:
    return run.inputs if isinstance(run, TemplateRun) else run.input


def _title(run: Run) -> str:
    return run.title if isinstance(run, TemplateRun) else run.action
