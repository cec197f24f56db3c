"""Entities of a catalog as Backstage writes them into files, and as this portal's catalog takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from marshmallow import ValidationError as SchemaError

from portal_actions_plugin.actions.catalog import Entity
from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.field_messages import sentences
from portal_actions_plugin.software_templates.expressions.filters import parse_entity_ref
from portal_actions_plugin.software_templates.expressions.limits import SandboxError, budget
from portal_actions_plugin.software_templates.yaml.documents import MAX_BYTES, UnreadableError, read_documents

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import Json, JsonValue

_DEFAULT_NAMESPACE = "default"


def entities_in(content: bytes, name: str) -> list[dict[str, Json]]:
    """The entities of a file.

    Args:
        content: of the file.
        name: what errors call it.

    Returns:
        Each as it is written there, in its order.

    Raises:
        ValidationError: it is no YAML, or a document in it is no entity.
    """
    if len(content) > MAX_BYTES:
        raise _wrong(f"{name} has more than {MAX_BYTES:,} bytes.")
    try:
        with budget():
            documents = read_documents(content.decode())
    except UnicodeDecodeError:
        raise _wrong(f"{name} is not UTF-8.") from None
    except UnreadableError as error:
        raise _wrong(f"{name}, line {error.line}: {error.message}.") from None
    except SandboxError as error:
        raise _wrong(f"{name}: {error}.") from None
    found = []
    for document in documents:
        if document.data is None:
            continue
        if not isinstance(document.data, dict):
            raise _wrong(f"{name}, line {document.line(())}: this is no entity.")
        taken(document.mapping, f"{name}, line {document.line(())}")
        found.append(dict(document.mapping))
    if not found:
        raise _wrong(f"There is no entity in {name}.")
    return found


def taken(entity: Mapping[str, JsonValue], where: str) -> dict[str, Json]:
    """An entity as ``register_entity`` of this portal's catalog takes it.

    Args:
        entity: with ``metadata`` and ``spec``, as Backstage writes it.
        where: what errors call it.

    Returns:
        ``kind``, ``namespace``, ``name`` and ``ownerRef`` beside all that it has.

    Raises:
        ValidationError: it lacks a kind or a name, or a catalog would take neither.
    """
    metadata, spec = _part(entity, "metadata"), _part(entity, "spec")
    flat: dict[str, Json] = {
        **entity,
        "kind": entity.get("kind") or "",
        "namespace": metadata.get("namespace") or _DEFAULT_NAMESPACE,
        "name": metadata.get("name") or "",
    }
    if isinstance(metadata.get("description"), str):
        flat["description"] = metadata["description"]
    if isinstance(spec.get("owner"), str):
        flat["ownerRef"] = spec["owner"]
    try:
        Entity().load(flat)
    except SchemaError as error:
        said = sentences(error.messages)
        wrong = said if isinstance(said, Mapping) else {"entity": said}
        parts = "; ".join(f"{name}: {_sentence(texts)}" for name, texts in wrong.items())
        raise _wrong(f"{where}: this is no entity. {parts}") from None
    return flat


def ref_of(entity: Mapping[str, JsonValue]) -> str:
    """An entity's reference as Backstage writes it out, in small letters: ``component:default/orders``."""
    metadata = _part(entity, "metadata")
    namespace = metadata.get("namespace") or _DEFAULT_NAMESPACE
    return f"{entity.get('kind')}:{namespace}/{metadata.get('name')}".lower()


def written_ref(ref: str, kind: str | None, namespace: str | None, field: str) -> str:
    """A reference written out, in small letters.

    Args:
        ref: such as ``orders`` or ``component:orders``.
        kind: of a reference that names none.
        namespace: likewise; None for ``default``.
        field: the input that has it, for the error.

    Raises:
        ValidationError: it has no kind or no name.
    """
    try:
        found = parse_entity_ref(ref, {"defaultKind": kind, "defaultNamespace": namespace})
    except SandboxError:
        message = f"{ref[:200]!r} is no reference to an entity: write it like component:default/orders."
        raise ValidationError(message, fields={field: [message]}) from None
    return f"{found['kind']}:{found['namespace']}/{found['name']}".lower()


def stands_for_all(entities: list[dict[str, Json]]) -> dict[str, Json]:
    """The entity that a file is about: a Component that nobody generated, else any such one, else the first."""

    def is_written(entity: dict[str, Json]) -> bool:
        return not str(_part(entity, "metadata").get("name")).startswith("generated-")

    written = [entity for entity in entities if is_written(entity)]
    components = (entity for entity in written if entity.get("kind") == "Component")
    return next(components, (written or entities)[0])


def _part(entity: Mapping[str, JsonValue], name: str) -> Mapping[str, JsonValue]:
    part = entity.get(name)
    return part if isinstance(part, Mapping) else {}


def _sentence(texts: object) -> str:
    return " ".join(map(str, texts)) if isinstance(texts, list) else str(texts)


def _wrong(message: str) -> ValidationError:
    return ValidationError(message, hint="Correct the file: every document in it is an entity of the catalog.")
