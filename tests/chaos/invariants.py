"""What has to be true once calm has come, whatever was done. Each rule yields a sentence for each thing that is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from sqlalchemy import or_, select

from portal_actions_plugin.runs.states import ACTIVE, CANCELED, FAILED, LOST, OVER, SUCCESS
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Database
from tests.chaos.actions import (
    CLEANING,
    ONCE,
    PICKY,
    REFUSED,
    SHARED,
    STEP_IDS,
    WRITING,
    Items,
    items_at,
    own_file,
    own_words,
    place_before,
)
from tests.chaos.arena import Arena
from tests.chaos.client import Client
from tests.chaos.truth import Row, Stage, Truth, grouped, shown


def unfinished(database: Database) -> list[str]:
    """The rows that something is still going to happen to: active, locked, or not announced."""
    with database.reading() as db:
        rows = [
            *db.rows(
                select(tables.template_runs).where(
                    or_(tables.template_runs.c.status.in_(ACTIVE), tables.template_runs.c.announced_at.is_(None))
                )
            ),
            *db.rows(
                select(tables.action_runs).where(
                    or_(
                        tables.action_runs.c.status.in_(ACTIVE),
                        tables.action_runs.c.lock_held,
                        tables.action_runs.c.announced_at.is_(None),
                    )
                )
            ),
            *db.rows(select(tables.attempts).where(tables.attempts.c.finished_at.is_(None))),
        ]
    return [shown(row) for row in rows]


def endings(database: Database) -> Counter[str]:
    with database.reading() as db:
        return Counter(row["status"] for row in db.rows(select(tables.template_runs.c.status)))


def violations(database: Database, arena: Arena, client: Client) -> list[str]:
    truth = Truth.read(database, arena, client)
    return [f"{rule.__name__}: {wrong}" for rule in RULES for wrong in rule(truth)]


def every_accepted_run_is_there_once(truth: Truth) -> Iterator[str]:
    for key, run_id in truth.runs.items():
        if run_id not in truth.template_runs:
            yield f"the run {run_id} of {key} was accepted and is not there"
        if truth.keys.get(key) != run_id:
            yield f"{key} was answered with {run_id} and is kept for {truth.keys.get(key)}"
    if extra := set(truth.template_runs) - set(truth.runs.values()):
        yield f"runs that nobody was told of: {extra}"


def everything_is_over(truth: Truth) -> Iterator[str]:
    for row in (*truth.template_runs.values(), *truth.action_runs.values()):
        if row["status"] not in OVER or row["finished_at"] is None:
            yield f"not over: {shown(row)}"
    for row in truth.action_runs.values():
        if row["lock_held"]:
            yield f"holds a lock still: {shown(row)}"


def the_steps_fit_their_run(truth: Truth) -> Iterator[str]:
    for run in truth.template_runs.values():
        steps = truth.stages(run["id"])
        statuses = [step.status for step in steps]
        if [step.step_id for step in steps] != list(STEP_IDS[: len(steps)]):
            yield f"steps are missing or out of order: {steps}"
        failed_at = statuses.index(FAILED) if FAILED in statuses else len(statuses)
        if any(status != SUCCESS for status in statuses[: min(failed_at, len(statuses) - 1)]):
            yield f"a step came after one that had not succeeded: {statuses} in {shown(run)}"
        if run["status"] == SUCCESS and statuses != [SUCCESS] * len(STEP_IDS):
            yield f"a successful run with {statuses}: {shown(run)}"
        if run["status"] == CANCELED and statuses[-1:] != [CANCELED]:
            yield f"a canceled run with {statuses}: {shown(run)}"
        if run["status"] != CANCELED:
            late = [row for row in truth.steps(run["id"]) if row["finished_at"] > run["finished_at"]]
            yield from (f"a step was over after its run: {shown(row)}" for row in late)
        for before, after in pairwise(steps):
            over = max(row["finished_at"] for row in before.rows)
            yield from (
                f"a step started before the last was over: {shown(row)}"
                for row in after.rows
                if row["started_at"] and row["started_at"] < over
            )


def no_item_is_lost_or_done_out_of_its_turn(truth: Truth) -> Iterator[str]:
    for run in truth.template_runs.values():
        for stage in truth.stages(run["id"]):
            items = items_at(run["template"], stage.position)
            if items:
                yield from _out_of_turn(stage, items)
            elif len(stage.rows) != 1:
                yield f"a step without items has {len(stage.rows)} rows: {stage}"


def _out_of_turn(stage: Stage, items: Items) -> Iterator[str]:
    places = [row["item"] for row in stage.rows]
    every = list(range(len(items.values)))
    if len(set(places)) < len(places) or not set(places) <= set(every):
        yield f"the items {places}: {stage}"
    if stage.status == SUCCESS and places != every:
        yield f"a step is done with the items {places}: {stage}"
    if items.concurrency == 1 and places != every[: len(places)]:
        yield f"an item was left out, of {places}: {stage}"
    begun = [row for row in stage.rows if row["started_at"]]
    for one in begun:
        beside = [row for row in begun if row["started_at"] <= one["started_at"] < row["finished_at"]]
        if len(beside) > items.concurrency:
            yield f"{len(beside)} items at a time: {stage}"


def a_step_has_the_list_that_its_items_are_of(truth: Truth) -> Iterator[str]:
    kept = {place: [row["value"] for row in rows if row["runs"]] for place, rows in truth.lists.items()}
    expected = {
        (run["id"], stage.position): list(items.values)
        for run in truth.template_runs.values()
        for stage in truth.stages(run["id"])
        if (items := items_at(run["template"], stage.position))
    }
    for place in kept.keys() | expected.keys():
        if kept.get(place) != expected.get(place):
            yield f"the list of {place} is {kept.get(place)}, and not {expected.get(place)}"


def a_resumed_run_goes_on_with_what_was_made(truth: Truth) -> Iterator[str]:
    for run in truth.template_runs.values():
        taken = {_place(row): row["outputs"] for row in truth.taken_over if row["template_run_id"] == run["id"]}
        source = truth.template_runs.get(run["retry_of"])
        done = [row for row in truth.steps(run["retry_of"]) if row["status"] == SUCCESS] if source else []
        made = {_place(row): row["outputs"] for row in done if row["position"] <= source["failed_at_step"]}
        if taken != made:
            yield f"it has taken over {taken}, of {made}: {shown(run)}"
        again = [
            row for row in truth.action_runs.values() if row["template_run_id"] == run["id"] and _place(row) in made
        ]
        yield from (f"what was done before is done again: {shown(row)}" for row in again)


def _place(row: Row) -> tuple[int, int]:
    return row["position"], row["item"]


def a_step_has_the_files_that_those_before_it_have_kept(truth: Truth) -> Iterator[str]:
    for effect in truth.effects:
        if "files" in effect:
            row = truth.action_runs[effect["action_run"]]
            kept = _kept_before(truth, row)
            if effect["files"] != kept:
                yield f"attempt {effect['attempt']} has {effect['files']}, and not {kept}: {shown(row)}"


def _kept_before(truth: Truth, row: Row) -> dict[str, str]:
    kept: dict[str, str] = {}
    for one in truth.steps(row["template_run_id"]):
        if one["action"] in WRITING and one["status"] == SUCCESS and _place(one) < _place(row):
            items = items_at(one["template"], one["position"])
            name = own_file(one["step_id"], items.values[one["item"]] if items else "")
            kept |= {SHARED: one["step_id"], name: own_words(one["outputs"])}
    return kept


def nothing_but_a_workspace_that_is_gone_keeps_a_run_from_being_resumed(truth: Truth) -> Iterator[str]:
    for run_id in truth.gone:
        if not any(row["emptied_at"] for row in truth.workspaces[run_id]):
            yield f"it has its workspace still: {shown(truth.template_runs[run_id])}"


def a_run_that_failed_has_cleaned_up(truth: Truth) -> Iterator[str]:
    for run in truth.template_runs.values():
        statuses = [step.status for step in truth.stages(run["id"])]
        failed_at = statuses.index(FAILED) if FAILED in statuses else None
        cleans_up = run["template"] in CLEANING and failed_at == 1
        if run["failed_at_step"] != failed_at:
            yield f"it has not failed at {run['failed_at_step']}: {statuses} in {shown(run)}"
        if run["status"] == FAILED and failed_at is None:
            yield f"a failed run with {statuses}: {shown(run)}"
        if failed_at is not None and cleans_up != (len(statuses) == failed_at + 2):
            yield f"it was {'' if cleans_up else 'not '}to clean up: {statuses} in {shown(run)}"


def a_run_fails_only_for_a_reason(truth: Truth) -> Iterator[str]:
    for step in truth.action_runs.values():
        if step["status"] == FAILED:
            used_up = step["attempt"] >= step["max_attempts"]
            reasons = {REFUSED: "VALIDATION_ERROR", ONCE: "WORKER_LOST", PICKY: "CONFLICT"}
            if not used_up and reasons.get(step["action"]) != step["error_code"]:
                yield shown(step)


def a_canceled_run_stays_canceled_and_starts_nothing_more(truth: Truth) -> Iterator[str]:
    for run_id in truth.canceled_at:
        if truth.template_runs[run_id]["status"] != CANCELED:
            yield f"its cancel was confirmed, but it became {shown(truth.template_runs[run_id])}"
    for run in truth.template_runs.values():
        if run["status"] != CANCELED:
            continue
        if run["id"] not in truth.asked_to_cancel:
            yield f"nobody asked for it: {shown(run)}"
        for step in truth.steps(run["id"]):
            late = [one for one in truth.attempts[step["id"]] if one["started_at"] > run["finished_at"]]
            if late or (step["status"] != CANCELED and step["finished_at"] > run["finished_at"]):
                yield f"{shown(step)} with {late} came after the cancel of {shown(run)}"
    for effect in truth.effects:
        canceled_at = truth.canceled_at.get(effect["run"], effect["looked_at"])
        if effect["looked_at"] > canceled_at:
            yield f"an effect whose look came {effect['looked_at'] - canceled_at} s after the confirmed cancel: {effect}"


def an_action_run_has_one_outcome(truth: Truth) -> Iterator[str]:
    for run in truth.action_runs.values():
        attempts = truth.attempts[run["id"]]
        outcomes = [attempt["outcome"] for attempt in attempts]
        if [attempt["number"] for attempt in attempts] != list(range(1, run["attempt"] + 1)):
            yield f"attempts {attempts} of {shown(run)}"
        if None in outcomes or not set(outcomes[:-1]) <= {FAILED, LOST}:
            yield f"outcomes {outcomes} of {shown(run)}"
        fitting = {SUCCESS: {SUCCESS}, FAILED: {FAILED}, CANCELED: {CANCELED, FAILED, LOST, None}}
        if (outcomes[-1] if outcomes else None) not in fitting[run["status"]]:
            yield f"outcomes {outcomes} of {shown(run)}"


def the_effects_are_those_that_were_recorded(truth: Truth) -> Iterator[str]:
    by_run = grouped(truth.effects, lambda effect: effect["action_run"])
    for run in truth.action_runs.values():
        effects = by_run[run["id"]]
        begun = Counter(effect["attempt"] for effect in effects if effect["event"] == "begin")
        if any(count > 1 for count in begun.values()):
            yield f"an attempt was executed twice: {begun} in {shown(run)}"
        if run["action"] == ONCE and len(begun) > 1:
            yield f"a step that must not be repeated was begun {len(begun)} times: {shown(run)}"
        if len({effect["made"] for effect in effects if "made" in effect}) > 1:
            yield f"a checkpoint was made twice: {effects}"
        for attempt, of_it in grouped(effects, lambda effect: effect["attempt"]).items():
            if len({effect["pid"] for effect in of_it}) > 1:
                yield f"attempt {attempt} was executed by two processes: {of_it}"
        if run["status"] == SUCCESS:
            yield from _recorded(truth, run, effects)


def _recorded(truth: Truth, run: Row, effects: list[dict[str, object]]) -> Iterator[str]:
    ours = [effect for effect in effects if effect["attempt"] == run["attempt"]]
    if [effect["event"] for effect in ours] != ["begin", "made", "end"]:
        yield f"succeeded with the effects {ours}: {shown(run)}"
        return
    if run["outputs"] != {"made": ours[-1]["made"], "attempt": run["attempt"]}:
        yield f"outputs of another attempt: {ours} and {shown(run)}"
    if not run["links"] or not str(run["links"][0]["url"]).endswith(str(ours[-1]["made"])):
        yield f"links {run['links']} of {shown(run)}"
    place = place_before(run["template"], run["position"])
    if place is not None:
        before = truth.stages(run["template_run_id"])[place]
        if ours[0]["before"] != before.made:
            yield f"was given {ours[0]['before']} of the step before, which made {before.made}: {shown(run)}"


def a_lock_has_one_holder(truth: Truth) -> Iterator[str]:
    locked = [effect for effect in truth.effects if "lock" in effect]
    for key, effects in grouped(locked, lambda effect: effect["lock"]).items():
        begins = [effect for effect in effects if effect["event"] == "begin"]
        for end in (effect for effect in effects if effect["event"] == "end"):
            its = (end["action_run"], end["attempt"])
            [begin] = [effect for effect in begins if (effect["action_run"], effect["attempt"]) == its]
            for other in begins:
                if begin["at"] < other["at"] < end["at"]:
                    yield f"two held the lock {key}: {begin}, {end} and {other}"


def the_audit_has_a_start_and_an_end_for_each(truth: Truth) -> Iterator[str]:
    by_run = grouped(truth.audit, lambda row: row["run_id"])
    for run in truth.template_runs.values():
        entries = sorted((row["event"], row["outcome"]) for row in by_run[run["id"]])
        end = "template_run.cancel" if run["status"] == CANCELED else "template_run.finish"
        start = "template_run.resume" if run["retry_of"] else "template_run.start"
        if entries != sorted([(start, "accepted"), (end, run["status"])]):
            yield f"{entries} for {shown(run)}"
    for run in truth.action_runs.values():
        entries = [(row["event"], row["outcome"]) for row in by_run[run["id"]]]
        if entries != [("action_run.finish", run["status"])]:
            yield f"{entries} for {shown(run)}"


def every_end_was_told(truth: Truth) -> Iterator[str]:
    told = {(line["run"], line["status"]) for line in truth.signals}
    for row in (*truth.template_runs.values(), *truth.action_runs.values()):
        if (row["id"], row["status"]) not in told:
            yield f"no receiver heard of the end of {shown(row)}"
    for line in truth.signals:
        row = truth.template_runs.get(line["run"]) or truth.action_runs.get(line["run"])
        if row is None or row["status"] != line["status"]:
            yield f"receivers heard that {line}, but it is {row and shown(row)}"


def no_doorbell_waits_for_nobody(truth: Truth) -> Iterator[str]:
    if truth.waiting_doorbells > 2 * len(truth.action_runs):
        yield f"{truth.waiting_doorbells} doorbells are left"


RULES = (
    every_accepted_run_is_there_once,
    everything_is_over,
    the_steps_fit_their_run,
    no_item_is_lost_or_done_out_of_its_turn,
    a_step_has_the_list_that_its_items_are_of,
    a_resumed_run_goes_on_with_what_was_made,
    a_step_has_the_files_that_those_before_it_have_kept,
    nothing_but_a_workspace_that_is_gone_keeps_a_run_from_being_resumed,
    a_run_that_failed_has_cleaned_up,
    a_run_fails_only_for_a_reason,
    a_canceled_run_stays_canceled_and_starts_nothing_more,
    an_action_run_has_one_outcome,
    the_effects_are_those_that_were_recorded,
    a_lock_has_one_holder,
    the_audit_has_a_start_and_an_end_for_each,
    every_end_was_told,
    no_doorbell_waits_for_nobody,
)
