"""Settings of a repository with addresses of their own: custom properties, OIDC, subscriptions, access to workflows."""

from __future__ import annotations

import re

from tests.support.forges.github.access import Needs
from tests.support.forges.github.answers import refusal
from tests.support.forges.github.calls import Call, created, no_content, ok
from tests.support.forges.messages import Answer
from tests.support.forges.routing import Routes

routes = Routes()
_REPO = "/repos/{owner}/{repo}"


@routes.on(
    "PATCH",
    _REPO + "/properties/values",
    Needs(
        "repos/custom-properties#create-or-update-custom-property-values-for-a-repository",
        "repository_custom_properties=write",
        role="admin",
    ),
)
def set_properties(call: Call) -> Answer:
    """ "Using a value of null for a custom property will remove or 'unset' the property value": those of organisations."""
    owner = call.account(call.repository.owner)
    if not owner.is_organization:
        raise call.not_found()
    given = {one["property_name"]: one["value"] for one in call.field("properties", list)}
    if unknown := sorted(given.keys() - owner.properties):
        message = f"Property '{unknown[0]}' is not defined for this organization"
        raise refusal(422, "Validation Failed", call.page, errors=[message])
    there = {**call.repository.properties, **given}
    call.repository.properties = {name: value for name, value in there.items() if value is not None}
    return no_content()


@routes.on(
    "PUT",
    _REPO + "/actions/oidc/customization/sub",
    Needs(
        "actions/oidc#set-the-customization-template-for-an-oidc-subject-claim-for-a-repository",
        "actions=write",
        role="admin",
    ),
)
def set_oidc_subject(call: Call) -> Answer:
    """ "Each claim key can only contain alphanumeric characters and underscores"; of the default no keys are kept."""
    is_default = call.field("use_default", bool)
    keys = call.field("include_claim_keys", list, default=[])
    if wrong := [key for key in keys if not re.fullmatch(r"[A-Za-z0-9_]+", str(key))]:
        raise refusal(422, f"Invalid claim key {wrong[0]}", call.page)
    call.repository.oidc_subject = {"use_default": is_default, "include_claim_keys": [] if is_default else keys}
    return created({})


@routes.on(
    "PUT",
    _REPO + "/subscription",
    Needs("activity/watching#set-a-repository-subscription", app="no"),
)
def subscribe(call: Call) -> Answer:
    """ "If you would like to watch a repository, set subscribed to true": a person's."""
    if call.field("subscribed", bool, default=False):
        call.repository.subscribers.add(call.credential.user)
    url = f"{call.sites.api}/repos/{call.repository.full_name}"
    return ok(
        {
            "subscribed": call.credential.user in call.repository.subscribers,
            "ignored": call.field("ignored", bool, default=False),
            "reason": None,
            "created_at": call.state.clock.text(),
            "url": f"{url}/subscription",
            "repository_url": url,
        }
    )


@routes.on(
    "PUT",
    _REPO + "/actions/permissions/access",
    Needs(
        "actions/permissions#set-the-level-of-access-for-workflows-outside-of-the-repository",
        "administration=write",
        role="admin",
    ),
)
def set_workflow_access(call: Call) -> Answer:
    """ "This endpoint only applies to private repositories." """
    if not call.repository.is_private:
        raise refusal(422, "Access policy only applies to internal and private repositories.", call.page)
    call.repository.workflow_access = call.field("access_level", str)
    return no_content()
