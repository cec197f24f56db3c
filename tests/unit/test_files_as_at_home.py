"""Actions on files beside what Backstage's scaffolder-backend 4.3.0 and Roadie's utils 4.1.2 did with the same cases.

Each row was run with the actions of those packages on Node: a workspace before, an input, and the workspace or the output after.
"""

from __future__ import annotations

import json
import stat
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portal_actions_plugin.actions.backstage.catalog_entities import catalog_write
from portal_actions_plugin.actions.context import ActionContext
from portal_actions_plugin.actions.files import disk, filesystem, merging, roadie
from portal_actions_plugin.actions.files.fetch import fetch_plain, fetch_plain_file, fetch_template, fetch_template_file
from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.host import SkeletonFile
from portal_actions_plugin.software_templates.checking.literal_inputs import faults
from portal_actions_plugin.software_templates.readings import Reading
from portal_actions_plugin.software_templates.skeletons.files import find_files
from tests.support.action_helpers import make_context
from tests.support.differences import shows

Files = dict[str, str | bytes]
LINK = "-> "
FOLDER = "/"
PNG = b"\x89PNG\r\n\x1a\n\0\0${{ values.name }}"
LATIN = "café ${{ values.name }}\n".encode("latin-1")
BOM = "\ufeffhi ${{ values.name }}\r\nx\r\n"
VALUES = {
    "name": "orders",
    "nothing": "",
    "list": ["a"],
    "object": {"k": 1},
    "no": False,
    "slashes": "com/acme",
    "slash": "a/",
}
TREE: Files = {
    "a.txt": "a",
    "b.md": "b",
    ".h": "h",
    "docs/c.md": "c",
    "docs/.d.md": "d",
    "docs/deep/e.md": "e",
    "docs/deep/f.txt": "f",
    "empty": FOLDER,
    "run": "x",
    "link": f"{LINK}a.txt",
    "linked": f"{LINK}docs",
}


@pytest.fixture
def ctx(tmp_path: Path) -> ActionContext:
    def beside(_url: str) -> list[SkeletonFile]:
        found = find_files(tmp_path, "skeleton")
        return [SkeletonFile(one.path.removeprefix("skeleton/"), one.file.read_bytes(), is_run(one.file)) for one in found]  # fmt: skip

    context: ActionContext = make_context(workspace=tmp_path / "ws", read_skeleton=beside, reading=Reading.BACKSTAGE)
    return context


def is_run(file: Path) -> bool:
    return bool(file.stat().st_mode & stat.S_IXUSR)


def fill(folder: Path, files: Files) -> None:
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if content == FOLDER:
            place.mkdir()
        elif isinstance(content, str) and content.startswith(LINK):
            place.symlink_to(content.removeprefix(LINK))
        else:
            place.write_bytes(content if isinstance(content, bytes) else content.encode())
        if place.name.startswith("run"):
            place.chmod(0o755)


def tree(folder: Path) -> Files:
    found: Files = {}
    for place in sorted(folder.rglob("*")):
        name = str(place.relative_to(folder))
        if place.is_symlink():
            found[name] = f"{LINK}{place.readlink()}"
        elif place.is_dir():
            found |= {} if any(place.iterdir()) else {name: FOLDER}
        else:
            content = place.read_bytes()
            found[name] = content if b"\0" in content or b"\xe9" in content else content.decode()
            assert is_run(place) == place.name.startswith("run"), name
    return found


