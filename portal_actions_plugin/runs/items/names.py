"""What people call an item of a step with ``each``: a key that only counts tells nobody which one failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal_actions_plugin.runs.secrets.token_shapes import MASK

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue

LONGEST = 60
_CALLED = ("name", "title", "id")


def item_name(index: int, key: str, value: JsonValue) -> str:
    """The name of an item, in one line of at most 60 characters.

    Args:
        index: its place in the list, from 0.
        key: of an object it is a word of the template, and the name; of a list it is the index.
        value: as people may see it. A text or a number is the name of an item of a list, and so is the ``name``,
            ``title`` or ``id`` that an object has.
    """
    if key != str(index):
        return _in_one_line(key)
    if isinstance(value, dict):
        value = next((value[name] for name in _CALLED if isinstance(value.get(name), str | int)), None)
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == MASK:
        return key
    return _in_one_line(str(value)) or key


def _in_one_line(text: str) -> str:
    line = " ".join(text[: 5 * LONGEST].split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
