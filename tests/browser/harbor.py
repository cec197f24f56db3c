"""Harbor: a host that looks nothing like the demo portal, and shouts at every bare element."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, render_template

from tests.support.portal import create_app

HERE = Path(__file__).parent / "second_host"


def create_harbor(**config: Any) -> Flask:
    """A portal with the plugin's pages in Harbor's layout."""
    blueprint = Blueprint(
        "harbor", __name__, template_folder=str(HERE), static_folder=str(HERE / "static"), static_url_path="/harbor"
    )
    blueprint.add_url_rule("/", "home", lambda: render_template("fleet.html"))
    app = create_app(PORTAL_ACTIONS_BASE_TEMPLATE="harbor.html", **config)
    app.register_blueprint(blueprint)
    return app