def gone(ctx: ActionContext, *patterns: str, before: Files = TREE) -> set[str]:
    fill(ctx.workspace.folder, before)
    filesystem.delete.run(ctx, {"files": list(patterns)})
    left = tree(ctx.workspace.folder)
    assert left.items() <= before.items() or any(value == FOLDER for value in left.values())
    return {*before} - {*left}


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["a.txt", "a.txt", "missing", "missing/*.x", "A.TXT"], {"a.txt"}),
        (["*"], {"a.txt", "b.md", ".h", "run", "link"}),
        (["**"], {*TREE} - {"empty", "linked"}),
        (["**/*"], {*TREE} - {"empty", "linked"}),
        (["*/"], {"a.txt", "b.md", ".h", "run", "link"}),
        (["docs/*"], {"docs/c.md", "docs/.d.md"}),
        (["docs/**"], {"docs/c.md", "docs/.d.md", "docs/deep/e.md", "docs/deep/f.txt"}),
        (["linked/*"], {"docs/c.md", "docs/.d.md"}),
        (["doc*", "emp*", "**/deep", "docs**"], set()),
        (["**/*.md"], {"b.md", "docs/c.md", "docs/.d.md", "docs/deep/e.md"}),
        (["**.md", "?.md", "d**/*.md"], {"b.md", "docs/c.md", "docs/.d.md"}),
        (["**/.*", ".*"], {".h", "docs/.d.md"}),
        (["{a,b}.*"], {"a.txt", "b.md"}),
        (["@(a|b).*"], {"a.txt", "b.md"}),
        (["(a|z).txt"], {"a.txt"}),
        (["+(a).txt", "*(x).h"], {"a.txt", ".h"}),
        (["[ab].*"], {"a.txt", "b.md"}),
        (["[!a].*"], {"b.md"}),
        (["[^a].*"], {"b.md"}),
        (["[[:alpha:]].txt"], {"a.txt"}),
        (["docs/{c,deep/e}.md"], {"docs/c.md", "docs/deep/e.md"}),
        (["!a.txt"], set()),
        (["docs/../a.txt"], {"a.txt"}),
        ([], set()),
    ],
)
def test_a_pattern_of_delete_stands_for_files(ctx: ActionContext, patterns: list[str], expected: set[str]) -> None:
    assert gone(ctx, *patterns) == expected


@pytest.mark.parametrize(
    ("pattern", "before"),
    [
        ("[id].txt", {"[id].txt": "", "i.txt": ""}),
        ("a*b", {"a*b": "", "axb": ""}),
        ("{a}.txt", {"{a}.txt": ""}),
        ("{1..3}.txt", {"1.txt": "", "3.txt": ""}),
        ("$x", {"$x": ""}),
        ("a,b", {"a,b": ""}),
        ("x y.txt", {"x y.txt": ""}),
        ("a\nb*", {"a\nbc": ""}),
        ("x" * 254 + "*", {"x" * 255: ""}),
    ],
)
def test_a_name_with_signs_of_patterns_is_itself_as_well(ctx: ActionContext, pattern: str, before: Files) -> None:
    assert gone(ctx, pattern, before={**before, "other": ""}) == {*before}


@pytest.mark.parametrize(
    ("one", "after"),
    [
        ({"from": "a.txt", "to": "x/y/z.txt"}, {"x/y/z.txt": "a"}),
        ({"from": "docs/deep", "to": "deep/"}, {"deep/e.md": "e", "deep/f.txt": "f"}),
        ({"from": "docs", "to": "empty", "overwrite": True}, {"empty/c.md": "c", "empty/deep/e.md": "e"}),
        ({"from": "a.txt", "to": "b.md", "overwrite": True}, {"b.md": "a"}),
        ({"from": "link", "to": "b.md", "overwrite": True}, {"b.md": f"{LINK}a.txt"}),
        ({"from": "a.txt", "to": "link", "overwrite": True}, {"link": "a"}),
        ({"from": "linked", "to": "other"}, {"other": f"{LINK}docs", "docs/c.md": "c"}),
        ({"from": "a.txt", "to": "linked/a"}, {"docs/a": "a"}),
        ({"from": "run", "to": "run2"}, {"run2": "x"}),
    ],
)
def test_what_is_renamed_is_there(ctx: ActionContext, one: dict[str, Any], after: Files) -> None:
    fill(ctx.workspace.folder, TREE)
    filesystem.rename.run(ctx, {"files": [one]})
    found = tree(ctx.workspace.folder)
    assert after.items() <= found.items()
    assert one["from"] not in found


