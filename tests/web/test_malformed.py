"""Malformed bodies, ids, cursors, headers, queries, template files and expressions: refused, and nothing else."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from portal_actions_plugin.extension import extension
from portal_actions_plugin.settings.values import RateLimit
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading, transaction
from tests.support.people import Person
from tests.support.run_helpers import work_off

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
LOG = "/api/v1/actions/debug.log@v1/runs"
TWO_STEPS = "/api/v1/templates/two-steps/runs"
UNKNOWN_ID = "0199aaaa-0000-7000-8000-000000000000"

STARTS = {LOG: {"input": {"message": "hello"}}, TWO_STEPS: {"inputs": {"name": "orders"}}}
AGAIN = ("/api/v1/action-runs/{a}/retry", "/api/v1/template-runs/{t}/retry", "/api/v1/template-runs/{t}/resume")
CANCELS = ("/api/v1/action-runs/{a}/cancel", "/api/v1/template-runs/{t}/cancel")
WRITES = (*STARTS, *AGAIN, *CANCELS)
LISTS = ("/api/v1/action-runs", "/api/v1/template-runs", "/api/v1/audit")
NAMED = ("/api/v1/actions", "/api/v1/templates")

NO_JSON_OBJECT: tuple[tuple[bytes, str | None], ...] = (
    *((data, JSON) for data in (
        b"{", b"}", b"[", b'"', b"'{}'", b"{'input': {}}", b'{"input": {}', b'{"input": {},}', b"{input: {}}", b"\x00",
        b'{"input": NaN0}', b"\xff\xfe", b"\xef\xbb\xbf{", b'{"a": "\xff"}', b'{"a": "\\ud8"}', b'{"a": "\n"}',
        b"nul", b"undefined", b"<xml/>", b"a=b", b"{} {}", b"// {}", b"9" * 5000, b"[" * 100_000, b'{"a":' * 100_000,
        b"null", b"true", b"false", b"0", b"-1.5e300", b'""', b'"{}"', b"[]", b"[{}]", b'[["input", {}]]', b"NaN",
        b"Infinity", '{"input"'.encode("utf-16"), '"ü"'.encode("utf-32"),
    )),
    *((b'{"input": {}}', kind) for kind in (
        None, "", "text/plain", "text/html", "application/xml", "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x", "application/octet-stream", "application", "/", ";", "json", "*/*",
        "application/jsonx", "\x7f", "application/json5",
    )),
    (b"x" * 1_100_000, JSON), (b"x" * 1_100_000, "text/plain"), (b'{"a": "' + b"x" * 1_100_000 + b'"}', JSON),
)  # fmt: skip

ANYTHING: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    2**70,
    float("nan"),
    "",
    "x",
    "\x00",
    "\ud800",
    [],
    [{}],
    {"a": {}},
)


def but(*kinds: type) -> list[Any]:
    return [value for value in ANYTHING if type(value) not in kinds]


WRONG_FIELDS: tuple[tuple[str, Any], ...] = (
    *((LOG, {"input": {"message": "hello"}, "entity": value}) for value in (*but(str, type(None)), "", "\x00", "x" * 256, None)),
    *((LOG, {"input": value}) for value in but(dict)),
    *((LOG, {"input": {"message": value}}) for value in (*but(str), "", "\x00", "\ud800", "x" * 4001)),
    *((LOG, {"input": {"message": "hello", name: 1}}) for name in ("", "\x00", "x" * 300, "__class__", "message ")),
    *((LOG, {"input": {"message": "hello"}, name: 1}) for name in ("", "inputs", "secrets", "\x00", "origin")),
    (LOG, {}), (LOG, {"input": {}}), (LOG, {"input": {f"x{number}": 1 for number in range(201)}}),
    (LOG, {"input": {"message": json.loads("[" * 500 + "]" * 500)}}),
    *((TWO_STEPS, {"inputs": value}) for value in but(dict)),
    *((TWO_STEPS, {"inputs": {"name": value}}) for value in ANYTHING),
    *((TWO_STEPS, {"inputs": {"name": "orders", "loud": value}}) for value in but(bool)),
    *((TWO_STEPS, {"inputs": {"name": "orders", name: 1}}) for name in ("", "\x00", "x" * 300, "$ref", "name.x")),
    *((TWO_STEPS, {"inputs": {"name": name}}) for name in ("A" * 9, "ab", "x" * 32, "${{ 1 }}", "a b", "../../etc")),
    (TWO_STEPS, {}), (TWO_STEPS, {"input": {"name": "orders"}}),
    *((path, {"secrets": value}) for path in AGAIN for value in but(dict)),
    *((path, {"secrets": {"token": value}}) for path in AGAIN for value in (*but(str), "x", "x" * 16_385)),
    *((path, {"secrets": {f"s{number}": "x" for number in range(51)}}) for path in AGAIN),
    *((path, {name: {}}) for path in AGAIN for name in ("secret", "inputs", "\x00")),
)  # fmt: skip

IDS = (
    "0", "no-id", "-", "null", "None", "%00", "%0A", "%20", "%ff%fe", "%ed%a0%80", "a" * 300, "a" * 5000, "0" * 33, "0" * 31,
    "..", "%2e%2e", "..%5c..%5cetc", "'", "' OR 1=1 --", "%22", "<b>", "{}", "{{7*7}}", "${{ 1 }}", "%25s", "$(id)",
    "0199aaaa-0000-7000-8000-00000000000g", "{0199aaaa-0000-7000-8000-000000000000}", "🦄", UNKNOWN_ID, UNKNOWN_ID + "%00",
    UNKNOWN_ID + "0", "urn:uuid:" + UNKNOWN_ID, "ffffffff-ffff-ffff-ffff-ffffffffffff",
)  # fmt: skip

CURSORS = (
    "nonsense", "%00", "=", "====", "bg", "b" * 23, "bg" + "A" * 20, "bg" + "A" * 22, "aa" + "A" * 21, "cQ" + "A" * 21,
    "bg" + "+" * 21, "bg" + "/" * 21, "bg" + "A" * 20 + "=", "bg" + "A" * 20 + "%0A", "x" * 5000, "🦄", "%ff", "null", "-1",
    "0199aaaa-0000-7000-8000-000000000000", "e30=", "' OR 1=1",
)  # fmt: skip

WRONG_QUERIES = (
    *(f"limit={value}" for value in ("0", "-1", "201", "1e3", "x", "", "%00", "9" * 400, "1.5", "NaN", "null", "[]", "true")),
    *(f"status={value}" for value in ("done", "", "%00", "QUEUED", "queued,running", "null", "0", "x" * 3000)),
    *(f"{name}={value}" for name in ("action", "template", "requested_by", "entity") for value in ("", "%00", "x" * 256)),
    *(f"{name}={value}" for name in ("since", "until") for value in (
        "", "yesterday", "0", "-1", "2025-13-01T00:00:00Z", "2025-02-30T00:00:00Z", "2025-01-01", "2025-01-01T00:00:00",
        "2025-01-01T25:00:00Z", "99999-01-01T00:00:00Z", "%00", "2025-01-01T00:00:00+99:00", "now", "9" * 400,
    )),
    "q=", "q=%00", "q=" + "x" * 101, "stauts=failed", "offset=1", "%00=1", "=", "=1", "limit[]=1", "a[b]=1",
)  # fmt: skip

KEYS = (
    "", " ", "   ", "x" * 256, "x" * 5000, "ü", "\x7f", "a\tb", "\xa0", "\xad", "key\x01", "\x80", "日本".encode().decode("latin-1"),
)  # fmt: skip
"""Idempotency keys that are refused; an empty one of a page's form counts as none."""

