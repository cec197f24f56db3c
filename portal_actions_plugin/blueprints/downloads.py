"""Files for somebody's disk: never shown by a browser, whatever is in them."""

from __future__ import annotations

from urllib.parse import quote

from flask import Response

from portal_actions_plugin.blueprints.headers import protect_data

MASKED_HEADER = "Portal-Actions-Masked"
"""Says of a file that secrets in it are masked."""


def as_download(name: str, content: bytes, *, is_masked: bool) -> Response:
    """Answer with a file to be saved.

    Args:
        name: what it is saved as.
        content: its bytes.
        is_masked: whether it is not all that it was: said in a header.
    """
    response = Response(content, mimetype="application/octet-stream")
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "_" for letter in name)
    encoded = quote(name, safe="")
    response.headers["Content-Disposition"] = (
        f"attachment; filename=\"{plain[:150] or 'file'}\"; filename*=UTF-8''{encoded}"
    )
    response.headers["Cache-Control"] = "private, no-cache"
    if is_masked:
        response.headers[MASKED_HEADER] = "yes"
    return protect_data(response)
