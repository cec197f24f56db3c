"""Commits by the provider ``github``: few requests, nothing twice, nobody's commit lost, on a double of GitHub."""

from __future__ import annotations

import pytest

from portal_actions_plugin.errors import AuthError, ConflictError, NotFoundError, RemoteError, ValidationError
from portal_actions_plugin.scm.base import FileChange
from portal_actions_plugin.scm.remote.commit_plan import blob_sha
from tests.support.forges.faults import Close, Reset, Respond
from tests.support.forges.github_opened import AUTHOR, OpenedGitHub, ref

TREES, COMMITS, REFS = "/repos/acme/shop/git/trees", "/repos/acme/shop/git/commits", "/repos/acme/shop/git/refs"


def skeleton(texts: int = 300, binaries: int = 3) -> list[FileChange]:
    files = [FileChange(f"src/part{number % 20}/file{number}.txt", b"%d\n" % number) for number in range(texts)]
    return files + [FileChange(f"img/{number}.png", b"\x89PNG\0%d" % number) for number in range(binaries)]


def test_one_commit_has_all_files_and_says_who_it_is_by(github: OpenedGitHub) -> None:
    github.double.add_repository("acme/shop", {"README.md": "old\n", "keep.txt": "kept\n"})
    before = github.double.branches("acme/shop")["main"]
    changes = [FileChange("README.md", b"new\n"), FileChange("bin/run", b"#!/bin/sh\n", executable=True)]
    done = github.provider().put_files(ref(), "main", changes, "Add the skeleton")
    head = github.double.commits("acme/shop")[0]
    assert (done.sha, done.changed, done.created_from) == (head.sha, ("README.md", "bin/run"), None)
    assert (head.parents, head.message, head.author.name, head.author.email) == (
        (before,),
        "Add the skeleton",
        AUTHOR.name,
        AUTHOR.email,
    )
    assert github.double.files("acme/shop") == {
        "README.md": b"new\n",
        "bin/run": b"#!/bin/sh\n",
        "keep.txt": b"kept\n",
    }
    entry = github.double.repository("acme/shop").git.entry(head.sha, "bin/run")
    assert entry
    assert entry.mode == "100755"


def test_where_git_is_not_to_be_had_the_first_commit_goes_by_the_api(github: OpenedGitHub) -> None:
    github.double.add_repository("acme/shop")
    github.double.faults.order("GET", "/acme/shop.git/**", Respond(404, {"message": "Not Found"}))
    changes = [
        FileChange("README.md", b"# shop\n"),
        FileChange("bin/run", b"#!", executable=True),
        FileChange("a", b"a\n"),
    ]
    done = github.provider().put_files(ref(), "main", changes, "Start")
    assert sorted(done.changed) == ["README.md", "a", "bin/run"]
    assert github.double.branches("acme/shop") == {"main": done.sha}
    assert github.double.files("acme/shop") == {"README.md": b"# shop\n", "a": b"a\n", "bin/run": b"#!"}
    entry = github.double.repository("acme/shop").git.entry(done.sha, "bin/run")
    assert entry
    assert entry.mode == "100755"
    before = github.double.log.count()
    assert github.provider().put_files(ref(), "main", changes, "Start").changed == ()
    assert github.double.log.count() > before


def test_of_a_first_commit_by_the_api_whose_answer_was_lost_there_is_one(github: OpenedGitHub) -> None:
    github.double.add_repository("acme/shop")
    github.double.faults.order("GET", "/acme/shop.git/**", Respond(404, {"message": "Not Found"}))
    github.double.faults.order("PUT", "/repos/acme/shop/contents/**", Close(), after=True)
    done = github.provider().put_files(ref(), "main", [FileChange("a", b"a\n")], "Start")
    assert [one.sha for one in github.double.commits("acme/shop")] == [done.sha]


def test_what_is_there_already_makes_no_commit_and_no_write(github: OpenedGitHub) -> None:
    github.double.add_repository("acme/shop", {"a": "1\n", "b/c": "2\n"})
    head = github.double.branches("acme/shop")["main"]
    done = github.provider().put_files(ref(), "main", [FileChange("a", b"1\n"), FileChange("b/c", b"2\n")], "Again")
    assert (done.sha, done.changed) == (head, ())
    assert github.double.log.writes() == []
    assert len(github.double.log.entries()) == 3


