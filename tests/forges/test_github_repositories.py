"""Repositories by the provider ``github``: made once, known again by notes, and never anybody else's, on a double."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from portal_actions_plugin.errors import (
    AuthError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    RemoteError,
    ValidationError,
)
from portal_actions_plugin.scm.base import FileChange, RepoRef, Repository
from tests.support.forges.faults import Close, Reset, Respond, redirect
from tests.support.forges.github.endpoints import repositories as endpoints
from tests.support.forges.github_opened import KeptNotes, OpenedGitHub, ref

ORGS, SHOP = "/orgs/acme/repos", "/repos/acme/shop"
LOST = [Reset(), Close(), Respond(502, "<html>Unicorn!</html>")]


def create(github: OpenedGitHub, repo: str = "shop", **changes) -> Repository:
    options = {"visibility": "private", "description": "Sells", "init_with_readme": False, "claim": "c1"}
    owner = changes.pop("owner", "acme")
    return github.provider().create_repo(owner, repo, **(options | changes))


def test_a_repository_is_made_with_what_was_asked_for(github: OpenedGitHub) -> None:
    made = create(github)
    assert made == Repository(
        RepoRef("ghe", "acme", "shop", "main"),
        f"{github.double.url}/acme/shop",
        f"{github.double.url}/acme/shop.git",
        "Sells",
        "private",
    )
    assert made.fresh
    assert github.double.repository("acme/shop").git.is_empty()
    assert github.requests() == [
        "GET /orgs/acme",
        "GET /repos/acme/shop",
        "POST /orgs/acme/repos",
        "GET /repos/acme/shop",
    ]


def test_its_first_commit_goes_by_git_and_sets_the_default_branch(github: OpenedGitHub) -> None:
    made = create(github)
    github.double.log.clear()
    changes = [FileChange("README.md", b"# Shop\n"), FileChange("bin/run", b"x", executable=True)]
    changes += [FileChange(f"src/{number}.txt", b"%d" % number) for number in range(300)]
    changes += [FileChange(f"img/{number}.png", b"\0%d" % number) for number in range(3)]
    done = github.provider().put_files(made.ref, "trunk", changes, "Add the skeleton", base_branch="main")
    assert github.double.branches("acme/shop") == {"trunk": done.sha}
    assert github.double.repository("acme/shop").git.default_branch == "trunk"
    assert len(github.double.commits("acme/shop", "trunk")) == 1
    assert len(done.changed) == len(changes)
    assert github.double.files("acme/shop", "trunk")["README.md"] == b"# Shop\n"
    assert len(github.double.log.entries()) <= 6, github.requests()
    again = github.provider().put_files(made.ref, "trunk", changes, "Add the skeleton", base_branch="main")
    assert (again.sha, again.changed) == (done.sha, ())


@pytest.mark.parametrize("init_with_readme", [False, True])
def test_the_same_run_finds_what_it_has_made_and_nobody_else_does(github: OpenedGitHub, init_with_readme: bool) -> None:
    made = create(github, init_with_readme=init_with_readme)
    again = create(github, init_with_readme=init_with_readme)
    assert again == made
    assert not again.fresh
    other_run = replace(github, notes=KeptNotes())
    for claim in ("c1", "c2"):
        with pytest.raises(ConflictError, match="exists already, and this run has not made it") as caught:
            create(other_run, init_with_readme=init_with_readme, claim=claim)
        assert f"Look at {github.double.url}/acme/shop" in caught.value.hint
    assert len(github.double.repositories()) == 1


def test_another_input_of_the_same_run_inherits_no_claim(github: OpenedGitHub) -> None:
    create(github, "shop")
    with pytest.raises(ConflictError):
        create(github, "shop", description="Something else")
    github.double.add_repository("acme/other")
    with pytest.raises(ConflictError):
        create(github, "other")


def test_a_repository_that_was_made_is_known_by_its_number_whatever_is_in_it(github: OpenedGitHub) -> None:
    made = create(github)
    github.double.commit("acme/shop", "main", {"a": "1"})
    github.double.commit("acme/shop", "main", {"a": "2"})
    assert create(github) == made


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("init_with_readme", [False, True])
def test_a_lost_answer_makes_no_second_repository(github: OpenedGitHub, fault, init_with_readme: bool) -> None:
    github.double.faults.order("POST", ORGS, fault, after=True)
    made = create(github, init_with_readme=init_with_readme)
    assert made.fresh
    assert github.double.repositories() == ["acme/shop"]
    assert github.double.log.count("POST", ORGS) == 1


def test_a_lost_answer_is_looked_up_until_the_repository_is_shown(github: OpenedGitHub) -> None:
    github.double.faults.order("POST", ORGS, Reset(), after=True)
    hidden = github.double.faults.order("GET", SHOP, Respond(404, {"message": "Not Found"}), nth=2, times=2)
    assert create(github).ref.repo == "shop"
    assert hidden.fired == 2


def test_a_repository_that_an_attempt_made_before_it_died_is_found_by_the_next_one(
    github: OpenedGitHub, quick_look_ups
) -> None:
    github.double.faults.order("POST", ORGS, Reset(), after=True)
    github.double.faults.order("GET", SHOP, Reset(), nth=2, times=20)
    with pytest.raises(RemoteError):
        create(github)
    github.double.faults.clear()
    assert create(github).ref.repo == "shop"
    assert github.double.log.count("POST", ORGS) == 1


def test_a_repository_that_did_not_show_yet_is_ours_when_github_says_that_the_name_is_taken(
    github: OpenedGitHub, quick_look_ups
) -> None:
    github.double.faults.order("POST", ORGS, Reset(), after=True)
    github.double.faults.order("GET", SHOP, Respond(404, {"message": "Not Found"}), nth=2, times=2)
    with pytest.raises(RemoteError):
        create(github)
    assert create(github).ref.repo == "shop"
    assert github.double.log.count("POST", ORGS) == 2
    assert github.double.repositories() == ["acme/shop"]


def test_somebody_elses_repository_is_not_taken_though_an_answer_was_lost(github: OpenedGitHub, quick_look_ups) -> None:
    def somebody() -> None:
        if not github.double.repositories():
            github.double.add_repository("acme/shop", {"theirs": "1"})

    scm = github.provider(guard=somebody)
    github.double.faults.order("POST", ORGS, Reset(), after=True)
    with pytest.raises(ConflictError, match="this run has not made it"):
        scm.create_repo("acme", "shop", visibility="private", description="", init_with_readme=False, claim="c1")
    with pytest.raises(ConflictError, match="this run has not made it"):
        create(github, description="")


@pytest.mark.parametrize("refusal", [Respond(403, {"message": "Try again later."}), Respond(422, {"message": "No."})])
def test_what_somebody_makes_after_github_refused_ours_is_not_ours_even_when_it_is_empty(
    github: OpenedGitHub, refusal: Respond
) -> None:
    github.double.faults.order("POST", ORGS, refusal)
    with pytest.raises((AuthError, ValidationError)):
        create(github)
    github.double.add_repository("acme/shop")
    with pytest.raises(ConflictError, match="this run has not made it"):
        create(github)


def test_what_somebody_makes_right_before_our_request_is_not_ours_even_when_it_is_empty(github: OpenedGitHub) -> None:
    def somebody() -> None:
        if not github.double.repositories():
            github.double.add_repository("acme/shop")

    scm = github.provider(guard=somebody)
    with pytest.raises(ConflictError, match="this run has not made it"):
        scm.create_repo("acme", "shop", visibility="private", description="", init_with_readme=False, claim="c1")


@pytest.mark.parametrize("minutes", [-5, 5])
def test_after_a_lost_answer_what_was_made_long_before_or_after_it_is_not_ours(
    github: OpenedGitHub, quick_look_ups, minutes: int
) -> None:
    github.double.faults.order("POST", ORGS, Reset())
    with pytest.raises(RemoteError):
        create(github)
    repository = github.double.add_repository("acme/shop")
    repository.created_at = (github.double.clock.now() + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    with pytest.raises(ConflictError, match="this run has not made it"):
        create(github)


def test_names_come_from_githubs_answer(github: OpenedGitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert create(github, owner="ACME").ref.owner == "acme"
    monkeypatch.setattr(endpoints, "normalized", lambda name: f"{name}-eu")
    made = create(github, "store")
    assert made.ref.repo == "store-eu"
    assert github.warned == ["GitHub has made 'store' into store-eu: that is the repository's name."]
    with pytest.raises(ValidationError):
        create(github, "my repo")


def test_an_unknown_owner_is_not_found_and_nothing_is_noted(github: OpenedGitHub) -> None:
    with pytest.raises(NotFoundError, match="no user or organisation nobody") as caught:
        create(github, owner="nobody")
    assert "owner" in caught.value.fields
    assert github.notes.kept == {}
    with pytest.raises(ValidationError):
        create(github, owner="a/b")


def test_a_person_creates_in_their_own_account_only(github: OpenedGitHub) -> None:
    github.double.add_user("ada")
    assert create(github, owner="mona").ref.full_name == "mona/shop"
    with pytest.raises(AuthError, match=r"token is mona's: it cannot create a repository in ada's"):
        create(github, owner="ada")
    with pytest.raises(ValidationError) as caught:
        create(github, owner="mona", visibility="internal")
    assert "visibility" in caught.value.fields


def test_an_installation_cannot_create_in_a_personal_account(github: OpenedGitHub) -> None:
    installed = github.as_installation("mona", {"administration": "write"})
    with pytest.raises(AuthError, match="a GitHub App's installation cannot create a repository in a personal account"):
        create(installed, owner="mona")
    assert github.double.repositories() == []


def test_visibility_is_as_asked_for(github: OpenedGitHub) -> None:
    github.double.add_organization("corp", plan="enterprise", mona="admin")
    for visibility in ("private", "internal", "public"):
        made = create(github, visibility, owner="corp", visibility=visibility)
        assert (made.visibility, github.double.repository(f"corp/{visibility}").visibility) == (visibility, visibility)


def test_a_token_without_the_scope_is_told_which(github: OpenedGitHub) -> None:
    narrow = github.as_token(github.double.classic_token("mona", "read:org").token)
    with pytest.raises(AuthError, match=r"it lacks the scope .*repo"):
        create(narrow)
    with pytest.raises(AuthError, match="GitHub does not know the credential"):
        create(github.as_token("ghp_wrong"))
    with pytest.raises(ConfigurationError, match="is empty"):
        create(github.as_token(""))


def test_a_repository_is_found_by_the_name_that_it_has_now(github: OpenedGitHub) -> None:
    github.double.add_repository("acme/shop", {"a": "1"}, description="Sells")
    assert github.provider().get_repo("ACME", "Shop").ref == ref()
    github.double.add_organization("corp", mona="admin")
    github.double.rename("acme/shop", "corp/store")
    found = github.provider().get_repo("acme", "shop")
    assert found.ref == ref("corp/store")
    assert github.warned == ["acme/shop is called corp/store now: GitHub has led there. Use that name from now on."]


def test_what_has_moved_is_written_to_where_it_is_now_and_said_once(github: OpenedGitHub) -> None:
    github.double.add_repository("acme/shop", {"a": "1"})
    github.double.add_organization("corp", mona="admin")
    github.double.rename("acme/shop", "corp/store")
    scm = github.provider()
    assert scm.put_files(ref(), "topic", [FileChange("a", b"2")], "x", base_branch="main").changed == ("a",)
    pull = scm.open_pull(ref(), head="topic", base="main", title="x", body="")
    assert pull.url == f"{github.double.url}/corp/store/pull/{pull.number}"
    assert scm.open_pull(ref(), head="topic", base="main", title="x", body="").number == pull.number
    assert len(github.warned) == 1
    assert scm.file_url(ref(), "main", "a b") == f"{github.double.url}/corp/store/blob/main/a%20b"


def test_a_branch_that_has_another_name_now_is_missing_under_its_old_one(github: OpenedGitHub) -> None:
    number = github.double.add_repository("acme/shop", {"a": "1"}).id
    where = f"{github.double.api_url}/repositories/{number}/branches/main"
    github.double.faults.order("GET", f"{SHOP}/branches/master", redirect(where, 301))
    assert github.provider().branch_head(ref(), "master") is None
    assert github.warned == []


def test_a_name_that_leads_elsewhere_is_not_taken_over(github: OpenedGitHub) -> None:
    github.double.add_repository("acme/shop", {"a": "1"})
    github.double.rename("acme/shop", "acme/store")
    with pytest.raises(ConflictError, match="acme/shop was a name of acme/store"):
        create(github)
    assert github.double.repositories() == ["acme/store"]


def test_a_repository_that_is_hidden_from_the_token_is_not_found_and_the_hint_says_why(github: OpenedGitHub) -> None:
    github.double.add_user("eve")
    github.double.add_repository("acme/shop", {"a": "1"})
    eve = github.as_token(github.double.classic_token("eve", "repo").token)
    with pytest.raises(NotFoundError) as caught:
        eve.provider().get_repo("acme", "shop")
    assert "private repository that the portal's credential may not see" in caught.value.hint
