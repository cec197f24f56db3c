"""Starting workflows. GitHub starts one for each request that it gets, so there is never a second request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from portal_actions_plugin.errors import ActionError, RemoteError, ValidationError
from portal_actions_plugin.scm.base import WorkflowRun
from portal_actions_plugin.scm.github.client import RepoApi, segment
from portal_actions_plugin.scm.remote.answers import LostAnswerError
from portal_actions_plugin.scm.remote.fields import at, maybe_text, moment, number, objects, text
from portal_actions_plugin.scm.remote.intents import Intents, fingerprint
from portal_actions_plugin.scm.remote.lost_answers import look_for

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.remote.answers import ForgeAnswer
    from portal_actions_plugin.scm.remote.fields import JsonObject

_DETAILS = "return_run_details"
_EVENT = "workflow_dispatch"


@dataclass(frozen=True, slots=True)
class Dispatch:
    """A run to start; the fields are those of ``ScmProvider.dispatch_workflow``."""

    workflow: str
    branch: str
    inputs: Mapping[str, str]
    claim: str

    def key(self, repo: RepoApi) -> str:
        """What notes about it are kept under: another input has others."""
        about = fingerprint(self.claim, repo.name.lower(), self.workflow, self.branch, dict(self.inputs))
        return f"github.dispatch.{about}"


def dispatch_workflow(repo: RepoApi, wanted: Dispatch) -> WorkflowRun:
    """Start a run as ``ScmProvider.dispatch_workflow`` says."""
    intents = Intents(repo.api.opening.notes, wanted.key(repo))
    if (known := intents.made) is not None:
        return WorkflowRun(text(known, "id"), text(known, "url"), maybe_text(known, "api_url") or "")
    if sent := intents.open():
        made = _look_up(repo, wanted, sent[-1])  # an attempt before this one may have started it
    else:
        noted = _note(repo, wanted)
        intents.add(noted)
        made = _start(repo, wanted, noted, intents)
    intents.keep_made({"id": made.id, "url": made.url, "api_url": made.api_url})
    return made


def _note(repo: RepoApi, wanted: Dispatch) -> JsonObject:
    """What a run is found by later: since when by GitHub's clock, who has started it, and which are of that second already."""
    actor = _actor(repo)
    now = repo.send("GET", _runs_of(wanted), query={"event": _EVENT, "branch": wanted.branch, "per_page": 100})
    if now.at is None:
        raise RemoteError(f"{now.api} does not say what time it is, which is needed to know a run again.")
    before = [at(run, "id") for run in objects(now.object(), "workflow_runs") if _began(run) >= now.at]
    return {"since": now.at.strftime("%Y-%m-%dT%H:%M:%SZ"), "actor": actor, "before": before}


def _actor(repo: RepoApi) -> str:
    """Who the credential is, as GitHub names who has started a run; empty where it does not say."""
    if app := repo.api.github.credentials.app(repo.ref.owner):
        slug = maybe_text(app.ask("GET", "/app").object(), "slug")
        return f"{slug}[bot]" if slug else ""
    answer = repo.api.send("GET", "/user", accept=(403,))
    return text(answer.object(), "login") if answer.status != 403 else ""


def _start(repo: RepoApi, wanted: Dispatch, noted: JsonObject, intents: Intents) -> WorkflowRun:
    try:
        answer = _send(repo, wanted)
        if answer.status != 204:
            found = answer.object()
            api_url = maybe_text(found, "run_url") or ""
            return WorkflowRun(str(number(found, "workflow_run_id")), text(found, "html_url"), api_url)
    except LostAnswerError as lost:
        repo.api.opening.log(
            f"The answer was lost, so the run is looked for and no other one is started: {lost.message}"
        )
    except ActionError:
        intents.refused()  # it has started nothing, so the next request may follow
        raise
    return _look_up(repo, wanted, noted)


def _send(repo: RepoApi, wanted: Dispatch) -> ForgeAnswer:
    """Ask for the run and its number, or for the run alone where GitHub refuses to tell the number: older servers do."""
    path = f"/actions/workflows/{segment(wanted.workflow)}/dispatches"
    body: dict[str, JsonValue] = {"ref": wanted.branch, "inputs": dict(wanted.inputs)}
    try:
        return repo.send("POST", path, body={**body, _DETAILS: True})
    except ValidationError as error:
        if _DETAILS not in error.message:
            raise
    return repo.send("POST", path, body=body)


def _look_up(repo: RepoApi, wanted: Dispatch, noted: JsonValue) -> WorkflowRun:
    """The only run that can be ours; raises RemoteError when there is none or more than one."""
    runs = look_for(lambda: _runs(repo, wanted, noted) or None) or []
    if len(runs) == 1:
        return WorkflowRun(str(number(runs[0], "id")), text(runs[0], "html_url"), maybe_text(runs[0], "url") or "")
    seen = f"{len(runs)} runs were" if runs else "no run was"
    page = f"{repo.web_url}/actions/workflows/{quote(wanted.workflow)}?query=event%3A{_EVENT}"
    raise RemoteError(
        f"{wanted.workflow} of {repo.name} was asked to run on {wanted.branch}, the answer was lost, and {seen} to be seen "
        f"since {maybe_text(noted, 'since')}: which one is this run's cannot be told. It is not started again.",
        hint=f"Look at {page}. If there is no run of yours, start this action anew.",
    )


def _runs(repo: RepoApi, wanted: Dispatch, noted: JsonValue) -> Sequence[JsonObject]:
    since, before = text(noted, "since"), at(noted, "before")
    known = before if isinstance(before, list) else []
    query = {"event": _EVENT, "branch": wanted.branch, "created": f">={since}"}
    if actor := maybe_text(noted, "actor"):
        query["actor"] = actor
    found = repo.pages(_runs_of(wanted), query=query, what="the runs", key="workflow_runs")
    return [run for run in found if number(run, "id") not in known and _began(run) >= moment(since)]


def _runs_of(wanted: Dispatch) -> str:
    return f"/actions/workflows/{segment(wanted.workflow)}/runs"


def _began(run: JsonObject) -> datetime:
    return moment(text(run, "created_at"))