def test_a_missing_branch_is_made_from_its_base_only_when_there_is_something_to_commit(github: OpenedGitHub) -> None:
    github.double.add_repository("acme/shop", {"a": "1\n"})
    scm = github.provider()
    same = scm.put_files(ref(), "feature/x", [FileChange("a", b"1\n")], "Nothing", base_branch="main")
    assert (same.changed, list(github.double.branches("acme/shop"))) == ((), ["main"])
    done = scm.put_files(ref(), "feature/x", [FileChange("a", b"2\n")], "Change", base_branch="main")
    assert done.created_from == "main"
    assert github.double.branches("acme/shop")["feature/x"] == done.sha
    assert github.double.files("acme/shop", "main") == {"a": b"1\n"}


def test_a_branch_that_has_nothing_to_be_made_from_is_not_found(github: OpenedGitHub) -> None:
    github.double.add_repository("acme/shop", {"a": "1\n"})
    with pytest.raises(NotFoundError, match=r"no branch dev, so topic cannot be made from it") as caught:
        github.provider().put_files(ref(), "topic", [FileChange("a", b"2")], "x", base_branch="dev")
    assert "main" in caught.value.hint


def test_a_repository_that_is_not_there_is_not_found(github: OpenedGitHub) -> None:
    with pytest.raises(NotFoundError, match="GitHub does not find it") as caught:
        github.provider().put_files(ref("acme/none"), "main", [FileChange("a", b"2")], "x")
    assert "private repository" in caught.value.hint
    with pytest.raises(NotFoundError):
        github.provider().branch_head(ref("acme/none"), "main")
    with pytest.raises(NotFoundError):
        github.provider().read_file(ref("acme/none"), "main", "a")


def test_binaries_and_large_texts_are_blobs_of_their_own(github: OpenedGitHub) -> None:
    github.double.add_repository("acme/shop", {"a": "1\n"})
    large = b"x" * 1_000_001
    changes = [FileChange("large.txt", large), FileChange("b.png", b"\x00\xff"), FileChange("ü.txt", "ü\n".encode())]
    github.provider().put_files(ref(), "main", changes, "x")
    assert github.double.log.count("POST", "/repos/acme/shop/git/blobs") == 2
    files = github.double.files("acme/shop")
    assert (files["large.txt"], files["b.png"], files["ü.txt"]) == (large, b"\x00\xff", "ü\n".encode())


@pytest.mark.parametrize("existing", [10, 5000])
def test_300_texts_and_3_binaries_take_at_most_12_requests(github: OpenedGitHub, existing: int) -> None:
    files = {f"data/{number % 50}/{number}.txt": f"{number}\n" for number in range(existing)}
    github.double.add_repository("acme/shop", files)
    done = github.provider().put_files(ref(), "main", skeleton(), "Add the skeleton")
    assert len(done.changed) == 303
    assert len(github.double.log.entries()) <= 12, github.requests()
    github.double.log.clear()
    again = github.provider().put_files(ref(), "main", skeleton(), "Add the skeleton")
    assert (again.sha, again.changed) == (done.sha, ())
    assert len(github.double.log.entries()) <= 2, github.requests()


def test_a_tree_that_github_cuts_off_is_read_folder_by_folder(github: OpenedGitHub) -> None:
    files = {f"data/{number % 50}/{number}.txt": f"{number}\n" for number in range(5000)}
    github.double.add_repository("acme/shop", files | {"src/part1/file1.txt": "1\n", "src/run": "x\n"})
    github.double.state.tree_limit = 1000
    done = github.provider().put_files(ref(), "main", skeleton(), "Add the skeleton")
    assert len(github.double.log.entries()) <= 12, github.requests()
    assert "src/part1/file1.txt" not in done.changed
    assert len(done.changed) == 302
    assert len(github.double.files("acme/shop")) == 5000 + 1 + 303


