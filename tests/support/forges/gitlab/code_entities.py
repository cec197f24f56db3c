"""How GitLab presents what lies in a repository, and what is proposed for it and run on it."""

from __future__ import annotations

import base64
import hashlib

from tests.support.forges.git_store import CommitObject, Entry
from tests.support.forges.gitlab.access import Caller, allows, matching
from tests.support.forges.gitlab.entities import Json, checked, references, time, user_basic
from tests.support.forges.gitlab.state import DEVELOPER, MergeRequest, Pipeline, Project, State

_MERGE_STATUS = {"conflict": "cannot_be_merged", "preparing": "checking"}


def commit(state: State, where: Project, one: CommitObject) -> Json:
    return checked(
        "COMMIT",
        {
            "id": one.sha,
            "short_id": one.sha[:8],
            "created_at": time(one.committer.at),
            "parent_ids": list(one.parents),
            "title": one.message.partition("\n")[0],
            "message": one.message,
            "author_name": one.author.name,
            "author_email": one.author.email,
            "authored_date": time(one.author.at),
            "committer_name": one.committer.name,
            "committer_email": one.committer.email,
            "committed_date": time(one.committer.at),
            "trailers": {},
            "extended_trailers": {},
            "web_url": f"{state.url}/{where.full_path}/-/commit/{one.sha}",
        },
    )


def commit_detail(state: State, where: Project, one: CommitObject, stats: Json | None) -> Json:
    about = {**commit(state, where, one), "status": None, "project_id": where.id, "last_pipeline": None}
    return checked("COMMIT_DETAIL", about | ({"stats": stats} if stats else {}))


def branch(caller: Caller, where: Project, name: str, sha: str) -> Json:
    rules = matching(where, name)
    return checked(
        "BRANCH",
        {
            "name": name,
            "commit": commit(caller.state, where, where.repository.commit(sha)),
            "merged": False,
            "protected": bool(rules),
            "developers_can_push": any(allows(DEVELOPER, rule.push_level) for rule in rules),
            "developers_can_merge": any(allows(DEVELOPER, rule.merge_level) for rule in rules),
            "can_push": caller.can_push(where, name),
            "default": name == where.default_branch,
            "web_url": f"{caller.state.url}/{where.full_path}/-/tree/{name}",
        },
    )


def tree_entry(one: Entry, folder: str) -> Json:
    path = f"{folder}/{one.path}" if folder else one.path
    name = path.rpartition("/")[2]
    return checked("TREE_ENTRY", {"id": one.sha, "name": name, "type": one.kind, "path": path, "mode": one.mode})


def file(path: str, ref: str, entry: Entry, content: bytes, commit_id: str, last_commit_id: str) -> Json:
    return checked(
        "FILE",
        {
            "file_name": path.rpartition("/")[2],
            "file_path": path,
            "size": len(content),
            "encoding": "base64",
            "content": base64.b64encode(content).decode(),
            "content_sha256": hashlib.sha256(content).hexdigest(),
            "ref": ref,
            "blob_id": entry.sha,
            "commit_id": commit_id,
            "last_commit_id": last_commit_id,
            "execute_filemode": entry.mode == "100755",
        },
    )


def merge_request(caller: Caller, where: Project, one: MergeRequest, *, status: str) -> Json:
    state = caller.state
    merged_by = user_basic(state, one.merged_by) if one.merged_by else None
    return checked(
        "MERGE_REQUEST",
        {
            "id": one.id,
            "iid": one.iid,
            "project_id": where.id,
            "title": one.title,
            "description": one.description,
            "state": one.state,
            "created_at": time(one.created_at),
            "updated_at": time(one.updated_at),
            "merged_by": merged_by,
            "merge_user": merged_by,
            "merged_at": time(one.merged_at) if one.merged_at else None,
            "closed_by": user_basic(state, one.closed_by) if one.closed_by else None,
            "closed_at": time(one.closed_at) if one.closed_at else None,
            "target_branch": one.target_branch,
            "source_branch": one.source_branch,
            "user_notes_count": 0,
            "upvotes": 0,
            "downvotes": 0,
            "author": user_basic(state, one.author),
            "assignees": [user_basic(state, user) for user in one.assignees],
            "assignee": user_basic(state, one.assignees[0]) if one.assignees else None,
            "reviewers": [user_basic(state, user) for user in one.reviewers],
            "source_project_id": where.id,
            "target_project_id": where.id,
            "labels": sorted(one.labels),
            "draft": one.draft,
            "work_in_progress": one.draft,
            "milestone": None,
            "merge_when_pipeline_succeeds": False,
            "merge_status": _MERGE_STATUS.get(status, "can_be_merged"),
            "detailed_merge_status": status,
            "sha": one.source_sha,
            "merge_commit_sha": one.merge_commit_sha,
            "squash_commit_sha": one.squash_commit_sha,
            "discussion_locked": None,
            "should_remove_source_branch": None,
            "force_remove_source_branch": one.remove_source_branch,
            "reference": f"!{one.iid}",
            "references": references(where, f"!{one.iid}"),
            "web_url": f"{state.url}/{where.full_path}/-/merge_requests/{one.iid}",
            "squash": False,
            "has_conflicts": status == "conflict",
            "blocking_discussions_resolved": True,
            "user": {"can_merge": caller.can_merge(where, one.target_branch)},
        },
    )


def pipeline(state: State, where: Project, one: Pipeline) -> Json:
    return checked(
        "PIPELINE",
        {
            "id": one.id,
            "iid": one.iid,
            "project_id": where.id,
            "sha": one.sha,
            "ref": one.ref,
            "status": one.status,
            "source": one.source,
            "created_at": time(one.created_at),
            "updated_at": time(one.created_at),
            "web_url": f"{state.url}/{where.full_path}/-/pipelines/{one.id}",
            "name": None,
        },
    )
