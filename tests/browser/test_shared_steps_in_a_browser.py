"""What steps repeat and share, as people press it: items, the files of a workspace, and where templates come from."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask

from portal_actions_plugin.upkeep import template_repositories
from tests.browser.axe import found_by_axe
from tests.browser.sites import serving
from tests.browser.windows import OpenWindow, Window
from tests.support.run_helpers import HELLO, register, start, work_off
from tests.support.templates import TWO_STEPS
from tests.support.workspaces import fail, start_steps, write

TEAMS = ["orders", "payments-" + "and-more-" * 9, "فريق المنصة", "shipping"]
SIDEWAYS = "document.documentElement.scrollWidth > innerWidth"


def is_right_at_every_width(seen: Window) -> bool:
    """Whether nothing is wrong with the page in either scheme, and no width scrolls sideways."""
    assert found_by_axe(seen.tab) == []
    for width in (390, 1280):
        seen.tab.set_viewport_size({"width": width, "height": 844})
        assert not seen.tab.evaluate(SIDEWAYS), width
    return seen.complaints == []


def test_failed_items_are_found_by_name_and_retried_while_the_others_stay_done(
    window: OpenWindow, template_folder: Path
) -> None:
    lacking = {TEAMS[1]}

    def make(_ctx: Any, value: object = None) -> None:
        if value in lacking:
            raise LookupError("It is not there.")

    register(make=make)
    each = {
        "id": "many",
        "name": "Many",
        "action": "test.make@v1",
        "each": TEAMS,
        "input": {"value": "${{ each.value }}"},
    }
    run = start(template_folder, each, {**HELLO, "id": "after"})
    work_off()
    seen = window("ada", javascript=False)
    tab = seen.open(f"/templates/runs/{run.id}")
    tab.get_by_role("link", name="Show all items of Many").click()
    tab.locator(".pa-items > li").nth(3).get_by_text("shipping").wait_for()
    tab = (seen := window("ada")).open(tab.url.removeprefix(seen.site.url))
    assert tab.get_by_role("region", name="payments-and-more").get_by_text("failed", exact=True).is_visible()
    assert is_right_at_every_width(seen)
    lacking.clear()
    tab.get_by_role("button", name="Retry failed items of “Many”").click()
    tab.wait_for_url(lambda url: run.id not in url)
    tab.get_by_text("1 of 4 items done").wait_for()
    work_off()
    tab.get_by_text("4 of 4 items done").wait_for()
    tab.goto(f"{seen.site.url}/actions?status=failed")
    tab.get_by_role("link", name="1 of 4 items done, 1 failed").click()
    tab.get_by_role("link", name="View item → payments").wait_for()
    assert "status=failed" in tab.url
    assert is_right_at_every_width(seen)


def test_files_of_a_workspace_are_listed_and_saved_with_their_secrets_masked(
    window: OpenWindow, template_folder: Path
) -> None:
    def leak(ctx: Any, **_input: Any) -> None:
        write(**{"src__main.py": "print()", f"{'long-' * 30}.txt": "1", "مستندات.md": "#"})(ctx)
        ctx.workspace.path("config.ini").write_text(f"password={ctx.secret('token')}\n")

    run_id = start_steps(template_folder, ("writes", leak), ("reads", fail), inputs={"token": "hunter2-hunter2"})
    work_off()
    seen = window("ada", javascript=False)
    tab = seen.open(f"/templates/runs/{run_id}")
    tab.get_by_role("link", name="workspace with 4 files").click()
    assert tab.get_by_text("secrets in it are masked").count() == 1
    with tab.expect_download() as saved:
        tab.get_by_role("link", name="config.ini").click()
    assert Path(saved.value.path()).read_text() == "password=•••\n"
    again = window("ada")
    again.open(tab.url.removeprefix(seen.site.url))
    assert is_right_at_every_width(again)


def test_an_owner_sees_which_repository_answers_with_what_and_which_does_not(
    make_app: Callable[..., Flask], chromium: Any, tmp_path: Path
) -> None:
    origin = tmp_path / "origin"
    origin.mkdir()
    (origin / "two-steps.yaml").write_text(TWO_STEPS)
    who = ("-c", "user.name=Mona", "-c", "user.email=mona@example.org")
    for command in (("init", "-q", "-b", "main"), ("add", "."), (*who, "commit", "-qm", "First")):
        subprocess.run(["git", *command], cwd=origin, check=True)
    addresses = [f"file://{origin}", f"file://{tmp_path}/gone-{'away-' * 20}"]
    app = make_app(PORTAL_ACTIONS_TEMPLATE_REPOSITORIES=addresses, PORTAL_ACTIONS_TEMPLATE_PATH=())
    with serving(app) as site, chromium.new_context() as context:
        good, _gone = template_repositories.refresh()
        context.add_cookies([{"name": "person", "value": "margaret", "url": site.url}])
        seen = Window(context.new_page(), site)
        seen.watch()
        tab = seen.open("/templates/findings")
        rows = tab.get_by_role("table", name="Git repositories that templates come from").get_by_role("row")
        assert good.commit is not None
        assert good.commit.short in rows.nth(1).inner_text()
        assert "Failing since" in rows.nth(2).inner_text()
        assert is_right_at_every_width(seen)
