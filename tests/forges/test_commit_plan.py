"""Which files a commit has to change, worked out from the tree alone, and what a forge's JSON is read with."""

from __future__ import annotations

import subprocess

import pytest

from portal_actions_plugin.errors import ConflictError, RemoteError, ValidationError
from portal_actions_plugin.scm.base import FileChange
from portal_actions_plugin.scm.git_objects import EXECUTABLE, FILE
from portal_actions_plugin.scm.remote import fields
from portal_actions_plugin.scm.remote.commit_plan import Entry, NoTree, PlannedFile, blob_sha, plan

FOLDER, LINK = 0o40000, 0o120000


class Tree:
    def __init__(self, entries: dict[str, Entry]) -> None:
        self.entries = entries

    def entry(self, path: str) -> Entry | None:
        return self.entries.get(path)


def planned(tree, *changes: FileChange, seen=lambda sha: None) -> list[PlannedFile]:
    return plan(changes, tree, name="acme/shop", branch="main", seen=seen)


def file(content: bytes, mode: int = FILE) -> Entry:
    return Entry(mode, blob_sha(content))


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\x00\xff" * 5000])
def test_a_blob_has_the_sha_that_git_gives_it(content: bytes) -> None:
    said = subprocess.run(["git", "hash-object", "--stdin"], input=content, capture_output=True, check=True)
    assert blob_sha(content) == said.stdout.decode().strip()


def test_what_is_there_already_is_not_planned() -> None:
    tree = Tree({"a": file(b"1"), "b": file(b"1", EXECUTABLE), "c": file(b"1")})
    changes = [FileChange("a", b"1"), FileChange("b", b"1"), FileChange("c", b"2"), FileChange("d/e", b"1")]
    assert [one.path for one in planned(tree, *changes)] == ["c", "d/e"]


def test_a_mode_is_kept_unless_it_is_given() -> None:
    tree = Tree({"run": file(b"1", EXECUTABLE), "plain": file(b"1"), "link": file(b"1", LINK)})
    kept = planned(tree, FileChange("run", b"2"), FileChange("plain", b"2"), FileChange("link", b"1"))
    assert [one.mode for one in kept] == [EXECUTABLE, FILE, FILE]
    given = planned(tree, FileChange("run", b"1", executable=False), FileChange("plain", b"1", executable=True))
    assert [(one.path, one.mode) for one in given] == [("run", FILE), ("plain", EXECUTABLE)]


def test_a_file_must_be_as_expected_by_its_blob_or_by_a_commit() -> None:
    tree = Tree({"a": file(b"2")})
    stale = FileChange("a", b"3", expected_sha=blob_sha(b"1"))
    with pytest.raises(ConflictError, match=r"a on main of acme/shop is not as .* says: it is blob"):
        planned(tree, stale)
    with pytest.raises(ConflictError, match="it is gone"):
        planned(NoTree(), stale)
    assert planned(tree, FileChange("a", b"3", expected_sha=blob_sha(b"2")))
    commits = {"c" * 40: Tree({"a": file(b"2")}), "d" * 40: Tree({"a": file(b"1")})}
    assert planned(tree, FileChange("a", b"3", expected_sha="c" * 40), seen=commits.get)
    with pytest.raises(ConflictError):
        planned(tree, FileChange("a", b"3", expected_sha="d" * 40), seen=commits.get)
    assert planned(tree, FileChange("a", b"2", expected_sha=blob_sha(b"1"))) == []


def test_nothing_is_written_over_a_folder_or_below_a_file() -> None:
    tree = Tree({"src": Entry(FOLDER, "f" * 40), "notes": file(b"1")})
    with pytest.raises(ConflictError, match="src of acme/shop is a folder"):
        planned(tree, FileChange("src", b"1"))
    with pytest.raises(ConflictError, match="notes of acme/shop is a file"):
        planned(tree, FileChange("notes/more", b"1"))
    with pytest.raises(ValidationError, match="a/b cannot be a file and a folder at once"):
        planned(NoTree(), FileChange("a/b/c", b"1"), FileChange("a/b", b"1"))


def test_an_answer_is_read_without_trust_in_its_shape() -> None:
    answer = {"head": {"sha": "abc"}, "number": 3, "on": True, "list": [{"x": 1}, "y", None], "empty": ""}
    assert fields.text(answer, "head", "sha") == "abc"
    assert fields.number(answer, "number") == 3
    assert fields.flag(answer, "on")
    assert not fields.flag(answer, "number")
    assert fields.objects(answer, "list") == [{"x": 1}]
    assert fields.texts(answer, "list") == ("y",)
    assert fields.maybe_text(answer, "empty") is None
    with pytest.raises(RemoteError, match=r"without a text at head\.name"):
        fields.text(answer, "head", "name")
    with pytest.raises(RemoteError, match="without a number at on"):
        fields.number(answer, "on")
    assert fields.moment("2026-01-31T12:00:00Z").isoformat() == "2026-01-31T12:00:00+00:00"
    with pytest.raises(RemoteError, match="where a time belongs"):
        fields.moment("yesterday")
