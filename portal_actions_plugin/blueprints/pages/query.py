"""What the address of a list's page says: the filter, where in the list, and how to show times."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from flask import Request, url_for

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.runs.states import STATUSES

ABSOLUTE = "absolute"
PANEL_WORDS = ("action", "template", "requested_by", "entity", "since", "until")
"""The filters that are one word each, and have a field of their own."""

MAX_SEARCH_CHARS = 100

_AN_ID = re.compile(r"(?i)(^|\s)[0-9a-f]{8}(-|\b)")
_SPAN = re.compile(r"(\d{1,4})\s*([mhd])")
_SPAN_UNIT = {"m": "minutes", "h": "hours", "d": "days"}
_EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)


UrlValue = str | Sequence[str] | None
"""What an address may say by one name: a word, several, or nothing."""


@dataclass(frozen=True, slots=True)
class PageQuery:
    """The address of a page with a list, taken apart.

    Attributes:
        choice: the values of the filter that is a row of chips.
        words: the filters that are one word each and are set, by name.
        cursor: where in the list; None for its newest rows.
        absolute: whether times are shown as moments, not as ages.
    """

    choice: tuple[str, ...]
    words: Mapping[str, str]
    cursor: str | None
    absolute: bool

    endpoint: ClassVar[str]
    choice_name: ClassVar[str]
    word_names: ClassVar[tuple[str, ...]]

    @property
    def filters(self) -> bool:
        """Whether anything narrows the list."""
        return bool(self.choice or self.words)

    def url(self, **changes: UrlValue) -> str:
        """The page's address with changes; None takes something out."""
        values: dict[str, Any] = {
            self.choice_name: self.choice,
            **self.words,
            "times": ABSOLUTE if self.absolute else None,
            "cursor": self.cursor,
            **changes,
        }
        return url_for(f"portal_actions.{self.endpoint}", **{name: value for name, value in values.items() if value})

    def filter_url(self, **changes: UrlValue) -> str:
        """The address with changes, from the newest row on: another filter is another list."""
        return self.url(**{"cursor": None, **changes})

    def cleared_url(self) -> str:
        """The address of the whole list; times stay as they are."""
        return self.filter_url(**dict.fromkeys((self.choice_name, *self.word_names)))

    def fields(self) -> list[tuple[str, str]]:
        """The address as fields of a form that leads elsewhere and has to know the way back."""
        return parse_qsl(urlsplit(self.url()).query)

    def kept(self, *others: str) -> list[tuple[str, str]]:
        """What a form for those words has to carry along, so that no other filter is lost."""
        kept = [(self.choice_name, value) for value in self.choice]
        kept += [(name, value) for name, value in self.words.items() if name not in others]
        return [*kept, ("times", ABSOLUTE)] if self.absolute else kept

    def between(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """The moments that ``since`` and ``until`` mean; raises ValidationError for one that cannot be read."""
        since, until = self.words.get("since"), self.words.get("until")
        return (
            moment("since", since, now, time.min) if since else None,
            moment("until", until, now, time.max) if until else None,
        )


@dataclass(frozen=True, slots=True)
class ListQuery(PageQuery):
    """The address of ``/actions``.

    Attributes:
        unfold: the id of the run on it that stands for the items of a step, and is listed with them.
    """

    unfold: str = ""

    endpoint: ClassVar[str] = "action_runs"
    choice_name: ClassVar[str] = "status"
    word_names: ClassVar[tuple[str, ...]] = ("q", *PANEL_WORDS)

    @classmethod
    def of(cls, request: Request) -> ListQuery:
        """Read a request's address; raises ValidationError for what cannot be looked for."""
        status = tuple(dict.fromkeys(word for word in request.args.getlist("status") if word))
        if unknown := sorted(set(status) - set(STATUSES)):
            raise ValidationError(
                f"There is no status {', '.join(unknown)}.", hint=f"The statuses are {', '.join(STATUSES)}."
            )
        words = words_of(request, cls.word_names)
        if len(words.get("q", "")) > MAX_SEARCH_CHARS:
            raise ValidationError(
                f"What to search for has at most {MAX_SEARCH_CHARS} characters.",
                hint="The beginning of an id, a name or an entity is enough.",
            )
        cursor, unfold = request.args.get("cursor") or None, request.args.get("unfold", "")
        return cls(status, words, cursor, wants_absolute(request), unfold)

    def unfold_url(self, run_id: str) -> str:
        """The address that shows the items that a run stands for, or folds them again."""
        return f"{self.url(unfold=None if run_id == self.unfold else run_id)}#run-{run_id}"

    @property
    def status(self) -> tuple[str, ...]:
        """The statuses that the list is narrowed to; none of them means all."""
        return self.choice

    def run_filter(self, now: datetime) -> RunFilter:
        """The filter for the database; raises ValidationError for a time that cannot be read."""
        since, until = self.between(now)
        return RunFilter(
            status=self.status,
            action=self.words.get("action"),
            template=self.words.get("template"),
            requested_by=self.words.get("requested_by"),
            entity=self.words.get("entity"),
            since=since,
            until=until,
            q=self.words.get("q"),
            folded=not _AN_ID.search(self.words.get("q", "")),  # whoever looks for one item by its id wants that one
        )


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
