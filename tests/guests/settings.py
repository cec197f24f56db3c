"""What every guest of the night is told by its environment, and what it writes down of the signals that it hears."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from flask import Flask, render_template_string

FOLDER = Path(os.environ["GUEST_FOLDER"])


def settings() -> dict[str, Any]:
    """The settings that the host checklist names, with the roles of this guest mapped."""
    run = ["action:read", "action:run", "template:read", "template:run"]
    database = {"PORTAL_ACTIONS_DATABASE_URL": url} if (url := os.environ.get("GUEST_DATABASE")) else {}
    return {
        **database,
        "SECRET_KEY": "only for this night",
        "PORTAL_ACTIONS_REDIS_URL": os.environ["GUEST_REDIS"],
        "PORTAL_ACTIONS_TEMPLATE_PATH": str(Path(__file__).parent / "templates"),
        "PORTAL_ACTIONS_LOCAL_SCM_ROOT": str(FOLDER / "git"),
        "PORTAL_ACTIONS_RETRY_SECONDS": 0.1,
        "PORTAL_ACTIONS_ROLE_PERMISSIONS": dict.fromkeys(("Admin", "admin", "account-admin"), run),
    }


def listen(app: Flask) -> None:
    """Write a line for each signal of this app."""
    from portal_actions_plugin import signals

    def told(sender: Any, **about: Any) -> None:
        run = about.get("run")
        with (FOLDER / "signals").open("a") as out:
            out.write(f"{os.getpid()} {getattr(run, 'status', '')} {sorted(about)}\n")

    signals.template_run_finished.connect(told, app, weak=False)


def give_token(app: Flask) -> None:
    """Have a page with the token that a script of the guest's own pages sends."""
    app.add_url_rule("/token", "token", lambda: render_template_string("{{ portal_actions_csrf_token() }}"))
