"""Many runs at once as people do it: tick, look, confirm, and see what became of each."""

from __future__ import annotations

import re
from typing import Any

import pytest

from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.filters import RunFilter
from tests.browser.windows import CONTRASTS, OpenWindow
from tests.support.page_html import query
from tests.support.page_rows import AUTH_ERROR, BOB, ORIGIN, TWO_STEPS, add_action_run, add_template_run, ago


def failed(**values: Any) -> str:
    run_id, _ = add_template_run("failed", ("failed",), **{**TWO_STEPS, **values}, step_values={0: AUTH_ERROR})
    return run_id


def tick(tab: Any, *names: str) -> None:
    for name in names:
        tab.get_by_role("checkbox", name=re.compile(f"^{name}, ")).check()


@pytest.mark.parametrize("javascript", [False, True])
def test_two_failed_runs_are_ticked_looked_at_and_started_again(window: OpenWindow, javascript: bool) -> None:
    whole = failed()
    one_off = add_action_run("failed", input={"message": "hello"}, **AUTH_ERROR)
    add_action_run("failed", action="other@v1", **BOB, **AUTH_ERROR)
    seen = window("ada", javascript=javascript)
    tab = seen.open("/actions?status=failed&requested_by=user:ada@example.com&times=absolute")
    kept = query(tab.url)
    retry = tab.get_by_role("button", name="Retry selected…")
    assert not retry.is_visible()
    tick(tab, "Select greet, failed", "Select debug.log@v1, failed")
    retry.click()
    tab.get_by_role("heading", name="Retry these runs?").wait_for()
    assert tab.locator(".pa-c-plan").all_inner_texts() == ["A new run of debug.log@v1.", "A new run of Two steps."]
    assert len(queries.template_runs(RunFilter(), limit=5).items) == 1, "a look changes nothing"
    tab.get_by_role("button", name="Retry 2 runs").click()
    tab.get_by_role("heading", name="Retried 2 of 2 runs").wait_for()
    assert [text.split()[0] for text in tab.locator(".pa-c-plan").all_inner_texts()] == ["Started", "Started"]
    assert queries.template_run(whole).retried_as
    assert queries.action_run(one_off).retried_as
    tab.get_by_role("link", name="Back to the list").click()
    tab.get_by_role("heading", name="Action Runs").wait_for()
    assert query(tab.url) == kept
    assert tab.locator("tbody tr").count() == 2
    assert seen.complaints == []


@pytest.mark.parametrize("javascript", [False, True])
def test_a_bar_comes_with_the_first_tick_and_leaves_with_the_last(window: OpenWindow, javascript: bool) -> None:
    add_action_run("running")
    tab = window("ada", javascript=javascript).open("/actions")
    box, cancel = tab.locator("tbody input"), tab.get_by_role("button", name="Cancel selected…")
    box.check()
    assert cancel.is_visible()
    box.uncheck()
    assert not cancel.is_visible()


def test_the_bar_stays_in_sight_however_long_the_list_is(window: OpenWindow) -> None:
    for _ in range(50):
        add_action_run("failed", **AUTH_ERROR)
    tab = window("ada", width=390).open("/actions")
    first = tab.locator("tbody input").first
    before = first.bounding_box()
    first.check()
    assert first.bounding_box() == before, "what is ticked does not move away"
    assert tab.get_by_role("button", name="Retry selected…").bounding_box()["y"] < 844


@pytest.mark.parametrize("width", [390, 1280])
def test_the_bar_covers_nothing_that_has_the_focus(window: OpenWindow, width: int) -> None:
    for _ in range(50):
        add_action_run("failed", **AUTH_ERROR)
    tab = window("ada", width=width).open("/actions")
    boxes = tab.locator("tbody input")
    boxes.first.check()
    bar = tab.locator(".pa-bulk").bounding_box()
    for _ in range(40):
        tab.keyboard.press("Tab")
        place = tab.evaluate("document.activeElement.getBoundingClientRect().bottom")
        assert place <= bar["y"]


def test_it_is_all_done_by_keyboard(window: OpenWindow) -> None:
    run_id = add_action_run("running")
    tab = window("ada").open("/actions")
    tab.get_by_role("checkbox").focus()
    tab.keyboard.press("Space")
    tab.get_by_role("button", name="Cancel selected…").focus()
    tab.keyboard.press("Enter")
    tab.get_by_role("button", name="Cancel 1 run").focus()
    tab.keyboard.press("Enter")
    tab.get_by_role("heading", name="Canceled 1 of 1 run").wait_for()
    assert queries.action_run(run_id).status == "canceled"


def test_a_double_click_is_one_run_each(window: OpenWindow) -> None:
    failed()
    failed()
    tab = window("ada").open("/actions")
    for box in tab.locator("tbody input").all():
        box.check()
    tab.get_by_role("button", name="Retry selected…").click()
    tab.get_by_role("button", name="Retry 2 runs").dblclick()
    tab.get_by_role("heading", name="Retried 2 of 2 runs").wait_for()
    assert len(queries.template_runs(RunFilter(), limit=10).items) == 4


@pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (1280, False), (1280, True)])
def test_both_pages_are_plain_to_see_and_nothing_sticks_out(window: OpenWindow, width: int, dark: bool) -> None:
    failed(title="A title of many words " * 5 + "y" * 90)
    failed(template="gone", title="إنشاء المستودع الجديد")
    failed(title="<script>alert(1)</script>")
    add_action_run("failed", origin=ORIGIN, action="a.very.long.action.name.that.goes.on.and.on@v1", **AUTH_ERROR)
    add_template_run("running", ("success", "running"), **TWO_STEPS, **BOB)
    add_template_run("running", ("running",), **TWO_STEPS, step_values={0: {"lease_expires_at": ago(9)}})
    for _ in range(8):
        add_action_run(queued_at=ago(20))
    seen = window("ada", width=width, dark=dark)
    for deed, confirm in (("Cancel", "Cancel 1 run"), ("Retry", "Retry 2 runs")):
        tab = seen.open("/actions?status=failed&status=running")
        for box in tab.locator("tbody input").all():
            box.check()
        pages = [tab.evaluate(CONTRASTS)]
        tab.get_by_role("button", name=f"{deed} selected…").click()
        tab.get_by_role("heading", name=f"{deed} these runs?").wait_for()
        pages.append(tab.evaluate(CONTRASTS))
        assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth")
        tab.get_by_role("button", name=confirm).click()
        tab.get_by_role("heading", name=re.compile(r"of \d+ runs?$")).wait_for()
        pages.append(tab.evaluate(CONTRASTS))
        assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert pages == [[], [], []]
    assert seen.complaints == []
