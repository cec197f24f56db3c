"""Retention: what is old and over goes whole, what somebody still needs stays, and the audit has its own time."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, insert, select, update

from portal_actions_plugin.cli import actions
from portal_actions_plugin.errors import ConfigurationError, NotFoundError
from portal_actions_plugin.run_types import AuditEntry
from portal_actions_plugin.runner.attempt import execute
from portal_actions_plugin.runner.attempt.prepare import Performer
from portal_actions_plugin.runs import audit, service
from portal_actions_plugin.runs.accept import Ask
from portal_actions_plugin.runs.changes import existing
from portal_actions_plugin.storage import pause_points, tables
from portal_actions_plugin.storage.sessions import database, new_id, reading, transaction
from portal_actions_plugin.upkeep import retention
from portal_actions_plugin.upkeep.prunable_runs import SHORTEST_SECONDS, Ages, Pruned
from portal_actions_plugin.upkeep.retention import prunable, prune
from tests.support.page_rows import add_action_run, add_attempt, add_log, add_template_run, ago
from tests.support.portal import PEOPLE
from tests.support.statements import plan_of

DAY = 24 * 3600
AGES = Ages(90 * DAY, 730 * DAY)
OLD = {"queued_at": ago(100 * DAY), "finished_at": ago(100 * DAY), "announced_at": ago(100 * DAY)}
YOUNG = {"queued_at": ago(80 * DAY), "finished_at": ago(80 * DAY), "announced_at": ago(80 * DAY)}
NEVER_ENDED = {"queued_at": ago(100 * DAY), "finished_at": None}


@pytest.fixture(autouse=True)
def _no_visitor_stays() -> Iterator[None]:
    yield
    pause_points.set_visitor(None)


def old_template_run(status: str = "success", **values: Any) -> str:
    """Add an old template run with everything that can belong to one; returns its id."""
    run_id, steps = add_template_run(status, ("success", status), step_values={0: OLD, 1: OLD}, **{**OLD, **values})
    for step in steps:
        with_belongings(step)
    add_key(run_id)
    return run_id


def with_a_list_and_a_workspace(run_id: str) -> None:
    """What later versions keep of a template run: a step's items, and a folder."""
    with transaction("test") as tx:
        step = {"template_run_id": run_id, "position": 0}
        tx.execute(insert(tables.step_lists).values(**step, items=1, made_at=ago(0)))
        tx.execute(insert(tables.step_items).values(**step, item=0, key="0", value={"x": 1}, runs=True))
        folder = {"generation": 1, "store": "postgresql", "manifest": {}, "files": 1, "size": 3, "made_at": ago(0)}
        tx.execute(insert(tables.workspaces).values(**step, **folder))
        tx.execute(
            insert(tables.workspace_blobs).values(template_run_id=run_id, sha256="0" * 64, piece=0, content=b"abc")
        )


def old_one_off(status: str = "success", **values: Any) -> str:
    run_id = with_belongings(add_action_run(status, **{**OLD, **values}))
    add_key(run_id)
    return run_id


def with_belongings(run_id: str) -> str:
    add_attempt(run_id, 1)
    add_log(run_id, "hello", "goodbye")
    with transaction("test") as tx:
        tx.execute(insert(tables.checkpoints).values(action_run_id=run_id, key="repo", value={"x": 1}, made_at=ago(0)))
    return run_id


def add_key(run_id: str, age: float = 100 * DAY, key: str | None = None) -> None:
    row = {"requested_by": "user:ada@example.com", "key": key or run_id, "fingerprint": "0" * 64, "kind": "any"}
    with transaction("test") as tx:
        tx.execute(insert(tables.idempotency_keys).values(run_id=run_id, made_at=ago(age), **row))


def add_audit(age: float, last: float | None = None) -> str:
    row_id = new_id()
    at, last_at = ago(age), ago(age if last is None else last)
    row = {"actor": "user:ada", "event": "template_run.start", "outcome": "accepted", "target": "two-steps"}
    with transaction("test") as tx:
        tx.execute(insert(tables.audit).values(id=row_id, at=at, last_at=last_at, count=1, **row))
    return row_id


