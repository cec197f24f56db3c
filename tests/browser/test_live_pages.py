"""Pages that stay true while they are open: what changes elsewhere appears, and what somebody does is left alone."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from flask import Flask, request
from sqlalchemy import update

from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import transaction
from tests.browser.sites import Site
from tests.browser.windows import OpenWindow
from tests.support.page_rows import AUTH_ERROR, BOB, TWO_STEPS, add_action_run, add_log, add_template_run, ago
from tests.support.waiting import PATIENCE_SECONDS

NEWS = "[data-pa-news]"


def change_step(run_id: str, **values: Any) -> None:
    with transaction("test") as tx:
        tx.execute(update(tables.action_runs).where(tables.action_runs.c.id == run_id).values(version=2, **values))


def change_run(run_id: str, **values: Any) -> None:
    with transaction("test") as tx:
        tx.execute(update(tables.template_runs).where(tables.template_runs.c.id == run_id).values(version=2, **values))


def more_log(run_id: str, first: int, last: int) -> None:
    with transaction("test") as tx:
        for seq in range(first, last + 1):
            line = {"action_run_id": run_id, "seq": seq, "attempt": 1, "at": ago(0), "level": "info"}
            tx.execute(tables.log_lines.insert().values(**line, message=f"line {seq}"))


class Asked:
    """How often a page was asked for again, and an answer to give instead of the true one."""

    def __init__(self, app: Flask) -> None:
        self.polls = 0
        self.answer: tuple[str, int] | tuple[str, int, dict[str, str]] | None = None
        self.asked = threading.Event()
        app.before_request(self._count)

    def _count(self) -> Any:
        if "If-None-Match" not in request.headers or request.path.startswith("/api"):
            return None
        self.polls += 1
        self.asked.set()
        return self.answer


@pytest.fixture
def asked(site: Site) -> Asked:
    return Asked(site.app)


# -- what appears ----------------------------------------------------------------------------------------------------


def test_a_run_that_is_started_elsewhere_appears_on_an_open_list_and_ends_there(window: OpenWindow) -> None:
    tab = window("ada").open("/actions")
    tab.get_by_text("No action runs yet.").wait_for()
    run_id = add_action_run("running", **BOB)
    row = tab.get_by_role("row").filter(has_text="Bob Kahn")
    row.get_by_text("running").wait_for()
    assert tab.get_by_role("link", name=re.compile(r"^running\s*1$")).is_visible()
    change_step(run_id, status="success", finished_at=ago(0))
    row.get_by_text("success").wait_for()
    assert tab.get_by_role("link", name=re.compile(r"^running\s*0$")).is_visible()


def test_a_step_that_ends_is_seen_on_the_open_run_page_and_its_end_is_told(window: OpenWindow) -> None:
    run_id, ids = add_template_run("running", ("running",), **TWO_STEPS)
    seen = window("ada")
    tab = seen.open(f"/templates/runs/{run_id}")
    tab.get_by_text("0 of 3 steps done").wait_for()
    assert tab.locator(NEWS).inner_text() == "This page updates itself."
    change_step(ids[0], status="failed", finished_at=ago(0), **AUTH_ERROR)
    change_run(run_id, status="failed", finished_at=ago(0))
    tab.get_by_text("GitHub refused the token").wait_for()
    tab.get_by_role("button", name="Retry", exact=True).wait_for()
    assert tab.title().startswith("Two steps: failed")
    assert tab.locator(NEWS).inner_text() == tab.title()
    assert tab.locator(NEWS).get_attribute("role") == "status"
    assert seen.complaints == []


def test_a_step_whose_worker_is_gone_stops_running_on_the_open_page(window: OpenWindow) -> None:
    run_id, ids = add_template_run("running", ("running",), **TWO_STEPS)
    tab = window("ada").open(f"/templates/runs/{run_id}")
    tab.locator(".pa-spin").first.wait_for()
    change_step(ids[0], lease_expires_at=ago(1))
    tab.get_by_text("The worker of this step has stopped answering.").wait_for()
    assert tab.locator(".pa-spin").count() == 0


UNCHANGED_AND_TIMELESS = ("", 304, {"Date": "never"})
"""The true time would correct a clock that a test moves."""


def test_times_go_on_though_nothing_is_asked(window: OpenWindow, asked: Asked) -> None:
    add_action_run(started_at=ago(51), queued_at=ago(52), finished_at=ago(50))
    seen = window("ada")
    seen.tab.clock.install()
    tab = seen.open("/actions?status=success&cursor=")
    told = tab.locator("td time")
    assert re.fullmatch(r"5\ds ago", told.inner_text())
    asked.answer = UNCHANGED_AND_TIMELESS
    tab.clock.run_for(10_000)
    assert told.inner_text() == "1m ago"


def test_a_running_steps_bar_grows_though_nothing_is_asked(window: OpenWindow, asked: Asked) -> None:
    for _ in range(3):
        add_action_run(queued_at=ago(500), started_at=ago(490), finished_at=ago(470))
    run_id = add_action_run("running", queued_at=ago(6), started_at=ago(5))
    asked.answer = UNCHANGED_AND_TIMELESS
    seen = window("ada")
    seen.tab.clock.install()
    tab = seen.open(f"/actions/runs/{run_id}")
    width = "() => Number(document.querySelector('[data-pa-fill]').getAttribute('width'))"
    before = tab.evaluate(width)
    tab.clock.run_for(10_000)
    assert re.fullmatch(r"1\ds", tab.locator(".pa-took [data-pa-elapsed]").inner_text())
    assert tab.evaluate(width) > before + 10, "10 of 20 s are 27 of 54"


# -- copying ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clipboard", [True, False])
def test_copy_buttons_copy_the_value_beside_them(window: OpenWindow, clipboard: bool) -> None:
    long = "x" * 500
    run_id = add_action_run(outputs={"repoUrl": "https://forge.example/acme/orders", "long": long})
    seen = window("ada")
    seen.tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    if not clipboard:  # as on a portal without https
        seen.tab.add_init_script("delete Clipboard.prototype.writeText")
    tab = seen.open(f"/actions/runs/{run_id}")
    for name, value in (("repoUrl", "https://forge.example/acme/orders"), ("long", long), ("run id", run_id)):
        button = tab.get_by_role("button", name=re.compile(f"^Copy {name}( of .*)?$"))
        button.click()
        tab.locator(".pa-copied").wait_for()
        assert tab.evaluate("() => navigator.clipboard.readText()").strip() == value
        assert button.evaluate("(node) => node === document.activeElement")
        tab.locator(".pa-copied").wait_for(state="detached")
    assert tab.locator(NEWS).inner_text() == "Copied."


def test_there_is_no_copy_button_without_the_script(window: OpenWindow) -> None:
    run_id = add_action_run(outputs={"repoUrl": "https://forge.example/acme/orders"})
    tab = window("ada", javascript=False).open(f"/actions/runs/{run_id}")
    assert not any(button.is_visible() for button in tab.locator(".pa-needs-js").all())


def test_a_click_selects_a_whole_id_to_copy(window: OpenWindow) -> None:
    add_template_run("success", ("success",))
    tab = window("ada").open("/actions")
    tab.get_by_text("create-repo").click()
    assert tab.evaluate("() => getSelection().toString()").strip() == "create-repo"


# -- how often it asks -----------------------------------------------------------------------------------------------

FASTER = """(() => {
  const now = Date.now.bind(Date), start = now(), wait = window.setTimeout;
  window.waits = [];
  Date.now = () => start + (now() - start) * 60;
  window.setTimeout = (done, ms) => { waits.push(ms); return wait(done, ms / 60); };
})()"""
"""The page's own clock, sixty times as fast; ``waits`` has the pauses it made, in its milliseconds."""

HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
  document.dispatchEvent(new Event("visibilitychange", {bubbles: true}));
}"""

ASK_NOW = """async () => {
  const turn = () => new Promise((done) => setTimeout(done, 0));
  dispatchEvent(new Event("online"));
  await turn();
  await turn();
  for (const _ of [1, 2]) await fetch("/api/v1/health");
}"""
"""Tell the page that it is online, which lets it ask at once if it asks at all; come back when it must have."""


def asks_no_more(tab: Any, asked: Asked) -> bool:
    before = asked.polls
    tab.evaluate(ASK_NOW)
    return asked.polls == before


@pytest.mark.parametrize(("status", "quick", "slow"), [("running", 1_000, 1_500), ("success", 1_500, 10_000)])
def test_it_asks_quickly_at_first_then_slower_until_somebody_is_there(
    window: OpenWindow, asked: Asked, status: str, quick: int, slow: int
) -> None:
    add_action_run(status)
    asked.answer = ("", 304)
    seen = window("ada")
    seen.tab.add_init_script(FASTER)
    tab = seen.open("/actions")
    tab.wait_for_function(f"() => waits.at(-1) === {slow}")
    waits = tab.evaluate("waits")
    assert waits[0] == quick
    assert max(waits) == slow
    tab.mouse.move(200, 200)
    tab.wait_for_function(f"() => waits.at(-1) < {slow}")


def test_it_does_not_ask_in_a_hidden_tab_and_asks_at_once_when_it_is_seen_again(
    window: OpenWindow, asked: Asked
) -> None:
    tab = window("ada").open("/actions")
    asked.asked.wait(PATIENCE_SECONDS)
    tab.evaluate(HIDE, True)
    asked.answer = ("", 304)
    assert asks_no_more(tab, asked) or asks_no_more(tab, asked), "one may have been under way"
    asked.answer = None
    run_id = add_action_run("running")
    tab.evaluate(HIDE, False)
    tab.locator(f"a[href$='{run_id}']").wait_for()


@pytest.mark.parametrize("path", ["run", "older page"])
def test_it_stops_when_nothing_can_change(window: OpenWindow, asked: Asked, path: str) -> None:
    run_id, _ = add_template_run("success", ("success", "success", "success"), **TWO_STEPS)
    for _ in range(60):
        add_action_run()
    tab = window("ada").open(f"/templates/runs/{run_id}" if path == "run" else "/actions")
    if path == "older page":
        tab.get_by_role("link", name="Older →").click()
        tab.get_by_role("link", name="← Newer").wait_for()
    assert tab.locator(".portal-actions").get_attribute("data-pa-live") is None
    assert tab.locator(NEWS).inner_text() == ""
    assert asks_no_more(tab, asked)


def test_a_run_that_ends_is_not_asked_for_any_more(window: OpenWindow, asked: Asked) -> None:
    run_id, ids = add_template_run("running", ("running",), **TWO_STEPS)
    tab = window("ada").open(f"/templates/runs/{run_id}")
    change_step(ids[0], status="success", finished_at=ago(0))
    change_run(run_id, status="success", finished_at=ago(0))
    tab.get_by_role("heading", name="Two steps success").wait_for()
    assert asks_no_more(tab, asked)


# -- trouble ---------------------------------------------------------------------------------------------------------


CLOSED = '<div class="portal-actions"><p>There is no such run.</p></div>'


def test_a_lost_connection_is_told_and_nothing_spins_until_it_is_back(window: OpenWindow, asked: Asked) -> None:
    run_id, _ = add_template_run("running", ("running",), **TWO_STEPS)
    tab = window("ada").open(f"/templates/runs/{run_id}")
    spins = "getComputedStyle(document.querySelector('.pa-spin')).animationName"
    assert tab.evaluate(spins) == "pa-spin"
    tab.context.set_offline(True)
    lost = tab.get_by_text("Connection lost, retrying…")
    lost.wait_for()
    assert tab.evaluate(spins) == "none"
    change_run(run_id, title="Back again")
    tab.context.set_offline(False)
    tab.get_by_role("heading", name="Back again").wait_for()
    lost.wait_for(state="detached")
    assert tab.evaluate(spins) == "pa-spin"


@pytest.mark.parametrize("answer", [("<h1>Bad gateway</h1>", 502), ("default backend", 404), (CLOSED, 503)])
def test_a_portal_that_fails_is_trouble_and_is_asked_again(window: OpenWindow, asked: Asked, answer: Any) -> None:
    tab = window("ada").open("/actions")
    asked.answer = answer
    tab.get_by_text("Connection lost, retrying…").wait_for()
    run_id = add_action_run("running")
    asked.answer = None
    tab.locator(f"a[href$='{run_id}']").wait_for()
    assert tab.locator(NEWS).inner_text() == "Connected again."


@pytest.mark.parametrize(
    "answer", [("", 302, {"Location": "/sign-in"}), ("", 401), (CLOSED, 404), ("<p>Welcome</p>", 200)]
)
def test_somebody_who_is_signed_out_meanwhile_is_told_and_keeps_what_was_there(
    window: OpenWindow, asked: Asked, answer: Any
) -> None:
    add_action_run("running")
    tab = window("ada").open("/actions")
    asked.answer = answer
    tab.get_by_text("This page is closed to you by now.").wait_for()
    assert tab.get_by_role("link", name="View action →").is_visible()
    assert asks_no_more(tab, asked)


# -- what is left alone ----------------------------------------------------------------------------------------------


def test_focus_selection_scroll_and_what_is_typed_stay_when_the_list_changes(window: OpenWindow) -> None:
    ids = [add_action_run("running", step_id=None, action=f"number.{n}@v1") for n in range(40)]
    tab = window("ada").open("/actions")
    tab.get_by_text("Filters", exact=True).click()
    tab.get_by_role("textbox", name="Entity").fill("component:default/or")
    link = tab.locator(f"a[href$='{ids[5]}']")
    link.focus()
    tab.evaluate(
        "(node) => { getSelection().selectAllChildren(node); node.scrollIntoView({block: 'center'}) }",
        tab.get_by_text("number.7@v1").element_handle(),
    )
    top = link.evaluate("(node) => node.getBoundingClientRect().top")
    assert tab.evaluate("scrollY") > 300
    newest = add_action_run("queued")
    change_step(ids[30], status="success", finished_at=ago(0))
    tab.locator(f"a[href$='{newest}']").wait_for()
    tab.get_by_role("row").filter(has_text="number.30@v1").get_by_text("success").wait_for(state="attached")
    assert tab.evaluate("document.activeElement.href").endswith(ids[5])
    assert tab.evaluate("getSelection().toString()").strip() == "number.7@v1"
    assert tab.get_by_role("textbox", name="Entity").input_value() == "component:default/or"
    tab.wait_for_function(
        "([node, top]) => Math.abs(node.getBoundingClientRect().top - top) < 2", arg=[link.element_handle(), top]
    )


def test_what_is_ticked_stays_ticked_when_the_list_changes(window: OpenWindow) -> None:
    failed = [add_action_run("failed") for _ in range(3)]
    tab = window("ada").open("/actions")
    tab.locator(f"input[value='{failed[1]}']").check()
    newest = add_action_run("running")
    tab.locator(f"a[href$='{newest}']").wait_for()
    assert [box.is_checked() for box in tab.locator("td input").all()] == [False, False, True, False]
    tab.get_by_label("Select all").check()
    assert all(box.is_checked() for box in tab.locator("td input").all())


def test_no_button_becomes_another_under_a_finger(window: OpenWindow) -> None:
    run_id, ids = add_template_run("running", ("running",), **TWO_STEPS)
    tab = window("ada").open(f"/templates/runs/{run_id}")
    tab.get_by_role("button", name="Cancel").focus()
    tab.keyboard.down(" ")
    change_step(ids[0], status="failed", finished_at=ago(0), **AUTH_ERROR)
    change_run(run_id, status="failed", finished_at=ago(0))
    tab.get_by_role("button", name="Retry", exact=True).wait_for()
    tab.keyboard.up(" ")
    assert tab.evaluate("() => document.activeElement.tagName") == "H1"
    assert queries.template_run(run_id).retried_as is None
    assert tab.url.endswith(run_id)


def test_what_is_read_stays_in_a_layout_that_scrolls_within_itself(window: OpenWindow) -> None:
    ids = [add_action_run("running") for n in range(40)]
    tab = window("ada").open("/actions")
    tab.evaluate(
        """() => {
            document.body.style.cssText = "height: 100vh; overflow: hidden; display: flex; flex-direction: column";
            document.querySelector("main").style.cssText = "flex: 1; overflow: auto";
        }"""
    )
    link = tab.locator(f"a[href$='{ids[5]}']")
    link.evaluate("(node) => node.scrollIntoView({block: 'center'})")
    top = link.evaluate("(node) => node.getBoundingClientRect().top")
    newest = add_action_run("queued")
    tab.locator(f"a[href$='{newest}']").wait_for(state="attached")
    assert abs(link.evaluate("(node) => node.getBoundingClientRect().top") - top) < 2


def test_folds_stay_as_somebody_left_them(window: OpenWindow) -> None:
    run_id, ids = add_template_run("running", ("success", "running"), **TWO_STEPS)
    for step in ids:
        add_log(step, "line one", "line two")
    tab = window("ada").open(f"/templates/runs/{run_id}")
    done, running = tab.locator("details").filter(has_text="log lines").all()
    done.locator("summary").click()
    running.locator("summary").click()
    more_log(ids[1], 3, 3)
    tab.get_by_text("3 log lines").wait_for()
    assert done.evaluate("(node) => node.open")
    assert not running.evaluate("(node) => node.open")


def test_a_log_that_is_read_does_not_close_when_its_step_ends(window: OpenWindow) -> None:
    run_id, ids = add_template_run("running", ("running",), **TWO_STEPS)
    add_log(ids[0], "line one")
    tab = window("ada").open(f"/templates/runs/{run_id}")
    change_step(ids[0], status="success", finished_at=ago(0), outputs={"answer": "forty-two"})
    tab.get_by_text("forty-two").wait_for()
    assert tab.get_by_text("line one").is_visible()


def test_a_log_follows_at_its_end_and_stays_where_somebody_has_scrolled_up(window: OpenWindow) -> None:
    run_id, ids = add_template_run("running", ("running",), **TWO_STEPS)
    more_log(ids[0], 1, 200)
    tab = window("ada").open(f"/templates/runs/{run_id}")
    follow = tab.get_by_role("button", name="Jump to the end")
    more_log(ids[0], 201, 210)
    tab.get_by_text("line 210", exact=True).wait_for()
    assert in_sight(tab, "line 210")
    assert follow.count() == 0
    tab.get_by_text("line 100", exact=True).scroll_into_view_if_needed()
    follow.wait_for()
    top = tab.get_by_text("line 100", exact=True).evaluate("(node) => node.getBoundingClientRect().top")
    more_log(ids[0], 211, 240)
    tab.get_by_text("line 240", exact=True).wait_for(state="attached")
    now = tab.get_by_text("line 100", exact=True).evaluate("(node) => node.getBoundingClientRect().top")
    assert abs(now - top) < 2
    more_log(ids[0], 241, 241)
    follow.focus()
    tab.get_by_text("line 241", exact=True).wait_for(state="attached")
    assert follow.evaluate("(node) => node === document.activeElement")
    follow.click()
    follow.wait_for(state="hidden")
    assert in_sight(tab, "line 240")


def in_sight(tab: Any, line: str) -> bool:
    """Whether a log's line is within what the log's box shows."""
    return bool(
        tab.get_by_text(line, exact=True).evaluate(
            """(node) => {
                const box = node.closest("[data-pa-log]").getBoundingClientRect(), line = node.getBoundingClientRect();
                return line.top >= box.top && line.bottom <= box.bottom + 1;
            }"""
        )
    )


def test_nothing_changes_under_a_form_that_is_on_its_way(window: OpenWindow, asked: Asked) -> None:
    # A second click has to send the idempotency key that the first one sent.
    tab = window("ada").open("/actions")
    asked.asked.wait(PATIENCE_SECONDS)
    tab.evaluate(
        """() => {
            const form = document.createElement("form");
            document.querySelector(".pa-column").append(form);
            form.addEventListener("submit", (event) => event.preventDefault());
            form.requestSubmit();
        }"""
    )
    add_action_run("running")
    tab.evaluate(ASK_NOW)
    assert tab.get_by_role("row").filter(has_text="running").count() == 0
    # It was not sent after all, and some seconds later the page goes on.
    tab.get_by_role("row").filter(has_text="running").wait_for()


# -- search ----------------------------------------------------------------------------------------------------------


def test_search_finds_by_a_beginning_keeps_the_filters_and_survives_back(window: OpenWindow) -> None:
    add_action_run("failed", action="scm.createRepo@v1")
    add_action_run("failed", action="debug.log@v1")
    add_action_run("success", action="scm.createRepo@v1")
    tab = window("ada").open("/actions?status=failed")
    tab.get_by_role("searchbox").fill("scm.cr")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/actions?**q=scm.cr**")
    assert tab.get_by_role("row").count() == 2  # with the heads
    tab.get_by_role("link", name="All", exact=True).click()
    tab.wait_for_function("() => !location.search.includes('status')")
    assert tab.get_by_role("row").count() == 3
    assert tab.get_by_role("searchbox").input_value() == "scm.cr"
    tab.go_back()
    assert tab.get_by_role("row").count() == 2
    tab.get_by_role("link", name="Remove the filter search scm.cr").click()
    tab.wait_for_function("() => !location.search.includes('q=')")
    assert "status=failed" in tab.url
