"""Asking the oracle: Node with Backstage's template engine and npm's ``yaml``, pinned by npm/package-lock.json."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.support import npm_packages

PINNED = Path(__file__).parent / "npm"
FOLDER = Path(os.environ.get("ORACLE_FOLDER") or Path(sys.prefix) / "oracle")
"""Where its packages are kept: in the virtual environment, or where you say."""

_EXACT = 2**53
_PROGRAM = Path(__file__).parent / "answer.mjs"


def ask(questions: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Put questions to the oracle, as ``answer.mjs`` describes them.

    Raises:
        NotToBeHadError: its packages are not installed, and can't be.
    """
    npm_packages.install(PINNED, FOLDER)
    program = FOLDER / _PROGRAM.name  # a module looks for packages beside itself
    shutil.copy(_PROGRAM, program)
    asked = "".join(f"{json.dumps(question)}\n" for question in questions)
    command = [npm_packages.node(), "--no-warnings", str(program)]
    done = subprocess.run(command, input=asked, stdout=subprocess.PIPE, check=True, text=True, encoding="utf-8")
    return [read(line) for line in done.stdout.split("\n") if line]


def read(text: str) -> Any:
    """JSON as JavaScript reads it: a large whole number is the one that it has of it."""
    return json.loads(text, parse_int=_whole)


def _whole(text: str) -> int | float:
    return int(text) if abs(int(text)) <= _EXACT else float(text)
