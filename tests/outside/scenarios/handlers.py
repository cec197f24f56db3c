"""Hostile handlers, each followed by an innocent run of somebody else."""

from __future__ import annotations

import ast
import time
from typing import Any

from tests.outside.parts import wait_until
from tests.outside.play import Play
from tests.outside.scenarios import scenario
from tests.outside.stage import HOST, Stage

OVER_SECONDS = 60
"""A hostile run may take until its deadline, a lease and its grace, and its worker may have to be forked anew."""

WRITES_LATER = "later"


def deeds() -> list[str]:
    """The names of the hostile handlers, read from their source: they are nothing to import here."""
    tree = ast.parse((HOST / "outside_hostile.py").read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [
        one.name for one in functions if any(isinstance(of, ast.Name) and of.id == "deed" for of in one.decorator_list)
    ]


@scenario("hostile-handlers")
def hostile_handlers(play: Play) -> None:
    """Some seventy hostile handlers, one after another, each followed by an innocent run that must succeed untouched."""
    stage = play.open(workers=1)
    names = deeds()
    play.rng.shuffle(names)
    _, before = _innocent(play, stage, "before", 0)
    share = max(3, round(play.span(len(names))))
    for name in names[:share]:
        _hostile(play, stage, name)
        seconds = 0.8 if WRITES_LATER in name or "killed" in name else 0.0
        try:
            status, found = _innocent(play, stage, name, seconds)
        except TimeoutError as error:
            play.verdict.notes.append(f"after {name}: {error}")
            continue
        changed = {what: [before.get(what), value] for what, value in found.items() if before.get(what) != value}
        if status != "success" or changed:
            play.verdict.notes.append(f"after {name} an innocent run ended as {status}, and found {changed}")
    _look_for_late_writers(play, stage)
    play.settle()


def _hostile(play: Play, stage: Stage, name: str) -> None:
    run_id = stage.client.start_action("hostile.do@v1", {"deed": name}, key=f"hostile-{name}", who="mallory")
    try:
        wait_until(lambda: stage.client.action_run(run_id)["status"] not in ("queued", "running"), OVER_SECONDS)
    except TimeoutError:
        play.verdict.notes.append(f"{name} is still {stage.client.action_run(run_id)['status']} after {OVER_SECONDS} s")


def _innocent(play: Play, stage: Stage, name: str, seconds: float) -> tuple[str, dict[str, Any]]:
    given = {"seconds": seconds}
    run_id = stage.client.start_action("hostile.innocent@v1", given, key=f"innocent-{name}", who="ada")
    begun = time.monotonic()
    wait_until(
        lambda: stage.client.action_run(run_id)["status"] not in ("queued", "running"),
        OVER_SECONDS,
        "the innocent run is over",
    )
    run = stage.client.action_run(run_id)
    if (took := time.monotonic() - begun) > seconds + 20:
        play.verdict.notes.append(f"after {name} an innocent run took {took:.1f} s")
    if run["status"] != "success":
        return f"{run['status']} ({(run['error'] or {}).get('message')})", {}
    found: dict[str, Any] = run["outputs"]["surroundings"]
    return run["status"], found


def _look_for_late_writers(play: Play, stage: Stage) -> None:
    """A descendant of a hostile run must be gone before the lock that the run held is another's."""
    effects = stage.lines("effects")
    held = [line for line in effects if line["event"] == "begin"]
    for late in stage.lines("late"):
        [begun] = [line["at"] for line in held if line["action_run"] == late["action_run"]]
        later = [line["at"] for line in held if begun < line["at"] < late["at"]]
        if later:
            play.verdict.notes.append(
                f"a descendant wrote {late['at'] - later[0]:.1f} s after the lock had passed on: {late}"
            )
            return
