"""Projects: docs.gitlab.com/api/projects/"""

from __future__ import annotations

import re
from typing import Any

from tests.support.forges.git_store import NO_COMMIT, Person
from tests.support.forges.git_store import Entry as TreeEntry
from tests.support.forges.gitlab import entities
from tests.support.forges.gitlab.pushed import after_push
from tests.support.forges.gitlab.routing import ApiError, Call, endpoint, forbidden, not_found, refused
from tests.support.forges.gitlab.state import MAINTAINER, OWNER, Namespace, Project, State, User
from tests.support.forges.messages import Answer, json_answer

_SETTINGS = (
    "only_allow_merge_if_pipeline_succeeds:bool only_allow_merge_if_all_discussions_are_resolved:bool "
    "remove_source_branch_after_merge:bool merge_method squash_option issues_enabled:bool "
    "merge_requests_enabled:bool jobs_enabled:bool"
)
_VISIBILITIES = ("private", "internal", "public")
_TAKEN = ["has already been taken"]


# docs.gitlab.com/api/projects/#create-a-project
@endpoint("POST", "/projects")
def create(call: Call) -> Answer:
    call.check(
        optional="name path namespace_id:int description visibility initialize_with_readme:bool default_branch "
        f"topics:texts tag_list:texts {_SETTINGS}",
        visibility=_VISIBILITIES,
    )
    call.must_be_known()
    params, user = call.params, call.caller.user
    if not params.get("name") and not params.get("path"):
        raise ApiError(400, {"error": "name, path are missing, at least one parameter must be provided"})
    name = params.get("name") or params["path"]
    path = params.get("path") or _as_path(name)
    namespace = _namespace(call, params.get("namespace_id"))
    visibility = params.get("visibility", "private")
    problems = _problems(call.state, namespace, name, path) | _too_open(namespace, visibility)
    if len(params.get("description") or "") > 2_000:
        # Project::MAX_DESCRIPTION_LENGTH of gitlab-org/gitlab (app/models/project.rb)
        problems["description"] = ["is too long (maximum is 2000 characters)"]
    if problems:
        raise refused(400, problems)
    made = make_project(call.state, namespace, path, user, name=name, visibility=visibility)
    made.description = params.get("description")
    made.topics = params.get("topics") or params.get("tag_list") or []
    if params.get("default_branch") and params.get("initialize_with_readme"):
        # docs.gitlab.com/api/projects/#create-a-project: "Requires initialize_with_readme to be true."
        made.default_branch = params["default_branch"]
        made.repository.set_default_branch(made.default_branch)
    _set(made, params)
    if params.get("initialize_with_readme"):
        initialize(call.state, made, user)
    return json_answer(201, entities.project(call.caller, made))


def make_project(
    state: State, namespace: Namespace, path: str, creator: User, *, name: str = "", visibility: str = "private"
) -> Project:
    """Make an empty project, with a repository that has no branch."""
    number = state.next_id()
    repository = state.store.create(str(number), "main")
    made = Project(number, path, name or path, namespace, creator, state.now(), repository, visibility=visibility)
    if namespace.user is not None:
        # In a group its creator has no more than what the group gives, and may be a Developer of it:
        # Projects::CreateService#setup_authorizations of gitlab-org/gitlab (app/services/projects/create_service.rb)
        made.members[namespace.user.id] = OWNER
    state.projects[number] = made
    # A new project takes its name from whoever had it before:
    # docs.gitlab.com/user/project/repository/#repository-path-changes
    state.moved.pop(made.full_path.lower(), None)
    return made


def initialize(state: State, project: Project, user: User) -> None:
    """The first commit that ``initialize_with_readme`` makes: docs.gitlab.com/user/project/#create-a-blank-project"""
    repository = project.repository
    text = f"# {project.name}\n\n{project.description or ''}\n"
    blob = repository.write_blob(text.encode())
    tree = repository.write_tree([TreeEntry("README.md", "100644", "blob", blob)])
    who = Person(user.name, user.email, state.now())
    commit = repository.write_commit(tree, [], "Initial commit", author=who)
    repository.set_ref(f"refs/heads/{project.default_branch}", commit, NO_COMMIT)
    after_push(state, project)


def _namespace(call: Call, namespace_id: int | None) -> Namespace:
    state, user = call.state, call.caller.user
    if namespace_id is None:
        if user.bot:
            # A token's user has a projects limit of none: docs.gitlab.com/user/profile/personal_access_tokens/ and
            # docs.gitlab.com/user/project/settings/project_access_tokens/#bot-users-for-projects; POST /projects says 403
            raise ApiError(
                403,
                {
                    "error": [
                        "Personal project creation is not allowed. Please contact your administrator with questions"
                    ]
                },
            )
        return next(one for one in state.namespaces.values() if one.user is user)
    namespace = state.namespaces.get(namespace_id)
    if namespace is None or not call.caller.can_see_namespace(namespace):
        raise refused(400, {"namespace": ["is not valid"]})
    if not call.caller.can_create_in(namespace):
        if user.bot:
            raise forbidden()
        raise refused(400, {"namespace": ["is not valid"]})
    return namespace