ODD_HEADERS: tuple[tuple[str, str], ...] = tuple(
    (name, value)
    for name, values in {
        "If-None-Match": ('"', "*" * 3000, "W/", '"x', ",,,", "\xff", '"a", W/"b', "x" * 3000),
        "If-Modified-Since": ("yesterday", "0", "\xff", "Fri, 99 Foo 2025 99:99:99 GMT"),
        "If-Match": ('"x"', "\xff"),
        "Range": ("bytes=0-0", "bytes=9-1", "bytes=" + "0-1," * 500, "items=1", "\xff"),
        "Accept": ("", "\xff", "text/html;q=x", "*" * 3000, "application/xml"),
        "Accept-Language": ("\xff", "x" * 3000),
        "Content-Type": ("\xff", "x" * 3000, JSON, "application/json; charset=nonsense", "multipart/form-data"),
        "X-CSRFToken": ("", "\xff", "x" * 3000, "a.b.c"),
        "Cookie": ("\xff", "person=\xff", "person=" + "x" * 3000, "session=e30.x.y", ";;;=;"),
        "X-Forwarded-For": ("\xff", "x" * 3000),
        "Sec-Fetch-Mode": ("\xff", "navigate"),
        "Content-Length": ("0",),
    }.items()
    for value in values
)
AUTHORIZATIONS = (
    "", "Bearer", "Bearer ", "bearer ada", "Bearer  ada", "Bearer ada ada", "Basic YWRhOg==", "Basic \xff", "Bearer \xff",
    "Bearer " + "x" * 3000, "Digest x", "ada", "Bearer 🦄".encode().decode("latin-1"), "Bearer null", "\x7f", "Basic =",
)  # fmt: skip

