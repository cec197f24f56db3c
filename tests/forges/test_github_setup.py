"""What the provider ``github`` sets a repository up with: as sets, nothing of others taken away, on a double of GitHub."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from portal_actions_plugin.errors import AuthError, ConfigurationError, NotFoundError, ValidationError
from portal_actions_plugin.scm.base import Collaborator, Protected, Protection, Variable, WebhookSpec
from tests.support.forges.faults import Reset
from tests.support.forges.github_opened import KeptNotes, OpenedGitHub, ref

SPEC = WebhookSpec("https://hooks.example.org/a?b=c", ("push", "pull_request"), "s3cret")
HOOKS, PROTECTION = "/repos/acme/shop/hooks", "/repos/acme/shop/branches/main/protection"


@pytest.fixture
def shop(github: OpenedGitHub) -> OpenedGitHub:
    github.double.add_repository("acme/shop", {"a": "1\n"})
    return github


class TestWebhooks:
    def test_a_webhook_is_made_once_and_left_when_it_is_as_it_should_be(self, shop: OpenedGitHub) -> None:
        made = shop.provider().ensure_webhook(ref(), SPEC)
        (hook,) = shop.double.hooks("acme/shop")
        assert (made.outcome, made.id) == ("created", str(hook.id))
        assert made.url == f"{shop.double.url}/acme/shop/settings/hooks/{hook.id}"
        assert hook.config == {
            "url": SPEC.callback_url,
            "content_type": "json",
            "insecure_ssl": "0",
            "secret": "s3cret",
        }
        assert (hook.events, hook.active) == (["push", "pull_request"], True)
        again = shop.provider().ensure_webhook(ref(), replace(SPEC, events=("pull_request", "push")))
        assert (again.id, again.outcome) == (made.id, "unchanged")
        assert "s3cret" not in "".join(shop.notes.kept.values())

    @pytest.mark.parametrize("spec", [replace(SPEC, events=("push",)), replace(SPEC, secret="other")])
    def test_another_event_or_secret_updates_it_and_the_secret_is_sent_again(
        self, shop: OpenedGitHub, spec: WebhookSpec
    ) -> None:
        made = shop.provider().ensure_webhook(ref(), SPEC)
        assert shop.provider().ensure_webhook(ref(), spec).outcome == "updated"
        (hook,) = shop.double.hooks("acme/shop")
        assert (str(hook.id), hook.secret, tuple(hook.events)) == (made.id, spec.secret, spec.events)

    def test_a_secret_that_this_run_did_not_set_is_set_since_nobody_can_compare_it(self, shop: OpenedGitHub) -> None:
        shop.provider().ensure_webhook(ref(), SPEC)
        other_run = replace(shop, notes=KeptNotes())
        assert other_run.provider().ensure_webhook(ref(), SPEC).outcome == "updated"
        assert shop.double.hooks("acme/shop")[0].secret == "s3cret"

    def test_a_webhook_without_a_secret_loses_the_one_that_it_has(self, shop: OpenedGitHub) -> None:
        shop.provider().ensure_webhook(ref(), SPEC)
        plain = replace(SPEC, secret=None)
        assert shop.provider().ensure_webhook(ref(), plain).outcome == "updated"
        assert shop.double.hooks("acme/shop")[0].secret is None
        assert shop.provider().ensure_webhook(ref(), plain).outcome == "unchanged"

    def test_one_of_another_address_is_left(self, shop: OpenedGitHub) -> None:
        shop.provider().ensure_webhook(ref(), SPEC)
        other = replace(SPEC, callback_url="https://hooks.example.org/b")
        assert shop.provider().ensure_webhook(ref(), other).outcome == "created"
        assert len(shop.double.hooks("acme/shop")) == 2

    @pytest.mark.parametrize("method", ["POST", "PATCH"])
    def test_a_lost_answer_makes_no_second_one(self, shop: OpenedGitHub, method: str) -> None:
        if method == "PATCH":
            shop.provider().ensure_webhook(ref(), replace(SPEC, secret="old"))
        shop.double.faults.order(method, "/repos/acme/shop/hooks**", Reset(), after=True)
        shop.provider().ensure_webhook(ref(), SPEC)
        (hook,) = shop.double.hooks("acme/shop")
        assert hook.secret == "s3cret"

    def test_an_address_that_is_none_names_the_field(self, shop: OpenedGitHub) -> None:
        with pytest.raises(ValidationError) as caught:
            shop.provider().ensure_webhook(ref(), replace(SPEC, callback_url="ftp://x"))
        assert set(caught.value.fields) == {"callbackUrl"}


class TestProtection:
    def test_a_branch_is_protected_and_then_it_is(self, shop: OpenedGitHub) -> None:
        wanted = Protection(2, ("build", "lint"), code_owners=True)
        assert shop.provider().protect_branch(ref(), "main", wanted) == Protected(changed=True)
        rule = shop.double.repository("acme/shop").protections["main"]
        assert [check["context"] for check in rule["required_status_checks"]["checks"]] == ["build", "lint"]
        reviews = rule["required_pull_request_reviews"]
        assert (reviews["required_approving_review_count"], reviews["require_code_owner_reviews"]) == (2, True)
        assert shop.provider().protect_branch(ref(), "main", wanted) == Protected(changed=False)
        assert shop.double.log.count("PUT", PROTECTION) == 1

    def test_what_is_there_stays_and_the_stricter_one_counts(self, shop: OpenedGitHub) -> None:
        shop.double.repository("acme/shop").protections["main"] = {
            "required_status_checks": {"strict": True, "checks": [{"context": "old", "app_id": 7}]},
            "enforce_admins": True,
            "required_pull_request_reviews": {"required_approving_review_count": 3, "dismiss_stale_reviews": True},
            "restrictions": None,
            "required_linear_history": True,
        }
        assert shop.provider().protect_branch(ref(), "main", Protection(1, ("build",))).changed
        rule = shop.double.repository("acme/shop").protections["main"]
        assert rule["required_status_checks"] == {
            "strict": True,
            "checks": [{"context": "old", "app_id": 7}, {"context": "build", "app_id": -1}],
        }
        assert (rule["enforce_admins"], rule["required_linear_history"]) == (True, True)
        reviews = rule["required_pull_request_reviews"]
        assert (reviews["required_approving_review_count"], reviews["dismiss_stale_reviews"]) == (3, True)

    def test_a_plan_that_has_it_not_is_named_and_nothing_fails(
        self, github: OpenedGitHub, github_com: OpenedGitHub
    ) -> None:
        github_com.double.add_organization("poor", plan="free", mona="admin")
        github_com.double.add_repository("poor/shop", {"a": "1\n"})
        done = github_com.provider().protect_branch(ref("poor/shop"), "main", Protection())
        assert not done.changed
        assert "Upgrade to GitHub Team" in done.cannot[0]

    def test_a_branch_that_is_not_there_is_not_found(self, shop: OpenedGitHub) -> None:
        with pytest.raises(NotFoundError, match="has no branch none to protect"):
            shop.provider().protect_branch(ref(), "none", Protection())

    def test_who_is_no_administrator_is_told_so(self, shop: OpenedGitHub) -> None:
        shop.double.add_user("ada")
        shop.double.state.accounts["acme"].members["ada"] = "member"
        shop.double.state.accounts["acme"].base_role = "write"
        ada = shop.as_token(shop.double.classic_token("ada", "repo").token)
        with pytest.raises(AuthError, match="Must have admin rights") as caught:
            ada.provider().protect_branch(ref(), "main", Protection())
        assert "administrator of the repository" in caught.value.hint


class TestTopicsAndPeople:
    def test_topics_are_added_to_those_that_are_there(self, shop: OpenedGitHub) -> None:
        shop.double.repository("acme/shop").topics = ["theirs"]
        assert shop.provider().set_topics(ref(), ["Go", "theirs", "go"]) == ("go",)
        assert shop.double.repository("acme/shop").topics == ["theirs", "go"]
        assert shop.provider().set_topics(ref(), ["go"]) == ()
        assert shop.double.log.count("PUT", "/repos/acme/shop/topics") == 1
        with pytest.raises(ValidationError, match="Topic no_underscore is invalid"):
            shop.provider().set_topics(ref(), ["no_underscore"])

    def test_people_and_teams_are_let_in_once_and_nobody_loses_a_role(self, shop: OpenedGitHub) -> None:
        for login in ("ada", "eve", "bob"):
            shop.double.add_user(login)
        acme = shop.double.state.accounts["acme"]
        acme.members["ada"] = "member"
        acme.teams["core"] = {"ada"}
        repository = shop.double.repository("acme/shop")
        repository.collaborators["bob"] = "admin"
        wanted = [
            Collaborator("ada", "write"),
            Collaborator("Eve", "read"),
            Collaborator("bob", "read"),
            Collaborator("core", "maintain", is_team=True),
        ]
        assert shop.provider().add_collaborators(ref(), wanted) == ("ada", "Eve", "core")
        assert repository.collaborators["ada"] == "write"
        assert repository.collaborators["bob"] == "admin"
        assert repository.invitations == {"eve": "read"}
        assert repository.teams == {"core": "maintain"}
        assert shop.provider().add_collaborators(ref(), wanted) == ()
        assert shop.provider().add_collaborators(ref(), [Collaborator("ada", "maintain")]) == ("ada",)
        assert repository.collaborators["ada"] == "maintain"

    def test_somebody_who_is_not_there_is_named(self, shop: OpenedGitHub) -> None:
        with pytest.raises(NotFoundError, match="finds no user nobody to let into acme/shop"):
            shop.provider().add_collaborators(ref(), [Collaborator("nobody", "read")])
        with pytest.raises(NotFoundError, match="finds no team none"):
            shop.provider().add_collaborators(ref(), [Collaborator("none", "read", is_team=True)])


class TestVariables:
    def test_variables_are_made_and_changed(self, shop: OpenedGitHub) -> None:
        for value in ("eu", "us"):
            shop.provider().set_variable(ref(), Variable("REGION", value, is_secret=False))
        repository = shop.double.repository("acme/shop")
        assert (repository.variables, repository.secrets) == ({"REGION": "us"}, {})

    def test_secrets_are_sealed_for_github_alone(self, shop: OpenedGitHub) -> None:
        shop.provider().set_variable(ref(), Variable("TOKEN", "hüsh-hush"))
        assert shop.double.repository("acme/shop").secrets == {"TOKEN": "hüsh-hush"}
        assert shop.double.log.where_seen("hush-hush") == []
        assert shop.warned == []

    def test_that_there_are_no_protected_ones_is_said(self, shop: OpenedGitHub) -> None:
        shop.provider().set_variable(ref(), Variable("TOKEN", "x", is_protected=True))
        assert shop.warned == [
            "GitHub has no variables for protected branches alone: TOKEN of acme/shop is there for all."
        ]

    @pytest.mark.parametrize("is_secret", [True, False])
    def test_a_lost_answer_is_written_again(self, shop: OpenedGitHub, is_secret: bool) -> None:
        shop.double.faults.order("PUT" if is_secret else "POST", "/repos/acme/shop/actions/**", Reset(), after=True)
        shop.provider().set_variable(ref(), Variable("TOKEN", "x", is_secret=is_secret))
        repository = shop.double.repository("acme/shop")
        assert (repository.secrets if is_secret else repository.variables) == {"TOKEN": "x"}

    def test_without_pynacl_it_is_said_what_to_install(
        self, shop: OpenedGitHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "nacl.public", None)
        with pytest.raises(ConfigurationError, match="PyNaCl, which is not installed") as caught:
            shop.provider().set_variable(ref(), Variable("TOKEN", "x"))
        assert "portal-actions-plugin[github]" in caught.value.hint
