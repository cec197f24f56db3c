"""Secret inputs: encrypted at rest, handed to the handler, masked everywhere else."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from portal_actions_plugin.errors import ConfigurationError, InternalError, PortalActionsError, ValidationError
from portal_actions_plugin.log_records import Lines
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.runs.secrets.token_shapes import MASK, require_no_token

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

log = logging.getLogger(__name__)

WIPED: Mapping[str, None] = {"secrets": None}
"""What every end of a run writes into its row: sealed secrets go in the statement that ends it."""

MIN_REPEATED = 8
"""Characters of the shortest secret that another field may not repeat: a shorter one may be a common word."""

_HINT = "Tell your platform team: PORTAL_ACTIONS_SECRET_KEYS holds the keys, newest first."
_KEY_IS_GONE = (
    "Tell your platform team: the key that sealed them is not in PORTAL_ACTIONS_SECRET_KEYS any more. Put it back at "
    "the end of the list, or start anew with the secrets."
)


@dataclass(frozen=True, slots=True)
class SplitSecrets:
    """Inputs as they are stored: ``shown`` has the mask in place of each secret, ``sealed`` has the secrets encrypted."""

    shown: dict[str, Any]
    sealed: bytes | None


def split_secrets(
    values: Mapping[str, Any],
    secret_names: Collection[str],
    keys: Sequence[str],
    *,
    about: Mapping[str, Any],
    beside: Mapping[str, Any] | None = None,
) -> SplitSecrets:
    """Split inputs into what may be read and the secrets among them, encrypted.

    Args:
        values: the inputs.
        secret_names: which of them are secret.
        keys: to encrypt those with, newest first.
        about: what else is stored readable with them.
        beside: secrets that are no inputs.

    Raises:
        ValidationError: a field that is not secret holds a token, or repeats a secret.
        ConfigurationError: there are secrets and no key.
    """
    secrets = {name: value for name, value in values.items() if name in secret_names}
    shown = {name: MASK if name in secrets else value for name, value in values.items()}
    hidden = {**secrets, **(beside or {})}
    looked_for = [_as_json(secret)[1:-1] for secret in _texts(hidden) if len(secret) >= MIN_REPEATED]
    for readable in (about, {name: value for name, value in shown.items() if name not in secrets}):
        require_no_token(readable)
        _require_none_of(looked_for, readable)
    return SplitSecrets(shown, seal(hidden, keys))


def _require_none_of(secrets: Sequence[str], readable: Mapping[str, Any]) -> None:
    """Refuse a secret that stands in a readable field as well; raises ValidationError that names the field."""
    if not secrets:
        return
    repeats = sorted(name for name, value in readable.items() if _holds_any(_as_json(value), secrets))
    if repeats:
        raise ValidationError(
            f"A secret is repeated where it would be stored readable: see {', '.join(repeats)}.",
            hint="Give it in its secret field alone.",
            fields={name: ["Repeats a secret input."] for name in repeats},
        )


def _holds_any(written: str, texts: Sequence[str]) -> bool:
    return any(text in written for text in texts)


def _texts(data: object) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping | list | tuple):
        for value in data.values() if isinstance(data, Mapping) else data:
            yield from _texts(value)


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def require_secret(given: Mapping[str, Any], secret_names: Collection[str]) -> None:
    """Refuse what was given as a secret and would be stored readable; raises ValidationError."""
    if plain := sorted(set(given) - set(secret_names)):
        raise ValidationError(
            f"{', '.join(plain)} cannot be given as a secret.",
            hint="Give it with the other inputs: it is stored readable.",
            fields={"secrets": {name: ["Is not a secret input."] for name in plain}},
        )


@contextmanager
def masking_errors(values: Mapping[str, Any], secret_names: Collection[str]) -> Iterator[None]:
    """Let no error from within repeat a secret: a check of somebody else's may say what it was given."""
    secrets = [value for name, value in values.items() if name in secret_names]
    try:
        yield
    except PortalActionsError as error:
        mask_error(error, Redactor(secrets))
        raise
    except Exception as error:  # noqa: BLE001 whatever a check raises
        redactor = Redactor(secrets)
        # Not log.exception: a traceback ends with the error's own message.
        log.error(  # noqa: TRY400
            "an input could not be checked\n%s", Lines(redactor.text(traceback.format_exc()))
        )
        raise InternalError(f"The input could not be checked: {type(error).__name__}.") from None


def mask_error(error: PortalActionsError, redactor: Redactor) -> None:
    """Mask all that an error says."""
    error.message, error.hint = redactor.text(str(error.message)), redactor.text(str(error.hint))
    error.fields = redactor.data(error.fields)
    error.args = (error.message,)


def seal(secrets: Mapping[str, Any], keys: Sequence[str]) -> bytes | None:
    """Encrypt secrets with the newest key; None when there are none.

    Raises:
        ConfigurationError: there are secrets and no key.
    """
    if not secrets:
        return None
    if not keys:
        raise ConfigurationError("This portal cannot take secret inputs: no key is set.", hint=_HINT)
    return _box(keys).encrypt(json.dumps(dict(secrets)).encode())


def unseal(sealed: bytes | None, keys: Sequence[str]) -> dict[str, Any]:
    """Decrypt secrets with whichever key fits; raises ConfigurationError when none does."""
    if not sealed:
        return {}
    if not keys:
        raise ConfigurationError("No key opens this run's secrets: none is set.", hint=_KEY_IS_GONE)
    from cryptography.fernet import InvalidToken

    try:
        opened: dict[str, Any] = json.loads(_box(keys).decrypt(sealed))
    except InvalidToken:
        raise ConfigurationError("No key opens this run's secrets any more.", hint=_KEY_IS_GONE) from None
    return opened


def _box(keys: Sequence[str]) -> MultiFernet:
    from cryptography.fernet import Fernet, MultiFernet  # 7 MB, which a portal without secrets does without

    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError as error:
        raise ConfigurationError(f"PORTAL_ACTIONS_SECRET_KEYS is not usable: {error}", hint=_HINT) from None
