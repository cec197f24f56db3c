"""What a service manager is told: that the supervisor is ready, that it turns, and that it stops.

systemd asks for that with ``NOTIFY_SOCKET``, to which sd_notify(3) sends datagrams. Others look at a file.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from pathlib import Path

log = logging.getLogger(__name__)

TOUCH_SECONDS = 1.0


class ServiceManager:
    """Tells whoever started this process; nobody, where nobody asked.

    The variables are taken out of the environment: what a handler starts must not speak for the supervisor.
    """

    def __init__(self, alive_file: Path | None = None) -> None:
        """Prepare.

        Args:
            alive_file: touched at least once a second while the supervisor's loop turns.
        """
        self._alive_file = alive_file
        self._touched_at = float("-inf")
        self._address = os.environ.pop("NOTIFY_SOCKET", "")
        asked = os.environ.pop("WATCHDOG_USEC", "")
        pid = os.environ.pop("WATCHDOG_PID", "")
        is_asked = asked.isdecimal() and pid in ("", str(os.getpid()))
        # Half of the time, as sd_watchdog_enabled(3) recommends.
        self._every = int(asked) / 2_000_000 if is_asked else None
        self._told_at = float("-inf")

    def ready(self) -> None:
        """Say that the workers have been started."""
        self._tell("READY=1")

    def turned(self, status: str) -> None:
        """Say that the supervisor's loop turns, as often as that is asked for, and how it is going.

        Args:
            status: one line for people.
        """
        now = time.monotonic()
        if self._alive_file and now - self._touched_at >= TOUCH_SECONDS:
            self._touched_at = now
            self._touch(self._alive_file)
        if self._every is not None and now - self._told_at >= self._every:
            self._told_at = now
            self._tell(f"WATCHDOG=1\nSTATUS={status}")

    def _touch(self, file: Path) -> None:
        try:
            file.touch()
        except OSError as error:
            log.warning("the alive file cannot be touched, so a probe takes this for dead: %s", error)

    def stopping(self) -> None:
        """Say that the supervisor was told to stop, and waits for its workers."""
        self._tell("STOPPING=1")

    def _tell(self, words: str) -> None:
        if not self._address:
            return
        # An abstract socket's name begins with a NUL, which the variable has as @.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as there:
                there.settimeout(0)
                there.sendto(words.encode(), address)
        except OSError as error:
            log.warning("the service manager cannot be told %r: %s", words, error)
