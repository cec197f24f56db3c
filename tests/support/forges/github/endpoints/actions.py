"""docs.github.com/en/rest/actions: variables, secrets and workflows."""

from __future__ import annotations

import base64
import re
from typing import Any

import yaml
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox

from tests.support.forges.github import shapes
from tests.support.forges.github.access import Needs
from tests.support.forges.github.answers import refusal
from tests.support.forges.github.calls import Call, created, no_content, ok
from tests.support.forges.github.state import WorkflowRun, node_id
from tests.support.forges.messages import Answer
from tests.support.forges.routing import Routes

routes = Routes()
_VARIABLES = "/repos/{owner}/{repo}/actions/variables"
_SECRETS = "/repos/{owner}/{repo}/actions/secrets"
_WORKFLOW = "/repos/{owner}/{repo}/actions/workflows/{workflow_id}"
_RUNS = "/repos/{owner}/{repo}/actions/runs"
_KEY_ID = "568250167242549743"
_NAME = re.compile(r"(?!GITHUB_)[A-Z_][A-Z0-9_]*", re.IGNORECASE)


def _valid_name(call: Call, name: str, kind: str) -> str:
    """Names are kept in capitals and do not begin with GITHUB_ or a digit:
    docs.github.com/en/actions/reference/workflows-and-actions/variables#naming-conventions-for-configuration-variables
    """
    if not _NAME.fullmatch(name):
        message = (
            f"{kind} names can only contain alphanumeric characters ([a-z], [A-Z], [0-9]) or underscores (_). Spaces are "
            "not allowed. Must start with a letter ([a-z], [A-Z]) or underscores (_). Must not start with GITHUB_."
        )
        raise refusal(422, message, call.page)
    return name.upper()


# Variables


def _variable(call: Call, name: str) -> dict[str, Any]:
    at = call.repository.created_at
    return {"name": name, "value": call.repository.variables[name], "created_at": at, "updated_at": at}


@routes.on(
    "GET", _VARIABLES, Needs("actions/variables#list-repository-variables", "actions_variables=read", role="write")
)
def list_variables(call: Call) -> Answer:
    return call.paged(list(call.repository.variables), lambda name: _variable(call, name), "variables")


@routes.on(
    "POST", _VARIABLES, Needs("actions/variables#create-a-repository-variable", "actions_variables=write", role="write")
)
def create_variable(call: Call) -> Answer:
    name, value = _valid_name(call, call.field("name", str), "Variable"), call.field("value", str)
    if name in call.repository.variables:
        raise refusal(409, "Already exists - Variable already exists", call.page)
    call.repository.variables[name] = value
    return created({})


@routes.on(
    "GET",
    _VARIABLES + "/{name}",
    Needs("actions/variables#get-a-repository-variable", "actions_variables=read", role="write"),
)
def get_variable(call: Call) -> Answer:
    name = call.values["name"].upper()
    if name not in call.repository.variables:
        raise call.not_found()
    return ok(_variable(call, name))


@routes.on(
    "PATCH",
    _VARIABLES + "/{name}",
    Needs("actions/variables#update-a-repository-variable", "actions_variables=write", role="write"),
)
def update_variable(call: Call) -> Answer:
    old = call.values["name"].upper()
    if old not in call.repository.variables:
        raise call.not_found()
    value = call.field("value", str, default=call.repository.variables[old])
    name = _valid_name(call, call.field("name", str, default=old), "Variable")
    del call.repository.variables[old]
    call.repository.variables[name] = value
    return no_content()


# Secrets: docs.github.com/en/rest/guides/encrypting-secrets-for-the-rest-api


def _private_key(call: Call) -> PrivateKey:
    """Each repository has its own, always the same one."""
    return PrivateKey.from_seed(call.repository.id.to_bytes(32, "big"))


@routes.on("GET", _SECRETS + "/public-key", Needs("actions/secrets#get-a-repository-public-key", "secrets=read"))
def public_key(call: Call) -> Answer:
    key = base64.b64encode(bytes(_private_key(call).public_key)).decode()
    return ok({"key_id": _KEY_ID, "key": key})


@routes.on("GET", _SECRETS, Needs("actions/secrets#list-repository-secrets", "secrets=read", role="write"))
def list_secrets(call: Call) -> Answer:
    """Names and dates, never a value."""
    at = call.repository.created_at
    return call.paged(
        list(call.repository.secrets), lambda name: {"name": name, "created_at": at, "updated_at": at}, "secrets"
    )


