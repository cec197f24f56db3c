"""Protecting a branch. GitHub replaces all of it at once, so what is there is read first, and kept where it asks for more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import NotFoundError
from portal_actions_plugin.scm.base import People, Protected, Protection
from portal_actions_plugin.scm.github.branches import find_branch
from portal_actions_plugin.scm.github.client import RepoApi, segment
from portal_actions_plugin.scm.github.errors import PlanError, says
from portal_actions_plugin.scm.remote.fields import at, flag, maybe_text, objects, texts
from portal_actions_plugin.scm.remote.lost_answers import look_for, write_again

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.remote.answers import ForgeAnswer
    from portal_actions_plugin.scm.remote.fields import JsonObject

    Body = dict[str, JsonValue]

ANY_APP = -1
_NO_BRANCH = "branch not found"
_SWITCHES = (
    "required_linear_history",
    "allow_force_pushes",
    "allow_deletions",
    "block_creations",
    "required_conversation_resolution",
    "lock_branch",
    "allow_fork_syncing",
)
_NAMED_BY = {"users": "login", "teams": "slug", "apps": "slug"}


def protect_branch(repo: RepoApi, branch: str, protection: Protection) -> Protected:
    """Protect a branch at least as asked for: reviews, checks and all else that is there already stay."""
    path = f"/branches/{segment(branch)}/protection"
    try:
        there = _read(repo, branch, path)
        before = _body_of(there) if there else None
        wanted = _with(before or _body_of({}), protection)
        is_signed = not protection.signed or (there is not None and flag(there, "required_signatures", "enabled"))
        if wanted == before and is_signed:
            return Protected(changed=False)
        if wanted != before:
            write_again(lambda: repo.send("PUT", path, body=wanted), log=repo.api.opening.log)
        if not is_signed:
            write_again(lambda: repo.send("POST", f"{path}/required_signatures"), log=repo.api.opening.log)
    except PlanError as error:
        return Protected(changed=False, cannot=(f"{branch} of {repo.name} stays as it is. {error.message}",))
    return Protected(changed=True)


def _read(repo: RepoApi, branch: str, path: str) -> JsonObject | None:
    answer = repo.send("GET", path, accept=(404,))
    if answer.status == 404 and says(answer, _NO_BRANCH) and find_branch(repo, branch) is not None:
        # What was pushed a moment ago is not known everywhere yet.
        answer = look_for(lambda: _unless_missing(repo.send("GET", path, accept=(404,)))) or answer
    if answer.status != 404:
        return answer.object()
    if says(answer, _NO_BRANCH):
        raise NotFoundError(f"{repo.name} has no branch {branch} to protect.", hint="Push a first commit there.")
    # "Branch not protected", or a credential that may not see it: writing will tell.
    return None


def _unless_missing(answer: ForgeAnswer) -> ForgeAnswer | None:
    return None if answer.status == 404 and says(answer, _NO_BRANCH) else answer


def _body_of(there: JsonObject) -> Body:
    """What PUT takes for what GET shows: "Update branch protection"."""
    return {
        "required_status_checks": _checks(there),
        "enforce_admins": flag(there, "enforce_admins", "enabled"),
        "required_pull_request_reviews": _reviews(there),
        "restrictions": _people(at(there, "restrictions")),
        **{
            switch: flag(there, switch, "enabled") for switch in _SWITCHES if switch in there
        },  # older servers lack some
    }


def _checks(there: JsonObject) -> Body | None:
    shown = at(there, "required_status_checks")
    if not isinstance(shown, Mapping):
        return None
    checks = objects(shown, "checks") or [{"context": name} for name in texts(shown, "contexts")]
    kept: list[JsonValue] = [
        {"context": maybe_text(check, "context"), "app_id": at(check, "app_id") or ANY_APP} for check in checks
    ]
    return _checks_of(kept, is_strict=flag(shown, "strict"))


def _checks_of(checks: list[JsonValue], *, is_strict: bool) -> Body:
    """Never ``checks`` and ``contexts`` together: GitHub refuses that ("More than one subschema in oneOf matched"), though
    its OpenAPI description has ``contexts`` as required.
    """
    return {"strict": is_strict, "checks": checks} if checks else {"strict": is_strict, "contexts": []}


def _reviews(there: JsonObject) -> Body | None:
    shown = at(there, "required_pull_request_reviews")
    if not isinstance(shown, Mapping):
        return None
    kept: Body = {
        "dismiss_stale_reviews": flag(shown, "dismiss_stale_reviews"),
        "require_code_owner_reviews": flag(shown, "require_code_owner_reviews"),
        "require_last_push_approval": flag(shown, "require_last_push_approval"),
        "required_approving_review_count": at(shown, "required_approving_review_count") or 0,
    }
    for name in ("dismissal_restrictions", "bypass_pull_request_allowances"):
        if people := _people(at(shown, name)):
            kept[name] = people
    return kept


def _people(shown: JsonValue) -> Body | None:
    if not isinstance(shown, Mapping):
        return None
    return {kind: [maybe_text(one, key) for one in objects(shown, kind)] for kind, key in _NAMED_BY.items()}


def _with(before: Body, protection: Protection) -> Body:
    """What is there with what is asked for; the stricter one of both counts."""
    wanted = dict(before)
    if protection.required_reviews or protection.code_owners or protection.by_pull_only:
        reviews = dict(_part(before, "required_pull_request_reviews"))
        count = reviews.get("required_approving_review_count")
        reviews["required_approving_review_count"] = max(
            count if isinstance(count, int) else 0, protection.required_reviews
        )
        reviews["require_code_owner_reviews"] = protection.code_owners or flag(reviews, "require_code_owner_reviews")
        for name, is_wanted in (
            ("dismiss_stale_reviews", protection.dismisses_stale),
            ("require_last_push_approval", protection.by_others),
        ):
            if is_wanted:
                reviews[name] = True
        if (allowed := _named(protection.may_bypass)) and "bypass_pull_request_allowances" not in reviews:
            reviews["bypass_pull_request_allowances"] = allowed
        wanted["required_pull_request_reviews"] = reviews
    if protection.required_checks or protection.up_to_date:
        checks = _part(before, "required_status_checks")
        there: list[JsonValue] = [*objects(checks, "checks")]
        known = {maybe_text(check, "context") for check in there}
        there += [{"context": name, "app_id": ANY_APP} for name in protection.required_checks if name not in known]
        is_strict = protection.up_to_date or flag(checks, "strict")
        wanted["required_status_checks"] = _checks_of(there, is_strict=is_strict)
    if protection.may_push is not None and before["restrictions"] is None:
        wanted["restrictions"] = _named(protection.may_push) or {kind: [] for kind in _NAMED_BY}
    for name, is_wanted in (
        ("enforce_admins", protection.for_admins),
        ("required_conversation_resolution", protection.conversations),
        ("required_linear_history", protection.linear),
        ("block_creations", protection.no_creation),
    ):
        if is_wanted:
            wanted[name] = True
    return wanted


def _named(people: People) -> Body | None:
    if not (people.users or people.teams or people.apps):
        return None
    return {"users": list(people.users), "teams": list(people.teams), "apps": list(people.apps)}


def _part(before: Body, name: str) -> JsonObject:
    part = before[name]
    return part if isinstance(part, Mapping) else {}
