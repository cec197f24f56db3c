"""Actions on a forge's CI: its variables and secrets, and runs of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields, pre_load, validate
from marshmallow import ValidationError as SchemaError

from portal_actions_plugin.actions.claims import claim_on
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.actions.scm_commits import OpenRepo, open_repo
from portal_actions_plugin.actions.scm_fields import AsRequester, branch_field, optional_text, repo_field, repo_lock
from portal_actions_plugin.scm.base import Operation, Variable

if TYPE_CHECKING:
    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.scm.base import RepoRef, WorkflowRun

_MAX_VALUE = 48 * 1024
_MAX_INPUTS = 25
_VARIABLE = validate.Regexp(
    r"^[A-Za-z_][A-Za-z0-9_]{0,254}$(?!\n)",
    error="A variable is up to 255 letters, digits and '_', and starts with no digit.",
)


class SetVariable(AsRequester):
    repo = repo_field()
    name = fields.String(required=True, validate=_VARIABLE, metadata={"description": "Its name, such as DEPLOY_TOKEN."})
    value = fields.String(
        required=True,
        load_only=True,
        validate=validate.Length(min=1, max=_MAX_VALUE),
        metadata={"description": "Its value. It is kept as every secret is: encrypted, until the run ends."},
    )
    is_secret = fields.Boolean(
        data_key="secret",
        load_default=True,
        metadata={"description": "Whether the forge hides it: a secret at GitHub, a masked variable at GitLab."},
    )
    is_protected = fields.Boolean(
        data_key="protected",
        load_default=False,
        metadata={"description": "Whether only protected branches get it, where the forge has that."},
    )


class SetVariableOutput(Schema):
    name = fields.String(metadata={"description": "Its name."})


def _kind_of_variable(data: Mapping[str, object]) -> tuple[Operation, ...]:
    secret = data.get("secret", True)
    return (Operation.SET_VARIABLE,) if secret in (False, "false") else (Operation.SET_SECRET,)


@action(
    "scm.setVariable@v1",
    title="Set a variable or secret of the CI",
    input=SetVariable,
    output=SetVariableOutput,
    idempotent=True,
    timeout=60,
    lock=repo_lock,
    operations=_kind_of_variable,
)
def set_variable(
    ctx: ActionContext, *, repo: RepoRef, name: str, value: str, is_secret: bool, is_protected: bool
) -> dict[str, Any]:
    """Set a variable or secret that the repository's CI gets, whatever it was before."""
    needed = Operation.SET_SECRET if is_secret else Operation.SET_VARIABLE
    opened = open_repo(ctx, repo, needed)
    opened.scm.set_variable(opened.ref, Variable(name, value, is_secret, is_protected))
    ctx.log(f"the {'secret' if is_secret else 'variable'} {name} of {repo.full_name} is set")
    return {"name": name}


def _check_few(inputs: Mapping[str, object]) -> None:
    if len(inputs) > _MAX_INPUTS:
        raise SchemaError(f"At most {_MAX_INPUTS} inputs are taken.")


class DispatchWorkflow(AsRequester):
    repo = repo_field()
    workflow = optional_text(
        "The workflow's file, such as release.yml, or its id. A forge with one pipeline for each repository needs none.",
        validate=validate.Length(min=1, max=255),
    )
    branch = branch_field("The branch or tag that it runs on. Default: the default branch.")
    inputs = fields.Dict(
        keys=fields.String(validate=validate.Length(min=1, max=255)),
        values=fields.String(validate=validate.Length(max=65_000)),
        load_default=dict,
        validate=_check_few,
        metadata={
            "description": "Its inputs or variables. None of them is secret: set those before.",
            "maxProperties": _MAX_INPUTS,
        },
    )

    @pre_load
    def write_scalars(self, data: Mapping[str, Any], **_options: object) -> Mapping[str, Any]:
        """Numbers and booleans as CI systems spell them: templates have them as what they are."""
        inputs = data.get("inputs") if isinstance(data, Mapping) else None
        if not isinstance(inputs, Mapping):
            return data
        return {**data, "inputs": {name: _spelled(value) for name, value in inputs.items()}}


def _spelled(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


class DispatchWorkflowOutput(Schema):
    run_id = fields.String(data_key="runId", metadata={"description": "The forge's id of the run."})
    run_url = fields.String(data_key="runUrl", metadata={"description": "Its page."})


@action(
    "ci.dispatchWorkflow@v1",
    title="Start a run of the CI",
    input=DispatchWorkflow,
    output=DispatchWorkflowOutput,
    idempotent=True,
    timeout=120,
    lock=repo_lock,
    operations=(Operation.DISPATCH_WORKFLOW,),
)
def dispatch_workflow(
    ctx: ActionContext, *, repo: RepoRef, workflow: str | None, branch: str | None, inputs: Mapping[str, str]
) -> dict[str, Any]:
    """Start a workflow or pipeline, once for each run and those that retry it. It does not wait for its end."""
    run = started(open_repo(ctx, repo, Operation.DISPATCH_WORKFLOW), workflow, branch, inputs)
    return {"runId": run.id, "runUrl": run.url}


def started(opened: OpenRepo, workflow: str | None, branch: str | None, inputs: Mapping[str, str]) -> WorkflowRun:
    """Start a run of the CI, once for each run of ours and those that retry it.

    Args:
        opened: the repository.
        workflow: its file or id, where the forge has several.
        branch: the branch or tag; None for the default one.
        inputs: its inputs or variables.
    """
    ctx, repo = opened.ctx, opened.ref
    where = branch or opened.ref.default_branch
    claim = claim_on(
        ctx, "dispatchWorkflow", repo.provider, repo.full_name.lower(), workflow or "", where, dict(inputs)
    )
    run = opened.scm.dispatch_workflow(opened.ref, workflow=workflow or "", branch=where, inputs=inputs, claim=claim)
    what = f"{workflow} of " if workflow else "the CI of "
    ctx.log(f"started {what}{repo.full_name} on {where}: run {run.id}")
    ctx.link(f"Run {run.id}", run.url)
    return run
