"""How pages write values inside values: line by line, as people write YAML, and no more of them than a page shows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

MAX_DEPTH = 12
"""What is nested deeper than this stays on its line, as JSON."""

_STEP = "  "


def outline(value: object, limit: int) -> tuple[str, bool]:
    """Write an object or a list, its parts below each other.

    Args:
        value: JSON values, however nested.
        limit: about how many characters; the lines beyond it are never made.

    Returns:
        The text, and whether it is all of it.
    """
    lines: list[str] = []
    length = 0
    for line in _lines(value, "", 0):
        if length > limit:
            return "\n".join(lines), False
        lines.append(line if len(line) <= limit else f"{line[:limit]} …")
        length += len(line) + 1
    return "\n".join(lines), True


def _lines(value: object, pad: str, depth: int) -> Iterator[str]:
    """The lines of an object or a list that has something in it."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _below(f"{pad}{_words(str(name))}:", inner, pad, depth)
    elif isinstance(value, list):
        for inner in value:
            first = True
            for line in _item(inner, pad + _STEP, depth):
                yield f"{pad}- {line.removeprefix(pad + _STEP)}" if first else line
                first = False


def _item(value: object, pad: str, depth: int) -> Iterator[str]:
    if _has_parts(value) and depth < MAX_DEPTH:
        yield from _lines(value, pad, depth + 1)
    else:
        head, *more = _scalar(value).split("\n")
        yield pad + head
        yield from (pad + line for line in more)


def _below(head: str, value: object, pad: str, depth: int) -> Iterator[str]:
    if _has_parts(value) and depth < MAX_DEPTH:
        yield head
        yield from _lines(value, pad + _STEP, depth + 1)
    elif isinstance(value, str) and "\n" in value.strip("\n"):
        yield f"{head} |"
        yield from (f"{pad}{_STEP}{line}" for line in value.rstrip("\n").split("\n"))
    else:
        yield f"{head} {_scalar(value)}"


def _has_parts(value: object) -> bool:
    return isinstance(value, Mapping | list) and bool(value)


def _scalar(value: object) -> str:
    return _words(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _words(text: str) -> str:
    """A text as it is, in quotes where it would read as something else."""
    if text.strip() != text or text in ("", "true", "false", "null", "{}", "[]") or _is_number(text):
        return json.dumps(text, ensure_ascii=False)
    return text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
