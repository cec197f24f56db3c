"""The runs that a run names: who may not see one of them is not told that it is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar, cast

from portal_actions_plugin.host import Identity
from portal_actions_plugin.run_types import ActionRun, LockHolder, OwnSteps, Step, TemplateRun
from portal_actions_plugin.runs.guards import access
from portal_actions_plugin.runs.reading import related
from portal_actions_plugin.runs.states import CANCELED, FAILED

R = TypeVar("R", bound=ActionRun | TemplateRun)

MOST_RETRIES = 20
"""So many retries of a run are looked at for the newest one that may be seen."""

May = Callable[[str | None], bool]


def as_seen_by(identity: Identity | None, run: R) -> R:
    """A run without the names of others that the host hides from the identity."""
    return all_as_seen_by(identity, [run])[0]


def all_as_seen_by(identity: Identity | None, runs: Sequence[R]) -> list[R]:
    """Runs of one kind, each without the names of others that the host hides from the identity."""
    if not access.decides_by_object():
        return list(runs)
    seen = _Seen(identity, runs)
    return [seen.of(run) for run in runs]


def retries_seen_by(identity: Identity | None, runs: Iterable[ActionRun], *, all_seen: bool) -> dict[str, str]:
    """The newest retries of those runs that have ended badly, by the ids of the runs; a step's are its template run's.

    Args:
        identity: who looks.
        runs: of a list.
        all_seen: whether nothing is hidden from them.
    """
    bad = [run for run in runs if run.status in (FAILED, CANCELED)]
    retries = related.retry_ids(
        {run.template_run_id for run in bad if run.template_run_id}, {run.id for run in bad if not run.template_run_id}
    )
    found = {of: ids[0] for of, ids in retries.items()} if all_seen else _newest_seen(identity, retries)
    return {run.id: found[of] for run in bad if (of := run.template_run_id or run.id) in found}


def _newest_seen(identity: Identity | None, retries: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The newest of the retries of each run that the identity may see. Mostly it is the first one: more are rarely read."""
    found: dict[str, str] = {}
    for place in range(MOST_RETRIES):
        asked = {of: ids[place] for of, ids in retries.items() if of not in found and place < len(ids)}
        if not asked:
            break
        whole, single = related.template_runs_by_id(asked.values()), related.action_runs_by_id(asked.values())
        read: list[ActionRun | TemplateRun] = [*whole, *single]
        seen = {again.id for again in read if access.allowed(identity, access.read_permission(again), again)}
        found |= {of: again for of, again in asked.items() if again in seen}
    return found


class _Seen:
    """Which of the runs that some runs name may be seen: read at once, and asked about once each."""

    def __init__(self, identity: Identity | None, runs: Iterable[ActionRun | TemplateRun]) -> None:
        self._identity = identity
        whole: set[str] = set()
        single: set[str] = set()
        for run in runs:
            (whole if isinstance(run, TemplateRun) else single).update(filter(None, (run.retry_of,)))
            for part in _parts(run):
                whole.update(filter(None, (part.taken_over_from,)))
                single.update([part.waits_for.run_id] if part.waits_for and part.waits_for.run_id else ())
        holders = related.action_runs_by_id(single)
        whole.update(holder.template_run_id for holder in holders if holder.template_run_id)
        self._whole = {run.id for run in related.template_runs_by_id(whole) if self._may(run)}
        self._single = {run.id for run in holders if self._is_seen(run)}

    def of(self, run: R) -> R:
        return cast("R", self._whole_run(run) if isinstance(run, TemplateRun) else self._part(run))

    def _whole_run(self, run: TemplateRun) -> TemplateRun:
        retry_of = run.retry_of if run.retry_of in self._whole else None
        return replace(
            run,
            steps=tuple(map(self._step, run.steps)),
            retry_of=retry_of,
            resumed_step=run.resumed_step if retry_of else None,
            retried_as=self._retried_as(run),
        )

    def _step(self, step: Step) -> Step:
        if step.items:
            return replace(step, items=replace(step.items, shown=tuple(map(self._part, step.items.shown))))
        return replace(step, run=self._part(step.run)) if step.run else step

    def _part(self, run: ActionRun) -> ActionRun:
        return replace(
            run,
            retry_of=run.retry_of if run.retry_of in self._single else None,
            retried_as=self._retried_as(run),
            taken_over_from=run.taken_over_from if run.taken_over_from in self._whole else None,
            waits_for=self._holder(run.waits_for),
        )

    def _holder(self, holder: LockHolder | OwnSteps | None) -> LockHolder | OwnSteps | None:
        if not isinstance(holder, LockHolder) or holder.run_id is None or holder.run_id in self._single:
            return holder
        return replace(holder, run_id=None, html_url=None)

    def _retried_as(self, run: ActionRun | TemplateRun) -> str | None:
        if run.retried_as is None:
            return None
        retries = related.retries_of(run, limit=MOST_RETRIES)
        return next((again.id for again in retries if self._may(again)), None)

    def _is_seen(self, run: ActionRun) -> bool:
        """Whether an action run may be seen; a step is shown by its template run."""
        return self._may(run) and (run.template_run_id is None or run.template_run_id in self._whole)

    def _may(self, run: ActionRun | TemplateRun) -> bool:
        return access.allowed(self._identity, access.read_permission(run), run)


def _parts(run: ActionRun | TemplateRun) -> list[ActionRun]:
    return [part for step in run.steps for part in step.runs] if isinstance(run, TemplateRun) else [run]
