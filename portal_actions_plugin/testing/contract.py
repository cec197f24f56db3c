"""What the parts of the contract share."""

from __future__ import annotations

import pytest

from portal_actions_plugin.scm.base import Operation, RepoRef
from portal_actions_plugin.testing.forge_under_test import Attempt, ForgeUnderTest


class Contract:
    """A part of the contract. The class that is run has a fixture ``forge``, which gives a ``ForgeUnderTest``."""

    @pytest.fixture
    def attempt(self, forge: ForgeUnderTest) -> Attempt:
        """The first attempt of a run."""
        return forge.attempt()

    @pytest.fixture
    def ref(self, forge: ForgeUnderTest, attempt: Attempt) -> RepoRef:
        """A new repository with a README.md."""
        return forge.new_repo(attempt)


def needs(attempt: Attempt, operation: Operation) -> None:
    """Leave a test out for a forge that lacks an operation: another test sees that it is refused."""
    if operation not in attempt.scm.operations:
        pytest.skip(f"this forge has no operation {operation.value}")