@pytest.mark.parametrize(
    "one",
    [
        {"from": "docs", "to": "empty"},
        {"from": "a.txt", "to": "b.md"},
        {"from": "missing", "to": "x"},
        {"from": "*.md", "to": "x"},
        {"from": "docs", "to": "docs/in"},
        {"from": "docs/deep", "to": "docs", "overwrite": True},
        {"from": "a.txt", "to": "docs", "overwrite": True},
        {"from": "docs", "to": "a.txt", "overwrite": True},
        {"from": "docs/c.md", "to": "a.txt/x"},
        {"from": "docs", "to": ".", "overwrite": True},
        {"from": ".", "to": "x"},
        {"from": "a.txt", "to": ""},
        {"from": "a.txt", "to": "x", "unknown": 1},
    ],
)
def test_what_cannot_be_renamed_fails_and_stays(ctx: ActionContext, one: dict[str, Any]) -> None:
    fill(ctx.workspace.folder, TREE)
    with pytest.raises(ValidationError):
        filesystem.rename.run(ctx, {"files": [one]})
    assert tree(ctx.workspace.folder) == dict(sorted(TREE.items(), key=lambda one: Path(one[0])))


def test_folders_are_listed_one_after_the_other_the_last_one_first(ctx: ActionContext) -> None:
    fill(ctx.workspace.folder, {"z": "", "B/x": "", "a/y": "", "a/c/d": "", "_": "", "é": "", "10": "", "9": ""})
    found = filesystem.readdir.run(ctx, {"paths": ["."], "recursive": True})
    assert [one["path"] for one in found["files"]] == ["10", "9", "_", "z", "é", "a/y", "a/c/d", "B/x"]
    assert [one["path"] for one in found["folders"]] == ["B", "a", "a/c"]


GO = "${{ values.name }}"


@pytest.mark.parametrize(
    ("beside", "given", "before", "after"),
    [
        ({"a": GO, f"{GO}/b": "x", f".h/{GO}.y": "h"}, {}, {}, {"a": "orders", "orders/b": "x", ".h/orders.y": "h"}),
        ({"a": "x"}, {"targetPath": ""}, {}, {"a": "x"}),
        ({"a": "x"}, {"targetPath": "o/p/"}, {}, {"o/p/a": "x"}),
        ({"p.png": PNG, "bom": BOM}, {}, {}, {"p.png": PNG, "bom": "\ufeffhi orders\r\nx\r\n"}),
        ({"run": GO}, {}, {}, {"run": "orders"}),
        ({"a": "new"}, {}, {"a": "old"}, {"a": "old"}),
        ({"a": "new"}, {"replace": True}, {"a": "old"}, {"a": "new"}),
        ({"a": "new"}, {"replace": True}, {"a": f"{LINK}b", "b": "old"}, {"a": f"{LINK}b", "b": "new"}),
        ({"a": "new"}, {}, {"a/b": "old"}, {"a/b": "old"}),
        ({"r/${{ values.nothing }}/a/b": "7", "r/s": "1"}, {}, {}, {"r/s": "1"}),
        ({"${{ values.slashes }}/x": "1"}, {}, {}, {"com/acme/x": "1"}),
        ({"${{ values.slash }}": "1"}, {}, {}, {"a": "1"}),
        ({"q/${{ values.nothing }}": "1"}, {"replace": True}, {}, {"q": FOLDER}),
        ({"${{ values.list }}": "1", "${{ values.no }}": "2", "${{ values.object }}": "3"}, {}, {}, {"a": "1", "false": "2", "[object Object]": "3"}),
        ({GO: "1", "orders": "2"}, {}, {}, {"orders": "1"}),
        ({"a\nb": "1", " c ": "2"}, {}, {}, {"a\nb": "1", " c ": "2"}),
        ({"a": "<${{ values.list }} ${{ values.object }} ${{ values.none }}>"}, {}, {}, {"a": "<a [object Object] >"}),
        ({"x.njk": GO, "d.njk/y": GO, ".njk": GO}, {"templateFileExtension": True}, {}, {"x": "orders", "d.njk/y": GO, ".njk": GO}),
        ({"x.tar.gz": GO}, {"templateFileExtension": ".tar.gz"}, {}, {"x.tar.gz": GO}),
    ],
)  # fmt: skip
def test_a_folder_is_rendered_into_the_workspace(
    ctx: ActionContext, tmp_path: Path, beside: Files, given: dict[str, Any], before: Files, after: Files
) -> None:
    fill(tmp_path / "skeleton", beside)
    fill(ctx.workspace.folder, before)
    fetch_template.run(ctx, {"url": "./skeleton", "values": VALUES, **given})
    assert tree(ctx.workspace.folder) == after


