"""Who may do what, on every route: a table with an expectation for each cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from sqlalchemy import func, select

from portal_actions_plugin import Identity, plugin
from portal_actions_plugin.cli import actions
from portal_actions_plugin.errors import ConflictError, NotFoundError, PermissionDeniedError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.run_types import ActionRun, TemplateRun
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.guards import offers
from portal_actions_plugin.runs.reading import permitted, queries
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading
from tests.support.people import Person
from tests.support.portal import PEOPLE
from tests.support.run_helpers import ADA, MARGARET, change_action, register, run_one_off, work_off
from tests.support.templates import TWO_STEPS
from tests.support.workspaces import write

BOB, VERA = PEOPLE["bob"], PEOPLE["vera"]

ROLES = {"nobody": "", "viewer": "vera", "developer": "ada", "other developer": "bob", "admin": "margaret"}

FAILS = TWO_STEPS.replace("two-steps", "fails").replace(
    'id: part\n      name: Part\n      action: debug.log@v1\n      input: {message: "goodbye ${{ parameters.name }}"}',
    "id: part\n      name: Part\n      action: test.fail@v1",
)
DEMANDING = TWO_STEPS.replace("two-steps", "demanding").replace("  owner:", "  permissions: [payments:write]\n  owner:")
SHARING = (
    FAILS.replace("fails", "sharing").replace("debug.log@v1", "test.write@v1", 1).replace("message: ", "value: ", 1)
)
REPEATING = FAILS.replace("fails", "repeating").replace("- id: greet\n", "- id: greet\n      each: [a, b]\n")
DELEGATING = TWO_STEPS.replace("two-steps", "delegating").replace(
    'action: debug.log@v1\n      input: {message: "goodbye', 'action: test.demanding@v1\n      input: {value: "goodbye'
)


@dataclass(frozen=True, slots=True)
class Case:
    """A route with what it is asked about, and the status that each role gets, in the order of ``ROLES``."""

    route: str
    statuses: tuple[int, int, int, int, int]
    path: str = ""
    body: Any = None
    about: str = ""

    @property
    def name(self) -> str:
        return " ".join(filter(None, (self.route, self.path and f"({self.path})", self.about and f"of {self.about}")))


EVERYBODY_SIGNED_IN = (401, 200, 200, 200, 200)
ANYBODY = (200,) * 5
GO_THERE = (302,) * 5
WHO_MAY_RUN = (401, 403, 202, 202, 202)
WHO_MAY_RUN_ON_A_PAGE = (401, 403, 303, 303, 303)
OWNER_OR_ADMIN = (401, 403, 200, 403, 200)
OWNER_OR_ADMIN_ON_A_PAGE = (401, 403, 303, 403, 303)
ADMIN = (401, 403, 403, 403, 200)
WHO_MAY_SEE_FILES = (401, 403, 200, 200, 200)
FILE = "/runs/<run_id>/workspace/file?path=a.txt"
API = "/api/v1"
ITEMS = f"{API}/template-runs/<run_id>/steps/0/items"
NAMED = {"inputs": {"name": "orders"}}
HELLO = {"input": {"message": "hello"}}
NO_RUN = "00000000-0000-7000-8000-000000000000"

CASES = (
    Case("GET /api/v1/action-runs", EVERYBODY_SIGNED_IN),
    Case("GET /api/v1/action-runs/<run_id>", EVERYBODY_SIGNED_IN, about="ended one-off"),
    Case("GET /api/v1/action-runs/<run_id>/logs", EVERYBODY_SIGNED_IN, about="ended one-off"),
    Case("POST /api/v1/action-runs/<run_id>/cancel", OWNER_OR_ADMIN, about="queued one-off"),
    Case("POST /api/v1/action-runs/<run_id>/cancel", (401, 403, 409, 403, 409), about="ended one-off"),
    Case("POST /api/v1/action-runs/<run_id>/retry", WHO_MAY_RUN, about="ended one-off"),
    Case("POST /api/v1/action-runs/<run_id>/retry", (401, 403, 403, 403, 202), about="ended demanding one-off"),
    Case("GET /api/v1/templates", EVERYBODY_SIGNED_IN),
    Case("GET /api/v1/templates/<name>", EVERYBODY_SIGNED_IN, f"{API}/templates/two-steps"),
    Case("POST /api/v1/templates/<name>/runs", WHO_MAY_RUN, f"{API}/templates/two-steps/runs", NAMED),
    Case("POST /api/v1/templates/<name>/runs", (401, 403, 403, 403, 202), f"{API}/templates/demanding/runs", NAMED),
    Case("POST /api/v1/templates/<name>/runs", (401, 403, 403, 403, 202), f"{API}/templates/delegating/runs", NAMED),
    Case("GET /api/v1/template-runs", EVERYBODY_SIGNED_IN),
    Case("GET /api/v1/template-runs/<run_id>", EVERYBODY_SIGNED_IN, about="failed template run"),
    Case("GET /api/v1/template-runs/<run_id>/steps/<position>/items", EVERYBODY_SIGNED_IN, ITEMS, about="run with items"),
    Case("POST /api/v1/template-runs/<run_id>/cancel", OWNER_OR_ADMIN, about="queued template run"),
    Case("POST /api/v1/template-runs/<run_id>/retry", WHO_MAY_RUN, about="failed template run"),
    Case("POST /api/v1/template-runs/<run_id>/resume", WHO_MAY_RUN, about="failed template run"),
    Case("POST /api/v1/template-runs/<run_id>/retry", (401, 403, 403, 403, 202), about="canceled demanding run"),
    Case("GET /api/v1/actions", EVERYBODY_SIGNED_IN),
    Case("GET /api/v1/actions/<action_id>", EVERYBODY_SIGNED_IN, f"{API}/actions/debug.log@v1"),
    Case("POST /api/v1/actions/<action_id>/runs", WHO_MAY_RUN, f"{API}/actions/debug.log@v1/runs", HELLO),
    Case("POST /api/v1/actions/<action_id>/runs", (401, 403, 403, 403, 202), f"{API}/actions/test.demanding@v1/runs", {}),
    Case("GET /api/v1/scm", EVERYBODY_SIGNED_IN),
    Case("GET /api/v1/audit", ADMIN),
    Case("GET /api/v1/health", ANYBODY),
    Case("GET /api/v1/health/ready", ANYBODY),
    # A forge proves itself by the secret that they share; this portal has none.
    Case("POST /api/v1/template-sources/webhook", (404,) * 5),
    Case("GET /api/v1/openapi.json", ANYBODY),
    Case("GET /api/v1/docs", ANYBODY),
    Case("GET /portal-actions-static/<path:filename>", ANYBODY, "/portal-actions-static/portal-actions.css"),
    Case("GET /actions", EVERYBODY_SIGNED_IN),
    Case("GET /actions/audit", ADMIN),
    Case("GET /templates/findings", (401, 404, 404, 404, 200)),
    Case("GET /actions/bulk", EVERYBODY_SIGNED_IN, "/actions/bulk?do=retry&run=<run_id>", about="ended one-off"),
    # Which run is confirmed is in the form: each is asked about by itself, as a test below shows.
    Case("POST /actions/bulk", (401, 422, 422, 422, 422), f"/actions/bulk?do=cancel&run={NO_RUN}"),
    Case("GET /templates/runs/<run_id>", EVERYBODY_SIGNED_IN, about="failed template run"),
    Case("GET /templates/runs/<run_id>/workspace", WHO_MAY_SEE_FILES, about="run with a file"),
    Case("GET /templates/runs/<run_id>/workspace/file", WHO_MAY_SEE_FILES, f"/templates{FILE}", about="run with a file"),
    Case("GET /api/v1/template-runs/<run_id>/workspace", WHO_MAY_SEE_FILES, about="run with a file"),
    Case("GET /api/v1/template-runs/<run_id>/workspace/file", WHO_MAY_SEE_FILES, f"{API}/template-{FILE[1:]}", about="run with a file"),
    Case("GET /actions/runs/<run_id>", EVERYBODY_SIGNED_IN, about="ended one-off"),
    Case("GET /actions/runs/<run_id>/log.txt", EVERYBODY_SIGNED_IN, about="ended one-off"),
    Case("POST /templates/runs/<run_id>/retry", WHO_MAY_RUN_ON_A_PAGE, about="failed template run"),
    Case("POST /templates/runs/<run_id>/resume", WHO_MAY_RUN_ON_A_PAGE, about="failed template run"),
    Case("POST /templates/runs/<run_id>/cancel", OWNER_OR_ADMIN_ON_A_PAGE, about="queued template run"),
    Case("POST /actions/runs/<run_id>/retry", WHO_MAY_RUN_ON_A_PAGE, about="ended one-off"),
    Case("POST /actions/runs/<run_id>/cancel", OWNER_OR_ADMIN_ON_A_PAGE, about="queued one-off"),
    # Whoever loads a form's address is sent to the run's page, which asks who that is.
    Case("GET /templates/runs/<run_id>/retry", GO_THERE, about="failed template run"),
    Case("GET /templates/runs/<run_id>/resume", GO_THERE, about="failed template run"),
    Case("GET /templates/runs/<run_id>/cancel", GO_THERE, about="queued template run"),
    Case("GET /actions/runs/<run_id>/retry", GO_THERE, about="ended one-off"),
    Case("GET /actions/runs/<run_id>/cancel", GO_THERE, about="queued one-off"),
)  # fmt: skip


@pytest.fixture
def portal(make_app: Callable[..., Flask], template_folder: Path) -> Iterator[Flask]:
    """A portal with a template and an action that demand more than running, which only an admin has."""
    for text in (FAILS, DEMANDING, DELEGATING, SHARING, REPEATING):
        name = yaml.safe_load(text)["metadata"]["name"]
        (template_folder / f"{name}.yaml").write_text(text)
    app = make_app(PORTAL_ACTIONS_RATE_LIMIT="1000 per minute")
    table = app.extensions["portal_actions"].config.role_permissions
    table["platform-admin"] = frozenset({*table["platform-admin"], "payments:write"})

    def fail(_ctx: Any, **_input: Any) -> None:
        raise NotFoundError("There is no such thing.")

    with app.app_context():
        register(fail=fail, write=write(**{"a.txt": "content"}), demanding=lambda _ctx, **_input: None)
        change_action("test.write@v1", workspace="writes")
        change_action("test.demanding@v1", permissions=("payments:write",))
        yield app


MADE_OF = {"failed template run": "fails", "run with a file": "sharing", "run with items": "repeating"}
"""Runs that are worked off, and the template of each."""


def make(about: str) -> str:
    """A run of Ada's, as the words say; only an admin can have started what demands more."""
    if about == "queued one-off":
        return run_one_off("debug.log@v1", {"message": "hello"})
    if about == "ended one-off":
        run_id = run_one_off("debug.log@v1", {"message": "hello"})
        work_off()
        return run_id
    if about == "ended demanding one-off":
        run_id = service.start_action_run(MARGARET, "test.demanding@v1", {}).run.id
        work_off()
        return run_id
    if about == "queued template run":
        return service.start_template_run(ADA, "two-steps", NAMED["inputs"]).run.id
    if about in MADE_OF:
        run_id = service.start_template_run(ADA, MADE_OF[about], NAMED["inputs"]).run.id
        work_off()
        return run_id
    assert about == "canceled demanding run"
    run_id = service.start_template_run(MARGARET, "demanding", NAMED["inputs"]).run.id
    service.cancel_template_run(MARGARET, run_id)
    return run_id


