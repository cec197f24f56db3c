"""The files that a template's steps name, kept at the start of its runs: none of them needs the checkout again.

They are stored once for all runs that were started with the same files, whatever else of the template has changed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from portal_actions_plugin.errors import ActionError, ConflictError, InternalError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.workspaces.stores.opening import store
from portal_actions_plugin.runs.workspaces.stores.store import TEMPLATES, Shelf
from portal_actions_plugin.software_templates.skeletons import files as skeleton
from portal_actions_plugin.storage import away, tables
from portal_actions_plugin.storage.sessions import single_read, single_write
from portal_actions_plugin.storage.sql import right_now

if TYPE_CHECKING:
    from portal_actions_plugin.host import SkeletonFile
    from portal_actions_plugin.software_templates.spec import Template

log = logging.getLogger(__name__)

NOTED_SECONDS = 3600.0
"""So long a process believes that files are kept, and need not be noted as used again."""

_KEPT = "template_files"
_LENGTH_BYTES = 8
_row = tables.template_files.c


def key_of(template: Template) -> str:
    """What the files of a template are kept by: the same for as long as each of them is."""
    named = json.dumps([template.name, sorted(template.skeleton_files.items())])
    return hashlib.sha256(named.encode()).hexdigest()


def keep(template: Template) -> None:
    """Have the files of a template kept before a run of it is started; one without any costs nothing.

    A store that is away does not keep anybody from starting: the steps look for the files in the checkout then.

    Raises:
        ConflictError: a file is not what it was when the template was loaded.
    """
    if not template.skeleton_files or template.folder is None:
        return
    key = key_of(template)
    noted: dict[str, float] = extension().kept.setdefault(_KEPT, {})  # as many as there are versions in an hour
    if time.monotonic() - noted.get(key, -NOTED_SECONDS) < NOTED_SECONDS:
        return
    try:
        if not _note_use(key) or _is_lost(key):
            _store(template, key)
    except ConflictError:
        raise
    except ActionError as error:
        log.warning("the files of %s are not kept for its runs: %s", template.name, error.message)
        return
    except Exception as error:
        if not away.is_away(error):
            raise
        away.bear(error, log, "the files of a template are not kept for its runs")
        return
    noted[key] = time.monotonic()


def keep_on(template: Template, current: Template) -> None:
    """As ``keep``, for a run that goes on with a template as it was: its files may be nowhere but in the store by now.

    Args:
        template: as it was.
        current: as it is now. Where its files are the same, they may be in another folder.
    """
    try:
        keep(current if _has_same_files(template, current) else template)
    except ConflictError as error:
        log.info("%s", error.message)


def require_there(template: Template, current: Template) -> None:
    """Refuse to go on with a template as it was whose files are neither beside it any more nor kept.

    Args:
        template: as it was.
        current: as it is now.

    Raises:
        ConflictError: they are gone.
        RemoteError: a store that is near does not answer.
    """
    if not template.skeleton_files or template.folder is None or _has_same_files(template, current):
        return
    if not _is_kept(key_of(template)) and not _is_beside(template):
        raise ConflictError(
            f"The files that {template.name} had when this run began are gone: others are beside the template by now, "
            "and they are not kept any more.",
            hint="Retry instead: that takes the template as it is now.",
        )


def _has_same_files(template: Template, current: Template) -> bool:
    return current.folder is not None and dict(template.skeleton_files) == dict(current.skeleton_files)


def _is_kept(key: str) -> bool:
    with single_read() as db:
        row = db.row(select(_row.store).where(_row.key == key, _row.piece == 0))
    return row is not None and row["store"] == store().name and not _is_lost(key)


def _is_beside(template: Template) -> bool:
    """Whether the files are where they were: the commit that a template came from is there for a while after the next."""
    try:
        skeleton.read_all(template)
    except ConflictError:
        return False
    return True


def _is_lost(key: str) -> bool:
    """Whether files that are noted as kept are not there: a restored database speaks of what its store may not have."""
    return store().is_near and bool(store().lacks(Shelf(TEMPLATES, key), [key]))


def read_skeleton(template: Template, folder: str) -> tuple[SkeletonFile, ...]:
    """Read a folder of a template as it was when the run started: from the checkout while that is the same, else as kept.

    Args:
        template: as it was when the run started.
        folder: as the step's input names it, such as ``./skeleton``, or a file or folder in one that it names.

    Returns:
        The files sorted by their path below that folder; a file that is named itself, by its own name.

    Raises:
        ConfigurationError: the template came from no folder.
        ValidationError: the template's steps name no such folder.
        ConflictError: the files are not what they were, and were not kept.
        RemoteError: the store does not answer.
    """
    try:
        return skeleton.read_skeleton(template, folder)
    except ConflictError:
        kept = _read(template)
        if kept is None:
            raise
    return skeleton.files_in(skeleton.path_of(template, folder), kept)


def _note_use(key: str) -> bool:
    """Say that a run is started with these files; False when they are not kept here."""
    with single_write("template_files_used") as tx:
        return bool(
            tx.changed(
                update(tables.template_files)
                .where(_row.key == key, _row.piece == 0, _row.store == store().name)
                .values(used_at=right_now())
            )
        )


def _store(template: Template, key: str) -> None:
    files = skeleton.read_all(template)
    # The row comes first, and names no store yet: contents without a row belong to nobody, and are deleted.
    with suppress(IntegrityError), single_write("template_files_row") as tx:
        values = {"key": key, "piece": 0, "template": template.name}
        tx.execute(insert(tables.template_files).values(used_at=right_now(), **values))
    store().put(Shelf(TEMPLATES, key), [(key, _packed(files))])
    with single_write("template_files_kept") as tx:
        kept = update(tables.template_files).where(_row.key == key, _row.piece == 0)
        tx.execute(kept.values(used_at=right_now(), store=store().name))


def _read(template: Template) -> dict[str, tuple[bytes, bool]] | None:
    """The kept files by path, each with whether it can be executed; None when they are not kept."""
    key = key_of(template)
    with single_read() as db:
        row = db.row(select(_row.store).where(_row.key == key, _row.piece == 0))
    if row is None or row["store"] != store().name:
        return None
    [(_, packed)] = store().get(Shelf(TEMPLATES, key), [key])
    files = _unpacked(packed)
    expected = dict(template.skeleton_files)
    if {path: skeleton.digest(content) for path, (content, _) in files.items()} != expected:
        raise InternalError(
            f"The kept files of {template.name} are not what they were.",
            hint="Somebody has changed them in their store. Start the template again.",
        )
    return files


def _packed(files: Mapping[str, tuple[bytes, bool]]) -> bytes:
    """Files as one content: the same bytes for the same files, whichever process writes them."""
    ordered = sorted(files.items())
    head = json.dumps([[path, len(content), executable] for path, (content, executable) in ordered]).encode()
    return b"".join([len(head).to_bytes(_LENGTH_BYTES), head, *(content for _, (content, _) in ordered)])


def _unpacked(packed: bytes) -> dict[str, tuple[bytes, bool]]:
    start = _LENGTH_BYTES + int.from_bytes(packed[:_LENGTH_BYTES])
    files = {}
    for path, size, executable in json.loads(packed[_LENGTH_BYTES:start]):
        files[path] = (packed[start : start + size], executable)
        start += size
    return files
