"""Backstage's and Roadie's actions on files of the workspace: what they do at home, and nothing outside of the workspace."""

from __future__ import annotations

import json
import zipfile

import pytest

from portal_actions_plugin.actions.debug import log_or_list, sleep, wait_for
from portal_actions_plugin.actions.files import filesystem, merging, roadie
from portal_actions_plugin.actions.files import globs as globs_module
from portal_actions_plugin.actions.files.glob_syntax import parse
from portal_actions_plugin.actions.files.globs import Globs
from portal_actions_plugin.errors import ValidationError
from tests.support.action_helpers import make_context


@pytest.fixture
def ctx(tmp_path):
    return make_context(workspace=tmp_path / "workspace")


@pytest.fixture
def place(ctx):
    return ctx.workspace.folder


def fill(place, **files):
    for name, text in files.items():
        file = place / name.replace("__", "/").replace("_dot_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def paths(place):
    return sorted(str(one.relative_to(place)) for one in place.rglob("*") if not one.is_dir())


class Asked(str):
    """A text that counts how often somebody looks for something at or after a place of it."""

    times = 0

    def startswith(self, *where):
        self.times += 1
        return super().startswith(*where)

    def find(self, *where):
        self.times += 1
        return super().find(*where)


class TestRename:
    def test_files_and_folders_get_new_places(self, ctx, place):
        fill(place, a_dot_txt="1", src__http__b_dot_txt="2")
        files = [{"from": "a.txt", "to": "docs/new/a.md"}, {"from": "./src/http", "to": "src/orders"}]
        filesystem.rename.run(ctx, {"files": files})
        assert paths(place) == ["docs/new/a.md", "src/orders/b.txt"]

    def test_what_is_there_is_replaced_only_when_that_is_asked_for(self, ctx, place):
        fill(place, a="1", b="2")
        with pytest.raises(ValidationError, match="'b' is there already") as caught:
            filesystem.rename.run(ctx, {"files": [{"from": "a", "to": "b"}]})
        assert "files.0.to" in caught.value.fields
        filesystem.rename.run(ctx, {"files": [{"from": "a", "to": "b", "overwrite": True}]})
        assert (paths(place), (place / "b").read_text()) == (["b"], "1")

    @pytest.mark.parametrize(
        ("source", "to", "field"),
        [
            ("missing", "b", "files.0.from"),
            ("../a", "b", "files.0.from"),
            ("a", "/etc/b", "files.0.to"),
            ("a", "../b", "files.0.to"),
            (".", "b", "files.0.from"),
            ("d", "d/e/f", "files.0.to"),
            ("a", "x" * 300, "files.0.to"),
            ("a", "a/b", "files.0.to"),
        ],
    )
    def test_what_cannot_be_is_told_by_its_field(self, ctx, place, source, to, field):
        fill(place, a="1", d__e="2")
        with pytest.raises(ValidationError) as caught:
            filesystem.rename.run(ctx, {"files": [{"from": source, "to": to, "overwrite": True}]})
        assert list(caught.value.fields) == [field]
        assert paths(place) == ["a", "d/e"]


class TestDelete:
    @pytest.mark.parametrize(
        ("patterns", "left"),
        [
            (["a.txt"], ["b.txt", "docs/.hidden.txt", "docs/c.txt", "docs/d.md"]),
            (["*.txt"], ["docs/.hidden.txt", "docs/c.txt", "docs/d.md"]),
            (["**/*.txt"], ["docs/d.md"]),
            (["docs"], ["a.txt", "b.txt"]),
            (["docs/{c,d}.*", "missing"], ["a.txt", "b.txt", "docs/.hidden.txt"]),
            (["./docs/*"], ["a.txt", "b.txt"]),
            (["."], []),
        ],
    )
    def test_paths_and_patterns_are_deleted(self, ctx, place, patterns, left):
        fill(place, a_dot_txt="", b_dot_txt="", docs__c_dot_txt="", docs__d_dot_md="", docs___dot_hidden_dot_txt="")
        filesystem.delete.run(ctx, {"files": patterns})
        assert paths(place) == left

    def test_nothing_outside_is_deleted_by_a_path_a_pattern_or_a_link(self, ctx, place, tmp_path):
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside" / "kept.txt").write_text("kept")
        (place / "link").symlink_to(tmp_path / "outside")
        for pattern in ("../outside", "../outside/*", "/etc/*", "link/kept.txt", "link/*", "**/../../outside/*"):
            with pytest.raises(ValidationError):
                filesystem.delete.run(ctx, {"files": [pattern]})
        filesystem.delete.run(ctx, {"files": ["*"]})
        assert paths(place) == []
        assert (tmp_path / "outside" / "kept.txt").read_text() == "kept"


class TestRead:
    def test_a_file_becomes_an_output(self, ctx, place):
        fill(place, a_dot_txt="hello")
        assert filesystem.read.run(ctx, {"path": "./a.txt"}) == {"content": "hello"}

    def test_folders_are_listed_and_those_in_them_when_that_is_asked_for(self, ctx, place):
        fill(place, a="", d__b="", d__e__c="")
        found = filesystem.readdir.run(ctx, {"paths": ["."]})
        assert [one["path"] for one in found["files"]] == ["a"]
        assert found["folders"] == [{"name": "d", "path": "d", "fullPath": "d"}]
        deep = filesystem.readdir.run(ctx, {"paths": ["d"], "recursive": True})
        assert [one["path"] for one in deep["files"]] == ["d/b", "d/e/c"]
        assert [one["name"] for one in deep["folders"]] == ["e"]

    def test_a_list_has_an_end_however_often_a_folder_is_named(self, ctx, place, monkeypatch):
        monkeypatch.setattr(filesystem, "MAX_ENTRIES", 3)
        fill(place, a="1", b="2")
        with pytest.raises(ValidationError, match="more than 3 entries") as refused:
            filesystem.readdir.run(ctx, {"paths": [".", "."]})
        assert list(refused.value.fields) == ["paths.1"]

    @pytest.mark.parametrize("path", ["missing", "../x", "d", "binary", "link"])
    def test_what_cannot_be_read_is_told(self, ctx, place, path):
        fill(place, d__e="")
        (place / "binary").write_bytes(b"\xff\xfe\x00")
        (place / "link").symlink_to("/etc/hostname")
        with pytest.raises(ValidationError) as caught:
            filesystem.read.run(ctx, {"path": path})
        assert "path" in caught.value.fields

    @pytest.mark.parametrize("path", ["missing", "a", "../"])
    def test_what_is_no_folder_cannot_be_listed(self, ctx, place, path):
        fill(place, a="")
        with pytest.raises(ValidationError):
            filesystem.readdir.run(ctx, {"paths": [path]})


class TestWrite:
    def test_a_file_is_written_with_the_folders_that_it_is_in(self, ctx, place):
        assert roadie.write.run(ctx, {"path": "a/b.txt", "content": "x"}) == {"path": "a/b.txt"}
        assert (place / "a/b.txt").read_text() == "x"

    def test_json_is_indented_where_that_is_asked_for(self, ctx, place):
        data = {"path": "a.json", "content": '{"a":[1]}', "preserveFormatting": True}
        roadie.write.run(ctx, data)
        assert (place / "a.json").read_text() == '{\n  "a": [\n    1\n  ]\n}'
        roadie.write.run(ctx, {**data, "content": "{no json"})
        assert (place / "a.json").read_text() == "{no json"

    def test_append_puts_it_at_the_end_and_makes_what_is_missing(self, ctx, place):
        for _ in range(2):
            roadie.append.run(ctx, {"path": "d/log", "content": "x\n"})
        assert (place / "d/log").read_text() == "x\nx\n"

    @pytest.mark.parametrize("path", ["../x", "/tmp/x", "a/b", "link/x", "x\0y", "d", "x" * 300])
    def test_nothing_is_written_outside_or_over_a_folder(self, ctx, place, tmp_path, path):
        fill(place, a="", d__e="")
        (place / "link").symlink_to(tmp_path)
        for one in (roadie.write, roadie.append):
            with pytest.raises(ValidationError) as caught:
                one.run(ctx, {"path": path, "content": "x"})
            assert "path" in caught.value.fields
        assert sorted(one.name for one in tmp_path.iterdir()) == ["workspace"]

    def test_what_it_does_not_know_is_ignored_as_at_home(self, ctx, place):
        roadie.write.run(ctx, {"path": "a", "content": "x", "encoding": "utf8", "preserveFormatting": None})
        assert paths(place) == ["a"]


class TestReplace:
    def replaced(self, ctx, place, text, **given):
        fill(place, a_dot_txt=text)
        roadie.replace.run(ctx, {"files": [{"file": "a.txt", **given}]})
        return (place / "a.txt").read_text()

    def test_every_place_is_replaced(self, ctx, place):
        assert self.replaced(ctx, place, "a.b.a", find="a", replaceWith="x") == "x.b.x"
        assert self.replaced(ctx, place, "a.b", find=".", replaceWith="[$&$$]") == "a[.$]b"
        assert self.replaced(ctx, place, "a1 b2", find=r"([a-z])(\d)", replaceWith="$2$1", matchRegex=True) == "1a 2b"

    def test_patterns_leave_hidden_files_alone_unless_they_are_asked_for(self, ctx, place):
        fill(place, a_dot_md="x", d___dot_b_dot_md="x", d__c_dot_md="x")
        one = {"file": "**/*.md", "find": "x", "replaceWith": "y"}
        roadie.replace.run(ctx, {"files": [one]})
        assert [(place / name).read_text() for name in ("a.md", "d/c.md", "d/.b.md")] == ["y", "y", "x"]
        roadie.replace.run(ctx, {"files": [{**one, "includeDotFiles": True}]})
        assert (place / "d/.b.md").read_text() == "y"

    @pytest.mark.parametrize(
        ("find", "said"), [("(", "no regular expression"), ("(?=a)", "look-around"), (r"(a)\1", "back references")]
    )
    def test_a_regular_expression_that_cannot_be_used_is_told(self, ctx, place, find, said):
        with pytest.raises(ValidationError) as caught:
            self.replaced(ctx, place, "a", find=find, replaceWith="b", matchRegex=True)
        assert said in caught.value.fields["files"][0]["find"][0]

    def test_no_expression_keeps_a_worker_busy(self, ctx, place):
        assert self.replaced(ctx, place, "a" * 5_000, find="(a+)+$", replaceWith="b", matchRegex=True) == "b"


class TestMerge:
    def merged(self, action, ctx, place, name, text, **given):
        if text is not None:
            (place / name).write_text(text)
        action.run(ctx, {"path": name, **given})
        return (place / name).read_text()

    def test_objects_are_merged_key_by_key_and_lists_replaced(self, ctx, place):
        before, new = '{"a": {"x": 1, "l": [1, 2, 3]}, "z": 1}', {"a": {"y": None, "l": [9]}, "z": {"n": 1}}
        text = self.merged(merging.merge_json, ctx, place, "a.json", before, content=new)
        assert roadie.parse.run(ctx, {"path": "a.json", "parser": "json"})["content"] == {
            "a": {"x": 1, "l": [9], "y": None},
            "z": {"n": 1},
        }
        assert text.startswith('{\n  "a": {\n    "x": 1,')

    def test_lists_are_put_one_after_the_other_when_that_is_asked_for(self, ctx, place):
        given = {"content": '{"l": [2, 3]}', "mergeArrays": True}
        text = self.merged(
            merging.merge_json, ctx, place, "a.json", '{\n    "l": [1, 2]}', matchFileIndent=True, **given
        )
        assert text == '{\n    "l": [\n        1,\n        2,\n        3\n    ]\n}'

    def test_long_lists_are_put_together_without_comparing_each_with_each(self, ctx, place):
        many = list(range(100_000))  # compared each with each they take a minute
        fill(place, x_dot_json=json.dumps({"l": many, "m": [1]}))
        merging.merge_json.run(
            ctx, {"path": "x.json", "content": {"l": [*many, -1], "m": [True, 1.0]}, "mergeArrays": True}
        )
        found = json.loads((place / "x.json").read_text())
        assert found["l"] == [*many, -1]
        assert [repr(one) for one in found["m"]] == ["1", "True"]

    @pytest.mark.parametrize("name", ["x.json", "x.yaml"])
    def test_what_no_file_can_hold_is_told(self, ctx, place, name):
        (place / name).write_text("{}")
        deep: object = 1
        for _ in range(2_000):
            deep = {"a": deep}
        with pytest.raises(ValidationError, match="nested too deeply") as refused:
            merging.merge.run(ctx, {"path": name, "content": {"a": deep}})
        assert list(refused.value.fields) == ["content"]

    def test_half_a_character_is_told(self, ctx, place):
        with pytest.raises(ValidationError) as refused:
            merging.merge_json.run(ctx, {"path": "x.json", "content": {"a": "\ud800"}})
        assert list(refused.value.fields) == ["content"]

    def test_a_missing_json_file_is_made_and_a_missing_other_one_is_an_error(self, ctx, place):
        assert self.merged(merging.merge_json, ctx, place, "a.json", None, content={"a": 1}) == '{\n  "a": 1\n}'
        with pytest.raises(ValidationError, match=r"no 'b\.yaml'"):
            merging.merge.run(ctx, {"path": "b.yaml", "content": {}})

    def test_yaml_is_written_as_yaml_reads_it_again(self, ctx, place):
        before = "kind: X\nspec:\n  on: [a]\n"
        new = {"spec": {"text": "1\n2\n", "number": "010", "no": "no", "exp": "1e3", "list": [{"a": 1}]}}
        for action in (merging.merge, merging.merge_yaml):
            text = self.merged(action, ctx, place, "a.yaml", before, content=new)
            assert "spec:\n  on:\n    - a\n" in text.replace("'on'", "on").replace('"on"', "on")
            assert "text: |\n    1\n    2\n" in text
            content = roadie.parse.run(ctx, {"path": "a.yaml", "parser": "yaml"})["content"]
            assert content == {"kind": "X", "spec": {"on": ["a"], **new["spec"]}}

    def test_of_several_documents_the_named_one_is_merged_into(self, ctx, place):
        text = "kind: A\n---\nkind: B\n"
        field = {"key": "kind", "value": "B"}
        with pytest.raises(ValidationError, match="several documents"):
            self.merged(merging.merge, ctx, place, "a.yaml", text, content={"x": 1})
        found = self.merged(merging.merge, ctx, place, "a.yaml", text, content="x: 1", useDocumentIncludingField=field)
        assert found == "kind: A\n---\nkind: B\nx: 1\n"

    def test_lost_comments_and_other_kinds_of_files_are_warned_of(self, ctx, place):
        self.merged(merging.merge, ctx, place, "a.yaml", "a: 1 # one\n", content={"b": 2}, preserveYamlComments=True)
        assert self.merged(merging.merge, ctx, place, "a.toml", "a = 1", content={"b": 2}) == "a = 1"
        assert [said[:12] for said in ctx.warnings] == ["The comments", "a.toml is ne"]

    @pytest.mark.parametrize(
        ("name", "text", "content", "field"),
        [
            ("a.json", "{", {}, "path"),
            ("a.json", "{}", "{", "content"),
            ("a.yaml", "a: [", {}, "path"),
            ("a.yaml", "a: 1\na: 2", {}, "path"),
            (
                "a.yaml",
                "a: &a [x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\n" + "c: [*b, *b, *b, *b]\n" * 1,
                "x: [",
                "content",
            ),
        ],
    )
    def test_what_cannot_be_read_names_the_field_and_the_line(self, ctx, place, name, text, content, field):
        with pytest.raises(ValidationError) as caught:
            self.merged(merging.merge, ctx, place, name, text, content=content)
        assert field in caught.value.fields

    def test_yaml_that_writes_itself_out_without_end_is_refused(self, ctx, place):
        levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 9))
        (place / "bomb.yaml").write_text(f"l0: &l0 [x]\n{levels}\n")
        with pytest.raises(ValidationError, match=r"aliases|values"):
            roadie.parse.run(ctx, {"path": "bomb.yaml", "parser": "yaml"})


