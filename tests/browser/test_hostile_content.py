"""Hostile, long and foreign words in every field that a person or a template can fill, in a real browser."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.browser.windows import CONTRASTS, OpenWindow
from tests.support.page_rows import AUTH_ERROR, TWO_STEPS, add_action_run, add_attempt, add_log, add_template_run

SCRIPT = "<script>window.harmed = true</script>"
BREAKOUT = '"\'></span></a></dd><img src=x onerror="window.harmed = true"><svg onload="window.harmed = true">'
URL = "javascript:window.harmed=true"
LONG_WORD = "l" * 300
RIGHT_TO_LEFT = "إنشاء المستودع الجديد \u202eevil\u202c abc\u200f"
CHAOS = (
    "Z\u0338\u031b\u0318\u0353\u0320\u0340a\u0337\u0334\u0327\u034d \U0001f469\u200d\U0001f680 \x07\x1b[31m \u202e\u2067"
    + "\n" * 30
    + "end"
)
HARM = [
    SCRIPT,
    BREAKOUT,
    URL,
    LONG_WORD,
    RIGHT_TO_LEFT,
    CHAOS,
    "{{ 7 * 7 }} ${{ 7 * 7 }}",
    "</dl></main></body></html>",
]

CUT_OFF = """() => [...document.querySelectorAll('.portal-actions *')]
  .filter((node) => node.checkVisibility() && getComputedStyle(node).overflowX === 'hidden'
    && getComputedStyle(node).clipPath === 'none' && node.scrollWidth > node.clientWidth + 1)
  .map((node) => `${node.localName}.${node.className}`)"""


def pages_full_of(evil: str) -> dict[str, str]:
    """A page of each kind, ``evil`` in every field that somebody from outside can fill."""
    somebody = {"requested_by": f"user:{evil}", "requester_name": evil}
    error = {"error_code": "AUTH_ERROR", "error_message": evil, "error_hint": evil}
    made = {
        "outputs": {evil: evil, "list": [evil, {evil: evil}], "nested": {evil: [evil]}},
        "links": [{"title": evil, "url": evil}, {"title": evil, "url": "https://forge.example/" + "p" * 300}],
        "warnings": [evil, evil],
    }
    values = {
        "steps": ((evil, evil, evil), ("second", evil, evil), ("third", evil, evil)),
        "title": evil,
        "entity": evil,
    }
    values |= {"inputs": {evil: evil}, "outputs": {"links": made["links"], evil: evil}, **somebody}
    failed, ids = add_template_run(
        "failed", ("success", "failed"), **values, step_values={0: made, 1: {**made, **error}}
    )
    for number in (1, 2):
        add_attempt(ids[1], number, error_code="REMOTE_ERROR", error_message=evil, worker=evil)
    add_log(ids[1], evil, ("warning", evil), ("error", evil))
    success, _ = add_template_run("success", ("success",), **values, step_values={0: made})
    canceled, _ = add_template_run("canceled", ("success", "canceled"), **values, step_values={0: made})
    running, ids = add_template_run("running", ("success", "running"), **values, step_values={0: made})
    add_log(ids[1], evil)
    origin = {"entity": evil, "scorecard": evil, "rule": evil}
    one_off = add_action_run("failed", action=evil, origin=origin, input={evil: evil}, **made, **error, **somebody)
    runs = {"failed": failed, "success": success, "canceled": canceled, "running": running}
    return {
        "list": "/actions",
        **{name: f"/templates/runs/{run_id}" for name, run_id in runs.items()},
        "one-off": f"/actions/runs/{one_off}",
    }


@pytest.mark.parametrize("evil", HARM, ids=["script", "breakout", "url", "long", "rtl", "chaos", "braces", "closing"])
def test_hostile_words_do_no_harm_in_a_browser(window: OpenWindow, evil: str) -> None:
    seen = window("ada", width=390)
    for name, path in pages_full_of(evil).items():
        tab = seen.open(path)
        tab.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true })")
        assert not tab.evaluate("'harmed' in window"), name
        assert tab.locator(".portal-actions img, .portal-actions script").count() == 0, name
        assert foreign_links(tab, seen.site.url) <= {"https://forge.example"}, name
        assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth"), f"{name} scrolls sideways"
        assert tab.evaluate(CUT_OFF) == [], name
        assert tab.get_by_role("link", name="Show absolute times").is_visible(), f"{name} ends early"
    assert seen.complaints == []


def foreign_links(tab: Any, ours: str) -> set[str]:
    """Where links lead to beyond this portal; another scheme than http(s) is told whole."""
    found = set()
    for href in tab.locator(".portal-actions a[href]").evaluate_all("(all) => all.map((one) => one.href)"):
        parts = urlsplit(href)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin != ours:
            found.add(origin if parts.scheme in ("http", "https") else href)
    return found


def test_pressing_what_hostile_words_are_in_does_no_harm(window: OpenWindow) -> None:
    evil = SCRIPT + BREAKOUT
    values = {**TWO_STEPS, "title": evil, "inputs": {"name": "orders"}, "requester_name": evil}
    run_id, _ = add_template_run(
        "failed", ("failed",), **values, step_values={0: {**AUTH_ERROR, "error_message": evil}}
    )
    seen = window("ada")
    tab = seen.open("/actions?entity=" + "%22%3E%3Cscript%3Ewindow.harmed=true%3C/script%3E")
    tab.get_by_role("link", name="Clear all").click()
    tab.get_by_role("link", name="View run").click()
    tab.get_by_role("button", name="Retry", exact=True).click()
    tab.wait_for_url(lambda url: run_id not in url)
    assert not tab.evaluate("'harmed' in window")
    assert seen.complaints == []


def test_a_name_from_the_right_does_not_turn_the_words_around_it(window: OpenWindow) -> None:
    steps = (("first", RIGHT_TO_LEFT, "debug.log@v1"), *TWO_STEPS["steps"][1:])
    values = {**TWO_STEPS, "steps": steps, "title": RIGHT_TO_LEFT, "requester_name": RIGHT_TO_LEFT}
    run_id, _ = add_template_run("running", ("success", "running"), **values)
    tab = window("ada").open(f"/templates/runs/{run_id}")
    badge = tab.locator("h1").get_by_text("running").bounding_box()
    name = tab.locator("h1").get_by_text("المستودع").bounding_box()
    assert badge["x"] > name["x"], "the status stays behind the title, where a reader from the left looks for it"
    heading = tab.get_by_role("heading", level=3).first
    assert heading.evaluate("(one) => getComputedStyle(one).direction") == "rtl"
    assert tab.locator(".portal-actions").evaluate("(one) => getComputedStyle(one).direction") == "ltr"


def test_a_log_of_10_000_lines_opens_small_and_is_downloaded_whole(window: OpenWindow) -> None:
    run_id = add_action_run("failed", **AUTH_ERROR)
    add_log(run_id, *[f"line {number}: {'x' * 80}" for number in range(1, 10_001)])
    seen = window("ada")
    answer = seen.tab.goto(seen.site.url + f"/actions/runs/{run_id}")
    seen.tab.get_by_text("line 10000:").wait_for()
    seen.tab.locator("summary", has_text="10,000 log lines").click()
    assert seen.tab.get_by_text("line 10000:").is_hidden()
    assert len(answer.body()) < 250_000
    assert seen.tab.locator("*").count() < 5_000
    with seen.tab.expect_download() as download:
        seen.tab.get_by_role("link", name="Download the log").click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == 10_000
    assert f"line 10000: {'x' * 80}" in lines[-1]
    assert seen.complaints == []


@pytest.mark.parametrize("dark", [False, True])
def test_a_page_full_of_long_words_is_readable(window: OpenWindow, dark: bool) -> None:
    seen = window("ada", width=390, dark=dark)
    for path in pages_full_of(LONG_WORD).values():
        assert seen.open(path).evaluate(CONTRASTS) == []
