"""The source archive: all that a distributor needs, and the same whoever builds it, where and when.

These hold for fault 39, without its mark: `.ci/proves` runs today's tests beside an older wheel, and not in its tree.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FOLDERS = (".ci", "benchmarks", "build_backend", "demo_portal", "docs", "portal_actions_plugin", "tests")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "_build", "node_modules", "*.egg-info", "*.pyc")


def copy_of_the_tree(to: Path, *, umask: int) -> Path:
    """A checkout as somebody else has it: other rights, other times."""
    to.mkdir()
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, to / folder, ignore=LEFT_OUT)
    for file in ROOT.iterdir():
        if file.is_file() and not file.name.startswith("."):
            shutil.copy(file, to)
    for path in to.rglob("*"):
        path.chmod(path.stat().st_mode & ~umask | (0o020 & ~umask))
        os.utime(path, (time.time() - umask * 1000,) * 2)
    return to


def built(what: str, source: Path, out: Path, umask: int = 0o022) -> Path:
    """Build with this tree's own back end, as pip and build do; ``what`` is ``sdist`` or ``wheel``."""
    out.mkdir()
    script = (
        "import sys; sys.path.insert(0, 'build_backend')\n"
        "from setuptools import build_meta as backend\n"
        "try: import reproducible as backend\nexcept ImportError: pass\n"
        f"backend.build_{what}({str(out)!r})"
    )
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "SOURCE_DATE_EPOCH": "1700000000"}
    command = [sys.executable, "-B", "-W", "ignore", "-c", script]
    done = subprocess.run(
        command, cwd=source, env=environment, umask=umask, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (archive,) = out.iterdir()
    return archive


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archives")


@pytest.fixture(scope="module")
def mine(folder: Path) -> Path:
    return copy_of_the_tree(folder / "mine", umask=0o022)


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Path:
    return copy_of_the_tree(folder / "theirs", umask=0o002)


@pytest.fixture(scope="module")
def archive(mine: Path, folder: Path) -> Path:
    return built("sdist", mine, folder / "sdist")


def test_two_builds_of_the_same_sources_are_equal_byte_for_byte(archive: Path, theirs: Path, folder: Path) -> None:
    again = built("sdist", theirs, folder / "again", umask=0o002)
    assert again.name == archive.name
    assert again.read_bytes() == archive.read_bytes()


def test_the_wheel_of_the_archive_is_the_wheel_of_the_tree(archive: Path, theirs: Path, folder: Path) -> None:
    with tarfile.open(archive) as packed:
        packed.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    of_archive = built("wheel", unpacked, folder / "of_archive")
    of_tree = built("wheel", theirs, folder / "of_tree", umask=0o002)
    assert of_archive.read_bytes() == of_tree.read_bytes()


def test_the_archive_has_the_tests_with_all_that_they_need(archive: Path, mine: Path) -> None:
    with tarfile.open(archive) as packed:
        there = {member.name.partition("/")[2] for member in packed.getmembers() if member.isfile()}
        modes = {oct(member.mode) for member in packed.getmembers()}
    wanted = {
        str(file.relative_to(mine))
        for folder in FOLDERS
        for file in (mine / folder).rglob("*")
        if file.is_file() and ".egg-info" not in str(file)
    }
    assert sorted(wanted - there) == []
    assert not [name for name in there if "__pycache__" in name or name.endswith(".pyc")]
    assert modes == {"0o644", "0o755"}


def test_what_the_package_index_shows_leads_nowhere_that_is_not_there(archive: Path) -> None:
    with tarfile.open(archive) as packed:
        (info,) = (name for name in packed.getnames() if re.fullmatch(r"[^/]+/PKG-INFO", name))
        said = packed.extractfile(info)
        assert said is not None
        shown = said.read().decode().partition("\n\n")[2]
        files = {member.name.partition("/")[2] for member in packed.getmembers()}
    addresses = re.findall(r"\]\(([^)]*)\)|(?:src|srcset|href)=\"([^\"]*)\"", shown)
    assert [found for pair in addresses for found in pair if found and not found.startswith("https://")] == []
    named = re.findall(r"`([\w-]+/[\w./-]+|[A-Z]+\.md|docs|demo_portal)`", shown)
    assert [name for name in named if not name.startswith("/") and name not in files] == []
    assert len(named) >= 4