COPIES = dict.fromkeys(("a.md", "d/b.md", "d/e/c.md", f"d/{GO}/z.txt", ".x/x.md"), GO)


@pytest.mark.parametrize(
    ("patterns", "copied"),
    [
        (["*.md"], ["a.md"]),
        (["**/*.md"], ["a.md", "d/b.md", "d/e/c.md", ".x/x.md"]),
        (["d"], ["d/b.md", "d/e/c.md", "d/orders/z.txt"]),
        (["./d/"], ["d/b.md", "d/e/c.md", "d/orders/z.txt"]),
        (["d/*"], ["d/b.md"]),
        (["d/**", "!d/b.md"], ["d/e/c.md", "d/orders/z.txt"]),
        (["!d/**"], []),
        (["!d/b.md", "d/*.md"], ["d/b.md"]),
        (["**", "!d/**"], ["a.md", ".x/x.md"]),
        (["{a,d/b}.md"], ["a.md", "d/b.md"]),
        (["@(a|b).md"], ["a.md"]),
        (["(a|b).md"], ["a.md"]),
        (["!(a).md"], []),
        ([f"d/\\{GO}/*"], ["d/orders/z.txt"]),
        (["**/e/**"], ["d/e/c.md"]),
        (["e/**", "*.MD", "/a.md", "../x", "**/e", "d*"], []),
        ([".*/**"], [".x/x.md"]),
        ([], []),
    ],
)
def test_what_matches_is_copied_as_it_is(ctx: ActionContext, tmp_path: Path, patterns: list[str], copied: list[str]) -> None:  # fmt: skip
    fill(tmp_path / "skeleton", dict(COPIES))
    fetch_template.run(ctx, {"url": "./skeleton", "values": VALUES, "copyWithoutTemplating": patterns})
    assert sorted(name for name, text in tree(ctx.workspace.folder).items() if text == GO) == sorted(copied)


def test_files_are_fetched_as_they_are(ctx: ActionContext, tmp_path: Path) -> None:
    fill(tmp_path / "skeleton", {"a": GO, "run": "new", "png": PNG, "latin": LATIN})
    fill(ctx.workspace.folder, {"run": "old", "z": "1", "a": f"{LINK}z"})
    fetch_plain.run(ctx, {"url": "./skeleton", "targetPath": ""})
    assert tree(ctx.workspace.folder) == {"a": GO, "latin": LATIN, "png": PNG, "run": "new", "z": "1"}


@pytest.mark.parametrize(("action", "expected"), [(fetch_plain_file, GO), (fetch_template_file, "orders")])
def test_one_file_is_fetched_under_the_name_that_is_given(ctx: ActionContext, tmp_path: Path, action: Any, expected: str) -> None:  # fmt: skip
    fill(tmp_path / "skeleton", {"f": GO})
    for target in ("x", "o/"):
        action.run(ctx, {"url": "./skeleton/f", "values": VALUES, "targetPath": target})
    assert tree(ctx.workspace.folder) == {"o": expected, "x": expected}


REPLACED = {"a.txt": "foo.bar foo", "d/b.txt": "foo", ".h.txt": "foo", "run": "foo", "l": f"{LINK}a.txt"}


