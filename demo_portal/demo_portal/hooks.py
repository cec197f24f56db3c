"""What plugins may ask of the portal. Called in workers too, always inside an app context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import url_for

from demo_portal import catalog, scorecards


class Catalog:
    """What the action ``catalog.registerEntity@v1`` calls."""

    def register_entity(self, entity: Mapping[str, Any], source: str | None) -> str:
        """Create or update an entity; kind, namespace and name are its key."""
        entity_id = catalog.register(entity, source)
        scorecards.evaluate(entity_id)
        return entity_id

    def get_entity(self, ref: str) -> Mapping[str, Any] | None:
        """What ``catalog:fetch`` reads."""
        return catalog.document(ref)

    def entity_url(self, entity_id: str) -> str:
        """The page about an entity; raises NotFoundError for one that there is not."""
        entity = catalog.entity(entity_id)
        return url_for("catalog.entity", kind=entity.kind, namespace=entity.namespace, name=entity.name)


class Scorecards:
    """What the action ``scorecards.evaluate@v1`` calls."""

    def evaluate(self, entity_id: str, scorecard_id: str, force: bool) -> Mapping[str, Any]:  # noqa: FBT001 the host contract's signature
        """Evaluate, or answer with the kept results unless forced."""
        entity, scorecard = catalog.entity(entity_id), scorecards.find(scorecard_id)
        kept = None if force else scorecards.kept(entity.id, scorecard)
        report = kept or scorecards.evaluate(entity.id, scorecard)
        results = [
            {"rule": result.rule.id, "title": result.rule.title, "passes": result.passes, "problem": result.problem}
            for result in report.results
        ]
        return {"level": report.level, "results": results}

    def rule_url(self, entity_id: str, scorecard_id: str, rule: str) -> str:
        """Where the page about an entity has a rule."""
        scorecards.find(scorecard_id)
        return f"{Catalog().entity_url(entity_id)}#rule-{rule}"
