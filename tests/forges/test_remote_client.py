"""The client that all providers of remote forges share, against a real server that goes wrong as forges do."""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import replace

import pytest

from portal_actions_plugin.errors import ConflictError, NotFoundError, RateLimitedError, RemoteError
from portal_actions_plugin.scm.opening import Opening
from portal_actions_plugin.scm.remote import client as client_module
from portal_actions_plugin.scm.remote import transport
from portal_actions_plugin.scm.remote.client import ForgeClient, LostAnswerError, Place
from tests.support.forges.faults import Close, CutShort, Drip, Hang, Reset, Respond, html_page, redirect
from tests.support.forges.messages import json_answer
from tests.support.forges.scripted import ADA, TOKEN, KeptPauses, ScriptedForge, always, client_of
from tests.support.forges.server import ForgeServer


class GuardedError(Exception):
    """The attempt may not write any more."""


@pytest.fixture
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "READ_SECONDS", 0.4)
    monkeypatch.setattr(transport, "CALL_SECONDS", 1.5)


@pytest.fixture
def dialed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts that were connected to, one entry for each connection."""
    seen: list[str] = []
    connect = transport.connect

    def counted(target, *rest):
        seen.append(target.named)
        return connect(target, *rest)

    monkeypatch.setattr(transport, "connect", counted)
    return seen


# -- what is sent and returned ----------------------------------------------------------------------------------------


def test_a_call_carries_headers_credential_query_and_json(
    client: ForgeClient, scripted: ScriptedForge, forge_server: ForgeServer
) -> None:
    scripted.answers["/things"] = always(201, {"id": 7})
    answer = client.send(ADA, "POST", "/things", query={"a b": "ü", "n": 2}, body={"name": "ä"})
    assert (answer.status, answer.object()) == (201, {"id": 7})
    assert answer.request_id == "id-1"
    (entry,) = forge_server.log.entries()
    assert entry.credential == "ada"
    assert entry.query == {"a b": ["ü"], "n": ["2"]}
    assert entry.request.json() == {"name": "ä"}
    assert entry.request.headers["accept"] == "application/json"
    assert forge_server.log.where_seen(TOKEN) == []


def test_an_error_has_the_forges_words_the_request_id_and_the_path_without_its_query(
    client: ForgeClient, scripted: ScriptedForge
) -> None:
    scripted.answers["/things"] = always(409, {"message": f"clash with {TOKEN}"})
    with pytest.raises(ConflictError) as caught:
        client.send(ADA, "PUT", "/things", query={"secret": "s"})
    assert str(caught.value) == ('The forge said: {"message": "clash with ***"} [PUT /api/things: 409 (request id-1)]')
    assert caught.value.hint == "Ask Ada."


def test_what_is_accepted_is_returned_and_404_is_none(client: ForgeClient) -> None:
    assert client.send(ADA, "GET", "/nothing", accept=(404,)).status == 404
    assert client.find(ADA, "/nothing") is None
    with pytest.raises(NotFoundError):
        client.send(ADA, "GET", "/nothing")


def test_the_clock_of_the_forge_is_compared_with_ours(client: ForgeClient, scripted: ScriptedForge) -> None:
    from datetime import timedelta

    scripted.answers["/"] = always(200, {})
    scripted.clock.skew = timedelta(hours=2)
    answer = client.send(ADA, "GET", "/")
    assert answer.at is not None
    assert 7200 - 120 < answer.skew < 7200 + 120


# -- connections ------------------------------------------------------------------------------------------------------


def test_a_connection_is_kept_for_the_next_call(
    client: ForgeClient, scripted: ScriptedForge, dialed: list[str]
) -> None:
    scripted.answers["/"] = always(200, {})
    for method in ("GET", "POST", "GET", "DELETE"):
        client.send(ADA, method, "/")
    assert len(dialed) == 1


def test_a_connection_that_the_forge_has_closed_is_not_used_for_a_write(
    client: ForgeClient, scripted: ScriptedForge, forge_server: ForgeServer, dialed: list[str]
) -> None:
    scripted.answers["/"] = lambda _request: json_answer(200, {})
    forge_server.faults.order("GET", "/", Close(), nth=2)
    client.send(ADA, "GET", "/")
    client.send(ADA, "GET", "/")  # closed without an answer, and so read once more
    client.send(ADA, "POST", "/")
    assert scripted.done == ["GET /api/", "GET /api/", "POST /api/"]
    assert len(dialed) == 2


def test_a_forked_child_uses_no_connection_of_its_parent(
    client: ForgeClient, scripted: ScriptedForge, dialed: list[str]
) -> None:
    scripted.answers["/"] = always(200, {})
    client.send(ADA, "GET", "/")
    child = os.fork()
    if not child:
        status = 1
        try:
            client.send(ADA, "GET", "/")
            status = 0 if len(dialed) == 2 else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    client.send(ADA, "GET", "/")
    assert len(dialed) == 1  # the parent's own is as good as before
    assert scripted.done == ["GET /api/"] * 3


# -- lost answers -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("short_times")
@pytest.mark.parametrize("fault", [Reset(), Close(), CutShort(), Hang(), Drip(0.1), Respond(502, "bad gateway")])
def test_a_write_whose_answer_is_lost_says_so_and_is_not_repeated(
    client: ForgeClient, scripted: ScriptedForge, forge_server: ForgeServer, fault: object
) -> None:
    scripted.answers["/"] = always(201, {"text": "x" * 200})
    forge_server.faults.order("POST", "/", fault, after=True, times=9)
    with pytest.raises(LostAnswerError, match="POST"):
        client.send(ADA, "POST", "/")
    assert scripted.done == ["POST /api/"]


@pytest.mark.usefixtures("short_times")
@pytest.mark.parametrize("fault", [Reset(), Close(), CutShort(), Hang(), Drip(0.1), Respond(502, "bad gateway")])
def test_a_read_without_an_answer_is_no_lost_write(
    client: ForgeClient, scripted: ScriptedForge, forge_server: ForgeServer, fault: object
) -> None:
    scripted.answers["/"] = always(200, {"text": "x" * 200})
    forge_server.faults.order("GET", "/", fault, times=9)
    with pytest.raises(RemoteError, match="GET") as caught:
        client.send(ADA, "GET", "/")
    assert not isinstance(caught.value, LostAnswerError)


def test_a_forge_that_cannot_be_reached_has_done_nothing(opening: Opening) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(RemoteError, match="Connection refused") as caught:
            client_of(Place(url), opening).send(ADA, "POST", "/")
    assert not isinstance(caught.value, LostAnswerError)


def test_a_body_that_is_refused_before_all_of_it_was_read_is_no_lost_answer(opening: Opening) -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\nX-Request-Id: big\r\n\r\ntoo large"
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def refuse() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(refusal)

        thread = threading.Thread(target=refuse)
        thread.start()
        client = client_of(Place(f"http://127.0.0.1:{listening.getsockname()[1]}"), opening)
        with pytest.raises(RemoteError, match=r"too large \[POST /things: 413 \(request big\)\]") as caught:
            client.send(ADA, "POST", "/things", body="x" * 20_000_000)
        thread.join()
    assert not isinstance(caught.value, LostAnswerError)


def test_the_guard_is_asked_before_each_write_and_no_read(
    client: ForgeClient, scripted: ScriptedForge, forge_server: ForgeServer
) -> None:
    def refuse() -> None:
        raise GuardedError

    scripted.answers["/"] = always(200, {})
    guarded = replace(client, opening=replace(client.opening, guard=refuse))
    guarded.send(ADA, "GET", "/")
    with pytest.raises(GuardedError):
        guarded.send(ADA, "POST", "/")
    assert forge_server.log.writes() == []


# -- redirects --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_within_the_forge_keeps_method_and_body(
    client: ForgeClient, scripted: ScriptedForge, forge_server: ForgeServer, status: int
) -> None:
    scripted.answers["/new"] = always(201, {"id": 1})
    forge_server.faults.order("POST", "/old", redirect("/api/new?by=id", status))
    assert client.send(ADA, "POST", "/old", body={"a": 1}).object() == {"id": 1}
    last = forge_server.log.entries("POST", "/new")[0]
    assert (last.request.json(), last.query, last.credential) == ({"a": 1}, {"by": ["id"]}, "ada")


def test_no_more_than_three_redirects_are_followed(client: ForgeClient, forge_server: ForgeServer) -> None:
    forge_server.faults.order("GET", "/round", redirect("/api/round"), times=9)
    with pytest.raises(RemoteError, match="more than 3 times"):
        client.send(ADA, "GET", "/round")
    assert forge_server.log.count() == 4


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_origin_gets_nothing_and_is_named(client: ForgeClient, forge_server: ForgeServer, method: str) -> None:
    with ForgeServer(ScriptedForge()) as sink:
        forge_server.faults.order(method, "/away", redirect(f"{sink.url}/api/away", 307))
        with pytest.raises(RemoteError, match=f"leads to {sink.url}: nothing but {forge_server.url} is asked"):
            client.send(ADA, method, "/away", body={"a": 1})
        assert sink.log.entries() == []


# -- what is no answer of an API --------------------------------------------------------------------------------------


def test_a_login_page_with_200_is_named_and_is_no_answer_to_a_write(
    client: ForgeClient, forge_server: ForgeServer
) -> None:
    forge_server.faults.order("*", "/page", html_page(), times=2)
    with pytest.raises(RemoteError, match=r"with HTML instead of JSON: is .*/api the API, and is a proxy in between"):
        client.send(ADA, "GET", "/page").json()
    with pytest.raises(LostAnswerError):
        client.send(ADA, "POST", "/page")


@pytest.mark.parametrize(
    ("body", "said"),
    [("{", "what is not JSON"), ("", "nothing"), ("[1]", "objects"), ("7", "number"), ("null", "null")],
)
def test_another_shape_is_named(client: ForgeClient, forge_server: ForgeServer, body: str, said: str) -> None:
    forge_server.faults.order("GET", "/odd", Respond(200, body))
    with pytest.raises(RemoteError, match=said):
        client.send(ADA, "GET", "/odd").list()


# -- pages ------------------------------------------------------------------------------------------------------------


def paged(scripted: ScriptedForge, forge_server: ForgeServer, count: int, *, elsewhere: str = "") -> None:
    def say(request):
        first = int(request.parameter("page", "1")) - 1
        size = int(request.parameter("per_page"))
        entries = [{"n": number} for number in range(first * size, min(count, (first + 1) * size))]
        url = f"{elsewhere or forge_server.url}{request.path}?per_page={size}&page={first + 2}"
        link = f'<{forge_server.url}/x>; rel="first", <{url}>; rel="next"'
        more = (("Link", link),) if (first + 1) * size < count else ()
        return json_answer(200, entries, *more)

    scripted.answers["/list"] = say


def test_a_list_is_read_page_by_page(client: ForgeClient, scripted: ScriptedForge, forge_server: ForgeServer) -> None:
    paged(scripted, forge_server, 250)
    entries = client.pages(ADA, "/list", query={"state": "all"}, what="the list")
    assert next(entries) == {"n": 0}
    assert forge_server.log.count() == 1
    assert [entry["n"] for entry in entries] == list(range(1, 250))
    assert forge_server.log.count() == 3


def test_a_list_longer_than_1_000_says_so(
    client: ForgeClient, scripted: ScriptedForge, forge_server: ForgeServer
) -> None:
    paged(scripted, forge_server, 1000)
    assert len(list(client.pages(ADA, "/list", what="the list"))) == 1000
    paged(scripted, forge_server, 1001)
    with pytest.raises(RemoteError, match=r"The webhooks of acme/shop .* longer than 1,000"):
        list(client.pages(ADA, "/list", what="the webhooks of acme/shop"))


def test_a_next_page_elsewhere_is_not_asked_for(
    client: ForgeClient, scripted: ScriptedForge, forge_server: ForgeServer
) -> None:
    with ForgeServer(ScriptedForge()) as sink:
        paged(scripted, forge_server, 250, elsewhere=sink.url)
        with pytest.raises(RemoteError, match="leads to"):
            list(client.pages(ADA, "/list", what="the list"))
        assert sink.log.entries() == []


# -- limits -----------------------------------------------------------------------------------------------------------


def test_a_short_limit_is_slept_and_the_call_made_again(
    client: ForgeClient, scripted: ScriptedForge, forge_server: ForgeServer, pauses: KeptPauses, slept: list[float]
) -> None:
    scripted.answers["/"] = always(201, {})
    forge_server.faults.order("POST", "/", Respond(429, {"message": "slowly"}, {"Retry-After": "3"}))
    assert client.send(ADA, "POST", "/").status == 201
    assert (pauses.begun, slept) == ([("forge", "token:ada", 3.0)], [3.0])


def test_a_long_limit_is_not_slept(
    client: ForgeClient, forge_server: ForgeServer, pauses: KeptPauses, slept: list[float]
) -> None:
    forge_server.faults.order("POST", "/", Respond(429, {"message": "slowly"}, {"Retry-After": "77"}), times=2)
    with pytest.raises(RateLimitedError, match="slowly") as caught:
        client.send(ADA, "POST", "/")
    assert (caught.value.retry_after, slept) == (77.0, [])
    assert pauses.begun == [("forge", "token:ada", 77.0)]


def test_a_limit_that_names_no_time_is_as_long_as_its_pause(
    client: ForgeClient, forge_server: ForgeServer, pauses: KeptPauses
) -> None:
    forge_server.faults.order("GET", "/", Respond(429, "slowly"))
    with pytest.raises(RateLimitedError) as caught:
        client.send(ADA, "GET", "/")
    assert (caught.value.retry_after, pauses.begun) == (60.0, [("forge", "token:ada", None)])


def test_a_limit_that_never_ends_is_not_asked_for_ever(
    client: ForgeClient, forge_server: ForgeServer, slept: list[float]
) -> None:
    forge_server.faults.order("GET", "/", Respond(429, "slowly", {"Retry-After": "0"}), times=99)
    with pytest.raises(RateLimitedError):
        client.send(ADA, "GET", "/")
    assert (forge_server.log.count(), slept) == (3, [0.0, 0.0])


def test_a_pause_that_others_have_set_is_kept(
    client: ForgeClient, scripted: ScriptedForge, forge_server: ForgeServer, pauses: KeptPauses, slept: list[float]
) -> None:
    scripted.answers["/"] = always(200, {})
    pauses.waits = [4.0, 80.0]
    client.send(ADA, "GET", "/")
    assert slept == [4.0]
    with pytest.raises(RateLimitedError) as caught:
        client.send(ADA, "GET", "/")
    assert caught.value.retry_after == 80.0
    assert forge_server.log.count() == 1


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client has slept, without any of it having happened."""
    seen: list[float] = []
    monkeypatch.setattr(client_module, "sleep", seen.append)
    return seen
