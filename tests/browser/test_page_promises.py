"""The list of promises in ``README.md`` names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent


def test_every_promise_of_the_pages_names_tests_that_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", (HERE / "README.md").read_text()))
    code = "\n".join(file.read_text() for file in HERE.parent.rglob("test_*.py"))
    assert named
    assert named - set(re.findall(r"^def (test_\w+)\(", code, re.MULTILINE)) == set()
