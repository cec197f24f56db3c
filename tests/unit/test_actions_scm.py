from __future__ import annotations

import base64

import pytest

from portal_actions_plugin.actions.scm import create_or_update_file, create_repo, open_pr_or_mr, push_skeleton
from portal_actions_plugin.errors import ConfigurationError, ConflictError, NotFoundError, ValidationError
from portal_actions_plugin.host import SkeletonFile
from portal_actions_plugin.run_types import Link
from portal_actions_plugin.scm.base import Operation
from portal_actions_plugin.scm.local.provider import LocalProvider
from tests.support.action_helpers import ADA, LostError, MemoryRecorder, git, git_in, make_context, snapshot

NEW = {"provider": "local", "owner": "acme", "repo": "shop"}
REFERENCE = {**NEW, "defaultBranch": "main"}


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "forge"
    (folder / "acme").mkdir(parents=True)
    return folder


@pytest.fixture
def ctx(root):
    return make_context(root=root)


@pytest.fixture
def shop(root):
    """A repository with a README that some other run has made."""
    create_repo.run(make_context(root=root), {**NEW, "initWithReadme": True})
    return git_in(root / "acme/shop.git")


def commits(bare, branch="main"):
    return bare("log", "--format=%s", branch).splitlines()


def wrong_fields(action, data):
    with pytest.raises(ValidationError) as caught:
        action.load_input(data)
    return caught.value.fields


