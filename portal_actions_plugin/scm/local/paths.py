"""Where the repositories of the local forge lie. Nothing here leads out of its root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ConfigurationError, NotFoundError, ValidationError
from portal_actions_plugin.scm.names import check_owner, check_repo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class LocalPaths:
    """``<root>/<owner>/<repo>.git``: folders only, since a symbolic link could lead anywhere."""

    root: Path

    def owners(self) -> list[str]:
        """The names of the owners that repositories can belong to, sorted; raises ConfigurationError without a root."""
        self._check_root()
        names = (child.name for child in self.root.iterdir() if is_real_folder(child))
        return sorted(name for name in names if _passes(check_owner, name))

    def repos(self, owner: str) -> list[str]:
        """The names of an owner's repositories; raises NotFoundError when there is no such owner."""
        names = (child.name.removesuffix(".git") for child in self.owner(owner).glob("*.git") if is_real_folder(child))
        return sorted(name for name in names if _passes(check_repo, name))

    def owner(self, owner: str) -> Path:
        """The folder of an owner; raises NotFoundError when there is none."""
        check_owner(owner)
        self._check_root()
        folder = self.root / owner
        if not is_real_folder(folder):
            known = ", ".join(self.owners()[:10]) or "none yet"
            raise NotFoundError(
                f"There is no owner {owner} on the local forge.",
                hint=f"Choose one that exists ({known}), or ask your platform team to make a folder of that name "
                "in PORTAL_ACTIONS_LOCAL_SCM_ROOT.",
            )
        return folder

    def repo(self, owner: str, repo: str) -> Path:
        """The folder of a repository; raises NotFoundError when there is none."""
        path = self.repo_to_be(owner, repo)
        if not is_real_folder(path):
            raise NotFoundError(f"There is no repository {owner}/{repo} on the local forge.")
        return path

    def repo_to_be(self, owner: str, repo: str) -> Path:
        """Where a repository lies or would lie; raises NotFoundError when there is no such owner."""
        check_repo(repo)
        return self.owner(owner) / f"{repo}.git"

    def _check_root(self) -> None:
        if not self.root.is_dir():
            raise ConfigurationError(
                f"PORTAL_ACTIONS_LOCAL_SCM_ROOT names {self.root}, which is not a folder.",
                hint="Tell your platform team to make that folder, with a folder per owner in it.",
            )


def is_real_folder(path: Path) -> bool:
    """Whether this is a folder itself, not a link to one."""
    return path.is_dir() and not path.is_symlink()


def _passes(check: Callable[[str], None], name: str) -> bool:
    try:
        check(name)
    except ValidationError:
        return False
    return True
