"""The tags of a page, a parameter or a step: who may have it is for the host's authorizer to say."""

from __future__ import annotations

from collections.abc import Mapping

KEY = "backstage:permissions"


def tags_of(part: object) -> tuple[str, ...]:
    """The tags of a part of a template: ``backstage:permissions: {tags: […]}``."""
    asked = part.get(KEY) if isinstance(part, Mapping) else None
    tags = asked.get("tags") if isinstance(asked, Mapping) else None
    return tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()
