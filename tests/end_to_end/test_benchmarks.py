"""The instruments of ``make bench`` fit the product: a history in bulk is one that the pages can show."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from flask import Flask
from sqlalchemy import Engine, func, select

from benchmarks import report, seed
from benchmarks.effort import QUICK
from benchmarks.figures.statistics import percentile
from benchmarks.plots import Line, svg
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading

RUNS = 1_000
TABLES = (tables.action_runs, tables.template_runs, tables.attempts, tables.audit)


INDEXES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'index'",
    "postgresql": "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()",
}


def indexes(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.exec_driver_sql(INDEXES[engine.dialect.name]).scalars())


def test_a_filled_database_has_a_believable_history_that_every_page_can_read(app: Flask) -> None:
    database = app.extensions["portal_actions"].database
    before = indexes(database.engine)
    database.close_connections()
    seed.fill(database, RUNS)
    assert indexes(database.engine) == before

    with reading() as db:
        counts = {row: db.rows(select(func.count().label("n")).select_from(row))[0]["n"] for row in TABLES}
    assert counts[tables.action_runs] == RUNS
    assert counts[tables.template_runs] == RUNS * 3 // 10
    assert counts[tables.attempts] > RUNS * 0.9
    assert counts[tables.audit] > RUNS

    for status in ("success", "failed", "canceled", "queued", "running"):
        assert len(queries.action_runs(RunFilter(status=(status,)), limit=50).items) == 50, status
    assert len(queries.action_runs(RunFilter(status=("failed",), q=seed.SHOWN_TEMPLATE), limit=50).items) == 50
    assert len(queries.action_runs(RunFilter(requested_by=seed.RARE_PERSON), limit=50).items) == 3
    assert len(queries.action_runs(RunFilter(q="zoe@ step"), limit=50).items) == 3
    assert queries.action_runs(RunFilter(q="createrepo create-service-09"), limit=1).items
    assert queries.action_runs(RunFilter(template="create a service"), limit=1).items
    assert not queries.action_runs(RunFilter(q="step-0 step-1"), limit=1).items

    newest = queries.template_runs(RunFilter(status=("success",)), limit=1).items[0]
    assert [step.status for step in queries.template_run(newest.id).steps] == ["success"] * 3
    browser = app.test_client()
    browser.set_cookie("person", "ada")
    for path in ("/actions", f"/templates/runs/{newest.id}"):
        assert browser.get(path).status_code == 200


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(value) for value in range(1, 101)]
    assert (percentile(values, 50), percentile(values, 95), percentile([7.0], 95)) == (50, 95, 7)


def test_a_plot_is_svg_with_a_point_for_each_value() -> None:
    picture = svg("Title", "runs", "ms", [Line("a & b", {1: 0.5, 10: 3, 1000: 700})])
    assert len(ElementTree.fromstring(picture).findall("{*}circle")) == 3


def test_results_go_to_the_page_with_their_goals_and_slowdown_and_can_be_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("# Title\n\n<!-- tables -->\n<!-- end of tables -->\n\nThe end\n")
    monkeypatch.setattr(report, "DOCS", tmp_path)
    results = report.Results.begin(["--quick"], QUICK, {"Valkey": "9"})
    results.add("sqlite", 1_000, {"POST, p50": [3, 4, 5], "runs a second": [200]})
    results.add("sqlite", 1_000_000, {"POST, p50": [6], "runs a second": [100]})
    for before_and_after in (4, 6):
        results.add("sqlite", 1_000, {"list, All": [before_and_after]})
    results.add("sqlite", 1_000_000, {"list, All": [6]})
    results.add_growth("workers", "sqlite", {"runs a second": {1: 50.0, 2: 90.0}})
    for again in (results, report.Results.read):
        written = again if isinstance(again, report.Results) else again(tmp_path / "benchmarks.json")
        written.write()
        text = page.read_text()
        assert "| POST …/runs, p50 | ≤ 5 | 4.0 ms ✓ | 6.0 ms | 1.50 × |" in text
        assert "| list of 50, All, p50 | ≤ 10 | 5.0 ms ✓ | 6.0 ms ✓ | 1.20 × ✓ |" in text
        assert "| ≥ 150 | 200 runs/s ✓ | 100 runs/s | 2.00 × |" in text
        assert text.startswith("# Title\n")
        assert text.endswith("<!-- end of tables -->\n\nThe end\n")
    assert {file.name for file in (tmp_path / "pictures").iterdir()} == {
        "bench-runs.svg",
        "bench-throughput.svg",
        "bench-workers.svg",
    }