@pytest.mark.parametrize(
    ("one", "after"),
    [
        ({"file": "a.txt", "find": "foo", "replaceWith": "[$&$$]"}, {"a.txt": "[foo$].bar [foo$]"}),
        ({"file": "a.txt", "find": "(f)(o+)", "replaceWith": "$2$1", "matchRegex": True}, {"a.txt": "oof.bar oof"}),
        ({"file": "a.txt", "find": "(f)(o+)", "replaceWith": "x"}, {}),
        ({"file": "a.txt", "find": r"\bfoo$", "replaceWith": "x", "matchRegex": True}, {"a.txt": "foo.bar x"}),
        ({"file": "a.txt", "find": "(?<n>f)oo", "replaceWith": "$<n>", "matchRegex": True}, {"a.txt": "f.bar f"}),
        ({"file": "**", "find": "foo", "replaceWith": "X"}, {"a.txt": "X.bar X", "d/b.txt": "X", "run": "X"}),
        ({"file": "*.txt", "find": "foo", "replaceWith": "X", "includeDotFiles": True}, {"a.txt": "X.bar X", ".h.txt": "X"}),
        ({"file": ".h.txt", "find": "foo", "replaceWith": "X"}, {".h.txt": "X"}),
        ({"file": "@(a|z).txt", "find": "foo", "replaceWith": "X"}, {"a.txt": "X.bar X"}),
        ({"file": "d", "find": "foo", "replaceWith": "X"}, {}),
        ({"file": "missing", "find": "foo", "replaceWith": "X"}, {}),
        ({"file": "l", "find": "foo", "replaceWith": "X"}, {"a.txt": "X.bar X"}),
    ],
)  # fmt: skip
def test_texts_are_replaced(ctx: ActionContext, one: dict[str, Any], after: Files) -> None:
    fill(ctx.workspace.folder, dict(REPLACED))
    roadie.replace.run(ctx, {"files": [one]})
    assert tree(ctx.workspace.folder) == dict(sorted({**REPLACED, **after}.items(), key=lambda one: Path(one[0])))


@pytest.mark.parametrize(("find", "regex"), [("b", False), ("b", True)])
@pytest.mark.parametrize("put", ["c", "$$"])
def test_large_files_are_replaced_in_as_well(ctx: ActionContext, find: str, regex: bool, put: str) -> None:
    fill(ctx.workspace.folder, {"a": "x" * 2_000_000 + "b", "b": "ab" * 2_000})
    for name in ("a", "b"):
        one = {"file": name, "find": find, "replaceWith": put, "matchRegex": regex}
        roadie.replace.run(ctx, {"files": [one]})
    assert tree(ctx.workspace.folder) == {"a": "x" * 2_000_000 + put[0], "b": f"a{put[0]}" * 2_000}


def test_a_file_that_is_too_large_is_not_even_read(ctx: ActionContext, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(ctx.workspace.folder, {"a": "12345"})
    monkeypatch.setattr(disk, "MAX_BYTES", 4)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("it is read"))
    with pytest.raises(ValidationError, match="This makes more than"):
        roadie.append.run(ctx, {"path": "a", "content": ""})


def test_what_is_no_number_is_null(ctx: ActionContext) -> None:
    fill(ctx.workspace.folder, {"a.json": '{"a": 1e999}'})
    merging.merge_json.run(ctx, {"path": "a.json", "content": {"b": -0.0}})
    assert json.loads((ctx.workspace.folder / "a.json").read_text()) == {"a": None, "b": 0}


def test_the_mark_of_the_byte_order_stays(ctx: ActionContext) -> None:
    fill(ctx.workspace.folder, {"bom": BOM})
    roadie.replace.run(ctx, {"files": [{"file": "bom", "find": "hi", "replaceWith": "x"}]})
    assert roadie.parse.run(ctx, {"path": "bom"})["content"] == BOM.replace("hi", "x")


