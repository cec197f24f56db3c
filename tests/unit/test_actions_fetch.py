"""``fetch:…``: what of a skeleton comes into the workspace, under which names, and what fails with file and line."""

from __future__ import annotations

import os

import pytest

from portal_actions_plugin.actions.files import disk
from portal_actions_plugin.actions.files.fetch import fetch_plain, fetch_plain_file, fetch_template, fetch_template_file
from portal_actions_plugin.errors import NotFoundError, ValidationError
from portal_actions_plugin.host import SkeletonFile
from portal_actions_plugin.settings.forge_addresses import ForgeAddresses
from portal_actions_plugin.settings.installations import read_installations
from portal_actions_plugin.software_templates.readings import Reading
from tests.support.action_helpers import git, make_context

VALUES = {"name": "orders", "java": True, "skip": ""}


def context(tmp_path, files=(), **options):
    """A context whose template has these files beside it: by path, as texts, bytes or ``SkeletonFile``."""
    found = [
        one if isinstance(one, SkeletonFile) else SkeletonFile(one, text if isinstance(text, bytes) else text.encode())
        for one, text in dict(files).items()
    ]
    return make_context(workspace=tmp_path / "workspace", read_skeleton=lambda _folder: found, **options)


def fetch(ctx, **given):
    fetch_template.run(ctx, {"url": "./skeleton", "values": VALUES, **given})
    return texts(ctx.workspace.folder)


def texts(folder):
    return {str(one.relative_to(folder)): one.read_text() for one in sorted(folder.rglob("*")) if one.is_file()}


@pytest.mark.parametrize("reading", Reading)
def test_names_and_texts_are_rendered(tmp_path, reading):
    files = {
        "${{ values.name }}/main.py": "print('${{ values.name }}')\n",
        "{% if values.java %}pom{% endif %}.xml": "{% for x in [1, 2] %}${{ x }}{% endfor %}",
        ".gitignore": "*.pyc\n",
    }
    assert fetch(context(tmp_path, files, reading=reading), targetPath="./out/") == {
        "out/.gitignore": "*.pyc\n",
        "out/orders/main.py": "print('orders')\n",
        "out/pom.xml": "12",
    }


def test_a_name_that_becomes_nothing_is_left_out_with_all_that_is_in_it(tmp_path):
    files = {
        "${{ values.skip }}/a": "",
        "x/${{ values.skip }}/b": "",
        "${{ 'c' if values.skip }}": "",
        "x/${{ 'd' if values.skip }}": "",
        "e": "e",
    }
    ctx = context(tmp_path, files)
    assert fetch(ctx) == {"e": "e"}
    assert (ctx.workspace.folder / "x").is_dir()


def test_a_file_can_be_executed_afterwards_when_it_could_before(tmp_path):
    ctx = make_context(
        workspace=tmp_path / "workspace",
        read_skeleton=lambda _: [SkeletonFile("run", b"${{ values.name }}", True), SkeletonFile("data", b"x")],
    )
    fetch(ctx)
    assert [os.access(ctx.workspace.folder / name, os.X_OK) for name in ("run", "data")] == [True, False]


def test_what_is_no_text_is_copied(tmp_path):
    ctx = context(tmp_path, {"logo.png": b"\x89PNG\x00${{ values.name }}", "latin": b"\xe9 ${{ values.name }}"})
    fetch_template.run(ctx, {"url": "./skeleton", "values": VALUES})
    folder = ctx.workspace.folder
    assert (folder / "logo.png").read_bytes() == b"\x89PNG\x00${{ values.name }}"
    assert (folder / "latin").read_bytes() == b"\xe9 ${{ values.name }}"


def test_what_is_there_stays_unless_it_is_to_be_replaced(tmp_path):
    ctx = context(tmp_path, {"a": "${{ values.name }}", "b": "new"})
    (ctx.workspace.folder / "a").write_text("old")
    assert fetch(ctx) == {"a": "old", "b": "new"}
    assert fetch(ctx, replace=True) == {"a": "orders", "b": "new"}


