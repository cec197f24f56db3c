"""The portal under test, as web and worker processes load it, and the templates that it runs."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path

from flask import Flask, request
from marshmallow import Schema, fields

from benchmarks.host import create_host
from portal_actions_plugin import ActionContext, Identity, PortalActions, signals
from portal_actions_plugin.actions.registry import action

PEOPLE = 200
THREE_STEPS = "three-steps"
STARTS_A_MINUTE = 1000
LIMITED_STARTS_A_MINUTE = 10
SECRET_KEYS = (base64.urlsafe_b64encode(b"fernet-key-of-the-benchmark-only").decode(),)
LOG = {"message": "hello ${{ parameters.name }}"}


def person(number: int) -> str:
    """The id of one of the portal's people, who start runs in turn: a limit is for each of them."""
    return f"user:person-{number % PEOPLE:03}@example.com"


def create_app() -> Flask:
    """The host with the plugin."""
    return _with_plugin(STARTS_A_MINUTE)


def create_limited_app() -> Flask:
    """The same for people who may start next to nothing, but may be refused often."""
    return _with_plugin(LIMITED_STARTS_A_MINUTE)


def _with_plugin(starts_a_minute: int) -> Flask:
    app = create_host()
    app.config.from_mapping(
        SECRET_KEY="for the benchmark only",  # noqa: S106 it protects nothing
        PORTAL_ACTIONS_DATABASE_URL=os.environ["BENCHMARK_DATABASE"],
        PORTAL_ACTIONS_REDIS_URL=os.environ["BENCHMARK_REDIS"],
        PORTAL_ACTIONS_TEMPLATE_PATH=os.environ["BENCHMARK_FOLDER"],
        PORTAL_ACTIONS_RATE_LIMIT=f"{starts_a_minute} per minute",
        PORTAL_ACTIONS_SECRET_KEYS=",".join(SECRET_KEYS),
    )
    plugin = PortalActions()
    plugin.identity_loader(_identity)
    plugin.init_app(app)
    for declared in (write_lines, echo, take, secretive):
        app.extensions["portal_actions"].registry.add(declared, "the benchmark")
    return app


def create_listening_app() -> Flask:
    """The same, with a receiver on every signal that the plugin sends."""
    app = create_app()
    sent = ("action_run_queued", "action_run_started", "action_run_finished", "template_run_started")
    for name in (*sent, "template_run_finished", "run_changed"):
        getattr(signals, name).connect(_hear, sender=app)
    return app


def _hear(_app: Flask, **_news: object) -> None:
    """Do nothing about it."""


def _identity() -> Identity | None:
    name = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return Identity(name, name.partition("@")[0], frozenset({"developer"})) if name else None


class Lines(Schema):
    lines = fields.Integer(required=True)


@action("bench.lines@v1", title="Write so many lines", input=Lines, idempotent=True, timeout=300)
def write_lines(ctx: ActionContext, *, lines: int) -> None:
    """Write so many lines to the run's log."""
    for number in range(lines):
        ctx.log(f"line {number} of {lines} of the benchmark")


class Text(Schema):
    text = fields.String(required=True)


@action("bench.echo@v1", title="Give back a text", input=Text, output=Text, idempotent=True, timeout=300)
def echo(_ctx: ActionContext, *, text: str) -> dict[str, str]:
    """Give back a text."""
    return {"text": text}


@action("bench.take@v1", title="Take a text", input=Text, idempotent=True, timeout=300)
def take(_ctx: ActionContext, *, text: str) -> None:
    """Take a text and give nothing back."""


class Secrets(Schema):
    token = fields.Raw(load_only=True)
    note = fields.String()


@action("bench.secretive@v1", title="Take secrets", input=Secrets, idempotent=True, timeout=300)
def secretive(_ctx: ActionContext, **_given: object) -> None:
    """Take secrets and give nothing back."""


def write_template(folder: Path, name: str, steps: int, action_id: str, given: Mapping[str, object]) -> None:
    """Write a template of so many equal steps."""
    parameters = {"name": {"type": "string"}, "lines": {"type": "integer"}, "text": {"type": "string"}}
    template = {
        "apiVersion": "portal-actions/v1",
        "kind": "Template",
        "metadata": {"name": name, "title": name},
        "spec": {
            "owner": "team:platform",
            "type": "benchmark",
            "parameters": {"properties": parameters},
            "steps": [{"id": f"step-{number}", "action": action_id, "input": given} for number in range(steps)],
        },
    }
    (folder / f"{name}.yaml").write_text(json.dumps(template))
