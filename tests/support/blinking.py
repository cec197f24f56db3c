"""A database that is away for a moment, as it is after a restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError


def blinking(monkeypatch: pytest.MonkeyPatch, where: Any, times: int = 2) -> Callable[[], int]:
    """Let the database be away for the next reads and writes of a module, as it is after a restart."""
    left = [times]

    def away_before(real: Callable[..., Any]) -> Callable[..., Any]:
        def connect(*name: str) -> Any:
            if left[0]:
                left[0] -= 1
                raise OperationalError("BEGIN", {}, Exception("the server closed the connection"))
            return real(*name)

        return connect

    for way in ("transaction", "single_write", "reading", "single_read"):
        if hasattr(where, way):
            monkeypatch.setattr(where, way, away_before(getattr(where, way)))
    return lambda: left[0]
