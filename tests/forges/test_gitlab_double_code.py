"""The double of GitLab is as strict as GitLab: branches, files, commits, merge requests, and git's own protocol."""

from __future__ import annotations

import base64
import os
import subprocess
from urllib.parse import quote

import pytest
import urllib3

from tests.support.forges.gitlab import DEVELOPER, OWNER, REPORTER, GitLabDouble
from tests.support.forges.gitlab.asking import Asker


@pytest.fixture
def gitlab(tmp_path):
    with GitLabDouble(tmp_path / "gitlab") as double:
        yield double
        double.verify()


@pytest.fixture
def ada(gitlab):
    return gitlab.add_user("ada")


@pytest.fixture
def acme(gitlab, ada):
    return gitlab.add_group("acme", {"ada": OWNER})


@pytest.fixture
def asks(gitlab, ada):
    with Asker(gitlab.api_url, gitlab.add_token(ada, "api")) as asker:
        yield asker


@pytest.fixture
def empty(gitlab, ada, acme):
    return gitlab.add_project("acme/empty", ada)


@pytest.fixture
def shop(gitlab, ada, acme):
    files = {"README.md": b"# shop\n", "src/shop.py": b"pass\n", "src/deep/er.txt": b"x"}
    return gitlab.add_project("acme/shop", ada, files)


@pytest.fixture
def developer(gitlab, acme):
    """A token of who is a developer of acme."""
    user = gitlab.add_user("dora")
    acme.members[user.id] = DEVELOPER
    return gitlab.add_token(user, "api")


@pytest.fixture
def commit(asks, shop):
    """Commit actions to main, or to another branch."""

    def make(*actions: dict, status: int = 201, **more: object) -> dict:
        body = {"branch": "main", "commit_message": "Work", "actions": list(actions), **more}
        return asks.post(f"/projects/{shop.id}/repository/commits", body, status=status)

    return make


def action(kind: str, path: str, content: str | None = None, **more: object) -> dict:
    told = {} if content is None else {"content": content}
    return {"action": kind, "file_path": path, **told, **more}


class TestBranchesAndTrees:
    def test_an_empty_repository_has_no_branches_no_tree_and_no_commits(self, asks, empty):
        repository = f"/projects/{empty.id}/repository"
        assert asks.get(f"{repository}/branches") == asks.get(f"{repository}/commits") == []
        assert asks.get(f"{repository}/tree", status=404) == {"message": "404 Tree Not Found"}
        assert asks.get(f"{repository}/branches/main", status=404) == {"message": "404 Branch Not Found"}
        assert asks.get(f"{repository}/files/a?ref=main", status=404) == {"message": "404 Commit Not Found"}

    def test_a_branch_of_an_empty_repository_makes_its_default_branch_on_the_way(self, asks, empty):
        asks.post(f"/projects/{empty.id}/repository/branches", {"branch": "topic", "ref": "main"})
        assert list(empty.repository.branches()) == ["main", "topic"]

    def test_a_branch_is_made_once_and_from_something(self, asks, shop):
        branches = f"/projects/{shop.id}/repository/branches"
        made = asks.post(branches, {"branch": "feat/a", "ref": "main"})
        assert (made["default"], made["protected"], made["can_push"]) == (False, False, True)
        again = asks.post(branches, {"branch": "feat/a", "ref": "main"}, status=400)
        assert again == {"message": "Branch already exists"}
        nowhere = asks.post(branches, {"branch": "b", "ref": "nowhere"}, status=400)
        assert nowhere == {"message": "Failed to create branch 'b': invalid reference name 'nowhere'"}
        assert asks.get(f"{branches}/feat%2Fa")["commit"]["id"] == shop.commits()[0].sha
        asks.get(f"{branches}/feat/a", status=404)
        assert asks.get(f"{branches}/main")["protected"] is True

    def test_a_tree_is_listed_by_folder_or_whole_with_folders_first(self, asks, shop):
        tree = f"/projects/{shop.id}/repository/tree"
        assert [one["path"] for one in asks.get(tree)] == ["src", "README.md"]
        assert [one["path"] for one in asks.get(f"{tree}?path=src")] == ["src/deep", "src/shop.py"]
        whole = asks.get(f"{tree}?recursive=true&ref=main")
        assert {one["path"] for one in whole} == {"src", "src/deep", "README.md", "src/shop.py", "src/deep/er.txt"}
        assert asks.get(f"{tree}?path=none", status=404) == {"message": "404 invalid revision or path Not Found"}

    def test_no_page_of_a_tree_has_more_than_a_hundred_entries(self, gitlab, asks, shop):
        gitlab.push(shop, "main", {f"many/{number:03}": b"x" for number in range(150)})
        page = asks.raw("GET", f"/projects/{shop.id}/repository/tree?path=many&per_page=1000")
        assert (len(page.json()), page.headers["X-Total-Pages"]) == (100, "2")


