"""Hooks: whose they are, whenever they come, and that nothing but a plain answer opens a door."""

from __future__ import annotations

import asyncio
import functools
import logging
import sys
import types
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, g, request
from marshmallow import Schema

from portal_actions_plugin import Identity, PortalActions, action, signals
from portal_actions_plugin.doctor.examination import examine
from portal_actions_plugin.errors import ConfigurationError, InternalError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.guards import access
from portal_actions_plugin.runs.reading import queries
from tests.support.action_helpers import make_context
from tests.support.portal import PEOPLE, change_action
from tests.support.run_helpers import work_off
from tests.support.waiting import wait_until
from tests.support.workers import Workers

ADA = PEOPLE["ada"]
LOG = "/api/v1/actions/debug.log@v1/runs"
BEARER = {"Authorization": "Bearer ada"}
HELLO = {"input": {"message": "hello"}}
ENTITY = {"entity": {"kind": "component", "namespace": "default", "name": "orders"}}

two = pytest.mark.fault("2")
three = pytest.mark.fault("3")


@pytest.fixture
def make_host(settings: dict[str, Any], sqlite_url: str) -> Iterator[Callable[..., Flask]]:
    """Hosts without the plugin; what they get of it is closed at the end."""
    hosts: list[Flask] = []

    def make(**config: Any) -> Flask:
        host = Flask(f"host{len(hosts)}", instance_path=settings["INSTANCE_PATH"])
        host.config.update(settings, SECRET_KEY="host", PORTAL_ACTIONS_DATABASE_URL=sqlite_url, **config)
        hosts.append(host)
        return host

    yield make
    for host in hosts:
        if parts := host.extensions.get("portal_actions"):
            parts.database.close_connections()


def nobody_may(identity: Identity, permission: str, target: Any) -> bool:
    return False


def everybody_may(identity: Identity, permission: str, target: Any) -> bool:
    return True


async def nobody_may_async(identity: Identity, permission: str, target: Any) -> bool:
    return False


def ada() -> Identity:
    return ADA


def start(host: Flask) -> int:
    return host.test_client().post(LOG, json=HELLO, headers=BEARER).status_code


# -- whose they are ----------------------------------------------------------------------------------------------------


@two
def test_hooks_that_come_after_the_app_was_wired_in_count(make_host: Callable[..., Flask]) -> None:
    host = make_host()
    plugin = PortalActions(host)
    plugin.identity_loader(ada)
    assert start(host) == 202
    plugin.authorizer(nobody_may)
    assert start(host) == 403


@two
def test_hooks_given_in_an_apps_context_are_that_apps(make_host: Callable[..., Flask]) -> None:
    first, second = make_host(), make_host()
    plugin = PortalActions()
    plugin.identity_loader(ada)
    plugin.init_app(first)
    plugin.init_app(second)
    with first.app_context():
        plugin.authorizer(nobody_may)
    assert [start(first), start(second)] == [403, 202]


def test_hooks_of_several_apps_name_theirs(make_host: Callable[..., Flask]) -> None:
    first, second = make_host(), make_host()
    plugin = PortalActions()
    plugin.identity_loader(ada)
    plugin.of(second).authorizer(nobody_may)
    plugin.init_app(first)
    plugin.init_app(second)
    with pytest.raises(ConfigurationError, match=r"which app .* plugin\.of\(app\)\.authorizer"):
        plugin.authorizer(nobody_may)
    assert [start(first), start(second)] == [202, 403]
    plugin.of(first).authorizer(nobody_may)
    assert [start(first), start(second)] == [403, 403]
    plugin.authorizer(nobody_may)  # all have it: there is nothing to tell


@two
@pytest.mark.parametrize("when", ["before", "after"])
def test_hooks_of_the_object_that_is_there_already_reach_the_app_of_another_one(when: str) -> None:
    """As the documentation's examples have it: PortalActions(app), and @plugin.authorizer."""
    program = f"""
from flask import Flask
from portal_actions_plugin import Identity, PortalActions, plugin
from portal_actions_plugin.runs.guards import access
app = Flask("host", instance_path="/nowhere")
if {when!r} == "after": PortalActions(app)
plugin.authorizer(lambda identity, permission, target: False)
if {when!r} == "before": PortalActions(app)
with app.app_context():
    print(access.allowed(Identity("user:ada", roles=frozenset({{"platform-admin"}})), "action:read"))
"""
    import subprocess

    ran = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True)
    assert ran.stdout == "False\n"


