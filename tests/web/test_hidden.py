"""What a host hides from somebody leaves no trace in anything that they are answered."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal_actions_plugin import Identity, plugin
from portal_actions_plugin.blueprints.pages.words import PageText
from portal_actions_plugin.cli import actions as commands
from portal_actions_plugin.run_types import ActionRun, TemplateRun
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.dictionary import terms
from portal_actions_plugin.runs.dictionary.values import seen_in
from portal_actions_plugin.runs.reading import paging, queries
from portal_actions_plugin.storage.sessions import transaction
from tests.support.page_rows import AUTH_ERROR, BOB, GRACE, TWO_STEPS, add_action_run, add_log, add_template_run
from tests.support.people import Person
from tests.support.portal import PEOPLE, decide
from tests.support.run_helpers import change_action
from tests.support.templates import TWO_STEPS as TEMPLATE

API = "/api/v1"
MISSING = "01990000-0000-7000-8000-000000000000"
SECRET_ENTITY = "component:default/moonshot"

pytestmark = pytest.mark.usefixtures("patient_with_the_host")


@pytest.fixture
def patient_with_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded machine is slow to ask the host about rows, and a page would end early."""
    monkeypatch.setattr(paging, "ASK_SECONDS", 60, raising=False)


def own_runs_only(identity: Identity, permission: str, target: Any) -> bool:
    """People see and change their own runs, and know of one template and one action less than there are."""
    if "platform-admin" in identity.roles:
        return True
    if isinstance(target, ActionRun | TemplateRun):
        return target.requested_by == identity.id
    return target not in ("moonbase", "brokenly", "test.hush@v1") and permission not in ("run:cancel-any", "audit:read")


@pytest.fixture
def portal(make_app: Callable[..., Flask], template_folder: Path) -> Iterator[Flask]:
    (template_folder / "moonbase.yaml").write_text(TEMPLATE.replace("two-steps", "moonbase"))
    (template_folder / "brokenly.yaml").write_text(
        TEMPLATE.replace("two-steps", "brokenly").replace("debug.log@v1", "no.where@v1")
    )
    app = make_app(PORTAL_ACTIONS_RATE_LIMIT="1000 per minute")
    decide(app, own_runs_only)
    registry = app.extensions["portal_actions"].registry
    with app.app_context():
        registry._actions["test.hush@v1"] = registry.get("debug.log@v1")
        change_action("test.hush@v1", id="test.hush@v1")
        yield app


@pytest.fixture
def bob(portal: Flask) -> Person:
    return Person(portal.test_client(), "bob")


def failed(**values: Any) -> tuple[str, list[str]]:
    return add_template_run("failed", ("success", "failed"), **{**TWO_STEPS, **values}, step_values={1: AUTH_ERROR})


@dataclass(frozen=True)
class Hidden:
    """What is hidden from Bob, by the variables of routes; a missing one of the same length stands against each."""

    run_id: tuple[str, ...]
    name: tuple[str, ...] = ("moonbase", "brokenly")
    action_id: tuple[str, ...] = ("test.hush@v1",)

    def of(self, variable: str) -> list[tuple[str, str]]:
        missing = {"run_id": MISSING, "name": "absently", "action_id": "test.none@v1"}[variable]
        return [(hidden, missing) for hidden in getattr(self, variable)]


@pytest.fixture
def hidden(portal: Flask) -> Hidden:
    whole, steps = failed(entity=SECRET_ENTITY, **GRACE)
    one_off = add_action_run("failed", entity=SECRET_ENTITY, **AUTH_ERROR, **GRACE)
    active = add_action_run("running", entity=SECRET_ENTITY, action="test.hush@v1", **GRACE)
    secret, _ = add_template_run(
        "running", ("running",), **{**TWO_STEPS, "template": "moonbase", "title": "Moonbase"}, **GRACE
    )
    add_log(one_off, "what nobody may read")
    return Hidden((whole, *steps, one_off, active, secret))


BODIES = {"start_template_run": {"inputs": {"name": "orders"}}, "start_action_run": {"input": {"message": "hi"}}}
PUBLIC = ("portal_actions.static",)
FORMS = ("portal_actions.do_bulk",)
"""Which runs are meant is in their form: a test below sends it."""