class TestFiles:
    def test_a_file_tells_its_blob_and_the_commit_that_changed_it_last(self, gitlab, asks, shop):
        first = shop.commits()[0].sha
        gitlab.push(shop, "main", {"other": b"x"})
        found = asks.get(f"/projects/{shop.id}/repository/files/src%2Fshop.py?ref=main")
        assert base64.b64decode(found["content"]) == b"pass\n"
        assert (found["last_commit_id"], found["commit_id"]) == (first, shop.commits()[0].sha)

    def test_its_head_has_everything_but_the_content(self, asks, shop):
        headers = asks.raw("HEAD", f"/projects/{shop.id}/repository/files/README.md?ref=main").headers
        assert headers["X-Gitlab-Blob-Id"] == shop.repository.entry(shop.commits()[0].sha, "README.md").sha
        assert (headers["X-Gitlab-Execute-Filemode"], headers["X-Gitlab-Size"]) == ("false", "7")

    def test_raw_it_is_its_bytes(self, asks, shop):
        assert asks.raw("GET", f"/projects/{shop.id}/repository/files/README.md/raw").data == b"# shop\n"

    def test_a_ref_is_asked_for_and_what_is_not_there_is_404(self, asks, shop):
        files = f"/projects/{shop.id}/repository/files"
        assert asks.get(f"{files}/README.md", status=400) == {"error": "ref is missing"}
        assert asks.get(f"{files}/none?ref=main", status=404) == {"message": "404 File Not Found"}
        asks.get(f"{files}/src?ref=main", status=404)


