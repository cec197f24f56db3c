"""Copying a repository's files by git's protocol, from a double of a forge over real sockets."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from click.testing import CliRunner

from portal_actions_plugin.cli import actions
from portal_actions_plugin.errors import NotFoundError, RemoteError, ValidationError
from portal_actions_plugin.scm import clone as cloning
from portal_actions_plugin.scm import git_remote, trees
from portal_actions_plugin.scm.clone import clone
from tests.support.forges.git_store import Entry, Person
from tests.support.forges.github import GitHubDouble
from tests.support.http_server import Server, serving

TEMPLATE = (
    "apiVersion: scaffolder.backstage.io/v1beta3\nkind: Template\nmetadata: {name: x}\nspec:\n  type: service\n"
    "  parameters: {$yaml: ../common.yaml}\n  steps: [{action: debug.log@v1, input: {message: x}}]\n"
)
MONA = Person("Mona", "mona@example.org", datetime(2026, 1, 2, tzinfo=UTC))
FILES = {"common.yaml": "properties: {}\n", "t/template.yaml": TEMPLATE, "bin/data": b"\x00\xff"}


@pytest.fixture
def public(hub: GitHubDouble) -> str:
    hub.add_repository("acme/templates", FILES, visibility="public")
    hub.commit("acme/templates", "main", {"more.txt": "more\n"})
    return f"{hub.url}/acme/templates"


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def test_the_files_of_the_newest_commit_are_copied_without_history(
    hub: GitHubDouble, public: str, tmp_path: Path
) -> None:
    expected = {
        **{name: text.encode() if isinstance(text, str) else text for name, text in FILES.items()},
        "more.txt": b"more\n",
    }
    for address in (public, f"{public}.git"):
        folder = tmp_path / address[-4:]
        clone(address, None, folder)
        assert files_of(folder) == expected
    hub.commit("acme/templates", "next", {"next.txt": "x"}, start="main")
    clone(public, "next", tmp_path / "next")
    assert files_of(tmp_path / "next") == {**expected, "next.txt": b"x"}
    hub.rename("acme/templates", "acme/moved")
    clone(public, None, tmp_path / "moved")
    assert files_of(tmp_path / "moved") == expected


def test_links_submodules_and_paths_that_lead_elsewhere_are_left_out(
    hub: GitHubDouble, public: str, tmp_path: Path
) -> None:
    git = hub.repository("acme/templates").git
    (blob,) = git.write_blobs([b"/etc/passwd"])
    tree = git.write_tree([Entry("link", "120000", "blob", blob), Entry("plain", "100644", "blob", blob)])
    git.set_ref("refs/heads/hostile", git.write_commit(tree, [], "Links", author=MONA))
    clone(public, "hostile", tmp_path / "copy")
    assert files_of(tmp_path / "copy") == {"plain": b"/etc/passwd"}
    assert not (tmp_path / "copy" / "link").is_symlink()


@pytest.mark.parametrize("leaf", ["submodules", "nothing"])
def test_folders_that_stand_for_more_than_there_is_time_are_refused(
    hub: GitHubDouble, public: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leaf: str
) -> None:
    monkeypatch.setattr(trees, "MAX_ENTRIES", 500)
    git = hub.repository("acme/templates").git
    one = f"160000 commit {'1' * 40}\tx\n".encode() if leaf == "submodules" else b""
    for _ in range(10):  # 10⁹ folders, in a few hundred bytes
        tree = git.git("mktree", "--missing", stdin=one).decode().strip()
        one = "".join(f"040000 tree {tree}\td{number}\n" for number in range(10)).encode()
    git.set_ref("refs/heads/hostile", git.write_commit(tree, [], "Many", author=MONA))
    with pytest.raises(ValidationError, match="more than 500 files and folders"):
        clone(public, "hostile", tmp_path / "copy")


def head_of(kind: int, size: int) -> bytes:
    first, size = kind << 4 | size & 15, size >> 4
    written = []
    while size:
        written.append(first | 0x80)
        first, size = size & 0x7F, size >> 7
    return bytes([*written, first])


def number(value: int) -> bytes:
    return bytes([value & 0x7F | 0x80, *number(value >> 7)]) if value > 0x7F else bytes([value])


def pack_of(*objects: bytes) -> BytesIO:
    return BytesIO(b"PACK" + (2).to_bytes(4) + len(objects).to_bytes(4) + b"".join(objects) + b"\0" * 20)


ZEROS = head_of(3, 100_000) + zlib.compress(bytes(100_000))
COPIES = number(100_000) + number(300_000) + b"\xb0\xff\xff" * 5  # a delta says what it makes
REFERENCE = head_of(7, len(COPIES)) + b"\1" * 20 + zlib.compress(COPIES)
OFFSET = head_of(6, len(COPIES)) + b"\x81\x01" + zlib.compress(COPIES)


@pytest.mark.parametrize("given", [(ZEROS,) * 3, (ZEROS, REFERENCE), (ZEROS, OFFSET)])
def test_a_pack_that_would_fill_the_memory_is_refused_before_it_is_unpacked(
    given: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_remote, "MAX_UNPACKED", 500_000)
    git_remote.require_bounded(pack_of(*given), "acme/x")
    monkeypatch.setattr(git_remote, "MAX_UNPACKED", 250_000)
    with pytest.raises(RemoteError, match="acme/x is larger than"):
        git_remote.require_bounded(pack_of(*given), "acme/x")


@pytest.mark.parametrize("wrong", [ZEROS[:40], head_of(3, 9) + b"garbage", head_of(3, 5) + ZEROS[3:]])
def test_a_pack_that_lies_is_none(wrong: bytes) -> None:
    with pytest.raises(ValueError, match=r"ends too early|while decompressing"):
        git_remote.require_bounded(BytesIO(pack_of(wrong, ZEROS).getvalue()[: 12 + len(wrong)]), "acme/x")


def test_a_repository_that_would_fill_the_memory_is_told(
    public: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_remote, "MAX_UNPACKED", 100)
    with pytest.raises(RemoteError, match="when it is unpacked"):
        clone(public, None, tmp_path / "copy")


def test_what_cannot_be_copied_is_a_sentence(
    hub: GitHubDouble, public: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add_repository("acme/private", FILES)
    hub.add_repository("acme/empty", visibility="public")
    for address, ref, error in (
        (f"{hub.url}/acme/private", None, NotFoundError),
        (f"{hub.url}/acme/missing", None, NotFoundError),
        (f"{hub.url}/acme/empty", None, NotFoundError),
        (public, "missing", NotFoundError),
        ("git@github.com:acme/x.git", None, ValidationError),
        ("https://ada:secret@example.com/x", None, ValidationError),
        ("http://127.0.0.1:1/x", None, RemoteError),
    ):
        with pytest.raises(error) as refused:
            clone(address, ref, tmp_path / "none")
        assert "secret" not in refused.value.message
    monkeypatch.setattr(cloning, "MAX_FILES", 2)
    with pytest.raises(ValidationError, match="more than 2 files"):
        clone(public, None, tmp_path / "many")


def test_what_speaks_no_git_is_told_so(tmp_path: Path) -> None:
    with serving(Server()) as server, pytest.raises((RemoteError, NotFoundError)):
        clone(f"http://127.0.0.1:{server.port}/x", None, tmp_path)


def test_template_try_takes_the_address_of_a_repository(
    public: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(actions, ["template", "try", public, "--format", "json"])
    assert told.exit_code == 0, told.output
    (one,) = json.loads(told.output)["templates"]
    assert (one["name"], one["file"], one["state"]) == ("x", "t/template.yaml", "runs today")
    refused = CliRunner().invoke(actions, ["template", "try", public, "--ref", "missing"])
    assert (refused.exit_code, "has no branch or tag missing" in refused.output) == (2, True)
