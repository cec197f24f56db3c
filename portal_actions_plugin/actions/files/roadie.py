"""Roadie's ``roadiehq:utils:fs:…`` and ``zip``: write, append to, replace in, read and pack files of the workspace."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields, validate, validates_schema
from marshmallow import ValidationError as SchemaError

from portal_actions_plugin.actions.files.disk import (
    MAX_TEXT,
    Listing,
    Writer,
    disk_errors,
    missing,
    place_of,
    plain_path,
    read_text,
    wrong,
)
from portal_actions_plugin.actions.files.fields import (
    MAX_LISTED,
    HomeInput,
    YamlOptions,
    flag_field,
    path_field,
    path_output,
    style_of,
)
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from portal_actions_plugin.actions.context import ActionContext

_SECONDS = 120
_READ_SECONDS = 10.0


class Written(Schema):
    path = path_output("The file's path below the workspace.")


class Write(HomeInput):
    path = path_field("Where to write it. Folders on the way to it are made.")
    content = fields.String(required=True, metadata={"description": "What the file will hold."})
    preserve_formatting = flag_field(
        "Whether to write content that is JSON with an indent of two.", data_key="preserveFormatting"
    )


@action(
    "roadiehq:utils:fs:write",
    title="Write a file",
    input=Write,
    output=Written,
    idempotent=True,
    timeout=_SECONDS,
    workspace="writes",
)
def write(ctx: ActionContext, *, path: str, content: str, preserve_formatting: bool) -> dict[str, Any]:
    """Write a file into the workspace, whatever was there."""
    text = _indented(content) if preserve_formatting else content
    Writer(ctx.workspace, "path").write(path, encoded(text))
    ctx.log(f"wrote {path}")
    return {"path": plain_path(path)}


def _indented(content: str) -> str:
    from portal_actions_plugin.actions.files.structured import read_json
    from portal_actions_plugin.software_templates.yaml.writing import write_json

    try:
        return write_json(read_json(content))
    except ValueError:
        return content


def encoded(text: str) -> bytes:
    """What a file holds of a text; raises ValidationError for one that the input ``content`` should not have."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise wrong("content", "It has half a character, which no file can hold.") from None


class Append(HomeInput):
    path = path_field("The file. A missing one is made.")
    content = fields.String(required=True, metadata={"description": "What to put at its end."})


@action(
    "roadiehq:utils:fs:append",
    title="Append to a file",
    input=Append,
    output=Written,
    idempotent=True,
    timeout=_SECONDS,
    workspace="writes",
)
def append(ctx: ActionContext, *, path: str, content: str) -> dict[str, Any]:
    """Append to a file of the workspace."""
    place = place_of(ctx.workspace, path, "path")
    writer = Writer(ctx.workspace, "path")
    with disk_errors("path", path):
        writer.require_room(place.stat().st_size if place.exists() else 0)
        before = place.read_bytes() if place.exists() else b""
    writer.write(path, before + encoded(content))
    ctx.log(f"appended to {path}")
    return {"path": plain_path(path)}


class OneReplacement(HomeInput):
    file = path_field("A path, or a pattern such as src/**/*.py.")
    find = fields.String(
        required=True, validate=validate.Length(min=1, max=10_000), metadata={"description": "What to look for."}
    )
    match_regex = flag_field("Whether that is a regular expression.", data_key="matchRegex")
    replace_with = fields.String(
        required=True,
        validate=validate.Length(min=1),
        data_key="replaceWith",
        metadata={"description": "What to write there; $& is what was found, $1 a group, $$ a dollar."},
    )
    include_dot_files = flag_field(
        "Whether wildcards stand for names that begin with a dot.", data_key="includeDotFiles"
    )

    @validates_schema
    def check_find(self, data: Mapping[str, Any], **_options: object) -> None:
        from portal_actions_plugin.software_templates.nunjucks.patterns import RegularExpression

        if data.get("match_regex"):
            try:
                RegularExpression(data["find"], "g")
            except ValueError as error:
                raise SchemaError(f"{error}.", "find") from None


class Replace(HomeInput):
    files = fields.List(
        fields.Nested(OneReplacement),
        required=True,
        validate=validate.Length(max=MAX_LISTED),
        metadata={"description": "What to replace, in order."},
    )


@action(
    "roadiehq:utils:fs:replace",
    title="Replace in files",
    input=Replace,
    idempotent=True,
    timeout=_SECONDS,
    workspace="writes",
)
def replace(ctx: ActionContext, *, files: Sequence[Mapping[str, Any]]) -> None:
    """Replace each place where a text or a regular expression is found in files of the workspace."""
    writer = Writer(ctx.workspace, "files")
    listing = Listing(ctx.workspace)
    for index, one in enumerate(files):
        field = f"files.{index}"
        found = listing.matching(one["file"], f"{field}.file", dot=one["include_dot_files"])
        changed = 0
        for path, place in found:
            before = _replaceable(ctx, path) if place.is_file() else None
            if before is None:
                continue
            after = _replaced(before, one, field)
            if after != before:
                writer.write(path, encoded(after))
                changed += 1
        ctx.log(f"{one['file']}: changed {changed} of {len(found)}")


def _replaceable(ctx: ActionContext, path: str) -> str | None:
    """The text of a file; None, with a warning, for one that is none: it stays what it is."""
    try:
        return read_text(ctx.workspace, path, "file")
    except ValidationError as error:
        ctx.warn(f"{error.message.removeprefix('file: ')} Nothing is replaced in it.")
        return None


