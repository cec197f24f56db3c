"""The page *Operating*: its recipes are run as they stand there."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml
from flask import Flask

from portal_actions_plugin.runner.attempt.run_logs import speaking
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.settings.config import SETTINGS
from portal_actions_plugin.upkeep.measures import METRICS, Kind

DOCS = Path(__file__).parent.parent.parent / "docs"
MARKS = {"run_id": "r1", "action": "test.it@v1", "attempt": 2}


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / f"{page}.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def recipe(word: str) -> str:
    (found,) = (block for block in blocks("operating", "python") if word in block)
    return found


# -- logs ------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("F35")
def test_the_recipe_for_json_writes_an_object_in_a_line_for_each_record(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    made: dict[str, Any] = {}
    exec(recipe("class Json"), made)
    caplog.set_level(logging.INFO)
    with speaking(Redactor(["secret-4711"]), MARKS):
        try:
            raise KeyError("secret-4711\nx")
        except KeyError:
            logging.getLogger("vendor").exception("failed with %s", "secret-4711", extra={"of": object()})
    (line,) = made["Json"]().format(caplog.records[0]).splitlines()
    said = json.loads(line)
    assert {"level": "ERROR", "logger": "vendor", "template": "failed with %s", **MARKS}.items() <= said.items()
    assert said["message"] == "failed with •••"
    assert "KeyError" in said["traceback"]
    assert "secret-4711" not in line
    assert {"args", "msg", "exc_info"} & said.keys() == set()


@pytest.mark.fault("F35")
def test_the_recipe_for_sentry_names_the_run_and_sends_before_the_end(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}
    flushed: list[float] = []

    def flush(timeout: float) -> None:
        flushed.append(timeout)

    stub: Any = ModuleType("sentry_sdk")
    stub.init, stub.flush = given.update, flush
    logs: Any = ModuleType("sentry_sdk.integrations.logging")
    logs.LoggingIntegration = lambda event_level: SimpleNamespace(event_level=event_level)
    for name, module in (("sentry_sdk", stub), ("sentry_sdk.integrations", ModuleType("x")), (logs.__name__, logs)):
        monkeypatch.setitem(sys.modules, name, module)
    before = logging.getLogger().handlers[:]
    try:
        exec(recipe("sentry_sdk"), {})
        (added,) = set(logging.getLogger().handlers) - set(before)
        added.flush()
    finally:
        logging.getLogger().handlers[:] = before
    assert flushed == [2]
    assert given["integrations"][0].event_level == logging.ERROR
    assert given["include_local_variables"] is False
    with speaking(Redactor(), MARKS):
        logging.getLogger("vendor").error("x", extra={"error_type": "KeyError"})
    event = given["before_send"]({}, {"log_record": caplog.records[0]})
    assert event["tags"] == {"run_id": "r1", "action": "test.it@v1", "error_type": "KeyError"}
    assert given["before_send"]({"tags": {"a": "b"}}, {}) == {"tags": {"a": "b"}}


# -- rules of Prometheus ---------------------------------------------------------------------------------------------


def rules() -> dict[str, str]:
    (block,) = (block for block in blocks("metrics", "yaml") if "alert:" in block)
    return {rule["alert"]: rule["expr"] for group in yaml.safe_load(block)["groups"] for rule in group["rules"]}


def test_every_rule_asks_for_metrics_and_labels_that_there_are() -> None:
    series = {metric.name: set(metric.labels) for metric in METRICS}
    for metric in METRICS:
        if metric.kind is Kind.HISTOGRAM:
            series |= {f"{metric.name}_{end}": {*metric.labels, "le"} for end in ("bucket", "sum", "count")}
    assert len(rules()) >= 6
    for name, expression in rules().items():
        asked = re.findall(r"portal_actions_\w+", expression)
        assert asked, name
        assert set(asked) <= series.keys(), name
        by = {label.strip() for some in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression) for label in some.split(",")}
        selected = set(re.findall(r"[{,]\s*(\w+)\s*[=!]~?\"", expression))
        assert by | selected <= set.union(*(series[one] for one in asked)), name
        assert [expression.count(mark) for mark in "({["] == [expression.count(mark) for mark in ")}]"], name
        counters = {metric.name for metric in METRICS if metric.kind is Kind.COUNTER}
        for one in set(asked) & counters:
            assert re.search(rf"(?:increase|rate)\({one}[^)]*\[\d+[mh]\]\)", expression), f"{name}: {one} only rises"


def test_the_page_says_of_every_alert_where_to_look() -> None:
    named = set(re.findall(r"`(PortalActions\w+)`", (DOCS / "operating.md").read_text()))
    assert named == rules().keys()


# -- behind a proxy --------------------------------------------------------------------------------------------------


def test_behind_the_proxy_of_the_page_every_link_has_its_path_and_a_form_is_taken(
    make_app: Callable[..., Flask],
) -> None:
    (nginx,) = blocks("operating", "nginx")
    variables = {"$host": "portal.example.com", "$remote_addr": "203.0.113.7"}
    (server,) = re.findall(r"server_name (\S+);", nginx)
    assert server == variables["$host"]
    headers = {name: variables.get(value, value) for name, value in re.findall(r"proxy_set_header (\S+) (\S+);", nginx)}
    prefix, slash = re.search(r"location (/\w+)/ \{\s+proxy_pass http://127\.0\.0\.1:8000(/?);", nginx).groups()  # type: ignore[union-attr]
    assert slash == "/", "the path is taken away"
    app = make_app()
    exec(recipe("ProxyFix"), {"app": app})
    visitor = app.test_client()
    page = visitor.get("/actions", headers={**headers, "Authorization": "Bearer ada"})
    assert page.status_code == 200
    links = re.findall(r"(?:href|src|action)=\"(/[^\"]*|https?://[^\"]*)\"", page.get_data(as_text=True))
    assert links
    assert [link for link in links if not link.startswith((f"{prefix}/", f"https://{server}{prefix}/"))] == []
    started = visitor.post(
        "/api/v1/actions/debug.log@v1/runs",
        headers={**headers, "Authorization": "Bearer ada", "Origin": f"https://{server}"},
        json={"input": {"message": "hello"}},
    )
    assert started.status_code == 202, started.get_data(as_text=True)
    assert started.json["html_url"].startswith((f"{prefix}/", f"https://{server}{prefix}/"))


def test_what_the_page_says_of_a_lost_lease_is_what_is_set() -> None:
    defaults = {setting.name: setting.default for setting in SETTINGS}
    seconds = defaults["LEASE_SECONDS"] + defaults["LAPSE_GRACE_SECONDS"]
    assert f"{seconds} s later they are tried again" in (DOCS / "operating.md").read_text()
