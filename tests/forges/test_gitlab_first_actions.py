"""Creating, committing, proposing: the provider against the double, over real sockets and git's own protocol."""

from __future__ import annotations

from dataclasses import replace

import pytest

from portal_actions_plugin.errors import (
    AuthError,
    ConflictError,
    NotFoundError,
    RemoteError,
    ValidationError,
)
from portal_actions_plugin.scm.base import FileChange
from portal_actions_plugin.scm.remote import lost_answers
from tests.support.action_helpers import LostError
from tests.support.forges.faults import Close, CutShort, Reset, Respond
from tests.support.forges.gitlab import DEVELOPER, GUEST, MAINTAINER
from tests.support.forges.gitlab_provider import OpenedGitLab, acme, ada, gitlab, opened, ref, scm, shop

__all__ = ["acme", "ada", "gitlab", "opened", "ref", "scm", "shop"]

CREATE = {"visibility": "private", "description": "Sells things", "init_with_readme": False, "claim": "c1"}
FILES = [
    FileChange("README.md", b"# shop\n"),
    FileChange("src/app.py", b"print('\xc3\xa4')\n"),
    FileChange("logo.png", b"\x89\0\xff"),
]
MANY = [FileChange(f"service/part{index % 7}/f{index}.txt", f"{index}\n".encode()) for index in range(300)]
MANY += [FileChange(f"service/img/{index}.png", b"\x89PNG\0" + bytes([index])) for index in range(3)]


def test_a_project_is_created_filled_and_proposed_to(scm, gitlab, ref):
    made = scm.create_repo("acme", "shop", **CREATE)
    assert (made.fresh, made.ref, made.description) == (True, ref, "Sells things")
    assert made.web_url == f"{gitlab.url}/acme/shop"
    first = scm.put_files(ref, "main", FILES, "Add the skeleton")
    assert gitlab.files("acme/shop") == {change.path: change.content for change in FILES}
    assert [one.sha for one in gitlab.commits("acme/shop")] == [first.sha]
    second = scm.put_files(ref, "fix", [FileChange("docs/a.md", b"a")], "Add a page", base_branch="main")
    assert (second.changed, second.created_from) == (("docs/a.md",), "main")
    pull = scm.open_pull(ref, head="fix", base="main", title="A page", body="Look")
    assert (pull.number, pull.state, pull.fresh) == (1, "open", True)
    assert pull.url == f"{gitlab.url}/acme/shop/-/merge_requests/1"
    assert pull.head_sha == second.sha
    assert scm.file_url(ref, "fix", "docs/a.md") == f"{gitlab.url}/acme/shop/-/blob/fix/docs/a.md"


def test_all_of_it_twice_writes_nothing_the_second_time(opened, gitlab, ref):
    for turn in range(2):
        scm = opened.provider()
        gitlab.log.clear()
        made = scm.create_repo("acme", "shop", **CREATE)
        pushed = scm.put_files(ref, "main", FILES, "Add the skeleton")
        proposed = scm.put_files(ref, "fix", [FileChange("a.md", b"a")], "Add a page", base_branch="main")
        pull = scm.open_pull(ref, head="fix", base="main", title="A page", body="")
        assert (made.fresh, bool(pushed.changed), bool(proposed.changed), pull.fresh) == (turn == 0,) * 4
    assert gitlab.log.writes() == []
    assert (len(gitlab.commits("acme/shop")), len(gitlab.pulls("acme/shop"))) == (1, 1)


