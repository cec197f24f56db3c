"""Whatever a template and its inputs say: nothing is raised but our own errors, and nothing comes out that is no JSON.

``TEMPLATE_FUZZ_EXAMPLES`` says how many of each are tried, and others each time, as ``make nightly`` does.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.software_templates.expressions.rendering import render_file
from portal_actions_plugin.software_templates.expressions.undefined import Sparse
from portal_actions_plugin.software_templates.languages import LANGUAGES
from portal_actions_plugin.software_templates.loader import FolderTemplateSource
from portal_actions_plugin.software_templates.readings import Reading
from portal_actions_plugin.software_templates.yaml.documents import UnreadableError, read_documents
from tests.oracle import grammar
from tests.oracle.questions import CONTEXT
from tests.oracle.yaml_questions import YAML
from tests.support import attacks

ASKED = os.environ.get("TEMPLATE_FUZZ_EXAMPLES")
FUZZ = settings(
    max_examples=int(ASKED or 25),
    derandomize=not ASKED,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

INTERNALS = ("object at 0x", "<class", "<function", "<bound", "portal_actions_plugin.", "jinja2.", "Traceback")

SIGNS = st.sampled_from(
    ["${{", "}}", "{%", "%}", "{#", "#}", "-", "|", "~", "(", ")", "[", "]", "{", "}", ".", ",", ":", "'", '"', "\\", "if", "else", "for", "in", "set", "endif", "endfor", "raw", "endraw", "filter", "is", "not", "and", "or", "parameters", "steps", "secrets", "user", "__class__", "constructor", "__proto__", "self", "loop", "range", "0", "1e9", "9999999999999999999999", "\n", "\t", "é", "😀"]
)  # fmt: skip
SOUP = st.lists(st.one_of(SIGNS, st.text(max_size=3)), max_size=12).map(" ".join)
HOSTILE = st.sampled_from([*attacks.REACHING, *attacks.MADE])
TEXTS = st.one_of(
    grammar.TEXTS,
    SOUP,
    SOUP.map("${{{{ {} }}}}".format),
    HOSTILE.map("${{{{ {} }}}}".format),
    st.tuples(HOSTILE, HOSTILE).map(lambda two: f"{{% set x = {two[0]} %}}${{{{ {two[1]} }}}}"),
    st.tuples(grammar.TEXTS, st.integers(0, 60), SIGNS).map(lambda of: of[0][: of[1]] + of[2] + of[0][of[1] :]),
)
STORABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), STORABLE),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(STORABLE, inner, max_size=3)),
    max_leaves=5,
)
INPUTS = st.fixed_dictionaries({}, optional=dict.fromkeys(CONTEXT["parameters"], VALUES))  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def is_ours(found: Any) -> None:
    """It is JSON that can be stored, and shows nothing of what is inside."""
    shown = json.dumps(found, ensure_ascii=False, allow_nan=False)
    shown.encode()
    assert not any(internal in shown for internal in INTERNALS), shown


@FUZZ
@given(TEXTS, INPUTS)
def test_a_value_renders_to_json_or_to_our_error_whatever_it_says(text: str, inputs: dict[str, Any]) -> None:
    known = {**CONTEXT, "parameters": Sparse(inputs, CONTEXT["parameters"], "was not given")}  # type: ignore[arg-type]
    for language in LANGUAGES.values():
        assert isinstance(language.references(text), tuple)
        for render in (
            lambda language=language: language.render({"a": [text], "b": text}, known, "input"),
            lambda language=language: language.holds(text, known, "if"),
        ):
            try:
                is_ours(render())
            except ValidationError as error:
                is_ours(error.message)


@FUZZ
@given(TEXTS, INPUTS)
def test_a_file_renders_to_text_or_to_our_error_whatever_it_says(text: str, inputs: dict[str, Any]) -> None:
    try:
        is_ours(render_file(text, {"values": inputs, "parameters": inputs}, "README.md"))
    except ValidationError as error:
        is_ours(error.message)


BITS = st.one_of(
    st.sampled_from(YAML),
    st.sampled_from(["\n", "\n  ", ": ", "- ", "? ", "&x ", "*x", "!!int ", "!t ", "|\n  ", "[", "]", "{", "}", '"', "'", "#", "\t", "\\U00110000"]),
    st.text(max_size=4),
)  # fmt: skip


@FUZZ
@given(st.lists(BITS, max_size=6).map("".join))
def test_a_yaml_file_is_read_or_refused_whatever_it_says(text: str) -> None:
    try:
        found = [document.data for document in read_documents(text)]
    except UnreadableError as error:
        is_ours(error.message)
    else:
        is_ours(found)


TEMPLATE = """\
apiVersion: {version}
kind: Template
metadata: {{name: t}}
spec:
  parameters: {parameters}
  steps:
    - id: s
      if: {condition}
      action: debug.log@v1
      input: {given}
  output: {output}
"""
QUOTED = TEXTS.map(lambda text: json.dumps(text.replace("\ud800", "")))
PARTS = st.one_of(
    QUOTED,
    QUOTED.map("[{}]".format),
    QUOTED.map("{{message: {}}}".format),
    st.dictionaries(
        st.sampled_from(["type", "properties", "required", "default", "enum", "pattern", "$ref", "if", "title", "links", "a"]),
        VALUES,
        max_size=3,
    ).map(json.dumps),
    VALUES.map(json.dumps),
)  # fmt: skip


@FUZZ
@given(st.sampled_from(list(Reading)), st.fixed_dictionaries(dict.fromkeys(("parameters", "condition", "given", "output"), PARTS)))  # fmt: skip
def test_a_template_loads_or_has_problems_whatever_it_says(
    tmp_path_factory: pytest.TempPathFactory, reading: Reading, parts: dict[str, str]
) -> None:
    folder: Path = tmp_path_factory.mktemp("fuzz", numbered=True)
    (folder / "t.yaml").write_text(TEMPLATE.format(version=reading.value, **parts), encoding="utf-8")
    found = FolderTemplateSource([folder], {"debug.log@v1"}).list()
    assert found.templates or found.problems
    for finding in (*found.problems, *found.warnings):
        is_ours(finding.message)
    for template in found.templates:
        is_ours(template.snapshot())
