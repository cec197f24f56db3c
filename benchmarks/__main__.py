"""The command: what is measured, on what, and where it is written."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import report, seed
from benchmarks.effort import FULL, QUICK, Effort, Values
from benchmarks.figures import (
    growth,
    imports,
    latency,
    memory,
    pages,
    polling,
    receivers,
    refusals,
    run_page,
    templates,
    throughput,
    workspaces,
)
from benchmarks.peers import peers
from benchmarks.rig import Rig, Site, site
from tests.support import reaper

DATABASES = ("postgresql", "sqlite")
ENVIRONMENTS = Path(__file__).parent.parent / ".venv-peers"


@dataclass(frozen=True)
class Figure:
    """What is measured on which databases; with the fewest and the most runs in the tables, between, or the fewest only.

    ``again``: with the fewest once more after the most, since the machine may have become slower or faster meanwhile.
    """

    measure: Callable[[Rig, Effort], Values]
    databases: Sequence[str] = DATABASES
    with_most_runs: bool = True
    between: bool = False
    again: bool = False


FIGURES = {
    "throughput": Figure(throughput.measure, between=True, again=True),
    "receivers": Figure(receivers.measure, with_most_runs=False),
    "latency": Figure(latency.measure, between=True),
    "pages": Figure(pages.measure, between=True, again=True),
    "run-page": Figure(run_page.measure),
    "polling": Figure(polling.measure, ("postgresql",)),
    "refusals": Figure(refusals.measure, with_most_runs=False),
    "memory": Figure(memory.measure, with_most_runs=False),
    "imports": Figure(imports.measure, with_most_runs=False),
    "templates": Figure(templates.measure, with_most_runs=False),
    "workspaces": Figure(workspaces.measure, with_most_runs=False),
}
GROWTH = "growth"
PEERS = "peers"


def main() -> None:
    """Measure what was asked for."""
    asked = _arguments()
    reaper.watch_over_this_process()
    effort = QUICK if asked.quick else FULL
    effort = replace(effort, sizes=tuple(asked.sizes or effort.sizes))
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, site(Path(folder), seed.fill) as place:
        results = report.Results.begin(sys.argv[1:], effort, place.versions())
        for runs in effort.sizes:
            for database in asked.databases:
                _figures(place, database, runs, asked.only, effort, results)
        if len(effort.sizes) > 1:
            for database in asked.databases:
                _again(place, database, asked.only, effort, results)
        if GROWTH in asked.only:
            for database in asked.databases:
                _growth(place, database, effort, results)
        if PEERS in asked.only:
            for name, found in peers.measure(place, effort, ENVIRONMENTS):
                results.peers[name] = found
                print(f"  {name}: {found}", flush=True)
    print(f"\n{results.text()}\n\nmeasured in {(time.perf_counter() - began) / 60:.0f} minutes")
    if asked.write:
        results.write()


def _figures(
    place: Site, database: str, runs: int, only: Sequence[str], effort: Effort, results: report.Results
) -> None:
    fewest, most = runs == effort.sizes[0], runs == effort.sizes[-1]
    here = effort if fewest or most else replace(effort, rounds=1)
    for name, figure in FIGURES.items():
        wanted = fewest or (most and figure.with_most_runs) or figure.between
        if wanted and name in only and database in figure.databases:
            _figure(place, database, runs, name, here, results)


def _again(place: Site, database: str, only: Sequence[str], effort: Effort, results: report.Results) -> None:
    for name, figure in FIGURES.items():
        if figure.again and name in only and database in figure.databases:
            _figure(place, database, effort.sizes[0], name, effort, results)


def _figure(place: Site, database: str, runs: int, name: str, effort: Effort, results: report.Results) -> None:
    with _told(f"{name}, {database}, {runs:,} runs"), place.rig(database, runs) as rig:
        found = FIGURES[name].measure(rig, effort)
    results.add(database, runs, found)
    print(*(f"    {line}" for line in report.lines(found)), sep="\n", flush=True)


def _growth(place: Site, database: str, effort: Effort, results: report.Results) -> None:
    for kind, measure in growth.ALL.items():
        with _told(f"growth with {kind}, {database}"), place.rig(database, effort.sizes[0]) as rig:
            curves = measure(rig, effort)
        results.add_growth(kind, database, curves)
        for name, points in curves.items():
            print(f"    {name}: " + ", ".join(f"{at}: {value:.1f}" for at, value in points.items()), flush=True)


@contextmanager
def _told(what: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    print(f"  {what}: {time.perf_counter() - began:.0f} s", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure Portal Actions.")
    names = [*FIGURES, GROWTH, PEERS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="measure these only")
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=DATABASES)
    parser.add_argument("--sizes", nargs="+", type=int, help="how many action runs the tables hold, fewest first")
    parser.add_argument("--quick", action="store_true", help="a look: one round, and 100,000 runs at most")
    parser.add_argument("--write", action="store_true", help="put tables and plots into docs/")
    return parser.parse_args()


if __name__ == "__main__":
    main()
