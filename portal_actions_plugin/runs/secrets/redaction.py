"""Masking what a run writes: the values that it knows to be secret, however they are spelled, and known tokens.

Log records and what a process prints come here through ``runner/attempt/run_logs.py``.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.runs.secrets.escapes import LONGEST_ESCAPE, Span, readings
from portal_actions_plugin.runs.secrets.storable import storable
from portal_actions_plugin.runs.secrets.token_shapes import MASK, mask_tokens, masked_at

MIN_INSIDE = 4
"""Characters of the shortest value that is masked inside a text. A shorter one is where it is all there is: masking
each "a" of a text would leave nothing of it."""

MAX_MASKED_CHARS = 256_000
"""Characters of all that one run may have masked: each is looked for in some twenty spellings."""

MIN_LINE = 8
"""Characters of the shortest line of a value that is masked by itself."""


class Redactor:
    """Masks known values, and what looks like a token, in whatever a run writes.

    A value is also found as JSON, Python, URLs, HTML, base64 and hex spell it, and line by line; any of its characters may
    be escaped, or all.
    """

    def __init__(self, values: Iterable[object] = ()) -> None:
        self._values: dict[str, None] = {}
        self._finder = _Finder()
        self._adding = threading.Lock()
        self.add(list(values))

    def add(self, value: object) -> None:
        """Mask this value from now on; a list or table counts for each of its texts.

        Raises:
            ValidationError: that would be more than can be looked for in each text; nothing of it is masked then.
        """
        with self._adding:
            new = dict.fromkeys(_texts(value))
            if new.keys() <= self._values.keys():
                return
            chars = sum(len(text) for text in {**self._values, **new} if text == text.strip())
            if chars > MAX_MASKED_CHARS:
                raise ValidationError(
                    f"The secrets of this run have {chars:,} characters; {MAX_MASKED_CHARS:,} can be masked.",
                    hint="Hand a large secret over by a reference, such as its name in a vault.",
                )
            for text in new:
                if text not in self._values and len(text) >= MIN_INSIDE:
                    self._finder.add(set(spellings(text)))
            self._values = {**self._values, **new}

    @property
    def knows_a_value(self) -> bool:
        """Whether it masks anything but what looks like a token."""
        return bool(self._values)

    @property
    def longest(self) -> int:
        """Characters of the longest spelling of what it masks."""
        return max(self._finder.longest, LONGEST_ESCAPE * max(map(len, self._values), default=0))

    def text(self, text: str) -> str:
        """Mask inside a text; what a database would refuse is replaced too."""
        return storable(mask_tokens(self._known(text)))

    def data(self, data: object) -> Any:
        """Mask inside JSON data, keys included."""
        return self._walk(data, self.text)

    def values(self, text: str) -> str:
        """Mask the known values inside a text, and nothing else."""
        return self._known(text)

    def is_in(self, content: bytes) -> bool:
        """Whether bytes that are no text hold a known value as it is, in one of the encodings of texts."""
        return any(
            value.encode(encoding, "surrogatepass") in content
            for value in self._values
            if len(value) >= MIN_INSIDE
            for encoding in ("utf-8", "utf-16-le", "utf-16-be")
        )

    def known_in(self, data: object) -> list[str]:
        """The known values that JSON data holds."""
        return [value for value in self._values if _holds(data, value)]

    def _known(self, text: str) -> str:
        if not self._values:
            return text
        if text.strip() in self._values:
            return MASK
        spans = list(self._finder.spans(text))
        for read, in_source in readings(text):
            if read.strip() in self._values:
                return MASK
            spans += map(in_source, self._finder.spans(read))
        return masked_at(text, spans)

    def _walk(self, data: object, mask: Callable[[str], str]) -> object:
        if isinstance(data, str):
            return mask(data)
        if isinstance(data, Mapping):
            return {mask(str(key)): self._walk(value, mask) for key, value in data.items()}
        if isinstance(data, list | tuple):
            return [self._walk(value, mask) for value in data]
        return MASK if not isinstance(data, bool) and str(data) in self._values else data


def _holds(data: object, value: str) -> bool:
    alone = Redactor([value])
    plain = json.loads(json.dumps(data))
    return bool(alone._walk(plain, alone._known) != plain)  # noqa: SLF001 its own kind


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, bytes | bytearray):
        yield value.decode(errors="replace")
    elif value is not None and not isinstance(value, bool) and str(value).strip() not in ("", MASK):
        yield str(value)
        yield str(value).strip()


# -- spellings -------------------------------------------------------------------------------------------------------


def spellings(value: str) -> Iterator[str]:
    """How a value may stand in a text, by itself and line by line."""
    yield from _spelled(value)
    for line in value.splitlines():
        if len(line.strip()) >= MIN_LINE:
            yield from _spelled(line.strip())


def _spelled(value: str) -> Iterator[str]:
    raw = value.encode(errors="surrogatepass")
    yield value
    yield value.replace(" ", "+")  # in a query, whose other characters are read as escapes
    for dumped in (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]):
        yield dumped
        yield dumped.replace("/", "\\/")
        yield json.dumps(dumped)[1:-1]  # JSON in JSON
    for shown in (repr(value + '"'), ascii(value + '"'), repr(raw + b'"')[1:]):
        inside = shown[1:-2]
        yield inside
        yield inside.replace("\\'", "'")
    for inside in _base64(raw):
        yield inside
        yield inside.replace("+", "-").replace("/", "_")
    yield raw.hex()
    yield raw.hex().upper()


def _base64(raw: bytes) -> Iterator[str]:
    """What of the value's base64 does not depend on what stands around it, wherever that begins in a group of three."""
    for before, mixed in ((0, 0), (1, 2), (2, 3)):
        whole = base64.b64encode(bytes(before) + raw).decode()
        yield whole[mixed : (before + len(raw)) * 8 // 6]


# -- finding them ----------------------------------------------------------------------------------------------------


class _Finder:
    """Finds the longest of many words at each place of a text.

    A pattern looks for how they begin, and no more: one of a whole private key in every spelling takes seconds to make.
    Words may be added while others look: nobody waits, since what is to be masked may be said by a finalizer too.
    """

    def __init__(self) -> None:
        self.longest = 0
        self._by_head: dict[str, tuple[str, ...]] = {}
        self._heads: tuple[int, re.Pattern[str]] = (0, re.compile("(?!)"))

    def add(self, words: Iterable[str]) -> None:
        new: dict[str, set[str]] = {}
        for word in words:
            new.setdefault(word[:MIN_INSIDE], set()).add(word)
            self.longest = max(self.longest, len(word))
        for head, found in new.items():
            found.update(self._by_head.get(head, ()))
            self._by_head[head] = tuple(sorted(found, key=len, reverse=True))

    def _pattern(self) -> re.Pattern[str]:
        """The pattern of all heads: made anew when it is needed and there are more of them."""
        count, pattern = self._heads
        if count < len(self._by_head):
            heads = sorted(self._by_head.copy())
            pattern = re.compile(_any_of(heads))
            self._heads = (len(heads), pattern)
        return pattern

    def spans(self, text: str) -> Iterator[Span]:
        look = 0
        pattern = self._pattern()
        while head := pattern.search(text, look):
            start, words = head.start(), self._by_head[head[0]]
            look = start + 1
            if text.startswith(words, start):
                look = start + len(next(word for word in words if text.startswith(word, start)))
                yield start, look


def _any_of(words: Sequence[str]) -> str:
    """A pattern that finds the longest of sorted words; where they begin alike, they are compared once."""
    branches = []
    for group in _by_first(words):
        start = _alike(group[0], group[-1])
        rest = [word[len(start) :] for word in group]
        ends_here = rest[0] == ""
        further = _any_of(rest[1:] if ends_here else rest) if len(rest) > 1 else ""
        branches.append(re.escape(start) + (f"(?:{further}){'?' if ends_here else ''}" if further else ""))
    return "|".join(branches)


def _alike(one: str, other: str) -> str:
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return "".join(character for character, _ in pairs)


def _by_first(words: Sequence[str]) -> Collection[list[str]]:
    groups: dict[str, list[str]] = {}
    for word in words:
        groups.setdefault(word[0], []).append(word)
    return groups.values()