class TestCommits:
    def test_all_actions_are_one_commit(self, shop, commit):
        made = commit(
            action("create", "new.txt", "new"),
            action("create", "bin.dat", base64.b64encode(b"\0\1").decode(), encoding="base64"),
            action("update", "README.md", "# other\n"),
            action("move", "moved.py", previous_path="src/shop.py"),
            action("delete", "src/deep/er.txt"),
        )
        assert [one.message for one in shop.commits()] == ["Work", "Somebody else's"]
        assert shop.files() == {
            "new.txt": b"new",
            "bin.dat": b"\0\1",
            "README.md": b"# other\n",
            "moved.py": b"pass\n",
        }
        assert made["id"] == shop.commits()[0].sha
        assert made["stats"]["total"] == made["stats"]["additions"] + made["stats"]["deletions"]

    def test_creating_what_exists_and_updating_what_does_not_is_400_and_commits_nothing(self, shop, commit):
        exists = {"message": "A file with this name already exists"}
        assert commit(action("create", "ok", ""), action("create", "README.md", "x"), status=400) == exists
        absent = {"message": "A file with this name doesn't exist"}
        for kind, more in (("update", {"content": "x"}), ("delete", {}), ("chmod", {"execute_filemode": True})):
            assert commit(action(kind, "none", **more), status=400) == absent
        assert commit(action("create", "src", "x"), status=400) == {
            "message": "A directory with this name already exists"
        }
        assert commit(action("create", "README.md/x", "x"), status=400) == exists
        assert len(shop.commits()) == 1

    def test_the_mode_counts_for_chmod_alone_and_outlives_an_update(self, shop, commit):
        commit(action("create", "run", "#!", execute_filemode=True))
        assert shop.repository.entry(shop.commits()[0].sha, "run").mode == "100644"
        commit(action("update", "run", "#!/bin/sh"), action("chmod", "run", execute_filemode=True))
        commit(action("update", "run", "#!/bin/bash"))
        assert shop.repository.entry(shop.commits()[0].sha, "run").mode == "100755"

    def test_a_stale_last_commit_id_is_refused_and_any_commit_that_knows_the_same_change_is_not(
        self, gitlab, shop, commit
    ):
        seen = shop.commits()[0].sha
        gitlab.push(shop, "main", {"unrelated": b"x"})
        head = shop.commits()[0].sha
        commit(action("update", "README.md", "one", last_commit_id=head))
        stale = commit(action("update", "README.md", "two", last_commit_id=seen), status=400)
        assert stale == {"message": "The file has changed since you started editing it: README.md"}
        commit(action("create", "fresh", "x", last_commit_id="0" * 40))

    def test_a_new_branch_starts_at_a_commit_or_a_branch_and_must_not_be_there(self, shop, commit):
        first = shop.commits()[0].sha
        commit(action("create", "a", "a"))
        commit(action("create", "b", "b"), branch="topic", start_sha=first)
        assert "a" not in shop.files("topic")
        there = commit(action("create", "c", "c"), branch="topic", start_branch="main", status=400)
        words = "A branch called 'topic' already exists. Switch to that branch in order to make changes"
        assert there == {"message": words}
        unknown = commit(action("create", "c", "c"), branch="x", start_sha="1" * 40, status=400)
        assert unknown == {"message": f"Cannot find start_sha '{'1' * 40}'"}
        nowhere = commit(action("create", "c", "c"), branch="missing", status=400)
        assert nowhere == {"message": "You can only create or edit files when you are on a branch"}
        both = commit(action("create", "c", "c"), branch="x", start_sha=first, start_branch="main", status=400)
        assert both["message"] == "400 Bad request - start_branch, start_sha are mutually exclusive"

    def test_the_first_commit_of_an_empty_repository_makes_its_branch(self, asks, empty):
        body = {"branch": "main", "commit_message": "First", "actions": [action("create", "a", "a")]}
        asks.post(f"/projects/{empty.id}/repository/commits", body)
        assert empty.files() == {"a": b"a"}
        assert [rule.name for rule in empty.protected_branches] == ["main"]

    def test_an_update_without_a_change_is_an_empty_commit(self, shop, commit):
        commit(action("update", "README.md", "# shop\n"))
        assert len(shop.commits()) == 2

    def test_what_is_missing_or_unknown_is_named(self, commit, shop, asks):
        nothing = "400 Bad request - Provide at least one action, or set allow_empty to true"
        assert commit(status=400)["message"] == nothing
        assert "must be one of" in commit(action("upsert", "a", "a"), status=400)["message"]
        assert "[content] is required" in commit(action("update", "README.md"), status=400)["message"]
        assert commit(action("create", "../x", "x"), status=400)["message"].startswith("Path cannot include")

    def test_a_protected_branch_takes_commits_of_maintainers_alone(self, gitlab, shop, developer):
        body = {"branch": "main", "commit_message": "x", "actions": [action("create", "a", "a")]}
        with Asker(gitlab.api_url, developer) as dora:
            answer = dora.post(f"/projects/{shop.id}/repository/commits", body, status=403)
            assert answer == {"message": "403 Forbidden - You are not allowed to push into this branch"}
            dora.post(f"/projects/{shop.id}/repository/commits", {**body, "branch": "topic", "start_branch": "main"})

    def test_a_push_rule_says_its_words(self, shop, commit):
        shop.push_rule = "Commit message does not follow the pattern '^[A-Z]+-[0-9]+'"
        assert commit(action("create", "a", "a"), status=400) == {"message": shop.push_rule}


