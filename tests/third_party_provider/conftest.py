"""Lets a failure of the contract say what was compared."""

import pytest

pytest.register_assert_rewrite("portal_actions_plugin.testing")
