"""The commands that start, follow and end runs."""

from __future__ import annotations

import json
import time
from typing import Any, TextIO

import click
from flask.cli import with_appcontext

from portal_actions_plugin.cli.asker import identity_of, identity_option, role_option, says_errors
from portal_actions_plugin.cli.terminal import say
from portal_actions_plugin.host import Identity
from portal_actions_plugin.run_types import ActionRun, Attempt, StepItems, TemplateRun
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.accept import Ask, Started
from portal_actions_plugin.runs.reading import permitted
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.runs.states import OVER, STATUSES, SUCCESS

Run = ActionRun | TemplateRun

FOLLOW_SECONDS = 0.5


def _json_object(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}") from None
    if not isinstance(data, dict):
        raise click.BadParameter("must be a JSON object")
    return data


_secrets_option = click.option(
    "--secrets",
    type=click.File(),
    help="A file with the secret inputs, as a JSON object; - is standard input. Arguments show in a list of processes.",
)
_wait_option = click.option("--wait", is_flag=True, help="Follow to the end; exits with 1 unless the run succeeds.")


@click.command("run-template")
@click.argument("name")
@click.option("--inputs", type=_json_object, default="{}", help="The parameters, as a JSON object.")
@identity_option
@role_option
@_secrets_option
@_wait_option
@with_appcontext
@says_errors
def run_template(
    name: str,
    inputs: dict[str, Any],
    requester: str,
    roles: tuple[str, ...],
    secrets: TextIO | None,
    wait: bool,  # noqa: FBT001 click hands it over
) -> None:
    """Start a template."""
    identity = identity_of(requester, roles)
    _started(identity, service.start_template_run(identity, name, inputs, _ask(secrets)), wait)


@click.command("run-action")
@click.argument("action_id")
@click.option("--input", "data", type=_json_object, default="{}", help="The input, as a JSON object.")
@identity_option
@role_option
@_secrets_option
@_wait_option
@with_appcontext
@says_errors
def run_action(
    action_id: str,
    data: dict[str, Any],
    requester: str,
    roles: tuple[str, ...],
    secrets: TextIO | None,
    wait: bool,  # noqa: FBT001 click hands it over
) -> None:
    """Start a one-off."""
    identity = identity_of(requester, roles)
    _started(identity, service.start_action_run(identity, action_id, data, _ask(secrets)), wait)


@click.command("retry")
@click.argument("run_id")
@identity_option
@role_option
@_secrets_option
@_wait_option
@with_appcontext
@says_errors
def retry(run_id: str, requester: str, roles: tuple[str, ...], secrets: TextIO | None, wait: bool) -> None:  # noqa: FBT001 click hands it over
    """Start a failed or canceled run anew."""
    identity = identity_of(requester, roles)
    run = permitted.any_run(identity, run_id)
    again = service.retry_template_run if isinstance(run, TemplateRun) else service.retry_action_run
    _started(identity, again(identity, run_id, _ask(secrets)), wait)


@click.command("resume")
@click.argument("run_id")
@identity_option
@role_option
@_secrets_option
@_wait_option
@with_appcontext
@says_errors
def resume(run_id: str, requester: str, roles: tuple[str, ...], secrets: TextIO | None, wait: bool) -> None:  # noqa: FBT001 click hands it over
    """Start a template run anew at the step that failed."""
    identity = identity_of(requester, roles)
    _started(identity, service.resume_template_run(identity, run_id, _ask(secrets)), wait)


@click.command("cancel")
@click.argument("run_id")
@identity_option
@role_option
@with_appcontext
@says_errors
def cancel(run_id: str, requester: str, roles: tuple[str, ...]) -> None:
    """Cancel a queued or running run."""
    identity = identity_of(requester, roles)
    run = permitted.any_run(identity, run_id)
    stop = service.cancel_template_run if isinstance(run, TemplateRun) else service.cancel_action_run
    say(f"{run_id} is {stop(identity, run_id).status}")


