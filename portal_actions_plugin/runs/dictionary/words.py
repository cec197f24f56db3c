"""Words of what people see of a run, folded: how a value is taken apart, and what a person types.

A value is found by every place in it where a word begins. ``component:default/orders-api`` is found by what begins
``component``, ``default/orders``, ``orders-api`` or ``api``: each beginning has all that follows, so that a kind, a
namespace or a dash may be typed or left out.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

MAX_WORD_CHARS = 255
"""So much of a word is kept, and compared."""

MAX_BEGINNINGS = 32
"""So many words of a value are kept; longer values are titles that nobody types to their end."""

ABOVE_ALL = "\U0010ffff"
"""No character comes after this one: what begins alike stands between the beginning and the beginning with it."""

NAME = "="
"""Before a whole name in the dictionary. No word begins with it."""


def fold(text: str) -> str:
    """A text without the differences of capitals, of characters that look alike, and of blanks."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


@lru_cache(maxsize=4096)
def beginnings(value: str) -> tuple[str, ...]:
    """Every beginning of a word in a value, folded, with all that follows it."""
    whole = unicodedata.normalize("NFKC", value)[: 4 * MAX_WORD_CHARS]
    found = (fold(whole[place:])[:MAX_WORD_CHARS] for place in _places(whole))
    return tuple(dict.fromkeys(word for word in found if word and not word.startswith(NAME)))[:MAX_BEGINNINGS]


def _places(text: str) -> Iterator[int]:
    """Where words begin: after whatever is no letter or digit, and at a capital within a word."""
    before = ""
    for place, character in enumerate(text):
        begins = character.isalnum() and (not before.isalnum() or (character.isupper() and before.islower()))
        if place == 0 or begins:
            yield place
        before = character


def typed(text: str) -> tuple[str, ...]:
    """The words that somebody types, folded, each once: what only says that another one begins so is left out."""
    words = {_from_its_first_letter(word)[:MAX_WORD_CHARS] for word in fold(text).split()}
    return tuple(sorted(word for word in words if not any(word != other and other.startswith(word) for other in words)))


def _from_its_first_letter(word: str) -> str:
    """A word without the signs before it, such as ``@v1``; one of signs alone is as it is."""
    first = next((place for place, character in enumerate(word) if character.isalnum()), 0)
    return word[first:]


def name_key(name: str) -> str:
    """How a whole name stands in the dictionary, whatever its capitals and blanks."""
    return f"{NAME}{fold(name)}"[:MAX_WORD_CHARS]
