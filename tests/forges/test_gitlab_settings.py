"""Webhooks, protection, variables, topics, people, issues, pipelines: the provider against the double."""

from __future__ import annotations

import pytest

from portal_actions_plugin.errors import AuthError, ConflictError, NotFoundError, RemoteError, ValidationError
from portal_actions_plugin.scm.base import Collaborator, Protection, Variable, WebhookSpec
from portal_actions_plugin.scm.remote import lost_answers
from tests.support.forges.faults import CutShort, Reset, Respond
from tests.support.forges.gitlab import DEVELOPER, MAINTAINER, REPORTER
from tests.support.forges.gitlab_provider import OpenedGitLab, acme, ada, gitlab, opened, ref, scm, shop

__all__ = ["acme", "ada", "gitlab", "opened", "ref", "scm", "shop"]

HOOK = WebhookSpec("https://hooks.example.com/x", ("push", "merge_requests_events"), "s3cret-of-the-hook")
LOST = [Reset(), CutShort(), Respond(502, "<html>")]


@pytest.fixture(autouse=True)
def only_what_was_asked(shop, gitlab):
    gitlab.log.clear()


@pytest.fixture
def maintainer(gitlab, acme):
    """A Maintainer's provider, who is no Owner."""
    grace = gitlab.add_user("grace")
    acme.members[grace.id] = MAINTAINER
    return OpenedGitLab(gitlab, gitlab.add_token(grace, "api")).provider()


class TestWebhooks:
    def test_one_is_made_with_its_events_and_its_secret_and_found_again(self, scm, gitlab, ref, shop):
        made = scm.ensure_webhook(ref, HOOK)
        assert (made.outcome, made.url) == ("created", f"{gitlab.url}/acme/shop/-/hooks/{made.id}/edit")
        (hook,) = shop.hooks
        assert hook.token == HOOK.secret
        assert {event for event, is_on in hook.events.items() if is_on} == {
            "push_events", "merge_requests_events", "repository_update_events"
        }  # fmt: skip
        gitlab.log.clear()
        assert scm.ensure_webhook(ref, HOOK).outcome == "unchanged"
        assert gitlab.log.writes() == []

    @pytest.mark.parametrize(
        "change", [{"secret": "another-s3cret"}, {"events": ("tag_push",)}, {"events": ("push",)}], ids=str
    )
    def test_what_differs_is_updated_with_the_secret(self, scm, ref, shop, change):
        scm.ensure_webhook(ref, HOOK)
        spec = WebhookSpec(
            **{"callback_url": HOOK.callback_url, "events": HOOK.events, "secret": HOOK.secret, **change}
        )
        assert scm.ensure_webhook(ref, spec).outcome == "updated"
        (hook,) = shop.hooks
        assert hook.token == spec.secret
        assert hook.events["push_events"] == ("push" in spec.events)

    def test_one_whose_secret_nobody_has_noted_gets_it_again(self, opened, gitlab, ref, shop):
        opened.provider().ensure_webhook(ref, HOOK)
        other = OpenedGitLab(gitlab, opened.token)
        assert other.provider().ensure_webhook(ref, HOOK).outcome == "updated"
        assert len(shop.hooks) == 1

    def test_an_event_that_gitlab_does_not_know_is_named_with_those_that_it_does(self, scm, gitlab, ref):
        with pytest.raises(ValidationError, match="no events pull_request_events") as caught:
            scm.ensure_webhook(ref, WebhookSpec(HOOK.callback_url, ("push", "pull_request")))
        assert "merge_requests_events" in caught.value.hint
        assert gitlab.log.writes() == []

    @pytest.mark.parametrize("fault", LOST)
    def test_a_lost_answer_makes_no_second_one(self, scm, gitlab, ref, shop, fault):
        gitlab.faults.order("POST", "/projects/*/hooks", fault, after=True)
        assert scm.ensure_webhook(ref, HOOK).outcome == "created"
        assert [hook.url for hook in shop.hooks] == [HOOK.callback_url]

    def test_the_secret_is_in_no_note_and_no_log(self, opened, ref):
        opened.provider().ensure_webhook(ref, HOOK)
        assert HOOK.secret not in f"{opened.notes._kept} {opened.lines} {opened.warnings}"

    def test_a_developer_is_told_that_the_role_is_missing(self, gitlab, acme, ref):
        grace = gitlab.add_user("grace")
        acme.members[grace.id] = DEVELOPER
        with pytest.raises(AuthError, match="acme/shop") as caught:
            OpenedGitLab(gitlab, gitlab.add_token(grace, "api")).provider().ensure_webhook(ref, HOOK)
        assert "role" in caught.value.hint