def counts() -> dict[str, int]:
    """How many rows each table has; those without any are left out, and what outlives the rows, such as sums of metrics."""
    found = {}
    outlive = ("metric", "database_identity")
    counted = {
        name: table for name, table in tables.metadata.tables.items() if not any(word in name for word in outlive)
    }
    with reading() as db:
        for name, table in counted.items():
            (row,) = db.rows(select(func.count().label("rows")).select_from(table))
            if row["rows"]:
                found[name.removeprefix("portal_actions_")] = row["rows"]
    return found


def ids(table: Any) -> set[str]:
    with reading() as db:
        return {found["id"] for found in db.rows(select(table.c.id))}


def change(table: Any, run_id: str, **values: Any) -> None:
    with transaction("test") as tx:
        assert tx.changed(update(table).where(table.c.id == run_id).values(**values)) == 1


def prune_rows() -> list[Any]:
    with reading() as db:
        return list(db.rows(select(tables.audit).where(tables.audit.c.event == "prune")))


# -- what goes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["success", "failed", "canceled"])
def test_an_old_run_that_is_over_goes_with_everything_that_belongs_to_it(app: Flask, status: str) -> None:
    with_a_list_and_a_workspace(old_template_run(status))
    old_one_off(status)
    assert set(counts()) == {
        "template_runs",
        "action_runs",
        "attempts",
        "log_lines",
        "checkpoints",
        "idempotency_keys",
        "step_lists",
        "step_items",
        "workspaces",
        "workspace_blobs",
    }
    assert prune("system:cli", AGES) == Pruned(template_runs=1, steps=2, one_offs=1)
    assert counts() == {"audit": 1}


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_run_that_is_not_over_stays_however_old(app: Flask, status: str) -> None:
    add_template_run(status, ("success", status), step_values={0: OLD, 1: NEVER_ENDED}, **NEVER_ENDED)
    add_action_run(status, **NEVER_ENDED)
    assert_nothing_goes()


def test_a_run_with_a_step_that_is_not_over_stays(app: Flask) -> None:
    add_template_run("canceled", ("success", "running"), step_values={0: OLD, 1: NEVER_ENDED}, **OLD)
    assert_nothing_goes()


def test_a_young_run_stays_also_when_it_began_long_ago_and_its_first_step_is_old(app: Flask) -> None:
    add_template_run("success", ("success",), step_values={0: OLD}, **{**YOUNG, "queued_at": ago(400 * DAY)})
    add_action_run("failed", **YOUNG)
    assert_nothing_goes()


def test_a_step_never_goes_alone(app: Flask) -> None:
    add_template_run("success", ("success", "success"), step_values={0: OLD, 1: OLD}, **YOUNG)
    assert_nothing_goes()


def test_an_old_run_goes_though_younger_ones_came_before_it(app: Flask) -> None:
    young = add_action_run(**YOUNG)
    old_one_off()
    assert prune("system:cli", AGES) == Pruned(one_offs=1)
    assert ids(tables.action_runs) == {young}


@pytest.mark.parametrize("needed", [{"announced_at": None}, {"lock_held": True, "lock_key": "acme/orders"}])
def test_a_run_whose_end_is_not_announced_or_whose_step_holds_a_lock_stays(app: Flask, needed: dict[str, Any]) -> None:
    add_template_run("canceled", ("success", "canceled"), step_values={0: OLD, 1: {**OLD, **needed}}, **OLD)
    add_action_run("failed", **{**OLD, **needed, "lock_key": "acme/other"})
    if "announced_at" in needed:
        add_template_run("failed", ("failed",), step_values={0: OLD}, **{**OLD, **needed})
    assert_nothing_goes()
    for table in (tables.action_runs, tables.template_runs):
        with transaction("test") as tx:
            tx.changed(update(table).values(announced_at=ago(0)))
    with transaction("test") as tx:
        tx.changed(update(tables.action_runs).values(lock_held=False))
    prune("system:cli", AGES)
    assert counts() == {"audit": 1}


def assert_nothing_goes() -> None:
    before = counts()
    assert prunable(AGES) == prune("system:cli", AGES) == Pruned()
    assert counts() == before


