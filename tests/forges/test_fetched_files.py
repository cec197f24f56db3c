"""Reading folders of repositories at forges, over real sockets: with the portal's credential, and from nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from portal_actions_plugin.actions.context import ActionContext
from portal_actions_plugin.actions.files.fetch import fetch_plain, fetch_plain_file, fetch_template
from portal_actions_plugin.errors import NotFoundError, RemoteError, ValidationError
from portal_actions_plugin.scm import reading
from portal_actions_plugin.scm.trees import Bounds
from portal_actions_plugin.settings.forge_addresses import ForgeAddresses
from portal_actions_plugin.settings.installations import Installation
from tests.support.action_helpers import make_context
from tests.support.forges.git_store import Entry, Person
from tests.support.forges.github_opened import OpenedGitHub
from tests.support.forges.gitlab import OWNER
from tests.support.forges.gitlab_provider import OpenedGitLab, acme, ada, gitlab, opened
from tests.support.http_server import Handler, Server, says, serving

__all__ = ["acme", "ada", "gitlab", "opened"]

MONA = Person("Mona", "mona@example.org", datetime(2026, 1, 2, tzinfo=UTC))
FILES = {
    "go/main.go": b"package ${{ values.name }}\n",
    "go/.ci/x.yml": b"ref: ${{ github.ref }}\n",
    "README.md": b"top\n",
}


def context(tmp_path: Path, installation: Installation, open_it: Callable[[], Any]) -> ActionContext:
    """A context that knows one forge."""
    addresses = ForgeAddresses({installation.name: installation})
    ctx = make_context(workspace=tmp_path / "workspace", forge_addresses=addresses)
    ctx.make_scm = lambda _name, _asking: open_it()
    return ctx


def texts(ctx: ActionContext) -> dict[str, str]:
    folder = ctx.workspace.folder
    return {str(one.relative_to(folder)): one.read_text() for one in sorted(folder.rglob("*")) if one.is_file()}


class TestGitHub:
    @pytest.fixture
    def hub(self, github: OpenedGitHub) -> OpenedGitHub:
        github.double.add_repository("acme/skeletons", {name: text.decode() for name, text in FILES.items()})
        github.double.commit("acme/skeletons", "feature/x", {"go/new.txt": "new"}, start="main")
        return github

    def context(self, hub: OpenedGitHub, tmp_path: Path) -> ActionContext:
        return context(tmp_path, hub.opening().installation, hub.provider)

    def test_a_private_folder_is_read_with_the_credential_and_only_read(
        self, hub: OpenedGitHub, tmp_path: Path
    ) -> None:
        ctx = self.context(hub, tmp_path)
        hub.double.log.clear()
        url = f"{hub.double.url}/acme/skeletons/tree/feature/x/go"
        fetch_template.run(ctx, {"url": url, "values": {"name": "orders"}, "targetPath": "out"})
        assert texts(ctx) == {"out/.ci/x.yml": "ref: \n", "out/main.go": "package orders\n", "out/new.txt": "new"}
        assert [one for one in hub.requests() if not one.endswith(("/info/refs", "/git-upload-pack"))] == []

    def test_a_file_a_commit_and_the_default_branch_are_read(self, hub: OpenedGitHub, tmp_path: Path) -> None:
        ctx = self.context(hub, tmp_path)
        base = f"{hub.double.url}/acme/skeletons"
        fetch_plain_file.run(ctx, {"url": f"{base}/blob/main/README.md", "targetPath": "file"})
        sha = hub.provider().branch_head(_ref(hub), "feature/x")
        fetch_plain.run(ctx, {"url": f"{base}/tree/{sha}/go", "targetPath": "commit"})
        fetch_plain.run(ctx, {"url": base, "targetPath": "whole"})
        assert {"file", "commit/new.txt", "whole/README.md", "whole/go/main.go"} <= set(texts(ctx))
        assert "whole/go/new.txt" not in texts(ctx)

    def test_what_is_not_there_or_may_not_be_seen_is_told(self, hub: OpenedGitHub, tmp_path: Path) -> None:
        for path in ("acme/skeletons/tree/nope/go", "acme/skeletons/tree/main/nope", "acme/nothing"):
            with pytest.raises(NotFoundError):
                fetch_plain.run(self.context(hub, tmp_path), {"url": f"{hub.double.url}/{path}"})
        stranger = hub.as_token(hub.double.classic_token(hub.double.add_user("eve").login, "repo").token)
        with pytest.raises(NotFoundError, match="credential may not read"):
            fetch_plain.run(self.context(stranger, tmp_path), {"url": f"{hub.double.url}/acme/skeletons"})

    def test_without_a_credential_what_everybody_may_see_is_read(self, hub: OpenedGitHub, tmp_path: Path) -> None:
        hub.double.add_repository("acme/public", {"a.txt": "a"}, visibility="public")
        nobody = hub.as_token("")
        settings = {"url": hub.double.url, "api_url": hub.double.api_url}
        open_it = lambda: nobody.provider(installation=Installation("ghe", "github", settings))  # noqa: E731
        ctx = context(tmp_path, Installation("ghe", "github", settings), open_it)
        fetch_plain.run(ctx, {"url": f"{hub.double.url}/acme/public"})
        assert texts(ctx) == {"a.txt": "a"}
        with pytest.raises(NotFoundError, match="has no credential for it"):
            fetch_plain.run(ctx, {"url": f"{hub.double.url}/acme/skeletons"})

    def test_by_another_host_of_the_forge_the_forge_itself_is_asked(self, hub: OpenedGitHub, tmp_path: Path) -> None:
        known = hub.opening().installation
        with serving(Server()) as other:
            host = f"127.0.0.1:{other.port}"
            named = Installation(known.name, known.kind, {**known.settings, "hosts": [host]})
            ctx = context(tmp_path, named, hub.provider)
            fetch_plain.run(ctx, {"url": f"https://{host}/acme/skeletons/tree/main/go"})
            assert (texts(ctx).keys(), other.seen) == ({".ci/x.yml", "main.go"}, [])

    def test_where_git_is_not_to_be_had_the_api_gives_the_same(
        self, hub: OpenedGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        git = hub.double.repository("acme/skeletons").git
        (blob, target) = git.write_blobs([b"#!/bin/sh\n", b"run"])
        tree = git.write_tree([Entry("run", "100755", "blob", blob), Entry("link", "120000", "blob", target)])
        commit = git.write_commit(tree, [], "Modes", author=MONA)
        git.set_ref("refs/tags/v1", commit)
        git.set_ref("refs/heads/a/b/c", commit)
        wheres = ["feature/x/go", "main", "", "main/README.md", "v1", commit, "a/b/c/run", "a/b/c"]
        ref, bounds = _ref(hub), Bounds(100, 1_000_000)
        provider = hub.provider()
        for where in wheres:
            by_git = reading.read_files(
                f"{hub.double.url}/acme/skeletons.git", where, bounds, access=provider.git_access(ref)
            )
            assert sorted(provider.files_by_api(ref, where, bounds), key=str) == sorted(by_git, key=str)
        for where in ("nope", "main/nope", "main/README.md/x"):
            with pytest.raises(NotFoundError):
                provider.files_by_api(ref, where, bounds)
        with pytest.raises(ValidationError, match="has more than"):
            provider.files_by_api(ref, "main", Bounds(1, 1_000_000))

        def no_git(*_given: Any, **_options: Any) -> None:
            raise NotFoundError("git is not to be had")

        monkeypatch.setattr(reading, "read_files", no_git)
        ctx = self.context(hub, tmp_path)
        fetch_plain.run(ctx, {"url": f"{hub.double.url}/acme/skeletons/tree/main/go"})
        assert texts(ctx).keys() == {".ci/x.yml", "main.go"}
        with pytest.raises(NotFoundError, match="git is not to be had"):
            fetch_plain.run(ctx, {"url": f"{hub.double.url}/acme/skeletons/tree/nope"})

    def test_too_much_is_refused_by_name(self, hub: OpenedGitHub) -> None:
        access = hub.provider().git_access(_ref(hub))
        for bounds in (Bounds(1, 1_000_000), Bounds(100, 5)):
            with pytest.raises(ValidationError, match="acme/skeletons has more than"):
                reading.read_files(f"{hub.double.url}/acme/skeletons.git", "main", bounds, access=access)


def _ref(hub: OpenedGitHub) -> Any:
    return hub.provider().get_repo("acme", "skeletons").ref


class TestGitLab:
    def test_a_private_folder_of_a_group_within_a_group_is_read(
        self, opened: OpenedGitLab, gitlab: Any, ada: Any, tmp_path: Path
    ) -> None:
        gitlab.add_group("acme/sub", {"ada": OWNER})
        gitlab.add_project("acme/sub/skeletons", ada, FILES)
        ctx = context(tmp_path, opened.opening().installation, opened.provider)
        for address in ("-/tree/main/go", "tree/main/go"):
            data = {"url": f"{gitlab.url}/acme/sub/skeletons/{address}", "values": {"name": "orders"}, "replace": True}
            fetch_template.run(ctx, data)
        assert texts(ctx) == {".ci/x.yml": "ref: \n", "main.go": "package orders\n"}
        assert opened.redacted


class TestHostileForges:
    def test_no_redirect_leads_to_another_host_and_no_credential_follows_one(self) -> None:
        def lead_away(handler: Handler) -> None:
            handler.reply(302, Location=f"http://127.0.0.1:{other.port}/acme/x.git/info/refs?service=git-upload-pack")

        with serving(Server()) as other, serving(Server()) as forge:
            other.routes["/acme/x.git/info/refs"] = says(200, b"x")
            forge.routes["/acme/x.git/info/refs"] = lead_away
            with pytest.raises(RemoteError, match="another host"):
                reading.read_files(f"http://127.0.0.1:{forge.port}/acme/x.git", "main", Bounds(10, 1_000))
            assert other.seen == []

    def test_what_is_no_answer_of_git_is_a_sentence(self) -> None:
        with serving(Server()) as forge:
            forge.routes["/acme/x.git/info/refs"] = says(200, b"<html>login</html>")
            with pytest.raises(RemoteError, match="no answer of git"):
                reading.read_files(f"http://127.0.0.1:{forge.port}/acme/x.git", "main", Bounds(10, 1_000))
