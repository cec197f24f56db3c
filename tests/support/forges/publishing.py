"""A forge, a workspace, and runs that bring the one to the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from portal_actions_plugin.actions.context import ActionContext
from portal_actions_plugin.actions.registry import Action
from portal_actions_plugin.actions.workspace import Workspace
from portal_actions_plugin.scm.remote import transport
from portal_actions_plugin.settings.forge_addresses import ForgeAddresses
from portal_actions_plugin.settings.installations import Installation
from tests.support.action_helpers import MemoryRecorder
from tests.support.forges.benches import context_on


class Stage:
    """A forge, a workspace, and runs that publish one to the other."""

    def __init__(self, bench: Any, folder: Path) -> None:
        self.bench = bench
        self.workspace = folder.resolve()
        installation = bench.installation()
        self.installation = Installation(bench.name, bench.name, {**installation.settings})
        self.addresses = ForgeAddresses(
            {bench.name: self.installation}, () if bench.is_remote else (f"{bench._root.as_uri()}",)
        )
        self.host = self.addresses.hosts[0] if bench.is_remote else "local"

    def write(self, files: Mapping[str, bytes]) -> None:
        for path, content in files.items():
            file = self.workspace / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

    def url(self, repo: str = "orders", owner: str = "acme") -> str:
        return f"{self.host}?owner={owner}&repo={repo}"

    def context(self, recorder: MemoryRecorder | None = None, *, credential: str = "full") -> ActionContext:
        ctx = context_on(self.bench, recorder or MemoryRecorder(), credential=credential)
        ctx.open_workspace = lambda: Workspace(self.workspace)
        ctx.forge_addresses = self.addresses
        return ctx

    def run(self, action: Action, recorder: MemoryRecorder | None = None, **data: Any) -> dict[str, Any]:
        return action.run(self.context(recorder), {"repoUrl": self.url(), **data})


def stage_on(bench: Any, tmp_path: Path) -> Stage:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    stage = Stage(bench, workspace)
    stage.write({"README.md": b"# orders\n", "src/app.py": b"print(1)\n"})
    return stage


@contextmanager
def stage_on_double(bench: Any, tmp_path: Path) -> Iterator[Stage]:
    """A stage on a double, which runs meanwhile."""
    with bench.double:
        yield stage_on(bench, tmp_path)
        transport.close_kept()
