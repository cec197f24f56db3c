"""Each recipe of CONTRIBUTING, followed in a copy: its patch applies, touches few files, and what it adds is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PATCHES = ROOT / "tests" / "end_to_end" / "recipes"
CHECKS = "tests/end_to_end/recipes/checks.py"

CODE_FILES_AT_MOST = {
    "setting": 2,  # where it is written down, and where it is read
    "error-code": 1,
    "api-field": 4,
    "page-column": 2,
    "command": 1,
    "migration": 2,
    "metric": 1,
    "action": 1,
}


def files_of(recipe: str) -> list[str]:
    patch = (PATCHES / f"{recipe}.patch").read_text()
    return re.findall(r"^diff --git a/(\S+) b/\1$", patch, re.MULTILINE)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout without its history and environments."""
    there = tmp_path / "checkout"
    there.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "_build", "node_modules")
    for name in ("portal_actions_plugin", "tests", "docs", ".ci"):
        shutil.copytree(ROOT / name, there / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.cfg", "Makefile", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, there)
    return there


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(cwd),
        "PYTHONDONTWRITEBYTECODE": "1",
        "GIT_CEILING_DIRECTORIES": str(cwd.parent),  # a copy is not a part of whatever repository is above it
    }
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("recipe", sorted(CODE_FILES_AT_MOST))
def test_a_recipe_works(recipe: str, copy: Path) -> None:
    applied = run("git", "apply", PATCHES / f"{recipe}.patch", cwd=copy)
    assert applied.returncode == 0, f"{applied.stderr}\nAfter a rename: make recipes"
    check = f"check_{recipe.replace('-', '_')}"
    options = ("-q", "-p", "no:cacheprovider", "-o", "python_functions=check_*")
    done = run(sys.executable, "-m", "pytest", *options, f"{CHECKS}::{check}", cwd=copy)
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2_000:]


@pytest.mark.parametrize("recipe", sorted(CODE_FILES_AT_MOST))
def test_a_recipe_touches_few_files(recipe: str) -> None:
    code = [name for name in files_of(recipe) if name.startswith("portal_actions_plugin/")]
    assert 0 < len(code) <= CODE_FILES_AT_MOST[recipe]
    elsewhere = set(files_of(recipe)) - set(code)
    assert all(name.startswith("docs/") for name in elsewhere)


def test_a_setting_is_written_down_in_one_place() -> None:
    (settings, reader) = files_of("setting")
    assert settings == "portal_actions_plugin/settings/config.py"
    assert not reader.startswith("portal_actions_plugin/settings/")


def test_every_patch_is_a_recipe_that_contributing_tells() -> None:
    assert {file.stem for file in PATCHES.glob("*.patch")} == set(CODE_FILES_AT_MOST)
    told = (ROOT / "CONTRIBUTING.md").read_text()
    for recipe in CODE_FILES_AT_MOST:
        assert f"tests/end_to_end/recipes/{recipe}.patch" in told
        for name in files_of(recipe):
            if not name.startswith("portal_actions_plugin/storage/migrations/versions/"):
                assert name.removeprefix("portal_actions_plugin/") in told, recipe


# -- a new migration -------------------------------------------------------------------------------------------------


def test_make_migration_writes_the_next_file_and_says_what_to_do(copy: Path) -> None:
    versions = copy / "portal_actions_plugin" / "storage" / "migrations" / "versions"
    there = {file.name for file in versions.glob("0*.py")}
    newest = max(there)[:4]
    done = run(sys.executable, ".ci/migration.py", "notes of workers", cwd=copy)
    assert done.returncode == 0, done.stderr
    (made,) = {file.name for file in versions.glob("0*.py")} - there
    assert made == f"{int(newest) + 1:04}_notes_of_workers.py"
    assert done.stdout.startswith(f"portal_actions_plugin/storage/migrations/versions/{made}\n")
    _, told, next_steps = done.stdout.partition("What to do next")
    assert told
    for named in re.findall(r"\b(?:tests|storage)/[\w/]+\.py", next_steps):
        assert (ROOT / named).exists() or (ROOT / "portal_actions_plugin" / named).exists(), named

    text = (versions / made).read_text()
    assert text.startswith('"""Notes of workers.')
    assert f'revision = "{made[:4]}"' in text.replace("'", '"')
    assert f'down_revision = "{newest}"' in text.replace("'", '"')
    assert "\nin_stages = True" in text
    compile(text, made, "exec")


def test_a_new_migration_goes_up_and_down_as_it_is(copy: Path) -> None:
    assert run(sys.executable, ".ci/migration.py", "nothing yet", cwd=copy).returncode == 0
    up_and_down = """
from portal_actions_plugin.storage import migrations
from portal_actions_plugin.storage.sessions import Database
database = Database("sqlite:///new.db")
migrations.upgrade(database)
newest = migrations.standing(database)
(before,) = {one.down_revision for one in migrations.way_down(newest, "base") if one.revision == newest.found}
migrations.downgrade(database, before)
migrations.upgrade(database)
assert migrations.standing(database) == newest, newest
print(newest.found)
"""
    done = run(sys.executable, "-c", up_and_down, cwd=copy)
    assert done.returncode == 0, done.stderr
    versions = (copy / "portal_actions_plugin" / "storage" / "migrations" / "versions").glob("0*_nothing_yet.py")
    assert [file.name[:4] for file in versions] == [done.stdout.strip()]


@pytest.mark.parametrize("name", ["", "  ", 'a "quote"', "0008"])
def test_a_migration_without_a_name_is_refused(name: str, copy: Path) -> None:
    done = run(sys.executable, ".ci/migration.py", name, cwd=copy)
    assert done.returncode == 2
    assert "make migration NAME=" in done.stderr
    assert "Traceback" not in done.stderr
