"""How long a repository of templates is tried for, and in how much memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.effort import Effort, Values
from benchmarks.rig import Rig

TEMPLATES = 200
LINES = 300
_FIELDS = 30
_STEP_LINES = 6
_PROGRAM = """\
import resource, sys, time
began = time.perf_counter()
from pathlib import Path
from portal_actions_plugin.actions.registry import Registry
from portal_actions_plugin.software_templates.trial.report import Portal, try_folder
report = try_folder(Path(sys.argv[1]), Portal(Registry.from_entry_points()))
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, len(report.templates))
"""


def measure(rig: Rig, effort: Effort) -> Values:
    """Seconds, and MB of memory at most, of ``template try`` in a process of its own; a value for each round."""
    found: dict[str, list[float]] = {"template try": [], "template try, memory": []}
    with tempfile.TemporaryDirectory(prefix="bench-templates-") as folder:
        for number in range(TEMPLATES):
            file = Path(folder) / f"template-{number}" / "template.yaml"
            file.parent.mkdir()
            file.write_text(template(number))
        for _ in range(min(effort.rounds, 3)):
            ran = subprocess.run(
                [sys.executable, "-c", _PROGRAM, folder],
                env=rig.environment,
                cwd=Path(__file__).parents[2],
                stdout=subprocess.PIPE,
                check=True,
                text=True,
            )
            seconds, megabytes, tried = map(float, ran.stdout.split())
            assert tried == TEMPLATES  # noqa: S101 a figure of fewer would be none
            found["template try"].append(seconds)
            found["template try, memory"].append(megabytes)
    return found


def template(number: int) -> str:
    """A template of ``LINES`` lines: of four, one runs, one needs a line, one waits and one has warnings."""
    kind = number % 4
    lines = [
        "apiVersion: scaffolder.backstage.io/v1beta3",
        "kind: Template",
        f"metadata: {{name: template-{number}, title: Template {number}, tags: [python, service]}}",
        "spec:",
        "  owner: group:default/platform",
        "  type: service",
        "  parameters:",
        "    - title: About the service",
        "      required: [field-0, field-1]",
        "      properties:",
    ]
    for field in range(_FIELDS):
        lines += [
            f"        field-{field}:",
            f"          title: The field number {field}",
            "          type: string",
            f"          {'enum: [one, two, three]' if field % 5 == 4 else 'maxLength: 100'}",
        ]
    lines.append("  steps:")
    steps = (LINES - len(lines)) // _STEP_LINES
    for step in range(steps):
        is_odd = step == steps - 1
        action = "fetch:template" if kind == 2 and is_odd else "debug.log@v1"
        name = "nowhere" if kind == 3 and is_odd else f"field-{step % 2}"
        condition = "'a' ? true : false" if kind == 1 and is_odd else "parameters['field-0'] != 'x'"
        lines += [
            f"    - id: step-{step}",
            f"      name: The step number {step}",
            f"      action: {action}",
            f'      if: "${{{{ {condition} }}}}"',
            "      input:",
            f"        message: Made ${{{{ parameters['{name}'] | upper }}}} with ${{{{ parameters['field-5'] or 'nothing' }}}}",
        ]
    lines += ["  output:", "    links: []"]
    lines += ["    # the end"] * (LINES - len(lines))
    return "\n".join(lines[:LINES]) + "\n"