@routes.on(
    "PUT",
    _SECRETS + "/{secret_name}",
    Needs("actions/secrets#create-or-update-a-repository-secret", "secrets=write", role="write"),
)
def put_secret(call: Call) -> Answer:
    """201 when it is new, 204 when it is not. What can't be opened with the repository's key is refused."""
    name = _valid_name(call, call.values["secret_name"], "Secret")
    sealed, key_id = call.field("encrypted_value", str), call.field("key_id", str)
    if key_id != _KEY_ID:
        raise refusal(422, "Validation Failed", call.page, errors=["Key ID does not match"])
    try:
        value = SealedBox(_private_key(call)).decrypt(base64.b64decode(sealed, validate=True)).decode()
    except (CryptoError, ValueError) as error:
        raise refusal(422, "Validation Failed", call.page, errors=["Secret could not be decrypted"]) from error
    is_new = name not in call.repository.secrets
    call.repository.secrets[name] = value
    return created({}) if is_new else no_content()


# Workflows and runs: docs.github.com/en/rest/actions/workflows and …/workflow-runs


def _workflow_path(call: Call) -> str:
    """By its file's name, or by its id: "You can replace workflow_id with the workflow file name." """
    wanted = call.values["workflow_id"]
    git = call.git
    head = git.head(git.default_branch)
    entries = git.entries(head, recursive=True) if head else []
    for one in entries:
        names = (one.path.rpartition("/")[2], one.path, str(_workflow_id(one.path)))
        if one.kind == "blob" and one.path.startswith(".github/workflows/") and wanted in names:
            return one.path
    raise call.not_found()


def _workflow_id(path: str) -> int:
    return 1_000_000 + sum(path.encode())


@routes.on(
    "POST",
    f"{_WORKFLOW}/dispatches",
    Needs("actions/workflows#create-a-workflow-dispatch-event", "actions=write", role="write"),
)
def dispatch(call: Call) -> Answer:
    """204 without anything, or 200 with the run when ``return_run_details`` asks for it; the API's version 2026-03-10
    has no such parameter and always answers 200. Enterprise Servers before 3.20 do not know it.
    """
    always = call.api_version == "2026-03-10"
    known = (
        ("ref", "inputs") if always or _before_run_details(call.enterprise) else ("ref", "inputs", "return_run_details")
    )
    call.permit_only(*known)
    ref, inputs = call.field("ref", str), call.field("inputs", dict, default={})
    path = _workflow_path(call)
    sha = call.git.resolve(ref.removeprefix("refs/").removeprefix("heads/").removeprefix("tags/"))
    if sha is None:
        raise refusal(422, f"No ref found for: {ref}", call.page)
    entry = call.git.entry(sha, path)
    triggers = _triggers(call.git.read_blob(entry.sha)) if entry else {}
    if "workflow_dispatch" not in triggers:
        raise refusal(422, "Workflow does not have 'workflow_dispatch' trigger", call.page)
    declared = (triggers["workflow_dispatch"] or {}).get("inputs") or {}
    if unknown := [name for name in inputs if name not in declared]:
        raise refusal(422, f"Unexpected inputs provided: {unknown}".replace("'", '"'), call.page)
    if missing := [
        name for name, one in declared.items() if one.get("required") and "default" not in one and name not in inputs
    ]:
        raise refusal(422, f"Required input '{missing[0]}' not provided", call.page)
    run = WorkflowRun(
        call.state.new_id(),
        len(call.repository.runs) + 1,
        path,
        ref,
        sha,
        call.credential.user,
        inputs,
        call.state.clock.text(),
    )
    call.repository.runs.append(run)
    if not always and not call.field("return_run_details", bool, default=False):
        return no_content()
    return ok(
        {
            "workflow_run_id": run.id,
            "run_url": f"{call.sites.api}/repos/{call.repository.full_name}/actions/runs/{run.id}",
            "html_url": f"{call.sites.html}/{call.repository.full_name}/actions/runs/{run.id}",
        }
    )


def _before_run_details(enterprise: str) -> bool:
    return bool(enterprise) and tuple(int(part) for part in enterprise.split(".")[:2]) < (3, 20)


def _triggers(content: bytes) -> dict[str, Any]:
    """What is under ``on``, which YAML 1.1 reads as true."""
    workflow = yaml.safe_load(content) or {}
    triggers = workflow.get("on", workflow.get(True)) or {}
    if isinstance(triggers, str):
        return {triggers: None}
    return dict.fromkeys(triggers) if isinstance(triggers, list) else dict(triggers)


@routes.on("GET", _RUNS, Needs("actions/workflow-runs#list-workflow-runs-for-a-repository", "actions=read"))
def list_runs(call: Call) -> Answer:
    return _runs(call, call.repository.runs)


