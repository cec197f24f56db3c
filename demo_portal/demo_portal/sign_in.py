"""Signing in and out, and what happens to those who have not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Flask, Response, redirect, render_template, request, url_for
from flask_login import LoginManager, current_user, login_user, logout_user

from demo_portal import people

blueprint = Blueprint("sign_in", __name__)


def init_app(app: Flask) -> None:
    """Let Flask-Login know the people. Plugins find its answer for those who are not signed in by themselves."""
    manager = LoginManager(app)
    # The data folder is one user's and the portal listens on loopback: nobody else can have the cookie.
    manager.session_protection = None
    manager.user_loader(people.from_session)
    manager.request_loader(lambda _request: people.from_request())
    manager.unauthorized_handler(unauthorized)
    app.register_blueprint(blueprint)


def require_sign_in() -> Any:
    """Send those away who are not signed in; for the ``before_request`` of a blueprint."""
    return None if current_user.is_authenticated else unauthorized()


def unauthorized(form: str = "", typed: Sequence[tuple[str, str]] = ()) -> Any:
    """Answer somebody who is not signed in: a person gets the sign-in page, a program a 401.

    Args:
        form: where what was typed into a form was sent, which is to be shown again afterwards.
        typed: what was.
    """
    if _asks_a_person():
        if request.method == "GET":
            return redirect(url_for("sign_in.page", next=request.full_path.rstrip("?")))
        return render_template("sign_in.html", people=people.PEOPLE.values(), next=form, typed=typed, lost=True), 401
    return Response(
        "You are not signed in. Send Authorization: Bearer with a valid token.\n",
        401,
        {"WWW-Authenticate": "Bearer"},
        mimetype="text/plain",
    )


@blueprint.get("/sign-in")
def page() -> Any:
    if current_user.is_authenticated:
        return redirect(_safe(request.args.get("next")))
    return render_template("sign_in.html", people=people.PEOPLE.values(), next=request.args.get("next", ""))


@blueprint.post("/sign-in")
def sign_in() -> Any:
    person = people.PEOPLE.get(request.form.get("person", ""))
    if person is None:
        return redirect(url_for("sign_in.page"))
    login_user(person)
    # 307: the browser sends what was typed along.
    return redirect(_safe(request.form.get("next")), 307 if "step" in request.form else 302)


@blueprint.post("/sign-out")
def sign_out() -> Any:
    logout_user()
    return redirect(url_for("sign_in.page"))


def _asks_a_person() -> bool:
    """Whether a browser shows the answer as a page. A script in a page must not mistake the sign-in page for data."""
    if people.has_credentials() or request.headers.get("Sec-Fetch-Mode", "navigate") != "navigate":
        return False
    accepted = request.accept_mimetypes
    return not accepted.accept_json or accepted.accept_html


def _safe(target: str | None) -> str:
    """Where to go after signing in: a path of this portal, whatever the address said."""
    if target and target.startswith("/") and target[1:2] not in ("/", "\\") and target.isprintable():
        return target
    return url_for("home.home")
