"""What every test is given stands in tests/support/fixtures.py, and forges in tests/support/forges/fixtures.py."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.support")
pytest_plugins = ["tests.support.fixtures", "tests.support.forges.fixtures"]
