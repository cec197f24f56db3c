"""Every scenario on every database, each in a process of its own, and a table of what they have come to."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

from tests.outside.play import Verdict
from tests.outside.scenarios import SCENARIOS, Scenario

LONGEST_SECONDS = 900
COLUMNS = (
    ("scenario", 26),
    ("database", 10),
    ("seed", 7),
    ("accepted", 8),
    ("lost", 4),
    ("stuck", 5),
    ("doubled", 7),
    ("begun after cancel", 18),
    ("other", 5),
    ("alive", 7),
    ("seconds", 7),
    ("", 8),
)


def play_all(given: argparse.Namespace, seed: int) -> int:
    """Play them all; those that need the machine for themselves come last, one at a time."""
    seeds = [seed + number for number in range(given.seeds)]  # some take turns by it
    databases = (given.database,) if given.database else ("sqlite", "postgresql")
    parts = [
        (scenario, database, one)
        for one in seeds
        for scenario in SCENARIOS.values()
        for database in scenario.databases
        if database in databases
    ]
    print(f"{len(parts)} plays; seeds: {seeds}", flush=True)
    begun = time.monotonic()
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory(prefix="outside-all-") as folder:

        def play(part: tuple[Scenario, str, int]) -> Verdict:
            return _play(Path(folder), given, *part)

        for alone in (False, True):
            with ThreadPoolExecutor(1 if alone else given.processes) as pool:
                for verdict in pool.map(play, [part for part in parts if part[0].alone is alone]):
                    print(verdict.line(), flush=True)
                    verdicts.append(verdict)
    print(table(verdicts))
    failed = [verdict for verdict in verdicts if not verdict.ok]
    for verdict in failed:
        for note in verdict.notes:
            print(f"{verdict.scenario} {verdict.database} --seed {verdict.seed}: {note}")
    print(f"{len(verdicts)} plays, {len(failed)} failed, {time.monotonic() - begun:.0f} s")
    return 1 if failed else 0


def _play(folder: Path, given: argparse.Namespace, scenario: Scenario, database: str, seed: int) -> Verdict:
    out = folder / f"{scenario.name}-{database}-{seed}.json"
    words = [scenario.name, "--database", database, "--seed", str(seed), "--runs", str(given.runs)]
    command = [sys.executable, "-m", "tests.outside", *words, "--python", given.python, "--json", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            said, _ = process.communicate(timeout=LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()
            said, _ = process.communicate()
        except BaseException:
            process.terminate()
            raise
    if not out.exists():
        return Verdict(scenario.name, database, seed, notes=[f"it came to no verdict:\n{said[-4000:]}"])
    written = json.loads(out.read_text())
    verdict = Verdict(**{field.name: written[field.name] for field in fields(Verdict)})
    if not verdict.ok:
        print(said, flush=True)
    return verdict


def table(verdicts: list[Verdict]) -> str:
    """A row for each play."""
    lines = ["  ".join(f"{name:<{width}}" for name, width in COLUMNS)]
    for one in verdicts:
        other = one.two_holders + one.untold + one.failed + one.bare_500
        end = "skipped" if one.skipped else "ok" if one.ok else "FAILED"
        alive = f"{one.alive} of {one.wanted}"
        counts = (
            one.accepted,
            one.lost,
            one.stuck,
            one.doubled,
            one.after_cancel,
            other,
            alive,
            round(one.seconds),
            end,
        )
        cells = (one.scenario, one.database, one.seed, *counts)
        lines.append("  ".join(f"{cell!s:<{width}}" for cell, (_, width) in zip(cells, COLUMNS, strict=True)))
    return "\n".join(lines)
