"""Metrics: what real runs leave in them, counted once whoever asks, and still when the runs are gone."""

from __future__ import annotations

import logging
import re
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event, func, insert, select, update
from sqlalchemy.exc import OperationalError

from portal_actions_plugin.cli import actions as commands
from portal_actions_plugin.errors import PermissionDeniedError, RateLimitedError, RemoteError
from portal_actions_plugin.metrics import collector, exposition
from portal_actions_plugin.runner import recovery
from portal_actions_plugin.runs import service
from portal_actions_plugin.storage import pause_points, tables
from portal_actions_plugin.storage.sessions import database, reading, transaction
from portal_actions_plugin.storage.sql import UtcDateTime, now_plus
from portal_actions_plugin.upkeep import metric_sums
from portal_actions_plugin.upkeep.measures import METRICS, Kind
from portal_actions_plugin.upkeep.prunable_runs import Ages
from portal_actions_plugin.upkeep.retention import prune
from tests.support.page_rows import add_action_run, add_template_run
from tests.support.portal import PEOPLE
from tests.support.run_helpers import ADA, claim, make_due, perform, register, run_one_off, work_off
from tests.support.statements import plan_of

LOG = "debug.log@v1"
DAY = 24 * 3600
LONG = 1000
"""Seconds after which everything has settled and is summed up at the next scrape."""


def values(app: Flask) -> dict[str, float]:
    """All samples as Prometheus reads them, such as ``running{default}``."""
    return {
        f"{sample.name.removeprefix('portal_actions_')}{{{', '.join(sorted(sample.labels.values()))}}}": sample.value
        for family in text_string_to_metric_families(exposition(app))
        for sample in family.samples
    }


def counted(app: Flask) -> dict[str, float]:
    """What has been counted: counters that are not zero, and how many each histogram has."""
    return {name: value for name, value in values(app).items() if value and re.search(r"_(total|count)\{", name)}


def let_pass(seconds: float) -> None:
    """Let everything have happened so much earlier."""
    with transaction("test") as tx:
        for table in tables.metadata.tables.values():
            moments = [column.name for column in table.columns if isinstance(column.type, UtcDateTime)]
            for row in tx.rows(select(table)) if moments else ():
                this = [column == row[column.name] for column in table.primary_key]
                earlier = {name: row[name] - timedelta(seconds=seconds) for name in moments if row[name]}
                tx.execute(update(table).where(*this).values(**earlier))


def kept_sums() -> dict[tuple[str, str, str], float]:
    with reading() as db:
        rows = db.rows(select(tables.metric_sums))
    return {(row["metric"], row["subject"], row["detail"]): row["value"] for row in rows}


def say_hello() -> str:
    run_id = run_one_off(LOG, {"message": "hello"})
    work_off()
    return run_id


def be_denied() -> None:
    with pytest.raises(PermissionDeniedError):
        service.start_action_run(PEOPLE["vera"], LOG, {"message": "hello"})


def failing_once() -> Callable[..., None]:
    errors = [RemoteError("The forge had a problem.")]

    def handler(_ctx: Any) -> None:
        if errors:
            raise errors.pop()

    return handler


@pytest.fixture(autouse=True)
def _no_visitor_stays() -> Iterator[None]:
    yield
    pause_points.set_visitor(None)


# -- counters and histograms -----------------------------------------------------------------------------------------