class TestProtecting:
    def test_reviews_and_checks_leave_pushes_to_no_one_and_what_free_lacks_is_named(self, scm, gitlab, ref, shop):
        done = scm.protect_branch(ref, "main", Protection(2, ("build", "lint"), code_owners=True))
        (rule,) = shop.protected_branches
        assert (rule.push_level, rule.merge_level, rule.allow_force_push) == (0, DEVELOPER, False)
        assert shop.settings["only_allow_merge_if_pipeline_succeeds"] is True
        assert done.changed
        owners, reviews, checks = done.cannot
        assert "code owners" in owners
        assert "2 wanted" in reviews
        assert "build, lint" in checks
        again = scm.protect_branch(ref, "main", Protection(2, ("build", "lint"), code_owners=True))
        assert again.cannot == done.cannot
        assert not again.changed

    def test_the_enterprise_edition_without_a_licence_says_no_by_403_and_lacks_the_same(self, scm, gitlab, ref):
        gitlab.state.edition = "ee-free"
        assert len(scm.protect_branch(ref, "main", Protection(1, (), code_owners=True)).cannot) == 2

    def test_premium_has_reviews_and_code_owners_and_changes_in_place(self, scm, gitlab, ref, shop):
        gitlab.state.edition = "ee-premium"
        done = scm.protect_branch(ref, "main", Protection(2, (), code_owners=True))
        assert (done.changed, done.cannot) == (True, ())
        (rule,) = shop.protected_branches
        assert (rule.push_level, shop.approvals_required) == (0, 2)
        gitlab.log.clear()
        again = scm.protect_branch(ref, "main", Protection(2, (), code_owners=True))
        assert (again.changed, again.cannot) == (False, ())
        assert gitlab.log.writes() == []
        assert scm.protect_branch(ref, "main", Protection(3)).changed
        assert shop.approvals_required == 3

    def test_without_demands_maintainers_push_and_a_stricter_rule_stays(self, scm, gitlab, ref, shop):
        assert not scm.protect_branch(ref, "main", Protection(0)).changed
        assert scm.protect_branch(ref, "release", Protection(0)).changed
        assert {rule.name: (rule.push_level, rule.merge_level) for rule in shop.protected_branches} == {
            "main": (MAINTAINER, MAINTAINER), "release": (MAINTAINER, MAINTAINER)
        }  # fmt: skip
        scm.protect_branch(ref, "main", Protection(1))
        assert not scm.protect_branch(ref, "main", Protection(0)).changed

    def test_force_pushes_are_taken_back(self, scm, ref, shop):
        shop.protected_branches[0].allow_force_push = True
        assert scm.protect_branch(ref, "main", Protection(0)).changed
        assert not shop.protected_branches[0].allow_force_push

    @pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH"])
    def test_lost_answers_leave_the_branch_protected(self, scm, gitlab, ref, shop, method):
        gitlab.faults.order(method, "/projects/*/protected_branches**", Reset(), after=True)
        assert scm.protect_branch(ref, "main", Protection(1)).changed
        assert [rule.push_level for rule in shop.protected_branches] == [0]


