"""What host, API, pages and commands read of runs. All of it is frozen: nothing here is a database row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

Json = Any
"""A JSON value in what hosts, handlers and pages are given, who know by the action or the template what is inside."""
JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
"""A JSON value of which nothing else is known: to be looked at before it is used."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What asked for a run besides a person: the failing scorecard rule of an entity."""

    entity: str
    scorecard: str
    rule: str


@dataclass(frozen=True, slots=True)
class Link:
    """A titled address that an action or a template gives as its result."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class RunError:
    """Why a run failed, for people and programs. ``retry_at`` is when a retry can help, where the other side said."""

    code: str
    message: str
    hint: str
    retryable: bool
    retry_verdict: str
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far something is: ``done`` of ``total`` parts."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of an action run. ``outcome`` is a status, or ``lost`` when the worker died."""

    number: int
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    error_code: str | None
    error_message: str | None
    worker: str


class LogLine(NamedTuple):
    """A line that a handler wrote with ``ctx.log``. ``level`` is info, warning or error."""

    seq: int
    attempt: int
    at: datetime
    level: str
    message: str


@dataclass(frozen=True, slots=True)
class LockHolder:
    """The action run that a queued one waits for, since both write to the same: ``lock`` names what.

    Who may not see that run is told neither its id nor its address.
    """

    lock: str
    run_id: str | None
    html_url: str | None

    reason = "lock"

    @property
    def message(self) -> str:
        """What it waits for, in a sentence."""
        holder = f"the run {self.run_id}" if self.run_id else "another run"
        return f"It waits until {holder} is through with {self.lock}."


@dataclass(frozen=True, slots=True)
class OwnSteps:
    """That a queued action run waits for another step of who requested it: ``most`` of one person's run at a time."""

    most: int
    requester_name: str

    reason = "own_steps"
    lock = None
    run_id = None
    html_url = None

    @property
    def message(self) -> str:
        """What it waits for, in a sentence."""
        steps = "1 step" if self.most == 1 else f"{self.most} steps"
        return (
            f"It waits until another step of {self.requester_name} ends: of one person, {steps} may run here at a time."
        )


@dataclass(frozen=True, slots=True)
class ActionRun:
    """One execution of one action: a step of a template run, or a one-off.

    ``worker_lost`` is true while the row says running but its lease has lapsed. ``not_before`` is when the next
    attempt of a queued run is due. ``taken_over_from`` is the template run that really executed this step, when the
    run was resumed. ``waits_for`` and ``attempts`` are empty in lists and signals. ``item_key`` is ``each.key`` of an
    item of a step, ``item_name`` what people call it, and ``items`` stands for all of them where the newest one does
    in a list; they are there only where somebody looks at items.
    """

    id: str
    action: str
    status: str
    attempt: int
    max_attempts: int
    requested_by: str
    requester_name: str
    queued_at: datetime
    html_url: str
    version: int
    step_id: str | None = None
    step_name: str | None = None
    position: int = 0
    template_run_id: str | None = None
    template: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    not_before: datetime | None = None
    waits_for: LockHolder | OwnSteps | None = None
    worker_lost: bool = False
    entity: str | None = None
    origin: Origin | None = None
    retry_of: str | None = None
    retried_as: str | None = None
    taken_over_from: str | None = None
    input: Mapping[str, Json] = field(default_factory=dict)
    outputs: Mapping[str, Json] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    warnings: tuple[str, ...] = ()
    progress: Progress | None = None
    error: RunError | None = None
    attempts: tuple[Attempt, ...] = ()
    item_key: str | None = None
    item_name: str | None = None
    items: StepItems | None = None

    @property
    def duration_ms(self) -> int | None:
        return duration_ms(self.started_at, self.finished_at)


@dataclass(frozen=True, slots=True)
class ItemRun:
    """One item of a step with ``each``, in short.

    ``status`` is its action run's, or ``pending``, ``skipped`` or ``not_run`` while ``run_id`` is None. ``name`` is what
    people call it. ``worker_lost`` is as of an action run.
    """

    index: int
    key: str
    name: str
    value: Json
    status: str
    run_id: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error_code: str | None = None
    error_message: str | None = None
    taken_over_from: str | None = None
    worker_lost: bool = False

    @property
    def duration_ms(self) -> int | None:
        return duration_ms(self.started_at, self.finished_at)


