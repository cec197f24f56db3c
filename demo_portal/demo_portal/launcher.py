"""The template launcher: the list, a form for each, and the start."""

from __future__ import annotations

import secrets
from typing import Any

from flask import Blueprint, current_app, redirect, render_template, request

from demo_portal import forms, people
from demo_portal.layout import here
from demo_portal.portal import portal
from demo_portal.sign_in import require_sign_in
from portal_actions_plugin import Ask
from portal_actions_plugin.errors import PortalActionsError

blueprint = Blueprint("launcher", __name__, url_prefix="/templates")
blueprint.before_request(require_sign_in)


@blueprint.get("", endpoint="launcher")
def list_templates() -> str:
    listing = _source().list()
    templates = sorted(listing.templates, key=lambda template: ("recommended" not in template.tags, template.title))
    return render_template("launcher/list.html", templates=templates, problems=listing.problems)


@blueprint.get("/<name>")
def form(name: str) -> Any:
    template = _source().get(name)
    return _form(template, forms.pages(forms.on_forge(template.parameters, portal().settings.forge)))


@blueprint.post("/<name>")
def start(name: str) -> Any:
    """Start it, or show the form again with what is wrong next to each field."""
    template = _source().get(name)
    ask = Ask(idempotency_key=request.form.get("idempotency_key") or None)
    try:
        typed = forms.inputs(template.parameters, request.form)
        run = portal().actions.run_template(people.current_identity(), name, typed, ask)
    except PortalActionsError as error:
        pages = forms.pages(template.parameters, request.form, error.fields)
        return _form(template, pages, error), error.http_status
    return redirect(here(run.html_url))


def _form(template: Any, pages: list[forms.Page], error: PortalActionsError | None = None) -> str:
    return render_template(
        "launcher/form.html",
        template=template,
        pages=pages,
        error=error,
        wrong=[field for page in pages for field in page.fields if field.errors],
        quota=portal().actions.starts_left(people.current_identity()),
        may_start=portal().actions.may_run_template(people.current_identity(), template.name),
        # A new key each time: a double click is one run, another try is another one.
        idempotency_key=secrets.token_urlsafe(16),
    )


def _source() -> Any:
    return current_app.extensions["portal_actions"].templates