@pytest.mark.parametrize(
    ("before", "content", "join", "after"),
    [
        ({"l": [1, 2, 3]}, {"l": [9]}, False, {"l": [9]}),
        ({"a": [{"x": 1}, {"z": 1}]}, {"a": [{"y": 2}]}, False, {"a": [{"y": 2}]}),
        ({"l": [1, 1, 2]}, {"l": [2, 3, 3]}, True, {"l": [1, 2, 3]}),
        ({"l": [{"a": 1}]}, {"l": [{"a": 1}]}, True, {"l": [{"a": 1}, {"a": 1}]}),
        ({"l": [1]}, {"l": "x"}, True, {"l": [1, "x"]}),
        ({"l": "x"}, {"l": [2]}, True, {"l": [2]}),
        ({"a": 1}, {"a": None}, False, {"a": None}),
        ({"a": [1, 2]}, {"a": {"x": 1}}, False, {"a": {"x": 1}}),
        ({"a": {"b": 1}}, {"a": "s"}, False, {"a": "s"}),
        ([1, 5], "[2]", False, [2, 5]),
        ([1], {"b": 1}, False, [1]),
        (5, {"b": 1}, False, 5),
        ({"n": 1.0, "e": 1e3}, {"b": 2.50}, False, {"n": 1, "e": 1000, "b": 2.5}),
    ],
)
def test_data_is_merged(ctx: ActionContext, before: Any, content: Any, join: bool, after: Any) -> None:
    for action, name in ((merging.merge_json, "a.json"), (merging.merge, "b.json"), (merging.merge, "c.yaml")):
        place = ctx.workspace.folder / name
        place.write_text(json.dumps(before))
        action.run(ctx, {"path": name, "content": content, "mergeArrays": join})
        parser = "json" if name.endswith("json") else "yaml"
        assert roadie.parse.run(ctx, {"path": name, "parser": parser})["content"] == after
        if parser == "json":
            assert place.read_text() == json.dumps(after, indent=2)


@pytest.mark.parametrize(
    ("given", "after"),
    [
        ({"content": {"b": [{"c": [1]}]}}, "a: 1\nb:\n  - c:\n      - 1\n"),
        ({"content": {"b": [{"c": [1]}]}, "options": {"indentSeq": False}}, "a: 1\nb:\n- c:\n  - 1\n"),
        ({"content": {"b": {"c": 1}}, "options": {"indent": 4, "lineWidth": -1, "directives": False}}, "a: 1\nb:\n    c: 1\n"),
        ({"content": {"b": "1", "c": "a: b", "d": "it's"}}, 'a: 1\nb: "1"\nc: "a: b"\nd: it\'s\n'),
        ({"content": {"b": "1"}, "options": {"singleQuote": True}}, "a: 1\nb: '1'\n"),
        ({"content": {"b": 2.0, "c": 1.5, "d": None, "e": [], "f": {}}}, "a: 1\nb: 2\nc: 1.5\nd: null\ne: []\nf: {}\n"),
        ({"content": {"b": "x\n  y\n"}}, "a: 1\nb: |\n  x\n    y\n"),
    ],
)  # fmt: skip
def test_yaml_is_written_as_it_is_there(ctx: ActionContext, given: dict[str, Any], after: str) -> None:
    (ctx.workspace.folder / "a.yaml").write_text("a: 1\n")
    merging.merge.run(ctx, {"path": "./a.yaml", **given})
    assert (ctx.workspace.folder / "a.yaml").read_text() == after


@pytest.mark.parametrize("text", ["a\u2028b", "\u0085", "a\u2029\nb", "a\rb", "\t", "\ufeffx", "a\x07", "😀\n", " ", "yes", "0o7", "1_0", "12:30", "=", "<<", "---", "...", "- a", "? a", "a #b", "\n", "a\n", "\na", "a\n\n", "  a\nb", "wait...", "wait\n...", "wait\n...\n", "a\x07  b"])  # fmt: skip
def test_every_text_that_is_written_is_read_again(ctx: ActionContext, text: str) -> None:
    data = {text: [text], "k": {"k": [[text], text]}}
    for options in ({}, {"singleQuote": True, "lineWidth": 20}, {"indent": 9, "lineWidth": 20}):
        written = roadie.serialize_yaml.run(ctx, {"data": data, "options": options})["serialized"]
        (ctx.workspace.folder / "a.yaml").write_bytes(written.encode())
        assert roadie.parse.run(ctx, {"path": "a.yaml", "parser": "yaml"})["content"] == data
    entity = {**data, "last": text}
    catalog_write.run(ctx, {"entity": entity, "filePath": "b.yaml"})
    assert roadie.parse.run(ctx, {"path": "b.yaml", "parser": "yaml"})["content"] == entity


