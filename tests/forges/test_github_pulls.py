"""Pull requests by the provider ``github``: one for two branches, told apart as the design's table says, on a double."""

from __future__ import annotations

import pytest

from portal_actions_plugin.errors import AuthError, ConflictError, NotFoundError, ValidationError
from portal_actions_plugin.scm.base import PullRequest
from tests.support.forges.faults import Close, Reset, Respond
from tests.support.forges.github_opened import OpenedGitHub, ref

PULLS = "/repos/acme/shop/pulls"


@pytest.fixture
def shop(github: OpenedGitHub) -> OpenedGitHub:
    github.double.add_repository("acme/shop", {"a": "1\n"})
    github.double.commit("acme/shop", "topic", {"b": "2\n"})
    return github


def opened(shop: OpenedGitHub, **changes) -> PullRequest:
    options = {"head": "topic", "base": "main", "title": "Add b", "body": "So that"} | changes
    return shop.provider().open_pull(ref(), **options)


def test_a_pull_request_is_opened_once(shop: OpenedGitHub) -> None:
    pull = opened(shop)
    assert (pull.head, pull.base, pull.title, pull.body, pull.state) == ("topic", "main", "Add b", "So that", "open")
    assert (pull.url, pull.opened_by) == (f"{shop.double.url}/acme/shop/pull/1", "mona")
    assert pull.head_sha == shop.double.branches("acme/shop")["topic"]
    assert pull.fresh
    again = opened(shop, title="Another title")
    assert again == pull
    assert not again.fresh
    assert shop.provider().get_pull(ref(), 1) == pull
    assert shop.double.log.count("POST", PULLS) == 1


def test_other_branches_get_another_one(shop: OpenedGitHub) -> None:
    shop.double.commit("acme/shop", "release", {"c": "3\n"})
    shop.double.commit("acme/shop", "topic2", {"d": "4\n"})
    numbers = [opened(shop).number, opened(shop, base="release").number, opened(shop, head="topic2").number]
    assert numbers == [1, 2, 3]


def test_a_merged_one_with_nothing_new_is_returned_and_anything_new_opens_another(shop: OpenedGitHub) -> None:
    scm = shop.provider()
    number = opened(shop).number
    merged = scm.merge_pull(ref(), number, expected_head=None, method="squash")
    assert (merged.state, merged.merged_by) == ("merged", "mona")
    assert merged.merge_sha == shop.double.branches("acme/shop")["main"]
    again = opened(shop)
    assert (again.number, again.state, again.fresh) == (number, "merged", False)
    shop.double.commit("acme/shop", "topic", {"new": "5\n"})
    assert opened(shop).number == number + 1


def test_a_closed_one_is_left_and_another_one_is_opened(shop: OpenedGitHub) -> None:
    scm = shop.provider()
    closed = scm.close_pull(ref(), opened(shop).number, expected_head=None)
    assert closed.state == "closed"
    assert scm.close_pull(ref(), closed.number, expected_head="e" * 40) == closed
    assert opened(shop).number == closed.number + 1


def test_one_that_was_opened_meanwhile_is_found_by_what_github_says(shop: OpenedGitHub) -> None:
    mine: list[PullRequest] = []
    other = shop.as_token(shop.double.classic_token("mona", "repo").token)

    def somebody() -> None:
        if not mine:
            mine.append(opened(other))

    found = shop.provider(guard=somebody).open_pull(ref(), head="topic", base="main", title="x", body="")
    assert found.number == mine[0].number
    assert not found.fresh
    assert shop.double.log.count("POST", PULLS) == 2


@pytest.mark.parametrize("fault", [Reset(), Close(), Respond(502, "<html>Unicorn!</html>")])
def test_a_lost_answer_opens_no_second_one(shop: OpenedGitHub, fault) -> None:
    shop.double.faults.order("POST", PULLS, fault, after=True)
    assert opened(shop).number == 1
    assert len(shop.double.pulls("acme/shop")) == 1
    assert shop.double.log.count("POST", PULLS) == 1


