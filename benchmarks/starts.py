"""What a start costs a web process, with two installations of the plugin in turn: A B A B.

``python -m benchmarks.starts OLD/.venv/bin/python .venv/bin/python`` names two environments. That of an older commit is made by
``git worktree add OLD COMMIT`` and, in ``OLD``, ``.ci/install python3 .venv dev``. Each turn is a new
process with a portal on SQLite, and nothing else runs: no worker, no Redis, no client. What is measured is the process's CPU
time for one POST of a template run, its doorbell included. The file uses only what hosts and clients have, so any version can run it.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import subprocess
import tempfile
import time
from importlib.metadata import entry_points
from pathlib import Path

STARTS, WARM = 400, 100
TURNS = 6
STEPS = 10
TOKEN = {"Authorization": "Bearer ada"}  # a request with a token needs none against forgery

_STEP = """\
    - id: step-{number}
      name: Step {number}
      if: ${{{{ parameters.run }}}}
      action: debug.log@v1
      input:
        message: hello ${{{{ parameters.name | upper }}}}, {number} of ${{{{ parameters.many | length }}}}
"""
_TEMPLATE = """\
apiVersion: {version}
kind: Template
metadata: {{name: {name}, title: Many steps}}
spec:
  owner: team:platform
  type: benchmark
  parameters:
    - title: About it
      required: [name]
      properties:
        name: {{type: string, pattern: "^[a-z]+$"}}
        run: {{type: boolean, default: true}}
        many: {{type: array, items: {{type: string}}, default: [a, b]}}
        kind: {{type: string, enum: [library, service], default: service}}
      dependencies:
        kind:
          oneOf:
            - properties: {{kind: {{const: library}}, language: {{type: string, default: python}}}}
            - properties: {{kind: {{const: service}}, port: {{type: integer, default: 8080}}}}
  steps:
"""
KINDS = {"ours": "portal-actions/v1", "backstage": "scaffolder.backstage.io/v1beta3"}


def main() -> None:
    """Compare two environments, or measure in this one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.starts", description=__doc__)
    parser.add_argument("pythons", nargs="*", help="two: A and B")
    parser.add_argument("--turns", type=int, default=TURNS, help="of each")
    parser.add_argument("--here", action="store_true", help="measure in this process")
    asked = parser.parse_args()
    if asked.here:
        print(json.dumps(measure()))
        return
    found: dict[str, dict[str, list[float]]] = {name: {kind: [] for kind in KINDS} for name in asked.pythons}
    for turn in range(asked.turns):
        for name in asked.pythons:
            for kind, cost in _turn(name).items():
                found[name][kind].append(cost)
        print(f"turn {turn + 1} of {asked.turns}", flush=True)
    for kind in KINDS:
        for name in asked.pythons:
            costs = sorted(found[name][kind])
            print(
                f"{kind:>10}  median {statistics.median(costs):.2f} ms, from {costs[0]:.2f} to {costs[-1]:.2f}  {name}"
            )


def _turn(python: str) -> dict[str, float]:
    """One process of an environment, outside of the checkout: it imports what is installed there."""
    with tempfile.TemporaryDirectory(prefix="starts-") as folder:
        script = Path(folder) / "starts.py"
        script.write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
        command = [str(Path(python).absolute()), str(script), "--here"]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def measure() -> dict[str, float]:
    """Milliseconds of CPU of this process for one start of a template of ten steps, by the kind of its document."""
    from flask import Flask

    from portal_actions_plugin import Identity, PortalActions

    logging.disable()
    with tempfile.TemporaryDirectory(prefix="starts-") as folder:
        for kind, version in KINDS.items():
            text = _TEMPLATE.format(version=version, name=kind)
            text += "".join(_STEP.format(number=number) for number in range(STEPS))
            (Path(folder) / f"{kind}.yaml").write_text(text, encoding="utf-8")
        app = Flask(__name__)
        app.config.update(
            SECRET_KEY="for the benchmark only",  # noqa: S106 it protects nothing
            PORTAL_ACTIONS_DATABASE_URL=f"sqlite:///{folder}/starts.sqlite",
            PORTAL_ACTIONS_REDIS_URL=f"unix://{folder}/nobody.sock",  # refused at once
            PORTAL_ACTIONS_TEMPLATE_PATH=folder,
            PORTAL_ACTIONS_RATE_LIMIT="1000000 per minute",
        )
        plugin = PortalActions()
        plugin.identity_loader(lambda: Identity("user:ada", "Ada", frozenset({"developer"})))
        plugin.init_app(app)
        (commands,) = entry_points(group="flask.commands", name="actions")
        upgraded = app.test_cli_runner().invoke(commands.load(), ["db", "upgrade"])
        if upgraded.exit_code:
            raise SystemExit(upgraded.output)
        return {kind: _cost(app.test_client(), kind) for kind in KINDS}


def _cost(client: object, template: str) -> float:
    began = 0.0
    for number in range(WARM + STARTS):
        if number == WARM:
            began = time.process_time()
        answer = client.post(f"/api/v1/templates/{template}/runs", json={"inputs": {"name": "orders"}}, headers=TOKEN)  # type: ignore[attr-defined]
        if answer.status_code != 202:
            raise SystemExit(f"a start was answered {answer.status_code}: {answer.text[:500]}")
    return (time.process_time() - began) / STARTS * 1000


if __name__ == "__main__":
    main()
