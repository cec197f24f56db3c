"""``http.request@v1`` against a real server: what it sends, follows, refuses, waits for and keeps."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from portal_actions_plugin.actions.http import http_request
from portal_actions_plugin.errors import (
    ActionError,
    AuthError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    RateLimitedError,
    RemoteError,
    ValidationError,
)
from portal_actions_plugin.http_client.guard import HttpRules
from tests.support.action_helpers import LostError, MemoryRecorder, make_context
from tests.support.http_server import Handler, Names, Server, only, says, sends_to, serving

LOCAL = (ip_network("127.0.0.0/8"),)
MORNING = "Sun, 22 Nov 2026 10:00:00 GMT"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as running:
        yield running


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    leading = Names()
    leading.lead("api.test", ["127.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", leading.getaddrinfo)
    return leading


@pytest.fixture
def call(server: Server, names: Names) -> Callable[..., dict[str, Any]]:
    """Call a path of the server as ``api.test``, which is allowed, as are its subdomains."""

    def ask(path: str = "/", *, ctx: Any = None, rules: HttpRules | None = None, **given: Any) -> dict[str, Any]:
        url = given.pop("url", f"http://api.test:{server.port}{path}")
        return http_request.run(ctx or context(server, rules), {"method": "GET", "url": url, **given})

    return ask


def allowing(server: Server, **options: Any) -> HttpRules:
    return HttpRules(only(("api.test", server.port), ("*.api.test", server.port)), LOCAL, **options)


def context(server: Server, rules: HttpRules | None = None, **options: Any) -> Any:
    return make_context(http=rules or allowing(server), **options)


class TestAsking:
    def test_status_headers_and_text_come_back(self, server: Server, call: Any) -> None:
        server.routes["/hello"] = says(201, "hällo", Content_Type="text/plain; charset=utf-8", X_Count="3")
        kept = call("/hello?a=b")
        assert (kept["status"], kept["body"], kept["json"], kept["truncated"]) == (201, "hällo", None, False)
        assert kept["headers"]["x-count"] == "3"
        assert [(seen.method, seen.path) for seen in server.seen] == [("GET", "/hello?a=b")]
        assert server.seen[0].headers["host"] == f"api.test:{server.port}"

    @pytest.mark.parametrize("kind", ["application/json", "application/problem+json; charset=utf-8"])
    def test_json_is_read_and_kept_as_text_too(self, server: Server, call: Any, kind: str) -> None:
        server.routes["/"] = says(200, '{"a": [1, null]}', Content_Type=kind)
        kept = call()
        assert (kept["json"], kept["body"]) == ({"a": [1, None]}, '{"a": [1, null]}')

    @pytest.mark.parametrize("text", ["{", "NaN", "1e999", "[" * 50_000, "[" * 100 + "]" * 100, "9" * 5_000])
    def test_json_that_cannot_be_kept_stays_text_and_is_warned_of(self, server: Server, call: Any, text: str) -> None:
        server.routes["/"] = says(200, text, Content_Type="application/json")
        ctx = context(server)
        kept = call(ctx=ctx)
        assert (kept["json"], kept["body"]) == (None, text)
        assert len(ctx.warnings) == 1

    @pytest.mark.parametrize("content", [b"\x89PNG\xff", b"a\x00b"])
    def test_what_is_not_text_comes_as_base64(self, server: Server, call: Any, content: bytes) -> None:
        server.routes["/"] = says(200, content, Content_Type="image/png")
        kept = call()
        assert (kept["body"], base64.b64decode(kept["bodyBase64"])) == (None, content)

    @pytest.mark.parametrize(
        ("charset", "content"), [("iso-8859-1", b"\xe4"), ("no-such", "ä".encode()), ("zlib_codec", "ä".encode())]
    )
    def test_the_charset_counts_when_it_is_one(self, server: Server, call: Any, charset: str, content: bytes) -> None:
        server.routes["/"] = says(200, content, Content_Type=f"text/plain; charset={charset}")
        assert call()["body"] == "ä"

    def test_a_compressed_answer_is_unpacked(self, server: Server, call: Any) -> None:
        server.routes["/"] = says(200, gzip.compress(b"hello"), Content_Encoding="gzip")
        assert call()["body"] == "hello"

    def test_cookies_and_challenges_are_never_kept(self, server: Server, call: Any) -> None:
        server.routes["/"] = says(200, Set_Cookie="session=1", WWW_Authenticate="Bearer", ETag='"1"')
        assert set(call()["headers"]) == {"server", "date", "content-length", "etag"}

    def test_an_object_is_sent_as_json(self, server: Server, call: Any) -> None:
        server.routes["/"] = says()
        call(method="POST", body={"a": ["ä"]}, headers={"X-A": "b"})
        seen = server.seen[0]
        assert (seen.method, json.loads(seen.body)) == ("POST", {"a": ["ä"]})
        assert (seen.headers["content-type"], seen.headers["x-a"]) == ("application/json", "b")

    def test_a_text_is_sent_as_it_is_and_a_given_type_wins(self, server: Server, call: Any) -> None:
        server.routes["/"] = says()
        call(method="PUT", body="<ä/>", headers={"content-type": "application/xml"})
        call(method="PATCH", body="ä")
        assert [seen.body for seen in server.seen] == ["<ä/>".encode(), "ä".encode()]
        assert [seen.headers["content-type"] for seen in server.seen] == [
            "application/xml",
            "text/plain; charset=utf-8",
        ]

    @pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "DELETE", "POST"])
    def test_each_method_can_do_without_a_body(self, server: Server, call: Any, method: str) -> None:
        server.routes["/"] = says(200, "text")
        assert call(method=method)["body"] == ("" if method == "HEAD" else "text")
        assert server.seen[0].method == method

    def test_the_proxies_of_the_environment_are_not_asked(
        self, server: Server, call: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        server.routes["/"] = says(200, "direct")
        assert call()["body"] == "direct"

    def test_a_lost_attempt_sends_nothing(self, server: Server, call: Any) -> None:
        with pytest.raises(LostError):
            call(ctx=context(server, recorder=MemoryRecorder(lose_at_guard=1)))
        assert server.seen == []

    def test_an_attempt_that_is_lost_between_two_hops_sends_no_more(self, server: Server, call: Any) -> None:
        server.routes["/"] = sends_to("/next", 307)
        with pytest.raises(LostError):
            call(ctx=context(server, recorder=MemoryRecorder(lose_at_guard=2)), method="POST")
        assert [seen.path for seen in server.seen] == ["/"]

    def test_every_part_of_a_secret_header_is_masked_from_then_on(self, server: Server, call: Any) -> None:
        masked: list[str] = []
        server.routes["/"] = says()
        basic = base64.b64encode(b"ada:pass:word").decode()
        call(
            ctx=context(server, on_redact=masked.append),
            secretHeaders={"Authorization": f"Basic {basic}", "X-Api-Key": "k-1", "Cookie": "Bearer b-1"},
        )
        assert set(masked) == {f"Basic {basic}", basic, "pass:word", "k-1", "Bearer b-1", "b-1"}
        assert server.seen[0].headers["x-api-key"] == "k-1"

    def test_secret_headers_can_be_given_as_a_text_of_json(self, server: Server, call: Any) -> None:
        server.routes["/"] = says()
        call(secretHeaders='{"Authorization": "Bearer b-1"}')
        assert server.seen[0].headers["authorization"] == "Bearer b-1"


class TestInput:
    @pytest.mark.parametrize(
        ("field", "given"),
        [
            ("headers", {"X-A": "a\r\nX-B: b"}),
            ("headers", {"X-A": "a\nb"}),
            ("headers", {"X-A": "ä"}),
            ("headers", {"X A": "a"}),
            ("headers", {"X-A:": "a"}),
            ("headers", {"": "a"}),
            ("headers", {"X-A\r\nX-B": "a"}),
            ("headers", {"X-A": "a" * 8001}),
            ("headers", {"X-A": "a", "x-a": "b"}),
            ("headers", {f"X-{number}": "a" for number in range(51)}),
            *[
                ("headers", {name: "a"})
                for name in ("Host", "content-length", "Transfer-Encoding", "Connection", "Proxy-Authorization", "TE")
            ],
            *[
                ("headers", {name: "a"})
                for name in ("Authorization", "Cookie", "X-Api-Key", "x_api_key", "PRIVATE-TOKEN", "X-Auth-Token")
            ],
            ("secretHeaders", {"Host": "a"}),
            ("secretHeaders", {"X-A": "a\r\nb"}),
            ("secretHeaders", {"Proxy-Authorization": "a"}),
            ("secretHeaders", "no json"),
            ("secretHeaders", "[]"),
            ("method", "TRACE"),
            ("method", "get"),
            ("url", "http://2130706433/"),
            ("body", 5),
            ("body", "text in a GET"),
            ("timeoutSeconds", 0),
            ("timeoutSeconds", 111),
            ("acceptStatus", [200]),
            ("acceptStatus", ["404"]),
        ],
    )
    def test_what_is_wrong_is_refused_by_name(self, field: str, given: Any) -> None:
        with pytest.raises(ValidationError) as refused:
            http_request.load_input({"method": "GET", "url": "https://api.test", field: given})
        assert set(refused.value.fields) == {field}

    def test_a_header_that_sounds_secret_is_sent_to_secret_headers(self) -> None:
        with pytest.raises(ValidationError) as refused:
            http_request.load_input(
                {"method": "GET", "url": "https://api.test", "headers": {"Authorization": "Bearer b-1"}}
            )
        assert "secretHeaders" in refused.value.fields["headers"]["Authorization"][0]
        assert "b-1" not in str(refused.value.fields)

    def test_a_header_cannot_be_given_twice(self) -> None:
        both = {"headers": {"X-A": "a"}, "secretHeaders": {"x-a": "b"}}
        with pytest.raises(ValidationError, match="see headers"):
            http_request.load_input({"method": "GET", "url": "https://api.test", **both})

    @pytest.mark.parametrize("name", ["Idempotency-Key", "X-Author", "Accept", "If-Match", "X-Request-Id"])
    def test_an_ordinary_header_may_be_given(self, name: str) -> None:
        assert http_request.load_input({"method": "GET", "url": "https://api.test", "headers": {name: "a"}})

    @pytest.mark.parametrize(
        ("data", "may"),
        [
            *[({"method": method}, True) for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")],
            *[({"method": method}, False) for method in ("POST", "PATCH", "•••", "")],
        ],
    )
    def test_all_but_post_and_patch_may_be_repeated(self, data: dict[str, str], may: bool) -> None:
        assert http_request.may_be_repeated(data) is may


class TestWhereItMayGo:
    def test_a_host_that_is_not_allowed_is_not_even_looked_up(self, names: Names, call: Any) -> None:
        with pytest.raises(ValidationError, match=r"may not call other\.test"):
            call(url="https://other.test/")
        assert names.looked_up == []

    def test_without_allowed_hosts_it_is_off(self, call: Any) -> None:
        with pytest.raises(ConfigurationError, match="PORTAL_ACTIONS_HTTP_ALLOWED_HOSTS"):
            call(rules=HttpRules())

    @pytest.mark.parametrize(
        "answer", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:127.0.0.1"], ["169.254.169.254"], ["::1"]]
    )
    def test_a_name_that_leads_inside_is_refused(
        self, server: Server, names: Names, call: Any, answer: list[str]
    ) -> None:
        names.lead("api.test", answer)
        with pytest.raises(ValidationError, match=r"api\.test leads to .*, which is not a public address"):
            call(rules=HttpRules(only(("api.test", server.port))))
        assert server.seen == []

    def test_an_address_in_the_url_is_checked_as_well(self, server: Server, call: Any) -> None:
        with pytest.raises(ValidationError, match=r"127\.0\.0\.1 leads to 127\.0\.0\.1"):
            call(url=f"http://127.0.0.1:{server.port}/", rules=HttpRules(only(("127.0.0.1", server.port))))
        assert server.seen == []

    def test_a_name_is_looked_up_once_and_what_was_checked_is_connected_to(
        self, server: Server, names: Names, call: Any
    ) -> None:
        names.lead("api.test", ["127.0.0.1"], ["127.0.0.99"])
        server.routes["/"] = says(200, "the checked one")
        assert call()["body"] == "the checked one"
        assert names.looked_up == ["api.test"]

    def test_a_name_that_leads_elsewhere_at_the_second_hop_is_refused_there(
        self, server: Server, names: Names, call: Any
    ) -> None:
        names.lead("api.test", ["127.0.0.1"], ["169.254.169.254"])
        server.routes["/"] = sends_to("/latest/meta-data")
        with pytest.raises(
            ValidationError, match=r"redirects to api\.test:\d+\. api\.test leads to 169\.254\.169\.254"
        ):
            call()

    def test_the_next_checked_address_is_tried_when_one_does_not_answer(
        self, server: Server, names: Names, call: Any
    ) -> None:
        names.lead("api.test", ["127.0.0.99", "127.0.0.1"])
        server.routes["/"] = says(200, "here")
        assert call()["body"] == "here"

    @pytest.mark.parametrize(
        ("prepare", "why"),
        [
            (lambda names: names.lead("api.test", ["127.0.0.99"]), "Connection refused"),
            (lambda names: names.answers.clear(), r"the name api\.test cannot be looked up"),
        ],
    )
    def test_nobody_there_is_a_remote_error(
        self, server: Server, names: Names, call: Any, prepare: Any, why: str
    ) -> None:
        prepare(names)
        with pytest.raises(RemoteError, match=rf"GET api\.test:{server.port} failed: {why}"):
            call()


class TestRedirects:
    @pytest.mark.parametrize(
        ("location", "why"),
        [
            ("http://other.test/", "may not call other.test"),
            ("http://api.test:1/", "may not call api.test:1"),
            ("http://169.254.169.254/latest/", "may not call 169.254.169.254"),
            ("http://user:pass@api.test/", "user or password"),
            ("//2130706433/", "usual form"),
            ("file:///etc/passwd", "begins with https"),
            ("gopher://api.test/", "begins with https"),
            ("http://[", "where no request can go"),
        ],
    )
    def test_a_redirect_is_checked_as_the_url_was(self, server: Server, call: Any, location: str, why: str) -> None:
        server.routes["/"] = sends_to(location)
        with pytest.raises(ValidationError, match=why) as refused:
            call()
        assert refused.value.message.startswith(f"GET api.test:{server.port} redirects to")
        assert len(server.seen) == 1

    def test_a_redirect_to_an_allowed_name_that_leads_inside_is_refused(
        self, server: Server, names: Names, call: Any
    ) -> None:
        names.lead("in.api.test", ["10.0.0.1"])
        server.routes["/"] = sends_to(f"http://in.api.test:{server.port}/")
        with pytest.raises(ValidationError, match=r"in\.api\.test leads to 10\.0\.0\.1"):
            call()

    @pytest.mark.parametrize(
        ("status", "method", "then"),
        [
            (301, "POST", "GET"),
            (302, "POST", "GET"),
            (303, "POST", "GET"),
            (303, "PUT", "GET"),
            (303, "HEAD", "HEAD"),
            (301, "PUT", "PUT"),
            (302, "DELETE", "DELETE"),
            (307, "POST", "POST"),
            (308, "PATCH", "PATCH"),
        ],
    )
    def test_the_method_and_the_body_go_along_or_not(
        self, server: Server, call: Any, status: int, method: str, then: str
    ) -> None:
        server.routes.update({"/a/": sends_to("b?x=1", status), "/a/b": says()})
        body = None if method == "HEAD" else {"a": 1}
        call("/a/", method=method, body=body)
        first, second = server.seen
        assert (first.method, second.method, second.path) == (method, then, "/a/b?x=1")
        kept = then == method and body
        assert second.body == (first.body if kept else b"")
        assert ("content-type" in second.headers) == bool(kept)

    def test_a_secret_goes_to_the_same_origin_and_to_no_other(self, server: Server, names: Names, call: Any) -> None:
        names.lead("b.api.test", ["127.0.0.1"])
        server.routes.update(
            {
                "/": sends_to("/same"),
                "/same": sends_to(f"http://b.api.test:{server.port}/other"),
                "/other": sends_to(f"http://api.test:{server.port}/back"),
                "/back": says(),
            }
        )
        call(secretHeaders={"Authorization": "Bearer b-1", "X-Any": "s"}, headers={"X-Plain": "p"})
        told = [(seen.path, "authorization" in seen.headers, "x-any" in seen.headers) for seen in server.seen]
        assert told == [("/", True, True), ("/same", True, True), ("/other", False, False), ("/back", False, False)]
        assert {seen.headers["x-plain"] for seen in server.seen} == {"p"}

    @pytest.mark.parametrize("status", [307, 308])
    def test_a_body_goes_to_no_other_origin(self, server: Server, names: Names, call: Any, status: int) -> None:
        names.lead("b.api.test", ["127.0.0.1"])
        server.routes.update({"/": sends_to(f"http://b.api.test:{server.port}/other", status), "/other": says()})
        with pytest.raises(ValidationError, match="redirects its body to"):
            call(method="PUT", body="for api.test alone")
        assert [seen.path for seen in server.seen] == ["/"]

    def test_another_port_is_another_origin(self, server: Server, call: Any) -> None:
        with serving(Server()) as second:
            server.routes["/"] = sends_to(f"http://api.test:{second.port}/")
            second.routes["/"] = says()
            rules = HttpRules(only(("api.test", server.port), ("api.test", second.port)), LOCAL)
            call(rules=rules, secretHeaders={"Authorization": "Bearer b-1"})
            assert "authorization" not in second.seen[0].headers

    def test_five_redirects_are_followed_and_no_sixth(self, server: Server, call: Any) -> None:
        for hop in range(6):
            server.routes[f"/{hop}"] = sends_to(f"/{hop + 1}")
        server.routes["/6"] = says(200, "there")
        assert call("/1")["body"] == "there"
        with pytest.raises(ValidationError, match="no more than 5 redirects"):
            call("/0")

    @pytest.mark.parametrize("respond", [says(304), says(302), says(300, Location="/")])
    def test_any_other_3xx_is_an_answer(self, server: Server, call: Any, respond: Any) -> None:
        server.routes["/"] = respond
        assert call()["status"] in (300, 302, 304)


class TestLimits:
    @pytest.mark.parametrize(
        "first",
        [
            pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", id="body"),
            pytest.param(b"HTTP/1.1 200 OK\r\nX-Slow: ", id="header"),
            pytest.param(b"HTTP/1.1 ", id="status"),
            pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", id="chunk"),
        ],
    )
    def test_an_answer_that_drips_is_not_waited_for(self, server: Server, call: Any, first: bytes) -> None:
        server.routes["/"] = lambda handler: handler.drip(first=first, byte=b"1")
        with pytest.raises(RemoteError, match=r"gave no whole answer within 0\.5 seconds"):
            call(timeoutSeconds=0.5)

    def test_an_endless_row_of_interim_answers_is_not_waited_for(self, server: Server, call: Any) -> None:
        going_on = b"HTTP/1.1 100 Continue\r\n\r\n"
        server.routes["/"] = lambda handler: handler.drip(first=going_on, byte=going_on, pause=0.01)
        with pytest.raises(RemoteError, match="no whole answer"):
            call(timeoutSeconds=0.5)

    def test_the_time_is_for_all_hops_together(self, server: Server, call: Any) -> None:
        def slowly(handler: Handler) -> None:
            server.stopping.wait(0.3)
            handler.reply(302, Location="/")

        server.routes["/"] = slowly
        with pytest.raises(RemoteError, match="no whole answer"):  # else it would follow until it is too often
            call(timeoutSeconds=0.7)
        assert len(server.seen) <= 3

    def test_a_look_up_that_takes_too_long_is_not_waited_for(self, call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        over = threading.Event()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: over.wait() and [])
        with pytest.raises(RemoteError, match=r"no whole answer within 0\.2 seconds"):
            call(timeoutSeconds=0.2)
        over.set()

    @pytest.mark.usefixtures("names")
    def test_a_server_that_takes_nothing_is_not_waited_for(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            port = deaf.getsockname()[1]
            ctx = make_context(http=HttpRules(only(("api.test", port)), LOCAL))
            with pytest.raises(RemoteError, match="no whole answer"):
                data = {"url": f"http://api.test:{port}/", "method": "PUT", "body": "x" * 20_000_000}
                http_request.run(ctx, {**data, "timeoutSeconds": 0.5})

    def test_a_long_answer_is_cut_and_says_so(self, server: Server, call: Any) -> None:
        server.routes["/"] = says(200, "ä" * 500_000, Content_Type="application/json")
        ctx = context(server, allowing(server, max_bytes=1_001))
        kept = call(ctx=ctx)
        assert (kept["body"], kept["truncated"], kept["json"]) == ("ä" * 500, True, None)
        assert ["cut" in warning for warning in ctx.warnings] == [True]

    def test_an_answer_of_just_the_limit_is_whole(self, server: Server, call: Any) -> None:
        server.routes["/"] = says(200, "x" * 1000)
        kept = call(rules=allowing(server, max_bytes=1000))
        assert (len(kept["body"]), kept["truncated"]) == (1000, False)

    def test_an_endless_answer_is_cut(self, server: Server, call: Any) -> None:
        start = b"HTTP/1.1 200 OK\r\n\r\n"
        server.routes["/"] = lambda handler: handler.drip(first=start, byte=b"x" * 10_000, pause=0)
        kept = call()
        assert (len(kept["body"]), kept["truncated"]) == (100_000, True)

    @pytest.mark.parametrize("codings", [1, 3])
    def test_a_small_answer_that_unpacks_to_a_huge_one_is_cut_before_it_is_huge(
        self, server: Server, call: Any, codings: int
    ) -> None:
        bomb = b"\x00" * 50_000_000
        for _ in range(codings):
            bomb = gzip.compress(bomb)
        server.routes["/"] = says(200, bomb, Content_Encoding=", ".join(["gzip"] * codings))
        tracemalloc.start()
        kept = call()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert kept["truncated"]
        assert peak < 5_000_000

    @pytest.mark.parametrize(
        "head",
        [
            b"".join(b"X-%d: y\r\n" % number for number in range(200)),
            b"X-Long: " + b"y" * 100_000 + b"\r\n",
        ],
    )
    def test_an_answer_with_huge_headers_is_broken(self, server: Server, call: Any, head: bytes) -> None:
        server.routes["/"] = lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        with pytest.raises(RemoteError, match="the answer was broken"):
            call()

    def test_no_more_headers_are_kept_than_there_is_room_for(self, server: Server, call: Any) -> None:
        server.routes["/"] = says(200, **{f"X_{number}": "y" * 500 for number in range(60)}, X_Long="y" * 2_000)
        kept = call()["headers"]
        assert len(json.dumps(kept)) < 9_000
        assert "x-long" not in kept
        assert kept["x-0"] == "y" * 500

    @pytest.mark.parametrize(
        ("content", "kind"),
        [
            ("\x01" * 100_000, "text/plain"),
            ("ä" * 50_000, "text/plain"),
            (b"\xff" * 100_000, "image/png"),
            (json.dumps(["ä"] * 9_000, ensure_ascii=False), "application/json"),
        ],
    )
    @pytest.mark.parametrize("room", [1_000, 30_000, 256_000])
    def test_the_outputs_fit_whatever_the_answer_is(
        self, server: Server, call: Any, content: Any, kind: str, room: int
    ) -> None:
        server.routes["/"] = says(200, content, Content_Type=kind)
        assert len(json.dumps(call(rules=allowing(server, max_output_bytes=room)))) <= room

    @pytest.mark.parametrize("end", range(995, 1001))
    def test_no_half_of_a_secret_is_kept_at_the_cut(self, server: Server, call: Any, end: int) -> None:
        server.routes["/"] = says(200, "." * end + "s3cr3t-value" + "." * 100)
        kept = call(rules=allowing(server, max_bytes=1000), secretHeaders={"X-Key": "s3cr3t-value"})
        assert kept["body"] == "." * end

    def test_a_secret_in_what_is_not_text_is_masked_too(self, server: Server, call: Any) -> None:
        server.routes["/"] = says(200, b"\xff s3cr3t-value")
        kept = call(secretHeaders={"X-Key": "s3cr3t-value"})
        assert base64.b64decode(kept["bodyBase64"]) == b"\xff ***"


class TestStatuses:
    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (400, ValidationError),
            (401, AuthError),
            (403, AuthError),
            (404, NotFoundError),
            (405, ValidationError),
            (408, RemoteError),
            (409, ConflictError),
            (410, NotFoundError),
            (412, ConflictError),
            (418, ValidationError),
            (422, ValidationError),
            (425, RemoteError),
            (429, RateLimitedError),
            (499, ValidationError),
            (500, RemoteError),
            (503, RemoteError),
            (599, RemoteError),
        ],
    )
    def test_each_status_has_its_error(self, server: Server, call: Any, status: int, error: type[ActionError]) -> None:
        server.routes["/"] = says(status, {"error": "no such\n\nthing"}, X_Inside="a header")
        with pytest.raises(error) as raised:
            call(method="DELETE", secretHeaders={"Authorization": "Bearer b-1"})
        assert type(raised.value) is error
        message = raised.value.message
        assert message.startswith(f"DELETE api.test:{server.port} answered {status}")
        assert message.endswith(r': {"error": "no such\n\nthing"}')
        assert "b-1" not in message + raised.value.hint
        assert "a header" not in message

    def test_a_status_that_is_accepted_is_a_success(self, server: Server, call: Any) -> None:
        server.routes["/"] = says(404, "none")
        assert call(acceptStatus=[404])["status"] == 404
        with pytest.raises(NotFoundError):
            call(acceptStatus=[409])

    def test_only_a_short_start_of_the_answer_is_told(self, server: Server, call: Any) -> None:
        server.routes["/"] = says(400, "a long story " * 1000)
        with pytest.raises(ValidationError) as raised:
            call()
        assert len(raised.value.message) < 300

    @pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\x1b[31mred"])
    def test_what_is_not_plain_text_is_not_told(self, server: Server, call: Any, content: bytes) -> None:
        server.routes["/"] = says(400, content)
        with pytest.raises(ValidationError, match=r"answered 400 Bad Request\.$"):
            call()

    def test_an_error_whose_text_breaks_off_is_still_that_error(self, server: Server, call: Any) -> None:
        server.routes["/"] = lambda handler: handler.wfile.write(
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 99\r\n\r\nhalf of"
        )
        with pytest.raises(NotFoundError):
            call()

    @pytest.mark.parametrize(
        ("headers", "wait"),
        [
            ({"Retry_After": "77"}, 77),
            ({"Retry_After": "Sun, 22 Nov 2026 10:01:30 GMT", "Date": "Sun, 22 Nov 2026 10:00:00 GMT"}, 90),
            ({"Retry_After": "Sun, 22 Nov 1999 10:00:00 GMT"}, 0),
            ({"Retry_After": "soon"}, None),
            ({"Retry_After": "-5"}, None),
            ({}, None),
        ],
    )
    @pytest.mark.parametrize("status", [429, 503])
    def test_the_wait_that_the_other_side_names_is_told(
        self, server: Server, call: Any, status: int, headers: dict[str, str], wait: float | None
    ) -> None:
        def limited(handler: Handler) -> None:
            handler.send_response_only(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()

        server.routes["/"] = limited
        with pytest.raises((RateLimitedError, RemoteError)) as raised:
            call()
        assert raised.value.retry_after == wait

    @pytest.mark.fault("E25")
    @pytest.mark.parametrize(
        ("status", "headers", "wait"),
        [
            (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1795341690", "Date": MORNING}, 90),
            (403, {"Retry-After": "30"}, 30),
            (403, {"RateLimit-Remaining": "0"}, None),
            (429, {"X-RateLimit-Reset": "1795341690", "Date": MORNING}, 90),
            (429, {"RateLimit-Reset": "25"}, 25),
            (429, {"X-RateLimit-Reset-After": "1.5"}, 1.5),
            (429, {"Retry-After": "10", "X-RateLimit-Reset": "1795341690", "Date": MORNING}, 90),
            (429, {"Retry-After": "100", "RateLimit-Reset": "25"}, 100),
            (429, {"X-RateLimit-Reset": "1", "Date": MORNING}, 1),
            (429, {"X-RateLimit-Reset": "1795341000", "Date": MORNING}, 0),
            (429, {"X-RateLimit-Reset": "1795341690000", "Date": MORNING}, 90),
            (429, {"Retry-After": "12.5"}, 12.5),
            (429, {"RateLimit": "limit=10, remaining=0, reset=44"}, 44),
            (403, {"RateLimit": "limit=10, remaining=0, reset=44"}, 44),
            (403, {"RateLimit": '"minute";r=0;t=44, "hour";r=7;t=3000'}, 44),
            (429, {"RateLimit": '"minute";r=0;t=44, "hour";r=0;t=3000', "Retry-After": "5"}, 3000),
            (429, {"RateLimit": '"minute";r=3;t=44'}, None),
            (429, {"X-RateLimit-Reset": "inf"}, None),
            (429, {"X-RateLimit-Reset": "tomorrow"}, None),
        ],
    )
    def test_a_limit_is_one_in_every_dress_and_waits_for_the_longer_of_two_times(
        self, server: Server, call: Any, status: int, headers: dict[str, str], wait: float | None
    ) -> None:
        def limited(handler: Handler) -> None:
            handler.send_response_only(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                handler.send_header(name, value)
            handler.end_headers()

        server.routes["/"] = limited
        with pytest.raises(RateLimitedError) as raised:
            call()
        assert raised.value.retry_after == wait

    @pytest.mark.parametrize(
        "headers",
        [{}, {"X-RateLimit-Remaining": "12"}, {"X-RateLimit-Reset": "1795341690"}, {"RateLimit": '"a";r=1;t=5'}],
    )
    def test_a_403_that_names_no_limit_is_a_refusal(self, server: Server, call: Any, headers: dict[str, str]) -> None:
        server.routes["/"] = says(403, "no", **{name.replace("-", "_"): value for name, value in headers.items()})
        with pytest.raises(AuthError):
            call()

    @pytest.mark.parametrize(
        ("answer", "why"),
        [
            (b"", "the connection was closed without an answer"),
            (b"SSH-2.0-OpenSSH_9\r\n", "the answer was broken"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf", "the answer was broken"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "the answer was broken"),
            (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nnot gzip", "the answer was broken"),
        ],
    )
    def test_a_broken_answer_is_a_remote_error_without_a_word_of_it(
        self, server: Server, call: Any, answer: bytes, why: str
    ) -> None:
        server.routes["/"] = lambda handler: handler.wfile.write(answer)
        with pytest.raises(RemoteError, match=why) as raised:
            call()
        assert "SSH-2.0" not in raised.value.message
