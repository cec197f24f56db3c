"""A run's log as a file, read piece by piece: a long one never is in memory as a whole."""

from __future__ import annotations

import re
from collections.abc import Iterator

from flask import Response, stream_with_context

from portal_actions_plugin.blueprints.headers import protect_data
from portal_actions_plugin.blueprints.pages.words import PageText
from portal_actions_plugin.control_characters import escaped_lines
from portal_actions_plugin.run_types import ActionRun, LogLine
from portal_actions_plugin.runs.reading import permitted


def log_file(run: ActionRun) -> Response:
    """Answer with the log for download."""
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", run.step_id or run.action).strip("-.") or "run"
    response = Response(stream_with_context(_lines(run)), mimetype="text/plain")
    response.headers["Content-Disposition"] = f'attachment; filename="{name[:80]}-{run.id}.log.txt"'
    response.headers["Cache-Control"] = "private, no-cache"
    return protect_data(response)


def _lines(run: ActionRun) -> Iterator[str]:
    for lines in permitted.whole_log(run):
        yield "".join(map(_line, lines))


def _line(line: LogLine) -> str:
    # What a terminal would obey has no place in a file that people print there.
    message = escaped_lines(line.message.expandtabs(), indent="    ")
    return f"{PageText.iso(line.at)} attempt {line.attempt} {line.level}: {message}\n"
