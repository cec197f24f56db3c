"""A project as the API tells of it, and where the API has it: docs.gitlab.com/api/projects/"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from portal_actions_plugin.scm.base import RepoRef, Repository
from portal_actions_plugin.scm.remote.fields import flag, maybe_text, moment, number, text

if TYPE_CHECKING:
    from portal_actions_plugin.scm.remote.fields import JsonObject

DEFAULT_BRANCH = "main"
"""Of an empty project where GitLab names none: docs.gitlab.com/user/project/repository/branches/default/"""


def segment(name: str) -> str:
    """A name as one segment of a path: docs.gitlab.com/api/rest/#path-parameters"""
    return quote(name, safe="")


def project_path(owner: str, repo: str) -> str:
    """Where the API has a project by its name."""
    return f"/projects/{segment(f'{owner}/{repo}')}"


@dataclass(frozen=True, slots=True)
class Project:
    """A project as GitLab has it.

    Attributes:
        id: outlives every rename and transfer.
        owner: the full path of its namespace.
        repo: its path there, which is its name in every address.
        web_url: its page.
        clone_url: where git clones it from.
        default_branch: ``DEFAULT_BRANCH`` where GitLab names none.
        is_empty: whether it has no branch.
        is_archived: whether it can only be read.
        about: all that GitLab says of it.
    """

    id: int
    owner: str
    repo: str
    web_url: str
    clone_url: str
    default_branch: str
    is_empty: bool
    is_archived: bool
    about: JsonObject = field(repr=False)

    @classmethod
    def of(cls, about: JsonObject) -> Project:
        """Read what the API says of a project."""
        return cls(
            id=number(about, "id"),
            owner=text(about, "namespace", "full_path"),
            repo=text(about, "path"),
            web_url=text(about, "web_url"),
            clone_url=text(about, "http_url_to_repo"),
            default_branch=maybe_text(about, "default_branch") or DEFAULT_BRANCH,
            is_empty=flag(about, "empty_repo"),
            is_archived=flag(about, "archived"),
            about=about,
        )

    @property
    def name(self) -> str:
        """``group/sub/project``."""
        return f"{self.owner}/{self.repo}"

    @property
    def created_at(self) -> datetime:
        """By the forge's own clock."""
        return moment(text(self.about, "created_at"))

    def as_repository(self, provider: str, *, fresh: bool = False) -> Repository:
        """The project as actions see it; ``provider`` is the installation's name."""
        return Repository(
            RepoRef(provider, self.owner, self.repo, self.default_branch),
            self.web_url,
            self.clone_url,
            maybe_text(self.about, "description") or "",
            maybe_text(self.about, "visibility") or "private",
            fresh,
            self.id,
        )