@click.command("list")
@click.option("--status", multiple=True, type=click.Choice(STATUSES), help="Repeatable.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 200))
@identity_option
@role_option
@with_appcontext
@says_errors
def list_runs(status: tuple[str, ...], limit: int, requester: str, roles: tuple[str, ...]) -> None:
    """List action runs, newest first."""
    for run in permitted.action_runs(identity_of(requester, roles), RunFilter(status=status), limit=limit).items:
        name = f"{run.step_id} ({run.action})" if run.step_id else run.action
        say(f"{run.id}  {run.status:<8}  {run.queued_at:%Y-%m-%d %H:%M:%S}  {run.requester_name}  {name}")


@click.command("show")
@click.argument("run_id")
@identity_option
@role_option
@with_appcontext
@says_errors
def show(run_id: str, requester: str, roles: tuple[str, ...]) -> None:
    """Show a template run or an action run, with its log."""
    run = permitted.any_run(identity_of(requester, roles), run_id)
    say(*(_template_run_text(run) if isinstance(run, TemplateRun) else _action_run_text(run)))


COMMANDS = (run_template, run_action, retry, resume, cancel, list_runs, show)


# -- helpers ---------------------------------------------------------------------------------------------------------


def _ask(secrets: TextIO | None) -> Ask:
    return Ask(secrets=_json_object(secrets.read())) if secrets else Ask()


def _started(identity: Identity, started: Started, wait: bool) -> None:  # noqa: FBT001 it is the command's own switch
    run = started.run
    if started.at_work:
        say("Nothing new was started: this run is at work on the same.", err=True)
    say(run.id)
    if not wait:
        return
    ended = _follow(identity, run)
    say(ended.status, err=True)
    if ended.status != SUCCESS:
        say(*_failures(ended), err=True)
        raise SystemExit(1)


def _follow(identity: Identity, run: Run) -> Run:
    while run.status not in OVER:
        time.sleep(FOLLOW_SECONDS)
        run = permitted.as_it_is_now(identity, run)
    return run


def _failures(run: Run) -> list[str]:
    runs = [part for step in run.steps for part in step.runs] if isinstance(run, TemplateRun) else [run]
    return [
        line
        for found in runs
        if found and found.error
        for line in (
            f"{found.step_id or found.action}: {found.error.code}: {found.error.message}",
            f"  → {found.error.hint}",
        )
    ]


def _template_run_text(run: TemplateRun) -> list[str]:
    lines = [
        f"{run.title} ({run.template})  {run.status}  {run.progress.done} of {run.progress.total}",
        *([f"failed at {run.failed_at_step}, and cleans up"] if run.is_cleaning_up else []),
        f"requested by {run.requester_name} at {run.queued_at:%Y-%m-%d %H:%M:%S} UTC",
        f"inputs: {json.dumps(dict(run.inputs), ensure_ascii=False)}",
    ]
    for step in run.steps:
        lines += ["", f"{step.status:<8}  {step.name}  [{step.step_id}, {step.action}]"]
        if step.run:
            lines += _details(step.run)
        elif step.items:
            lines += _items_text(step.items)
    given = [f"  {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in run.outputs.items()]
    return [*lines, "", "outputs", *given] if given else lines


def _items_text(items: StepItems) -> list[str]:
    counts = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in items.counts.items())
    lines = [f"  {items.done} of {items.to_do} items done ({counts})" if items.to_do else "  nothing to do"]
    for run in items.shown:
        lines += [f"  {run.status:<8}  {run.item_name}  {run.id}", *(f"  {line}" for line in _details(run))]
    return lines


def _action_run_text(run: ActionRun) -> list[str]:
    lines = [
        f"{run.action}  {run.status}",
        f"requested by {run.requester_name} at {run.queued_at:%Y-%m-%d %H:%M:%S} UTC",
    ]
    return lines + _details(run)


def _attempt_text(tried: Attempt) -> list[str]:
    ended = f"{tried.finished_at:%H:%M:%S}" if tried.finished_at else "now"
    line = f"  attempt {tried.number}  {tried.started_at:%Y-%m-%d %H:%M:%S} to {ended}  {tried.outcome or 'running'}"
    error = [f"    {tried.error_code}: {tried.error_message}"] if tried.error_code else []
    return [f"{line}  on {tried.worker}", *error]


def _details(run: ActionRun) -> list[str]:
    lines = [f"  attempt {run.attempt} of {run.max_attempts}"]
    if run.taken_over_from:
        lines = [f"  taken over from the template run {run.taken_over_from}"]
    if run.not_before:
        lines.append(f"  the next attempt is due at {run.not_before:%Y-%m-%d %H:%M:%S} UTC")
    elif run.waits_for:
        lines.append(f"  {run.waits_for.message}")
    lines += [line for tried in run.attempts for line in _attempt_text(tried)]
    if run.worker_lost:
        lines.append("  the worker is lost: nobody is on it right now")
    lines += [f"  {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in run.outputs.items()]
    if run.error:
        lines += [f"  {run.error.code}: {run.error.message}", f"  → {run.error.hint}", f"  {run.error.retry_verdict}"]
    lines += [f"  {line.at:%H:%M:%S} {line.level:<7} {line.message}" for line in next(permitted.whole_log(run), [])]
    return lines
