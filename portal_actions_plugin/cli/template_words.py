"""How findings and reports of templates are told: for people, for programs, and for a forge's workflow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from portal_actions_plugin.control_characters import escaped
from portal_actions_plugin.host import Severity
from portal_actions_plugin.software_templates.missing_actions import HOW
from portal_actions_plugin.software_templates.trial.report import State, counts

if TYPE_CHECKING:
    from portal_actions_plugin.host import TemplateFinding
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.trial.report import Report, Tried

_MAX_PROBLEMS = 3
_LEVELS = {Severity.PROBLEM: "error", Severity.WARNING: "warning"}


def as_json(found: TemplateFinding) -> dict[str, JsonValue]:
    """A finding with the names of ``GET /api/v1/templates``, and what it waits for."""
    return {
        "severity": found.severity.value,
        "template": found.template,
        "file": found.file,
        "line": found.line,
        "key": found.key,
        "message": found.message,
        "value": found.value,
        "write": found.write,
        "waits_for": found.waits_for,
    }


def line(found: TemplateFinding) -> str:
    """A finding in one line, as compilers have it."""
    return _no_command(f"{found.file}:{found.line}: {found.severity}: {found.key}: {_said(found)}")


def workflow_command(found: TemplateFinding) -> str:
    """A finding as a workflow command of GitHub Actions, which shows it beside its line."""
    title = f"{found.template or found.file}: {found.key}"
    place = f"file={_property(found.file)},line={found.line},title={_property(title)}"
    return f"::{_LEVELS[found.severity]} {place}::{_data(_said(found))}"


def summary(templates: int, problems: int, warnings: int) -> str:
    """How much was found."""
    return ", ".join(
        f"{number} {thing}{'' if number == 1 else 's'}"
        for number, thing in ((templates, "template"), (problems, "problem"), (warnings, "warning"))
    )


def report_as_json(report: Report) -> dict[str, JsonValue]:
    """A report as one object."""
    return {
        "counts": {state.value: number for state, number in counts(report.templates).items()},
        "waited_for": dict(report.waited_for),
        "templates": [_tried_as_json(one) for one in report.templates],
        "problems": [as_json(found) for found in report.problems],
    }


def _tried_as_json(one: Tried) -> dict[str, JsonValue]:
    return {
        "name": one.name,
        "file": one.file,
        "line": one.line,
        "state": one.state.value,
        "waits_for": list(one.waits_for),
        "problems": [as_json(found) for found in one.problems],
        "warnings": [as_json(found) for found in one.warnings],
        "fails_without": list(one.fails_without),
        "patch": one.patch,
    }


def report_lines(report: Report) -> Iterator[str]:
    """A report for people: one table, what is waited for, and the patches as one."""
    width = max((len(escaped(one.name)) for one in report.templates), default=0)
    for state in State:
        for one in (one for one in report.templates if one.state is state):
            notes = list(_notes(one))
            yield f"{state:<12}  {escaped(one.name):<{width}}  {one.file}"
            yield from (f"{'':<12}  {note}" for note in notes)
    for problem in report.problems:
        yield f"{'problem':<12}  {problem}"
    yield ""
    yield ", ".join(f"{number} {state}" for state, number in counts(report.templates).items() if number)
    if report.waited_for:
        yield "waited for, by how many templates:"
        yield from (f"{number:>5}  {name}" for name, number in report.waited_for)
        yield HOW
    if patches := [one for one in report.templates if one.patch]:
        yield "one line would do, as a patch for git apply:"
        yield ""
        for one in patches:
            yield from one.patch.rstrip("\n").split("\n")


def _notes(one: Tried) -> Iterator[str]:
    if one.waits_for:
        yield f"waits for {', '.join(one.waits_for)}"
    if one.fails_without:
        yield f"a step fails without {', '.join(one.fails_without)}"
    yield from (_no_command(str(found)) for found in one.problems[:_MAX_PROBLEMS])
    if more := len(one.problems) - _MAX_PROBLEMS:
        yield from (f"and {more} more problems",) if more > 0 else ()
    if one.warnings:
        yield f"{len(one.warnings)} {'warning' if len(one.warnings) == 1 else 'warnings'}: template lint tells"


def _said(found: TemplateFinding) -> str:
    write = f"; write {found.write}" if found.write and found.write not in found.message else ""
    return f"{found.message}{write}"


def _no_command(text: str) -> str:
    """A line that begins with a file's name, which a forge's workflow would take for a command of its own."""
    return f"./{text}" if text.startswith("::") else text


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
