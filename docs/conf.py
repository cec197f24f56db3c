"""How Sphinx builds these pages. Warnings are errors: see ``make docs``."""

from __future__ import annotations

import json
import pprint
import re
from collections.abc import Iterator
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING, Any

import yaml
from marshmallow import Schema, fields, validate

from portal_actions_plugin import errors
from portal_actions_plugin.actions.registry import Action, Registry
from portal_actions_plugin.blueprints.api.openapi.json_schema import json_schema
from portal_actions_plugin.scm.base import Operation
from portal_actions_plugin.scm.github.permissions import LABELS, NEEDS
from portal_actions_plugin.scm.gitlab.permissions import NEEDS as NEEDS_AT_GITLAB
from portal_actions_plugin.scm.optional import WORDS
from portal_actions_plugin.settings.config import SETTINGS
from portal_actions_plugin.settings.values import PREFIX
from portal_actions_plugin.software_templates.differences import DIFFERENCES

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "Portal Actions"
author = "The Portal Actions authors"
copyright = author
version = release = version_of("portal-actions-plugin")

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["deflist", "tasklist"]
myst_heading_anchors = 3
nitpicky = True

html_theme = "furo"
html_title = f"{project} {release}"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#4f46e5", "color-brand-content": "#4f46e5"},
    "dark_css_variables": {"color-brand-primary": "#8b8cff", "color-brand-content": "#8b8cff"},
}


def settings_reference() -> str:
    """Write a section for every setting, from the table that the code reads."""
    return "\n".join(
        f"## `{PREFIX}{one.name}`\n\n{one.doc}\n\n```python\n{PREFIX}{one.name} = {_written(one.default)}\n```\n"
        for one in SETTINGS
    )


def error_reference() -> str:
    """Write a row for every error that has a code, from the classes that the code raises."""
    rows = ["| code | status | says | does a retry help? |", "| --- | --- | --- | --- |"]
    for one in vars(errors).values():
        if isinstance(one, type) and issubclass(one, errors.PortalActionsError) and "code" in vars(one):
            said = (one.__doc__ or "").strip().splitlines()[0]
            rows.append(f"| `{one.code}` | {one.http_status} | {said} | {one.verdict} |")
    return "\n".join(rows)


def action_reference() -> str:
    """Write a section for every built-in action, from the schemas of its input and output."""
    return "\n".join(
        f"## `{one.id}`\n\n{one.description}\n\n{_fields('input', one.input)}{_fields('output', one.output)}"
        f"```yaml\n{_step(one)}```\n"
        for one in Registry.from_entry_points()
    )


def _step(action: Action) -> str:
    """A step of a template that runs an action, as YAML."""
    name = action.id.partition("@")[0].replace(":", ".").rpartition(".")[2]
    step = {"id": re.sub("(?=[A-Z])", "-", name).lower(), "action": action.id, "input": example(action.input())}
    text = yaml.safe_dump([step], sort_keys=False, allow_unicode=True, width=100)
    return text.replace("github.com", "gitlab.com") if "gitlab" in action.id else text


def example(schema: Schema) -> dict[str, Any]:
    """An input that a schema takes: what is required, and what an example is better with."""
    named = {field.data_key or name: field for name, field in schema.fields.items()}
    shown = {name: field for name, field in named.items() if field.required or name in SHOWN}
    return {name: _example(name, field) for name, field in (shown or dict(list(named.items())[:1])).items()}


def _example(name: str, field: Any) -> Any:
    if "example" in field.metadata:
        return field.metadata["example"]
    if isinstance(field, fields.Nested):
        inner = example(field.schema)
        return [inner] if field.many else inner
    if isinstance(field, fields.List):
        inner_name = SINGULAR.get(name, name)
        return [_example(inner_name, field.inner)]
    of_kind = next((value for kind, value in _OF_KINDS.items() if isinstance(field, kind)), f"an example of {name}")
    found = SAMPLES.get(name, of_kind)
    choices = next((list(one.choices) for one in field.validators if isinstance(one, validate.OneOf)), [found])
    return found if found in choices else choices[0]


_OF_KINDS = {fields.Boolean: True, fields.Number: 3, fields.Mapping: {"name": "orders"}, fields.Raw: {"name": "orders"}}
SHOWN = frozenset(["values", "targetPath", "message", "seconds", "content", "skeleton", "labels", "defaultBranch"])
"""Fields that an example has though they need not be given."""
SINGULAR = {"files": "path", "paths": "path", "labels": "label", "events": "event", "topics": "topic"}
SAMPLES: dict[str, Any] = {
    "amount": 5,
    "appName": "orders",
    "body": "Please have a look.",
    "branch": "main",
    "branchName": "add-orders",
    "branchOrTagName": "main",
    "callbackUrl": "https://portal.example.com/hooks/orders",
    "catalogInfoUrl": "https://github.com/acme/orders/blob/main/catalog-info.yaml",
    "commitMessage": "Add orders",
    "content": "port: 8080\n",
    "data": {"port": 8080},
    "defaultBranch": "main",
    "description": "Orders of the shop",
    "entity": {"apiVersion": "backstage.io/v1alpha1", "kind": "Component", "metadata": {"name": "orders"}},
    "entityId": "component:default/orders",
    "entityRef": "component:default/orders",
    "event": "push",
    "file": "src/**/*.py",
    "find": "localhost",
    "from": "src/template",
    "headBranch": "add-orders",
    "key": "PORT",
    "kind": "component",
    "label": "from-portal",
    "labels": "from-portal",
    "message": "Hello",
    "name": "orders",
    "number": 7,
    "outputPath": "orders.zip",
    "owner": "acme",
    "ownerRef": "group:default/shop",
    "path": "config/app.yaml",
    "projectId": "acme/orders",
    "provider": "local",
    "replaceWith": "db.example.com",
    "repo": "orders",
    "repoUrl": "github.com?owner=acme&repo=orders",
    "scorecardId": "production-readiness",
    "skeleton": "./skeleton",
    "targetPath": "./",
    "title": "Add orders",
    "to": "src/orders",
    "topic": "shop",
    "url": "./skeleton",
    "value": "8080",
    "values": {"name": "orders"},
    "webhookUrl": "https://portal.example.com/hooks/orders",
    "workflow": "ci.yml",
    "workflowId": "ci.yml",
    "workflowOrBranchRef": "main",
}
"""Values of fields by their names, where a schema does not say what is in one."""


