"""The command that tries a template on the real state, and writes nothing."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from flask.cli import with_appcontext

from portal_actions_plugin.cli.asker import identity_of, identity_option, role_option, says_errors
from portal_actions_plugin.cli.terminal import say
from portal_actions_plugin.extension import extension

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from portal_actions_plugin.runner.dry_run.notes import DryRun, TriedStep, Write

_MAX_SHOWN = 200


def _inputs(_context: click.Context, _option: click.Parameter, value: str) -> dict[str, Any]:
    """A JSON object, or a file that has one, as JSON or YAML."""
    try:
        text = value if value.lstrip().startswith("{") else Path(value).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        # Not what was given, which may hold a secret.
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise click.BadParameter(
            f"what is given is neither a JSON object nor a file that can be read: {why}."
        ) from None
    from portal_actions_plugin.software_templates.yaml.documents import UnreadableError, read_documents

    try:
        documents = read_documents(text)
    except UnreadableError as error:
        raise click.BadParameter(f"line {error.line}: {error.message}") from None
    data = documents[0].data if len(documents) == 1 else None
    if not isinstance(data, dict):
        raise click.BadParameter("the parameters are one JSON object, or one YAML mapping.")
    return data


@click.command("dry-run")
@click.argument("name")
@click.option(
    "--inputs", callback=_inputs, default="{}", help="The parameters: a JSON object, or a file, as JSON or YAML."
)
@click.option("--entity", help="The entity that the run would be about.")
@identity_option
@role_option
@click.option(
    "--format", "form", default="text", show_default=True, type=click.Choice(["text", "json"]), help="How to tell."
)
@with_appcontext
@says_errors
def dry_run(
    name: str, inputs: dict[str, Any], entity: str | None, requester: str, roles: tuple[str, ...], form: str
) -> None:
    """Say what a template would create, change, and be refused, on the real state. Nothing is written.

    Exits with 0 when nothing is refused, 1 when a step is or something is lacking, 2 when it cannot be tried.
    """
    from portal_actions_plugin.runner.dry_run import course

    template = extension().templates.get(name)
    found = course.dry_run(identity_of(requester, roles), template, inputs, entity)
    say(json.dumps(asdict(found))) if form == "json" else say(*_lines(found))
    raise SystemExit(0 if found.is_fine else 1)


COMMANDS = (dry_run,)


def _lines(found: DryRun) -> Iterator[str]:
    yield from (f"lacks        {lack}" for lack in found.lacks)
    for step in found.steps:
        item = f", item {step.item}" if step.item else ""
        yield f"{step.state:<11}  {step.position + 1}. {step.name} ({step.action}){item}"
        yield from (f"{'':<11}  {line}" for line in _of_step(step))
    yield from (f"{'output':<11}  {line}" for line in _of_output(found.output))
    refused = sum(step.state == "refused" for step in found.steps)
    yield f"{found.template}: {sum(len(step.writes) for step in found.steps)} writes, {refused} refused, nothing written"


def _of_step(step: TriedStep) -> Iterator[str]:
    yield from (f"  {name}: {_short(value)}" for name, value in step.input.items())
    yield from (f"  → {_write(one)}" for one in step.writes)
    yield from (f"  ! {text}" for text in (step.error, step.hint if step.error else "", *step.says) if text)


def _of_output(output: Mapping[str, object]) -> Iterator[str]:
    for name, value in output.items():
        for one in value if isinstance(value, list | tuple) else [value]:
            parts = {key: part for key, part in one.items() if part} if isinstance(one, dict) else {}
            title = parts.pop("title", name)
            leads = next((parts[key] for key in ("url", "entityRef", "content") if key in parts), parts or one)
            yield f"{title}: {_short(leads)}"


def _write(write: Write) -> str:
    details = "; ".join(f"{name}: {_short(value)}" for name, value in write.details.items())
    return f"{write.kind} {write.what} {write.target}{f' ({details})' if details else ''}"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    line = text.replace("\n", " ")
    return line if len(line) <= _MAX_SHOWN else f"{line[:_MAX_SHOWN]}…"
