"""Whether a forge's call of a webhook knows the secret, in each of the ways in which forges show it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers

SECONDS = 300.0
"""How far the time of a signed call may be from ours: a call that was overheard cannot be sent again later."""

_GITHUB = "X-Hub-Signature-256"
_GITHUB_SCHEME = "sha256="
_GITLAB_TOKEN = "X-Gitlab-Token"  # noqa: S105 the name of a header
_SIGNATURE, _ID, _TIME = "webhook-signature", "webhook-id", "webhook-timestamp"
_SIGNING_TOKEN = "whsec_"  # noqa: S105 what such tokens begin with
_VERSION = "v1,"
_LEAST_KEY = 16
"""Bytes. GitLab's have 32; a key of none would let everybody in."""


def is_proved(secret: str, headers: Headers, body: bytes) -> bool:
    """Whether a call is by who knows the secret; times are compared, so that nothing can be learnt from them.

    GitHub signs the body. GitLab sends its secret token as it is, or signs with a signing token, ``whsec_…``, as
    standardwebhooks.com describes it, or does both.

    Args:
        secret: not empty.
        headers: of the call.
        body: as it came.
    """
    if signature := headers.get(_GITHUB, ""):
        expected = _GITHUB_SCHEME + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected.encode(), signature.encode())
    if hmac.compare_digest(secret.encode(), headers.get(_GITLAB_TOKEN, "").encode()):
        return True
    return secret.startswith(_SIGNING_TOKEN) and _is_signed(secret.removeprefix(_SIGNING_TOKEN), headers, body)


def _is_signed(key: str, headers: Headers, body: bytes) -> bool:
    identity, sent_at = headers.get(_ID, ""), headers.get(_TIME, "")
    if not identity or not sent_at.isascii() or not sent_at.isdigit() or abs(time.time() - int(sent_at[:20])) > SECONDS:
        return False
    try:
        signing_key = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return False
    if len(signing_key) < _LEAST_KEY:
        return False
    signed = f"{identity}.{sent_at}.".encode() + body
    expected = base64.b64encode(hmac.new(signing_key, signed, hashlib.sha256).digest())
    # A key that is being changed gives two signatures.
    given = [one.removeprefix(_VERSION) for one in headers.get(_SIGNATURE, "").split(" ") if one.startswith(_VERSION)]
    return any(hmac.compare_digest(expected, one.encode()) for one in given[:10])