def test_hooks_in_the_context_of_an_app_without_the_plugin_are_refused(make_host: Callable[..., Flask]) -> None:
    plugin, other = PortalActions(make_host()), make_host()
    with other.app_context(), pytest.raises(ConfigurationError, match="no Portal Actions yet"):
        plugin.authorizer(nobody_may)
    plugin.of(other).authorizer(nobody_may)
    plugin.of(other).identity_loader(ada)
    plugin.init_app(other)
    assert start(other) == 403


def test_apps_that_are_gone_count_for_nothing(make_host: Callable[..., Flask], tmp_path: Path) -> None:
    plugin = PortalActions()
    for _ in range(3):
        dropped = Flask("dropped", instance_path=str(tmp_path))
        plugin.init_app(dropped)
        gone = weakref.ref(dropped)
        del dropped
    host = make_host()
    plugin.init_app(host)
    plugin.authorizer(nobody_may)
    assert gone() is None
    with host.app_context():
        assert not access.allowed(ADA, "action:read")


def test_a_second_authorizer_has_to_say_that_it_takes_the_firsts_place(make_host: Callable[..., Flask]) -> None:
    host = make_host()
    plugin = PortalActions()
    plugin.identity_loader(ada)
    plugin.authorizer(nobody_may)
    with pytest.raises(ConfigurationError, match=r"everybody_may would be a second authorizer: .*nobody_may"):
        plugin.authorizer(everybody_may)
    plugin.init_app(host)
    default = r"the default that was registered before init_app.*plugin\.of\(app\)\.authorizer\(…, replace=True\)"
    with pytest.raises(ConfigurationError, match=default):
        plugin.of(host).authorizer(everybody_may)
    assert start(host) == 403
    assert plugin.of(host).authorizer(replace=True)(everybody_may) is everybody_may
    assert start(host) == 202
    plugin.authorizer(nobody_may, replace=True)
    assert start(host) == 403


def test_the_same_authorizer_again_is_no_second_one(make_host: Callable[..., Flask]) -> None:
    class Policy:
        def may(self, identity: Identity, permission: str, target: Any) -> bool:
            return False

    policy = Policy()
    plugin = PortalActions(make_host())
    plugin.authorizer(policy.may)
    plugin.authorizer(policy.may)
    with pytest.raises(ConfigurationError, match="second"):
        plugin.authorizer(Policy().may)


def test_a_module_that_is_loaded_again_brings_its_hooks_again(make_host: Callable[..., Flask]) -> None:
    host = make_host()
    plugin = PortalActions(host)
    plugin.identity_loader(ada)
    for answer, status in ((False, 403), (True, 202)):
        module = types.ModuleType("policy")
        exec(f"def may(identity, permission, target): return {answer}", vars(module))
        plugin.authorizer(module.may)
        assert start(host) == status


def test_what_a_function_makes_is_one_of_its_own_each_time(make_host: Callable[..., Flask]) -> None:
    def policy(answer: bool) -> Callable[..., bool]:
        def may(identity: Identity, permission: str, target: Any) -> bool:
            return answer

        return may

    plugin = PortalActions(make_host())
    plugin.authorizer(policy(False))
    with pytest.raises(ConfigurationError, match="second"):
        plugin.authorizer(policy(True))


