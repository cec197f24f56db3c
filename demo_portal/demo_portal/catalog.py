"""The catalog: services that were seeded, and those that runs register."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from demo_portal.portal import portal
from demo_portal.store import now
from portal_actions_plugin.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class Entity:
    """Something that the catalog knows. ``repository`` is ``owner/name`` on the forge, or empty."""

    id: str
    kind: str
    namespace: str
    name: str
    owner: str
    description: str
    repository: str
    source: str
    registered_at: str

    @property
    def team(self) -> str:
        """The owner without its kind and namespace."""
        return self.owner.rpartition(":")[2].rpartition("/")[2]


def register(document: Mapping[str, Any], source: str | None) -> str:
    """Create or update an entity and return its id."""
    kind, namespace, name = str(document["kind"]).lower(), document.get("namespace") or "default", document["name"]
    entity_id = f"{kind}:{namespace}/{name}".lower()
    with portal().store.writing() as db:
        db.execute(
            "INSERT INTO entities VALUES (:id, :document, :source, :now, :now)"
            " ON CONFLICT (id) DO UPDATE SET document = :document, source = :source, updated_at = :now",
            {
                "id": entity_id,
                "document": json.dumps({**document, "kind": kind, "namespace": namespace}),
                "source": source,
                "now": now(),
            },
        )
    return entity_id


def entities() -> list[Entity]:
    """Everything in the catalog, by name."""
    with portal().store.reading() as db:
        found = [_entity(row) for row in db.execute("SELECT * FROM entities")]
    return sorted(found, key=lambda entity: (entity.name, entity.id))


def entity(entity_id: str) -> Entity:
    """One entity; raises NotFoundError."""
    with portal().store.reading() as db:
        row = db.execute("SELECT * FROM entities WHERE id = ?", (entity_id.lower(),)).fetchone()
    if row is None:
        raise NotFoundError(f"The catalog has no entity {entity_id}.", hint="Look in the catalog for its name.")
    return _entity(row)


def in_repository(repository: str) -> list[Entity]:
    """The entities whose code is in a repository ``owner/name``."""
    return [found for found in entities() if found.repository == repository]


def document(entity_id: str) -> Mapping[str, Any] | None:
    """An entity as it was registered; None when there is none."""
    with portal().store.reading() as db:
        row = db.execute("SELECT document FROM entities WHERE id = ?", (entity_id.lower(),)).fetchone()
    return json.loads(row["document"]) if row else None


def _repository_of(source: str) -> str:
    """``owner/name`` of the repository that an entity's file lies in, where that is on this portal's forge."""
    prefix = f"{portal().settings.forge_url}/"
    parts = source.removeprefix(prefix).split("/") if source.startswith(prefix) else []
    return "/".join(parts[:2])


def _entity(row: sqlite3.Row) -> Entity:
    document = json.loads(row["document"])
    return Entity(
        id=row["id"],
        kind=document["kind"],
        namespace=document["namespace"],
        name=document["name"],
        owner=str(document.get("ownerRef") or ""),
        description=str(document.get("description") or ""),
        repository=str(document.get("repository") or _repository_of(row["source"] or "")),
        source=row["source"] or "",
        registered_at=row["registered_at"],
    )
