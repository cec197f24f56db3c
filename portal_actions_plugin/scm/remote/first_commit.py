"""The first commit of an empty repository, pushed by git's own protocol: two requests, whatever the number of files."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dulwich.errors import SendPackError
from dulwich.objects import ObjectID
from dulwich.pack import UnpackedObject, pack_objects_to_data
from dulwich.refs import Ref

from portal_actions_plugin.errors import (
    ActionError,
    AuthError,
    ConflictError,
    NotFoundError,
    RemoteError,
    ValidationError,
)
from portal_actions_plugin.http_client.guard import parse_target
from portal_actions_plugin.http_client.messages import Request
from portal_actions_plugin.scm.git_answers import NO_GIT, GitOverRequests, Heard
from portal_actions_plugin.scm.git_objects import PathInTheWayError, orphan_commit
from portal_actions_plugin.scm.remote.answers import READS, ForgeAnswer, LostAnswerError
from portal_actions_plugin.scm.remote.lost_answers import write_once

if TYPE_CHECKING:
    from dulwich.objects import Blob, Commit, Tree

    from portal_actions_plugin.scm.base import Author, FileChange
    from portal_actions_plugin.scm.remote.client import ForgeClient
    from portal_actions_plugin.scm.remote.credentials import Credential

_BRANCHES = b"refs/heads/"
_HINT = (
    "What the forge refuses to a new repository, its owner may allow. With initWithReadme: true, or autoInit: true of "
    "github:repo:create, the repository begins with a commit of the forge's own, and this one takes the API's way."
)
_MOVED = re.compile(r"already exists|failed to (update|lock)|cannot lock|stale info|fetch first|non-fast-forward")
_SHOWN_CHARS = 300


class BranchExistsError(ConflictError):
    """The branch is there by now: somebody else has made its first commit."""


@dataclass(frozen=True, slots=True)
class FirstCommit:
    """What is to be the first commit of a branch.

    Attributes:
        branch: which has to be missing.
        changes: its files, each path once.
        message: as people wrote it.
        author: who it is by.
    """

    branch: str
    changes: Sequence[FileChange]
    message: str
    author: Author


def push_first_commit(client: ForgeClient, credential: Credential, url: str, user: str, work: FirstCommit) -> str:
    """Make the first commit of a branch, unless the branch is there.

    Args:
        client: of the installation: its proxy, its authority, its limits count for git as well.
        credential: who pushes.
        url: the repository's clone address, over http or https.
        user: the name that the forge wants beside a token, such as ``x-access-token``.
        work: what to commit.

    Returns:
        The commit's SHA.

    Raises:
        BranchExistsError: the branch is there by now.
        AuthError: the credential or a rule of the forge forbids it; with the forge's words.
        NotFoundError: there is no such repository, or the credential may not see it.
        LostAnswerError: the push may have happened, and was not to be seen afterwards.
        RemoteError: the forge did not answer as git does.
    """
    try:
        objects = orphan_commit(work.changes, work.author, work.message)
    except PathInTheWayError as error:
        message = f"{error} cannot be a file and a folder at once."
        raise ValidationError(message, fields={"files": [message]}) from None
    remote = _Remote(client, credential, url, user)
    return write_once(
        lambda: remote.push(work.branch, objects),
        lambda: remote.pushed(work.branch, objects[-1].id),
        log=client.opening.log,
    )


class _ThereError(Exception):
    """The branch is there, at ``sha``."""

    def __init__(self, sha: ObjectID) -> None:
        super().__init__(sha)
        self.sha = sha


class _Remote:
    """A repository at a forge, as git sees it."""

    def __init__(self, client: ForgeClient, credential: Credential, url: str, user: str) -> None:
        self._git = _GitOverClient(client, credential, url, user)
        self._name = parse_target(url).path.strip("/").removesuffix(".git")
        self._said = b""

    def push(self, branch: str, objects: Sequence[Blob | Tree | Commit]) -> str:
        """Create a branch that is at the last of some objects, and send them all."""
        ref, sha = Ref(_BRANCHES + branch.encode()), ObjectID(objects[-1].id)
        try:
            told = self._send(ref, sha, objects)
        except _ThereError as there:
            if there.sha == sha:
                return sha.decode()  # an attempt before this one has pushed the very same commit
            raise self._exists(branch) from None
        if ref not in told:
            raise self._git.misread(None)
        if (reason := told[ref]) is not None:
            raise self._exists(branch) if _MOVED.search(reason) else self._refused(reason)
        return sha.decode()

    def _send(self, ref: Ref, sha: ObjectID, objects: Sequence[Blob | Tree | Commit]) -> Mapping[bytes, str | None]:
        """Push, and return what the forge says of each ref: a reason, or None for a success."""

        def pack(
            have: AbstractSet[ObjectID],  # noqa: ARG001 dulwich's own names
            want: AbstractSet[ObjectID],  # noqa: ARG001
            *,
            ofs_delta: bool = False,  # noqa: ARG001
            progress: Callable[..., None] | None = None,  # noqa: ARG001
        ) -> tuple[int, Iterator[UnpackedObject]]:
            return pack_objects_to_data(list(objects), deltify=False)

        def update(known: dict[Ref, ObjectID]) -> dict[Ref, ObjectID]:
            if ref in known:
                raise _ThereError(known[ref])
            return {ref: sha}

        try:
            done = self._git.send_pack("", update, pack, progress=self._hear)
        except (_ThereError, ActionError):
            raise
        except SendPackError as error:
            raise self._refused(_words(str(error))) from None
        except NO_GIT as error:
            raise self._git.misread(error) from None
        return done.ref_status or {}

    def pushed(self, branch: str, sha: ObjectID) -> str | None:
        """The commit, when the branch is at it; None when it is not there. Raises BranchExistsError for another one."""
        found = self._git.refs().get(Ref(_BRANCHES + branch.encode()))
        if found is not None and found != sha:
            raise self._exists(branch)
        return sha.decode() if found else None

    def _hear(self, text: bytes) -> None:
        self._said += text

    def _refused(self, reason: str) -> AuthError:
        said = _words(self._said.decode(errors="replace"))
        words = f"{reason}: {said}" if said else reason
        return AuthError(f"The forge refuses the first commit of {self._name}: {self._git.masked(words)}", hint=_HINT)

    def _exists(self, branch: str) -> BranchExistsError:
        return BranchExistsError(f"{self._name} has got a branch {branch} meanwhile.")


class _GitOverClient(GitOverRequests):
    """Git's protocol over the client of the forge: its connections, limits, guard and redirects."""

    def __init__(self, client: ForgeClient, credential: Credential, url: str, user: str) -> None:
        super().__init__(url, quiet=True)
        self._client = client
        self._credential = credential
        basic = base64.b64encode(f"{user}:{credential.token}".encode()).decode()
        client.opening.redact(basic)
        self._basic = basic.encode()
        self._secret_headers = {"Authorization": f"Basic {basic}"}
        self._last: ForgeAnswer | None = None

    def _heard(self, url: str, headers: Mapping[str, str], body: bytes | None) -> Heard:
        method = "GET" if body is None else "POST"
        request = Request(method, parse_target(url), headers, self._secret_headers, body)
        answer = self._last = self._client.exchange(self._credential, request)
        if answer.status >= 400:
            raise self._client.error(self._credential, answer, _error)
        kind = answer.headers.get("content-type", "")
        if not kind.startswith("application/x-git-"):
            raise self.misread(None)
        return Heard(answer.status, answer.headers, self._masked_body(answer.body))

    def refs(self) -> Mapping[Ref, ObjectID | None]:
        """Where the branches are, as a push is told."""
        try:
            return self._discover_references(b"git-receive-pack", self._base_url)[0]
        except NO_GIT as error:
            raise self.misread(error) from None

    def misread(self, error: Exception | None) -> RemoteError:
        """The error for what is no answer of git."""
        answer = self._last
        said = f" ({type(error).__name__})" if error else ""
        if answer is None:
            return RemoteError(f"Git's protocol broke off{said}.")
        kind = RemoteError if answer.method in READS else LostAnswerError
        return kind(
            f"{answer.method} {answer.path} was answered ({answer.status}) with what is no answer of git{said}: is a "
            f"proxy in between?{answer.named_request}"
        )

    def _masked_body(self, body: bytes) -> bytes:
        """What dulwich reads, and writes to its debug log. Its lengths have to stay as they are."""
        for secret in (self._credential.token.encode(), self._basic):
            body = body.replace(secret, b"*" * len(secret)) if secret else body
        return body

    def masked(self, text: str) -> str:
        """A text of the forge without the token, and not too long."""
        return text.replace(self._credential.token, "***")[:_SHOWN_CHARS]


def _error(answer: ForgeAnswer) -> ActionError:
    words = _words(answer.body.decode(errors="replace")) if "html" not in answer.headers.get("content-type", "") else ""
    said = f": {words}" if words else "."
    if answer.status == 404:
        return NotFoundError(
            f"Git finds no repository there{said}", hint="It may be hidden: check what the credential may see."
        )
    if answer.status in (401, 403):
        return AuthError(f"The forge refuses the push{said}", hint="Check what the credential may do: it has to push.")
    kind = ValidationError if answer.status < 500 else RemoteError
    return kind(f"The forge refuses the push{said}")


def _words(text: str) -> str:
    """What a forge says to people in a terminal, in one line."""
    lines = (
        re.sub(r"^(remote|error|ERROR|GitLab|fatal):\s*", "", line.strip()).strip("-= \t") for line in text.splitlines()
    )
    return re.sub(r"[^\x20-\x7e\xa0-\uffff]", "", " ".join(filter(None, lines)))[:_SHOWN_CHARS]