class TestCreateRepo:
    def test_it_makes_a_private_empty_repository_and_hands_on_the_reference(self, ctx, root):
        outputs = create_repo.run(ctx, NEW)
        assert outputs == {
            "repoUrl": "https://forge.example/acme/shop",
            "cloneUrl": (root / "acme/shop.git").as_uri(),
            "defaultBranch": "main",
            "repo": REFERENCE,
        }
        assert git_in(root / "acme/shop.git")("for-each-ref") == ""
        assert ctx.recorder.text == "created acme/shop (private)"
        assert ctx.links == [Link("Repository", "https://forge.example/acme/shop")]

    def test_with_a_readme_it_has_a_commit(self, ctx, root):
        create_repo.run(ctx, {**NEW, "initWithReadme": True, "description": "Sells\nthings"})
        bare = git_in(root / "acme/shop.git")
        assert bare("show", "main:README.md") == "# shop\n\nSells things\n"

    def test_done_twice_by_the_same_run_it_succeeds_with_the_same_outputs(self, ctx, root):
        first = create_repo.run(ctx, NEW)
        before = snapshot(root)
        assert create_repo.run(make_context(ctx.recorder, root=root), NEW) == first
        assert snapshot(root) == before
        assert "is there already" in ctx.recorder.text

    def test_an_attempt_that_died_after_creating_is_taken_up_by_the_next(self, root):
        died = MemoryRecorder()
        create_repo.run(make_context(died, root=root), NEW)
        # The worker died before the outcome was recorded: the next attempt knows nothing but the checkpoint.
        next_attempt = MemoryRecorder(checkpoints=dict(died.checkpoints))
        assert create_repo.run(make_context(next_attempt, root=root), NEW)["repo"] == REFERENCE

    def test_an_attempt_that_died_before_creating_leaves_its_claim_to_the_next(self, root):
        died = MemoryRecorder(lose_at_guard=1)
        with pytest.raises(LostError):
            create_repo.run(make_context(died, root=root), NEW)
        assert list((root / "acme").iterdir()) == []
        (key,) = died.checkpoints
        assert key.startswith("createRepo.claim.")
        next_attempt = MemoryRecorder(checkpoints=dict(died.checkpoints))
        create_repo.run(make_context(next_attempt, root=root), NEW)
        assert next_attempt.text == "created acme/shop (private)"

    @pytest.mark.usefixtures("shop")
    def test_another_run_gets_a_conflict_and_writes_nothing(self, ctx, root):
        before = snapshot(root)
        with pytest.raises(ConflictError, match="acme/shop exists already"):
            create_repo.run(ctx, NEW)
        assert snapshot(root) == before
        assert ctx.links == []

    def test_a_run_that_retries_it_with_another_name_does_not_inherit_its_claim(self, ctx, root):
        create_repo.run(ctx, NEW)
        create_repo.run(make_context(root=root), {**NEW, "repo": "other"})
        before = snapshot(root)
        with pytest.raises(ConflictError, match="acme/other exists already"):
            create_repo.run(make_context(ctx.recorder, root=root), {**NEW, "repo": "other"})
        assert snapshot(root) == before

    def test_two_runs_that_would_make_the_same_one_take_the_lock_that_writers_take(self):
        for spelled in (NEW, {**NEW, "owner": "Acme", "repo": "SHOP"}):
            assert create_repo.lock_key(spelled) == "scm:local/acme/shop"
        assert create_or_update_file.lock_key({"repo": REFERENCE}) == "scm:local/acme/shop"

    @pytest.mark.usefixtures("shop")
    def test_one_that_exists_is_used_as_it_is_where_the_authorizer_lets_the_requester(self, root):
        asked = []
        ctx = make_context(root=root, ask_authorizer=lambda *question: bool(asked.append(question)) or True)
        before = snapshot(root)
        outputs = create_repo.run(ctx, {**NEW, "ifExists": "use", "visibility": "public", "description": "New"})
        assert outputs["repo"] == REFERENCE
        assert asked == [("repo:write", "acme/shop")]
        assert snapshot(root) == before, "its settings are not changed"
        assert ctx.recorder.text == "acme/shop is there already, and is used as it is"

    @pytest.mark.usefixtures("shop")
    def test_without_an_authorizers_yes_one_that_exists_is_not_used(self, ctx, root):
        before = snapshot(root)
        with pytest.raises(ConflictError, match="lacks the permission repo:write for acme/shop") as caught:
            create_repo.run(ctx, {**NEW, "ifExists": "use"})
        assert "where there is none, nobody may" in caught.value.hint
        assert snapshot(root) == before

    @pytest.mark.usefixtures("shop")
    def test_the_authorizer_is_asked_about_the_name_that_the_forge_has_now(self, root):
        create_repo.run(make_context(root=root), {**NEW, "repo": "renamed"})

        class Renaming(LocalProvider):
            def get_repo(self, owner, _repo):
                return super().get_repo(owner, "renamed")

        ctx = make_context(root=root, ask_authorizer=lambda _permission, target: target == "acme/shop")
        ctx.make_scm = lambda _name, asking: Renaming(root, None, asking.recorder.ensure_ours, ADA)
        with pytest.raises(ConflictError, match="lacks the permission repo:write for acme/renamed"):
            create_repo.run(ctx, {**NEW, "ifExists": "use"})

    def test_nobody_is_asked_about_one_that_is_not_there_yet(self, root):
        ctx = make_context(root=root, ask_authorizer=lambda *_: pytest.fail("was asked"))
        create_repo.run(ctx, {**NEW, "ifExists": "use"})
        assert ctx.recorder.text == "created acme/shop (private)"

    def test_an_owner_that_is_missing_is_not_found(self, ctx):
        with pytest.raises(NotFoundError, match="globex"):
            create_repo.run(ctx, {**NEW, "owner": "globex"})

    def test_every_wrong_field_is_named_at_once(self):
        data = {"provider": "local", "owner": "../x", "repo": "a b", "visibility": "secret", "more": 1}
        assert set(wrong_fields(create_repo, data)) == {"owner", "repo", "visibility", "more"}
        assert set(wrong_fields(create_repo, {})) == {"provider", "owner", "repo"}


FILE = {"repo": REFERENCE, "path": "docs/index.md", "content": "Grüße\n"}