@routes.on("GET", f"{_WORKFLOW}/runs", Needs("actions/workflow-runs#list-workflow-runs-for-a-workflow", "actions=read"))
def runs_of_workflow(call: Call) -> Answer:
    path = _workflow_path(call)
    return _runs(call, [one for one in call.repository.runs if one.path == path])


def _runs(call: Call, runs: list[WorkflowRun]) -> Answer:
    """Latest first; ``created`` is a date, a moment with ``>=``, ``>``, ``<=`` or ``<`` before it, or a range with ``..``:
    docs.github.com/en/search-github/getting-started-with-searching-on-github/understanding-the-search-syntax
    """
    for parameter, attribute in (
        ("event", "event"),
        ("branch", "branch"),
        ("actor", "actor"),
        ("head_sha", "sha"),
        ("status", "status"),
    ):
        if wanted := call.request.parameter(parameter):
            runs = [one for one in runs if getattr(one, attribute) == wanted]
    if wanted := call.request.parameter("created"):
        runs = [one for one in runs if _made_in(one.created_at, wanted)]
    return call.paged(runs[::-1], lambda one: _run(call, one), "workflow_runs")


def _made_in(moment: str, wanted: str) -> bool:
    if ".." in wanted:
        first, _, last = wanted.partition("..")
        return (first == "*" or moment >= first) and (last == "*" or moment[: len(last)] <= last)
    for sign, holds in (
        (">=", lambda at: moment[: len(at)] >= at),
        ("<=", lambda at: moment[: len(at)] <= at),
        (">", lambda at: moment[: len(at)] > at),
        ("<", lambda at: moment[: len(at)] < at),
    ):
        if wanted.startswith(sign):
            return holds(wanted.removeprefix(sign).replace("+00:00", "Z"))
    return moment.startswith(wanted)


@routes.on("GET", _RUNS + "/{run_id}", Needs("actions/workflow-runs#get-a-workflow-run", "actions=read"))
def get_run(call: Call) -> Answer:
    for one in call.repository.runs:
        if str(one.id) == call.values["run_id"]:
            return ok(_run(call, one))
    raise call.not_found()


@routes.on("GET", _WORKFLOW, Needs("actions/workflows#get-a-workflow", "actions=read"))
def get_workflow(call: Call) -> Answer:
    path = _workflow_path(call)
    base, html = f"{call.sites.api}/repos/{call.repository.full_name}", f"{call.sites.html}/{call.repository.full_name}"
    number = _workflow_id(path)
    return ok(
        {
            "id": number,
            "node_id": node_id("Workflow", number),
            "name": path,
            "path": path,
            "state": "active",
            "created_at": call.repository.created_at,
            "updated_at": call.repository.created_at,
            "url": f"{base}/actions/workflows/{number}",
            "html_url": f"{html}/blob/{call.git.default_branch}/{path}",
            "badge_url": f"{html}/workflows/{path}/badge.svg",
        }
    )


def _run(call: Call, run: WorkflowRun) -> dict[str, Any]:
    """workflow-run"""
    base, html = f"{call.sites.api}/repos/{call.repository.full_name}", f"{call.sites.html}/{call.repository.full_name}"
    url = f"{base}/actions/runs/{run.id}"
    commit = call.git.commit(run.sha)
    repository = shapes.repository(call.sites, call.state, call.repository, "read")
    return {
        "id": run.id,
        "node_id": node_id("WorkflowRun", run.id),
        "name": run.path,
        "path": run.path,
        "display_title": run.path,
        "run_number": run.number,
        "run_attempt": 1,
        "event": run.event,
        "status": run.status,
        "conclusion": None,
        "head_branch": run.branch,
        "head_sha": run.sha,
        "workflow_id": _workflow_id(run.path),
        "check_suite_id": run.id,
        "check_suite_node_id": node_id("CheckSuite", run.id),
        "url": url,
        "html_url": f"{html}/actions/runs/{run.id}",
        "pull_requests": [],
        "created_at": run.created_at,
        "updated_at": run.created_at,
        "run_started_at": run.created_at,
        "actor": call.user(run.actor),
        "triggering_actor": call.user(run.actor),
        **{f"{name}_url": f"{url}/{name}" for name in ("jobs", "logs", "artifacts", "cancel", "rerun")},
        "check_suite_url": f"{base}/check-suites/{run.id}",
        "workflow_url": f"{base}/actions/workflows/{_workflow_id(run.path)}",
        "previous_attempt_url": None,
        "head_commit": {
            "id": run.sha,
            "tree_id": commit.tree,
            "message": commit.message,
            "timestamp": shapes.utc(commit.committer),
            "author": {"name": commit.author.name, "email": commit.author.email},
            "committer": {"name": commit.committer.name, "email": commit.committer.email},
        },
        "repository": repository,
        "head_repository": repository,
    }
