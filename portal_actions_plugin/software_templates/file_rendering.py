"""Rendering files of skeletons in the language of the template that asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal_actions_plugin.software_templates.expressions.rendering import ExpressionError, render_forgivingly
from portal_actions_plugin.software_templates.nunjucks.blocks import PLAIN, Style
from portal_actions_plugin.software_templates.nunjucks.files import FileError, RenderedFile, render_file
from portal_actions_plugin.software_templates.readings import Reading

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue

__all__ = ["FileRenderer", "RenderedFile", "Style"]


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
            lines = text.splitlines()
            line = lines[error.line - 1].strip() if 0 < error.line <= len(lines) else "the file"
            raise ExpressionError(f"{where}, line {error.line}", line, error.problem) from None