class TestCreateOrUpdateFile:
    def test_it_writes_a_file_with_one_commit(self, ctx, shop):
        outputs = create_or_update_file.run(ctx, {**FILE, "message": "Add docs"})
        assert outputs["commitSha"] == shop("rev-parse", "main").strip()
        assert outputs["fileUrl"] == "https://forge.example/acme/shop/blob/main/docs/index.md"
        assert outputs["changed"] is True
        assert shop("show", "main:docs/index.md") == "Grüße\n"
        assert commits(shop) == ["Add docs", "Initial commit"]
        assert ctx.recorder.text == f"one commit {outputs['commitSha'][:7]} on main of acme/shop: 1 file"
        assert ctx.links == [Link("docs/index.md", outputs["fileUrl"])]

    def test_done_twice_there_is_one_commit(self, ctx, shop):
        first = create_or_update_file.run(ctx, FILE)
        again = create_or_update_file.run(ctx, FILE)
        assert again == {**first, "changed": False}
        assert commits(shop) == ["Update docs/index.md", "Initial commit"]
        assert "no commit" in ctx.recorder.text

    @pytest.mark.usefixtures("shop", "root")
    def test_base64_writes_any_bytes(self, ctx):
        data = bytes(range(256)) * 3
        wrapped = base64.encodebytes(data).decode()
        create_or_update_file.run(ctx, {"repo": REFERENCE, "path": "logo.png", "contentBase64": wrapped})
        assert ctx.scm("local").read_file(_ref(ctx), "main", "logo.png")[0] == data

    def test_an_empty_file_is_a_file(self, ctx, shop):
        create_or_update_file.run(ctx, {"repo": REFERENCE, "path": "py.typed", "content": ""})
        assert shop("show", "main:py.typed") == ""

    def test_a_stale_expected_sha_is_a_conflict(self, ctx, shop):
        seen = create_or_update_file.run(ctx, FILE)["commitSha"]
        create_or_update_file.run(ctx, {**FILE, "content": "theirs"})
        before = commits(shop)
        with pytest.raises(ConflictError, match=f"not as {seen[:7]} says"):
            create_or_update_file.run(ctx, {**FILE, "content": "mine", "expectedSha": seen})
        assert commits(shop) == before
        blob = shop("rev-parse", "main:docs/index.md").strip()
        create_or_update_file.run(ctx, {**FILE, "content": "mine", "expectedSha": blob})
        assert shop("show", "main:docs/index.md") == "mine"

    @pytest.mark.usefixtures("shop")
    def test_done_twice_with_an_expected_sha_it_still_succeeds(self, ctx):
        seen = create_or_update_file.run(ctx, FILE)["commitSha"]
        change = {**FILE, "content": "new", "expectedSha": seen}
        assert create_or_update_file.run(ctx, change)["changed"] is True
        assert create_or_update_file.run(ctx, change)["changed"] is False

    def test_a_missing_branch_is_made_from_the_default_branch(self, ctx, shop):
        create_or_update_file.run(ctx, {**FILE, "branch": "fix/docs"})
        assert commits(shop, "fix/docs") == ["Update docs/index.md", "Initial commit"]
        assert commits(shop) == ["Initial commit"]
        assert "branch fix/docs of acme/shop created from main" in ctx.recorder.text

    def test_the_whole_output_of_create_repo_is_a_reference(self, ctx):
        made = create_repo.run(ctx, NEW)
        assert create_or_update_file.run(ctx, {**FILE, "repo": made})["changed"] is True

    def test_a_reference_without_a_default_branch_asks_the_forge(self, ctx, shop):
        assert create_or_update_file.run(ctx, {**FILE, "repo": NEW})["changed"] is True
        assert commits(shop)[0] == "Update docs/index.md"

    def test_exactly_one_content_is_taken(self):
        both = {**FILE, "contentBase64": "YQ=="}
        assert set(wrong_fields(create_or_update_file, both)) == {"content"}
        assert set(wrong_fields(create_or_update_file, {**FILE, "content": None})) == {"content"}
        not_base64 = {"repo": REFERENCE, "path": "a", "contentBase64": "%%%"}
        assert set(wrong_fields(create_or_update_file, not_base64)) == {"contentBase64"}

    @pytest.mark.parametrize("path", ["/etc/passwd", "../../x", "a/../../x", ".git/config", "a//b"])
    def test_a_path_that_climbs_is_refused(self, path):
        assert set(wrong_fields(create_or_update_file, {**FILE, "path": path})) == {"path"}

    def test_a_branch_with_its_place_in_git_is_refused_by_the_name_of_its_field(self):
        wrong = wrong_fields(open_pr_or_mr, {"repo": REFERENCE, "headBranch": "refs/heads/x", "title": "x"})
        assert set(wrong) == {"headBranch"}
        assert wrong["headBranch"][0].startswith("headBranch: 'refs/heads/x' cannot be used")
        wrong = wrong_fields(
            create_or_update_file, {**FILE, "branch": "refs/tags/v1", "path": ".git::$INDEX_ALLOCATION/x"}
        )
        assert set(wrong) == {"branch", "path"}

    def test_a_wrong_reference_names_its_fields(self):
        fields = wrong_fields(create_or_update_file, {**FILE, "repo": {"owner": "..", "repo": "shop"}})
        assert set(fields["repo"]) == {"provider", "owner"}
        assert set(wrong_fields(create_or_update_file, {**FILE, "repo": "acme/shop"})) == {"repo"}

    @pytest.mark.usefixtures("shop")
    def test_a_lost_attempt_writes_nothing(self, root):
        before = snapshot(root)
        with pytest.raises(LostError):
            create_or_update_file.run(make_context(MemoryRecorder(lose_at_guard=1), root=root), FILE)
        assert snapshot(root) == before

    def test_a_missing_repository_is_not_found(self, ctx):
        with pytest.raises(NotFoundError, match="acme/shop"):
            create_or_update_file.run(ctx, FILE)


