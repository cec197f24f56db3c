"""Random kills rarely hit the windows that matter: here a process is killed, stopped or canceled at each pause point."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.chaos.play import TICK_SECONDS, Play, playing
from tests.chaos.points import every_point, table

LONG = "CHAOS_RUNS" in os.environ
MODES = ("kill", "stop", "cancel") if LONG else ("kill",)
SEED = int(os.environ.get("CHAOS_SEED") or 1)
RUNS = 40 if LONG else 0
"""At least so many are started: some points are reached in several kinds of process, and the long form visits each."""

AT_ONCE = 8
PATIENCE_SECONDS = {"kill": 1200, "stop": 2400, "cancel": 1200}
NUDGE_SECONDS = 1.5

_ANOTHER_PORTAL = "a portal that gets another identity is stopped before: its names on Redis are others then"
_YOUNG = "files of templates go when no run was started with them for days"
_BOUNDED = "this portal has a bound on one person's steps: only one without it lets all go that are held back"
_NEVER = {
    **dict.fromkeys(("new_identity.before_commit", "new_identity.committed"), _ANOTHER_PORTAL),
    **dict.fromkeys(("template_files_gone.before_commit", "template_files_gone.committed"), _YOUNG),
    **dict.fromkeys(("let_go.before_commit", "let_go.committed"), _BOUNDED),
}
_ON_SQLITE = {
    f"{name}.{moment}": "SQLite has no files of workspaces in it"
    for name in ("workspace_put", "workspace_delete")
    for moment in ("before_commit", "committed")
}
NOT_REACHABLE: dict[str, dict[str, str]] = {"kill": _NEVER, "stop": _NEVER, "cancel": _NEVER}
"""By mode, points that no process can come to in it, and why."""


@pytest.mark.nightly
@pytest.mark.timeout(max(PATIENCE_SECONDS.values()) + 1200)
@pytest.mark.parametrize("mode", MODES)
def test_a_process_may_be_killed_stopped_or_canceled_at_every_pause_point(
    database_url: str, tmp_path: Path, mode: str
) -> None:
    unreachable = {**NOT_REACHABLE[mode], **(_ON_SQLITE if database_url.startswith("sqlite") else {})}
    points = [point for point in every_point() if point not in unreachable]
    began = time.monotonic()
    with playing(tmp_path / "chaos", database_url, SEED, mode=mode, every_role=LONG) as play:
        while missing(play, points) or play.started < RUNS:
            if time.monotonic() - began > PATIENCE_SECONDS[mode]:
                break
            play.keep_busy(1000, AT_ONCE)
            play.tick()
            nudge(play, missing(play, points))
        reached_after = time.monotonic() - began
        wrong = play.settle()
        print(f"\n{mode} at each pause point on {database_url.partition(':')[0]}:")
        print(table(points, list(play.points.values())))
        print(f"{play.summary()}\n  reached after {reached_after:.0f} s, calm after {time.monotonic() - began:.0f} s")
        left = missing(play, points)
        unknown = {reached.point for reached in play.points.values()} - set(every_point())
    assert not wrong, "\n".join(wrong)
    assert not unknown, f"a point that every_point() does not find: {sorted(unknown)}"
    assert not left, f"no process came to {sorted(left)}"


def missing(play: Play, points: list[str]) -> set[str]:
    return set(points) - {reached.point for reached in play.points.values()}


def nudge_redis(play: Play, names: set[str]) -> None:
    if "foreign_doorbells" in names:
        play.ring_for_nobody()
    if "doorbell_lost" in names and play.rng.random() < 0.3:
        play.arena.kill_redis(1.5, keep_data=True)
    if "redis_forgot" in names and play.rng.random() < 0.3:
        play.arena.kill_redis(0.5, keep_data=False)


def nudge_files(play: Play, names: set[str]) -> None:
    """Files of templates are kept once: on PostgreSQL who is killed just after a single write has committed it already.

    A web process that nobody waits for has come up, and has done what it was asked.
    """
    if names & {"template_files_row", "template_files_kept"} and not play.asking:
        play.forget_files()
        for web in play.arena.processes("web"):
            play.arena.kill(web)


def nudge(play: Play, left: set[str]) -> None:
    """Now and then bring about what some points need: they lie on ways that a healthy portal does not take."""
    if play.rng.random() > TICK_SECONDS / NUDGE_SECONDS:
        return
    names = {point.rpartition(".")[0] for point in left}
    if "pass_on" in names:
        play.hold_one_back()
    if "search_terms" in names:
        play.forget_words()
    nudge_files(play, names)
    if names & {"cancel", "signal.portal-actions.action-run-finished"}:
        play.cancel_one()
    if "refuse" in names:
        play.be_refused()
    nudge_redis(play, names)
    if names & {"doctor_mends", "doctor_writes"}:
        play.arena.command("doctor", "--fix")
    if names & {"prune", "sum_metrics"}:
        play.leave_an_old_audit_row()
        play.arena.command("prune", "--older-than", "1h", "--audit-older-than", "1h")
    workers = play.arena.processes("worker")
    parents = {worker.parent for worker in workers}
    busy = {job.parent for job in play.arena.processes("job")}
    if "take_over" in names and (victims := [worker for worker in workers if worker.pid in busy]):
        play.arena.kill(play.rng.choice(victims))
    supervisors = [process for process in play.arena.processes("supervisor") if process.pid in parents]
    if "workers_stopped" in names and supervisors and play.rng.random() < 0.3:
        play.arena.end_calmly(play.rng.choice(supervisors))