def routes(portal: Flask) -> Iterator[tuple[str, Any]]:
    for rule in portal.url_map.iter_rules():
        if rule.endpoint.startswith("portal_actions") and rule.endpoint not in (*PUBLIC, *FORMS):
            for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
                yield method, rule


def ask(bob: Person, method: str, path: str, endpoint: str) -> TestResponse:
    answer: TestResponse
    if method == "GET":
        answer = bob.get(path, buffered=True)
    else:
        answer = bob.post(path, BODIES.get(endpoint.rpartition(".")[2]))
    return answer


def told(answer: TestResponse, value: str) -> tuple[Any, ...]:
    """All that an answer says, but for the value that was asked for."""
    headers = sorted((name, text.replace(value, "…")) for name, text in answer.headers if name != "Date")
    return answer.status_code, headers, answer.text.replace(value, "…").replace(shortened(value), "…")


def shortened(value: str) -> str:
    """A run's id as pages show it."""
    return PageText.short_id(value) if len(value) == 36 else value


@pytest.mark.fault("B11")
def test_what_is_hidden_is_answered_on_every_route_like_what_is_not_there(
    portal: Flask, bob: Person, hidden: Hidden
) -> None:
    wrong, asked = [], 0
    for method, rule in routes(portal):
        named = rule.arguments - {"position"}  # a step's, in a run
        assert len(named) <= 1, f"say here what is hidden of {rule}"
        for variable in named:
            for value, missing in hidden.of(variable):
                places = rule.rule.replace("<position>", "0").replace("/workspace/file", "/workspace/file?path=a")
                paths = [re.sub(r"<[^>]*>", one, places) for one in (value, missing)]
                answers = [ask(bob, method, path, rule.endpoint) for path in paths]
                asked += 1
                if told(answers[0], value) != told(answers[1], missing):
                    wrong.append((method, rule.rule, value, [answer.text for answer in answers]))
                if answers[0].status_code not in (302, 404):  # what leads back to a run's page asks nobody
                    wrong.append((method, rule.rule, value, answers[0].status))
    assert wrong == []
    assert asked > 60


@pytest.mark.fault("B11")
def test_nothing_that_is_hidden_is_named_on_any_page_and_in_any_list(
    portal: Flask, bob: Person, hidden: Hidden
) -> None:
    own, _ = failed(**BOB)
    add_action_run(**BOB)
    named = (*hidden.run_id, "moonbase", "Moonbase", "brokenly", "test.hush", "moonshot", "grace", "Grace")
    ways = (
        "",
        "?limit=1",
        "?q=o",
        f"?entity={SECRET_ENTITY}",
        "?q=comp",
        "?status=running",
        "?requested_by=user:grace@example.com",
    )
    seen = {"/templates/runs/" + own, f"{API}/template-runs/{own}"}
    for method, rule in routes(portal):
        if method == "GET" and not rule.arguments and "/health" not in rule.rule:
            seen.update(rule.rule + way for way in ways)
    for path in sorted(seen):
        asked_for = path.partition("?")[2]
        text = bob.get(path, buffered=True).text
        found = [word for word in named if word in text.replace(asked_for.partition("=")[2] or "\0", "")]
        assert found == [], path


@pytest.mark.fault("B11")
@pytest.mark.parametrize("path", [f"{API}/action-runs", f"{API}/template-runs", "/actions"])
@pytest.mark.parametrize(
    ("name", "fits", "nothing"),
    [
        ("entity", SECRET_ENTITY, "component:default/nothing"),
        ("requested_by", "user:grace@example.com", "user:nobody@example.com"),
        ("requested_by", "Grace Hopper", "Gerda Nobody"),
        ("template", "moonbase", "nowhere1"),
        ("action", "test.hush@v1", "test.none@v1"),
        ("q", "moonshot", "nothing1"),
        ("q", "grace", "gerda"),
    ],
)
def test_a_filter_that_only_fits_what_is_hidden_answers_as_one_that_fits_nothing(
    bob: Person, hidden: Hidden, path: str, name: str, fits: str, nothing: str
) -> None:
    answers = [bob.get(path, query_string={"limit": 1, name: value}) for value in (fits, nothing)]
    texts = []
    for answer, value in zip(answers, (fits, nothing), strict=True):
        assert answer.status_code == 200
        written = {value, quote(value, safe=""), quote(value, safe=":"), quote_plus(value), quote(value, safe=":@/")}
        text = re.sub(r"W/&#34;[^&]*&#34;", "", answer.text)  # the page's own state has its address in it
        texts.append(re.sub("|".join(map(re.escape, sorted(written, key=len, reverse=True))), "…", text))
    assert texts[0] == texts[1]
    assert path == "/actions" or '"next_cursor":null' in re.sub(r"\s", "", texts[0])


