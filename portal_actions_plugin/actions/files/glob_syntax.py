"""Reading the text of a pattern of paths; what cannot be a sign of a pattern stands for itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MAX_PATTERN = 1_000
MAX_CHOICES = 200
"""What a range such as ``{1..9}`` may stand for."""
MAX_LEVELS = 4
"""Groups inside each other."""
_KINDS = "@?*+!"
_CLASSES: Final[dict[str, Callable[[str], bool]]] = {
    "alpha": str.isalpha,
    "digit": str.isdigit,
    "alnum": str.isalnum,
    "upper": str.isupper,
    "lower": str.islower,
    "space": str.isspace,
    "word": lambda sign: sign.isalnum() or sign == "_",
}


@dataclass(frozen=True, slots=True)
class Text:
    """Stands for itself."""

    text: str


@dataclass(frozen=True, slots=True)
class Star:
    """Any signs of a name."""


@dataclass(frozen=True, slots=True)
class AnyDepth:
    """``**``: any folders, with the ``/`` after them; at the end of a pattern all that is there."""

    is_last: bool


@dataclass(frozen=True, slots=True)
class OneOf:
    """One sign of a name: among some, or not among them."""

    signs: tuple[tuple[str, str], ...] = ()
    classes: tuple[str, ...] = ()
    negated: bool = False

    def holds(self, sign: str) -> bool:
        """Whether it stands for a sign."""
        is_in = any(first <= sign <= last for first, last in self.signs) or any(
            _CLASSES[name](sign) for name in self.classes
        )
        return is_in != self.negated


@dataclass(frozen=True, slots=True)
class Group:
    """Some patterns: one of them (``@``), perhaps (``?``), any number (``*``), at least one (``+``), or none of them (``!``)."""

    kind: str
    choices: tuple[Sequence, ...]


Node = Text | Star | AnyDepth | OneOf | Group
Sequence = tuple[Node, ...]
ANY_SIGN = OneOf(negated=True)


def parse(pattern: str) -> Sequence:
    """Read a pattern; raises ValueError with what is wrong with it, as the end of a sentence."""
    return _Reader(pattern).sequence(0, len(pattern), ())


@dataclass(slots=True)
class _Reader:
    text: str

    def sequence(self, at: int, end: int, around: tuple[str, ...]) -> Sequence:
        """Read a part of the pattern; ``around`` has the kinds of the groups that it is in."""
        if len(around) > MAX_LEVELS:
            raise ValueError(f"a pattern has at most {MAX_LEVELS} groups inside each other")
        found: list[Node] = []
        plain: list[str] = []
        while at < end:
            node, after = self._node(at, end, around)
            if node is None:
                plain.append(self.text[at + 1] if after == at + 2 else self.text[at])
            else:
                found.extend([Text("".join(plain))] if plain else [])
                plain.clear()
                found.append(node)
            at = after
        return (*found, Text("".join(plain))) if plain else tuple(found)

    def _node(self, at: int, end: int, around: tuple[str, ...]) -> tuple[Node | None, int]:
        """What stands at a place and where it ends; None for a sign that stands for itself, perhaps after a backslash."""
        sign = self.text[at]
        if sign == "\\" and at + 1 < end:
            return None, at + 2
        found: tuple[Node, int] | None = None
        if sign in _KINDS and self.text.startswith("(", at + 1):
            found = self._group(sign, at + 2, end, around)
        elif sign == "(":
            found = self._group("@", at + 1, end, around)
        elif sign == "{":
            found = self._braces(at, end, around)
        elif sign == "[":
            found = self._signs(at, end)
        elif self.text.startswith("**", at):
            found = self._stars(at, end)
        return found or (_ALONE.get(sign), at + 1)

    def _stars(self, at: int, end: int) -> tuple[Node, int]:
        after = at
        while after < end and self.text[after] == "*":
            after += 1
        begins = at == 0 or self.text[at - 1] in "/{,(|"
        if begins and (after == len(self.text) or self.text[after] in "},)|"):
            return AnyDepth(is_last=True), after
        if begins and self.text[after] == "/":
            return AnyDepth(is_last=False), after + 1
        return Star(), after

    def _group(self, kind: str, at: int, end: int, around: tuple[str, ...]) -> tuple[Node, int] | None:
        parts = self._parts(at, end, "|", ")")
        if parts is None:
            return None
        if kind == "!" and "!" in around:
            raise ValueError("a pattern has no !( inside of another one")
        choices = tuple(self.sequence(first, last, (*around, kind)) for first, last in parts)
        return Group(kind, choices), parts[-1][1] + 1

    def _braces(self, at: int, end: int, around: tuple[str, ...]) -> tuple[Node, int] | None:
        parts = self._parts(at + 1, end, ",", "}")
        if parts is None:
            return None
        after = parts[-1][1] + 1
        if len(parts) > 1:
            return Group("@", tuple(self.sequence(first, last, (*around, "@")) for first, last in parts)), after
        numbers = _range(self.text[parts[0][0] : parts[0][1]])
        return (Group("@", tuple((Text(one),) for one in numbers)), after) if numbers else None

    def _parts(self, at: int, end: int, between: str, closing: str) -> list[tuple[int, int]] | None:
        """Where the parts of a group begin and end; None when it is not closed."""
        parts: list[tuple[int, int]] = []
        first, open_ones = at, [closing]
        while at < end:
            sign = self.text[at]
            if sign == "\\":
                at += 1
            elif sign in "({":
                open_ones.append(")" if sign == "(" else "}")
            elif sign == open_ones[-1]:
                open_ones.pop()
                if not open_ones:
                    return [*parts, (first, at)]
            elif sign == between and len(open_ones) == 1:
                parts.append((first, at))
                first = at + 1
            at += 1
        return None

    def _signs(self, at: int, end: int) -> tuple[Node, int] | None:
        negated = self.text[at + 1 : at + 2] in ("!", "^")
        first = at = at + (2 if negated else 1)
        if self.text.find("]", first + 1, end) < 0:
            return None
        signs: list[tuple[str, str]] = []
        classes: list[str] = []
        while at < end and (self.text[at] != "]" or at == first):
            name = next((one for one in _CLASSES if self.text.startswith(f"[:{one}:]", at)), None)
            if name:
                classes.append(name)
                at += len(name) + 4
                continue
            if self.text[at] == "\\" and at + 1 < end:
                at += 1
            if self.text[at + 1 : at + 2] == "-" and self.text[at + 2 : at + 3] not in ("", "]"):
                signs.append((self.text[at], self.text[at + 2]))
                at += 3
            else:
                signs.append((self.text[at], self.text[at]))
                at += 1
        return (OneOf(tuple(signs), tuple(classes), negated), at + 1) if at < end else None


_ALONE: Final[dict[str, Node]] = {"*": Star(), "?": ANY_SIGN}


def _range(text: str) -> list[str] | None:
    """What ``1..3`` or ``a..c`` stands for; None for anything else."""
    first, dots, last = text.partition("..")
    if not dots:
        return None
    if len(first) == len(last) == 1 and first.isalpha() and last.isalpha():
        low, high = sorted((ord(first), ord(last)))
        numbers, write = range(low, high + 1), chr
    elif all(one.removeprefix("-").isdecimal() and len(one) < 10 for one in (first, last)):
        low, high = sorted((int(first), int(last)))
        numbers, write = range(low, high + 1), str
    else:
        return None
    if len(numbers) > MAX_CHOICES:
        raise ValueError(f"a range of a pattern stands for at most {MAX_CHOICES} others")
    return [write(one) for one in numbers]
