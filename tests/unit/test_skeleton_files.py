"""Files of a skeleton in both languages: what they become, what is nothing in them, and what fails with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from portal_actions_plugin.actions.registry import Registry
from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.software_templates.checking import skeleton_syntax
from portal_actions_plugin.software_templates.loader import FolderTemplateSource
from portal_actions_plugin.software_templates.readings import Reading
from portal_actions_plugin.software_templates.skeletons.files import find_files
from portal_actions_plugin.software_templates.skeletons.names import SkeletonError
from portal_actions_plugin.software_templates.skeletons.rendering import FileRenderer, Style

VALUES = {"name": "orders", "tags": ["a", "b"], "owner": {"team": "x", "n": None}, "dots": True}


def rendered(text: str, reading: Reading = Reading.BACKSTAGE, style: Style | None = None) -> str:
    return FileRenderer(reading, VALUES, style or Style()).render(text, "f.txt").text


@pytest.mark.parametrize("reading", Reading)
def test_values_conditions_and_loops_are_rendered(reading: Reading) -> None:
    text = "${{ values.name | upper }}\n{% for tag in values.tags %}- ${{ tag }}\n{% endfor %}{% if not values.dots %}no{% endif %}\n"
    assert rendered(text, reading) == "ORDERS\n- a\n- b\n\n"


def test_each_reading_has_its_own_language() -> None:
    assert rendered("${{ values.tags }} ${{ values.tags.length > '1' }}") == "a,b true"
    assert rendered("${{ values.tags }}", Reading.STRICT) == '["a", "b"]'


@pytest.mark.parametrize("reading", Reading)
def test_a_top_level_name_that_nobody_knows_is_nothing_and_told_with_its_line(reading: Reading) -> None:
    text = "on: push\nref: ${{ github.ref }}\n{% for x in values.tags %}${{ x }}${{ matrix.os }}{% endfor %}\nsha: ${{ github.sha }}\n"
    found = FileRenderer(reading, VALUES).render(text, "ci.yml")
    assert found.text == "on: push\nref: \nab\nsha: \n"
    assert found.unknown == {"github": 2, "matrix": 3}


def test_what_is_missing_below_a_known_name_is_nothing_at_home_and_an_error_in_ours() -> None:
    assert rendered("[${{ values.missing }}]") == "[]"
    with pytest.raises(ValidationError, match=r"f\.txt, line 2: .*'missing' is undefined"):
        rendered("\n${{ values.missing }}", Reading.STRICT)


@pytest.mark.parametrize("reading", Reading)
@pytest.mark.parametrize(
    "text", ["\n\n${{ values.name | nope }}", "\n\n{% if values.name %}", "\n\n${{ values.name. }}"]
)
def test_what_cannot_be_rendered_names_file_and_line(text: str, reading: Reading) -> None:
    with pytest.raises(ValidationError, match=r"f\.txt, line 3"):
        rendered(text, reading)


@pytest.mark.parametrize("reading", Reading)
def test_blocks_leave_no_empty_lines_when_they_are_trimmed(reading: Reading) -> None:
    text = "a\n  {% if values.name %}\n  b\n  {% endif %}\nc ${{ values.name }}\n{% raw %}\n${{ x }}\n{% endraw %}\nd\n"
    assert rendered(text, reading) == "a\n  \n  b\n  \nc orders\n\n${{ x }}\n\nd\n"
    trimmed = rendered(text, reading, Style(trim_blocks=True))
    assert trimmed.startswith("a\n    b\n  c orders\n")
    both = rendered(text, reading, Style(trim_blocks=True, lstrip_blocks=True))
    assert both.startswith("a\n  b\nc orders\n")
    spaces = "${{ values.name }}  {% if values.name %}x{% endif %}"
    assert rendered(spaces, reading, Style(lstrip_blocks=True)) == "orders  x"


@pytest.mark.parametrize("reading", Reading)
def test_files_of_cookiecutter_are_read_as_nunjucks_reads_jinja(reading: Reading) -> None:
    style = Style(cookiecutter=True)
    text = (
        "{{ cookiecutter.name }} ${{ github.ref }} {{ cookiecutter.tags[-1] }} {{ cookiecutter.tags | jsonify }}"
        "{% if True and not None %} {% for k, v in cookiecutter.owner.items() %}{{ k }}={{ v }};{% endfor %}{% endif %}"
        "{{ cookiecutter.owner.get('no', 'or') }}"
    )
    found = FileRenderer(reading, VALUES, style).render(text, "f.txt")
    assert found.text == 'orders $ b ["a","b"] team=x;n=;or'
    assert found.unknown == {"github": 1}


def test_no_file_makes_more_than_its_bound() -> None:
    huge = "{% for a in range(900) %}{% for b in range(100) %}${{ values.name }}xxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}{% endfor %}"
    with pytest.raises(ValidationError, match=r"larger than|computes"):
        rendered(huge)


WRITTEN = """\
apiVersion: {version}
kind: Template
metadata: {{name: t}}
spec:
  owner: team:x
  type: service
  parameters: {{properties: {{name: {{type: string, default: x}}}}}}
  steps:
    - id: fetch
      action: fetch:template
      input: {{url: ./skeleton, values: {{name: "${{{{ parameters.name }}}}"}}{more}}}