@pytest.mark.parametrize(
    ("name", "given", "mine", "others"),
    [
        ("entity", "orders", {"entity": "component:default/orders"}, {"entity": "orders"}),
        ("entity", "default/Orders", {"entity": "component:default/orders"}, {"entity": "default/Orders"}),
        ("requested_by", "Bob Kahn", {}, {"requested_by": "Bob Kahn", "requester_name": "Bob Kahn"}),
        ("template", "deploy", {"template": "two-steps", "title": "Deploy"}, {"template": "deploy", "title": "Ship"}),
    ],
)
def test_a_name_finds_the_same_of_mine_whatever_else_is_called_so(
    bob: Person, name: str, given: str, mine: dict[str, str], others: dict[str, str]
) -> None:
    def add(**values: str) -> None:
        values = {"template": "two-steps", "title": "Two steps", **values}
        failed(**values)
        seen = [one for field, value in values.items() if field != "title" for one in seen_in(field, value)]
        with transaction("test") as tx:
            terms.write(tx, [*seen, *seen_in("title", values["template"], values["title"])])

    def listed() -> list[str]:
        return [run["id"] for run in bob.get(f"{API}/template-runs", query_string={name: given}).json["data"]]

    add(**{**BOB, **mine})
    before = listed()
    add(**{**GRACE, **others})
    assert listed() == before != []


@pytest.mark.parametrize(("more", "many"), [("", 8), ("&status=failed", 12)])
def test_a_filter_is_said_to_fit_nothing_however_many_hidden_runs_it_fits(
    bob: Person, monkeypatch: pytest.MonkeyPatch, more: str, many: int
) -> None:
    monkeypatch.setattr(paging, "MOST_ASKED", 10)
    for _ in range(many):
        add_action_run(entity=SECRET_ENTITY, **GRACE)
    page = bob.get(f"{API}/action-runs?entity={SECRET_ENTITY}{more}").json
    assert page["pagination"]["next_cursor"] is None
    assert [one["filter"] for one in page["unmatched"]] == ["entity"]