class TestSerialize:
    def test_data_becomes_json_and_yaml(self, ctx):
        data = {"a": [1, {"b": None, "c": "x"}], "t": "1\n2\n"}
        assert roadie.serialize_json.run(ctx, {"data": data}) == {
            "serialized": '{"a":[1,{"b":null,"c":"x"}],"t":"1\\n2\\n"}'
        }
        assert roadie.serialize_json.run(ctx, {"data": data, "replacer": ["a"], "space": " "}) == {
            "serialized": '{\n "a": [\n  1,\n  {}\n ]\n}'
        }
        assert roadie.serialize_yaml.run(ctx, {"data": data}) == {
            "serialized": "a:\n  - 1\n  - b: null\n    c: x\nt: |\n  1\n  2\n"
        }

    @pytest.mark.parametrize("act", [roadie.serialize_json, roadie.serialize_yaml])
    def test_data_that_is_nested_too_deeply_is_told(self, ctx, act):
        deep: object = 1
        for _ in range(2_000):
            deep = {"a": deep}
        with pytest.raises(ValidationError) as refused:
            act.run(ctx, {"data": deep, "replacer": ["a"]})
        assert list(refused.value.fields) == ["data"]

    def test_several_documents_are_a_list(self, ctx, place):
        fill(place, a_dot_yaml="a: 1\n---\n- b\n", b_dot_txt="x")
        assert roadie.parse.run(ctx, {"path": "a.yaml", "parser": "multiyaml"}) == {"content": [{"a": 1}, ["b"]]}
        assert roadie.parse.run(ctx, {"path": "b.txt"}) == {"content": "x"}


