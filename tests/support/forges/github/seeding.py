"""What tests put into the double before they begin, and what they look up in it afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.forges.clock import ForgeClock
from tests.support.forges.git_store import CommitObject, Entry, Person
from tests.support.forges.github import branch_rules
from tests.support.forges.github.state import (
    Account,
    App,
    Credential,
    Hook,
    Installation,
    Pull,
    Repository,
    State,
)


class Seeding:
    """Part of ``GitHubDouble``: nothing of this is a request, and nothing of it is in the log."""

    state: State
    clock: ForgeClock

    # Accounts and credentials

    def add_user(self, login: str, *, plan: str = "pro") -> Account:
        account = Account(self.state.new_id(), login, "User", plan)
        self.state.accounts[login.lower()] = account
        return account

    def add_organization(self, login: str, *, plan: str = "team", **members: str) -> Account:
        """An organisation; ``members`` are logins with the role member or admin."""
        account = Account(self.state.new_id(), login, "Organization", plan, dict(members))
        self.state.accounts[login.lower()] = account
        return account

    def classic_token(self, user: str, *scopes: str, name: str = "") -> Credential:
        """A personal access token (classic): ``ghp_…``."""
        return self._keep(Credential(name or f"{user}'s token", _token("ghp_"), "classic", user, frozenset(scopes)))

    def fine_grained_token(
        self,
        user: str,
        owner: str,
        permissions: Mapping[str, str],
        *,
        repositories: Collection[str] | None = None,
        lifetime: timedelta = timedelta(days=30),
        name: str = "",
    ) -> Credential:
        """A fine-grained personal access token: ``github_pat_…``.

        Args:
            user: who made it.
            owner: the one account that it reaches.
            permissions: such as ``{"contents": "write"}``.
            repositories: names of the owner's; None for all.
            lifetime: from now.
            name: for the log.
        """
        ids = None if repositories is None else frozenset(self.repository(f"{owner}/{one}").id for one in repositories)
        return self._keep(
            Credential(
                name or f"{user}'s token for {owner}",
                _token("github_pat_"),
                "fine-grained",
                user,
                permissions=dict(permissions),
                owner=owner,
                repositories=ids,
                expires=self.clock.now() + lifetime,
            )
        )

    def _keep(self, credential: Credential) -> Credential:
        """Names are told apart, as the rate limit of the double is a credential's."""
        names = {one.name for one in self.state.credentials}
        if credential.name in names:
            credential.name = next(name for n in range(2, 999) if (name := f"{credential.name} ({n})") not in names)
        self.state.credentials.append(credential)
        return credential

    def add_app(self, slug: str, owner: str, permissions: Mapping[str, str]) -> tuple[App, str]:
        """A GitHub App and its private key as PEM."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        number = self.state.new_id()
        app = App(number, f"Iv23li{number}", slug, owner, public, dict(permissions))
        self.state.apps.append(app)
        return app, private.decode()

    def install(
        self,
        app: App,
        account: str,
        *,
        permissions: Mapping[str, str] | None = None,
        repositories: Collection[str] | None = None,
    ) -> Installation:
        """Install an app in an account, with all of its permissions and repositories or with some."""
        ids = None if repositories is None else {self.repository(f"{account}/{one}").id for one in repositories}
        granted = dict(app.permissions if permissions is None else permissions)
        installation = Installation(self.state.new_id(), app, account, granted, ids)
        self.state.installations.append(installation)
        return installation

    # Repositories

    def add_repository(
        self,
        full_name: str,
        files: Mapping[str, bytes | str] | None = None,
        *,
        visibility: str = "private",
        branch: str = "main",
        **settings: Any,
    ) -> Repository:
        """A repository, with one commit of files or empty."""
        owner, _, name = full_name.partition("/")
        repository = self.state.add_repository(owner, name, visibility, **settings)
        repository.git.set_default_branch(branch)
        if files is not None:
            self.commit(full_name, branch, files, "Initial commit")
        return repository

    def commit(
        self,
        full_name: str,
        branch: str,
        files: Mapping[str, bytes | str],
        message: str = "Somebody else's commit",
        *,
        start: str = "",
    ) -> str:
        """Commit files behind the client's back; returns the commit.

        Args:
            full_name: the repository.
            branch: where; it is made when it is missing.
            files: path and content.
            message: the commit's.
            start: the branch that a new one begins at; the default branch when it is empty.
        """
        repository = self.repository(full_name)
        git, was_empty = repository.git, repository.git.is_empty()
        parent = git.head(branch) or git.head(start or git.default_branch)
        contents = [content.encode() if isinstance(content, str) else content for content in files.values()]
        entries = [
            Entry(path, "100644", "blob", sha) for path, sha in zip(files, git.write_blobs(contents), strict=True)
        ]
        tree = git.write_tree(entries, base=git.commit(parent).tree if parent else None)
        somebody = Person("Mona", "mona@example.org", self.clock.now())
        sha = git.write_commit(tree, [parent] if parent else [], message, author=somebody)
        git.set_ref(f"refs/heads/{branch}", sha)
        branch_rules.after_change(self.state, repository, was_empty=was_empty)
        return sha

    def rename(self, full_name: str, new_full_name: str) -> None:
        """Rename or transfer a repository; its old name leads to it."""
        owner, _, name = new_full_name.partition("/")
        self.state.rename(self.repository(full_name), owner, name)

    # Looking at it

    def repository(self, full_name: str) -> Repository:
        """A repository by its present name; the test fails when there is none."""
        found = self.state.repository(*full_name.split("/"))
        assert found, f"there is no {full_name}, only {self.repositories()}"
        return found

    def repositories(self) -> list[str]:
        """The full names of all repositories, in the order in which they were made."""
        return [one.full_name for one in self.state.repositories.values()]

    def branches(self, full_name: str) -> dict[str, str]:
        return self.repository(full_name).git.branches()

    def commits(self, full_name: str, branch: str = "main") -> list[CommitObject]:
        """The commits of a branch, latest first; none of a branch that does not exist."""
        git = self.repository(full_name).git
        return git.history(f"refs/heads/{branch}") if git.head(branch) else []

    def files(self, full_name: str, branch: str = "main") -> dict[str, bytes]:
        return self.repository(full_name).git.files(branch)

    def pulls(self, full_name: str) -> list[Pull]:
        return self.repository(full_name).pulls

    def hooks(self, full_name: str) -> list[Hook]:
        return self.repository(full_name).hooks


def _token(prefix: str) -> str:
    return prefix + secrets.token_hex(18)
