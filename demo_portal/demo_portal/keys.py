"""Secrets that are made once and kept in the data folder, readable for its owner only."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def kept(file: Path, make: Callable[[], str]) -> str:
    """Read a secret, or make it. Several processes may ask at once: all get the same one."""
    if not file.exists():
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as out:
            out.write(make())
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(temporary, file)  # unlike a rename, a link never replaces what another process was faster with
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    return file.read_text()
