from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from portal_actions_plugin.errors import (
    ConfigurationError,
    ConflictError,
    NotFoundError,
    RemoteError,
    ValidationError,
)
from portal_actions_plugin.scm import names
from portal_actions_plugin.scm.base import (
    Author,
    Collaborator,
    FileChange,
    Operation,
    Protected,
    Protection,
    RepoRef,
    Variable,
    WebhookSpec,
)
from portal_actions_plugin.scm.local import git as local_git
from portal_actions_plugin.scm.local.provider import LocalProvider
from portal_actions_plugin.scm.opening import Opening
from portal_actions_plugin.scm.providers import ProviderKinds, installation_named
from portal_actions_plugin.settings.installations import Installation, read_installations
from tests.support.action_helpers import ADA, LostError, git, git_in, snapshot

CREATE = {"visibility": "private", "description": "", "init_with_readme": True, "claim": "c1"}
GRACE = Author("Grace Hopper", "grace@example.com")


def nothing():
    """A guard of a run that may write."""


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "forge"
    (folder / "acme").mkdir(parents=True)
    return folder


@pytest.fixture
def forge(root):
    return LocalProvider(root, "https://forge.example", nothing, ADA)


@pytest.fixture
def ref(forge):
    return forge.create_repo("acme", "shop", **CREATE).ref


@pytest.fixture
def bare(root, ref):
    return git_in(root / "acme" / f"{ref.repo}.git")


def losing(root, at):
    """A provider whose attempt is lost at its nth look."""
    looks = iter(range(1, 100))

    def guard():
        if next(looks) >= at:
            raise LostError

    return LocalProvider(root, None, guard, ADA)


