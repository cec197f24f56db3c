"""A real Chromium in front of a real portal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask

from tests.browser.sites import ARGUMENTS, CHROMIUM, Site, serving
from tests.browser.windows import Window
from tests.support.page_rows import (
    AUTH_ERROR,
    BOB,
    ORIGIN,
    TWO_STEPS,
    add_action_run,
    add_attempt,
    add_log,
    add_template_run,
    ago,
)
from tests.support.waiting import PATIENCE_SECONDS

MISSING = f"{CHROMIUM} is missing: no browser test has run. Install it with: apt-get install chromium"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not CHROMIUM.exists():
        terminalreporter.section("BROWSER TESTS SKIPPED", sep="!", red=True, bold=True)
        terminalreporter.line(MISSING, red=True)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    if not CHROMIUM.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def site(make_app: Callable[..., Flask]) -> Iterator[Site]:
    with serving(make_app(PORTAL_ACTIONS_SECRET_KEYS=Fernet.generate_key().decode())) as site:
        yield site


@pytest.fixture
def window(chromium: Any, site: Site) -> Iterator[Callable[..., Window]]:
    """Open windows: ``window("ada", width=390, dark=True, javascript=False)``."""
    contexts = []

    def open_window(person: str = "ada", *, width: int = 1280, dark: bool = False, javascript: bool = True) -> Window:
        context = chromium.new_context(
            viewport={"width": width, "height": 844 if width < 700 else 900},
            color_scheme="dark" if dark else "light",
            java_script_enabled=javascript,
        )
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        context.add_cookies([{"name": "person", "value": person, "url": site.url}])
        contexts.append(context)
        opened = Window(context.new_page(), site)
        opened.watch()
        return opened

    yield open_window
    for context in contexts:
        context.close()


TEXT = """# What is next
It has **parts**, see [the docs](https://docs.example) and `make test`.

1. Clone it
   ```sh
   git clone https://forge.example/acme/a-repository-with-a-rather-long-name.git && make install test run
   ```
2. Read *all*
   - of it

| part | is | and | more |
|--|--|--|--|
| api | answers | requests over http | yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy |

> Ask SRE.
"""
GIVEN = {
    "links": [
        {"title": "Repository", "url": "https://forge.example/r"},
        {"title": "Shop", "entityRef": "component:shop"},
    ],
    "text": [{"title": "Next", "content": TEXT}, {"title": "Later", "content": TEXT, "default": True}],
    "repo": {"name": "r" * 90},
}


@pytest.fixture
def paths(site: Site) -> dict[str, str]:
    """A page of each kind, with long words on each."""
    made = {
        "outputs": {"repoUrl": "https://forge.example/" + "acme/" * 30, "n" * 60: "v" * 200, "nested": {"a": [1, {}]}},
        "links": [{"title": "Pull request", "url": "https://forge.example/pull/1"}],
        "warnings": ["No branch protection " + "w" * 120],
    }
    steps = (
        ("first-" + "x" * 70, "A name that is rather long " * 6, "debug.log@v1"),
        ("second", "إنشاء المستودع الجديد", "a.very.long.action.name.that.goes.on.and.on.and.on@v1"),
        ("third", "Third", "debug.log@v1"),
    )
    run_id, ids = add_template_run(
        "failed",
        ("success", "failed"),
        title="A title of many words " * 5 + "y" * 90,
        steps=steps,
        inputs={"name": "orders", "k" * 80: "z" * 300},
        step_values={0: made, 1: {**AUTH_ERROR, "attempt": 2}},
    )
    add_attempt(ids[1], 1, error_code="REMOTE_ERROR", error_message="502 " + "e" * 200)
    given = add_template_run("success", ("success", "success", "success"), **TWO_STEPS, outputs=GIVEN)[0]
    add_log(ids[1], "trying " + "l" * 300, ("warning", "slow", 1), ("error", "403 from the forge", 2))
    running, ids = add_template_run(
        "running", ("success", "running"), **TWO_STEPS, step_values={1: {"progress_done": 2, "progress_total": 7}}
    )
    add_log(ids[1], *[f"line {n}" for n in range(200)])
    lost, _ = add_template_run(
        "running", ("running",), **TWO_STEPS, **BOB, step_values={0: {"lease_expires_at": ago(9)}}
    )
    canceled, _ = add_template_run("canceled", ("success", "canceled"), **TWO_STEPS)
    long_names = tuple((step_id, name * 30, action) for step_id, name, action in TWO_STEPS["steps"])
    resumable, _ = add_template_run(
        "failed", ("success", "failed"), **{**TWO_STEPS, "steps": long_names}, step_values={1: AUTH_ERROR}
    )
    secret, _ = add_template_run(
        "failed",
        ("success", "failed"),
        **{**TWO_STEPS, "inputs": {"name": "orders", "token": "•••"}},
        step_values={1: {**AUTH_ERROR, "retry_at": ago(-600)}},
    )
    taken_over = {**made, "taken_over_from": resumable, "attempt": 0, "started_at": None}
    waiting = {"attempt": 1, "started_at": ago(20), "not_before": ago(-900)}
    resumed, ids = add_template_run(
        "running",
        ("success", "queued"),
        **{**TWO_STEPS, "steps": long_names},
        retry_of=resumable,
        resumed_step="shout",
        step_values={0: taken_over, 1: waiting},
    )
    add_attempt(ids[1], 1, error_code="REMOTE_ERROR", error_message="502 " + "e" * 200, worker="w" * 90)
    one_off = add_action_run("failed", origin=ORIGIN, entity="orders", input={"token": "•••"}, **AUTH_ERROR)
    add_action_run("queued", entity="e" * 120)
    return {
        "list": "/actions",
        "filtered list": "/actions?status=failed&entity=" + "e" * 120 + "&times=absolute",
        "failed run": f"/templates/runs/{run_id}",
        "run that gives texts": f"/templates/runs/{given}",
        "running run": f"/templates/runs/{running}",
        "lost run": f"/templates/runs/{lost}",
        "canceled run": f"/templates/runs/{canceled}",
        "resumable run": f"/templates/runs/{resumable}",
        "run that needs a secret": f"/templates/runs/{secret}",
        "resumed run": f"/templates/runs/{resumed}",
        "one-off": f"/actions/runs/{one_off}",
        "reference": "/api/v1/docs",
    }