def differences_reference() -> str:
    """Write a row for each difference from Backstage's scaffolder, from the list that the tests compare by."""
    rows = [
        "| what | at home | here, in documents of Backstage | here, in our own | why |",
        "| --- | --- | --- | --- | --- |",
    ]
    for one in DIFFERENCES:
        backstage = one.backstage or "as at home"
        cells = (one.written, one.at_home, backstage, one.ours or backstage, one.why)
        escaped = [cell.replace("|", "\\|") for cell in cells]
        rows.append(f"| {' | '.join(escaped)} |")
    return "\n".join(rows)


def github_reference() -> str:
    """Write a row for every operation, from what the provider for GitHub checks credentials by."""
    rows = ["| to | in | classic token | App or fine-grained token |", "| --- | --- | --- | --- |"]
    for operation, need in NEEDS.items():
        scopes = ", ".join(f"`{scope}`" for scope in need.scopes)
        permissions = [f"{LABELS[name]}: {level}" for name, level in need.permissions.items()]
        permissions += [f"{LABELS[name]}: {level} (for a part of it)" for name, level in need.besides.items()]
        users = ", ".join(f"`{one}`" for one in _users(operation, "github"))
        rows.append(f"| {WORDS[operation]} | {users} | {scopes} | {', '.join(permissions)} |")
    return "\n".join(rows)


def gitlab_reference() -> str:
    """Write a row for every operation, from what the provider for GitLab checks credentials by."""
    rows = ["| to | in | scope of the token | role of its account |", "| --- | --- | --- | --- |"]
    for operation, need in NEEDS_AT_GITLAB.items():
        scopes = " or ".join(f"`{scope}`" for scope in need.scopes)
        users = ", ".join(f"`{one}`" for one in _users(operation, "gitlab"))
        rows.append(f"| {WORDS[operation]} | {users} | {scopes} | {need.role} |")
    return "\n".join(rows)


def _users(operation: Operation, kind: str) -> list[str]:
    """The actions that ask a kind of forge for an operation, for any of the inputs that make a difference."""
    return [
        one.id
        for one in Registry.from_entry_points()
        if not one.forges or kind in one.forges
        if any(operation in one.operations_for(data) for data in _INPUTS)
        or (operation is Operation.READ and one.operations)
    ]


_WORKFLOW = {"path": ".github/workflows/ci.yml"}
_INPUTS: tuple[dict[str, Any], ...] = (
    {},
    {**_WORKFLOW, "files": [_WORKFLOW], "type": "github-actions", "secret": False},
    {"settings": {"merge_method": "ff"}, "labels": ["shop"]},
)


def _fields(which: str, schema: Any) -> str:
    rows = list(_rows(json_schema(schema), "")) if schema else []
    if not rows:
        return ""
    return "\n".join([f"| {which} | is | means |", "| --- | --- | --- |", *rows]) + "\n\n"


def _rows(schema: dict[str, Any], prefix: str) -> Iterator[str]:
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        kinds = field.get("type", "any JSON")
        kind = " or ".join(
            _KINDS.get(one, one) for one in ([kinds] if isinstance(kinds, str) else kinds) if one != "null"
        )
        if "enum" in field:
            kind = ", ".join(f"`{one}`" for one in field["enum"])
        if name in required:
            kind += "; required"
        elif field.get("default") not in (None, [], {}):
            kind += f"; `{json.dumps(field['default'])}` by default"
        if field.get("writeOnly"):
            kind += "; secret"
        yield f"| `{prefix}{name}` | {kind} | {field.get('description', '')} |"
        inner, ending = (field["items"], "[].") if "items" in field else (field, ".")
        if "properties" in inner and name != "repo":
            yield from _rows(inner, f"{prefix}{name}{ending}")


_KINDS = {"string": "text", "object": "table", "array": "list", "boolean": "true or false", "integer": "whole number"}


def _written(default: Any) -> str:
    if not isinstance(default, dict) or not default:
        return pprint.pformat(default)
    return "{\n" + "".join(f"    {key!r}: {value!r},\n" for key, value in default.items()) + "}"


def _fill_in(_app: Sphinx, page: str, source: list[str]) -> None:
    if page == "settings":
        source[0] = source[0].replace("<!-- settings -->", settings_reference())
    if page == "bring-your-templates":
        source[0] = source[0].replace("<!-- differences -->", differences_reference())
    if page == "actions":
        source[0] = source[0].replace("<!-- actions -->", action_reference())
    if page == "connect-github":
        source[0] = source[0].replace("<!-- github -->", github_reference())
    if page == "connect-gitlab":
        source[0] = source[0].replace("<!-- gitlab -->", gitlab_reference())
    if page == "errors":
        source[0] = source[0].replace("<!-- errors -->", error_reference())


def setup(app: Sphinx) -> None:
    app.connect("source-read", _fill_in)
