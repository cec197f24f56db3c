"""Fetching the git repositories that templates come from, into this machine's folder.

Supervisors do it on their schedule, web processes where no supervisor does, and a command. One process at a time writes.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from portal_actions_plugin.errors import ConfigurationError, NotFoundError, PortalActionsError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.forges.opening import opening_of
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.scm.base import Operation, RepoRef
from portal_actions_plugin.settings.forge_settings import URLS
from portal_actions_plugin.software_templates.sources.checkouts import Checkout, CheckoutState

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import RepositoryCommit
    from portal_actions_plugin.scm.clone import Fetched
    from portal_actions_plugin.scm.remote.git_access import GitAccess
    from portal_actions_plugin.settings.forge_addresses import PageAddress
    from portal_actions_plugin.settings.installations import Installation
    from portal_actions_plugin.settings.template_repositories import TemplateRepository

log = logging.getLogger(__name__)

KEPT_SECONDS = 86_400.0
"""How long the files of a commit stay that counts no more: a run may be about to read its skeleton."""

MOST_KEPT = 20
_TEMPORARY = "coming-"
_LOCK = "lock"


@dataclass(frozen=True, slots=True)
class Source:
    """A repository, and what is known of it on this machine."""

    repository: TemplateRepository
    state: CheckoutState
    commit: RepositoryCommit | None = None
    """The one that is used; None before the first one has come."""

    @property
    def seen_at(self) -> datetime | None:
        """When the repository last said which commit its ref is at."""
        return _moment(self.state.seen_at)

    @property
    def failing_since(self) -> datetime | None:
        """When the first of those tries failed that have failed in a row."""
        return _moment(self.state.failing_since)


def _moment(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def sources() -> list[Source]:
    """The repositories of the current app, in the order of the setting."""
    return [_source(one) for one in extension().checkouts.all]


def _source(checkout: Checkout) -> Source:
    root = checkout.root()
    return Source(checkout.repository, checkout.state(), root.source if root else None)


def refresh(older_than: float = 0.0) -> list[Source]:
    """Look for new commits, and fetch them. One that cannot be fetched is told in its state, and the last good one stays.

    Args:
        older_than: seconds; a repository that was asked within them is left alone, and so is one that somebody asks now.

    Returns:
        Those that were asked.
    """
    return [_source(one) for one in extension().checkouts.all if _refresh(one, older_than)]


def is_due(older_than: float) -> bool:
    """Whether any repository was not asked for so many seconds."""
    return any(_is_due(one.state(), older_than) for one in extension().checkouts.all)


def _is_due(state: CheckoutState, older_than: float) -> bool:
    # A clock that was set back would else keep everybody waiting.
    return not 0 <= time.time() - state.tried_at < older_than


def _refresh(checkout: Checkout, older_than: float) -> bool:
    if not _is_due(checkout.state(), older_than):
        return False
    try:
        checkout.folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        with _alone(checkout.folder) as is_alone:
            before = checkout.state()
            if not is_alone or not _is_due(before, older_than):
                return False
            _ask(checkout, before)
    except OSError as error:
        log.error("the files of %s cannot be kept: %s", checkout.repository.name, error)  # noqa: TRY400 it is no fault of ours
    return True


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether no other process of this machine fetches the same repository now; none does meanwhile."""
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def _ask(checkout: Checkout, before: CheckoutState) -> None:
    redactor, now = Redactor(), time.time()
    try:
        checkout.write(_fetched(checkout, before, redactor))
    except PortalActionsError as error:
        _note(checkout, before, redactor.text(error.message), now)
    except Exception as error:  # noqa: BLE001 a provider may be anybody's
        # Not log.exception: a traceback ends with the error's own message, which may hold a credential.
        _note(checkout, before, redactor.text(f"{type(error).__name__}: {error}"), now)


def _note(checkout: Checkout, before: CheckoutState, error: str, now: float) -> None:
    if error != before.error:
        log.warning("templates of %s could not be fetched: %s", checkout.repository.name, error)
    checkout.write(before.failed(error, now))


