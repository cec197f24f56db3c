"""How GitHub words what it says: errors, pages, headers.

docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api and …/using-pagination-in-the-rest-api
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from tests.support.forges.faults import Respond
from tests.support.forges.messages import Answer, Request, json_answer

DOCS = "https://docs.github.com/rest"
RATE_LIMITS = f"{DOCS}/using-the-rest-api/rate-limits-for-the-rest-api"
SECONDARY_LIMIT = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. "
    "For more on scraping GitHub and how it may affect your rights, please review our Terms of Service "
    "(https://docs.github.com/en/site-policy/github-terms/github-terms-of-service) "
    "If you reach out to GitHub Support for help, please include the request ID."
)


class RefusedError(Exception):
    """Ends the handling of a request with an answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def refusal(status: int, message: str, page: str = "", *headers: tuple[str, str], **more: Any) -> RefusedError:
    """An error as every endpoint has it: troubleshooting-the-rest-api.

    Args:
        status: of HTTP; the body has it again, as a text.
        message: in GitHub's own words.
        page: where below ``docs.github.com/rest`` the endpoint is described.
        headers: further ones.
        more: further fields of the body, such as ``errors``.
    """
    url = page if page.startswith("https:") else f"{DOCS}/{page}" if page else DOCS
    return RefusedError(
        json_answer(status, {"message": message, **more, "documentation_url": url, "status": str(status)}, *headers)
    )


def not_found(page: str = "") -> RefusedError:
    """ "404 Not Found for an existing resource": what is not there and what one may not see are the same."""
    return refusal(404, "Not Found", page)


def invalid(
    page: str, resource: str, code: str, field: str = "", message: str = "", *, title: str = "Validation Failed"
) -> RefusedError:
    """A 422 with the one error that it is about: troubleshooting-the-rest-api#validation-failed"""
    error = {"resource": resource, "code": code, "field": field, "message": message}
    return refusal(422, title, page, errors=[{key: value for key, value in error.items() if value}])


def malformed(page: str, *complaints: str) -> RefusedError:
    """A 422 for a body of the wrong form: troubleshooting-the-rest-api#invalid-request"""
    return refusal(422, "Invalid request.\n\n" + "\n".join(complaints), page)


def field(body: dict[str, Any], name: str, kind: type, page: str, default: Any = ...) -> Any:
    """A field of a body, which has to be there when there is no default, and of a kind; null counts as not there."""
    words = {str: "a string", bool: "a boolean", int: "an integer", list: "an array", dict: "an object"}
    value = body.get(name)
    if value is None:
        if default is ...:
            raise malformed(page, f'"{name}" wasn\'t supplied.')
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise malformed(page, f"For 'properties/{name}', {json.dumps(value)} is not {words[kind]}.")
    return value


def page_of(request: Request, items: Sequence[Any], url: str) -> tuple[Sequence[Any], list[tuple[str, str]]]:
    """The part of a list that was asked for, and the ``Link`` header that leads to the others.

    using-pagination-in-the-rest-api: 30 a page, at most 100; next and last are missing on the last page, prev and first
    on the first, and all of it when there is one page. The links name a repository by its id.
    """
    size = min(max(_number(request.parameter("per_page"), 30), 1), 100)
    page = max(_number(request.parameter("page"), 1), 1)
    last = max((len(items) + size - 1) // size, 1)
    links = {}
    if page > 1:
        links |= {"prev": page - 1, "first": 1} if page <= last else {"first": 1, "last": last, "prev": last}
    if page < last:
        links |= {"next": page + 1, "last": last}
    kept = [(name, value) for name, values in request.query.items() for value in values if name != "page"]
    header = ", ".join(f'<{url}?{urlencode([*kept, ("page", number)])}>; rel="{rel}"' for rel, number in links.items())
    return items[(page - 1) * size : page * size], [("Link", header)] if header else []


def _number(text: str, default: int) -> int:
    return int(text) if text.isdigit() else default


def too_many(retry_after: int, status: int = 429) -> Answer:
    """rate-limits-for-the-rest-api#exceeding-the-rate-limit: 403 or 429, a message, and perhaps Retry-After."""
    body = {
        "message": SECONDARY_LIMIT,
        "documentation_url": f"{RATE_LIMITS}#about-secondary-rate-limits",
        "status": str(status),
    }
    return json_answer(status, body, ("Retry-After", str(retry_after)))


def secondary_limit(status: int = 403, retry_after: str | None = "60") -> Respond:
    """A fault: the secondary limit as GitHub words it, with a ``Retry-After`` or without one."""
    answer = too_many(0, status)
    headers = {"Content-Type": "application/json; charset=utf-8", "X-RateLimit-Remaining": "4711"}
    return Respond(status, answer.body, headers | ({"Retry-After": retry_after} if retry_after else {}))
