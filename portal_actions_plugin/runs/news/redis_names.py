"""The names of this portal's things on Redis: several portals may share one, so each name carries a namespace."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.storage import database_identity
from portal_actions_plugin.storage.sessions import single_read

OLD_PREFIX = "portal-actions."
"""Of the queues of the version before, which had no namespace."""


class NamespaceUnknownError(Exception):
    """The database cannot say which one it is, and so by which names its portal goes; says why."""


@dataclass(frozen=True, slots=True)
class RedisNames:
    """The names that carry a namespace."""

    namespace: str

    def queue(self, queue: str) -> str:
        """An RQ queue. RQ keeps who listens on it under that name, too."""
        return f"portal-actions.{self.namespace}.{queue}"

    @property
    def channel(self) -> str:
        """Where changes are published."""
        return self._key("changed")

    @property
    def sign_of_life(self) -> str:
        """A key without a time to live: when it is gone, so are the doorbells."""
        return self._key("alive")

    @property
    def foreign(self) -> str:
        """How many doorbells were heard lately that another portal rang."""
        return self._key("foreign")

    @property
    def databases(self) -> str:
        """Which databases go by this namespace, and until when each was seen."""
        return self._key("databases")

    @property
    def databases_since(self) -> str:
        """Since when each of them has been seen."""
        return self._key("databases-since")

    @property
    def template_pushes(self) -> str:
        """How many pushes to repositories of templates forges have told of."""
        return self._key("template-pushes")

    def _key(self, what: str) -> str:
        return f"portal-actions:{self.namespace}:{what}"


def redis_names() -> RedisNames:
    """The names that this process goes by, for as long as it lives.

    Raises:
        NamespaceUnknownError: neither a setting nor the database says so.
    """
    kept = extension().kept
    if "names" not in kept:
        kept["names"] = RedisNames(namespace())
    found: RedisNames = kept["names"]
    return found


def namespace() -> str:
    """Read the namespace that is right at this moment: the setting, else the database's identity, which a command can renew.

    Raises:
        NamespaceUnknownError: neither a setting nor the database says so.
    """
    if (given := extension().config.namespace) is not None:
        return given
    try:
        with single_read() as db:
            return database_identity.identity_of(db)
    except (SQLAlchemyError, ConfigurationError) as error:
        cause = getattr(error, "orig", None) or error
        said = (str(cause).strip() or type(cause).__name__).splitlines()[0]
        raise NamespaceUnknownError(
            f"the database does not say which one it is: {said} (if its tables are missing: flask actions db upgrade)"
        ) from error
