"""How pages write times, lengths, people and values. Everything here is text: Jinja escapes it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from portal_actions_plugin.blueprints.pages.outlines import outline
from portal_actions_plugin.run_types import (
    ActionRun,
    Attempt,
    ItemRun,
    RunError,
    Step,
    StepItems,
    TemplateRun,
    duration_ms,
)
from portal_actions_plugin.runs.states import CLEANING_UP, LOST, RUNNING
from portal_actions_plugin.software_templates.outputs.addresses import web_address

MAX_ENTRIES = 100
LONG = 120
"""A text of more characters than this is long: it is not written twice."""

MAX_VALUE_CHARS = 4_000

_WORDS = {"not_run": "not run", CLEANING_UP: "failed, cleaning up", LOST: "worker lost", "rate_limited": "rate limited"}
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
_OLD_SECONDS = 60 * 86_400


@dataclass(frozen=True, slots=True)
class Value:
    """One line of a value; ``url`` where it may be a link."""

    text: str
    url: str | None = None

    @property
    def is_long(self) -> bool:
        return len(self.text) > LONG


@dataclass(frozen=True, slots=True)
class Entry:
    """A name and what belongs to it. ``copied`` is what a copy of it is; empty where not all of it is shown."""

    name: str
    values: tuple[Value, ...]
    copied: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a retry can help, in the API's words; ``at`` is the moment among them, if there is one."""

    before: str
    at: datetime | None = None
    after: str = ""


