"""The types that a host portal and the plugin share. All of them are frozen: nothing here is a database row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from portal_actions_plugin.software_templates.spec import Template

Json = Any
PERMISSIONS = ("action:read", "action:run", "template:read", "template:run", "run:cancel-any", "audit:read")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks.

    Attributes:
        id: a stable id such as ``user:ada@example.com``.
        display_name: what pages show; the id when empty.
        roles: the names that the role table, or the host's authorizer, turns into permissions.
    """

    id: str
    display_name: str = ""
    roles: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not 0 < len(self.id) <= 255:
            raise ValueError(f"An identity's id has 1 to 255 characters, not {len(self.id)}.")

    @property
    def name(self) -> str:
        return self.display_name or self.id


@dataclass(frozen=True, slots=True)
class NavItem:
    """An entry of the host's navigation. ``icon`` is a short text or SVG path name the host may ignore."""

    label: str
    url: str
    icon: str
    active: bool


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
    """The action run that a queued one waits for, since both write to the same: ``lock`` names what."""

    lock: str
    run_id: str
    html_url: str


@dataclass(frozen=True, slots=True)
class ActionRun:
    """One execution of one action: a step of a template run, or a one-off.

    ``worker_lost`` is true while the row says running but its lease has lapsed. ``not_before`` is when the next
    attempt of a queued run is due. ``taken_over_from`` is the template run that really executed this step, when the
    run was resumed. ``waits_for`` and ``attempts`` are empty in lists and signals.
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
    waits_for: LockHolder | None = None
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

    @property
    def duration_ms(self) -> int | None:
        return duration_ms(self.started_at, self.finished_at)


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a template run as people see it.

    ``status`` is its action run's status, or ``pending``, ``skipped`` or ``not_run`` while ``run`` is None.
    """

    step_id: str
    name: str
    action: str
    status: str
    run: ActionRun | None = None


@dataclass(frozen=True, slots=True)
class TemplateRun:
    """One execution of a template with one user's inputs. ``steps`` is empty in lists and signals.

    ``resumed_step`` is the id of the step that this run began at, when it resumed the run it is a retry of.
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
    steps: tuple[Step, ...] = ()

    @property
    def duration_ms(self) -> int | None:
        return duration_ms(self.started_at, self.finished_at)


def duration_ms(started_at: datetime | None, finished_at: datetime | None) -> int | None:
    """Whole milliseconds between two moments, or None while either is missing."""
    if started_at is None or finished_at is None:
        return None
    return max(0, round((finished_at - started_at).total_seconds() * 1000))


@dataclass(frozen=True, slots=True)
class TemplateProblem:
    """Why a template file cannot be used.

    Attributes:
        file: its name as people may see it, which is not where it lies on the server.
        line: counts from 1.
        key: a path such as ``spec.steps[1].action``.
        message: what is wrong.
        path: where it lies, for who runs the server; empty where there is no file.
    """

    file: str
    line: int
    key: str
    message: str
    path: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key}: {self.message}"


@dataclass(frozen=True, slots=True)
class TemplateListing:
    """What a template source knows: the usable templates by name, and what is wrong with the others."""

    templates: tuple[Template, ...]
    problems: tuple[TemplateProblem, ...] = ()


class TemplateSource(Protocol):
    """Where templates come from: folders by default, or the host's own store."""

    def list(self) -> TemplateListing:
        """All templates and all problems."""

    def get(self, name: str) -> Template:
        """One template by name; raises NotFoundError when there is none."""


class Catalog(Protocol):
    """The host's software catalog."""

    def register_entity(self, entity: Mapping[str, Json], source: str | None) -> str:
        """Create or update an entity, keyed by kind, namespace and name; returns its id."""


class Scorecards(Protocol):
    """The host's scorecards."""

    def evaluate(self, entity_id: str, scorecard_id: str, force: bool) -> Mapping[str, Json]:  # noqa: FBT001 the host contract's signature
        """Evaluate and return ``level`` and ``results``."""


IdentityLoader = Callable[[], Identity | None]
Authorizer = Callable[[Identity, str, Any], bool]
ScmCredentials = Callable[[str, str], str | None]
"""These may be async as well, and so may the methods above."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a host has given to the plugin; None means the default."""

    identity_loader: IdentityLoader | None = None
    authorizer: Authorizer | None = None
    template_source: TemplateSource | None = None
    catalog: Catalog | None = None
    scorecards: Scorecards | None = None
    scm_credentials: ScmCredentials | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A keyset page, newest first. A cursor is None where there is nothing more on that side."""

    items: Sequence[Any]
    limit: int
    next_cursor: str | None
    previous_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class SkeletonFile:
    """A file of a template's skeleton folder: its path below the folder, its bytes, and whether it is executable."""

    path: str
    content: bytes
    executable: bool = False
    source: Path | None = None
