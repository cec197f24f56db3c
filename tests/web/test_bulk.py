"""Many runs at once: what the page says before, and what has happened after. On both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from jinja2 import StrictUndefined
from sqlalchemy import delete, select, update

from portal_actions_plugin import plugin
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading, transaction
from tests.support import page_html
from tests.support.page_html import Element, query
from tests.support.page_rows import AUTH_ERROR, BOB, ORIGIN, TWO_STEPS, add_action_run, add_template_run, failed
from tests.support.people import Visitor
from tests.support.portal import PEOPLE

ADA = PEOPLE["ada"]
NO_SUCH_RUN = "There is no such run."
UNKNOWN = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
def portal(make_app: Callable[..., Flask], database_url: str) -> Iterator[Flask]:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, PORTAL_ACTIONS_SECRET_KEYS=Fernet.generate_key().decode())
    app.jinja_env.undefined = StrictUndefined
    with app.app_context():
        yield app


@pytest.fixture
def ada(portal: Flask) -> Visitor:
    return Visitor(portal, "ada")


def running(**values: Any) -> tuple[str, str]:
    run_id, steps = add_template_run("running", ("success", "running"), **{**TWO_STEPS, **values})
    return run_id, steps[1]


def address(deed: str, *run_ids: str, **more: Any) -> str:
    return f"/actions/bulk?{urlencode({'do': deed, 'run': run_ids, **more}, doseq=True)}"


def told(page: Element) -> list[str]:
    """What the page says of each run."""
    return [cell.text for cell in page.all("td", class_="pa-c-plan")]


def buttons(page: Element) -> list[str]:
    return [button.text for button in page.all("button")]


def confirm(visitor: Visitor, page: Element, **fields: Any) -> Element:
    [form] = page.all("form")
    hidden = form.all("input")
    sent = {i.attributes["name"]: i.attributes["value"] for i in hidden if i.attributes["name"] != "run"}
    runs = [i.attributes["value"] for i in hidden if i.attributes["name"] == "run"]
    answer = visitor.post(form.attributes["action"], {**sent, "run": runs, **fields})
    assert answer.status_code == 200, answer.text
    return page_html.read(answer.text)


def template_runs() -> list[Any]:
    return list(queries.template_runs(RunFilter(), limit=200).items)


# -- the list --------------------------------------------------------------------------------------------------------


def test_a_row_can_be_ticked_where_something_can_be_done(ada: Visitor) -> None:
    ids = {status: add_action_run(status) for status in ("queued", "running", "success", "failed", "canceled")}
    page = ada.see("/actions")
    boxes = {box.attributes["value"]: box.attributes for box in page.all("input", type="checkbox", name="run")}
    assert set(boxes) == {run_id for status, run_id in ids.items() if status != "success"}
    assert {box["form"] for box in boxes.values()} == {page.one("form", id="pa-bulk").attributes["id"]}
    assert boxes[ids["failed"]]["aria-label"].startswith("Select debug.log@v1, failed, ")
    assert [row.attributes["id"] for row in page.one("tbody").all("tr")] == [f"run-{i}" for i in [*ids.values()][::-1]]


def test_who_may_do_nothing_to_runs_has_nothing_to_tick(portal: Flask) -> None:
    add_action_run("failed")
    page = Visitor(portal, "vera").see("/actions")
    assert page.all("input", type="checkbox") == page.all("form", id="pa-bulk") == []


def test_the_list_takes_its_filters_along_and_every_way_back_has_them(ada: Visitor) -> None:
    kept = {"status": ["failed", "canceled"], "requested_by": ["user:ada@example.com"], "times": ["absolute"]}
    _, step = failed()
    page = ada.see(f"/actions?{urlencode(kept, doseq=True)}")
    action, _ = page.form("Retry selected…")
    hidden = page.one("form", id="pa-bulk").all("input", type="hidden")
    carried = [(field.attributes["name"], field.attributes["value"]) for field in hidden]
    assert action == "/actions/bulk"
    preview = ada.see(f"{action}?{urlencode([*carried, ('do', 'retry'), ('run', step)])}")
    assert query(preview.link("Back to the list")) == kept
    assert query(confirm(ada, preview).link("Back to the list")) == kept


def test_no_address_leads_back_to_elsewhere(ada: Visitor) -> None:
    elsewhere = {"list": "https://evil.example/", "next": "//evil.example", "entity": "//evil.example"}
    page = ada.see(address("retry", failed()[1], **elsewhere))
    assert page.link("Back to the list") == "/actions?entity=//evil.example"


def test_fifty_failed_rows_are_still_a_light_page(ada: Visitor) -> None:
    for _ in range(50):
        add_action_run("failed", **AUTH_ERROR)
    answer = ada.get("/actions")
    assert answer.text.count('name="run"') == 50
    assert len(answer.data) < 60_000


# -- the preview -----------------------------------------------------------------------------------------------------


def test_the_preview_says_of_each_run_what_a_cancel_will_do(ada: Visitor) -> None:
    two_done, _ = add_template_run("running", ("success", "success", "running"), **TWO_STEPS)
    page = ada.see(
        address(
            "cancel",
            queries.template_run(two_done).steps[2].run.id,
            running()[1],
            add_template_run("queued", ("queued",), **TWO_STEPS)[1][0],
            add_action_run("queued"),
            add_action_run("running"),
            failed()[1],
            add_action_run("running", **BOB),
        )
    )
    assert told(page) == [
        "Will be canceled; 2 of 3 steps stay done.",
        "Will be canceled; 1 of 3 steps stays done.",
        "Will be canceled; no step is done yet.",
        "Will be canceled; it has not begun.",
        "Will be canceled; what it has done stays.",
        "Has ended already.",
        "You may not cancel other people’s runs.",
    ]
    assert buttons(page) == ["Cancel 5 runs"]
    assert page.all("tr")[1].link("Two steps") == f"/templates/runs/{two_done}"


def test_the_preview_says_of_each_run_what_a_retry_will_do(ada: Visitor, template_folder: Path) -> None:
    (template_folder / "broken.yaml").write_text(
        "apiVersion: portal-actions/v1\nkind: Template\nmetadata: {name: broken}\nspec: {}\n"
    )
    again, ticked = failed()
    newer, _ = failed(retry_of=again)
    succeeded, _ = add_template_run("success", ("success",), **TWO_STEPS)
    page = ada.see(
        address(
            "retry",
            failed()[1],
            add_action_run("failed", input={"message": "hello"}, **AUTH_ERROR),
            ticked,
            running()[1],
            queries.template_run(succeeded).steps[0].run.id,
            failed(template="gone")[1],
            failed(template="broken")[1],
            failed(inputs={"name": "orders", "token": "•••"})[1],
            add_action_run("failed", action="no.more@v1", **AUTH_ERROR),
        )
    )
    assert told(page) == [
        "A new run of Two steps.",
        "A new run of debug.log@v1.",
        f"A new run of Two steps. It was retried already, as {newer[:13]} of Ada Lovelace, failed.",
        "Is still running: cancel it first.",
        "Has succeeded: start the template anew for another run.",
        "The template is gone.",
        "The template cannot be used: its file is broken.",
        "Needs its secret inputs again: open the run to give them.",
        "The action is gone.",
    ]
    assert buttons(page) == ["Retry 3 runs"]


def test_what_may_not_be_started_says_so(portal: Flask) -> None:
    page = Visitor(portal, "vera").see(address("retry", failed()[1], add_action_run("failed", **AUTH_ERROR)))
    assert told(page) == ["You may not start this again."] * 2
    assert buttons(page) == []
    page = Visitor(portal, "vera").see(
        address("cancel", add_action_run("running", requested_by="user:vera@example.com"))
    )
    assert told(page) == ["You may not cancel runs."]


def test_steps_of_one_template_run_are_that_run_once(ada: Visitor) -> None:
    run_id, steps = add_template_run("failed", ("success", "failed"), **TWO_STEPS, step_values={1: AUTH_ERROR})
    page = ada.see(address("retry", *steps, steps[1].upper()))
    assert told(page) == ["A new run of Two steps."]
    results = confirm(ada, page, run=[*steps, steps[1].upper()])
    assert [one.retry_of for one in template_runs()] == [run_id, None]
    assert results.one("h1").text == "Retried 1 of 1 run"


def test_a_preview_changes_nothing(ada: Visitor) -> None:
    ticked = [failed()[1], running()[1]]
    before = template_runs()
    for deed in ("retry", "cancel"):
        ada.see(address(deed, *ticked))
    assert template_runs() == before
    with reading() as db:
        assert db.rows(select(tables.audit)) == []


def test_runs_that_nobody_knows_of_are_told_of_as_such(ada: Visitor) -> None:
    ids = [UNKNOWN, "x", "\0", "💣" * 200, "'; --", failed()[1]]
    for deed, known in (("retry", "A new run of Two steps."), ("cancel", "Has ended already.")):
        assert told(ada.see(address(deed, *ids))) == [NO_SUCH_RUN] * 5 + [known]
    page = ada.see(address("retry", *ids))
    refused = confirm(ada, page, run=ids[:5])
    assert told(refused) == [f"Refused: {NO_SUCH_RUN} The page Actions lists the runs."] * 5


def test_a_run_that_the_host_hides_reads_like_one_that_is_not_there(portal: Flask, ada: Visitor) -> None:
    def authorizer(identity: Any, permission: str, target: Any) -> bool:
        return getattr(target, "requested_by", identity.id) == identity.id

    plugin.of(portal).authorizer(authorizer, replace=True)
    # Two steps of one run: nothing may tell that they belong together.
    steps = add_template_run("running", ("success", "running"), **TWO_STEPS, **BOB)[1]
    hidden = (*steps, add_action_run("running", **BOB))
    assert told(ada.see(address("cancel", *hidden, UNKNOWN))) == [NO_SUCH_RUN] * 4
    own = ada.see(address("cancel", running()[1]))
    results = confirm(ada, own, run=[*hidden, UNKNOWN])
    assert set(told(results)) == {f"Refused: {NO_SUCH_RUN} The page Actions lists the runs."}
    assert "Bob" not in results.text
    with reading() as db:
        assert {row["outcome"] for row in db.rows(select(tables.audit))} == {"denied"}


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"run": UNKNOWN}, "It is not said what to do."),
        ({"do": "delete", "run": UNKNOWN}, "There is nothing named delete to do with runs."),
        ({"do": "retry"}, "No run is selected."),
        ({"do": "retry", "run": [str(n) for n in range(51)]}, "51 runs are selected. Select 50 at most at a time."),
        ({"do": "retry", "run": UNKNOWN, "status": "lost"}, "There is no status lost."),
    ],
)
def test_an_address_that_asks_for_nothing_is_a_422_that_says_why(ada: Visitor, asked: Any, says: str) -> None:
    page = ada.see(f"/actions/bulk?{urlencode(asked, doseq=True)}", 422)
    assert says in page.text
    assert page.link("All action runs") == "/actions"


def test_a_form_with_no_run_or_too_many_does_nothing(ada: Visitor) -> None:
    page = ada.see(address("retry", failed()[1]))
    action, fields = page.form("Retry 1 run")
    for runs in ([], [str(n) for n in range(51)]):
        assert ada.post(action, {**fields, "run": runs}).status_code == 422
    assert len(template_runs()) == 1


# -- doing it --------------------------------------------------------------------------------------------------------


def test_a_cancel_tells_of_each_run_and_leaves_the_rows_of_single_ones(ada: Visitor) -> None:
    whole, step = running()
    one_off = add_action_run("queued")
    results = confirm(ada, ada.see(address("cancel", step, one_off)))
    assert results.one("h1").text == "Canceled 2 of 2 runs"
    assert told(results) == ["Canceled", "Canceled"]
    assert [badge.text for badge in results.all(class_="pa-badge")] == ["canceled", "canceled"]
    assert queries.template_run(whole).status == queries.action_run(one_off).status == "canceled"
    with reading() as db:
        events = [row["event"] for row in db.rows(select(tables.audit).order_by(tables.audit.c.id))]
    assert events == ["template_run.cancel", "action_run.finish", "action_run.cancel"]


def test_a_retry_starts_new_runs_and_leads_to_them(ada: Visitor) -> None:
    whole, step = failed()
    one_off = add_action_run("failed", input={"message": "hello"}, **AUTH_ERROR)
    results = confirm(ada, ada.see(address("retry", step, one_off)))
    again = template_runs()[0]
    newest = queries.action_runs(RunFilter(action="debug.log@v1", status=("queued",)), limit=1).items[0]
    assert (again.retry_of, newest.retry_of) == (whole, one_off)
    assert told(results) == [f"Started {again.id[:13]} →", f"Started {newest.id[:13]} →"]
    assert results.link(again.id[:13]) == f"/templates/runs/{again.id}"
    assert results.link(newest.id[:13]) == f"/actions/runs/{newest.id}"


def test_of_forty_retries_those_within_the_limit_start_and_the_rest_can_be_had_later(ada: Visitor) -> None:
    steps = [failed()[1] for _ in range(40)]
    page = ada.see(address("retry", *steps, entity="orders"))
    assert told(page)[:10] == ["A new run of Two steps."] * 10
    assert set(told(page)[10:]) == {"Over your limit of 10 starts a minute. Try again in 1 min 0 s."}
    assert buttons(page) == ["Retry 10 runs"]
    assert "10 of 10 starts left this minute" in page.text
    results = confirm(ada, page)
    assert results.one("h1").text == "Retried 10 of 10 runs"
    assert len(template_runs()) == 50
    rest = results.link("Retry 30 more…")
    assert (query(rest)["run"], query(rest)["entity"]) == (steps[10:], ["orders"])
    later = ada.see(rest)
    assert buttons(later) == []
    assert len(told(later)) == 30
    assert "0 of 10 starts left this minute. The next one is free in" in later.text
    assert query(later.link("↻ Refresh"))["run"] == steps[10:]


def test_a_limit_that_is_reached_meanwhile_says_when_to_try_again_and_offers_the_rest(ada: Visitor) -> None:
    steps = [failed()[1] for _ in range(3)]
    page = ada.see(address("retry", *steps))
    for _ in range(8):
        service.start_template_run(ADA, "two-steps", {"name": "orders"})
    results = confirm(ada, page)
    assert [words.partition(" ")[0] for words in told(results)] == ["Started", "Started", "Refused:"]
    assert "You have started 10 runs in the last minute. Wait" in told(results)[2]
    assert query(results.link("Retry 1 more…"))["run"] == [steps[2]]


def test_one_refusal_stops_no_other_whoever_the_runs_belong_to(portal: Flask, ada: Visitor) -> None:
    own, others = [running() for _ in range(2)], [running(**BOB) for _ in range(2)]
    mixed = [own[0][1], others[0][1], own[1][1], others[1][1]]
    page = ada.see(address("cancel", *mixed))
    assert buttons(page) == ["Cancel 2 runs"]
    results = confirm(ada, page, run=mixed)
    denied = (
        "Refused: You need the permission run:cancel-any for this. "
        "Ask your platform team for the permission that is named."
    )
    assert told(results) == ["Canceled", denied, "Canceled", denied]
    assert results.one("h1").text == "Canceled 2 of 4 runs"
    with reading() as db:
        assert [row["outcome"] for row in db.rows(select(tables.audit))].count("denied") == 2
    admins = Visitor(portal, "margaret").see(address("cancel", *mixed))
    assert buttons(admins) == ["Cancel 2 runs"]
    assert told(confirm(Visitor(portal, "margaret"), admins)) == ["Canceled", "Canceled"]


def test_a_run_that_ends_between_preview_and_confirmation_is_refused_alone(ada: Visitor) -> None:
    ended, step = running()
    page = ada.see(address("cancel", step, running()[1]))
    with transaction("test") as tx:
        tx.execute(update(tables.template_runs).where(tables.template_runs.c.id == ended).values(status="success"))
    results = confirm(ada, page)
    assert told(results) == [
        f"Refused: The run {ended} has ended already. Look at the run: nothing is left to cancel.",
        "Canceled",
    ]


def test_a_run_that_is_deleted_between_preview_and_confirmation_is_refused_alone(ada: Visitor) -> None:
    gone = add_action_run("failed", input={"message": "hello"}, **AUTH_ERROR)
    page = ada.see(address("retry", gone, failed()[1]))
    with transaction("test") as tx:
        tx.execute(delete(tables.action_runs).where(tables.action_runs.c.id == gone))
    refused, started = told(confirm(ada, page))
    assert refused == f"Refused: {NO_SUCH_RUN} The page Actions lists the runs."
    assert started.startswith("Started ")


def test_a_form_that_is_sent_twice_is_one_run_each(ada: Visitor) -> None:
    ticked = (failed()[1], add_action_run("failed", input={"message": "x"}, **AUTH_ERROR))
    page = ada.see(address("retry", *ticked))
    first, second = confirm(ada, page), confirm(ada, page)
    assert told(first) == told(second)
    assert len(template_runs()) == 2
    again = ada.see(address("retry", *ticked))
    at_work = [line.split()[1] for line in told(first)]
    assert told(again) == [
        f"A retry of it is at work already. It is {run_id} of Ada Lovelace, queued." for run_id in at_work
    ], "a retry that is at work is the answer to whoever looks again"
    assert buttons(again) == []


def test_a_cancel_that_is_sent_twice_is_canceled_both_times(ada: Visitor) -> None:
    page = ada.see(address("cancel", running()[1], add_action_run("running")))
    assert told(confirm(ada, page)) == told(confirm(ada, page)) == ["Canceled", "Canceled"]


def test_a_retry_that_finds_its_fix_at_work_leads_there(ada: Visitor) -> None:
    twice = [add_action_run("failed", input={"message": "x"}, origin=ORIGIN, **AUTH_ERROR) for _ in range(2)]
    results = confirm(ada, ada.see(address("retry", *twice)))
    started, there = told(results)
    at_work = started.split()[1]
    assert there == f"A fix of the same rule is at work already: {at_work}"


def test_without_a_token_nothing_is_done(ada: Visitor) -> None:
    whole, step = running()
    page = ada.see(address("cancel", step))
    action, fields = page.form("Cancel 1 run")
    assert ada.post(action, {**fields, "csrf_token": ""}).status_code == 403
    assert queries.template_run(whole).status == "running"


def test_whoever_loads_the_address_of_the_form_again_gets_the_preview(ada: Visitor) -> None:
    page = ada.see(address("retry", failed()[1], failed(template="gone")[1], status="failed"))
    action, _ = page.form("Retry 1 run")
    again = ada.see(action)
    assert told(again) == ["A new run of Two steps."]
    assert query(again.link("Back to the list")) == {"status": ["failed"]}


def test_somebody_unknown_gets_neither_page(portal: Flask) -> None:
    nobody = Visitor(portal, "nobody")
    path = address("retry", failed()[1])
    assert nobody.get(path).status_code == nobody.post(path, {"run": UNKNOWN}).status_code == 401
