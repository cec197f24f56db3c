"""A context for handlers without a worker: what the runner would keep in the database is kept in lists."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from portal_actions_plugin.actions.context import ActionContext, RunInfo
from portal_actions_plugin.actions.workspace import Workspace
from portal_actions_plugin.scm.base import Author
from portal_actions_plugin.scm.local.provider import LocalProvider

ADA = Author("Ada Lovelace", "ada@example.com")


class LostError(Exception):
    """The attempt may not write any more."""


@dataclass
class MemoryRecorder:
    lines: list[tuple[str, str]] = field(default_factory=list)
    checkpoints: dict[str, Any] = field(default_factory=dict)
    progressed: list[tuple[int, int]] = field(default_factory=list)
    kept_links: list[Any] = field(default_factory=list)
    looks: int = 0
    guards: int = 0
    cancel_at_look: int | None = None
    lose_at_guard: int | None = None

    def log(self, level, message):
        self.lines.append((level, message))

    def progress(self, done, total):
        self.progressed.append((done, total))

    def load_checkpoint(self, key):
        return key in self.checkpoints, self.checkpoints.get(key)

    def load_note(self, key):
        return self.load_checkpoint(key)

    def save_checkpoint(self, key, value):
        self.checkpoints[key] = value

    def keep_links(self, links):
        self.kept_links = list(links)

    def canceled(self):
        self.looks += 1
        return self.cancel_at_look is not None and self.looks >= self.cancel_at_look

    def ensure_ours(self):
        self.guards += 1
        if self.lose_at_guard is not None and self.guards >= self.lose_at_guard:
            raise LostError

    @property
    def text(self):
        return "\n".join(message for _, message in self.lines)


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
