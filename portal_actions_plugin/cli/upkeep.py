"""The commands of who runs the portal: tables, workers, sweeps, retention, and what is wrong."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click
from flask import Flask, current_app
from flask.cli import ScriptInfo, with_appcontext

from portal_actions_plugin.cli.ages import DAY, age
from portal_actions_plugin.cli.terminal import say
from portal_actions_plugin.errors import PortalActionsError
from portal_actions_plugin.extension import extension, queues_in_use
from portal_actions_plugin.upkeep import retention
from portal_actions_plugin.upkeep.prunable_runs import SHORTEST_SECONDS, Ages, Pruned

if TYPE_CHECKING:
    from portal_actions_plugin.doctor.findings import Finding

START_SECONDS = 60
"""How long the doctor waits for the portal to start."""

SEE_WHERE = "see where it fails: flask actions list"


def _age(text: str) -> int:
    """Read an age that is long enough for a prune."""
    seconds = age(text)
    if seconds < SHORTEST_SECONDS:
        raise click.BadParameter(
            f"{text} is too short: start limits count the runs of the last hour. Write 1h or more."
        )
    return seconds


@click.command("worker")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 256), help="Processes for each queue.")
@click.option("--queue", "queues", multiple=True, help="Only this queue; repeatable. Default: all that actions use.")
@click.option(
    "--alive-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Touch this file while the supervisor's loop turns, for a probe.",
)
@with_appcontext
def worker(workers: int, queues: tuple[str, ...], alive_file: Path | None) -> None:
    """Run steps until stopped: SIGTERM finishes the running ones, a second one ends them at once.

    Exits with 0 when it was stopped, 70 when it stood still, 71 when it could not fork for long.
    """
    from portal_actions_plugin.runner import supervisor
    from portal_actions_plugin.runner.doorbells.listener import hears_our_rings
    from portal_actions_plugin.storage import migrations

    if not hears_our_rings():
        raise click.ClickException(f"RQ {version('rq')} does not listen where starts wake workers: install RQ 3.")
    if not logging.getLogger().handlers:
        _log_to_stderr()
    tables = supervisor.once_it_answers(lambda: migrations.standing(extension().database))
    if not tables.usable:
        raise click.ClickException(f"No worker can start on these tables: {tables.trouble}.\n  → {tables.mend}")
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 forked workers need the app itself
    raise SystemExit(supervisor.Supervisor(app, queues or queues_in_use(), workers, alive_file).run())


@click.command("sweep")
@with_appcontext
def sweep() -> None:
    """Do one pass of the sweeper: lost wake-ups, lapsed leases, unsent signals, workspaces that are kept for too long."""
    from portal_actions_plugin.runner.sweeper import sweep as sweep_once
    from portal_actions_plugin.upkeep.kept_workspaces import tidy_thoroughly

    done = sweep_once()
    say(f"woke workers again for {done.rung}, acted on {done.lapsed} lapsed leases, announced {done.announced}")
    tidied = tidy_thoroughly()
    say(
        f"deleted {tidied.workspaces} workspaces, files of {tidied.templates} templates, {tidied.orphans} left by nobody"
    )
    if failed := done.failed:
        raise click.ClickException(f"could not do all of it: {', '.join(failed)}. The log says why.")


@click.command("prune")
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
        say(f"Would delete {_amount(retention.prunable(ages))}. Nothing was deleted.")
    else:
        say(f"Deleted {_amount(retention.prune(actor, ages))}.")


@click.command("metrics")
@with_appcontext
def metrics() -> None:
    """Print all metrics as text, as Prometheus reads it: for node_exporter's textfile collector, or for a look."""
    try:
        from portal_actions_plugin.metrics import exposition
    except ModuleNotFoundError as error:
        raise click.ClickException(str(error)) from None
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 a collector keeps the app itself
    say(*exposition(app).splitlines())


