"""JSON files inside a repository's folder, for what git has no place for: they go where the repository goes."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from portal_actions_plugin.run_types import JsonValue

PULLS = "portal-actions.pulls"
ISSUES = "portal-actions.issues"
SETTINGS = "portal-actions.settings"
"""Folders inside a repository's: a file for each pull request, issue, and kind of setting."""


def read_json(file: Path, what: str) -> dict[str, JsonValue] | None:
    """Read a record.

    Args:
        file: where it lies.
        what: what errors call it, such as ``pull request #1 of acme/shop``.

    Returns:
        The JSON object; None when there is no such file.

    Raises:
        RemoteError: it is something else.
    """
    try:
        kept = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise broken(file, what, error) from None
    if not isinstance(kept, dict):
        raise broken(file, what, f"it holds a {type(kept).__name__}")
    return kept


def broken(file: Path, what: str, why: object) -> RemoteError:
    """The error for a record that cannot be read; ``what`` is what people call it, ``why`` what is wrong with it."""
    return RemoteError(f"The record of {what} is broken ({file}): {why}.")


def write_json(file: Path, value: Mapping[str, object]) -> None:
    """Write a mapping as JSON: the whole file or none of it, also when the power goes. Only one writer at a time."""
    temporary = file.with_name(f".{file.name}.tmp")
    with temporary.open("w", encoding="utf-8") as out:
        json.dump(value, out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(file)


def numbers(repository: Path, folder: str) -> list[int]:
    """The numbers of the records in a folder of a repository, newest first."""
    files = (repository / folder).glob("*.json")
    return sorted((int(file.stem) for file in files if file.stem.isdigit()), reverse=True)


def next_number(repository: Path) -> int:
    """The number of the next pull request or issue: they count together. Only under ``git.locked``."""
    return max((*numbers(repository, PULLS), *numbers(repository, ISSUES)), default=0) + 1
