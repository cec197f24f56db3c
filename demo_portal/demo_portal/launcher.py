"""The template launcher: the list, a form for each, and the start."""

from __future__ import annotations

import secrets
from typing import Any

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict

from demo_portal import forms, people, sign_in
from demo_portal.layout import here
from demo_portal.portal import portal
from portal_actions_plugin import Ask
from portal_actions_plugin.errors import NotFoundError, PortalActionsError

blueprint = Blueprint("launcher", __name__, url_prefix="/templates")

NOT_YET = "Nothing was started yet."
_CHOOSE = "What you chose asks for more, see below. " + NOT_YET
_OLD = "This form is too old: you signed in or out since. " + NOT_YET + " Look through it, and start it again."
_BACK = "You are signed in again, and what you typed is still here. " + NOT_YET
_SECRETS = " Secrets are never kept in a page: type them again."


@blueprint.before_request
def require_sign_in() -> Any:
    """Send those away who are not signed in, with what they have typed."""
    if people.signed_in() is not None:
        return None
    return ask_to_sign_in() if request.endpoint == "launcher.start" else sign_in.unauthorized()


@blueprint.get("", endpoint="launcher")
def list_templates() -> str:
    listing = _source().list()
    templates = sorted(listing.templates, key=lambda template: ("recommended" not in template.tags, template.title))
    warnings = listing.warnings if people.may("template:edit") else ()
    return render_template("launcher/list.html", templates=templates, problems=listing.problems, warnings=warnings)


@blueprint.get("/<name>")
def form(name: str) -> Any:
    template = _template(name)
    return _page(template, _form(template, MultiDict()))


@blueprint.post("/<name>")
def start(name: str) -> Any:
    """Start it, or show the form again: with what is wrong next to each field, or with what a choice asks for."""
    template = _template(name)
    step, typed = request.form.get("step", ""), request.form
    if step:
        return _page(template, _form(template, forms.with_rows(typed, step)), _BACK if step == "back" else "")
    try:
        found = _form(template, typed)
        if found.unseen(typed.get("shown", "")):
            return _page(template, found, _CHOOSE), 422
        ask = Ask(typed.get("idempotency_key") or None, left_empty=frozenset(found.reading.left_empty))
        run = portal().actions.run_template(people.current_identity(), name, found.reading.inputs, ask)
    except PortalActionsError as error:
        return _page(template, _form(template, typed, error), error=error), error.http_status
    return redirect(here(run.html_url))


def form_again() -> Any:
    """The form with what was typed, for somebody whose page is older than their session. Nothing is started."""
    if people.signed_in() is None:
        return ask_to_sign_in()
    template = _template((request.view_args or {})["name"])
    return _page(template, _form(template, request.form), _OLD), 400


def ask_to_sign_in() -> Any:
    """The sign-in page, which takes along what was typed into a form and leads back to it."""
    name = str((request.view_args or {})["name"])
    try:
        template = _source().get(name)
    except NotFoundError:
        return sign_in.unauthorized()
    typed = _form(template, request.form).typed_again(request.form)
    return sign_in.unauthorized(url_for("launcher.start", name=name), [*typed, ("step", "back")])


def _form(template: Any, typed: forms.Typed, error: PortalActionsError | None = None) -> forms.Form:
    return forms.build(template, typed, error.fields if error else None, portal().settings.forge)


def _page(template: Any, form: forms.Form, notice: str = "", error: PortalActionsError | None = None) -> str:
    has_secrets = request.method == "POST" and any(field.kind == "password" for field in form.fields())
    return render_template(
        "launcher/form.html",
        template=template,
        form=form,
        notice=notice + (_SECRETS if notice and has_secrets else ""),
        error=error,
        quota=portal().actions.starts_left(people.current_identity()),
        may_start=portal().actions.may_run_template(people.current_identity(), template.name),
        # A new key each time: a double click is one run, another try is another one.
        idempotency_key=secrets.token_urlsafe(16),
    )


def _template(name: str) -> Any:
    """A template without what who is signed in may not have."""
    return portal().actions.template(people.current_identity(), name)


def _source() -> Any:
    return current_app.extensions["portal_actions"].templates
