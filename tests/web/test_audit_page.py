"""``/actions/audit``, as somebody without JavaScript gets it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from jinja2 import StrictUndefined
from sqlalchemy import insert

from portal_actions_plugin.blueprints.pages.routes import PAGE_SIZE
from portal_actions_plugin.runs.reading.audit_trail import EVENTS, OUTCOMES
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import new_id, transaction
from tests.support.page_html import Element, query, rows
from tests.support.page_rows import ago
from tests.support.people import Visitor

RUN = "0199f2c1-7c4e-7aa1-9b1e-2f1d3c4b5a69"


@pytest.fixture
def portal(make_app: Callable[..., Flask]) -> Iterator[Flask]:
    app = make_app()
    app.jinja_env.undefined = StrictUndefined
    with app.app_context():
        yield app


@pytest.fixture
def margaret(portal: Flask) -> Visitor:
    return Visitor(portal, "margaret")


@pytest.fixture
def ada(portal: Flask) -> Visitor:
    return Visitor(portal, "ada")


def add(*, age: float = 120, **values: Any) -> None:
    row = {"actor": "user:ada@example.com", "event": "template_run.start", "outcome": "accepted", "count": 1}
    row = {"id": new_id(), "at": ago(age), "last_at": ago(age), "target": "two-steps", **row, **values}
    with transaction("test") as tx:
        tx.execute(insert(tables.audit).values(**row))


def cells(page: Element) -> list[str]:
    (found,) = rows(page)
    return found


# -- who may -----------------------------------------------------------------------------------------------------------


def test_only_who_may_read_the_audit_is_led_to_it(margaret: Visitor, ada: Visitor) -> None:
    page = margaret.see("/actions?times=absolute")
    assert page.link("Audit") == "/actions/audit?times=absolute"
    assert margaret.see(page.link("Audit")).one("nav", class_="pa-crumbs").link("Actions") == "/actions?times=absolute"
    assert "Audit" not in ada.see("/actions").links()


def test_somebody_else_is_refused_and_that_is_a_row(margaret: Visitor, ada: Visitor) -> None:
    page = ada.see("/actions/audit", status=403)
    assert page.one("h1").text == "You may not do this"
    assert "audit:read" in page.text
    when, who, what, target, outcome, run = cells(margaret.see("/actions/audit"))
    assert (who, what, target, outcome, run) == (
        "Auser:ada@example.com",
        "Read the audit",
        "auditneeds audit:read",
        "denied",
        "",
    )
    assert when in ("just now", *(f"{second}s ago" for second in range(1, 60)))


def test_nobody_is_asked_to_sign_in(portal: Flask) -> None:
    answer = Visitor(portal, "nobody").get("/actions/audit")
    assert answer.status_code == 401
    assert answer.mimetype == "text/html"


# -- rows --------------------------------------------------------------------------------------------------------------


def test_the_audit_has_its_heading_and_exactly_these_columns(margaret: Visitor) -> None:
    add()
    page = margaret.see("/actions/audit")
    assert page.one("h1").text == "Audit"
    assert [head.text for head in page.all("th")] == ["When", "Who", "What", "Target", "Outcome", "Run"]
    assert rows(page) == [["2m ago", "Auser:ada@example.com", "Start a template", "two-steps", "accepted", ""]]


@pytest.mark.parametrize(
    ("values", "target"),
    [
        ({"outcome": "denied", "details": {"permission": "template:run"}}, "two-stepsneeds template:run"),
        ({"outcome": "failed", "details": {"error_code": "AUTH_ERROR"}}, "two-stepsAUTH_ERROR"),
        ({"event": "template_run.retry", "details": {"retry_of": RUN}}, "two-stepsagain after 0199f2c1-7c4e"),
        (
            {"details": {"origin": {"entity": "orders", "scorecard": "docs", "rule": "README exists"}}},
            "two-stepsfixes README exists on orders",
        ),
        (
            {"event": "prune", "details": {"template_runs": 2, "steps": 9, "one_offs": 1, "audit_rows": 4}},
            "two-steps3 runs, 4 audit rows",
        ),
        ({"event": "prune", "details": {}}, "two-steps"),
    ],
)
def test_a_row_says_what_else_is_known(margaret: Visitor, values: dict[str, Any], target: str) -> None:
    add(**values)
    assert cells(margaret.see("/actions/audit"))[3] == target


def test_repeats_are_a_number_beside_the_outcome(margaret: Visitor) -> None:
    add(outcome="rate_limited", count=4, last_at=ago(70))
    page = margaret.see("/actions/audit")
    assert cells(page)[4] == "rate limited ×44 times"
    assert page.one(class_="pa-count").attributes["title"] == "last 1m ago"


@pytest.mark.parametrize(
    ("values", "text", "leads_to"),
    [
        ({"run_id": RUN, "template_run_id": RUN}, "View run →", f"/templates/runs/{RUN}"),
        ({"run_id": new_id(), "template_run_id": RUN}, "View run →", f"/templates/runs/{RUN}"),
        ({"run_id": RUN, "event": "action_run.start"}, "View action →", f"/actions/runs/{RUN}"),
    ],
)
def test_a_row_leads_to_its_run(margaret: Visitor, values: dict[str, Any], text: str, leads_to: str) -> None:
    add(**values)
    assert margaret.see("/actions/audit").link(text) == leads_to


def test_what_somebody_wrote_into_a_path_is_text(margaret: Visitor) -> None:
    add(target="<script>alert(1)</script>", actor="<b>x</b>", details={"permission": "<i>"}, outcome="denied")
    _, who, _, target, *_ = cells(margaret.see("/actions/audit"))
    assert (who, target) == ("BB<b>x</b>", "<script>alert(1)</script>needs <i>")


# -- filters -----------------------------------------------------------------------------------------------------------


def test_chips_are_outcomes_and_keep_the_other_filters(margaret: Visitor) -> None:
    page = margaret.see("/actions/audit?outcome=denied&actor=user:ada&since=7d&times=absolute")
    chips = page.one("nav", class_="pa-chips").all("a")
    assert [chip.text for chip in chips] == ["All", *(outcome.replace("_", " ") for outcome in OUTCOMES)]
    assert [chip.text for chip in chips if chip.attributes.get("aria-current") == "true"] == ["denied"]
    kept = {"actor": ["user:ada"], "since": ["7d"], "times": ["absolute"]}
    assert query(page.link("failed")) == {**kept, "outcome": ["failed"]}
    assert query(page.link("All")) == kept
    assert query(page.link("Clear all")) == {"times": ["absolute"]}
    assert query(page.link("Remove the filter since 7d ✕")) == {
        "outcome": ["denied"],
        "actor": ["user:ada"],
        "times": ["absolute"],
    }


def test_the_filter_form_knows_every_event_and_sends_what_is_set(margaret: Visitor) -> None:
    page = margaret.see("/actions/audit?outcome=denied&event=audit.read&target=audit&times=absolute")
    action, fields = page.form("Apply")
    assert action == "/actions/audit"
    names = ("actor", "target", "run_id", "since", "until")
    assert fields == {**dict.fromkeys(names, ""), "target": "audit", "outcome": "denied", "times": "absolute"}
    options = page.one("select", name="event").all("option")
    assert [option.attributes["value"] for option in options] == ["", *EVENTS]
    assert [option.text for option in options if "selected" in option.attributes] == ["Read the audit"]


@pytest.mark.parametrize(
    ("address", "targets"),
    [
        ("", ["c", "b", "a"]),
        ("?outcome=denied", ["b"]),
        ("?actor=user:bob", ["c"]),
        ("?event=audit.read", ["b"]),
        ("?target=a", ["a"]),
        (f"?run_id={RUN}", ["c"]),
        ("?since=1h", ["c", "b"]),
        ("?until=1h", ["a"]),
        ("?actor=user:bob&outcome=denied", []),
    ],
)
def test_each_filter_narrows_the_audit(margaret: Visitor, address: str, targets: list[str]) -> None:
    add(target="a", age=9_000)
    add(target="b", outcome="denied", event="audit.read")
    add(target="c", actor="user:bob", run_id=RUN)
    page = margaret.see(f"/actions/audit{address}")
    assert ([row[3] for row in rows(page)] if targets else page.all("tbody")) == targets


@pytest.mark.parametrize(
    ("address", "status", "says"),
    [
        ("?outcome=maybe", 422, "There is no outcome maybe."),
        ("?event=nothing", 422, "There is no event nothing."),
        ("?since=soon", 422, "since: soon is no time."),
        ("?cursor=x", 422, "This cursor does not belong to this list with these filters."),
        ("?run_id=x", 404, "There is no run x."),
    ],
)
def test_a_filter_that_can_be_none_is_said_so(margaret: Visitor, address: str, status: int, says: str) -> None:
    assert says in margaret.see(f"/actions/audit{address}", status=status).text


def test_an_empty_audit_and_an_empty_filter_say_what_to_do(margaret: Visitor) -> None:
    assert "Nothing to account for yet." in margaret.see("/actions/audit").text
    page = margaret.see("/actions/audit?actor=user:bob&times=absolute")
    assert "No audit rows match this filter." in page.text
    assert page.link("Clear the filter") == "/actions/audit?times=absolute"


# -- pages of it -------------------------------------------------------------------------------------------------------


def test_older_and_newer_lead_through_the_audit_and_back(margaret: Visitor) -> None:
    for number in range(PAGE_SIZE + 3):
        add(target=f"t{number}", outcome="denied")
    first = margaret.see("/actions/audit?outcome=denied")
    assert len(rows(first)) == PAGE_SIZE
    second = margaret.see(first.link("Older →"))
    assert [row[3] for row in rows(second)] == ["t2", "t1", "t0"]
    assert "Older →" not in second.links()
    assert query(second.link("failed")) == {"outcome": ["failed"]}
    add(target="new", outcome="denied")
    back = margaret.see(second.link("← Newer"))
    assert len(rows(back)) == PAGE_SIZE


@pytest.mark.usefixtures("no_renewals")
def test_a_page_that_has_not_changed_is_a_304(margaret: Visitor) -> None:
    add()
    tag = margaret.get("/actions/audit").headers["ETag"]
    assert margaret.get("/actions/audit", headers={"If-None-Match": tag}).status_code == 304
    add()
    assert margaret.get("/actions/audit", headers={"If-None-Match": tag}).status_code == 200
