"""Starting pipelines. GitLab starts one for each request that it gets, so there is never a second request.

docs.gitlab.com/api/pipelines/#create-a-pipeline
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ActionError, RemoteError, ValidationError
from portal_actions_plugin.scm.base import WorkflowRun
from portal_actions_plugin.scm.gitlab.client import ProjectApi
from portal_actions_plugin.scm.gitlab.projects import segment
from portal_actions_plugin.scm.names import check_branch
from portal_actions_plugin.scm.remote.answers import LostAnswerError
from portal_actions_plugin.scm.remote.fields import moment, number, text
from portal_actions_plugin.scm.remote.intents import Intents, fingerprint
from portal_actions_plugin.scm.remote.lost_answers import look_for

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.gitlab.client import Query
    from portal_actions_plugin.scm.remote.fields import JsonObject


@dataclass(frozen=True, slots=True)
class Dispatch:
    """A pipeline to start; the fields are those of ``ScmProvider.dispatch_workflow``."""

    branch: str
    inputs: Mapping[str, str]
    claim: str


def dispatch_workflow(repo: ProjectApi, wanted: Dispatch) -> WorkflowRun:
    """Start a pipeline as ``ScmProvider.dispatch_workflow`` says; the inputs are variables of it."""
    check_branch(wanted.branch)
    asked = fingerprint(wanted.claim, repo.project.id, wanted.branch, dict(wanted.inputs))
    intents = Intents(repo.opening.notes, f"gitlab.dispatch.{asked}")
    if (made := intents.made) is not None:
        return WorkflowRun(text(made, "id"), text(made, "url"))
    sent = intents.open()
    run = _look_up(repo, wanted, text(sent[-1], "at")) if sent else _start(repo, wanted, intents)
    intents.keep_made({"id": run.id, "url": run.url})
    return run


def _start(repo: ProjectApi, wanted: Dispatch, intents: Intents) -> WorkflowRun:
    repo.check_writable()
    found = repo.find(f"/repository/branches/{segment(wanted.branch)}") or repo.find(
        f"/repository/tags/{segment(wanted.branch)}"
    )
    if found is None:
        message = f"{repo.name} has no branch or tag {wanted.branch}."
        raise ValidationError(message, fields={"branch": [message]})
    since = (found.at or datetime.now(UTC)).isoformat()
    variables: list[JsonValue] = [{"key": key, "value": value} for key, value in wanted.inputs.items()]
    body: JsonValue = {"ref": wanted.branch, "variables": variables}
    intents.add({"at": since})
    try:
        return _run(repo.write("POST", "/pipeline", body=body).object())
    except LostAnswerError as lost:
        repo.opening.log(
            f"The answer was lost, so the pipeline is looked for and no other one is started: {lost.message}"
        )
    except ActionError:
        intents.refused()
        raise
    return _look_up(repo, wanted, since)


def _look_up(repo: ProjectApi, wanted: Dispatch, since: str) -> WorkflowRun:
    """The only pipeline that can be ours; raises RemoteError when there is none or more than one."""
    found = look_for(lambda: _pipelines(repo, wanted, since) or None) or []
    if len(found) == 1:
        return _run(found[0])
    seen = f"{len(found)} pipelines were" if found else "no pipeline was"
    raise RemoteError(
        f"A pipeline on {wanted.branch} of {repo.name} was asked for, the answer was lost, and {seen} to be seen since "
        f"{since}: which one is this run's cannot be told. None is started again.",
        hint=f"Look at {repo.project.web_url}/-/pipelines. If there is none of yours, start this action anew.",
    )


def _pipelines(repo: ProjectApi, wanted: Dispatch, since: str) -> list[JsonObject]:
    """docs.gitlab.com/api/pipelines/#list-project-pipelines: those of the API, by our account"""
    query: Query = {"ref": wanted.branch, "source": "api", "username": repo.api.my_name, "created_after": since}
    first = moment(since)
    found = repo.pages("/pipelines", query=query, what="the pipelines")
    return [one for one in found if moment(text(one, "created_at")) >= first]


def _run(found: JsonObject) -> WorkflowRun:
    return WorkflowRun(str(number(found, "id")), text(found, "web_url"))
