"""Results, the tables and plots made of them, and the page of the docs that they go to."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import pictures
from benchmarks.effort import Effort, Values
from benchmarks.figures.growth import Curves
from benchmarks.goals import ROWS, SLOWDOWN, Row

DOCS = Path(__file__).parent.parent / "docs"
_NAMES = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}
_PACKAGES = ("rq", "redis", "SQLAlchemy", "psycopg", "Flask", "gunicorn")


@dataclass
class Results:
    """Everything that was measured.

    Attributes:
        about: when, where, how, and with which versions.
        found: by database, size of the tables and name, a value for each round.
        growth: by kind, database and name, points.
        peers: by name, figures, or ``missing`` with the reason.
    """

    about: dict[str, Any]
    found: dict[str, dict[str, dict[str, Sequence[float]]]] = field(default_factory=dict)
    growth: dict[str, dict[str, Mapping[str, Mapping[str, float]]]] = field(default_factory=dict)
    peers: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def begin(cls, arguments: Sequence[str], effort: Effort, servers: Mapping[str, str]) -> Results:
        about = {
            "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "command": shlex.join(["make", "bench", *([f"ARGS={shlex.join(arguments)}"] if arguments else [])]),
            "cores": os.cpu_count(),
            "machine": f"{platform.system()} {platform.machine()}",
            "Python": platform.python_version(),
            "versions": {**servers, **{name: version(name) for name in _PACKAGES}},
            "effort": asdict(effort),
        }
        return cls(about)

    @classmethod
    def read(cls, file: Path) -> Results:
        """Read back what ``write`` wrote."""
        return cls(**json.loads(file.read_text()))

    def add(self, database: str, runs: int, values: Values) -> None:
        """Keep what was found, beside the rounds of an earlier time."""
        of_size = self.found.setdefault(database, {}).setdefault(str(runs), {})
        for name, rounds in values.items():
            of_size[name] = [*of_size.get(name, ()), *rounds]

    def add_growth(self, kind: str, database: str, curves: Curves) -> None:
        self.growth.setdefault(kind, {})[database] = {
            name: {str(at): value for at, value in points.items()} for name, points in curves.items()
        }

    def text(self) -> str:
        """All tables, and what they were measured with."""
        about = self.about
        versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
        effort = about["effort"]
        where = f"{about['date']}, {about['cores']} cores, {about['machine']}, Python {about['Python']}, {versions}."
        how = f"`{about['command']}`: the median of {effort['rounds']} rounds of {effort['seconds']:g} s of load each."
        tables = [f"### {_NAMES[name]}\n\n{_figures(name, sizes)}" for name, sizes in self.found.items()]
        if self.peers:
            tables.append(f"### Peers\n\n{self._peers()}")
        return "\n\n".join([where + "\n" + how, *tables])

    def write(self) -> None:
        """Put the tables into the page, the plots beside it, and the raw results there too."""
        (DOCS / "benchmarks.json").write_text(json.dumps(asdict(self), indent=1, sort_keys=True) + "\n")
        page = DOCS / "benchmarks.md"
        marks = re.compile(r"(?<=<!-- tables -->\n).*(?=<!-- end of tables -->)", re.DOTALL)
        written, times = marks.subn(lambda _: f"{self.text()}\n", page.read_text())
        if times != 1:
            raise SystemExit(f"{page} has lost its marks")
        page.write_text(written)
        pictures.write(self.found, self.growth, DOCS / "pictures")

    def _peers(self) -> str:
        rows = [
            ["three steps a run, 2 workers", "runs/s", "from the client's start to success, p50", "p95", "stranded"]
        ]
        names = ("runs a second", "POST to success, p50", "POST to success, p95")
        for database, sizes in self.found.items():
            values = next(iter(sizes.values()))
            if all(name in values for name in names):
                numbers = [median(values[name]) for name in names]
                lost = f"{sum(values['lost runs']):.0f}"
                rows.append([f"Portal Actions, {_NAMES[database]}", f"{numbers[0]:.1f}", *map(_ms, numbers[1:]), lost])
        for name, peer in self.peers.items():
            label = f"{name} ({peer['version']})"
            if "missing" in peer:
                rows.append([label, "not measured", "", "", ""])
                continue
            times = [_ms(peer["to success, p50"]), _ms(peer["to success, p95"])]
            stranded = f"{peer['stranded']} of {peer['started']}"
            rows.append([label, f"{peer['runs a second']:.1f}", *times, stranded])
        return table(rows)


def _figures(database: str, sizes: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """The figures at the fewest and at the most runs, and how much slower the latter are."""
    ends = list(dict.fromkeys([min(sizes, key=int), max(sizes, key=int)]))
    rows = [["figure", "to reach", *(f"{int(runs):,} runs" for runs in ends), f"slowdown, to reach ≤ {SLOWDOWN} ×"]]
    for row in ROWS:
        values = [row.summary(sizes[runs][row.name]) if row.name in sizes[runs] else None for runs in ends]
        if any(value is not None for value in values):
            rows.append(
                [row.label, row.goal(database), *(_cell(row, database, one) for one in values), _slower(row, values)]
            )
    return table(rows)


def _cell(row: Row, database: str, value: float | None) -> str:
    if value is None:
        return ""
    text = f"{value:.1f} {row.unit}" if value < 100 else f"{value:,.0f} {row.unit}"
    return f"{text} ✓" if row.reached(database, value) else text


def _slower(row: Row, values: Sequence[float | None]) -> str:
    first, last = values[0], values[-1]
    if len(values) < 2 or row.unit not in ("ms", "runs/s") or not first or not last:
        return ""
    slowdown = first / last if row.more_is_better else last / first
    return f"{slowdown:.2f} ×{' ✓' if slowdown <= SLOWDOWN else ''}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row is its head."""
    marks = ["---", *["---:"] * (len(rows[0]) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [rows[0], marks, *rows[1:]])


def lines(values: Values) -> Iterator[str]:
    """What a figure found, for who watches."""
    for name, rounds in values.items():
        yield f"{name}: {median(rounds):.2f}   ({', '.join(f'{value:.1f}' for value in rounds)})"


def _ms(value: float) -> str:
    return f"{value:,.0f} ms"