def test_several_documents_are_no_one_document(ctx: ActionContext) -> None:
    fill(ctx.workspace.folder, {"a.yaml": "a: 1\n---\nb: 2\n"})
    with pytest.raises(ValidationError, match="multiyaml"):
        roadie.parse.run(ctx, {"path": "a.yaml", "parser": "yaml"})
    field = {"key": "a", "value": "2"}
    merging.merge.run(ctx, {"path": "a.yaml", "content": {"c": 3}, "useDocumentIncludingField": field})
    assert "nothing was merged" in ctx.warnings[0]
    assert (ctx.workspace.folder / "a.yaml").read_text() == "a: 1\n---\nb: 2\n"


def test_an_entity_names_the_template_that_it_comes_from_whatever_it_says_itself(ctx: ActionContext) -> None:
    ctx = replace(ctx, run=replace(ctx.run, template="Service"))
    said = {"backstage.io/source-template": "template:default/other", "x": "y"}
    catalog_write.run(ctx, {"entity": {"kind": "X", "metadata": {"annotations": said}}})
    assert (ctx.workspace.folder / "catalog-info.yaml").read_text() == (
        "kind: X\nmetadata:\n  annotations:\n    backstage.io/source-template: template:default/service\n    x: y\n"
    )


def test_outputs_name_plain_paths(ctx: ActionContext) -> None:
    for written in ("./a.json", "a.json/", "x/../a.json"):
        assert roadie.write.run(ctx, {"path": written, "content": "{}"}) == {"path": "a.json"}
        assert roadie.append.run(ctx, {"path": written, "content": " "}) == {"path": "a.json"}
        assert merging.merge.run(ctx, {"path": written, "content": {"a": 1}}) == {"path": "a.json"}


def test_an_archive_has_folders_and_what_links_lead_to(ctx: ActionContext) -> None:
    fill(ctx.workspace.folder, {"d/a": "1", "d/e/b": "2", "d/.h": "3", "d/empty": FOLDER, "d/run": "4", "d/l": f"{LINK}a"})  # fmt: skip
    roadie.pack.run(ctx, {"path": "d/", "outputPath": "./o/x.zip"})
    with zipfile.ZipFile(ctx.workspace.folder / "o/x.zip") as archive:
        found = {one.filename: f"{one.external_attr >> 16 & 0o777:o}" for one in archive.infolist()}
        assert archive.read("l") == b"1"
    assert found == {".h": "644", "a": "644", "e/": "755", "e/b": "644", "empty/": "755", "l": "644", "run": "755"}


def test_no_folder_becomes_deeper_than_a_workspace_may_be(ctx: ActionContext) -> None:
    fill(ctx.workspace.folder, {"a/x": "1"})
    filesystem.rename.run(ctx, {"files": [{"from": "a", "to": "b/" * 99 + "a"}]})
    with pytest.raises(ValidationError, match="deeper than 100 folders"):
        filesystem.rename.run(ctx, {"files": [{"from": "b", "to": "c/b"}]})


# --- what is different, and said to be


@shows("folders-of-delete")
def test_a_folder_that_is_deleted_by_its_path_goes(ctx: ActionContext) -> None:
    assert gone(ctx, "docs", "empty") == {"docs/c.md", "docs/.d.md", "docs/deep/e.md", "docs/deep/f.txt", "empty"}
    assert not (ctx.workspace.folder / "docs").exists()


@shows("links-of-delete")
def test_a_link_that_is_deleted_leaves_what_it_leads_to(ctx: ActionContext) -> None:
    assert gone(ctx, "linked") == {"linked"}