def _fetched(checkout: Checkout, before: CheckoutState, redactor: Redactor) -> CheckoutState:
    """Ask for the commit that the ref is at; its files are there when this returns."""
    from portal_actions_plugin.scm.clone import fetch

    one = checkout.repository
    known = before.named if (checkout.folder / before.commit).is_dir() else ""
    coming = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=checkout.folder))
    try:
        address, access = _way(one, redactor)
        found = fetch(address, one.ref or None, coming, access=access, known=known)
        if found is None:
            return before.unchanged(time.time())
        if not (coming / one.path).is_dir():
            raise NotFoundError(f"{one.address} has no folder {one.path} at {found.commit[:8]}.")
        coming.chmod(0o750)
        _put(coming, checkout.folder / found.commit)
    finally:
        shutil.rmtree(coming, ignore_errors=True)
    log.info("templates of %s are those of commit %s now", one.name, found.commit)
    return _tidied(checkout, _moved(checkout, before, found))


def _put(coming: Path, folder: Path) -> None:
    """Let a commit's files be there, whole from the first moment. Those of an earlier time are the same."""
    if not folder.exists():
        coming.rename(folder)


def _moved(checkout: Checkout, before: CheckoutState, found: Fetched) -> CheckoutState:
    now = time.time()
    left = {**before.left, before.commit: now} if before.commit and before.commit != found.commit else dict(before.left)
    left.pop(found.commit, None)
    good = _good(checkout, before) if before.commit != found.commit else before.good
    return CheckoutState(found.commit, found.named, now, now, now, good=good, left=left)


def _good(checkout: Checkout, before: CheckoutState) -> Mapping[str, str]:
    """For each template of the commit that is left, the newest commit at which it could be used."""
    root = checkout.root()
    if root is None:
        return {}
    there = extension().folder_templates.of_repository(root)
    return {
        name: before.commit if usable else before.good[name]
        for name, usable in there.items()
        if usable or name in before.good
    }


def _tidied(checkout: Checkout, state: CheckoutState) -> CheckoutState:
    """Remove the files of commits that nobody needs any more, and what a process has left that was killed."""
    needed = {state.commit, *state.good.values()}
    by_age = sorted(state.left, key=lambda commit: state.left[commit], reverse=True)
    kept = {one for one in by_age[:MOST_KEPT] if time.time() - state.left[one] < KEPT_SECONDS} | needed
    for entry in os.scandir(checkout.folder):
        if entry.is_dir(follow_symlinks=False) and entry.name not in kept:
            # By another name first: half of a commit's files must never look like all of them.
            gone = Path(entry.path).rename(Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=checkout.folder)) / "gone")
            shutil.rmtree(gone.parent, ignore_errors=True)
    return replace(state, left={commit: at for commit, at in state.left.items() if commit in kept})


def _way(one: TemplateRepository, redactor: Redactor) -> tuple[str, GitAccess | None]:
    """Where git reads a repository, and the way to it; no way to a forge that the portal does not know.

    Those that it knows have ``.git`` at the end of every repository: GitLab leads others to its page to sign in.
    """
    config = extension().config
    page = config.forge_addresses.page(one.address.removesuffix(".git"))
    installation = config.scm[page.provider] if page else None
    if page is None or page.verb or installation is None or not _is_at(one.address, installation):
        return one.address, None
    return config.forge_addresses.git_url(page), _access(page, installation, redactor)


def _access(page: PageAddress, installation: Installation, redactor: Redactor) -> GitAccess | None:
    """The way to a repository of a forge that the portal knows; None where it has no credential, for all may see it."""
    from portal_actions_plugin.scm.remote.git_access import ReadByGit

    reads = replace(opening_of(installation), redact=redactor.add, operations=frozenset({Operation.READ}))
    try:
        provider = extension().provider_kinds.open(reads)
        if not isinstance(provider, ReadByGit):
            return None
        return provider.git_access(RepoRef(page.provider, page.owner, page.repo, default_branch=""))
    except ConfigurationError:
        if any(installation.settings.get(key) for key in ("token", "app_id")):
            raise
        return None  # there is no credential: it may be public


def _is_at(address: str, installation: Installation) -> bool:
    """Whether an address is at the forge itself: an installation may have the hosts of others, which get no credential."""
    own = installation.settings.get("url") or URLS.get(installation.kind)
    return isinstance(own, str) and urlsplit(own)[:2] == urlsplit(address)[:2]
