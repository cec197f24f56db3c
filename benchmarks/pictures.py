"""Which curves are drawn, and in which file of the docs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.plots import Line, svg

Points = Mapping[str, Mapping[str, float]]
"""Of a curve by name: values by number, which JSON keeps as text."""

_OVER_RUNS = ("POST, p50", "to success, p50", "list, All", "list, deep", "search, broad", "search, none found")
_TITLES = {
    "workers": ("Runs of three steps a second, by workers", "workers", "runs/s"),
    "steps": ("A run, by its steps", "steps", "ms"),
    "lines": ("A step, by its log lines", "log lines", "ms"),
    "bytes": ("A step, by the bytes of its input and output", "bytes", "ms"),
    "input": ("A one-off, by the bytes of its input", "bytes", "ms"),
}


def write(
    found: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]],
    growth: Mapping[str, Mapping[str, Points]],
    folder: Path,
) -> None:
    """Draw everything that was measured."""
    folder.mkdir(exist_ok=True)
    for file, names, title, unit in (
        ("runs", _OVER_RUNS, "Starts and pages, by runs in the tables", "ms"),
        ("throughput", ("runs a second",), "Runs of three steps a second, by runs in the tables", "runs/s"),
    ):
        by_size = {database: _by_size(sizes, names) for database, sizes in found.items()}
        _draw(folder / f"bench-{file}.svg", title, "action runs in the tables", unit, by_size)
    for kind, curves in growth.items():
        title, across, unit = _TITLES[kind]
        _draw(folder / f"bench-{kind}.svg", title, across, unit, curves)


def _by_size(sizes: Mapping[str, Mapping[str, Sequence[float]]], names: Sequence[str]) -> Points:
    return {name: {runs: median(sizes[runs][name]) for runs in sizes if name in sizes[runs]} for name in names}


def _draw(file: Path, title: str, across: str, up: str, curves: Mapping[str, Points]) -> None:
    names = list(dict.fromkeys(name for points in curves.values() for name in points))
    drawn = [
        Line(
            f"{name}, {'SQLite' if database == 'sqlite' else 'PostgreSQL'}",
            {int(at): value for at, value in points[name].items()},
            names.index(name),
            dashed=database == "sqlite",
        )
        for database, points in curves.items()
        for name in points
        if points[name]
    ]
    if drawn:
        file.write_text(svg(title, across, up, drawn))
