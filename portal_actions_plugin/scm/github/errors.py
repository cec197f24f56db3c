"""What GitHub's refusals mean: its own words, shortened, who can mend it, and how limits are told from permissions.

The words are those of "Troubleshooting the REST API" and of GitHub's pages on the features that refuse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from portal_actions_plugin.errors import (
    ActionError,
    AuthError,
    ConflictError,
    NotFoundError,
    RateLimitedError,
    RemoteError,
    ValidationError,
)
from portal_actions_plugin.scm.github.permissions import all_scopes
from portal_actions_plugin.scm.remote.fields import at, maybe_text, objects
from portal_actions_plugin.scm.remote.refusals import body_of, first_rule, rule, shown

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.remote.answers import ForgeAnswer

_LIMIT = re.compile(r"rate limit|abuse detection|submitted too quickly", re.IGNORECASE)
_PERMISSION = re.compile(
    r"not accessible|admin rights|permission|forbids|refus|SAML|IP allow list|archived|suspended|blocked|upgrade|disabled",
    re.IGNORECASE,
)
_SSO_URL = re.compile(r"url=(\S+)")


class MovedError(ConflictError):
    """A branch is not where it was seen: what was made on top of it is made again."""


class ExistsError(ConflictError):
    """GitHub has one already."""


class PlanError(ConflictError):
    """The owner's plan does not have it."""


class NothingToProposeError(ValidationError):
    """A branch has nothing that the other one lacks."""


_RULES = (
    rule(
        r"not a fast forward|reference already exists|reference does not exist|base branch was modified",
        MovedError,
        "Start again when nobody else pushes to that branch.",
    ),
    rule("no commits between", NothingToProposeError, "Commit to the head branch first."),
    rule(
        "without `?workflows?`? (scope|permission)|refusing to allow",
        AuthError,
        "Files in .github/workflows need the scope `workflow` of a classic token, or the permission Workflows (write): ask "
        "your platform team to give it to the portal's credential.",
    ),
    rule(
        "secret.*(detected|found)|cannot contain secrets|push protection",
        ConflictError,
        "GitHub's push protection has found a secret in these files: take it out. A security manager of the organisation can "
        "allow one that is meant to be there.",
        "files",
    ),
    rule(
        "rule violations|GH013|GH006|protected branch|protected ref|required status check|approving review|through a pull",
        ConflictError,
        "A rule of the repository or its organisation forbids it. Propose the change by a pull request, or ask an "
        "administrator of the repository to let the portal's account or App bypass the rule.",
        "branch",
    ),
    rule(
        "archived",
        ConflictError,
        "It can only be read. An administrator of the repository can unarchive it in its settings.",
        "repo",
    ),
    rule(
        "IP allow list",
        AuthError,
        "An owner of the organisation can add the address that the portal calls from to its IP allow list.",
    ),
    rule(
        "SAML|single sign-on",
        AuthError,
        "Whoever owns the token has to authorise it for single sign-on with this organisation.",
    ),
    rule(
        "forbids access via|personal access tokens? (is|are) not allowed|token's lifetime",
        AuthError,
        "The organisation does not take this kind of token. Ask your platform team for a GitHub App or another kind of token; "
        "an owner of the organisation sets which it takes.",
    ),
    rule(
        "OAuth App access restrictions",
        AuthError,
        "An owner of the organisation has to approve the OAuth app that the token is of.",
    ),
    rule("suspended", AuthError, "The account or the installation is suspended: ask an administrator of GitHub there."),
    rule(
        "blocked|disabled by|unavailable",
        ConflictError,
        "GitHub or an administrator has blocked it; GitHub's support and the owner of the repository know why.",
    ),
    rule(
        "upgrade to|your plan|billing",
        PlanError,
        "The plan of this owner does not have it: whoever pays for the account can change that, or make the repository public.",
    ),
    rule(
        "actions (has been|is|are) disabled|issues (are|has been) disabled|disabled",
        ConflictError,
        "It is switched off: an administrator of the repository or an owner of the organisation can switch it on.",
    ),
    rule(
        "admin rights|admin access|do(es)? not have permission|members (can|may)not|not authorized|must be an? (owner|admin)",
        AuthError,
        "The portal's account may not do it: an administrator of the repository or an owner of the organisation can give it "
        "the role that this needs.",
    ),
)


def error_of(answer: ForgeAnswer) -> ActionError:
    """The error that an answer from 400 on stands for, in GitHub's own words."""
    said = words_of(answer)
    if answer.status >= 500:
        return RemoteError(f"GitHub has a problem: {said}")
    if answer.status == 401:
        return _bad_credentials(said)
    if limit_of(answer) is not False:
        return RateLimitedError(f"GitHub asks to go slower: {said}")
    return _by_words(answer, said) or _by_status(answer, said)


def _by_words(answer: ForgeAnswer, said: str) -> ActionError | None:
    found = first_rule(_RULES, said)
    if found is None:
        return None
    message = f"GitHub refuses: {said}"
    return found.kind(message, hint=_sso_hint(answer) or found.hint, fields=found.fields(message))


def _by_status(answer: ForgeAnswer, said: str) -> ActionError:
    match answer.status:
        case 403:
            return AuthError(f"GitHub refuses: {said}", hint=_sso_hint(answer) or _missing_hint(answer))
        case 404:
            return _not_found(answer, said)
        case 405 | 409 | 410 | 451:
            return ConflictError(f"GitHub refuses: {said}")
        case 422:
            return _not_valid(answer, said)
    hint = "Write fewer or smaller files." if answer.status == 413 else None
    return ValidationError(f"GitHub does not take it: {said}", hint=hint)


