"""GitHub's REST API, a file for each part of its reference."""

from tests.support.forges.github.endpoints import (
    accounts,
    actions,
    apps,
    branches,
    contents,
    git_data,
    hooks,
    issues,
    options,
    people,
    protection,
    pulls,
    repositories,
)
from tests.support.forges.routing import Routes

ROUTES = Routes()
ROUTES.include(
    accounts.routes,
    apps.routes,
    repositories.routes,
    contents.routes,
    git_data.routes,
    protection.routes,
    branches.routes,
    pulls.routes,
    hooks.routes,
    people.routes,
    options.routes,
    issues.routes,
    actions.routes,
)
