"""Contents in the portal's own PostgreSQL, in pieces: nothing else has to be set up for workspaces then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from portal_actions_plugin.runs.workspaces.stores.store import RUNS, Shelf, missing
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

_blob = tables.workspace_blobs.c
_PUT = CompiledOnce(insert(tables.workspace_blobs).on_conflict_do_nothing())


class PostgresStore:
    """Keeps the contents of runs in ``workspace_blobs``, whose rows go with their runs."""

    name = "database"

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
                    _send(batch)
                    batch, size = [], 0
        _send(batch)

    def get(self, shelf: Shelf, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        sizes = self._sizes(shelf, names)
        for name in names:
            if name not in sizes:
                raise missing(shelf, name)
        for some in _batches(sizes):
            with single_read() as db:
                rows = db.tuples(
                    select(_blob.sha256, _blob.content)
                    .where(_blob.template_run_id == shelf.owner, _blob.sha256.in_(some))
                    .order_by(_blob.sha256, _blob.piece)
                )
            for name, pieces in groupby(rows, key=itemgetter(0)):
                yield name, b"".join(bytes(piece[1]) for piece in pieces)

    def delete(self, shelf: Shelf, names: Sequence[str]) -> None:
        for start in range(0, len(names), ROWS):
            self._delete(shelf, names[start : start + ROWS])

    def clear(self, shelf: Shelf) -> None:
        # In parts: a row lock on each of many pieces, and their dead versions, are not to come all at once.
        for some in _batches(self._sizes(shelf, None)):
            self._delete(shelf, some)

    def _delete(self, shelf: Shelf, names: Sequence[str]) -> None:
        with single_write("workspace_delete") as tx:
            tx.execute(
                delete(tables.workspace_blobs).where(_blob.template_run_id == shelf.owner, _blob.sha256.in_(names))
            )

    def sizes(self, shelf: Shelf) -> Mapping[str, int]:
        return self._sizes(shelf, None)

    def _sizes(self, shelf: Shelf, names: Sequence[str] | None) -> dict[str, int]:
        which = [] if names is None else [_blob.sha256.in_(names)]
        with single_read() as db:
            rows = db.tuples(
                select(_blob.sha256, func.sum(func.octet_length(_blob.content)))
                .where(_blob.template_run_id == shelf.owner, *which)
                .group_by(_blob.sha256)
            )
        return {name: int(size) for name, size in rows}

    def owners(self, kind: str) -> Iterator[str]:
        if kind != RUNS:
            return
        with single_read() as db:
            rows = db.tuples(select(_blob.template_run_id).distinct())
        yield from (str(run) for (run,) in rows)


def _pieces(shelf: Shelf, name: str, content: bytes) -> Iterator[dict[str, Any]]:
    for piece, start in enumerate(range(0, max(len(content), 1), PIECE)):
        part = content[start : start + PIECE]
        yield {"template_run_id": shelf.owner, "sha256": name, "piece": piece, "content": part}


def _send(batch: Sequence[dict[str, Any]]) -> None:
    if batch:
        with transaction("workspace_put") as tx:
            tx.add(_PUT, batch)
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
