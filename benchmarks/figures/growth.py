"""How cost grows with the number of workers, steps, log lines and bytes. A curve is points by database and name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import median

from benchmarks.client import Client
from benchmarks.effort import Effort
from benchmarks.figures import throughput
from benchmarks.figures.latency import one_off, one_run
from benchmarks.figures.run_page import page_and_304
from benchmarks.portal import LOG, write_template
from benchmarks.rig import Rig

Curves = Mapping[str, Mapping[int, float]]
"""By what is measured: its value at each number."""

_WORKERS = 2
_RUNS = 3
_STARTERS = range(1, _RUNS + 1)
"""Who starts runs. Pages are read by somebody else: that of a one-off counts down when its reader may start again."""

_SECONDS = 10.0
_TAKE = "bench.take@v1"


def over_workers(rig: Rig, effort: Effort) -> Curves:
    """Runs of three steps a second, by the number of workers."""
    found = {}
    short = replace(effort, rounds=1, seconds=min(_SECONDS, effort.seconds))
    for workers in effort.workers:
        with rig.web() as web, rig.workers(workers):
            found[workers] = throughput.load(rig, web.address, short)["runs a second"][0]
    return {"runs a second": found}


def over_steps(rig: Rig, effort: Effort) -> Curves:
    """Milliseconds to success and of the page, by the number of steps."""

    def one(client: Client, steps: int) -> Mapping[str, float]:
        name = f"steps-{steps}"
        write_template(rig.folder, name, steps, "debug.log@v1", LOG)
        return _run_and_page(rig, effort, client, name, _few(steps, 20))

    return _over(rig, effort.steps, one)


def over_lines(rig: Rig, effort: Effort) -> Curves:
    """Milliseconds to success and of the page, by the number of log lines that the one step writes."""
    write_template(rig.folder, "lines", 1, "bench.lines@v1", {"lines": "${{ parameters.lines }}"})

    def one(client: Client, lines: int) -> Mapping[str, float]:
        return _run_and_page(rig, effort, client, "lines", _few(lines, 500), lines=lines)

    return _over(rig, effort.lines, one)


def over_bytes(rig: Rig, effort: Effort) -> Curves:
    """Milliseconds of the POST, to success and of the page, by the bytes of one step's input, which is its output."""
    write_template(rig.folder, "bytes", 1, "bench.echo@v1", {"text": "${{ parameters.text }}"})

    def one(client: Client, number: int) -> Mapping[str, float]:
        return _run_and_page(rig, effort, client, "bytes", _RUNS, text="x" * number)

    return _over(rig, effort.bytes, one)


def over_input(rig: Rig, effort: Effort) -> Curves:
    """The same by the bytes of a one-off's input alone, up to the largest body that the API takes.

    What a template hands to a step may not be as large.
    """

    def one(client: Client, size: int) -> Mapping[str, float]:
        runs = [one_off(rig, client, number, _TAKE, text="x" * size) for number in _STARTERS]
        newest = rig.number(
            f"SELECT id FROM portal_actions_action_runs WHERE action = '{_TAKE}' ORDER BY id DESC LIMIT 1"
        )
        return _with_page(effort, client, runs, f"/actions/runs/{newest}")

    return _over(rig, effort.input_bytes, one)


ALL: Mapping[str, Callable[[Rig, Effort], Curves]] = {
    "workers": over_workers,
    "steps": over_steps,
    "lines": over_lines,
    "bytes": over_bytes,
    "input": over_input,
}


def _over(rig: Rig, numbers: Sequence[int], one: Callable[[Client, int], Mapping[str, float]]) -> Curves:
    found: dict[str, dict[int, float]] = {}
    with rig.web() as web, rig.workers(_WORKERS):
        client = Client(web.address)
        for number in _STARTERS:
            one_run(rig, client, number)
        for number in numbers:
            for name, value in one(client, number).items():
                found.setdefault(name, {})[number] = value
    return found


def _few(number: int, at_once: int) -> int:
    """How often a run is repeated: what takes long is measured well enough at once."""
    return 1 if number > at_once else _RUNS


def _run_and_page(
    rig: Rig, effort: Effort, client: Client, template: str, times: int, **inputs: object
) -> Mapping[str, float]:
    runs = [one_run(rig, client, number, template, **inputs) for number in range(times)]
    newest = rig.number(
        f"SELECT id FROM portal_actions_template_runs WHERE template = '{template}' ORDER BY id DESC LIMIT 1"
    )
    return _with_page(effort, client, runs, f"/templates/runs/{newest}")


def _with_page(effort: Effort, client: Client, runs: Sequence[Mapping[str, float]], path: str) -> Mapping[str, float]:
    page = page_and_304(client, path, replace(effort, rounds=1, requests=10))
    return {
        "POST": median(run["POST"] for run in runs),
        "to success": median(run["to success"] for run in runs),
        **{name: values[0] for name, values in page.items()},
    }