SKELETON = {
    "repo": REFERENCE,
    "message": "Skeleton",
    "files": [{"path": "a.txt", "content": "${{ not rendered }}"}, {"path": "b/c.bin", "contentBase64": "AAE="}],
}


class TestPushSkeleton:
    def test_all_files_are_one_commit(self, ctx, shop):
        outputs = push_skeleton.run(ctx, SKELETON)
        assert outputs == {"commitSha": shop("rev-parse", "main").strip(), "changedFiles": ["a.txt", "b/c.bin"]}
        assert commits(shop) == ["Skeleton", "Initial commit"]
        assert shop("show", "main:a.txt") == "${{ not rendered }}"
        assert f"one commit {outputs['commitSha'][:7]} on main of acme/shop: 2 files" in ctx.recorder.text

    def test_done_twice_there_is_one_commit(self, ctx, shop):
        first = push_skeleton.run(ctx, SKELETON)
        assert push_skeleton.run(ctx, SKELETON) == {**first, "changedFiles": []}
        assert commits(shop) == ["Skeleton", "Initial commit"]

    def test_in_an_empty_repository_it_makes_the_first_commit_on_main(self, ctx, root, tmp_path):
        made = create_repo.run(ctx, NEW)
        push_skeleton.run(ctx, {**SKELETON, "repo": made["repo"]})
        git("clone", "-q", made["cloneUrl"], tmp_path / "clone")
        assert (tmp_path / "clone/b/c.bin").read_bytes() == b"\x00\x01"
        assert commits(git_in(root / "acme/shop.git")) == ["Skeleton"]

    def test_a_skeleton_is_rendered_names_and_texts_and_binaries_are_copied(self, root, shop):
        files = [
            SkeletonFile("README.md", b"# The ${{ values.name }}\n"),
            SkeletonFile("src/${{ values.name }}/app.py", b"PORT = ${{ values.port }}\n"),
            SkeletonFile("run.sh", b"#!/bin/sh\n", executable=True),
            SkeletonFile("logo.png", b"\x89PNG ${{ values.name }} \xff"),
        ]
        ctx = make_context(root=root, read_skeleton={"skeleton": files}.__getitem__)
        data = {"repo": REFERENCE, "skeleton": "skeleton", "values": {"name": "shop", "port": 8080}}
        outputs = push_skeleton.run(ctx, data)
        assert outputs["changedFiles"] == ["README.md", "src/shop/app.py", "run.sh", "logo.png"]
        assert shop("show", "main:README.md") == "# The shop\n"
        assert shop("show", "main:src/shop/app.py") == "PORT = 8080\n"
        assert shop("ls-tree", "main", "run.sh").startswith("100755")
        assert ctx.scm("local").read_file(_ref(ctx), "main", "logo.png")[0] == b"\x89PNG ${{ values.name }} \xff"
        assert push_skeleton.run(ctx, data)["changedFiles"] == []
        assert "rendered 4 files of the skeleton skeleton" in ctx.recorder.text

    @pytest.mark.usefixtures("shop")
    def test_a_rendered_name_cannot_climb_out(self, root):
        before = snapshot(root)
        files = [SkeletonFile("${{ values.name }}/x", b"1")]
        ctx = make_context(root=root, read_skeleton=lambda _folder: files)
        with pytest.raises(ValidationError, match=r"'\.\./x' cannot be used"):
            push_skeleton.run(ctx, {"repo": REFERENCE, "skeleton": "s", "values": {"name": ".."}})
        assert snapshot(root) == before

    @pytest.mark.usefixtures("shop")
    def test_an_undefined_value_names_the_file(self, root):
        ctx = make_context(root=root, read_skeleton=lambda _folder: [SkeletonFile("a.txt", b"${{ values.nope }}")])
        with pytest.raises(ValidationError, match=r"s/a\.txt"):
            push_skeleton.run(ctx, {"repo": REFERENCE, "skeleton": "s"})

    @pytest.mark.usefixtures("shop")
    @pytest.mark.fault("E23")
    def test_all_files_that_cannot_be_rendered_are_told_at_once(self, root, shop):
        files = [
            SkeletonFile("a.txt", b"one\n${{ values.nope }}"),
            SkeletonFile("b-${{ values. }}.txt", b"fine"),
            SkeletonFile("c.txt", b"fine"),
        ]
        ctx = make_context(root=root, read_skeleton=lambda _folder: files)
        with pytest.raises(ValidationError) as caught:
            push_skeleton.run(ctx, {"repo": REFERENCE, "skeleton": "s"})
        assert caught.value.message == "2 files of the skeleton s cannot be rendered."
        first, second = caught.value.fields["skeleton"]
        assert first.startswith("s/a.txt, line 2: ${{ values.nope }}: ")
        assert second.startswith("s/b-${{ values. }}.txt, line 1: ")

    def test_a_run_without_a_template_has_no_skeleton(self, ctx):
        with pytest.raises(ConfigurationError, match="skeleton"):
            push_skeleton.run(ctx, {"repo": REFERENCE, "skeleton": "skeleton"})

    @pytest.mark.parametrize("more", [{"skeleton": "s"}, {"files": None}, {"files": []}])
    def test_exactly_one_source_is_taken(self, more):
        assert set(wrong_fields(push_skeleton, {**SKELETON, **more})) == {"files"}

    def test_a_wrong_file_is_named_by_its_place(self):
        files = [{"path": "ok", "content": "1"}, {"path": "../x", "content": "1"}, {"path": "y"}]
        fields = wrong_fields(push_skeleton, {"repo": REFERENCE, "files": files})
        assert set(fields["files"]) == {1, 2}


