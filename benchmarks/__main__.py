"""The command: what is measured, on what, and where it is written."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import report, seed
from benchmarks.effort import FULL, QUICK, Effort, Values
from benchmarks.figures import latency, pages, throughput
from benchmarks.rig import Rig, Site, site

DATABASES = ("postgresql", "sqlite")
ON_EVERY_SIZE: dict[str, Callable[[Rig, Effort], Values]] = {
    "throughput": throughput.measure,
    "latency": latency.measure,
    "pages": pages.measure,
}


def main() -> None:
    asked = _arguments()
    effort = QUICK if asked.quick else FULL
    results = report.Results.begin(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, site(Path(folder), seed.fill) as place:
        for runs in asked.sizes or (effort.sizes[0], effort.sizes[-1]):
            for database in asked.databases:
                _measure(place, database, runs, asked.only, effort, results)
    print(results.tables())


def _measure(
    place: Site, database: str, runs: int, only: Sequence[str], effort: Effort, results: report.Results
) -> None:
    for name, measure in ON_EVERY_SIZE.items():
        if name not in only:
            continue
        with place.rig(database, runs) as rig:
            began = time.perf_counter()
            found = measure(rig, effort)
            results.add(database, runs, found)
            print(f"  {name}, {database}, {runs:,} runs: {time.perf_counter() - began:.0f} s", flush=True)
            for line in report.lines(found):
                print(f"    {line}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure Portal Actions.")
    names = list(ON_EVERY_SIZE)
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="measure these only")
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=DATABASES)
    parser.add_argument("--sizes", nargs="+", type=int, help="how many action runs the tables hold")
    parser.add_argument("--quick", action="store_true", help="a look: fewer rounds, shorter ones, 100,000 runs at most")
    parser.add_argument("--write", action="store_true", help="put tables and plots into docs/")
    return parser.parse_args()


if __name__ == "__main__":
    main()