class TestCreating:
    def test_a_readme_is_gitlabs_first_commit(self, scm, gitlab):
        scm.create_repo("acme", "shop", **{**CREATE, "init_with_readme": True})
        assert list(gitlab.files("acme/shop")) == ["README.md"]

    def test_groups_within_groups_are_owners(self, scm, gitlab):
        gitlab.add_group("acme/platform", {})
        made = scm.create_repo("acme/platform", "shop", **CREATE)
        assert (made.ref.owner, made.ref.repo) == ("acme/platform", "shop")
        scm.put_files(made.ref, "main", FILES, "Add")
        assert len(gitlab.files("acme/platform/shop")) == 3

    def test_ones_own_name_is_an_owner_and_another_persons_is_not(self, scm, gitlab):
        gitlab.add_user("grace")
        assert scm.create_repo("ada", "shop", **CREATE).ref.owner == "ada"
        with pytest.raises(NotFoundError, match="no group or user grace"):
            scm.create_repo("grace", "shop", **CREATE)

    def test_an_administrator_sees_other_persons_and_creates_nothing_in_their_name(self, gitlab):
        gitlab.add_user("grace")
        opened = OpenedGitLab(gitlab, gitlab.add_token(gitlab.add_user("root", admin=True), "api"))
        with pytest.raises(ValidationError, match="grace is a person") as caught:
            opened.provider().create_repo("grace", "shop", **CREATE)
        assert set(caught.value.fields) == {"owner"}

    def test_an_owner_that_is_missing_or_hidden_is_not_found_and_nothing_is_made(self, scm, gitlab):
        gitlab.add_group("hidden", {})
        for owner in ("globex", "hidden"):
            with pytest.raises(NotFoundError, match=f"no group or user {owner}") as caught:
                scm.create_repo(owner, "shop", **CREATE)
            assert set(caught.value.fields) == {"owner"}
        assert gitlab.log.writes() == []

    @pytest.mark.parametrize("claim", ["c2", ""])
    def test_a_project_of_another_claim_is_a_conflict(self, opened, gitlab, claim):
        opened.provider().create_repo("acme", "shop", **CREATE)
        gitlab.log.clear()
        with pytest.raises(ConflictError, match="acme/shop exists already"):
            opened.provider().create_repo("acme", "shop", **{**CREATE, "claim": claim})
        assert gitlab.log.writes() == []

    def test_a_project_that_somebody_else_has_made_is_a_conflict(self, scm, gitlab, shop):
        with pytest.raises(ConflictError, match="acme/shop exists already") as caught:
            scm.create_repo("acme", "shop", **CREATE)
        assert f"{gitlab.url}/acme/shop" in caught.value.hint

    def test_a_claim_belongs_to_its_input_and_is_not_inherited(self, opened, gitlab):
        opened.provider().create_repo("acme", "shop", **CREATE)
        with pytest.raises(ConflictError):
            opened.provider().create_repo("acme", "shop", **{**CREATE, "visibility": "public"})

    def test_a_hidden_project_of_that_name_is_a_conflict_that_says_where_to_look(self, gitlab, ada, acme):
        gitlab.add_project("acme/shop", ada)
        grace = gitlab.add_user("grace")
        acme.visibility = "public"
        opened = OpenedGitLab(gitlab, gitlab.add_token(grace, "api"))
        sub = gitlab.add_group("acme/sub", {"grace": MAINTAINER})
        hidden = gitlab.add_project("acme/sub/shop", ada)
        sub.members.clear()
        hidden.members.clear()
        sub.members[grace.id] = DEVELOPER
        gitlab.faults.order(
            "GET", "/projects/acme%2Fsub%2Fshop", Respond(404, {"message": "404 Project Not Found"}), times=9
        )
        with pytest.raises(ConflictError, match="already been taken") as caught:
            opened.provider().create_repo("acme/sub", "shop", **CREATE)
        assert "does not see what has this" in caught.value.hint

    @pytest.mark.parametrize(
        "fault", [Reset(), Close(), CutShort(), Respond(502, "<html>"), Respond(200, "<html>Sign in")]
    )
    def test_a_lost_answer_is_looked_up_and_makes_no_second_project(self, opened, gitlab, fault):
        gitlab.faults.order("POST", "/projects", fault, after=True)
        assert opened.provider().create_repo("acme", "shop", **CREATE).fresh
        assert gitlab.log.count("POST", "/projects") == 1
        assert not opened.provider().create_repo("acme", "shop", **CREATE).fresh
        assert gitlab.repositories() == ["acme/shop"]

    def test_an_attempt_that_died_after_the_request_is_continued(self, opened, gitlab):
        class DiedError(BaseException):
            pass

        def die(key, value):
            if key.endswith(".made"):
                raise DiedError
            kept(key, value)

        kept = opened.notes.save
        opened.notes.save = die
        with pytest.raises(DiedError):
            opened.provider().create_repo("acme", "shop", **CREATE)
        opened.notes.save = kept
        assert opened.provider().create_repo("acme", "shop", **CREATE).ref.repo == "shop"
        assert gitlab.repositories() == ["acme/shop"]

    def test_what_somebody_else_made_after_a_lost_request_is_not_taken_for_ours(
        self, opened, gitlab, ada, acme, monkeypatch
    ):
        monkeypatch.setattr(lost_answers, "LOOK_UP_SECONDS", 0.0)
        gitlab.faults.order("POST", "/projects", Reset())
        with pytest.raises(RemoteError):
            opened.provider().create_repo("acme", "shop", **CREATE)
        grace = gitlab.add_user("grace")
        gitlab.add_project("acme/shop", grace)
        with pytest.raises(ConflictError):
            opened.provider().create_repo("acme", "shop", **CREATE)

    def test_ones_own_project_with_somebodys_work_in_it_is_not_taken_for_new(self, opened, gitlab, ada, monkeypatch):
        monkeypatch.setattr(lost_answers, "LOOK_UP_SECONDS", 0.0)
        gitlab.faults.order("POST", "/projects", Reset())
        with pytest.raises(RemoteError):
            opened.provider().create_repo("acme", "shop", **CREATE)
        gitlab.add_project("acme/shop", ada, {"a": b"work"})
        with pytest.raises(ConflictError):
            opened.provider().create_repo("acme", "shop", **CREATE)

    def test_a_refusal_leaves_no_claim_behind(self, opened, gitlab, ada):
        gitlab.faults.order("POST", "/projects", Respond(403, {"message": "403 Forbidden"}))
        with pytest.raises(AuthError):
            opened.provider().create_repo("acme", "shop", **CREATE)
        gitlab.add_project("acme/shop", ada)
        with pytest.raises(ConflictError):
            opened.provider().create_repo("acme", "shop", **CREATE)

    def test_a_lost_attempt_writes_nothing(self, opened, gitlab):
        def lost():
            raise LostError

        opened.guard = lost
        with pytest.raises(LostError):
            opened.provider().create_repo("acme", "shop", **CREATE)
        assert gitlab.log.writes() == []

    def test_a_name_that_gitlab_does_not_take_names_the_field(self, scm):
        with pytest.raises(ValidationError) as caught:
            scm.create_repo("acme", ".github", **CREATE)
        assert "repo" in caught.value.fields


