"""What must be right before anything is started: the data folder, the socket's path, the port."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from demo_portal.settings import Settings

LONGEST_SOCKET = 100
"""Bytes that a unix socket's path may have; the kernel's own limit is 107, and 103 on macOS."""


class CannotStartError(Exception):
    """The portal cannot start; the message says why, and what to do."""


@contextmanager
def taken(settings: Settings) -> Iterator[None]:
    """Make the data folder and keep other start programs out of it."""
    folder = settings.data_dir
    if len(os.fsencode(settings.redis_socket)) > LONGEST_SOCKET:
        raise CannotStartError(
            f"The path of the data folder is too long for a unix socket: {folder}. "
            f"Choose one of at most {LONGEST_SOCKET - len(settings.redis_socket.name) - 1} bytes with --data-dir."
        )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / "start.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CannotStartError(f"The data folder {folder} cannot be used: {error.strerror}.") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CannotStartError(
            f"A portal is running on {folder} already. Stop it, or choose another folder with --data-dir."
        ) from None
    else:
        yield
    finally:
        os.close(lock)


def check_port(port: int) -> None:
    """Raise CannotStartError unless 127.0.0.1 can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CannotStartError(
                    f"Port {port} of 127.0.0.1 is in use by another program. Choose another one with --port."
                ) from None
            raise CannotStartError(f"Port {port} of 127.0.0.1 cannot be used: {error.strerror}.") from None
