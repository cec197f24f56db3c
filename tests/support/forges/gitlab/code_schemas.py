"""The shapes of GitLab's answers about what lies in a repository, as its documentation shows them; the double's answers are held against them.

GitLab's own description (doc/api/openapi/openapi_v3.yaml of gitlab-org/gitlab, version 19.5, CC BY-SA 4.0) was read for
names and types and is not copied. A name with ``?`` may be missing; no answer has a name that is not here.
"""

from __future__ import annotations

from tests.support.forges.gitlab.schemas import USER_BASIC
from tests.support.forges.gitlab.shapes import Fields

# docs.gitlab.com/api/commits/
COMMIT: Fields = {
    "id": "sha",
    "short_id": "str",
    "created_at": "time",
    "parent_ids": "strings",
    "title": "str",
    "message": "str",
    "author_name": "str",
    "author_email": "str",
    "authored_date": "time",
    "committer_name": "str",
    "committer_email": "str",
    "committed_date": "time",
    "trailers": "object",
    "extended_trailers": "object",
    "web_url": "url",
}
COMMIT_DETAIL: Fields = {
    **COMMIT,
    "stats?": {"additions": "int", "deletions": "int", "total": "int"},
    "status": "str|null",
    "project_id": "int",
    "last_pipeline": "object|null",
}

# docs.gitlab.com/api/branches/
BRANCH: Fields = {
    "name": "str",
    "commit": COMMIT,
    "merged": "bool",
    "protected": "bool",
    "developers_can_push": "bool",
    "developers_can_merge": "bool",
    "can_push": "bool",
    "default": "bool",
    "web_url": "url",
}

# docs.gitlab.com/api/repositories/#list-repository-tree
TREE_ENTRY: Fields = {"id": "sha", "name": "str", "type": "str", "path": "str", "mode": "str"}

# docs.gitlab.com/api/repository_files/
FILE: Fields = {
    "file_name": "str",
    "file_path": "str",
    "size": "int",
    "encoding": "str",
    "content": "str",
    "content_sha256": "str",
    "ref": "str",
    "blob_id": "sha",
    "commit_id": "sha",
    "last_commit_id": "sha",
    "execute_filemode": "bool",
}

# docs.gitlab.com/api/merge_requests/#create-mr
MERGE_REQUEST: Fields = {
    "id": "int",
    "iid": "int",
    "project_id": "int",
    "title": "str",
    "description": "str|null",
    "state": "str",
    "created_at": "time",
    "updated_at": "time",
    "merged_by": "object|null",
    "merge_user": "object|null",
    "merged_at": "time|null",
    "closed_by": "object|null",
    "closed_at": "time|null",
    "target_branch": "str",
    "source_branch": "str",
    "user_notes_count": "int",
    "upvotes": "int",
    "downvotes": "int",
    "author": USER_BASIC,
    "assignees": [USER_BASIC],
    "assignee": "object|null",
    "reviewers": [USER_BASIC],
    "source_project_id": "int",
    "target_project_id": "int",
    "labels": "strings",
    "draft": "bool",
    "work_in_progress": "bool",
    "milestone": "object|null",
    "merge_when_pipeline_succeeds": "bool",
    "merge_status": "str",
    "detailed_merge_status": "str",
    "sha": "sha|null",
    "merge_commit_sha": "sha|null",
    "squash_commit_sha": "sha|null",
    "discussion_locked": "bool|null",
    "should_remove_source_branch": "bool|null",
    "force_remove_source_branch": "bool|null",
    "reference": "str",
    "references": {"short": "str", "relative": "str", "full": "str"},
    "web_url": "url",
    "squash": "bool",
    "has_conflicts": "bool",
    "blocking_discussions_resolved": "bool",
    "changes_count?": "str|null",
    "diff_refs?": {"base_sha": "sha|null", "head_sha": "sha|null", "start_sha": "sha|null"},
    "user?": {"can_merge": "bool"},
}

# docs.gitlab.com/api/pipelines/
PIPELINE: Fields = {
    "id": "int",
    "iid": "int",
    "project_id": "int",
    "sha": "sha",
    "ref": "str",
    "status": "str",
    "source": "str",
    "created_at": "time",
    "updated_at": "time",
    "web_url": "url",
    "name": "str|null",
    "before_sha?": "sha",
    "tag?": "bool",
    "yaml_errors?": "str|null",
    "user?": USER_BASIC,
    "started_at?": "time|null",
    "finished_at?": "time|null",
    "committed_at?": "time|null",
    "duration?": "int|null",
    "queued_duration?": "int|null",
    "coverage?": "str|null",
    "detailed_status?": "object",
}
