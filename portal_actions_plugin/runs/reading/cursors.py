"""Where a list goes on, sealed: nothing can be read from a cursor, and nobody can make one up.

The place that a cursor stands for may be a row that its holder must not know of: neither its id nor its time shows.
The same place of the same list is always the same cursor, so that who polls a list can be told that nothing has changed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from typing import cast

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.secrets.app_keys import app_keys
from portal_actions_plugin.storage.database_identity import identity_of
from portal_actions_plugin.storage.sessions import reading

CURSOR = r"^[A-Za-z0-9_-]{1,1500}$"
"""What a cursor looks like from outside. How long it is depends on the list: those by name have a name in it."""

_PURPOSE = b"portal-actions-cursor"


def about(name: str, **filters: object) -> str:
    """What a cursor is bound to: the list, and what narrows it. With others it would tell where in those its place is.

    Args:
        name: the list.
        filters: those that are set, by name; an order within them means nothing.
    """
    given = {key: sorted(value) if isinstance(value, tuple) else value for key, value in filters.items() if value}
    return json.dumps([name, given], sort_keys=True)


def seal(place: bytes, bound_to: str) -> str:
    """The cursor of a place.

    Args:
        place: what the list itself knows the place by.
        bound_to: what ``about`` gives.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV  # 7 MB, for lists that have more than one page

    sealed = AESSIV(_keys()[0]).encrypt(place, [bound_to.encode()])
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def unseal(cursor: str, bound_to: str) -> bytes:
    """The place of a cursor; raises ValidationError for one of another list, of other filters, or of nobody's making."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

    sealed = _bytes_of(cursor)
    for key in _keys() if sealed else ():
        try:
            return AESSIV(key).decrypt(sealed, [bound_to.encode()])
        except (InvalidTag, ValueError):
            continue
    raise ValidationError(
        "This cursor does not belong to this list with these filters.",
        hint="Send the last answer's next_cursor as it is, with the same filters. Without a cursor, the list begins anew.",
        fields={"cursor": ["is no cursor of this list with these filters"]},
    )


def _bytes_of(cursor: str) -> bytes:
    if not re.fullmatch(CURSOR, cursor):
        return b""
    try:
        return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except binascii.Error:
        return b""


def _keys() -> list[bytes]:
    """What cursors are sealed with, newest first; an app without any key of its own has its database's identity."""
    return [hmac.new(key, _PURPOSE, hashlib.sha512).digest() for key in app_keys() or [_identity_of_database()]]


def _identity_of_database() -> bytes:
    kept = extension().kept
    if "database_identity" not in kept:
        with reading() as db:
            kept["database_identity"] = identity_of(db).encode()
    return cast("bytes", kept["database_identity"])
