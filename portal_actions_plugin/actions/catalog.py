"""Actions on the host's software catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import INCLUDE, Schema, fields, validate

from portal_actions_plugin.actions.registry import action

if TYPE_CHECKING:
    from collections.abc import Mapping

    from portal_actions_plugin.actions.context import ActionContext

# The patterns are part of the API's JSON Schema, so they are anchored; (?!\n) because Python's $ forgives a last newline.
_KIND = validate.Regexp(
    r"^[A-Za-z][A-Za-z0-9]{0,62}$(?!\n)", error="A kind is up to 63 letters and digits, such as component."
)
_NAMESPACE = validate.Regexp(
    r"^[a-z0-9]+(-[a-z0-9]+)*$(?!\n)", error="A namespace is small letters and digits, with single '-' between them."
)
_NAME = validate.Regexp(
    r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$(?!\n)",
    error="A name is letters, digits, '-', '_' and '.', and starts and ends with a letter or digit.",
)
_OWNER = validate.Regexp(
    r"^([A-Za-z][A-Za-z0-9]*:)?([a-z0-9-]+/)?[A-Za-z0-9]([A-Za-z0-9@._-]*[A-Za-z0-9])?$(?!\n)",
    error="An owner is a reference such as group:default/platform, team:platform or platform.",
)
_SHORT = validate.Length(max=63)


class Entity(Schema):
    """An entity of the catalog. Other keys than these go to the catalog as they are."""

    class Meta:
        unknown = INCLUDE

    kind = fields.String(required=True, validate=_KIND, metadata={"description": "What it is, such as component."})
    namespace = fields.String(
        load_default="default", validate=[_SHORT, _NAMESPACE], metadata={"description": "Its namespace."}
    )
    name = fields.String(
        required=True, validate=[_SHORT, _NAME], metadata={"description": "Its name, unique with the other two."}
    )
    owner_ref = fields.String(
        data_key="ownerRef",
        attribute="ownerRef",
        validate=[validate.Length(max=255), _OWNER],
        metadata={"description": "Who owns it, such as team:platform."},
    )


class RegisterEntity(Schema):
    entity = fields.Nested(Entity, required=True, metadata={"description": "The entity to create or update."})
    source = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=2000),
        metadata={"description": "Where it is described, such as the repository's address."},
    )


class RegisterEntityOutput(Schema):
    entity_id = fields.String(data_key="entityId", metadata={"description": "The catalog's id of the entity."})


@action(
    "catalog.registerEntity@v1",
    title="Register an entity in the catalog",
    input=RegisterEntity,
    output=RegisterEntityOutput,
    idempotent=True,
    timeout=60,
)
def register_entity(ctx: ActionContext, *, entity: Mapping[str, Any], source: str | None) -> dict[str, Any]:
    """Create or update an entity. Kind, namespace and name are its key, so doing it twice changes nothing."""
    catalog = ctx.catalog
    ctx.recorder.ensure_ours()
    entity_id = catalog.register_entity(entity, source)
    ctx.log(f"registered {entity['kind']}:{entity['namespace']}/{entity['name']} as {entity_id}")
    return {"entityId": entity_id}
