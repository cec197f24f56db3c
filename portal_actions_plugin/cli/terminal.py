"""What commands write: the one way to a terminal, which acts upon none of it."""

from __future__ import annotations

from collections.abc import Iterable

import click

from portal_actions_plugin.control_characters import escaped_lines


def say(*lines: str, err: bool = False) -> None:
    """Write lines with escapes for what a terminal would act upon, as a run's log, name or address may have it.

    Args:
        lines: each a sentence or row of ours; where it has several lines itself, the further ones are set in below it.
        err: to standard error.
    """
    click.echo("\n".join(shown(lines)), err=err)


def shown(lines: Iterable[str]) -> list[str]:
    """Lines as they may be written, each with its further lines below it."""
    return [escaped_lines(line, f"{_indent(line)}    ") for line in lines]


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" "))]
