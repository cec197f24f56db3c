"""What a credential needs for each operation: scopes of a classic token, permissions of an App or a fine-grained token.

After GitHub's "Scopes for OAuth apps", "Permissions required for GitHub Apps" and "Permissions required for fine-grained
personal access tokens".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from portal_actions_plugin.scm.base import Operation

LEVELS = ("none", "read", "write", "admin")
"""Of a permission, the least first; each holds those before it."""

SCOPES_INCLUDED: Mapping[str, frozenset[str]] = {
    "repo": frozenset({"public_repo", "repo:status", "repo_deployment", "repo:invite", "security_events"}),
    "admin:org": frozenset({"write:org", "read:org"}),
    "write:org": frozenset({"read:org"}),
    "admin:repo_hook": frozenset({"write:repo_hook", "read:repo_hook"}),
    "write:repo_hook": frozenset({"read:repo_hook"}),
    "user": frozenset({"read:user", "user:email", "user:follow"}),
}
"""Which scopes of classic tokens hold others."""

LABELS: Mapping[str, str] = {
    "actions": "Actions",
    "actions_variables": "Variables",
    "administration": "Administration",
    "contents": "Contents",
    "issues": "Issues",
    "members": "Members (organisation)",
    "pull_requests": "Pull requests",
    "repository_custom_properties": "Custom properties",
    "repository_hooks": "Webhooks",
    "secrets": "Secrets",
    "workflows": "Workflows",
}
"""What GitHub's own pages call the permissions that its API names otherwise."""


@dataclass(frozen=True, slots=True)
class Need:
    """What one operation asks of a credential.

    Attributes:
        scopes: of a classic token: all of them. ``public_repo`` does in place of ``repo`` for public repositories.
        permissions: of an App or a fine-grained token, by the API's names, with the least level of each.
        besides: likewise, what a part of it asks for, such as teams among collaborators: its use tells.
    """

    scopes: tuple[str, ...]
    permissions: Mapping[str, str]
    besides: Mapping[str, str] = field(default_factory=dict)


NEEDS: Mapping[Operation, Need] = {
    Operation.CREATE_REPO: Need(("repo",), {"administration": "write"}),
    Operation.READ: Need(("repo",), {"contents": "read"}),
    Operation.COMMIT: Need(("repo",), {"contents": "write"}),
    Operation.COMMIT_WORKFLOWS: Need(("repo", "workflow"), {"contents": "write", "workflows": "write"}),
    Operation.OPEN_PULL: Need(("repo",), {"contents": "read", "pull_requests": "write"}),
    Operation.CLOSE_PULL: Need(("repo",), {"pull_requests": "write"}),
    Operation.MERGE_PULL: Need(("repo",), {"contents": "write", "pull_requests": "read"}),
    Operation.ENSURE_WEBHOOK: Need(("repo",), {"repository_hooks": "write"}),
    Operation.PROTECT_BRANCH: Need(("repo",), {"administration": "write"}),
    Operation.SET_TOPICS: Need(("repo",), {"administration": "write"}),
    Operation.ADD_COLLABORATORS: Need(("repo",), {"administration": "write"}, besides={"members": "read"}),
    Operation.SET_VARIABLE: Need(("repo",), {"actions_variables": "write"}),
    Operation.SET_SECRET: Need(("repo",), {"secrets": "write"}),
    Operation.CREATE_ISSUE: Need(("repo",), {"issues": "write"}),
    Operation.LABEL_ISSUE: Need(("repo",), {"issues": "write"}),
    Operation.DISPATCH_WORKFLOW: Need(("repo",), {"actions": "write"}),
    Operation.CONFIGURE_REPO: Need(
        ("repo",),
        {"administration": "write"},
        besides={"actions": "write", "repository_custom_properties": "write"},
    ),
    Operation.DETAIL_PULL: Need(("repo",), {"pull_requests": "write"}, besides={"members": "read"}),
}


def all_scopes(given: Collection[str]) -> frozenset[str]:
    """Scopes with those that they hold."""
    return frozenset(given).union(*(SCOPES_INCLUDED.get(scope, frozenset()) for scope in given))


def missing_by_scopes(scopes: Collection[str]) -> dict[Operation, str]:
    """What each operation lacks that a classic token cannot do, in GitHub's own words.

    Args:
        scopes: of the token. ``public_repo`` alone passes for ``repo``: whether a repository is public, its use will show.
    """
    has = all_scopes(scopes) | ({"repo"} if "public_repo" in scopes else set())
    missing = {operation: [scope for scope in need.scopes if scope not in has] for operation, need in NEEDS.items()}
    return {operation: _scopes_named(lacking) for operation, lacking in missing.items() if lacking}


def missing_by_permissions(permissions: Mapping[str, str]) -> dict[Operation, str]:
    """What each operation lacks that an App or a fine-grained token cannot do, in GitHub's own words.

    Args:
        permissions: the level of each that it has, by the API's names.
    """
    missing = {
        operation: [(name, level) for name, level in need.permissions.items() if not _has(permissions, name, level)]
        for operation, need in NEEDS.items()
    }
    return {operation: permissions_named(lacking) for operation, lacking in missing.items() if lacking}


def permissions_for(operations: Iterable[Operation]) -> dict[str, str]:
    """The least permissions with which all parts of some operations can be done, by the API's names."""
    wanted: dict[str, str] = {}
    for operation in operations:
        need = NEEDS[operation]
        for name, level in (*need.permissions.items(), *need.besides.items()):
            wanted[name] = max(wanted.get(name, "none"), level, key=LEVELS.index)
    return wanted


def permissions_named(wanted: Iterable[tuple[str, str]]) -> str:
    """Permissions as GitHub's pages call them: ``the permission Contents (write)``."""
    named = [f"{LABELS.get(name, name)} ({level})" for name, level in wanted]
    return f"the {'permission' if len(named) == 1 else 'permissions'} {' and '.join(named)}"


def _scopes_named(scopes: list[str]) -> str:
    return f"the {'scope' if len(scopes) == 1 else 'scopes'} {' and '.join(scopes)}"


def _has(permissions: Mapping[str, str], name: str, level: str) -> bool:
    has = permissions.get(name, "none")
    return has in LEVELS and LEVELS.index(has) >= LEVELS.index(level)
