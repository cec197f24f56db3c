"""The client of a remote forge's API: what it sends, follows, repeats, waits for, and never does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import sleep, time
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlencode, urljoin

from portal_actions_plugin.errors import ActionError, RateLimitedError, RemoteError, ValidationError
from portal_actions_plugin.http_client.guard import Target, parse_target
from portal_actions_plugin.http_client.messages import Answer, Request
from portal_actions_plugin.http_client.waits import moment
from portal_actions_plugin.scm.remote.answers import READS, ForgeAnswer, LostAnswerError
from portal_actions_plugin.scm.remote.transport import Place, Transport, call_deadline
from portal_actions_plugin.scm.remote.turns import Turns

if TYPE_CHECKING:
    from portal_actions_plugin.http_client.connection import Deadline
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.opening import Opening
    from portal_actions_plugin.scm.remote.credentials import Credential
    from portal_actions_plugin.scm.remote.fields import JsonObject

__all__ = ["ForgeAnswer", "ForgeClient", "LostAnswerError", "Place"]

MAX_REDIRECTS = 3
MAX_ENTRIES = 1000
PER_PAGE = 100
SLEPT_SECONDS = 5.0
"""A wait up to this is slept; for a longer one the step goes back to the queue."""
TOLD_SECONDS = 1.0
"""A shorter wait is no line of the log: after a refusal each call takes its turn."""
_REQUEST_IDS = ("x-github-request-id", "x-request-id")
_NEXT = re.compile(r'<([^>]*)>[^,]*;\s*rel="?next"?')

_turns = Turns()


@dataclass(frozen=True, slots=True)
class ForgeClient:
    """Calls the API of one installation.

    Attributes:
        place: where it is.
        opening: of the provider that calls.
        headers: what every request carries, such as the API's version.
        error_of: what an answer from 400 on means, in the forge's own words. Request id, method and path are added here.
        limit_of: False for an answer that is no rate limit; else the seconds that it names, or None when it names none.
        write_pause_seconds: from the end of one write to the begin of the next one of the same credential.
    """

    place: Place
    opening: Opening
    headers: Mapping[str, str] = field(repr=False)
    error_of: Callable[[ForgeAnswer], ActionError]
    limit_of: Callable[[ForgeAnswer], float | Literal[False] | None]
    write_pause_seconds: float = 0.0

    def send(
        self,
        credential: Credential,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: JsonValue = None,
        accept: Collection[int] = (),
    ) -> ForgeAnswer:
        """Make a call and return its answer when it is a success.

        Args:
            credential: who calls.
            method: in capitals. All but GET and HEAD are writes: the guard is asked right before one goes out.
            path: below ``api_url``, with a slash at its begin, percent-encoded.
            query: added to it.
            body: sent as JSON; None sends none.
            accept: statuses from 400 on that are returned, too.

        Raises:
            LostAnswerError: a write may have happened.
            RateLimitedError: the credential has to wait for longer than is slept.
            RemoteError: no answer came, or one that cannot be followed or read.
            ActionError: what ``error_of`` says.
        """
        asked = f"?{urlencode(query)}" if query else ""
        content = None if body is None else json.dumps(body).encode()
        return self._call(credential, method, self._target(path + asked), content, accept)

    def find(
        self, credential: Credential, path: str, *, query: Mapping[str, str | int] | None = None
    ) -> ForgeAnswer | None:
        """GET something; None when the answer is 404. Errors as ``send`` has them."""
        answer = self.send(credential, "GET", path, query=query, accept=(404,))
        return None if answer.status == 404 else answer

    def pages(
        self,
        credential: Credential,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        what: str,
        key: str | None = None,
        at_most: int = MAX_ENTRIES,
    ) -> Iterator[JsonObject]:
        """The entries of a list, read page by page as they are asked for.

        Args:
            credential: who calls.
            path: as ``send`` has it.
            query: added to it, beside the size of a page.
            what: the list's name in errors, such as ``the webhooks of acme/shop``.
            key: where the list is in an answer that is an object; None when the answer is the list.
            at_most: how many entries it may have.

        Raises:
            RemoteError: it is longer, or leads to another host; else as ``send``.
        """
        target = self._target(f"{path}?{urlencode({'per_page': PER_PAGE, **(query or {})})}")
        seen = 0
        for _ in range(-(-at_most // PER_PAGE) + 1):
            answer = self._call(credential, "GET", target, None, ())
            entries = answer.list() if key is None else answer.objects(answer.object().get(key))
            seen += len(entries)
            if seen > at_most:
                break
            yield from entries
            link = _NEXT.search(answer.headers.get("link", ""))
            if link is None:
                return
            target = self._within(answer, target, link[1])
        raise RemoteError(
            f"{what[:1].upper()}{what[1:]} at {self.place.api_url}: the list is longer than {at_most:,} entries, which "
            "is more than is read.",
            hint="Ask your platform team to look at what fills it.",
        )

    # One call and what may come between

    def _target(self, path: str) -> Target:
        try:
            return parse_target(self.place.api_url + path)
        except ValidationError as error:
            raise RemoteError(f"{path.partition('?')[0]} is no path of {self.place.api_url}: {error.message}") from None

    def _call(
        self, credential: Credential, method: str, target: Target, body: bytes | None, accept: Collection[int]
    ) -> ForgeAnswer:
        types = {"Content-Type": "application/json"} if body is not None else {}
        request = Request(method, target, {**self.headers, **types}, credential.headers, body)
        answer = self.exchange(credential, request, accept)
        if answer.status >= 400 and answer.status not in accept:
            raise self.error(credential, answer, self.error_of)
        if method not in READS:
            answer.check_no_page()  # nobody may read what a write answers with: a login page is no success
        return answer

    def exchange(self, credential: Credential, request: Request, accept: Collection[int] = ()) -> ForgeAnswer:
        """Make a request, and return whatever is answered that is no rate limit.

        Args:
            credential: who asks, for limits and turns; the request carries it already.
            request: what is asked.
            accept: statuses that are never a rate limit.

        Raises:
            LostAnswerError, RateLimitedError, RemoteError: as ``send`` has them.
        """
        for is_last in (False, False, True):
            self._wait(credential)
            answer = self._followed(credential, request)
            limit = self.limit_of(answer) if answer.status >= 400 and answer.status not in accept else False
            if limit is False:
                break
            # Keeps everybody from asking again before it is over.
            seconds = self.opening.pauses.begin(self.opening.installation.name, credential.key, limit)
            if seconds > SLEPT_SECONDS or is_last:
                error = self.error(credential, answer, self.error_of)
                raise RateLimitedError(error.message, hint=error.hint, retry_after=seconds)
            sleep(seconds)
        return answer

    def error(
        self, credential: Credential, answer: ForgeAnswer, error_of: Callable[[ForgeAnswer], ActionError]
    ) -> ActionError:
        """What an answer means, with its request and without the credential; a LostAnswerError for a write's 5xx."""
        error = error_of(answer)
        message = f"{error.message} [{_named(answer)}: {answer.status}{answer.named_request}]"
        if credential.token:
            message = message.replace(credential.token, "***")
        is_lost = answer.status >= 500 and answer.method not in READS
        kind = LostAnswerError if is_lost else type(error)
        return kind(message, hint=error.hint, fields=error.fields, retry_after=error.retry_after)

    def _followed(self, credential: Credential, request: Request) -> ForgeAnswer:
        is_read = request.method in READS
        # The deadline begins with the turn: others' writes are no part of this call.
        writer = (self.place, credential.key)
        with nullcontext() if is_read else _turns.turn(writer, self.write_pause_seconds):
            deadline = call_deadline()
            for _ in range(MAX_REDIRECTS + 1):
                answer = self._asked(request, deadline)
                if not answer.redirects:
                    return self._read(request, answer)
                said = self._read(request, answer)
                request = replace(request, target=self._redirected(said, request))
        raise RemoteError(f"{_named(said)} was redirected more than {MAX_REDIRECTS} times: that is not followed.")

    def _asked(self, request: Request, deadline: Deadline) -> Answer:
        before = None if request.method in READS else self.opening.guard
        return Transport(self.place).exchange(request, deadline, before)

    def _redirected(self, answer: ForgeAnswer, request: Request) -> Target:
        if answer.status == 303 and request.method not in READS:
            raise LostAnswerError(f"{_named(answer)} was answered with 303, which no API of this forge is known for.")
        return self._within(answer, request.target, answer.headers["location"])

    def _within(self, answer: ForgeAnswer, before: Target, url: str) -> Target:
        """Where an answer leads to, which has to be this installation: nobody else gets its credential."""
        try:
            target = parse_target(urljoin(before.url, url))
        except (ValidationError, ValueError):
            raise RemoteError(f"{_named(answer)} leads to where no request can go.") from None
        if target.origin != before.origin:
            raise RemoteError(
                f"{_named(answer)} leads to {target.scheme}://{target.named}: nothing but {before.scheme}://"
                f"{before.named} is asked.",
                hint="Tell your platform team: if that is where the forge is now, set api_url of this installation in "
                "PORTAL_ACTIONS_SCM to it.",
            )
        return target

    def _read(self, request: Request, answer: Answer) -> ForgeAnswer:
        headers: dict[str, str] = {}
        for name, value in answer.headers:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        at = moment(headers.get("date", ""))
        ids = (headers.get(name, "") for name in _REQUEST_IDS)
        return ForgeAnswer(
            method=request.method,
            path=request.target.path.partition("?")[0],
            status=answer.status,
            headers=headers,
            body=answer.body,
            request_id=next((_plain(found) for found in ids if found), ""),
            at=datetime.fromtimestamp(at, UTC) if at else None,
            skew=at - time() if at else 0.0,
            api=self.place.api_url,
        )

    # Limits

    def _wait(self, credential: Credential) -> None:
        seconds = self.opening.pauses.wait(self.opening.installation.name, credential.key)
        if seconds > SLEPT_SECONDS:
            raise RateLimitedError(
                f"{self.opening.installation.name} has asked this portal's credential {credential.key} to wait.",
                retry_after=seconds,
            )
        if seconds >= TOLD_SECONDS:
            self.opening.log(f"waiting {seconds:.1f} s for the rate limit of {self.opening.installation.name}")
        if seconds > 0:
            sleep(seconds)


def _named(answer: ForgeAnswer) -> str:
    return f"{answer.method} {answer.path}"


def _plain(text: str) -> str:
    return re.sub(r"[^\w:.-]", "", text, flags=re.ASCII)[:100]
