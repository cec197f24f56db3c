"""The forge in memory keeps the contract. These are all the tests that its package has to write."""

from importlib.metadata import entry_points

import pytest

from portal_actions_plugin.scm.base import Author
from portal_actions_plugin.scm.opening import Opening
from portal_actions_plugin.settings.installations import Installation
from portal_actions_plugin.testing.provider_contract import ForgeUnderTest, ProviderContract


class TestPocketForge(ProviderContract):
    @pytest.fixture
    def forge(self):
        (opener,) = (point.load() for point in entry_points(group="portal_actions.scm_providers", name="pocket"))
        installation = Installation("my-pocket", "pocket", {"owners": ["acme"]})
        return ForgeUnderTest(opener, Opening(installation, Author("Ada", "ada@example.com")), owner="acme")
