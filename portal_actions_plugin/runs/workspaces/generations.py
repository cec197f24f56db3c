"""The rows of workspaces: what a run's folder held after its last step that changed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, bindparam, delete, insert, literal, select

from portal_actions_plugin.errors import ConflictError
from portal_actions_plugin.run_types import KeptWorkspace
from portal_actions_plugin.runs.workspaces.box import Box
from portal_actions_plugin.runs.workspaces.manifest import Manifest
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Row, Transaction
from portal_actions_plugin.storage.sql import Id, right_now
from portal_actions_plugin.storage.statements import CompiledOnce

_row = tables.workspaces.c
_RUN = bindparam("run", type_=Id())
_newest_first = (
    select(
        *(_row.generation, _row.position, _row.store, _row.manifest, _row.sealed_manifest, _row.sealed_key),
        *(_row.files, _row.size, _row.made_at, _row.emptied_at),
    )
    .where(_row.template_run_id == _RUN)
    .order_by(_row.generation.desc())
    .limit(1)
)
_NEWEST = CompiledOnce(_newest_first)
_HANDED_OVER = CompiledOnce(
    _newest_first.where(_row.emptied_at.is_(None), _row.position <= bindparam("until", type_=Integer()))
)


@dataclass(frozen=True, slots=True)
class Generation:
    """What a run's folder held after a step.

    Attributes:
        run_id: the template run.
        number: counted from 1; 0 before any step has changed it.
        store: the kind of store that has its contents.
        box: how they are named and written.
        manifest: what it held.
        made_at: when the step ended; None before any has changed it.
        emptied_at: when its contents were deleted; its manifest is gone as well then.
        files: how many files it held; ``size`` their bytes.
    """

    run_id: str
    number: int = 0
    store: str = ""
    box: Box = Box()  # noqa: RUF009 it is frozen
    manifest: Manifest = field(default_factory=Manifest)
    made_at: datetime | None = None
    emptied_at: datetime | None = None
    files: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class NewGeneration:
    """What a step has made of the folder: the row to be written with its success. Its contents are kept by then.

    Attributes:
        values: the row's columns.
        replaced: contents of this run that nothing needs once the row is written.
        failed_at: the place of the step that has failed, when this one cleans up after it: a resume goes on with what the
            folder held before, which stays beside this.
        is_newly_sealed: whether it is the first one to be sealed: what was written before it has other names, which nobody
            writes to again.
    """

    values: Mapping[str, Any]
    replaced: tuple[str, ...]
    failed_at: int | None = None
    is_newly_sealed: bool = False


def newest(db: Transaction, run_id: str, keys: tuple[str, ...]) -> Generation:
    """What a run's folder held last.

    Args:
        db: where to read.
        run_id: the template run.
        keys: the portal's, to open what is sealed.

    Raises:
        ConfigurationError: no key opens it any more.
    """
    row = db.row(_NEWEST, {"run": run_id})
    return Generation(run_id) if row is None else _of_row(run_id, row, keys)


def summary(db: Transaction, run_id: str) -> KeptWorkspace | None:
    """How much a run's folder held last; None when no step has changed it."""
    about = select(_row.files, _row.size, _row.made_at, _row.emptied_at).where(_row.template_run_id == run_id)
    row = db.row(about.order_by(_row.generation.desc()).limit(1))
    if row is None:
        return None
    return KeptWorkspace(run_id, (), row["files"], row["size"], row["made_at"], row["emptied_at"])


def needed_contents(db: Transaction, run_id: str, keys: tuple[str, ...]) -> set[str]:
    """The names of all contents that a run's rows refer to.

    Raises:
        ConfigurationError: no key opens them any more.
    """
    rows = db.rows(select(tables.workspaces).where(_row.template_run_id == run_id))
    return {name for row in rows for name in _of_row(run_id, row, keys).manifest.contents()}


