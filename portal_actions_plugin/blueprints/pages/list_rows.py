"""What the list of action runs shows, in words: a template that calls for each of them takes twice as long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from portal_actions_plugin.blueprints.pages.page_answer import run_url
from portal_actions_plugin.blueprints.pages.query import ListQuery
from portal_actions_plugin.blueprints.pages.words import PageText
from portal_actions_plugin.host import Identity
from portal_actions_plugin.run_types import ActionRun, ItemRun
from portal_actions_plugin.runs.guards.findings import is_anything_to_mend
from portal_actions_plugin.runs.reading import permitted

UNFOLDED = 50
"""So many items are listed below the step that they are of."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the list.

    Attributes:
        person: who has asked for the run, as people call them.
        initials: of that.
        at: when the run began or was queued; ``when`` says it, and ``title`` says it the other way.
        retry_id: of the run that was made to try this one, or its template run, again.
        short_id: what tells two rows apart, to whom hears their links one by one.
    """

    run: ActionRun
    status: str
    word: str
    person: str
    initials: str
    at: str
    when: str
    title: str
    took: str
    url: str
    short_id: str
    retry_id: str | None
    retry_url: str


@dataclass(frozen=True, slots=True)
class UnfoldedRow:
    """The items that a run of the list stands for; ``more`` are left to its template run's page."""

    run_id: str
    items: Sequence[ItemRun]
    more: int


def unfolded_row(runs: Sequence[ActionRun], query: ListQuery) -> UnfoldedRow | None:
    """What the address of the list unfolds; None where that is not on it."""
    run = next((run for run in runs if run.id == query.unfold and run.items), None)
    if run is None or run.items is None:
        return None
    found = permitted.items_in_list(run, query.status, UNFOLDED + 1)
    matching = sum(run.items.counts.get(status, 0) for status in query.status) if query.status else run.items.total
    return UnfoldedRow(run.id, found[:UNFOLDED], max(0, matching - UNFOLDED))


def list_rows(runs: Sequence[ActionRun], retried: Mapping[str, str], text: PageText) -> Iterator[Row]:
    """The rows of these runs, with the ids of their retries by their own."""
    url_of_template_run, url_of_one_off = run_url("template_run"), run_url("action_run")
    initials = cache(text.initials)
    for run in runs:
        status = text.status(run)
        moment = run.started_at or run.queued_at
        person = run.requester_name or run.requested_by
        url_of = url_of_template_run if run.template_run_id else url_of_one_off
        retry_id = retried.get(run.id)
        yield Row(
            run=run,
            status=status,
            word=text.word(status),
            person=person,
            initials=initials(person),
            at=text.iso(moment),
            when=text.when(moment),
            title=text.other(moment) if run.started_at else f"queued {text.other(moment)}",
            took=text.duration(run.duration_ms),
            url=url_of(run.template_run_id or run.id),
            short_id=text.short_id(run.id),
            retry_id=retry_id,
            retry_url=url_of(retry_id) if retry_id else "",
        )


def list_facts(identity: Identity, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What follows from the facts of a list: its rows, and the words that its filters can be set to."""
    runs: Sequence[ActionRun] = facts["runs"]
    return {
        "may_mend": is_anything_to_mend(identity),
        "rows": list_rows,
        "known": {
            "template": _each_once(run.template for run in runs),
            "requested_by": _each_once(run.requested_by for run in runs),
            "entity": _each_once(run.entity for run in runs),
        },
    }


def _each_once(words: Iterable[str | None]) -> list[str]:
    return [word for word in dict.fromkeys(words) if word]
