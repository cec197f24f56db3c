"""Work that a loop must not wait for: done by a process that is forked for it, and ends with its parent."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable

from portal_actions_plugin.runner.liveness.watchdog import Watchdog
from portal_actions_plugin.runner.process.connections import Connections
from portal_actions_plugin.runner.process.forking import die_with_parent, reset_after_fork, signals_held

log = logging.getLogger(__name__)


def fork_aside(work: Callable[[], None], what: str, connections: Connections, watchdog: Watchdog) -> int:
    """Fork a process that does some work and ends.

    Args:
        work: is called there, without any connection of this process. What it raises is logged.
        what: names the process, such as ``a process that tells of runs``.
        connections: of this process to databases; none of them may be open.
        watchdog: of this process, which has no thread while it forks.

    Returns:
        The process's id, for ``is_buried``.

    Raises:
        OSError: it cannot be forked.
    """
    parent = os.getpid()
    with watchdog.away(), signals_held():
        pid = os.fork()
        if pid == 0:
            try:
                watchdog.forget()
                die_with_parent(parent, signal.SIGKILL)
                reset_after_fork()
                connections.forget()
                work()
            except BaseException:
                log.exception("%s failed", what)
            finally:
                logging.shutdown()
                os._exit(0)
    return pid


def is_buried(pid: int, options: int) -> bool:
    """Whether a process has ended and is gone; ``options`` are those of ``os.waitpid``."""
    try:
        return os.waitpid(pid, options)[0] != 0
    except ChildProcessError:
        return True