"""


def findings(folder: Path, reading: Reading, files: dict[str, str], more: str = "") -> list[tuple[str, int, str]]:
    for name, text in files.items():
        (folder / "skeleton" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "skeleton" / name).write_text(text)
    (folder / "template.yaml").write_text(WRITTEN.format(version=reading.value, more=more))
    listing = FolderTemplateSource([folder], Registry.from_entry_points()).list()
    assert bool(listing.templates) == (reading is Reading.BACKSTAGE or not listing.problems)
    return [(one.file, one.line, one.message) for one in (*listing.problems, *listing.warnings)]


@pytest.mark.parametrize("reading", Reading)
def test_files_that_no_run_can_render_are_told_when_their_template_is_loaded(tmp_path: Path, reading: Reading) -> None:
    files = {
        "a.txt": "x\n${{ values.name | nope }}\n",
        "b.txt": "\n\n{% if values.name %}\n{{ github }}",
        "c.yml": "${{ github.ref }} ${{ values.name }}",
        "${{ values.name }}.txt": "fine",
    }
    found = findings(tmp_path, reading, files)
    assert [(file, line) for file, line, _ in found] == [("skeleton/a.txt", 2), ("skeleton/b.txt", 3)]
    assert "no filter" in found[0][2]


@pytest.mark.parametrize(
    "more",
    [
        ", copyWithoutTemplating: [x]",
        ", copyWithoutRender: []",
        ", templateFileExtension: true",
        ', trimBlocks: "${{ parameters.name }}"',
    ],
)
def test_files_that_may_be_copied_are_not_judged(tmp_path: Path, more: str) -> None:
    assert findings(tmp_path, Reading.BACKSTAGE, {"a.txt": "${{ values.name | nope }}"}, more) == []


def test_files_of_cookiecutter_are_judged_by_its_signs(tmp_path: Path) -> None:
    files = {"a.txt": "${{ github.ref }} {{ cookiecutter.name | jsonify }}", "b.txt": "{{ cookiecutter.name | nope }}"}
    found = findings(tmp_path, Reading.BACKSTAGE, files, ", cookiecutterCompat: true")
    assert [(file, line) for file, line, _ in found] == [("skeleton/b.txt", 1)]


def test_many_files_take_no_template_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skeleton_syntax, "SECONDS", 0.0)
    assert findings(tmp_path, Reading.STRICT, {"a.txt": "${{ values.name | nope }}"}) == []


def test_a_path_that_leads_out_is_told_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "templates" / "x").mkdir(parents=True)
    with pytest.raises(SkeletonError, match=r"^\.\./\.\. leads out of the template folder$"):
        find_files(tmp_path / "templates" / "x", "../..", tmp_path / "templates")
