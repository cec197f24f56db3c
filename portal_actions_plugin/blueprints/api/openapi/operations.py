"""The OpenAPI document as its page shows it: operations by name, each with a line for ``curl``, and what all share once."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

Json = dict[str, Any]

_METHODS = ("get", "post")
_WHO = '-H "Authorization: Bearer $TOKEN"'


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    Attributes:
        id: its name, which is also its place on the page.
        curl: a command that asks for it, on several lines.
        answers: what it says when it went well, by status; headers are not repeated.
        errors: the statuses of errors, which mean the same everywhere.
    """

    id: str
    method: str
    path: str
    summary: str
    description: str
    curl: str
    parameters: tuple[Json, ...]
    body: Json | None
    answers: tuple[tuple[str, Json], ...]
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shared:
    """A header or an error, and which answers have it."""

    name: str
    description: str
    where: str


def operations(spec: Json, base: str) -> dict[str, list[Operation]]:
    """The operations by what their tags say.

    Args:
        spec: the whole document.
        base: the portal's address, before the paths.
    """
    found: dict[str, list[Operation]] = {tag["name"]: [] for tag in spec["tags"]}
    for path, item in spec["paths"].items():
        for method in _METHODS:
            if method in item:
                operation = _operation(spec, path, method, base)
                found[item[method]["tags"][0]].append(operation)
    return {tag["description"]: found[tag["name"]] for tag in spec["tags"] if found[tag["name"]]}


def _operation(spec: Json, path: str, method: str, base: str) -> Operation:
    item = spec["paths"][path]
    operation = item[method]
    parameters = tuple(_resolved(spec, one) for one in [*item.get("parameters", ()), *operation.get("parameters", ())])
    answers = sorted(operation["responses"].items())
    shared = {status for status, answer in answers if "$ref" in answer and status >= "400"}
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        description=operation["description"],
        curl=_curl(base, path, method, operation, parameters),
        parameters=parameters,
        body=operation.get("requestBody"),
        answers=tuple((status, _resolved(spec, answer)) for status, answer in answers if status not in shared),
        errors=tuple(status for status, _ in answers if status in shared),
    )


def _curl(base: str, path: str, method: str, operation: Json, parameters: tuple[Json, ...]) -> str:
    for parameter in parameters:
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(parameter["example"]))
    asked = {one["name"]: one["schema"]["example"] for one in parameters if one["in"] == "query" and one["required"]}
    path += f"?{urlencode(asked)}" if asked else ""
    lines = [f"curl {'-X POST ' if method == 'post' else ''}{shlex.quote(base + path)}"]
    if operation.get("security") != []:
        lines.append(_WHO)
    if any(parameter["name"] == "Idempotency-Key" for parameter in parameters):
        lines.append('-H "Idempotency-Key: $(uuidgen)"')
    if body := operation.get("requestBody"):
        example = json.dumps(body["content"]["application/json"]["example"], ensure_ascii=False)
        lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(example)}"]
    return " \\\n  ".join(lines)


def errors(spec: Json) -> list[Shared]:
    """What each error status means, and how its answer is called."""
    found = {status: answer for _, status, answer in _answers(spec) if "$ref" in answer and status >= "400"}
    return [
        Shared(status, _resolved(spec, answer)["description"], answer["$ref"].rpartition("/")[2])
        for status, answer in sorted(found.items())
    ]


def headers(spec: Json) -> list[Shared]:
    """What each header of answers says, and which answers have it."""
    where: dict[str, set[str]] = {}
    every: set[str] = set()
    for of, status, answer in _answers(spec):
        kind = f"the {status} of {of}" if status == "200" else status
        every.add(kind)
        for name in _resolved(spec, answer).get("headers", ()):
            where.setdefault(name, set()).add(kind)
    return [
        Shared(
            name,
            spec["components"]["headers"][name]["description"],
            "every answer" if kinds == every else ", ".join(sorted(kinds)),
        )
        for name, kinds in sorted(where.items())
    ]


def _answers(spec: Json) -> Iterator[tuple[str, str, Json]]:
    """Each answer with its status, and with what kind of operation gives it."""
    for item in spec["paths"].values():
        for method in _METHODS:
            answers = item.get(method, {}).get("responses", {})
            of = "a GET" if method == "get" else "a start" if "202" in answers else "a cancel"
            for status, answer in answers.items():
                yield of, status, answer


def _resolved(spec: Json, part: Json) -> Json:
    """What a part of an operation refers to."""
    if "$ref" not in part:
        return part
    _, _, kind, name = part["$ref"].split("/")
    found: Json = spec["components"][kind][name]
    return found
