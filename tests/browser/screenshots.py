"""Makes the pictures that README and docs show, at a fixed time of a made-up day. ``make screenshots`` runs it."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import time_machine
from demo_portal.app import SOFTWARE_TEMPLATES, create_app
from demo_portal.settings import Settings
from PIL import Image
from playwright.sync_api import sync_playwright
from sqlalchemy import update

from demo_portal import seed
from portal_actions_plugin.run_types import AuditEntry
from portal_actions_plugin.runs import audit
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.storage import migrations, tables
from portal_actions_plugin.storage.sessions import transaction
from tests.browser.harbor import create_harbor
from tests.browser.sites import ARGUMENTS, CHROMIUM, Site, serving
from tests.support import portal_day, reaper
from tests.support.page_rows import GRACE, ago

PICTURES = Path(__file__).parent.parent.parent / "docs" / "pictures"
NOW = datetime(2025, 11, 24, 8, 41, tzinfo=UTC)
SIZES = {"wide": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
SCHEMES = ("light", "dark")
CUT_AT_THE_WINDOW = ("list", "filtered-list", "harbor-list", "audit", "reference")
"""A long list looks alike all the way down."""


@dataclass(frozen=True)
class Shelf:
    """Some pictures: where to find the pages, as whom."""

    site: Site
    person: str
    paths: Mapping[str, str]


@contextmanager
def demo_portal(folder: str, **settings: Any) -> Iterator[Site]:
    app = create_app(Settings(Path(folder, "portal"), "http://127.0.0.1"), **settings)
    app.config["PORTAL_ACTIONS_REDIS_URL"] = f"unix://{folder}/nobody-is-there.sock"
    with app.app_context():
        seed.create_tables(app)
    with serving(app) as site:
        yield site
    app.extensions["portal_actions"].database.close_connections()


@contextmanager
def harbor(folder: str) -> Iterator[Site]:
    app = create_harbor(
        INSTANCE_PATH=folder,
        PORTAL_ACTIONS_DATABASE_URL=f"sqlite:///{folder}/runs.db",
        PORTAL_ACTIONS_REDIS_URL=f"unix://{folder}/nobody-is-there.sock",
        PORTAL_ACTIONS_TEMPLATE_PATH=str(SOFTWARE_TEMPLATES),
    )
    migrations.upgrade(app.extensions["portal_actions"].database)
    with serving(app) as site:
        yield site
    app.extensions["portal_actions"].database.close_connections()


def write_audit(day: portal_day.Day) -> None:
    """Add what the audit of such a day has."""
    ada, grace, margaret = "user:ada@acme.example", GRACE["requested_by"], "user:margaret@acme.example"
    canceled, failed, running = (path.rpartition("/")[2] for path in (day.canceled, day.failed, day.running))
    denied, refused = {"permission": "action:run"}, {"error_code": "AUTH_ERROR"}
    entries = (
        (1_700, AuditEntry(grace, "action_run.start", "denied", "scm.createRepo@v1", details=denied)),
        (1_130, AuditEntry(ada, "template_run.start", "accepted", "request-environment", canceled, canceled)),
        (1_090, AuditEntry(margaret, "template_run.cancel", "canceled", "request-environment", canceled, canceled)),
        (125, AuditEntry(ada, "template_run.start", "accepted", "create-service", failed, failed)),
        (118, AuditEntry(ada, "template_run.finish", "failed", "create-service", failed, failed, details=refused)),
        (40, AuditEntry(ada, "template_run.retry", "rate_limited", "create-service", failed, failed)),
        (12, AuditEntry(ada, "template_run.start", "accepted", "create-service", running, running)),
    )
    with transaction("pictures") as tx:
        for seconds, entry in entries:
            audit.record(tx, entry)
            # The database's clock wrote it, and that one knows nothing of the made-up day.
            tx.execute(update(tables.audit).where(tables.audit.c.at > NOW).values(at=ago(seconds)))


TO_MEND = """\
apiVersion: {version}
kind: Template
metadata: {{name: {name}, title: {title}}}
spec:
  type: service
  parameters:
    properties:
      name: {{type: string, title: Name}}
      port: {{type: integer, title: Port, default: 70000, maximum: 65535}}
  steps:
    - id: greet
      action: debug.log@v1
      input: {{message: "Hello ${{{{ parameters.nam }}}}", level: "${{{{ parameters.port ? 'info' : 'warning' }}}}"}}
  output:
    links:
      - {{title: Wiki, url: wiki/start}}
