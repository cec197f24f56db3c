"""What goes wrong in the processes of ``flask actions worker``, done to them by the portal that they load."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def deaf(folder: Path) -> None:
    """Let the first worker hear nothing, though its loop turns; whoever takes its place hears."""
    from portal_actions_plugin.runner.doorbells.listener import DoorbellListener

    hear, first = DoorbellListener.hear, folder / "deaf.pid"

    def hear_nothing(self: Any) -> str | None:
        try:
            with first.open("x") as out:
                out.write(str(os.getpid()))
        except FileExistsError:
            pass
        if first.read_text() != str(os.getpid()):
            return hear(self)
        time.sleep(0.2)
        return None

    DoorbellListener.hear = hear_nothing


def sweep_hangs(_folder: Path) -> None:
    """Let the supervisor's sweep never come back."""
    from portal_actions_plugin.runner import supervisor

    supervisor.sweep = lambda *_args: time.sleep(100_000)


def cannot_fork(_folder: Path) -> None:
    """Let a connection that nobody closes keep the supervisor from forking."""
    from portal_actions_plugin.runner.process.connections import Connections

    def refuse(_self: object) -> None:
        raise RuntimeError("1 database connections are open at a fork: a transaction is running.")

    Connections.close_all = refuse


def dies_young(_folder: Path) -> None:
    """Let every worker end as soon as it is forked."""
    from portal_actions_plugin.runner import supervisor

    def die(*_args: object) -> None:
        os._exit(3)

    supervisor.work = die


def hanging_receiver(folder: Path) -> None:
    """Let a receiver of the host's hang once, in a way that nothing interrupts; a file says what it and others heard."""
    from portal_actions_plugin import signals

    def hear(_app: object, run: Any, **_: object) -> None:
        through = (folder / "hung").exists()
        with (folder / "heard").open("a") as out:
            out.write(json.dumps({"run": run.id, "through": through}) + "\n")
        if not through:
            (folder / "hung").touch()
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
            while True:
                time.sleep(60)

    signals.action_run_finished.connect(hear, weak=False)
    signals.template_run_finished.connect(hear, weak=False)


HARMS: dict[str, Callable[[Path], None]] = {
    harm.__name__: harm for harm in (deaf, sweep_hangs, cannot_fork, dies_young, hanging_receiver)
}
