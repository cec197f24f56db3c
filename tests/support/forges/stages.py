"""A double with somebody in it who may make repositories, set up so that the same test can be played on each forge."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.support.forges.faults import Faults
from tests.support.forges.git_store import CommitObject
from tests.support.forges.github import GitHubDouble
from tests.support.forges.gitlab import OWNER, GitLabDouble
from tests.support.forges.request_log import RequestLog


class Double(Protocol):
    """What both doubles have."""

    url: str
    api_url: str
    faults: Faults
    log: RequestLog

    def repositories(self) -> Sequence[str]: ...

    def branches(self, full_name: str, /) -> Mapping[str, str]: ...

    def commits(self, full_name: str, branch: str = "main", /) -> Sequence[CommitObject]: ...

    def files(self, full_name: str, branch: str = "main", /) -> Mapping[str, bytes]: ...

    def pulls(self, full_name: str, /) -> Sequence[Any]: ...

    def hooks(self, full_name: str, /) -> Sequence[Any]: ...


@dataclass(frozen=True)
class Stage:
    """A double in which ``ada`` owns ``acme``.

    Attributes:
        double: it.
        settings: what ``PORTAL_ACTIONS_SCM`` has of it.
        somebody_makes: makes a repository in acme that is not the portal's, with one file.
        secret_of: what a webhook signs with, which no forge tells.
        protected: the branches of a repository that nobody changes without a review.
        verify: fails when the double itself was at fault.
    """

    double: Double
    settings: Mapping[str, str]
    somebody_makes: Callable[[str], None]
    secret_of: Callable[[Any], str | None]
    protected: Callable[[str], list[str]]
    verify: Callable[[], None]

    def seen(self, full_name: str) -> dict[str, Any]:
        """All of a repository that a client may not do twice."""
        double = self.double
        return {
            "commits": {
                branch: [one.sha for one in double.commits(full_name, branch)] for branch in double.branches(full_name)
            },
            "pulls": [(one.title, one.state) for one in double.pulls(full_name)],
            "hooks": [self.secret_of(one) for one in double.hooks(full_name)],
            "protected": self.protected(full_name),
        }


@contextmanager
def github(folder: Path) -> Iterator[Stage]:
    with GitHubDouble(folder) as double:
        double.add_user("ada")
        double.add_organization("acme", ada="admin")
        token = double.classic_token("ada", "repo", "workflow").token
        settings = {"kind": "github", "url": double.url, "api_url": double.api_url, "token": token}

        def somebody_makes(name: str) -> None:
            double.add_repository(f"acme/{name}", {"README.md": b"Somebody else's"})

        def protected(full_name: str) -> list[str]:
            rules = double.repository(full_name).protections
            return [branch for branch, rule in rules.items() if rule["required_pull_request_reviews"]]

        yield Stage(double, settings, somebody_makes, lambda hook: hook.secret, protected, lambda: None)


@contextmanager
def gitlab(folder: Path) -> Iterator[Stage]:
    with GitLabDouble(folder) as double:
        ada, grace = double.add_user("ada"), double.add_user("grace")
        double.add_group("acme", {"ada": OWNER, "grace": OWNER})
        settings = {"kind": "gitlab", "url": double.url, "token": double.add_token(ada, "api")}

        def somebody_makes(name: str) -> None:
            double.add_project(f"acme/{name}", grace, {"README.md": b"Somebody else's"})

        def protected(full_name: str) -> list[str]:
            # Where Maintainers may push, GitLab has protected a default branch itself.
            return [one.name for one in double.project(full_name).protected_branches if not one.push_level]

        yield Stage(double, settings, somebody_makes, lambda hook: hook.token, protected, double.verify)


STAGES: Mapping[str, Callable[[Path], AbstractContextManager[Stage]]] = {"github": github, "gitlab": gitlab}
