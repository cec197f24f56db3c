"""Every pause point of the package, read from its source, and where a run of the suite came to them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import portal_actions_plugin
from tests.chaos.portal import SIGNALS

PACKAGE = Path(portal_actions_plugin.__file__).parent


def every_point() -> list[str]:
    """What ``reached("…")``, ``transaction("…")``, ``single_write("…")`` and ``slots.changing("…", …)`` name in the package."""
    source = "\n".join(file.read_text() for file in sorted(PACKAGE.rglob("*.py")))
    named = set(re.findall(r'\breached\("([^"]+)"\)', source))
    templates = set(re.findall(r'\breached\(f"([^"]+)"\)', source))
    expected = {
        "{name}.before_commit",
        "{name}.committed",
        "signal.{signal.name}.before",
        "signal.{signal.name}.after",
    }
    assert templates == expected, "a new kind of pause point: teach this module to list it"
    for name in re.findall(r'\b(?:transaction|single_write|slots\.changing)\("([^"]+)"', source):
        named |= {f"{name}.before_commit", f"{name}.committed"}
    for signal in SIGNALS:
        named |= {f"signal.{signal.name}.before", f"signal.{signal.name}.after"}
    return sorted(named)


@dataclass(frozen=True)
class Reached:
    """A point that a process came to, and what it had in hand there."""

    name: str
    point: str
    role: str
    pids: tuple[int, ...]
    run: str | None
    at: float


def read_points(folder: Path) -> list[Reached]:
    found = []
    for file in (folder / "points").iterdir():
        word = json.loads(file.read_text())
        found.append(
            Reached(file.name, word["point"], word["role"], tuple(word["pids"]), word["run"], float(word["at"]))
        )
    return sorted(found, key=lambda reached: reached.at)


def table(points: list[str], reached: list[Reached]) -> str:
    """Which points were reached, in which kinds of process, and which were not."""
    lines = []
    for point in points:
        roles = sorted({found.role for found in reached if found.point == point})
        lines.append(f"  {point:<58} {', '.join(roles) or 'NOT REACHED'}")
    return "\n".join(lines)
