"""CI/CD variables of a project: docs.gitlab.com/api/project_level_variables/"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ConflictError, ValidationError
from portal_actions_plugin.scm.base import Variable
from portal_actions_plugin.scm.gitlab.client import ProjectApi
from portal_actions_plugin.scm.gitlab.projects import segment
from portal_actions_plugin.scm.remote.fields import at
from portal_actions_plugin.scm.remote.lost_answers import write_again

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.gitlab.client import Query
    from portal_actions_plugin.scm.remote.fields import JsonObject

_NAME = re.compile(r"[A-Za-z0-9_]{1,255}")
_MAX_VALUE = 10_000
_SHORTEST_MASKED = 8


def set_variable(repo: ProjectApi, variable: Variable) -> None:
    """Set a variable of its environments, whatever it was before. A secret one is masked in job logs."""
    _check(variable)
    rest = f"/variables/{segment(variable.name)}"
    scope: Query = {"filter[environment_scope]": variable.scope}
    answer = repo.find(rest, query=scope)
    settings: dict[str, JsonValue] = {
        "value": variable.value,
        "masked": variable.is_secret,
        "protected": variable.is_protected,
        # A "$" in a value is one: docs.gitlab.com/ci/variables/#prevent-cicd-variable-expansion
        "raw": variable.is_raw,
    }
    if variable.is_file:
        settings["variable_type"] = "file"
    if variable.description:
        settings["description"] = variable.description
    if answer is None and _create(repo, variable, settings):
        return
    there: JsonObject = {} if answer is None else answer.object()
    if any(at(there, key) != wanted for key, wanted in settings.items()):
        write_again(lambda: repo.write("PUT", rest, query=scope, body=settings), log=repo.opening.log)
    if variable.is_hidden and at(there, "hidden") is False:
        repo.opening.warn(
            f"The variable {variable.name} of {repo.name} was there already, and GitLab hides none later: people who may see "
            "its settings can look at the new value. Remove it there before it is set again."
        )


def _create(repo: ProjectApi, variable: Variable, settings: dict[str, JsonValue]) -> bool:
    """Whether it could be created; False when somebody was faster, or an answer was lost."""
    body: dict[str, JsonValue] = {"key": variable.name, "environment_scope": variable.scope, **settings}
    if variable.is_hidden:  # only a new one can be
        body["masked_and_hidden"] = True
    try:
        write_again(lambda: repo.write("POST", "/variables", body=body), log=repo.opening.log)
    except ConflictError:
        return False
    return True


def _check(variable: Variable) -> None:
    """GitLab's rules, whose refusals only say that the value is invalid: docs.gitlab.com/ci/variables/#mask-a-cicd-variable"""
    if not _NAME.fullmatch(variable.name):
        raise _wrong("name", f"{variable.name[:255]!r} is no name: it has up to 255 letters, digits and '_'")
    if len(variable.value) > _MAX_VALUE:
        raise _wrong("value", f"{variable.name} has more than {_MAX_VALUE:,} characters")
    if not variable.is_secret:
        return
    if len(variable.value) < _SHORTEST_MASKED:
        raise _wrong("value", f"{variable.name} is to be masked, and has fewer than {_SHORTEST_MASKED} characters")
    if re.search(r"\s", variable.value):
        raise _wrong("value", f"{variable.name} is to be masked, and holds a space or a line break")


def _wrong(field: str, what: str) -> ValidationError:
    message = f"GitLab does not take this variable: {what}."
    hint = "Correct the value, or set it without hiding it if it is no secret. A value of several lines is taken as base64."
    return ValidationError(message, hint=hint, fields={field: [message]})
