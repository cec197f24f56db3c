"""The demo's template ``create-service``, made for one forge: all that it does there has to be done once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.support.workers import ROOT

SOURCE = ROOT / "demo_portal" / "demo_portal" / "software_templates" / "create-service"
HEAD = "portal/pipeline-and-reviewers"
CALLBACK = "https://ci.example/hook"
SECRET = "webhook-4711-secret"


def write(folder: Path, provider: str) -> None:
    """Write it into a folder of templates.

    Args:
        folder: the portal's.
        provider: the installation that every step uses.
    """
    shutil.copytree(SOURCE, folder / "create-service")
    file = folder / "create-service" / "template.yaml"
    template = yaml.safe_load(file.read_text())
    spec = template["spec"]
    spec["steps"] = [_on(provider, step) for step in spec["steps"]]
    file.write_text(yaml.safe_dump(template, sort_keys=False))


def _on(provider: str, step: dict[str, Any]) -> dict[str, Any]:
    given = step["input"]
    return {**step, "input": {**given, "provider": provider}} if "provider" in given else step


def inputs(name: str) -> dict[str, Any]:
    """What the form sends to make acme/<name>."""
    hook = {"webhookUrl": CALLBACK, "webhookSecret": SECRET}
    return {"name": name, "owner": "acme", "visibility": "private", **hook}
