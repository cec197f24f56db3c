"""What a token can do, found out by calls that change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal_actions_plugin.scm.base import Operation, Reach
from portal_actions_plugin.scm.gitlab.client import Api
from portal_actions_plugin.scm.gitlab.permissions import DEVELOPER, MAINTAINER, NEEDS, OWNER, lacks_scope
from portal_actions_plugin.scm.gitlab.projects import segment
from portal_actions_plugin.scm.remote.fields import flag, maybe_text, number, text, texts

if TYPE_CHECKING:
    from portal_actions_plugin.scm.remote.fields import JsonObject

_CREATORS = {"noone": 100, "owner": OWNER, "maintainer": MAINTAINER, "developer": DEVELOPER, "administrator": 100}
"""The least access level for each ``project_creation_level`` of a group: docs.gitlab.com/api/groups/"""


def reach(api: Api, owner: str | None) -> Reach:
    """Find out who a token is, which scopes it has, and whether it may create projects for an owner.

    Args:
        api: with the owner's credential.
        owner: a group's full path or a user's name; None for the installation's own credential.
    """
    version = api.send("GET", "/version", accept=(403,))
    missing = _lacking_scopes(api)
    owners: tuple[str, ...] = ()
    if Operation.CREATE_REPO not in missing:
        if owner is None:
            owners = _owners(api)
        elif (lacks := _cannot_create(api, owner)) is None:
            owners = (owner,)
        else:
            missing[Operation.CREATE_REPO] = lacks
    named = maybe_text(version.object(), "version") if version.status == 200 else None
    forge = f"GitLab {named}" if named else "GitLab"
    return Reach(who=_who(api), forge=forge, missing=missing, owners=owners, skew=version.skew)


def _who(api: Api) -> str:
    """The account's user name; empty for a token that may not even ask for that."""
    if "/user" in api.known:
        return api.my_name
    answer = api.send("GET", "/user", accept=(403,))
    return text(answer.object(), "username") if answer.status == 200 else ""


def _lacking_scopes(api: Api) -> dict[Operation, str]:
    """docs.gitlab.com/api/personal_access_tokens/#self-inform. A token of OAuth has no such page: nothing is known of it."""
    answer = api.send("GET", "/personal_access_tokens/self", accept=(400, 401, 403, 404))
    if answer.status != 200:
        return {}
    scopes = frozenset(texts(answer.object(), "scopes"))
    return {operation: lacks for operation in NEEDS if (lacks := lacks_scope(operation, scopes)) is not None}


def _cannot_create(api: Api, owner: str) -> str | None:
    """Why the token's account may not create projects for an owner; None when nothing speaks against it."""
    answer = api.find(f"/groups/{segment(owner)}", query={"with_projects": "false"})
    if answer is None:
        if owner.casefold() != api.my_name.casefold():
            return f"the account {api.my_name} sees no group {owner}: an Owner of it can invite the account"
        return None if _may_create_own(api.me) else f"the account {api.my_name} may create no projects of its own"
    group = answer.object()
    member = api.find(f"/groups/{number(group, 'id')}/members/all/{api.my_id}")
    level = number(member.object(), "access_level") if member is not None else 0
    is_admin = flag(api.me, "is_admin")
    needed = _CREATORS.get(maybe_text(group, "project_creation_level") or "", DEVELOPER)
    if level >= needed or is_admin:
        return None
    return f"the account {api.my_name} may create no projects in {owner}: an Owner of it can give it the role"


def _may_create_own(me: JsonObject) -> bool:
    return flag(me, "can_create_project") and not flag(me, "bot")


def _owners(api: Api) -> tuple[str, ...]:
    """Where the account may create projects: docs.gitlab.com/api/groups/#list-all-groups"""
    answer = api.send("GET", "/groups", query={"min_access_level": DEVELOPER, "per_page": 100}, accept=(403, 404))
    groups = answer.list() if answer.status == 200 else ()
    own = (api.my_name,) if _may_create_own(api.me) else ()
    return own + tuple(sorted(text(group, "full_path") for group in groups))