@click.command("doctor")
@click.option(
    "--fix", is_flag=True, help="First fix what is safe: wake workers, sweep, forget workers that are long gone."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
@click.pass_context
def doctor(context: click.Context, fix: bool, as_json: bool) -> None:  # noqa: FBT001 click hands them over
    """Say what is wrong and what to run; exits with 0 when all is well, 1 on warnings, 2 on anything critical."""
    from portal_actions_plugin.doctor.findings import LEVELS, worst

    script = context.ensure_object(ScriptInfo)
    done: list[str] = []
    failed: list[str] = []
    app = _load(script)
    if isinstance(app, Flask):
        from portal_actions_plugin.doctor.examination import examine
        from portal_actions_plugin.doctor.fixes import mend

        with app.app_context():
            for one in mend() if fix else ():
                (done if one.is_done else failed).append(one.sentence)
                if not as_json:
                    say(f"fixed     {one.sentence}" if one.is_done else one.sentence)
            findings = examine()
    else:
        findings = [app]
    findings = [replace(found, mend=_for_this_app(found.mend, script)) for found in findings]
    status = max(worst(findings), 1 if failed else 0)
    if as_json:
        found = [{"fix" if key == "mend" else key: of for key, of in asdict(one).items()} for one in findings]
        report = {"status": LEVELS[status], "fixed": done, "failed": failed, "findings": found}
        say(json.dumps(report))
    else:
        say(*_findings_text(findings))
    raise SystemExit(status)


COMMANDS = (worker, sweep, prune, metrics, doctor)


# -- helpers ---------------------------------------------------------------------------------------------------------


def _amount(pruned: Pruned) -> str:
    template_runs = f"{_count(pruned.template_runs, 'template run')} with {_count(pruned.steps, 'step')}"
    return f"{template_runs}, {_count(pruned.one_offs, 'one-off')} and {_count(pruned.audit_rows, 'audit row')}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _log_to_stderr() -> None:
    from portal_actions_plugin.runner.attempt.run_logs import worker_formatter

    handler = logging.StreamHandler()
    handler.setFormatter(worker_formatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _load(script: ScriptInfo) -> Flask | Finding:
    """The portal, or what keeps it from starting: whatever that is, it is a finding."""
    from portal_actions_plugin.doctor.findings import critical
    from portal_actions_plugin.runner.process.interruptions import TimeLimitError, time_limit

    try:
        with time_limit(START_SECONDS):
            return script.load_app()
    except TimeLimitError:
        return critical("portal", f"the portal does not start within {START_SECONDS:g} s", SEE_WHERE)
    except (Exception, SystemExit) as error:  # noqa: BLE001 also a host's sys.exit()
        return _does_not_start(error)


def _does_not_start(error: BaseException) -> Finding:
    from portal_actions_plugin.doctor.findings import critical
    from portal_actions_plugin.storage.away import without_credentials

    if isinstance(error, PortalActionsError):
        return critical("portal", without_credentials(f"the portal does not start: {error.message}"), error.hint)
    if isinstance(error, click.ClickException):
        # Flask puts a whole traceback below the sentence; its last line is the reason.
        lines = error.format_message().strip().splitlines()
        reason = " ".join(lines[:1] + lines[1:][-1:])
    elif isinstance(error, SystemExit):
        reason = f"it exits: {error.code}"
    else:
        reason = f"{type(error).__name__}: {error}"
    return critical("portal", without_credentials(f"the portal does not start: {reason}"), SEE_WHERE)


def _for_this_app(mend: str | None, script: ScriptInfo) -> str | None:
    """Make a command one that can be copied as it stands."""
    if mend is None or not script.app_import_path:
        return mend
    return mend.replace("flask actions", f"flask --app {shlex.quote(script.app_import_path)} actions")


def _findings_text(findings: Sequence[Finding]) -> list[str]:
    """What is worst comes first; at the end, how much of each there is."""
    from portal_actions_plugin.doctor.findings import LEVELS

    worst_first = sorted(findings, key=lambda found: -LEVELS.index(found.level))
    width = max(len(found.part) for found in findings)
    lines = []
    for found in worst_first:
        lines.append(f"{found.level:<8}  {found.part:<{width}}  {found.message}")
        if found.mend:
            lines.append(f"{'':<{10 + width}}  → {found.mend}")
        if found.not_checked:
            lines.append(f"{'':<{10 + width}}  not checked for it: {', '.join(found.not_checked)}")
    numbers = [(sum(found.level == level for found in findings), level) for level in reversed(LEVELS)]
    numbers.append((sum(len(found.not_checked) for found in findings), "not checked"))
    return [*lines, ", ".join(f"{number} {level}" for number, level in numbers if number)]
