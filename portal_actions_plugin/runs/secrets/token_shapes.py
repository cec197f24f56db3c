"""Tokens that anybody recognises: masked wherever a run writes, and refused in an input that is stored readable."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.runs.secrets.escapes import Span, readings
from portal_actions_plugin.runs.secrets.storable import parts

MASK = "•••"

_PEM_NAME = r"(?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"

# A pattern begins with a letter of its own and then looks back: so a search skips all places without such a letter.
_TOKENS = {
    "a GitHub token": (
        r"g(?<![A-Za-z0-9_]g)(?:h[pousr]_[A-Za-z0-9]{36,}|ithub_pat_[A-Za-z0-9_]{36,}"
        # An App's, since April 2026: "GitHub App installation tokens" of GitHub's changelog.
        r"|hs_[0-9]{1,20}_eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,})"
    ),
    "a GitLab token": (
        r"g(?<![A-Za-z0-9_]g)l(?:pat|dt|rtr?|cbt|ptt|ft|soat|imt|agent|ffct|oas)-[A-Za-z0-9_-]{20,}"
        r"(?:\.[0-9a-z]{2}\.[0-9a-z]{7,9})?"
    ),
    "a Slack token": r"x(?<![A-Za-z0-9_]x)ox[a-z](?:\.xox[a-z])?-(?=[A-Za-z-]{0,40}[0-9])[A-Za-z0-9-]{10,}",
    "an AWS access key": r"A(?<![A-Za-z0-9]A)(?:KIA|SIA)[A-Z0-9]{16}(?![A-Za-z0-9])",
    "a JSON Web Token": r"e(?<![A-Za-z0-9_-]e)yJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}",
    "a private key": (
        rf"-----BEGIN {_PEM_NAME}"
        rf"(?:(?:[A-Za-z0-9+/=\s\\:,.()]|-(?!----)){{16,}}-----END {_PEM_NAME}"
        # One that is cut off, as at the end of a log line.
        r"|(?:\s|\\[nr])*[A-Za-z0-9+/=]{40,}(?:(?:\s|\\[nr])+[A-Za-z0-9+/=]{16,})*)"
    ),
}
# These are masked, but an input may have them: a README and a configuration file are full of such examples.
_PLACES_OF_TOKENS = (
    # What stands for a password in a file, such as ${TOKEN} or <password>, is none.
    r"(://[^\s/?#:@'\"<>]{0,200}:)(?![$\{<*•]|%\()[^\s/?#'\"<>]{1,1000}(?=@)",
    r"([Aa](?i:uthorization)[\\\"']*\s*[:=,]\s*[\\\"']*(?i:bearer|basic|token)\s+)[A-Za-z0-9._~+/=-]{8,}",
)
_ANY = re.compile("|".join((*_TOKENS.values(), *_PLACES_OF_TOKENS)))
_ANY_TOKEN = re.compile("|".join(_TOKENS.values()))
_EACH = {name: re.compile(shape) for name, shape in _TOKENS.items()}


def mask_tokens(text: str) -> str:
    """Mask what has the shape of a token, also with escaped characters; what tells where it was stays."""
    spans = list(_token_spans(text))
    for read, in_source in readings(text):
        spans += map(in_source, _token_spans(read))
    return masked_at(text, spans)


def _token_spans(text: str) -> Iterator[Span]:
    for found in _ANY.finditer(text):
        # A group is what stands before a token and tells where it is.
        told = [found.end(group) for group in range(1, _ANY.groups + 1) if found[group] is not None]
        yield max(told, default=found.start()), found.end()


def masked_at(text: str, spans: Iterable[Span]) -> str:
    """A text with the mask in place of each of these parts; of those that overlap, there is one."""
    parts: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if start >= done:
            parts += text[done:start], MASK
        done = max(done, end)
    return "".join((*parts, text[done:])) if parts else text


def require_no_token(data: Mapping[str, Any]) -> None:
    """Refuse a token in an input that is stored readable; raises ValidationError that names each such field."""
    wrong: dict[str, list[str]] = {}
    for place, name in _found(data, ""):
        wrong[mask_tokens(place)] = [f"Looks like {name}: give it in a secret field."]
    if wrong:
        raise ValidationError(
            f"A token must not be stored readable: see {', '.join(wrong)}.",
            hint="Give it in a field that is declared as secret. When it has got about, revoke it.",
            fields=wrong,
        )


def _found(data: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(data, str):
        for text in (data, *(read for read, _ in readings(data))):
            if _ANY_TOKEN.search(text):
                yield path, next(name for name, shape in _EACH.items() if shape.search(text))
                return
    elif isinstance(data, Mapping | list | tuple):
        for place, value in parts(data, path):
            if isinstance(data, Mapping):
                yield from ((place, name) for _, name in _found(place, place))
            yield from _found(value, place)