class TestMergeRequests:
    @pytest.fixture
    def topic(self, gitlab, shop):
        return gitlab.push(shop, "topic", {"new.txt": b"new"})

    @pytest.fixture
    def opened(self, asks, shop, topic):
        return asks.post(f"/projects/{shop.id}/merge_requests", self.body())

    def body(self, source: str = "topic", target: str = "main") -> dict:
        return {"source_branch": source, "target_branch": target, "title": "Add it", "description": "Because."}

    def test_a_second_one_of_the_same_branches_is_409_and_names_the_first(self, asks, shop, opened):
        answer = asks.post(f"/projects/{shop.id}/merge_requests", self.body(), status=409)
        assert answer == {"message": ["Another open merge request already exists for this source branch: !1"]}

    def test_branches_have_to_be_two_and_there(self, asks, shop, topic):
        create = f"/projects/{shop.id}/merge_requests"
        same = asks.post(create, self.body("main"), status=422)
        assert same == {"message": ["You can't use same project/branch for source and target"]}
        absent = asks.post(create, self.body("none"), status=400)
        assert absent == {"message": {"source_branch": ["does not exist"]}}
        assert asks.post(create, {"title": "x"}, status=400) == {
            "error": "source_branch is missing, target_branch is missing"
        }

    def test_one_without_any_commit_is_opened_and_is_not_mergeable(self, asks, shop):
        asks.post(f"/projects/{shop.id}/repository/branches", {"branch": "same", "ref": "main"})
        made = asks.post(f"/projects/{shop.id}/merge_requests", self.body("same"))
        assert made["detailed_merge_status"] == "preparing"
        found = asks.get(f"/projects/{shop.id}/merge_requests/{made['iid']}")
        assert found["detailed_merge_status"] == "commits_status"
        asks.put(f"/projects/{shop.id}/merge_requests/{made['iid']}/merge", {}, status=422)

    def test_they_are_listed_by_branches_and_state(self, asks, shop, opened):
        listed = f"/projects/{shop.id}/merge_requests"
        assert [one["iid"] for one in asks.get(f"{listed}?source_branch=topic&target_branch=main&state=opened")] == [1]
        assert asks.get(f"{listed}?state=merged") == asks.get(f"{listed}?source_branch=other") == []
        assert "valid value" in asks.get(f"{listed}?state=open", status=400)["error"]

    def test_a_closed_one_makes_place_for_another(self, asks, shop, opened):
        requests = f"/projects/{shop.id}/merge_requests"
        assert asks.put(f"{requests}/1", {"state_event": "close"})["state"] == "closed"
        assert asks.post(requests, self.body())["iid"] == 2
        asks.put(f"{requests}/1", {"state_event": "reopen"}, status=409)

    def test_it_is_merged_when_the_head_is_the_one_that_was_seen(self, asks, shop, topic, opened):
        merge = f"/projects/{shop.id}/merge_requests/1/merge"
        stale = asks.put(merge, {"sha": "0" * 40}, status=409)
        assert stale == {"message": f"SHA does not match HEAD of source branch: {topic}"}
        merged = asks.put(merge, {"sha": topic})
        assert (merged["state"], merged["merge_commit_sha"]) == ("merged", shop.commits()[0].sha)
        assert shop.files()["new.txt"] == b"new"
        assert asks.put(merge, {}, status=405) == {"message": "405 Method Not Allowed"}

    def test_drafts_conflicts_and_missing_approvals_are_not_merged(self, gitlab, asks, shop, opened):
        request = f"/projects/{shop.id}/merge_requests/1"
        asks.put(request, {"title": "Draft: Add it"})
        asks.put(f"{request}/merge", {}, status=405)
        asks.put(request, {"title": "Add it"})
        shop.approvals_required = 1
        asks.put(f"{request}/merge", {}, status=405)
        shop.approvals_required = 0
        gitlab.push(shop, "main", {"new.txt": b"else"})
        assert asks.get(request)["has_conflicts"] is True
        assert asks.put(f"{request}/merge", {}, status=422) == {"message": "Branch cannot be merged"}

    def test_what_its_target_got_by_a_push_is_merged(self, shop, topic, opened, asks):
        shop.repository.set_ref("refs/heads/main", topic)
        asks.post(f"/projects/{shop.id}/repository/branches", {"branch": "any", "ref": "main"})
        assert asks.get(f"/projects/{shop.id}/merge_requests/1")["state"] == "merged"


