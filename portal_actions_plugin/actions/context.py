"""What a handler gets, ``ctx``: to log, to keep checkpoints and links, and to reach forges, secrets and the host."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.host import Catalog, Scorecards, SkeletonFile
from portal_actions_plugin.http_client.guard import HttpRules
from portal_actions_plugin.run_types import Link, Origin
from portal_actions_plugin.settings.forge_addresses import ForgeAddresses
from portal_actions_plugin.settings.installations import read_installations
from portal_actions_plugin.software_templates.readings import Reading

if TYPE_CHECKING:
    from portal_actions_plugin.actions.workspace import Workspace
    from portal_actions_plugin.http_client.exchange import Exchange
    from portal_actions_plugin.http_client.messages import Answer, Request
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.provider import ScmProvider

T = TypeVar("T")
MAX_KEY = 255


def fingerprint(value: object) -> str:
    """64 characters that are the same for the same JSON, in whatever order its objects are."""
    try:
        written = json.dumps(value, sort_keys=True, default=str)
    except TypeError:
        written = json.dumps(value, default=str)  # keys that are no texts have no order
    return hashlib.sha256(written.encode(errors="replace")).hexdigest()


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What a handler may know of its run.

    Attributes:
        id: of the action run.
        action: the action's id, such as ``scm.createRepo@v1``.
        attempt: which try this is, counted from 1.
        max_attempts: how many tries there may be.
        requested_by: the requester's id, such as ``user:ada@example.com``.
        requester_name: what pages call the requester.
        step_id: the step of the template that this run is; None for a one-off, as with the next two.
        template_run_id: the template run that it is a step of.
        template: that template's name.
        entity: the entity of the catalog that the run is about, if any.
        origin: the failing scorecard rule that asked for it, if any.
    """

    id: str
    action: str
    attempt: int
    max_attempts: int
    requested_by: str
    requester_name: str
    step_id: str | None = None
    template_run_id: str | None = None
    template: str | None = None
    entity: str | None = None
    origin: Origin | None = None


class Recorder(Protocol):
    """Where a handler's news go. The runner's writes to the database; a test's keeps lists."""

    def log(self, level: str, message: str) -> None:
        """Write a line of the run's log. ``level``: info, warning or error."""

    def progress(self, done: int, total: int) -> None:
        """Say that ``done`` of ``total`` parts are finished."""

    def load_checkpoint(self, key: str) -> tuple[bool, Any]:
        """Whether a checkpoint is kept by this run, or by one that it retries with the same input, and its value."""

    def load_note(self, key: str) -> tuple[bool, Any]:
        """As ``load_checkpoint``, of retried runs with any input: the key itself says what it is about."""

    def save_checkpoint(self, key: str, value: object) -> None:
        """Keep a JSON value under a key of 1 to 255 characters; it is committed when this returns."""

    def keep_links(self, links: Sequence[Link]) -> None:
        """Keep what was made so far, also should the attempt not come to its end."""

    def canceled(self) -> bool:
        """Whether the run was canceled or another process has taken it over."""

    def ensure_ours(self) -> None:
        """Raise when this attempt may not write to the outside any more."""


