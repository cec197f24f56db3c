"""Which addresses may become links: those that lead to a page, and nothing that a browser would run."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_WEB = re.compile(r"https?://[^\s<>\"'`\\]+", re.IGNORECASE)
_MAIL = re.compile(r"mailto:[^\s<>\"'`\\]+@[^\s<>\"'`\\]+", re.IGNORECASE)
_OF_THIS_PORTAL = re.compile(r"/(?![/\\])[^\s<>\"'`\\]*")
MAX_ADDRESS = 2_000
"""Characters."""


def web_address(value: object) -> str | None:
    """The value itself when it is a whole http or https address that leads where it reads as if it did, else None."""
    if not isinstance(value, str) or not value.isprintable() or not _WEB.fullmatch(value):
        return None
    try:
        address = urlsplit(value)
    except ValueError:
        return None
    # https://github.com@evil.example leads elsewhere than it reads.
    return value if address.hostname and "@" not in address.netloc else None


def address_in_portal(value: object) -> str | None:
    """The value itself when it is an address below this portal's own, such as ``/catalog/orders``, else None."""
    if not isinstance(value, str) or not value.isprintable():
        return None
    return value if _OF_THIS_PORTAL.fullmatch(value) else None


def link_address(value: object) -> str | None:
    """The value itself when a link may lead there, else None: http, https, mailto, and addresses in this portal."""
    if not isinstance(value, str) or not value.isprintable() or len(value) > MAX_ADDRESS:
        return None
    if _MAIL.fullmatch(value):
        return value
    return web_address(value) or address_in_portal(value)
