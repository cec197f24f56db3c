"""The tests as a code base: what several of them use is found in one place."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TESTS = ROOT / "tests"


def imported(file: Path) -> Iterator[str]:
    """The full name of all that a file imports, also within functions."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_no_test_module_or_conftest_is_imported_by_another_one() -> None:
    files = [*TESTS.rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    assert len(files) > 100
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in files
        for name in imported(file)
        if name.startswith("tests.") and any(part == "conftest" or part.startswith("test_") for part in name.split("."))
    ]
    assert wrong == []


def test_no_two_test_modules_have_one_name() -> None:
    names = Counter(file.name for file in TESTS.rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_the_scenarios_from_outside_use_nothing_of_the_other_tests() -> None:
    files = [*(TESTS / "outside").rglob("*.py")]
    assert len(files) > 10
    names = {name for file in files for name in imported(file) if name.startswith("tests.")}
    assert [name for name in names if not name.startswith("tests.outside.") and name != "tests.outside"] == []


def test_the_floor_of_coverage_never_falls() -> None:
    command = ["git", "log", "--format=", "-p", "-G^fail_under", "--", "pyproject.toml"]
    log = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if log.returncode:
        pytest.skip("not a git checkout")
    floor = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]["report"]["fail_under"]
    assert all(floor >= int(before) for before in re.findall(r"^\+fail_under = (\d+)", log.stdout, re.MULTILINE))
