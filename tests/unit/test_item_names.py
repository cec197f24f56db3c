"""What people call an item of a step with ``each``."""

from __future__ import annotations

from typing import Any

import pytest

from portal_actions_plugin.runs.items.names import LONGEST, item_name
from portal_actions_plugin.runs.secrets.token_shapes import MASK


@pytest.mark.parametrize(
    ("key", "value", "name"),
    [
        ("0", "orders", "orders"),
        ("0", 8443, "8443"),
        ("0", 1.5, "1.5"),
        ("0", "two\n\tlines ", "two lines"),
        ("0", {"id": 7, "name": "payments"}, "payments"),
        ("0", {"id": 7, "name": ["no", "text"]}, "7"),
        ("production", {"name": "of an object, whose keys are words of the template"}, "production"),
        ("production", "https://production.example", "production"),
    ],
)
def test_an_item_is_called_by_its_value_where_its_key_only_counts(key: str, value: Any, name: str) -> None:
    assert item_name(0, key, value) == name


@pytest.mark.parametrize("value", [None, True, "", " \n", [1, 2], {}, {"name": None}, {"name": False}, MASK])
def test_an_item_whose_value_is_no_name_is_called_by_its_place(value: Any) -> None:
    assert item_name(3, "3", value) == "3"


@pytest.mark.parametrize(("key", "value"), [("0", "x" * 10**6), ("k" * 10**6, 1)])
def test_a_long_name_is_cut(key: str, value: Any) -> None:
    name = item_name(0, key, value)
    assert (len(name), name[-1]) == (LONGEST, "…")