PROPOSAL = {
    "repo": REFERENCE,
    "headBranch": "fix/docs",
    "title": "Add docs",
    "body": "The scorecard wants them.",
    "files": [{"path": "docs/index.md", "content": "# Docs\n"}],
}


class TestOpenPrOrMr:
    def test_it_commits_to_a_new_branch_and_proposes_it(self, ctx, shop):
        outputs = open_pr_or_mr.run(ctx, PROPOSAL)
        assert outputs == {
            "prUrl": "https://forge.example/acme/shop/pulls/1",
            "number": 1,
            "branch": "fix/docs",
            "headSha": shop("rev-parse", "fix/docs").strip(),
        }
        assert commits(shop, "fix/docs") == ["Add docs", "Initial commit"]
        assert commits(shop) == ["Initial commit"]
        assert "branch fix/docs of acme/shop created from main" in ctx.recorder.text
        assert "opened pull request #1 of acme/shop: fix/docs into main" in ctx.recorder.text
        assert ctx.links == [Link("Pull request #1", outputs["prUrl"])]

    def test_done_twice_it_finds_the_open_one(self, ctx, shop):
        first = open_pr_or_mr.run(ctx, PROPOSAL)
        assert open_pr_or_mr.run(ctx, PROPOSAL) == first
        assert commits(shop, "fix/docs") == ["Add docs", "Initial commit"]
        assert "found the open pull request #1" in ctx.recorder.text

    @pytest.mark.usefixtures("shop")
    def test_another_run_with_the_same_branches_finds_the_open_one(self, ctx, root):
        first = open_pr_or_mr.run(ctx, PROPOSAL)
        assert open_pr_or_mr.run(make_context(root=root), {**PROPOSAL, "title": "Other"}) == first

    def test_an_attempt_that_died_between_commit_and_pull_request_is_finished(self, root, shop):
        with pytest.raises(LostError):
            open_pr_or_mr.run(make_context(MemoryRecorder(lose_at_guard=3), root=root), PROPOSAL)
        assert commits(shop, "fix/docs") == ["Add docs", "Initial commit"]
        assert open_pr_or_mr.run(make_context(root=root), PROPOSAL)["number"] == 1
        assert commits(shop, "fix/docs") == ["Add docs", "Initial commit"]

    @pytest.mark.usefixtures("shop")
    def test_done_again_after_the_merge_it_finds_the_merged_one(self, ctx):
        first = open_pr_or_mr.run(ctx, PROPOSAL)
        forge = ctx.scm("local")
        forge.merge_pull(_ref(ctx), 1)
        assert open_pr_or_mr.run(ctx, PROPOSAL) == first
        assert "found the merged pull request #1" in ctx.recorder.text

    def test_files_that_the_base_has_already_are_nothing_to_propose(self, ctx, shop):
        data = {**PROPOSAL, "files": [{"path": "README.md", "content": "# shop\n"}]}
        with pytest.raises(ValidationError, match="main of acme/shop has these files already"):
            open_pr_or_mr.run(ctx, data)
        assert shop("branch", "--list", "fix/docs") == ""

    def test_without_files_the_head_branch_must_exist_and_differ(self, ctx, shop):
        data = {**PROPOSAL, "files": None}
        with pytest.raises(ValidationError, match="no branch fix/docs: push it first"):
            open_pr_or_mr.run(ctx, data)
        shop("branch", "fix/docs", "main")
        with pytest.raises(ValidationError, match="no commit that main lacks"):
            open_pr_or_mr.run(ctx, data)
        create_or_update_file.run(ctx, {"repo": REFERENCE, "branch": "fix/docs", "path": "a", "content": "1"})
        assert open_pr_or_mr.run(ctx, data)["number"] == 1

    def test_another_base_is_taken(self, ctx, shop):
        create_or_update_file.run(ctx, {"repo": REFERENCE, "branch": "next", "path": "a", "content": "1"})
        open_pr_or_mr.run(ctx, {**PROPOSAL, "baseBranch": "next"})
        assert commits(shop, "fix/docs") == ["Add docs", "Update a", "Initial commit"]

    def test_a_missing_base_is_not_found_and_makes_no_branch(self, ctx, shop):
        with pytest.raises(NotFoundError, match="no branch nope"):
            open_pr_or_mr.run(ctx, {**PROPOSAL, "baseBranch": "nope"})
        assert shop("branch", "--list", "fix/docs") == ""

    def test_an_empty_repository_has_nothing_to_merge_into(self, ctx, root):
        create_repo.run(ctx, NEW)
        before = snapshot(root)
        with pytest.raises(NotFoundError, match="no branch main"):
            open_pr_or_mr.run(ctx, PROPOSAL)
        assert snapshot(root) == before

    def test_a_branch_cannot_be_merged_into_itself(self, ctx, shop):
        with pytest.raises(ValidationError, match="main cannot be merged into itself"):
            open_pr_or_mr.run(ctx, {**PROPOSAL, "headBranch": "main"})
        assert commits(shop) == ["Initial commit"]

    def test_wrong_branches_and_an_empty_title_are_named(self):
        data = {**PROPOSAL, "headBranch": "a..b", "baseBranch": "-x", "title": ""}
        assert set(wrong_fields(open_pr_or_mr, data)) == {"headBranch", "baseBranch", "title"}


