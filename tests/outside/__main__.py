"""``python -m tests.outside SCENARIO``: play one scenario; ``--all``: play them all, and print a table."""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import signal
import sys
import traceback
from pathlib import Path

from tests.outside import whole
from tests.outside.play import Asked, SkipScenarioError, Verdict, playing
from tests.outside.scenarios import SCENARIOS, load


def main() -> int:
    load()
    asked = argparse.ArgumentParser(prog="python -m tests.outside", description=__doc__)
    asked.add_argument("scenario", nargs="?", choices=sorted(SCENARIOS), metavar="SCENARIO")
    asked.add_argument("--list", action="store_true", help="say which scenarios there are")
    asked.add_argument("--all", action="store_true", help="play all of them, on both databases, and print a table")
    asked.add_argument("--database", choices=("sqlite", "postgresql"), help="default: the scenario's first")
    asked.add_argument("--seed", type=int, help="repeats a plan; the timing is never the same")
    asked.add_argument(
        "--seeds", type=int, default=int(os.environ.get("CHAOS_SEEDS", "1")), help="how many, with --all"
    )
    asked.add_argument("--runs", type=int, default=40, help="template runs that people start")
    asked.add_argument(
        "--python", default=sys.executable, help="runs the portal: what is installed there is what is tried"
    )
    asked.add_argument("--keep", action="store_true", help="keep the folders, and print the ends of the logs")
    asked.add_argument("--json", type=Path, help="write the verdict there, too")
    asked.add_argument("--processes", type=int, default=3, help="how many scenarios play at a time, with --all")
    given = asked.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    _end_with_parent()
    if given.list or not (given.scenario or given.all):
        for name, scenario in SCENARIOS.items():
            print(f"{name:<28} {', '.join(scenario.databases):<20} {scenario.doc}")
        return 0
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    if given.all:
        return whole.play_all(given, seed)
    databases = SCENARIOS[given.scenario].databases
    database = given.database or databases[0]
    if database not in databases:
        asked.error(f"{given.scenario} is played on {' and '.join(databases)} only")
    verdict = play(Asked(given.scenario, database, seed, given.runs, given.python, given.keep))
    if given.json:
        given.json.write_text(json.dumps(verdict.as_json()))
    return 0 if verdict.ok else 1


def _end_with_parent() -> None:
    """Be told to end when a test that started this is gone; a person's shell may go."""
    if not sys.stdin.isatty():
        ctypes.CDLL(None).prctl(1, int(signal.SIGTERM))


def play(asked: Asked) -> Verdict:
    """Play one scenario, and print its verdict."""
    print(f"{asked.scenario} on {asked.database}: --seed {asked.seed} --runs {asked.runs}", flush=True)
    with playing(asked) as it:
        try:
            SCENARIOS[asked.scenario].run(it)
        except SkipScenarioError as skip:
            it.verdict.skipped = str(skip)
            if os.environ.get("CI"):
                it.verdict.notes.append(f"skipped, which is a failure with CI set: {skip}")
        except Exception:
            it.verdict.notes.append(traceback.format_exc())
        if asked.keep or not it.verdict.ok:
            for stage in it.stages:
                print(stage.log_tail())
                print(f"{stage.client.answers} exits: {[(one.name, one.exits) for one in stage.services]}")
    for note in it.verdict.notes:
        print(f"  {note}")
    print(it.verdict.line(), flush=True)
    return it.verdict


if __name__ == "__main__":
    sys.exit(main())
