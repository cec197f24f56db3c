"""Results, and the tables made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.effort import Values


@dataclass
class Results:
    """Everything that was measured: by database, size of the tables and name, a value for each round."""

    command: Sequence[str]
    found: dict[str, dict[int, dict[str, Sequence[float]]]] = field(default_factory=dict)

    @classmethod
    def begin(cls, command: Sequence[str]) -> Results:
        return cls(command)

    def add(self, database: str, runs: int, values: Values) -> None:
        self.found.setdefault(database, {}).setdefault(runs, {}).update(values)

    def tables(self) -> str:
        tables = []
        for database, sizes in self.found.items():
            names = list(dict.fromkeys(name for values in sizes.values() for name in values))
            head = [database, *(f"{runs:,} runs" for runs in sizes)]
            rows = [
                [name, *(f"{median(values[name]):.1f}" if name in values else "" for values in sizes.values())]
                for name in names
            ]
            tables.append(table([head, *rows]))
        return "\n\n".join(tables)


def table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row is its head."""
    marks = ["---", *["---:"] * (len(rows[0]) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [rows[0], marks, *rows[1:]])


def lines(values: Values) -> Iterator[str]:
    """What a figure found, for who watches."""
    for name, rounds in values.items():
        yield f"{name}: {median(rounds):.2f}   ({', '.join(f'{value:.1f}' for value in rounds)})"
