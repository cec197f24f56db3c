"""What has to be true when calm has come, from the tables by plain SQL and from the lines that handlers and receivers wrote."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tests.outside.parts import Database
from tests.outside.stage import ITEMS, SHARED, Stage

Row = dict[str, Any]
EXPECTED = (("outside.once@v1", "WORKER_LOST"), ("outside.refuse@v1", "VALIDATION_ERROR"))
"""What an action may fail with."""

ACTIVE = ("queued", "running")
A_LOOK_AND_A_WRITE_SECONDS = 3.0
"""From a handler's look at whose run it is to the line that it then writes, on a busy machine."""


def unfinished(database: Database) -> list[str]:
    """What something is still going to happen to: active, locked, not announced, or an attempt without an end."""
    held = "lock_held = 1" if database.kind == "sqlite" else "lock_held"
    found = []
    for table, more in (("template_runs", ""), ("action_runs", f" OR {held}")):
        found += database.rows(
            f"SELECT id, status, announced_at, finished_at FROM portal_actions_{table}"
            f" WHERE status IN ('queued', 'running') OR announced_at IS NULL{more}"
        )
    found += database.rows("SELECT action_run_id, number FROM portal_actions_attempts WHERE finished_at IS NULL")
    return [shown(row) for row in found]


@dataclass
class Excuses:
    """What the scenario itself is to blame for.

    Attributes:
        resumed: processes that were stopped, each with the moment at which it was let go on.
        forgotten: ids of runs that went with the commits that a failover lost.
        repeated: ids of runs whose last commits went with it.
    """

    resumed: dict[int, float] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)
    repeated: set[str] = field(default_factory=set)

    def excuse(self, line: Row) -> bool:
        """Whether a process was stopped between its look and its write."""
        at = self.resumed.get(line["pid"])
        return at is not None and at - 0.1 <= line["at"] <= at + A_LOOK_AND_A_WRITE_SECONDS


