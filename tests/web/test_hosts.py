"""The plugin as a guest: in hosts with their own Api, CSRF, error pages and prefixes, and in two at once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import flask_login
import pytest
from flask import Flask, g, jsonify, request
from flask_smorest import Api, Blueprint
from flask_wtf import CSRFProtect
from flask_wtf.csrf import generate_csrf
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

import portal_actions_plugin
from portal_actions_plugin import Identity, PortalActions
from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.runs.guards.identity import current_identity
from tests.support.portal import PEOPLE

LOG = "/api/v1/actions/debug.log@v1/runs"
HELLO = {"input": {"message": "hello"}}
BEARER = {"Authorization": "Bearer ada"}


_made: list[Flask] = []


@pytest.fixture(autouse=True)
def closed_at_the_end() -> Iterator[None]:
    yield
    while _made:
        parts = _made.pop().extensions.get("portal_actions")
        if parts:
            parts.database.close_connections()
            parts.redis.close()


def make_host(settings: dict[str, Any], url: str, **config: Any) -> Flask:
    host = Flask("host", instance_path=settings["INSTANCE_PATH"])
    _made.append(host)
    host.config.update(settings, SECRET_KEY="host", TESTING=True, PORTAL_ACTIONS_DATABASE_URL=url, **config)
    return host


def plug_in(host: Flask) -> None:
    from tests.support.portal import load_identity

    plugin = PortalActions()
    plugin.identity_loader(load_identity)
    plugin.init_app(host)


def with_own_api(host: Flask) -> None:
    host.config.update(API_TITLE="Host", API_VERSION="v2", OPENAPI_VERSION="3.0.3", OPENAPI_URL_PREFIX="/host-api")
    api = Api(host)
    things = Blueprint("things", "things", url_prefix="/host-api/things")

    @things.get("/")
    @things.response(200)
    def list_things() -> dict[str, str]:
        return {"host": "thing"}

    api.register_blueprint(things)


def with_own_pages(host: Flask) -> None:
    host.register_error_handler(404, lambda _error: ("the host's own 404", 404))
    host.register_error_handler(403, lambda _error: ("the host's own 403", 403))

    @host.get("/token")
    def token() -> str:
        return generate_csrf()

    @host.post("/host-form")
    def form() -> str:
        return "the host's form"


@pytest.fixture(params=["csrf first", "csrf last"])
def busy_host(request: pytest.FixtureRequest, settings: dict[str, Any], sqlite_url: str) -> Flask:
    """A host with a global CSRFProtect, its own Api, its own error pages and a prefix for us."""
    host = make_host(settings, sqlite_url, PORTAL_ACTIONS_URL_PREFIX="/self-service")
    if request.param == "csrf first":
        CSRFProtect(host)
    with_own_api(host)
    with_own_pages(host)
    plug_in(host)
    if request.param == "csrf last":
        CSRFProtect(host)
    return host


def test_a_global_csrf_protect_does_not_break_bearer_requests(busy_host: Flask) -> None:
    assert busy_host.test_client().post(LOG, json=HELLO, headers=BEARER).status_code == 202


def test_a_cookie_needs_the_hosts_csrf_token_to_write(busy_host: Flask) -> None:
    client = busy_host.test_client()
    client.set_cookie("person", "ada")
    refused = client.post(LOG, json=HELLO)
    assert (refused.status_code, refused.json["error_code"]) == (403, "PERMISSION_DENIED")
    token = client.get("/token").text
    assert client.post(LOG, json=HELLO, headers={"X-CSRFToken": token}).status_code == 202


def test_the_hosts_token_is_found_under_the_names_that_the_host_gave_it(
    settings: dict[str, Any], sqlite_url: str
) -> None:
    names = {"WTF_CSRF_FIELD_NAME": "proof", "WTF_CSRF_HEADERS": ["X-Proof"]}
    host = make_host(settings, sqlite_url, **names)
    CSRFProtect(host)
    with_own_pages(host)
    plug_in(host)
    client = host.test_client()
    client.set_cookie("person", "ada")
    token = client.get("/token").text
    assert client.post(LOG, json=HELLO, headers={"X-CSRFToken": token}).status_code == 403
    assert client.post(LOG, json=HELLO, headers={"X-Proof": token}).status_code == 202
    missing = "/actions/runs/00000000-0000-7000-8000-000000000000/retry"
    assert client.post(missing, data={"proof": token}).status_code == 404
    assert client.post(missing, data={"csrf_token": token}).status_code == 404, "our own forms always say csrf_token"
    assert client.post(missing, data={"other": token}).status_code == 403


@pytest.mark.parametrize("header", ["X-CSRFToken", "X-CSRF-Token"])
@pytest.mark.parametrize("protect", [True, False])
def test_a_page_of_another_site_is_refused_whatever_token_it_has(
    settings: dict[str, Any], sqlite_url: str, protect: bool, header: str
) -> None:
    host = make_host(settings, sqlite_url)
    if protect:
        CSRFProtect(host)
    plug_in(host)
    host.add_url_rule("/token", view_func=host.jinja_env.globals["portal_actions_csrf_token"])
    client = host.test_client()
    client.set_cookie("person", "ada")
    good = {header: client.get("/token").text}
    for site, status in (("cross-site", 403), ("same-site", 202), ("same-origin", 202), ("none", 202)):
        answer = client.post(LOG, json=HELLO, headers={**good, "Sec-Fetch-Site": site})
        assert answer.status_code == status, site
    assert client.post(LOG, json=HELLO, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 403, "no token"
    assert client.post(LOG, json=HELLO, headers={**BEARER, "Sec-Fetch-Site": "cross-site"}).status_code == 202


OWN = "localhost"


@pytest.mark.fault("F38")
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Referer": "http://evil.example/page"}, 403),
        ({"Origin": "null", "Referer": "http://evil.example/"}, 403),
        ({"Origin": f"http://{OWN}.evil.example"}, 403),
        ({"Origin": f"http://{OWN}:8080"}, 403),
        ({"Origin": "http://[broken"}, 403),
        ({"Origin": f"http://{OWN}"}, 202),
        ({"Origin": f"HTTP://{OWN.upper()}:80"}, 202),
        ({"Origin": "null"}, 202),
        ({"Referer": f"http://{OWN}/actions"}, 202),
        ({"Origin": "https://portal.example.com"}, 202),
        ({"Origin": "http://behind.example", "X-Forwarded-Host": "behind.example, proxy"}, 202),
        ({}, 202),
    ],
)
def test_where_a_browser_tells_no_more_than_the_page_it_must_be_one_of_ours(
    settings: dict[str, Any], sqlite_url: str, headers: dict[str, str], status: int
) -> None:
    """Over plain http, browsers send no Sec-Fetch-Site."""
    host = make_host(settings, sqlite_url, PORTAL_ACTIONS_PUBLIC_URL="https://portal.example.com/below")
    plug_in(host)
    host.add_url_rule("/token", view_func=host.jinja_env.globals["portal_actions_csrf_token"])
    client = host.test_client()
    client.set_cookie("person", "ada")
    good = {"X-CSRFToken": client.get("/token").text}
    assert client.post(LOG, json=HELLO, headers={**good, **headers}).status_code == status
    assert client.post(LOG, json=HELLO, headers={**BEARER, **headers}).status_code == 202


@pytest.mark.fault("E30")
@pytest.mark.parametrize("protect", [True, False])
def test_a_host_that_switches_its_tokens_off_switches_ours_off(
    settings: dict[str, Any], sqlite_url: str, protect: bool
) -> None:
    host = make_host(settings, sqlite_url, WTF_CSRF_ENABLED=False)
    if protect:
        CSRFProtect(host)
    plug_in(host)
    client = host.test_client()
    client.set_cookie("person", "ada")
    assert client.post(LOG, json=HELLO).status_code == 202
    assert client.post(LOG, json=HELLO, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


@pytest.mark.fault("C17")
def test_a_token_and_a_key_outlive_the_secret_key_that_was_changed(settings: dict[str, Any], sqlite_url: str) -> None:
    host = make_host(settings, sqlite_url)
    plug_in(host)
    host.add_url_rule("/token", view_func=host.jinja_env.globals["portal_actions_csrf_token"])
    client = host.test_client()
    client.set_cookie("person", "ada")
    headers = {"X-CSRFToken": client.get("/token").text, "Idempotency-Key": "one"}
    first = client.post(LOG, json=HELLO, headers=headers)
    host.config.update(SECRET_KEY="a new one", SECRET_KEY_FALLBACKS=["host"])
    again = client.post(LOG, json=HELLO, headers=headers)
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json["id"] == first.json["id"]
    assert client.post(LOG, json={"input": {"message": "other"}}, headers=headers).status_code == 422
    host.config.update(SECRET_KEY_FALLBACKS=None)
    assert client.post(LOG, json=HELLO, headers=headers).status_code == 403


@pytest.mark.fault("A5")
@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/sign-in", "/sign-in?next=%2Factions%3Fstatus%3Dfailed"),
        ("https://id.example/in?app=portal", "https://id.example/in?app=portal&next=%2Factions%3Fstatus%3Dfailed"),
        ("people.sign_in", None),
        ("sign_in", "/in?next=/actions?status%3Dfailed"),
    ],
)
def test_a_host_may_say_where_people_sign_in(
    settings: dict[str, Any], sqlite_url: str, target: str, location: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    host = make_host(settings, sqlite_url, PORTAL_ACTIONS_SIGN_IN_URL=target)
    plug_in(host)
    host.add_url_rule("/in", "sign_in", lambda: "")
    answer = host.test_client().get("/actions?status=failed")
    assert (answer.status_code, answer.headers.get("Location")) == (302 if location else 401, location)
    assert ("PORTAL_ACTIONS_SIGN_IN_URL leads nowhere" in caplog.text) is (location is None)


@pytest.mark.fault("E27")
@pytest.mark.parametrize("public_url", ["", "https://portal.example.com/self"])
def test_links_to_pages_lead_below_the_path_that_the_app_is_mounted_at(
    settings: dict[str, Any], sqlite_url: str, public_url: str
) -> None:
    host = make_host(settings, sqlite_url, PORTAL_ACTIONS_PUBLIC_URL=public_url)
    plug_in(host)
    client = Client(DispatcherMiddleware(Flask("outer"), {"/portal": host.wsgi_app}))
    run = client.post(f"/portal{LOG}", json=HELLO, headers=BEARER).json
    assert run["html_url"] == f"{public_url or '/portal'}/actions/runs/{run['id']}"


@pytest.mark.fault("A8")
def test_a_setting_that_there_is_not_stops_the_start_and_says_which_was_meant(
    settings: dict[str, Any], sqlite_url: str
) -> None:
    host = make_host(settings, sqlite_url, PORTAL_ACTIONS_RATELIMIT="5 per minute", PORTAL_ACTIONS_XYZZY=1)
    with pytest.raises(
        ConfigurationError, match="no setting PORTAL_ACTIONS_RATELIMIT and no setting PORTAL_ACTIONS_X"
    ) as no:
        plug_in(host)
    assert no.value.hint == "Did you mean PORTAL_ACTIONS_RATE_LIMIT?"


def test_we_set_no_cookie_and_the_hosts_keeps_its_samesite(settings: dict[str, Any], sqlite_url: str) -> None:
    for protect in (False, True):
        host = make_host(settings, sqlite_url, SESSION_COOKIE_SAMESITE="Strict")
        if protect:
            CSRFProtect(host)  # its token lives in the session
        plug_in(host)
        run_id = host.test_client().post(LOG, json=HELLO, headers=BEARER).json["id"]
        client = host.test_client()
        client.set_cookie("person", "ada")
        cookie = client.get(f"/actions/runs/{run_id}").headers.get("Set-Cookie", "")
        assert ("SameSite=Strict" in cookie) if protect else (cookie == "")


def test_the_hosts_own_forms_keep_their_csrf_protection(busy_host: Flask) -> None:
    client = busy_host.test_client()
    assert client.post("/host-form").status_code == 400
    token = client.get("/token").text
    assert client.post("/host-form", data={"csrf_token": token}).text == "the host's form"


def test_the_hosts_pages_and_api_keep_their_own_errors(busy_host: Flask) -> None:
    client = busy_host.test_client()
    assert client.get("/nothing-here").text == "the host's own 404"
    assert client.get("/host-api/things/").json == {"host": "thing"}
    assert client.get("/api/v1/action-runs/nothing", headers=BEARER).json["error_code"] == "NOT_FOUND"


def test_pages_live_below_the_hosts_prefix(busy_host: Flask) -> None:
    client = busy_host.test_client()
    assert client.get("/actions").status_code == 404
    assert "Action Runs" in client.get("/self-service/actions", headers=BEARER).text
    run = client.post(LOG, json=HELLO, headers=BEARER).json
    assert run["html_url"].startswith("/self-service/actions/runs/")
    assert client.get(run["html_url"], headers=BEARER).status_code == 200


def test_our_pages_stay_html_where_the_host_has_a_json_handler(settings: dict[str, Any], sqlite_url: str) -> None:
    host = make_host(settings, sqlite_url)
    host.register_error_handler(404, lambda error: (jsonify(host="json"), 404))
    plug_in(host)
    answer = host.test_client().get("/templates/runs/nothing", headers=BEARER)
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert host.test_client().get("/nothing").json == {"host": "json"}


def test_without_flask_wtf_a_cookie_needs_our_own_token(settings: dict[str, Any], sqlite_url: str) -> None:
    host = make_host(settings, sqlite_url)
    plug_in(host)
    client = host.test_client()
    client.set_cookie("person", "ada")
    assert client.post(LOG, json=HELLO).status_code == 403
    with host.test_request_context("/", headers={"Cookie": "person=ada"}):
        ours = host.jinja_env.globals["portal_actions_csrf_token"]()
    with host.test_request_context("/", headers={"Cookie": "person=bob"}):
        somebody_elses = host.jinja_env.globals["portal_actions_csrf_token"]()
    assert client.post(LOG, json=HELLO, headers={"X-CSRFToken": somebody_elses}).status_code == 403
    assert client.post(LOG, json=HELLO, headers={"X-CSRFToken": "forged"}).status_code == 403
    assert client.post(LOG, json=HELLO, headers={"X-CSRFToken": ours}).status_code == 202


@pytest.mark.parametrize("rule", ["/actions", "/templates/runs/<some_id>", "/api/v1/health"])
def test_a_rule_that_the_host_has_already_stops_the_start_with_both_names(
    settings: dict[str, Any], sqlite_url: str, rule: str
) -> None:
    host = make_host(settings, sqlite_url)
    host.add_url_rule(rule, "hosts_own", lambda **_: "host")
    with pytest.raises(ConfigurationError) as stopped:
        plug_in(host)
    assert "hosts_own" in str(stopped.value)
    assert "portal_actions" in str(stopped.value)


def test_two_apps_in_one_process_do_not_meet(
    make_app: Callable[..., Flask], tmp_path: Path, migrated_sqlite: Path
) -> None:
    other_db = tmp_path / "other.db"
    other_db.write_bytes(migrated_sqlite.read_bytes())
    first, second = make_app(), make_app(PORTAL_ACTIONS_DATABASE_URL=f"sqlite:///{other_db}")
    run_id = first.test_client().post(LOG, json=HELLO, headers=BEARER).json["id"]
    assert first.test_client().get(f"/api/v1/action-runs/{run_id}", headers=BEARER).status_code == 200
    assert second.test_client().get(f"/api/v1/action-runs/{run_id}", headers=BEARER).status_code == 404


def test_both_ways_to_plug_in_work(settings: dict[str, Any], sqlite_url: str) -> None:
    for wire in (PortalActions, PortalActions().init_app):
        host = make_host(settings, sqlite_url)
        wire(host)
        assert host.test_client().get("/api/v1/health").json["database"] is True


def test_the_entry_points_are_what_a_host_expects() -> None:
    [point] = [p for p in entry_points(group="portal.plugins") if p.name == "actions"]
    assert point.load() is portal_actions_plugin.plugin
    [command] = [p for p in entry_points(group="flask.commands") if p.name == "actions"]
    assert command.load().name == "actions"


# -- who asks ----------------------------------------------------------------------------------------------------------


def test_without_a_loader_flask_login_says_who_asks(settings: dict[str, Any], sqlite_url: str) -> None:
    class User(flask_login.UserMixin):
        id = "ada"
        name = "Ada"
        roles = ("developer",)

    host = make_host(settings, sqlite_url)
    manager = flask_login.LoginManager(host)
    manager.request_loader(lambda request: User() if request.headers.get("Authorization") else None)
    manager.unauthorized_handler(lambda: ("the host's sign-in page", 401))
    PortalActions(host)
    client = host.test_client()
    assert client.post(LOG, json=HELLO, headers=BEARER).json["requested_by"] == "user:ada"
    assert client.post(LOG, json=HELLO).status_code == 401
    assert client.get("/actions").text == "the host's sign-in page"


@pytest.mark.fault("E27")
@pytest.mark.parametrize(
    ("user", "identity"),
    [
        ({"email": "ada@example.com", "fs_uniquifier": "5f1a", "roles": [SimpleNamespace(name="developer")]},
         Identity("user:ada@example.com", "ada@example.com", frozenset({"developer"}))),
        ({"email": "ada@example.com", "username": "ada", "first_name": "Ada", "last_name": "Lovelace"},
         Identity("user:ada@example.com", "Ada Lovelace")),
        ({"username": "ada", "name": lambda: "no text"}, Identity("user:ada", "ada")),
    ],
)  # fmt: skip
def test_by_default_an_identity_is_what_people_read_and_not_what_keeps_them_signed_in(
    settings: dict[str, Any], sqlite_url: str, user: dict[str, Any], identity: Identity
) -> None:
    host = make_host(settings, sqlite_url)
    PortalActions(host)
    with host.test_request_context():
        # As Flask-Security has it: a value that changes whenever somebody is signed out everywhere.
        g.user = SimpleNamespace(get_id=lambda: "5f1a", is_authenticated=True, **user)
        assert current_identity() == identity


@pytest.mark.parametrize(
    ("user", "identity"),
    [
        ({"username": "bob@example.com", "email": None}, "user:7"),
        ({"username": "bob@example.com"}, "user:bob@example.com"),
        ({"username": "team:platform"}, "user:team:platform"),
        ({"username": "user:bob@example.com"}, "user:user:bob@example.com"),
        ({"email": " "}, "user:7"),
        ({"email": "a" * 300}, "user:7"),
    ],
)
def test_nobody_becomes_somebody_else_by_what_they_call_themselves(
    settings: dict[str, Any], sqlite_url: str, user: dict[str, Any], identity: str
) -> None:
    host = make_host(settings, sqlite_url)
    PortalActions(host)
    with host.test_request_context():
        g.user = SimpleNamespace(get_id=lambda: "7", **user)
        asker = current_identity()
        assert asker is not None
        assert asker.id == identity


def test_without_flask_login_the_hosts_g_user_says_who_asks(settings: dict[str, Any], sqlite_url: str) -> None:
    host = make_host(settings, sqlite_url, PORTAL_ACTIONS_DEFAULT_ROLES="developer")
    host.before_request(lambda: setattr(g, "user", "ada"))
    PortalActions(host)
    answer = host.test_client().post(LOG, json=HELLO, headers=BEARER)
    assert (answer.status_code, answer.json["requested_by"]) == (202, "user:ada")


def test_a_cookie_needs_a_token_also_where_a_hook_of_the_host_says_who_asks(
    settings: dict[str, Any], sqlite_url: str
) -> None:
    host = make_host(settings, sqlite_url, PORTAL_ACTIONS_DEFAULT_ROLES="developer")
    PortalActions(host)
    host.before_request(lambda: setattr(g, "user", request.cookies.get("person")))
    client = host.test_client()
    assert client.post(LOG, json=HELLO).status_code == 401
    client.set_cookie("person", "ada")
    assert client.get("/api/v1/action-runs").status_code == 200
    assert client.post(LOG, json=HELLO).status_code == 403


def test_a_user_object_of_nobody_is_nobody(settings: dict[str, Any], sqlite_url: str) -> None:
    host = make_host(settings, sqlite_url)
    PortalActions(host)
    who: list[Any] = []
    host.before_request(lambda: setattr(g, "user", who[-1]))
    for nobody in (flask_login.AnonymousUserMixin(), "", None, SimpleNamespace(id=None)):
        who.append(nobody)
        assert host.test_client().get("/api/v1/action-runs").status_code == 401


def test_users_without_roles_get_the_default_ones(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PEOPLE, "new", Identity("user:new"))
    new = {"Authorization": "Bearer new"}
    reader = make_app().test_client()
    assert reader.get("/api/v1/action-runs", headers=new).status_code == 200
    assert reader.post(LOG, json=HELLO, headers=new).status_code == 403
    runner = make_app(PORTAL_ACTIONS_DEFAULT_ROLES=["developer"]).test_client()
    assert runner.post(LOG, json=HELLO, headers=new).status_code == 202


def test_the_hosts_authorizer_decides_instead_of_the_roles(settings: dict[str, Any], sqlite_url: str) -> None:
    asked: list[tuple[str, str, Any]] = []

    def authorizer(identity: Identity, permission: str, target: Any) -> bool:
        asked.append((identity.id, permission, target))
        return permission == "action:read"

    host = make_host(settings, sqlite_url)
    plugin = PortalActions()
    plugin.identity_loader(lambda: PEOPLE["margaret"])
    plugin.authorizer(authorizer)
    plugin.init_app(host)
    client = host.test_client()
    assert client.get("/api/v1/action-runs").status_code == 200
    assert client.post(LOG, json=HELLO, headers=BEARER).status_code == 403
    assert asked[-1] == ("user:margaret@example.com", "action:run", "debug.log@v1")


def test_navigation_is_hidden_from_who_may_not_read(make_app: Callable[..., Flask]) -> None:
    app = make_app(PORTAL_ACTIONS_ROLE_PERMISSIONS={"developer": ["action:read"]})
    nav = app.jinja_env.globals["portal_actions_nav"]
    with app.test_request_context("/actions", headers=BEARER):
        [item] = nav()
        assert (item.label, item.url, item.active) == ("Actions", "/actions", True)
    with app.test_request_context("/", headers={"Authorization": "Bearer vera"}):
        assert nav() == []
    with app.test_request_context("/"):
        assert nav() == []


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RATE_LIMIT", "often"),
        ("RATE_LIMIT", "0 per minute"),
        ("LEASE_SECONDS", "30"),
        ("LEASE_RENEW_SECONDS", 20),
        ("URL_PREFIX", "self-service"),
        ("SECRET_KEYS", "garbage"),
        ("REDIS_URL", "localhost:6379"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "mysql://localhost/portal"),
        ("QUEUES", {"scm.*": "Slow Queue"}),
        ("ROLE_PERMISSIONS", {"developer": ["run everything"]}),
        ("MAX_BODY_BYTES", -1),
    ],
)
def test_a_wrong_setting_stops_the_start_and_is_named(make_app: Callable[..., Flask], name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"PORTAL_ACTIONS_{name}"):
        make_app(**{f"PORTAL_ACTIONS_{name}": value})


def test_a_postgresql_without_its_driver_stops_the_start(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"PORTAL_ACTIONS_DATABASE_URL .*psycopg is not installed") as caught:
        make_app(PORTAL_ACTIONS_DATABASE_URL="postgresql://ada:secret@db/portal")
    assert "portal-actions-plugin[postgres]" in str(caught.value.hint)
    assert "secret" not in caught.value.message


def test_the_hosts_postgresql_is_reused_and_its_sqlite_is_not(tmp_path: Path) -> None:
    from portal_actions_plugin.settings.config import Config

    host = Flask("host", instance_path=str(tmp_path))
    host.config["SQLALCHEMY_DATABASE_URI"] = "postgres://u:p@db/portal"
    assert Config.from_app(host).database_url == "postgresql+psycopg://u:p@db/portal"
    host = Flask("host", instance_path=str(tmp_path))
    host.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///host.db"
    assert Config.from_app(host).database_url == f"sqlite:///{tmp_path}/portal_actions.db"