def test_a_small_change_reads_no_more_than_its_folders(github: OpenedGitHub) -> None:
    github.double.add_repository("acme/shop", {"docs/a.md": "1\n", **{f"d{n}/x": "x" for n in range(50)}})
    github.provider().put_files(ref(), "main", [FileChange("docs/a.md", b"2\n")], "x")
    trees = github.double.log.entries("GET", "/repos/acme/shop/git/trees/*")
    assert [one.query.get("recursive") for one in trees] == [None, None]


def pushing(github: OpenedGitHub, times: int):
    """A guard that lets somebody else push before a branch is moved: the third write of each try of a commit of text."""
    asked, pushed = [], []

    def guard() -> None:
        asked.append(1)
        if len(asked) % 3 == 0 and len(pushed) < times:
            pushed.append(github.double.commit("acme/shop", "main", {f"other{len(pushed)}": "x"}))

    return guard, pushed


def test_a_commit_that_somebody_made_meanwhile_is_kept(github: OpenedGitHub) -> None:
    github.double.add_repository("acme/shop", {"a": "1\n"})
    guard, pushed = pushing(github, 2)
    done = github.provider(guard=guard).put_files(ref(), "main", [FileChange("a", b"2\n")], "Mine")
    assert len(pushed) == 2
    assert [one.sha for one in github.double.commits("acme/shop")][:2] == [done.sha, pushed[-1]]
    assert set(github.double.files("acme/shop")) == {"a", "other0", "other1"}


def test_a_branch_that_never_stands_still_is_a_conflict(github: OpenedGitHub) -> None:
    github.double.add_repository("acme/shop", {"a": "1\n"})
    guard, _ = pushing(github, 100)
    with pytest.raises(ConflictError, match="moved each of the 5 times"):
        github.provider(guard=guard).put_files(ref(), "main", [FileChange("a", b"2\n")], "Mine")
    assert github.double.log.count("PATCH", f"{REFS}/**") == 5


def test_a_file_that_is_not_as_expected_is_a_conflict_and_nothing_is_written(github: OpenedGitHub) -> None:
    github.double.add_repository("acme/shop", {"docs/a": "1\n"})
    first = github.double.branches("acme/shop")["main"]
    github.double.commit("acme/shop", "main", {"other": "x"})
    scm = github.provider()
    with pytest.raises(ConflictError, match="is not as"):
        scm.put_files(ref(), "main", [FileChange("docs/a", b"3\n", expected_sha=blob_sha(b"0\n"))], "x")
    with pytest.raises(ConflictError, match="is not as"):
        scm.put_files(ref(), "main", [FileChange("docs/a", b"3\n", expected_sha="e" * 40)], "x")
    assert github.double.log.writes() == []
    assert scm.put_files(ref(), "main", [FileChange("docs/a", b"2\n", expected_sha=blob_sha(b"1\n"))], "x").changed
    with pytest.raises(ConflictError, match="is not as"):
        scm.put_files(ref(), "main", [FileChange("docs/a", b"3\n", expected_sha=first)], "x")
    now = github.double.branches("acme/shop")["main"]
    assert scm.put_files(ref(), "main", [FileChange("docs/a", b"3\n", expected_sha=now)], "x").changed


def test_an_executable_file_stays_one_unless_it_is_said(github: OpenedGitHub) -> None:
    github.double.add_repository("acme/shop", {"a": "1\n"})
    scm = github.provider()
    git = github.double.repository("acme/shop").git
    scm.put_files(ref(), "main", [FileChange("run", b"1\n", executable=True)], "x")
    scm.put_files(ref(), "main", [FileChange("run", b"2\n")], "x")
    assert git.entry(git.head("main"), "run").mode == "100755"
    scm.put_files(ref(), "main", [FileChange("run", b"2\n", executable=False)], "x")
    assert git.entry(git.head("main"), "run").mode == "100644"