def test_what_ended_is_counted_at_once_and_stays_when_it_is_summed_up(app: Flask) -> None:
    register(again=failing_once())
    say_hello()
    service.start_template_run(ADA, "two-steps", {"name": "orders"})
    work_off()
    retried = run_one_off("test.again@v1")
    perform(retried)
    make_due(retried)
    perform(retried)
    service.cancel_action_run(ADA, run_one_off(LOG, {"message": "never"}))
    be_denied()
    expected = {
        "action_runs_total{debug.log@v1, success}": 3,
        "action_runs_total{canceled, debug.log@v1}": 1,
        "action_runs_total{success, test.again@v1}": 1,
        "template_runs_total{success, two-steps}": 1,
        "attempts_total{debug.log@v1, success}": 3,
        "attempts_total{failed, test.again@v1}": 1,
        "attempts_total{success, test.again@v1}": 1,
        "retries_total{test.again@v1}": 1,
        "starts_refused_total{action_run.start, denied}": 1,
        "action_run_duration_seconds_count{debug.log@v1}": 3,
        "action_run_duration_seconds_count{test.again@v1}": 1,
        "action_run_queued_seconds_count{debug.log@v1}": 3,
        "action_run_queued_seconds_count{test.again@v1}": 1,
    }
    assert counted(app) == expected
    assert not kept_sums()
    let_pass(LONG)
    assert counted(app) == expected
    assert kept_sums()["portal_actions_attempts_total", LOG, "success"] == 3
    say_hello()
    assert counted(app) == expected | {
        "action_runs_total{debug.log@v1, success}": 4,
        "attempts_total{debug.log@v1, success}": 4,
        "action_run_duration_seconds_count{debug.log@v1}": 4,
        "action_run_queued_seconds_count{debug.log@v1}": 4,
    }


def test_a_lost_worker_is_counted_whether_or_not_the_run_is_tried_again(app: Flask) -> None:
    register(againlost=failing_once(), lost=failing_once())
    for action in ("test.againlost@v1", "test.lost@v1"):
        token = str(uuid.uuid4())
        assert claim(run_one_off(action), token)
        recovery.recover_process(token)
    found = counted(app)
    assert found["lease_losses_total{test.againlost@v1}"] == 1
    assert found["lease_losses_total{test.lost@v1}"] == 1
    assert found["attempts_total{lost, test.againlost@v1}"] == 1
    assert found["attempts_total{failed, test.lost@v1}"] == 1


def test_a_step_that_a_resumed_run_took_over_is_not_counted_again(app: Flask) -> None:
    source, _ = add_template_run("failed", ("success", "failed"))
    copy = {"taken_over_from": source, "attempt": 0, "started_at": None}
    add_template_run("success", ("success", "success", "success", "success"), retry_of=source, step_values={0: copy})
    found = counted(app)
    assert found["action_runs_total{scm.createRepo@v1, success}"] == 1
    assert found["action_runs_total{scm.pushSkeleton@v1, success}"] == 1
    assert found["template_runs_total{create-service, failed}"] == 1


def test_times_fall_into_buckets(app: Flask) -> None:
    end = at(0)
    for waited, ran in ((0.05, 0.3), (3, 7), (3, 4000)):
        start = end - timedelta(seconds=ran)
        add_action_run(queued_at=start - timedelta(seconds=waited), started_at=start, finished_at=end)
    for _ in ("counted when asked", "summed up"):
        found = values(app)
        buckets = {limit: found[f"action_run_duration_seconds_bucket{{{limit}, {LOG}}}"] for limit in ("0.1", "0.5")}
        assert buckets == {"0.1": 0, "0.5": 1}
        assert found[f"action_run_duration_seconds_bucket{{10.0, {LOG}}}"] == 2
        assert found[f"action_run_duration_seconds_bucket{{1800.0, {LOG}}}"] == 2
        assert found[f"action_run_duration_seconds_bucket{{+Inf, {LOG}}}"] == 3
        assert found[f"action_run_duration_seconds_sum{{{LOG}}}"] == 4007.3
        assert found[f"action_run_queued_seconds_bucket{{0.1, {LOG}}}"] == 1
        assert found[f"action_run_queued_seconds_bucket{{5.0, {LOG}}}"] == 3
        assert found[f"action_run_queued_seconds_sum{{{LOG}}}"] == 6.05
        let_pass(LONG)
    assert kept_sums()


def at(seconds: float) -> Any:
    with reading() as db:
        (row,) = db.rows(select(now_plus(seconds).label("at")))
    return row["at"]


def test_a_run_that_ended_before_it_began_by_a_clock_that_went_back_took_no_time(app: Flask) -> None:
    add_action_run(queued_at=at(-5), started_at=at(-2), finished_at=at(-3))
    assert values(app)[f"action_run_duration_seconds_sum{{{LOG}}}"] == 0


