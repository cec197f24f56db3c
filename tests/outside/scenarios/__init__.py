"""Every scenario, by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from tests.outside.play import Play

BOTH = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Scenario:
    """One way to harm a portal.

    Attributes:
        doc: what is done, in a sentence.
        alone: whether nothing else may play beside it, since it takes the whole machine.
        short: whether ``make test`` plays it.
    """

    name: str
    run: Callable[[Play], None]
    databases: tuple[str, ...]
    doc: str
    alone: bool


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    name: str, databases: tuple[str, ...] = BOTH, *, alone: bool = False
) -> Callable[[Callable[[Play], None]], Callable[[Play], None]]:
    """Declare a scenario; the first line of its docstring says what is done."""

    def declare(run: Callable[[Play], None]) -> Callable[[Play], None]:
        SCENARIOS[name] = Scenario(name, run, databases, (run.__doc__ or "").strip().partition("\n")[0], alone)
        return run

    return declare


def load() -> None:
    """Import every module of scenarios."""
    for found in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{found.name}")
