"""Words: where they begin in a value, and what somebody types to find them."""

from __future__ import annotations

import pytest

from portal_actions_plugin.runs.dictionary.values import seen_in
from portal_actions_plugin.runs.dictionary.words import (
    MAX_BEGINNINGS,
    MAX_WORD_CHARS,
    beginnings,
    fold,
    name_key,
    typed,
)


@pytest.mark.parametrize(
    ("value", "found_by"),
    [
        ("component:default/orders-api", ["component:default/orders-api", "default/orders-api", "orders-api", "api"]),
        ("user:ada@example.com", ["user:ada@example.com", "ada@example.com", "example.com", "com"]),
        ("Ada  Lovelace", ["ada lovelace", "lovelace"]),
        ("scm.createRepo@v1", ["scm.createrepo@v1", "createrepo@v1", "repo@v1", "v1"]),
        ("_private", ["_private", "private"]),
        ("Straße №5", ["strasse no5", "no5"]),
        ("=odd", ["odd"]),
        ("", []),
    ],
)
def test_a_value_is_found_by_each_place_where_a_word_begins(value: str, found_by: list[str]) -> None:
    assert list(beginnings(value)) == found_by


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        ("  \t ", ()),
        ("Ada LOVELACE", ("ada", "lovelace")),
        ("@v1 (orders", ("orders", "v1")),
        ("or orders", ("orders",)),
        ("=x", ("x",)),
        ("→", ("→",)),
    ],
)
def test_what_is_typed_is_words_each_once(text: str, words: tuple[str, ...]) -> None:
    assert typed(text) == words


@pytest.mark.parametrize(
    "pair", [("STRASSE", "straße"), ("ﬁnd", "FIND"), ("Ａda", "ada"), ("I\u0307", "i\u0307"), ("a\u00a0b", "a b")]
)
def test_what_looks_alike_is_the_same_word(pair: tuple[str, str]) -> None:
    assert fold(pair[0]) == fold(pair[1])
    assert fold(fold(pair[0])) == fold(pair[0])


def test_a_value_however_long_is_a_bounded_number_of_bounded_words() -> None:
    long = beginnings("ﷺ word " * 5000)
    assert len(long) <= MAX_BEGINNINGS
    assert all(len(word) <= MAX_WORD_CHARS for word in long)
    assert len(name_key("x" * 5000)) == MAX_WORD_CHARS


def test_names_are_apart_from_words() -> None:
    assert not typed("=")[0].startswith("=x")
    (seen,) = seen_in("entity", "component:default/orders")
    assert {key for key in seen.found_by() if key.startswith("=")} == {
        "=component:default/orders",
        "=default/orders",
        "=orders",
    }
