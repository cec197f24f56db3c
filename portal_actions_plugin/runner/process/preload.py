"""What job processes need and other processes import late: a worker has it before it forks, so that none imports it anew."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from importlib import import_module

from portal_actions_plugin.extension import Extension
from portal_actions_plugin.settings.installations import Installation, token_variable

log = logging.getLogger(__name__)

_OF_EVERY_RUN = (
    "encodings.idna",
    "encodings.utf_8_sig",
    "portal_actions_plugin.actions.http_calls.call",
    "portal_actions_plugin.software_templates.expressions.rendering",
    "redis",
    "rq",
)
_OF_REPOSITORIES = (
    "dulwich.commit_graph",
    "dulwich.config",
    "dulwich.patch",
    "dulwich.worktree",
    "portal_actions_plugin.scm.local.provider",
)
_OF_REMOTE_FORGES = {
    "github": ("portal_actions_plugin.scm.github.provider",),
    "gitlab": ("portal_actions_plugin.scm.gitlab.provider",),
}
_OF_SECRETS = ("cryptography.fernet",)


def preload(portal: Extension) -> None:
    """Import what the runs of a portal with these settings need, and make its engine, which imports the driver."""
    repositories = _OF_REPOSITORIES if portal.config.local_scm_root else ()
    secrets = _OF_SECRETS if portal.config.secret_keys else ()
    for module in (*_OF_EVERY_RUN, *repositories, *_of_forges(portal.config.scm), *secrets):
        try:
            import_module(module)
        except ImportError as error:
            # Another version of a library has it elsewhere: each job process then imports what it needs.
            log.info("%s is not imported ahead: %s", module, error)
    portal.database.close_connections()


def _of_forges(installations: Mapping[str, Installation]) -> Iterator[str]:
    """What our own providers of the remote forges need that a portal has set up; those of others import what they like."""
    for installation in installations.values():
        if installation.is_named or os.environ.get(token_variable(installation.kind)):
            yield from _OF_REMOTE_FORGES.get(installation.kind, ())
