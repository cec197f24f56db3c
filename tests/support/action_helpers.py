"""A context for handlers without a worker: what the runner would keep in the database is kept in lists."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from functools import partial

from portal_actions_plugin.actions.context import ActionContext, RunInfo
from portal_actions_plugin.actions.workspace import Workspace
from portal_actions_plugin.scm.base import Author
from portal_actions_plugin.scm.local.provider import LocalProvider
from portal_actions_plugin.testing.actions import KeptNews

ADA = Author("Ada Lovelace", "ada@example.com")


class LostError(Exception):
    """The attempt may not write any more."""


@dataclass
class MemoryRecorder(KeptNews):
    """Counts looks and guards, and lets a run be canceled or lost at one of them."""

    looks: int = 0
    guards: int = 0
    cancel_at_look: int | None = None
    lose_at_guard: int | None = None

    def canceled(self):
        self.looks += 1
        return self.cancel_at_look is not None and self.looks >= self.cancel_at_look

    def ensure_ours(self):
        self.guards += 1
        if self.lose_at_guard is not None and self.guards >= self.lose_at_guard:
            raise LostError


def make_context(recorder=None, *, root=None, web_url="https://forge.example", workspace=None, **options):
    """A context whose ``scm("local")`` is the real provider in ``root``, and whose workspace is a folder."""
    if workspace is not None:
        workspace.mkdir(parents=True, exist_ok=True)
        options["open_workspace"] = lambda: Workspace(workspace.resolve())

    def make_scm(_name, asking):
        return LocalProvider(root, web_url, asking.recorder.ensure_ours, ADA, warn=asking.warn)

    info = RunInfo("run-1", "an.action@v1", 1, 3, "user:ada@example.com", "Ada Lovelace")
    return ActionContext(info, recorder or MemoryRecorder(), make_scm, **options)


def git(*arguments, cwd=None, check=True):
    """Run the real git and return what it prints."""
    command = ["git", "-c", "user.name=Grace", "-c", "user.email=grace@example.com", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True)
    if check and done.returncode:
        raise AssertionError(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


def git_in(path):
    """Run git on a bare repository."""
    return partial(git, "-C", path)


def snapshot(folder):
    """Every file below a folder and its bytes: equal when nothing was written."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}