# -- chains of retries -----------------------------------------------------------------------------------------------


def test_a_run_that_a_younger_one_repeats_stays_and_so_does_what_it_repeats_itself(app: Flask) -> None:
    first = old_template_run("failed")
    second = old_template_run("failed", retry_of=first)
    third, _ = add_template_run("success", ("success",), step_values={0: YOUNG}, retry_of=second, **YOUNG)
    one = old_one_off("failed")
    two = add_action_run("queued", retry_of=one, **NEVER_ENDED)
    assert_nothing_goes()
    assert (ids(tables.template_runs), ids(tables.action_runs) & {one, two}) == ({first, second, third}, {one, two})


def test_a_chain_that_is_old_goes_whole(app: Flask) -> None:
    last: str | None = None
    for _ in range(4):
        last = old_template_run("failed", retry_of=last)
    one = old_one_off("failed")
    old_one_off("failed", retry_of=one)
    old_one_off("failed", retry_of=one)
    assert prunable(AGES) == prune("system:cli", AGES) == Pruned(template_runs=4, steps=8, one_offs=3)
    assert counts() == {"audit": 1}


def test_of_two_retries_of_a_run_the_old_one_goes_and_the_run_stays_for_the_other(app: Flask) -> None:
    first = old_one_off("failed")
    old_one_off("failed", retry_of=first)
    young = add_action_run(retry_of=first, **YOUNG)
    assert prunable(AGES) == prune("system:cli", AGES) == Pruned(one_offs=1)
    assert ids(tables.action_runs) == {first, young}


def test_a_run_whose_predecessor_went_in_another_way_goes_too(app: Flask) -> None:
    old_one_off("failed", retry_of=new_id())
    assert prunable(AGES) == prune("system:cli", AGES) == Pruned(one_offs=1)


def test_a_resumed_run_keeps_the_run_that_executed_its_steps(app: Flask) -> None:
    executed = service.start_template_run(PEOPLE["ada"], "two-steps", {"name": "orders"}).run
    execute.perform(executed.steps[0].run.id, Performer(str(uuid.uuid4()), "test"))
    service.cancel_template_run(PEOPLE["ada"], executed.id)
    again = service.resume_template_run(PEOPLE["ada"], executed.id).run
    service.cancel_template_run(PEOPLE["ada"], again.id)
    assert again.steps[0].run.taken_over_from == executed.id
    make_old(executed.id)
    assert prunable(AGES) == Pruned()
    make_old(again.id)
    pruned = prune("system:cli", AGES)
    assert pruned.template_runs == 2
    assert ids(tables.template_runs) == ids(tables.action_runs) == set()


def make_old(run_id: str) -> None:
    change(tables.template_runs, run_id, **OLD)
    with transaction("test") as tx:
        tx.changed(update(tables.action_runs).where(tables.action_runs.c.template_run_id == run_id).values(**OLD))


# -- retries and keys that come at the same time ---------------------------------------------------------------------


def test_a_retry_that_is_being_written_keeps_the_run_that_it_repeats(app: Flask) -> None:
    """On PostgreSQL the retry's row is not visible yet; on SQLite the prune waits for it."""
    source = old_one_off("failed")
    with ThreadPoolExecutor(1) as pool:
        with transaction("test") as tx:
            existing.require_action_run(tx, source)
            pruning = pool.submit(in_context(app, lambda: prune("system:cli", AGES)))
            if database().engine.dialect.name == "postgresql":
                assert pruning.result(10) == Pruned()
            row = {"action": "debug.log@v1", "queue": "default", "status": "queued", "max_attempts": 3}
            who = {"requested_by": "user:ada@example.com", "requester_name": "Ada"}
            tx.execute(insert(tables.action_runs).values(id=new_id(), retry_of=source, queued_at=ago(0), **row, **who))
        assert pruning.result(10) == Pruned()
    assert source in ids(tables.action_runs)


