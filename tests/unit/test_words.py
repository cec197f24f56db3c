"""The words in which people and operators are told things: those of the field, and none that only we have."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import portal_actions_plugin

PACKAGE = Path(portal_actions_plugin.__file__).parent
OURS = re.compile(
    r"\bdoorbells?\b|\bmend(?:s|ed|ing)?\b|\b(?:ring|rings|rung|rang|ringing)\b|positive evaluation", re.IGNORECASE
)


def is_command(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and any("command" in ast.dump(one) for one in node.decorator_list)


def sentences(tree: ast.Module) -> Iterator[str]:
    """The texts of a module that are no docstrings and have several words; of a command also its help."""
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if is_command(node):
            yield ast.get_docstring(node) or ""  # type: ignore[arg-type]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value if " " in node.value.strip() and not node.value.startswith("tuple[") else ""


@pytest.mark.fault("E28")
def test_no_word_that_only_we_have_is_in_a_message_a_log_line_or_a_help_text():
    said = {
        f"{file.relative_to(PACKAGE)}: {text}"
        for file in PACKAGE.rglob("*.py")
        for text in sentences(ast.parse(file.read_text(encoding="utf-8")))
        if OURS.search(text)
    }
    pages = {f"{file.name}" for file in PACKAGE.rglob("*.html") if OURS.search(file.read_text(encoding="utf-8"))}
    assert not said | pages
