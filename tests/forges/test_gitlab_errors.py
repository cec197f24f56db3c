"""What GitLab's refusals become: its words, who can mend it, and limits told from permissions."""

from __future__ import annotations

import runpy
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from portal_actions_plugin.errors import (
    AuthError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    RateLimitedError,
    RemoteError,
    ValidationError,
)
from portal_actions_plugin.scm.base import FileChange, Operation, Protection, Variable, WebhookSpec
from portal_actions_plugin.scm.gitlab.errors import RULES, LostRaceError, MovedError
from portal_actions_plugin.scm.gitlab.permissions import NEEDS, OPERATIONS, ROLES
from portal_actions_plugin.scm.optional import WORDS
from portal_actions_plugin.scm.remote import lost_answers
from tests.support.forges.faults import Respond, html_page, redirect, too_many_requests
from tests.support.forges.gitlab import DEVELOPER, GUEST
from tests.support.forges.gitlab_provider import OpenedGitLab, acme, ada, gitlab, opened, ref, scm, shop

__all__ = ["acme", "ada", "gitlab", "opened", "ref", "scm", "shop"]

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "connect-gitlab.md").read_text()
FILES = [FileChange("new.md", b"new")]
COMMITS = ("POST", "/projects/*/repository/commits")


@pytest.fixture(autouse=True)
def no_patience(shop, monkeypatch):
    monkeypatch.setattr(lost_answers, "LOOK_UP_SECONDS", 0.0)


def refused(scm, ref):
    with pytest.raises(Exception) as caught:  # noqa: PT011 which one is the test's question
        scm.put_files(ref, "main", FILES, "Add")
    return caught.value


def message(words):
    return {"message": words}


REFUSALS = [
    (401, message("401 Unauthorized"), AuthError, "platform team"),
    (
        401,
        {"error": "invalid_token", "error_description": "Token is expired. You can either do re-authorization."},
        AuthError,
        "expired",
    ),
    (403, {"error": "insufficient_scope", "error_description": "…", "scope": "api"}, AuthError, "scope `api`"),
    (403, message("403 Forbidden - You are not allowed to push into this branch"), AuthError, "Protected branches"),
    (403, message("403 Forbidden"), AuthError, "Maintainer or Owner"),
    (403, message("403 Forbidden - Your account has been blocked."), AuthError, "administrator"),
    (403, message("403 Forbidden - IP restricted by IP address"), AuthError, "top-level group"),
    (403, message("SAML SSO session expired"), AuthError, "group access token"),
    (404, message("404 Project Not Found"), NotFoundError, "invite"),
    (400, message("Commit message does not follow the pattern '^JIRA-'"), ConflictError, "push rule"),
    (400, message("Author 'x@y' is not a member of team"), ConflictError, "push rule"),
    (400, message("File name secrets.pem was prohibited by the pattern"), ConflictError, "push rule"),
    (400, message("PUSH BLOCKED: Secrets detected in code changes"), ConflictError, "secret push protection"),
    (400, message("GL-HOOK-ERR: no commits on Fridays"), ConflictError, "administrators know"),
    (400, message({"branch": ["is not valid"]}), ValidationError, "Correct"),
    (400, message("name has already been taken"), ConflictError, "name"),
    (409, message("409 Conflict"), ConflictError, "Choose"),
    (413, "<html>413 Request Entity Too Large</html>", ValidationError, "smaller files"),
    (422, message(["Something is wrong"]), ValidationError, "Correct"),
    (500, message("500 Internal Server Error"), RemoteError, "passes"),
    (503, message("You cannot perform write operations on a read-only instance"), RemoteError, "maintenance"),
]


@pytest.mark.parametrize(("status", "body", "kind", "hint"), REFUSALS, ids=lambda value: str(value)[:60])
def test_each_refusal_has_gitlabs_words_the_request_and_who_can_mend_it(scm, gitlab, ref, status, body, kind, hint):
    headers = {"X-Request-Id": "01HABC", "Content-Type": "text/html" if isinstance(body, str) else "application/json"}
    gitlab.faults.order(*COMMITS, Respond(status, body, headers))
    error = refused(scm, ref)
    assert isinstance(error, kind)
    assert hint.lower() in error.hint.lower() + error.message.lower()
    assert "acme/shop" in error.message
    assert "01HABC" in error.message
    assert f": {status}" in error.message
    assert len(gitlab.commits("acme/shop")) == 1


