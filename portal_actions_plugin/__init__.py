"""Run, watch and repair self-service actions in a Flask developer portal."""

from portal_actions_plugin.actions.context import ActionContext
from portal_actions_plugin.actions.registry import Action, action
from portal_actions_plugin.host import Catalog, Identity, NavItem, Scorecards, TemplateListing, TemplateSource
from portal_actions_plugin.plugin import PortalActions, plugin
from portal_actions_plugin.run_types import ActionRun, Origin, Step, TemplateRun
from portal_actions_plugin.runs.accept import Ask

__all__ = [
    "Action",
    "ActionContext",
    "ActionRun",
    "Ask",
    "Catalog",
    "Identity",
    "NavItem",
    "Origin",
    "PortalActions",
    "Scorecards",
    "Step",
    "TemplateListing",
    "TemplateRun",
    "TemplateSource",
    "action",
    "plugin",
]
