"""Which forges (SCM providers) there are, and how each is opened.

A new one is a module beside ``local`` with a class that follows ``base.ScmProvider``, and an opener in ``_OPENERS`` here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ConfigurationError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from portal_actions_plugin.scm.base import Author, Guard, ScmProvider
    from portal_actions_plugin.settings.config import Config


def _open_local(config: Config, guard: Guard, author: Author) -> ScmProvider:
    if config.local_scm_root is None:
        raise ConfigurationError(
            "The local SCM provider is off: PORTAL_ACTIONS_LOCAL_SCM_ROOT is not set.",
            hint="Tell your platform team to set PORTAL_ACTIONS_LOCAL_SCM_ROOT to the folder of the repositories.",
        )
    from portal_actions_plugin.scm.local import LocalProvider

    return LocalProvider(config.local_scm_root, config.local_scm_url, guard, author)


_OPENERS: Mapping[str, Callable[[Config, Guard, Author], ScmProvider]] = {"local": _open_local}
PROVIDERS = tuple(_OPENERS)
"""The names that an action's input ``provider`` may have."""


def open_provider(name: str, *, config: Config, guard: Guard, author: Author) -> ScmProvider:
    """Open a forge by its name.

    Args:
        name: one of ``PROVIDERS``.
        config: where its settings are.
        guard: called right before every write; raises when this attempt may not write any more.
        author: who its commits are by.

    Raises:
        ValidationError: there is no provider of that name.
        ConfigurationError: names the setting that it lacks.
    """
    if name not in _OPENERS:
        message = f"There is no SCM provider {name!r}: this portal knows {', '.join(PROVIDERS)}."
        raise ValidationError(message, fields={"provider": [message]})
    return _OPENERS[name](config, guard, author)
