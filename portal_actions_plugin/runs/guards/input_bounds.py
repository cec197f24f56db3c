"""How much one start may carry: looked at before anything else is done with it, since each check costs by its size."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.runs.secrets.token_shapes import MASK

MAX_VALUES = 20_000
"""Values of an input, each list, table, text and number: 5,000 files have 15,000."""

_MAX_BODY_VALUES = MAX_VALUES + 1_000
_TEXT = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"""A text of JSON; one that is not closed ends with the body, so that no body is looked through twice."""

MAX_SECRET_CHARS = 64_000
"""Characters of one secret value: a private key has 4,000, and what is masked is looked for in every spelling."""

MAX_SECRETS_CHARS = 128_000
"""Characters of all secret values of a start together."""

MAX_SECRET_LINES = 1_000
"""Lines of all secret values of a start together: each is masked by itself."""

LARGE_CHARS = 20_000
"""From so many characters on, checking an input costs more than asking first whether a start is left."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much an input is.

    Attributes:
        values: how many lists, tables, texts, numbers and so on.
        chars: of all its texts.
    """

    values: int
    chars: int

    @property
    def is_large(self) -> bool:
        """Whether its checks cost more than a look at the limit."""
        return self.chars > LARGE_CHARS or self.values > MAX_VALUES // 10


def require_few_values(body: bytes) -> None:
    """Refuse JSON of too many values before it is parsed: a megabyte of empty lists takes half a second.

    Args:
        body: a request's; what is no JSON is left to the parser.

    Raises:
        ValidationError: it has more values than a start may have, and some more for what stands around its input.
    """
    if max(body.count(b","), body.count(b"[") + body.count(b"{")) <= _MAX_BODY_VALUES:
        return  # as nearly all: each comma has a value behind it, and each bracket begins one
    bare = _TEXT.sub("", body.decode(json.detect_encoding(body), "replace"))
    if max(bare.count(","), bare.count("[") + bare.count("{")) > _MAX_BODY_VALUES:
        raise _too_many()


def _too_many() -> ValidationError:
    return ValidationError(
        f"This input has more than {MAX_VALUES:,} values.",
        hint="Send less at once; many files belong into a skeleton folder of the template.",
    )


def require_bounded(data: object) -> Size:
    """Refuse an input of too many values.

    Args:
        data: JSON, of any depth.

    Returns:
        How much it is.

    Raises:
        ValidationError: it has more than ``MAX_VALUES`` values; they are not looked at any further.
    """
    values = chars = 0
    for value in _values(data):
        values += 1
        if values > MAX_VALUES:
            raise _too_many()
        if isinstance(value, str):
            chars += len(value)
    return Size(values, chars)


def require_good_secrets(values: Mapping[str, object], secret_names: Collection[str]) -> None:
    """Refuse secrets that are too much to mask, and the mask that pages show in place of one.

    Args:
        values: all inputs of a start.
        secret_names: which of them are secret.

    Raises:
        ValidationError: names the secret input, and never its value.
    """
    wrong: dict[str, list[str]] = {}
    chars = lines = 0
    for name in sorted(set(secret_names) & set(values)):
        texts = [value for value in _values(values[name]) if isinstance(value, str)]
        size = sum(map(len, texts))
        chars += size
        lines += sum(text.count("\n") + 1 for text in texts)
        if any(MASK in text for text in texts):
            wrong[name] = [f"{MASK} is what is shown in place of a secret: give the secret itself."]
        elif size > MAX_SECRET_CHARS:
            wrong[name] = [f"A secret has at most {MAX_SECRET_CHARS:,} characters; this one has {size:,}."]
        elif chars > MAX_SECRETS_CHARS or lines > MAX_SECRET_LINES:
            wrong[name] = [
                f"All secrets of a start have at most {MAX_SECRETS_CHARS:,} characters and {MAX_SECRET_LINES:,} lines."
            ]
    if wrong:
        raise ValidationError(f"A secret cannot be taken as it is: see {', '.join(wrong)}.", fields=wrong)


def _values(data: object) -> Iterator[object]:
    """Every value inside of one, without recursion: nobody has looked yet how deep it is. Names count as texts."""
    waiting = [iter((data,))]
    while waiting:
        for value in waiting[-1]:
            yield value
            if isinstance(value, Mapping):
                waiting.append(iter([part for pair in value.items() for part in pair]))
                break
            if isinstance(value, list | tuple):
                waiting.append(iter(value))
                break
        else:
            waiting.pop()
