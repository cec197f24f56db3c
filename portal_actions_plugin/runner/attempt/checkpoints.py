"""What a checkpoint keeps: its value as it is, or sealed when that holds a secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from portal_actions_plugin.errors import ConfigurationError, InternalError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.runs.secrets.sealing import seal, unseal
from portal_actions_plugin.runs.secrets.storable import MAX_STORED_DEPTH, require_depth


def kept(key: str, value: object, redactor: Redactor) -> dict[str, Any]:
    """A value as its row keeps it; sealed together with the secrets in it, so that they are masked from then on.

    Args:
        key: the checkpoint's, for errors.
        value: anything that is JSON.
        redactor: knows which values are secret.

    Returns:
        The JSON object for the row: ``{"value": …}``, or ``{"sealed": …}`` with a text.

    Raises:
        InternalError: it is not JSON, or too large.
        ConfigurationError: it holds a secret, and there is no key to seal it with.
    """
    config = extension().config
    try:
        written = json.dumps(value, allow_nan=False)
        require_depth(value, MAX_STORED_DEPTH)
    except (TypeError, ValueError, RecursionError) as error:
        raise InternalError(f"The value of the checkpoint {key} is not JSON: {error}.") from None
    if len(written) > config.max_output_bytes:
        raise InternalError(
            f"The value of the checkpoint {key} has {len(written)} bytes; {config.max_output_bytes} are allowed."
        )
    # As JSON gives it back: keys are texts, and tuples lists.
    plain = json.loads(written)
    if redactor.data(plain) == plain:
        # Wrapped, so that null and false are values too.
        return {"value": plain}
    if not config.secret_keys:
        raise ConfigurationError(
            f"The checkpoint {key} holds a secret, and this portal has no key to seal it with. What it stands for is "
            "done, and is done again by another attempt.",
            hint="Tell your platform team: PORTAL_ACTIONS_SECRET_KEYS holds the keys, newest first.",
        )
    sealed = seal({"value": plain, "secrets": redactor.known_in(plain)}, config.secret_keys)
    return {"sealed": (sealed or b"").decode()}


def opened(kept: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """Read what ``kept`` has made of a checkpoint's value.

    Args:
        kept: the JSON object of its row.

    Returns:
        The value, and the secrets in it, to be masked.

    Raises:
        ConfigurationError: it is sealed, and no key opens it.
    """
    if "sealed" not in kept:
        return kept["value"], []
    whole = unseal(kept["sealed"].encode(), extension().config.secret_keys)
    return whole["value"], whole["secrets"]
