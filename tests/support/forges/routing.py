"""Which function answers a request: templates such as ``/repos/{owner}/{repo}`` over paths as they were sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote


@dataclass(frozen=True, slots=True)
class Route:
    """A template and what answers it.

    Attributes:
        method: in capitals.
        template: ``{name}`` is one segment, in which a slash is sent as ``%2F``; ``{name:**}`` is all the rest.
        handler: whatever the forge calls.
        facts: what the forge wants to know of it beforehand.
    """

    method: str
    template: str
    handler: Callable[..., Any]
    facts: Any

    def match(self, path: str) -> dict[str, str] | None:
        """The template's values, decoded; None of a path that it does not mean."""
        found = _compiled(self.template).fullmatch(path)
        return {name: unquote(value) for name, value in found.groupdict().items()} if found else None


_patterns: dict[str, re.Pattern[str]] = {}


def _compiled(template: str) -> re.Pattern[str]:
    if template not in _patterns:
        parts = re.split(r"\{(\w+(?::\*\*)?)\}", template)
        expression = "".join(
            re.escape(part)
            if index % 2 == 0
            else f"(?P<{part.removesuffix(':**')}>{'.+' if part.endswith(':**') else '[^/]+'})"
            for index, part in enumerate(parts)
        )
        _patterns[template] = re.compile(expression)
    return _patterns[template]


class Routes:
    """The routes of a forge, or of a part of it; the first that matches answers."""

    def __init__(self) -> None:
        self._routes: list[Route] = []

    def on(self, method: str, template: str, facts: Any = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """A decorator that lets a function answer."""

        def add(handler: Callable[..., Any]) -> Callable[..., Any]:
            self._routes.append(Route(method, template, handler, facts))
            return handler

        return add

    def include(self, *others: Routes) -> None:
        """Add the routes of parts, in this order."""
        for other in others:
            self._routes += other._routes

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route of a request, without the API's prefix, and the values in its path."""
        for route in self._routes:
            if route.method == method and (values := route.match(path)) is not None:
                return route, values
        return None