class TestCreating:
    def test_a_repository_with_a_readme_is_real_git(self, forge, root, tmp_path):
        made = forge.create_repo("acme", "shop", **{**CREATE, "description": "Sells things"})
        assert made.fresh
        assert made.web_url == "https://forge.example/acme/shop"
        git("clone", "-q", made.clone_url, tmp_path / "clone")
        assert (tmp_path / "clone/README.md").read_text() == "# shop\n\nSells things\n"
        bare = git_in(root / "acme/shop.git")
        bare("fsck", "--strict")
        assert bare("symbolic-ref", "HEAD").strip() == "refs/heads/main"
        assert bare("log", "--format=%an <%ae> %s").strip() == "Ada Lovelace <ada@example.com> Initial commit"
        assert (root / "acme/shop.git/description").read_text() == "Sells things\n"

    def test_without_a_readme_it_is_empty_and_the_first_commit_makes_main(self, forge, root):
        made = forge.create_repo("acme", "shop", **{**CREATE, "init_with_readme": False})
        assert made.ref == RepoRef("local", "acme", "shop", "main")
        assert forge.branches(made.ref) == ()
        assert forge.log(made.ref, "main") == ()
        assert forge.tree(made.ref, "main") == ()
        result = forge.put_files(made.ref, "main", [FileChange("a.txt", b"a")], "First")
        assert git_in(root / "acme/shop.git")("rev-list", "main").split() == [result.sha]

    def test_the_same_claim_finds_its_repository_again(self, forge, root):
        first = forge.create_repo("acme", "shop", **CREATE)
        before = snapshot(root)
        again = forge.create_repo("acme", "shop", **CREATE)
        assert again == first
        assert not again.fresh
        assert snapshot(root) == before

    @pytest.mark.parametrize("claim", ["c2", ""])
    def test_another_claim_is_a_conflict_and_writes_nothing(self, forge, root, claim):
        forge.create_repo("acme", "shop", **CREATE)
        before = snapshot(root)
        with pytest.raises(ConflictError, match="acme/shop exists already"):
            forge.create_repo("acme", "shop", **{**CREATE, "claim": claim})
        assert snapshot(root) == before

    def test_a_repository_that_git_made_is_never_taken_over(self, forge, root):
        git("init", "-q", "--bare", root / "acme/shop.git")
        with pytest.raises(ConflictError):
            forge.create_repo("acme", "shop", **{**CREATE, "claim": ""})

    @pytest.mark.parametrize("what", ["file", "link", "dangling link"])
    def test_whatever_has_the_name_is_a_conflict(self, forge, root, tmp_path, what):
        target = root / "acme/shop.git"
        if what == "file":
            target.write_text("hello")
        else:
            target.symlink_to(tmp_path if what == "link" else tmp_path / "nowhere")
        with pytest.raises(ConflictError):
            forge.create_repo("acme", "shop", **CREATE)

    def test_an_unknown_owner_is_named_with_what_to_do(self, forge):
        with pytest.raises(NotFoundError, match="no owner globex") as caught:
            forge.create_repo("globex", "shop", **CREATE)
        assert "acme" in caught.value.hint

    def test_a_root_that_is_missing_names_the_setting(self, tmp_path):
        forge = LocalProvider(tmp_path / "nowhere", None, nothing, ADA)
        with pytest.raises(ConfigurationError, match="PORTAL_ACTIONS_LOCAL_SCM_ROOT"):
            forge.create_repo("acme", "shop", **CREATE)

    def test_a_wrong_visibility_is_refused(self, forge):
        with pytest.raises(ValidationError, match="private, internal, public") as caught:
            forge.create_repo("acme", "shop", **{**CREATE, "visibility": "secret"})
        assert set(caught.value.fields) == {"visibility"}

    @pytest.mark.parametrize("at", [1, 2, 3])
    def test_a_lost_attempt_creates_nothing(self, root, at):
        with pytest.raises(LostError):
            losing(root, at).create_repo("acme", "shop", **CREATE)
        assert list((root / "acme").iterdir()) == []

    def test_a_process_killed_while_it_builds_leaves_the_name_free(self, root, forge):
        _run(_create_and_die, str(root), expect=-signal.SIGKILL)
        assert [left.name for left in (root / "acme").iterdir() if not left.name.startswith(".new~")] == []
        assert forge.list_repositories("acme") == ()
        assert forge.create_repo("acme", "shop", **CREATE).fresh
        assert [found.ref.repo for found in forge.list_repositories("acme")] == ["shop"]

    def test_of_many_at_once_one_wins(self, root):
        outcomes = []

        def create(claim):
            try:
                made = LocalProvider(root, None, nothing, ADA).create_repo("acme", "shop", **{**CREATE, "claim": claim})
                outcomes.append(made.fresh)
            except ConflictError:
                outcomes.append("conflict")

        threads = [threading.Thread(target=create, args=(f"claim-{number}",)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(map(str, outcomes)) == ["True", *["conflict"] * 5]
        assert [left.name for left in (root / "acme").iterdir()] == ["shop.git"]

    def test_nobody_ever_sees_half_a_repository(self, forge, root):
        seen_half = []
        done = threading.Event()

        def watch():
            while not done.is_set():
                for path in (root / "acme").glob("*.git"):
                    whole = (path / "portal-actions.json").exists() and (path / "refs/heads/main").exists()
                    if not whole:
                        seen_half.append(path)

        watcher = threading.Thread(target=watch)
        watcher.start()
        for number in range(30):
            forge.create_repo("acme", f"shop-{number}", **CREATE)
        done.set()
        watcher.join()
        assert seen_half == []

    def test_without_a_web_page_addresses_are_file_urls(self, root):
        forge = LocalProvider(root, None, nothing, ADA)
        made = forge.create_repo("acme", "shop", **CREATE)
        assert made.web_url == made.clone_url == (root / "acme/shop.git").as_uri()
        assert forge.file_url(made.ref, "main", "a b.txt") == f"{made.clone_url}#main:a%20b.txt"


class TestCommitting:
    def test_many_files_are_one_commit_and_the_rest_stays(self, forge, ref, bare):
        changes = [FileChange("src/app.py", b"print()\n"), FileChange("bin/run", b"#!/bin/sh\n", executable=True)]
        result = forge.put_files(ref, "main", changes, "Add the app")
        assert result.changed == ("src/app.py", "bin/run")
        assert bare("rev-parse", "main").strip() == result.sha
        assert bare("rev-list", "--count", "main").strip() == "2"
        listed = bare("ls-tree", "-r", "main", "--format=%(objectmode) %(path)").splitlines()
        assert listed == ["100644 README.md", "100755 bin/run", "100644 src/app.py"]
        bare("fsck", "--strict")

    def test_the_same_content_makes_no_commit(self, forge, ref, bare):
        changes = [FileChange("a/b.txt", b"1"), FileChange("c.txt", b"2")]
        first = forge.put_files(ref, "main", changes, "Once")
        again = forge.put_files(ref, "main", changes, "Twice")
        assert again.sha == first.sha
        assert again.changed == ()
        assert bare("rev-list", "--count", "main").strip() == "2"

    def test_only_what_differs_counts_as_changed(self, forge, ref):
        forge.put_files(ref, "main", [FileChange("a", b"1"), FileChange("b", b"1")], "Once")
        assert forge.put_files(ref, "main", [FileChange("a", b"1"), FileChange("b", b"2")], "Twice").changed == ("b",)

    def test_an_executable_file_stays_executable_when_its_content_changes(self, forge, ref):
        forge.put_files(ref, "main", [FileChange("run", b"1", executable=True)], "Once")
        forge.put_files(ref, "main", [FileChange("run", b"2")], "Twice")
        assert [file.executable for file in forge.tree(ref, "main") if file.path == "run"] == [True]
        forge.put_files(ref, "main", [FileChange("run", b"2", executable=False)], "Thrice")
        assert not any(file.executable for file in forge.tree(ref, "main"))

    def test_a_missing_branch_is_made_from_the_base(self, forge, ref, bare):
        result = forge.put_files(ref, "fix/docs", [FileChange("docs.md", b"d")], "Docs", base_branch="main")
        assert result.created_from == "main"
        assert bare("rev-parse", "fix/docs~1") == bare("rev-parse", "main")
        assert [branch.name for branch in forge.branches(ref)] == ["fix/docs", "main"]
        assert [branch.is_default for branch in forge.branches(ref)] == [False, True]

    def test_a_branch_is_not_made_for_nothing(self, forge, ref):
        readme, _ = forge.read_file(ref, "main", "README.md")
        result = forge.put_files(ref, "fix", [FileChange("README.md", readme)], "Nothing", base_branch="main")
        assert result.changed == ()
        assert forge.branch_head(ref, "fix") is None

    def test_a_missing_branch_without_a_base_is_not_found(self, forge, ref):
        with pytest.raises(NotFoundError, match="acme/shop has no branch nope"):
            forge.put_files(ref, "nope", [FileChange("a", b"1")], "No")
        with pytest.raises(NotFoundError, match="no branch nope, so fix cannot") as caught:
            forge.put_files(ref, "fix", [FileChange("a", b"1")], "No", base_branch="nope")
        assert "main" in caught.value.hint

    def test_git_sees_what_we_commit_and_we_see_what_git_pushes(self, forge, ref, tmp_path):
        clone = tmp_path / "clone"
        git("clone", "-q", forge.get_repo("acme", "shop").clone_url, clone)
        (clone / "pushed.txt").write_text("from git")
        git("add", ".", cwd=clone)
        git("commit", "-q", "-m", "Pushed", cwd=clone)
        git("push", "-q", cwd=clone)
        assert forge.read_file(ref, "main", "pushed.txt")[0] == b"from git"
        forge.put_files(ref, "main", [FileChange("ours.txt", b"ours")], "Ours")
        git("pull", "-q", cwd=clone)
        assert (clone / "ours.txt").read_text() == "ours"
        assert [commit.message for commit in forge.log(ref, "main")] == ["Ours", "Pushed", "Initial commit"]
        assert [commit.author for commit in forge.log(ref, "main", 2)] == ["Ada Lovelace", "Grace"]

    def test_packed_branches_and_objects_work(self, forge, ref, bare):
        forge.put_files(ref, "topic", [FileChange("a", b"1")], "One", base_branch="main")
        bare("gc", "-q", "--prune=now")
        bare("pack-refs", "--all")
        result = forge.put_files(ref, "topic", [FileChange("a", b"2")], "Two")
        assert bare("rev-parse", "topic").strip() == result.sha
        assert bare("rev-list", "--count", "topic").strip() == "3"
        with pytest.raises(ConflictError, match="has a branch topic"):
            forge.put_files(ref, "topic/x", [FileChange("a", b"3")], "Three", base_branch="main")
        bare("fsck", "--strict")

    def test_a_branch_below_another_branch_is_a_conflict(self, forge, ref):
        forge.put_files(ref, "fix/docs", [FileChange("a", b"1")], "One", base_branch="main")
        with pytest.raises(ConflictError, match="has a branch fix/docs"):
            forge.put_files(ref, "fix", [FileChange("a", b"1")], "One", base_branch="main")

    @pytest.mark.parametrize(("path", "kind"), [("README.md/x", "file"), ("src", "folder")])
    def test_a_path_that_is_something_else_already_is_a_conflict(self, forge, ref, root, path, kind):
        forge.put_files(ref, "main", [FileChange("src/app.py", b"1")], "App")
        before = snapshot(root)
        with pytest.raises(ConflictError, match=f"is a {kind}: nothing was written"):
            forge.put_files(ref, "main", [FileChange(path, b"2")], "No")
        assert snapshot(root) == before

    @pytest.mark.parametrize("paths", [("a", "a/b"), ("a/b", "a"), ("a", "a")])
    def test_files_that_contradict_each_other_are_refused(self, forge, ref, paths):
        with pytest.raises(ValidationError) as caught:
            forge.put_files(ref, "main", [FileChange(path, b"1") for path in paths], "No")
        assert set(caught.value.fields) == {"files"}

    def test_no_files_are_refused(self, forge, ref):
        with pytest.raises(ValidationError, match="no files"):
            forge.put_files(ref, "main", [], "Nothing")

    def test_the_expected_sha_may_be_the_blob_or_a_commit_that_shows_the_same_file(self, forge, ref):
        seen = forge.put_files(ref, "main", [FileChange("a", b"1")], "One").sha
        _, blob = forge.read_file(ref, "main", "a")
        forge.put_files(ref, "main", [FileChange("unrelated", b"1")], "Other")
        forge.put_files(ref, "main", [FileChange("a", b"2", expected_sha=seen)], "Two")
        with pytest.raises(ConflictError, match="a on main of acme/shop"):
            forge.put_files(ref, "main", [FileChange("a", b"3", expected_sha=blob)], "Three")
        with pytest.raises(ConflictError):
            forge.put_files(ref, "main", [FileChange("a", b"3", expected_sha=seen)], "Three")
        _, blob = forge.read_file(ref, "main", "a")
        assert forge.put_files(ref, "main", [FileChange("a", b"3", expected_sha=blob)], "Three").changed == ("a",)
        assert forge.put_files(ref, "main", [FileChange("a", b"3", expected_sha=blob)], "Again").changed == ()

    @pytest.mark.parametrize("sha", ["0" * 40, "deadbeef", "not a sha"])
    def test_a_stale_or_foreign_sha_is_a_conflict(self, forge, ref, sha):
        with pytest.raises(ConflictError):
            forge.put_files(ref, "main", [FileChange("README.md", b"2", expected_sha=sha)], "No")
        with pytest.raises(ConflictError, match="it is gone"):
            forge.put_files(ref, "main", [FileChange("new.md", b"2", expected_sha=sha)], "No")

    @pytest.mark.parametrize("at", [1, 2])
    def test_a_lost_attempt_moves_no_branch(self, forge, ref, root, at):
        head = forge.branch_head(ref, "main")
        before = snapshot(root)
        with pytest.raises(LostError):
            losing(root, at).put_files(ref, "main", [FileChange("a", b"1")], "No")
        assert forge.branch_head(ref, "main") == head
        if at == 1:
            assert snapshot(root) == before
        assert forge.put_files(ref, "main", [FileChange("a", b"1")], "Yes").changed == ("a",)

    def test_reading_never_asks_the_guard(self, ref, root):
        lost = losing(root, 1)
        assert lost.read_file(ref, "main", "README.md")
        assert lost.read_file(ref, "main", "nope") is None
        assert lost.read_file(ref, "nope", "README.md") is None
        assert lost.list_owners() == ("acme",)
        assert [repo.ref for repo in lost.list_repositories("acme")] == [ref]

    def test_hostile_author_names_cannot_forge_a_header(self, ref, root, bare):
        evil = Author("Eve <root@x>\nparent 0000", "e@x>\n")
        LocalProvider(root, None, nothing, evil).put_files(ref, "main", [FileChange("a", b"1")], "Hi")
        bare("fsck", "--strict")
        assert bare("log", "-1", "--format=%an|%ae").strip() == "Eve root@xparent 0000|e@x"


class TestConcurrency:
    def test_no_commit_of_several_processes_is_lost(self, ref, root, bare, forge):
        _run_all([(_commit_some, (str(root), f"p{number}", 6)) for number in range(4)])
        files = {file.path for file in forge.tree(ref, "main")}
        assert files == {"README.md"} | {f"p{process}/{number}.txt" for process in range(4) for number in range(6)}
        assert bare("rev-list", "--count", "main").strip() == "25"
        assert bare("rev-list", "--count", "--first-parent", "main").strip() == "25"
        bare("fsck", "--strict")

    def test_a_push_between_reading_and_writing_is_kept(self, ref, root, tmp_path, bare):
        clone = tmp_path / "clone"
        git("clone", "-q", root / "acme/shop.git", clone)
        pushed = []

        def push_once():
            if not pushed:
                pushed.append(1)
                (clone / "theirs.txt").write_text("theirs")
                git("add", ".", cwd=clone)
                git("commit", "-q", "-m", "Theirs", cwd=clone)
                git("push", "-q", cwd=clone)

        LocalProvider(root, None, push_once, ADA).put_files(ref, "main", [FileChange("ours.txt", b"o")], "Ours")
        assert bare("log", "--format=%s", "main").split("\n")[:2] == ["Ours", "Theirs"]
        assert "theirs.txt" in bare("ls-tree", "--name-only", "main")

    def test_a_branch_that_never_stands_still_is_a_conflict(self, ref, root, forge, bare):
        tree = bare("rev-parse", "main^{tree}").strip()
        moves = []

        def move():
            moves.append(1)
            commit = bare("commit-tree", tree, "-p", "main", "-m", f"Move {len(moves)}").strip()
            bare("update-ref", "refs/heads/main", commit)

        with pytest.raises(ConflictError, match="main of acme/shop moved"):
            LocalProvider(root, None, move, ADA).put_files(ref, "main", [FileChange("a", b"1")], "No")
        assert forge.read_file(ref, "main", "a") is None
        assert len(moves) <= 10

    def test_a_process_killed_in_its_commit_holds_nobody_up(self, ref, root, forge, monkeypatch):
        monkeypatch.setattr(local_git, "LOCK_SECONDS", 0)
        monkeypatch.setattr(local_git, "REF_LOCK_SECONDS", 0)
        _run(_commit_and_die, str(root), expect=-signal.SIGKILL)
        assert forge.put_files(ref, "main", [FileChange("a", b"1")], "One").changed == ("a",)

    def test_locks_that_a_killed_process_left_are_removed(self, ref, root, forge, tmp_path):
        repo = root / "acme/shop.git"
        lock = repo / "refs/heads/main.lock"
        lock.touch()
        os.utime(lock, (time.time() - 60,) * 2)
        (tmp_path / "a").write_bytes(b"1")
        blob = git("hash-object", tmp_path / "a").strip()
        (repo / "objects" / blob[:2]).mkdir(exist_ok=True)
        (repo / "objects" / blob[:2] / f"{blob[2:]}.lock").touch()
        assert forge.put_files(ref, "main", [FileChange("a", b"1")], "One").changed == ("a",)
        assert forge.read_file(ref, "main", "a") == (b"1", blob)
        assert not lock.exists()

    def test_a_lock_that_another_git_holds_is_waited_for_and_named(self, ref, root, forge, monkeypatch):
        lock = root / "acme/shop.git/refs/heads/main.lock"
        lock.touch()
        timer = threading.Timer(0.3, lock.unlink)
        timer.start()
        forge.put_files(ref, "main", [FileChange("a", b"1")], "One")
        timer.join()
        monkeypatch.setattr(local_git, "REF_LOCK_SECONDS", 0.2)
        lock.touch()
        with pytest.raises(RemoteError, match="keeps the branch main of acme/shop locked") as caught:
            forge.put_files(ref, "main", [FileChange("a", b"2")], "Two")
        assert caught.value.retryable

    def test_a_writer_that_hangs_is_named_after_a_while(self, ref, root, forge, monkeypatch):
        monkeypatch.setattr(local_git, "LOCK_SECONDS", 0.2)
        with (
            local_git.locked(root / "acme/shop.git", "acme/shop"),
            pytest.raises(RemoteError, match="acme/shop was being written to"),
        ):
            forge.put_files(ref, "main", [FileChange("a", b"2")], "Two")

    def test_two_openers_get_one_pull_request(self, ref, root, forge):
        forge.put_files(ref, "fix", [FileChange("a", b"1")], "Fix", base_branch="main")
        found = []

        def open_it():
            mine = LocalProvider(root, None, nothing, ADA)
            found.append(mine.open_pull(ref, head="fix", base="main", title="Fix", body=""))

        threads = [threading.Thread(target=open_it) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {pull.number for pull in found} == {1}
        assert sorted(pull.fresh for pull in found) == [False] * 5 + [True]
        assert len(forge.list_pulls(ref)) == 1


class TestPullRequests:
    @pytest.fixture
    def pull(self, forge, ref):
        forge.put_files(ref, "fix", [FileChange("docs/index.md", b"# Docs\n")], "Add docs", base_branch="main")
        return forge.open_pull(ref, head="fix", base="main", title="Add docs", body="Why not")

    def test_it_is_open_and_has_a_page(self, forge, ref, pull):
        assert (pull.number, pull.state, pull.opened_by, pull.fresh) == (1, "open", "Ada Lovelace", True)
        assert pull.url == "https://forge.example/acme/shop/pulls/1"
        assert forge.get_pull(ref, 1) == pull
        assert forge.list_pulls(ref) == (pull,)

    def test_the_same_branches_find_the_open_one(self, forge, ref, pull):
        forge.put_files(ref, "fix", [FileChange("more.md", b"1")], "More")
        again = forge.open_pull(ref, head="fix", base="main", title="Another title", body="")
        assert again == replace(pull, head_sha=forge.branch_head(ref, "fix"))
        assert not again.fresh

    def test_its_diff_is_from_where_the_branches_parted(self, forge, ref, pull, bare):
        forge.put_files(ref, "main", [FileChange("later.md", b"1")], "Later on main")
        diff = forge.diff(ref, pull.number)
        assert "+# Docs" in diff
        assert "later.md" not in diff
        assert [line for line in diff.splitlines() if line[:1] in "+-"] == [
            line for line in bare("diff", "main...fix").splitlines() if line[:1] in "+-"
        ]

    @pytest.mark.usefixtures("pull")
    def test_merging_makes_a_commit_with_two_parents(self, forge, ref, root, bare):
        forge.put_files(ref, "main", [FileChange("later.md", b"1")], "Later on main")
        before, head = forge.branch_head(ref, "main"), forge.branch_head(ref, "fix")
        merged = LocalProvider(root, None, nothing, GRACE).merge_pull(ref, 1)
        assert (merged.state, merged.merged_by) == ("merged", "Grace Hopper")
        assert bare("rev-list", "--parents", "-1", "main").split() == [merged.merge_sha, before, head]
        assert bare("log", "-1", "--format=%an %s", "main").strip() == "Grace Hopper Merge pull request #1 from fix"
        assert {file.path for file in forge.tree(ref, "main")} == {"README.md", "docs/index.md", "later.md"}
        assert "+# Docs" in forge.diff(ref, 1)
        bare("fsck", "--strict")

    @pytest.mark.usefixtures("pull")
    def test_merging_twice_changes_nothing(self, forge, ref, root):
        merged = forge.merge_pull(ref, 1)
        before = snapshot(root)
        assert forge.merge_pull(ref, 1) == merged == forge.get_pull(ref, 1)
        assert snapshot(root) == before

    @pytest.mark.usefixtures("pull")
    def test_a_merged_one_is_found_while_its_branch_has_not_moved(self, forge, ref):
        merged = forge.merge_pull(ref, 1)
        assert forge.open_pull(ref, head="fix", base="main", title="Add docs", body="") == merged
        forge.put_files(ref, "fix", [FileChange("more.md", b"1")], "More")
        assert forge.open_pull(ref, head="fix", base="main", title="More", body="").number == 2

    @pytest.mark.usefixtures("pull")
    def test_a_conflict_names_the_files_and_merges_nothing(self, forge, ref, root):
        forge.put_files(ref, "main", [FileChange("docs/index.md", b"Other\n")], "Same file")
        before = snapshot(root)
        with pytest.raises(ConflictError, match=r"both changed docs/index\.md"):
            forge.merge_pull(ref, 1)
        assert snapshot(root) == before

    @pytest.mark.usefixtures("pull")
    def test_a_file_against_a_folder_is_a_conflict_too(self, forge, ref):
        forge.put_files(ref, "main", [FileChange("docs", b"a file")], "A file named docs")
        with pytest.raises(ConflictError, match="both changed docs"):
            forge.merge_pull(ref, 1)

    def test_deletions_and_moves_that_git_pushed_are_merged(self, forge, ref, tmp_path, bare):
        forge.put_files(ref, "main", [FileChange("old/a.txt", b"a"), FileChange("b", b"b")], "Files")
        clone = tmp_path / "clone"
        git("clone", "-q", forge.get_repo("acme", "shop").clone_url, clone)
        git("checkout", "-q", "-b", "move", cwd=clone)
        git("rm", "-q", "-r", "old", "b", cwd=clone)
        (clone / "b").mkdir()
        (clone / "b/inner.txt").write_text("now a folder")
        git("add", ".", cwd=clone)
        git("commit", "-q", "-m", "Move", cwd=clone)
        git("push", "-q", "origin", "move", cwd=clone)
        forge.put_files(ref, "main", [FileChange("c", b"c")], "Meanwhile")
        forge.open_pull(ref, head="move", base="main", title="Move", body="")
        forge.merge_pull(ref, 1)
        assert {file.path for file in forge.tree(ref, "main")} == {"README.md", "b/inner.txt", "c"}
        bare("fsck", "--strict")

    @pytest.mark.usefixtures("pull")
    def test_a_merge_that_died_before_its_record_is_finished_by_the_next(self, forge, ref, root, bare):
        with pytest.raises(LostError):
            losing(root, 3).merge_pull(ref, 1)  # the third guard is the record's
        head = forge.branch_head(ref, "main")
        assert forge.get_pull(ref, 1).state == "open"
        merged = forge.merge_pull(ref, 1)
        assert (merged.state, merged.merge_sha) == ("merged", head)
        assert bare("rev-list", "--count", "--merges", "main").strip() == "1"

    @pytest.mark.parametrize("at", [1, 2])
    @pytest.mark.usefixtures("pull")
    def test_a_lost_attempt_merges_nothing(self, forge, ref, root, at):
        head = forge.branch_head(ref, "main")
        with pytest.raises(LostError):
            losing(root, at).merge_pull(ref, 1)
        assert forge.branch_head(ref, "main") == head

    def test_a_lost_attempt_opens_nothing(self, forge, ref, root):
        forge.put_files(ref, "fix", [FileChange("a", b"1")], "Fix", base_branch="main")
        before = snapshot(root)
        with pytest.raises(LostError):
            losing(root, 1).open_pull(ref, head="fix", base="main", title="Fix", body="")
        assert snapshot(root) == before

    def test_what_cannot_be_proposed_is_said(self, forge, ref, bare):
        with pytest.raises(ValidationError, match="no branch fix: push it first") as caught:
            forge.open_pull(ref, head="fix", base="main", title="Fix", body="")
        assert set(caught.value.fields) == {"headBranch"}
        bare("branch", "fix", "main")
        with pytest.raises(ValidationError, match="no commit that main lacks"):
            forge.open_pull(ref, head="fix", base="main", title="Fix", body="")
        with pytest.raises(NotFoundError, match="no branch nope to merge into"):
            forge.open_pull(ref, head="fix", base="nope", title="Fix", body="")
        tree = bare("rev-parse", "main^{tree}").strip()
        bare("update-ref", "refs/heads/stranger", bare("commit-tree", tree, "-m", "Alone").strip())
        with pytest.raises(ValidationError, match="share no history"):
            forge.open_pull(ref, head="stranger", base="main", title="Fix", body="")

    def test_an_unknown_number_is_not_found(self, forge, ref):
        for look in (forge.get_pull, forge.diff, forge.merge_pull, forge.close_pull):
            with pytest.raises(NotFoundError, match="acme/shop has no pull request #7"):
                look(ref, 7)

    @pytest.mark.usefixtures("pull")
    def test_a_broken_record_is_named(self, forge, ref, root):
        (root / "acme/shop.git/portal-actions.pulls/1.json").write_text("{")
        with pytest.raises(RemoteError, match=r"#1 of acme/shop is broken"):
            forge.get_pull(ref, 1)

    @pytest.mark.usefixtures("pull")
    def test_without_a_web_page_its_address_is_the_repository(self, ref, root):
        plain = LocalProvider(root, None, nothing, ADA)
        assert plain.get_pull(ref, 1).url == (root / "acme/shop.git").as_uri() + "#pull-1"

    def test_its_head_is_the_commit_that_would_be_merged(self, forge, ref, pull):
        assert pull.head_sha == forge.branch_head(ref, "fix")
        forge.put_files(ref, "fix", [FileChange("more.md", b"1")], "More")
        assert forge.get_pull(ref, 1).head_sha == forge.branch_head(ref, "fix") != pull.head_sha

    @pytest.mark.parametrize("end", ["close_pull", "merge_pull"])
    def test_a_head_that_has_moved_since_it_was_seen_is_left_alone(self, forge, ref, pull, root, end):
        forge.put_files(ref, "fix", [FileChange("more.md", b"1")], "More")
        before = snapshot(root)
        with pytest.raises(ConflictError, match=f"not at {pull.head_sha[:7]}: nothing was done"):
            getattr(forge, end)(ref, 1, expected_head=pull.head_sha)
        assert snapshot(root) == before
        now = forge.get_pull(ref, 1).head_sha
        assert getattr(forge, end)(ref, 1, expected_head=now).state != "open"

    def test_a_squash_is_one_commit_on_the_base_and_is_found_again(self, forge, ref, pull, bare):
        base = forge.branch_head(ref, "main")
        forge.put_files(ref, "fix", [FileChange("more.md", b"1")], "More")
        merged = forge.merge_pull(ref, 1, method="squash")
        assert bare("rev-list", "--parents", "-1", "main").split() == [merged.merge_sha, base]
        assert bare("log", "-1", "--format=%B", "main").strip() == "Add docs (#1)\n\nWhy not"
        assert forge.open_pull(ref, head="fix", base="main", title="Add docs", body="").number == pull.number

    @pytest.mark.usefixtures("pull")
    def test_a_squash_that_died_before_its_record_makes_no_second_commit(self, forge, ref, root):
        with pytest.raises(LostError):
            losing(root, 3).merge_pull(ref, 1, method="squash")
        head = forge.branch_head(ref, "main")
        assert forge.merge_pull(ref, 1, method="squash").merge_sha == head == forge.branch_head(ref, "main")

    @pytest.mark.usefixtures("pull")
    def test_a_way_to_merge_that_it_lacks_is_named(self, forge, ref):
        with pytest.raises(ValidationError, match="by merge or squash, and not by rebase"):
            forge.merge_pull(ref, 1, method="rebase")

    def test_a_closed_one_stays_closed_and_its_branches_get_a_new_one(self, forge, ref, pull, root):
        closed = forge.close_pull(ref, 1)
        assert (closed.state, closed.head_sha) == ("closed", pull.head_sha)
        before = snapshot(root)
        assert forge.close_pull(ref, 1, expected_head="0" * 40) == closed
        assert snapshot(root) == before
        with pytest.raises(ConflictError, match="#1 of acme/shop is closed"):
            forge.merge_pull(ref, 1)
        assert "+# Docs" in forge.diff(ref, 1)
        assert forge.open_pull(ref, head="fix", base="main", title="Again", body="").number == 2

    @pytest.mark.usefixtures("pull")
    def test_a_merged_one_is_not_closed(self, forge, ref):
        merged = forge.merge_pull(ref, 1)
        assert forge.close_pull(ref, 1) == merged

    @pytest.mark.usefixtures("pull")
    def test_a_record_of_before_labels_and_closing_can_be_read(self, forge, ref, root):
        file = root / "acme/shop.git/portal-actions.pulls/1.json"
        record = json.loads(file.read_text())
        del record["labels"]
        file.write_text(json.dumps(record))
        assert forge.get_pull(ref, 1).state == "open"


HOOK = WebhookSpec("https://portal.example/hook", ("push",), "s3cret-of-the-hook")


class TestRecords:
    """What the local forge keeps, though nothing here uses it, so that templates can be tried."""

    @pytest.fixture
    def warned(self):
        return []

    @pytest.fixture
    def forge(self, root, warned):
        return LocalProvider(root, "https://forge.example", nothing, ADA, warn=warned.append)

    def test_it_has_all_but_runs_of_a_ci(self, forge, ref):
        assert forge.operations == frozenset(Operation) - {Operation.DISPATCH_WORKFLOW, Operation.ENSURE_GROUP}
        with pytest.raises(ConfigurationError, match="The forge local cannot start runs of its CI"):
            forge.dispatch_workflow(ref, workflow="ci.yml", branch="main", inputs={}, claim="c")

    def test_a_webhook_is_found_by_its_address(self, forge, ref, root, warned):
        made = forge.ensure_webhook(ref, HOOK)
        assert (made.outcome, made.url) == ("created", "https://forge.example/acme/shop/webhooks/1")
        before = snapshot(root)
        assert forge.ensure_webhook(ref, HOOK) == replace(made, outcome="unchanged")
        assert snapshot(root) == before
        for other in (replace(HOOK, events=("push", "release")), HOOK, replace(HOOK, secret="other"), HOOK):
            assert forge.ensure_webhook(ref, other) == replace(made, outcome="updated")
        assert forge.ensure_webhook(ref, replace(HOOK, callback_url="https://other.example")).id == "2"
        assert set(warned) == {"The local forge keeps the webhook of acme/shop as a record: it calls nobody."}

    def test_no_secret_is_on_the_disk(self, forge, ref, root):
        forge.ensure_webhook(ref, HOOK)
        forge.set_variable(ref, Variable("TOKEN", "s3cret-of-the-ci"))
        assert not any(b"s3cret" in content for content in snapshot(root).values())

    def test_a_variable_is_kept_and_a_secret_by_name_only(self, forge, ref, root, warned):
        forge.set_variable(ref, Variable("REGION", "north", is_secret=False))
        forge.set_variable(ref, Variable("REGION", "south", is_secret=False))
        forge.set_variable(ref, Variable("TOKEN", "x"))
        kept = json.loads((root / "acme/shop.git/portal-actions.settings/variables.json").read_text())
        assert kept == {
            "REGION": {"isSecret": False, "isProtected": False, "value": "south"},
            "TOKEN": {"isSecret": True, "isProtected": False},
        }
        assert "the name of the secret TOKEN as a record: it has no CI" in warned[-1]

    def test_protection_says_that_nothing_enforces_it(self, forge, ref):
        done = forge.protect_branch(ref, "main", Protection(2, ("test",)))
        assert done == Protected(True, done.cannot)
        assert "the protection of main as a record: nothing enforces it" in done.cannot[0]
        assert not forge.protect_branch(ref, "main", Protection(2, ("test",))).changed
        assert forge.protect_branch(ref, "main", Protection(1)).changed

    def test_topics_and_collaborators_are_sets(self, forge, ref):
        assert forge.set_topics(ref, ["python", "shop"]) == ("python", "shop")
        assert forge.set_topics(ref, ["shop", "web"]) == ("web",)
        team = Collaborator("buyers", "write", is_team=True)
        assert forge.add_collaborators(ref, [team, Collaborator("grace", "read")]) == ("buyers", "grace")
        assert forge.add_collaborators(ref, [team, Collaborator("grace", "admin")]) == ("grace",)

    def test_an_issue_is_opened_once_for_each_claim(self, forge, ref):
        ask = {"title": "Late", "body": "Why?", "labels": ["bug"], "assignees": ["grace"]}
        made = forge.create_issue(ref, **ask, claim="c1")
        assert (made.number, made.url, made.fresh) == (1, "https://forge.example/acme/shop/issues/1", True)
        again = forge.create_issue(ref, **ask, claim="c1")
        assert again == made
        assert not again.fresh
        assert forge.create_issue(ref, **ask, claim="c2").number == 2

    def test_issues_and_pull_requests_count_together_and_have_labels(self, forge, ref):
        issue = forge.create_issue(ref, title="Late", body="", labels=["bug"], assignees=[], claim="c1")
        forge.put_files(ref, "fix", [FileChange("a", b"1")], "Fix", base_branch="main")
        pull = forge.open_pull(ref, head="fix", base="main", title="Fix", body="")
        assert (issue.number, pull.number) == (1, 2)
        for number, missing in ((1, ("new",)), (2, ("bug", "new"))):
            assert forge.label_issue(ref, number, ["bug", "new", "new"]) == missing
            assert forge.label_issue(ref, number, ["new"]) == ()
        with pytest.raises(NotFoundError, match="no issue or pull request #3"):
            forge.label_issue(ref, 3, ["bug"])

    def test_a_lost_attempt_keeps_nothing(self, forge, ref, root):
        before = snapshot(root)
        for write in (
            lambda lost: lost.ensure_webhook(ref, HOOK),
            lambda lost: lost.protect_branch(ref, "main", Protection()),
            lambda lost: lost.set_topics(ref, ["a"]),
            lambda lost: lost.add_collaborators(ref, [Collaborator("grace", "read")]),
            lambda lost: lost.set_variable(ref, Variable("A", "b")),
            lambda lost: lost.create_issue(ref, title="T", body="", labels=[], assignees=[], claim="c"),
        ):
            with pytest.raises(LostError):
                write(losing(root, 1))
        assert snapshot(root) == before

    def test_a_broken_record_is_named(self, forge, ref, root):
        forge.set_topics(ref, ["a"])
        (root / "acme/shop.git/portal-actions.settings/topics.json").write_text("[]")
        with pytest.raises(RemoteError, match="the topics of acme/shop is broken"):
            forge.set_topics(ref, ["b"])


class TestStayingInside:
    @pytest.mark.parametrize(
        "owner", ["..", ".", "", "acme/..", "acme/team", "/etc", "a b", "-x", "acme\n", "x.git", "ä", "a" * 101]
    )
    def test_owners_cannot_climb(self, forge, owner):
        with pytest.raises(ValidationError) as caught:
            forge.create_repo(owner, "shop", **CREATE)
        assert set(caught.value.fields) == {"owner"}

    def test_owners_of_inputs_may_be_groups_within_groups(self):
        for owner in ("acme", "acme/platform", "acme/platform/core.team"):
            names.check_owner_path(owner)
        for owner in ("acme/", "/acme", "acme//team", "acme/../x", "acme/-x", "/".join(["a"] * 21)):
            with pytest.raises(ValidationError) as caught:
                names.check_owner_path(owner)
            assert set(caught.value.fields) == {"owner"}

    @pytest.mark.parametrize(
        "repo", ["..", ".", "", "a/b", "../x", "a b", "-x", "x.git", "x\x00", "...", "x.", "a" * 101]
    )
    def test_repositories_cannot_climb(self, forge, ref, repo):
        with pytest.raises(ValidationError) as caught:
            forge.create_repo("acme", repo, **CREATE)
        assert set(caught.value.fields) == {"repo"}
        with pytest.raises(ValidationError):
            forge.branches(replace(ref, repo=repo))

    def test_a_repository_may_start_with_a_dot_as_on_github(self, forge):
        forge.create_repo("acme", ".github", **CREATE)
        assert [repo.ref.repo for repo in forge.list_repositories("acme")] == [".github"]

    def test_links_are_no_owners_and_no_repositories(self, forge, root, tmp_path):
        outside = tmp_path / "outside"
        (outside / "x.git").mkdir(parents=True)
        git("init", "-q", "--bare", outside / "x.git")
        (root / "evil").symlink_to(outside)
        (root / "acme/x.git").symlink_to(outside / "x.git")
        assert forge.list_owners() == ("acme",)
        assert forge.list_repositories("acme") == ()
        with pytest.raises(NotFoundError, match="no owner evil"):
            forge.create_repo("evil", "shop", **CREATE)
        with pytest.raises(NotFoundError, match="no repository acme/x"):
            forge.put_files(RepoRef("local", "acme", "x", "main"), "main", [FileChange("a", b"1")], "No")

    @pytest.mark.parametrize(
        "path",
        [
            "/etc/passwd", "../x", "a/../../x", "a/./b", "a//b", "a/", "", ".git/hooks/post-commit", "a/.GIT/config",
            ".git./x", ".git /x", ".g\u200cit/config", "git~1/config", "a\\..\\b", "a\x00b", "a\nb", "\ud800", "x" * 256,
            "/".join(["abcdefg"] * 200),
        ],
    )  # fmt: skip
    def test_paths_cannot_climb(self, forge, ref, root, path):
        before = snapshot(root)
        with pytest.raises(ValidationError) as caught:
            forge.put_files(ref, "main", [FileChange(path, b"1")], "No")
        assert set(caught.value.fields) == {"path"}
        with pytest.raises(ValidationError):
            forge.read_file(ref, "main", path)
        assert snapshot(root) == before

    @pytest.mark.parametrize(
        "path",
        [
            ".git:x", ".git::$INDEX_ALLOCATION/config", "a/.GIT::$DATA", ".git . .:x", "git~1:x", "GIT~1./x", ".g\u200c\ufeffit:y",
            "a\x85b", "a\x9bb",
        ],
    )  # fmt: skip
    def test_what_a_file_system_opens_as_gits_own_folder_is_no_path(self, path):
        with pytest.raises(ValidationError) as caught:
            names.check_path(path)
        assert set(caught.value.fields) == {"path"}

    @pytest.mark.parametrize(
        "path",
        [
            "a",
            ".github/workflows/ci.yml",
            ".gitignore",
            "a b/ü.txt",
            "...",
            "x" * 255,
            "a.git",
            "a:b",
            ".gitx:y",
            "git~2",
        ],
    )
    def test_ordinary_paths_pass(self, path):
        names.check_path(path)

    @pytest.mark.parametrize("branch", ["refs/heads/x", "refs/tags/v1", "refs/x", "refs/pull/1/head"])
    def test_a_branch_that_names_its_place_in_git_is_refused(self, branch):
        with pytest.raises(ValidationError, match="without 'refs/heads/'") as caught:
            names.check_branch(branch, "headBranch")
        assert set(caught.value.fields) == {"headBranch"}

    BRANCHES = (
        "main", "fix/docs", "a.b", "x-", "feature/ü", "a@b", "HEAD/x", "xrefs/x", "1", "", "-x", "HEAD", "@", "a..b", "a b", "a~b",
        "a^b", "a:b", "a?b", "a*b", "a[b", "a\\b", "/a", "a/", "a//b", ".a", "a/.b", "a.lock", "a.lock/b", "a.",
        "a@{b", "a\x7fb", "a\nb",
    )  # fmt: skip

    @pytest.mark.parametrize("branch", BRANCHES)
    def test_branches_are_what_git_says_they_are(self, branch):
        git_says = bool(branch) and bool(git("check-ref-format", "--branch", branch, check=False))
        if branch == "@":
            git_says = False  # git reads it as HEAD here
        try:
            names.check_branch(branch)
        except ValidationError:
            assert not git_says
        else:
            assert git_says

    def test_reading_a_branch_checks_its_name(self, forge, ref):
        for read in (forge.branch_head, forge.log, forge.tree):
            with pytest.raises(ValidationError):
                read(ref, "../../config")

    def test_a_folder_that_is_no_repository_is_not_found(self, forge, root):
        (root / "acme/notes.git").mkdir()
        with pytest.raises(NotFoundError, match="no repository acme/notes"):
            forge.get_repo("acme", "notes")


class TestOpening:
    @pytest.fixture
    def opening(self, root):
        return Opening(Installation("local", "local"), ADA, local_root=root, local_url="https://forge.example/")

    @pytest.fixture
    def kinds(self):
        return ProviderKinds.from_entry_points()

    def test_local_is_opened_from_its_settings(self, kinds, opening):
        forge = kinds.open(opening)
        assert forge.create_repo("acme", "shop", **CREATE).web_url == "https://forge.example/acme/shop"

    def test_references_carry_the_name_of_the_installation(self, kinds, opening):
        forge = kinds.open(replace(opening, installation=Installation("disk", "local")))
        assert forge.create_repo("acme", "shop", **CREATE).ref.provider == "disk"

    def test_an_unknown_provider_names_those_that_there_are(self):
        with pytest.raises(ValidationError, match="'gitea': this portal knows local"):
            installation_named(read_installations({}), "gitea")

    def test_without_a_root_the_setting_is_named(self, kinds, opening):
        with pytest.raises(ConfigurationError, match="PORTAL_ACTIONS_LOCAL_SCM_ROOT"):
            kinds.open(replace(opening, local_root=None))


# What other processes do. They are started afresh, so nothing is shared but the disk.

SHOP = RepoRef("local", "acme", "shop", "main")


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def _create_and_die(root):
    LocalProvider(Path(root), None, _die, ADA).create_repo("acme", "shop", **CREATE)


def _commit_and_die(root):
    looks = iter(range(1, 100))
    guard = lambda: _die() if next(looks) == 2 else None  # noqa: E731
    LocalProvider(Path(root), None, guard, ADA).put_files(SHOP, "main", [FileChange("a", b"1")], "One")


def _commit_some(root, folder, count):
    forge = LocalProvider(Path(root), None, nothing, ADA)
    for number in range(count):
        forge.put_files(SHOP, "main", [FileChange(f"{folder}/{number}.txt", b"x")], f"{folder} {number}")


def _run(target, *arguments, expect=0):
    _run_all([(target, arguments)], expect)


def _run_all(targets, expect=0):
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=target, args=arguments) for target, arguments in targets]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == expect