class TestVariables:
    @pytest.mark.parametrize("is_secret", [True, False])
    def test_one_is_set_and_set_anew(self, scm, gitlab, ref, shop, is_secret):
        for value in ("first-value$HOME", "second-value"):
            scm.set_variable(ref, Variable("TOKEN", value, is_secret, is_protected=True))
            (found,) = shop.variables
            assert (found.value, found.masked, found.protected, found.raw) == (value, is_secret, True, True)
        gitlab.log.clear()
        scm.set_variable(ref, Variable("TOKEN", "second-value", is_secret, is_protected=True))
        assert gitlab.log.writes() == []

    @pytest.mark.parametrize(
        ("value", "rule"),
        [("short", "fewer than 8"), ("two words here", "a space"), ("line\nbreaks\n", "a line break")],
    )
    def test_a_value_that_cannot_be_masked_is_refused_by_its_rule_and_not_shown(self, scm, gitlab, ref, value, rule):
        with pytest.raises(ValidationError, match=rule) as caught:
            scm.set_variable(ref, Variable("TOKEN", value))
        assert set(caught.value.fields) == {"value"}
        assert value not in f"{caught.value.message} {caught.value.hint} {caught.value.fields}"
        assert gitlab.log.writes() == []
        scm.set_variable(ref, Variable("TOKEN", value, is_secret=False))

    def test_a_name_that_gitlab_does_not_take_names_the_field(self, scm, ref):
        with pytest.raises(ValidationError) as caught:
            scm.set_variable(ref, Variable("my-token", "0123456789"))
        assert set(caught.value.fields) == {"name"}

    @pytest.mark.parametrize("fault", LOST)
    def test_a_lost_answer_sets_it_once(self, scm, gitlab, ref, shop, fault):
        gitlab.faults.order("POST", "/projects/*/variables", fault, after=True)
        scm.set_variable(ref, Variable("TOKEN", "0123456789"))
        assert [(one.key, one.value) for one in shop.variables] == [("TOKEN", "0123456789")]

    def test_a_hidden_one_is_hidden_and_one_that_was_there_before_is_a_warning(self, opened, scm, ref, shop):
        for value in ("0123456789", "second-value"):
            scm.set_variable(ref, Variable("TOKEN", value, is_hidden=True))
            assert [(one.hidden, one.masked, one.value) for one in shop.variables] == [(True, True, value)]
        assert opened.warnings == []
        scm.set_variable(ref, Variable("SHOWN", "0123456789"))
        scm.set_variable(ref, Variable("SHOWN", "second-value", is_hidden=True))
        (said,) = opened.warnings
        assert "SHOWN" in said
        assert "second-value" not in said

    def test_one_of_a_single_environment_is_left(self, scm, ref, shop):
        from tests.support.forges.gitlab.state import Variable as Kept

        shop.variables.append(Kept("TOKEN", "of-production", environment_scope="production"))
        scm.set_variable(ref, Variable("TOKEN", "0123456789"))
        assert [(one.environment_scope, one.value) for one in shop.variables] == [
            ("production", "of-production"), ("*", "0123456789")
        ]  # fmt: skip


class TestTopicsAndPeople:
    def test_topics_are_added_to_those_that_are_there(self, scm, gitlab, ref, shop):
        shop.topics = ["Java"]
        assert scm.set_topics(ref, ["java", "orders"]) == ("orders",)
        assert shop.topics == ["Java", "orders"]
        gitlab.log.clear()
        assert scm.set_topics(ref, ["orders"]) == ()
        assert gitlab.log.writes() == []

    def test_people_get_the_nearest_role_and_keep_a_higher_one(self, scm, gitlab, ref, shop, acme):
        people = {name: gitlab.add_user(name) for name in ("bob", "eve", "joe")}
        acme.members[people["eve"].id] = MAINTAINER
        shop.members[people["joe"].id] = REPORTER
        wanted = [Collaborator("bob", "triage"), Collaborator("eve", "write"), Collaborator("joe", "write")]
        assert scm.add_collaborators(ref, wanted) == ("bob", "joe")
        assert shop.members[people["bob"].id] == REPORTER
        assert shop.members[people["joe"].id] == DEVELOPER
        assert people["eve"].id not in shop.members
        assert scm.add_collaborators(ref, wanted) == ()

    def test_groups_are_shared_with_by_their_name_within_ours_or_by_their_path(self, scm, gitlab, ref, shop):
        core, other = gitlab.add_group("acme/core"), gitlab.add_group("globex", visibility="public")
        wanted = [Collaborator("core", "write", is_team=True), Collaborator("globex", "read", is_team=True)]
        assert scm.add_collaborators(ref, wanted) == ("core", "globex")
        assert shop.shares == {core.id: DEVELOPER, other.id: REPORTER}
        assert scm.add_collaborators(ref, wanted) == ()
        assert scm.add_collaborators(ref, [Collaborator("core", "maintain", is_team=True)]) == ("core",)
        assert shop.shares[core.id] == MAINTAINER

    @pytest.mark.parametrize("is_team", [True, False])
    def test_whoever_is_not_there_is_named(self, scm, ref, is_team):
        with pytest.raises(ValidationError, match="nobody") as caught:
            scm.add_collaborators(ref, [Collaborator("nobody", "read", is_team)])
        assert set(caught.value.fields) == {"collaborators"}

    def test_lost_answers_change_nothing_twice(self, scm, gitlab, ref, shop):
        bob, core = gitlab.add_user("bob"), gitlab.add_group("acme/core")
        gitlab.faults.order("POST", "/projects/*/members", Reset(), after=True)
        gitlab.faults.order("POST", "/projects/*/share", Reset(), after=True)
        wanted = [Collaborator("bob", "write"), Collaborator("core", "write", is_team=True)]
        assert scm.add_collaborators(ref, wanted) == ("bob", "core")
        assert (shop.members[bob.id], shop.shares[core.id]) == (DEVELOPER, DEVELOPER)


