"""Protected branches: docs.gitlab.com/api/protected_branches/

What has to be so before a merge is set in three places: the branch, the project, and the approval rules of paid plans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal_actions_plugin.errors import AuthError, ConflictError, NotFoundError, ValidationError
from portal_actions_plugin.scm.base import People, Protected, Protection
from portal_actions_plugin.scm.gitlab.client import ProjectApi
from portal_actions_plugin.scm.gitlab.permissions import DEVELOPER, MAINTAINER
from portal_actions_plugin.scm.gitlab.projects import segment
from portal_actions_plugin.scm.names import check_branch
from portal_actions_plugin.scm.remote.fields import at, flag, maybe_text, number, objects
from portal_actions_plugin.scm.remote.lost_answers import write_again

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.remote.fields import JsonObject

_NO_ONE = 0
_RULE_NAME = "Portal Actions"


def protect_branch(repo: ProjectApi, branch: str, wanted: Protection) -> Protected:
    """Protect a branch; what this GitLab does not have is named, and the rest is done.

    Whoever asks for reviews or checks wants no push past them: then nobody pushes, and Developers merge. A branch that is
    protected more strictly stays so.
    """
    check_branch(branch)
    changed, cannot = _protect(repo, branch, wanted)
    for part in (_require_reviews, _require_pipeline, _require_resolved):
        part_changed, part_cannot = part(repo, wanted)
        changed = changed or part_changed
        cannot += part_cannot
    return Protected(changed, tuple(cannot))


def _protect(repo: ProjectApi, branch: str, wanted: Protection) -> tuple[bool, list[str]]:
    is_guarded = (
        wanted.required_reviews > 0 or bool(wanted.required_checks) or wanted.code_owners or wanted.by_pull_only
    )
    push = _NO_ONE if is_guarded else MAINTAINER
    merge = DEVELOPER if is_guarded else MAINTAINER
    body: dict[str, JsonValue] = {
        "name": branch,
        "push_access_level": push,
        "merge_access_level": merge,
        "allow_force_push": False,
    }
    if wanted.code_owners:
        body["code_owner_approval_required"] = True
    there = _find(repo, branch)
    if there is None:
        return True, _missing_code_owners(_create(repo, branch, body), wanted)
    changed = False
    if not _is_pushed_by_few(there, push):
        there, changed = _replace(repo, branch, there, body), True
    elif flag(there, "allow_force_push") or _lacks_code_owners(there, wanted):
        settings: dict[str, JsonValue] = {"allow_force_push": False}
        if wanted.code_owners:
            settings["code_owner_approval_required"] = True
        rest = f"/protected_branches/{segment(branch)}"
        before = there
        there = write_again(lambda: repo.write("PATCH", rest, body=settings).object(), log=repo.opening.log)
        changed = any(at(before, key) != at(there, key) for key in settings)
    return changed, _missing_code_owners(there, wanted)


def _find(repo: ProjectApi, branch: str) -> JsonObject | None:
    answer = repo.find(f"/protected_branches/{segment(branch)}")
    return None if answer is None else answer.object()


def _create(repo: ProjectApi, branch: str, body: JsonValue) -> JsonObject:
    return repo.write_object("POST", "/protected_branches", body=body, look_up=lambda: _find(repo, branch))


def _replace(repo: ProjectApi, branch: str, there: JsonObject, body: dict[str, JsonValue]) -> JsonObject:
    """Set who may push. Paid plans change that in place; the others only by protecting the branch anew.

    For that moment a Developer could push. Should this process die in it, a retry protects the branch.
    """
    rest = f"/protected_branches/{segment(branch)}"
    levels: list[JsonValue] = [
        {"id": number(one, "id"), "_destroy": True} for one in objects(there, "push_access_levels")
    ]
    levels.append({"access_level": body["push_access_level"]})
    changes: dict[str, JsonValue] = {"allowed_to_push": levels, "allow_force_push": False}
    if "code_owner_approval_required" in body:
        changes["code_owner_approval_required"] = True
    found = write_again(lambda: repo.write("PATCH", rest, body=changes).object(), log=repo.opening.log)
    if _is_pushed_by_few(found, _level(body["push_access_level"])):
        return found
    repo.opening.log(f"{branch} of {repo.name} is protected anew: this GitLab changes no protection in place")
    write_again(lambda: repo.write("DELETE", rest, accept=(404,)), log=repo.opening.log)
    return _create(repo, branch, body)


def _is_pushed_by_few(rule: JsonObject, most: int) -> bool:
    """Whether nobody may push who may not by the access level ``most``, which is no one for 0."""
    levels = [_level(at(one, "access_level")) for one in objects(rule, "push_access_levels")]
    return all(level == _NO_ONE or (most != _NO_ONE and level >= most) for level in levels)


def _level(value: JsonValue) -> int:
    return value if isinstance(value, int) else 1  # of a person, a group or a deploy key: somebody


def _lacks_code_owners(rule: JsonObject, wanted: Protection) -> bool:
    return wanted.code_owners and not flag(rule, "code_owner_approval_required")


def _missing_code_owners(rule: JsonObject, wanted: Protection) -> list[str]:
    if not _lacks_code_owners(rule, wanted):
        return []
    return ["this GitLab does not ask for approvals of code owners: that needs the Premium or Ultimate plan."]


def _require_reviews(repo: ProjectApi, wanted: Protection) -> tuple[bool, list[str]]:
    """Approvals are a paid plan's: without one the Community Edition knows no such address, and the other forbids it.

    docs.gitlab.com/api/merge_request_approvals/
    """
    if wanted.required_reviews == 0:
        return False, []
    lacks = [
        f"this GitLab does not ask for approvals ({wanted.required_reviews} wanted): that needs the Premium or Ultimate plan."
    ]
    try:
        rules = list(repo.pages("/approval_rules", what="the approval rules"))
    except (AuthError, NotFoundError):
        return False, lacks
    counts = [number(rule, "approvals_required") for rule in rules if maybe_text(rule, "rule_type") != "code_owner"]
    if any(count >= wanted.required_reviews for count in counts):
        return False, []
    any_approver = next((rule for rule in rules if maybe_text(rule, "rule_type") == "any_approver"), None)
    body: dict[str, JsonValue] = {"approvals_required": wanted.required_reviews, "name": _RULE_NAME}
    try:
        if any_approver is None:
            body["rule_type"] = "any_approver"
            repo.write_object("POST", "/approval_rules", body=body, look_up=lambda: _rule(repo, wanted))
        else:
            rest = f"/approval_rules/{number(any_approver, 'id')}"
            write_again(lambda: repo.write("PUT", rest, body=body), log=repo.opening.log)
    except (AuthError, NotFoundError):
        return False, lacks
    return True, []


def _rule(repo: ProjectApi, wanted: Protection) -> JsonObject | None:
    rules = repo.pages("/approval_rules", what="the approval rules")
    return next((rule for rule in rules if number(rule, "approvals_required") >= wanted.required_reviews), None)


def _require_resolved(repo: ProjectApi, wanted: Protection) -> tuple[bool, list[str]]:
    """What else of a protection the project has, and what GitLab knows only of whole projects or not at all."""
    named = {
        "branches that are up to date": wanted.up_to_date,
        "approvals that a new push takes away": wanted.dismisses_stale,
        "an approval by somebody else": wanted.by_others,
        "a history without merges": wanted.linear,
        "signed commits": wanted.signed,
        "no new branches": wanted.no_creation,
        "people who may bypass it": wanted.may_bypass != People(),
        "the only ones who may push": wanted.may_push is not None,
    }
    lacking = ", ".join(what for what, is_wanted in named.items() if is_wanted)
    cannot = [f"not set at GitLab, which has it elsewhere or not at all: {lacking}."] if lacking else []
    setting = "only_allow_merge_if_all_discussions_are_resolved"
    if not wanted.conversations or flag(repo.project.about, setting):
        return False, cannot
    write_again(lambda: repo.write("PUT", "", body={setting: True}), log=repo.opening.log)
    return True, cannot


def _require_pipeline(repo: ProjectApi, wanted: Protection) -> tuple[bool, list[str]]:
    """GitLab asks for the whole pipeline, of all branches of the project: docs.gitlab.com/api/projects/#update-a-project"""
    if not wanted.required_checks:
        return False, []
    names = ", ".join(wanted.required_checks)
    cannot = [
        f"GitLab asks for no single checks ({names}): a merge request has to have passed its whole pipeline instead."
    ]
    setting = "only_allow_merge_if_pipeline_succeeds"
    if flag(repo.project.about, setting):
        return False, cannot
    try:
        write_again(lambda: repo.write("PUT", "", body={setting: True}), log=repo.opening.log)
    except (ConflictError, ValidationError) as error:
        return False, [*cannot, f"not even that could be set: {error.message}"]
    return True, cannot
