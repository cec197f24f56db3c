"""What only a browser can tell: layout, colours, focus, and forms as people use them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from portal_actions_plugin.run_types import AuditEntry
from portal_actions_plugin.runs import audit
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.audit_trail import OUTCOMES
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import new_id, transaction
from tests.browser.sites import Site
from tests.browser.windows import CONTRASTS, OpenWindow
from tests.support import templates
from tests.support.page_rows import AUTH_ERROR, TWO_STEPS, add_action_run, add_template_run, ago

WITH_TOKEN = templates.TWO_STEPS.replace(
    "loud: {type: boolean, default: false}",
    "loud: {type: boolean, default: false}\n        token: {type: string, writeOnly: true}",
)
FOCUSED = """() => {
  const node = document.activeElement, style = getComputedStyle(node);
  return {what: node.innerText || node.name || node.tagName, tag: node.tagName,
          visible: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2};
}"""


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_complains_asks_another_origin_or_scrolls_sideways(
    window: OpenWindow, paths: dict[str, str], width: int
) -> None:
    seen = window("ada", width=width)
    wide = []
    for name, path in paths.items():
        tab = seen.open(path)
        tab.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true })")
        if tab.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(name)
    assert seen.complaints == []
    assert wide == []


@pytest.mark.parametrize(("width", "dark"), [(390, False), (800, True), (1280, False)])
def test_the_audit_is_as_calm_and_as_plain_to_see(
    window: OpenWindow, paths: dict[str, str], site: Site, width: int, dark: bool
) -> None:
    with transaction("test") as tx:
        for outcome in OUTCOMES:
            actor, target = f"user:{outcome}@" + "example." * 12 + "com", "t" * 120
            details = {"permission": "p" * 80, "error_code": "AUTH_ERROR"}
            audit.record(tx, AuditEntry(actor, "template_run.resume", outcome, target, new_id(), new_id(), details))
        tx.execute(update(tables.audit).values(count=4_000))
    seen = window("margaret", width=width, dark=dark)
    for path in ("/actions", "/actions/audit", "/actions/audit?times=absolute&target=" + "t" * 120):
        tab = seen.open(path)
        tab.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true })")
        assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth"), path
        assert tab.evaluate(CONTRASTS) == []
    cut = "(card) => card.scrollWidth > card.clientWidth"
    assert not tab.eval_on_selector(".pa-table-card", cut)
    assert seen.complaints == []


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_stands_out_from_its_ground(window: OpenWindow, paths: dict[str, str], dark: bool) -> None:
    seen = window("ada", dark=dark)
    faint = []
    for name, path in paths.items():
        tab = seen.open(path)
        tab.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true })")
        faint += [f"{name}: {text}" for text in tab.evaluate(CONTRASTS)]
    assert faint == []
    assert seen.tab.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(18, 18, 24)" if dark else "rgb(247, 247, 249)"
    )


@pytest.mark.parametrize("kind", ["list", "failed run", "resumable run", "run that needs a secret", "one-off"])
def test_everything_is_reached_by_keyboard_with_a_visible_focus(
    window: OpenWindow, paths: dict[str, str], kind: str
) -> None:
    tab = window("ada").open(paths[kind])
    wanted = tab.locator("a:visible, button:visible, summary:visible, input:visible").count()
    reached = []
    for _ in range(wanted + 10):
        tab.keyboard.press("Tab")
        focused = tab.evaluate(FOCUSED)
        if focused["tag"] == "BODY":
            break
        reached.append(focused)
    assert len([one for one in reached if one["tag"] in ("A", "BUTTON", "SUMMARY", "INPUT")]) >= wanted
    assert [one["what"] for one in reached if not one["visible"]] == []


def test_buttons_and_chips_are_large_enough_to_hit(window: OpenWindow, paths: dict[str, str]) -> None:
    tab = window("ada", width=390).open(paths["filtered list"])
    heights = tab.locator(".pa-button:visible, .pa-chip:visible").evaluate_all(
        "(all) => all.map((one) => one.getBoundingClientRect().height)"
    )
    assert heights
    assert min(heights) >= 24


@pytest.mark.parametrize("javascript", [False, True])
def test_retry_lands_on_the_new_run_with_or_without_javascript(window: OpenWindow, javascript: bool) -> None:
    run_id, _ = add_template_run("failed", ("failed",), **TWO_STEPS, step_values={0: AUTH_ERROR})
    seen = window("ada", javascript=javascript)
    tab = seen.open(f"/templates/runs/{run_id}")
    tab.get_by_role("button", name="Retry", exact=True).click()
    tab.wait_for_url(lambda url: run_id not in url)
    again = queries.template_run(tab.url.rpartition("/")[2])
    assert again.retry_of == run_id
    assert tab.get_by_role("link", name=run_id[:13]).is_visible()
    assert seen.complaints == []


@pytest.mark.parametrize("javascript", [False, True])
def test_resume_lands_on_a_run_that_goes_on_with_or_without_javascript(window: OpenWindow, javascript: bool) -> None:
    run_id, _ = add_template_run("failed", ("success", "failed"), **TWO_STEPS, step_values={1: AUTH_ERROR})
    seen = window("ada", javascript=javascript)
    tab = seen.open(f"/templates/runs/{run_id}")
    tab.get_by_role("button", name="Resume from “Shout”", exact=True).click()
    tab.get_by_text("Resumed from").wait_for()
    again = queries.template_run(tab.url.rpartition("/")[2])
    assert (again.retry_of, again.resumed_step) == (run_id, "shout")
    tab.get_by_text("taken over from").get_by_role("link", name=run_id[:13]).click()
    tab.wait_for_url(f"**/templates/runs/{run_id}#step-1")
    assert seen.complaints == []


@pytest.mark.parametrize(("button", "resumed_step"), [("Resume from “Shout”", "shout"), ("Retry", None)])
def test_one_form_for_secrets_serves_both_buttons_without_javascript(
    window: OpenWindow, template_folder: Path, button: str, resumed_step: str | None
) -> None:
    (template_folder / "two-steps.yaml").write_text(WITH_TOKEN)
    run_id, _ = add_template_run(
        "failed",
        ("success", "failed"),
        **{**TWO_STEPS, "inputs": {"name": "orders", "token": "•••"}},
        step_values={1: AUTH_ERROR},
    )
    tab = window("ada", javascript=False).open(f"/templates/runs/{run_id}")
    tab.get_by_label("token").fill("hunter2")
    tab.get_by_role("button", name=button, exact=True).click()
    tab.wait_for_url(lambda url: run_id not in url)
    again = queries.template_run(tab.url.rpartition("/")[2])
    assert (again.retry_of, again.resumed_step) == (run_id, resumed_step)


def test_a_double_click_on_retry_is_one_run(window: OpenWindow) -> None:
    run_id, _ = add_template_run("failed", ("failed",), **TWO_STEPS, step_values={0: AUTH_ERROR})
    tab = window("ada").open(f"/templates/runs/{run_id}")
    tab.get_by_role("button", name="Retry", exact=True).dblclick()
    tab.wait_for_url(lambda url: run_id not in url)
    assert len(queries.template_runs(RunFilter(), limit=10).items) == 2


def test_cancel_works_without_javascript(window: OpenWindow) -> None:
    run_id, _ = add_template_run("running", ("success", "running"), **TWO_STEPS)
    tab = window("ada", javascript=False).open(f"/templates/runs/{run_id}")
    tab.get_by_role("button", name="Cancel", exact=True).click()
    tab.get_by_text("Canceled. What was done by then is still there:").wait_for()
    assert queries.template_run(run_id).status == "canceled"


@pytest.mark.fault("E29")
@pytest.mark.parametrize("width", [390, 1280])
def test_filters_close_on_escape_and_on_a_press_elsewhere_without_javascript(window: OpenWindow, width: int) -> None:
    tab = window("margaret", javascript=False, width=width)
    for path in ("/actions", "/actions/audit"):
        page = tab.open(path)
        button, field = page.get_by_role("button", name="Filters"), page.get_by_label("Since")
        button.click()
        box, bottom = page.locator(".pa-panel").bounding_box(), button.bounding_box()["y"]
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert width < 700 or box["y"] > bottom
        page.keyboard.press("Escape")
        field.wait_for(state="hidden")
        assert button.evaluate("(one) => one === document.activeElement")
        button.click()
        field.wait_for()
        page.mouse.click(5, 5)
        field.wait_for(state="hidden")


def test_filters_and_back_work_without_javascript(window: OpenWindow) -> None:
    add_action_run("failed", entity="orders", **AUTH_ERROR)
    add_action_run("failed", **AUTH_ERROR)
    add_action_run()
    tab = window("ada", javascript=False).open("/actions")

    def count() -> Any:
        return tab.locator("tbody tr").count()

    tab.get_by_role("link", name="failed", exact=True).click()
    tab.wait_for_url("**/actions?status=failed")
    assert count() == 2
    tab.get_by_role("button", name="Filters").click()
    tab.get_by_label("Entity").fill("orders")
    tab.get_by_role("button", name="Apply").click()
    tab.wait_for_url("**entity=orders**")
    assert count() == 1
    tab.go_back()
    assert count() == 2
    tab.go_forward()
    tab.get_by_role("link", name="Clear all").click()
    tab.wait_for_url("**/actions")
    assert count() == 3


@pytest.mark.fault("E29")
@pytest.mark.parametrize("width", [390, 1280])
def test_bars_of_steps_stand_below_each_other(window: OpenWindow, width: int) -> None:
    for _ in range(3):
        add_template_run("success", ("success",) * 3, **TWO_STEPS, step_values=_that_took(5_000, (1, 1, 1)))
    run_id, _ = add_template_run(
        "failed", ("success", "success", "failed"), **TWO_STEPS, step_values=_that_took(900, (0.2, 71.5, 5))
    )
    page = window("ada", width=width).open(f"/templates/runs/{run_id}")
    bars = page.locator(".pa-steps svg[role=img]")
    assert len({round(bars.nth(place).bounding_box()["x"]) for place in range(3)}) == 1
    took = page.locator(".pa-took > span")
    assert len({round(took.nth(place).bounding_box()["x"]) for place in range(3)}) == 1


def _that_took(ago_seconds: float, seconds: tuple[float, ...]) -> dict[int, dict[str, Any]]:
    times = ({"started_at": ago(ago_seconds), "finished_at": ago(ago_seconds - one)} for one in seconds)
    return dict(enumerate(times))


@pytest.mark.fault("E29")
def test_a_printed_page_has_its_words_dark_on_white_and_no_buttons(window: OpenWindow, paths: dict[str, str]) -> None:
    seen = window("ada", dark=True)
    seen.tab.emulate_media(media="print", color_scheme="dark")
    for name, path in paths.items():
        page = seen.open(path)
        assert page.locator(".portal-actions h1").is_visible()
        assert page.locator("button:visible, input:visible, .pa-chips:visible").count() == 0, name
        assert page.evaluate("getComputedStyle(document.querySelector('.portal-actions')).backgroundColor") == (
            "rgb(255, 255, 255)"
        )
        assert page.evaluate(CONTRASTS) == [], name
        cut = "(all) => all.filter((one) => one.clientHeight && one.scrollHeight > one.clientHeight + 1).length"
        assert page.locator(".pa-lines, .pa-values dd").evaluate_all(cut) == 0, name


@pytest.mark.fault("E29")
def test_a_portal_that_is_light_only_has_light_pages_in_a_dark_browser(window: OpenWindow, site: Site) -> None:
    ground = "getComputedStyle(document.querySelector('.portal-actions')).backgroundColor"
    page = window("ada", dark=True).open("/actions")
    assert page.evaluate(ground) == "rgb(18, 18, 24)"
    parts = site.app.extensions["portal_actions"]
    site.app.extensions["portal_actions"] = replace(parts, config=replace(parts.config, color_scheme="light"))
    page.reload()
    assert page.evaluate(ground) == "rgb(247, 247, 249)"
    assert page.evaluate(CONTRASTS) == []


def test_a_host_changes_the_looks_by_setting_properties(window: OpenWindow, site: Site) -> None:
    add_action_run()
    tab = window("ada", dark=True).open("/actions")
    tab.evaluate("""() => { const sheet = new CSSStyleSheet();
      sheet.replaceSync('.portal-actions { --pa-accent: rgb(1, 2, 3) }');
      document.adoptedStyleSheets = [sheet, ...document.adoptedStyleSheets] }""")
    chip = tab.locator(".pa-chip[aria-current]")
    assert chip.evaluate("(one) => getComputedStyle(one).backgroundColor") == "rgb(1, 2, 3)"


def test_a_limited_page_counts_down_and_lets_the_button_go_when_a_start_is_free(
    window: OpenWindow, paths: dict[str, str]
) -> None:
    run_id, _ = add_template_run("failed", ("failed",), **TWO_STEPS, queued_at=ago(300))
    for _ in range(10):
        add_action_run(queued_at=ago(55))
    opened = window("ada")
    page = opened.open(f"/templates/runs/{run_id}")
    retry = page.get_by_role("button", name="Retry")
    assert retry.is_disabled()
    seconds = page.locator("[data-pa-left]").inner_text()
    page.wait_for_function("before => document.querySelector('[data-pa-left]').textContent !== before", arg=seconds)
    page.get_by_text("One is free now.").wait_for()
    retry.click()
    page.wait_for_url(lambda url: run_id not in url)
    assert page.get_by_text("Retry of").is_visible()
    assert opened.complaints == []


def test_a_429_counts_down_on_its_page(window: OpenWindow) -> None:
    run_id, _ = add_template_run("failed", ("failed",), **TWO_STEPS, queued_at=ago(300))
    opened = window("ada")
    page = opened.open(f"/templates/runs/{run_id}")
    for _ in range(10):
        add_action_run(queued_at=ago(56))
    page.get_by_role("button", name="Retry").click()
    page.get_by_role("heading", name="Too many starts").wait_for()
    page.get_by_text("You can start again now.").wait_for()
    assert page.get_by_role("link", name="Back to the run").is_visible()


def test_without_the_script_a_limited_page_says_how_long_to_wait(window: OpenWindow) -> None:
    run_id, _ = add_template_run("failed", ("failed",), **TWO_STEPS, queued_at=ago(300))
    for _ in range(10):
        add_action_run(queued_at=ago(5))
    page = window("ada", javascript=False).open(f"/templates/runs/{run_id}")
    assert page.get_by_role("button", name="Retry").is_disabled()
    assert "The next one is free in 5" in page.locator("#run-quota").inner_text()
