"""``catalog:write`` and ``catalog:fetch``: entities in the workspace, and in the catalog of the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields, validate, validates_schema
from marshmallow import ValidationError as SchemaError

from portal_actions_plugin.actions.backstage.entity_files import written_ref
from portal_actions_plugin.actions.files.disk import Writer, disk_errors
from portal_actions_plugin.actions.files.fields import HomeInput
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.actions.scm_fields import optional_text
from portal_actions_plugin.errors import ConfigurationError, NotFoundError, ValidationError
from portal_actions_plugin.software_templates.yaml.writing import write_yaml

if TYPE_CHECKING:
    from portal_actions_plugin.actions.context import ActionContext

_MAX_REFS = 500
_SOURCE_TEMPLATE = "backstage.io/source-template"


class CatalogWrite(HomeInput):
    file_path = optional_text("Where in the workspace. Default: catalog-info.yaml.", data_key="filePath")
    entity = fields.Dict(
        required=True,
        keys=fields.String(),
        metadata={"description": "The entity, as it stands in the file: apiVersion, kind, metadata and spec."},
    )


@action(
    "catalog:write",
    title="Write an entity for the catalog",
    description="Write an entity into a file of the workspace, as catalog:register reads it.",
    input=CatalogWrite,
    idempotent=True,
    timeout=30,
    workspace="writes",
)
def catalog_write(ctx: ActionContext, *, file_path: str | None, entity: Mapping[str, Any]) -> None:
    """Write an entity into a file, with the template that it comes from as an annotation."""
    name = file_path or "catalog-info.yaml"
    file = ctx.workspace.path(name, "filePath")
    if file == ctx.workspace.folder or file.is_dir():
        message = f"{name[:200]!r} is a folder of the workspace."
        raise ValidationError(message, fields={"filePath": [message]})
    try:
        content = write_yaml(_with_template(ctx, entity)).encode()
    except UnicodeEncodeError:
        message = "It has half a character, which no file can hold."
        raise ValidationError(f"entity: {message}", fields={"entity": [message]}) from None
    except ValueError:
        message = "It is nested too deeply."
        raise ValidationError(f"entity: {message}", fields={"entity": [message]}) from None
    with disk_errors("filePath", name):
        if file.is_symlink():  # it would lead what is written somewhere else
            file.unlink()
    Writer(ctx.workspace, "filePath").write(name, content)
    ctx.log(f"wrote {name}")


def _with_template(ctx: ActionContext, entity: Mapping[str, Any]) -> dict[str, Any]:
    given = entity.get("metadata")
    if ctx.run.template is None or not isinstance(given, Mapping | None):
        return dict(entity)
    metadata = dict(given or {})
    annotations = metadata.get("annotations")
    named = dict(annotations) if isinstance(annotations, Mapping) else {}
    named[_SOURCE_TEMPLATE] = f"template:default/{ctx.run.template}".lower()
    return {**entity, "metadata": {**metadata, "annotations": named}}


class CatalogFetch(HomeInput):
    entity_ref = optional_text("The entity, such as component:default/orders.", data_key="entityRef")
    entity_refs = fields.List(
        fields.String(),
        data_key="entityRefs",
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=_MAX_REFS),
        metadata={"description": "Instead: several entities."},
    )
    optional = fields.Boolean(
        load_default=False, allow_none=True, metadata={"description": "Whether an entity may be missing: it is null."}
    )
    default_kind = optional_text("The kind of references that name none.", data_key="defaultKind")
    default_namespace = optional_text("The namespace of references that name none.", data_key="defaultNamespace")

    @validates_schema
    def check_refs(self, data: dict[str, Any], **_options: object) -> None:
        if not data.get("entity_ref") and data.get("entity_refs") is None and not data.get("optional"):
            raise SchemaError("Give either entityRef or entityRefs.", "entityRef")


class CatalogFetchOutput(Schema):
    entity = fields.Raw(allow_none=True, metadata={"description": "The entity of entityRef."})
    entities = fields.List(fields.Raw(allow_none=True), metadata={"description": "The entities of entityRefs."})


@action(
    "catalog:fetch",
    title="Read from the catalog",
    description="Read entities of the catalog by their references.",
    input=CatalogFetch,
    output=CatalogFetchOutput,
    idempotent=True,
    timeout=60,
)
def catalog_fetch(
    ctx: ActionContext,
    *,
    entity_ref: str | None,
    entity_refs: Sequence[str] | None,
    optional: bool,
    default_kind: str | None,
    default_namespace: str | None,
) -> dict[str, Any]:
    """Read one entity, or several. One that is missing is an error, unless it is optional."""
    found: dict[str, Any] = {}
    if entity_ref:
        ref = written_ref(entity_ref, default_kind, default_namespace, "entityRef")
        found["entity"] = _entity(ctx, ref, bool(optional))
    if entity_refs is not None:
        refs = [written_ref(ref, default_kind, default_namespace, "entityRefs") for ref in entity_refs]
        found["entities"] = [_entity(ctx, ref, bool(optional)) for ref in refs]
    return found


def _entity(ctx: ActionContext, ref: str, is_optional: bool) -> Mapping[str, Any] | None:  # noqa: FBT001 as the input has it
    get_entity = getattr(ctx.catalog, "get_entity", None)
    if get_entity is None:
        raise ConfigurationError(
            "This portal's catalog cannot be read: its hook has no get_entity(ref).",
            hint="Tell your platform team: the object that @plugin.catalog gives may have that method, which returns the "
            "entity or None.",
        )
    try:
        answer = get_entity(ref)
    except NotFoundError:
        answer = None
    if answer is None:
        if not is_optional:
            raise NotFoundError(
                f"The catalog has no entity {ref}.", hint="Correct the reference, or allow it with optional: true."
            )
        ctx.log(f"the catalog has no entity {ref}, which is allowed")
        return None
    if not isinstance(answer, Mapping):
        raise ConfigurationError(
            f"The catalog answered get_entity with a {type(answer).__name__}, not an entity or None.",
            hint="Tell your platform team.",
        )
    return dict(answer)