class TestCommitting:
    def test_the_first_commit_of_an_empty_project_takes_three_requests(self, scm, gitlab, ada, ref):
        gitlab.add_project("acme/shop", ada)
        gitlab.log.clear()
        result = scm.put_files(ref, "main", MANY, "Add")
        assert gitlab.log.count() == 3
        assert len(gitlab.files("acme/shop")) == len(result.changed) == 303

    def test_the_first_branch_becomes_the_default_one_whatever_its_name(self, scm, gitlab, ada, ref):
        gitlab.add_project("acme/shop", ada)
        scm.put_files(ref, "trunk", FILES, "Add", base_branch="main")
        assert scm.get_repo("acme", "shop").ref.default_branch == "trunk"

    def test_a_first_commit_whose_answer_is_lost_is_made_once(self, scm, gitlab, ada, ref):
        gitlab.add_project("acme/shop", ada)
        gitlab.faults.order("POST", "/acme/shop.git/git-receive-pack", Reset(), after=True)
        result = scm.put_files(ref, "main", FILES, "Add")
        assert [one.sha for one in gitlab.commits("acme/shop")] == [result.sha]

    def test_a_branch_that_somebody_else_has_made_first_is_committed_on_top_of(self, opened, gitlab, ada, ref):
        project = gitlab.add_project("acme/shop", ada)
        pushes = iter([1])

        def push_first():
            if next(pushes, None):
                gitlab.push(project, "main", {"theirs.md": b"theirs"})

        opened.guard = push_first
        opened.provider().put_files(ref, "main", FILES, "Add")
        assert set(gitlab.files("acme/shop")) == {"theirs.md", *(change.path for change in FILES)}

    @pytest.mark.parametrize("folder", ["", "service/", "service/part3/"])
    def test_a_commit_of_many_files_among_10_takes_four_requests_and_one_for_each_folder(
        self, scm, gitlab, ada, ref, folder
    ):
        gitlab.add_project("acme/shop", ada, {f"{folder}old{index}.txt": b"x" for index in range(10)})
        gitlab.log.clear()
        scm.put_files(ref, "main", MANY, "Add")
        assert gitlab.log.count() <= 4 + 1
        assert len(gitlab.files("acme/shop")) == 313
        assert len(gitlab.log.writes()) == 1

    def test_a_commit_of_many_files_among_5000_reads_only_the_folders_it_touches(self, scm, gitlab, ada, ref):
        files = {f"data/{index}.txt": b"x" for index in range(2500)}
        files |= {f"service/part0/{index}.txt": b"x" for index in range(2500)}
        gitlab.add_project("acme/shop", ada, files)
        gitlab.log.clear()
        scm.put_files(ref, "main", MANY, "Add")
        assert gitlab.log.count() <= 4 + 2500 // 100 + 1
        assert len(gitlab.log.writes()) == 1
        gitlab.log.clear()
        assert scm.put_files(ref, "main", MANY, "Add").changed == ()
        assert gitlab.log.writes() == []

    def test_text_binary_and_executable_files_are_as_they_were_given(self, scm, gitlab, shop, ref):
        files = [
            FileChange("run.sh", b"#!/bin/sh\r\n", executable=True),
            FileChange("src/app.py", "ä\n".encode(), executable=True),
            FileChange("nul", b"a\0b"),
            FileChange("empty", b""),
        ]
        result = scm.put_files(ref, "main", files, "Add")
        assert result.changed == ("run.sh", "src/app.py", "nul", "empty")
        modes = {one.path: one.mode for one in shop.repository.entries(result.sha, recursive=True)}
        assert (modes["run.sh"], modes["src/app.py"], modes["nul"]) == ("100755", "100755", "100644")
        assert {change.path: change.content for change in files}.items() <= gitlab.files("acme/shop").items()
        assert scm.put_files(ref, "main", [replace(one, executable=None) for one in files], "Again").changed == ()
        result = scm.put_files(ref, "main", [FileChange("run.sh", b"#!/bin/sh\r\n", executable=False)], "Not so")
        assert result.changed == ("run.sh",)
        assert shop.repository.entry(result.sha, "run.sh").mode == "100644"

    def test_a_link_is_replaced_by_a_file(self, scm, gitlab, shop, ref):
        from tests.support.forges.git_store import Entry, Person

        repository = shop.repository
        link = Entry("link", "120000", "blob", repository.write_blob(b"README.md"))
        head = repository.head("main")
        tree = repository.write_tree([link], repository.commit(head).tree)
        who = Person("Grace", "grace@example.com", gitlab.clock.now())
        repository.set_ref("refs/heads/main", repository.write_commit(tree, [head], "Link", author=who))
        result = scm.put_files(ref, "main", [FileChange("link", b"content")], "Replace")
        assert repository.entry(result.sha, "link").mode == "100644"
        assert gitlab.files("acme/shop")["link"] == b"content"

    def test_authors_are_ours(self, scm, gitlab, shop, ref):
        scm.put_files(ref, "main", FILES, "Add\n\nWith care.")
        last = gitlab.commits("acme/shop")[0]
        assert (last.author.name, last.author.email, last.message) == (
            "Ada Lovelace",
            "ada@example.com",
            "Add\n\nWith care.",
        )

    def test_a_branch_without_anything_to_commit_is_not_made(self, scm, gitlab, shop, ref):
        result = scm.put_files(ref, "fix", [FileChange("README.md", b"# shop\n")], "Nothing", base_branch="main")
        assert (result.changed, result.sha) == ((), shop.repository.head("main"))
        assert list(gitlab.branches("acme/shop")) == ["main"]

    def test_a_missing_branch_without_a_base_is_not_found(self, scm, shop, ref):
        with pytest.raises(NotFoundError, match="no branch nowhere, so fix cannot be made") as caught:
            scm.put_files(ref, "fix", FILES, "Add", base_branch="nowhere")
        assert "main" in caught.value.hint

    def test_what_lies_in_the_way_is_a_conflict_and_nothing_is_written(self, scm, gitlab, shop, ref):
        gitlab.log.clear()
        for path in ("src", "README.md/a"):
            with pytest.raises(ConflictError):
                scm.put_files(ref, "main", [FileChange("x", b"x"), FileChange(path, b"x")], "No")
        with pytest.raises(ValidationError):
            scm.put_files(ref, "main", [FileChange("x", b"x"), FileChange("x/y", b"x")], "No")
        assert gitlab.log.writes() == []

    def test_a_file_is_written_only_if_it_is_as_expected(self, scm, gitlab, shop, ref):
        seen = shop.repository.head("main")
        blob = scm.read_file(ref, "main", "src/app.py")[1]
        gitlab.push(shop, "main", {"other": b"other"})
        for expected in (seen, blob):
            fresh = FileChange("src/app.py", f"for {expected}".encode(), expected_sha=expected)
            assert scm.put_files(ref, "main", [fresh], "As expected").changed
            gitlab.push(shop, "main", {"src/app.py": b"old\n"})
        gitlab.push(shop, "main", {"src/app.py": b"theirs\n"})
        for expected in (seen, blob, "f" * 40, "main"):
            with pytest.raises(ConflictError, match="is not as"):
                scm.put_files(ref, "main", [FileChange("src/app.py", b"ours", expected_sha=expected)], "No")
        assert gitlab.files("acme/shop")["src/app.py"] == b"theirs\n"

    @pytest.mark.parametrize("theirs", ["src/app.py", "new.md", "other.md"])
    def test_what_somebody_else_commits_meanwhile_is_not_lost(self, opened, gitlab, shop, ref, theirs):
        pushes = iter([1])

        def push_once():
            if next(pushes, None):
                gitlab.push(shop, "main", {theirs: b"theirs\n"})

        opened.guard = push_once
        ours = [FileChange("src/app.py", b"ours\n"), FileChange("new.md", b"ours\n")]
        opened.provider().put_files(ref, "main", ours, "Ours")
        history = gitlab.commits("acme/shop")
        assert len(history) == 3
        assert history[0].message == "Ours"
        before = shop.repository.entry(history[1].sha, theirs)
        assert shop.repository.read_blob(before.sha) == b"theirs\n"

    def test_an_expected_file_that_somebody_else_changes_meanwhile_is_a_conflict(self, opened, gitlab, shop, ref):
        blob = opened.provider().read_file(ref, "main", "src/app.py")[1]
        pushes = iter([1])

        def push_once():
            if next(pushes, None):
                gitlab.push(shop, "main", {"src/app.py": b"theirs\n"})

        opened.guard = push_once
        with pytest.raises(ConflictError, match="is not as"):
            opened.provider().put_files(ref, "main", [FileChange("src/app.py", b"ours", expected_sha=blob)], "Ours")
        assert gitlab.files("acme/shop")["src/app.py"] == b"theirs\n"

    def test_a_branch_that_moves_each_time_is_a_conflict(self, opened, gitlab, shop, ref):
        turns = iter(range(100))

        def push_always():
            gitlab.push(shop, "main", {"new.md": f"{next(turns)}".encode()})
            gitlab.push(shop, "main", {f"src/f{next(turns)}.md": b"x", "src/app.py": f"{next(turns)}".encode()})

        opened.guard = push_always
        with pytest.raises(ConflictError, match="moved each of the 5 times"):
            opened.provider().put_files(ref, "main", [FileChange("src/app.py", b"ours")], "Ours")
        assert gitlab.log.count("POST", "/projects/*/repository/commits") == 5

    def test_an_older_gitlab_that_asks_for_a_files_own_last_commit_gets_it(self, scm, gitlab, shop, ref):
        """So before it compared the file's last commit in both: it refuses the head, though the branch stands still."""
        first = shop.repository.head("main")
        gitlab.push(shop, "main", {"other.md": b"other"})
        words = {"message": "You are attempting to update a file that has changed since you started editing it."}
        gitlab.faults.order("POST", "/projects/*/repository/commits", Respond(400, words))
        files = [FileChange("src/app.py", b"new\n"), FileChange("new.md", b"new")]
        assert scm.put_files(ref, "main", files, "Add").changed == ("src/app.py", "new.md")
        sent = [
            entry.request.json()["actions"] for entry in gitlab.log.entries("POST", "/projects/*/repository/commits")
        ]
        seen = [[action.get("last_commit_id") for action in actions] for actions in sent]
        assert seen == [[gitlab.commits("acme/shop")[1].sha, None], [first, None]]

    @pytest.mark.parametrize("fault", [Reset(), CutShort(), Respond(500, {"message": "500 Internal Server Error"})])
    def test_a_commit_whose_answer_is_lost_is_made_once(self, scm, gitlab, shop, ref, fault):
        gitlab.faults.order("POST", "/projects/*/repository/commits", fault, after=True)
        result = scm.put_files(ref, "main", FILES, "Add")
        assert result.sha == gitlab.commits("acme/shop")[0].sha
        assert result.changed == ("src/app.py", "logo.png")
        assert len(gitlab.commits("acme/shop")) == 2

    def test_a_new_branch_whose_answer_is_lost_is_made_once(self, scm, gitlab, shop, ref):
        gitlab.faults.order("POST", "/projects/*/repository/commits", Reset(), after=True)
        result = scm.put_files(ref, "fix", FILES, "Add", base_branch="main")
        assert (result.created_from, len(gitlab.commits("acme/shop", "fix"))) == ("main", 2)

    def test_a_commit_that_never_arrived_is_an_error_that_may_be_tried_again(
        self, opened, gitlab, shop, ref, monkeypatch
    ):
        monkeypatch.setattr(lost_answers, "LOOK_UP_SECONDS", 0.0)
        gitlab.faults.order("POST", "/projects/*/repository/commits", Reset())
        with pytest.raises(RemoteError):
            opened.provider().put_files(ref, "main", FILES, "Add")
        assert len(gitlab.commits("acme/shop")) == 1
        assert opened.provider().put_files(ref, "main", FILES, "Add").changed

    def test_a_moved_project_is_committed_to_where_it_is_now_and_its_name_is_told(self, opened, gitlab, shop, ref):
        gitlab.move(shop, "acme/store")
        scm = opened.provider()
        assert scm.get_repo("acme", "shop").ref.full_name == "acme/store"
        scm.put_files(ref, "main", FILES, "Add")
        assert len(gitlab.commits("acme/store")) == 2
        assert any("acme/shop is acme/store now" in one for one in opened.warnings)

    def test_a_write_that_is_refused_since_the_project_was_moved_is_made_once_more(self, opened, gitlab, shop, ref):
        words = {"message": "Non GET methods are not allowed for moved projects"}
        gitlab.faults.order("POST", "/projects/*/repository/commits", Respond(405, words))
        assert opened.provider().put_files(ref, "main", FILES, "Add").changed
        gitlab.faults.order("POST", "/projects/*/repository/commits", Respond(405, words), times=5)
        with pytest.raises(ConflictError, match="moved projects"):
            opened.provider().put_files(ref, "main", [FileChange("z", b"z")], "Add")
        assert gitlab.log.count("POST", "/projects/*/repository/commits") == 4

    def test_a_protected_branch_says_who_can_mend_it(self, gitlab, shop, acme, ref):
        gitlab.add_user("grace")
        acme.members[gitlab.state.user("grace").id] = DEVELOPER
        opened = OpenedGitLab(gitlab, gitlab.add_token(gitlab.state.user("grace"), "api"))
        with pytest.raises(AuthError, match="not allowed to push") as caught:
            opened.provider().put_files(ref, "main", FILES, "Add")
        assert "Maintainer" in caught.value.hint
        assert "request " in caught.value.message

    def test_an_archived_project_is_a_conflict_before_anything_is_asked(self, scm, gitlab, shop, ref):
        shop.archived = True
        with pytest.raises(ConflictError, match="archived"):
            scm.put_files(ref, "main", FILES, "Add")
        assert gitlab.log.writes() == []

    def test_reading_a_file_gives_its_content_and_blob(self, scm, gitlab, shop, ref):
        content, sha = scm.read_file(ref, "main", "src/app.py")
        assert (content, sha) == (b"old\n", shop.repository.entry("main", "src/app.py").sha)
        assert scm.read_file(ref, "main", "src/none.py") is None
        assert scm.read_file(ref, "nowhere", "src/app.py") is None
        assert scm.branch_head(ref, "main") == shop.repository.head("main")
        assert scm.branch_head(ref, "feature/none") is None


