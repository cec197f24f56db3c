"""The files of a folder that hold templates, at every depth, as a team's repository has them."""

from __future__ import annotations

import os
import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path

from portal_actions_plugin.software_templates.yaml.documents import MAX_BYTES

MAX_ENTRIES = 200_000
"""Files and folders that are looked at."""
MAX_DEPTH = 30
_ENDINGS = (".yaml", ".yml")
_SKIPPED = frozenset({"node_modules", "__pycache__", "venv", "vendor"})
_KIND = re.compile(rb"""^["']?kind["']?:\s*["']?(Template|Location)\b""", re.MULTILINE)
_VERSION = re.compile(
    rb"""^["']?apiVersion["']?:\s*["']?(scaffolder\.backstage\.io|backstage\.io|portal-actions)/""", re.MULTILINE
)


class TooManyFilesError(Exception):
    """A folder has more files than are looked at."""


def template_files(folder: Path) -> list[Path]:
    """The YAML files below a folder that hold a template or a Location, sorted; no link is followed.

    Args:
        folder: where to begin.

    Raises:
        TooManyFilesError: it has more than ``MAX_ENTRIES`` files and folders.
    """
    counted = iter(range(MAX_ENTRIES))
    return sorted(file for file in _yaml_files(folder, 0, counted) if holds_template(file))


def holds_template(file: Path) -> bool:
    """Whether a file looks as if it held a template or a Location; so does one that may not be read, for all that is known."""
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES).removeprefix(BOM_UTF8)
    except PermissionError:
        return True
    except OSError:
        return False
    return bool(_KIND.search(content) and _VERSION.search(content))


def _yaml_files(folder: Path, depth: int, counted: Iterator[int]) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if not entry.name.startswith(".") and entry.name not in _SKIPPED]
    except OSError:
        return
    for entry in found:
        if next(counted, None) is None:
            raise TooManyFilesError(f"{folder} and the folders beside it have more than {MAX_ENTRIES:,} files")
        if entry.is_dir(follow_symlinks=False):
            if depth < MAX_DEPTH:
                yield from _yaml_files(Path(entry.path), depth + 1, counted)
        elif entry.name.endswith(_ENDINGS) and entry.is_file(follow_symlinks=False):
            yield Path(entry.path)
