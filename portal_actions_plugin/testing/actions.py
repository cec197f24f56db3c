"""Calling an action in a test, without a portal, a database or a worker: what a run would keep is kept in lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portal_actions_plugin.actions.context import ActionContext, RunInfo
from portal_actions_plugin.actions.workspace import Workspace
from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.http_client.guard import HttpRules

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import Link
    from portal_actions_plugin.scm.provider import ScmProvider


@dataclass
class KeptNews:
    """Where a handler's news go in a test.

    Attributes:
        lines: of the log, each with its level.
        checkpoints: by key.
        progressed: how far it said to be, the first one first.
        kept_links: what it has made.
    """

    lines: list[tuple[str, str]] = field(default_factory=list)
    checkpoints: dict[str, Any] = field(default_factory=dict)
    progressed: list[tuple[int, int]] = field(default_factory=list)
    kept_links: list[Link] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The log, without levels."""
        return "\n".join(message for _, message in self.lines)

    def log(self, level: str, message: str) -> None:
        self.lines.append((level, message))

    def progress(self, done: int, total: int) -> None:
        self.progressed.append((done, total))

    def load_checkpoint(self, key: str) -> tuple[bool, Any]:
        return key in self.checkpoints, self.checkpoints.get(key)

    def load_note(self, key: str) -> tuple[bool, Any]:
        return self.load_checkpoint(key)

    def save_checkpoint(self, key: str, value: object) -> None:
        self.checkpoints[key] = value

    def keep_links(self, links: Sequence[Link]) -> None:
        self.kept_links = list(links)

    def canceled(self) -> bool:
        return False

    def ensure_ours(self) -> None:
        """Let every write pass."""


def context_for(
    action_id: str,
    *,
    workspace: Path | None = None,
    secrets: Mapping[str, str] | None = None,
    http: HttpRules | None = None,
) -> ActionContext:
    """Make what a handler gets first.

    Args:
        action_id: the action that is called.
        workspace: a folder that it works in; None for none.
        secrets: of its run.
        http: what ``http.request@v1`` may connect to; by default nothing.

    Returns:
        A context whose ``recorder`` is a ``KeptNews``. ``action.run(context, input)`` calls the action.
    """
    opened = None if workspace is None else Workspace(workspace.resolve())
    return ActionContext(
        RunInfo("run-1", action_id, 1, 1, "user:ada@example.com", "Ada Lovelace"),
        KeptNews(),
        _no_forge,
        http=http or HttpRules(),
        secrets=secrets or {},
        open_workspace=(lambda: opened) if opened else None,
    )


def _no_forge(name: str, _asking: ActionContext) -> ScmProvider:
    raise ConfigurationError(f"This test has no forge {name}.")
