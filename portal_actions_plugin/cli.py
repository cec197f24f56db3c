"""``flask actions …``."""

from __future__ import annotations

import json
import logging
import re
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click
from flask import current_app
from flask.cli import AppGroup, ScriptInfo, with_appcontext

from portal_actions_plugin.errors import PortalActionsError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.host import ActionRun, Identity, TemplateRun
from portal_actions_plugin.runs import queries, retention, service
from portal_actions_plugin.runs.filters import RunFilter
from portal_actions_plugin.runs.retention import Ages, Pruned
from portal_actions_plugin.runs.states import OVER, STATUSES, SUCCESS

if TYPE_CHECKING:
    from portal_actions_plugin.runner.doctor_findings import Finding

Run = ActionRun | TemplateRun

FOLLOW_SECONDS = 0.5
DAY = 24 * 3600

_AGE = re.compile(r"([1-9][0-9]{0,11})([smhdw])")
_UNIT = {"s": 1, "m": 60, "h": 3600, "d": DAY, "w": 7 * DAY}

actions = AppGroup("actions", help="Run, watch and repair self-service actions.")
_db = AppGroup("db", help="The plugin's own tables.")
actions.add_command(_db)


def _json_object(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}") from None
    if not isinstance(data, dict):
        raise click.BadParameter("must be a JSON object")
    return data


def _age(text: str) -> int:
    """Read an age such as ``90d``, in seconds."""
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is not an age: write a whole number and s, m, h, d or w, such as 90d.")
    seconds = int(match[1]) * _UNIT[match[2]]
    if seconds < retention.SHORTEST_SECONDS:
        raise click.BadParameter(
            f"{text} is too short: start limits count the runs of the last hour. Write 1h or more."
        )
    if seconds > retention.LONGEST_SECONDS:
        raise click.BadParameter(f"{text} is too long: write {retention.LONGEST_SECONDS // DAY}d or less.")
    return seconds


def _says_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Print a domain error as a sentence, its fields and its hint, and exit with 2."""

    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except PortalActionsError as error:
            lines = [f"{error.code}: {error.message}"]
            lines += [f"  {name}: {json.dumps(found, ensure_ascii=False)}" for name, found in error.fields.items()]
            click.echo("\n".join([*lines, f"  → {error.hint}"]), err=True)
            raise SystemExit(2) from None

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run


_identity_option = click.option(
    "--as",
    "requester",
    default="system:cli",
    show_default=True,
    help="The id that runs are requested by and audited under.",
)
_role_option = click.option(
    "--role",
    "roles",
    multiple=True,
    default=("platform-admin",),
    show_default=True,
    help="A role of that id; whoever may run commands on this machine may choose it.",
)
_wait_option = click.option("--wait", is_flag=True, help="Follow to the end; exits with 1 unless the run succeeds.")


@_db.command("upgrade")
@with_appcontext
def upgrade() -> None:
    """Create the plugin's tables, or bring them up to date."""
    from portal_actions_plugin import migrations

    migrations.upgrade(extension().database)
    click.echo("The tables are up to date.")


@actions.command("worker")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 256), help="Processes for each queue.")
@click.option("--queue", "queues", multiple=True, help="Only this queue; repeatable. Default: all that actions use.")
@with_appcontext
def worker(workers: int, queues: tuple[str, ...]) -> None:
    """Run steps until stopped: SIGTERM finishes the running ones, a second one ends them at once."""
    from portal_actions_plugin import migrations
    from portal_actions_plugin.runner.supervisor import Supervisor, queues_in_use

    if not migrations.is_current(extension().database):
        raise click.ClickException("The tables are not up to date: run `flask actions db upgrade` first.")
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s")
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 forked workers need the app itself
    Supervisor(app, queues or queues_in_use(), workers).run()


@actions.command("sweep")
@with_appcontext
def sweep() -> None:
    """Do one pass of the sweeper: lost doorbells, lapsed leases, unsent signals."""
    from portal_actions_plugin.runner.sweeper import sweep as sweep_once

    done = sweep_once()
    click.echo(f"rang again for {done.rung}, acted on {done.lapsed} lapsed leases, announced {done.announced}")


