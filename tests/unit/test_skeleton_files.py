"""Files of a skeleton in both languages: what they become, what is nothing in them, and what fails with its line."""

from __future__ import annotations

import pytest

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.software_templates.file_rendering import FileRenderer, Style
from portal_actions_plugin.software_templates.readings import Reading

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