@pytest.mark.parametrize("fault", [Reset(), Close(), Respond(502, "<html>Unicorn!</html>")])
@pytest.mark.parametrize("where", [TREES, COMMITS, f"{REFS}/heads*main", "/repos/acme/shop/git/blobs"])
def test_a_lost_answer_makes_no_second_commit(github: OpenedGitHub, fault, where: str) -> None:
    github.double.add_repository("acme/shop", {"a": "1\n"})
    order = github.double.faults.order("*", where, fault, after=True)
    changes = [FileChange("a", b"2\n"), FileChange("b.png", b"\x00")]
    done = github.provider().put_files(ref(), "main", changes, "x")
    assert order.fired == 1
    assert github.double.commits("acme/shop")[0].sha == done.sha
    assert len(github.double.commits("acme/shop")) == 2
    assert done.changed == ("a", "b.png")


def test_a_write_that_never_happened_is_an_error_that_a_retry_mends(github: OpenedGitHub, quick_look_ups) -> None:
    github.double.add_repository("acme/shop", {"a": "1\n"})
    github.double.faults.order("PATCH", "**", Respond(502, "<html>Unicorn!</html>"))
    with pytest.raises(RemoteError, match="GitHub has a problem") as caught:
        github.provider().put_files(ref(), "main", [FileChange("a", b"2\n")], "x")
    assert caught.value.retryable
    assert github.provider().put_files(ref(), "main", [FileChange("a", b"2\n")], "x").changed == ("a",)
    assert len(github.double.commits("acme/shop")) == 2


def test_a_protected_branch_is_a_conflict_in_githubs_own_words(github: OpenedGitHub) -> None:
    repository = github.double.add_repository("acme/shop", {"a": "1\n"})
    repository.protections["main"] = {
        "required_pull_request_reviews": {"required_approving_review_count": 1},
        "enforce_admins": True,
    }
    with pytest.raises(ConflictError) as caught:
        github.provider().put_files(ref(), "main", [FileChange("a", b"2\n")], "x")
    assert "pull request" in caught.value.hint
    assert len(github.double.commits("acme/shop")) == 1


def test_workflows_need_a_scope_that_is_named(github: OpenedGitHub) -> None:
    github.double.add_repository("acme/shop", {"a": "1\n"})
    change = FileChange(".github/workflows/ci.yml", b"on: push\n")
    with pytest.raises(AuthError) as caught:
        github.provider().put_files(ref(), "main", [change], "x")
    assert "`workflow`" in caught.value.hint
    assert len(github.double.commits("acme/shop")) == 1
    wider = github.as_token(github.double.classic_token("mona", "repo", "workflow").token)
    assert wider.provider().put_files(ref(), "main", [change], "x").changed == (change.path,)


def test_a_file_is_read_with_its_blob_whatever_its_size(github: OpenedGitHub) -> None:
    large = "x" * 1_500_000
    github.double.add_repository("acme/shop", {"docs/a b.md": "hello\n", "large": large})
    scm = github.provider()
    assert scm.read_file(ref(), "main", "docs/a b.md") == (b"hello\n", blob_sha(b"hello\n"))
    assert scm.read_file(ref(), "main", "large") == (large.encode(), blob_sha(large.encode()))
    assert scm.read_file(ref(), "main", "docs") is None
    assert scm.read_file(ref(), "main", "none") is None
    assert scm.read_file(ref(), "none", "large") is None
    assert scm.branch_head(ref(), "main") == github.double.branches("acme/shop")["main"]
    assert scm.branch_head(ref(), "none") is None


def test_nothing_is_written_when_the_attempt_is_not_ours_any_more(github: OpenedGitHub) -> None:
    class LostError(Exception):
        pass

    def guard() -> None:
        raise LostError

    github.double.add_repository("acme/shop", {"a": "1\n"})
    with pytest.raises(LostError):
        github.provider(guard=guard).put_files(ref(), "main", [FileChange("a", b"2\n")], "x")
    assert github.double.log.writes() == []


def test_a_path_that_climbs_out_is_refused_before_anything_is_asked(github: OpenedGitHub) -> None:
    with pytest.raises(ValidationError):
        github.provider().put_files(ref(), "main", [FileChange("../a", b"2\n")], "x")
    assert github.requests() == []
