"""Every page and every button, as a browser without JavaScript has them.

Retry, Resume, the form for secrets, Cancel and the filters have theirs in ``test_pages_in_a_browser.py``.
"""

from __future__ import annotations

from typing import Any

import pytest

from portal_actions_plugin.runs.reading import queries
from tests.browser.windows import OpenWindow
from tests.support import portal_day
from tests.support.page_rows import AUTH_ERROR, BOB, TWO_STEPS, add_action_run, add_log, add_template_run


@pytest.fixture
def tab(window: OpenWindow) -> Any:
    """Ada's window on the list, without JavaScript."""
    return window("ada", javascript=False).open("/actions")


def rows(tab: Any) -> int:
    return int(tab.locator("tbody tr").count())


def test_every_page_shows_all_that_it_has(tab: Any, paths: dict[str, str], window: OpenWindow) -> None:
    with_script, without = window("ada"), window("ada", javascript=False)
    for name, path in paths.items():
        wanted = set(with_script.open(path).get_by_role("heading").all_inner_texts())
        assert set(without.open(path).get_by_role("heading").all_inner_texts()) == wanted, name
    assert without.complaints == []


def test_pages_of_the_list_are_turned_and_keep_the_filter(tab: Any) -> None:
    for _ in range(60):
        add_action_run()
    add_action_run("failed", **AUTH_ERROR)
    tab.get_by_role("link", name="success", exact=True).click()
    tab.get_by_role("link", name="Older").click()
    tab.wait_for_url("**cursor=**")
    assert (rows(tab), tab.get_by_role("link", name="success", exact=True).get_attribute("aria-current")) == (
        10,
        "true",
    )
    tab.get_by_role("link", name="Newer").click()
    tab.get_by_role("link", name="Older").wait_for()
    assert rows(tab) == 50


def test_the_list_is_refreshed_with_its_filter(tab: Any) -> None:
    tab.goto(tab.url + "?status=failed")
    add_action_run("failed", **AUTH_ERROR)
    add_action_run()
    tab.get_by_role("link", name="Refresh").click()
    tab.locator("tbody tr").first.wait_for()
    assert rows(tab) == 1


def test_a_search_is_a_form_that_keeps_the_filter(tab: Any) -> None:
    if not tab.locator("input[type=search][name=q]").count():
        pytest.skip("the list has no search box")
    add_action_run("failed", entity="orders", **AUTH_ERROR)
    add_action_run("failed", **AUTH_ERROR)
    add_action_run(entity="orders")
    tab.get_by_role("link", name="failed", exact=True).click()
    tab.locator("input[type=search][name=q]").fill("orders")
    tab.locator("input[type=search][name=q]").press("Enter")
    tab.wait_for_url("**q=orders**")
    assert "status=failed" in tab.url
    assert rows(tab) == 1


def test_mine_is_switched_on_and_off(tab: Any) -> None:
    add_action_run()
    add_action_run(**BOB)
    tab.get_by_role("link", name="Mine").click()
    tab.wait_for_url("**requested_by=**")
    assert rows(tab) == 1
    tab.get_by_role("link", name="Mine").click()
    tab.wait_for_url("**/actions")
    assert rows(tab) == 2


def test_times_are_switched_on_the_list_and_stay_so_on_a_run(tab: Any) -> None:
    add_template_run("success", ("success",), **TWO_STEPS)
    tab.reload()
    tab.get_by_role("link", name="Show absolute times").click()
    tab.get_by_role("link", name="View run").click()
    tab.get_by_role("link", name="Show relative times").click()
    tab.get_by_text("ago").first.wait_for()
    assert "times=" not in tab.url


def test_a_log_is_unfolded_and_downloaded(tab: Any) -> None:
    run_id = add_action_run()
    add_log(run_id, "the only line")
    tab.reload()
    tab.get_by_role("link", name="View action").click()
    tab.locator("summary", has_text="1 log line").click()
    assert tab.get_by_text("the only line").is_visible()
    with tab.expect_download() as download:
        tab.get_by_role("link", name="Download the log").click()
    assert "the only line" in download.value.path().read_text()


def test_a_one_off_is_run_again_and_canceled(tab: Any) -> None:
    run_id = add_action_run("failed", input={"message": "hello"}, **AUTH_ERROR)
    tab.goto(tab.url + f"/runs/{run_id}")
    tab.get_by_role("button", name="Run again").click()
    tab.get_by_role("button", name="Cancel").click()
    tab.get_by_text("Canceled before it began: nothing was done.").wait_for()
    again = queries.action_run(tab.url.rpartition("/")[2])
    assert (again.retry_of, again.status) == (run_id, "canceled")


def test_the_audit_is_found_from_the_list_and_filtered(window: OpenWindow) -> None:
    day = portal_day.live_through()
    tab = window("margaret", javascript=False).open(day.running)
    tab.get_by_role("button", name="Cancel", exact=True).click()
    tab.get_by_text("Canceled. What was done by then is still there:").wait_for()
    tab.get_by_role("link", name="Actions").first.click()
    tab.get_by_role("link", name="Audit").click()
    assert tab.locator("tbody").get_by_text("Margaret Hamilton").or_(tab.get_by_text("cancel")).first.is_visible()
    tab.get_by_role("link", name="denied", exact=True).click()
    tab.wait_for_url("**outcome=denied**")
    assert rows(tab) == 0
