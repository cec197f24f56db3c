"""The store of one app, as ``PORTAL_ACTIONS_WORKSPACES`` names it."""

from __future__ import annotations

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.workspaces.stores.folder import FolderStore
from portal_actions_plugin.runs.workspaces.stores.postgresql import PostgresStore
from portal_actions_plugin.runs.workspaces.stores.store import Store
from portal_actions_plugin.settings.workspaces import BucketPlace, FolderPlace
from portal_actions_plugin.storage import database_identity
from portal_actions_plugin.storage.sessions import single_read

_KEPT = "workspaces"


def store() -> Store:
    """The current app's store of workspaces; made when it is first asked for, and asked nothing yet.

    Raises:
        ConfigurationError: the database does not know which one it is.
    """
    kept = extension().kept
    found: Store | None = kept.get(_KEPT)
    if found is None:
        found = kept[_KEPT] = _open()
    return found


def _open() -> Store:
    place = extension().config.workspaces
    if isinstance(place, FolderPlace):
        return FolderStore(place.folder if place.is_beside_database else place.folder / _identity())
    if isinstance(place, BucketPlace):
        from portal_actions_plugin.runs.workspaces.stores.bucket import BucketStore  # its library takes 30 MB

        return BucketStore(place, _identity())
    return PostgresStore()


def _identity() -> str:
    """What keeps portals apart that share a folder or bucket: what belongs to no run of one's own is deleted there."""
    with single_read() as db:
        return database_identity.identity_of(db)
