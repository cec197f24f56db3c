"""How contents are named and written: plainly, or with a key of the run's own when a secret may be in them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from portal_actions_plugin.errors import ConfigurationError, InternalError
from portal_actions_plugin.runs.secrets.sealing import seal, unseal

_KEY_BYTES = 32
_NONCE_BYTES = 12
_MANIFEST = b"manifest"


@dataclass(frozen=True, slots=True)
class Box:
    """Names and writes the contents of one run.

    Attributes:
        key: what seals them; None when they are written as they are.
        sealed_key: that key, as the run's rows keep it.
    """

    key: bytes | None = field(default=None, repr=False)
    sealed_key: bytes | None = None

    @classmethod
    def new(cls, keys: Sequence[str]) -> Box:
        """A box with a key of its own; raises ConfigurationError when the portal has none to seal that with."""
        key = os.urandom(_KEY_BYTES)
        return cls(key, seal({"key": base64.b64encode(key).decode()}, keys))

    @classmethod
    def opened(cls, sealed_key: bytes | None, keys: Sequence[str]) -> Box:
        """The box of a kept key; raises ConfigurationError when no key of the portal opens that any more."""
        if sealed_key is None:
            return cls()
        return cls(base64.b64decode(unseal(bytes(sealed_key), keys)["key"]), sealed_key)

    @property
    def is_sealed(self) -> bool:
        """Whether what it writes cannot be read without its key."""
        return self.key is not None

    def name(self, content: bytes) -> str:
        """What a content is kept by: 64 hex digits, of a sealed one such that nobody can find it by guessing."""
        if self.key is None:
            return hashlib.sha256(content).hexdigest()
        return hmac.new(self.key, content, hashlib.sha256).hexdigest()

    def written(self, name: str, content: bytes) -> bytes:
        """A content as the store keeps it."""
        return content if self.key is None else _seal(self.key, name.encode(), content)

    def read(self, name: str, written: bytes) -> bytes:
        """A content as it was; raises InternalError for one that is damaged."""
        if self.key is not None:
            return _open(self.key, name.encode(), written)
        if self.name(written) != name:
            raise _damaged(name)
        return written

    def seal_manifest(self, manifest: Mapping[str, Any]) -> bytes | None:
        """A manifest with the names of files sealed; None when it is written as it is."""
        if self.key is None:
            return None
        return _seal(self.key, _MANIFEST, zlib.compress(json.dumps(manifest).encode()))

    def open_manifest(self, plain: Mapping[str, Any] | None, sealed: bytes | None) -> Mapping[str, Any]:
        """A manifest as it was; raises InternalError for one that is damaged."""
        if sealed is None or self.key is None:
            return plain or {"owners": [], "files": [], "folders": [], "links": [], "shown": {}}
        opened: Mapping[str, Any] = json.loads(zlib.decompress(_open(self.key, _MANIFEST, bytes(sealed))))
        return opened


def require_keys(keys: Sequence[str], what: str) -> None:
    """Refuse to keep a secret readable.

    Args:
        keys: the portal's.
        what: where the secret is, as the error's sentence begins.

    Raises:
        ConfigurationError: there is none.
    """
    if not keys:
        raise ConfigurationError(
            f"{what}, and this portal has no key to seal it with.",
            hint="Tell your platform team: PORTAL_ACTIONS_SECRET_KEYS holds the keys, newest first.",
        )


def _seal(key: bytes, about: bytes, content: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # as of secrets: 7 MB

    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, content, about)


def _open(key: bytes, about: bytes, sealed: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], about)
    except InvalidTag:
        raise _damaged(about.decode()) from None


def _damaged(name: str) -> InternalError:
    return InternalError(
        f"A file of the workspace is not what was kept ({name[:16]}).",
        hint="Somebody has changed it in its store. Retry the run: it begins with an empty workspace.",
    )
