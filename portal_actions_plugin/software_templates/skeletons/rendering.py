"""Rendering files of skeletons in the language of the template that asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal_actions_plugin.software_templates.expressions.rendering import (
    ExpressionError,
    FileFault,
    render_forgivingly,
    syntax_fault_of_file,
)
from portal_actions_plugin.software_templates.nunjucks.blocks import PLAIN, Style
from portal_actions_plugin.software_templates.nunjucks.files import FileError, RenderedFile, check_file, render_file
from portal_actions_plugin.software_templates.readings import Reading

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue

__all__ = ["FileRenderer", "RenderedFile", "Style", "fault_of"]


def fault_of(text: str, reading: Reading, style: Style) -> FileFault | None:
    """What of a file cannot be rendered whatever the values are; None when all can.

    Args:
        text: of the file, or its name.
        reading: of the template that asks for it.
        style: what the signs of the file are.
    """
    if reading is Reading.STRICT and not style.cookiecutter:
        return syntax_fault_of_file(text)
    try:
        check_file(text, style)
    except FileError as error:
        return FileFault(error.line, _line(text, error.line), error.problem)
    return None


def _line(text: str, number: int) -> str:
    lines = text.split("\n")
    return lines[number - 1].strip() if 0 < number <= len(lines) else "the file"


@dataclass(frozen=True, slots=True)
class FileRenderer:
    """Renders the files of one skeleton, their names and their texts.

    Attributes:
        reading: of the template that asks for it. What is written as Cookiecutter has it is always read as at home.
        values: what the files may name.
        style: what the signs of the files are.
    """

    reading: Reading
    values: Mapping[str, JsonValue]
    style: Style = PLAIN

    @property
    def root(self) -> str:
        """What files call the values."""
        return "cookiecutter" if self.style.cookiecutter else "values"

    def render(self, text: str, where: str) -> RenderedFile:
        """Render a text.

        Args:
            text: of a file, or its name.
            where: the file's path, for errors.

        Returns:
            The text, in which a top-level name that nobody knows is nothing, and those names.

        Raises:
            ExpressionError: names the file, the line and the problem.
        """
        context: dict[str, JsonValue] = {self.root: dict(self.values)}
        if self.reading is Reading.STRICT and not self.style.cookiecutter:
            style = self.style
            written, unknown = render_forgivingly(
                text, context, where, trim_blocks=style.trim_blocks, lstrip_blocks=style.lstrip_blocks
            )
            return RenderedFile(written, unknown)
        try:
            return render_file(text, context, self.style)
        except FileError as error:
            raise ExpressionError(f"{where}, line {error.line}", _line(text, error.line), error.problem) from None
