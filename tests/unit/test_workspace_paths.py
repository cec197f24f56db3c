"""The folder that the steps of a template run share, as a handler sees it."""

import pytest

from portal_actions_plugin.actions.workspace import Workspace
from portal_actions_plugin.errors import ValidationError


@pytest.fixture
def workspace(tmp_path):
    folder = (tmp_path / "workspace").resolve()
    folder.mkdir()
    (tmp_path / "outside.txt").write_text("not yours")
    return Workspace(folder)


@pytest.mark.parametrize("written", [".", "", "./", "a/.."])
def test_the_workspace_itself_has_a_path(workspace, written):
    assert workspace.path(written) == workspace.folder


@pytest.mark.parametrize("written", ["src/main.py", "./src//main.py", "src/../src/main.py"])
def test_a_place_is_found_whether_something_is_there_or_not(workspace, written):
    assert workspace.path(written) == workspace.folder / "src" / "main.py"


@pytest.mark.parametrize(
    "written", ["/etc/passwd", "../outside.txt", "a/../../outside.txt", "a\\b", "a\0b", "a" * 5_000]
)
def test_what_leads_out_is_refused_and_the_field_is_named(workspace, written):
    with pytest.raises(ValidationError) as refused:
        workspace.path(written, "targetPath")
    assert list(refused.value.fields) == ["targetPath"]


@pytest.mark.parametrize("written", ["link", "folder/outside.txt", "folder/new.txt"])
def test_no_link_leads_out(workspace, tmp_path, written):
    (workspace.folder / "link").symlink_to(tmp_path / "outside.txt")
    (workspace.folder / "folder").symlink_to(tmp_path)
    with pytest.raises(ValidationError):
        workspace.path(written)


@pytest.mark.parametrize("written", ["here", "here/new.txt", "x" * 300, "a\ud800"])
def test_what_can_be_no_path_is_refused_and_the_field_is_named(workspace, written):
    (workspace.folder / "here").symlink_to("there")
    (workspace.folder / "there").symlink_to("here")
    with pytest.raises(ValidationError, match="cannot be used") as refused:
        workspace.path(written, "sourcePath")
    assert list(refused.value.fields) == ["sourcePath"]


def test_a_link_that_stays_inside_is_followed(workspace):
    (workspace.folder / "a.txt").write_text("hello")
    (workspace.folder / "link").symlink_to("a.txt")
    assert workspace.path("link").read_text() == "hello"


def test_files_are_given_in_the_order_of_their_paths_with_their_modes(workspace):
    (workspace.folder / "src").mkdir()
    (workspace.folder / ".git").mkdir()
    (workspace.folder / ".git" / "config").write_text("ours")
    (workspace.folder / "src" / "run.sh").write_bytes(b"#!/bin/sh\n")
    (workspace.folder / "src" / "run.sh").chmod(0o755)
    (workspace.folder / "src" / "link").symlink_to("run.sh")
    (workspace.folder / "a.txt").write_bytes(b"a")
    found = [(one.path, one.mode, one.content()) for one in workspace.files()]
    assert found == [
        ("a.txt", "100644", b"a"),
        ("src/link", "120000", b"run.sh"),
        ("src/run.sh", "100755", b"#!/bin/sh\n"),
    ]


def test_a_folder_that_is_not_there_is_named(workspace):
    with pytest.raises(ValidationError, match="no folder 'src'"):
        list(workspace.files("src", "sourcePath"))
