"""What has to hold of every forge: what it says of itself, and of the repositories that it makes."""

from __future__ import annotations

import pytest

from portal_actions_plugin.errors import ConflictError, NotFoundError, ValidationError
from portal_actions_plugin.scm.base import Operation, Repository
from portal_actions_plugin.testing.contract import Contract
from portal_actions_plugin.testing.forge_under_test import Attempt, AttemptLostError, ForgeUnderTest, new_name


def create(forge: ForgeUnderTest, attempt: Attempt, name: str, *, readme: bool = False) -> Repository:
    """Create a repository as the run of an attempt."""
    return attempt.scm.create_repo(
        forge.owner, name, visibility="private", description="One line", init_with_readme=readme, claim=attempt.claim
    )


class RepositoryContract(Contract):
    """Repositories are made once, by whoever claims them."""

    def test_it_says_what_it_can_and_what_people_call_a_pull_request(self, forge: ForgeUnderTest) -> None:
        scm = forge.attempt().scm
        needed = {Operation.CREATE_REPO, Operation.READ, Operation.COMMIT, Operation.OPEN_PULL}
        assert isinstance(scm.operations, frozenset)
        assert needed <= scm.operations <= frozenset(Operation)
        assert scm.pull_word in {"pull request", "merge request"}

    @pytest.mark.parametrize("whose", ["its own", "an owner's"])
    def test_its_reach_is_known_and_changes_nothing(self, forge: ForgeUnderTest, whose: str) -> None:
        attempt = forge.attempt(lost_at=1)  # a write would end it
        reach = attempt.scm.reach(forge.owner if whose == "an owner's" else None)
        assert reach.forge
        assert set(reach.missing) <= set(Operation)
        assert all(reach.missing.values())

    def test_the_credential_is_masked_and_in_no_line(self, forge: ForgeUnderTest) -> None:
        if not forge.credential:
            pytest.skip("this forge has no credential")
        attempt = forge.attempt()
        create(forge, attempt, new_name(), readme=True)
        assert forge.credential in attempt.redacted
        said = "\n".join([*attempt.lines, *attempt.warnings, repr(attempt.scm), repr(attempt.memory.kept)])
        assert forge.credential not in said

    def test_a_repository_that_was_made_is_found(self, forge: ForgeUnderTest) -> None:
        attempt, name = forge.attempt(), new_name()
        made = create(forge, attempt, name)
        assert made.fresh
        assert (made.ref.provider, made.ref.owner, made.ref.repo) == (
            forge.opening.installation.name,
            forge.owner,
            name,
        )
        assert made.ref.default_branch
        assert made.web_url
        assert made.clone_url
        found = attempt.scm.get_repo(forge.owner, name)
        assert found == made
        assert not found.fresh
        assert (found.visibility, found.description) == ("private", "One line")

    def test_with_a_readme_it_has_a_commit_and_without_it_is_empty(self, forge: ForgeUnderTest) -> None:
        scm = forge.attempt().scm
        with_readme = create(forge, forge.attempt(), new_name(), readme=True).ref
        readme = scm.read_file(with_readme, with_readme.default_branch, "README.md")
        assert readme
        assert with_readme.repo.encode() in readme[0]
        empty = create(forge, forge.attempt(), new_name()).ref
        assert scm.branch_head(empty, empty.default_branch) is None
        assert scm.read_file(empty, empty.default_branch, "README.md") is None

    @pytest.mark.parametrize("readme", [True, False])
    def test_the_next_attempt_of_a_run_gets_what_the_run_has_made(self, forge: ForgeUnderTest, readme: bool) -> None:
        first, name = forge.attempt(), new_name()
        made = create(forge, first, name, readme=readme)
        again = create(forge, forge.attempt(first), name, readme=readme)
        assert again == made
        assert not again.fresh

    def test_a_repository_that_another_run_has_made_is_a_conflict(self, forge: ForgeUnderTest) -> None:
        owner, name = forge.attempt(), new_name()
        ref = create(forge, owner, name, readme=True).ref
        head = owner.scm.branch_head(ref, ref.default_branch)
        with pytest.raises(ConflictError) as caught:
            create(forge, forge.attempt(), name)
        assert name in caught.value.message
        assert owner.scm.branch_head(ref, ref.default_branch) == head

    def test_a_lost_attempt_makes_no_repository_and_leaves_the_name_to_the_next(self, forge: ForgeUnderTest) -> None:
        lost, name = forge.attempt(lost_at=1), new_name()
        with pytest.raises(AttemptLostError):
            create(forge, lost, name)
        with pytest.raises(NotFoundError):
            forge.attempt().scm.get_repo(forge.owner, name)
        assert create(forge, forge.attempt(lost), name).fresh

    def test_an_owner_that_is_missing_is_not_found(self, forge: ForgeUnderTest) -> None:
        attempt = forge.attempt()
        with pytest.raises(NotFoundError) as caught:
            attempt.scm.create_repo(
                forge.missing_owner,
                new_name(),
                visibility="private",
                description="",
                init_with_readme=False,
                claim=attempt.claim,
            )
        assert forge.missing_owner in caught.value.message

    def test_a_repository_that_is_missing_is_not_found(self, forge: ForgeUnderTest) -> None:
        name = new_name()
        with pytest.raises(NotFoundError) as caught:
            forge.attempt().scm.get_repo(forge.owner, name)
        assert name in caught.value.message

    @pytest.mark.parametrize("name", ["", "..", "../{}", "{}/b"])
    def test_a_name_that_climbs_leads_nowhere(self, forge: ForgeUnderTest, name: str) -> None:
        asked = name.format(new_name())
        try:
            made = create(forge, forge.attempt(), asked).ref
        except ValidationError as error:
            assert set(error.fields) == {"repo"}  # noqa: PT017 a forge may also make a plain name of it
        else:
            assert made.owner == forge.owner
            assert "/" not in made.repo

    def test_a_visibility_that_nobody_knows_is_refused(self, forge: ForgeUnderTest) -> None:
        attempt = forge.attempt()
        with pytest.raises(ValidationError) as caught:
            attempt.scm.create_repo(
                forge.owner,
                new_name(),
                visibility="secret",
                description="",
                init_with_readme=False,
                claim=attempt.claim,
            )
        assert set(caught.value.fields) == {"visibility"}