def ask(app: Flask, case: Case, person: str) -> Any:
    path, somebody = path_of(case), Person(app.test_client(), person)
    return somebody.get(path, buffered=True) if case.route.startswith("GET") else somebody.post(path, case.body)


def path_of(case: Case) -> str:
    rule = case.route.partition(" ")[2]
    return (case.path or rule).replace("<run_id>", make(case.about) if case.about else "")


def denials() -> list[tuple[str, str, int]]:
    with reading() as db:
        rows = db.rows(select(tables.audit).where(tables.audit.c.outcome == "denied"))
    return [(row["actor"], row["event"], row["count"]) for row in rows]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_route_answers_each_role_as_the_table_says(portal: Flask, case: Case, role: str) -> None:
    answer = ask(portal, case, ROLES[role])
    expected = case.statuses[list(ROLES).index(role)]
    assert answer.status_code == expected, answer.text
    must_be_audited = expected == 403 and (case.route.startswith("POST") or "audit" in case.route)
    assert [actor for actor, _, _ in denials()] == ([PEOPLE[ROLES[role]].id] if must_be_audited else [])


def test_every_route_is_in_the_table(portal: Flask) -> None:
    routes = {
        f"{method} {rule.rule}"
        for rule in portal.url_map.iter_rules()
        if rule.endpoint.startswith("portal_actions")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert {case.route for case in CASES} == routes


def test_no_get_changes_anything(portal: Flask) -> None:
    def everything() -> list[Any]:
        with reading() as db:
            runs = [db.rows(select(row)) for row in (tables.action_runs, tables.template_runs)]
            return [*runs, db.row(select(func.count()).select_from(tables.audit))]

    for case in CASES:
        path = path_of(case)
        before = everything()
        for verb in ("get", "head", "options"):
            # What only answers to POST may say 405 to these, and nothing else may happen.
            getattr(portal.test_client(), verb)(path, headers={"Authorization": "Bearer margaret"}, buffered=True)
        assert everything() == before, case.name


@pytest.mark.parametrize("about", ["queued template run", "queued one-off", "failed template run", "ended one-off"])
def test_many_runs_at_once_are_each_asked_about_as_a_single_one_is(portal: Flask, about: str) -> None:
    deed = "cancel" if about.startswith("queued") else "retry"
    run_id = make(about)
    one = queries.template_run(run_id).steps[0].run.id if "template" in about else run_id
    refused = ("vera", "bob") if deed == "cancel" else ("vera",)
    for person in (*refused, "ada"):
        form = {"run": [one, NO_RUN]}
        headers = {"Authorization": f"Bearer {person}"}
        page = portal.test_client().post(f"/actions/bulk?do={deed}&run={one}", data=form, headers=headers).text
        assert ("You need the permission" in page) == (person in refused)
        assert "There is no such run." in page
    kind = "template_run" if "template" in about else "action_run"
    assert denials() == [(PEOPLE[person].id, f"{kind}.{deed}", 1) for person in refused]


def test_who_may_not_read_runs_gets_at_none_of_many(portal: Flask) -> None:
    run_id = make("queued one-off")
    portal.extensions["portal_actions"].config.role_permissions["viewer"] = frozenset({"run:cancel-any"})
    headers = {"Authorization": "Bearer vera"}
    address = f"/actions/bulk?do=cancel&run={run_id}"
    assert portal.test_client().get(address, headers=headers).status_code == 403
    assert denials() == []
    assert portal.test_client().post(address, data={"run": run_id}, headers=headers).status_code == 403
    assert denials() == [(VERA.id, "action_run.cancel", 1)]
    assert queries.action_run(run_id).status == "queued"


def test_repeats_of_a_denial_are_counted_on_its_row(portal: Flask) -> None:
    vera = Person(portal.test_client(), "vera")
    for _ in range(3):
        assert vera.post(f"{API}/templates/two-steps/runs", NAMED).status_code == 403
    assert denials() == [(VERA.id, "template_run.start", 3)]


def test_made_up_names_do_not_fill_the_audit(portal: Flask) -> None:
    vera = Person(portal.test_client(), "vera")
    for number in range(30):
        assert vera.post(f"{API}/templates/made-up-{number}/runs", NAMED).status_code == 403
    assert vera.post(f"{API}/actions/debug.log@v1/runs", HELLO).status_code == 403
    assert sorted(count for _, event, count in denials() if event == "template_run.start") == [1] * 19 + [11]
    assert (VERA.id, "action_run.start", 1) in denials(), "another event has a row all the same"


def test_a_denial_names_the_permission_and_the_page_says_it_too(portal: Flask) -> None:
    bob = Person(portal.test_client(), "bob")
    refused = bob.post(f"{API}/template-runs/{make('queued template run')}/cancel")
    assert refused.json["message"] == "You need the permission run:cancel-any for this."
    page = bob.post(f"/templates/runs/{make('queued template run')}/cancel")
    assert "You need the permission run:cancel-any for this." in page.text


@pytest.mark.parametrize("who", [VERA, ADA, BOB, MARGARET], ids=lambda who: who.name)
def test_a_button_is_there_exactly_where_the_server_lets_it_through(portal: Flask, who: Identity) -> None:
    buttons = ((offers.can_cancel, service.cancel_template_run), (offers.can_retry, service.retry_template_run))
    for about in ("queued template run", "failed template run", "canceled demanding run"):
        for can, do in buttons:
            run = queries.template_run(make(about))
            if can(who, run):
                assert do(who, run.id)
            else:
                with pytest.raises((PermissionDeniedError, ConflictError)):
                    do(who, run.id)


def test_what_may_be_started_can_be_asked_before(portal: Flask) -> None:
    registry, templates = extension().registry, extension().templates
    assert offers.may_start_template(ADA, templates.get("two-steps"))
    assert not offers.may_start_template(VERA, templates.get("two-steps"))
    assert not offers.may_start_template(ADA, templates.get("delegating"))
    assert offers.may_start_template(MARGARET, templates.get("delegating"))
    assert offers.may_start_action(ADA, registry.get("debug.log@v1"))
    assert not offers.may_start_action(ADA, registry.get("test.demanding@v1"))


# -- a host that decides by object -----------------------------------------------------------------------------------


@pytest.fixture
def private(portal: Flask) -> Flask:
    """A portal where everybody may everything, but only with their own runs, and not know of others'."""

    def authorizer(identity: Identity, permission: str, target: Any) -> bool:
        if isinstance(target, ActionRun | TemplateRun):
            return target.requested_by == identity.id
        return target not in ("scm.createRepo@v1", "demanding") and permission != "run:cancel-any"

    plugin.of(portal).authorizer(authorizer, replace=True)
    return portal


def test_a_run_that_the_host_hides_does_not_exist(private: Flask) -> None:
    one_off, whole = make("ended one-off"), make("failed template run")
    step = queries.template_run(whole).steps[0].run.id
    bob, ada = Person(private.test_client(), "bob"), Person(private.test_client(), "ada")
    paths = [
        f"{API}/action-runs/{one_off}",
        f"{API}/action-runs/{one_off}/logs",
        f"{API}/action-runs/{step}",
        f"{API}/template-runs/{whole}",
        f"/actions/runs/{one_off}",
        f"/actions/runs/{one_off}/log.txt",
        f"/templates/runs/{whole}",
    ]
    assert {path: bob.get(path).status_code for path in paths} == dict.fromkeys(paths, 404)
    assert {ada.get(path, buffered=True).status_code for path in paths} == {200}
    for verb in ("cancel", "retry"):
        assert bob.post(f"{API}/action-runs/{one_off}/{verb}").status_code == 404
        assert bob.post(f"{API}/template-runs/{whole}/{verb}").status_code == 404
    assert bob.post(f"{API}/template-runs/{whole}/resume").status_code == 404
    assert bob.get(f"{API}/template-runs/{whole}").json["message"] == f"There is no template run {whole}."


def test_lists_leave_out_what_the_host_hides(private: Flask) -> None:
    make("ended one-off")
    make("failed template run")
    bob, ada = Person(private.test_client(), "bob"), Person(private.test_client(), "ada")
    for path in (f"{API}/action-runs", f"{API}/template-runs"):
        assert bob.get(path).json["data"] == []
        assert ada.get(path).json["data"] != []
    assert "debug.log@v1" not in bob.get("/actions").text.partition("<tbody")[2]
    names = [one["name"] for one in ada.get(f"{API}/templates").json["data"]]
    assert "two-steps" in names
    assert "demanding" not in names
    ids = [one["id"] for one in ada.get(f"{API}/actions").json["data"]]
    assert "debug.log@v1" in ids
    assert "scm.createRepo@v1" not in ids
    assert ada.get(f"{API}/templates/demanding").status_code == 404
    assert ada.get(f"{API}/actions/scm.createRepo@v1").status_code == 404


def test_what_is_hidden_and_what_is_not_there_answer_alike(private: Flask) -> None:
    ada = Person(private.test_client(), "ada")
    for hidden, missing in (
        (f"{API}/templates/demanding", f"{API}/templates/nowhere"),
        (f"{API}/actions/scm.createRepo@v1", f"{API}/actions/no.where@v1"),
    ):
        answers = [ada.get(path).json for path in (hidden, missing)]
        texts = [answer["message"].rpartition(" ")[0] for answer in answers]
        assert texts[0] == texts[1]
        assert answers[0]["hint"] == answers[1]["hint"]


def test_the_host_may_let_somebody_see_a_run_and_not_start_it_again(portal: Flask) -> None:
    def authorizer(identity: Identity, permission: str, target: Any) -> bool:
        own = isinstance(target, TemplateRun) and target.requested_by == identity.id
        return own or permission == "template:read" or isinstance(target, str)

    plugin.of(portal).authorizer(authorizer, replace=True)
    run = queries.template_run(make("failed template run"))
    assert (offers.can_retry(BOB, run), offers.can_retry(ADA, run)) == (False, True)
    assert (offers.resumable(BOB, run), offers.resumable(ADA, run) is not None) == (None, True)
    for again in (service.retry_template_run, service.resume_template_run):
        with pytest.raises(PermissionDeniedError, match="template:run"):
            again(BOB, run.id)
    assert service.retry_template_run(ADA, run.id).run.retry_of == run.id


# -- every other way in ----------------------------------------------------------------------------------------------


def test_the_python_api_asks_like_the_routes_do(portal: Flask) -> None:
    from portal_actions_plugin import plugin

    with pytest.raises(PermissionDeniedError):
        plugin.run_template(VERA, "two-steps", NAMED["inputs"])
    with pytest.raises(PermissionDeniedError):
        plugin.run_action(VERA, "debug.log@v1", HELLO["input"])
    queued = queries.template_run(make("queued template run"))
    with pytest.raises(PermissionDeniedError):
        plugin.cancel(BOB, queued)
    failed = queries.template_run(make("failed template run"))
    for again in (plugin.retry, plugin.resume):
        with pytest.raises(PermissionDeniedError):
            again(VERA, failed)
    assert [event for _, event, _ in denials()] == [
        "template_run.start",
        "action_run.start",
        "template_run.cancel",
        "template_run.retry",
        "template_run.resume",
    ]
    assert plugin.may_run_template(ADA, "two-steps")
    assert not plugin.may_run_action(ADA, "test.demanding@v1")
    assert plugin.starts_left(BOB).remaining == 1000


@pytest.mark.parametrize(
    "command",
    [
        ["list"],
        ["show", "queued template run"],
        ["run-template", "two-steps", "--inputs", '{"name": "orders"}'],
        ["run-action", "debug.log@v1", "--input", '{"message": "hello"}'],
        ["cancel", "queued template run"],
        ["retry", "failed template run"],
        ["resume", "failed template run"],
        ["workspace", "run with a file"],
        ["workspace", "run with a file", "a.txt"],
    ],
    ids=lambda command: command[0],
)
def test_a_command_asks_for_the_permissions_of_the_role_it_is_given(portal: Flask, command: list[str]) -> None:
    words = [make(word) if " run" in f" {word}" and " " in word else word for word in command]
    runner = portal.test_cli_runner()
    refused = runner.invoke(actions, [*words, "--as", "user:eve@example.com", "--role", "guest"])
    assert refused.exit_code == 2
    assert "PERMISSION_DENIED: You need the permission" in refused.output
    let_through = runner.invoke(actions, words)
    assert let_through.exit_code == 0, let_through.output


def test_who_may_not_read_learns_nothing_about_a_run_and_leaves_a_row_when_changing_it(portal: Flask) -> None:
    guest = Identity("user:eve@example.com", roles=frozenset({"guest"}))
    for run_id in (make("queued template run"), NO_RUN):
        with pytest.raises(PermissionDeniedError, match="template:read"):
            service.cancel_template_run(guest, run_id)
        with pytest.raises(PermissionDeniedError, match="template:read"):
            permitted.template_run(guest, run_id)
    assert [(actor, event) for actor, event, _ in denials()] == [(guest.id, "template_run.cancel")] * 2


def test_a_log_is_shown_only_to_who_may_read_it(portal: Flask) -> None:
    run_id = make("ended one-off")
    portal.extensions["portal_actions"].config.role_permissions["viewer"] = frozenset({"template:read"})
    run = queries.action_run(run_id)
    assert permitted.log_ends(VERA, [run]) == {}
    assert run_id in permitted.log_ends(ADA, [run])
    assert permitted.action_runs(ADA, RunFilter(), limit=5).items
    with pytest.raises(PermissionDeniedError):
        permitted.action_runs(VERA, RunFilter(), limit=5)
