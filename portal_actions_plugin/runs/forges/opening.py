"""Opening an installation of a forge with what this portal has for it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from portal_actions_plugin.extension import extension
from portal_actions_plugin.hooks import asking
from portal_actions_plugin.runs.guards.forge_pauses import ForgePauses
from portal_actions_plugin.scm.base import Author
from portal_actions_plugin.scm.opening import Opening

if TYPE_CHECKING:
    from portal_actions_plugin.settings.installations import Installation

NOBODY = Author("Portal Actions", "portal-actions@localhost")


def opening_of(installation: Installation, author: Author = NOBODY) -> Opening:
    """What a provider gets for a call that belongs to no run; a run adds its own ways to it.

    Args:
        installation: which forge.
        author: who commits are by.
    """
    portal = extension()
    return Opening(
        installation=installation,
        author=author,
        pauses=ForgePauses(),
        host_token=partial(asking.scm_token, portal.hooks.scm_credentials, installation.name),
        local_root=portal.config.local_scm_root,
        local_url=portal.config.local_scm_url,
    )