def test_some_files_are_copied_and_their_names_rendered_or_not(tmp_path):
    files = {".github/workflows/${{ values.name }}.yml": "${{ github.ref }}", "a/b.hbs": "${{ values.name }}", "c": "x"}
    patterns = [".github/workflows/*", "**/*.hbs"]
    assert fetch(context(tmp_path / "1", files), copyWithoutTemplating=patterns) == {
        ".github/workflows/orders.yml": "${{ github.ref }}",
        "a/b.hbs": "${{ values.name }}",
        "c": "x",
    }
    assert list(fetch(context(tmp_path / "2", files), copyWithoutRender=patterns)) == [
        ".github/workflows/${{ values.name }}.yml",
        "a/b.hbs",
        "c",
    ]
    assert ".github/workflows/orders.yml" in fetch(context(tmp_path / "3", files), copyWithoutTemplating=[".github"])


def test_only_files_with_an_ending_are_rendered_and_lose_it(tmp_path):
    files = {
        "a.md.njk": "${{ values.name }}",
        "b.md": "${{ values.name }}",
        "${{ values.name }}.j2": "${{ values.name }}",
    }
    assert fetch(context(tmp_path / "1", files), templateFileExtension=True) == {
        "a.md": "orders",
        "b.md": "${{ values.name }}",
        "orders.j2": "${{ values.name }}",
    }
    for written in ("j2", ".j2"):
        assert fetch(context(tmp_path / written, files), templateFileExtension=written)["orders"] == "orders"
    assert "a.md.njk" in fetch(context(tmp_path / "2", files), templateFileExtension=False)


def test_files_of_cookiecutter_are_rendered_with_its_signs(tmp_path):
    files = {"{{ cookiecutter.name }}/a.py": "{{ cookiecutter.name }} ${{ values.name }} {{ cookiecutter | jsonify }}"}
    assert fetch(context(tmp_path, files), cookiecutterCompat=True, values={"name": "x"}) == {
        "x/a.py": 'x $ {"name":"x"}'
    }


def test_blocks_are_trimmed_where_that_is_asked_for(tmp_path):
    files = {"a": "x\n  {% if values.java %}\ny\n  {% endif %}\nz\n"}
    assert fetch(context(tmp_path, files), trimBlocks=True, lstripBlocks=True) == {"a": "x\ny\nz\n"}


@pytest.mark.parametrize("reading", Reading)
def test_a_name_that_nobody_knows_is_nothing_and_a_warning_names_file_and_line(tmp_path, reading):
    ctx = context(tmp_path, {".github/ci.yml": "on: push\nref: ${{ github.ref }}!\n"}, reading=reading)
    assert fetch(ctx) == {".github/ci.yml": "on: push\nref: !\n"}
    assert len(ctx.warnings) == 1
    assert ctx.warnings[0].startswith("./skeleton/.github/ci.yml, line 2: 'github' is unknown, and nothing")


@pytest.mark.parametrize("reading", Reading)
def test_files_that_cannot_be_rendered_fail_the_step_together_with_file_and_line(tmp_path, reading):
    files = {"a": "x\n${{ values.name | nope }}", "b/c": "{% if values.name %}", "d": "fine"}
    with pytest.raises(ValidationError, match=r"2 files of \./skeleton") as caught:
        fetch(context(tmp_path, files, reading=reading))
    assert [said.split(":")[0] for said in caught.value.fields["url"]] == [
        "./skeleton/a, line 2",
        "./skeleton/b/c, line 1",
    ]


@pytest.mark.parametrize("value", ["../x", "..", "../../etc/passwd", "a/../../x", "a\\b", "x" * 300])
def test_no_name_leads_out_of_the_target(tmp_path, value):
    ctx = context(tmp_path, {"${{ values.name }}": "x"})
    with pytest.raises(ValidationError):
        fetch(ctx, targetPath="out", values={"name": value})
    assert texts(tmp_path) == {}


