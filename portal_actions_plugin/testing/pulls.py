"""What has to hold of every forge: pull requests are opened once, and ended only as they were seen."""

from __future__ import annotations

import pytest

from portal_actions_plugin.errors import ConflictError, NotFoundError, ValidationError
from portal_actions_plugin.scm.base import FileChange, Operation, PullRequest, RepoRef
from portal_actions_plugin.testing.commits import content, put
from portal_actions_plugin.testing.contract import Contract, needs
from portal_actions_plugin.testing.forge_under_test import Attempt, AttemptLostError, ForgeUnderTest


def propose(attempt: Attempt, ref: RepoRef, *, head: str = "fix") -> PullRequest:
    """Open a pull request of a branch into the default branch."""
    return attempt.scm.open_pull(ref, head=head, base=ref.default_branch, title="Fix it", body="Since it is broken")


class PullContract(Contract):
    """A proposal to merge is there once for its two branches."""

    @pytest.fixture
    def proposable(self, attempt: Attempt, ref: RepoRef) -> RepoRef:
        """A repository with a branch ``fix`` that is one commit ahead."""
        put(attempt, ref, FileChange("fix.md", b"fixed\n"), branch="fix")
        return ref

    def test_it_is_opened_once(self, forge: ForgeUnderTest, attempt: Attempt, proposable: RepoRef) -> None:
        pull = propose(attempt, proposable)
        assert pull.fresh
        assert (pull.state, pull.head, pull.base, pull.title) == ("open", "fix", proposable.default_branch, "Fix it")
        assert pull.number > 0
        assert pull.url
        assert pull.opened_at.tzinfo
        assert pull.head_sha in {attempt.scm.branch_head(proposable, "fix"), None}
        again = forge.attempt().scm.open_pull(
            proposable, head="fix", base=proposable.default_branch, title="Other", body=""
        )
        assert (again.number, again.fresh, again.title) == (pull.number, False, "Fix it")
        found = attempt.scm.get_pull(proposable, pull.number)
        assert (found.number, found.state, found.fresh) == (pull.number, "open", False)

    def test_it_follows_its_head(self, attempt: Attempt, proposable: RepoRef) -> None:
        number = propose(attempt, proposable).number
        put(attempt, proposable, FileChange("more.md", b"1"), branch="fix")
        assert propose(attempt, proposable).number == number
        head = attempt.scm.branch_head(proposable, "fix")
        assert attempt.scm.get_pull(proposable, number).head_sha in {head, None}

    def test_another_branch_is_another_one(self, attempt: Attempt, proposable: RepoRef) -> None:
        put(attempt, proposable, FileChange("two.md", b"1"), branch="fix-two")
        assert propose(attempt, proposable).number != propose(attempt, proposable, head="fix-two").number

    def test_what_cannot_be_proposed_is_said(self, attempt: Attempt, proposable: RepoRef) -> None:
        with pytest.raises(ValidationError) as caught:
            propose(attempt, proposable, head="no-such-branch")
        assert "no-such-branch" in caught.value.message
        with pytest.raises(NotFoundError) as missing:
            attempt.scm.open_pull(proposable, head="fix", base="no-such-base", title="No", body="")
        assert "no-such-base" in missing.value.message

    def test_a_lost_attempt_opens_none(self, forge: ForgeUnderTest, attempt: Attempt, proposable: RepoRef) -> None:
        with pytest.raises(AttemptLostError):
            propose(forge.attempt(lost_at=1), proposable)
        assert propose(attempt, proposable).fresh

    def test_a_number_that_is_not_there_is_not_found(self, attempt: Attempt, proposable: RepoRef) -> None:
        with pytest.raises(NotFoundError):
            attempt.scm.get_pull(proposable, 4711)

    def test_a_closed_one_stays_closed_and_its_branches_get_a_new_one(
        self, forge: ForgeUnderTest, attempt: Attempt, proposable: RepoRef
    ) -> None:
        needs(attempt, Operation.CLOSE_PULL)
        number = propose(attempt, proposable).number
        head = attempt.scm.branch_head(proposable, "fix")
        assert attempt.scm.close_pull(proposable, number, expected_head=head).state == "closed"
        assert forge.attempt().scm.close_pull(proposable, number, expected_head=None).state == "closed"
        assert attempt.scm.get_pull(proposable, number).state == "closed"
        again = propose(attempt, proposable)
        assert again.fresh
        assert again.number != number

    @pytest.mark.parametrize("end", [Operation.CLOSE_PULL, Operation.MERGE_PULL])
    def test_a_head_that_moved_since_it_was_seen_is_a_conflict(
        self, attempt: Attempt, proposable: RepoRef, end: Operation
    ) -> None:
        needs(attempt, end)
        number, seen = propose(attempt, proposable).number, attempt.scm.branch_head(proposable, "fix")
        put(attempt, proposable, FileChange("unseen.md", b"1"), branch="fix")
        with pytest.raises(ConflictError):
            _end(attempt, proposable, number, end, seen)
        assert attempt.scm.get_pull(proposable, number).state == "open"
        assert content(attempt, proposable, "unseen.md") is None

    @pytest.mark.parametrize("end", [Operation.CLOSE_PULL, Operation.MERGE_PULL])
    def test_a_lost_attempt_ends_none(
        self, forge: ForgeUnderTest, attempt: Attempt, proposable: RepoRef, end: Operation
    ) -> None:
        needs(attempt, end)
        number = propose(attempt, proposable).number
        with pytest.raises(AttemptLostError):
            _end(forge.attempt(lost_at=1), proposable, number, end, None)
        assert attempt.scm.get_pull(proposable, number).state == "open"

    @pytest.mark.parametrize("method", ["merge", "squash"])
    def test_a_merged_one_is_in_its_base_and_is_found_again(
        self, forge: ForgeUnderTest, attempt: Attempt, proposable: RepoRef, method: str
    ) -> None:
        needs(attempt, Operation.MERGE_PULL)
        number, head = propose(attempt, proposable).number, attempt.scm.branch_head(proposable, "fix")
        merged = attempt.scm.merge_pull(proposable, number, expected_head=head, method=method)
        assert (merged.number, merged.state) == (number, "merged")
        assert content(attempt, proposable, "fix.md") == b"fixed\n"
        now = attempt.scm.branch_head(proposable, proposable.default_branch)
        assert forge.attempt().scm.merge_pull(proposable, number, expected_head=None, method=method).state == "merged"
        assert attempt.scm.branch_head(proposable, proposable.default_branch) == now
        found = propose(attempt, proposable)
        assert (found.number, found.state, found.fresh) == (number, "merged", False)

    def test_a_closed_one_is_not_merged(self, attempt: Attempt, proposable: RepoRef) -> None:
        needs(attempt, Operation.CLOSE_PULL)
        needs(attempt, Operation.MERGE_PULL)
        number = propose(attempt, proposable).number
        attempt.scm.close_pull(proposable, number, expected_head=None)
        with pytest.raises(ConflictError):
            attempt.scm.merge_pull(proposable, number, expected_head=None, method="merge")
        assert content(attempt, proposable, "fix.md") is None


def _end(attempt: Attempt, ref: RepoRef, number: int, end: Operation, seen: str | None) -> PullRequest:
    if end is Operation.CLOSE_PULL:
        return attempt.scm.close_pull(ref, number, expected_head=seen)
    return attempt.scm.merge_pull(ref, number, expected_head=seen, method="merge")
