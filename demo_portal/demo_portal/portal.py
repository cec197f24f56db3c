"""What one app has of the portal: ``app.extensions["demo_portal"]``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from flask import Flask, current_app

from demo_portal.settings import Settings
from demo_portal.store import Store

NAME = "demo_portal"


@dataclass(frozen=True, slots=True)
class Portal:
    """The parts of one app. Plugins are known by the names of their entry points."""

    settings: Settings
    store: Store
    plugins: Mapping[str, Any]

    @property
    def actions(self) -> Any:
        """The plugin that runs actions and templates."""
        return self.plugins["actions"]


def portal() -> Portal:
    """The current app's parts."""
    return cast("Portal", current_app.extensions[NAME])


def this_app() -> Flask:
    """The current app itself, as the sender of signals."""
    return cast("Flask", current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001 Flask's documented way
