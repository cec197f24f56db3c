"""The files of git repositories on this machine: a folder for each commit, and a file that says which one counts.

Any number of processes read them while one writes: a commit's folder is whole before the file names it, and is never
changed afterwards.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from portal_actions_plugin.host import Severity, TemplateFinding
from portal_actions_plugin.run_types import SHORT_COMMIT, RepositoryCommit

if TYPE_CHECKING:
    from portal_actions_plugin.settings.template_repositories import TemplateRepository

log = logging.getLogger(__name__)

_STATE = "state.json"


@dataclass(frozen=True, slots=True)
class CheckoutState:
    """What is known of a repository on this machine. Times are seconds since 1970, by this machine's clock.

    Attributes:
        commit: whose files count; empty before the first one has come.
        named: what the ref named: the commit, or the tag that leads to it.
        fetched_at: when that commit came.
        seen_at: when the repository last said which commit its ref is at.
        tried_at: when it was last asked.
        error: why the last try failed; empty where it did not.
        failing_since: when the first try failed of those that have failed in a row.
        good: for each template, the newest commit before this one at which it could be used.
        left: when each earlier commit whose files are kept was left.
    """

    commit: str = ""
    named: str = ""
    fetched_at: float = 0.0
    seen_at: float = 0.0
    tried_at: float = 0.0
    error: str = ""
    failing_since: float = 0.0
    good: Mapping[str, str] = field(default_factory=dict)
    left: Mapping[str, float] = field(default_factory=dict)

    def failed(self, error: str, now: float) -> CheckoutState:
        """The state after a try that failed."""
        since = self.failing_since if self.error else now
        return replace(self, tried_at=now, error=error, failing_since=since)

    def unchanged(self, now: float) -> CheckoutState:
        """The state after a try that found what is known."""
        return replace(self, tried_at=now, seen_at=now, error="", failing_since=0.0)


KEY = "repository"
"""The key of findings about what became of a repository."""


def moment(seconds: float) -> str:
    """A time as people read it, such as ``2026-11-30 07:15 UTC``."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def instant(seconds: float) -> str | None:
    """A time as programs read it: RFC 3339, in UTC; None for one that never was."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}" if seconds else None


@dataclass(frozen=True, slots=True)
class Root:
    """The files of a repository at a commit.

    Attributes:
        top: the folder that has them all.
        folder: the one with the templates.
        name: what stands before the paths of its files, for people.
        source: the commit.
        since: when the commit came that counts now.
        good: as ``CheckoutState.good``, with the files of those commits.
    """

    top: Path
    folder: Path
    name: str
    source: RepositoryCommit
    since: float = 0.0
    good: Mapping[str, Root] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the file said when it had this stamp."""

    stamp: tuple[int, ...] = ()
    state: CheckoutState = field(default_factory=CheckoutState)
    root: Root | None = None


class Checkout:
    """One repository on this machine."""

    def __init__(self, repository: TemplateRepository, base: Path, commit_pages: str = "") -> None:
        """Take the repository, the folder that has all checkouts of this machine, and what its commits' pages begin with."""
        self.repository = repository
        self._commit_pages = commit_pages
        self.folder = base / repository.key
        self._kept = _Kept()

    def state(self) -> CheckoutState:
        """What is known of it by now; a file that cannot be read says nothing."""
        return self._read().state

    def root(self) -> Root | None:
        """The templates of the commit that counts; None before the first one has come."""
        return self._read().root

    def _read(self) -> _Kept:
        file = self.folder / _STATE
        try:
            status = file.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if self._kept.stamp != stamp:
                state = _state(file.read_text(encoding="utf-8"))
                self._kept = _Kept(stamp, state, self._root(state))
        except FileNotFoundError:
            return _Kept()
        except (OSError, ValueError) as error:
            log.warning("%s cannot be read: %s", file, error)
            return _Kept()
        return self._kept

    def finding(self) -> TemplateFinding | None:
        """What is wrong with fetching it: a warning while the files of a commit are there, else a problem."""
        state, name = self.state(), self.repository.name
        if state.commit and state.error:
            message = (
                f"{name} cannot be fetched since {moment(state.failing_since)}, so its templates are those of commit "
                f"{state.commit[:SHORT_COMMIT]}, of {moment(state.fetched_at)}: {state.error}"
            )
            return TemplateFinding(name, 1, KEY, message, severity=Severity.WARNING)
        if state.error:
            message = f"{name} could not be fetched yet, so none of its templates is there: {state.error}"
            return TemplateFinding(name, 1, KEY, message)
        if not state.commit:
            return TemplateFinding(name, 1, KEY, f"{name} was not fetched yet, so none of its templates is there")
        return None

    def write(self, state: CheckoutState) -> None:
        """Let another state count, from one moment to the next; raises OSError."""
        new = self.folder / f"{_STATE}.{os.getpid()}"
        with new.open("w", encoding="utf-8") as file:
            json.dump(asdict(state), file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.folder / _STATE)

    def _root(self, state: CheckoutState) -> Root | None:
        if not state.commit:
            return None
        good = {name: self._root_at(commit, state) for name, commit in state.good.items()}
        return replace(self._root_at(state.commit, state), good=good)

    def _root_at(self, commit: str, state: CheckoutState) -> Root:
        one = self.repository
        url = f"{self._commit_pages}{commit}" if self._commit_pages else ""
        source = RepositoryCommit(one.address, one.ref, commit, one.path, url)
        top = self.folder / commit
        return Root(top, top / one.path, one.place, source, state.fetched_at)


class Checkouts:
    """The repositories of a portal on this machine."""

    def __init__(
        self,
        repositories: Sequence[TemplateRepository],
        base: Path,
        commit_pages: Callable[[TemplateRepository], str] = lambda _one: "",
    ) -> None:
        """Take the repositories, the folder for their files, which need not be there yet, and where pages of commits are.

        ``commit_pages``: what the address of a commit's page begins with; empty where there are none.
        """
        self.base = base
        self.all = tuple(Checkout(one, base, commit_pages(one)) for one in repositories)
        self.when_read: Callable[[], None] | None = None
        """Called whenever somebody reads templates: it may have new commits fetched, in the background."""

    def findings(self) -> Iterator[TemplateFinding]:
        """What is wrong with fetching them."""
        yield from (found for one in self.all if (found := one.finding()))

    def roots(self) -> Iterator[Root]:
        """The folder of each repository that has come."""
        if self.all and self.when_read:
            self.when_read()
        yield from (root for one in self.all if (root := one.root()) is not None)


def _state(text: str) -> CheckoutState:
    kept = json.loads(text)
    if not isinstance(kept, dict):
        raise ValueError("it holds no object")  # noqa: TRY004 as for a text that is no JSON
    known = {one.name for one in fields(CheckoutState)}
    return CheckoutState(**{name: value for name, value in kept.items() if name in known})