class TestProposing:
    @pytest.fixture
    def fix(self, scm, shop, ref):
        return scm.put_files(ref, "fix", [FileChange("a.md", b"a")], "Add a page", base_branch="main").sha

    def propose(self, scm, ref, head="fix", base="main"):
        return scm.open_pull(ref, head=head, base=base, title="A page", body="")

    def test_the_open_one_is_returned_as_it_is(self, scm, ref, fix):
        first = self.propose(scm, ref)
        again = self.propose(scm, ref)
        assert (again, again.fresh) == (first, False)
        assert scm.get_pull(ref, first.number) == first

    def test_one_that_somebody_opens_meanwhile_is_found_by_the_number_that_gitlab_names(
        self, opened, gitlab, ada, ref, fix
    ):
        other = OpenedGitLab(gitlab, gitlab.add_token(ada, "api")).provider()
        turns = iter([1])

        def open_first():
            if next(turns, None):
                self.propose(other, ref)

        opened.guard = open_first
        pull = self.propose(opened.provider(), ref)
        assert (pull.number, pull.fresh) == (1, False)
        assert len(gitlab.pulls("acme/shop")) == 1

    def test_a_merged_one_is_returned_while_nothing_is_new(self, scm, gitlab, shop, ref, fix):
        first = self.propose(scm, ref)
        merged = scm.merge_pull(ref, first.number, expected_head=fix, method="merge")
        assert merged.state == "merged"
        assert self.propose(scm, ref) == merged
        gitlab.push(shop, "fix", {"b.md": b"b"})
        assert self.propose(scm, ref).number == 2

    def test_a_closed_one_is_left_and_a_new_one_is_opened(self, scm, ref, fix):
        first = self.propose(scm, ref)
        assert scm.close_pull(ref, first.number, expected_head=fix).state == "closed"
        assert self.propose(scm, ref).number == 2

    def test_what_cannot_be_proposed_names_the_field(self, scm, gitlab, shop, ref, fix):
        with pytest.raises(ValidationError, match="no branch nowhere") as caught:
            self.propose(scm, ref, head="nowhere")
        assert set(caught.value.fields) == {"headBranch"}
        shop.repository.set_ref("refs/heads/level", shop.repository.head("main"))
        with pytest.raises(ValidationError, match="no commit that main lacks"):
            self.propose(scm, ref, head="level")
        with pytest.raises(NotFoundError, match="no branch nowhere to merge into"):
            self.propose(scm, ref, base="nowhere")
        assert gitlab.pulls("acme/shop") == []

    @pytest.mark.parametrize("fault", [Reset(), CutShort(), Respond(502, "<html>")])
    def test_a_lost_answer_is_looked_up_and_opens_no_second_one(self, scm, gitlab, ref, fix, fault):
        gitlab.faults.order("POST", "/projects/*/merge_requests", fault, after=True)
        pull = self.propose(scm, ref)
        assert (pull.number, pull.fresh) == (1, True)
        assert len(gitlab.pulls("acme/shop")) == 1

    def test_one_that_is_not_there_is_not_found(self, scm, shop, ref):
        with pytest.raises(NotFoundError, match="no merge request !7"):
            scm.get_pull(ref, 7)