class TestIssues:
    def open(self, scm, ref, claim="c1", labels=("bug", "p1"), assignees=("ada",)):
        return scm.create_issue(ref, title="Broken", body="It is.", labels=labels, assignees=assignees, claim=claim)

    def test_one_is_opened_once_for_a_claim(self, opened, gitlab, ref, shop):
        first = self.open(opened.provider(), ref)
        assert (first.fresh, first.number, first.labels) == (True, 1, ("bug", "p1"))
        assert first.url == f"{gitlab.url}/acme/shop/-/issues/1"
        again = self.open(OpenedGitLab(gitlab, opened.token).provider(), ref)
        assert (again.fresh, again.number) == (False, 1)
        assert self.open(opened.provider(), ref, claim="c2").number == 2
        assert [one.username for one in shop.issues[0].assignees] == ["ada"]
        assert "c1" not in shop.issues[0].description
        assert shop.issues[0].description.startswith("It is.\n\n<!--")

    @pytest.mark.parametrize("fault", LOST)
    def test_a_lost_answer_opens_no_second_one(self, scm, gitlab, ref, shop, fault):
        gitlab.faults.order("POST", "/projects/*/issues", fault, after=True)
        assert self.open(scm, ref).number == 1
        assert len(shop.issues) == 1

    def test_labels_are_added_to_those_that_are_there(self, scm, gitlab, ref, shop):
        self.open(scm, ref)
        assert scm.label_issue(ref, 1, ["bug", "new one"]) == ("new one",)
        assert shop.issues[0].labels == {"bug", "p1", "new one"}
        gitlab.log.clear()
        assert scm.label_issue(ref, 1, ["bug"]) == ()
        assert gitlab.log.writes() == []

    def test_what_is_wrong_names_the_field(self, scm, ref):
        with pytest.raises(ValidationError, match="no user nobody") as caught:
            self.open(scm, ref, assignees=("nobody",))
        assert set(caught.value.fields) == {"assignees"}
        with pytest.raises(ValidationError, match="no comma") as caught:
            self.open(scm, ref, labels=("a,b",))
        assert set(caught.value.fields) == {"labels"}
        with pytest.raises(NotFoundError, match="no issue #7"):
            scm.label_issue(ref, 7, ["bug"])

    def test_labels_that_gitlab_leaves_out_are_a_warning(self, gitlab, acme, ref, shop):
        grace = gitlab.add_user("grace")
        shop.visibility = "public"
        shop.members[grace.id] = 10
        opened = OpenedGitLab(gitlab, gitlab.add_token(grace, "api"))
        self.open(opened.provider(), ref, assignees=())
        assert any("left out labels of #1" in words for words in opened.warnings)


