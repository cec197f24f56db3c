"""How documents come in: Locations, several documents in a file, and placeholders for the content of other files."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.host import TemplateListing
from portal_actions_plugin.software_templates.loader import FolderTemplateSource
from portal_actions_plugin.software_templates.sources import locations, placeholders, walking

ACTIONS = {"debug.log@v1"}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def template(name: str, more: str = "", steps: str = "[{action: debug.log@v1}]") -> str:
    return (
        f"apiVersion: scaffolder.backstage.io/v1beta3\nkind: Template\nmetadata: {{name: {name}}}\n"
        f"spec:\n  type: service\n  steps: {steps}\n{more}"
    )


def location(*targets: str, more: str = "") -> str:
    listed = "".join(f"\n    - {target}" for target in targets)
    return (
        f"apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata: {{name: all}}\nspec:\n{more}  targets:{listed}\n"
    )


def listed(*folders: Path) -> TemplateListing:
    return FolderTemplateSource(folders, ACTIONS).list()


def names(*folders: Path) -> list[str]:
    return [one.name for one in listed(*folders).templates]


def found(listing: TemplateListing) -> list[tuple[str, int, str, str]]:
    return [(one.file, one.line, one.key, one.message) for one in (*listing.problems, *listing.warnings)]


# --- Locations


def test_nothing_is_told_of_files_that_lie_elsewhere(tmp_path):
    inside, elsewhere = tmp_path / "templates", tmp_path / "elsewhere"
    write(elsewhere / "salaries.yaml", template("salaries"))
    (inside / "docs").mkdir(parents=True)
    (inside / "link").symlink_to(elsewhere)
    forge = "https://forge.example/a/b/blob/main/docs/../../elsewhere/salaries.yaml"
    write(inside / "all.yaml", location("./link/*", "./link/**/*.yaml", "./lin?/*", forge))
    listing = listed(inside)
    assert [len(listing.problems), listing.templates] == [4, ()]
    assert not any("salaries" in one.message for one in listing.problems)


def test_what_all_targets_of_a_folder_look_at_is_bounded_and_told_once(tmp_path, monkeypatch):
    monkeypatch.setattr(locations, "MAX_ENTRIES", 3)
    write(tmp_path / "all.yaml", location(*(f"./{number}.yaml" for number in range(9))))
    told = [one.message for one in listed(tmp_path).problems]
    assert told[3:] == ["the targets of Locations look at more than 3 files and folders"]


def test_a_pattern_with_too_many_wildcards_is_not_tried(tmp_path):
    pattern = f"./{'*a' * 21}.yaml"
    write(tmp_path / "all.yaml", location(f"'{pattern}'"))
    assert [one.message for one in listed(tmp_path).problems] == [f"{pattern} is too long a pattern"]


def test_a_location_leads_to_files_at_any_depth_and_to_other_locations(tmp_path):
    write(tmp_path / "all.yaml", location("./one/deep/template.yaml", "./teams/*/templates.yaml"))
    write(tmp_path / "one" / "deep" / "template.yaml", template("one"))
    write(tmp_path / "teams" / "a" / "templates.yaml", location("two.yaml", "/shared/three.yaml"))
    write(tmp_path / "teams" / "a" / "two.yaml", template("two"))
    write(tmp_path / "shared" / "three.yaml", template("three"))
    write(tmp_path / "teams" / "a" / "unnamed.yaml", template("unnamed"))
    assert names(tmp_path) == ["one", "three", "two"]
    assert listed(tmp_path).problems == ()


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("./a/*.yaml", ["a1"]),
        ("./*/*.yaml", ["a1", "b1"]),
        ("./**/*.yaml", ["a1", "b1", "c1", "root"]),
        ("./**", ["a1", "b1", "c1", "root"]),
        ("./[bc]/?1.yaml", ["b1"]),
        ("/a/*", ["a1"]),
    ],
)
def test_a_pattern_finds_files_in_the_template_folder(tmp_path, pattern, expected):
    below = tmp_path / "down"
    write(tmp_path / "all.yaml", location("./down/here.yaml"))
    write(below / "here.yaml", location(pattern if pattern.startswith(".") else f"/down{pattern}"))
    for path, name in {"a/a1": "a1", "b/b1": "b1", "b/deep/c1": "c1", "root": "root"}.items():
        write(below / f"{path}.yaml", template(name))
    write(below / ".hidden" / "no.yaml", template("hidden"))
    assert names(tmp_path) == expected


def test_what_a_location_cannot_lead_to_is_told_with_file_and_line(tmp_path):
    write(tmp_path / "outside.yaml", template("outside"))
    folder = tmp_path / "folder"
    targets = (
        "./missing.yaml", "../outside.yaml", "https://example.com/template.yaml", "./none/*.yaml", "[1]", "../*.yaml",
        "./link.yaml",
    )  # fmt: skip
    write(folder / "all.yaml", location(*targets))
    (folder / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    told = [(line, key, message) for file, line, key, message in found(listed(folder)) if file == "all.yaml"]
    assert sorted(told) == [
        (6, "spec.targets[0]", "there is no file ./missing.yaml"),
        (7, "spec.targets[1]", "../outside.yaml leads out of the template folder"),
        (8, "spec.targets[2]", "a URL is not read here: name a file in the template folder"),
        (9, "spec.targets[3]", "./none/*.yaml matches no file"),
        (10, "spec.targets[4]", "a target must be a path, as a text"),
        (11, "spec.targets[5]", "../*.yaml leads out of the template folder"),
        (12, "spec.targets[6]", "./link.yaml leads out of the template folder"),
    ]
    assert names(folder) == []


def test_an_optional_target_may_be_missing_and_other_types_are_told(tmp_path):
    write(tmp_path / "a.yaml", location("./missing.yaml", more="  presence: optional\n"))
    write(tmp_path / "b.yaml", location("https://x/*", more="  type: github-discovery\n"))
    write(
        tmp_path / "c.yaml",
        "apiVersion: backstage.io/v1alpha1\nkind: Location\nspec: {type: file, target: ./t/x.yml}\n",
    )
    write(tmp_path / "t" / "x.yml", template("x"))
    assert names(tmp_path) == ["x"]
    assert found(listed(tmp_path)) == [
        ("b.yaml", 5, "spec.type", "a Location of this type is not read: write file or url")
    ]


def test_the_address_of_a_file_that_is_here_is_told_as_its_path(tmp_path):
    write(
        tmp_path / "all.yaml",
        location("https://github.com/acme/all/blob/main/deep/t.yaml", "https://x.com/blob/a/../b"),
    )
    write(tmp_path / "deep" / "t.yaml", template("t"))
    said = "a URL is not read here: name a file in the template folder"
    assert [one[3] for one in found(listed(tmp_path))] == [f"{said}; this one is here, as /deep/t.yaml", said]


def test_locations_that_lead_in_circles_are_read_once_and_to_the_bounds(tmp_path, monkeypatch):
    write(tmp_path / "a.yaml", location("./deep/b.yaml", "./a.yaml"))
    write(tmp_path / "deep" / "b.yaml", location("../a.yaml", "./b.yaml", "./t.yaml"))
    write(tmp_path / "deep" / "t.yaml", template("t"))
    assert (names(tmp_path), found(listed(tmp_path))) == (["t"], [])
    monkeypatch.setattr(walking, "MAX_DEPTH", 1)
    assert [one[0] for one in found(listed(tmp_path))] == ["deep/b.yaml"]
    monkeypatch.setattr(locations, "MAX_ENTRIES", 2)
    write(tmp_path / "many.yaml", location("./**/*.yaml"))
    assert "look at more than 2 files" in str([one[3] for one in found(listed(tmp_path)) if one[0] == "many.yaml"])


def test_a_location_is_looked_at_again_when_files_come_and_go(tmp_path):
    source = FolderTemplateSource([tmp_path], ACTIONS)
    write(tmp_path / "all.yaml", location("./t/*.yaml"))
    assert [one.message for one in source.list().problems] == ["./t/*.yaml matches no file"]
    file = write(tmp_path / "t" / "x.yaml", template("x"))
    assert [one.name for one in source.list().templates] == ["x"]
    file.unlink()
    assert source.list().templates == ()


# --- several documents


def test_each_document_of_a_file_is_found_by_name_and_others_are_ignored(tmp_path):
    other = "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: c}\n"
    bad = template("bad", steps="[{action: nothing}]")
    write(tmp_path / "all.yaml", "---\n".join([template("one"), other, bad, template("two")]))
    source = FolderTemplateSource([tmp_path], ACTIONS)
    assert [one.name for one in source.list().templates] == ["one", "two"]
    assert source.get("two").name == "two"
    assert [(one.template, one.line) for one in source.list().problems] == [("bad", 17)]


def test_a_document_that_cannot_be_read_hides_only_itself_and_those_after_it(tmp_path):
    write(
        tmp_path / "all.yaml",
        "---\n".join([template("one"), "kind: Template\nmetadata: {name: two}\nspec: [\n", template("three")]),
    )
    source = FolderTemplateSource([tmp_path], ACTIONS)
    assert [one.name for one in source.list().templates] == ["one"]
    (problem,) = source.list().problems
    assert (problem.template, problem.key) == ("two", "yaml")


# --- placeholders


PAGES = """\
parameters:
  - $yaml: ./parts/page.yaml
