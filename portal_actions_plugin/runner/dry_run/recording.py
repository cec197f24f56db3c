"""How a write at a forge is tried: begun by the real provider, and kept where that would write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from portal_actions_plugin.runner.dry_run.hosts import WouldWriteError
from portal_actions_plugin.runner.dry_run.made import MadeForge, MadeRepo
from portal_actions_plugin.runner.dry_run.notes import Kind, Writes
from portal_actions_plugin.scm.base import RepoRef

if TYPE_CHECKING:
    from portal_actions_plugin.scm.base import Operation, Repository
    from portal_actions_plugin.scm.provider import ScmProvider

READS = ("reach", "file_url", "find_repo", "git_access", "files_by_api")
"""Those of the real forge, as it has them."""

_OURS = "portal_actions_plugin.scm."
"""Where the providers are that ask their guard before every write."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Found(Generic[_T]):
    """What a forge gave that had nothing to write."""

    value: _T


class Recording:
    """What a provider begins with that writes nothing.

    A write on what is there is begun by the real provider: it looks whatever it looks at before, refuses what it would
    refuse, and is stopped where it would write. Only providers of this package are asked so: others may not ask their
    guard. Methods of others that it does not know are taken for writes without an answer.
    """

    def __init__(self, real: ScmProvider, provider: str, writes: Writes, made: MadeForge) -> None:
        """Take the real one, whose guard raises WouldWriteError; its name, and what is kept of all steps."""
        self._real = real
        self._provider = provider
        self._writes = writes
        self._made = made
        self._asks_its_guard = type(real).__module__.startswith(_OURS)
        self.operations: frozenset[Operation] = real.operations
        self.pull_word = real.pull_word
        # Attributes of the object itself: whoever asks what it can do does not call for them.
        vars(self).update({name: getattr(real, name) for name in READS if hasattr(real, name)})

    def __getattr__(self, name: str) -> Callable[..., object]:
        if name.startswith("_") or not hasattr(self._real, name):
            raise AttributeError(name)

        def write(*given: object, **_named: object) -> object:
            target = next((self._on(one) for one in given if isinstance(one, RepoRef)), self._provider)
            self._writes.note(Kind.CHANGE, name.replace("_", " "), target)
            return ()

        return write

    def _on(self, ref: RepoRef) -> str:
        return f"{ref.full_name} on {self._provider}"

    def _of(self, ref: RepoRef) -> MadeRepo:
        return self._made.repo(ref.owner, ref.repo)

    def _begun(self, ask: Callable[[], _T]) -> Found[_T] | None:
        """What a write gives that finds nothing to do; None where it would write."""
        if not self._asks_its_guard:
            return None
        try:
            return Found(ask())
        except WouldWriteError:
            return None

    def _begun_in(self, ref: RepoRef, ask: Callable[[], _T], *branches: str) -> Found[_T] | None:
        """As ``_begun``; also None in a repository that would be made, and where a branch would be another one."""
        changes = self._of(ref)
        if changes.repository or any(branch in changes.heads for branch in branches):
            return None
        return self._begun(ask)

    def get_repo(self, owner: str, repo: str) -> Repository:
        return self._made.repo(owner, repo).repository or self._real.get_repo(owner, repo)

    def _page_in(self, ref: RepoRef, what: str) -> str:
        """What the address of something in a repository begins with, as GitLab or as others have it."""
        url = self.get_repo(ref.owner, ref.repo).web_url
        return f"{url}/-/{what}" if self.pull_word == "merge request" else f"{url}/{what}"