def test_refusals_that_go_on_and_on_are_counted_while_they_do(app: Flask) -> None:
    """They are counted up on one row as long as less than a minute lies between them."""
    for number in range(1, 12):
        be_denied()
        assert counted(app) == {"starts_refused_total{action_run.start, denied}": number}
        let_pass(50)
    let_pass(LONG)
    assert counted(app) == {"starts_refused_total{action_run.start, denied}": 11}
    assert kept_sums() == {("portal_actions_starts_refused_total", "action_run.start", "denied"): 11}


def test_a_start_over_the_limit_is_counted_and_a_refused_cancel_is_no_start(make_app: Callable[..., Flask]) -> None:
    app = make_app(PORTAL_ACTIONS_RATE_LIMIT="1 per hour")
    with app.app_context():
        run_id = run_one_off(LOG, {"message": "hello"})
        for _ in range(2):
            with pytest.raises(RateLimitedError):
                run_one_off(LOG, {"message": "hello"})
        with pytest.raises(PermissionDeniedError):
            service.cancel_action_run(PEOPLE["bob"], run_id)
        assert counted(app) == {"starts_refused_total{action_run.start, rate_limited}": 2}


def test_what_may_be_counted_is_zero_before_it_is(app: Flask) -> None:
    """An increase from nothing to one is none, for Prometheus."""
    found = values(app)
    for name in (
        "lease_losses_total{debug.log@v1}",
        "retries_total{debug.log@v1}",
        "action_runs_total{debug.log@v1, failed}",
        "attempts_total{debug.log@v1, lost}",
        "starts_refused_total{rate_limited, template_run.start}",
    ):
        assert found[name] == 0


# -- summing up ------------------------------------------------------------------------------------------------------


def test_only_what_has_settled_is_summed_up(app: Flask) -> None:
    say_hello()
    let_pass(metric_sums.SETTLED_SECONDS - 5)
    say_hello()
    metric_sums.sum_up()
    assert not kept_sums()
    let_pass(metric_sums.TAIL_SECONDS + 1)
    say_hello()
    metric_sums.sum_up()
    assert kept_sums()["portal_actions_action_runs_total", LOG, "success"] == 2
    assert counted(app)["action_runs_total{debug.log@v1, success}"] == 3


def test_a_row_that_is_committed_late_is_counted(app: Flask) -> None:
    """It ended before the last scrape, and is seen by the next one only."""
    say_hello()
    assert counted(app)["action_runs_total{debug.log@v1, success}"] == 1
    add_action_run(queued_at=at(-71), started_at=at(-71), finished_at=at(-metric_sums.SETTLED_SECONDS + 5))
    assert counted(app)["action_runs_total{debug.log@v1, success}"] == 2
    let_pass(LONG)
    assert counted(app)["action_runs_total{debug.log@v1, success}"] == 2


def test_an_idle_portal_is_not_written_to_at_every_scrape(app: Flask) -> None:
    say_hello()
    exposition(app)
    say_hello()
    reached: list[str] = []
    pause_points.set_visitor(reached.append)
    exposition(app)
    assert reached == []
    pause_points.set_visitor(None)
    let_pass(LONG)
    pause_points.set_visitor(reached.append)
    exposition(app)
    assert reached == ["sum_metrics.before_commit", "sum_metrics.committed"]


def test_of_several_that_sum_up_the_same_rows_at_once_one_does(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        say_hello()
    be_denied()
    let_pass(LONG)
    before = values(app)
    forget_sums()
    together, mine, keep = threading.Barrier(4), threading.local(), metric_sums._keep

    def keep_together(part: Any) -> None:
        if not hasattr(mine, "waited"):
            mine.waited = together.wait()
        keep(part)

    def scrape(_number: int) -> dict[str, float]:
        return values(app)

    monkeypatch.setattr(metric_sums, "_keep", keep_together)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(scrape, range(4))) == [before] * 4
    assert kept_sums()["portal_actions_action_runs_total", LOG, "success"] == 3


def forget_sums() -> None:
    with transaction("test") as tx:
        for table in ("metric_sums", "metric_watermark"):
            tx.execute(tables.metadata.tables[f"portal_actions_{table}"].delete())


