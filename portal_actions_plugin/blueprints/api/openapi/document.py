"""The OpenAPI document: what the views declare, made whole with what is the same for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from apispec import APISpec
from flask import Flask

from portal_actions_plugin.blueprints import csrf, headers
from portal_actions_plugin.blueprints.api.openapi import examples
from portal_actions_plugin.blueprints.api.schemas.common import ErrorSchema
from portal_actions_plugin.blueprints.api.schemas.runs import STEP_STATUSES
from portal_actions_plugin.blueprints.downloads import MASKED_HEADER
from portal_actions_plugin.runs.guards.idempotency import KEY
from portal_actions_plugin.runs.reading.audit_trail import OUTCOMES
from portal_actions_plugin.runs.states import STATUSES
from portal_actions_plugin.settings.config import Config

Json = dict[str, Any]

ERRORS = {
    400: ("BadRequest", "The body is not JSON."),
    401: ("Unauthenticated", "No identity."),
    403: ("PermissionDenied", "The permission is missing, or the CSRF token."),
    404: ("NotFound", "There is no such thing, or you may not know of it."),
    409: ("Conflict", "The run is in the wrong state for this."),
    412: ("Changed", "With an If-Match header: it is not, or not any more, what that names."),
    413: ("TooLarge", "The body is too large."),
    422: ("Invalid", "The input is wrong, field by field."),
    429: ("TooManyStarts", "Too many starts; Retry-After says how many seconds to wait."),
    500: ("InternalError", "A bug. The server's log has it, this answer has no detail."),
    503: (
        "Unavailable",
        "The database does not answer, its tables are not set up, or the portal lacks a setting for this.",
    ),
}
"""Each error status: the name of its answer in the document, and what it means."""

_TAGS = {
    "portal_actions_action_runs": ("Action runs", "Executions of actions."),
    "portal_actions_templates": ("Templates", "Software templates and their executions."),
    "portal_actions_workspaces": ("Workspaces", "The files that the steps of a template run share."),
    "portal_actions_actions": ("Actions", "What can be run."),
    "portal_actions_scm": ("Forges", "Where repositories are."),
    "portal_actions_audit": ("Audit", "Who did what."),
    "portal_actions_health": ("Health", "For monitoring."),
    "portal_actions_reference": ("Reference", "This document, for programs and for people."),
}
_PATH_PARAMETERS: dict[str, tuple[str, Json]] = {
    "run_id": ("The run's id. What is no id at all is a 404 too.", {"type": "string", "format": "uuid"}),
    "action_id": ("The action's id, with its version.", {"type": "string", "minLength": 1}),
    "name": ("The template's name.", {"type": "string", "minLength": 1}),
    "position": ("Which step of the run, counted from 0.", {"type": "string", "pattern": "^[0-9]{1,8}$"}),
}
_ACTION_RUN_LINKS = ("get_action_run", "get_action_run_logs", "cancel_action_run", "retry_action_run")
_TEMPLATE_RUN_LINKS = (
    *("get_template_run", "cancel_template_run", "retry_template_run", "resume_template_run"),
    "get_workspace",
)
_LINKS = {
    **dict.fromkeys(("start_action_run", *_ACTION_RUN_LINKS), _ACTION_RUN_LINKS),
    **dict.fromkeys(("start_template_run", *_TEMPLATE_RUN_LINKS[:4]), _TEMPLATE_RUN_LINKS),
}
"""Where an answer with a run leads: each link is named after its operation. A list may be empty, and leads nowhere."""


def _header(description: str, schema: Json) -> Json:
    return {"description": description, "required": True, "schema": schema}


_COUNT: Json = {"type": "integer", "minimum": 0}
_HEADERS = {
    "Cache-Control": _header("What caches may do with it.", {"type": "string", "examples": ["no-cache, private"]}),
    "Content-Security-Policy": _header("What it may load.", {"type": "string", "examples": [headers.DATA_POLICY]}),
    "Referrer-Policy": _header("Who learns its address.", {"enum": ["no-referrer", "same-origin"]}),
    "X-Content-Type-Options": _header("It is what it says that it is.", {"const": "nosniff"}),
    "ETag": _header("Send it back in If-None-Match.", {"type": "string", "minLength": 2}),
    "Location": _header("The run.", {"type": "string", "format": "uri-reference"}),
    "RateLimit-Limit": _header("Starts allowed in the window.", {"type": "integer", "minimum": 1}),
    "RateLimit-Remaining": _header("Starts left in the window.", _COUNT),
    "RateLimit-Reset": _header("Seconds until the oldest start leaves the window.", _COUNT),
    "Retry-After": _header("Seconds to wait.", _COUNT),
    "Retry-After-If-Known": {**_header("Seconds to wait, when waiting helps.", _COUNT), "required": False},
    "Content-Disposition": _header("It is saved, and under which name.", {"type": "string", "minLength": 1}),
    MASKED_HEADER: {**_header("Secrets in the file are masked.", {"const": "yes"}), "required": False},
    "WWW-Authenticate": _header("How to say who asks.", {"const": "Bearer"}),
}
_ALWAYS = ("Cache-Control", "Content-Security-Policy", "Referrer-Policy", "X-Content-Type-Options")
_QUOTA = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_ERROR_HEADERS = {401: ("WWW-Authenticate",), 429: (*_QUOTA, "Retry-After")}
STARTED = {name: name for name in ("Location", *_QUOTA)}
"""What the answer to a start has besides."""


_ENUMS: dict[str, Json] = {
    "RunStatus": {
        "type": "string",
        "enum": list(STATUSES),
        "description": "Where a run is: the last three are for ever.",
    },
    "AuditOutcome": {
        "type": "string",
        "enum": list(OUTCOMES),
        "description": "How something ended that somebody asked for.",
    },
}
_STEP_STATUS: Json = {
    "description": "Where a step is: as its action run, or without one.",
    "anyOf": [
        {"$ref": "#/components/schemas/RunStatus"},
        {"type": "string", "enum": [status for status in STEP_STATUSES if status not in STATUSES]},
    ],
}


def spec_options(app: Flask) -> Json:
    """What the document says besides the paths."""
    cookie = {"type": "apiKey", "in": "cookie", "name": str(app.config["SESSION_COOKIE_NAME"])}
    token = {"type": "apiKey", "in": "header", "name": csrf.HEADERS[0]}
    return {
        "info": {
            "summary": "Run, watch and repair self-service actions.",
            "description": (
                "Send `Authorization: Bearer …`, or the portal's session cookie and, on writes, the CSRF token in "
                f"`{csrf.HEADERS[0]}`. A path or a method that is not here is the portal's own 404 or 405."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A token of the portal."},
                "session": {**cookie, "description": "Who is signed in to the portal."},
                "csrf": {**token, "description": "The portal's CSRF token, on writes with a cookie."},
            }
        },
        "security": [{"bearer": []}, {"session": []}],
    }


def add_components(spec: APISpec) -> None:
    """Add what operations refer to: headers, error answers, and parameters that many take."""
    for name, header in _HEADERS.items():
        spec.components.header(name, header)
    for status, (name, description) in ERRORS.items():
        content = {"application/json": {"schema": ErrorSchema, "example": examples.error(status)}}
        own = {"Retry-After": _ref("headers", "Retry-After-If-Known")} if status == 503 else {}
        headers_of_it = _refs(_ERROR_HEADERS.get(status, ())) | own
        answer = {"description": description, "headers": headers_of_it, "content": content}
        spec.components.response(name, answer)
    spec.components.response("NotModified", {"description": "Nothing has changed.", "headers": _refs(("ETag",))})
    spec.components.parameter(
        "IfNoneMatch",
        "header",
        {
            "name": "If-None-Match",
            "required": False,
            "schema": {"type": "string"},
            "description": "The ETag of an earlier answer: 304 when nothing has changed since. Anything else is ignored.",
        },
    )
    spec.components.parameter(
        "IdempotencyKey",
        "header",
        {
            "name": "Idempotency-Key",
            "required": False,
            "schema": {"type": "string", "pattern": KEY, "minLength": 1, "maxLength": 255},
            "description": "The same key and body again is the same run.",
        },
    )


def complete_document(app: Flask, config: Config, spec: Json, root: str) -> Json:
    """Make what the views declare whole.

    Args:
        app: whose rules name the operations.
        config: with the API's prefix and the portal's public address.
        spec: what the views declare; it becomes the document.
        root: where the portal is below its host, when its public address is not known.
    """
    spec["servers"] = [{"url": config.public_url or root or "/"}]
    spec["tags"] = [{"name": name, "description": description} for name, description in _TAGS.values()]
    spec["paths"].update(_own_paths(config.api_prefix))
    names = {
        (_path(rule.rule), method): rule.endpoint.rpartition(".")[2]
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
    }
    _name_enums(spec)
    for path, method, operation in _operations(spec):
        operation["operationId"] = names[path, method.upper()]
        operation["tags"] = [_TAGS[tag][0] if tag in _TAGS else tag for tag in operation["tags"]]
        _complete(operation, method)
    for item in spec["paths"].values():
        item["parameters"] = [_path_parameter(parameter) for parameter in item.pop("parameters", [])]
    return spec


def _name_enums(spec: Json) -> None:
    """Give each set of words that is meant in many places one component: a client has one type for it."""
    named = {tuple(shape["enum"]): name for name, shape in _ENUMS.items()}
    for part in (spec["paths"], spec["components"]["schemas"]):
        _refer_to_enums(part, named)
    spec["components"]["schemas"] |= deepcopy({**_ENUMS, "StepStatus": _STEP_STATUS})


def _refer_to_enums(part: object, named: Mapping[tuple[str, ...], str]) -> None:
    if isinstance(part, list):
        for one in part:
            _refer_to_enums(one, named)
    if not isinstance(part, dict):
        return
    words = part.get("enum")
    name = (
        "StepStatus" if words == list(STEP_STATUSES) else named.get(tuple(words)) if isinstance(words, list) else None
    )
    if name is not None:
        del part["enum"], part["type"]
        part |= _ref("schemas", name)
    for one in part.values():
        _refer_to_enums(one, named)


def _complete(operation: Json, method: str) -> None:
    name, answers = operation["operationId"], operation["responses"]
    is_open = operation.get("security") == []
    if method == "get":
        operation.setdefault("parameters", []).append(_ref("parameters", "IfNoneMatch"))
        answers["304"] = _ref("responses", "NotModified")
        if "application/json" in answers["200"]["content"]:
            answers["412"] = _ref("responses", ERRORS[412][0])
    else:
        operation["security"] = [{"bearer": []}, {"session": [], "csrf": []}]
    if not is_open:
        answers["500"] = _ref("responses", ERRORS[500][0])
        answers["503"] = _ref("responses", ERRORS[503][0])
    for status, answer in answers.items():
        if "$ref" in answer:
            continue
        answer["headers"] = answer.get("headers", {}) | _refs(("ETag",) if (method, status) == ("get", "200") else ())
        if status in ("200", "202"):
            if example := examples.answers().get(name):
                answer["content"]["application/json"]["example"] = example
            if links := _links(name):
                answer["links"] = links
    if name in examples.BODIES:
        operation["requestBody"]["content"]["application/json"]["example"] = examples.BODIES[name]


def _operations(spec: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in spec["paths"].items():
        for method in ("get", "post"):
            if method in item:
                yield path, method, item[method]


def _path(rule: str) -> str:
    return rule.replace("<", "{").replace(">", "}")


def _path_parameter(parameter: Json) -> Json:
    name = parameter["name"]
    description, schema = _PATH_PARAMETERS[name]
    return {**parameter, "description": description, "schema": schema, "example": examples.PARAMETERS[name]}


def _links(operation_id: str) -> Json:
    run = {"run_id": "$request.path.run_id" if operation_id.endswith("_logs") else "$response.body#/id"}
    return {name: {"operationId": name, "parameters": run} for name in _LINKS.get(operation_id, ())}


def _refs(names: tuple[str, ...]) -> Json:
    return {name: _ref("headers", name) for name in (*names, *_ALWAYS)}


def _ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


def _own_paths(prefix: str) -> Json:
    """The document itself, and the page that shows it."""
    return {
        f"{prefix}/openapi.json": {
            "get": {
                "summary": "Get this document; no identity needed.",
                "description": "OpenAPI 3.1, for programs: clients are made of it.",
                "tags": ["portal_actions_reference"],
                "security": [],
                "responses": {
                    "200": {
                        "description": "OK",
                        "content": {
                            "application/json": {"schema": {"type": "object"}, "example": {"openapi": "3.1.0"}}
                        },
                    }
                },
            }
        },
        f"{prefix}/docs": {
            "get": {
                "summary": "Show this document to people; no identity needed.",
                "description": "A page in the portal's layout, with a line for `curl` for each operation.",
                "tags": ["portal_actions_reference"],
                "security": [],
                "responses": {
                    "200": {
                        "description": "OK",
                        "content": {"text/html": {"schema": {"type": "string"}, "example": "<!doctype html>…"}},
                    }
                },
            }
        },
    }
