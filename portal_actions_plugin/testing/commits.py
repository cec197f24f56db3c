"""What has to hold of every forge: commits are whole or not at all, and nobody's is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from portal_actions_plugin.errors import ConflictError, NotFoundError, ValidationError
from portal_actions_plugin.scm.base import CommitResult, FileChange, Operation, RepoRef
from portal_actions_plugin.testing.contract import Contract
from portal_actions_plugin.testing.forge_under_test import Attempt, AttemptLostError, ForgeUnderTest

BINARY = bytes(range(256)) * 8
FILES = (
    FileChange("README.md", b"# Orders\n"),
    FileChange("src/deep/er/main.py", b"print('Gr\xc3\xbc\xc3\x9fe')\n"),
    FileChange("logo.png", BINARY),
    FileChange("empty", b""),
    FileChange("run.sh", b"#!/bin/sh\n", executable=True),
)


def put(attempt: Attempt, ref: RepoRef, *changes: FileChange, branch: str = "") -> CommitResult:
    """Commit to a branch, by default the default branch; a missing one is made from that."""
    main = ref.default_branch
    return attempt.scm.put_files(ref, branch or main, changes, "Change files", base_branch=main)


def content(attempt: Attempt, ref: RepoRef, path: str, branch: str = "") -> bytes | None:
    """The bytes of a file, by default on the default branch; None where there is none."""
    found = attempt.scm.read_file(ref, branch or ref.default_branch, path)
    return found[0] if found else None


class CommitContract(Contract):
    """Files are committed all at once, on top of what is there."""

    @pytest.mark.parametrize("readme", [True, False])
    def test_all_files_are_one_commit_in_a_new_repository(self, forge: ForgeUnderTest, readme: bool) -> None:
        attempt = forge.attempt()
        ref = forge.new_repo(attempt, init_with_readme=readme)
        done = put(attempt, ref, *FILES)
        assert set(done.changed) == {change.path for change in FILES}
        assert done.created_from is None
        assert attempt.scm.branch_head(ref, ref.default_branch) == done.sha
        assert {change.path: content(attempt, ref, change.path) for change in FILES} == {
            change.path: change.content for change in FILES
        }
        assert attempt.scm.get_repo(ref.owner, ref.repo).ref.default_branch == ref.default_branch

    def test_the_same_again_is_no_commit(self, forge: ForgeUnderTest, attempt: Attempt, ref: RepoRef) -> None:
        done = put(attempt, ref, *FILES)
        again = put(forge.attempt(), ref, *FILES)
        assert (again.sha, again.changed) == (done.sha, ())

    def test_only_what_differs_is_changed_and_the_rest_stays(self, attempt: Attempt, ref: RepoRef) -> None:
        put(attempt, ref, *FILES)
        done = put(attempt, ref, FILES[0], FileChange("src/deep/er/main.py", b"new\n"), FileChange("src/more.py", b"1"))
        assert set(done.changed) == {"src/deep/er/main.py", "src/more.py"}
        assert content(attempt, ref, "src/deep/er/main.py") == b"new\n"
        assert content(attempt, ref, "logo.png") == BINARY

    def test_an_executable_file_stays_one_until_it_is_said_otherwise(self, attempt: Attempt, ref: RepoRef) -> None:
        put(attempt, ref, FileChange("run.sh", b"1", executable=True))
        assert put(attempt, ref, FileChange("run.sh", b"2")).changed == ("run.sh",)
        assert put(attempt, ref, FileChange("run.sh", b"2", executable=True)).changed == (), "it is one still"
        assert put(attempt, ref, FileChange("run.sh", b"2", executable=False)).changed == ("run.sh",)
        assert put(attempt, ref, FileChange("run.sh", b"2", executable=False)).changed == ()

    def test_a_missing_branch_is_made_from_its_base(self, attempt: Attempt, ref: RepoRef) -> None:
        before = attempt.scm.branch_head(ref, ref.default_branch)
        done = put(attempt, ref, FileChange("a", b"1"), branch="fix/one")
        assert done.created_from == ref.default_branch
        assert content(attempt, ref, "README.md", "fix/one") is not None
        assert content(attempt, ref, "a") is None
        assert attempt.scm.branch_head(ref, ref.default_branch) == before
        assert put(attempt, ref, FileChange("b", b"1"), branch="fix/one").created_from is None

    def test_a_branch_with_nothing_to_commit_is_not_made(self, attempt: Attempt, ref: RepoRef) -> None:
        readme = content(attempt, ref, "README.md") or b""
        done = put(attempt, ref, FileChange("README.md", readme), branch="fix")
        assert done.changed == ()
        assert attempt.scm.branch_head(ref, "fix") is None

    def test_a_missing_branch_without_a_base_is_not_found(self, attempt: Attempt, ref: RepoRef) -> None:
        for base in (None, "nope"):
            with pytest.raises(NotFoundError):
                attempt.scm.put_files(ref, "fix", [FileChange("a", b"1")], "No", base_branch=base)
        assert attempt.scm.branch_head(ref, "fix") is None

    def test_a_file_that_is_not_as_expected_is_a_conflict_and_nothing_is_written(
        self, attempt: Attempt, ref: RepoRef
    ) -> None:
        seen = put(attempt, ref, FileChange("a", b"1")).sha
        file = attempt.scm.read_file(ref, ref.default_branch, "a")
        assert file
        now = put(attempt, ref, FileChange("a", b"2")).sha
        for stale in (seen, file[1], "0" * 40):
            with pytest.raises(ConflictError) as caught:
                put(attempt, ref, FileChange("b", b"3"), FileChange("a", b"3", expected_sha=stale))
            assert "a" in caught.value.message
        assert attempt.scm.branch_head(ref, ref.default_branch) == now
        file = attempt.scm.read_file(ref, ref.default_branch, "a")
        assert file
        assert put(attempt, ref, FileChange("a", b"3", expected_sha=file[1])).changed == ("a",)
        head = attempt.scm.branch_head(ref, ref.default_branch)
        assert put(attempt, ref, FileChange("a", b"4", expected_sha=head)).changed == ("a",)

    def test_two_who_commit_at_once_lose_nothing(self, forge: ForgeUnderTest) -> None:
        ref = forge.new_repo(forge.attempt())
        changes = [FileChange(f"file-{number}", b"1") for number in range(4)]
        with ThreadPoolExecutor(len(changes)) as people:
            done = list(people.map(lambda change: put(forge.attempt(), ref, change), changes))
        assert len({one.sha for one in done}) == len(changes)
        attempt = forge.attempt()
        assert all(content(attempt, ref, change.path) == b"1" for change in changes)

    @pytest.mark.parametrize("readme", [True, False])
    def test_a_lost_attempt_commits_nothing(self, forge: ForgeUnderTest, readme: bool) -> None:
        attempt = forge.attempt()
        ref = forge.new_repo(attempt, init_with_readme=readme)
        before = attempt.scm.branch_head(ref, ref.default_branch)
        with pytest.raises(AttemptLostError):
            put(forge.attempt(lost_at=1), ref, *FILES)
        assert attempt.scm.branch_head(ref, ref.default_branch) == before

    @pytest.mark.parametrize("path", ["/a", "../a", "a/../../b", ".git/config", "a//b", "", "a\\b"])
    def test_a_path_that_climbs_is_refused(self, attempt: Attempt, ref: RepoRef, path: str) -> None:
        with pytest.raises(ValidationError):
            put(attempt, ref, FileChange(path, b"1"))
        with pytest.raises(ValidationError):
            attempt.scm.read_file(ref, ref.default_branch, path)

    def test_a_file_that_is_given_twice_and_no_file_at_all_are_refused(self, attempt: Attempt, ref: RepoRef) -> None:
        for changes in ((), (FileChange("a", b"1"), FileChange("a", b"2"))):
            with pytest.raises(ValidationError):
                put(attempt, ref, *changes)

    @pytest.mark.parametrize("branch", ["a b", "-x", "a..b", "HEAD", "a.lock", ""])
    def test_a_branch_that_git_does_not_take_is_refused(self, attempt: Attempt, ref: RepoRef, branch: str) -> None:
        with pytest.raises(ValidationError):
            attempt.scm.put_files(ref, branch, [FileChange("a", b"1")], "No", base_branch=ref.default_branch)

    def test_what_is_not_there_is_none(self, attempt: Attempt, ref: RepoRef) -> None:
        assert content(attempt, ref, "nope/nope.md") is None
        assert content(attempt, ref, "README.md", "no-such-branch") is None
        assert attempt.scm.branch_head(ref, "no-such-branch") is None

    def test_a_file_has_a_page(self, attempt: Attempt, ref: RepoRef) -> None:
        url = attempt.scm.file_url(ref, "fix/one", "docs/a b.md")
        assert "docs/a%20b.md" in url
        assert ref.repo in url

    def test_workflows_of_the_ci_are_files_where_they_may_be_written(self, forge: ForgeUnderTest) -> None:
        attempt = forge.attempt()
        if Operation.COMMIT_WORKFLOWS not in attempt.scm.operations:
            pytest.skip("this forge takes none")
        ref = forge.new_repo(attempt)
        path = ".github/workflows/ci.yml"
        assert put(attempt, ref, FileChange(path, b"on: push\n")).changed == (path,)