def test_what_is_summed_up_in_slices_also_when_killed_in_between_comes_to_the_same(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        add_action_run(queued_at=at(-number - LONG), started_at=at(-number - LONG), finished_at=at(-number - LONG + 2))
    be_denied()
    let_pass(LONG)
    expected = values(app)
    forget_sums()
    monkeypatch.setattr(metric_sums, "ROWS_A_SLICE", 2)
    reached: list[str] = []

    def die_at_the_second(point: str) -> None:
        reached.append(point)
        if reached.count("sum_metrics.before_commit") == 2:
            raise KeyboardInterrupt

    pause_points.set_visitor(die_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        metric_sums.sum_up()
    pause_points.set_visitor(None)
    assert kept_sums()["portal_actions_action_runs_total", LOG, "success"] == 2
    assert values(app) == expected
    assert kept_sums()["portal_actions_action_runs_total", LOG, "success"] == 7


@pytest.mark.parametrize("scraped", [True, False])
def test_a_prune_lowers_no_counter(app: Flask, *, scraped: bool) -> None:
    say_hello()
    service.start_template_run(ADA, "two-steps", {"name": "orders"})
    work_off()
    be_denied()
    expected = counted(app)
    if not scraped:
        forget_sums()
    let_pass(100 * DAY)
    assert prune("system:cli", Ages(90 * DAY, 90 * DAY)).template_runs == 1
    with reading() as db:
        (left,) = db.rows(select(func.count().label("rows")).select_from(tables.action_runs))
    assert left["rows"] == 0
    assert counted(app) == expected


def test_rows_are_found_by_index(app: Flask) -> None:
    say_hello()
    let_pass(LONG)
    statements: dict[str, Any] = {}

    def note(_connection: Any, _cursor: Any, sql: str, given: Any, *_rest: Any) -> None:
        if re.search(r"(finished_at|last_at) >", sql):
            statements[sql] = given

    event.listen(database().engine, "before_cursor_execute", note)
    exposition(app)
    event.remove(database().engine, "before_cursor_execute", note)
    # For the slice its ends and its sums, for the rest its sums.
    assert len(statements) == 12
    for sql, given in statements.items():
        plan = " ".join(plan_of(sql, given))
        table = re.search(r"FROM portal_actions_(\w+)", sql)
        assert table
        index = "refusals" if table[1] == "audit" else "finished_at"
        assert f"ix_portal_actions_{table[1]}_{index}" in plan, plan


# -- gauges ----------------------------------------------------------------------------------------------------------


def test_gauges_show_what_waits_runs_and_lives_right_now(app: Flask) -> None:
    register(again=failing_once())
    found = values(app)
    assert found["queue_depth{default, due}"] == found["queue_depth{default, waiting}"] == 0
    assert found["oldest_queued_seconds{default}"] == found["running{default}"] == found["workers{default}"] == 0
    perform(run_one_off("test.again@v1"))
    assert claim(run_one_off(LOG, {"message": "runs"}), str(uuid.uuid4()))
    run_one_off(LOG, {"message": "waits"})
    let_pass(3)
    run_one_off(LOG, {"message": "waits"})
    beat("alive", 5)
    beat("gone", 60)
    found = values(app)
    assert found["up{}"] == 1
    assert found["queue_depth{default, due}"] == 2
    assert found["queue_depth{default, waiting}"] == 1
    assert found["running{default}"] == 1
    assert found["workers{default}"] == 1
    assert 3 <= found["oldest_queued_seconds{default}"] < 30


def beat(name: str, seconds_ago: float) -> None:
    worker = {"queue": "default", "host": "here", "pid": 1, "started_at": now_plus(-99)}
    with transaction("test") as tx:
        tx.execute(insert(tables.workers).values(name=name, seen_at=now_plus(-seconds_ago), **worker))


def test_a_run_that_is_tried_again_is_not_as_old_as_its_first_attempt(app: Flask) -> None:
    register(again=failing_once())
    run_id = run_one_off("test.again@v1")
    let_pass(5000)
    perform(run_id)
    make_due(run_id)
    assert values(app)["oldest_queued_seconds{default}"] < 60


def test_a_queue_that_no_action_goes_to_any_more_shows_while_runs_wait_there(app: Flask) -> None:
    add_action_run("queued", queue="forgotten")
    found = values(app)
    assert found["queue_depth{due, forgotten}"] == 1
    assert found["oldest_queued_seconds{forgotten}"] >= 119
    assert found["queue_depth{default, due}"] == 0


# -- when the database is away ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none", "sqlite:///{folder}/empty.db"])
def test_a_scrape_answers_when_the_database_does_not(
    make_app: Callable[..., Flask], tmp_path: Path, caplog: pytest.LogCaptureFixture, url: str
) -> None:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=url.format(folder=tmp_path))
    registry = CollectorRegistry()
    Counter("visits", "The host's own.", registry=registry).inc()
    registry.register(collector(app))
    with caplog.at_level(logging.WARNING):
        lines = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
    assert [line for line in lines if "portal_actions" in line] == ["portal_actions_up 0.0"]
    assert "visits_total 1.0" in lines
    assert "flask actions doctor" in caplog.text
    assert "Traceback" not in caplog.text


def test_sums_that_cannot_be_kept_are_read_all_the_same(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    say_hello()
    expected = counted(app)
    let_pass(LONG)

    def read_only(_name: str) -> Any:
        raise OperationalError("INSERT", {}, Exception("read-only"))

    monkeypatch.setattr(metric_sums, "transaction", read_only)
    assert counted(app) == expected
    assert "read-only" in caplog.text


def test_whatever_goes_wrong_the_hosts_own_metrics_are_there(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    with transaction("test"):
        assert values(app) == {"up{}": 0}
    assert "inside transaction" in caplog.text


# -- the text --------------------------------------------------------------------------------------------------------


def test_registering_asks_the_database_nothing_and_names_are_taken_once(make_app: Callable[..., Flask]) -> None:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    registry = CollectorRegistry()
    registry.register(collector(app))
    with pytest.raises(ValueError, match="Duplicated"):
        registry.register(collector(app))


def test_names_follow_the_conventions_of_prometheus() -> None:
    for metric in METRICS:
        assert re.fullmatch(r"portal_actions_[a-z]+(_[a-z]+)*", metric.name)
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
        assert not re.search(r"_(count|sum|bucket|info|gauge|counter|histogram)$", metric.name)
        assert not re.search(r"milli|minute|hour|_ms(_|$)", metric.name)
        assert metric.about.endswith(".")
        assert not set(metric.labels) & {"le", "quantile", "job", "instance"}
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_the_text_has_every_metric_with_its_type_and_whole_histograms(app: Flask) -> None:
    say_hello()
    families = {family.name: family for family in text_string_to_metric_families(exposition(app))}
    assert {name: family.type for name, family in families.items()} == {
        metric.name.removesuffix("_total"): metric.kind.value for metric in METRICS
    }
    for metric in METRICS:
        family = families[metric.name.removesuffix("_total")]
        assert family.documentation == metric.about
        names = {"le", *metric.labels} if metric.kind is Kind.HISTOGRAM else set(metric.labels)
        assert all(set(sample.labels) <= names for sample in family.samples)
    buckets = [s.value for s in families["portal_actions_action_run_duration_seconds"].samples if "le" in s.labels]
    assert buckets == sorted(buckets)
    assert len(buckets) == len(metric_sums.BUCKETS) + 1


def test_the_command_prints_the_text(app: Flask) -> None:
    say_hello()
    printed = app.test_cli_runner().invoke(commands, ["metrics"])
    assert printed.exit_code == 0
    assert printed.output == exposition(app)


def test_without_the_extra_the_command_and_the_import_name_it(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "portal_actions_plugin.metrics")
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    refused = app.test_cli_runner().invoke(commands, ["metrics"])
    assert refused.exit_code == 1
    assert "pip install 'portal-actions-plugin[metrics]'" in refused.output
    with pytest.raises(ModuleNotFoundError, match=r"portal-actions-plugin\[metrics\]"):
        __import__("portal_actions_plugin.metrics")


def test_every_metric_is_documented_with_its_type_and_labels() -> None:
    documented = re.findall(
        r"^\| `(\w+)` \| (\w+) \|([^|]*)\|",
        (Path(__file__).parent.parent.parent / "docs" / "metrics.md").read_text(),
        re.M,
    )
    assert [(name, kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in documented] == [
        (metric.name, metric.kind.value, metric.labels) for metric in METRICS
    ]