PAGE_QUERIES = (
    *(f"cursor={cursor}" for cursor in CURSORS),
    *(f"status={value}" for value in ("done", "%00", "x" * 3000, "'")),
    *(f"{name}={value}" for name in ("since", "until") for value in (
        "yesterday", "%00", "9999999h", "2025-13-01", "-1d", "9" * 400, "٣h", "0001-01-01", "9999-12-31 23:59", "🦄",
    )),
    *(f"{name}={value}" for name in ("action", "template", "requested_by", "entity") for value in ("%00", "x" * 3000, "%ff")),
    "times=%00", "times=" + "x" * 3000, "%00=%00", "a[b]=1", "=", "cursor=&status=",
)  # fmt: skip

HEAD = "apiVersion: portal-actions/v1\nkind: Template\nmetadata: {name: bad}\nspec:\n"
STEP = "  steps: [{action: debug.log@v1, input: {message: hi}}]\n"
ALIASES = "".join(f"a{n}: &a{n} [{', '.join(['*a' + str(n - 1)] * 9)}]\n" for n in range(1, 12))
TEMPLATES: tuple[str | bytes, ...] = (
    "", "\x00", b"\xff\xfe\x00", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "[", "{", "kind: Template\n  bad: [", "\t- x", "%YAML 9",
    "kind: Template", "kind: [Template]", "--- \n" * 500, "!!python/object/apply:os.system [id]", "kind: !!binary x",
    HEAD, HEAD + "  steps: []", HEAD + "  steps: 1", HEAD + "  steps: {a: 1}", HEAD + "  steps: [1, null, [], x]",
    HEAD + "  steps: [{action: 1}]", HEAD + "  steps: [{action: debug.log@v1, input: 3}]", HEAD + "  steps: &a [*a]",
    HEAD + "  steps: [{action: debug.log@v1, if: {a: 1}}]", HEAD + "  steps: [{id: '../..', action: debug.log@v1}]",
    HEAD + "  steps: [{action: scm.pushSkeleton@v1, input: {skeleton: ../../../../etc}}]",
    HEAD + "  steps: [{action: scm.pushSkeleton@v1, input: {skeleton: /etc}}]",
    HEAD + STEP * 2, HEAD + "  permissions: 3\n" + STEP, HEAD + "  output: []\n" + STEP, HEAD + "  owner: [1]\n" + STEP,
    *(HEAD + f"  parameters: {value}\n" + STEP for value in (
        "3", "x", "[3]", "[[]]", "{properties: 3}", "{properties: {a: 3}}", "{required: x}", "{type: 9}", "{type: array}",
        "{properties: {a: {type: nonsense}}}", "{properties: {a: {pattern: '('}}}", "{properties: {a: {$ref: '#/x'}}}",
        "{properties: {a: {$ref: 'http://127.0.0.1:9/x'}}}", "{allOf: [{$ref: '#'}]}", "{properties: {a: {default: .nan}}}",
        "{properties: {a: {enum: 3}}}", "{if: 3}", "{dependencies: {a: 3}}", "{properties: {? [1]: {}}}",
    )),
    *(HEAD.replace("{name: bad}", value) + STEP for value in (
        "3", "[]", "{name: 3}", "{name: []}", "{name: ''}", "{name: '../x'}", '{name: "a\\0b"}', "{name: bad, tags: 3}",
        "{name: bad, title: {}}", "{name: " + "x" * 300 + "}", "{name: bad, description: [x]}",
    )),
    "a0: &a0 x\n" + ALIASES + HEAD + STEP,
    "x: " + "[" * 5000 + "]" * 5000, "{" * 5000, HEAD + STEP + "  x: " + "x" * 1_100_000, "- " * 3000 + "x",
    HEAD + STEP + "".join(f"  k{n}: 1\n" for n in range(25_001)),
)  # fmt: skip

