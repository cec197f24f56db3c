"""The forge: the plugin's local provider, opened for the portal itself or for somebody who merges."""

from __future__ import annotations

from pathlib import Path

from flask import current_app

from portal_actions_plugin.errors import NotFoundError
from portal_actions_plugin.scm.base import Author, PullRequest, RepoRef, Repository
from portal_actions_plugin.scm.local.provider import LocalProvider

THE_PORTAL = Author("Acme Portal", "portal@acme.example")


def open_forge(author: Author = THE_PORTAL) -> LocalProvider:
    """Open the forge; commits are by ``author``."""
    root = Path(current_app.config["PORTAL_ACTIONS_LOCAL_SCM_ROOT"])
    return LocalProvider(root, current_app.config["PORTAL_ACTIONS_LOCAL_SCM_URL"], _may_always_write, author)


def _may_always_write() -> None:
    """Nobody takes over what a web process writes, unlike an attempt of a run."""


def find(repository: str) -> Repository:
    """A repository by its ``owner/name``; raises NotFoundError."""
    owner, _, name = repository.partition("/")
    if not owner or not name:
        raise NotFoundError(f"There is no repository {repository!r} on the forge.")
    return open_forge().get_repo(owner, name)


def files(repository: str) -> frozenset[str]:
    """The paths on the default branch of ``owner/name``; raises NotFoundError."""
    ref = find(repository).ref
    return frozenset(file.path for file in open_forge().tree(ref, ref.default_branch))


def repositories() -> dict[str, tuple[Repository, ...]]:
    """All repositories, by owner."""
    forge = open_forge()
    return {owner: forge.list_repositories(owner) for owner in forge.list_owners()}


def open_pulls(ref: RepoRef) -> list[PullRequest]:
    """The open pull requests of a repository, newest first."""
    return [pull for pull in open_forge().list_pulls(ref) if pull.state == "open"]
