"""The first page: what is here, and what happened last."""

from __future__ import annotations

from flask import Blueprint, render_template

from demo_portal import activity, catalog, forge, scorecards
from demo_portal.sign_in import require_sign_in

blueprint = Blueprint("home", __name__)
blueprint.before_request(require_sign_in)


@blueprint.get("/")
def home() -> str:
    entities = catalog.entities()
    pulls = [
        (repository, pull)
        for of_owner in forge.repositories().values()
        for repository in of_owner
        for pull in forge.open_pulls(repository.ref)
    ]
    return render_template(
        "home.html",
        services=len(entities),
        ready=sum(scorecards.report(entity.id).level == "gold" for entity in entities),
        events=activity.latest(),
        pulls=sorted(pulls, key=lambda pair: pair[1].opened_at, reverse=True)[: activity.SHOWN],
        open_pulls=len(pulls),
    )