class TestPipelines:
    INPUTS = {"STAGE": "prod"}  # noqa: RUF012 nobody writes to it

    @pytest.fixture(autouse=True)
    def ci(self, gitlab, shop):
        gitlab.push(shop, "main", {".gitlab-ci.yml": b"build: {script: [true]}\n"})

    def start(self, scm, ref, claim="c1", branch="main"):
        return scm.dispatch_workflow(ref, workflow="", branch=branch, inputs=self.INPUTS, claim=claim)

    def test_one_is_started_once_for_a_claim(self, opened, gitlab, ref, shop):
        run = self.start(opened.provider(), ref)
        assert run.url == f"{gitlab.url}/acme/shop/-/pipelines/{run.id}"
        assert self.start(opened.provider(), ref) == run
        assert [one.variables for one in shop.pipelines] == [self.INPUTS]
        assert self.start(opened.provider(), ref, claim="c2") != run

    def test_one_whose_answer_is_lost_is_found_and_no_second_one_is_started(self, opened, gitlab, ref, shop):
        gitlab.faults.order("POST", "/projects/*/pipeline", Reset(), after=True)
        run = self.start(opened.provider(), ref)
        assert [str(one.id) for one in shop.pipelines] == [run.id]

    def test_one_that_never_arrived_is_looked_for_and_not_started_again(self, opened, gitlab, ref, shop, monkeypatch):
        monkeypatch.setattr(lost_answers, "LOOK_UP_SECONDS", 0.0)
        gitlab.faults.order("POST", "/projects/*/pipeline", Reset())
        for _ in range(2):
            with pytest.raises(RemoteError, match="no pipeline was to be seen") as caught:
                self.start(opened.provider(), ref)
            assert f"{gitlab.url}/acme/shop/-/pipelines" in caught.value.hint
        assert gitlab.log.count("POST", "/projects/*/pipeline") == 1
        assert shop.pipelines == []

    def test_of_two_that_could_be_ours_none_is_taken(self, opened, gitlab, ref, shop, monkeypatch):
        monkeypatch.setattr(lost_answers, "LOOK_UP_SECONDS", 0.0)
        gitlab.faults.order("POST", "/projects/*/pipeline", Reset())
        with pytest.raises(RemoteError):
            self.start(opened.provider(), ref)
        other = OpenedGitLab(gitlab, opened.token).provider()
        self.start(other, ref, claim="c2")
        self.start(other, ref, claim="c3")
        with pytest.raises(RemoteError, match="2 pipelines were to be seen"):
            self.start(opened.provider(), ref)

    def test_a_refusal_may_be_followed_by_another_try(self, opened, gitlab, ref, shop):
        gitlab.faults.order("POST", "/projects/*/pipeline", Respond(403, {"message": "403 Forbidden"}))
        with pytest.raises(AuthError):
            self.start(opened.provider(), ref)
        assert self.start(opened.provider(), ref)
        assert len(shop.pipelines) == 1

    def test_tags_run_too_and_what_is_neither_names_the_field(self, scm, ref, shop):
        shop.repository.set_ref("refs/tags/v1", shop.repository.head("main"))
        assert self.start(scm, ref, branch="v1")
        with pytest.raises(ValidationError, match="no branch or tag nowhere") as caught:
            self.start(scm, ref, branch="nowhere")
        assert set(caught.value.fields) == {"branch"}

    def test_a_project_without_a_pipeline_says_so(self, scm, gitlab, ada, ref):
        from portal_actions_plugin.scm.base import RepoRef

        gitlab.add_project("acme/bare", ada, {"a": b"a"})
        with pytest.raises(ValidationError, match="Missing CI config file"):
            self.start(scm, RepoRef("gitlab", "acme", "bare", "main"))


def test_an_archived_project_takes_no_setting(scm, gitlab, ref, shop):
    shop.archived = True
    writes = [
        lambda: scm.ensure_webhook(ref, HOOK),
        lambda: scm.protect_branch(ref, "main", Protection(1)),
        lambda: scm.set_topics(ref, ["x"]),
        lambda: scm.set_variable(ref, Variable("A", "0123456789")),
        lambda: scm.dispatch_workflow(ref, workflow="", branch="main", inputs={}, claim="c"),
    ]
    for write in writes:
        with pytest.raises(ConflictError, match="archived"):
            write()
    assert gitlab.log.writes() == []
