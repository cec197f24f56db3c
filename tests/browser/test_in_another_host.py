"""The pages inside Harbor's layout, which shouts at every bare element: each stays what it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser.harbor import create_harbor
from tests.browser.sites import Site, serving
from tests.browser.windows import CONTRASTS, Window
from tests.support import portal_day
from tests.support.page_rows import AUTH_ERROR, TWO_STEPS, add_template_run

COMPUTED = """([selector, wanted]) => {
  const told = [];
  for (const node of document.querySelectorAll(selector)) {
    for (const pseudo of [null, '::before', '::after']) {
      const style = getComputedStyle(node, pseudo);
      for (const name of wanted || style) {
        told.push(`${node.localName}.${node.getAttribute('class') || ''}${pseudo || ''} ${name}: ${style.getPropertyValue(name)}`);
      }
    }
  }
  return told;
}"""
LOOKS = [
    "display", "position", "float", "content", "list-style-type", "opacity", "box-shadow", "cursor",
    "margin-top", "margin-right", "margin-bottom", "margin-left",
    "padding-top", "padding-right", "padding-bottom", "padding-left",
    "border-top-width", "border-right-width", "border-bottom-width", "border-left-width",
    "border-top-style", "border-top-left-radius", "border-collapse", "border-spacing", "outline-width",
    "font-size", "font-weight", "font-style", "font-variant-caps", "line-height", "letter-spacing", "hyphens",
    "text-align", "text-decoration-line", "text-indent", "text-shadow", "text-transform", "white-space",
]  # fmt: skip
"""What a guest's layout and calm are made of; colours and the font's family are what a host may choose."""

CONTRASTS_INSIDE = CONTRASTS.replace("document.body", "document.querySelector('.portal-actions')")

SAME_LETTERS = """() => { const sheet = new CSSStyleSheet();
  sheet.replaceSync('.portal-actions { --pa-font: Georgia, "DejaVu Serif", serif }');
  document.adoptedStyleSheets = [sheet] }"""


@pytest.fixture
def harbor(settings: dict[str, Any], sqlite_url: str) -> Iterator[Site]:
    app = create_harbor(**settings, PORTAL_ACTIONS_DATABASE_URL=sqlite_url)
    with serving(app) as site:
        yield site
    app.extensions["portal_actions"].database.close_connections()
    app.extensions["portal_actions"].redis.close()


@pytest.fixture
def open_harbor(chromium: Any, harbor: Site) -> Iterator[Callable[..., Any]]:
    contexts = []

    def open_tab(path: str, *, width: int = 1280, dark: bool = False) -> Any:
        context = chromium.new_context(
            base_url=harbor.url,
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
        )
        context.add_cookies([{"name": "person", "value": "ada", "url": harbor.url}])
        contexts.append(context)
        tab = context.new_page()
        tab.goto(path)
        return tab

    yield open_tab
    for context in contexts:
        context.close()


def with_buttons() -> str:
    """Add a run that Ada may retry and resume; its path."""
    return (
        "/templates/runs/"
        + add_template_run("failed", ("success", "failed"), **TWO_STEPS, step_values={1: AUTH_ERROR})[0]
    )


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False), (390, True)])
def test_pages_are_readable_and_fit_in_a_loud_host(open_harbor: Callable[..., Any], width: int, dark: bool) -> None:
    day = portal_day.live_through()
    tab = open_harbor("/", width=width, dark=dark)
    for path in (
        with_buttons(),
        day.list,
        day.failed,
        day.running,
        day.canceled,
        day.one_off,
        "/templates/runs/nothing",
    ):
        tab.goto(path)
        tab.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true })")
        assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth"), path
        assert tab.evaluate(CONTRASTS) == [], path


def test_what_a_host_says_of_bare_elements_does_not_reach_our_pages(
    open_harbor: Callable[..., Any], window: Callable[..., Window]
) -> None:
    day = portal_day.live_through()
    at_home, visiting = window("ada", width=1280 - 15 * 18), open_harbor("/")  # as wide as beside its sidebar
    for page in (with_buttons(), day.list, day.failed, day.canceled, day.one_off, "/templates/runs/nothing"):
        path = page + ("&" if "?" in page else "?") + "times=absolute"  # a second later, words are as wide as before
        at_home.open(path).evaluate(SAME_LETTERS)
        visiting.goto(path)
        for asked in (
            [".portal-actions :not(svg, svg *)", LOOKS],
            [".portal-actions svg", ["width", "height", "display"]],
        ):
            home, guest = at_home.tab.evaluate(COMPUTED, asked), visiting.evaluate(COMPUTED, asked)
            assert [(was, now) for was, now in zip(home, guest, strict=True) if was != now] == []


@pytest.mark.fault("E29")
def test_what_a_host_insists_on_for_bare_elements_leaves_every_word_readable(open_harbor: Callable[..., Any]) -> None:
    day = portal_day.live_through()
    tab = open_harbor("/")
    shout = "button, button[type=submit], a, input, select, code, th, td, p, h1, h3, div, span, summary, dl, dt, dd, li"
    loud = f"{shout} {{ background: #0d4a4a !important; color: #134e4e !important; opacity: .9 }}"
    loud += "button[type=submit] { width: 100% !important; padding: 3rem !important; text-transform: uppercase !important; }"
    for path in (with_buttons(), day.list, day.one_off, "/templates/runs/nothing"):
        tab.goto(path)
        tab.add_style_tag(content=loud)
        assert tab.evaluate(CONTRASTS_INSIDE) == [], path
    tab.goto(with_buttons())
    retry = tab.get_by_role("button", name="Retry")
    calm = retry.bounding_box()
    tab.add_style_tag(content=loud)
    assert retry.bounding_box() == calm


def test_our_stylesheet_changes_nothing_of_the_hosts(open_harbor: Callable[..., Any]) -> None:
    tab = open_harbor("/")
    before = tab.evaluate(COMPUTED, ["*", None])
    tab.add_style_tag(url="/portal-actions-static/portal-actions.css")
    after = tab.evaluate(COMPUTED, ["*", None])
    assert set(after) ^ set(before) == set()


def test_a_host_lends_its_colours_and_letters_by_setting_properties(open_harbor: Callable[..., Any]) -> None:
    portal_day.live_through()
    tab = open_harbor("/actions?status=failed")
    chip = tab.get_by_role("link", name="failed", exact=True)
    assert chip.evaluate("(one) => getComputedStyle(one).backgroundColor") == "rgb(154, 52, 18)"
    assert "Georgia" in tab.get_by_role("heading", name="Action Runs").evaluate(
        "(one) => getComputedStyle(one).fontFamily"
    )
