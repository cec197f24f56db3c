"""Answers that take their time: asked for in the background, kept for a while, and waited for no longer than one likes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")

LOST_SECONDS = 120.0
"""After so long nobody waits for an answer any more: its thread is stuck, or was lost when the process forked."""

MOST_AT_ONCE = 16
"""Questions in the background at a time. What is beyond is not asked, and so not known."""


@dataclass(frozen=True, slots=True)
class Kept(Generic[T]):
    """An answer, and when it was asked for, on the process's monotonic clock."""

    answer: T
    asked_at: float

    def is_younger_than(self, seconds: float) -> bool:
        """Whether it was asked for within so many seconds."""
        return monotonic() - self.asked_at < seconds


@dataclass(slots=True)
class _Pending:
    began: float = field(default_factory=monotonic)
    over: threading.Event = field(default_factory=threading.Event)


class Answers(Generic[T]):
    """Keeps the latest answer to each question. One thread at a time asks each; it keeps no process from its end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[Hashable, Kept[T]] = {}
        self._pending: dict[Hashable, _Pending] = {}

    def latest(self, key: Hashable) -> Kept[T] | None:
        """The latest answer, however old; None before the first one."""
        return self._kept.get(key)

    def ask(
        self, key: Hashable, question: Callable[[], T], *, seconds: float, is_good: Callable[[Kept[T]], bool]
    ) -> Kept[T] | None:
        """An answer that is good enough: the one that is kept, or a new one when that comes in time.

        Args:
            key: names the question.
            question: finds the answer, in a thread of its own; it raises nothing.
            seconds: how long it may take, counted from when somebody asked first: who comes later waits no longer.
            is_good: whether a kept answer will do.

        Returns:
            None when no answer came in time. It is kept when it comes later.
        """
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and is_good(kept):
                return kept
            pending = self._pending_for(key, question)
        if pending is None:
            return None
        pending.over.wait(max(pending.began + seconds - monotonic(), 0.0))
        kept = self._kept.get(key)
        return kept if kept is not None and kept.asked_at >= pending.began else None

    def _pending_for(self, key: Hashable, question: Callable[[], T]) -> _Pending | None:
        """The question on its way; the caller holds the lock."""
        for lost in [one for one, of in self._pending.items() if monotonic() - of.began > LOST_SECONDS]:
            del self._pending[lost]
        if key not in self._pending:
            if len(self._pending) >= MOST_AT_ONCE:
                return None
            pending = self._pending[key] = _Pending()
            asking = threading.Thread(
                target=self._find, args=(key, question, pending), name=f"portal-actions-ask-{key}", daemon=True
            )
            asking.start()
        return self._pending[key]

    def _find(self, key: Hashable, question: Callable[[], T], pending: _Pending) -> None:
        try:
            answer = question()
            with self._lock:
                self._kept[key] = Kept(answer, pending.began)
        finally:
            with self._lock:
                if self._pending.get(key) is pending:
                    del self._pending[key]
            pending.over.set()