@dataclass(frozen=True, slots=True)
class StepItems:
    """What a step with ``each`` goes through.

    Attributes:
        total: the items of its list.
        status: of the step as a whole.
        counts: how many there are of each status of a step, those that its ``if`` left out as ``skipped``.
        shown: some of those that failed or are at work, in their order: the failed ones first.
    """

    total: int
    status: str
    counts: Mapping[str, int] = field(default_factory=dict)
    started_at: datetime | None = None
    finished_at: datetime | None = None
    shown: tuple[ActionRun, ...] = ()

    @property
    def done(self) -> int:
        """How many have succeeded."""
        return self.counts.get("success", 0)

    @property
    def failed(self) -> int:
        return self.counts.get("failed", 0)

    @property
    def to_do(self) -> int:
        """How many there are to do in all: those that the step's ``if`` holds for."""
        return self.total - self.counts.get("skipped", 0)

    @property
    def duration_ms(self) -> int | None:
        """From the beginning of the first to the end of the last, once none is at work."""
        at_work = self.counts.get("running", 0) + self.counts.get("queued", 0)
        return None if at_work else duration_ms(self.started_at, self.finished_at)


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a template run as people see it.

    ``status`` is its action run's status, or ``pending``, ``skipped`` or ``not_run`` while ``run`` is None. A step with
    ``each`` has ``items`` instead of a ``run`` once its list has been worked out, and the status of all of them.
    """

    step_id: str
    name: str
    action: str
    status: str
    run: ActionRun | None = None
    items: StepItems | None = None

    @property
    def runs(self) -> tuple[ActionRun, ...]:
        """Its action run, or those of its items that are shown."""
        return (self.run,) if self.run else self.items.shown if self.items else ()

    @property
    def error(self) -> RunError | None:
        """Why it failed: of its items, the first that did."""
        return next((run.error for run in self.runs if run.error), None)


SHORT_COMMIT = 8
"""Digits of a commit that people are shown."""


@dataclass(frozen=True, slots=True)
class RepositoryCommit:
    """Where a template was read: a repository at a commit.

    Attributes:
        repository: its address.
        ref: the branch or tag that was followed; empty for the default branch.
        commit: its SHA.
        path: of the folder with the templates, below the repository's top; empty for all of it.
        url: the page of the commit; empty for a repository without pages.
    """

    repository: str
    ref: str
    commit: str
    path: str = ""
    url: str = ""

    @property
    def short(self) -> str:
        """The commit as people write it."""
        return self.commit[:SHORT_COMMIT]

    @property
    def shown(self) -> str:
        """The repository as people write it, such as ``github.com/acme/templates``."""
        return self.repository.partition("://")[2].removesuffix(".git").removeprefix("/")

    @classmethod
    def from_json(cls, kept: object) -> RepositoryCommit | None:
        """Read back what ``asdict`` made of one; None where it is something else."""
        if not isinstance(kept, Mapping):
            return None
        values = {one.name: kept.get(one.name, "") for one in fields(cls)}
        return cls(**values) if all(isinstance(value, str) for value in values.values()) else None


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of a kept workspace, as people see it.

    Attributes:
        path: below the workspace; secrets in it are masked.
        size: in bytes, of the file with its secrets.
        executable: whether it can be executed.
        masked: whether secrets in it are masked where it is downloaded.
        link_to: of a link, what is written in it.
    """

    path: str
    size: int
    executable: bool = False
    masked: bool = False
    link_to: str | None = None


@dataclass(frozen=True, slots=True)
class KeptWorkspace:
    """What the folder of a template run's steps held after the last one that has changed it.

    Attributes:
        files: some of its files and links, in the order of their paths; ``next_after`` counts those up to the last of these, if there are more.
        count: how many there are in all; ``size`` the bytes of all.
        emptied_at: when they were deleted: there are none then.
    """

    run_id: str
    files: tuple[KeptFile, ...]
    count: int
    size: int
    kept_at: datetime
    emptied_at: datetime | None = None
    next_after: int | None = None


@dataclass(frozen=True, slots=True)
class TemplateRun:
    """One execution of a template with one user's inputs. ``steps`` is empty in lists and signals.

    ``resumed_step`` is the id of the step that this run began at, when it resumed the run it is a retry of.
    ``failed_at_step`` is that of the step that failed first, also while the run still cleans up after it.
    ``source`` is the commit that its template was read from, of a template from a git repository.
    """

    id: str
    template: str
    title: str
    status: str
    requested_by: str
    requester_name: str
    queued_at: datetime
    html_url: str
    version: int
    progress: Progress = Progress(0, 0)
    inputs: Mapping[str, Json] = field(default_factory=dict)
    outputs: Mapping[str, Json] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    started_at: datetime | None = None
    finished_at: datetime | None = None
    entity: str | None = None
    origin: Origin | None = None
    retry_of: str | None = None
    retried_as: str | None = None
    resumed_step: str | None = None
    failed_at_step: str | None = None
    source: RepositoryCommit | None = None
    steps: tuple[Step, ...] = ()

    @property
    def is_cleaning_up(self) -> bool:
        """Whether it has failed, and ends once the steps have run that do so after a failure."""
        return self.status == "running" and self.failed_at_step is not None

    @property
    def duration_ms(self) -> int | None:
        return duration_ms(self.started_at, self.finished_at)


def duration_ms(started_at: datetime | None, finished_at: datetime | None) -> int | None:
    """Whole milliseconds between two moments, or None while either is missing."""
    if started_at is None or finished_at is None:
        return None
    return max(0, round((finished_at - started_at).total_seconds() * 1000))


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A filter that fits no run that who asks may see; ``similar`` are names that they may know, and may have meant."""

    filter: str
    message: str
    similar: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A keyset page, newest first. A cursor is None where there is nothing more on that side.

    ``searched_back_to`` is there where a search has looked at as many runs as one page may: it goes on by the cursor,
    and may have found nothing so far. ``unmatched`` says of an empty list of runs which filters fit nothing at all.
    """

    items: Sequence[Any]
    limit: int
    next_cursor: str | None
    previous_cursor: str | None = None
    searched_back_to: datetime | None = None
    unmatched: Sequence[Unmatched] = ()


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to what, and how it ended.

    Attributes:
        event: one of ``audit_trail.EVENTS``.
        outcome: ``accepted``, ``denied``, ``rate_limited``, or the status that a run ended with.
        target: a template name, an action id or a run id.
        run_id: the run that it is about; of a step, with its ``template_run_id``.
        details: ``permission`` of a denial, ``error_code`` of a failure, ``retry_of`` and ``origin`` of a start, and
            what a prune has deleted.
    """

    actor: str
    event: str
    outcome: str
    target: str
    run_id: str | None = None
    template_run_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""
    at: datetime | None = None
    last_at: datetime | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class LogEnd:
    """How many lines a log has, and how many of them are of the levels asked for."""

    total: int
    matching: int
