"""All entities on the scorecard, side by side."""

from __future__ import annotations

from flask import Blueprint, render_template

from demo_portal import catalog, scorecards
from demo_portal.rules import PRODUCTION_READINESS
from demo_portal.sign_in import require_sign_in

blueprint = Blueprint("scorecards", __name__, url_prefix="/scorecards")
blueprint.before_request(require_sign_in)


@blueprint.get("", endpoint="scorecards")
def overview() -> str:
    rows = [(entity, scorecards.report(entity.id)) for entity in catalog.entities()]
    rows.sort(key=lambda row: row[1].passing)
    return render_template("scorecards.html", scorecard=PRODUCTION_READINESS, rows=rows)
