"""Pipelines: docs.gitlab.com/api/pipelines/"""

from __future__ import annotations

from tests.support.forges.gitlab import code_entities, entities
from tests.support.forges.gitlab.routing import Call, endpoint, not_found, refused
from tests.support.forges.gitlab.state import DEVELOPER, Pipeline
from tests.support.forges.messages import Answer, json_answer


# docs.gitlab.com/api/pipelines/#list-project-pipelines
@endpoint("GET", "/projects/:id/pipelines")
def pipelines(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    call.check(
        optional="scope status ref sha source username updated_after updated_before created_after created_before name "
        "order_by sort page:int per_page:int"
    )
    project, params = call.project(id), call.params
    found = list(project.pipelines)
    for name in ("ref", "sha", "source", "status"):
        if wanted := params.get(name):
            found = [one for one in found if getattr(one, name) == wanted]
    if wanted := params.get("username"):
        found = [one for one in found if one.user.username == wanted]
    if after := params.get("created_after"):
        found = [one for one in found if entities.time(one.created_at) >= after]
    found.sort(key=lambda one: one.id, reverse=params.get("sort", "desc") == "desc")
    return call.page([code_entities.pipeline(call.state, project, one) for one in found])


# docs.gitlab.com/api/pipelines/#retrieve-a-pipeline
@endpoint("GET", "/projects/:id/pipelines/:pipeline_id")
def pipeline(call: Call, id: str, pipeline_id: str) -> Answer:  # noqa: A002 the documentation's word
    project = call.project(id)
    for one in project.pipelines:
        if str(one.id) == pipeline_id:
            return json_answer(200, code_entities.pipeline(call.state, project, one))
    raise not_found()


# docs.gitlab.com/api/pipelines/#create-a-pipeline
@endpoint("POST", "/projects/:id/pipeline")
def create(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    call.check("ref", "variables:hashes inputs")
    project, params = call.project(id), call.params
    call.must_have(project, DEVELOPER)
    call.must_not_be_archived(project)
    sha = project.repository.resolve(params["ref"])
    # The words of Gitlab::Ci::Pipeline::Chain, gitlab-org/gitlab
    if sha is None:
        raise refused(400, {"base": ["Reference not found"]})
    if project.repository.entry(sha, ".gitlab-ci.yml") is None:
        raise refused(400, {"base": ["Missing CI config file"]})
    given = {one["key"]: one["value"] for one in params.get("variables") or []}
    number = len(project.pipelines) + 1
    made = Pipeline(call.state.next_id(), number, params["ref"], sha, call.caller.user, call.state.now(), given)
    project.pipelines.append(made)
    return json_answer(201, code_entities.pipeline(call.state, project, made))