"""


def templates_to_mend(folder: str) -> Path:
    """Write a template that cannot be used, and one that runs with warnings."""
    for name, title, version in (
        ("request-database", "Request a database", "portal-actions/v1"),
        ("create-library", "Create a library", "scaffolder.backstage.io/v1beta3"),
    ):
        Path(folder, f"{name}.yaml").write_text(TO_MEND.format(name=name, title=title, version=version))
    return Path(folder)


def many_at_once() -> str:
    """The preview of a retry of everything that can be ticked; its path."""
    ids = [run.id for run in queries.action_runs(RunFilter(), limit=50).items if run.status != "success"]
    return "/actions/bulk?do=retry&" + "&".join(f"run={run_id}" for run_id in ids)


def take(browser: Any, shelf: Shelf, folder: Path) -> None:
    """Take a picture of each page in each size and scheme."""
    for size, viewport in SIZES.items():
        for scheme in SCHEMES:
            with browser.new_context(
                base_url=shelf.site.url, viewport=viewport, color_scheme=scheme, reduced_motion="reduce"
            ) as context:
                context.clock.set_fixed_time(NOW)
                tab = context.new_page()
                sign_in(tab, shelf)
                for name, path in shelf.paths.items():
                    tab.goto(path)
                    shot = tab.screenshot(full_page=name not in CUT_AT_THE_WINDOW, animations="disabled")
                    keep(shot, folder / f"{name}-{size}-{scheme}.png")


def keep(shot: bytes, file: Path) -> None:
    """Write a picture in few colours: a third of the size, and nobody sees it."""
    Image.open(BytesIO(shot)).convert("RGB").quantize(256, kmeans=1, dither=Image.Dither.NONE).save(file, optimize=True)


def sign_in(tab: Any, shelf: Shelf) -> None:
    """Be somebody: in the demo portal by its form, in Harbor by a cookie."""
    tab.context.add_cookies([{"name": "person", "value": shelf.person, "url": shelf.site.url}])
    if shelf.site.app.name == "demo_portal":
        tab.goto("/sign-in?next=/actions")
        tab.locator(f"button[name=person][value={shelf.person}]").click()
        tab.wait_for_url("**/actions")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the pictures of the docs.")
    parser.add_argument("--folder", type=Path, default=PICTURES, help="where to put them, if not docs/pictures")
    folder = parser.parse_args().folder
    reaper.watch_over_this_process()
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(time_machine.travel(NOW, tick=False))
        chromium = stack.enter_context(sync_playwright()).chromium
        browser = chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        for shelf in shelves(stack):
            take(browser, shelf, folder)
        browser.close()
    sizes = [file.stat().st_size for file in folder.glob("*.png")]
    print(f"{folder}: {len(sizes)} pictures, {sum(sizes) / 1_000_000:.1f} MB")


def shelves(stack: ExitStack) -> Iterator[Shelf]:
    """Bring about each page, and say where it is."""

    def folder() -> str:
        return stack.enter_context(tempfile.TemporaryDirectory(prefix="pictures-"))

    portal = stack.enter_context(demo_portal(folder()))
    yield Shelf(portal, "ada", {"empty-list": "/actions"})
    day = portal_day.live_through()
    write_audit(day)
    yield Shelf(portal, "margaret", {"audit": "/actions/audit"})
    pages = {
        "list": day.list,
        "filtered-list": day.filtered_list,
        "run-running": day.running,
        "run-failed": day.failed,
        "run-success": day.success,
        "run-canceled": day.canceled,
        "one-off": day.one_off,
        "error": "/templates/runs/0199a7c2-41d0-7000-8000-000000000000",
        "bulk": many_at_once(),
        "reference": "/api/v1/docs",
    }
    yield Shelf(portal, "ada", pages)
    owned = stack.enter_context(demo_portal(folder(), PORTAL_ACTIONS_TEMPLATE_PATH=[str(templates_to_mend(folder()))]))
    yield Shelf(owned, "margaret", {"findings": "/templates/findings"})
    guest = stack.enter_context(harbor(folder()))
    day = portal_day.live_through()
    yield Shelf(guest, "ada", {"harbor-list": day.list, "harbor-run": day.failed})


if __name__ == "__main__":
    main()
