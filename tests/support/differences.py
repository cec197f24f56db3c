"""Which test shows which row of the table of differences."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Test = TypeVar("Test", bound=Callable[..., object])

UNIT_TESTS = Path(__file__).parent.parent / "unit"
_SHOWS = re.compile(r'^@shows\("([\w-]+)"\)$', re.MULTILINE)


def shows(_difference: str) -> Callable[[Test], Test]:
    """Say on a test of a unit which difference it shows, by name."""
    return lambda test: test


def shown() -> list[str]:
    """The differences that tests of units show, each as often as one does."""
    return [name for file in sorted(UNIT_TESTS.glob("test_*.py")) for name in _SHOWS.findall(file.read_text("utf-8"))]