@shows("empty-paths-of-delete")
def test_nothing_is_deleted_by_an_empty_path(ctx: ActionContext) -> None:
    with pytest.raises(ValidationError):
        gone(ctx, "a.txt", "")
    assert len(tree(ctx.workspace.folder)) == len(TREE)


@shows("files-that-are-no-text")
def test_a_file_that_is_no_text_stays_what_it_is(ctx: ActionContext, tmp_path: Path) -> None:
    fill(tmp_path / "skeleton", {"f": LATIN})
    for action, target in ((fetch_template, "."), (fetch_template_file, "g")):
        action.run(ctx, {"url": "./skeleton/f", "values": VALUES, "targetPath": target})
    (ctx.workspace.folder / "t").write_text("name")
    roadie.replace.run(ctx, {"files": [{"file": "*", "find": "name", "replaceWith": "x"}]})
    assert tree(ctx.workspace.folder) == {"f": LATIN, "g": LATIN, "t": "x"}
    assert len(ctx.warnings) == 2
    with pytest.raises(ValidationError, match="no UTF-8 text"):
        roadie.parse.run(ctx, {"path": "f"})


@shows("copies-without-render")
def test_files_are_copied_without_rendering_by_the_older_name(ctx: ActionContext, tmp_path: Path) -> None:
    fill(tmp_path / "skeleton", {f"{GO}.md": GO, f"{GO}.txt": GO})
    fetch_template.run(ctx, {"url": "./skeleton", "values": VALUES, "copyWithoutRender": ["*.md"]})
    assert tree(ctx.workspace.folder) == {f"{GO}.md": GO, "orders.txt": "orders"}


@shows("folders-of-git")
def test_what_git_keeps_for_itself_is_left_out(ctx: ActionContext, tmp_path: Path) -> None:
    fill(tmp_path / "skeleton", {".git/config": "x", "sub/.git/HEAD": "x", ".gitignore": "y"})
    fetch_plain.run(ctx, {"url": "./skeleton"})
    assert tree(ctx.workspace.folder) == {".gitignore": "y"}
    fill(ctx.workspace.folder, {"d/.git/config": "x", "d/a": ""})
    roadie.pack.run(ctx, {"path": "d", "outputPath": "x.zip"})
    with zipfile.ZipFile(ctx.workspace.folder / "x.zip") as archive:
        assert archive.namelist() == ["a"]


@shows("links-and-empty-folders")
def test_beside_a_template_are_files(ctx: ActionContext, tmp_path: Path) -> None:
    fill(tmp_path / "skeleton", {"a": "1", "l": f"{LINK}a", "empty": FOLDER})
    fetch_plain.run(ctx, {"url": "./skeleton"})
    assert tree(ctx.workspace.folder) == {"a": "1", "l": "1"}


@shows("looks-of-yaml")
def test_yaml_has_long_lines_no_aliases_and_quotes_for_older_readers(ctx: ActionContext) -> None:
    fill(ctx.workspace.folder, {"a.yaml": "a: &a {k: 1}\nb: *a\n"})
    merging.merge.run(ctx, {"path": "a.yaml", "content": {"c": "yes", "d": "x " * 50 + "x"}})
    assert (ctx.workspace.folder / "a.yaml").read_text() == (
        f'a:\n  k: 1\nb:\n  k: 1\nc: "yes"\nd: {"x " * 50}x\n'
    )  # fmt: skip


@shows("expressions-to-find")
def test_what_cannot_be_found_is_told_when_the_template_is_loaded() -> None:
    one = {"file": "*", "find": "a(?=b)", "replaceWith": "x", "matchRegex": True}
    (found,) = faults(roadie.replace, {"files": [one]})
    assert found.place == ("files", 0, "find")
    assert "look-around" in found.message
    assert not faults(roadie.replace, {"files": [{**one, "find": "${{ parameters.a }}"}]})
    assert not faults(roadie.replace, {"files": [{**one, "matchRegex": False}]})
    (found,) = faults(fetch_template, {"url": "./skeleton", "copyWithoutTemplating": ["x!(a|!(b))"]})
    assert found.place == ("copyWithoutTemplating", 0)
