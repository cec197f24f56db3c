"""What GitLab's refusals mean: its own words, shortened, and who can mend it.

The forms of its answers are those of docs.gitlab.com/api/rest/troubleshooting/; the words of a feature that refuses are
those of its own page there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
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
from portal_actions_plugin.scm.remote.fields import at, maybe_text
from portal_actions_plugin.scm.remote.refusals import SHOWN_CHARS, body_of, first_rule, rule, shown

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.remote.answers import ForgeAnswer

_TAKEN = re.compile(r"already been taken|already exists|already shared", re.IGNORECASE)


class MovedError(ConflictError):
    """The project has another path now, and GitLab takes writes at its new one only."""


class LostRaceError(ConflictError):
    """Somebody else has changed the branch since it was read."""


RULES = (
    rule(
        "not allowed for moved projects",
        MovedError,
        "Name the project by its new path: its old address leads there.",
    ),
    rule(
        "(file|directory) with this name (already exists|doesn't exist)|has changed since you started editing|"
        "could not update refs/|reference (update|does not point)|branch called .* already exists|"
        "create or edit files when you are on a branch",
        LostRaceError,
        "Somebody else has changed the branch meanwhile: start again.",
    ),
    rule(
        "read-only instance|maintenance mode|undergoing maintenance",
        RemoteError,
        "GitLab is in maintenance mode: it takes writes again when its administrators have ended that.",
    ),
    rule(
        "higher privileges than provided|insufficient_scope|insufficient_granular_scope",
        AuthError,
        "The token lacks a scope: ask your platform team for one with the scope `api`.",
    ),
    rule(
        "secret push protection|secrets? (was |were )?(detected|found)",
        ConflictError,
        "GitLab's secret push protection has found a secret in these files: take it out. A Maintainer of the project can "
        "switch the protection off in Secure > Security configuration.",
        "files",
    ),
    rule(
        "does not follow the pattern|contains? the forbidden pattern|prohibited by the pattern|was denylisted|"
        "blacklisted by|is not a (member of team|GitLab user)|unsigned|signed commits|not signed|you can only push your own|"
        "cannot push commits for|push rule",
        ConflictError,
        "A push rule of the project, its group or this GitLab forbids it: change what is committed, or ask a Maintainer of "
        "the project or an Owner of the group to change the rule in Settings > Repository > Push rules.",
    ),
    rule(
        "not allowed to (push|force push|create)|protected branch|branch is protected",
        AuthError,
        "The branch is protected. Commit to another branch and propose a merge request, or ask a Maintainer of the project "
        "to let the portal's account push in Settings > Repository > Protected branches.",
        "branch",
    ),
    rule(
        "pre-receive hook|GL-HOOK-ERR|custom hook",
        ConflictError,
        "A hook on the GitLab server has refused the push: its administrators know what it asks for.",
    ),
    rule(
        "is archived|archived project|project is read-only",
        ConflictError,
        "It can only be read. An Owner of the project can unarchive it in Settings > General > Advanced.",
        "repo",
    ),
    rule(
        "IP (address )?(is )?(not allowed|restrict)|ip_restriction|restricted by IP",
        AuthError,
        "An Owner of the top-level group can add the address that the portal calls from in Settings > General > Permissions.",
    ),
    rule(
        "SAML|single sign-on|SSO session",
        AuthError,
        "The group asks for single sign-on, which the person of the token has to renew. A group access token does without: "
        "an Owner of the group makes one.",
    ),
    rule(
        "account (has been|is|was)( \\w+)? ?(blocked|deactivated|banned|locked|pending)|terms of service|"
        "password expired|two-factor|2FA",
        AuthError,
        "The account of the portal's token has to be put right at GitLab: its owner or an administrator there can do that.",
    ),
    rule(
        "project creation is not allowed|limit(ed)? (has been )?reached|projects? limit|namespace.{0,20}not valid",
        AuthError,
        "The portal's account may not create projects there: an Owner of the group can give it the Developer role or more "
        "and allow that role to create projects in Settings > General > Permissions. A group access token of that group "
        "does, too.",
        "owner",
    ),
    rule(
        "set pipeline variables|insufficient permissions to set",
        AuthError,
        "A Maintainer of the project says in Settings > CI/CD > Variables who may give variables to a pipeline.",
    ),
)
"""The first that fits counts. Words that no rule knows are told with what their status says."""


def error_of(answer: ForgeAnswer, name: str = "") -> ActionError:
    """The error that an answer from 400 on stands for, in GitLab's own words.

    Args:
        answer: it.
        name: the repository, ``owner/repo``, or another thing that was asked about; empty for none.
    """
    said = words_of(answer)
    about = f" for {name}" if name else ""
    if answer.status == 401:
        return _bad_credentials(said, about)
    if limit_of(answer) is not False:
        return RateLimitedError(f"GitLab asks to go slower{about}: {said}")
    if found := first_rule(RULES, said):
        message = f"GitLab refuses{about}: {said}"
        wait = _wait(found.kind, answer)
        return found.kind(message, hint=found.hint, fields=found.fields(message), retry_after=wait)
    return _by_status(answer, said, about)


def _by_status(answer: ForgeAnswer, said: str, about: str) -> ActionError:
    """What a refusal means whose words no rule knows."""
    if answer.status in (400, 422):
        return _not_valid(answer, said, about)
    if answer.status >= 500:
        return RemoteError(f"GitLab has a problem{about}: {said}", retry_after=answer.named_wait)
    if answer.status == 403:
        return AuthError(f"GitLab refuses{about}: {said}", hint=_ROLE_HINT)
    if answer.status == 404:
        return NotFoundError(f"GitLab does not find it{about}: {said}", hint=HIDDEN_HINT)
    if answer.status == 413:
        return ValidationError(f"It is more than GitLab takes at once{about}: {said}", hint=_TOO_MUCH_HINT)
    return ConflictError(f"GitLab refuses{about}: {said}")


HIDDEN_HINT = (
    "Check the names. GitLab says the same of a private project or group that the portal's account is no member of: ask an "
    "Owner of it to invite that account."
)
_TOO_MUCH_HINT = (
    "Write fewer or smaller files. On a self-managed GitLab its administrators can raise the limit, and that of the proxy "
    "before it."
)
_ROLE_HINT = (
    "The portal's account needs another role there, or its token the scope `api`: a Maintainer or Owner of the project or "
    "group can give the role."
)


def limit_of(answer: ForgeAnswer) -> float | Literal[False] | None:
    """The seconds that a rate limit asks to wait, None when it names none, and False for what is no rate limit.

    GitLab limits with 429 alone, so a 403 is always one of permission:
    docs.gitlab.com/administration/settings/user_and_ip_rate_limits/. Its limits of single features, such as commits of many
    megabytes, name no time.
    """
    if answer.status != 429:
        return False
    named = answer.named_wait
    return named if named is not None else answer.seconds_until("ratelimit-reset")


def says(answer: ForgeAnswer, pattern: str) -> bool:
    """Whether GitLab's words hold a pattern, whatever their case."""
    return re.search(pattern, words_of(answer), re.IGNORECASE) is not None


