"""Which lines of its logs a run page shows, as its address says: all, warnings and errors, or errors alone."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Request

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.run_types import LogEnd


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Lines of at least a level; ``word`` is what the address says, None for all lines."""

    word: str | None
    title: str
    levels: tuple[str, ...] = ()
    one: str = ""
    several: str = ""

    @classmethod
    def of(cls, request: Request) -> LogFilter:
        """Read a request's address; raises ValidationError for a level that there is none of."""
        word = request.args.get("log") or None
        found = next((one for one in LOG_FILTERS if one.word == word), None)
        if found is None:
            raise ValidationError(
                f"There is no log filter {word}.", hint="log may be warning or error; leave it out to see all lines."
            )
        return found

    def counted(self, end: LogEnd) -> str:
        """How many lines there are: "2 log lines", "3 errors in 10,000 log lines"."""
        whole = f"{end.total:,} {'log line' if end.total == 1 else 'log lines'}"
        if not self.levels:
            return whole
        found = f"{end.matching:,}" if end.matching else "No"
        return f"{found} {self.one if end.matching == 1 else self.several} in {whole}"


LOG_FILTERS = (
    LogFilter(None, "All"),
    LogFilter("warning", "Warnings", ("warning", "error"), "warning or error", "warnings or errors"),
    LogFilter("error", "Errors", ("error",), "error", "errors"),
)
