"""Made-up inputs: values that a parameter's JSON Schema takes, for trying a template that nobody has filled in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.software_templates.parameters.patterns import matches
from portal_actions_plugin.software_templates.parameters.schemas import declared, whole

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.parameters.schemas import Schema
    from portal_actions_plugin.software_templates.spec import Template

_MAX_DEPTH = 8
_MAX_ITEMS = 20
_ROUNDS = 5
_REQUIRED = "is required"
_BY_FORMAT = {
    "date": "2026-01-02",
    "date-time": "2026-01-02T03:04:05Z",
    "time": "03:04:05Z",
    "duration": "P1D",
    "email": "ada@example.com",
    "idn-email": "ada@example.com",
    "hostname": "example.com",
    "idn-hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/example",
    "url": "https://example.com/example",
    "iri": "https://example.com/example",
    "uri-reference": "/example",
    "uuid": "12345678-1234-4234-8234-123456789012",
    "regex": "^a$",
    "json-pointer": "/example",
}
_BY_FIELD = {
    "EntityPicker": "component:default/example",
    "MultiEntityPicker": "component:default/example",
    "OwnerPicker": "group:default/example",
    "OwnedEntityPicker": "component:default/example",
    "MyGroupsPicker": "group:default/example",
}
_TEXTS = (
    "example", "example-service", "Example", "exampleService", "ExampleService", "example_service", "EXAMPLE", "EXAMPLE_1",
    "example1", "ex", "e", "E", "abc", "ABC", "1", "12", "123", "1234", "12345", "123456", "123456789012", "0.1", "1.0.0",
    "v1.0.0", "8080", "512Mi", "1Gi", "100m", "10.0.0.0/16", "10.0.0.1", "us-east-1", "us-east-1a", "t3.micro",
    "https://example.com", "https://example.com/example", "https://github.com/example/example",
    "https://github.com/example/example.git", "git@github.com:example/example.git", "ada@example.com", "example.com",
    "com.example", "com.example.service", "@example/example", "example/example", "/example", "./example", "example.yaml",
    "group:default/example", "user:default/example", "component:default/example", "PROJ-123", "PROJ", "2026-01-02",
    "arn:aws:iam::123456789012:role/example", "vpc-0123456789abcdef0", "subnet-0123456789abcdef0", "sg-0123456789abcdef0",
    "ami-0123456789abcdef0", "#ff0000", "+491234567890", "An example.", "12345678-1234-4234-8234-123456789012",
)  # fmt: skip
"""What the patterns of forms ask for most often."""


def all_inputs(template: Template) -> dict[str, JsonValue]:
    """A value for each parameter of a template, also for those that only a condition asks for."""
    form = template.inputs_schema()
    return {name: _of_field(form, found) for name, found in declared(form).items()}


def required_inputs(template: Template) -> dict[str, JsonValue]:
    """Values for what a template cannot do without, and the defaults that a start adds to them.

    A value that its schema refuses all the same, such as one of a rare pattern, is among them too.
    """
    form = template.inputs_schema()
    fields = declared(form)
    inputs: dict[str, JsonValue] = {}
    wanted: Iterable[str] = [name for name in form.get("required", ()) if not _has_default(form, name)]
    for _ in range(_ROUNDS):
        inputs |= {name: _of_field(form, fields.get(name, ())) for name in wanted}
        try:
            return template.input_check.fill(inputs)
        except ValidationError as error:
            wanted = [name for name, said in error.fields.items() if _says_required(said) and name not in inputs]
        if not wanted:
            break
    return {**_defaults(form), **inputs}


def _has_default(form: Schema, name: str) -> bool:
    schema = whole(form, form.get("properties", {}).get(name))
    return isinstance(schema, Mapping) and "default" in schema


def _defaults(form: Schema) -> dict[str, JsonValue]:
    found = {name: whole(form, schema) for name, schema in form.get("properties", {}).items()}
    return {name: one["default"] for name, one in found.items() if isinstance(one, Mapping) and "default" in one}


def _says_required(said: object) -> bool:
    return isinstance(said, list) and any(str(one).startswith(_REQUIRED) for one in said)


def _of_field(form: Schema, found: Iterable[object]) -> JsonValue:
    """A value for a field: the first of its schemas that says more than that it is there."""
    schemas = [schema for schema in found if isinstance(schema, Mapping)]
    return sample(form, next((schema for schema in schemas if "type" in schema), schemas[0] if schemas else {}))


def sample(form: Schema, given: object, depth: int = 0) -> JsonValue:
    """A value that a schema most likely takes: an example, the default, the first option, the least of its type.

    Args:
        form: where a ``$ref`` leads.
        given: the schema, a part of the form.
        depth: how many values it is within.
    """
    schema = _flat(form, given, depth)
    for value in _written(schema):
        return value
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind == "object" or (kind is None and "properties" in schema):
        return _object(form, schema, depth)
    if kind == "array":
        return _list(form, schema, depth)
    if kind in {"integer", "number"}:
        return _number(schema)
    return {"boolean": True, "null": None}.get(str(kind), _text(schema))


def _flat(form: Schema, given: object, depth: int) -> Schema:
    """A schema with what it refers to, all of ``allOf``, and the first way of ``oneOf`` and ``anyOf``."""
    schema = whole(form, given)
    if not isinstance(schema, Mapping):
        return {}
    branches = [*(schema.get("allOf") or ()), *(schema.get("oneOf") or ())[:1], *(schema.get("anyOf") or ())[:1]]
    flat = dict(schema)
    for branch in branches if depth < _MAX_DEPTH else ():
        inner = _flat(form, branch, depth + 1)
        properties = {**flat.get("properties", {}), **inner.get("properties", {})}
        required = [*flat.get("required", ()), *inner.get("required", ())]
        flat = {**flat, **inner} | ({"properties": properties, "required": required} if properties else {})
    return flat


def _written(schema: Schema) -> Iterator[JsonValue]:
    if "const" in schema:
        yield schema["const"]
    for word in ("examples", "example"):
        examples = schema.get(word)
        yield from examples[:1] if isinstance(examples, list) else () if examples is None else (examples,)
    if schema.get("default") is not None:
        yield schema["default"]
    if isinstance(schema.get("enum"), list):
        yield from (option for option in schema["enum"] if option is not None)


def _object(form: Schema, schema: Schema, depth: int) -> JsonValue:
    if depth >= _MAX_DEPTH:
        return {}
    properties = schema.get("properties", {})
    return {name: sample(form, properties.get(name), depth + 1) for name in schema.get("required", ())}


def _list(form: Schema, schema: Schema, depth: int) -> JsonValue:
    if depth >= _MAX_DEPTH:
        return []
    items = schema.get("items")
    options = items.get("enum") if isinstance(items, Mapping) else None
    number = min(max(1, int(schema.get("minItems", 0))), _MAX_ITEMS)
    if isinstance(options, list) and options:
        return options[:number]
    return [sample(form, items, depth + 1) for _ in range(number)]


def _number(schema: Schema) -> JsonValue:
    least, most = schema.get("minimum"), schema.get("maximum")
    if isinstance(above := schema.get("exclusiveMinimum"), int | float):
        least = above + 1
    if isinstance(below := schema.get("exclusiveMaximum"), int | float):
        most = below - 1
    step = schema.get("multipleOf", 1) if schema.get("type") == "integer" or "multipleOf" in schema else 1
    value = least if isinstance(least, int | float) else min(step, most) if isinstance(most, int | float) else step
    return -(-value // step) * step if isinstance(step, int | float) and step > 0 else value


def _text(schema: Schema) -> str:
    field = schema.get("ui:field")
    if field == "RepoUrlPicker":
        options = schema.get("ui:options")
        hosts = options.get("allowedHosts") if isinstance(options, Mapping) else None
        host = hosts[0] if isinstance(hosts, list) and hosts and isinstance(hosts[0], str) else "github.com"
        return f"{host}?owner=example&repo=example"
    first = _BY_FIELD.get(str(field)) or _BY_FORMAT.get(str(schema.get("format")))
    texts = [first, *_TEXTS] if first else list(_TEXTS)
    least = int(schema.get("minLength", 0))
    texts += [("example" * (least // 7 + 1))[:least]]
    return next((text for text in texts if text is not None and _takes(schema, text)), "example")


def _takes(schema: Schema, text: str) -> bool:
    pattern = schema.get("pattern")
    if not schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", len(text)):
        return False
    return not isinstance(pattern, str) or matches(pattern, text)
