"""What the inputs of Backstage's actions have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from marshmallow import EXCLUDE, Schema, fields, pre_load, validate
from marshmallow import ValidationError as SchemaError

from portal_actions_plugin.actions.files.globs import Globs

if TYPE_CHECKING:
    from portal_actions_plugin.software_templates.yaml.writing import YamlStyle

MAX_PATH = 1_000
MAX_LISTED = 1_000
"""Entries of a list of paths."""


class HomeInput(Schema):
    """The input of an action as Backstage has it."""

    @pre_load
    def leave_out_nulls(self, data: object, **_options: object) -> object:
        """What is null was not given."""
        return {name: value for name, value in data.items() if value is not None} if isinstance(data, Mapping) else data


class TextOrTruth(fields.Field[Any]):
    """A text, or true or false."""

    def _deserialize(self, value: object, attr: str | None, data: Mapping[str, Any] | None, **_kwargs: Any) -> Any:  # noqa: ARG002 marshmallow's own
        if not isinstance(value, str | bool):
            raise SchemaError("must be a text, true or false")
        return value


class Content(fields.Field[Any]):
    """An object, or a text that says one."""

    def _deserialize(self, value: object, attr: str | None, data: Mapping[str, Any] | None, **_kwargs: Any) -> Any:  # noqa: ARG002 marshmallow's own
        if not isinstance(value, str | dict | list):
            raise SchemaError("must be an object, a list, or a text that says one")
        return value


class YamlOptions(HomeInput):
    """How to write YAML, as the ``options`` of Roadie's actions say it; what else they say is a matter of looks."""

    class Meta:
        unknown = EXCLUDE

    indent = fields.Integer(load_default=2, metadata={"description": "Spaces a level, 2 to 9."})
    indent_seq = fields.Boolean(
        load_default=True,
        data_key="indentSeq",
        metadata={"description": "Whether lists stand a level deeper than their key."},
    )
    single_quote = fields.Boolean(
        load_default=False, data_key="singleQuote", metadata={"description": "Whether quotes are single ones."}
    )
    line_width = fields.Integer(
        load_default=0,
        data_key="lineWidth",
        metadata={
            "description": "Where longer texts without double quotes are folded; without it, and for 0 or less, none is."
        },
    )


def style_of(options: Mapping[str, Any] | None) -> YamlStyle:
    """How YAML is written by ``YamlOptions`` as they were loaded."""
    from portal_actions_plugin.software_templates.yaml.writing import YamlStyle

    if options is None:
        return YamlStyle()
    return YamlStyle(options["indent"], options["indent_seq"], options["single_quote"], options["line_width"])


def path_field(description: str, *, data_key: str | None = None, default: str | None = None) -> fields.String:
    """A path in the workspace; required where it has no default.

    Args:
        description: for the API's JSON Schema.
        data_key: the field's name in the input, where it is not the handler's.
        default: what it is when it is left out.
    """
    bounds = validate.Length(min=1, max=MAX_PATH)
    if default is None:
        return fields.String(required=True, validate=bounds, data_key=data_key, metadata={"description": description})
    return fields.String(
        load_default=default, validate=bounds, data_key=data_key, metadata={"description": description}
    )


def flag_field(description: str, *, data_key: str | None = None) -> fields.Boolean:
    """Something that is off unless it is asked for."""
    return fields.Boolean(load_default=False, data_key=data_key, metadata={"description": description})


def patterns_field(description: str, *, data_key: str | None = None) -> fields.List[Any]:
    """A list of patterns that can be read, perhaps empty; None when it was not given."""
    return fields.List(
        fields.String(validate=(validate.Length(min=1, max=MAX_PATH), _readable)),
        load_default=None,
        validate=validate.Length(max=MAX_LISTED),
        data_key=data_key,
        metadata={"description": description},
    )


def _readable(pattern: str) -> None:
    try:
        Globs.of([pattern], dot=True)
    except ValueError as error:
        raise SchemaError(f"{error}.") from None


def path_output(description: str) -> fields.String:
    """A path below the workspace."""
    return fields.String(metadata={"description": description})
