"""What several tests of the runner are given."""

from __future__ import annotations

import pytest
from flask import Flask

from portal_actions_plugin import signals
from tests.support.listening import EVERYTHING


@pytest.fixture
def nobody_listens(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver makes a process read the run, and remember that it was told; another test's leaves its trace."""
    for name in EVERYTHING:
        monkeypatch.setattr(getattr(signals, name), "receivers", {})
