"""Prove that the tests of faults see them: each has to be red against the wheel of the commit at which they were found.

The tests and the demo portal are today's, the installed package is that commit's wheel. Modules that have been moved
since are found there under their names of today: see ``old_names.py``. A test whose import, fixture or name is missing
there proves nothing: it counts as an error, not as red.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import old_names
import pytest

ROOT = Path(__file__).parent.parent
FOUND_AT = "1126d75"
NAMED = (
    *("0a", "0b", "0c", "0d", "0e", "0f", "A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8", "B9", "B10", "B11", "B12"),
    *("C13", "C14", "C15", "C17", "D19", "D20", "D21", "D22", "E23", "E24", "E25", "E26", "E27", "E28", "E29", "E30"),
    *("F32", "F33", "F34", "F35", "F36", "F37", "F38", "F39", "F40", "F41"),
)
"""The faults that have to have a test that is red."""

COPIED = (
    "tests",
    "demo_portal",
    "benchmarks",
    ".ci",
    "docs",
    "pyproject.toml",
    "setup.cfg",
    "CHANGELOG.md",
    "README.md",
)
LONGEST_SECONDS = 150
MISSING = re.compile(r"(Import|ModuleNotFound|Name)Error:|AttributeError: <?module 'portal_actions_plugin")
"""What says of a test that a name is missing: it has not come to what it tests."""

RED, GREEN, ERROR, SKIPPED = "red", "green", "error", "skipped"


# -- in pytest, as the plugin "proves" -----------------------------------------------------------------------------------


def faults_of(item: pytest.Item) -> list[str]:
    """The faults of a test. They are counted through, so ``33`` and ``F33`` are the same."""
    by_number = {name.lstrip("ABCDEF"): name for name in NAMED}
    marked = [str(mark.args[0]) for mark in item.iter_markers("fault")]
    return [by_number.get(name.lstrip("ABCDEF"), name) for name in marked]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Note at each report of a test which faults it is of, and what ended it."""
    outcome: Any = yield
    report = outcome.get_result()
    faults = faults_of(item)
    kind = call.excinfo.typename if call.excinfo else ""
    said = str(call.excinfo.value).strip().partition("\n")[0][:120] if call.excinfo else ""
    report.user_properties.append(("fault", json.dumps({"faults": faults, "kind": kind, "said": said})))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let no test wait for long for what does not come there."""
    if os.environ.get("PROVES_REPORTS"):
        for item in items:
            item.add_marker(pytest.mark.timeout(LONGEST_SECONDS), append=False)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Write down which tests there are, and of which faults."""
    if out := os.environ.get("PROVES_COLLECTED"):
        found = {item.nodeid: faults_of(item) for item in session.items}
        Path(out).write_text(json.dumps(found))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Append how a phase of a test went. With xdist only the controller has no worker's name."""
    out = os.environ.get("PROVES_REPORTS")
    if not out or os.environ.get("PYTEST_XDIST_WORKER"):
        return
    noted = json.loads(dict(report.user_properties).get("fault", "{}"))
    with Path(out).open("a") as file:
        file.write(json.dumps({"test": report.nodeid, "when": report.when, "outcome": report.outcome, **noted}) + "\n")


# -- the script ----------------------------------------------------------------------------------------------------------


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--commit", default=FOUND_AT, help=f"whose wheel the tests run against; default {FOUND_AT}")
    asked.add_argument(
        "--keep", type=Path, help="a folder to work in, kept and used again: its wheel and environment too"
    )
    asked.add_argument("--processes", "-n", default="3", help="how many tests run at a time")
    asked.add_argument("-k", default="", help="only these tests, as pytest takes it; then no fault has to have one")
    given = asked.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="proves-") as temporary:
        folder = (given.keep or Path(temporary)).absolute()
        folder.mkdir(exist_ok=True)
        collected = collect(folder, given.k)
        if not collected:
            print("No test is marked with a fault.")
            return 1
        python = install(folder, given.commit)
        reports = run(folder, python, sorted(collected), given.processes, given.k)
    verdicts = judge(collected, reports)
    show(verdicts)
    return complain(verdicts, () if given.k else NAMED)


