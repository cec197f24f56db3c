"""Groups within groups: docs.gitlab.com/api/groups/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal_actions_plugin.errors import AuthError, ConflictError, ValidationError
from portal_actions_plugin.scm.gitlab.client import Api, GitLab
from portal_actions_plugin.scm.gitlab.projects import segment
from portal_actions_plugin.scm.names import check_owner
from portal_actions_plugin.scm.remote.fields import number
from portal_actions_plugin.scm.remote.lost_answers import write_once

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portal_actions_plugin.run_types import JsonValue

_FIELD = "path"


def ensure_group(gitlab: GitLab, path: Sequence[str], names: Sequence[str], description: str) -> int:
    """Find a group by its path, or make what is missing of it, as ``ScmProvider.ensure_group`` says."""
    for name in path:
        check_owner(name, _FIELD)
    if not path:
        raise ValidationError("A group has a name.", fields={_FIELD: ["Name at least one group."]})
    api = gitlab.api(path[0])
    parent: int | None = None
    for depth in range(1, len(path) + 1):
        body: dict[str, JsonValue] = {"name": names[depth - 1], "path": path[depth - 1]}
        if parent is not None:
            body["parent_id"] = parent
        if description and depth == len(path):
            body["description"] = description
        parent = _find(api, path[:depth]) or _make(api, path[:depth], body)
    assert parent is not None  # noqa: S101 there is at least one
    return parent


def _find(api: Api, path: Sequence[str]) -> int | None:
    answer = api.find(f"/groups/{segment('/'.join(path))}", query={"with_projects": "false"})
    return None if answer is None else number(answer.object(), "id")


def _make(api: Api, path: Sequence[str], body: JsonValue) -> int:
    name = "/".join(path)

    def write() -> int:
        try:
            return number(api.send("POST", "/groups", body=body, name=name).object(), "id")
        except (ConflictError, ValidationError):
            found = _find(api, path)  # somebody else was faster, or it is hidden
            if found is None:
                raise
            return found
        except AuthError as error:
            message = f"The group {name} is missing, and may not be made. {error.message}"
            raise AuthError(
                message,
                hint="An administrator says who makes groups; an Owner of the outer group makes one within it.",
                fields={_FIELD: [message]},
            ) from None

    made = write_once(write, lambda: _find(api, path), log=api.opening.log)
    api.opening.log(f"the group {name} was missing, and is made")
    return made