def test_every_rule_says_who_can_mend_it_and_is_short():
    for rule in RULES:
        if rule.kind not in (MovedError, LostRaceError):
            assert any(who in rule.hint for who in ("Maintainer", "Owner", "administrator", "platform team")), rule.hint
        assert len(rule.hint) < 320


def test_long_words_are_shortened_and_the_token_is_not_among_them(opened, gitlab, ref):
    gitlab.faults.order(*COMMITS, Respond(400, message(f"{opened.token} {'word ' * 400}")))
    error = refused(opened.provider(), ref)
    assert opened.token not in error.message
    assert len(error.message) < 700


class TestLimits:
    def test_a_limit_that_names_its_time_is_kept_to(self, scm, gitlab, ref):
        gitlab.faults.order(*COMMITS, too_many_requests("120"))
        error = refused(scm, ref)
        assert isinstance(error, RateLimitedError)
        assert error.retry_after == 120

    @pytest.mark.parametrize("ahead", [-3600, 0, 3600])
    def test_a_reset_is_read_by_gitlabs_own_clock(self, scm, gitlab, ref, ahead):
        now = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=ahead)
        headers = {"Date": format_datetime(now, usegmt=True), "RateLimit-Reset": str(int(now.timestamp()) + 90)}
        gitlab.faults.order(*COMMITS, Respond(429, b"Retry later\n", headers))
        error = refused(scm, ref)
        assert isinstance(error, RateLimitedError)
        assert error.retry_after == 90

    def test_one_that_names_no_time_is_a_limit_too(self, scm, gitlab, ref):
        gitlab.faults.order(
            *COMMITS, Respond(429, {"message": {"error": "This endpoint has been requested too many times."}})
        )
        error = refused(scm, ref)
        assert isinstance(error, RateLimitedError)
        assert "requested too many times" in error.message

    def test_a_403_is_a_permission_whatever_its_headers_say(self, scm, gitlab, ref):
        gitlab.faults.order(*COMMITS, Respond(403, message("403 Forbidden"), {"RateLimit-Remaining": "0"}))
        assert isinstance(refused(scm, ref), AuthError)

    def test_maintenance_says_when_it_may_be_over(self, scm, gitlab, ref):
        gitlab.state.maintenance = True
        error = refused(scm, ref)
        assert isinstance(error, RemoteError)
        assert (error.retryable, error.retry_after) == (True, 60)
        assert "maintenance" in error.hint


class TestWhatIsInBetween:
    def test_a_login_page_is_no_answer(self, scm, gitlab, ref):
        gitlab.faults.order("GET", "/projects/*", html_page())
        error = refused(scm, ref)
        assert isinstance(error, RemoteError)
        assert "HTML instead of JSON" in error.message

    def test_no_redirect_leaves_the_installation(self, scm, gitlab, ref):
        gitlab.faults.order("GET", "/projects/*", redirect("https://evil.example/x"))
        error = refused(scm, ref)
        assert isinstance(error, RemoteError)
        assert "evil.example" in error.message

    def test_a_clone_address_of_another_host_gets_no_token(self, scm, gitlab, ada, ref):
        from portal_actions_plugin.scm.base import RepoRef

        gitlab.add_project("acme/empty", ada)
        about = dict(scm._gitlab.find_project("acme", "empty").about)
        about["http_url_to_repo"] = "http://127.0.0.1:1/acme/empty.git"
        gitlab.faults.order("GET", "/projects/acme%2Fempty", Respond(200, about), times=9)
        scm.put_files(RepoRef("gitlab", "acme", "empty", "main"), "main", FILES, "Add")
        assert len(gitlab.files("acme/empty")) == 1