@pytest.mark.fault("B11")
@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_the_pages_of_who_sees_their_own_runs_only_are_full_and_end_with_the_last_of_them(
    bob: Person, portal: Flask, limit: int
) -> None:
    own = []
    for n in range(24):
        run_id = add_action_run(**(BOB if n % 4 == 1 else GRACE))
        own += [run_id] if n % 4 == 1 else []
    pages: list[list[str]] = []
    cursor = ""
    while cursor is not None:
        page = bob.get(f"{API}/action-runs?limit={limit}{cursor and '&cursor=' + cursor}").json
        pages.append([run["id"] for run in page["data"]])
        cursor = page["pagination"]["next_cursor"]
    assert [run_id for page in pages for run_id in page] == own[::-1]
    assert [len(page) for page in pages] == [limit] * (6 // limit) + ([6 % limit] if 6 % limit else [])


def test_newer_and_older_on_the_page_lead_past_what_is_hidden_and_back(bob: Person, portal: Flask) -> None:
    own = []
    for n in range(160):
        run_id = add_action_run(**(BOB if n % 2 else GRACE))
        own += [run_id] if n % 2 else []
    first = bob.get("/actions").text
    [older] = re.findall(r'rel="next" href="([^"]*)"', first)
    second = bob.get(older.replace("&amp;", "&")).text
    assert re.findall(r'id="run-([0-9a-f-]{36})"', first + second) == own[::-1]
    assert 'rel="next"' not in second
    [newer] = re.findall(r'rel="prev" href="([^"]*)"', second)
    back = bob.get(newer.replace("&amp;", "&")).text
    assert re.findall(r'id="run-([0-9a-f-]{36})"', back) == own[::-1][:50]


@pytest.mark.parametrize(("bound", "value"), [("MOST_ASKED", 20), ("ASK_SECONDS", -1)])
def test_the_host_is_asked_about_so_many_runs_and_then_the_page_goes_on_by_cursor(
    portal: Flask, bob: Person, monkeypatch: pytest.MonkeyPatch, bound: str, value: float
) -> None:
    monkeypatch.setattr(paging, bound, value)
    asked: list[str] = []

    def note(identity: Identity, permission: str, target: Any) -> bool:
        if isinstance(target, ActionRun):
            asked.append(target.id)
        return own_runs_only(identity, permission, target)

    own = add_action_run(**BOB)
    newer = [add_action_run(**GRACE) for _ in range(50)]
    decide(portal, note)
    pages, cursor = [], ""
    while cursor is not None:
        pages.append(bob.get(f"{API}/action-runs?limit=5{cursor and '&cursor=' + cursor}").json)
        cursor = pages[-1]["pagination"]["next_cursor"]
        assert len(asked) <= max(value, 1) * len(pages)
        assert not cursor or not cursor_tells_of(cursor, newer)
    assert [[run["id"] for run in page["data"]] for page in pages] == [[]] * (len(pages) - 1) + [[own]]
    assert sorted(asked) == sorted([own, *newer]), "each was asked about once"


def cursor_tells_of(cursor: str, run_ids: list[str]) -> bool:
    raw = base64.urlsafe_b64decode(cursor + "==")
    return any(
        part in raw for run_id in run_ids for part in (uuid.UUID(run_id).bytes[:4], uuid.UUID(run_id).bytes[8:12])
    )


@pytest.mark.fault("B11")
@pytest.mark.parametrize("path", ["action-runs", "template-runs", "audit", "actions", "templates"])
def test_a_cursor_tells_nothing_and_cannot_be_made_up(portal: Flask, path: str) -> None:
    margaret = Person(portal.test_client(), "margaret")
    ids = [add_action_run() for _ in range(3)] + [failed()[0] for _ in range(3)]
    for name in ("two-steps", "moonbase"):
        service.start_template_run(PEOPLE["margaret"], name, {"name": "orders"})
    first = margaret.get(f"{API}/{path}?limit=1").json
    cursor = first["pagination"]["next_cursor"]
    assert margaret.get(f"{API}/{path}?limit=1").json["pagination"]["next_cursor"] == cursor, "a poll sees no change"
    assert not cursor_tells_of(cursor, [*ids, first["data"][0].get("id", MISSING) if path == "audit" else MISSING])
    assert str(first["data"][0].get("name", first["data"][0].get("id"))).encode() not in base64.urlsafe_b64decode(
        cursor + "=="
    )
    for at in (0, 5, len(cursor) - 2):
        forged = cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :]
        refused = margaret.get(f"{API}/{path}?limit=1&cursor={forged}")
        assert (refused.status_code, list(refused.json["errors"])) == (422, ["cursor"])


@pytest.mark.fault("B11")
def test_a_cursor_is_good_for_its_list_with_its_filters(portal: Flask) -> None:
    margaret = Person(portal.test_client(), "margaret")
    for _ in range(3):
        add_action_run()
    cursor = margaret.get(f"{API}/action-runs?limit=1&action=debug.log@v1").json["pagination"]["next_cursor"]
    assert margaret.get(f"{API}/action-runs?limit=1&action=debug.log@v1&cursor={cursor}").status_code == 200
    for other in ("", "&q=debug", "&action=debug.log@v1&status=success"):
        refused = margaret.get(f"{API}/action-runs?limit=1{other}&cursor={cursor}")
        assert refused.status_code == 422
        assert refused.json["message"] == "This cursor does not belong to this list with these filters."


