"""JSON web tokens made by hand, so that no library of ours is proved by itself: RFC 7515 and RFC 7518, section 3.3."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key


def signed(private_key: str, claims: Mapping[str, object], *, algorithm: str = "RS256") -> str:
    """Sign claims with a key in PEM. Another algorithm only stands in the header."""
    private = load_pem_private_key(private_key.encode(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    parts = [json.dumps(part).encode() for part in ({"alg": algorithm, "typ": "JWT"}, dict(claims))]
    text = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    signature = private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