@dataclass(frozen=True, slots=True)
class PageText:
    """The words of one answer: all of its times are told from the same moment."""

    now: datetime
    absolute: bool = False

    def when(self, moment: datetime) -> str:
        """A moment that has passed, as the visitor wants times: relative or absolute."""
        return self.clock(moment) if self.absolute else self.ago(moment)

    def other(self, moment: datetime) -> str:
        """A moment the other way than the visitor wants it, for the title."""
        return self.ago(moment) if self.absolute else self.clock(moment)

    def ago(self, moment: datetime) -> str:
        # The database's clock may be a little ahead of this machine's.
        seconds = max(0, int((self.now - moment).total_seconds()))
        if seconds >= _OLD_SECONDS:
            return moment.astimezone(UTC).date().isoformat()
        return f"{_rounded(seconds)} ago" if seconds else "just now"

    def elapsed(self, since: datetime) -> str:
        """How long something has been going on, as the script counts it up."""
        seconds = self.milliseconds_since(since) // 1_000
        return f"{seconds}s" if seconds < 10 else self.duration(seconds * 1_000)

    def milliseconds_since(self, moment: datetime) -> int:
        return duration_ms(moment, self.now) or 0

    def until(self, moment: datetime) -> str:
        """How long until a moment that is to come."""
        seconds = int((moment - self.now).total_seconds())
        return f"in {_rounded(seconds)}" if seconds > 0 else "now"

    def relative(self, moment: datetime) -> str:
        """A moment that may be on either side of now."""
        return self.until(moment) if self.is_ahead(moment) else self.ago(moment)

    def is_ahead(self, moment: datetime | None) -> bool:
        """Whether a moment is still to come, by a whole second at least: "in 0s" tells nobody anything."""
        return moment is not None and (moment - self.now).total_seconds() >= 1

    def due(self, moment: datetime) -> str:
        """A moment to come, in full: how long that is, and when it is."""
        if self.absolute:
            return f"at {self.clock(moment)}"
        return f"{self.until(moment)} ({self._short_clock(moment)})"

    def due_in_a_row(self, moment: datetime) -> str:
        """A moment to come for a narrow column: how long that is, or when it is."""
        return self._short_clock(moment) if self.absolute else self.until(moment)

    def other_due(self, moment: datetime) -> str:
        """A moment the other way than the visitor wants it, for the title."""
        return self.until(moment) if self.absolute else self.clock(moment)

    def _short_clock(self, moment: datetime) -> str:
        """The time alone while that is today's."""
        same_day = moment.astimezone(UTC).date() == self.now.astimezone(UTC).date()
        return moment.astimezone(UTC).strftime("%H:%M:%S UTC") if same_day else self.clock(moment)

    @staticmethod
    def clock(moment: datetime) -> str:
        return f"{moment.astimezone(UTC).isoformat(' ', 'seconds')[:19]} UTC"

    @staticmethod
    def iso(moment: datetime) -> str:
        return f"{moment.astimezone(UTC).isoformat('T', 'milliseconds')[:23]}Z"

    @staticmethod
    def duration(milliseconds: int | None) -> str:
        """A length that people compare at a glance: 640ms, 4.8s, 41s, 3m 12s, 2h 5m."""
        if milliseconds is None:
            return "—"
        if milliseconds < 1_000:
            return f"{milliseconds}ms"
        if milliseconds < 9_950:
            return f"{milliseconds / 1_000:.1f}s"
        seconds = round(milliseconds / 1_000)
        size = next(index for index, (length, _) in enumerate(_UNITS) if seconds >= length)
        (length, unit), rest = _UNITS[size], _UNITS[size + 1 : size + 2]
        parts = [f"{seconds // length}{unit}"]
        parts += [f"{seconds % length // smaller}{name}" for smaller, name in rest if seconds % length >= smaller]
        return " ".join(parts)

    @staticmethod
    def wait(seconds: int) -> str:
        """A wait as the script counts it down."""
        minutes, rest = divmod(seconds, 60)
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"

    def took(self, attempt: Attempt) -> str:
        return self.duration(duration_ms(attempt.started_at, attempt.finished_at))

    @staticmethod
    def attempts_left(run: ActionRun) -> str:
        """How many more times a run may be tried."""
        left = run.max_attempts - run.attempt
        return "1 is left" if left == 1 else f"{left} are left"

    def verdict(self, error: RunError) -> Verdict:
        """What the API says about a retry, with its moment apart where it names one."""
        if error.retry_at is None:
            return Verdict(error.retry_verdict)
        before, found, after = error.retry_verdict.partition(self.clock(error.retry_at))
        return Verdict(before, error.retry_at, after) if found else Verdict(error.retry_verdict)

    @staticmethod
    def report(run_id: str, error: RunError) -> str:
        """A failure in short, for somebody to look into."""
        return f"{error.code}: {error.message}\nRun {run_id}"

    @staticmethod
    def status(run: ActionRun | ItemRun | Step | TemplateRun) -> str:
        """The status to show: a run whose worker is gone is not running, whatever its row still says."""
        if run.status == RUNNING and _is_lost(run):
            return LOST
        return CLEANING_UP if isinstance(run, TemplateRun) and run.is_cleaning_up else run.status

    @staticmethod
    def word(status: str) -> str:
        return _WORDS.get(status, status)

    def items(self, of: StepItems) -> str:
        """How far the items of a step are: "498 of 500 items done, 2 failed"."""
        said = [f"{of.done:,} of {of.to_do:,} {'item' if of.to_do == 1 else 'items'} done"]
        told = ("failed", "running", "queued", "canceled", "not_run")
        said += [f"{of.counts[status]:,} {self.word(status).lower()}" for status in told if of.counts.get(status)]
        left_out = of.counts.get("skipped", 0)
        return ", ".join(said + ([f"{left_out:,} left out by its condition"] if left_out else []))

    @staticmethod
    def initials(name: str) -> str:
        words = [word for word in re.split(r"[\W_]+", name.partition("@")[0].rpartition(":")[2]) if word]
        chosen = words if len(words) < 2 else [words[0], words[-1]]
        return "".join(word[0] for word in chosen).upper() or "?"

    @staticmethod
    def short_id(run_id: str) -> str:
        return run_id[:13]

    @staticmethod
    def link(value: object) -> str | None:
        """The value itself when it is an http(s) address and nothing else; only such a value becomes a link."""
        return web_address(value)

    def entries(self, data: Mapping[str, Any]) -> list[Entry]:
        """Inputs or outputs, name by name; ``more_entries`` says how many are left out."""
        return [self._entry(str(name), data[name]) for name in list(data)[:MAX_ENTRIES]]

    @staticmethod
    def more_entries(data: Mapping[str, Any]) -> int:
        return max(0, len(data) - MAX_ENTRIES)

    def _entry(self, name: str, value: object) -> Entry:
        values = self._values(value)
        text = "\n".join(part.text for part in values)
        is_whole = len(text) <= MAX_VALUE_CHARS and not (isinstance(value, list) and len(value) > MAX_ENTRIES)
        return Entry(name, values, text if is_whole else "")

    def _values(self, value: object) -> tuple[Value, ...]:
        if isinstance(value, list) and value and all(isinstance(item, str | int | float) for item in value):
            shown = tuple(self._value(item) for item in value[:MAX_ENTRIES])
            more = len(value) - len(shown)
            return (*shown, Value(f"… and {more} more")) if more else shown
        return (self._value(value),)

    def _value(self, value: object) -> Value:
        if isinstance(value, str) and value:
            return Value(_clipped(value), self.link(value))
        if isinstance(value, Mapping | list) and value:
            shown, whole = outline(value, MAX_VALUE_CHARS)
            return Value(shown if whole else f"{shown}\n… and more: the API has all of it")
        return Value(json.dumps(value, ensure_ascii=False))


def _rounded(seconds: int) -> str:
    length, unit = next((length, unit) for length, unit in _UNITS if seconds >= length)
    return f"{seconds // length}{unit}"


def _clipped(text: str) -> str:
    if len(text) <= MAX_VALUE_CHARS:
        return text
    return f"{text[:MAX_VALUE_CHARS]} … ({len(text) - MAX_VALUE_CHARS:,} characters more)"


def _is_lost(run: ActionRun | ItemRun | Step | TemplateRun) -> bool:
    """Whether nobody is at work on what runs; a step goes on while one of its items does."""
    if isinstance(run, TemplateRun):
        return any(step.status == RUNNING and _is_lost(step) for step in run.steps)
    if isinstance(run, Step):
        at_work = [part for part in run.runs if part.status == RUNNING]
        return bool(at_work) and all(part.worker_lost for part in at_work)
    return run.worker_lost
