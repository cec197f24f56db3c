"""Loading plugins: whatever the entry point group ``portal.plugins`` names gets our hooks and our app."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from demo_portal import hooks, people

if TYPE_CHECKING:
    from flask import Flask

GROUP = "portal.plugins"

HOOKS = {
    "identity_loader": people.current_identity,
    "catalog": hooks.Catalog(),
    "scorecards": hooks.Scorecards(),
}


class PluginError(RuntimeError):
    """A plugin cannot be loaded; the message names its package."""


def load(app: Flask) -> dict[str, Any]:
    """Load every plugin, and return them by name."""
    plugins: dict[str, Any] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            plugin = point.load()
            # Several apps may share the plugin's object: the hooks are for this one.
            ours = plugin.of(app) if hasattr(plugin, "of") else plugin
            for name, hook in HOOKS.items():
                if take := getattr(ours, name, None):
                    take(hook)
            plugin.init_app(app)
        except Exception as error:
            package = point.dist.name if point.dist else "an unknown package"
            raise PluginError(f"The plugin {point.name} of {package} cannot be loaded: {error}") from error
        plugins[point.name] = plugin
    return plugins