def _of_row(run_id: str, row: Row, keys: tuple[str, ...]) -> Generation:
    about = {name: row[name] for name in ("made_at", "emptied_at", "files", "size")}
    if row["emptied_at"] is not None:
        return Generation(run_id, row["generation"], row["store"], **about)
    box = Box.opened(row["sealed_key"], keys)
    manifest = Manifest.from_json(box.open_manifest(row["manifest"], row["sealed_manifest"]))
    return Generation(run_id, row["generation"], row["store"], box, manifest, **about)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in its template a step is.

    Attributes:
        position: its index.
        failed_at: the index of the step that has failed, when this one cleans up after it.
    """

    position: int
    failed_at: int | None = None


def following(before: Generation, place: Place, store: str, box: Box, manifest: Manifest) -> NewGeneration:
    """The row of what a step has made of the folder.

    Args:
        before: what the step was given.
        place: where the step is.
        store: the kind of store that has the contents.
        box: how they are written.
        manifest: what the folder holds.
    """
    written = manifest.as_json()
    sealed = box.seal_manifest(written)
    kept = manifest.contents()
    mine = {name for name, owner in before.manifest.contents().items() if owner == before.run_id}
    values = {
        "template_run_id": before.run_id,
        "generation": before.number + 1,
        "position": place.position,
        "store": store,
        "manifest": written if sealed is None else None,
        "sealed_manifest": sealed,
        "sealed_key": box.sealed_key,
        "files": manifest.count,
        "size": manifest.size,
    }
    replaced = sorted(mine - kept.keys()) if place.failed_at is None else ()
    is_newly_sealed = box.is_sealed and not before.box.is_sealed
    return NewGeneration(values, tuple(replaced), place.failed_at, is_newly_sealed)


def add(tx: Transaction, new: NewGeneration) -> None:
    """Write what a step has made of the folder, in the transaction of its success; what it replaces goes."""
    run_id, number = new.values["template_run_id"], new.values["generation"]
    tx.execute(insert(tables.workspaces).values(made_at=right_now(), **new.values))
    before = delete(tables.workspaces).where(_row.template_run_id == run_id, _row.generation < number)
    tx.execute(before if new.failed_at is None else before.where(_row.position > new.failed_at))


def handed_over(db: Transaction, run_id: str, position: int, keys: tuple[str, ...]) -> Generation | None:
    """What ``hand_over`` gives a run that resumes this one; None when no step before has changed the folder.

    Args:
        db: where to read.
        run_id: the run that would be resumed.
        position: of the step that the new run would begin at.
        keys: the portal's, to open what is sealed.

    Raises:
        ConfigurationError: no key opens it any more.
    """
    row = db.row(_HANDED_OVER, {"run": run_id, "until": position})
    return None if row is None else _of_row(run_id, row, keys)


def hand_over(tx: Transaction, source_id: str, run_id: str, position: int) -> None:
    """Give a resumed run the folder of the run that it resumes: the row is copied, and its contents stay where they are.

    Args:
        tx: the transaction of the start.
        source_id: the run that it resumes.
        run_id: the new run.
        position: of the step that it begins at. What steps after that have changed there was to clean up.
    """
    copied = (_row.position, _row.store, _row.manifest, _row.sealed_manifest, _row.sealed_key, _row.files, _row.size)
    newest_of_source = (
        select(literal(run_id, Id()), literal(1), *copied, right_now())
        .where(_row.template_run_id == source_id, _row.emptied_at.is_(None), _row.position <= position)
        .order_by(_row.generation.desc())
        .limit(1)
    )
    names = ["template_run_id", "generation", *(column.name for column in copied), "made_at"]
    tx.execute(insert(tables.workspaces).from_select(names, newest_of_source))


def is_gone(run_id: ColumnElement[str] | str) -> ColumnElement[bool]:
    """Whether a run had a folder, and its contents are deleted."""
    return select(_row.generation).where(_row.template_run_id == run_id, _row.emptied_at.is_not(None)).exists()


def require_kept(db: Transaction, run_id: str) -> None:
    """Refuse to go on with a folder that is gone; raises ConflictError."""
    if db.row(select(literal(1).label("gone")).where(is_gone(run_id))) is not None:
        raise workspace_is_gone()


def workspace_is_gone() -> ConflictError:
    """The error for a run that cannot go on: the contents of its folder are deleted."""
    return ConflictError(
        "The workspace of this run is gone: it was kept for a while after the run had ended, and is deleted by now.",
        hint="Retry the run instead: it begins with an empty workspace.",
    )
