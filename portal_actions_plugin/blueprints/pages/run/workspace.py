"""``/templates/runs/<id>/workspace``: the files that a run's steps share, by their names, and each as a download."""

from __future__ import annotations

from flask import Response, request

from portal_actions_plugin.blueprints.downloads import as_download
from portal_actions_plugin.blueprints.pages.page_answer import page
from portal_actions_plugin.runs.guards.identity import current_identity
from portal_actions_plugin.runs.reading import permitted as permitted_runs
from portal_actions_plugin.runs.reading.workspaces import permitted
from portal_actions_plugin.storage.sessions import in_one_state

FILES = 500
"""Rows of a page."""

_UNITS = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


@in_one_state
def workspace(run_id: str) -> Response:
    """Show the files of a run's workspace."""
    identity = current_identity()
    run = permitted_runs.template_run(identity, run_id)
    after = request.args.get("after", 0, type=int)
    found = permitted.listing(identity, run_id, after=max(0, after), limit=FILES)
    rows = [(file, amount(file.size)) for file in found.files]
    facts = {"run": run, "workspace": found, "rows": rows, "size": amount(found.size), "after": after}
    return page("workspace.html", facts)


def workspace_file(run_id: str) -> Response:
    """Give a file of a run's workspace as a download."""
    file = permitted.file(current_identity(), run_id, request.args.get("path", ""))
    return as_download(file.name, file.content, is_masked=file.is_masked)


def amount(size: int) -> str:
    """Bytes as people compare them: ``812 bytes``, ``3.4 kB``, ``48 MB``."""
    for unit, name in _UNITS:
        if size >= unit:
            return f"{size / unit:.{0 if size >= 10 * unit else 1}f} {name}"
    return f"{size} byte{'' if size == 1 else 's'}"