class TestZip:
    def test_a_folder_is_packed_the_same_way_each_time_and_not_into_itself(self, ctx, place, tmp_path):
        fill(place, d__a_dot_txt="1", d__e__b_dot_txt="2")
        (place / "d/e/b.txt").chmod(0o755)
        (place / "d/link").symlink_to("a.txt")
        archives = []
        for _ in range(2):
            assert roadie.pack.run(ctx, {"path": "d", "outputPath": "d/x.zip"}) == {"outputPath": "d/x.zip"}
            archives.append((place / "d/x.zip").read_bytes())
        assert archives[0] == archives[1]
        with zipfile.ZipFile(place / "d/x.zip") as found:
            assert found.namelist() == ["a.txt", "e/", "e/b.txt", "link"]
            assert found.read("link") == b"1"

    def test_a_file_is_packed_by_its_name(self, ctx, place):
        fill(place, d__a_dot_txt="1")
        roadie.pack.run(ctx, {"path": "d/a.txt", "outputPath": "x.zip"})
        with zipfile.ZipFile(place / "x.zip") as found:
            assert found.namelist() == ["a.txt"]

    @pytest.mark.parametrize(("path", "to"), [("missing", "x.zip"), ("..", "x.zip"), ("d", "../x.zip")])
    def test_what_is_outside_or_missing_is_refused(self, ctx, place, path, to):
        fill(place, d__a="")
        with pytest.raises(ValidationError):
            roadie.pack.run(ctx, {"path": path, "outputPath": to})


