"""A small host portal, for web processes and workers: ``flask --app outside_portal …``. Settings come from the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import outside_actions
import outside_visitor
from flask import Flask, request

from portal_actions_plugin import Identity, PortalActions, signals

PEOPLE = {
    "ada": Identity("user:ada@example.com", "Ada Lovelace", frozenset({"developer"})),
    "mallory": Identity("user:mallory@example.com", "Mallory", frozenset({"developer"})),
    "margaret": Identity("user:margaret@example.com", "Margaret Hamilton", frozenset({"platform-admin"})),
}


def load_identity() -> Identity | None:
    """Bearer tokens are first names."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return PEOPLE.get(token) if scheme == "Bearer" else None


def create_app() -> Flask:
    app = Flask("outside_portal", instance_path=str(Path(os.environ["OUTSIDE_FOLDER"]).absolute()))
    app.config.update(SECRET_KEY="for tests only")
    app.config.from_prefixed_env("OUTSIDE_CONFIG")
    plugin = PortalActions()
    plugin.identity_loader(load_identity)
    plugin.init_app(app)
    for signal in (signals.action_run_finished, signals.template_run_finished):
        signal.connect(_receiver(signal.name), app, weak=False)
    outside_visitor.install()
    return app


def _receiver(name: str) -> Any:
    def receive(_app: Flask, run: Any, **_more: Any) -> None:
        outside_actions.write("signals", signal=name, run=run.id, status=run.status)

    return receive
