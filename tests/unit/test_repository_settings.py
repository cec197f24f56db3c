"""``PORTAL_ACTIONS_TEMPLATE_REPOSITORIES`` as people write it."""

from __future__ import annotations

import pytest

from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.settings.template_repositories import TemplateRepository, read_repositories


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ("https://user:pass@example.org/a/b", "without a user"),
        ("http://example.org/a/b", "http is for this machine alone"),
        ("git@example.org:a/b", "is 'an address of ssh'"),
        ("ssh://git@example.org/a/b", "is 'an address of ssh'"),
        ("https://example.org/a/b/tree/main/services", "a page within a repository"),
        ("https://example.org/a/b/c/-/blob/main/x.yaml", "a page within a repository"),
        ([{"address": "https://example.org/a/b", "branch": "main"}], "a list of repositories"),
        ([{"address": "https://example.org/a/b", "path": "../x"}], "the path of a folder"),
        ([{"address": "https://example.org/a/b", "ref": "refs/heads/x"}], "the name of a branch or a tag"),
        (["https://example.org/a/b", "https://example.org/a/b.git"], "each repository once"),
        ("[no json", "a list of repositories"),
        (7, "a list of repositories"),
    ],
)
def test_a_wrong_setting_is_told_without_its_password(given: object, part: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_repositories(given)
    assert part in refused.value.message
    assert "pass@" not in refused.value.message


def test_repositories_may_be_given_as_texts_json_or_mappings() -> None:
    one = TemplateRepository("https://example.org/a/b", "main", "services/x")
    assert read_repositories("https://example.org/a/b#main:services/x") == (one,)
    assert read_repositories(["https://example.org/a/b/#main:/services/x/"]) == (one,)
    as_json = '[{"address": "https://example.org/a/b", "ref": "main", "path": "services/x"}]'
    assert read_repositories(as_json) == (one,)
    assert [found.name for found in read_repositories("https://e.org/a.git https://e.org/b#v1:x")] == [
        "e.org/a",
        "e.org/b@v1/x",
    ]
    assert read_repositories("https://e.org/a/raw https://e.org/a/b/tree")[1].name == "e.org/a/b/tree"
    assert read_repositories(None) == read_repositories("") == ()