def test_a_cursor_outlives_a_changed_secret_key_by_the_fallbacks(portal: Flask) -> None:
    margaret = Person(portal.test_client(), "margaret")
    for _ in range(3):
        add_action_run()
    cursor = margaret.get(f"{API}/action-runs?limit=1").json["pagination"]["next_cursor"]
    portal.config["SECRET_KEY_FALLBACKS"], portal.secret_key = [portal.secret_key], "another"
    assert margaret.get(f"{API}/action-runs?limit=1&cursor={cursor}").status_code == 200
    portal.config["SECRET_KEY_FALLBACKS"] = []
    assert margaret.get(f"{API}/action-runs?limit=1&cursor={cursor}").status_code == 422


def test_without_any_key_cursors_are_sealed_by_what_nobody_outside_knows(portal: Flask) -> None:
    portal.secret_key = None
    margaret = Person(portal.test_client(), "margaret")
    for _ in range(3):
        add_action_run()
    cursor = margaret.get(f"{API}/action-runs?limit=1").json["pagination"]["next_cursor"]
    assert margaret.get(f"{API}/action-runs?limit=1&cursor={cursor}").status_code == 200


# -- case 17 ---------------------------------------------------------------------------------------------------------


@pytest.mark.fault("B11")
def test_who_retried_my_run_is_not_named_to_me_when_i_may_not_see_that(portal: Flask, bob: Person) -> None:
    own, _ = failed(**BOB)
    mine, _ = add_template_run("failed", (), **TWO_STEPS, **BOB, retry_of=own)
    again = service.resume_template_run(PEOPLE["margaret"], own).run
    assert queries.template_run(own).retried_as == again.id
    assert bob.get(f"{API}/template-runs/{own}").json["retried_as"] == mine, "the newest that may be seen"
    for path in (f"{API}/template-runs/{own}", f"/templates/runs/{own}"):
        assert again.id not in bob.get(path).text
    assert (
        portal.test_client()
        .get(f"{API}/template-runs/{own}", headers={"Authorization": "Bearer margaret"})
        .json["retried_as"]
        == again.id
    )


def test_the_list_marks_my_run_as_retried_by_the_newest_retry_that_i_may_see(bob: Person, portal: Flask) -> None:
    own, _ = failed(**BOB)
    mine, _ = add_template_run("failed", (), **TWO_STEPS, **BOB, retry_of=own)
    for _ in range(2):
        service.retry_template_run(PEOPLE["margaret"], own)
        add_template_run("failed", (), **TWO_STEPS, **GRACE, retry_of=own)
    assert f"Retried as {shortened(mine)}" in bob.get("/actions").text


@pytest.mark.parametrize("kind", ["template-runs", "action-runs"])
def test_a_retry_that_is_hidden_and_one_that_is_not_there_are_the_same_to_who_says_to_know_of_it(
    bob: Person, portal: Flask, kind: str
) -> None:
    own, again = failed(**BOB)[0], (lambda **values: add_template_run("failed", (), **TWO_STEPS, **values)[0])
    if kind == "action-runs":
        data = {"input": {"message": "hi"}}
        own, again = add_action_run("failed", **data, **BOB), (lambda **values: add_action_run("failed", **values))
    again(**BOB, retry_of=own)
    theirs = again(**GRACE, retry_of=own)
    answers = [bob.post(f"{API}/{kind}/{own}/retry", {"retried_as": one}) for one in (theirs, MISSING)]
    assert answers[0].status_code == 409
    assert told(answers[0], theirs) == told(answers[1], MISSING)


@pytest.mark.fault("B11")
def test_what_my_run_repeats_and_took_over_is_not_named_to_me_when_i_may_not_see_that(
    portal: Flask, bob: Person
) -> None:
    source, _ = failed(**GRACE)
    taken = {0: {"taken_over_from": source}}
    own, _ = add_template_run(
        "failed", ("success",), **TWO_STEPS, **BOB, retry_of=source, resumed_step="shout", step_values=taken
    )
    one_off = add_action_run(**BOB, retry_of=add_action_run(**GRACE))
    paths = (
        f"{API}/template-runs/{own}",
        f"/templates/runs/{own}",
        f"{API}/template-runs",
        f"{API}/action-runs/{one_off}",
    )
    for path in (*paths, f"{API}/action-runs", f"/actions/runs/{one_off}", "/actions"):
        text = bob.get(path).text
        assert source not in text, path
        assert queries.action_run(one_off).retry_of not in text, path
    run = bob.get(paths[0]).json
    assert [run["retry_of"], run["resumed_step"], run["steps"][0]["taken_over_from"]] == [None] * 3