@actions.command("prune")
@click.option("--older-than", type=_age, required=True, metavar="AGE", help="Runs that ended before: 90d, 12h, 2w.")
@click.option(
    "--audit-older-than",
    "audit_age",
    type=_age,
    metavar="AGE",
    help="Audit rows from before. Default: PORTAL_ACTIONS_AUDIT_DAYS.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@click.option("--as", "actor", default="system:cli", show_default=True, help="The id that it is audited under.")
@with_appcontext
def prune(older_than: int, audit_age: int | None, dry_run: bool, actor: str) -> None:  # noqa: FBT001 click hands it over
    """Delete runs that ended long ago, and old audit rows. Safe at any time, and to stop at any time."""
    ages = Ages(older_than, audit_age or extension().config.audit_days * DAY)
    if dry_run:
        click.echo(f"Would delete {_amount(retention.prunable(ages))}. Nothing was deleted.")
    else:
        click.echo(f"Deleted {_amount(retention.prune(actor, ages))}.")


@actions.command("doctor", with_appcontext=False)
@click.option("--fix", is_flag=True, help="First mend what is safe: ring, sweep, forget workers that are long gone.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
@click.pass_context
def doctor(context: click.Context, fix: bool, as_json: bool) -> None:  # noqa: FBT001 click hands them over
    """Say what is wrong and what to run; exits with 0 when all is well, 1 on warnings, 2 on anything critical."""
    from portal_actions_plugin.runner.doctor_findings import LEVELS, worst

    script = context.ensure_object(ScriptInfo)
    mended: list[str] = []
    try:
        app = script.load_app()
    except click.ClickException:
        raise
    except Exception as error:  # noqa: BLE001 whatever keeps a portal from starting is a finding
        findings = [_does_not_start(error)]
    else:
        from portal_actions_plugin.runner.doctor import examine
        from portal_actions_plugin.runner.doctor_fixes import mend

        with app.app_context():
            for sentence in mend() if fix else ():
                mended.append(sentence)
                if not as_json:
                    click.echo(f"mended    {sentence}")
            findings = examine()
    findings = [replace(found, mend=_for_this_app(found.mend, script)) for found in findings]
    status = worst(findings)
    if as_json:
        report = {"status": LEVELS[status], "mended": mended, "findings": [asdict(found) for found in findings]}
        click.echo(json.dumps(report, ensure_ascii=False))
    else:
        click.echo("\n".join(_findings_text(findings)))
    raise SystemExit(status)


@actions.command("run-template")
@click.argument("name")
@click.option("--inputs", type=_json_object, default="{}", help="The parameters, as a JSON object.")
@_identity_option
@_role_option
@_wait_option
@with_appcontext
@_says_errors
def run_template(name: str, inputs: dict[str, Any], requester: str, roles: tuple[str, ...], wait: bool) -> None:  # noqa: FBT001 click hands it over
    """Start a template."""
    _started(service.start_template_run(_identity(requester, roles), name, inputs).run, wait)


@actions.command("run-action")
@click.argument("action_id")
@click.option("--input", "data", type=_json_object, default="{}", help="The input, as a JSON object.")
@_identity_option
@_role_option
@_wait_option
@with_appcontext
@_says_errors
def run_action(action_id: str, data: dict[str, Any], requester: str, roles: tuple[str, ...], wait: bool) -> None:  # noqa: FBT001 click hands it over
    """Start a one-off."""
    _started(service.start_action_run(_identity(requester, roles), action_id, data).run, wait)


@actions.command("retry")
@click.argument("run_id")
@_identity_option
@_role_option
@_wait_option
@with_appcontext
@_says_errors
def retry(run_id: str, requester: str, roles: tuple[str, ...], wait: bool) -> None:  # noqa: FBT001 click hands it over
    """Start a failed or canceled run anew."""
    run = queries.any_run(run_id)
    again = service.retry_template_run if isinstance(run, TemplateRun) else service.retry_action_run
    _started(again(_identity(requester, roles), run_id).run, wait)


@actions.command("resume")
@click.argument("run_id")
@_identity_option
@_role_option
@_wait_option
@with_appcontext
@_says_errors
def resume(run_id: str, requester: str, roles: tuple[str, ...], wait: bool) -> None:  # noqa: FBT001 click hands it over
    """Start a template run anew at the step that failed."""
    _started(service.resume_template_run(_identity(requester, roles), run_id).run, wait)


@actions.command("cancel")
@click.argument("run_id")
@_identity_option
@_role_option
@with_appcontext
@_says_errors
def cancel(run_id: str, requester: str, roles: tuple[str, ...]) -> None:
    """Cancel a queued or running run."""
    run = queries.any_run(run_id)
    stop = service.cancel_template_run if isinstance(run, TemplateRun) else service.cancel_action_run
    click.echo(f"{run_id} is {stop(_identity(requester, roles), run_id).status}")


@actions.command("list")
@click.option("--status", multiple=True, type=click.Choice(STATUSES), help="Repeatable.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 200))
@with_appcontext
@_says_errors
def list_runs(status: tuple[str, ...], limit: int) -> None:
    """List action runs, newest first."""
    for run in queries.action_runs(RunFilter(status=status), limit=limit).items:
        name = f"{run.step_id} ({run.action})" if run.step_id else run.action
        click.echo(f"{run.id}  {run.status:<8}  {run.queued_at:%Y-%m-%d %H:%M:%S}  {run.requester_name}  {name}")


@actions.command("show")
@click.argument("run_id")
@with_appcontext
@_says_errors
def show(run_id: str) -> None:
    """Show a template run or an action run, with its log."""
    run = queries.any_run(run_id)
    click.echo("\n".join(_template_run_text(run) if isinstance(run, TemplateRun) else _action_run_text(run)))


# -- helpers ---------------------------------------------------------------------------------------------------------


def _does_not_start(error: Exception) -> Finding:
    from portal_actions_plugin.runner.doctor_findings import critical, without_credentials

    if isinstance(error, PortalActionsError):
        return critical("portal", without_credentials(f"the portal does not start: {error.message}"), error.hint)
    text = without_credentials(f"the portal does not start: {type(error).__name__}: {error}")
    return critical("portal", text, "see where it fails: flask actions list")


def _for_this_app(mend: str | None, script: ScriptInfo) -> str | None:
    """Make a command one that can be copied as it stands."""
    if mend is None or not script.app_import_path:
        return mend
    return mend.replace("flask actions", f"flask --app {shlex.quote(script.app_import_path)} actions")


def _findings_text(findings: Sequence[Finding]) -> list[str]:
    """What is worst comes first; at the end, how much of each there is."""
    from portal_actions_plugin.runner.doctor_findings import LEVELS

    worst_first = sorted(findings, key=lambda found: -LEVELS.index(found.level))
    width = max(len(found.part) for found in findings)
    lines = []
    for found in worst_first:
        lines.append(f"{found.level:<8}  {found.part:<{width}}  {found.message}")
        if found.mend:
            lines.append(f"{'':<{10 + width}}  → {found.mend}")
    numbers = [(sum(found.level == level for found in findings), level) for level in reversed(LEVELS)]
    return [*lines, ", ".join(f"{number} {level}" for number, level in numbers if number)]


def _identity(requester: str, roles: tuple[str, ...]) -> Identity:
    return Identity(requester, requester, frozenset(roles))


def _amount(pruned: Pruned) -> str:
    template_runs = f"{_count(pruned.template_runs, 'template run')} with {_count(pruned.steps, 'step')}"
    return f"{template_runs}, {_count(pruned.one_offs, 'one-off')} and {_count(pruned.audit_rows, 'audit row')}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _started(run: Run, wait: bool) -> None:  # noqa: FBT001 it is the command's own switch
    click.echo(run.id)
    if not wait:
        return
    ended = _follow(run)
    click.echo(ended.status, err=True)
    if ended.status != SUCCESS:
        for line in _failures(ended):
            click.echo(line, err=True)
        raise SystemExit(1)


def _follow(run: Run) -> Run:
    load: Callable[[str], Run] = queries.template_run if isinstance(run, TemplateRun) else queries.action_run
    while run.status not in OVER:
        time.sleep(FOLLOW_SECONDS)
        run = load(run.id)
    return run


def _failures(run: Run) -> list[str]:
    runs = [step.run for step in run.steps] if isinstance(run, TemplateRun) else [run]
    return [
        f"{found.step_id or found.action}: {found.error.code}: {found.error.message}\n  → {found.error.hint}"
        for found in runs
        if found and found.error
    ]


def _template_run_text(run: TemplateRun) -> list[str]:
    lines = [
        f"{run.title} ({run.template})  {run.status}  {run.progress.done} of {run.progress.total}",
        f"requested by {run.requester_name} at {run.queued_at:%Y-%m-%d %H:%M:%S} UTC",
        f"inputs: {json.dumps(dict(run.inputs), ensure_ascii=False)}",
    ]
    for step in run.steps:
        lines.append(f"\n{step.status:<8}  {step.name}  [{step.step_id}, {step.action}]")
        if step.run:
            lines += _details(step.run)
    return lines


def _action_run_text(run: ActionRun) -> list[str]:
    lines = [
        f"{run.action}  {run.status}",
        f"requested by {run.requester_name} at {run.queued_at:%Y-%m-%d %H:%M:%S} UTC",
    ]
    return lines + _details(run)


def _details(run: ActionRun) -> list[str]:
    lines = [f"  attempt {run.attempt} of {run.max_attempts}"]
    if run.worker_lost:
        lines.append("  the worker is lost: nobody is on it right now")
    lines += [f"  {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in run.outputs.items()]
    if run.error:
        lines += [f"  {run.error.code}: {run.error.message}", f"  → {run.error.hint}", f"  {run.error.retry_verdict}"]
    lines += [f"  {line.at:%H:%M:%S} {line.level:<7} {line.message}" for line in queries.log_lines(run.id)]
    return lines