@pytest.mark.parametrize(
    ("kind", "hook"),
    [
        ("authorizer", "deny"),
        ("catalog", object()),
        ("template_source", types.SimpleNamespace(list=list)),
        ("scorecards", None),
    ],
)
def test_what_cannot_be_asked_is_refused(kind: str, hook: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{kind}.* cannot be called"):
        getattr(PortalActions(), kind)(hook)


@two
def test_every_hook_may_come_late(make_host: Callable[..., Flask], template_folder: Path) -> None:
    from portal_actions_plugin.software_templates.loader import FolderTemplateSource

    host = make_host(PORTAL_ACTIONS_TEMPLATE_PATH="")
    plugin = PortalActions(host)
    with host.app_context():
        plugin.identity_loader(ada)
        plugin.template_source(FolderTemplateSource([template_folder], extension().registry))
        plugin.catalog(types.SimpleNamespace(register_entity=lambda entity, source: f"of {source}"))
        assert host.test_client().get("/api/v1/templates/two-steps").status_code == 200
        run = service.start_action_run(ADA, "catalog.registerEntity@v1", {**ENTITY, "source": "here"}).run
        work_off()
        assert queries.action_run(run.id).outputs == {"entityId": "of here"}


# -- a portal that has to have an authorizer ---------------------------------------------------------------------------


def test_nobody_may_while_an_authorizer_is_required_and_missing(
    make_host: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    host = make_host(PORTAL_ACTIONS_REQUIRE_AUTHORIZER=True)
    plugin = PortalActions(host)
    plugin.identity_loader(lambda: PEOPLE["margaret"])
    assert [start(host), start(host), host.test_client().get("/actions").status_code] == [403, 403, 403]
    assert [record.message.partition(":")[0] for record in caplog.records if record.levelname == "ERROR"] == [
        "everything is denied"
    ]
    with host.app_context():
        assert "register one where the app is made: @plugin.authorizer" in {found.mend for found in examine()}
    plugin.authorizer(everybody_may)
    assert start(host) == 202


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_that_setting_is_true_or_false(make_host: Callable[..., Flask], value: Any) -> None:
    with pytest.raises(ConfigurationError, match="PORTAL_ACTIONS_REQUIRE_AUTHORIZER"):
        PortalActions(make_host(PORTAL_ACTIONS_REQUIRE_AUTHORIZER=value))


# -- async hooks -------------------------------------------------------------------------------------------------------


class CallsAsync:
    async def __call__(self, *_: Any) -> bool:
        await asyncio.sleep(0)
        return False


def hides_its_coroutine(*arguments: Any) -> Any:
    return nobody_may_async(*arguments)


@three
@pytest.mark.parametrize(
    "authorizer",
    [nobody_may_async, functools.partial(nobody_may_async), CallsAsync(), CallsAsync, hides_its_coroutine],
    ids=["function", "partial", "object", "class", "coroutine"],
)
def test_an_async_authorizer_that_says_no_denies(make_host: Callable[..., Flask], authorizer: Any) -> None:
    host = make_host()
    plugin = PortalActions()
    plugin.identity_loader(ada)
    plugin.authorizer(authorizer)
    plugin.init_app(host)
    assert start(host) == 403


@three
def test_an_async_loader_and_authorizer_see_the_request(make_host: Callable[..., Flask]) -> None:
    async def who() -> Identity | None:
        await asyncio.sleep(0)
        g.seen = request.headers["Authorization"]
        return ADA

    async def may(identity: Identity, permission: str, target: Any) -> bool:
        return g.seen == "Bearer ada" and target in (None, "debug.log@v1")

    host = make_host()
    plugin = PortalActions()
    plugin.identity_loader(who)
    plugin.authorizer(may)
    plugin.init_app(host)
    assert start(host) == 202


@three
def test_async_hooks_are_awaited_where_a_loop_runs_already(make_host: Callable[..., Flask]) -> None:
    host = make_host()
    plugin = PortalActions()
    plugin.identity_loader(ada)
    plugin.authorizer(nobody_may_async)
    plugin.init_app(host)

    @host.get("/async")
    async def view() -> dict[str, bool]:
        return {"may": plugin.may_run_action(ADA, "debug.log@v1")}

    async def in_a_loop() -> bool:
        with host.app_context():
            return plugin.may_run_action(ADA, "debug.log@v1")

    assert host.test_client().get("/async").json == {"may": False}
    assert asyncio.run(in_a_loop()) is False


@three
def test_async_objects_of_a_host_are_awaited(make_host: Callable[..., Flask], template_folder: Path) -> None:
    from portal_actions_plugin.software_templates.loader import FolderTemplateSource

    class Templates:
        def __init__(self) -> None:
            self.files = FolderTemplateSource([template_folder], {"debug.log@v1"})

        async def list(self) -> Any:
            return self.files.list()

        async def get(self, name: str) -> Any:
            return self.files.get(name)

    class Catalog:
        async def register_entity(self, entity: Any, source: str | None) -> str:
            await asyncio.sleep(0)
            return f"of {source}"

    host = make_host()
    plugin = PortalActions()
    plugin.template_source(Templates())
    plugin.catalog(Catalog)
    plugin.init_app(host)
    with host.app_context():
        of_template = service.start_template_run(ADA, "two-steps", {"name": "orders"}).run
        run = service.start_action_run(ADA, "catalog.registerEntity@v1", {**ENTITY, "source": "here"}).run
        work_off()
        assert queries.template_run(of_template.id).status == "success"
        assert queries.action_run(run.id).outputs == {"entityId": "of here"}


@three
def test_an_async_catalog_works_in_a_workers_process(
    app: Flask, start_workers: Callable[..., Workers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_PORTAL_ASYNC_CATALOG", "1")
    run_id = service.start_action_run(ADA, "catalog.registerEntity@v1", {**ENTITY, "source": "here"}).run.id
    start_workers()
    assert wait_until(lambda: queries.action_run(run_id).finished_at, 60)
    assert queries.action_run(run_id).outputs == {"entityId": "component:default/orders"}


@three
def test_an_async_receiver_of_a_signal_is_awaited(app: Flask) -> None:
    heard: list[str] = []

    async def receiver(_app: Flask, run: Any, **_: Any) -> None:
        await asyncio.sleep(0)
        heard.append(run.status)

    with signals.action_run_finished.connected_to(receiver, sender=app):
        service.start_action_run(ADA, "debug.log@v1", HELLO["input"])
        work_off()
    assert heard == ["success"]


def test_async_hooks_are_refused_where_nothing_can_await_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from portal_actions_plugin import answers

    monkeypatch.setattr(answers, "find_spec", lambda _name: None)

    class Scorecards:
        async def evaluate(self, entity_id: str, scorecard_id: str, force: bool) -> dict[str, Any]:
            return {}

    for kind, hook in (
        ("authorizer", nobody_may_async),
        ("authorizer", functools.partial(nobody_may_async)),
        ("identity_loader", CallsAsync()),
        ("scorecards", Scorecards),
    ):
        with pytest.raises(ConfigurationError, match=rf"{kind}.* is async .*portal-actions-plugin\[async\]"):
            getattr(PortalActions(), kind)(hook)


def test_a_hidden_coroutine_denies_where_nothing_can_await_it(
    make_host: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from portal_actions_plugin import answers

    monkeypatch.setattr(answers, "find_spec", lambda _name: None)
    host = make_host()
    PortalActions(host).authorizer(hides_its_coroutine)
    with host.app_context():
        assert not access.allowed(ADA, "action:read")
    assert "hides_its_coroutine failed when it was asked for action:read: denied" in caplog.text


# -- answers -----------------------------------------------------------------------------------------------------------


class LikeABool:
    """As numpy has it: true, and no bool."""

    __class__ = bool

    def __bool__(self) -> bool:
        return True


def a_generator(*_: Any) -> Iterator[bool]:
    yield True


async def an_async_generator(*_: Any) -> Any:
    yield True


class Deferred:
    def __await__(self) -> Iterator[Any]:
        yield from asyncio.sleep(0).__await__()
        return 1


def says(answer: Any) -> Callable[..., Any]:
    def authorizer(*_: Any) -> Any:
        return answer

    return authorizer


@three
@pytest.mark.parametrize(
    "authorizer",
    [says(1), says("yes"), says([True]), says(LikeABool()), says(Deferred()), a_generator, an_async_generator],
    ids=["one", "text", "list", "like a bool", "awaitable", "generator", "async generator"],
)
def test_an_answer_that_is_no_bool_denies_and_is_logged(
    make_host: Callable[..., Flask], authorizer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    host = make_host()
    plugin = PortalActions()
    plugin.identity_loader(ada)
    plugin.authorizer(authorizer)
    plugin.init_app(host)
    assert start(host) == 403
    assert f"the hook {authorizer.__module__}.{authorizer.__qualname__} answered" in caplog.text


@three
def test_none_denies_and_is_logged_once_for_a_page(
    make_host: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    host = make_host()
    plugin = PortalActions()
    plugin.identity_loader(ada)
    plugin.authorizer(says(None))
    plugin.init_app(host)
    assert host.test_client().get("/actions").status_code == 403
    [line] = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert line.endswith("answered None when it was asked for action:read, which is no bool: denied")


@three
def test_an_authorizer_that_fails_denies_with_its_traceback(
    make_host: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    def fails(identity: Identity, permission: str, target: Any) -> bool:
        raise KeyError("policy")

    host = make_host()
    plugin = PortalActions()
    plugin.identity_loader(ada)
    plugin.authorizer(fails)
    plugin.init_app(host)
    assert start(host) == 403
    assert "KeyError: 'policy'" in caplog.text


@three
@pytest.mark.parametrize("answer", ["ada", True, object(), {"id": "ada"}], ids=["text", "true", "object", "dict"])
def test_a_loader_that_answers_with_no_identity_signs_nobody_in(
    make_host: Callable[..., Flask], answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    host = make_host()
    plugin = PortalActions()
    plugin.identity_loader(says(answer))
    plugin.init_app(host)
    assert start(host) == 401
    assert "which is no Identity: nobody is signed in" in caplog.text


@three
@pytest.mark.parametrize("is_async", [False, True], ids=["method", "async method"])
def test_a_user_whose_is_authenticated_is_a_method_is_asked(make_host: Callable[..., Flask], is_async: bool) -> None:
    class User:
        id = "ada"

        def is_authenticated(self) -> Any:
            return asyncio.sleep(0, False) if is_async else False

    host = make_host()
    PortalActions(host)
    host.before_request(lambda: setattr(g, "user", User()))
    assert host.test_client().get("/api/v1/action-runs").status_code == 401


@three
def test_objects_that_answer_otherwise_are_errors_that_name_them(make_host: Callable[..., Flask]) -> None:
    odd = types.SimpleNamespace(list=list, get=lambda name: name, register_entity=says(7), evaluate=says([]))
    host = make_host()
    plugin = PortalActions()
    plugin.template_source(odd)
    plugin.catalog(odd)
    plugin.scorecards(odd)
    plugin.init_app(host)
    with host.app_context():
        for ask in (extension().templates.list, lambda: extension().templates.get("two-steps")):
            with pytest.raises(ConfigurationError, match=r"SimpleNamespace answered (list|get) with a (list|str)"):
                ask()
        run = service.start_action_run(ADA, "catalog.registerEntity@v1", ENTITY).run
        work_off()
        error = queries.action_run(run.id).error
        assert error is not None
        assert (error.code, "register_entity with a int instead of a str" in error.message) == (
            "CONFIGURATION_ERROR",
            True,
        )


def test_what_a_hosts_object_has_of_its_own_is_there_for_handlers(make_host: Callable[..., Flask]) -> None:
    class Catalog:
        class NotThereError(Exception):
            pass

        name = "main"

        def register_entity(self, entity: Any, source: str | None) -> str:
            return ""

        async def find(self, name: str) -> str:
            return f"found {name}"

        def fails(self) -> None:
            raise self.NotThereError

    from portal_actions_plugin.hooks import asking

    with make_host().app_context():
        ctx = make_context(host_catalog=asking.catalog(Catalog()))
        assert (ctx.catalog.name, ctx.catalog.find("orders")) == ("main", "found orders")
        with pytest.raises(ctx.catalog.NotThereError):
            ctx.catalog.fails()


# -- the functions of actions ------------------------------------------------------------------------------------------


async def async_function(*_: Any, **__: Any) -> Any:
    return None


@three
def test_an_action_made_of_async_functions_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"its handler is async .*async_function"):
        action("an.action@v1", title="", input=Schema)(async_function)
    for name in ("idempotent", "lock"):
        with pytest.raises(ConfigurationError, match=f"its {name} is async"):
            action("an.action@v1", title="", input=Schema, **{name: async_function})
    with pytest.raises(ConfigurationError, match="permissions is one text"):
        action("an.action@v1", title="", input=Schema, permissions="action:run")  # type: ignore[arg-type]


@three
@pytest.mark.parametrize("answer", ["no", 1, None, lambda: False], ids=["text", "one", "none", "function"])
def test_an_action_is_repeated_only_where_its_function_says_true(app: Flask, answer: Any) -> None:
    from portal_actions_plugin.runs.guards.retries import is_idempotent

    for given, may in ((says(answer), False), (says(True), True), (hides_its_coroutine_too, False)):
        change_action(app, "debug.log@v1", idempotent=given)
        assert is_idempotent("debug.log@v1", {}) is may


def hides_its_coroutine_too(*_: Any, **__: Any) -> Any:
    return async_function()


@three
def test_a_lock_that_is_no_text_fails_the_run_by_its_name(app: Flask) -> None:
    change_action(app, "debug.log@v1", lock=says(["a", "list"]))
    run = service.start_action_run(ADA, "debug.log@v1", HELLO["input"]).run
    work_off()
    error = queries.action_run(run.id).error
    assert error is not None
    assert error.message == "debug.log@v1: its lock answered with a list, not a text or None."


@three
def test_a_handler_that_returns_a_coroutine_fails_by_its_name(app: Flask) -> None:
    change_action(app, "debug.log@v1", handler=hides_its_coroutine_too)
    with pytest.raises(InternalError, match=r"handler of debug.log@v1 returned a coroutine"):
        extension().registry.get("debug.log@v1").run(make_context(), HELLO["input"])
