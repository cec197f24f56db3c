"""The shapes of GitLab's answers, as its documentation shows them; the double's answers are held against them.

GitLab's own description (doc/api/openapi/openapi_v3.yaml of gitlab-org/gitlab, version 19.5, CC BY-SA 4.0) was read for
names and types and is not copied. A name with ``?`` may be missing; no answer has a name that is not here.
"""

from __future__ import annotations

from tests.support.forges.gitlab.shapes import Fields

# docs.gitlab.com/api/users/#retrieve-the-current-user
USER_BASIC: Fields = {
    "id": "int",
    "username": "str",
    "name": "str",
    "state": "str",
    "public_email?": "str|null",
    "locked": "bool",
    "avatar_url": "str|null",
    "web_url": "url",
}
USER: Fields = {
    **USER_BASIC,
    "created_at": "time",
    "bio": "str|null",
    "bot": "bool",
    "email": "str",
    "commit_email": "str",
    "external": "bool",
    "can_create_group": "bool",
    "can_create_project": "bool",
    "two_factor_enabled": "bool",
    "projects_limit": "int",
    "is_admin?": "bool",
}

# docs.gitlab.com/api/metadata/ and docs.gitlab.com/api/version/
METADATA: Fields = {
    "version": "str",
    "revision": "str",
    "kas": {"enabled": "bool", "externalUrl": "str|null", "externalK8sProxyUrl": "str|null", "version": "str|null"},
    "enterprise": "bool",
}
VERSION: Fields = {"version": "str", "revision": "str"}

# docs.gitlab.com/api/personal_access_tokens/#self-inform
ACCESS_TOKEN: Fields = {
    "id": "int",
    "name": "str",
    "description": "str|null",
    "revoked": "bool",
    "created_at": "time",
    "scopes": "strings",
    "user_id": "int",
    "last_used_at": "time|null",
    "active": "bool",
    "expires_at": "date|null",
    "granular?": "bool",
}

# docs.gitlab.com/api/namespaces/
NAMESPACE_BASIC: Fields = {
    "id": "int",
    "name": "str",
    "path": "str",
    "kind": "str",
    "full_path": "str",
    "parent_id": "int|null",
    "avatar_url": "str|null",
    "web_url": "url",
}
NAMESPACE: Fields = {
    **NAMESPACE_BASIC,
    "members_count_with_descendants?": "int",
    "root_repository_size?": "int",
    "projects_count?": "int",
    "billable_members_count?": "int",
    "plan?": "str",
    "trial?": "bool",
}

# docs.gitlab.com/api/groups/#retrieve-a-group
GROUP: Fields = {
    "id": "int",
    "web_url": "url",
    "name": "str",
    "path": "str",
    "description": "str",
    "visibility": "visibility",
    "share_with_group_lock": "bool",
    "require_two_factor_authentication": "bool",
    "project_creation_level": "str",
    "subgroup_creation_level": "str",
    "full_name": "str",
    "full_path": "str",
    "created_at": "time",
    "parent_id": "int|null",
    "archived?": "bool",
    "default_branch": "str|null",
    "shared_with_groups": ["object"],
}

# docs.gitlab.com/api/projects/#retrieve-a-project
SHARED_GROUP: Fields = {
    "group_id": "int",
    "group_name": "str",
    "group_full_path": "str",
    "group_access_level": "level",
    "expires_at": "date|null",
}
_ACCESS: Fields = {"access_level": "level", "notification_level": "int|null"}
PROJECT: Fields = {
    "id": "int",
    "description": "str|null",
    "name": "str",
    "name_with_namespace": "str",
    "path": "str",
    "path_with_namespace": "str",
    "created_at": "time",
    "default_branch?": "str",
    "tag_list": "strings",
    "topics": "strings",
    "ssh_url_to_repo": "str",
    "http_url_to_repo": "url",
    "web_url": "url",
    "readme_url?": "url|null",
    "forks_count?": "int",
    "avatar_url": "str|null",
    "star_count": "int",
    "last_activity_at": "time",
    "visibility": "visibility",
    "namespace": NAMESPACE_BASIC,
    "_links": {"self": "url", "merge_requests": "url", "repo_branches": "url", "labels": "url", "members": "url"},
    "empty_repo": "bool",
    "archived": "bool",
    "owner?": USER_BASIC,
    "issues_enabled": "bool",
    "merge_requests_enabled": "bool",
    "jobs_enabled": "bool",
    "creator_id": "int",
    "import_status": "str",
    "open_issues_count": "int",
    "shared_with_groups": [SHARED_GROUP],
    "only_allow_merge_if_pipeline_succeeds": "bool",
    "only_allow_merge_if_all_discussions_are_resolved": "bool",
    "remove_source_branch_after_merge": "bool",
    "merge_method": "str",
    "squash_option": "str",
    "permissions?": {"project_access": _ACCESS | {"?": "null"}, "group_access": _ACCESS | {"?": "null"}},
}

