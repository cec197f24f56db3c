"""Alembic, without what it says at INFO that nobody has asked: which parts of it there are, and what a dialect is.

Whoever imports alembic here imports this first.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_UNASKED = {
    "alembic.runtime.plugins": ("setup plugin",),
    "alembic.runtime.migration": ("Context impl", "Will assume"),
}


def _is_asked_for(record: logging.LogRecord) -> bool:
    return record.levelno > logging.INFO or not str(record.msg).startswith(_UNASKED[record.name])


@contextmanager
def _without(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    logger.addFilter(_is_asked_for)
    try:
        yield
    finally:
        logger.removeFilter(_is_asked_for)


@contextmanager
def quiet() -> Iterator[None]:
    """Let alembic tell of the migrations that are made, and no more."""
    with ExitStack() as filters:
        for name in _UNASKED:
            filters.enter_context(_without(name))
        yield


with quiet():
    import alembic.command  # noqa: F401 what it says, it says now
