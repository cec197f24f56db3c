"""The built wheel, in an environment with nothing but what it declares, in a host it has never seen."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "portal_actions_plugin"

HOST = """\
from flask import Flask
from portal_actions_plugin import PortalActions
app = Flask(__name__)
PortalActions(app)
"""

VISIT = """\
import json, sys
from flask import g
from host import app
from portal_actions_plugin import Identity
import portal_actions_plugin

@app.before_request
def sign_in():
    from flask import request
    if request.headers.get("X-Person"):
        g.user = Identity("user:ada@example.com", "Ada", frozenset({"viewer"}))

answers = {"file": portal_actions_plugin.__file__}
for who, path in json.loads(sys.argv[1]):
    answer = app.test_client().get(path, headers={"X-Person": who} if who else {})
    answers[f"{who} {path}".strip()] = [answer.status_code, answer.mimetype, answer.get_data(as_text=True)]
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the sources, so that nothing of an earlier build gets into it."""
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.cfg", "pyproject.toml", "DESCRIPTION.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "build_backend", source / "build_backend")
    shutil.copytree(PACKAGE, source / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", out, ".", cwd=source)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel, and the packages that it needs, and no others."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    for needed in closure("portal-actions-plugin"):
        link(needed, packages)
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel)
    return python


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("host")
    (folder / "host.py").write_text(HOST)
    (folder / "visit.py").write_text(VISIT)
    return folder


def run(*command: object, cwd: Path | None = None) -> str:
    """Run a program with an environment of its own, so that no PYTHONPATH leads it to the source tree."""
    words = [str(word) for word in command]
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    done = subprocess.run(words, check=False, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def closure(name: str) -> Iterator[Distribution]:
    """Everything that a package needs, and what that needs, without extras that nobody asked for."""
    seen: set[str] = set()
    waiting = [(distribution(name), frozenset[str]())]
    while waiting:
        needing, extras = waiting.pop()
        for line in needing.requires or ():
            requirement = Requirement(line)
            wanted = requirement.marker is None or any(
                requirement.marker.evaluate({"extra": extra}) for extra in extras or {""}
            )
            if not wanted or requirement.name in seen:
                continue
            seen.add(requirement.name)
            try:
                found = distribution(requirement.name)
            except PackageNotFoundError:
                continue  # a requirement of another platform
            yield found
            waiting.append((found, frozenset(requirement.extras)))


def link(needed: Distribution, packages: Path) -> None:
    """Make an installed package importable from another environment."""
    for top in {file.parts[0] for file in needed.files or ()} - {"..", "__pycache__"}:
        there = Path(str(needed.locate_file(top)))
        if there.exists() and not (packages / top).exists():
            (packages / top).symlink_to(there)


def visit(python: Path, host: Path, *visits: tuple[str, str]) -> dict[str, Any]:
    answers: dict[str, Any] = json.loads(run(python, "visit.py", json.dumps(visits), cwd=host))
    return answers


def test_the_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    there = {
        str(file.relative_to(ROOT))
        for file in PACKAGE.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and not file.name.startswith(".")
    }
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    assert there <= packed, sorted(there - packed)
    assert {name.split("/")[0] for name in packed} == {"portal_actions_plugin", wheel_info(wheel)}


def test_the_wheel_carries_its_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        licences = [name for name in archive.namelist() if name.endswith("/LICENSE")]
        assert len(licences) == 1
        assert archive.read(licences[0]) == (ROOT / "LICENSE").read_bytes()


def wheel_info(wheel: Path) -> str:
    name, version = wheel.name.split("-")[:2]
    return f"{name}-{version}.dist-info"


def test_a_two_line_host_runs_the_migrations_and_serves_the_pages(python: Path, host: Path) -> None:
    said = run(python, "-m", "flask", "--app", "host", "actions", "db", "upgrade", cwd=host)
    assert "up to date" in said
    assert (host / "instance" / "portal_actions.db").exists()

    answers = visit(
        python,
        host,
        ("", "/actions"),
        ("ada", "/actions"),
        ("ada", "/api/v1/action-runs"),
        ("ada", "/api/v1/actions"),
        ("", "/api/v1/openapi.json"),
    )
    assert not Path(answers["file"]).is_relative_to(ROOT)
    assert Path(answers["file"]).is_relative_to(python.parent.parent)

    assert answers["/actions"][0] == 401
    status, kind, page = answers["ada /actions"]
    assert (status, kind) == (200, "text/html")
    assert "Action Runs" in page

    assert answers["ada /api/v1/action-runs"][0] == 200
    actions = [action["id"] for action in json.loads(answers["ada /api/v1/actions"][2])["data"]]
    assert "scm.createRepo@v1" in actions
    status, _, document = answers["/api/v1/openapi.json"]
    assert status == 200
    assert "/api/v1/action-runs" in json.loads(document)["paths"]


def test_the_wheel_brings_the_stylesheet_that_its_pages_name(python: Path, host: Path) -> None:
    page = visit(python, host, ("ada", "/actions"))["ada /actions"][2]
    links = [part.split('"')[0] for part in page.split('href="') if ".css" in part.split('"')[0]]
    assert links
    answers = visit(python, host, *[("", path) for path in links])
    assert all(answers[path][:2] == [200, "text/css"] for path in links)
