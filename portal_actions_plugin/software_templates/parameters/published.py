"""The schema that a host's form or a program is shown: it judges what somebody gives just as the server does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from portal_actions_plugin.software_templates.expressions.limits import SandboxError, budget, current_budget
from portal_actions_plugin.software_templates.parameters.branches import Branches
from portal_actions_plugin.software_templates.parameters.inputs import validator
from portal_actions_plugin.software_templates.parameters.schemas import Schema, declared, resolve
from portal_actions_plugin.software_templates.readings import Reading

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue

_PARTS = ("if", "then", "else", "not")
_LISTS = ("allOf", "oneOf", "anyOf")
_PRIVATE = ("backstage:permissions", "when")
_SECONDS = 2.0


def published(form: Schema, reading: Reading) -> dict[str, Any]:
    """Write a form as it judges what somebody gives, before the defaults are filled in.

    What has a default need not be given, and a condition on it holds as it would with the default. A value of a branch
    that is not shown is refused in a strict document; else any field that the form knows may be sent.

    Args:
        form: all pages as one schema; it is not changed.
        reading: of the template's document.
    """
    try:
        with budget(seconds=_SECONDS):
            shown = _Published(form, reading).written(form, {}, is_part=False)
    except (RecursionError, SandboxError):
        return dict(form)  # a form that takes so long is given up by its start as well
    if reading is Reading.BACKSTAGE and shown.pop("unevaluatedProperties", None) is False:
        shown["propertyNames"] = {"enum": sorted(declared(form))}
    return shown


class _Published:
    def __init__(self, form: Schema, reading: Reading) -> None:
        root = {word: value for word, value in form.items() if word != "$schema"}
        self._form = root
        self._root = validator(root)
        self._branches = Branches(root, self._root)
        self._reading = reading

    def _part(self, part: object) -> object:
        """The schema of another value than the one around it."""
        return self.written(part, {}, is_part=True) if isinstance(part, Mapping) else part

    def written(self, schema: Schema, defaults: Mapping[str, Any], *, is_part: bool) -> dict[str, Any]:
        """A schema without what its reader need not know.

        Args:
            schema: any.
            defaults: of the fields of the same value, by name.
            is_part: whether it is the whole schema of a field.
        """
        current_budget().check_time()
        new = {word: value for word, value in schema.items() if word not in _PRIVATE}
        properties = schema.get("properties")
        fields = properties if isinstance(properties, Mapping) else {}
        defaults = {**defaults, **self._defaults(fields)}
        if fields:
            new["properties"] = {name: self._part(part) for name, part in fields.items()}
        for word in ("items", "additionalProperties", "contains"):
            if isinstance(schema.get(word), Mapping):
                new[word] = self._part(schema[word])
        if "prefixItems" in schema:
            new["prefixItems"] = [self._part(part) for part in schema["prefixItems"]]
        self._beside(new, schema, defaults)
        # A field that is not given counts as its default: where that is refused, so is leaving it out.
        refused = [name for name, part in fields.items() if name in defaults and not self._fits(part, defaults[name])]
        required = [*(name for name in new.get("required", ()) if name not in defaults), *refused]
        if required or "required" in new:
            new["required"] = list(dict.fromkeys(required))
        if is_part and self._reading is Reading.STRICT:
            self._close(new, schema)
        return new

    def _beside(self, new: dict[str, Any], schema: Schema, defaults: Mapping[str, Any]) -> None:
        """The conditions of a schema, which judge the same value."""
        for word in _PARTS:
            if word in schema:
                new[word] = self._same(schema[word], defaults)
        for word in _LISTS:
            if word in schema:
                new[word] = [self._same(part, defaults) for part in schema[word]]
        dependent = {name: self._same(part, defaults) for name, part in schema.get("dependentSchemas", {}).items()}
        if always := [part for name, part in dependent.items() if name in defaults]:
            new["allOf"] = [*new.get("allOf", ()), *always]
        _put(new, "dependentSchemas", {name: part for name, part in dependent.items() if name not in defaults})
        needs = schema.get("dependentRequired", {})
        if always := [need for name, needed in needs.items() if name in defaults for need in needed]:
            new["required"] = [*new.get("required", ()), *always]
        left = {name: [need for need in needed if need not in defaults] for name, needed in needs.items()}
        _put(
            new, "dependentRequired", {name: needed for name, needed in left.items() if name not in defaults and needed}
        )

    def _same(self, part: object, defaults: Mapping[str, Any]) -> object:
        return self.written(part, defaults, is_part=False) if isinstance(part, Mapping) else part

    def _close(self, new: dict[str, Any], schema: Schema) -> None:
        """Refuse the fields of branches that do not apply, and no other."""
        optional = self._branches.optional([schema])
        if optional and not {"additionalProperties", "unevaluatedProperties", "patternProperties"} & schema.keys():
            names = "|".join(map(re.escape, sorted(optional)))
            new["patternProperties"] = {f"^(?!(?:{names})$)": True}
            new["unevaluatedProperties"] = False

    def _defaults(self, fields: Mapping[str, object]) -> dict[str, Any]:
        found = {name: resolve(self._form, part) for name, part in fields.items()}
        return {
            name: part["default"] for name, part in found.items() if isinstance(part, Mapping) and "default" in part
        }

    def _fits(self, schema: object, value: JsonValue) -> bool:
        return bool(self._root.evolve(schema=schema).is_valid(value))


def _put(new: dict[str, Any], word: str, value: dict[str, Any]) -> None:
    if value:
        new[word] = value
    else:
        new.pop(word, None)
