"""The portal as a Flask application."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from flask import Flask

from demo_portal import (
    activity,
    catalog_pages,
    commands,
    error_pages,
    forge_pages,
    home,
    launcher,
    layout,
    monitoring,
    plugins,
    scorecard_pages,
    security,
    sign_in,
)
from demo_portal.keys import kept
from demo_portal.portal import NAME, Portal
from demo_portal.settings import Settings
from demo_portal.start import emulator
from demo_portal.store import Store

SOFTWARE_TEMPLATES = Path(__file__).parent / "software_templates"
OUR_BLUEPRINTS = (home, catalog_pages, scorecard_pages, launcher, forge_pages)


def create_app(settings: Settings | None = None, **config: Any) -> Flask:
    """Make the portal.

    Args:
        settings: where its data is; the environment says when left out.
        config: Flask settings that win over the portal's own.
    """
    settings = settings or Settings.from_environment()
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    app = Flask("demo_portal", instance_path=str(settings.data_dir))
    app.config.update(_config(settings))
    app.config.update(config)
    security.init_app(app)
    sign_in.init_app(app)
    layout.init_app(app)
    error_pages.init_app(app)
    for module in OUR_BLUEPRINTS:
        app.register_blueprint(module.blueprint)
    # Last, so that a plugin whose rules are taken already is told so.
    app.extensions[NAME] = Portal(settings, Store(settings.store), plugins.load(app))
    activity.listen(app)
    commands.init_app(app)
    monitoring.init_app(app)
    return app


def _config(settings: Settings) -> dict[str, Any]:
    # What templates of Backstage call github.com is the forge of this demo.
    named = {"hosts": ["github.com"]}
    github = {"url": settings.github_url, "api_url": settings.github_url, "token": emulator.TOKEN, **named}
    return {
        "PORTAL_ACTIONS_SCM": {"github": github} if settings.github_url else {"local": named},
        "SECRET_KEY": kept(settings.secret_key_file, lambda: secrets.token_hex(32)),
        "SESSION_COOKIE_NAME": "demo_portal",
        "SESSION_COOKIE_SAMESITE": "Lax",
        "WTF_CSRF_TIME_LIMIT": None,  # as long as the session: a form may stay open over lunch
        "MAX_CONTENT_LENGTH": 1_000_000,
        "PORTAL_ACTIONS_BASE_TEMPLATE": "portal.html",
        "PORTAL_ACTIONS_DATABASE_URL": f"sqlite:///{settings.runs_database}",
        "PORTAL_ACTIONS_REDIS_URL": settings.redis_url,
        "PORTAL_ACTIONS_PUBLIC_URL": settings.url,
        "PORTAL_ACTIONS_SECRET_KEYS": [kept(settings.inputs_key_file, lambda: Fernet.generate_key().decode())],
        "PORTAL_ACTIONS_TEMPLATE_PATH": [str(SOFTWARE_TEMPLATES)],
        "PORTAL_ACTIONS_LOCAL_SCM_ROOT": str(settings.repositories),
        "PORTAL_ACTIONS_LOCAL_SCM_URL": settings.forge_url,
    }
