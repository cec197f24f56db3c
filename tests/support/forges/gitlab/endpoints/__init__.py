"""The endpoints of the REST API, a module for each chapter of GitLab's documentation; importing this adds them all."""

from tests.support.forges.gitlab.endpoints import (
    access,
    branches,
    commits,
    files,
    hooks,
    instance,
    issues,
    merge_requests,
    pipelines,
    projects,
    protected_branches,
    variables,
)

__all__ = [
    "access",
    "branches",
    "commits",
    "files",
    "hooks",
    "instance",
    "issues",
    "merge_requests",
    "pipelines",
    "projects",
    "protected_branches",
    "variables",
]
