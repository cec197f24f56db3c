"""Who asks, what answers, and the namespaces that projects are in."""

from __future__ import annotations

from urllib.parse import unquote

from tests.support.forges.gitlab import entities, shapes
from tests.support.forges.gitlab.access import Caller
from tests.support.forges.gitlab.routing import Call, bad_request, endpoint, forbidden, not_found
from tests.support.forges.gitlab.state import MAINTAINER, NO_ACCESS, OWNER, Namespace, Token
from tests.support.forges.messages import Answer, json_answer

_ANY_SCOPE = ("read_user", "read_repository", "write_repository", "create_runner", "read_registry", "self_rotate")


# docs.gitlab.com/api/users/#retrieve-the-current-user
@endpoint("GET", "/user", "read_user")
def current_user(call: Call) -> Answer:
    call.check()
    call.must_be_known()
    return json_answer(200, entities.user(call.state, call.caller.user))


# docs.gitlab.com/api/users/#list-all-users: one by its name
@endpoint("GET", "/users", "read_user")
def users(call: Call) -> Answer:
    call.check(optional="username search page:int per_page:int")
    call.must_be_known()
    wanted = str(call.params.get("username", "")).lower()
    found = [one for one in call.state.users.values() if not wanted or one.username.lower() == wanted]
    return call.page([entities.user_basic(call.state, one) for one in found])


# docs.gitlab.com/api/version/
@endpoint("GET", "/version", "read_user")
def version(call: Call) -> Answer:
    call.must_be_known()
    value = {"version": _version(call), "revision": "3bdb8a1c22f"}
    shapes.check("VERSION", value)
    return json_answer(200, value)


# docs.gitlab.com/api/metadata/
@endpoint("GET", "/metadata", "read_user")
def metadata(call: Call) -> Answer:
    call.must_be_known()
    value = {
        "version": _version(call),
        "revision": "3bdb8a1c22f",
        "kas": {"enabled": False, "externalUrl": None, "externalK8sProxyUrl": None, "version": None},
        "enterprise": call.state.edition != "ce",
    }
    shapes.check("METADATA", value)
    return json_answer(200, value)


def _version(call: Call) -> str:
    return call.state.version + ("" if call.state.edition == "ce" else "-ee")


# docs.gitlab.com/api/personal_access_tokens/#self-inform: any scope is enough, and a token of OAuth is none of them
@endpoint("GET", "/personal_access_tokens/self", *_ANY_SCOPE)
def own_token(call: Call) -> Answer:
    call.must_be_known()
    if call.caller.token is None or call.caller.token.kind == "oauth":
        raise bad_request("This endpoint requires token type to be a personal access token")
    return json_answer(200, entities.token(call.state, call.caller.token))


# docs.gitlab.com/api/namespaces/#retrieve-a-namespace: of members alone, also when everybody may see the group
# (check_namespace_access in lib/api/helpers.rb of gitlab-org/gitlab)
@endpoint("GET", "/namespaces/:id")
def namespace(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    call.must_be_known()
    found = _namespace(call, id, "Namespace")
    if call.caller.level_in(found) == NO_ACCESS:
        raise not_found("Namespace")
    return json_answer(200, entities.namespace(call.state, found))


# docs.gitlab.com/api/groups/#list-all-groups: those that the caller may see, or has at least this level in
@endpoint("GET", "/groups")
def groups(call: Call) -> Answer:
    call.check(optional="min_access_level:int owned:bool search top_level_only:bool page:int per_page:int")
    least = call.params.get("min_access_level", 0)
    found = [one for one in call.state.namespaces.values() if one.user is None and call.caller.can_see_namespace(one)]
    return call.page([entities.group(call.state, one) for one in found if call.caller.level_in(one) >= least])


# docs.gitlab.com/api/group_members/#retrieve-a-member-of-a-group-including-inherited-and-invited-members
@endpoint("GET", "/groups/:id/members/all/:user_id")
def group_member(call: Call, id: str, user_id: str) -> Answer:  # noqa: A002 the documentation's word
    call.must_be_known()
    found = _namespace(call, id, "Group")
    user = call.state.users.get(int(user_id))
    level = Caller(call.state, Token(0, "", user, ())).level_in(found) if user else 0
    if user is None or not level or user.admin:
        raise not_found("Member")
    return json_answer(200, entities.member(call.state, user, level))


# docs.gitlab.com/api/groups/#retrieve-a-group: a group that one may not see is not there
@endpoint("GET", "/groups/:id")
def group(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    call.check(optional="with_projects:bool with_custom_attributes:bool")
    found = _namespace(call, id, "Group")
    if found.user is not None:
        raise not_found("Group")
    return json_answer(200, entities.group(call.state, found))


# docs.gitlab.com/api/groups/#create-a-group and #create-a-subgroup: a top-level one is for who may make them, another one
# for an Owner or Maintainer of the group around it
@endpoint("POST", "/groups")
def create_group(call: Call) -> Answer:
    call.check(required="name path", optional="parent_id:int description visibility")
    call.must_be_known()
    params, user = call.params, call.caller.user
    parent = call.state.namespaces.get(params["parent_id"]) if params.get("parent_id") else None
    if params.get("parent_id") and (parent is None or not call.caller.can_see_namespace(parent)):
        raise not_found("Group")
    if parent is not None and call.caller.level_in(parent) < MAINTAINER:
        raise forbidden()
    path = f"{parent.full_path}/{params['path']}" if parent else params["path"]
    if call.state.namespace(path) is not None:
        raise bad_request('Failed to save group {:path=>["has already been taken"]}')
    made = Namespace(call.state.next_id(), params["path"], params["name"], parent)
    made.members[user.id] = OWNER
    call.state.namespaces[made.id] = made
    return json_answer(201, entities.group(call.state, made))


def _namespace(call: Call, id: str, what: str) -> Namespace:  # noqa: A002 the documentation's word
    name = unquote(id)
    found = call.state.namespaces.get(int(name)) if name.isdigit() else call.state.namespace(name)
    if found is None or not call.caller.can_see_namespace(found):
        raise not_found(what)
    return found
