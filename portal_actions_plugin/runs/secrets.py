"""Secret inputs: encrypted at rest, handed to the handler, masked by value everywhere else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.runs.text import storable

MASK = "•••"
_HINT = "Tell your platform team: PORTAL_ACTIONS_SECRET_KEYS holds the keys, newest first."


def seal(secrets: Mapping[str, Any], keys: Sequence[str]) -> bytes | None:
    """Encrypt secret inputs with the newest key; None when there are none.

    Raises:
        ConfigurationError: there are secrets and no key.
    """
    if not secrets:
        return None
    if not keys:
        raise ConfigurationError("This portal cannot take secret inputs: no key is set.", hint=_HINT)
    return _box(keys).encrypt(json.dumps(dict(secrets)).encode())


def unseal(sealed: bytes | None, keys: Sequence[str]) -> dict[str, Any]:
    """Decrypt secret inputs with whichever key fits; raises ConfigurationError when none does."""
    if not sealed:
        return {}
    try:
        opened: dict[str, Any] = json.loads(_box(keys).decrypt(sealed))
    except InvalidToken:
        raise ConfigurationError("No key opens this run's secret inputs any more.", hint=_HINT) from None
    return opened


def _box(keys: Sequence[str]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError as error:
        raise ConfigurationError(f"PORTAL_ACTIONS_SECRET_KEYS is not usable: {error}", hint=_HINT) from None


class Redactor:
    """Masks known values in whatever a run writes."""

    def __init__(self, values: Sequence[Any] = ()) -> None:
        self._values: set[str] = set()
        for value in values:
            self.add(value)

    def add(self, value: Any) -> None:
        """Mask this value from now on; a list or table counts for each of its texts."""
        if isinstance(value, Mapping):
            value = list(value.values())
        if isinstance(value, list | tuple):
            for part in value:
                self.add(part)
        elif value not in (None, "", True, False):
            self._values.add(str(value))

    def text(self, text: str) -> str:
        """Mask inside a text; what a database would refuse is replaced too."""
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(value, MASK)
        return storable(text)

    def data(self, data: Any) -> Any:
        """Mask inside JSON data, keys included."""
        if isinstance(data, str):
            return self.text(data)
        if isinstance(data, Mapping):
            return {self.text(str(key)): self.data(value) for key, value in data.items()}
        if isinstance(data, list | tuple):
            return [self.data(value) for value in data]
        return MASK if not isinstance(data, bool) and str(data) in self._values else data