class TestDebug:
    def test_a_message_and_the_workspace_are_written_to_the_log(self, ctx, place):
        fill(place, a_dot_txt="inside", d__b="")
        log_or_list.run(ctx, {"message": "hello", "listWorkspace": True, "extra": {"a": 1}})
        assert ctx.recorder.text == 'hello\n{"a": 1}\nWorkspace: 2 files\n  - a.txt\n  - d/b'
        log_or_list.run(ctx, {"listWorkspace": "with-contents"})
        assert "inside" in ctx.recorder.text

    def test_without_a_list_no_workspace_is_asked_for_and_data_is_written_as_json(self):
        ctx = make_context()
        for message in ("hello", [{"path": "a"}], 3, False, "", None):
            log_or_list.run(ctx, {"message": message})
        assert ctx.recorder.text == 'hello\n[{"path": "a"}]\n3\nfalse'

    def test_waits_add_up_and_have_an_end(self, ctx):
        wait_for.run(ctx, {"milliseconds": 1})
        wait_for.run(ctx, {})
        sleep.run(ctx, {"amount": 0.001})
        for wrong in ({"minutes": 61}, {"minutes": 59, "seconds": 90}, {"seconds": -1}):
            with pytest.raises(ValidationError):
                wait_for.run(ctx, wrong)


