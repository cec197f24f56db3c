"""GitHub's objects as JSON, with all that its OpenAPI description requires: github.com/github/rest-api-description"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.forges.git_store import CommitObject, Person
from tests.support.forges.github.state import ROLES, Repository, State, node_id

if TYPE_CHECKING:
    from tests.support.forges.github.calls import Sites

_USER_URLS = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}
_REPOSITORY_URLS = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}
_SETTINGS = {
    "description": None,
    "homepage": None,
    "has_issues": True,
    "has_projects": True,
    "has_wiki": True,
    "has_downloads": True,
    "has_discussions": False,
    "is_template": False,
    "allow_forking": True,
    "web_commit_signoff_required": False,
    "allow_squash_merge": True,
    "allow_merge_commit": True,
    "allow_rebase_merge": True,
    "allow_auto_merge": False,
    "delete_branch_on_merge": False,
    "allow_update_branch": False,
    "squash_merge_commit_title": "COMMIT_OR_PR_TITLE",
    "squash_merge_commit_message": "COMMIT_MESSAGES",
    "merge_commit_title": "MERGE_MESSAGE",
    "merge_commit_message": "PR_TITLE",
}
SETTINGS = tuple(_SETTINGS)
"""What POST and PATCH of a repository may set as they are sent."""


def user(sites: Sites, state: State, login: str) -> dict[str, Any]:
    """simple-user"""
    account = state.account(login)
    is_bot = account is None
    number = account.id if account else 1
    name = account.login if account else login
    url = f"{sites.api}/users/{name}"
    return {
        "login": name,
        "id": number,
        "node_id": node_id("User", number),
        "avatar_url": f"{sites.html}/u/{number}",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{sites.html}/{name}",
        **{key: url + rest for key, rest in _USER_URLS.items()},
        "type": "Bot" if is_bot or account is None else account.kind,
        "user_view_type": "public",
        "site_admin": False,
    }


def repository(sites: Sites, state: State, repo: Repository, role: str) -> dict[str, Any]:
    """full-repository; ``role`` is of who asks."""
    url = f"{sites.api}/repos/{repo.full_name}"
    html = f"{sites.html}/{repo.full_name}"
    owner = user(sites, state, repo.owner)
    issues = sum(one.state == "open" for one in (*repo.issues, *repo.pulls))
    may = {name: ROLES.index(role) >= ROLES.index(least) for name, least in _PERMISSIONS.items()}
    return {
        "id": repo.id,
        "node_id": node_id("Repository", repo.id),
        "name": repo.name,
        "full_name": repo.full_name,
        "owner": owner,
        **({"organization": owner} if owner["type"] == "Organization" else {}),
        "private": repo.is_private,
        "visibility": repo.visibility,
        "html_url": html,
        "fork": False,
        "url": url,
        **{key: url + rest for key, rest in _REPOSITORY_URLS.items()},
        "git_url": f"git:{html.partition(':')[2]}.git",
        "ssh_url": f"git@{sites.html.partition('//')[2]}:{repo.full_name}.git",
        "clone_url": f"{html}.git",
        "svn_url": html,
        "mirror_url": None,
        "language": None,
        "license": None,
        "topics": repo.topics,
        **{name: repo.settings.get(name, default) for name, default in _SETTINGS.items()},
        "has_pages": False,
        "archived": repo.archived,
        "disabled": False,
        "default_branch": repo.git.default_branch,
        "size": 0,
        "forks": 0,
        "forks_count": 0,
        "stargazers_count": 0,
        "watchers": 0,
        "watchers_count": 0,
        "subscribers_count": 0,
        "network_count": 0,
        "open_issues": issues,
        "open_issues_count": issues,
        "created_at": repo.created_at,
        "updated_at": repo.pushed_at,
        "pushed_at": repo.pushed_at,
        "permissions": may,
    }


_PERMISSIONS = {"admin": "admin", "maintain": "maintain", "push": "write", "triage": "triage", "pull": "read"}


def person(one: Person) -> dict[str, str]:
    """The author or committer of a commit, in UTC."""
    return {"name": one.name, "email": one.email, "date": utc(one)}


def utc(one: Person) -> str:
    from datetime import UTC

    return one.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def verification() -> dict[str, Any]:
    return {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}


def git_commit(sites: Sites, repo: Repository, commit: CommitObject) -> dict[str, Any]:
    """git-commit, as ``git/commits`` has it."""
    base, html = f"{sites.api}/repos/{repo.full_name}/git", f"{sites.html}/{repo.full_name}"
    return {
        "sha": commit.sha,
        "node_id": node_id("Commit", commit.sha),
        "url": f"{base}/commits/{commit.sha}",
        "html_url": f"{html}/commit/{commit.sha}",
        "author": person(commit.author),
        "committer": person(commit.committer),
        "tree": {"sha": commit.tree, "url": f"{base}/trees/{commit.tree}"},
        "message": commit.message,
        "parents": [
            {"sha": sha, "url": f"{base}/commits/{sha}", "html_url": f"{html}/commit/{sha}"} for sha in commit.parents
        ],
        "verification": verification(),
    }


def commit(sites: Sites, repo: Repository, one: CommitObject) -> dict[str, Any]:
    """commit, as ``commits`` and ``branches`` have it; people's accounts are not looked up."""
    base, html = f"{sites.api}/repos/{repo.full_name}", f"{sites.html}/{repo.full_name}"
    return {
        "sha": one.sha,
        "node_id": node_id("Commit", one.sha),
        "commit": {
            "author": person(one.author),
            "committer": person(one.committer),
            "message": one.message,
            "tree": {"sha": one.tree, "url": f"{base}/git/trees/{one.tree}"},
            "url": f"{base}/git/commits/{one.sha}",
            "comment_count": 0,
            "verification": verification(),
        },
        "url": f"{base}/commits/{one.sha}",
        "html_url": f"{html}/commit/{one.sha}",
        "comments_url": f"{base}/commits/{one.sha}/comments",
        "author": None,
        "committer": None,
        "parents": [
            {"sha": sha, "url": f"{base}/commits/{sha}", "html_url": f"{html}/commit/{sha}"} for sha in one.parents
        ],
    }