def is_taken(answer: ForgeAnswer) -> bool:
    """Whether something of that name is there already."""
    return answer.status in (400, 409, 422) and _TAKEN.search(words_of(answer)) is not None


def words_of(answer: ForgeAnswer) -> str:
    """What GitLab says, on one line and shortened."""
    body = body_of(answer)
    parts = [*_flat(at(body, "message")), *_flat(at(body, "error"))]
    parts += filter(None, [maybe_text(body, "error_description")])
    if scope := maybe_text(body, "scope"):
        parts.append(f"scope {scope}")
    if body is None and "html" not in answer.headers.get("content-type", ""):
        parts.append(answer.body[: 4 * SHOWN_CHARS].decode(errors="replace"))
    return shown(dict.fromkeys(parts), "; ", answer)


def _flat(value: JsonValue) -> Iterator[str]:
    """What GitLab says as a text, as a list of texts, or by field: docs.gitlab.com/api/rest/troubleshooting/#status-code-400"""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, below in value.items():
            yield from (words if key == "base" else f"{key} {words}" for words in _flat(below))
    elif isinstance(value, Sequence):
        for one in value:
            yield from _flat(one)


def _wait(kind: type[ActionError], answer: ForgeAnswer) -> float | None:
    return answer.named_wait if kind is RemoteError else None


def _bad_credentials(said: str, about: str) -> ActionError:
    return AuthError(
        f"GitLab does not know the token any more{about}: {said}",
        hint="It was revoked, has expired, or was copied wrongly; a token of OAuth needs token_type: bearer in "
        "PORTAL_ACTIONS_SCM. Ask your platform team to give the portal a new one.",
    )


_FIELDS: Mapping[str, str] = {
    "name": "repo",
    "path": "repo",
    "namespace": "owner",
    "namespace_id": "owner",
    "visibility_level": "visibility",
    "source_branch": "headBranch",
    "target_branch": "baseBranch",
    "branch": "branch",
    "url": "callbackUrl",
    "key": "name",
    "ref": "branch",
}
"""Which input field of ours a field of GitLab's came from."""


def _not_valid(answer: ForgeAnswer, said: str, about: str) -> ActionError:
    if _TAKEN.search(said):
        return ConflictError(f"GitLab has it already{about}: {said}")
    fields: dict[str, list[str]] = {}
    message = at(body_of(answer), "message")
    for key, below in message.items() if isinstance(message, Mapping) else ():
        ours = _FIELDS.get(key, key)
        fields.setdefault(ours, []).extend(f"GitLab does not take it: {words}" for words in _flat(below))
    return ValidationError(f"GitLab does not take it{about}: {said}", fields=fields)