@pytest.mark.parametrize("again", [service.retry_template_run, service.resume_template_run])
def test_a_retry_of_a_template_run_that_goes_meanwhile_is_refused(app: Flask, again: Callable[..., Any]) -> None:
    run = service.start_template_run(PEOPLE["ada"], "two-steps", {"name": "orders"}).run
    service.cancel_template_run(PEOPLE["ada"], run.id)
    make_old(run.id)
    prune_before_the_retry_is_written(app)
    with pytest.raises(NotFoundError, match="gone"):
        again(PEOPLE["ada"], run.id)
    assert ids(tables.template_runs) == set()


def test_a_retry_of_a_one_off_that_goes_meanwhile_is_refused(app: Flask) -> None:
    run = service.start_action_run(PEOPLE["ada"], "debug.log@v1", {"message": "hello"}).run
    service.cancel_action_run(PEOPLE["ada"], run.id)
    change(tables.action_runs, run.id, **OLD)
    prune_before_the_retry_is_written(app)
    with pytest.raises(NotFoundError, match="gone"):
        service.retry_action_run(PEOPLE["ada"], run.id)
    assert ids(tables.action_runs) == set()


def prune_before_the_retry_is_written(app: Flask) -> None:
    """Prune in the moment between the look at the old run and the transaction of the new one."""
    from portal_actions_plugin.runs import accept

    real = accept.transaction

    def transaction_after_prune(name: str) -> Any:
        accept.transaction = real  # type: ignore[assignment]
        prune("system:cli", AGES)
        return real(name)

    accept.transaction = transaction_after_prune  # type: ignore[assignment]


def test_a_key_goes_with_its_run_and_then_starts_another(app: Flask) -> None:
    def start() -> Any:
        return service.start_action_run(
            PEOPLE["ada"], "debug.log@v1", {"message": "hello"}, Ask(idempotency_key="once")
        )

    first = start()
    service.cancel_action_run(PEOPLE["ada"], first.run.id)
    change(tables.action_runs, first.run.id, **OLD)
    assert prunable(AGES) == Pruned(), "a key counts for a day"
    assert start().replayed
    with transaction("test") as tx:
        tx.changed(update(tables.idempotency_keys).values(made_at=ago(2 * DAY)))
    assert prune("system:cli", AGES) == Pruned(one_offs=1)
    second = start()
    assert not second.replayed
    assert second.run.id != first.run.id


def test_a_run_with_a_key_of_today_stays_and_keys_of_other_runs_too(app: Flask) -> None:
    kept = old_one_off()
    add_key(kept, age=3600, key="today")
    old_one_off()
    assert prunable(AGES) == prune("system:cli", AGES) == Pruned(one_offs=1)
    assert counts()["idempotency_keys"] == 2


# -- the audit -------------------------------------------------------------------------------------------------------


def test_the_audit_outlives_its_runs_and_goes_after_its_own_time(app: Flask) -> None:
    add_audit(age=731 * DAY)
    kept = {add_audit(age=700 * DAY), add_audit(age=731 * DAY, last=729 * DAY)}
    assert prunable(AGES) == prune("system:cli", AGES) == Pruned(audit_rows=1)
    (own,) = prune_rows()
    assert ids(tables.audit) == {*kept, own["id"]}


def test_a_prune_leaves_one_audit_row_that_says_who_and_how_much(app: Flask, monkeypatch: Any) -> None:
    monkeypatch.setattr(retention, "RUNS_A_BATCH", 2)
    for _ in range(5):
        old_template_run()
    old_one_off()
    add_audit(age=800 * DAY)
    prune("user:ops", AGES)
    (row,) = prune_rows()
    assert (row["actor"], row["outcome"], row["target"], row["count"]) == ("user:ops", "accepted", "runs", 1)
    assert row["details"] == {
        "template_runs": 5,
        "steps": 10,
        "one_offs": 1,
        "audit_rows": 1,
        "older_than_seconds": 90 * DAY,
        "audit_older_than_seconds": 730 * DAY,
    }


def test_a_prune_does_not_delete_its_own_audit_row_nor_that_of_another(app: Flask) -> None:
    for _ in range(2):
        old_one_off()
        prune("system:cli", Ages(SHORTEST_SECONDS, SHORTEST_SECONDS))
    assert len(prune_rows()) == 2


