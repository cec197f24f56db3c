"""Log records of which no value breaks the line, and whose message stays what other records of its kind have.

Who looks for failures that are alike, as Sentry does, goes by a record's message before its values are put in.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress

from portal_actions_plugin.control_characters import escaped, escaped_lines

OURS = "portal_actions_plugin"
INDENT = "    "

Factory = Callable[..., logging.LogRecord]


class Lines(str):
    """A value of a message that has several lines, such as a traceback: they are kept, and indented."""

    __slots__ = ()


def shown(value: object) -> object:
    """A value of a message, such that it breaks no line: itself, or the text that it shows when that would.

    Raises:
        Exception: whatever the value's own ``__str__`` raises.
    """
    if isinstance(value, Lines):
        return indented(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return value if escaped(text) == text and escaped(repr(value)) == repr(value) else escaped(text)


def indented(traceback: str) -> str:
    """A traceback as it is written below a record: no line of it begins as a record does, whatever an error says."""
    return escaped_lines(traceback, INDENT)


def with_values(record: logging.LogRecord, show: Callable[[object], object], text: str | None = None) -> None:
    """Give a record values that may be passed on; where they come to another message than they should, the text alone.

    Args:
        record: it is changed.
        show: makes a value one that may be passed on.
        text: what the message has to be; None for what comes of the values.
    """
    template, values = record.msg, record.args
    if isinstance(template, str) and values:
        with suppress(Exception):  # whatever a value's own __str__ raises, and what does not fit its place
            args = _each(values, show)
            if text in (template % args, None):
                record.args = args
                return
    if text is None:
        text = escaped(record.getMessage())
    # A message without values is not formatted: its "%" are only that.
    record.msg, record.args = text, ()


def _each(
    values: tuple[object, ...] | Mapping[str, object], show: Callable[[object], object]
) -> tuple[object, ...] | Mapping[str, object]:
    if isinstance(values, Mapping):
        return {name: show(value) for name, value in values.items()}
    return tuple(map(show, values))


class _OfOurs:
    """A factory of records: those of this package have no value that breaks a line."""

    def __init__(self, before: Factory) -> None:
        self.before = before

    def __call__(self, *args: object, **kwargs: object) -> logging.LogRecord:
        record = self.before(*args, **kwargs)
        if f"{record.name}.".startswith(f"{OURS}."):
            try:
                with_values(record, shown)
            except Exception:  # noqa: BLE001 a call whose values do not fit is told by whoever formats it, as ever
                return record
            if record.exc_info and record.exc_info[0] is not None:
                record.exc_text = indented(logging.Formatter().formatException(record.exc_info))
        return record


def keep_ours_to_their_lines() -> None:
    """Let no value in a message of this package break its line, whoever formats it. Once is enough; more do no harm."""
    factory = logging.getLogRecordFactory()
    if not isinstance(factory, _OfOurs):
        logging.setLogRecordFactory(_OfOurs(factory))


def as_they_came(factory: Factory) -> Factory:
    """The factory below ours: whoever has to look for secrets in a message looks before anything of it is escaped."""
    return factory.before if isinstance(factory, _OfOurs) else factory
