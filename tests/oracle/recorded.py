"""What the oracle has said, as it was recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.oracle import live

TABLES = Path(__file__).parent / "tables"


def table(name: str) -> list[dict[str, Any]]:
    """The recorded questions, each with its ``answer``."""
    recorded: list[dict[str, Any]] = live.read((TABLES / f"{name}.json").read_text(encoding="utf-8"))
    return recorded
