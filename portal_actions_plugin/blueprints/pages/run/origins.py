"""What a run is for, an entity and perhaps a rule of it, with the host's pages about them."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from portal_actions_plugin.blueprints.pages.page_answer import page_url
from portal_actions_plugin.errors import PortalActionsError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.hooks import asking
from portal_actions_plugin.run_types import ActionRun, TemplateRun
from portal_actions_plugin.runs.guards.passing_rules import passes
from portal_actions_plugin.runs.states import OVER
from portal_actions_plugin.software_templates.outputs.addresses import address_in_portal, web_address

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OriginFacts:
    """Where the pages about a run's entity and rule are, None where there is none, and whether the rule passes by now."""

    entity_url: str | None = None
    rule_url: str | None = None
    passes: bool | None = None


def origin_facts(run: ActionRun | TemplateRun) -> OriginFacts:
    """Ask the host about what a run is for. Its scorecards are asked once the run is over: while it runs, a page asks every second."""
    if run.entity is None:
        return OriginFacts()
    given, origin = extension().hooks, run.origin
    entity_url = asked(asking.catalog(given.catalog), "entity_url", run.entity)
    entity_url = entity_url or page_url("action_runs", entity=run.entity)
    if origin is None:
        return OriginFacts(entity_url)
    rule_url = asked(asking.scorecards(given.scorecards), "rule_url", origin.entity, origin.scorecard, origin.rule)
    return OriginFacts(entity_url, rule_url, passes(origin) if run.status in OVER else None)


def asked(hook: object, method: str, *of: str) -> str | None:
    """An address that a hook may give; None where it gives none, and where it is no address to lead people to."""
    ask = getattr(hook, method, None)
    if not callable(ask):
        return None
    try:
        url = ask(*of)
    except PortalActionsError:
        return None  # such as for an entity that there is not: anybody may name one
    except Exception:  # a page shows what it has
        log.exception("the host's %s could not be asked about %s", method, of[-1])
        return None
    return address_in_portal(url) or web_address(url)
