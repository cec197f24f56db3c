"""How this process calls the host's receivers, and remembers that it did."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from blinker import NamedSignal
from flask import Flask, current_app

from portal_actions_plugin.answers import name_of, settled
from portal_actions_plugin.extension import extension
from portal_actions_plugin.run_types import ActionRun, TemplateRun
from portal_actions_plugin.runs.news import announced
from portal_actions_plugin.storage.pause_points import reached
from portal_actions_plugin.storage.sessions import Transaction, transaction

log = logging.getLogger(__name__)

MOST_HANGING = 4
"""So many calls of one receiver may hang in a process. After that it is not called there: each of them holds a thread."""

_KEPT = "delivery"


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A receiver that is to be called with a run."""

    app: Flask
    signal: NamedSignal
    receiver: Callable[..., object]
    run: ActionRun | TemplateRun

    def __str__(self) -> str:
        return f"the receiver {self.name} of {signal_name(self.signal)} for run {self.run.id}"

    @property
    def name(self) -> str:
        """Where somebody finds the receiver."""
        return name_of(self.receiver)

    @property
    def seconds(self) -> float:
        """How long it may take."""
        return extension().config.receiver_seconds

    @property
    def change(self) -> str:
        """The run as ``announced`` names it."""
        return announced.change(announced.kind_of(self.signal), self.run.id)

    def make(self) -> None:
        """Call it, and log what it raises: that harms nobody, and nobody hears less for it."""
        try:
            settled(self.receiver(self.app, run=self.run))
        except (Exception, SystemExit):
            log.exception("%s failed", self)


class Delivery:
    """Calls each receiver in a thread of its own and waits for it, but not for longer than it may take.

    So it is where requests are answered, whose threads are the server's. A worker's processes have other ways.
    """

    def __init__(self) -> None:
        self._overdue: set[Call] = set()
        self._lock = threading.Lock()
        self._left_out: set[str] = set()

    def send(self, signal: NamedSignal, run: ActionRun | TemplateRun) -> None:
        """Call each receiver of a signal: one that raises, or takes too long, is logged and harms nobody."""
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 Flask's documented way to the sender
        reached(f"signal.{signal.name}.before")
        for receiver in signal.receivers_for(app):
            self.call(Call(app, signal, receiver, run))
        reached(f"signal.{signal.name}.after")

    def keep(self, changes: Sequence[str]) -> None:
        """Remember in their rows that the signals of these ends went out."""
        told = [change for change in changes if change not in self._left_out]
        self._left_out.difference_update(changes)
        if told:
            with transaction("announced") as tx:
                announced.write(tx, told)

    def take_along(self, tx: Transaction) -> None:
        """Write, in a transaction that there is anyway, what was kept so far: nothing, where each is written at once."""

    def call(self, call: Call) -> None:
        """Call a receiver, and come back in its time."""
        if sum(one.name == call.name for one in list(self._overdue)) >= MOST_HANGING:
            log.error("%s is not called: %d calls of it have not come to an end in this process", call, MOST_HANGING)
            if call.signal in announced.FINISHED:
                self._left_out.add(call.change)
            return
        done = threading.Event()
        make = partial(contextvars.copy_context().run, self._make, call, done)
        threading.Thread(target=make, name=f"portal-actions-{call.signal.name}", daemon=True).start()
        if done.wait(call.seconds):
            return
        with self._lock:
            if not done.is_set():
                self._overdue.add(call)
        log.error("%s takes longer than its %g s: nobody waits for it", call, call.seconds)

    def _make(self, call: Call, done: threading.Event) -> None:
        try:
            call.make()
        finally:
            with self._lock:
                done.set()
                self._overdue.discard(call)


def signal_name(signal: NamedSignal) -> str:
    """A signal as hosts import it."""
    return signal.name.removeprefix("portal-actions.").replace("-", "_")


def delivery() -> Delivery:
    """How the current app's signals are delivered in this process."""
    kept = extension().kept
    found: Delivery = kept.get(_KEPT) or kept.setdefault(_KEPT, Delivery())
    return found


def deliver_by(way: Delivery) -> None:
    """Let the current app's signals be delivered this way from here on, in this process and in those that it forks."""
    extension().kept[_KEPT] = way
