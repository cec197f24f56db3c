"""Who may see which workspace. Each asks first whether this identity may, as ``reading/permitted.py`` does of runs."""

from __future__ import annotations

from portal_actions_plugin.host import Identity
from portal_actions_plugin.run_types import KeptWorkspace, TemplateRun
from portal_actions_plugin.runs.guards import access
from portal_actions_plugin.runs.reading import permitted
from portal_actions_plugin.runs.reading.workspaces import shown


def of_page(identity: Identity | None, run: TemplateRun) -> KeptWorkspace | None:
    """How much the workspace holds of a run that ``permitted.template_run`` gave; None where there is none that the identity may see."""
    if not shown.may_have_workspace(run) or not _may_see_workspace(identity, run):
        return None
    return shown.summary(run.id)


def listing(identity: Identity | None, run_id: str, *, after: int, limit: int) -> KeptWorkspace:
    """At most ``limit`` files of a template run's workspace, those after the first ``after``.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not read template runs or workspaces.
        NotFoundError: there is no such run, it has no workspace, or the host's authorizer hides either.
        ConfigurationError: no key opens it any more.
    """
    return shown.listing(_run_with_workspace(identity, run_id), after, limit)


def file(identity: Identity | None, run_id: str, path: str) -> shown.Download:
    """A file of a template run's workspace, its secrets masked; ``path`` is as ``listing`` has it.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not read template runs or workspaces.
        NotFoundError: there is no such run or file, it has no workspace, or the host's authorizer hides either.
        ConflictError: the workspace is gone by now, or a secret cannot be taken out of the file.
        ConfigurationError, UnavailableError: it cannot be opened, or its store does not answer.
    """
    return shown.download(_run_with_workspace(identity, run_id), path)


def _run_with_workspace(identity: Identity | None, run_id: str) -> str:
    access.require_read(identity, "workspace:read")
    run = permitted.template_run(identity, run_id)
    if not _may_see_workspace(identity, run):
        raise shown.no_workspace()
    return run.id


def _may_see_workspace(identity: Identity | None, run: TemplateRun) -> bool:
    return access.allowed(identity, "workspace:read") and access.allowed(identity, "workspace:read", run)
