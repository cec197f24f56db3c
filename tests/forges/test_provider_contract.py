"""Our own providers keep the contract that other packages' providers are tested by."""

from __future__ import annotations

import pytest

from portal_actions_plugin.scm.base import Collaborator
from portal_actions_plugin.scm.local.provider import open_local
from portal_actions_plugin.scm.opening import Opening
from portal_actions_plugin.settings.installations import Installation
from portal_actions_plugin.testing.provider_contract import ForgeUnderTest, ProviderContract
from tests.support.action_helpers import ADA


class TestLocal(ProviderContract):
    @pytest.fixture
    def forge(self, tmp_path):
        (tmp_path / "acme").mkdir()
        opening = Opening(Installation("disk", "local"), ADA, local_root=tmp_path, local_url="https://forge.example")
        people = (Collaborator("grace", "write"), Collaborator("buyers", "read", is_team=True))
        return ForgeUnderTest(open_local, opening, "acme", collaborators=people)
