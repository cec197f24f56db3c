"""How much is measured: enough to rely on, or enough for a look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Values = Mapping[str, Sequence[float]]
"""What a figure found, by name, a value for each round. The table shows the median."""


@dataclass(frozen=True)
class Effort:
    """How often and how long.

    Attributes:
        rounds: how often everything is measured.
        seconds: how long each round of a sustained load lasts; the load goes on between them.
        singles: how many runs are started one by one in a round.
        requests: how often each page is asked for in a round.
        pages: how many pages are open at once.
        sizes: how many action runs the tables hold, smallest first.
        workers, steps, lines, bytes, input_bytes: of the growth figures.
    """

    rounds: int
    seconds: float
    singles: int
    requests: int
    pages: int
    sizes: Sequence[int]
    workers: Sequence[int]
    steps: Sequence[int]
    lines: Sequence[int]
    bytes: Sequence[int]
    input_bytes: Sequence[int]


FULL = Effort(
    rounds=5,
    seconds=12,
    singles=25,
    requests=40,
    pages=500,
    sizes=(1_000, 10_000, 100_000, 1_000_000),
    workers=(1, 2, 4, 8),
    steps=(1, 3, 10, 50, 200),
    lines=(1, 10, 100, 1_000, 10_000),
    bytes=(100, 1_000, 10_000, 100_000, 250_000),
    input_bytes=(100, 1_000, 10_000, 100_000, 990_000),
)

QUICK = Effort(
    rounds=1,
    seconds=8,
    singles=20,
    requests=20,
    pages=500,
    sizes=(1_000, 100_000),
    workers=(1, 2),
    steps=(1, 3, 10),
    lines=(1, 100, 1_000),
    bytes=(100, 10_000, 250_000),
    input_bytes=(100, 10_000, 990_000),
)
