"""Backstage's ``fetch:…``: bring files from beside the template, or from a forge, into the workspace."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError as SchemaError
from marshmallow import fields, validate, validates_schema

from portal_actions_plugin.actions.files.disk import Writer, make_folder, unlink, wrong
from portal_actions_plugin.actions.files.fields import (
    MAX_PATH,
    HomeInput,
    TextOrTruth,
    flag_field,
    patterns_field,
)
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.actions.scm_fields import AsRequester
from portal_actions_plugin.scm.base import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.skeletons.rendering import FileRenderer

_SECONDS = 300
_DEFAULT_EXTENSION = ".njk"
_COPIES = "copyWithoutTemplating"


def _url_field(what: str, example: str) -> fields.String:
    said = f"What to fetch: the path of {what} that begins beside the template, or its address at a forge that the portal knows."
    bounds = validate.Length(min=1, max=2 * MAX_PATH)
    return fields.String(required=True, validate=bounds, metadata={"description": said, "example": example})


class FetchFolder(HomeInput, AsRequester):
    url = _url_field("a folder", "./skeleton")
    target_path = fields.String(
        load_default=".",
        validate=validate.Length(max=MAX_PATH),
        data_key="targetPath",
        metadata={"description": "The folder of the workspace to put it into; empty for the workspace itself."},
    )


class FetchFile(HomeInput, AsRequester):
    url = _url_field("a file", "https://github.com/acme/shared/blob/main/LICENSE")
    target_path = fields.String(
        required=True,
        validate=validate.Length(min=1, max=MAX_PATH),
        data_key="targetPath",
        metadata={"description": "Where in the workspace to put it.", "example": "LICENSE"},
    )


class Rendered(HomeInput):
    values = fields.Dict(keys=fields.String(), load_default=dict, metadata={"description": "What files see as values."})
    cookiecutter_compat = flag_field(
        "Whether files are written for Cookiecutter: with {{ cookiecutter.name }}.", data_key="cookiecutterCompat"
    )
    replace = flag_field("Whether files that are there already are written anew; otherwise they stay.")
    trim_blocks = flag_field("Whether the line break after a block is left out.", data_key="trimBlocks")
    lstrip_blocks = flag_field("Whether spaces before a block are left out.", data_key="lstripBlocks")


class FetchTemplate(FetchFolder, Rendered):
    copy_without_templating = patterns_field(
        "Patterns of files that are copied as they are; their names are rendered.", data_key=_COPIES
    )
    copy_without_render = patterns_field("The same, and their names stay what they are.", data_key="copyWithoutRender")
    template_file_extension = TextOrTruth(
        load_default=None,
        data_key="templateFileExtension",
        metadata={"description": "The ending of the only files that are rendered, which is cut off; true is .njk."},
    )

    @validates_schema
    def check_choices(self, data: Mapping[str, Any], **_options: object) -> None:
        copies = [name for name in ("copy_without_templating", "copy_without_render") if data.get(name) is not None]
        if len(copies) > 1:
            raise SchemaError("Give copyWithoutTemplating or copyWithoutRender, not both.", _COPIES)
        if data.get("template_file_extension") and (copies or data.get("cookiecutter_compat")):
            raise SchemaError(
                "Goes with neither copyWithoutTemplating, copyWithoutRender nor cookiecutterCompat.",
                "templateFileExtension",
            )


@action(
    "fetch:template",
    title="Fetch a template's files",
    input=FetchTemplate,
    idempotent=True,
    timeout=_SECONDS,
    operations=(Operation.READ,),
    workspace="writes",
)
def fetch_template(
    ctx: ActionContext,
    *,
    url: str,
    target_path: str,
    copy_without_templating: Sequence[str] | None,
    copy_without_render: Sequence[str] | None,
    template_file_extension: str | bool | None,
    replace: bool,
    **style: Any,
) -> None:
    """Bring a folder into the workspace, with the names and texts of its files rendered."""
    from portal_actions_plugin.actions.files.globs import Globs, TooMuchError
    from portal_actions_plugin.actions.files.sources import fetched
    from portal_actions_plugin.actions.files.templating import Plan, Templating

    plan = Plan(
        Globs.of(copy_without_templating or copy_without_render or (), dot=True),
        names="all" if copy_without_render is None else "those that are rendered",
        extension=_extension(template_file_extension),
        replaces=replace,
    )
    try:
        Templating(ctx, target_path or ".", _renderer(ctx, **style), plan, url).write(fetched(ctx, url))
    except TooMuchError as error:
        raise wrong(_COPIES if copy_without_render is None else "copyWithoutRender", f"{error}.") from None


def _extension(given: object) -> str:
    if not given:
        return ""
    return _DEFAULT_EXTENSION if given is True else f".{str(given).removeprefix('.')}"


def _renderer(
    ctx: ActionContext,
    *,
    values: Mapping[str, JsonValue],
    cookiecutter_compat: bool,
    trim_blocks: bool,
    lstrip_blocks: bool,
) -> FileRenderer:
    from portal_actions_plugin.software_templates.skeletons.rendering import FileRenderer, Style

    return FileRenderer(ctx.reading, values, Style(cookiecutter_compat, trim_blocks, lstrip_blocks))


class FetchTemplateFile(FetchFile, Rendered):
    pass


@action(
    "fetch:template:file",
    title="Fetch a template's file",
    input=FetchTemplateFile,
    idempotent=True,
    timeout=_SECONDS,
    operations=(Operation.READ,),
    workspace="writes",
)
def fetch_template_file(ctx: ActionContext, *, url: str, target_path: str, replace: bool, **style: Any) -> None:
    """Bring one file into the workspace, with its text rendered."""
    from dataclasses import replace as with_other

    from portal_actions_plugin.actions.files.sources import one_file
    from portal_actions_plugin.actions.files.templating import Plan, Templating

    folder, name = posixpath.split(target_path.rstrip("/"))
    file = with_other(one_file(ctx, url), path=name)
    plan = Plan(names="none", replaces=replace)
    Templating(ctx, folder or ".", _renderer(ctx, **style), plan, posixpath.dirname(url)).write([file])


@action(
    "fetch:plain",
    title="Fetch files",
    input=FetchFolder,
    idempotent=True,
    timeout=_SECONDS,
    operations=(Operation.READ,),
    workspace="writes",
)
def fetch_plain(ctx: ActionContext, *, url: str, target_path: str) -> None:
    """Bring a folder into the workspace as it is; what is there already is written anew."""
    from portal_actions_plugin.actions.files.sources import fetched

    writer = Writer(ctx.workspace, "targetPath")
    make_folder(ctx.workspace, target_path, "targetPath")
    for file in fetched(ctx, url):
        path = f"{target_path or '.'}/{file.path}"
        if not file.is_link:
            unlink(ctx.workspace, path, "targetPath")
            writer.write(path, file.content, executable=file.executable)
        elif not writer.link(path, file.content.decode(errors="replace")):
            ctx.warn(f"{file.path} is a link that leads out of the workspace: it is left out.")
    ctx.log(f"wrote {writer.files} files of {url}")


@action(
    "fetch:plain:file",
    title="Fetch a file",
    input=FetchFile,
    idempotent=True,
    timeout=_SECONDS,
    operations=(Operation.READ,),
    workspace="writes",
)
def fetch_plain_file(ctx: ActionContext, *, url: str, target_path: str) -> None:
    """Bring one file into the workspace as it is."""
    from portal_actions_plugin.actions.files.sources import one_file

    file = one_file(ctx, url)
    Writer(ctx.workspace, "targetPath").write(target_path, file.content, executable=file.executable)
    ctx.log(f"wrote {target_path}")