def collect(folder: Path, expression: str) -> dict[str, list[str]]:
    """The marked tests of this checkout, each with its faults."""
    out = folder / "collected.json"
    words = [
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-p",
        "proves",
        "-m",
        "fault",
        *(["-k", expression] if expression else []),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".ci"), "PROVES_COLLECTED": str(out)}
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 5):
        sys.exit(f"The tests of this checkout cannot be collected:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    found: dict[str, list[str]] = json.loads(out.read_text())
    return found


def install(folder: Path, commit: str) -> Path:
    """An environment with the commit's wheel, what its tests need, and today's demo portal; says its Python."""
    whole = output("git", "rev-parse", "--verify", f"{commit}^{{commit}}")
    environment, source = folder / f"venv-{whole[:12]}", folder / f"source-{whole[:12]}"
    python = environment / "bin" / "python"
    if (environment / ".complete").exists():
        return python
    print(f"building the wheel of {commit} …", flush=True)
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir()
    archive = folder / "source.tar"
    output("git", "archive", "--output", str(archive), whole)
    shutil.unpack_archive(archive, source, filter="data")
    output(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(folder / whole[:12]),
        str(source),
    )
    (wheel,) = (folder / whole[:12]).glob("*.whl")
    print("installing it, and what the tests need …", flush=True)
    output(sys.executable, "-m", "venv", str(environment))
    demo = folder / "demo_portal-source"
    shutil.copytree(
        ROOT / "demo_portal", demo, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.egg-info", "build")
    )
    output(str(python), "-m", "pip", "install", "--quiet", *needs(), f"{wheel}[postgres,embedded,metrics]", str(demo))
    (environment / ".complete").touch()
    return python


def needs() -> list[str]:
    """What today's tests need besides the package."""
    import configparser

    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options.extras_require"]["dev"].split("\n")
    return [line for line in lines if line and not line.startswith("portal-actions-plugin")]


def run(folder: Path, python: Path, tests: Sequence[str], processes: str, expression: str) -> list[dict[str, Any]]:
    """Run them outside of the checkout, so that nothing but the wheel is there to be imported."""
    place, out = folder / "outside", folder / "reports.jsonl"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, place / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "_build"))
        elif source.exists():
            shutil.copy(source, place)
    out.unlink(missing_ok=True)
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "VIRTUAL_ENV")}
    environment |= {"PYTHONPATH": str(place / ".ci"), "PROVES_REPORTS": str(out)}
    where = output(
        str(python), "-c", "import portal_actions_plugin as p; print(p.__file__)", cwd=place, environment=environment
    )
    if not Path(where).is_relative_to(python.parent.parent):
        sys.exit(f"The tests would import {where} instead of the installed wheel.")
    moved = old_names.table(ROOT, Path(where).parent.parent)
    (place / ".ci" / "moved.json").write_text(json.dumps(moved))
    (place / ".ci" / "sitecustomize.py").write_text(
        "import pathlib, old_names\nold_names.install(pathlib.Path(__file__).with_name('moved.json'))\n"
    )
    chosen = ["-k", expression] if expression else []
    files = sorted({test.partition("::")[0] for test in tests})
    command = [
        python,
        "-m",
        "pytest",
        "-p",
        "proves",
        "-m",
        "fault",
        "--continue-on-collection-errors",
        "-q",
        "--tb=short",
    ]
    parallel = ["-n", processes, "--dist", "worksteal"] if processes not in ("0", "1") else []
    log = folder / "pytest.log"
    print(f"running {len(tests)} tests of {len(files)} files against {where} (log: {log}) …", flush=True)
    with (
        log.open("w") as written,
        subprocess.Popen(
            [*command, *parallel, *chosen, *files], cwd=place, env=environment, stdout=written, stderr=written
        ) as process,
    ):
        try:
            process.wait()
        finally:
            process.terminate()  # however this script ends: then the tests end what they have started
    if not out.exists():
        print(log.read_text()[-3000:])
        return []
    return [json.loads(line) for line in out.read_text().splitlines()]


def judge(collected: dict[str, list[str]], reports: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One verdict for each function: red when any of its cases is, an error when none could be tried."""
    phases: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for report in reports:
        phases[report["test"]].append(report)
    cases: dict[str, list[tuple[str, str]]] = defaultdict(list)
    faults: dict[str, list[str]] = {}
    for test, of in collected.items():
        function = test.partition("[")[0]
        faults[function] = of
        cases[function].append(verdict(phases[test]))
    verdicts = []
    for function, found in sorted(cases.items()):
        counted = Counter(color for color, _ in found)
        color = next(color for color in (RED, ERROR, GREEN, SKIPPED) if counted[color])
        said = next(why for one, why in found if one == color)
        verdicts.append(
            {"faults": faults[function], "test": function, "color": color, "counted": counted, "said": said}
        )
    return verdicts


def verdict(phases: Sequence[dict[str, Any]]) -> tuple[str, str]:
    if not phases:
        return ERROR, "its file cannot be imported there, or it did not run: see the log"
    for phase in phases:
        said = f"{phase.get('kind', '')}: {phase.get('said', '')}"
        if phase["outcome"] == "failed":
            is_red = phase["when"] == "call" and not MISSING.match(said)
            return (RED if is_red else ERROR), said
        if phase["outcome"] == "skipped":
            return SKIPPED, said
    return GREEN, ""


def show(verdicts: Sequence[dict[str, Any]]) -> None:
    print(f"\n{'fault':<6} {'verdict':<8} test")
    for found in sorted(verdicts, key=lambda found: (found["faults"], found["test"])):
        counts = ", ".join(f"{count} {color}" for color, count in found["counted"].items())
        print(f"{','.join(found['faults']):<6} {found['color']:<8} {found['test']} ({counts})")
        if found["said"]:
            print(f"{'':<15} {found['said']}")


def complain(verdicts: Sequence[dict[str, Any]], named: Sequence[str]) -> int:
    """Say what is not proved; the exit status."""
    red = {fault for found in verdicts if found["color"] == RED for fault in found["faults"]}
    wrong = [f"fault {fault} has no test that is red there" for fault in named if fault not in red]
    wrong += [f"{found['test']} is {found['color']} there" for found in verdicts if found["color"] != RED]
    for line in wrong:
        print(f"NOT PROVED: {line}")
    if not wrong:
        print(f"\nProved: {len(verdicts)} tests of {len(red)} faults are red there.")
    return 1 if wrong else 0


def output(*command: str, cwd: Path = ROOT, environment: dict[str, str] | None = None) -> str:
    """What a program says; ends this script when it fails."""
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