def limit_of(answer: ForgeAnswer) -> float | Literal[False] | None:
    """The seconds that a rate limit asks to wait, None when it names none, and False for what is no rate limit.

    A 403 is one when its message or ``Retry-After`` says so. ``X-RateLimit-Remaining: 0`` alone decides only when the
    message says nothing about permission: the last request that a limit allows may be refused for want of one.
    """
    if answer.status not in (403, 422, 429):
        return False
    said = words_of(answer)
    spent = answer.headers.get("x-ratelimit-remaining") == "0"
    is_limit = (
        answer.status == 429
        or _LIMIT.search(said) is not None
        or (answer.status == 403 and "retry-after" in answer.headers)
        or (answer.status == 403 and spent and not _PERMISSION.search(said))
    )
    if not is_limit:
        return False
    if answer.named_wait is not None:
        return answer.named_wait
    reset = answer.seconds_until("x-ratelimit-reset") if spent else None
    return None if reset is None else reset + 1.0


def says(answer: ForgeAnswer, pattern: str) -> bool:
    """Whether GitHub's words hold a pattern, whatever their case."""
    return re.search(pattern, words_of(answer), re.IGNORECASE) is not None


def words_of(answer: ForgeAnswer) -> str:
    """What GitHub says, on one line and shortened."""
    body = body_of(answer)
    parts = [maybe_text(body, "message") or ""]
    parts += [_one_error(entry) for entry in _errors(body)]
    if isinstance(whole := at(body, "errors"), str):
        parts.append(whole)
    return shown(parts, " ", answer)


def _errors(body: JsonValue) -> Sequence[JsonValue]:
    found = at(body, "errors")
    return found if isinstance(found, Sequence) and not isinstance(found, str) else ()


def _one_error(entry: JsonValue) -> str:
    if isinstance(entry, str):
        return entry
    message = maybe_text(entry, "message")
    if message:
        return message
    words = (maybe_text(entry, key) for key in ("resource", "field", "code"))
    return " ".join(filter(None, words))


# -- what is missing --------------------------------------------------------------------------------------------------


def _bad_credentials(said: str) -> ActionError:
    return AuthError(
        f"GitHub does not know the credential any more: {said}",
        hint="It was revoked, has expired, or was copied wrongly. Ask your platform team to give the portal a new one.",
    )


def _sso_hint(answer: ForgeAnswer) -> str | None:
    """``X-GitHub-SSO: required; url=…``: "Authenticating to the REST API", section on single sign-on."""
    found = _SSO_URL.search(answer.headers.get("x-github-sso", ""))
    if not found:
        return None
    return f"Whoever owns the token has to authorise it for the organisation's single sign-on: {found[1]}"


def _missing_hint(answer: ForgeAnswer) -> str:
    if scopes := _missing_scopes(answer):
        return f"The token lacks the scope {scopes}: ask your platform team to give it a token that has it."
    if wanted := answer.headers.get("x-accepted-github-permissions"):
        return (
            f"The App or token needs the permission {wanted}, for this repository: ask your platform team to grant it, and "
            "an owner of the organisation to approve it."
        )
    return "Ask your platform team what the portal's credential may do, and an administrator of the repository to allow it."


def _missing_scopes(answer: ForgeAnswer) -> str:
    """Which scopes would have been enough, when a classic token has none of them; empty when that is not known."""
    accepted = _scopes(answer.headers.get("x-accepted-oauth-scopes", ""))
    if "x-oauth-scopes" not in answer.headers or not accepted:
        return ""
    has = all_scopes(_scopes(answer.headers["x-oauth-scopes"]))
    return "" if has & accepted else " or ".join(sorted(accepted))


def _scopes(header: str) -> frozenset[str]:
    return frozenset(filter(None, (scope.strip() for scope in header.split(","))))


def scopes_of(answer: ForgeAnswer) -> frozenset[str] | None:
    """The scopes of a classic token, with those that they hold; None for another kind of credential."""
    header = answer.headers.get("x-oauth-scopes")
    return None if header is None else all_scopes(_scopes(header))


def _not_found(answer: ForgeAnswer, said: str) -> ActionError:
    if wanted := _missing_scopes(answer):
        return AuthError(
            f"GitHub shows the token nothing here ({said}): it lacks the scope {wanted}.",
            hint="Ask your platform team to give the portal a token that has it.",
        )
    return NotFoundError(
        f"GitHub does not find it: {said}",
        hint="Check the names. GitHub says the same of a private repository that the portal's credential may not see: ask an "
        "owner of it to let the portal's account or App in.",
    )


# -- what was wrong with the input ------------------------------------------------------------------------------------

_FIELDS: Mapping[tuple[str, str], str] = {
    ("Repository", "name"): "repo",
    ("PullRequest", "head"): "headBranch",
    ("PullRequest", "base"): "baseBranch",
    ("Hook", "url"): "callbackUrl",
    ("Hook", "config"): "callbackUrl",
}
"""Which input field of ours a field of GitHub's came from, where the names differ."""


def _not_valid(answer: ForgeAnswer, said: str) -> ActionError:
    entries = objects(body_of(answer), "errors")
    if any(entry.get("code") == "already_exists" for entry in entries) or re.search("already exists", said):
        return ExistsError(f"GitHub has it already: {said}")
    fields: dict[str, list[str]] = {}
    for entry in entries:
        name = maybe_text(entry, "field")
        if name:
            ours = _FIELDS.get((maybe_text(entry, "resource") or "", name), name)
            fields.setdefault(ours, []).append(f"GitHub does not take it: {_one_error(entry)}")
    return ValidationError(f"GitHub does not take it: {said}", fields=fields)
