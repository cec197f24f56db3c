"""The list of promises in ``README.md`` names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent


def test_every_promise_of_the_pages_names_tests_that_exist() -> None:
    promises = (HERE / "README.md").read_text()
    assert "nobody yet" not in promises.lower().replace("*nobody yet* is a gap", "")
    named = set(re.findall(r"`(test_\w+)`", promises))
    code = "\n".join(file.read_text() for file in HERE.parent.rglob("test_*.py"))
    assert named
    assert named - set(re.findall(r"^def (test_\w+)\(", code, re.MULTILINE)) == set()
