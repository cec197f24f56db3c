"""What GitHub's refusals become: its own words, who can mend it, and limits told from permissions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from portal_actions_plugin.errors import (
    ActionError,
    AuthError,
    ConflictError,
    NotFoundError,
    RateLimitedError,
    RemoteError,
    ValidationError,
)
from tests.support.forges.faults import Respond
from tests.support.forges.github_opened import OpenedGitHub, ref

SHOP = "/repos/acme/shop"


def refused(github: OpenedGitHub, status: int, body: Any, headers: dict[str, str] | None = None) -> ActionError:
    """What the action raises whose request GitHub answers so."""
    answer = {"message": body, "documentation_url": "https://docs.github.com/rest"} if isinstance(body, str) else body
    github.double.faults.order("GET", SHOP, Respond(status, answer, headers or {}))
    with pytest.raises(ActionError) as caught:
        github.provider().get_repo("acme", "shop")
    return caught.value


@pytest.mark.parametrize(
    ("status", "words", "kind", "hint"),
    [
        (401, "Bad credentials", AuthError, "give the portal a new one"),
        (403, "Resource not accessible by integration", AuthError, "what the portal's credential may do"),
        (403, "Must have admin rights to Repository.", AuthError, "administrator of the repository"),
        (
            403,
            "You need admin access to the organization before adding a repository to it.",
            AuthError,
            "owner of the org",
        ),
        (403, "Repository was archived so is read-only.", ConflictError, "unarchive"),
        (403, "Repository access blocked", ConflictError, "GitHub's support"),
        (451, "Repository access blocked", ConflictError, "GitHub's support"),
        (403, "Sorry. Your account was suspended.", AuthError, "suspended"),
        (
            403,
            (
                "Although you appear to have the correct authorization credentials, the `acme` organization has an IP allow list "
                "enabled, and your IP address is not permitted to access this resource."
            ),
            AuthError,
            "IP allow list",
        ),
        (
            403,
            (
                "Although you appear to have the correct authorization credentials, the `acme` organization has enabled OAuth App "
                "access restrictions, meaning that data access to third-parties is limited."
            ),
            AuthError,
            "approve the OAuth app",
        ),
        (
            403,
            (
                "`acme` forbids access via a personal access token (classic). Please use a GitHub App, OAuth App, or a personal "
                "access token with fine-grained permissions."
            ),
            AuthError,
            "does not take this kind of token",
        ),
        (
            403,
            (
                "Resource protected by organization SAML enforcement. You must grant your Personal Access token access to this "
                "organization."
            ),
            AuthError,
            "single sign-on",
        ),
        (403, "Upgrade to GitHub Pro or make this repository public to enable this feature.", ConflictError, "plan"),
        (403, "Actions has been disabled for this repository.", ConflictError, "switched off"),
        (410, "Issues has been disabled in this repository.", ConflictError, "switched off"),
        (404, "Not Found", NotFoundError, "private repository that the portal's credential may not see"),
        (
            409,
            "Repository rule violations found\n\nChanges must be made through a pull request.",
            ConflictError,
            "pull request",
        ),
        (
            422,
            "Repository rule violations found\n\nCannot create ref due to creations being restricted.",
            ConflictError,
            "bypass the rule",
        ),
        (409, "Repository rule violations found\n\nPush cannot contain secrets\n\n", ConflictError, "security manager"),
        (409, "Secret detected in content", ConflictError, "take it out"),
        (422, 'Required status check "build" is expected.', ConflictError, "bypass the rule"),
        (
            403,
            (
                "refusing to allow a Personal Access Token to create or update workflow `.github/workflows/ci.yml` without "
                "`workflow` scope"
            ),
            AuthError,
            "the scope `workflow`",
        ),
        (405, "Pull Request is not mergeable", ConflictError, ""),
        (413, "Request entity too large", ValidationError, "fewer or smaller files"),
        (500, "Server Error", RemoteError, ""),
        (503, "Service unavailable", RemoteError, ""),
    ],
)
def test_a_refusal_has_githubs_words_and_says_who_can_mend_it(
    github: OpenedGitHub, status: int, words: str, kind: type[ActionError], hint: str
) -> None:
    error = refused(github, status, words, {"X-GitHub-Request-Id": "C0DE:1"})
    assert type(error).code == kind.code
    assert isinstance(error, kind)
    assert " ".join(words.split())[:100] in error.message
    assert f"[GET {github.double.prefix}{SHOP}: {status} (request C0DE:1)]" in error.message
    assert hint in error.hint


def test_single_sign_on_has_its_link(github: OpenedGitHub) -> None:
    github.double.add_repository("acme/shop")
    github.double.state.credentials[0].not_authorized_for.add("acme")
    with pytest.raises(AuthError) as caught:
        github.provider().get_repo("acme", "shop")
    assert "https://github.com/orgs/acme/sso?authorization_request=" in caught.value.hint


def test_a_missing_permission_is_named_as_github_names_it(github: OpenedGitHub) -> None:
    github.double.add_repository("acme/shop", {"a": "1"})
    app = github.as_installation("acme", {"metadata": "read"})
    with pytest.raises(AuthError, match="Resource not accessible by integration") as caught:
        app.provider().set_topics(ref(), ["go"])
    assert "administration=write" in caught.value.hint


def test_a_missing_scope_is_named(github: OpenedGitHub) -> None:
    headers = {"X-OAuth-Scopes": "read:org, gist", "X-Accepted-OAuth-Scopes": "repo"}
    error = refused(github, 404, "Not Found", headers)
    assert isinstance(error, AuthError)
    assert "it lacks the scope repo" in error.message
    assert isinstance(refused(github, 404, "Not Found", {**headers, "X-OAuth-Scopes": "repo"}), NotFoundError)
    assert isinstance(
        refused(github, 404, "Not Found", {"X-OAuth-Scopes": "", "X-Accepted-OAuth-Scopes": ""}), NotFoundError
    )
    holds = {"X-OAuth-Scopes": "admin:org", "X-Accepted-OAuth-Scopes": "read:org"}
    assert isinstance(refused(github, 404, "Not Found", holds), NotFoundError)


def test_errors_of_fields_name_our_inputs(github: OpenedGitHub) -> None:
    errors = [
        {"resource": "Repository", "field": "name", "code": "custom", "message": "name is too long"},
        {"resource": "Repository", "field": "description", "code": "invalid"},
    ]
    error = refused(github, 422, {"message": "Validation Failed", "errors": errors})
    assert isinstance(error, ValidationError)
    assert set(error.fields) == {"repo", "description"}
    assert "name is too long" in error.fields["repo"][0]
    assert "Repository description invalid" in error.message
    exists = [{"resource": "Label", "field": "name", "code": "already_exists"}]
    assert isinstance(refused(github, 422, {"message": "Validation Failed", "errors": exists}), ConflictError)
    for odd in (["in words"], "in words", [None, 1], {"a": "b"}):
        assert isinstance(refused(github, 422, {"message": "Validation Failed", "errors": odd}), ValidationError)


def test_long_words_are_shortened_and_a_page_for_people_is_none_of_them(github: OpenedGitHub) -> None:
    assert len(refused(github, 409, "word " * 1000).message) < 500
    raw = Respond(403, "<html><h1>Access denied by our proxy</h1></html>", {"Content-Type": "text/html"})
    github.double.faults.order("GET", SHOP, raw)
    with pytest.raises(AuthError, match="it answered 403 and said nothing"):
        github.provider().get_repo("acme", "shop")


SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
PRIMARY = "API rate limit exceeded for user ID 1."


class TestLimits:
    @pytest.mark.parametrize("status", [403, 429])
    @pytest.mark.parametrize(("retry_after", "seconds"), [("77", 77), ("0", 0), (None, None), ("soon", None)])
    def test_a_secondary_limit_is_told_by_its_words(
        self, github: OpenedGitHub, status: int, retry_after: str | None, seconds: float | None
    ) -> None:
        pauses = Pauses()
        headers = {"Retry-After": retry_after} if retry_after else {}
        github.double.faults.order("GET", SHOP, Respond(status, {"message": SECONDARY}, headers))
        github.double.add_repository("acme/shop")
        try:
            github.provider(pauses=pauses).get_repo("acme", "shop")
        except RateLimitedError as error:
            assert error.retry_after  # noqa: PT017 a short limit is slept
        assert pauses.begun == [seconds]

    def test_retry_after_may_be_a_date_of_githubs_clock(self, github: OpenedGitHub) -> None:
        github.double.clock.skew = timedelta(days=2)
        until = (github.double.clock.now() + timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT")
        error = refused(github, 403, SECONDARY, {"Retry-After": until})
        assert isinstance(error, RateLimitedError)
        assert error.retry_after is not None
        assert 60 < error.retry_after <= 90

    def test_a_spent_limit_lasts_until_it_is_reset(self, github: OpenedGitHub) -> None:
        reset = int((github.double.clock.now() + timedelta(minutes=20)).timestamp())
        error = refused(github, 403, PRIMARY, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)})
        assert isinstance(error, RateLimitedError)
        assert error.retry_after is not None
        assert 1100 < error.retry_after <= 1201

    def test_a_403_with_retry_after_is_a_limit_whatever_it_says(self, github: OpenedGitHub) -> None:
        assert isinstance(refused(github, 403, "Forbidden", {"Retry-After": "60"}), RateLimitedError)

    @pytest.mark.parametrize(
        "words", ["Resource not accessible by integration", "Must have admin rights to Repository."]
    )
    def test_the_last_request_of_a_limit_that_is_refused_for_a_permission_is_no_limit(
        self, github: OpenedGitHub, words: str
    ) -> None:
        error = refused(github, 403, words, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9999999999"})
        assert isinstance(error, AuthError)

    def test_the_last_request_of_a_limit_that_is_refused_without_a_word_is_one(self, github: OpenedGitHub) -> None:
        headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "nonsense"}
        assert isinstance(refused(github, 403, "Forbidden", headers), RateLimitedError)

    def test_content_that_was_submitted_too_quickly_is_a_limit(self, github: OpenedGitHub) -> None:
        errors = [{"resource": "Issue", "code": "custom", "message": "was submitted too quickly"}]
        assert isinstance(refused(github, 422, {"message": "Validation Failed", "errors": errors}), RateLimitedError)


class Pauses:
    def __init__(self) -> None:
        self.begun: list[float | None] = []

    def wait(self, installation: str, credential: str) -> float:
        return 0.0

    def begin(self, installation: str, credential: str, seconds: float | None) -> float:
        self.begun.append(seconds)
        return 60.0 if seconds is None else seconds
