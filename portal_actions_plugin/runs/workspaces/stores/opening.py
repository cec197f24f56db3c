"""The store of one app, as ``PORTAL_ACTIONS_WORKSPACES`` names it."""

from __future__ import annotations

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.workspaces.stores.folder import FolderStore
from portal_actions_plugin.runs.workspaces.stores.postgresql import PostgresStore
from portal_actions_plugin.runs.workspaces.stores.store import Store
from portal_actions_plugin.settings.workspaces import BucketPlace, FolderPlace

_KEPT = "workspaces"


def store() -> Store:
    """The current app's store of workspaces; made when it is first asked for, and asked nothing yet."""
    kept = extension().kept
    found: Store | None = kept.get(_KEPT)
    if found is None:
        found = kept[_KEPT] = _open()
    return found


def _open() -> Store:
    place = extension().config.workspaces
    if isinstance(place, FolderPlace):
        return FolderStore(place.folder)
    if isinstance(place, BucketPlace):
        from portal_actions_plugin.runs.workspaces.stores.bucket import BucketStore  # its library takes 30 MB

        return BucketStore(place)
    return PostgresStore()
