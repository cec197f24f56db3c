"""Roadie's merges: data that is put into a JSON or YAML file of the workspace."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from marshmallow import fields

from portal_actions_plugin.actions.files.disk import Writer, missing, place_of, plain_path, read_text, wrong
from portal_actions_plugin.actions.files.fields import (
    Content,
    HomeInput,
    YamlOptions,
    flag_field,
    path_field,
    style_of,
)
from portal_actions_plugin.actions.files.roadie import Written, encoded
from portal_actions_plugin.actions.registry import action

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.run_types import JsonValue

_SECONDS = 120
_INDENT = re.compile(r"^[\[{]\s*?\n([ \t]+)", re.MULTILINE)


class MergeInput(HomeInput):
    path = path_field("The file.")
    content = Content(
        required=True,
        metadata={
            "description": "What to merge into it: an object, or a text in the file's format.",
            "example": {"port": 8080},
        },
    )
    merge_arrays = flag_field(
        "Whether lists are put one after the other; otherwise the new one takes the place of the old.",
        data_key="mergeArrays",
    )


class MergeJson(MergeInput):
    match_file_indent = flag_field(
        "Whether to keep the file's indent; otherwise it is two.", data_key="matchFileIndent"
    )


@action(
    "roadiehq:utils:json:merge",
    title="Merge into a JSON file",
    input=MergeJson,
    output=Written,
    idempotent=True,
    timeout=_SECONDS,
    workspace="writes",
)
def merge_json(
    ctx: ActionContext, *, path: str, content: Any, merge_arrays: bool, match_file_indent: bool
) -> dict[str, Any]:
    """Merge data into a JSON file of the workspace; a missing one is made."""
    from portal_actions_plugin.actions.files.structured import put_into, read_json
    from portal_actions_plugin.software_templates.yaml.writing import write_json

    is_there = place_of(ctx.workspace, path, "path").exists()
    text = read_text(ctx.workspace, path, "path") if is_there else "{}"
    before = _said(read_json, text, "path", path)
    new = _said(read_json, content, "content", "It") if isinstance(content, str) else content
    _warn_of_kinds(ctx, path, before, new)
    found = _said(lambda _: put_into(before, new, join_lists=merge_arrays), "", "content", "It")
    own = _INDENT.search(text) if match_file_indent else None
    _write(ctx, path, _said(lambda _: write_json(found, own[1] if own else 2), "", "content", "It"))
    return {"path": plain_path(path)}


class Field(HomeInput):
    key = fields.String(required=True, metadata={"description": "The name of a field."})
    value = fields.String(required=True, metadata={"description": "What it is in the document to merge into."})


class Merge(MergeInput):
    preserve_yaml_comments = flag_field(
        "Taken, and comments are lost all the same: a warning says so.", data_key="preserveYamlComments"
    )
    use_document_including_field = fields.Nested(
        Field,
        load_default=None,
        data_key="useDocumentIncludingField",
        metadata={"description": "Of several documents in a YAML file, the one to merge into."},
    )
    options = fields.Nested(YamlOptions, load_default=None, metadata={"description": "How to write YAML."})


def _merge(
    ctx: ActionContext,
    *,
    path: str,
    content: Any,
    merge_arrays: bool,
    preserve_yaml_comments: bool,
    use_document_including_field: Mapping[str, str] | None,
    options: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Merge data into a JSON or YAML file of the workspace."""
    from portal_actions_plugin.actions.files import structured
    from portal_actions_plugin.software_templates.yaml.writing import write_json, write_yaml

    if not place_of(ctx.workspace, path, "path").is_file():
        raise missing("path", path)
    path = plain_path(path)
    text = read_text(ctx.workspace, path, "path")
    is_json = path.endswith(".json")
    if not is_json and not path.endswith((".yml", ".yaml")):
        ctx.warn(f"{path} is neither .json nor .yaml: nothing was merged into it.")
        return {}
    reader = structured.READERS["json" if is_json else "yaml"]
    new = _said(reader, content, "content", "It") if isinstance(content, str) else content
    if is_json:
        documents = [_said(structured.READERS["yaml"], text, "path", path)]
    else:
        documents = _said(structured.read_yaml, text, "path", path)
    if preserve_yaml_comments and "#" in text:
        ctx.warn(f"The comments in {path} are lost: only its data is kept.")
    chosen = _chosen(documents, use_document_including_field)
    if not chosen and use_document_including_field:
        key, value = use_document_including_field["key"], use_document_including_field["value"]
        ctx.warn(f"No document in {path} has the {key} {value!r}: nothing was merged into it.")

    def put(document: JsonValue, index: int) -> JsonValue:
        if index not in chosen:
            return document
        _warn_of_kinds(ctx, path, document, new)
        return structured.put_into(document, new, join_lists=merge_arrays)

    found = _said(lambda _: [put(one, index) for index, one in enumerate(documents)], "", "content", "It")
    style = style_of(options)

    def text_of(one: JsonValue) -> str:
        return write_json(one) if is_json else write_yaml(one, style)

    _write(ctx, path, "---\n".join(_said(lambda _: list(map(text_of, found)), "", "content", "It")))
    return {"path": path}


merge = action(
    "roadiehq:utils:merge",
    title="Merge into a file",
    input=Merge,
    output=Written,
    idempotent=True,
    timeout=_SECONDS,
    workspace="writes",
)(_merge)
merge_yaml = action(
    "roadiehq:utils:yaml:merge",
    title="Merge into a YAML file",
    input=Merge,
    output=Written,
    idempotent=True,
    timeout=_SECONDS,
    workspace="writes",
)(_merge)
merge_file = action(
    "roadiehq:utils:fs:merge",
    title="Merge into a file",
    input=Merge,
    output=Written,
    idempotent=True,
    timeout=_SECONDS,
    workspace="writes",
)(_merge)


def _chosen(documents: list[JsonValue], field: Mapping[str, str] | None) -> frozenset[int]:
    if not documents:
        raise wrong("path", "The file has no document to merge into.")
    if len(documents) == 1:
        return frozenset({0})
    if field is None:
        raise wrong(
            "useDocumentIncludingField",
            "The file has several documents.",
            "Write useDocumentIncludingField: {key: kind, value: Component} to say which one.",
        )
    return frozenset(
        index
        for index, one in enumerate(documents)
        if isinstance(one, dict) and str(one.get(field["key"])) == field["value"]
    )


def _said(read: Callable[[str], Any], text: str, field: str, what: str) -> Any:
    try:
        return read(text)
    except ValueError as error:
        raise wrong(field, f"{what[:200]} cannot be merged: {error}.") from None


def _warn_of_kinds(ctx: ActionContext, path: str, before: JsonValue, new: JsonValue) -> None:
    kinds = {type(before), type(new)}
    if before is not None and kinds not in ({dict}, {list}):
        ctx.warn(f"{path} does not hold what content is, a list or an object: nothing was merged into it.")


def _write(ctx: ActionContext, path: str, text: str) -> None:
    Writer(ctx.workspace, "path").write(path, encoded(text))
    ctx.log(f"merged into {path}")