@pytest.mark.parametrize("target", ["../out", "/tmp/out", "link", "file"])
def test_no_target_leads_out_of_the_workspace_or_is_a_file(tmp_path, target):
    ctx = context(tmp_path, {"a": "x"})
    (ctx.workspace.folder / "link").symlink_to(tmp_path)
    (ctx.workspace.folder / "file").write_text("")
    for one in (fetch_template, fetch_plain):
        with pytest.raises(ValidationError) as caught:
            one.run(ctx, {"url": "./skeleton", "targetPath": target})
        assert "targetPath" in caught.value.fields
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    "given",
    [
        {"copyWithoutTemplating": ["a"], "copyWithoutRender": ["b"]},
        {"templateFileExtension": True, "copyWithoutTemplating": []},
        {"templateFileExtension": "x", "cookiecutterCompat": True},
        {"templateFileExtension": 3},
        {"copyWithoutTemplating": "*.md"},
        {"values": "x"},
        {"copyWithoutTemplating": ["x" * 2_000]},
    ],
)
def test_inputs_that_exclude_each_other_or_have_the_wrong_type_are_refused(tmp_path, given):
    with pytest.raises(ValidationError):
        fetch(context(tmp_path, {"a": "x"}), **given)


def test_a_step_writes_no_more_than_its_bound(tmp_path, monkeypatch):
    files = {f"{number}.txt": "x" * 100 for number in range(5)}
    for name, most in (("MAX_FILES", 4), ("MAX_BYTES", 450)):
        with monkeypatch.context() as patched:
            patched.setattr(disk, name, most)
            for number, one in enumerate((fetch_template, fetch_plain)):
                ctx = context(tmp_path / f"{name}{number}", files)
                with pytest.raises(ValidationError, match="This makes more than"):
                    one.run(ctx, {"url": "./skeleton"})


def test_what_its_files_become_together_is_bounded_not_only_each(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "MAX_BYTES", 10_000)
    files = {f"{number}.txt": "{% for x in range(100) %}0123456789{% endfor %}" for number in range(20)}
    with pytest.raises(ValidationError, match="This makes more than"):
        fetch(context(tmp_path, files))


def test_plain_files_stay_what_they_are_and_replace_what_is_there(tmp_path):
    ctx = context(tmp_path, {"${{ values.name }}": "${{ values.name }}"})
    for _ in range(2):
        fetch_plain.run(ctx, {"url": "./skeleton", "targetPath": "a/b"})
    assert texts(ctx.workspace.folder) == {"a/b/${{ values.name }}": "${{ values.name }}"}


def test_one_file_is_fetched_under_a_name_of_its_own(tmp_path):
    ctx = context(tmp_path, {"a.txt": "${{ values.name }}"})
    fetch_plain_file.run(ctx, {"url": "./files/a.txt", "targetPath": "x/plain.txt"})
    given = {"url": "./files/a.txt", "values": VALUES, "targetPath": "x/rendered.txt"}
    fetch_template_file.run(ctx, given)
    assert texts(ctx.workspace.folder) == {"x/plain.txt": "${{ values.name }}", "x/rendered.txt": "orders"}
    fetch_template_file.run(ctx, {**given, "values": {"name": "new"}})
    assert (ctx.workspace.folder / "x/rendered.txt").read_text() == "orders"
    fetch_template_file.run(ctx, {**given, "values": {"name": "new"}, "replace": True})
    assert (ctx.workspace.folder / "x/rendered.txt").read_text() == "new"


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ValidationError, match="is a folder"):
        fetch_plain_file.run(context(tmp_path, {"a": "", "b": ""}), {"url": "./files", "targetPath": "x"})


