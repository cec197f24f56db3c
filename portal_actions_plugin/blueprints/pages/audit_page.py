"""``/actions/audit``: who did what, for those who may read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from flask import Request, Response, request

from portal_actions_plugin.blueprints.pages.page_answer import page
from portal_actions_plugin.blueprints.pages.query import PageQuery, wants_absolute, words_of
from portal_actions_plugin.blueprints.pages.routes import PAGE_SIZE
from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.run_types import SHORT_COMMIT, Page
from portal_actions_plugin.runs.guards import access
from portal_actions_plugin.runs.guards.identity import current_identity
from portal_actions_plugin.runs.reading import audit_trail
from portal_actions_plugin.runs.reading.audit_trail import EVENTS, OUTCOMES, AuditFilter

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import AuditEntry

EVENT_WORDS = {
    "template_run.start": "Start a template",
    "template_run.retry": "Retry a template run",
    "template_run.resume": "Resume a template run",
    "template_run.cancel": "Cancel a template run",
    "template_run.finish": "Template run ended",
    "action_run.start": "Start an action",
    "action_run.retry": "Run an action again",
    "action_run.cancel": "Cancel an action run",
    "action_run.finish": "Action run ended",
    "audit.read": "Read the audit",
    "template.add": "Template added",
    "template.change": "Template changed",
    "template.refuse": "Template refused",
    "template.remove": "Template removed",
    "prune": "Delete old runs",
}


@dataclass(frozen=True, slots=True)
class AuditQuery(PageQuery):
    """The address of the audit."""

    endpoint: ClassVar[str] = "audit"
    choice_name: ClassVar[str] = "outcome"
    word_names: ClassVar[tuple[str, ...]] = ("actor", "event", "target", "run_id", "since", "until")

    @classmethod
    def of(cls, request: Request) -> AuditQuery:
        """Read a request's address; raises ValidationError for an outcome or an event that there is none of."""
        words = words_of(request, cls.word_names)
        outcome = request.args.get("outcome")
        for name, value, known in (("outcome", outcome, OUTCOMES), ("event", words.get("event"), EVENTS)):
            if value and value not in known:
                raise ValidationError(f"There is no {name} {value[:80]}.", hint=f"There are {', '.join(known)}.")
        cursor = request.args.get("cursor") or None
        return cls((outcome,) if outcome else (), words, cursor, wants_absolute(request))

    @property
    def outcome(self) -> str | None:
        """The outcome that the audit is narrowed to; None means all."""
        return self.choice[0] if self.choice else None

    def audit_filter(self, now: datetime) -> AuditFilter:
        """The filter for the database; raises ValidationError for a time that cannot be read."""
        since, until = self.between(now)
        return AuditFilter(
            actor=self.words.get("actor"),
            event=self.words.get("event"),
            outcome=self.outcome,
            target=self.words.get("target"),
            run_id=self.words.get("run_id"),
            since=since,
            until=until,
        )


@dataclass(frozen=True, slots=True)
class Line:
    """A row in words: ``note`` says more of it, with a ``code`` or the run that is started ``again``.

    Attributes:
        name: of who did it; empty where nobody knows more than their id.
        title: of the template run that it is about; empty where it is about none.
    """

    entry: AuditEntry
    what: str
    note: str = ""
    code: str = ""
    again: str = ""
    name: str = ""
    title: str = ""


def audit() -> Response:
    """Show the audit, newest first."""
    access.require_audit(current_identity())
    query = AuditQuery.of(request)
    found = _found(query)
    lines = _lines(found.items)
    facts = {
        "query": query,
        "lines": lines,
        "names": {line.entry.actor: line.name for line in lines if line.name},
        "newer": found.previous_cursor,
        "older": found.next_cursor,
        "outcomes": OUTCOMES,
        "events": [(event, EVENT_WORDS[event]) for event in EVENTS],
    }
    return page("audit.html", facts)


def _found(query: AuditQuery) -> Page:
    wanted = query.audit_filter(datetime.now(UTC))
    found = audit_trail.entries(wanted, limit=PAGE_SIZE, cursor=query.cursor)
    if query.cursor and not found.previous_cursor:
        # Back at the newest row: a whole page from there, not what was left over.
        return audit_trail.entries(wanted, limit=PAGE_SIZE)
    return found


def _lines(entries: Sequence[AuditEntry]) -> list[Line]:
    people = audit_trail.names_of_people(entry.actor for entry in entries)
    titles = audit_trail.titles_of_template_runs(run_id for entry in entries if (run_id := _run_of(entry)))
    return [
        replace(_line(entry), name=people.get(entry.actor, ""), title=titles.get(_run_of(entry) or "", ""))
        for entry in entries
    ]


def _run_of(entry: AuditEntry) -> str | None:
    """The template run that a row is about; of a step's row, the step is what it is about."""
    return entry.run_id if entry.event.startswith("template_run.") else None


def _line(entry: AuditEntry) -> Line:
    what = EVENT_WORDS.get(entry.event, entry.event)
    details = entry.details
    if permission := details.get("permission"):
        return Line(entry, what, "needs", code=permission)
    if error_code := details.get("error_code"):
        return Line(entry, what, code=error_code)
    if retry_of := details.get("retry_of"):
        return Line(entry, what, "again after", again=retry_of)
    if origin := details.get("origin"):
        return Line(entry, what, f"fixes {origin['rule']} on {origin['entity']}")
    if version := details.get("version"):
        return Line(
            entry, what, "commit" if details.get("commit") else "version", code=details.get("commit", version)[:16]
        )
    return Line(entry, what, _of_upkeep(details))


def _of_upkeep(details: Mapping[str, Any]) -> str:
    """What a row of nobody's doing says: which version of a template, or how much was deleted."""
    if commit := details.get("commit"):
        return f"commit {commit[:SHORT_COMMIT]}"
    if version := details.get("version"):
        return f"version {version}"
    if "audit_rows" in details:
        return f"{details['template_runs'] + details['one_offs']} runs, {details['audit_rows']} audit rows"
    return ""
