"""How GitLab presents what it has; each answer is held against its shape in ``schemas``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.support.forges.gitlab import shapes
from tests.support.forges.gitlab.access import Caller
from tests.support.forges.gitlab.state import (
    ADMIN,
    DEVELOPER,
    MAINTAINER,
    NO_ACCESS,
    OWNER,
    Hook,
    Issue,
    Label,
    Namespace,
    Project,
    ProtectedBranch,
    State,
    Token,
    User,
    Variable,
)

Json = dict[str, Any]
_LEVELS = {
    NO_ACCESS: "No one",
    DEVELOPER: "Developers + Maintainers",
    MAINTAINER: "Maintainers",
    OWNER: "Owners",
    ADMIN: "Administrators",
}


def time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def checked(name: str, value: Json) -> Json:
    shapes.check(name, value)
    return value


def user_basic(state: State, user: User) -> Json:
    return {
        "id": user.id,
        "username": user.username,
        "name": user.name,
        "state": user.state,
        "locked": False,
        "avatar_url": None,
        "web_url": f"{state.url}/{user.username}",
    }


def user(state: State, one: User) -> Json:
    about = {
        **user_basic(state, one),
        "created_at": time(state.now()),
        "bio": "",
        "bot": one.bot,
        "email": one.email,
        "commit_email": one.email,
        "external": False,
        "can_create_group": not one.bot,
        "can_create_project": not one.bot,
        "two_factor_enabled": False,
        "projects_limit": 0 if one.bot else 100_000,
    }
    return checked("USER", about | ({"is_admin": True} if one.admin else {}))


def token(state: State, one: Token) -> Json:
    return checked(
        "ACCESS_TOKEN",
        {
            "id": one.id,
            "name": f"token {one.id}",
            "description": None,
            "revoked": one.ends == "revoked",
            "created_at": time(state.now()),
            "scopes": list(one.scopes),
            "user_id": one.user.id,
            "last_used_at": time(state.now()),
            "active": not one.ends,
            "expires_at": "2099-12-31",
        },
    )


def namespace_basic(state: State, one: Namespace) -> Json:
    return {
        "id": one.id,
        "name": one.name,
        "path": one.path,
        "kind": one.kind,
        "full_path": one.full_path,
        "parent_id": one.parent.id if one.parent else None,
        "avatar_url": None,
        "web_url": f"{state.url}/{'' if one.user else 'groups/'}{one.full_path}",
    }


def namespace(state: State, one: Namespace) -> Json:
    return checked("NAMESPACE", namespace_basic(state, one))


def group(state: State, one: Namespace) -> Json:
    names, parent = [one.name], one.parent
    while parent is not None:
        names.insert(0, parent.name)
        parent = parent.parent
    return checked(
        "GROUP",
        {
            "id": one.id,
            "web_url": f"{state.url}/groups/{one.full_path}",
            "name": one.name,
            "path": one.path,
            "description": "",
            "visibility": one.visibility,
            "share_with_group_lock": False,
            "require_two_factor_authentication": False,
            "project_creation_level": "developer",
            "subgroup_creation_level": "maintainer",
            "full_name": " / ".join(names),
            "full_path": one.full_path,
            "created_at": time(state.now()),
            "parent_id": one.parent.id if one.parent else None,
            "default_branch": None,
            "shared_with_groups": [],
        },
    )


def project(caller: Caller, one: Project) -> Json:
    state = caller.state
    web, api = f"{state.url}/{one.full_path}", f"{state.url}/api/v4/projects/{one.id}"
    member = one.members.get(caller.user.id) if caller.user else None
    grouped = caller.level_in(one.namespace) if one.namespace.user is None else NO_ACCESS
    host = state.url.partition("://")[2].partition(":")[0]
    about = {
        "id": one.id,
        "description": one.description,
        "name": one.name,
        "name_with_namespace": f"{one.namespace.name} / {one.name}",
        "path": one.path,
        "path_with_namespace": one.full_path,
        "created_at": time(one.created_at),
        "default_branch": one.default_branch,
        "tag_list": sorted(one.topics),
        "topics": sorted(one.topics),
        "ssh_url_to_repo": f"git@{host}:{one.full_path}.git",
        "http_url_to_repo": f"{web}.git",
        "web_url": web,
        "readme_url": None,
        "forks_count": 0,
        "avatar_url": None,
        "star_count": 0,
        "last_activity_at": time(one.created_at),
        "visibility": one.visibility,
        "namespace": namespace_basic(state, one.namespace),
        "_links": {
            "self": api,
            "merge_requests": f"{api}/merge_requests",
            "repo_branches": f"{api}/repository/branches",
            "labels": f"{api}/labels",
            "members": f"{api}/members",
        },
        "empty_repo": one.empty,
        "archived": one.archived,
        "issues_enabled": True,
        "merge_requests_enabled": True,
        "jobs_enabled": True,
        "creator_id": one.creator.id,
        "import_status": "none",
        "open_issues_count": sum(issue.state == "opened" for issue in one.issues),
        "shared_with_groups": [_shared(state, group_id, level) for group_id, level in one.shares.items()],
        "only_allow_merge_if_pipeline_succeeds": False,
        "only_allow_merge_if_all_discussions_are_resolved": False,
        "remove_source_branch_after_merge": True,
        "merge_method": "merge",
        "squash_option": "default_off",
        "permissions": {
            "project_access": {"access_level": member, "notification_level": 3} if member else None,
            "group_access": {"access_level": grouped, "notification_level": 3} if grouped else None,
        },
        **one.settings,
    }
    if one.namespace.user:
        about["owner"] = user_basic(state, one.namespace.user)
    return checked("PROJECT", about)


def _shared(state: State, group_id: int, level: int) -> Json:
    shared = state.namespaces[group_id]
    return {
        "group_id": group_id,
        "group_name": shared.name,
        "group_full_path": shared.full_path,
        "group_access_level": level,
        "expires_at": None,
    }


def references(where: Project, short: str) -> Json:
    return {"short": short, "relative": short, "full": f"{where.full_path}{short}"}


def hook(where: Project, one: Hook) -> Json:
    return checked(
        "HOOK",
        {
            "id": one.id,
            "url": one.url,
            "name": one.name,
            "description": one.description,
            "project_id": where.id,
            "created_at": time(one.created_at),
            "enable_ssl_verification": one.enable_ssl_verification,
            "alert_status": "executable",
            "disabled_until": None,
            "url_variables": [],
            "push_events_branch_filter": one.branch_filter,
            "branch_filter_strategy": "wildcard",
            "custom_webhook_template": None,
            "custom_headers": [],
            **one.events,
        },
    )


def protected_branch(state: State, one: ProtectedBranch) -> Json:
    about = {
        "id": one.id,
        "name": one.name,
        "push_access_levels": [_rule(one.id, one.push_level)],
        "merge_access_levels": [_rule(one.id, one.merge_level)],
        "allow_force_push": one.allow_force_push,
    }
    if state.edition == "ee-premium":
        about |= {
            "unprotect_access_levels": [],
            "code_owner_approval_required": one.code_owner_approval_required,
            "inherited": False,
        }
    return checked("PROTECTED_BRANCH", about)


def _rule(number: int, level: int) -> Json:
    return {"id": number, "access_level": level, "access_level_description": _LEVELS[level]}


def member(state: State, one: User, level: int) -> Json:
    return checked(
        "MEMBER",
        {
            **user_basic(state, one),
            "access_level": level,
            "created_at": time(state.now()),
            "expires_at": None,
            "membership_state": "active",
        },
    )


def variable(one: Variable) -> Json:
    return checked(
        "VARIABLE",
        {
            "variable_type": one.variable_type,
            "key": one.key,
            "value": None if one.hidden else one.value,
            "hidden": one.hidden,
            "protected": one.protected,
            "masked": one.masked,
            "raw": one.raw,
            "environment_scope": one.environment_scope,
            "description": one.description,
        },
    )


def label(one: Label) -> Json:
    return checked(
        "LABEL",
        {
            "id": one.id,
            "name": one.name,
            "color": one.color,
            "text_color": "#FFFFFF",
            "description": one.description,
            "description_html": one.description or "",
            "subscribed": False,
            "priority": None,
            "is_project_label": True,
        },
    )


def issue(state: State, where: Project, one: Issue) -> Json:
    assignees = [user_basic(state, who) for who in one.assignees]
    return checked(
        "ISSUE",
        {
            "id": one.id,
            "iid": one.iid,
            "project_id": where.id,
            "title": one.title,
            "description": one.description,
            "state": one.state,
            "created_at": time(one.created_at),
            "updated_at": time(one.updated_at),
            "closed_at": None,
            "closed_by": None,
            "labels": sorted(one.labels),
            "milestone": None,
            "assignees": assignees,
            "author": user_basic(state, one.author),
            "type": "ISSUE",
            "assignee": assignees[0] if assignees else None,
            "user_notes_count": 0,
            "merge_requests_count": 0,
            "upvotes": 0,
            "downvotes": 0,
            "due_date": None,
            "confidential": False,
            "discussion_locked": None,
            "issue_type": "issue",
            "web_url": f"{state.url}/{where.full_path}/-/issues/{one.iid}",
            "references": references(where, f"#{one.iid}"),
        },
    )
