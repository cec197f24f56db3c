"""The portal under test, as web and worker processes load it, and the same host without the plugin."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask, request

from portal_actions_plugin import Identity, PortalActions

PEOPLE = 200
THREE_STEPS = "three-steps"


def person(number: int) -> str:
    """The id of one of the portal's people, who start runs in turn: a limit is for each of them."""
    return f"user:person-{number % PEOPLE:03}@example.com"


def create_host() -> Flask:
    """A Flask app with what the host of a plugin has anyway."""
    return Flask("benchmark", instance_path=os.environ["BENCHMARK_FOLDER"])


def create_app() -> Flask:
    """That host with the plugin."""
    app = create_host()
    app.config.from_mapping(
        SECRET_KEY="for the benchmark only",  # noqa: S106 it protects nothing
        PORTAL_ACTIONS_DATABASE_URL=os.environ["BENCHMARK_DATABASE"],
        PORTAL_ACTIONS_REDIS_URL=os.environ["BENCHMARK_REDIS"],
        PORTAL_ACTIONS_TEMPLATE_PATH=os.environ["BENCHMARK_FOLDER"],
        PORTAL_ACTIONS_RATE_LIMIT="1000 per minute",
    )
    plugin = PortalActions()
    plugin.identity_loader(_identity)
    plugin.init_app(app)
    return app


def _identity() -> Identity | None:
    name = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return Identity(name, name.partition("@")[0], frozenset({"developer"})) if name else None


def write_template(folder: Path, name: str, steps: int, action: str = "debug.log@v1", message: str = "") -> None:
    """Write a template of so many equal steps."""
    text = f"""\
apiVersion: portal-actions/v1
kind: Template
metadata: {{name: {name}, title: {name}}}
spec:
  owner: team:platform
  type: benchmark
  parameters: {{properties: {{name: {{type: string}}}}}}
  steps:
"""
    for number in range(steps):
        given = message or f"{number} ${{{{ parameters.name }}}}"
        text += f"    - {{id: step-{number}, action: {action}, input: {{message: {given!r}}}}}\n"
    (folder / f"{name}.yaml").write_text(text)