class Truth:
    """Rows and lines, read once."""

    def __init__(self, stage: Stage, excuses: Excuses) -> None:
        rows = stage.database.rows
        self.excuses = excuses
        self.template_runs = {row["id"]: row for row in map(plain, rows("SELECT * FROM portal_actions_template_runs"))}
        self.action_runs = {row["id"]: row for row in map(plain, rows("SELECT * FROM portal_actions_action_runs"))}
        self.attempts = grouped(map(plain, rows("SELECT * FROM portal_actions_attempts")), "action_run_id")
        self.audit = grouped(map(plain, rows("SELECT run_id, event, outcome FROM portal_actions_audit")), "run_id")
        self.effects = stage.lines("effects")
        self.told = {(line["run"], line["status"]) for line in stage.lines("signals")}
        self.client = stage.client

    def run(self, run_id: str) -> Row | None:
        return self.template_runs.get(run_id) or self.action_runs.get(run_id)

    def lost(self) -> Iterator[str]:
        for key, (run_id, _) in self.client.accepted.items():
            if run_id not in self.excuses.forgotten and self.run(run_id) is None:
                yield f"{key} was accepted as {run_id}, which is not there"

    def shared(self) -> int:
        """How many runs have steps that share a folder."""
        return sum(run["template"] == SHARED for run in self.template_runs.values())

    def unshared(self) -> Iterator[str]:
        """Files, items and cleanups that are missing, or are too many."""
        steps = grouped((row for row in self.action_runs.values() if row["template_run_id"]), "template_run_id")
        for run in (run for run in self.template_runs.values() if run["template"] == SHARED):
            if run["id"] in self.excuses.repeated:
                continue
            places = sorted((row["position"], row["item"]) for row in steps[run["id"]] if row["status"] == "success")
            every = [(0, item) for item in range(len(ITEMS))]
            if run["status"] in ("success", "failed") and places != [*every, (2, 0)]:
                yield f"it has done {places}: {shown(run)}"
            if run["failed_at_step"] not in (None, 1) or (run["status"] == "failed") != (run["failed_at_step"] == 1):
                yield f"it has not failed where it is refused: {shown(run)}"
        for line in (line for line in self.effects if line["event"] == "begin" and "files" in line):
            row = self.action_runs.get(line["action_run"])
            expected = ITEMS[: row["item"]] if row and row["position"] == 0 else ITEMS
            if row and line["files"] != dict.fromkeys(expected, "done"):
                yield f"it was given {line['files']}: {shown(row)}"

    def stuck(self) -> Iterator[str]:
        for row in (*self.template_runs.values(), *self.action_runs.values()):
            if row["status"] in ACTIVE or row["finished_at"] is None:
                yield f"not over: {shown(row)}"

    def doubled(self) -> Iterator[str]:
        told = {run_id for run_id, _ in self.client.accepted.values()}
        extra = set(self.template_runs) | {one["id"] for one in self.action_runs.values() if not one["template_run_id"]}
        for run_id in extra - told:
            yield f"a run that nobody was told of: {run_id}"
        steps = [row for row in self.action_runs.values() if row["template_run_id"]]
        places = Counter((row["template_run_id"], row["position"], row["item"]) for row in steps)
        yield from (f"a step was queued twice: {place}" for place, count in places.items() if count > 1)
        begun = Counter((one["action_run"], one["attempt"]) for one in self.effects if one["event"] == "begin")
        for (run_id, attempt), count in begun.items():
            row = self.action_runs.get(run_id)
            if row and row["id"] in self.excuses.repeated | self.excuses.forgotten:
                continue
            if count > 1:
                yield f"attempt {attempt} of {run_id} began {count} times"
            if row and row["action"] == "outside.once@v1" and attempt > 1:
                yield f"a step that must not be repeated was: {shown(row)}"
        for run_id, numbers in self._numbers().items():
            if numbers != list(range(1, len(numbers) + 1)):
                yield f"attempts {numbers} of {run_id}"

    def _numbers(self) -> dict[str, list[int]]:
        return {run_id: sorted(one["number"] for one in found) for run_id, found in self.attempts.items()}

    def failed_for_nothing(self) -> Iterator[str]:
        """An innocent run may fail only because its worker died, and may then not be repeated."""
        for row in self.action_runs.values():
            if row["status"] != "failed" or not row["action"].startswith("outside."):
                continue
            why = (row["action"], row["error_code"])
            if row["attempt"] >= row["max_attempts"] or why in EXPECTED or self._was_done_before(row):
                continue
            yield f"failed: {shown(row)}"

    def _was_done_before(self, row: Row) -> bool:
        """Whether its run had succeeded in commits that are lost: the files that its steps shared went then."""
        return row["id"] in self.excuses.repeated and "not in its store any more" in (row["error_message"] or "")

    def begun_after_cancel(self) -> Iterator[str]:
        for run_id, confirmed in self.client.canceled_at.items():
            run = self.template_runs.get(run_id)
            if run is None:
                continue
            if run["status"] != "canceled":
                yield f"its cancel was confirmed, but it became {shown(run)}"
            for row in (one for one in self.action_runs.values() if one["template_run_id"] == run_id):
                for one in self.attempts.get(row["id"], ()):
                    if run["finished_at"] and one["started_at"] > run["finished_at"]:
                        yield f"attempt {one} began after the cancel of {shown(run)}"
            for line in self.effects:
                late = line["at"] - confirmed
                if line["run"] == run_id and late > A_LOOK_AND_A_WRITE_SECONDS and not self.excuses.excuse(line):
                    yield f"an effect {late:.1f} s after the confirmed cancel: {line}"

    def two_holders(self) -> Iterator[str]:
        """No line of one holder between the begin and the end of another."""
        locked = grouped((line for line in self.effects if line.get("lock")), "lock")
        for key, lines in locked.items():
            holders = grouped(({**line, "who": (line["action_run"], line["attempt"])} for line in lines), "who")
            spans = [(who, of[0]["at"], of[-1]["at"]) for who, of in holders.items() if of[-1]["event"] == "end"]
            for who, begun, ended in spans:
                for line in lines:
                    its = (line["action_run"], line["attempt"])
                    if its != who and begun < line["at"] < ended and not self.excuses.excuse(line):
                        yield f"the lock {key}: {who} held it from {begun} to {ended}, and {line}"

    def untold(self) -> Iterator[str]:
        """The signals and audit rows that are missing."""
        for row in (*self.template_runs.values(), *self.action_runs.values()):
            if row["status"] in ACTIVE:
                continue
            if (row["id"], row["status"]) not in self.told and row["id"] not in self.excuses.repeated:
                yield f"no receiver heard of the end of {shown(row)}"
            events = {(one["event"], one["outcome"]) for one in self.audit.get(row["id"], ())}
            kind = "template_run" if "template_version" in row else "action_run"
            ends = {(f"{kind}.finish", row["status"]), (f"{kind}.cancel", "canceled")}
            if not events & ends:
                yield f"the audit has no end of {shown(row)}: {events}"
            if kind == "template_run" and (f"{kind}.start", "accepted") not in events:
                yield f"the audit has no start of {shown(row)}: {events}"


def grouped(rows: Iterable[Row], by: str) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[by]].append(row)
    return found


def plain(row: Row) -> Row:
    """Ids as the API writes them: SQLite keeps them without dashes, PostgreSQL as what they are."""
    ids = ("id", "run_id", "action_run_id", "template_run_id")
    return {name: str(UUID(str(value))) if name in ids and value else value for name, value in row.items()}


def shown(row: Row) -> str:
    """A row for people: what is empty or large is left out."""
    left_out = ("definition", "title", "requester_name", "step_name", "inputs", "input", "outputs", "requested_by")
    return ", ".join(f"{name}={value}" for name, value in row.items() if value is not None and name not in left_out)