def test_amending_counts_as_news_of_the_row(app: Flask) -> None:
    with transaction("test") as tx:
        entry_id = audit.record(tx, AuditEntry("system:cli", "prune", audit.ACCEPTED, "runs"))
    change(tables.audit, entry_id, last_at=ago(DAY))
    with transaction("test") as tx:
        audit.amend_prune(tx, entry_id, {"template_runs": 2})
    (row,) = prune_rows()
    assert row["details"] == {"template_runs": 2}
    assert row["last_at"] > ago(60)


# -- batches ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages and batches so small that a few rows are many of them."""
    for name, size in {"ROWS_A_PAGE": 3, "RUNS_A_BATCH": 2, "LINES_A_BATCH": 100, "AUDIT_ROWS_A_BATCH": 2}.items():
        monkeypatch.setattr(retention, name, size)


def committed(name: str) -> list[str]:
    """The commits of a kind of transaction, from now on."""
    found: list[str] = []
    pause_points.set_visitor(lambda point: found.append(point) if point == f"{name}.committed" else None)
    return found


def test_many_runs_go_in_batches_and_those_that_stay_are_passed_by(app: Flask, small: None) -> None:
    stay = {add_action_run("running", **NEVER_ENDED) for _ in range(4)}
    for _ in range(7):
        old_one_off()
    stay |= {add_action_run("failed", **YOUNG) for _ in range(4)}
    for _ in range(5):
        add_audit(age=800 * DAY)
    batches = committed("prune")
    assert prune("system:cli", AGES) == Pruned(one_offs=7, audit_rows=5)
    assert ids(tables.action_runs) == stay
    assert len(batches) >= 7


def test_a_batch_holds_no_more_log_lines_than_it_may(app: Flask) -> None:
    for lines in (9_000, 2_000, 7_000, 9_999, 1):
        run_id = add_action_run(**OLD)
        add_line(run_id, lines)
    batches = committed("prune")
    prune("system:cli", AGES)
    assert len(batches) == 3


def test_the_log_lines_of_a_template_runs_steps_count(app: Flask) -> None:
    for _ in range(2):
        _, steps = add_template_run("success", ("success", "success"), step_values={0: OLD, 1: OLD}, **OLD)
        for step in steps:
            add_line(step, 4_000)
    batches = committed("prune")
    prune("system:cli", AGES)
    assert len(batches) == 2


def long_template_run(**values: Any) -> str:
    run_id, steps = add_template_run("failed", ("success", "failed"), step_values={0: OLD, 1: OLD}, **OLD, **values)
    for step in steps:
        add_log(step, *("line" for _ in range(150)))
    return run_id


def test_a_log_that_is_too_long_for_a_batch_goes_before_its_run_also_when_killed_in_between(
    app: Flask, small: None
) -> None:
    long_template_run(retry_of=long_template_run())
    kill_at("prune.committed", 3)
    with pytest.raises(_KilledError):
        prune("system:cli", AGES)
    pause_points.set_visitor(None)
    assert counts() == {"template_runs": 2, "action_runs": 4, "log_lines": 350}
    batches = committed("prune")
    assert prune("system:cli", AGES) == Pruned(template_runs=2, steps=4)
    assert counts() == {"audit": 1}
    assert len(batches) == 2 + 1 + 4 + 1, "the one's second log, its run, the other's two logs, its run"


def test_a_retry_that_comes_while_a_long_log_goes_keeps_the_run_and_the_rest(app: Flask, small: None) -> None:
    run_id = long_template_run()

    def retry_once(point: str) -> None:
        if point == "prune.committed":
            pause_points.set_visitor(None)
            # In a thread of its own: at this point the prune's transaction counts as open still.
            with ThreadPoolExecutor(1) as pool:
                pool.submit(in_context(app, lambda: add_template_run(retry_of=run_id, **YOUNG))).result(30)

    pause_points.set_visitor(retry_once)
    assert prune("system:cli", AGES) == Pruned()
    assert counts() == {"template_runs": 2, "action_runs": 2, "log_lines": 200}