EXPRESSIONS = (
    "${{", "${{ }}", "${{ ( }}", "${{ 1 / 0 }}", "${{ 1 % 0 }}", "${{ 9 ** 9 ** 9 }}", "${{ 'x' * 10 ** 9 }}", "${{ x }}",
    "${{ parameters }}", "${{ parameters.none }}", "${{ parameters.name.__class__.__mro__ }}", "${{ ''.__class__ }}",
    "${{ steps.later.output.x }}", "${{ steps['first'].output.none }}", "${{ range(10 ** 9) | list }}", "${{ [1] | first | upper }}",
    "${{ '%s' | format(1, 2) }}", "${{ '{0.__class__}'.format(1) }}", "${{ 'x' | nonsense }}", "${{ none.x.y }}", "${{ 1 is odd is even }}",
    "${{ lipsum.__globals__ }}", "${{ self }}", "${{ cycler }}", "${{ config }}", "${{ request }}", "${{ 'a' | int(base=99) }}",
    "${{ '1e999' | float | int }}", "${{ " + "(" * 500 + ")" * 500 + " }}", "${{ " + "+".join("1" * 3000) + " }}",
    "${{ {1: 2}[3] }}", "${{ [][5] }}", "${{ 'x' | tojson | fromjson }}", "${{ '[' | parseJson }}",
    "${{ '\\ud800' }}", "${{ '\\x00' }}", "${{ user.secret }}", "${{ 'x'.join(1) }}", "${{ dict(a=1).popitem() }}",
)  # fmt: skip

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what never comes as far as the database."""


@pytest.fixture
def unlimited(app: Flask) -> None:
    """For a test of what is accepted, and fails then: as many starts as it likes."""
    config = replace(extension().config, rate_limit=RateLimit(1000, 60))
    app.extensions["portal_actions"] = replace(extension(), config=config)


@pytest.fixture
def runs(ada: Person) -> dict[str, str]:
    """A one-off and a template run that have failed, so that everything could be done to them."""
    a = ada.post(LOG, STARTS[LOG]).json["id"]
    t = ada.post(TWO_STEPS, STARTS[TWO_STEPS]).json["id"]
    work_off()
    with transaction("test") as tx:
        tx.execute(update(tables.template_runs).values(status="failed"))
        tx.execute(update(tables.action_runs).where(tables.action_runs.c.step_id == "part").values(status="failed"))
    return {"a": a, "t": t}


@pytest.fixture(autouse=True)
def refused(
    request: pytest.FixtureRequest, app: Flask, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> Iterator[Callable[[Any, Any], None]]:
    """Look at an answer; at the end of the test nothing was accepted and nothing is in the log."""
    if "runs" in request.fixturenames:
        request.getfixturevalue("runs")
    before = accepted()
    caplog.set_level(logging.WARNING)
    inside = (str(tmp_path), sys.prefix, str(Path(__file__).parent.parent.parent), "Traceback", 'File "')

    def look(answer: Any, what: Any) -> None:
        assert answer.status_code < 500, (what, answer.text[:500])
        assert not [one for one in inside if one in answer.text], (what, answer.text[:500])

    yield look
    assert accepted() == before or "unlimited" in request.fixturenames
    assert [
        record.getMessage() for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR
    ] == []


def accepted() -> tuple[int, ...]:
    statements = (
        select(func.count().label("n")).select_from(tables.action_runs),
        select(func.count().label("n")).select_from(tables.template_runs),
        select(func.count().label("n")).where(tables.audit.c.outcome == "accepted"),
    )
    with reading() as db:
        return tuple(row["n"] for row in map(db.row, statements) if row)


@ON_SQLITE
def test_there_are_more_than_five_hundred_of_them() -> None:
    writes, lists = len(WRITES), len(LISTS)
    bodies = len(NO_JSON_OBJECT) * writes + len(WRONG_FIELDS)
    others = (
        len(CURSORS) * lists + len(WRONG_QUERIES) * 2 + len(KEYS) * 5 + len(ODD_HEADERS) * 3 + len(AUTHORIZATIONS) * 2
    )
    assert (bodies, len(IDS) * 16, others, len(PAGE_QUERIES), len(TEMPLATES), len(EXPRESSIONS)) > (
        500,
        500,
        400,
        60,
        60,
        40,
    )


@ON_SQLITE
@pytest.mark.parametrize("path", WRITES)
def test_a_body_that_is_no_json_object_is_refused(ada: Person, runs: dict[str, str], path: str, refused: Any) -> None:
    for data, kind in NO_JSON_OBJECT:
        answer = ada.post(path.format(**runs), data=data, content_type=kind)
        refused(answer, (data[:50], kind))
        assert answer.status_code in (400, 413, 422), (data[:50], kind, answer.text)
        assert answer.json["error_code"] in ("BAD_REQUEST", "TOO_LARGE", "VALIDATION_ERROR")


@ON_SQLITE
@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize(("size", "status"), [(1_100_000, 413), (100, 400)])
def test_a_body_in_chunks_has_the_same_bounds(
    ada: Person, runs: dict[str, str], path: str, size: int, status: int, refused: Any
) -> None:
    chunks = {"wsgi.input": io.BytesIO(b"x" * size), "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    answer = ada.post(path.format(**runs), environ_overrides=chunks, content_type=JSON)
    refused(answer, size)
    assert answer.status_code == status, answer.text


def test_a_field_that_is_wrong_is_refused(ada: Person, runs: dict[str, str], refused: Any) -> None:
    for path, body in WRONG_FIELDS:
        answer = ada.post(path.format(**runs), data=json.dumps(body), content_type=JSON)
        refused(answer, (path, body))
        assert answer.status_code == 422, (path, str(body)[:200], answer.text)
        assert answer.json["errors"], (path, body)


def routes(app: Flask) -> list[tuple[str, str]]:
    """Every route of ours with a name or an id in it."""
    return [
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        if "<" in rule.rule and rule.endpoint.startswith("portal_actions") and not rule.endpoint.endswith(".static")
    ]


def test_an_id_of_nothing_is_refused_everywhere(app: Flask, ada: Person, refused: Any) -> None:
    found = routes(app)
    assert len(found) >= 16
    for method, rule in found:
        before, _, rest = rule.partition("<")
        for one in IDS:
            path = before + one + rest.partition(">")[2]
            answer = (
                ada.get(path) if method == "GET" else ada.post(path, STARTS.get(LOG) if "/actions/" in rule else {})
            )
            refused(answer, (method, path))
            # A page that leads back to a run's page asks nobody whether there is one.
            assert answer.status_code in (302, 308, 401, 403, 404, 422), (method, path, answer.status_code)


@pytest.mark.parametrize("path", LISTS)
def test_a_cursor_that_is_not_ours_is_refused(margaret: Person, path: str, refused: Any) -> None:
    for cursor in CURSORS:
        answer = margaret.get(f"{path}?cursor={cursor}")
        refused(answer, cursor)
        assert (answer.status_code, list(answer.json["errors"])) == (422, ["cursor"]), (cursor, answer.text)


@pytest.mark.parametrize("path", LISTS)
def test_the_cursor_of_another_list_is_refused_in_a_sentence(
    ada: Person, margaret: Person, runs: dict[str, str], path: str, refused: Any
) -> None:
    [run] = ada.get("/api/v1/template-runs?limit=1").json["data"]
    other = ada.get("/api/v1/action-runs?limit=1&action=debug.log@v1").json["pagination"]["next_cursor"]
    assert run["id"]
    assert other
    refused(answer := margaret.get(f"{path}?cursor={other}"), other)
    assert (answer.status_code, answer.json["message"]) == (
        422,
        "This cursor does not belong to this list with these filters.",
    )


@pytest.mark.parametrize("path", NAMED)
def test_a_name_that_is_not_there_any_more_is_only_a_place(ada: Person, path: str, refused: Any) -> None:
    for cursor in CURSORS:
        answer = ada.get(f"{path}?cursor={cursor}")
        refused(answer, cursor)
        assert answer.status_code in (200, 422), (cursor, answer.text)


@pytest.mark.parametrize("path", ["/api/v1/action-runs", "/api/v1/template-runs"])
def test_a_query_that_is_wrong_is_refused(ada: Person, path: str, refused: Any) -> None:
    for query in WRONG_QUERIES:
        answer = ada.get(f"{path}?{query}")
        refused(answer, query)
        assert answer.status_code == 422, (query, answer.text)
        assert answer.json["errors"], query


@ON_SQLITE
@pytest.mark.parametrize("path", [*STARTS, *AGAIN])
def test_an_idempotency_key_that_is_not_usable_is_refused(
    ada: Person, runs: dict[str, str], path: str, refused: Any
) -> None:
    for key in KEYS:
        answer = ada.post(path.format(**runs), STARTS.get(path, {}), headers={"Idempotency-Key": key})
        refused(answer, key)
        assert (answer.status_code, list(answer.json["errors"])) == (422, ["Idempotency-Key"]), (key, answer.text)


@ON_SQLITE
@pytest.mark.parametrize("path", ["/api/v1/action-runs", "/actions", "/api/v1/openapi.json"])
def test_headers_that_nobody_can_read_are_not_heard(ada: Person, path: str, refused: Any) -> None:
    for name, value in ODD_HEADERS:
        answer = ada.get(path, headers={name: value})
        refused(answer, (name, value))
        assert answer.status_code in ((412,) if name == "If-Match" else (200, 304)), (name, value, answer.text)


@ON_SQLITE
@pytest.mark.parametrize("path", [LOG, "/api/v1/action-runs"])
def test_credentials_of_nobody_are_refused(app: Flask, path: str, refused: Any) -> None:
    for value in AUTHORIZATIONS:
        client = app.test_client()
        send = client.post if path == LOG else client.get
        answer = send(path, headers={"Authorization": value}, **({"json": {"input": 3}} if path == LOG else {}))
        refused(answer, value)
        assert answer.status_code in (401, 422 if path == LOG else 200), (value, answer.text)


def test_an_address_of_the_list_that_cannot_be_read_is_a_page_that_says_so(ada: Person, refused: Any) -> None:
    for query in PAGE_QUERIES:
        answer = ada.get(f"/actions?{query}")
        refused(answer, query)
        assert answer.status_code in (200, 422), (query, answer.status_code)
        assert answer.mimetype == "text/html"


def test_many_runs_of_ids_that_nobody_can_read_are_told_of_one_by_one(ada: Person, refused: Any) -> None:
    for deed in ("cancel", "retry"):
        for run_id in IDS:
            path = f"/actions/bulk?do={deed}&run={run_id}"
            for answer in (ada.get(path), ada.post(path, data=f"run={run_id}", content_type=FORM)):
                refused(answer, (deed, run_id))
                assert answer.status_code == 200, (deed, run_id, answer.text)
                assert "There is no such run." in answer.text


def test_an_address_of_many_runs_that_cannot_be_read_is_a_page_that_says_so(ada: Person, refused: Any) -> None:
    queries = [f"do=retry&run={UNKNOWN_ID}&{query}" for query in PAGE_QUERIES]
    queries += [f"do={deed}&run={UNKNOWN_ID}" for deed in ("", "%00", "%ff", "x" * 3000, "RETRY", "<b>", "🦄")]
    queries += ["", "do=retry", "do=retry&run[]=x", "do=cancel&do=retry", "do=retry&" + "run=x&run=y&" * 5000]
    for query in queries:
        for answer in (ada.get(f"/actions/bulk?{query}"), ada.post(f"/actions/bulk?{query}", data=query)):
            refused(answer, query[:200])
            assert answer.status_code in (200, 422), (query[:200], answer.status_code)
            assert answer.mimetype == "text/html"


@ON_SQLITE
def test_many_runs_with_a_key_that_is_not_usable_are_refused(ada: Person, runs: dict[str, str], refused: Any) -> None:
    for key in filter(None, KEYS):
        form = {"run": runs["a"], "idempotency_key": key}
        answer = ada.post(f"/actions/bulk?do=retry&run={runs['a']}", data=form)
        refused(answer, key)
        assert "The Idempotency-Key is not usable." in answer.text, key


@ON_SQLITE
def test_a_template_file_that_cannot_be_read_hides_only_itself(
    ada: Person, template_folder: Path, refused: Any
) -> None:
    for content in TEMPLATES:
        (template_folder / "bad.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
        for path in ("/api/v1/templates", "/api/v1/templates/bad", "/actions"):
            refused(ada.get(path), (path, content[:200]))
        listing = ada.get("/api/v1/templates").json
        assert "two-steps" in [one["name"] for one in listing["data"]], content[:200]
        assert {one["file"] for one in listing["problems"]} <= {"bad.yaml"}, content[:200]
        if "bad" not in [one["name"] for one in listing["data"]]:
            answer = ada.post("/api/v1/templates/bad/runs", {})
            refused(answer, content[:200])
            assert answer.status_code in (404, 422)


@ON_SQLITE
def test_a_secret_place_of_the_server_is_in_no_answer(ada: Person, template_folder: Path, refused: Any) -> None:
    text = (template_folder / "two-steps.yaml").read_text()
    (template_folder / "deep").mkdir()
    (template_folder / "deep" / "template.yaml").write_text(text)
    (template_folder / "two-steps.yaml").write_text(text.replace("debug.log@v1", "debug.shout@v1"))
    listing = ada.get("/api/v1/templates")
    refused(listing, "list")
    assert {one["file"] for one in listing.json["problems"]} == {"two-steps.yaml"}
    (template_folder / "two-steps.yaml").write_text(text)
    both = ada.get("/api/v1/templates")
    refused(both, "list")
    assert {one["file"] for one in both.json["problems"]} == {"two-steps.yaml", "deep/template.yaml"}


@ON_SQLITE
def test_an_expression_that_cannot_be_computed_is_refused_or_fails_its_run(
    ada: Person, template_folder: Path, unlimited: None, refused: Any
) -> None:
    for number, expression in enumerate(EXPRESSIONS):
        (template_folder / f"e{number}.yaml").write_text(
            HEAD.replace("bad", f"e{number}")
            + "  parameters: {properties: {name: {type: string, default: x}}}\n  steps:\n"
            + f"    - {{id: first, action: debug.log@v1, input: {{message: {json.dumps(expression)}}}}}\n"
        )
    refused(ada.get("/api/v1/templates"), "list")
    failed = 0
    for number, expression in enumerate(EXPRESSIONS):
        refused(ada.get(f"/api/v1/templates/e{number}"), expression)
        answer = ada.post(f"/api/v1/templates/e{number}/runs", {})
        refused(answer, expression)
        assert answer.status_code in (202, 422), (expression, answer.text)
        work_off()
        if answer.status_code == 202:
            run = ada.get(answer.headers["Location"])
            refused(run, expression)
            error = run.json["steps"][0]["error"]
            # An odd one may be computable after all.
            assert run.json["status"] == "success" if error is None else error["code"] == "VALIDATION_ERROR", expression
            failed += error is not None
        else:
            failed += 1
    assert failed > len(EXPRESSIONS) - 10