# docs.gitlab.com/api/project_webhooks/: the token is never told
HOOK_EVENTS = (
    "push_events",
    "tag_push_events",
    "merge_requests_events",
    "repository_update_events",
    "issues_events",
    "confidential_issues_events",
    "note_events",
    "confidential_note_events",
    "pipeline_events",
    "wiki_page_events",
    "deployment_events",
    "feature_flag_events",
    "job_events",
    "releases_events",
    "milestone_events",
    "emoji_events",
    "resource_access_token_events",
    "vulnerability_events",
)
HOOK: Fields = {
    "id": "int",
    "url": "url",
    "name": "str|null",
    "description": "str|null",
    "project_id": "int",
    "created_at": "time",
    "enable_ssl_verification": "bool",
    "alert_status": "str",
    "disabled_until": "time|null",
    "url_variables": ["object"],
    "push_events_branch_filter": "str|null",
    "branch_filter_strategy": "str",
    "custom_webhook_template": "str|null",
    "custom_headers": ["object"],
    **dict.fromkeys(HOOK_EVENTS, "bool"),
}

# docs.gitlab.com/api/protected_branches/
_RULE: Fields = {
    "id": "int",
    "access_level": "level",
    "access_level_description": "str",
    "user_id?": "null",
    "group_id?": "null",
    "deploy_key_id?": "null",
}
PROTECTED_BRANCH: Fields = {
    "id": "int",
    "name": "str",
    "push_access_levels": [_RULE],
    "merge_access_levels": [_RULE],
    "unprotect_access_levels?": [_RULE],
    "allow_force_push": "bool",
    "code_owner_approval_required?": "bool",
    "inherited?": "bool",
}

# docs.gitlab.com/api/merge_request_approvals/#retrieve-approval-configuration-for-a-project
APPROVALS: Fields = {
    "approvals_before_merge": "int",
    "reset_approvals_on_push": "bool",
    "selective_code_owner_removals": "bool",
    "disable_overriding_approvers_per_merge_request": "bool",
    "merge_requests_author_approval": "bool",
    "merge_requests_disable_committers_approval": "bool",
    "require_password_to_approve": "bool",
    "require_reauthentication_to_approve": "bool",
}

# docs.gitlab.com/api/project_members/
MEMBER: Fields = {
    **USER_BASIC,
    "access_level": "level",
    "created_at": "time",
    "expires_at": "date|null",
    "membership_state": "str",
}

# docs.gitlab.com/api/projects/#share-a-project-with-a-group
SHARE: Fields = {
    "id": "int",
    "project_id": "int",
    "group_id": "int",
    "group_access": "level",
    "expires_at": "date|null",
}

# docs.gitlab.com/api/project_level_variables/
VARIABLE: Fields = {
    "variable_type": "str",
    "key": "str",
    "value": "str|null",
    "hidden": "bool",
    "protected": "bool",
    "masked": "bool",
    "raw": "bool",
    "environment_scope": "str",
    "description": "str|null",
}

# docs.gitlab.com/api/labels/
LABEL: Fields = {
    "id": "int",
    "name": "str",
    "color": "str",
    "text_color": "str",
    "description": "str|null",
    "description_html": "str|null",
    "open_issues_count?": "int",
    "closed_issues_count?": "int",
    "open_merge_requests_count?": "int",
    "subscribed": "bool",
    "priority": "int|null",
    "is_project_label": "bool",
    "archived?": "bool",
}

# docs.gitlab.com/api/issues/
ISSUE: Fields = {
    "id": "int",
    "iid": "int",
    "project_id": "int",
    "title": "str",
    "description": "str|null",
    "state": "str",
    "created_at": "time",
    "updated_at": "time",
    "closed_at": "time|null",
    "closed_by": "object|null",
    "labels": "strings",
    "milestone": "object|null",
    "assignees": [USER_BASIC],
    "author": USER_BASIC,
    "type": "str",
    "assignee": "object|null",
    "user_notes_count": "int",
    "merge_requests_count": "int",
    "upvotes": "int",
    "downvotes": "int",
    "due_date": "date|null",
    "confidential": "bool",
    "discussion_locked": "bool|null",
    "issue_type": "str",
    "web_url": "url",
    "references": {"short": "str", "relative": "str", "full": "str"},
}
