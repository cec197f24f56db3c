"""What is to be reached: the rows of the table, in their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

SLOWDOWN = 1.2
"""So much slower, at the most, may a figure be with the most runs in the tables than with the fewest."""


@dataclass(frozen=True)
class Row:
    """A row: the figure's name, what the table calls it, its unit, what is to be reached on each database.

    ``summary`` is what the table shows of all rounds.
    """

    name: str
    label: str
    unit: str = "ms"
    goals: Mapping[str, float] = field(default_factory=dict)
    more_is_better: bool = False
    summary: Callable[[Sequence[float]], float] = median

    def reached(self, database: str, value: float) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        goal = self.goals.get(database)
        if goal is None:
            return None
        return value >= goal if self.more_is_better else value <= goal

    def goal(self, database: str) -> str:
        if database not in self.goals:
            return ""
        return f"{'≥' if self.more_is_better else '≤'} {self.goals[database]:g}"


def _both(postgresql: float, sqlite: float) -> dict[str, float]:
    return {"postgresql": postgresql, "sqlite": sqlite}


_LIST = _both(10, 10)
_REFUSAL = _both(100, 100)

ROWS = (
    Row(
        "runs a second", "template runs of 3 steps a second, sustained", "runs/s", _both(110, 150), more_is_better=True
    ),
    Row("runs a second, first round", "the same in the first round", "runs/s", more_is_better=True),
    Row("runs a second, last round", "the same in the last round", "runs/s", more_is_better=True),
    Row("runs a second, receivers", "the same with receivers on all signals", "runs/s", more_is_better=True),
    Row(
        "receivers, of the rate without",
        "that, of the rate without them",
        "×",
        goals=_both(0.9, 0.9),
        more_is_better=True,
    ),
    Row("lost runs", "accepted runs that did not succeed", "runs", _both(0, 0), summary=sum),
    Row("POST, p50", "POST …/runs, p50", goals=_both(8, 5)),
    Row("POST, p95", "POST …/runs, p95"),
    Row("to running, p50", "submit to first step running, p50", goals=_both(12, 10)),
    Row("to running, p95", "submit to first step running, p95", goals=_both(30, 25)),
    Row("POST to running, p50", "the same from the client's POST, p50"),
    Row("POST to running, p95", "the same from the client's POST, p95"),
    Row("to success, p50", "submit to success, p50", goals=_both(25, 20)),
    Row("to success, p95", "submit to success, p95", goals=_both(60, 50)),
    Row("POST to success, p50", "the same from the client's POST, p50"),
    Row("POST to success, p95", "the same from the client's POST, p95"),
    Row("list, All", "list of 50, All, p50", goals=_LIST),
    *(
        Row(f"list, {status}", f"list, chip {status}, p50", goals=_LIST)
        for status in ("queued", "running", "success", "failed", "canceled")
    ),
    Row("list, mine", "list, Mine, p50", goals=_LIST),
    Row("list, deep", "list, 50,000 rows deep (or half way), p50", goals=_LIST),
    Row("search, narrow", "search that finds 3 runs, half way back, p50", goals=_LIST),
    Row("search, prefix", "search for a letter that begins many words, p50", goals=_LIST),
    Row("search, rare and common", "search for a rare word and a common one, p50", goals=_LIST),
    Row("search, common and common", "search for two common words that meet in 1 run of 40, p50", goals=_LIST),
    Row("search, never together", "search for two common words that never meet: 20,000 runs looked at, p50"),
    Row("search, title", "search for the words of a title, p50", goals=_LIST),
    Row("search, broad", "search that finds most runs, p50", goals=_LIST),
    Row("search, one template", "search for one template of 40, p50", goals=_LIST),
    Row("search, none found", "search that finds nothing, p50", goals=_LIST),
    Row("search, run id", "search for a run's id, p50", goals=_LIST),
    Row("search, run id's beginning", "search for the beginning of an id, p50", goals=_LIST),
    Row("search, failed", "search among the failed, p50", goals=_LIST),
    Row("run page", "page of a run, 10 steps, 1,000 log lines, p50", goals=_both(10, 10)),
    Row("run page, 304", "the same unchanged (304), p50", goals=_both(3, 3)),
    Row("polling, p50", "500 open pages poll, most backed off, p50"),
    Row("polling, p95", "500 open pages poll, most backed off, p95", goals={"postgresql": 100}),
    Row("polling, requests a second", "their requests", "a second"),
    Row("polling, % unchanged", "their answers that are 304", "%"),
    Row("polling a busy portal, p50", "500 open pages poll while runs start, p50"),
    Row("polling a busy portal, p95", "500 open pages poll while runs start, p95"),
    Row("polling a busy portal, requests a second", "their requests", "a second"),
    Row("polling a busy portal, % unchanged", "their answers that are 304", "%"),
    Row("refused, a secret of 870 kB", "CPU of a start refused for a secret of 870 kB", goals=_REFUSAL),
    Row("refused, 25,000 wrong files", "CPU of a start refused for 25,000 wrong files", goals=_REFUSAL),
    Row(
        "refused, 50 secrets and a text of 700 kB, over the limit",
        "CPU of a start with 50 secrets and a text of 700 kB, over the limit",
        goals=_REFUSAL,
    ),
    Row("failed, a secret of 870 kB", "a step that fails for a secret of 870 kB, in a worker", goals=_both(1000, 1000)),
    Row("web process, Rss", "memory of a web process beyond the host's, Rss", "MB", _both(40, 40)),
    Row("web process, Pss", "memory of a web process beyond the host's, Pss", "MB"),
    Row("worker parent, Rss", "memory of a worker's parent beyond the host's, Rss", "MB", _both(60, 60)),
    Row("worker parent, Pss", "memory of a worker's parent beyond the host's, Pss", "MB"),
    Row("import and init_app", "import and init_app in a new process", goals=_both(400, 400)),
    Row("import and init_app, beyond Flask", "the same without the import of Flask"),
    Row("template try", "template try over 200 templates of 300 lines", "s", _both(20, 20)),
    Row("workspace, to keep", "a workspace of 49 MB in 3,000 files is kept"),
    Row("workspace, to bring", "it is brought to another machine"),
    Row("workspace, to keep after a change", "it is kept again, one file of it changed"),
    Row(
        "workspace, another writer's longest wait",
        "the longest wait of another writer meanwhile",
        goals=_both(200, 200),
        summary=max,
    ),
    Row("workspaces, to keep within the total", "1,000 failed runs' workspaces are brought within the total"),
    Row("template try, memory", "its memory at most, Rss", "MB", _both(300, 300)),
)
