"""Merge requests: docs.gitlab.com/api/merge_requests/"""

from __future__ import annotations

from tests.support.forges.git_store import Person
from tests.support.forges.gitlab import code_entities
from tests.support.forges.gitlab.pushed import after_push
from tests.support.forges.gitlab.routing import ApiError, Call, endpoint, not_found, refused
from tests.support.forges.gitlab.state import DEVELOPER, MergeRequest, Project
from tests.support.forges.messages import Answer, json_answer

_STATES = ("opened", "closed", "locked", "merged", "all")


# docs.gitlab.com/api/merge_requests/#list-project-merge-requests
@endpoint("GET", "/projects/:id/merge_requests")
def merge_requests(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    call.check(
        optional="state source_branch target_branch scope order_by sort iids:texts author_username search view "
        "page:int per_page:int",
        state=_STATES,
    )
    project, params = call.project(id), call.params
    found = [one for one in project.merge_requests if params.get("state", "all") in ("all", one.state)]
    for name in ("source_branch", "target_branch"):
        if wanted := params.get(name):
            found = [one for one in found if getattr(one, name) == wanted]
    if iids := params.get("iids"):
        found = [one for one in found if str(one.iid) in iids]
    found.sort(key=lambda one: one.id, reverse=params.get("sort", "desc") == "desc")
    return call.page([_shown(call, project, one) for one in found])


# docs.gitlab.com/api/merge_requests/#create-a-merge-request
@endpoint("POST", "/projects/:id/merge_requests")
def create(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    call.check(
        "title source_branch target_branch",
        "description labels:texts remove_source_branch:bool squash:bool assignee_id:int assignee_ids reviewer_ids "
        "target_project_id:int allow_collaboration:bool",
    )
    project, params = call.project(id), call.params
    call.must_have(project, DEVELOPER)
    call.must_not_be_archived(project)
    source, target = params["source_branch"], params["target_branch"]
    # The order and words of MergeRequest#validate_branches and of handle_merge_request_errors!, gitlab-org/gitlab
    if source == target:
        raise refused(422, ["You can't use same project/branch for source and target"])
    already = [one for one in project.merge_requests if (one.source_branch, one.target_branch) == (source, target)]
    for other in already:
        if other.state == "opened":
            raise refused(409, [f"Another open merge request already exists for this source branch: !{other.iid}"])
    head, base = project.repository.head(source), project.repository.head(target)
    if head is None:
        raise refused(400, {"source_branch": ["does not exist"]})
    if base is None:
        raise refused(400, {"target_branch": ["does not exist"]})
    now = call.state.now()
    made = MergeRequest(
        call.state.next_id(),
        len(project.merge_requests) + 1,
        source,
        target,
        params["title"],
        params.get("description"),
        call.caller.user,
        now,
        now,
        head,
        # One without any commit is opened, too, unlike on GitHub.
        ahead=not project.repository.is_ancestor(head, base),
        labels=set(params.get("labels") or []),
        remove_source_branch=params.get("remove_source_branch") or False,
    )
    project.merge_requests.append(made)
    # Whether it can be merged is found out afterwards: docs.gitlab.com/api/merge_requests/#preparation-steps
    return json_answer(201, code_entities.merge_request(call.caller, project, made, status="preparing"))


# docs.gitlab.com/api/merge_requests/#retrieve-a-merge-request
@endpoint("GET", "/projects/:id/merge_requests/:iid")
def merge_request(call: Call, id: str, iid: str) -> Answer:  # noqa: A002 the documentation's word
    call.check(optional="include_diverged_commits_count:bool include_rebase_in_progress:bool render_html:bool")
    project = call.project(id)
    return json_answer(200, _shown(call, project, _find(project, iid)))


# docs.gitlab.com/api/merge_requests/#update-a-merge-request
@endpoint("PUT", "/projects/:id/merge_requests/:iid")
def update(call: Call, id: str, iid: str) -> Answer:  # noqa: A002 the documentation's word
    call.check(
        optional="title description state_event target_branch labels:texts add_labels:texts remove_labels:texts "
        "remove_source_branch:bool squash:bool assignee_id:int assignee_ids:ints reviewer_ids:ints",
        state_event=("close", "reopen"),
    )
    project, params = call.project(id), call.params
    found = _find(project, iid)
    call.must_have(project, DEVELOPER)
    call.must_not_be_archived(project)
    if not params:
        raise ApiError(400, {"error": "at least one parameter must be provided"})
    found.title = params.get("title", found.title)
    found.description = params.get("description", found.description)
    found.labels = set(params.get("labels", found.labels))
    found.labels = (found.labels | set(params.get("add_labels") or [])) - set(params.get("remove_labels") or [])
    found.remove_source_branch = params.get("remove_source_branch", found.remove_source_branch)
    # "Set to 0 or provide an empty value to unassign all": the list takes the place of what was there
    for name in ("assignee_ids", "reviewer_ids"):
        if name in params:
            users = [call.state.users[number] for number in params[name] if number in call.state.users]
            setattr(found, name.replace("_ids", "s"), users)
    event = params.get("state_event")
    if event == "close" and found.state == "opened":
        found.state, found.closed_by, found.closed_at = "closed", call.caller.user, call.state.now()
    if event == "reopen" and found.state == "closed":
        _reopen(project, found)
    found.updated_at = call.state.now()
    return json_answer(200, _shown(call, project, found))


def _reopen(project: Project, found: MergeRequest) -> None:
    pair = (found.source_branch, found.target_branch)
    for other in project.merge_requests:
        if other.state == "opened" and (other.source_branch, other.target_branch) == pair:
            raise refused(409, [f"Another open merge request already exists for this source branch: !{other.iid}"])
    found.state, found.closed_by, found.closed_at = "opened", None, None


# docs.gitlab.com/api/merge_requests/#merge-a-merge-request has this table of refusals
@endpoint("PUT", "/projects/:id/merge_requests/:iid/merge")
def merge(call: Call, id: str, iid: str) -> Answer:  # noqa: A002 the documentation's word
    call.check(
        optional="sha merge_commit_message squash_commit_message squash:bool should_remove_source_branch:bool "
        "auto_merge:bool merge_when_pipeline_succeeds:bool"
    )
    project, params = call.project(id), call.params
    found, user = _find(project, iid), call.caller.user
    if user is None or not call.caller.can_merge(project, found.target_branch):
        raise refused(401, "401 Unauthorized")
    status = _status(project, found)
    if status in ("draft_status", "not_open", "not_approved"):
        raise refused(405, "405 Method Not Allowed")
    if status != "mergeable":
        raise refused(422, "Branch cannot be merged")
    if (sha := params.get("sha")) and sha != found.source_sha:
        raise refused(409, f"SHA does not match HEAD of source branch: {found.source_sha}")
    repository = project.repository
    ours = repository.head(found.target_branch)
    tree = repository.merged_tree(ours, found.source_sha)
    who = Person(user.name, user.email, call.state.now())
    words = params.get("merge_commit_message") or (
        f"Merge branch '{found.source_branch}' into '{found.target_branch}'\n\n{found.title}\n\n"
        f"See merge request {project.full_path}!{found.iid}"
    )
    made = repository.write_commit(tree, [ours, found.source_sha], words, author=who)
    if not repository.set_ref(f"refs/heads/{found.target_branch}", made, ours):
        raise refused(422, "Branch cannot be merged")
    found.state, found.merged_by, found.merged_at, found.merge_commit_sha = "merged", user, call.state.now(), made
    if params.get("should_remove_source_branch", found.remove_source_branch):
        repository.delete_ref(f"refs/heads/{found.source_branch}")
    after_push(call.state, project)
    return json_answer(200, _shown(call, project, found))


def _find(project: Project, iid: str) -> MergeRequest:
    for one in project.merge_requests:
        if str(one.iid) == iid:
            return one
    raise not_found()


def _shown(call: Call, project: Project, one: MergeRequest) -> dict:
    return code_entities.merge_request(call.caller, project, one, status=_status(project, one))


def _status(project: Project, one: MergeRequest) -> str:
    """docs.gitlab.com/api/merge_requests/#merge-status"""
    if one.state != "opened":
        return "not_open"
    if one.draft:
        return "draft_status"
    if project.approvals_required:
        return "not_approved"
    ours = project.repository.head(one.target_branch)
    if ours is None or project.repository.head(one.source_branch) is None:
        return "broken_status"
    if not one.ahead:
        return "commits_status"
    return "conflict" if project.repository.merged_tree(ours, one.source_sha) is None else "mergeable"