def add_line(run_id: str, seq: int) -> None:
    row = {"seq": seq, "attempt": 1, "at": ago(0), "level": "info", "message": "x"}
    with transaction("test") as tx:
        tx.execute(insert(tables.log_lines).values(action_run_id=run_id, **row))


def test_young_rows_are_not_read_to_the_end(app: Flask, small: None, monkeypatch: Any) -> None:
    old_one_off()
    for _ in range(20):
        add_action_run(**YOUNG)
    pages: list[str] = []
    real = retention._oldest_first

    def noted(table: Any, *conditions: Any) -> Iterator[list[str]]:
        for page in real(table, *conditions):
            pages.append(table.name.removeprefix("portal_actions_"))
            yield page

    monkeypatch.setattr(retention, "_oldest_first", noted)
    assert prune("system:cli", AGES) == Pruned(one_offs=1)
    assert pages == ["template_runs", "action_runs", "action_runs", "audit"]


def test_a_page_and_a_batch_are_found_by_index(app: Flask) -> None:
    """A prune of many batches would otherwise read the table as many times."""
    old_one_off("failed", retry_of=old_one_off("failed"))
    old_template_run("failed", retry_of=old_template_run("failed"))
    add_audit(age=800 * DAY)
    statements = statements_of(lambda: prune("system:cli", AGES))
    # The sums of metrics are few, and read as a whole.
    plans = [plan for statement in statements for plan in plan_of(*statement) if "portal_actions_metric" not in plan]
    assert plans
    wrong = [plan for plan in plans if plan.startswith("SCAN portal_actions") or "Seq Scan on portal_actions" in plan]
    assert wrong == []


def statements_of(work: Callable[[], Any]) -> list[tuple[str, Any]]:
    found: dict[str, Any] = {}

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if "portal_actions_" in statement and statement.startswith(("SELECT", "DELETE")):
            found.setdefault(statement, parameters)

    engine = database().engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        work()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return list(found.items())


# -- at once, and interrupted ----------------------------------------------------------------------------------------


def in_context(app: Flask, work: Callable[[], Any]) -> Callable[[], Any]:
    def call() -> Any:
        with app.app_context():
            return work()

    return call


def test_two_prunes_at_once_delete_everything_once(app: Flask, small: None) -> None:
    for _ in range(12):
        old_template_run()
        old_one_off()
        add_audit(age=800 * DAY)
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(in_context(app, lambda: prune("system:cli", AGES))) for _ in range(2)]
        one, two = (future.result(60) for future in futures)
    assert one + two == Pruned(template_runs=12, steps=24, one_offs=12, audit_rows=12)
    assert set(counts()) == {"audit"}
    assert sum(row["details"]["template_runs"] for row in prune_rows()) == 12


class _KilledError(BaseException):
    pass


def kill_at(point: str, time: int) -> None:
    seen: list[str] = []

    def visitor(reached: str) -> None:
        if reached == point:
            seen.append(reached)
            if len(seen) == time:
                raise _KilledError

    pause_points.set_visitor(visitor)


@pytest.mark.parametrize("point", ["prune.before_commit", "prune.committed"])
def test_an_interrupted_prune_leaves_whole_runs_and_a_true_audit_row(app: Flask, small: None, point: str) -> None:
    for _ in range(6):
        old_template_run()
    kill_at(point, 2)
    with pytest.raises(_KilledError):
        prune("system:cli", AGES)
    pause_points.set_visitor(None)
    left = 4 if point == "prune.before_commit" else 3  # a page has three rows: a batch of two and one of one
    assert counts() == {
        "template_runs": left,
        "action_runs": 2 * left,
        "attempts": 2 * left,
        "log_lines": 4 * left,
        "checkpoints": 2 * left,
        "idempotency_keys": left,
        "audit": 1,
    }
    assert prune_rows()[0]["details"]["template_runs"] == 6 - left
    assert prune("system:cli", AGES) == Pruned(template_runs=left, steps=2 * left)
    assert counts() == {"audit": 2}


# -- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def run(app: Flask) -> Callable[..., Any]:
    return lambda *arguments: app.test_cli_runner().invoke(actions, ["prune", *arguments])


