"""The tests that every provider passes, for packages that bring one: inherit them, and give them a forge.

    from portal_actions_plugin.testing.provider_contract import ForgeUnderTest, ProviderContract

    class TestMyForge(ProviderContract):
        @pytest.fixture
        def forge(self):
            return ForgeUnderTest(open_mine, Opening(Installation("mine", "mine", {"url": …}), Author("A", "a@b.c")), "acme")

It needs pytest, which the extra ``testing`` brings. ``pytest.register_assert_rewrite("portal_actions_plugin.testing")`` in
a ``conftest.py`` lets failures say more.
"""

from portal_actions_plugin.testing.around_repositories import AroundRepositoriesContract
from portal_actions_plugin.testing.commits import CommitContract
from portal_actions_plugin.testing.forge_under_test import Attempt, AttemptLostError, ForgeUnderTest
from portal_actions_plugin.testing.pulls import PullContract
from portal_actions_plugin.testing.repositories import RepositoryContract

__all__ = ["Attempt", "AttemptLostError", "ForgeUnderTest", "ProviderContract"]


class ProviderContract(RepositoryContract, CommitContract, PullContract, AroundRepositoriesContract):
    """Everything that has to hold of a provider. A subclass whose name begins with ``Test`` has a fixture ``forge``."""
