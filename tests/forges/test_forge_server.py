"""What all doubles of forges share: their server, its faults, its log, its limit, and git."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
import urllib3

from tests.support.forges import git_http
from tests.support.forges.clock import ForgeClock
from tests.support.forges.faults import Close, CutShort, Drip, Hang, Reset, Respond, html_page, redirect
from tests.support.forges.git_store import NO_COMMIT, Entry, GitStore, Person
from tests.support.forges.messages import Answer, Request, json_answer
from tests.support.forges.rate_limit import Rate, RateLimiter
from tests.support.forges.server import ForgeServer

SOMEBODY = Person("Ada", "ada@example.org", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


class CountingForge:
    """Counts what it was asked to do, and has one repository, which refuses to have its tags pushed."""

    prefix = "/api"

    def __init__(self, folder: Path) -> None:
        self.clock = ForgeClock()
        self.done = 0
        self.repository = GitStore(folder).create("1", "main")

    def credential(self, request: Request) -> str:
        return "ada" if request.headers.get("authorization") else ""

    def is_limited(self, request: Request) -> bool:
        return request.path.startswith("/api/")

    def too_many(self, request: Request, retry_after: int) -> Answer:
        return Answer(429, b"slowly", (("Retry-After", str(retry_after)),))

    def answer(self, request: Request) -> Answer:
        if request.path.startswith("/repo.git/"):
            return self.git(request, request.path.removeprefix("/repo.git/"))
        self.done += 1
        body = {"path": request.path, "query": request.query, "body": request.body.decode()}
        return json_answer(200, body)

    def git(self, request: Request, rest: str) -> Answer:
        if git_http.service_of(request, rest) is None:
            return Answer(404)
        if rest == "git-receive-pack" and any(one.ref.startswith("refs/tags/") for one in git_http.updates_of(request)):
            return git_http.refuse(request, git_http.Refusal("no tags here", "Tags are made by releases.\nAsk Ada."))
        return git_http.answer(self.repository, request, rest, "ada")


@pytest.fixture
def forge(tmp_path: Path) -> CountingForge:
    return CountingForge(tmp_path / "repositories")


@pytest.fixture
def server(forge: CountingForge) -> Iterator[ForgeServer]:
    with ForgeServer(forge) as running:
        yield running


@pytest.fixture
def http() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False) as pool:
        yield pool


def git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_request_is_seen_as_it_was_sent(server: ForgeServer, http: urllib3.PoolManager) -> None:
    answer = http.request("POST", f"{server.url}/api/projects/a%2Fb?x=1&x=&y=%20", body=b"hello").json()
    assert answer == {"path": "/api/projects/a%2Fb", "query": {"x": ["1", ""], "y": [" "]}, "body": "hello"}


def test_a_body_in_chunks_is_read_and_the_connection_goes_on(server: ForgeServer, http: urllib3.PoolManager) -> None:
    for _ in range(2):
        answer = http.request("POST", f"{server.url}/api/x", body=iter([b"ab", b"cd"]), chunked=True).json()
        assert answer["body"] == "abcd"


def test_the_date_is_the_forges_own(server: ForgeServer, forge: CountingForge, http: urllib3.PoolManager) -> None:
    forge.clock.skew = timedelta(days=-3)
    date = parsedate_to_datetime(http.request("GET", f"{server.url}/api/x").headers["Date"])
    assert timedelta(days=2) < datetime.now(UTC) - date < timedelta(days=4)


def test_the_log_has_who_asked_for_what_and_no_token(server: ForgeServer, http: urllib3.PoolManager) -> None:
    http.request("GET", f"{server.url}/api/a?q=1", headers={"Authorization": "token hush"})
    http.request("POST", f"{server.url}/api/b/c")
    assert [str(one) for one in server.log.entries()] == [
        "1. GET /api/a?q=1 → 200 (ada)",
        "2. POST /api/b/c → 200 (nobody)",
    ]
    assert server.log.count("POST", "/b/*") == server.log.count("*", "/api/b/*") == 1
    assert server.log.count("*", "/*") == 1
    assert [one.path for one in server.log.writes()] == ["/api/b/c"]
    assert "authorization" in server.log.entries()[0].header_names


def test_the_log_says_where_a_token_was_sent_that_does_not_belong_there(
    server: ForgeServer, http: urllib3.PoolManager
) -> None:
    http.request("GET", f"{server.url}/api/a", headers={"Authorization": "token hush"})
    assert server.log.where_seen("hush") == []
    http.request("POST", f"{server.url}/api/hush?q=hush", body=b"hush", headers={"Referer": "hush"})
    assert server.log.where_seen("hush") == [f"2. POST: {part}" for part in ("path", "query", "body", "header referer")]


@pytest.mark.parametrize(("after", "done"), [(False, 1), (True, 2)])
def test_an_answer_can_be_replaced_before_or_after_the_forge_has_done_its_part(
    server: ForgeServer, forge: CountingForge, http: urllib3.PoolManager, after: bool, done: int
) -> None:
    order = server.faults.order("POST", "/things/*", Respond(502, {"bad": 1}, {"X-Odd": "1"}), nth=2, after=after)
    statuses = [http.request("POST", f"{server.url}/api/things/{name}").status for name in ("a", "b")]
    assert statuses == [200, 502]
    assert (order.fired, forge.done) == (1, done)
    assert [one.status for one in server.log.entries()] == [200, 502]


def test_a_fault_can_happen_several_times_and_to_any_method(server: ForgeServer, http: urllib3.PoolManager) -> None:
    server.faults.order("*", "**", html_page(), nth=2, times=2)
    kinds = [http.request("GET", f"{server.url}/api/x").headers["Content-Type"] for _ in range(4)]
    assert [kind.partition(";")[0] for kind in kinds] == [
        "application/json",
        "text/html",
        "text/html",
        "application/json",
    ]


def test_a_redirect_leads_elsewhere(server: ForgeServer, http: urllib3.PoolManager) -> None:
    server.faults.order("GET", "**", redirect("http://elsewhere.test/", 307))
    answer = http.request("GET", f"{server.url}/api/x", redirect=False)
    assert (answer.status, answer.headers["Location"]) == (307, "http://elsewhere.test/")


@pytest.mark.parametrize(("fault", "cause"), [(Reset(), ConnectionResetError), (Close(), None)])
@pytest.mark.parametrize("after", [False, True])
def test_a_connection_can_be_reset_or_closed_without_an_answer(
    server: ForgeServer, forge: CountingForge, http: urllib3.PoolManager, fault, cause, after: bool
) -> None:
    server.faults.order("POST", "**", fault, after=after)
    with pytest.raises(urllib3.exceptions.ProtocolError) as caught:
        http.request("POST", f"{server.url}/api/x")
    assert cause is None or isinstance(caught.value.args[1], cause)
    assert forge.done == int(after)
    assert server.log.entries()[0].status is None
    assert http.request("POST", f"{server.url}/api/x").status == 200


def test_an_answer_can_break_off(server: ForgeServer, http: urllib3.PoolManager) -> None:
    server.faults.order("GET", "**", CutShort())
    with pytest.raises(urllib3.exceptions.ProtocolError, match="IncompleteRead"):
        http.request("GET", f"{server.url}/api/x")


def test_an_answer_hangs_until_it_is_released(
    server: ForgeServer, forge: CountingForge, http: urllib3.PoolManager
) -> None:
    order = server.faults.order("POST", "**", Hang(), after=True)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(http.request, "POST", f"{server.url}/api/x")
        order.wait()
        assert forge.done == 1
        assert not answer.done()
        order.release()
        assert answer.result().status == 200


def test_a_client_that_gives_up_is_no_trouble(server: ForgeServer, http: urllib3.PoolManager) -> None:
    order = server.faults.order("GET", "**", Hang())
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        http.request("GET", f"{server.url}/api/x", timeout=urllib3.Timeout(connect=60, read=0.05))
    order.release()
    assert http.request("GET", f"{server.url}/api/x").status == 200


@pytest.mark.parametrize(("after", "done"), [(False, 0), (True, 1)])
def test_a_request_that_hangs_may_be_lost_before_or_after_it_is_done(
    server: ForgeServer, forge: CountingForge, http: urllib3.PoolManager, after: bool, done: int
) -> None:
    order = server.faults.order("POST", "**", Hang(), after=after)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(http.request, "POST", f"{server.url}/api/x")
        order.wait()
        order.drop()
        with pytest.raises(urllib3.exceptions.ProtocolError):
            answer.result()
    assert forge.done == done


def test_an_answer_comes_byte_by_byte(server: ForgeServer, http: urllib3.PoolManager) -> None:
    order = server.faults.order("GET", "**", Drip(0.001))
    response = http.request("GET", f"{server.url}/api/x", preload_content=False)
    order.wait()
    assert response.read(1, decode_content=False) == b"{"
    order.release()
    assert response.read().endswith(b"}")


def test_the_limit_is_each_credentials_own(
    server: ForgeServer, forge: CountingForge, http: urllib3.PoolManager
) -> None:
    server.limiter.rate = Rate(2, 3600)
    statuses = [http.request("GET", f"{server.url}/api/x").status for _ in range(3)]
    refused = http.request("GET", f"{server.url}/api/x")
    assert statuses == [200, 200, 429]
    assert 3000 < int(refused.headers["Retry-After"]) <= 3600
    assert http.request("GET", f"{server.url}/api/x", headers={"Authorization": "token t"}).status == 200
    assert (server.limiter.refused(), server.limiter.refused("ada")) == (2, 0)
    assert [one.limited for one in server.log.entries()] == [False, False, True, True, False]
    assert forge.done == 3


def test_a_limit_slides_along_with_the_time() -> None:
    moments = iter([0.0, 0.5, 0.75, 1.0, 1.25, 1.5])
    limiter = RateLimiter(Rate(2, 1.0), now=lambda: next(moments))
    assert [limiter.take("ada") for _ in range(6)] == [None, None, 1, None, 1, None]


def test_stopping_lets_everything_go(forge: CountingForge, http: urllib3.PoolManager) -> None:
    server = ForgeServer(forge).start()
    order = server.faults.order("GET", "**", Hang())
    seen = []

    def ask() -> None:
        try:
            seen.append(http.request("GET", f"{server.url}/api/x").status)
        except urllib3.exceptions.HTTPError as error:
            seen.append(type(error))

    thread = threading.Thread(target=ask)
    thread.start()
    order.wait()
    server.stop()
    thread.join()
    assert len(seen) == 1


def test_a_double_that_is_broken_itself_fails_its_test(forge: CountingForge, http: urllib3.PoolManager) -> None:
    server = ForgeServer(forge).start()
    assert http.request("POST", f"{server.url}/api/x", body=b"\xff").status == 500
    with pytest.raises(AssertionError, match="UnicodeDecodeError"):
        server.stop()


def test_a_real_git_pushes_and_clones(server: ForgeServer, forge: CountingForge, tmp_path: Path) -> None:
    work = tmp_path / "work"
    assert git(tmp_path, "init", "-q", "-b", "trunk", str(work)).returncode == 0
    (work / "big").write_bytes(b"".join(b"%d\n" % number for number in range(400_000)))
    git(work, "add", ".")
    git(work, "commit", "-q", "-m", "First")
    pushed = git(work, "-c", "http.postBuffer=1000", "push", f"{server.url}/repo.git", "trunk")
    assert pushed.returncode == 0, pushed.stderr
    assert forge.repository.branches() == {"trunk": git(work, "rev-parse", "HEAD").stdout.strip()}
    cloned = git(tmp_path, "clone", "-q", "-b", "trunk", f"{server.url}/repo.git", "again")
    assert cloned.returncode == 0, cloned.stderr
    assert (tmp_path / "again" / "big").read_bytes() == forge.repository.files("trunk")["big"]


def test_a_push_is_refused_as_a_forge_does_it(server: ForgeServer, forge: CountingForge, tmp_path: Path) -> None:
    work = tmp_path / "work"
    git(tmp_path, "init", "-q", "-b", "main", str(work))
    git(work, "commit", "-q", "--allow-empty", "-m", "First")
    git(work, "tag", "v1")
    pushed = git(work, "push", f"{server.url}/repo.git", "main", "v1")
    assert pushed.returncode == 1
    assert re.search(r"remote: Tags are made by releases\.\s*\nremote: Ask Ada\.", pushed.stderr)
    assert "v1 -> v1 (no tags here)" in pushed.stderr
    assert forge.repository.is_empty()


def test_objects_made_one_by_one_are_what_git_would_make(forge: CountingForge, tmp_path: Path) -> None:
    repository = forge.repository
    shas = repository.write_blobs([b"one\n", b"\x00\xff", b""])
    entries = [
        Entry("a.txt", "100644", "blob", shas[0]),
        Entry("bin/run", "100755", "blob", shas[1]),
        Entry("bin/ünicode", "100644", "blob", shas[2]),
    ]
    first = repository.write_commit(repository.write_tree(entries), [], "First\n\nBody.", author=SOMEBODY)
    assert repository.set_ref("refs/heads/main", first, NO_COMMIT)
    assert repository.files("main") == {"a.txt": b"one\n", "bin/run": b"\x00\xff", "bin/ünicode": b""}
    less = repository.write_tree([Entry("bin/run", "100755", "blob", "")], base=repository.commit(first).tree)
    assert [one.path for one in repository.entries(less, recursive=True)] == ["a.txt", "bin", "bin/ünicode"]
    again = repository.commit(first)
    assert (again.message, again.author, again.parents) == ("First\n\nBody.", SOMEBODY, ())


def test_a_ref_moves_only_from_where_it_is_expected(forge: CountingForge) -> None:
    repository = forge.repository
    tree = repository.write_tree([])
    first = repository.write_commit(tree, [], "First", author=SOMEBODY)
    second = repository.write_commit(tree, [first], "Second", author=SOMEBODY)
    assert repository.set_ref("refs/heads/main", first, NO_COMMIT)
    assert not repository.set_ref("refs/heads/main", second, NO_COMMIT)
    assert not repository.set_ref("refs/heads/main", second, second)
    assert repository.set_ref("refs/heads/main", second, first)
    assert repository.head("main") == second
    assert [one.message for one in repository.history("main")] == ["Second", "First"]
    assert [one.message for one in repository.history("main", without=first)] == ["Second"]


def test_a_merge_of_two_that_changed_one_line_is_a_conflict(forge: CountingForge) -> None:
    repository = forge.repository

    def commit(files: dict[str, bytes], *parents: str) -> str:
        entries = [Entry(path, "100644", "blob", repository.write_blob(content)) for path, content in files.items()]
        return repository.write_commit(repository.write_tree(entries), parents, "x", author=SOMEBODY)

    base = commit({"a": b"1\n", "b": b"1\n"})
    left, right = commit({"a": b"2\n", "b": b"1\n"}, base), commit({"a": b"1\n", "b": b"2\n"}, base)
    clash = commit({"a": b"3\n", "b": b"1\n"}, base)
    merged = repository.merged_tree(left, right)
    assert merged
    assert repository.entry(merged, "a") == repository.entry(left, "a")
    assert repository.merged_tree(left, clash) is None
    assert repository.merge_base(left, right) == base