class TestGit:
    @pytest.fixture
    def work(self, tmp_path):
        """Run git in a work tree of its own."""
        folder = tmp_path / "work"
        folder.mkdir()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_GLOBAL": os.devnull,
            **{
                f"GIT_{who}_{what}": f"{what}@x.example"
                for who in ("AUTHOR", "COMMITTER")
                for what in ("NAME", "EMAIL")
            },
        }

        def git(*arguments: str) -> subprocess.CompletedProcess:
            return subprocess.run(
                ["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
            )

        git("init", "-q", "-b", "main")
        (folder / "a").write_text("a")
        git("add", "a")
        git("commit", "-qm", "First")
        return git

    def address(self, gitlab, path, token, name="anything"):
        return f"{gitlab.url.replace('://', f'://{name}:{quote(token)}@')}/{path}.git"

    def test_a_first_push_makes_the_default_branch_and_protects_it(self, gitlab, asks, empty, work):
        pushed = work("push", self.address(gitlab, "acme/empty", asks.token), "main:trunk")
        assert pushed.returncode == 0, pushed.stderr
        about = asks.get(f"/projects/{empty.id}")
        assert (about["default_branch"], about["empty_repo"]) == ("trunk", False)
        assert [rule.name for rule in empty.protected_branches] == ["trunk"]
        assert work("ls-remote", self.address(gitlab, "acme/empty", asks.token)).stdout.count("refs/heads/trunk") == 1

    @pytest.mark.parametrize("scopes", [("read_repository",), ("read_api",)])
    def test_a_push_needs_a_token_of_the_right_scope_as_a_password(self, gitlab, ada, empty, work, scopes):
        pushed = work("push", self.address(gitlab, "acme/empty", gitlab.add_token(ada, *scopes)), "main")
        assert "You are not allowed to upload code." in pushed.stderr
        assert (
            "HTTP Basic: Access denied" in work("push", self.address(gitlab, "acme/empty", "nonsense"), "main").stderr
        )
        assert empty.empty
        assert (
            work(
                "push", self.address(gitlab, "acme/empty", gitlab.add_token(ada, "write_repository")), "main"
            ).returncode
            == 0
        )

    def test_a_bearer_is_no_answer_to_the_question_for_a_password(self, gitlab, asks, empty):
        address = f"{gitlab.url}/acme/empty.git/info/refs?service=git-receive-pack"
        for headers in ({}, {"Authorization": f"Bearer {asks.token}"}):
            answer = urllib3.request("GET", address, headers=headers, retries=False)
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="GitLab"')

    def test_a_protected_branch_declines_developers_and_forced_pushes(self, gitlab, asks, shop, developer, work):
        theirs, mine = (self.address(gitlab, "acme/shop", token) for token in (developer, asks.token))
        refused = work("push", "-f", theirs, "main")
        assert "GitLab: You are not allowed to push code to protected branches on this project." in refused.stderr
        assert "pre-receive hook declined" in refused.stderr
        assert work("push", theirs, "main:topic").returncode == 0
        forced = work("push", "-f", mine, "main")
        assert "You are not allowed to force push code to a protected branch on this project." in forced.stderr
        assert "only delete protected branches" in work("push", mine, ":main").stderr
        shop.protected_branches[0].allow_force_push = True
        assert work("push", "-f", mine, "main").returncode == 0

    def test_nobody_but_maintainers_makes_the_first_branch(self, gitlab, empty, developer, work):
        assert "create a default branch" in work("push", self.address(gitlab, "acme/empty", developer), "main").stderr

    def test_a_push_rule_and_an_archive_decline(self, gitlab, asks, shop, work):
        shop.push_rule = "File name .env was prohibited by the pattern '.env'."
        assert "GitLab: File name .env" in work("push", self.address(gitlab, "acme/shop", asks.token), "main:x").stderr
        shop.push_rule, shop.archived = "", True
        assert "403" in work("push", self.address(gitlab, "acme/shop", asks.token), "main:x").stderr

    def test_what_one_may_not_see_is_not_there_and_who_may_read_may_not_push(self, gitlab, shop, acme, work):
        token = gitlab.add_token(stranger := gitlab.add_user("grace"), "api")
        assert "not found" in work("fetch", self.address(gitlab, "acme/shop", token)).stderr
        acme.members[stranger.id] = REPORTER
        assert work("fetch", self.address(gitlab, "acme/shop", token)).returncode == 0
        assert "403" in work("push", self.address(gitlab, "acme/shop", token), "main:x").stderr

    def test_a_push_to_nowhere_makes_a_project_where_its_pusher_may(self, gitlab, asks, acme, work):
        assert work("push", self.address(gitlab, "acme/new", asks.token), "main").returncode == 0
        assert gitlab.project("acme/new").files() == {"a": b"a"}
        assert work("push", self.address(gitlab, "nobody/new", asks.token), "main").returncode != 0

    def test_the_path_that_a_project_had_still_takes_pushes(self, gitlab, asks, shop, work):
        gitlab.move(shop, "acme/store")
        assert work("push", self.address(gitlab, "acme/shop", asks.token), "main:topic").returncode == 0
        assert shop.repository.head("topic")