def test_a_dry_run_says_what_then_goes_and_changes_nothing(app: Flask, run: Any) -> None:
    first = old_template_run("failed")
    old_template_run("success", retry_of=first)
    kept = old_template_run("failed")
    add_template_run("success", (), retry_of=kept, **YOUNG)
    old_one_off()
    add_audit(age=800 * DAY)
    before = counts()
    said = "2 template runs with 4 steps, 1 one-off and 1 audit row."
    dry = run("--older-than", "90d", "--dry-run")
    assert (dry.exit_code, dry.output) == (0, f"Would delete {said} Nothing was deleted.\n")
    assert counts() == before
    real = run("--older-than", "90d", "--as", "user:ops")
    assert (real.exit_code, real.output) == (0, f"Deleted {said}\n")
    assert prune_rows()[0]["actor"] == "user:ops"


def test_a_prune_that_finds_nothing_says_so_and_leaves_no_audit_row(app: Flask, run: Any) -> None:
    result = run("--older-than", "90d")
    nothing = "0 template runs with 0 steps, 0 one-offs and 0 audit rows"
    assert (result.exit_code, result.output) == (0, f"Deleted {nothing}.\n")
    assert counts() == {}


@pytest.mark.parametrize(("age", "goes"), [("2399h", True), ("14w", True), ("101d", False), ("15w", False)])
def test_an_age_has_a_unit(app: Flask, run: Any, age: str, goes: bool) -> None:
    old_one_off()
    assert run("--older-than", age).exit_code == 0
    assert ids(tables.action_runs) == set() if goes else ids(tables.action_runs) != set()


def test_the_audits_time_is_a_setting_and_an_option(make_app: Callable[..., Flask]) -> None:
    app = make_app(PORTAL_ACTIONS_AUDIT_DAYS=30)
    with app.app_context():
        add_audit(age=31 * DAY)
        add_audit(age=20 * DAY)
    runner = app.test_cli_runner()
    said = "0 template runs with 0 steps, 0 one-offs and 1 audit row."
    assert runner.invoke(actions, ["prune", "--older-than", "90d"]).output == f"Deleted {said}\n"
    assert (
        runner.invoke(actions, ["prune", "--older-than", "90d", "--audit-older-than", "10d"]).output
        == f"Deleted {said}\n"
    )


@pytest.mark.parametrize("days", [0, -1, True, "30", 1.5, 40_000])
def test_an_audit_time_that_is_wrong_stops_the_start(make_app: Callable[..., Flask], days: Any) -> None:
    with pytest.raises(ConfigurationError, match="PORTAL_ACTIONS_AUDIT_DAYS"):
        make_app(PORTAL_ACTIONS_AUDIT_DAYS=days)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Missing option '--older-than'"),
        (("--older-than", "90"), "such as 90d"),
        (("--older-than", "-90d"), "such as 90d"),
        (("--older-than", "0d"), "such as 90d"),
        (("--older-than", "1.5d"), "such as 90d"),
        (("--older-than", "90 days"), "such as 90d"),
        (("--older-than", "٩d"), "such as 90d"),
        (("--older-than", ""), "such as 90d"),
        (("--older-than", "59m"), "1h or more"),
        (("--older-than", "999999999999w"), "36500d or less"),
        (("--older-than", "90d", "--audit-older-than", "soon"), "'--audit-older-than': 'soon' is not an age"),
    ],
)
def test_an_age_that_is_wrong_is_named_with_an_example(
    make_app: Callable[..., Flask], arguments: tuple[str, ...], says: str
) -> None:
    result = make_app().test_cli_runner().invoke(actions, ["prune", *arguments])
    assert result.exit_code == 2
    assert says in result.output
    assert "older-than'" in result.output


def test_the_longest_age_is_one_that_the_database_knows(app: Flask, run: Any) -> None:
    old_one_off()
    assert run("--older-than", "36500d", "--audit-older-than", "36500d").exit_code == 0
    assert len(ids(tables.action_runs)) == 1


@pytest.mark.parametrize("ages", [(3599, DAY), (DAY, 60), (DAY, 10**12)])
def test_ages_that_would_break_limits_or_calendars_are_refused_in_python_too(ages: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="an age of"):
        Ages(*ages)
