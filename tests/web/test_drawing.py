"""What pages draw many times over is drawn from prepared words: they stay words, and cost no more than they have to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from jinja2 import StrictUndefined

from portal_actions_plugin.blueprints.pages.logs.html import log_items
from portal_actions_plugin.run_types import LogLine
from tests.support import page_html
from tests.support.page_html import Element
from tests.support.page_rows import AUTH_ERROR, TWO_STEPS, add_action_run, add_template_run
from tests.support.people import Visitor

EVIL = "\"'&<script>alert(1)</script>"
MOMENT = datetime(2025, 11, 22, 8, 30, 1, 234_567, tzinfo=UTC)


@pytest.fixture
def portal(make_app: Callable[..., Flask]) -> Iterator[Flask]:
    app = make_app(PORTAL_ACTIONS_URL_PREFIX="/self-service")
    app.jinja_env.undefined = StrictUndefined
    with app.app_context():
        yield app


@pytest.fixture
def ada(portal: Flask) -> Visitor:
    return Visitor(portal, "ada")


def links(page: Element) -> list[str]:
    return [link.attributes["href"] for link in page.one("tbody").all("a")]


def test_each_row_leads_to_its_run_below_where_the_portal_is_mounted(ada: Visitor) -> None:
    template_run, _ = add_template_run("failed", ("success", "failed"), **TWO_STEPS, step_values={1: AUTH_ERROR})
    one_off = add_action_run()
    below = "/portal/self-service"
    page = ada.see("/self-service/actions", environ_overrides={"SCRIPT_NAME": "/portal"})
    assert links(page) == [
        f"{below}/actions/runs/{one_off}",
        f"{below}/templates/runs/{template_run}",
        f"{below}/templates/runs/{template_run}",
    ]
    page = ada.see("/self-service/actions?times=absolute&status=failed")
    assert links(page) == [f"/self-service/templates/runs/{template_run}?times=absolute"]


def test_a_list_asks_for_the_same_few_addresses_however_long_it_is(
    portal: Flask, ada: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    url_for = portal.url_for

    def counting(endpoint: str, **values: Any) -> str:
        asked.append(endpoint)
        return url_for(endpoint, **values)

    monkeypatch.setattr(portal, "url_for", counting)
    add_action_run()
    ada.see("/self-service/actions")
    few = len(asked)
    for _ in range(5):
        add_action_run()
        add_template_run("success", ("success",), **TWO_STEPS)
    asked.clear()
    ada.see("/self-service/actions")
    assert len(asked) == few


def test_what_fields_suggest_is_each_word_of_the_list_once(ada: Visitor) -> None:
    for entity in ("orders", "orders", None, EVIL):
        add_action_run(entity=entity)
    page = ada.see("/self-service/actions")
    known = page.one("datalist", id="pa-known-entity")
    assert [option.attributes["value"] for option in known.all("option")] == [EVIL, "orders"]
    assert page.all("datalist", id="pa-known-template") == []


def test_log_lines_are_words_whatever_they_hold() -> None:
    drawn = log_items([LogLine(1, 1, MOMENT, "info", EVIL), LogLine(2, 1, MOMENT, EVIL, "next")])
    list_of_lines = page_html.read(f"<ol>{drawn}</ol>").one("ol")
    assert [line.text for line in list_of_lines.all("li")] == [f"08:30:01.234 {EVIL}", f"08:30:01.234 {EVIL} next"]
    assert list_of_lines.all("script") == []
    first = list_of_lines.all("li")[0]
    assert first.attributes == {"data-pa-key": "1"}
    assert first.one("time").attributes == {"datetime": "2025-11-22T08:30:01.234Z"}
