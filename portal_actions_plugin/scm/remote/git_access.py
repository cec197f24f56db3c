"""What reading a repository by git's own protocol takes: the way to its forge, and a credential where there is one."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from portal_actions_plugin.scm.base import RepoFile, RepoRef
    from portal_actions_plugin.scm.opening import Opening
    from portal_actions_plugin.scm.remote.credentials import Credential
    from portal_actions_plugin.scm.remote.transport import Place
    from portal_actions_plugin.scm.trees import Bounds


def _keep() -> None:
    """Nothing is kept of a credential that is read anew each time."""


@dataclass(frozen=True, slots=True)
class GitAccess:
    """The way to a forge's repositories.

    Attributes:
        place: whose proxy and authorities count.
        secret_headers: what each request carries, to this forge alone.
        forget: called when the forge does not know the credential: it may have been ended before its time.
    """

    place: Place
    secret_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    forget: Callable[[], None] = field(default=_keep, repr=False)

    @classmethod
    def of(
        cls, place: Place, opening: Opening, credential: Credential, user: str, forget: Callable[[], None] = _keep
    ) -> GitAccess:
        """The way with a credential.

        Args:
            place: of the installation.
            opening: of its provider: its ``redact`` learns what the credential becomes.
            credential: who reads.
            user: the name that the forge wants beside a token, such as ``x-access-token``.
            forget: as the attribute.
        """
        basic = base64.b64encode(f"{user}:{credential.token}".encode()).decode()
        opening.redact(basic)
        return cls(place, {"Authorization": f"Basic {basic}"}, forget)


@runtime_checkable
class ReadByGit(Protocol):
    """What a provider has whose private repositories can be read by git's protocol."""

    def git_access(self, ref: RepoRef) -> GitAccess:
        """The way to a repository; raises ConfigurationError where there is no credential for it."""


@runtime_checkable
class ReadByApi(Protocol):
    """What a provider has that can read a folder without git as well: behind some proxies only the API is to be had."""

    def files_by_api(self, ref: RepoRef, where: str, bounds: Bounds) -> tuple[RepoFile, ...]:
        """Read a folder, or one file; errors as ``scm.reading.read_files`` has them.

        Args:
            ref: the repository.
            where: a branch, a tag or a commit with a path below it; empty for the top of the default branch.
            bounds: how much at most.
        """
