"""The old place of ``storage.migrations``, for hosts whose ``env.py`` imports ``include_name`` from here. It goes with 0.2."""

from __future__ import annotations

import warnings
from typing import Any

_NEW = "portal_actions_plugin.storage.migrations"


def __getattr__(name: str) -> Any:
    if name != "include_name":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}: the rest has moved to {_NEW}")
    from portal_actions_plugin.storage.migrations import include_name

    warnings.warn(f"Import {name} from {_NEW}: {__name__} goes with 0.2.", DeprecationWarning, stacklevel=2)
    return include_name
