"""A real Chromium in front of a real portal."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
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


class _Quiet(WSGIRequestHandler):
    def log(self, *_args: Any) -> None:
        pass


@dataclass
class Site:
    """A portal that listens."""

    app: Flask
    url: str


def whole(app: Flask) -> Callable[..., list[bytes]]:
    """The app, its answers read to their end: the server forgets to close a file whose reader has gone."""

    def serve(environ: Any, start_response: Any) -> list[bytes]:
        body = app(environ, start_response)
        try:
            return [b"".join(body)]
        finally:
            if hasattr(body, "close"):
                body.close()

    return serve


@pytest.fixture
def site(make_app: Callable[..., Flask]) -> Iterator[Site]:
    app = make_app(PORTAL_ACTIONS_SECRET_KEYS=Fernet.generate_key().decode())
    server = make_server("127.0.0.1", 0, whole(app), threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with app.app_context():
        yield Site(app, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Window:
    """A browser window of somebody, and what went wrong in it."""

    tab: Any
    site: Site
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> Any:
        self.tab.goto(self.site.url + path)
        return self.tab

    def watch(self) -> None:
        self.tab.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("request", self._check_origin)

    def _check_origin(self, request: Any) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.site.url).netloc:
            self.complaints.append(f"asks for {request.url}")


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
        context.set_default_timeout(10_000)
        context.add_cookies([{"name": "person", "value": person, "url": site.url}])
        contexts.append(context)
        opened = Window(context.new_page(), site)
        opened.watch()
        return opened

    yield open_window
    for context in contexts:
        context.close()
