"""The catalog, and a page about each entity with its scorecard."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for

from demo_portal import catalog, error_pages, fixes, forge, people, scorecards
from demo_portal.catalog import Entity
from demo_portal.layout import here
from demo_portal.rules import PRODUCTION_READINESS
from demo_portal.sign_in import require_sign_in
from portal_actions_plugin.errors import NotFoundError, PortalActionsError, ValidationError
from portal_actions_plugin.scm.base import Repository

blueprint = Blueprint("catalog", __name__, url_prefix="/catalog")
blueprint.before_request(require_sign_in)

ENTITY = "/<kind>/<namespace>/<name>"


@blueprint.get("", endpoint="catalog")
def list_entities() -> str:
    listed = [(entity, scorecards.report(entity.id)) for entity in catalog.entities()]
    return render_template("catalog/list.html", listed=listed)


@blueprint.get(ENTITY)
def entity(kind: str, namespace: str, name: str) -> str:
    found = _find(kind, namespace, name)
    return render_template(
        "catalog/entity.html",
        entity=found,
        repository=_repository(found),
        report=scorecards.report(found.id),
        fixes=fixes.last_fixes(found, PRODUCTION_READINESS),
        proposals=fixes.proposals(found, PRODUCTION_READINESS),
    )


@blueprint.post(f"{ENTITY}/check")
def check(kind: str, namespace: str, name: str) -> Any:
    """Look again: somebody may have pushed."""
    found = _find(kind, namespace, name)
    report = scorecards.evaluate(found.id)
    flash(f"Checked just now: {report.passing} of {len(report.results)} rules pass.")
    return redirect(_address(found))


@blueprint.post(f"{ENTITY}/fix/<rule_id>")
def fix(kind: str, namespace: str, name: str, rule_id: str) -> Any:
    """Have a failing rule fixed, and go to the run that does it."""
    found = _find(kind, namespace, name)
    try:
        return redirect(here(fixes.request_fix(found, PRODUCTION_READINESS, rule_id, people.current_identity())))
    except PortalActionsError as error:
        error_pages.notice(error)
        return redirect(_address(found))


def _find(kind: str, namespace: str, name: str) -> Entity:
    return catalog.entity(f"{kind}:{namespace}/{name}")


def _address(found: Entity) -> str:
    return url_for("catalog.entity", kind=found.kind, namespace=found.namespace, name=found.name)


def _repository(found: Entity) -> Repository | None:
    try:
        return forge.find(found.repository)
    except (NotFoundError, ValidationError):
        return None
