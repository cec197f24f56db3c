"""What the address of the list says: the filter, where in the list, and how to show times."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from flask import Request, url_for

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.runs.states import STATUSES

ABSOLUTE = "absolute"
PANEL_WORDS = ("action", "template", "requested_by", "entity", "since", "until")
"""The filters that are one word each, and have a field of their own."""

WORDS = ("q", *PANEL_WORDS)
"""The same with what is searched for; ``status`` may come more than once."""

MAX_SEARCH_CHARS = 100

_SPAN = re.compile(r"(\d{1,4})\s*([mhd])")
_SPAN_UNIT = {"m": "minutes", "h": "hours", "d": "days"}
_EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The address of ``/actions``, taken apart. ``words`` has the filters that are set."""

    status: tuple[str, ...]
    words: Mapping[str, str]
    cursor: str | None
    absolute: bool

    @classmethod
    def of(cls, request: Request) -> ListQuery:
        """Read a request's address; raises ValidationError for what cannot be looked for."""
        status = tuple(dict.fromkeys(word for word in request.args.getlist("status") if word))
        if unknown := sorted(set(status) - set(STATUSES)):
            raise ValidationError(
                f"There is no status {', '.join(unknown)}.", hint=f"The statuses are {', '.join(STATUSES)}."
            )
        words = words_of(request, WORDS)
        if len(words.get("q", "")) > MAX_SEARCH_CHARS:
            raise ValidationError(
                f"What to search for has at most {MAX_SEARCH_CHARS} characters.",
                hint="The beginning of an id, a name or an entity is enough.",
            )
        return cls(
            status=status,
            words=words,
            cursor=request.args.get("cursor") or None,
            absolute=wants_absolute(request),
        )

    @property
    def filters(self) -> bool:
        """Whether anything narrows the list."""
        return bool(self.status or self.words)

    def kept(self, *others: str) -> list[tuple[str, str]]:
        """What a form for those words has to carry along, so that no other filter is lost."""
        kept = [("status", status) for status in self.status]
        kept += [(name, value) for name, value in self.words.items() if name not in others]
        return [*kept, ("times", ABSOLUTE)] if self.absolute else kept

    def run_filter(self, now: datetime) -> RunFilter:
        """The filter for the database; raises ValidationError for a time that cannot be read."""
        since, until = self.words.get("since"), self.words.get("until")
        return RunFilter(
            status=self.status,
            action=self.words.get("action"),
            template=self.words.get("template"),
            requested_by=self.words.get("requested_by"),
            entity=self.words.get("entity"),
            since=moment("since", since, now, time.min) if since else None,
            until=moment("until", until, now, time.max) if until else None,
            q=self.words.get("q"),
        )

    def url(self, **changes: Any) -> str:
        """The list's address with changes; None takes something out."""
        values = {
            "status": list(self.status),
            **self.words,
            "times": ABSOLUTE if self.absolute else None,
            "cursor": self.cursor,
            **changes,
        }
        return url_for("portal_actions.action_runs", **{name: value for name, value in values.items() if value})

    def fields(self) -> list[tuple[str, str]]:
        """What ``url`` says, as fields of a form that leads elsewhere and has to know the way back."""
        return parse_qsl(urlsplit(self.url()).query)

    def filter_url(self, **changes: Any) -> str:
        """As ``url``, from the newest run on: another filter is another list."""
        return self.url(**{"cursor": None, **changes})

    def cleared_url(self) -> str:
        """The whole list; times stay as they are."""
        return self.filter_url(status=None, **dict.fromkeys(WORDS))


def wants_absolute(request: Request) -> bool:
    return request.args.get("times") == ABSOLUTE


def words_of(request: Request, names: Sequence[str]) -> dict[str, str]:
    """The filters of an address that are one word each, and set."""
    # PostgreSQL takes no NUL in a text.
    given = {name: request.args.get(name, "").replace("\0", "").strip() for name in names}
    return {name: value for name, value in given.items() if value}


def moment(name: str, text: str, now: datetime, time_of_day: time) -> datetime:
    """The moment that a word means; a day begins or ends. Raises ValidationError, with the filter's name."""
    if span := _SPAN.fullmatch(text):
        return now - timedelta(**{_SPAN_UNIT[span[2]]: int(span[1])})
    try:
        found = datetime.fromisoformat(text.removesuffix(" UTC"))
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            found = datetime.combine(found, time_of_day)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        found = datetime.min.replace(tzinfo=UTC)
    if found < _EARLIEST:
        raise ValidationError(
            f"{name}: {text[:80]} is no time.",
            hint="Write 24h, 7d, 2025-11-22 or 2025-11-22 08:30; times are UTC.",
        )
    return found