class TestCredentials:
    def test_a_private_token_goes_in_its_own_header_and_one_of_oauth_as_a_bearer(self, gitlab, ada, ref):
        for kind, settings, header in (
            ("personal", {}, "private-token"),
            ("oauth", {"token_type": "bearer"}, "authorization"),
            ("personal", {"token_type": "bearer"}, "authorization"),
        ):
            gitlab.log.clear()
            token = gitlab.add_token(ada, "api", kind=kind)
            scm = OpenedGitLab(gitlab, token, settings=settings).provider()
            assert scm.get_repo("acme", "shop").ref == ref
            assert header in gitlab.log.entries()[0].header_names
            assert gitlab.log.where_seen(token) == []

    def test_an_oauth_token_pushes_first_commits_too(self, gitlab, ada, acme):
        from portal_actions_plugin.scm.base import RepoRef

        gitlab.add_project("acme/empty", ada)
        token = gitlab.add_token(ada, "api", kind="oauth")
        scm = OpenedGitLab(gitlab, token, settings={"token_type": "bearer"}).provider()
        assert scm.put_files(RepoRef("gitlab", "acme", "empty", "main"), "main", FILES, "Add").changed

    def test_without_a_token_every_way_to_set_one_is_named(self, gitlab, monkeypatch):
        monkeypatch.delenv("PORTAL_ACTIONS_GITLAB_TOKEN", raising=False)
        with pytest.raises(ConfigurationError) as caught:
            OpenedGitLab(gitlab, None).provider().get_repo("acme", "shop")
        assert "PORTAL_ACTIONS_GITLAB_TOKEN" in caught.value.hint
        assert "scm_credentials" in caught.value.hint

    def test_the_token_of_an_owner_counts_for_the_groups_within(self, gitlab, ada, acme, ref):
        gitlab.add_group("acme/sub")
        token = gitlab.add_token(ada, "api")
        opened = OpenedGitLab(gitlab, "glpat-of-nobody", settings={"owners": {"acme": {"token": token}}})
        made = opened.provider().create_repo(
            "acme/sub", "x", visibility="private", description="", init_with_readme=True, claim="c"
        )
        assert made.ref.owner == "acme/sub"
        assert token in opened.redacted

    def test_the_token_is_in_no_text(self, opened, gitlab, ref):
        scm = opened.provider()
        assert opened.token not in repr((scm, scm._gitlab, scm._gitlab.api("acme")))


class TestReach:
    def test_a_token_that_may_everything_lacks_nothing(self, scm, gitlab, ada, acme):
        gitlab.add_group("acme/sub")
        found = scm.reach(None)
        assert (found.who, found.forge, dict(found.missing)) == ("ada", "GitLab 19.5.0", {})
        assert found.owners == ("ada", "acme", "acme/sub")
        assert found.skew is not None
        assert scm.reach("acme/sub").owners == ("acme/sub",)
        assert scm.reach("ada").owners == ("ada",)

    def test_the_clocks_difference_is_told(self, scm, gitlab):
        gitlab.clock.skew = timedelta(hours=1)
        assert scm.reach(None).skew > 3000

    def test_a_token_to_read_with_lacks_all_that_writes(self, gitlab, ada, acme):
        found = OpenedGitLab(gitlab, gitlab.add_token(ada, "read_api")).provider().reach("acme")
        assert set(found.missing) == OPERATIONS - {Operation.READ}
        assert found.missing[Operation.COMMIT] == "the token lacks the scope api"
        assert found.owners == ()

    def test_a_token_that_may_only_push_does_not_even_say_who_it_is(self, gitlab, ada, acme):
        found = OpenedGitLab(gitlab, gitlab.add_token(ada, "write_repository")).provider().reach("acme")
        assert (found.who, found.forge, set(found.missing)) == ("", "GitLab", OPERATIONS)

    def test_an_account_that_may_create_nothing_there_says_why(self, gitlab, acme):
        grace = gitlab.add_user("grace")
        scm = OpenedGitLab(gitlab, gitlab.add_token(grace, "api")).provider()
        assert "sees no group acme" in scm.reach("acme").missing[Operation.CREATE_REPO]
        acme.members[grace.id] = GUEST
        assert "no projects in acme" in scm.reach("acme").missing[Operation.CREATE_REPO]
        acme.members[grace.id] = DEVELOPER
        assert dict(scm.reach("acme").missing) == {}

    def test_tokens_of_groups_and_projects_are_who_they_are(self, gitlab, acme, shop):
        group = OpenedGitLab(gitlab, gitlab.add_group_token(acme, "api")).provider()
        assert group.reach("acme").owners == ("acme",)
        assert group.reach(None).owners == ("acme",)
        project = OpenedGitLab(gitlab, gitlab.add_project_token(shop, "api")).provider()
        assert Operation.CREATE_REPO in project.reach("acme").missing

    def test_a_token_of_oauth_is_not_asked_for_its_scopes_in_vain(self, gitlab, ada, acme):
        token = gitlab.add_token(ada, "api", kind="oauth")
        found = OpenedGitLab(gitlab, token, settings={"token_type": "bearer"}).provider().reach("acme")
        assert (found.who, dict(found.missing)) == ("ada", {})

    def test_a_token_that_is_not_known_is_an_auth_error(self, gitlab):
        with pytest.raises(AuthError, match="does not know the token"):
            OpenedGitLab(gitlab, "glpat-of-nobody").provider().reach(None)

    def test_reaching_changes_nothing(self, scm, gitlab):
        scm.reach("acme")
        assert gitlab.log.writes() == []


