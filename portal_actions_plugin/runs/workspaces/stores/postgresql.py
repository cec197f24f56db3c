"""Contents in the portal's own PostgreSQL, in pieces: nothing else has to be set up for workspaces then."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Column, Table, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from portal_actions_plugin.runs.workspaces.stores.store import RUNS, TEMPLATES, Shelf, missing
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.pause_points import reached
from portal_actions_plugin.storage.sessions import single_read, single_write, transaction
from portal_actions_plugin.storage.statements import CompiledOnce

PIECE = 1_000_000
"""Bytes of a row at most."""

BATCH = 4_000_000
"""Bytes that are sent, or asked for, in one go."""

ROWS = 500
"""Rows of a batch at most, whatever they hold."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """The table that has the contents of one kind of shelf.

    Attributes:
        owner: the column of a shelf's owner.
        name: that of a content's name; the owner's, where a shelf has one content, of that name.
        first: the number of a content's first piece.
    """

    table: Table[Any]
    owner: Column[str]
    name: Column[str]
    piece: Column[int]
    content: Column[Any]
    first: int
    put: CompiledOnce


def _kinds() -> dict[str, _Kind]:
    blobs, files = tables.workspace_blobs, tables.template_files
    return {
        RUNS: _Kind(
            *(blobs, blobs.c.template_run_id, blobs.c.sha256, blobs.c.piece, blobs.c.content, 0),
            put=CompiledOnce(insert(blobs).on_conflict_do_nothing()),
        ),
        TEMPLATES: _Kind(
            *(files, files.c.key, files.c.key, files.c.piece, files.c.content, 1),
            put=CompiledOnce(insert(files).on_conflict_do_nothing()),
        ),
    }


_KINDS = _kinds()


class PostgresStore:
    """Keeps the contents of runs in ``workspace_blobs``, whose rows go with their runs, and files of templates beside."""

    name = "database"
    is_near = True

    def describe(self) -> str:
        return "the portal's database"

    def put(self, shelf: Shelf, contents: Iterable[tuple[str, bytes]]) -> None:
        batch: list[dict[str, Any]] = []
        size = 0
        for name, content in contents:
            for row in _pieces(shelf, name, content):
                batch.append(row)
                size += len(row["content"])
                if size >= BATCH or len(batch) == ROWS:
                    _send(shelf, batch)
                    batch, size = [], 0
        _send(shelf, batch)

    def get(self, shelf: Shelf, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        kind = _KINDS[shelf.kind]
        sizes = _sizes(shelf, names)
        for name in names:
            if name not in sizes:
                raise missing(self.describe(), shelf, name)
        for some in _batches(sizes):
            with single_read() as db:
                rows = db.tuples(
                    select(kind.name, kind.content)
                    .where(kind.owner == shelf.owner, kind.name.in_(some), kind.piece >= kind.first)
                    .order_by(kind.name, kind.piece)
                )
            for name, pieces in groupby(rows, key=itemgetter(0)):
                yield name, b"".join(bytes(piece[1]) for piece in pieces)

    def lacks(self, shelf: Shelf, names: Collection[str]) -> set[str]:
        kind = _KINDS[shelf.kind]
        with single_read() as db:
            there = db.tuples(select(kind.name).where(kind.owner == shelf.owner, kind.piece == kind.first))
        return set(names) - {name for (name,) in there}

    def delete(self, shelf: Shelf, names: Sequence[str]) -> None:
        for start in range(0, len(names), ROWS):
            _delete(shelf, names[start : start + ROWS])

    def clear(self, shelf: Shelf) -> None:
        # In parts: a row lock on each of many pieces, and their dead versions, are not to come all at once.
        for some in _batches(_sizes(shelf, None)):
            _delete(shelf, some)

    def sizes(self, shelf: Shelf) -> Mapping[str, int]:
        return _sizes(shelf, None)

    def owners(self, kind: str) -> Iterator[str]:
        found = _KINDS[kind]
        with single_read() as db:
            rows = db.tuples(select(found.owner).where(found.piece == found.first).distinct())
        yield from (str(owner) for (owner,) in rows)


def _delete(shelf: Shelf, names: Sequence[str]) -> None:
    kind = _KINDS[shelf.kind]
    with single_write("workspace_delete") as tx:
        tx.execute(delete(kind.table).where(kind.owner == shelf.owner, kind.name.in_(names), kind.piece >= kind.first))


def _sizes(shelf: Shelf, names: Sequence[str] | None) -> dict[str, int]:
    kind = _KINDS[shelf.kind]
    which = [] if names is None else [kind.name.in_(names)]
    with single_read() as db:
        rows = db.tuples(
            select(kind.name, func.sum(func.octet_length(kind.content)))
            .where(kind.owner == shelf.owner, kind.piece >= kind.first, *which)
            .group_by(kind.name)
        )
    return {name: int(size) for name, size in rows}


def _pieces(shelf: Shelf, name: str, content: bytes) -> Iterator[dict[str, Any]]:
    kind = _KINDS[shelf.kind]
    key = {"template_run_id": shelf.owner, "sha256": name} if shelf.kind == RUNS else {"key": shelf.owner}
    for piece, start in enumerate(range(0, max(len(content), 1), PIECE), kind.first):
        yield {**key, "piece": piece, "content": content[start : start + PIECE]}


def _send(shelf: Shelf, batch: Sequence[dict[str, Any]]) -> None:
    if batch:
        with transaction("workspace_put") as tx:
            tx.add(_KINDS[shelf.kind].put, batch)
        reached("workspace.put")


def _batches(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    batch: list[str] = []
    total = 0
    for name, size in sizes.items():
        if batch and (total + size > BATCH or len(batch) == ROWS):
            yield batch
            batch, total = [], 0
        batch.append(name)
        total += size
    if batch:
        yield batch