class TestMergingAndClosing:
    @pytest.fixture
    def pull(self, scm, shop, ref):
        scm.put_files(ref, "fix", [FileChange("a.md", b"a")], "Add a page", base_branch="main")
        return scm.open_pull(ref, head="fix", base="main", title="A page", body="")

    @pytest.mark.parametrize("method", ["merge", "squash"])
    def test_merging_is_done_once(self, scm, gitlab, ref, pull, method):
        merged = scm.merge_pull(ref, pull.number, expected_head=None, method=method)
        assert (merged.state, merged.merged_by) == ("merged", "Ada")
        assert gitlab.files("acme/shop")["a.md"] == b"a"
        gitlab.log.clear()
        assert scm.merge_pull(ref, pull.number, expected_head="f" * 40, method=method) == merged
        assert gitlab.log.writes() == []

    def test_a_method_that_the_project_does_not_merge_by_is_a_conflict_that_says_which_one_it_does(
        self, scm, gitlab, shop, ref, pull
    ):
        shop.settings["merge_method"] = "ff"
        gitlab.log.clear()
        with pytest.raises(ConflictError, match="fast-forward") as caught:
            scm.merge_pull(ref, pull.number, expected_head=None, method="merge")
        assert "method: rebase" in caught.value.hint
        assert gitlab.log.writes() == []
        assert scm.merge_pull(ref, pull.number, expected_head=None, method="rebase").state == "merged"

    def test_another_head_than_was_seen_is_a_conflict(self, scm, gitlab, shop, ref, pull):
        gitlab.push(shop, "fix", {"b.md": b"b"})
        for act in (scm.close_pull, lambda *args, **options: scm.merge_pull(*args, **options, method="merge")):
            with pytest.raises(ConflictError, match="was looked at"):
                act(ref, pull.number, expected_head=pull.head_sha)
        assert scm.get_pull(ref, pull.number).state == "open"

    def test_a_head_that_moves_right_before_the_merge_is_a_conflict(self, opened, gitlab, shop, ref, pull):
        opened.guard = lambda: gitlab.push(shop, "fix", {"b.md": b"b"})
        with pytest.raises(ConflictError):
            opened.provider().merge_pull(ref, pull.number, expected_head=pull.head_sha, method="merge")
        assert "a.md" not in gitlab.files("acme/shop")

    def test_a_clash_is_a_conflict_that_says_what_it_waits_for(self, scm, gitlab, shop, ref, pull):
        gitlab.push(shop, "main", {"a.md": b"theirs"})
        with pytest.raises(ConflictError, match="cannot be merged"):
            scm.merge_pull(ref, pull.number, expected_head=None, method="merge")

    def test_whoever_may_not_merge_is_told_who_says_so(self, gitlab, acme, ref, pull):
        grace = gitlab.add_user("grace")
        acme.members[grace.id] = DEVELOPER
        opened = OpenedGitLab(gitlab, gitlab.add_token(grace, "api"))
        with pytest.raises(AuthError, match="may not merge !1") as caught:
            opened.provider().merge_pull(ref, pull.number, expected_head=None, method="merge")
        assert "Protected branches" in caught.value.hint

    @pytest.mark.parametrize("fault", [Reset(), CutShort()])
    def test_lost_answers_are_looked_up(self, scm, gitlab, ref, pull, fault):
        gitlab.faults.order("PUT", "/projects/*/merge_requests/*/merge", fault, after=True)
        assert scm.merge_pull(ref, pull.number, expected_head=None, method="merge").state == "merged"
        assert len(gitlab.commits("acme/shop")) == 3


def test_a_guest_may_read_no_private_code(gitlab, shop, acme, ref):
    grace = gitlab.add_user("grace")
    acme.members[grace.id] = GUEST
    opened = OpenedGitLab(gitlab, gitlab.add_token(grace, "api"))
    with pytest.raises((AuthError, NotFoundError)):
        opened.provider().put_files(ref, "main", FILES, "Add")
    assert len(gitlab.commits("acme/shop")) == 1
