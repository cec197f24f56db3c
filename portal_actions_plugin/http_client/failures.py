"""What can go wrong with a request, in words of ours."""

from __future__ import annotations

import http.client
import math
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import urllib3

from portal_actions_plugin.errors import RemoteError

if TYPE_CHECKING:
    from portal_actions_plugin.http_client.connection import Deadline
    from portal_actions_plugin.http_client.messages import Request

BROKEN = (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError)
"""What sockets, TLS and HTTP raise."""


@contextmanager
def named_failures(request: Request, deadline: Deadline, *, missed: str = "gave no whole answer") -> Iterator[None]:
    """Say what failed in one sentence, without a word that the other side has said.

    Args:
        request: what was asked.
        deadline: of what is done here; once it has come, that is the reason.
        missed: what was not done by then, as the end of a sentence that begins with the request.

    Raises:
        RemoteError: instead of what sockets, TLS and HTTP raise.
    """
    try:
        yield
    except BROKEN as error:
        waited = isinstance(error, TimeoutError) and error.errno is None
        if deadline.over or (waited and math.isinf(deadline.wait_seconds)):
            raise RemoteError(f"{request} {missed} within {deadline.seconds:g} seconds.") from None
        if waited:
            raise RemoteError(f"{request} failed: nothing came for {deadline.wait_seconds:g} seconds.") from None
        raise RemoteError(f"{request} failed: {_why(error)}.") from None


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate cannot be trusted ({error.verify_message})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    return f"the connection or the answer was broken ({type(error).__name__})"
