"""The examples of ``docs/template-language.md``: what each gives in both readings.

Write an example with empty cells, and ``python -m tests.oracle.reference`` fills them in, and records what home says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from portal_actions_plugin.software_templates.expressions.rendering import (
    ExpressionError,
    UndefinedValueError,
    render_file,
)
from portal_actions_plugin.software_templates.expressions.undefined import Sparse
from portal_actions_plugin.software_templates.languages import LANGUAGES
from portal_actions_plugin.software_templates.readings import Reading
from portal_actions_plugin.software_templates.yaml.documents import UnreadableError, read_documents
from tests.oracle.record import record

PAGE = Path(__file__).parent.parent.parent / "docs" / "template-language.md"
LEFT_OUT, STAYS, SAME = "left out", "stays as written", "same"
_REFUSED = "refused: "
_LONGEST = 90
_OPTIONAL = "note"
_BRACES = re.compile(r"\{[{%#]")


class Kind(Enum):
    """What the examples of a table are: the head of its second column."""

    EXPRESSION = "written"
    """An expression, or a text with expressions and blocks, as a value of a step's input."""
    INPUT = "input"
    """A step's input, in YAML."""
    CONDITION = "if"
    """A step's ``if``."""
    FILE = "in a file"
    """The text of a file; the last column is for a file of a skeleton."""
    YAML = "YAML"
    """A YAML file, which both readings read alike; a line break is written as ``↵``."""


@dataclass(frozen=True, slots=True)
class Example:
    """One row of a table.

    Attributes:
        section: the heading above it.
        line: its index in the page.
        kind: what ``written`` is.
        names: what it is an example of, as its first cell or one above it has it.
        written: the example, without Markdown.
        cells: what the page says of it.
    """

    section: str
    line: int
    kind: Kind
    names: str
    written: str
    cells: tuple[str, ...]


def examples(page: str) -> Iterator[Example]:
    """Every example of the page."""
    section, kind, names = "", None, ""
    for line, text in enumerate(page.split("\n")):
        if text.startswith("#"):
            section, kind = text.lstrip("# "), None
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", text)[1:-1]] if text.startswith("|") else []
        if len(cells) < 3:
            kind = kind if text.startswith("|") else None
            continue
        if cells[1] in {one.value for one in Kind}:
            kind, names = Kind(cells[1]), ""
        elif kind and not cells[0].startswith("---"):
            names = cells[0] or names
            yield Example(section, line, kind, names, _plain(cells[1]), tuple(cells[2:]))


def context(page: str) -> dict[str, Any]:
    """What its expressions may name: the block of YAML that the page begins with."""
    block = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert block
    (document,) = read_documents(block[1])
    return {**document.mapping}


def question(example: Example) -> dict[str, Any]:
    """What the oracle is asked."""
    if example.kind is Kind.YAML:
        return {"yaml": _lines(example.written)}
    if example.kind is Kind.CONDITION:
        return {"render": {"a": example.written}}
    return {"render": _input(example) if example.kind is Kind.INPUT else {"a": _source(example)}}


def at_home(example: Example, answer: Mapping[str, Any]) -> str:
    """The oracle's answer in the words of the page."""
    if "error" in answer:
        return "refused"
    if example.kind is Kind.YAML:
        return _code(answer["value"][0] if len(answer["value"]) == 1 else answer["value"])
    if example.kind is Kind.CONDITION:
        value = answer["value"].get("a")
        return _held(value not in (None, False, 0, "", []))
    if example.kind is Kind.INPUT:
        return _code(answer["value"])
    if "a" not in answer["value"]:
        return LEFT_OUT
    return STAYS if answer["value"]["a"] == _source(example) and _has_syntax(example) else _code(answer["value"]["a"])


def here(example: Example, names: Mapping[str, Any], reading: Reading) -> str:
    """What ours makes of it, in the words of the page."""
    if example.kind is Kind.YAML:
        return _read(_lines(example.written))
    parameters = Sparse(names["parameters"], {*names["parameters"], _OPTIONAL}, "was not given")
    known = {**names, "parameters": parameters}
    language = LANGUAGES[reading]
    try:
        if example.kind is Kind.CONDITION:
            return _held(language.holds(example.written, known, "if"))
        if example.kind is Kind.INPUT:
            return _code(language.render(_input(example), known, "input"))
        if example.kind is Kind.FILE and reading is Reading.STRICT:
            return _code(render_file(_source(example), names, "file"))
        value = language.value(_source(example), known, "input")
    except UndefinedValueError as error:
        return LEFT_OUT if reading is Reading.BACKSTAGE else _said(error)
    except ExpressionError as error:
        return _said(error)
    return STAYS if value == _source(example) and _has_syntax(example) else _code(value)


def filled(page: str) -> str:
    """The page with each answer in its cell."""
    names = context(page)
    lines = page.split("\n")
    for example in examples(page):
        backstage = here(example, names, Reading.BACKSTAGE)
        answers = [backstage]
        if len(example.cells) > 1:
            ours = here(example, names, Reading.STRICT)
            answers.append(SAME if ours == backstage else ours)
        first = re.split(r"(?<!\\)\|", lines[example.line])[1:3]
        lines[example.line] = f"|{first[0]}|{first[1]}| {' | '.join(answers)} |"
    return "\n".join(lines)


def _source(example: Example) -> str:
    return example.written if _BRACES.search(example.written) else f"${{{{ {example.written} }}}}"


def _has_syntax(example: Example) -> bool:
    return any(sign in _source(example) for sign in ("${{", "{%", "{#"))


def _input(example: Example) -> dict[str, Any]:
    (document,) = read_documents(example.written)
    return {**document.mapping}


def _read(text: str) -> str:
    try:
        documents = read_documents(text)
    except UnreadableError as error:
        return f"{_REFUSED}{_short(error.message)}"
    problems = [problem for document in documents for _, problem in document.problems]
    found = [document.data for document in documents]
    return f"{_REFUSED}{_short(problems[0])}" if problems else _code(found[0] if len(found) == 1 else found)


def _lines(written: str) -> str:
    return written.replace("↵", "\n")


def _held(holds: bool) -> str:
    return "holds" if holds else "does not hold"


def _said(error: ExpressionError) -> str:
    return f"{_REFUSED}{_short(error.problem)}"


def _short(said: str) -> str:
    cut = said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"
    return re.sub(r"([|*_<>`\[\]])", r"\\\1", cut)


def _code(value: object) -> str:
    shown = json.dumps(value, ensure_ascii=False, sort_keys=True)
    fence = "``" if "`" in shown else "`"
    return f"{fence}{shown}{fence}".replace("|", "\\|")


def _plain(cell: str) -> str:
    return cell.strip("`").replace("\\|", "|") if not cell.startswith("``") else cell[2:-2].strip().replace("\\|", "|")


def questions() -> list[dict[str, Any]]:
    """What the oracle is asked for the page, in its order; the context is the same for all."""
    return [question(example) for example in examples(PAGE.read_text(encoding="utf-8"))]


def main() -> None:
    """Fill in the page, and record what home says."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(filled(page), encoding="utf-8")
    record("reference", questions(), {"context": context(page)})


if __name__ == "__main__":
    main()
