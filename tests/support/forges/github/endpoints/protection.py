"""docs.github.com/en/rest/branches/branch-protection"""

from __future__ import annotations

from typing import Any

from tests.support.forges.github.access import Needs
from tests.support.forges.github.answers import malformed, refusal
from tests.support.forges.github.calls import Call, no_content, ok
from tests.support.forges.messages import Answer
from tests.support.forges.routing import Routes

routes = Routes()
_PROTECTION = "/repos/{owner}/{repo}/branches/{branch}/protection"
_REQUIRED = ("required_status_checks", "enforce_admins", "required_pull_request_reviews", "restrictions")
_SWITCHES = (
    "required_linear_history",
    "allow_force_pushes",
    "allow_deletions",
    "block_creations",
    "required_conversation_resolution",
    "lock_branch",
    "allow_fork_syncing",
)


def _needs(name: str, level: str) -> Needs:
    return Needs(f"branches/branch-protection#{name}", f"administration={level}", role="admin")


def _refuse_free_plan(call: Call) -> None:
    """ "available in public repositories with GitHub Free and GitHub Free for organizations, and in public and private
    repositories with GitHub Pro, GitHub Team, GitHub Enterprise Cloud, and GitHub Enterprise Server"
    """
    owner = call.account(call.repository.owner)
    if call.repository.is_private and owner.plan == "free" and not call.enterprise:
        plan = "GitHub Team" if owner.is_organization else "GitHub Pro"
        raise refusal(403, f"Upgrade to {plan} or make this repository public to enable this feature.", call.page)


def _branch(call: Call) -> str:
    name = call.values["branch"]
    if call.git.head(name) is None:
        raise refusal(404, "Branch not found", call.page)
    return name


@routes.on("PUT", _PROTECTION, _needs("update-branch-protection", "write"))
def put(call: Call) -> Answer:
    """Everything is replaced. Four fields have to be there, each of which may be null."""
    _refuse_free_plan(call)
    branch, body = _branch(call), call.body()
    if missing := [name for name in _REQUIRED if name not in body]:
        raise malformed(call.page, *(f'"{name}" wasn\'t supplied.' for name in missing))
    owner = call.account(call.repository.owner)
    if body["restrictions"] and not owner.is_organization:
        raise refusal(
            422,
            "Validation Failed",
            call.page,
            errors=["Only organization repositories can have users and team restrictions"],
        )
    checks = body["required_status_checks"]
    if checks and "strict" not in checks:
        raise malformed(call.page, '"strict" wasn\'t supplied.')
    if checks and ("contexts" in checks) == ("checks" in checks):
        # One of the two lists, whatever the OpenAPI description says: github.com/google/go-github/issues/2976
        matched = "More than one" if "checks" in checks else "No"
        raise malformed(call.page, 'No subschema in "anyOf" matched.', f'{matched} subschema in "oneOf" matched.')
    call.repository.protections[branch] = body
    return ok(_shape(call, branch))


@routes.on("GET", _PROTECTION, _needs("get-branch-protection", "read"))
def get(call: Call) -> Answer:
    _refuse_free_plan(call)
    branch = _branch(call)
    if branch not in call.repository.protections:
        raise refusal(404, "Branch not protected", call.page)
    return ok(_shape(call, branch))


@routes.on("DELETE", _PROTECTION, _needs("delete-branch-protection", "write"))
def delete(call: Call) -> Answer:
    if call.repository.protections.pop(_branch(call), None) is None:
        raise refusal(404, "Branch not protected", call.page)
    return no_content()


def _shape(call: Call, branch: str) -> dict[str, Any]:
    """branch-protection: what is null is left out."""
    url = f"{call.sites.api}/repos/{call.repository.full_name}/branches/{branch}/protection"
    rule = call.repository.protections[branch]
    shape: dict[str, Any] = {
        "url": url,
        "enforce_admins": {"url": f"{url}/enforce_admins", "enabled": bool(rule["enforce_admins"])},
        "required_signatures": {"url": f"{url}/required_signatures", "enabled": False},
        **{name: {"enabled": bool(rule.get(name))} for name in _SWITCHES},
    }
    if checks := rule["required_status_checks"]:
        listed = [one["context"] for one in checks.get("checks") or []] or list(checks.get("contexts") or [])
        apps = {one["context"]: one.get("app_id") for one in checks.get("checks") or []}
        shape["required_status_checks"] = {
            "url": f"{url}/required_status_checks",
            "contexts_url": f"{url}/required_status_checks/contexts",
            "strict": checks["strict"],
            "contexts": listed,
            "checks": [{"context": name, "app_id": apps.get(name)} for name in listed],
        }
    if (reviews := rule["required_pull_request_reviews"]) is not None:
        shape["required_pull_request_reviews"] = {
            "url": f"{url}/required_pull_request_reviews",
            "dismiss_stale_reviews": reviews.get("dismiss_stale_reviews", False),
            "require_code_owner_reviews": reviews.get("require_code_owner_reviews", False),
            "required_approving_review_count": reviews.get("required_approving_review_count", 1),
            "require_last_push_approval": reviews.get("require_last_push_approval", False),
        }
    if rule["restrictions"]:
        lists = {name: [] for name in ("users", "teams", "apps")}
        shape["restrictions"] = {
            "url": f"{url}/restrictions",
            **{f"{name}_url": f"{url}/restrictions/{name}" for name in lists},
            **lists,
        }
    return shape
