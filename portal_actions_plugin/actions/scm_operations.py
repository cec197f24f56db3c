"""What actions that commit ask of a forge, by as much of their input as is known before they run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from portal_actions_plugin.scm.base import Operation

WORKFLOWS = ".github/workflows/"
"""Where GitHub keeps what runs with its secrets: a credential needs one right more to write there."""


def of_file(data: Mapping[str, object]) -> frozenset[Operation]:
    """What a commit of the input's ``path`` asks for."""
    return commits_to(_texts([data]))


def of_files(data: Mapping[str, object]) -> frozenset[Operation]:
    """What a commit of the input's ``files`` asks for."""
    return commits_to(_paths(data))


def of_pull(data: Mapping[str, object]) -> frozenset[Operation]:
    """What a pull request asks for, with a commit of the input's ``files`` first where there are any."""
    commits = commits_to(_paths(data)) if data.get("files") else frozenset()
    return commits | {Operation.OPEN_PULL}


def commits_to(paths: Iterable[str]) -> frozenset[Operation]:
    """What a commit of these paths asks for."""
    if any(path.lower().startswith(WORKFLOWS) for path in paths):
        return frozenset({Operation.COMMIT, Operation.COMMIT_WORKFLOWS})
    return frozenset({Operation.COMMIT})


def _paths(data: Mapping[str, object]) -> Iterator[str]:
    files = data.get("files")
    return _texts(files) if isinstance(files, list) else iter(())


def _texts(files: list[object] | list[Mapping[str, object]]) -> Iterator[str]:
    for file in files:
        path = file.get("path") if isinstance(file, Mapping) else None
        if isinstance(path, str):
            yield path
