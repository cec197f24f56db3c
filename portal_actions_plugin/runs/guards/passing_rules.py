"""Whether a rule that is to be fixed fails at all: a page that shows it as failing may be older than its fix."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from portal_actions_plugin.errors import ConflictError, PortalActionsError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.hooks import asking
from portal_actions_plugin.run_types import Origin

log = logging.getLogger(__name__)


def require_failing(origin: Origin | None) -> None:
    """Refuse the fix of a rule that passes by now, as far as the host's scorecards say so.

    Args:
        origin: the rule that a start fixes; None for a start that fixes none.

    Raises:
        ConflictError: the rule passes.
    """
    if origin is not None and passes(origin):
        raise ConflictError(
            f"The rule {origin.rule} of {origin.entity} passes by now: there is nothing to fix.",
            hint="Reload the page: it shows the rule as it is.",
        )


def passes(origin: Origin) -> bool | None:
    """Whether a rule passes by now, as the host's scorecards say; None where they do not say."""
    scorecards = asking.scorecards(extension().hooks.scorecards)
    if scorecards is None:
        return None
    try:
        answer = scorecards.evaluate(origin.entity, origin.scorecard, False)  # noqa: FBT003 the host contract's signature
    except PortalActionsError as error:
        log.info("the host's scorecards do not say whether %s passes: %s", origin.rule, error.code)
        return None  # such as for a scorecard that there is not: anybody may name one
    except Exception:
        # A fix is what helps when something is broken: it does not wait for all else to be whole.
        log.exception("the host's scorecards could not be asked whether %s passes", origin.rule)
        return None
    said = [_said(result, origin.rule) for result in _results(answer)]
    return True if True in said else False if False in said else None


def _results(answer: Mapping[str, object]) -> list[object]:
    found = answer.get("results")
    return found if isinstance(found, list) else []


def _said(result: object, rule: str) -> bool | None:
    """What a result says of a rule; None where it is about another one, or says neither."""
    passing = result.get("passes") if isinstance(result, Mapping) and result.get("rule") == rule else None
    return passing if isinstance(passing, bool) else None