def _replaced(text: str, one: Mapping[str, Any], field: str) -> str:
    from portal_actions_plugin.software_templates.expressions.limits import SandboxError, budget
    from portal_actions_plugin.software_templates.nunjucks.patterns import RegularExpression

    find, replacement = one["find"], one["replace_with"]
    if not one["match_regex"] and "$" not in replacement:
        if len(text) + text.count(find) * (len(replacement) - len(find)) > MAX_TEXT:
            raise wrong(f"{field}.replaceWith", "This makes a file larger than a file may be.")
        return str(text.replace(find, replacement))
    source = find if one["match_regex"] else _literally(find)
    try:
        with budget(MAX_TEXT, seconds=_READ_SECONDS):
            return RegularExpression(source, "g").replace(text, replacement, MAX_TEXT)
    except (ValueError, SandboxError) as error:
        raise wrong(f"{field}.find", f"{str(error).rstrip('.')}.") from None


def _literally(text: str) -> str:
    return "".join(f"\\{sign}" if sign in r"\^$.*+?()[]{}|/" else sign for sign in text)


class Parse(HomeInput):
    path = path_field("The file.")
    parser = fields.String(
        load_default=None,
        validate=validate.OneOf(("yaml", "json", "multiyaml")),
        metadata={"description": "How to read it; without one the content is a text."},
    )


class ParseOutput(Schema):
    content = fields.Raw(metadata={"description": "What the file holds: a text, or the data in it."})


@action(
    "roadiehq:utils:fs:parse",
    title="Read data from a file",
    input=Parse,
    output=ParseOutput,
    idempotent=True,
    timeout=_SECONDS,
    workspace="reads",
)
def parse(ctx: ActionContext, *, path: str, parser: str | None) -> dict[str, Any]:
    """Read a file of the workspace for later steps, as a text or as data."""
    from portal_actions_plugin.actions.files.structured import READERS

    text = read_text(ctx.workspace, path, "path")
    if parser is None:
        return {"content": text}
    try:
        return {"content": READERS[parser](text)}
    except ValueError as error:
        raise wrong("path", f"{path[:200]!r} cannot be read as {parser}: {error}.") from None


class Zip(HomeInput):
    path = path_field("What to pack: a file, or a folder with all that is in it.")
    output_path = path_field("The archive to write.", data_key="outputPath")


class ZipOutput(Schema):
    output_path = fields.String(data_key="outputPath", metadata={"description": "The archive's path."})


@action(
    "roadiehq:utils:zip",
    title="Pack a folder",
    input=Zip,
    output=ZipOutput,
    idempotent=True,
    timeout=_SECONDS,
    workspace="writes",
)
def pack(ctx: ActionContext, *, path: str, output_path: str) -> dict[str, Any]:
    """Pack a file or a folder of the workspace into a zip archive."""
    from portal_actions_plugin.actions.files.archives import packed

    workspace = ctx.workspace
    place, archive = place_of(workspace, path, "path"), place_of(workspace, output_path, "outputPath")
    if not place.exists():
        raise missing("path", path)
    with disk_errors("path", path):
        content = packed(workspace, path, left_out=archive)
    Writer(workspace, "outputPath").write(output_path, content)
    ctx.log(f"packed {path} as {output_path}")
    return {"outputPath": output_path}


class Serialize(HomeInput):
    data = fields.Raw(required=True, metadata={"description": "What to write."})
    replacer = fields.List(
        fields.String(), load_default=None, metadata={"description": "The only keys of objects that are written."}
    )


class Serialized(Schema):
    serialized = fields.String(metadata={"description": "The text."})


class SerializeJson(Serialize):
    space = fields.Raw(
        load_default=None, metadata={"description": "What to indent by: spaces, or how many. Without it, on one line."}
    )


@action(
    "roadiehq:utils:serialize:json",
    title="Write data as JSON",
    input=SerializeJson,
    output=Serialized,
    idempotent=True,
    timeout=_SECONDS,
)
def serialize_json(_ctx: ActionContext, *, data: Any, replacer: list[str] | None, space: object) -> dict[str, Any]:
    """Write data as a JSON text for later steps."""
    from portal_actions_plugin.software_templates.yaml.writing import write_json

    is_number = isinstance(space, int) and not isinstance(space, bool)
    indent = min(max(int(str(space)), 0), 10) if is_number else str(space)[:10] if isinstance(space, str) else None
    return {"serialized": _serialized(data, replacer, lambda kept: write_json(kept, indent))}


class SerializeYaml(Serialize):
    options = fields.Nested(YamlOptions, load_default=None, metadata={"description": "How to write it."})


@action(
    "roadiehq:utils:serialize:yaml",
    title="Write data as YAML",
    input=SerializeYaml,
    output=Serialized,
    idempotent=True,
    timeout=_SECONDS,
)
def serialize_yaml(
    _ctx: ActionContext, *, data: Any, replacer: list[str] | None, options: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Write data as a YAML text for later steps."""
    from portal_actions_plugin.software_templates.yaml.writing import write_yaml

    style = style_of(options)
    return {"serialized": _serialized(data, replacer, lambda kept: write_yaml(json.loads(json.dumps(kept)), style))}


def _serialized(data: Any, replacer: list[str] | None, write: Callable[[Any], str]) -> str:
    from portal_actions_plugin.actions.files.structured import only_keys

    try:
        return write(data if replacer is None else only_keys(data, frozenset(replacer)))
    except (ValueError, RecursionError):
        raise wrong("data", "It is nested too deeply.") from None