def test_every_operation_has_its_needs():
    assert set(NEEDS) == OPERATIONS == set(Operation)


class TestThePageAboutGitLab:
    def test_its_table_is_made_of_the_needs_and_names_the_actions(self):
        conf = runpy.run_path(str(DOCS / "conf.py"))
        rows = [
            [cell.strip() for cell in row.strip("|").split("|")] for row in conf["gitlab_reference"]().splitlines()[2:]
        ]
        assert len(rows) == len(NEEDS)
        by_words = {row[0]: row for row in rows}
        for operation, need in NEEDS.items():
            row = by_words[WORDS[operation]]
            assert row[1], operation
            assert (row[2].replace("`", "").split(" or "), row[3]) == (list(need.scopes), need.role)
        assert "`scm.createRepo@v1`" in by_words["create repositories"][1]
        assert "<!-- gitlab -->" in PAGE

    def test_every_role_that_an_operation_needs_is_enough_at_the_double_and_a_lower_one_is_not(
        self, gitlab, acme, ref, shop
    ):
        """What the table says is tried for the operations whose role GitLab's own table has, too."""
        tried = {
            Operation.COMMIT: lambda scm: scm.put_files(ref, "x", FILES, "Add", base_branch="main"),
            Operation.ENSURE_WEBHOOK: lambda scm: scm.ensure_webhook(ref, WebhookSpec("https://h.example", ("push",))),
            Operation.PROTECT_BRANCH: lambda scm: scm.protect_branch(ref, "x", Protection(0)),
            Operation.SET_TOPICS: lambda scm: scm.set_topics(ref, ["new"]),
            Operation.SET_SECRET: lambda scm: scm.set_variable(ref, Variable("A", "0123456789")),
            Operation.LABEL_ISSUE: lambda scm: scm.label_issue(ref, 1, ["new"]),
        }
        OpenedGitLab(gitlab, gitlab.add_token(gitlab.state.user("ada"), "api")).provider().create_issue(
            ref, title="x", body="", labels=(), assignees=(), claim="c"
        )
        levels = sorted(ROLES)
        for operation, act in tried.items():
            enough = NEEDS[operation].level
            below = max([level for level in (10, *levels) if level < enough])
            for level in (below, enough):
                user = gitlab.add_user(f"{operation.lower()}-{level}")
                acme.members[user.id] = level
                scm = OpenedGitLab(gitlab, gitlab.add_token(user, "api")).provider()
                if level == enough:
                    act(scm)
                else:
                    with pytest.raises((AuthError, NotFoundError)):
                        act(scm)

    def test_it_says_how_every_refusal_that_has_a_rule_is_told(self):
        for words in (
            "push rule",
            "Secrets detected",
            "protected branch",
            "read-only instance",
            "is archived",
            "SAML",
            "GL-HOOK-ERR",
        ):
            assert words.lower() in PAGE.lower()
            assert any(rule.words.search(words) for rule in RULES), words
