"""The requester's own secrets, such as a token at a forge: asked for when a run begins, and good for some hours."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import AuthError, ValidationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.hooks import asking

if TYPE_CHECKING:
    from portal_actions_plugin.host import Identity
    from portal_actions_plugin.run_types import Json
    from portal_actions_plugin.software_templates.spec import Template

KEPT_SECONDS = 8 * 3600
"""How long a run uses them. A forge ends a person's token after as long, and a run that waited for days has no claim on it."""


def ask_requester(template: Template, requester: Identity) -> dict[str, str]:
    """Ask the host for what a template wants to do in its requester's name.

    Args:
        template: which is about to be run.
        requester: of this very run, whoever had asked for the one that it repeats.

    Returns:
        Their secrets by the names that the template has for them.

    Raises:
        ConfigurationError: this portal cannot give any.
        ValidationError: it has none of them of this requester; each is named.
    """
    wanted = sorted(template.requester_secrets)
    if not wanted:
        return {}
    found = asking.requester_secrets(extension().hooks.requester_secrets, requester, wanted)
    if missing := [name for name in wanted if name not in found]:
        raise ValidationError(
            f"The template {template.name} works in your name, and this portal has no {', '.join(missing)} of yours.",
            hint="Sign in at the forge in this portal, and start again.",
            fields={"secrets": {name: ["This portal has none of yours."] for name in missing}},
        )
    return found


def entity_of_requester(template: Template, requester: Identity) -> dict[str, Json] | None:
    """What the host's catalog has of who starts a template; it is asked only where the template names it.

    Args:
        template: which is about to be run.
        requester: of this very run.

    Raises:
        ConfigurationError: the hook failed, or answered something else.
    """
    return asking.user_entity(extension().hooks.user_entity, requester) if template.names_user_entity else None


def require_unended(template: Template, position: int, sealed: bytes | None) -> None:
    """Refuse a step that works in its requester's name with what was given too long ago.

    Args:
        template: whose step it is.
        position: the step's index.
        sealed: the run's secrets, encrypted; they say when that was.

    Raises:
        AuthError: it has ended.
    """
    if not sealed or time.time() - _sealed_at(sealed) <= KEPT_SECONDS:
        return
    if names := sorted(template.requester_secrets_of(position)):
        raise AuthError(
            f"{', '.join(names)} of the requester has ended: a run uses it for {KEPT_SECONDS // 3600} hours.",
            hint="Resume or retry the run: that asks for a new one.",
        )


def _sealed_at(sealed: bytes) -> int:
    """When it was sealed, in seconds since 1970: bytes 1 to 8 of a Fernet token, by its specification."""
    return int.from_bytes(base64.urlsafe_b64decode(sealed)[1:9])