def test_what_cannot_be_proposed_names_the_field_that_is_wrong(shop: OpenedGitHub) -> None:
    with pytest.raises(ValidationError, match="has no branch none") as caught:
        opened(shop, head="none")
    assert set(caught.value.fields) == {"headBranch"}
    with pytest.raises(NotFoundError, match="has no branch none to merge into") as missing:
        opened(shop, base="none")
    assert set(missing.value.fields) == {"baseBranch"}
    shop.double.commit("acme/shop", "main", {"e": "1"})
    with pytest.raises(ValidationError, match="has no commit that main lacks") as same:
        shop.double.repository("acme/shop").git.set_ref("refs/heads/same", shop.double.branches("acme/shop")["main"])
        opened(shop, head="same")
    assert set(same.value.fields) == {"headBranch"}


def test_only_what_was_seen_is_closed_or_merged(shop: OpenedGitHub) -> None:
    scm, number, seen = shop.provider(), opened(shop).number, shop.double.branches("acme/shop")["topic"]
    shop.double.commit("acme/shop", "topic", {"later": "1"})
    with pytest.raises(ConflictError, match="by now, and not"):
        scm.close_pull(ref(), number, expected_head=seen)
    with pytest.raises(ConflictError, match="by now, and not"):
        scm.merge_pull(ref(), number, expected_head=seen, method="merge")
    assert shop.double.pulls("acme/shop")[0].state == "open"
    now = shop.double.branches("acme/shop")["topic"]
    assert scm.merge_pull(ref(), number, expected_head=now, method="merge").state == "merged"
    again = scm.merge_pull(ref(), number, expected_head=seen, method="merge")
    assert again.state == "merged"
    assert shop.double.log.count("PUT", f"{PULLS}/*/merge") == 1


def test_a_head_that_moves_while_it_is_merged_is_a_conflict(shop: OpenedGitHub) -> None:
    number = opened(shop).number
    scm = shop.provider(guard=lambda: shop.double.commit("acme/shop", "topic", {"later": "1"}))
    with pytest.raises(ConflictError, match="Head branch was modified"):
        scm.merge_pull(ref(), number, expected_head=None, method="merge")
    assert shop.double.pulls("acme/shop")[0].state == "open"


def test_what_github_does_not_merge_is_a_conflict_in_its_words(shop: OpenedGitHub) -> None:
    number = opened(shop).number
    shop.double.repository("acme/shop").settings["allow_rebase_merge"] = False
    with pytest.raises(ConflictError, match="Rebase merges are not allowed"):
        shop.provider().merge_pull(ref(), number, expected_head=None, method="rebase")
    shop.double.commit("acme/shop", "main", {"b": "else\n"})
    with pytest.raises(ConflictError, match="not mergeable"):
        shop.provider().merge_pull(ref(), number, expected_head=None, method="merge")
    shop.provider().close_pull(ref(), number, expected_head=None)
    with pytest.raises(ConflictError, match="is closed, so it cannot be merged"):
        shop.provider().merge_pull(ref(), number, expected_head=None, method="merge")


@pytest.mark.parametrize(
    ("method", "path", "do"), [("PATCH", f"{PULLS}/1", "close"), ("PUT", f"{PULLS}/1/merge", "merge")]
)
def test_a_lost_answer_closes_and_merges_once(shop: OpenedGitHub, method: str, path: str, do: str) -> None:
    scm, number = shop.provider(), opened(shop).number
    shop.double.faults.order(method, path, Reset(), after=True)
    if do == "close":
        assert scm.close_pull(ref(), number, expected_head=None).state == "closed"
    else:
        assert scm.merge_pull(ref(), number, expected_head=None, method="merge").state == "merged"
    assert shop.double.log.count(method, path) == 1


def test_a_pull_request_that_is_not_there_is_not_found(shop: OpenedGitHub) -> None:
    with pytest.raises(NotFoundError):
        shop.provider().get_pull(ref(), 7)


def test_a_missing_permission_of_an_app_is_named(shop: OpenedGitHub) -> None:
    app = shop.as_installation("acme", {"contents": "write", "pull_requests": "read"})
    with pytest.raises(AuthError, match="Resource not accessible by integration") as caught:
        app.provider().open_pull(ref(), head="topic", base="main", title="x", body="")
    assert "pull_requests=write" in caught.value.hint