def _problems(state: State, namespace: Namespace, name: str, path: str) -> dict[str, list[str]]:
    problems: dict[str, list[str]] = {}
    siblings = [one for one in state.projects.values() if one.namespace is namespace]
    if any(one.name.lower() == name.lower() for one in siblings):
        problems |= {"project_namespace.name": _TAKEN, "name": _TAKEN}
    if any(one.path.lower() == path.lower() for one in siblings) or state.namespace(f"{namespace.full_path}/{path}"):
        problems |= {"path": _TAKEN}
    # docs.gitlab.com/user/reserved_names/#rules-for-usernames-project-and-group-names-and-slugs
    if not re.fullmatch(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]*", path) or path.endswith((".git", ".atom", ".", "-", "_")):
        problems["path"] = [
            "must not start or end with a special character and must not contain consecutive special characters."
        ]
    if not re.fullmatch(r"[\w\U0001F300-\U0001FAFF][\w\U0001F300-\U0001FAFF.+\- ]*", name):
        only = "can contain only letters, digits, emoji, '_', '.', '+', dashes, or spaces."
        problems["name"] = [f"{only} It must start with a letter, digit, emoji, or '_'."]
    return problems


def _too_open(namespace: Namespace, visibility: str) -> dict[str, list[str]]:
    """A group's projects are no more open than it is: docs.gitlab.com/user/public_access/"""
    if namespace.user or _VISIBILITIES.index(visibility) <= _VISIBILITIES.index(namespace.visibility):
        return {}
    return {"visibility_level": [f"{visibility} is not allowed in a {namespace.visibility} group."]}


def _as_path(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_.-]+", "-", name).strip("-.").lower()


# docs.gitlab.com/api/projects/#retrieve-a-project
@endpoint("GET", "/projects/:id")
def retrieve(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    call.check(optional="license:bool statistics:bool with_custom_attributes:bool")
    return json_answer(200, entities.project(call.caller, call.project(id)))


# docs.gitlab.com/api/projects/#update-a-project
@endpoint("PUT", "/projects/:id")
def update(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    call.check(
        optional=f"name path description visibility default_branch topics:texts tag_list:texts {_SETTINGS}",
        visibility=_VISIBILITIES,
    )
    project = call.project(id)
    params = call.params
    # docs.gitlab.com/user/permissions/#project-permissions: name, path and visibility are an Owner's to change
    call.must_have(project, OWNER if {"name", "path", "visibility"} & params.keys() else MAINTAINER)
    if not params:
        raise ApiError(400, {"error": "at least one parameter must be provided"})
    if (branch := params.get("default_branch")) and project.repository.head(branch) is None:
        raise refused(
            400,
            {"base": [f"Could not set the default branch. Do you have a branch named '{branch}' in your repository?"]},
        )
    if problems := _too_open(project.namespace, params.get("visibility", "private")):
        raise refused(400, problems)
    project.description = params.get("description", project.description)
    project.visibility = params.get("visibility", project.visibility)
    project.name = params.get("name", project.name)
    project.topics = params.get("topics", params.get("tag_list", project.topics))
    if branch:
        project.default_branch = branch
        project.repository.set_default_branch(branch)
    if params.get("path"):
        rename(call.state, project, params["path"])
    _set(project, params)
    return json_answer(200, entities.project(call.caller, project))


def rename(state: State, project: Project, path: str, namespace: Namespace | None = None) -> None:
    """Give a project another path or namespace; the old path leads to it from now on."""
    state.moved[project.full_path.lower()] = project.id
    project.path, project.namespace = path, namespace or project.namespace
    state.moved.pop(project.full_path.lower(), None)


def _set(project: Project, params: dict[str, Any]) -> None:
    names = [word.partition(":")[0] for word in _SETTINGS.split()]
    project.settings |= {name: params[name] for name in names if params.get(name) is not None}


# docs.gitlab.com/api/projects/#archive-a-project
@endpoint("POST", "/projects/:id/archive")
def archive(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    project = call.project(id)
    call.must_have(project, OWNER)
    project.archived = True
    return json_answer(201, entities.project(call.caller, project))


# docs.gitlab.com/api/projects/#share-a-project-with-a-group
@endpoint("POST", "/projects/:id/share")
def share(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    call.check("group_id:int group_access:int", "expires_at", group_access=(10, 15, 20, 25, 30, 40, 50))
    project = call.project(id)
    call.must_have(project, MAINTAINER)
    group = call.state.namespaces.get(call.params["group_id"])
    if group is None or group.user or not call.caller.can_see_namespace(group):
        raise not_found("Group")
    if group.id in project.shares:
        raise refused(409, {"group_id": ["already shared with this group"]})
    project.shares[group.id] = call.params["group_access"]
    value = {
        "id": call.state.next_id(),
        "project_id": project.id,
        "group_id": group.id,
        "group_access": project.shares[group.id],
        "expires_at": None,
    }
    return json_answer(201, value)


# docs.gitlab.com/api/projects/#delete-a-shared-project-link-in-a-group
@endpoint("DELETE", "/projects/:id/share/:group_id")
def unshare(call: Call, id: str, group_id: str) -> Answer:  # noqa: A002 the documentation's word
    project = call.project(id)
    call.must_have(project, MAINTAINER)
    if not group_id.isdigit() or project.shares.pop(int(group_id), None) is None:
        raise not_found("Group link")
    return Answer(204)
