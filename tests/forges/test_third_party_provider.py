"""A provider that a package of somebody else brings: found through its entry point, and held to the same contract."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "tests" / "third_party_provider"

HOST = """
import sys
from flask import Flask
from portal_actions_plugin import PortalActions
app = Flask(__name__, instance_path=sys.argv[1])
app.config.update(PORTAL_ACTIONS_SCM={"ours": {"kind": "pocket", "owners": ["acme"]}})
PortalActions(app)
"""

RUNS = """
assert "pocket_forge" not in sys.modules, "a web process imports no provider's code when it starts"
from functools import partial
from portal_actions_plugin.actions.context import ActionContext, RunInfo
from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.attempt.forges import open_forge
from portal_actions_plugin.runner.attempt.prepare import HandlerCall
from tests.support.action_helpers import MemoryRecorder

def run(action_id, **data):
    action = extension().registry.get(action_id)
    info = RunInfo("run-1", action_id, 1, 3, "user:ada@example.com", "Ada")
    return action.run(ActionContext(info, MemoryRecorder(), partial(open_forge, HandlerCall(action, data, {}))), data)

with app.app_context():
    made = run("scm.createRepo@v1", provider="ours", owner="acme", repo="shop", initWithReadme=True)
    print(made["repoUrl"])
    files = [{"path": "docs/index.md", "content": "# Docs"}]
    print(run("scm.openPrOrMr@v1", repo=made, headBranch="fix", title="Add docs", files=files)["prUrl"])
    print(run("scm.setTopics@v1", repo=made, topics=["shop"])["added"])
    try:
        run("scm.mergePr@v1", repo=made, number=1)
    except ConfigurationError as error:
        print(error)
"""


@pytest.fixture(scope="module")
def pocket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the package is installed to."""
    return installed(tmp_path_factory.mktemp("pocket"))


def installed(tmp_path: Path, name: str = "pocket-forge", module: str = "pocket_forge") -> Path:
    """Install the package, under another name and module if so asked, and return the folder that it went to."""
    source, target = tmp_path / f"source-{name}", tmp_path / f"installed-{name}"
    source.mkdir()
    for file in ("setup.cfg", "pyproject.toml"):
        text = (PACKAGE / file).read_text().replace("pocket-forge", name).replace("pocket_forge", module)
        (source / file).write_text(text)
    shutil.copy(PACKAGE / "pocket_forge.py", source / f"{module}.py")
    options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", target)
    done = run(sys.executable, "-m", "pip", "install", *options, source)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def run(*command: object, path: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*path, ROOT])), "PYTHONDONTWRITEBYTECODE": "1"}
    words = [str(word) for word in command]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)


def run_its_tests(tmp_path: Path, target: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the package's own tests, in a folder that is none of this checkout."""
    own = tmp_path / "its-tests"
    own.mkdir()
    for file in ("conftest.py", "test_pocket_forge.py"):
        shutil.copy(PACKAGE / file, own)
    quiet = ("-q", "-rf", "-p", "no:cacheprovider", "-W", "error", "--rootdir", own)
    return run(sys.executable, "-m", "pytest", *quiet, *options, own, path=(target,))


def test_it_passes_the_contract_in_its_own_tests(tmp_path: Path, pocket: Path) -> None:
    done = run_its_tests(tmp_path, pocket)
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) > 50


def test_a_portal_finds_it_by_its_entry_point_and_refuses_what_it_lacks(tmp_path: Path, pocket: Path) -> None:
    script = tmp_path / "host.py"
    script.write_text(HOST + RUNS)
    done = run(sys.executable, script, tmp_path / "instance", path=(pocket,))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "https://ours.example/acme/shop",
        "https://ours.example/acme/shop/pulls/1",
        "['shop']",
        "The forge ours cannot merge pull requests: its provider has no operation mergePull.",
    ]


def test_two_packages_that_bring_the_same_kind_stop_the_start(tmp_path: Path, pocket: Path) -> None:
    script = tmp_path / "host.py"
    script.write_text(HOST)
    both = (pocket, installed(tmp_path, "other-forge", "other_forge"))
    done = run(sys.executable, script, tmp_path / "instance", path=both)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert "The kind of SCM provider pocket is there twice" in last
    assert "pocket-forge (entry point pocket = pocket_forge:open_pocket)" in last
    assert "other-forge (entry point pocket = other_forge:open_pocket)" in last


MISTAKES = {
    "test_a_lost_attempt_commits_nothing": (
        "self._opening.guard()\n            kept.branches[branch]",
        "kept.branches[branch]",
    ),
    "test_a_repository_that_another_run_has_made_is_a_conflict": ("if kept.claim != claim:", "if False:"),
    "test_it_is_opened_once": ("if (pull.head, pull.base) == (head, base):", "if False:"),
    "test_topics_that_are_there_stay": ("for topic in topics if topic not in kept.topics", "for topic in topics"),
}


@pytest.mark.parametrize("test", MISTAKES)
def test_a_provider_that_breaks_the_contract_does_not_pass(tmp_path: Path, pocket: Path, test: str) -> None:
    target = shutil.copytree(pocket, tmp_path / "mistaken")
    module = target / "pocket_forge.py"
    before, after = MISTAKES[test]
    assert before in module.read_text()
    module.write_text(module.read_text().replace(before, after))
    done = run_its_tests(tmp_path, target, "-k", test)
    assert done.returncode == 1, done.stdout
    assert re.search(rf"^FAILED .*{test}", done.stdout, re.MULTILINE)