@pytest.mark.fault("B11")
def test_whom_my_run_waits_for_is_not_named_to_me_when_i_may_not_see_that(portal: Flask, bob: Person) -> None:
    holder = add_action_run("running", **GRACE, lock_key="lab:hid", lock_held=True)
    waiting = add_action_run("queued", **BOB, lock_key="lab:hid")
    for path in (f"{API}/action-runs/{waiting}", f"/actions/runs/{waiting}"):
        assert holder not in bob.get(path).text
    waits_for = bob.get(f"{API}/action-runs/{waiting}").json["waits_for"]
    words = "It waits until another run is through with lab:hid."
    assert waits_for == {"reason": "lock", "message": words, "lock": "lab:hid", "run_id": None, "html_url": None}
    assert "Waits until another run is through" in re.sub(r"<[^>]*>", "", bob.get(f"/actions/runs/{waiting}").text)
    canceled = bob.post(f"{API}/action-runs/{waiting}/cancel")
    assert (canceled.status_code, holder in canceled.text) == (200, False)


def test_many_runs_at_once_name_nothing_that_is_hidden(portal: Flask, bob: Person, hidden: Hidden) -> None:
    for operation in ("retry", "cancel"):
        texts = []
        for run_id in (hidden.run_id[1], MISSING):
            address = f"/actions/bulk?do={operation}&run={run_id}"
            done = portal.test_client().post(address, data={"run": run_id}, headers=bob.headers)
            texts.append(
                [
                    re.sub(r"\s+", " ", text.replace(run_id, "…").replace(shortened(run_id), "…"))
                    for text in (
                        re.sub(r'name="idempotency_key" value="[^"]*"', "", bob.get(address).text),
                        done.text,
                    )
                ]
            )
        assert texts[0] == texts[1]


# -- counts, times, keys ---------------------------------------------------------------------------------------------


@pytest.mark.fault("B11")
def test_chips_count_what_may_be_seen(portal: Flask, bob: Person, hidden: Hidden) -> None:
    def chips() -> list[str]:
        return re.findall(r'class="pa-count">([^<]*)<', bob.get("/actions").text)

    assert chips() == ["0", "0"]
    add_action_run("running", **BOB)
    assert chips() == ["0", "1"]


