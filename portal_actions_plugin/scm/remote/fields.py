"""Reading what a forge has answered: JSON whose shape nobody has promised to this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NoReturn

from portal_actions_plugin.errors import RemoteError
from portal_actions_plugin.run_types import JsonValue

JsonObject = Mapping[str, JsonValue]


def at(value: JsonValue, *keys: str) -> JsonValue:
    """What lies below keys, one after the other; None where there is nothing."""
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def text(value: JsonValue, *keys: str) -> str:
    """The text below keys; raises RemoteError when there is none."""
    found = at(value, *keys)
    return found if isinstance(found, str) else _missing(keys, "a text")


def maybe_text(value: JsonValue, *keys: str) -> str | None:
    """The text below keys; None when there is none, or an empty one."""
    found = at(value, *keys)
    return found if isinstance(found, str) and found else None


def number(value: JsonValue, *keys: str) -> int:
    """The whole number below keys; raises RemoteError when there is none."""
    found = at(value, *keys)
    return found if isinstance(found, int) and not isinstance(found, bool) else _missing(keys, "a number")


def flag(value: JsonValue, *keys: str) -> bool:
    """Whether there is a true below keys."""
    return at(value, *keys) is True


def objects(value: JsonValue, *keys: str) -> list[JsonObject]:
    """The objects of the list below keys, and nothing else of it; an empty list when there is none."""
    return [one for one in _sequence(at(value, *keys)) if isinstance(one, Mapping)]


def texts(value: JsonValue, *keys: str) -> tuple[str, ...]:
    """The texts of the list below keys, and nothing else of it; none when there is no list."""
    return tuple(one for one in _sequence(at(value, *keys)) if isinstance(one, str))


def moment(written: str) -> datetime:
    """A moment as ISO 8601 has it, in UTC where it names no zone; raises RemoteError for anything else."""
    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        raise RemoteError(f"The forge has answered with {written[:40]!r} where a time belongs.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _sequence(value: JsonValue) -> Sequence[JsonValue]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _missing(keys: tuple[str, ...], kind: str) -> NoReturn:
    raise RemoteError(f"The forge has answered without {kind} at {'.'.join(keys) or 'the top'}.")
