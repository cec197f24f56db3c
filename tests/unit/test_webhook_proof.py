"""How a forge shows that it knows the secret of the webhook."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

import pytest
from werkzeug.datastructures import Headers

from portal_actions_plugin.blueprints.api.webhook_proof import is_proved

BODY = b'{"ref": "refs/heads/main"}'
KEY = b"0123456789abcdef0123456789abcdef"
TOKEN = "whsec_" + base64.b64encode(KEY).decode()


def signed(body: bytes = BODY, *, key: bytes = KEY, seconds_ago: float = 0) -> Headers:
    """As GitLab signs with a signing token."""
    sent_at = str(int(time.time() - seconds_ago))
    digest = hmac.new(key, f"msg_1.{sent_at}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1a,AAAA v1,{base64.b64encode(b'another').decode()} v1,{base64.b64encode(digest).decode()}"
    return Headers({"Webhook-Id": "msg_1", "Webhook-Timestamp": sent_at, "Webhook-Signature": signature})


def test_a_signing_token_of_gitlab_signs_identity_time_and_body() -> None:
    assert is_proved(TOKEN, signed(), BODY)
    assert not is_proved(TOKEN, signed(), BODY + b" ")
    assert not is_proved(TOKEN, signed(key=TOKEN.encode()), BODY), "the text is no key"
    assert not is_proved("a plain secret", signed(), BODY)


@pytest.mark.parametrize("changed", ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"])
@pytest.mark.parametrize("value", ["", "x", "9" * 400, "²"])
def test_a_signature_that_lacks_a_part_is_none(changed: str, value: str) -> None:
    headers = signed()
    headers[changed] = value
    assert not is_proved(TOKEN, headers, BODY)


def test_a_call_that_was_overheard_cannot_be_sent_again_later() -> None:
    assert not is_proved(TOKEN, signed(seconds_ago=3600), BODY)
    assert not is_proved(TOKEN, signed(seconds_ago=-3600), BODY)


@pytest.mark.parametrize("token", ["whsec_", "whsec_QQ==", "whsec_no base64", "whsec_²"])
def test_a_signing_token_without_a_key_lets_nobody_in(token: str) -> None:
    for key in (b"", b"A", token.encode()):
        assert not is_proved(token, signed(key=key), BODY)


def test_a_secret_token_is_sent_as_it_is() -> None:
    assert is_proved("secret", Headers({"x-gitlab-token": "secret"}), BODY)
    assert is_proved(TOKEN, Headers({"X-Gitlab-Token": TOKEN}), BODY)
    assert not is_proved("secret", Headers({"X-Gitlab-Token": ""}), BODY)
    assert not is_proved("secret", Headers({"X-Gitlab-Token": "secre€"}), BODY)