def test_chips_count_my_own_however_many_others_are_active(
    portal: Flask, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chips() -> list[str]:
        return re.findall(r'class="pa-count">([^<]*)<', bob.get("/actions").text)

    monkeypatch.setattr(paging, "MOST_ASKED", 50)  # ten of them for chips
    add_action_run("queued", **BOB)
    add_action_run("running", **BOB)
    before = chips()
    for _ in range(12):
        add_action_run("running", **GRACE)
    assert chips() == before == ["1", "1"]


@pytest.mark.fault("B11")
def test_usual_times_come_from_no_run_that_is_hidden(portal: Flask, bob: Person) -> None:
    for _ in range(3):
        add_action_run(**GRACE)
    own = add_action_run(**BOB)
    set_columns_later(own)
    assert "usually" not in bob.get(f"/actions/runs/{own}").text
    for _ in range(3):
        add_action_run(**BOB)
    last = add_action_run(**BOB)
    set_columns_later(last)
    assert "usually" in bob.get(f"/actions/runs/{last}").text


def set_columns_later(run_id: str) -> None:
    """Let a run have been queued after all others had ended."""
    from tests.support.page_rows import ago
    from tests.support.run_helpers import set_columns

    set_columns(run_id, queued_at=ago(10), started_at=ago(9), finished_at=ago(8))


@pytest.mark.fault("B11")
@pytest.mark.usefixtures("no_renewals")
def test_a_page_that_is_polled_does_not_change_with_what_is_hidden(portal: Flask, bob: Person) -> None:
    own, _ = failed(**BOB)
    paths = ("/actions", f"/templates/runs/{own}", f"{API}/action-runs", f"{API}/template-runs/{own}")
    before = {path: bob.get(path).headers["ETag"] for path in paths}
    add_action_run("running", **GRACE)
    service.retry_template_run(PEOPLE["margaret"], own)
    for path in paths:
        assert bob.get(path, headers={"If-None-Match": before[path]}).status_code == 304, path


@pytest.mark.fault("B11")
def test_a_replayed_key_does_not_name_a_run_that_is_hidden_by_now(portal: Flask, bob: Person) -> None:
    start = {"json": {"input": {"message": "hi"}}, "headers": {"Idempotency-Key": "one"}}
    run_id = bob.post(f"{API}/actions/debug.log@v1/runs", **start).json["id"]

    def nothing_is_seen(identity: Identity, permission: str, target: Any) -> bool:
        return not isinstance(target, ActionRun) and own_runs_only(identity, permission, target)

    decide(portal, nothing_is_seen)
    answer = bob.post(f"{API}/actions/debug.log@v1/runs", **start)
    assert (answer.status_code, run_id in answer.text) == (404, False)


@pytest.mark.fault("B11")
def test_a_start_of_what_is_hidden_leaves_the_row_and_uses_up_what_a_start_of_what_is_not_there_does(
    portal: Flask, bob: Person
) -> None:
    margaret = Person(portal.test_client(), "margaret")
    for name in ("moonbase", "absent"):
        bob.post(f"{API}/templates/{name}/runs", {"inputs": {}})
    rows = margaret.get(f"{API}/audit?event=template_run.start").json["data"]
    assert [(row["target"], row["outcome"], row["details"]) for row in rows] == [
        ("absent", "denied", {"permission": "template:read"}),
        ("moonbase", "denied", {"permission": "template:read"}),
    ]


def test_a_location_names_no_template_that_is_hidden(portal: Flask, bob: Person, template_folder: Path) -> None:
    location = "apiVersion: backstage.io/v1alpha1\nkind: Location\nspec:\n  targets: [{}]\n"
    (template_folder / "all.yaml").write_text(
        location.format("./old/moonbase.yaml, ./moonbase/template.yaml, ./x.yaml")
    )
    (template_folder / "more.yaml").write_text(location.format("./link.yaml"))
    messages = [one["message"] for one in bob.get(f"{API}/templates").json["problems"]]
    assert messages == ["there is no file ./x.yaml", "there is no file ./link.yaml"]


def test_a_host_that_asks_for_somebody_hears_nothing_of_a_template_that_is_hidden(portal: Flask) -> None:
    assert [plugin.may_run_template(PEOPLE["bob"], name) for name in ("moonbase", "brokenly")] == [False, False]


@pytest.mark.parametrize("command", ["show", "cancel", "retry", "resume"])
def test_commands_for_somebody_answer_as_if_what_is_hidden_were_not_there(
    portal: Flask, hidden: Hidden, command: str
) -> None:
    bob = ["--as", PEOPLE["bob"].id, "--role", "developer"]
    for run_id in hidden.run_id:
        outputs = [portal.test_cli_runner().invoke(commands, [command, one, *bob]) for one in (run_id, MISSING)]
        said = [
            (out.exit_code, out.output.replace(one, "…")) for out, one in zip(outputs, (run_id, MISSING), strict=True)
        ]
        assert said[0] == said[1]
        assert said[0][0] != 0


def test_who_hides_nothing_from_an_admin_counts_and_lists_everything_to_them(portal: Flask, hidden: Hidden) -> None:
    margaret = Person(portal.test_client(), "margaret")
    listed = {run["id"] for run in margaret.get(f"{API}/action-runs").json["data"]}
    assert set(hidden.run_id) - {hidden.run_id[0], hidden.run_id[-1]} <= listed
    assert {one["file"] for one in margaret.get(f"{API}/templates").json["problems"]} == {"brokenly.yaml"}
