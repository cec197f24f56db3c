"""Characters that a terminal or a reader of logs acts upon instead of showing them: written as escapes wherever we write.

With them somebody's text could end a line and begin one that looks like ours, colour or clear a terminal, or turn the
order of what is read.
"""

from __future__ import annotations

import re

_ACTED_UPON = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    "\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # invisible, or about direction
    "\ud800-\udfff\U000e0000-\U000e0fff]"  # halves of pairs, which no stream takes, and tags
)


def escaped(text: str) -> str:
    r"""A text of one line, whatever it holds: ``\n`` and ``\x1b`` instead of what they stand for."""
    return _ACTED_UPON.sub(lambda found: ascii(found[0])[1:-1], text)


def escaped_lines(text: str, indent: str) -> str:
    """A text of several lines, of which each after the first is indented, and so cannot be taken for one of somebody else.

    Args:
        text: such as a traceback.
        indent: what stands before each further line.
    """
    return f"\n{indent}".join(map(escaped, text.replace("\r\n", "\n").split("\n")))
