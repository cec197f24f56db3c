"""What the pages weigh: bounds that a slow network, and whoever adds to them, can count on."""

from __future__ import annotations

from flask import Flask

from portal_actions_plugin.blueprints.headers import STATIC_FOLDER
from tests.support import portal_day


def test_fifty_rows_of_a_usual_day_are_below_60_kb(app: Flask) -> None:
    portal_day.fifty_rows()
    visitor = app.test_client()
    visitor.set_cookie("person", "ada")
    page = visitor.get("/actions")
    assert page.text.count('role="row"') == 51, "fifty, and the one with the columns' names"
    assert len(page.data) < 60_000


def test_the_script_is_below_10_kb_and_the_stylesheet_below_20_kb() -> None:
    assert (STATIC_FOLDER / "portal-actions.js").stat().st_size < 10_000
    assert (STATIC_FOLDER / "portal-actions.css").stat().st_size < 20_000