class TestForges:
    @pytest.fixture
    def forge(self, tmp_path):
        """A local forge with acme/skeletons: a branch with a slash, a tag, a link and a file that can be executed."""
        root = tmp_path / "root"
        work = tmp_path / "work"
        (root / "acme").mkdir(parents=True)
        git("init", "-q", "--bare", "-b", "main", root / "acme" / "skeletons.git")
        git("clone", "-q", root / "acme" / "skeletons.git", work)
        (work / "go").mkdir()
        (work / "go" / "${{ values.name }}.go").write_text("package ${{ values.name }}\n")
        (work / "go" / "run").write_text("x")
        (work / "go" / "run").chmod(0o755)
        (work / "go" / "link").symlink_to("run")
        (work / "go" / "out").symlink_to("/etc/passwd")
        git("add", "-A", cwd=work)
        git("commit", "-qm", "First", cwd=work)
        git("tag", "v1", cwd=work)
        git("checkout", "-qb", "feature/new", cwd=work)
        (work / "go" / "new.txt").write_text("new")
        git("add", "-A", cwd=work)
        git("commit", "-qm", "Second", cwd=work)
        git("push", "-q", "--all", "origin", cwd=work)
        git("push", "-q", "--tags", "origin", cwd=work)
        return root

    def context(self, forge, tmp_path):
        addresses = ForgeAddresses(read_installations({}), ("https://forge.example",))
        return make_context(root=forge, workspace=tmp_path / "workspace", forge_addresses=addresses)

    @pytest.mark.parametrize(
        ("where", "is_new"), [("tree/main/go", False), ("tree/v1/go", False), ("tree/feature/new/go", True)]
    )
    def test_a_folder_of_a_branch_or_a_tag_is_fetched(self, forge, tmp_path, where, is_new):
        ctx = self.context(forge, tmp_path)
        url = f"https://forge.example/acme/skeletons/{where}"
        fetch_template.run(ctx, {"url": url, "values": VALUES})
        folder = ctx.workspace.folder
        assert (folder / "orders.go").read_text() == "package orders\n"
        assert os.access(folder / "run", os.X_OK)
        assert str((folder / "link").readlink()) == "run"
        assert not (folder / "out").is_symlink()
        assert (folder / "new.txt").exists() == is_new
        assert "out is a link that leads out" in ctx.warnings[0]

    def test_a_commit_a_whole_repository_and_a_file_are_fetched(self, forge, tmp_path):
        sha = git("rev-parse", "main", cwd=forge / "acme" / "skeletons.git").strip()
        base = "https://forge.example/acme/skeletons"
        ctx = self.context(forge, tmp_path)
        fetch_plain.run(ctx, {"url": f"{base}/tree/{sha}/go", "targetPath": "commit"})
        fetch_plain.run(ctx, {"url": base, "targetPath": "whole"})
        fetch_plain_file.run(ctx, {"url": f"{base}/blob/main/go/run", "targetPath": "file"})
        found = {str(one.relative_to(ctx.workspace.folder)) for one in ctx.workspace.folder.rglob("*")}
        assert {"commit/run", "whole/go/run", "file"} <= found

    @pytest.mark.parametrize(
        "path",
        ["acme/skeletons/tree/missing/go", "acme/skeletons/tree/main/missing", "acme/nothing/tree/main"],
    )
    def test_what_is_not_there_is_told(self, forge, tmp_path, path):
        with pytest.raises(NotFoundError):
            fetch_plain.run(self.context(forge, tmp_path), {"url": f"https://forge.example/{path}"})

    @pytest.mark.parametrize(
        "url",
        [
            "https://elsewhere.example/acme/skeletons/tree/main",
            "http://169.254.169.254/latest/meta-data",
            "file:///etc/passwd",
            "ftp://forge.example/acme/skeletons",
            "https://forge.example@evil.example/acme/skeletons/tree/main",
            "https://forge.example.evil.example/acme/skeletons/tree/main",
        ],
    )
    def test_an_address_of_no_forge_that_the_portal_knows_is_asked_for_nothing(self, forge, tmp_path, url):
        with pytest.raises(ValidationError, match="no folder or file of a forge") as caught:
            fetch_plain.run(self.context(forge, tmp_path), {"url": url})
        assert "url" in caught.value.fields
