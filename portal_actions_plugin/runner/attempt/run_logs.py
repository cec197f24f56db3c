"""What a process says while it is at a run: masked, and marked with the run, whoever says it.

What a program that a handler starts writes to the process's own file descriptors goes past this.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO, cast

from portal_actions_plugin.control_characters import escaped
from portal_actions_plugin.log_records import Factory, as_they_came, indented, shown, with_values
from portal_actions_plugin.runner.attempt import bounds
from portal_actions_plugin.runs.secrets.redaction import Redactor

NOT_AT_A_RUN = "-"
WORKER_FORMAT = (
    "%(asctime)s %(levelname)s %(process)d run=%(run_id)s action=%(action)s attempt=%(attempt)s %(name)s: %(message)s"
)

_LONGEST_LINE = 65_536
"""Characters of an unfinished line that are kept waiting for its end: a value that is written in parts is one then."""

_LONGEST_RECORD = 65_536
"""Characters of a record's message, traceback or attribute that are passed on."""

_LONGEST_WRITTEN = 1_048_576
"""Characters of a line of standard output that are passed on."""

_NAMES = ("name", "threadName", "taskName", "processName")
"""Attributes of a record that anybody may name as they like, such as a thread after what it fetches."""


class _OneLineEach(logging.Formatter):
    """A format whose records begin on a line of their own, and nothing else does: nobody's text forges one."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 the standard library's own name
        # What has its lines indented has been looked at: see ``log_records.Lines``.
        lines = record.message.split("\n    ")
        record.message = "\n    ".join(map(escaped, lines))
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 likewise
        return indented(super().formatException(ei))


def worker_formatter() -> logging.Formatter:
    """The format of a worker whose host has set up no logging."""
    return _OneLineEach(WORKER_FORMAT, defaults=dict.fromkeys(("run_id", "action", "attempt"), NOT_AT_A_RUN))


@contextmanager
def speaking(redactor: Redactor, marks: Mapping[str, object]) -> Iterator[None]:
    """Mask every log record and all standard output of this process, and mark the records.

    Args:
        redactor: knows what to mask; what it learns meanwhile counts from then on.
        marks: attributes of every record, such as ``run_id``.
    """
    factory, streams = logging.getLogRecordFactory(), (sys.stdout, sys.stderr)
    marks = {name: escaped(mark) if isinstance(mark, str) else mark for name, mark in marks.items()}
    logging.setLogRecordFactory(_masking(as_they_came(factory), redactor, marks))
    # A process may have none of them.
    masked = [stream and _MaskedStream(stream, redactor) for stream in streams]
    sys.stdout, sys.stderr = cast("list[Any]", masked)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams
        logging.setLogRecordFactory(factory)
        for stream in filter(None, masked):
            stream.flush()


# -- records ---------------------------------------------------------------------------------------------------------


class _Attributes(dict[str, object]):
    """A record's attributes: those that a call brings along with ``extra`` come last, and are masked too.

    A call's own ``action`` or ``attempt`` wins over the run's. The standard library would refuse it as taken.
    """

    def __init__(self, attributes: Mapping[str, object], redactor: Redactor, marks: Mapping[str, object]) -> None:
        super().__init__({**attributes, **marks})
        self._redactor = redactor
        self._marks = marks

    def __contains__(self, name: object) -> bool:
        return name not in self._marks and super().__contains__(name)

    def __setitem__(self, name: str, value: object) -> None:
        super().__setitem__(name, _masked(value, self._redactor))

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)  # a copy of the record, for another process, is a plain one


def _masking(factory: Factory, redactor: Redactor, marks: Mapping[str, object]) -> Factory:
    formatter = logging.Formatter()

    def make(*args: object, **kwargs: object) -> logging.LogRecord:
        record = factory(*args, **kwargs)
        _mask_message(record, redactor)
        if record.exc_info:
            written = formatter.formatException(record.exc_info)
            record.exc_text = indented(_kept(written, redactor))
            # A handler that formats the exception itself, or looks into its frames, would find the values in it.
            if redactor.knows_a_value or record.exc_text != indented(written):
                record.exc_info = None
        if record.stack_info:
            record.stack_info = indented(_kept(record.stack_info, redactor))
        named = {
            name: _kept(value, redactor) for name in _NAMES if isinstance(value := getattr(record, name, None), str)
        }
        record.__dict__.update(named)
        record.__dict__ = _Attributes(record.__dict__, redactor, marks)
        return record

    return make


def _mask_message(record: logging.LogRecord, redactor: Redactor) -> None:
    said = _message(record)
    text = escaped(_kept(said, redactor))
    if record.msg is said:
        record.msg = text
    # The template may have been made of what a run knows, too.
    elif not isinstance(record.msg, str) or _kept(record.msg, redactor) != record.msg:
        record.msg, record.args = text, ()
    elif text != said or not _are_all_in(said, record.args):
        with_values(record, lambda value: shown(_masked(value, redactor)), text)


def _are_all_in(said: str, values: object) -> bool:
    """Whether each value is a text that a message shows as it is: looking through that was looking through it."""
    return isinstance(values, tuple) and all(type(value) is str and value in said for value in values)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 whatever a value's own __str__ raises: a wrong call is still a line
        return f"{_shown(record.msg)} (its arguments do not fit)"


def _shown(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 whatever its own __str__ raises
        return "a message that cannot be shown"


def _kept(text: str, redactor: Redactor, longest: int = _LONGEST_RECORD) -> str:
    return bounds.masked(text, longest, redactor)


def _masked(value: object, redactor: Redactor) -> object:
    """A value of any kind, as the text that it shows when that holds a secret."""
    if isinstance(value, Mapping):
        return {_kept(str(name), redactor): _masked(part, redactor) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(part, redactor) for part in value]
    if isinstance(value, str):
        return _kept(value, redactor)
    if value is None or isinstance(value, bool | int | float):
        return redactor.data(value)
    try:
        shown = (str(value), repr(value))
    except Exception:  # noqa: BLE001 a value that cannot be shown shows nothing
        return value
    masked = _kept(shown[0], redactor)
    return value if (masked, _kept(shown[1], redactor)) == shown else masked


# -- standard output -------------------------------------------------------------------------------------------------


class _MaskedStream:
    """Standard output or error: passes whole lines on, masked. What is not about writing is the stream's own."""

    def __init__(self, stream: TextIO, redactor: Redactor) -> None:
        self._stream = stream
        self._redactor = redactor
        self._waiting = ""
        self._writing = threading.RLock()
        self.buffer = _Bytes(self)

    def write(self, text: str) -> int:
        with self._writing:
            lines, end, self._waiting = (self._waiting + text).rpartition("\n")
            self._pass_on(lines + end)
            if len(self._waiting) > _LONGEST_LINE:
                self.flush()
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        with self._writing:
            waiting, self._waiting = self._waiting, ""
            self._pass_on(waiting)
            self._stream.flush()

    def _pass_on(self, text: str) -> None:
        if len(text) > _LONGEST_WRITTEN:
            text = "".join(self._bounded(text.splitlines(keepends=True)))
        if text:
            self._stream.write(self._redactor.text(text))

    def _bounded(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            said = line.removesuffix("\n")
            cut = len(line) > _LONGEST_WRITTEN
            yield _kept(said, self._redactor, _LONGEST_WRITTEN) + line[len(said) :] if cut else line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Bytes:
    """Standard output or error for who writes bytes: they are masked as the text that they are."""

    def __init__(self, masked: _MaskedStream) -> None:
        self._masked = masked

    def write(self, data: bytes | bytearray | memoryview) -> int:
        self._masked.write(bytes(data).decode(errors="replace"))
        return len(data)

    def flush(self) -> None:
        self._masked.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._masked, name)
