"""Git's smart HTTP protocol, spoken by ``git http-backend``: https://git-scm.com/docs/http-protocol

Who may read and push is decided by the double before; a push that its rules forbid is refused as a forge does it, within
the protocol: https://git-scm.com/docs/pack-protocol, section "Report Status".
"""

from __future__ import annotations

import gzip
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.forges.git_store import GitRepository, git_environment
from tests.support.forges.messages import Answer, Request

SERVICES = ("git-upload-pack", "git-receive-pack")


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """What a push wants of a ref: from one object to another, ``git_store.NO_COMMIT`` for nothing."""

    old: str
    new: str
    ref: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a push is refused.

    Attributes:
        reason: git shows it beside each ref, in brackets.
        message: lines that git shows after ``remote:``.
    """

    reason: str
    message: str = ""


def service_of(request: Request, rest: str) -> str | None:
    """Which service a request asks for.

    Args:
        request: it.
        rest: its path within the repository, without a slash at its begin.

    Returns:
        One of ``SERVICES``; None for the dumb protocol, which forges do not speak, and for what is no git at all.
    """
    name = request.parameter("service") if (request.method, rest) == ("GET", "info/refs") else ""
    if request.method == "POST":
        name = rest
    return name if name in SERVICES else None


def updates_of(request: Request) -> list[RefUpdate]:
    """What a ``POST git-receive-pack`` wants; nothing of git's probe before a large push."""
    return [RefUpdate(*command.split(b"\0")[0].decode().strip().split(" ", 2)) for command in _commands(_body(request))]


def answer(repository: GitRepository, request: Request, rest: str, user: str) -> Answer:
    """Let git answer.

    Args:
        repository: it.
        request: one that ``service_of`` knows.
        rest: its path within the repository.
        user: who asks; git lets anybody push who has a name.
    """
    headers = {
        "CONTENT_TYPE": request.headers.get("content-type", ""),
        "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
        "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
    }
    environment = {
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.query_text,
        "CONTENT_LENGTH": str(len(request.body)),
        "GIT_PROJECT_ROOT": str(repository.path.parent),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{repository.path.name}/{rest}",
        "REMOTE_USER": user,
        **{name: value for name, value in headers.items() if value},
    }
    done = subprocess.run(
        ["git", "http-backend"],
        input=request.body,
        capture_output=True,
        env=git_environment(repository.path.parent, environment),
        cwd=os.sep,
        check=False,
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    pairs = [(key, value.strip()) for key, _, value in (line.partition(":") for line in head.decode().splitlines())]
    status = next((int(value.split()[0]) for key, value in pairs if key == "Status"), 200)
    return Answer(status, body, tuple((key, value) for key, value in pairs if key != "Status"))


def refuse(request: Request, refusal: Refusal) -> Answer:
    """Refuse a push as a whole, after its objects were received: every ref is refused for the same reason."""
    body = _body(request)
    capabilities = next((command.partition(b"\0")[2].split() for command in _commands(body)), [])
    report = [b"unpack ok\n"]
    report += [f"ng {update.ref} {refusal.reason}\n".encode() for update in updates_of(request)]
    packed = b"".join(map(_packet, report)) + b"0000"
    if b"side-band-64k" in capabilities:
        lines = [_packet(b"\x02" + line.encode() + b"\n") for line in refusal.message.splitlines()]
        packed = b"".join(lines) + _packet(b"\x01" + packed) + b"0000"
    return Answer(200, packed, (("Content-Type", "application/x-git-receive-pack-result"),))


def _body(request: Request) -> bytes:
    return gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body


def _commands(body: bytes) -> Sequence[bytes]:
    found, at = [], 0
    while (size := int(body[at : at + 4] or b"0", 16)) > 0:
        if not body.startswith(b"shallow ", at + 4):
            found.append(body[at + 4 : at + size])
        at += size
    return found


def _packet(line: bytes) -> bytes:
    return b"%04x" % (len(line) + 4) + line
