"""The types that a host portal and the plugin share. All of them are frozen: nothing here is a database row."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from portal_actions_plugin.run_types import Json

if TYPE_CHECKING:
    from portal_actions_plugin.software_templates.spec import Template

PERMISSIONS = (
    "action:read",
    "action:run",
    "template:read",
    "template:run",
    "template:edit",
    "run:cancel-any",
    "audit:read",
    "workspace:read",
    "repo:write",
    "parameter:read",
    "step:run",
)


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


class Severity(StrEnum):
    """How bad a finding is: a template with a problem cannot be used, one with warnings can."""

    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class TemplateFinding:
    """What is wrong at one place of a template.

    Attributes:
        file: its name as people may see it, which is not where it lies on the server.
        line: counts from 1.
        key: a path such as ``spec.steps[1].action``; of a skeleton's file, that of the step that names the skeleton.
        message: what is wrong, as a sentence that stands alone.
        path: where the file lies, for who runs the server; empty where there is none.
        severity: whether the template can be used.
        template: the template's name; empty where it is not known.
        value: the expression or the value that it is about, as it is read, cut; empty where it is about none.
        write: what to write instead; empty where the message says it all.
        waits_for: the action, or the part of the format, that this portal would have to have; empty where the file is wrong.
    """

    file: str
    line: int
    key: str
    message: str
    path: str = ""
    severity: Severity = Severity.PROBLEM
    template: str = ""
    value: str = ""
    write: str = ""
    waits_for: str = ""

    def __str__(self) -> str:
        write = f"; write {self.write}" if self.write and self.write not in self.message else ""
        return f"{self.file}:{self.line}: {self.key}: {self.message}{write}"


TemplateProblem = TemplateFinding
"""What it was called while a finding was always a problem."""


@dataclass(frozen=True, slots=True)
class TemplatePart:
    """A part of a template that its author has tagged: an authorizer decides whether somebody may have it.

    Attributes:
        template: the template's name.
        kind: ``page`` or ``parameter`` with the permission ``parameter:read``, ``step`` with ``step:run``.
        name: the parameter's name, the step's id, the title of the page.
        tags: of ``backstage:permissions``.
    """

    template: str
    kind: str
    name: str
    tags: tuple[str, ...]

    @property
    def permission(self) -> str:
        """What an authorizer is asked for."""
        return "step:run" if self.kind == "step" else "parameter:read"


@dataclass(frozen=True, slots=True)
class TemplateListing:
    """What a template source knows.

    Attributes:
        templates: those that can be used, by name.
        problems: what is wrong with the others.
        warnings: what those that can be used had better be rid of.
    """

    templates: tuple[Template, ...]
    problems: tuple[TemplateFinding, ...] = ()
    warnings: tuple[TemplateFinding, ...] = ()


class TemplateSource(Protocol):
    """Where templates come from: folders by default, or the host's own store."""

    def list(self) -> TemplateListing:
        """All templates and all findings."""

    def get(self, name: str) -> Template:
        """One template by name; raises NotFoundError when there is none."""


class Catalog(Protocol):
    """The host's software catalog."""

    def register_entity(self, entity: Mapping[str, Json], source: str | None) -> str:
        """Create or update an entity, keyed by kind, namespace and name; returns its id."""


class WiderCatalog(Catalog, Protocol):
    """What a host's software catalog may have beside that: templates of Backstage ask for it."""

    def register_location(self, url: str, optional: bool) -> str | None:  # noqa: FBT001 the host contract's signature
        """Register the file at an address, with all that it names.

        Without it, each entity of the file is given to ``register_entity`` by itself.

        Args:
            url: of a file such as ``catalog-info.yaml``, at any host.
            optional: whether the file may be missing, or be registered already.

        Returns:
            The reference of the entity that the file is about, such as ``component:default/orders``; None where that is
            not known.

        Raises:
            NotFoundError: there is no such file.
            ConflictError: it is registered already.
        """

    def get_entity(self, ref: str) -> Mapping[str, Json] | None:
        """The entity of a reference such as ``component:default/orders``; None when there is none."""


class Scorecards(Protocol):
    """The host's scorecards."""

    def evaluate(self, entity_id: str, scorecard_id: str, force: bool) -> Mapping[str, Json]:  # noqa: FBT001 the host contract's signature
        """Evaluate and return ``level`` and ``results``."""


IdentityLoader = Callable[[], Identity | None]
Authorizer = Callable[[Identity, str, Any], bool]
ScmCredentials = Callable[[str, str], str | None]
RequesterSecrets = Callable[[Identity, Sequence[str]], Mapping[str, str | None]]
UserEntity = Callable[[Identity], Mapping[str, Json] | None]
"""These may be async as well, and so may the methods above."""
TemplateFilters = Callable[[], Mapping[str, Callable[..., Json]]]
TemplateGlobals = Callable[[], Mapping[str, Callable[..., Json] | Json]]
"""These may not: expressions are evaluated where nothing can wait."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a host has given to the plugin; None means the default."""

    identity_loader: IdentityLoader | None = None
    authorizer: Authorizer | None = None
    template_source: TemplateSource | None = None
    catalog: Catalog | None = None
    scorecards: Scorecards | None = None
    scm_credentials: ScmCredentials | None = None
    requester_secrets: RequesterSecrets | None = None
    template_filters: TemplateFilters | None = None
    template_globals: TemplateGlobals | None = None
    user_entity: UserEntity | None = None


@dataclass(frozen=True, slots=True)
class SkeletonFile:
    """A file of a template's skeleton folder: its path below the folder, its bytes, and whether it is executable."""

    path: str
    content: bytes
    executable: bool = False
    source: Path | None = None


_MOVED = frozenset(
    {
        "Origin",
        "Link",
        "RunError",
        "Progress",
        "Attempt",
        "LogLine",
        "LockHolder",
        "OwnSteps",
        "ActionRun",
        "Step",
        "TemplateRun",
        "duration_ms",
        "Page",
    }
)


def __getattr__(name: str) -> Any:
    """What people read of runs was here at first: it is still found, with a warning. That goes with 0.2."""
    if name not in _MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from portal_actions_plugin import run_types

    warnings.warn(
        f"Import {name} from portal_actions_plugin.run_types: host goes on without it in 0.2.",
        DeprecationWarning,
        stacklevel=2,
    )
    return getattr(run_types, name)