"""


def test_placeholders_bring_in_the_content_of_files(tmp_path):
    steps = (
        "[{id: say, action: debug.log@v1, input: {message: {$text: ./parts/text.md}, "
        "fields: {$json: /common/fields.json}, api: {$openapi: ./parts/api.yaml}}}]"
    )
    write(tmp_path / "t" / "template.yaml", template("x", textwrap.indent(PAGES, "  "), steps))
    write(
        tmp_path / "t" / "parts" / "page.yaml", "title: Page\nproperties: {name: {type: string}, on: {type: string}}\n"
    )
    write(tmp_path / "t" / "parts" / "text.md", "Hello\n")
    write(tmp_path / "t" / "parts" / "api.yaml", "openapi: 3.0.0\n")
    write(tmp_path / "common" / "fields.json", '{\n\t"a": [1, true, null, "x"]}')
    (one,) = listed(tmp_path).templates
    assert one.parameters[0] == {"title": "Page", "properties": {"name": {"type": "string"}, "on": {"type": "string"}}}
    assert one.steps[0].input == {
        "message": "Hello\n", "fields": {"a": [1, True, None, "x"]}, "api": "openapi: 3.0.0\n",
    }  # fmt: skip
    assert listed(tmp_path).problems == ()


def test_a_template_is_another_version_once_a_file_that_it_names_changes(tmp_path):
    source = FolderTemplateSource([tmp_path], ACTIONS)
    write(tmp_path / "template.yaml", template("x", textwrap.indent(PAGES, "  ")))
    page = write(tmp_path / "parts" / "page.yaml", "properties: {name: {type: string}}\n")
    first = source.get("x")
    assert source.get("x") is first
    write(page, "properties: {name: {type: string}, more: {type: string}}\n")
    second = source.get("x")
    assert second.version != first.version
    assert second.parameter_names == {"name", "more"}
    page.unlink()
    assert [one.message for one in source.list().problems] == ["$yaml: there is no file ./parts/page.yaml"]
    write(page, "properties: {}\n")
    assert source.get("x").parameter_names == set()


def test_what_is_found_in_a_file_of_a_placeholder_is_told_with_that_file_and_line(tmp_path):
    write(tmp_path / "template.yaml", template("x", textwrap.indent(PAGES, "  ")))
    write(
        tmp_path / "parts" / "page.yaml",
        "title: Page\nproperties:\n  n:\n    type: integer\n    default: no\n    minimum: a\n",
    )
    (problem,) = listed(tmp_path).problems
    assert (problem.file, problem.line, problem.key, problem.template) == (
        "parts/page.yaml", 6, "spec.parameters[0].properties.n.minimum", "x",
    )  # fmt: skip
    assert problem.path == str(tmp_path / "parts" / "page.yaml")
    write(tmp_path / "parts" / "page.yaml", "title: Page\nproperties: [\n")
    (problem,) = listed(tmp_path).problems
    assert (problem.file, problem.line) == ("parts/page.yaml", 3)


def test_as_at_home_placeholders_within_what_was_brought_in_and_beside_other_keys_stay(tmp_path):
    page = "properties:\n  a: {type: string, $yaml: ./no.yaml}\n  b: {default: {$text: ./no.txt}, type: object}\n"
    write(tmp_path / "template.yaml", template("x", textwrap.indent(PAGES, "  ")))
    write(tmp_path / "parts" / "page.yaml", page)
    write(tmp_path / "y.yaml", template("y", "  output: {text: [{title: x, content: x, $text: ./no.md}]}\n"))
    listing = listed(tmp_path)
    assert [one.name for one in listing.templates] == ["x", "y"]
    assert listing.templates[0].parameters[0]["properties"]["b"]["default"] == {"$text": "./no.txt"}
    assert sorted((one.template, one.message.split(",")[0]) for one in listing.warnings) == [
        ("x", "$text within a file that a placeholder names is not read"), ("y", "$text stands beside other keys"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("../../outside.yaml", "leads out of the template folder"),
        ("/../outside.yaml", "leads out of the template folder"),
        ("./link.yaml", "leads out of the template folder"),
        ("./linked/outside.yaml", "leads out of the template folder"),
        ("/.git/config", "leads into .git"),
        ("./loop.yaml", "cannot be read"),
        ("./pipe.yaml", "is no file"),
        ("./folder", "is no file"),
        ("./missing.yaml", "there is no file"),
        ("https://example.com/x.yaml", "a URL is not read"),
        ("//example.com/x.yaml", "a URL is not read"),
        ("'a\\b'", "no path"),
        ("''", "no path"),
        ("[1]", "takes the path of a file"),
        ("./large.yaml", "is larger than"),
        ("./binary.yaml", "no UTF-8"),
        ("./two.yaml", "must be one YAML document"),
        ("./bomb.yaml", "once its aliases are written out"),
    ],
)
def test_a_placeholder_that_cannot_be_read_is_a_problem(tmp_path, given, said):
    folder = tmp_path / "folder"
    beside = folder / "t"  # where nothing but the template's own file is looked at
    write(tmp_path / "outside.yaml", "secret: 1\n")
    write(beside / "template.yaml", template("x", f"  parameters: {{$yaml: {given}}}\n"))
    (beside / "folder").mkdir()
    (folder / ".git").mkdir()
    write(folder / ".git" / "config", "a: 1\n")
    (beside / "link.yaml").symlink_to("../../outside.yaml")
    (beside / "linked").symlink_to("../..")
    (beside / "loop.yaml").symlink_to("loop.yaml")
    os.mkfifo(beside / "pipe.yaml")
    write(beside / "two.yaml", "a: 1\n---\nb: 1\n")
    write(beside / "large.yaml", "a: " + "x" * 1_000_000)
    (beside / "binary.yaml").write_bytes(b"\xff\xfe")
    write(
        beside / "bomb.yaml",
        "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else 'x'] * 9)}]" for n in range(8)),
    )
    source = FolderTemplateSource([folder], ACTIONS)
    with pytest.raises(ValidationError) as refused:
        source.get("x")
    assert said in refused.value.message


@pytest.mark.parametrize(
    "text", ["{", "NaN", "1e999", '"\\ud800"', "[" * 100_000, "9" * 5_000, '{"a": ' * 60 + "1" + "}" * 60]
)
def test_json_that_is_none_or_too_much_is_a_problem(tmp_path, text):
    write(tmp_path / "one.yaml", template("x", "  output: {$json: ./x.json}\n"))
    (tmp_path / "x.json").write_text(text)
    (problem, *_) = listed(tmp_path).problems
    assert problem.key == "spec.output.$json"


def test_placeholders_are_bounded_in_number_and_in_what_they_bring_in_together(tmp_path, monkeypatch):
    write(tmp_path / "x.txt", "x" * 600_000)
    items = ", ".join("{$text: ./x.txt}" for _ in range(2))
    write(tmp_path / "one.yaml", template("x", f"  output: {{text: [{items}]}}\n"))
    assert "too many values, characters or levels" in listed(tmp_path).problems[0].message
    monkeypatch.setattr(placeholders, "MAX_PLACEHOLDERS", 1)
    assert "at most 1 placeholders" in str(found(listed(tmp_path)))
