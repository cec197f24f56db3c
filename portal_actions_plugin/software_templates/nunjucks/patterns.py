"""Regular expressions, ``r/…/g``: read as JavaScript's, and matched by an engine that takes time in line with its text.

The engine knows no look-around and no back references; a pattern with one cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from portal_actions_plugin.software_templates.expressions.limits import MAX_SIZE, SandboxError, current_budget, fits

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PATTERN = 1_000
"""Characters of one pattern."""
_MAX_MEMORY = 4_000_000
"""Bytes that the engine may use for one pattern."""
_CHECK_EVERY = 64
_MAX_WORK = 20_000_000
"""Characters of a text, times the steps of a pattern: a third of a second at the worst."""
_LITERAL = re.compile(r"r/((?:\\.|[^/\\\n])+)/([A-Za-z]*)")
_PIECE = re.compile(r"\\u([0-9A-Fa-f]{4})|\\x([0-9A-Fa-f]{2})|\\(.)|(\[\^?)|(.)", re.DOTALL)
_FLAGS = frozenset("gim")
_SAME = frozenset("dDwWbBnrtvf")
_SPACE = r"\t\n\v\f\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}"
_IN_REPLACEMENT = re.compile(r"\$(?:([$&`'])|([0-9]{1,2})|<([^>]*)>)")


def literal_at(source: str, at: int) -> re.Match[str] | None:
    """The regular expression that begins at a place of an expression, as it is written; None where none is closed."""
    return _LITERAL.match(source, at)


def begins_at(source: str, at: int) -> bool:
    """Whether a regular expression begins at a place of an expression, as ``r/`` and not the end of a name."""
    before = source[at - 1] if at else " "
    return source.startswith("r/", at) and not (before.isalnum() or before == "_")


class RegularExpression:
    """A regular expression as a value. It remembers where the last ``test`` ended when it is a global one."""

    def __init__(self, source: str, flags: str) -> None:
        """Take what ``compiled`` has read before."""
        self.source = source
        self.flags = flags
        self._pattern = compiled(source, flags)
        self._at = 0

    def __str__(self) -> str:
        return f"/{self.source}/{''.join(sorted(self.flags))}"

    def test(self, text: str) -> bool:
        """Whether it is found in a text; a global one goes on after what it found last."""
        self._require_small(text)
        if "g" not in self.flags:
            return self._pattern.search(text) is not None
        found = self._pattern.search(text, self._at) if self._at <= len(text) else None
        self._at = found.end() if found else 0
        return found is not None

    def replace(self, text: str, replacement: str, most: int = MAX_SIZE) -> str:
        """The text with the first place where it is found, or each for a global one, written as the replacement says.

        Args:
            text: where to look.
            replacement: what to write there.
            most: characters that the whole may have.

        Raises:
            SandboxError: it takes too long, or would be larger.
        """
        pieces: list[str] = []
        at = size = 0
        for found in self._found(text):
            expanded = _expanded(replacement, found, text)
            pieces += [text[at : found.start()], expanded]
            at = found.end()
            size += len(expanded) - (at - found.start())
            fits(size + len(text), most)
            if "g" not in self.flags:
                break
        return "".join([*pieces, text[at:]])

    def split(self, text: str) -> list[object]:
        """What is between the places where it is found, and what its groups have found there; the parts as texts."""
        if not text:
            return [] if self._pattern.search("") else [""]
        parts: list[object] = []
        at = 0
        for found in self._found(text):
            if found.start() >= len(text):
                break
            if found.end() > at:
                parts += [text[at : found.start()], *(group or "" for group in found.groups())]
                fits(len(parts))
                at = found.end()
        return [*parts, text[at:]]

    def _require_small(self, text: str) -> None:
        current_budget().check_time()
        most = _MAX_WORK // max(1, self._pattern.programsize)
        if len(text) > most:
            raise SandboxError(f"a regular expression as large as this one takes at most {most:,} characters")

    def _found(self, text: str) -> Iterator[Any]:
        self._require_small(text)
        for number, found in enumerate(self._pattern.finditer(text)):
            if number % _CHECK_EVERY == 0:  # to ask for the time may take longer than to find the next place
                current_budget().check_time()
            yield found


@lru_cache(maxsize=64)
def compiled(source: str, flags: str) -> Any:
    """Compile a regular expression.

    Raises:
        ValueError: it is none, too long, or needs what the engine has not; says what.
    """
    if odd := sorted(set(flags) - _FLAGS) or (["two of one kind"] if len(set(flags)) < len(flags) else []):
        raise ValueError(f"a regular expression has the flags g, i and m, not {odd[0]}")
    if len(source) > MAX_PATTERN:
        raise ValueError(f"a regular expression has at most {MAX_PATTERN:,} characters")
    try:
        import re2  # 2 MB, which most templates do without
    except ImportError:
        raise ValueError("regular expressions need google-re2: pip install 'portal-actions-plugin[regex]'") from None
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    options.case_sensitive = "i" not in flags
    try:
        return re2.compile(("(?m)" if "m" in flags else "") + _translated(source), options)
    except re2.error as error:
        said = error.args[0]
        raise ValueError(
            f"this is no regular expression: {said.decode() if isinstance(said, bytes) else said}"
        ) from None


def _translated(source: str) -> str:
    """A pattern of JavaScript's in the engine's spelling; raises ValueError for what it has not."""
    inside, pieces = False, []
    for found in _PIECE.finditer(source):
        code, byte, escape, opened, character = found.groups()
        if code or byte:
            pieces.append(f"\\x{{{code or byte}}}")
        elif escape is not None:
            pieces.append(_escaped(escape, inside=inside))
        elif opened is not None and not inside:
            if source.startswith("]", found.end()):
                raise ValueError("a class of a regular expression has at least one character")
            inside = True
            pieces.append(opened)
        elif inside:
            inside = character != "]"
            pieces.append((opened or character).replace("[", "\\["))
        else:
            _require_known_group(source, found.start())
            pieces.append(r"[^\n\r\x{2028}\x{2029}]" if character == "." else character)
    return "".join(pieces)


def _require_known_group(source: str, at: int) -> None:
    if source.startswith(("(?=", "(?!", "(?<=", "(?<!"), at):
        raise ValueError("look-around is not supported in regular expressions")
    if source.startswith("(?", at) and not source.startswith(("(?:", "(?<"), at):
        raise ValueError(f"{source[at : at + 3]!r} begins no group")


def _escaped(escape: str, *, inside: bool) -> str:
    if escape in "123456789k":
        raise ValueError("back references are not supported in regular expressions")
    if escape == "s":
        return _SPACE if inside else f"[{_SPACE}]"
    if escape == "S" and not inside:
        return f"[^{_SPACE}]"
    if escape in "Scpux" or (escape in "bB" and inside):
        raise ValueError(f"\\{escape} is not supported {'there' if inside else 'in regular expressions'}")
    if escape in _SAME:
        return f"\\{escape}"
    if escape == "0":
        return r"\x{0}"
    return escape if escape.isalnum() or escape == "_" or ord(escape) > 127 else f"\\{escape}"


def _expanded(replacement: str, found: Any, text: str) -> str:
    """A replacement with ``$1``, ``$&`` and the like written out."""
    if "$" not in replacement:
        return replacement

    def written(part: re.Match[str]) -> str:
        sign, number, name = part.groups()
        if sign:
            values: dict[str, Callable[[], str]] = {
                "$": lambda: "$",
                "&": found.group,
                "`": lambda: text[: found.start()],
                "'": lambda: text[found.end() :],
            }
            return values[sign]()
        if name is not None:
            names = found.re.groupindex
            return (found.group(names[name]) or "" if name in names else "") if names else part[0]
        for digits in (number, number[:1]):
            if 0 < int(digits) <= found.re.groups:
                return (found.group(int(digits)) or "") + number[len(digits) :]
        return part[0]

    expanded = _IN_REPLACEMENT.sub(written, replacement)
    fits(len(expanded))
    return expanded
