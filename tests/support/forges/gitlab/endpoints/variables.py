"""CI/CD variables of a project: docs.gitlab.com/api/project_level_variables/"""

from __future__ import annotations

import re
from urllib.parse import unquote

from tests.support.forges.gitlab import entities
from tests.support.forges.gitlab.routing import Call, endpoint, not_found, refused
from tests.support.forges.gitlab.state import MAINTAINER, Project, Variable
from tests.support.forges.messages import Answer, json_answer

_OPTIONAL = "variable_type protected:bool masked:bool raw:bool environment_scope description"
_TYPES = ("env_var", "file")


# docs.gitlab.com/api/project_level_variables/#list-project-variables
@endpoint("GET", "/projects/:id/variables")
def variables(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    call.check(optional="page:int per_page:int")
    return call.page([entities.variable(one) for one in _project(call, id).variables])


# docs.gitlab.com/api/project_level_variables/#retrieve-a-variable
@endpoint("GET", "/projects/:id/variables/:key")
def variable(call: Call, id: str, key: str) -> Answer:  # noqa: A002 the documentation's word
    call.params.pop("filter[environment_scope]", None)
    call.check()
    return json_answer(200, entities.variable(_find(call, _project(call, id), key)))


# docs.gitlab.com/api/project_level_variables/#create-a-variable
@endpoint("POST", "/projects/:id/variables")
def create(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    call.check("key value", f"masked_and_hidden:bool {_OPTIONAL}", variable_type=_TYPES)
    project, params = _project(call, id), call.params
    made = Variable(params["key"], params["value"])
    if not re.fullmatch(r"[a-zA-Z0-9_]{1,255}", made.key):
        raise refused(400, {"key": ["can contain only letters, digits and '_'."]})
    if params.get("masked_and_hidden"):
        made.hidden, params["masked"] = True, True
    _set(made, params)
    if any((one.key, one.environment_scope) == (made.key, made.environment_scope) for one in project.variables):
        # Ci::Variable of gitlab-org/gitlab: unique in its scope, message: "(%{value}) has already been taken"
        raise refused(400, {"key": [f"({made.key}) has already been taken"]})
    project.variables.append(made)
    return json_answer(201, entities.variable(made))


# docs.gitlab.com/api/project_level_variables/#update-a-variable
@endpoint("PUT", "/projects/:id/variables/:key")
def update(call: Call, id: str, key: str) -> Answer:  # noqa: A002 the documentation's word
    project = _project(call, id)
    found = _find(call, project, key)
    call.params.pop("filter[environment_scope]", None)
    call.params.pop("filter", None)
    call.check("value", _OPTIONAL, variable_type=_TYPES)
    found.value = call.params["value"]
    _set(found, call.params)
    return json_answer(200, entities.variable(found))


def _project(call: Call, id: str) -> Project:  # noqa: A002 the documentation's word
    project = call.project(id)
    call.must_have(project, MAINTAINER)
    return project


def _find(call: Call, project: Project, key: str) -> Variable:
    wanted = call.request.parameter("filter[environment_scope]") or (call.params.get("filter") or {}).get(
        "environment_scope"
    )
    found = [one for one in project.variables if one.key == unquote(key)]
    if wanted:
        found = [one for one in found if one.environment_scope == wanted]
    if len(found) > 1:
        # docs.gitlab.com/api/project_level_variables/#the-filter-parameter
        raise refused(
            409, "There are multiple variables with provided parameters. Please use 'filter[environment_scope]'"
        )
    if not found:
        raise not_found("Variable")
    return found[0]


def _set(variable: Variable, params: dict) -> None:
    # docs.gitlab.com/ci/variables/#mask-a-cicd-variable: one line without spaces, 8 characters or more
    if params.get("masked") and not re.fullmatch(r"\S{8,}", variable.value):
        raise refused(400, {"value": ["is invalid"]})
    for name in ("variable_type", "protected", "masked", "raw", "environment_scope", "description"):
        if params.get(name) is not None:
            setattr(variable, name, params[name])
