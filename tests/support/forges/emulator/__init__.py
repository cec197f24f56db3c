"""GitHub's emulator ``emulate`` behind ``prism``, which checks each request against GitHub's own OpenAPI description.

Neither is written by us: what our double and our client have misunderstood alike, these two refuse. The emulator has no
git transport and is in places less strict than GitHub; the double in ``github/`` is for that.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import urllib3
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.forges.emulator import node_programs

PATIENCE_SECONDS = 240
_LINE = re.compile(r"\[HTTP SERVER\] (?P<request>\w+ \S+) |Violation: (?P<part>request|response)(?P<what>.*)")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Violation:
    """Where a message is not as GitHub's description says.

    Attributes:
        request: its method and path without the query.
        part: whose fault it is: the client's request or the server's response.
        what: in prism's words.
    """

    request: str
    part: Literal["request", "response"]
    what: str

    def __str__(self) -> str:
        return f"{self.request}: {self.part}{self.what}"


@dataclass(frozen=True, slots=True)
class Proxy:
    """prism in front of a server.

    Attributes:
        url: what clients talk to.
        log: the file that it writes.
    """

    url: str
    log: Path

    def violations(self, part: Literal["request", "response"] = "request") -> list[Violation]:
        """What was wrong so far, in order; every request that is answered has been judged.

        The description is of the API: what somebody asks by git's own protocol is not in it, and is left out here.
        """
        found, request = [], ""
        for line in _COLOURS.sub("", self.log.read_text(errors="replace")).splitlines():
            if match := _LINE.search(line):
                request = match["request"] or request
                if match["part"] == part and ".git/info/refs" not in request:
                    found.append(Violation(request, part, match["what"]))
        return found


@contextmanager
def prism(upstream: str, folder: Path, *, port: int = 0) -> Iterator[Proxy]:
    """Let prism stand in front of a server; raises NotToBeHadError.

    Args:
        upstream: the server's URL.
        folder: where its log is written.
        port: where it listens; 0 for any.
    """
    node_programs.install()
    port = port or free_port()
    log = folder / "prism.log"
    command = [str(node_programs.PRISM), "proxy", str(node_programs.DESCRIPTION), upstream, "--port", str(port)]
    with _running(command, log) as process:
        _wait(process, log, lambda: "Prism is listening" in log.read_text(errors="replace"))
        yield Proxy(f"http://127.0.0.1:{port}", log)


@dataclass(frozen=True, slots=True)
class EmulatedGitHub:
    """The emulator behind prism, with the person ada, who is an administrator of the organisation acme, and bob.

    Attributes:
        url: where the API begins.
        token: ada's, which may do everything that our actions do.
        app_id: of an app that is installed in acme.
        private_key: the app's, as PEM.
        proxy: what has judged the requests.
    """

    url: str
    token: str
    app_id: int
    private_key: str
    proxy: Proxy


@contextmanager
def github(folder: Path) -> Iterator[EmulatedGitHub]:
    """Start the emulator, and prism in front of it; raises NotToBeHadError. Seed and logs are written to a folder."""
    node_programs.install()
    port, front, key = free_port(), free_port(), _private_key()
    seed_file, log = folder / "seed.json", folder / "emulate.log"
    seed_file.write_text(json.dumps(_seed(key)))
    command = [str(node_programs.EMULATE), "start", "--service", "github", "--port", str(port)]
    command += ["--base-url", f"http://127.0.0.1:{front}", "--seed", str(seed_file)]
    with _running(command, log) as process:
        _wait(process, log, lambda: _answers(f"http://127.0.0.1:{port}/meta"))
        with prism(f"http://127.0.0.1:{port}", folder, port=front) as proxy:
            yield EmulatedGitHub(proxy.url, _TOKEN, _APP, key, proxy)


_TOKEN, _APP = "ghp_emulated", 4711


def _seed(private_key: str) -> dict[str, Any]:
    permissions = dict.fromkeys(
        (
            "administration",
            "contents",
            "pull_requests",
            "repository_hooks",
            "workflows",
            "issues",
            "actions",
            "secrets",
        ),
        "write",
    )
    app = {
        "app_id": _APP,
        "slug": "portal",
        "name": "Portal",
        "private_key": private_key,
        "permissions": permissions,
        "installations": [{"installation_id": 100, "account": "acme", "repository_selection": "all"}],
    }
    return {
        "tokens": {
            _TOKEN: {"login": "ada", "scopes": ["repo", "workflow", "admin:repo_hook", "admin:org", "delete_repo"]}
        },
        "github": {
            "users": [{"login": "ada", "name": "Ada"}, {"login": "bob", "name": "Bob"}],
            "orgs": [{"login": "acme", "name": "Acme", "members": [{"login": "ada", "role": "admin"}]}],
            "apps": [app],
        },
    }


def _private_key() -> str:
    return (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        .private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        .decode()
    )


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def _running(arguments: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            [node_programs.node(), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], log: Path, ready: Any) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not ready():
        ended = process.poll() is not None
        assert not ended, f"{process.args} has ended:\n{log.read_text(errors='replace')[-2000:]}"
        assert time.monotonic() < deadline, f"{process.args} did not begin:\n{log.read_text(errors='replace')[-2000:]}"
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        return urllib3.request("GET", url, timeout=5, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False