@pytest.mark.parametrize("action", [create_repo, create_or_update_file, push_skeleton, open_pr_or_mr])
def test_every_field_is_described_for_the_api(action):
    assert action.idempotent
    assert action.description
    for schema in (action.input(), action.output()):
        for name, field in schema.fields.items():
            assert field.metadata.get("description"), name


def _ref(ctx):
    return ctx.scm("local").get_repo("acme", "shop").ref


class TestWhatTheyAskOfAForge:
    """Known before anything runs, of as much of an input as is known then."""

    def test_a_commit_of_a_workflow_asks_for_one_right_more(self):
        assert create_or_update_file.operations_for({"path": "README.md"}) == {Operation.COMMIT}
        workflow = create_or_update_file.operations_for({"path": ".github/workflows/ci.yml"})
        assert workflow == {Operation.COMMIT, Operation.COMMIT_WORKFLOWS}
        files = [{"path": "README.md"}, {"path": ".github/workflows/ci.yml"}]
        assert Operation.COMMIT_WORKFLOWS in push_skeleton.operations_for({"files": files})
        assert push_skeleton.operations_for({"skeleton": "./skeleton"}) == {Operation.COMMIT}

    def test_a_pull_request_asks_for_a_commit_where_it_has_files(self):
        assert open_pr_or_mr.operations_for({}) == {Operation.OPEN_PULL}
        assert open_pr_or_mr.operations_for({"files": [{"path": "a"}]}) == {Operation.OPEN_PULL, Operation.COMMIT}

    def test_what_is_not_known_is_not_asked_for(self):
        assert create_or_update_file.operations_for({}) == {Operation.COMMIT}
        assert push_skeleton.operations_for({"files": "${{ steps.a.output.files }}"}) == {Operation.COMMIT}
        assert create_repo.operations_for({}) == {Operation.CREATE_REPO}
