"""What every test is given stands in tests/support/fixtures.py."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.support", "portal_actions_plugin.testing")
pytest_plugins = ["tests.support.fixtures", "tests.support.forges.fixtures"]

# Its tests are run where it is installed: see tests/forges/test_third_party_provider.py.
collect_ignore = ["third_party_provider"]
