"""The provider ``github`` on an emulator that others wrote, each request judged by GitHub's own description of its API.

The emulator has no git transport, so repositories begin with a README.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from portal_actions_plugin.actions.backstage.catalog_register import catalog_register
from portal_actions_plugin.actions.backstage.publish_github import publish_github
from portal_actions_plugin.errors import ConflictError
from portal_actions_plugin.scm.base import FileChange, RepoRef, WebhookSpec
from portal_actions_plugin.scm.github.provider import open_github
from portal_actions_plugin.scm.opening import Opening
from portal_actions_plugin.scm.remote import transport
from portal_actions_plugin.settings.forge_addresses import ForgeAddresses
from portal_actions_plugin.settings.installations import Installation
from tests.support.action_helpers import MemoryRecorder, make_context
from tests.support.forges.emulator import EmulatedGitHub
from tests.support.forges.github_opened import AUTHOR, KeptNotes


@pytest.fixture
def opening(emulated_github: EmulatedGitHub):
    settings = {"url": emulated_github.url, "api_url": emulated_github.url, "token": emulated_github.token}
    yield Opening(Installation("emulated", "github", settings), AUTHOR, notes=KeptNotes())
    transport.close_kept()


def made(opening: Opening, name: str = "") -> RepoRef:
    return (
        open_github(opening)
        .create_repo(
            "acme",
            name or f"r{uuid.uuid4().hex[:12]}",
            visibility="private",
            description="Sells",
            init_with_readme=True,
            claim="c1",
        )
        .ref
    )


def test_create_service_twice_leaves_nothing_twice(opening: Opening) -> None:
    name = f"r{uuid.uuid4().hex[:12]}"
    files = [
        FileChange("docs/ü/a b.md", b"# A\n"),
        FileChange("img.png", b"\x89PNG\0"),
        FileChange("README.md", b"# B\n"),
    ]
    hook = WebhookSpec("https://hooks.example.org/a", ("push",), "s3cret")
    seen = []
    for _ in range(2):
        scm, ref = open_github(opening), made(opening, name)
        first = scm.put_files(ref, ref.default_branch, files, "Add the skeleton", base_branch=ref.default_branch)
        change = [FileChange("docs/more.md", b"more\n")]
        topic = scm.put_files(ref, "feature/more", change, "More", base_branch=ref.default_branch)
        pull = scm.open_pull(ref, head="feature/more", base=ref.default_branch, title="More", body="")
        seen.append((ref, first.sha, topic.sha, pull.number, scm.ensure_webhook(ref, hook).id))
        assert scm.read_file(ref, "feature/more", "docs/ü/a b.md")[0] == b"# A\n"
        assert scm.branch_head(ref, "feature/more") == topic.sha
    assert seen[0] == seen[1]
    with pytest.raises(ConflictError):
        made(replace(opening, notes=KeptNotes()), name)


def test_a_workspace_is_published_and_registered_twice(opening: Opening, tmp_path: Path) -> None:
    installation = opening.installation
    addresses = ForgeAddresses({installation.name: installation})
    entities: list[str] = []
    catalog: Any = SimpleNamespace(register_entity=lambda entity, _: entities.append(entity["name"]) or entity["name"])
    recorder = MemoryRecorder()

    def new_attempt() -> Any:
        ctx = make_context(recorder, workspace=tmp_path / "workspace", forge_addresses=addresses, host_catalog=catalog)
        ctx.make_scm = lambda _name, asking: open_github(replace(opening, log=asking.log, warn=asking.warn))
        return ctx

    ctx = new_attempt()
    files = {
        "catalog-info.yaml": b"kind: Component\nmetadata: {name: shop}\n",
        "src/a.txt": b"a",
        "logo.png": b"\x89\0",
    }
    for name, content in files.items():
        (ctx.workspace.folder / name).parent.mkdir(exist_ok=True)
        (ctx.workspace.folder / name).write_bytes(content)
    repo = f"r{uuid.uuid4().hex[:12]}"
    data = {"repoUrl": f"{addresses.hosts[0]}?owner=acme&repo={repo}", "defaultBranch": "main", "topics": ["go"]}
    first = publish_github.run(new_attempt(), data)
    assert publish_github.run(new_attempt(), data) == first
    scm, ref = open_github(opening), RepoRef(installation.name, "acme", repo, "main")
    assert {name: (scm.read_file(ref, "main", name) or (b"",))[0] for name in files} == files
    registered = catalog_register.run(new_attempt(), {"repoContentsUrl": first["repoContentsUrl"]})
    assert (registered["entityRef"], entities) == ("component:default/shop", ["shop"])
    somebody = make_context(workspace=tmp_path / "workspace", forge_addresses=addresses)
    somebody.make_scm = lambda *_: open_github(replace(opening, notes=KeptNotes()))
    with pytest.raises(ConflictError):
        publish_github.run(somebody, data)


def test_a_pull_request_is_merged_and_closed(opening: Opening) -> None:
    scm, ref = open_github(opening), made(opening)
    for branch in ("one", "two"):
        scm.put_files(ref, branch, [FileChange(branch, b"1\n")], branch, base_branch=ref.default_branch)
    one, two = (scm.open_pull(ref, head=head, base=ref.default_branch, title=head, body="") for head in ("one", "two"))
    assert scm.merge_pull(ref, one.number, expected_head=one.head_sha, method="squash").state == "merged"
    assert scm.close_pull(ref, two.number, expected_head=None).state == "closed"


def test_issues_labels_and_topics(opening: Opening) -> None:
    scm, ref = open_github(opening), made(opening)
    issue = scm.create_issue(ref, title="Fix", body="Now", labels=["bug"], assignees=[], claim="c1")
    assert (
        scm.create_issue(ref, title="Fix", body="Now", labels=["bug"], assignees=[], claim="c1").number == issue.number
    )
    assert scm.label_issue(ref, issue.number, ["bug", "later"]) == ("later",)
    assert scm.set_topics(ref, ["go"]) == ("go",)
    assert scm.set_topics(ref, ["go"]) == ()
