"""``http:backstage:request`` against a real server: what it calls, sends, keeps, and does not show."""

from __future__ import annotations

import json
import socket
from collections import defaultdict
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from portal_actions_plugin.actions.backstage.http_request import http_backstage_request
from portal_actions_plugin.errors import ConfigurationError, NotFoundError, ValidationError
from portal_actions_plugin.http_client.guard import HttpRules
from tests.support.action_helpers import MemoryRecorder, make_context
from tests.support.http_server import Names, Server, only, says, serving

LOCAL = (ip_network("127.0.0.0/8"),)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as running:
        answering(running, says())
        yield running


def answering(server: Server, answer: Any) -> None:
    """Let the server answer so, whatever is asked."""
    server.routes = defaultdict(lambda: answer)


@pytest.fixture
def call(server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    leading = Names()
    leading.lead("portal.test", ["127.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", leading.getaddrinfo)
    base = f"http://portal.test:{server.port}"

    def ask(recorder: MemoryRecorder | None = None, **given: Any) -> dict[str, Any]:
        rules = HttpRules(only(("portal.test", server.port)), LOCAL, backstage_url=given.pop("base", base))
        ctx = make_context(recorder or MemoryRecorder(), http=rules)
        return http_backstage_request.run(ctx, {"method": "GET", "path": "catalog/entities", **given})

    return ask


def test_a_path_is_called_below_the_api_of_the_portal(server: Server, call: Any) -> None:
    answering(server, says(200, b'{"name": "orders"}', Content_Type="application/json"))
    found = call(path="/catalog/entities", params={"filter": "kind=component", "full": True})
    assert (found["code"], found["body"]) == (200, {"name": "orders"})
    assert found["headers"]["content-type"] == "application/json"
    assert server.seen[0].path == "/api/catalog/entities?filter=kind%3Dcomponent&full=true"
    call(path="api/catalog/entities")
    assert server.seen[1].path == "/api/catalog/entities"


def test_what_is_no_json_is_a_message(server: Server, call: Any) -> None:
    answering(server, says(200, b"hello", Content_Type="text/plain"))
    assert call()["body"] == {"message": "hello"}


def test_an_object_is_sent_as_json(server: Server, call: Any) -> None:
    call(method="POST", body={"name": "orders"}, headers={"Content-Type": "application/json"})
    assert json.loads(server.seen[0].body) == {"name": "orders"}
    assert server.seen[0].headers["content-type"] == "application/json"


def test_a_bad_answer_is_an_error_unless_it_is_asked_for(server: Server, call: Any) -> None:
    answering(server, says(404, b"nope", Content_Type="text/plain"))
    with pytest.raises(NotFoundError):
        call()
    found = call(continueOnBadResponse=True)
    assert (found["code"], found["body"]) == (404, {"message": "nope"})


def test_a_header_that_sounds_secret_is_sent_and_never_shown(server: Server, call: Any) -> None:
    answering(server, says(200, b"you said Bearer hush-hush-12", Content_Type="text/plain"))
    recorder = MemoryRecorder()
    redacted: list[str] = []
    rules = HttpRules(only(("portal.test", server.port)), LOCAL, backstage_url=f"http://portal.test:{server.port}")
    ctx = make_context(recorder, http=rules, on_redact=redacted.append)
    http_backstage_request.run(
        ctx, {"method": "GET", "path": "x", "headers": {"Authorization": "Bearer hush-hush-12", "X-Plain": "shown"}}
    )
    assert server.seen[0].headers["authorization"] == "Bearer hush-hush-12"
    assert server.seen[0].headers["x-plain"] == "shown"
    assert "hush-hush-12" in redacted
    assert "shown" not in redacted


def test_the_path_is_not_logged_where_that_is_not_wanted(server: Server, call: Any) -> None:
    quiet, loud = MemoryRecorder(), MemoryRecorder()
    call(quiet, path="catalog/private", logRequestPath=False)
    call(loud, path="catalog/private")
    assert "private" not in quiet.text
    assert "private" in loud.text


def test_under_a_key_the_call_is_made_once(server: Server, call: Any) -> None:
    recorder = MemoryRecorder()
    for _attempt in range(2):
        assert call(recorder, method="POST", idempotencyKey="ticket")["code"] == 200
    assert len(server.seen) == 1


def test_without_an_address_it_is_off(call: Any) -> None:
    with pytest.raises(ConfigurationError, match="PORTAL_ACTIONS_BACKSTAGE_URL"):
        call(base="")


def test_the_address_has_to_be_allowed_as_any_other(call: Any) -> None:
    with pytest.raises(ValidationError, match="may not call"):
        call(base="http://elsewhere.test")


@pytest.mark.parametrize(
    ("given", "field"),
    [({"method": "BREW"}, "method"), ({"path": ""}, "path"), ({"body": "x"}, "body"), ({"timeout": 0}, "timeout")],
)
def test_what_is_wrong_is_named(call: Any, given: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        call(**given)
    assert field in refused.value.fields


@pytest.mark.parametrize(("method", "may"), [("GET", True), ("PUT", True), ("POST", False), ("UPDATE", False)])
def test_what_may_be_repeated_is_told_by_its_method(method: str, may: bool) -> None:
    assert http_backstage_request.may_be_repeated({"method": method}) is may
    assert http_backstage_request.may_be_repeated({"method": method, "idempotencyKey": "x"})
