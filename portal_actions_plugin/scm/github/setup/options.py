"""Settings of a repository, most of them of its own address, and some that GitHub keeps at an address of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from portal_actions_plugin.scm.remote.lost_answers import write_again

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.github.client import RepoApi

_ELSEWHERE: Mapping[str, tuple[str, str]] = {
    "custom_properties": ("PATCH", "/properties/values"),
    "oidc_subject": ("PUT", "/actions/oidc/customization/sub"),
    "subscription": ("PUT", "/subscription"),
    "workflow_access": ("PUT", "/actions/permissions/access"),
}
"""What is written elsewhere: "Create or update custom property values for a repository", "Set the customization template
for an OIDC subject claim for a repository", "Set a repository subscription", and "Set the level of access for workflows
outside of the repository".
"""


def configure_repo(repo: RepoApi, settings: Mapping[str, JsonValue]) -> None:
    """Change settings of a repository.

    Args:
        repo: it.
        settings: by the names of "Update a repository"; and ``custom_properties`` (values by name), ``oidc_subject``,
            ``subscription`` and ``workflow_access``, each as the body of its own request.
    """
    own = {name: value for name, value in settings.items() if name not in _ELSEWHERE}
    if own:
        _write(repo, "PATCH", "", own)
    for name, (method, path) in _ELSEWHERE.items():
        if name in settings:
            _write(repo, method, path, _body(name, settings[name]))


def _body(name: str, value: JsonValue) -> JsonValue:
    if name == "custom_properties" and isinstance(value, Mapping):
        return {"properties": [{"property_name": one, "value": held} for one, held in value.items()]}
    return value


def _write(repo: RepoApi, method: str, path: str, body: JsonValue) -> None:
    write_again(lambda: repo.send(method, path, body=body), log=repo.api.opening.log)
