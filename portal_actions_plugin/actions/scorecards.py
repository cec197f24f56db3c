"""Actions on the host's scorecards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields, validate

from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.errors import ConfigurationError

if TYPE_CHECKING:
    from portal_actions_plugin.actions.context import ActionContext

_ID = validate.Length(min=1, max=255)


class EvaluateScorecard(Schema):
    entity_id = fields.String(
        required=True,
        data_key="entityId",
        validate=_ID,
        metadata={"description": "The catalog's id of the entity, as catalog.registerEntity@v1 outputs it."},
    )
    scorecard_id = fields.String(
        required=True,
        data_key="scorecardId",
        validate=_ID,
        metadata={"description": "The portal's id of the scorecard."},
    )
    force = fields.Boolean(
        load_default=False, metadata={"description": "Look again, though the portal knows a recent result."}
    )


class EvaluateScorecardOutput(Schema):
    level = fields.Raw(metadata={"description": "The level that it has reached, as the portal names it."})
    results = fields.Raw(metadata={"description": "What each rule said, as the portal has it."})


@action(
    "scorecards.evaluate@v1",
    title="Evaluate a scorecard",
    input=EvaluateScorecard,
    output=EvaluateScorecardOutput,
    idempotent=True,
    timeout=120,
)
def evaluate(ctx: ActionContext, *, entity_id: str, scorecard_id: str, force: bool) -> dict[str, Any]:
    """Let the portal evaluate a scorecard for an entity. Without force, it may answer with what it knows."""
    answer = ctx.scorecards.evaluate(entity_id, scorecard_id, force)
    missing = [name for name in ("level", "results") if name not in answer]
    if missing:
        raise ConfigurationError(
            f"The portal's scorecards answered without {' and '.join(missing)} for {scorecard_id}."
        )
    ctx.log(f"{entity_id} has reached {answer['level']} of {scorecard_id}")
    return {"level": answer["level"], "results": answer["results"]}