@dataclass(slots=True)
class ActionContext:
    """The runner's hand to a handler; see docs for every method.

    Attributes:
        run: ids, attempt, requester, entity and origin.
        http: what ``http.request@v1`` may connect to.
        ask_authorizer: whether the host lets the requester: permission, target.
        reading: how the run's template is read, and so its files; a one-off reads them as Backstage does.
        forge_addresses: which forge the address of a repository, a folder or a file belongs to.
        send: makes a call over HTTP; a dry run keeps those that write in place of making them.
        links: what ``link`` gathered, in earlier attempts too.
        warnings: what ``warn`` gathered.
    """

    run: RunInfo
    recorder: Recorder
    make_scm: Callable[[str, ActionContext], ScmProvider]
    host_catalog: Catalog | None = None
    host_scorecards: Scorecards | None = None
    http: HttpRules = field(default_factory=HttpRules)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    read_skeleton: Callable[[str], Sequence[SkeletonFile]] | None = None
    open_workspace: Callable[[], Workspace] | None = None
    on_redact: Callable[[str], None] = lambda _value: None
    ask_authorizer: Callable[[str, str], bool] = lambda _permission, _target: False
    reading: Reading = Reading.BACKSTAGE
    forge_addresses: ForgeAddresses = field(default_factory=lambda: ForgeAddresses(read_installations({})))
    send: Callable[[Exchange, Request], Answer] = lambda exchange, request: exchange.send(request)
    links: list[Link] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def log(self, message: str, *, level: str = "info") -> None:
        """Write a line that the run page and the structured log show. ``level``: info, warning or error."""
        self.recorder.log(level, message)

    def warn(self, text: str) -> None:
        """Keep a warning with the run's result; the run still succeeds."""
        self.warnings.append(text)
        self.recorder.log("warning", text)

    def link(self, title: str, url: str) -> None:
        """Keep a titled link to something that was made: it stays, whatever becomes of the run."""
        link = Link(title, url)
        if link not in self.links:
            self.links.append(link)
            self.recorder.keep_links(self.links)

    def progress(self, done: int, total: int) -> None:
        """Say that ``done`` of ``total`` parts are finished."""
        self.recorder.progress(done, total)

    def checkpoint(self, key: str, fn: Callable[[], T], *, of: JsonValue | Sequence[JsonValue] = None) -> T:
        """Do a part once, whatever becomes of this attempt.

        Args:
            key: the part's name, 1 to 255 printable characters; it is stored readable.
            fn: does the part; what it returns is kept as JSON.
            of: the parts of the input that it belongs to, not None; all of the input when left out.

        Returns:
            The kept value, of this run or of one that it retries with the same input; else what ``fn`` returned.

        Raises:
            ValueError: the key is not 1 to 255 printable characters; nothing was done.
        """
        load = self.recorder.load_checkpoint
        if of is not None:
            key, load = f"{key}.{fingerprint(of)[:16]}", self.recorder.load_note
        if not 0 < len(key) <= MAX_KEY or not key.isprintable():
            raise ValueError(f"A checkpoint's key has 1 to {MAX_KEY} printable characters, unlike {key[:MAX_KEY]!r}.")
        found, value = load(key)
        if found:
            kept: T = value
            return kept
        made = fn()
        self.recorder.save_checkpoint(key, made)
        return made

    @property
    def canceled(self) -> bool:
        """Whether a long handler should stop now."""
        return self.recorder.canceled()

    def secret(self, name: str) -> str:
        """The value of a secret input; raises ConfigurationError when the run carries none of that name."""
        try:
            return self.secrets[name]
        except KeyError:
            raise ConfigurationError(f"This run carries no secret named {name}.") from None

    def redact(self, value: str) -> None:
        """Mask a value in everything that this run writes from now on."""
        self.on_redact(value)

    def may(self, permission: str, target: str) -> bool:
        """Whether the host's authorizer lets the requester; nobody may while there is none.

        Args:
            permission: such as ``repo:write``.
            target: what for, such as ``acme/orders``.
        """
        return self.ask_authorizer(permission, target)

    def scm(self, provider: str) -> ScmProvider:
        """The forge of that name, such as ``github``, with the host's credentials.

        Raises:
            ValidationError: this portal knows no forge of that name.
            ConfigurationError: it is not set up.
        """
        return self.make_scm(provider, self)

    def skeleton(self, folder: str) -> Sequence[SkeletonFile]:
        """The files of a skeleton folder of the run's template, as they were when the run started."""
        if self.read_skeleton is None:
            raise ConfigurationError(
                f"The skeleton folder {folder!r} cannot be read: this run has no template, or its source has no files.",
                hint="Give the files in the input instead.",
            )
        return self.read_skeleton(folder)

    @property
    def workspace(self) -> Workspace:
        """The folder that the steps of the template run share; raises ConfigurationError where there is none.

        An action has to say that it ``reads`` or ``writes`` it: ``@action(…, workspace="writes")``.
        """
        if self.open_workspace is None:
            raise ConfigurationError(
                f"{self.run.action} asks for a workspace, and has none.",
                hint='Only steps of a template share one, and the action declares it: @action(…, workspace="writes").',
            )
        return self.open_workspace()

    @property
    def catalog(self) -> Catalog:
        """The host's catalog; raises ConfigurationError when the host gave none."""
        if self.host_catalog is None:
            raise ConfigurationError("This portal has given Portal Actions no catalog.", hint=_HOOK.format("catalog"))
        return self.host_catalog

    @property
    def scorecards(self) -> Scorecards:
        """The host's scorecards; raises ConfigurationError when the host gave none."""
        if self.host_scorecards is None:
            raise ConfigurationError(
                "This portal has given Portal Actions no scorecards.", hint=_HOOK.format("scorecards")
            )
        return self.host_scorecards


_HOOK = "Tell your platform team: the host registers it with @plugin.{}."