class TestGlobs:
    @pytest.mark.parametrize(
        ("pattern", "yes", "no"),
        [
            ("*.txt", ["a.txt", ".b.txt"], ["d/a.txt", "a.md"]),
            ("**/*.txt", ["a.txt", "d/e/a.txt"], ["a.md"]),
            (".github/**", [".github/workflows/ci.yml"], ["x/.github/a"]),
            (".github", [".github/workflows/ci.yml"], [".github2/a"]),
            ("a/**/z", ["a/z", "a/b/c/z"], ["a/b", "z"]),
            ("{a,b}/[cd]?", ["a/c1", "b/dx"], ["c/c1", "a/e1", "a/c"]),
            ("[^a]", ["b"], ["a"]),
            ("./x/*", ["x/y"], ["x/y/z"]),
            ("@(a|b).md", ["a.md", "b.md"], ["c.md", "ab.md"]),
            ("(a|b).md", ["a.md"], ["c.md"]),
            ("+(a).md", ["a.md", "aaa.md"], [".md", "b.md"]),
            ("*(a).md", ["a.md", ".md"], ["b.md"]),
            ("?(a).md", ["a.md", ".md"], ["aa.md"]),
            ("x!(a).md", ["x.md", "xb.md", "xab.md"], ["xa.md", "x/b.md"]),
            ("{1..3}/{a..c}", ["2/b"], ["4/b", "2/d"]),
            ("{a,b/c}.md", ["a.md", "b/c.md"], ["c.md"]),
            ("{a,{b,c}x}", ["a", "bx"], ["b", "ax"]),
            ("{a}", ["{a}"], ["a"]),
            ("[!a-c]x", ["dx"], ["ax", "/x"]),
            ("[[:digit:]_]", ["1", "_"], ["a"]),
            ("[a].md", ["a.md", "[a].md"], []),
            ("\\[a\\].md", ["[a].md"], ["a.md"]),
            ("a[", ["a["], ["a"]),
            ("a(", ["a("], ["a"]),
            ("a{", ["a{"], ["a"]),
            ("d/", ["d", "d/e"], ["de"]),
            (".", ["a", "d/e"], []),
            ("/a", [], ["a"]),
            ("../a", [], ["a"]),
            ("d/**", ["d/a", "d/b/c"], ["d", "de/a"]),
            ("**.md", ["a.md"], ["d/a.md"]),
            ("**/d/*", ["d/a", "x/y/d/a"], ["d", "d/a/b"]),
            ("a\nb*", ["a\nbc"], ["a"]),
            ("é?", ["éé"], ["e1"]),
        ],
    )
    def test_patterns_match_as_at_home(self, pattern, yes, no):
        globs = Globs.of([pattern], dot=True)
        assert [path for path in (*yes, *no) if globs.matches(path)] == yes

    def test_a_pattern_with_a_mark_takes_away_and_dots_are_hidden_unless_asked_for(self):
        globs = Globs.of(["**/*", "!**/*.md"], dot=False)
        assert [path for path in ("a", "d/b", "a.md", ".c", ".d/e") if globs.matches(path)] == ["a", "d/b"]
        after = Globs.of(["!a", "*"], dot=True)
        assert after.matches("a"), "only what follows a pattern takes away from it"

    @pytest.mark.parametrize(
        "pattern", ["x" * 2_000, "a\0b", "{1..9999}", "@(" * 5 + "a" + ")" * 5, "x!(a|!(b))", "{x," * 5 + "a" + "}" * 5]
    )
    def test_a_pattern_that_is_too_much_is_refused(self, pattern):
        with pytest.raises(ValueError, match="pattern"):
            Globs.of([pattern], dot=True)

    @pytest.mark.parametrize(
        "pattern",
        [
            "*a*a*a*a*a*a*a*a*a*a*b",
            "**/a/**/b/**/c/**/d/**/e/**/f/**/g",
            "+(*(+(*(a))))b",
            "*(*(a|aa)|+(aaa))b",
            "*!(*(a))*!(a)*b",
            "{a,aa}" * 150,
            "[a-z]" * 190 + "b",
            "?(a)" * 200 + "b",
        ],
    )
    def test_no_pattern_tries_anything_twice(self, pattern):
        globs = Globs.of([pattern], dot=True)
        for path in ("a" * 255, "/".join(["a" * 255] * 8), "/".join("ab" * 100)):
            globs.matches(path)
        assert globs.work.steps < 1_500_000

    def test_the_signs_of_a_class_count_as_work(self):
        many = "".join(chr(0x4E00 + number) for number in range(900))
        globs = Globs.of([f"[!{many}]*"], dot=True)
        globs.matches("src/main/java/Example.java")
        assert globs.work.steps > 900

    def test_what_is_never_closed_is_looked_at_once(self):
        pattern = Asked("[" * 1_000)
        parse(pattern)
        assert pattern.times <= len(pattern)
        assert Globs.of([pattern], dot=True).matches("[" * 1_000)

    def test_what_all_patterns_of_a_step_do_has_an_end(self, ctx, place, monkeypatch):
        monkeypatch.setattr(globs_module, "MAX_STEPS", 500)
        fill(place, **{f"a{number}_dot_txt": "" for number in range(30)})
        with pytest.raises(ValidationError, match="take too long") as caught:
            filesystem.delete.run(ctx, {"files": [f"*{number}.md" for number in range(30)]})
        assert caught.value.fields.keys() <= {f"files.{number}" for number in range(30)}

    def test_a_thousand_plain_paths_cost_no_more_than_one(self):
        globs = Globs.of([f"src/{number}" for number in range(1_000)], dot=True)
        assert [path for path in ("src/7", "src/7/x", "src/7x", "7") if globs.matches(path)] == ["src/7", "src/7/x"]
        assert globs.work.steps == 0
