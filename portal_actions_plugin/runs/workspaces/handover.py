"""Whether a run's workspace is there for one that would resume it: said before that starts, not by its first step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from portal_actions_plugin.errors import ConflictError, RemoteError, UnavailableError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.workspaces import generations, travel
from portal_actions_plugin.runs.workspaces.generations import Generation
from portal_actions_plugin.runs.workspaces.manifest import by_owner
from portal_actions_plugin.runs.workspaces.stores.opening import store
from portal_actions_plugin.runs.workspaces.stores.store import RUNS, Shelf
from portal_actions_plugin.storage.sessions import reading


def of_source(run_id: str, position: int) -> Generation | None:
    """The workspace that a run would be resumed with, looked at as far as a page may: a store that is not near is not asked.

    Args:
        run_id: the run that would be resumed.
        position: of the step that the new run would begin at.

    Returns:
        None when no step before that has changed it.

    Raises:
        ConflictError: the workspace, or a file of it, is gone.
        ConfigurationError: no key opens it any more, or it is kept in another store.
        RemoteError: the store does not answer.
    """
    with reading() as db:
        generations.require_kept(db, run_id)
        generation = generations.handed_over(db, run_id, position, extension().config.secret_keys)
    if generation is None:
        return None
    travel.require_here(generation, store())
    if store().is_near:
        _require_contents(generation)
    return generation


def require_contents(generation: Generation | None) -> None:
    """Look for all that the workspace of ``of_source`` needs, where that has not been done.

    Raises:
        ConflictError: a file is gone.
        ConfigurationError: the store is not usable.
        UnavailableError: it does not answer.
    """
    if generation is not None and not store().is_near:
        with as_unavailable():
            _require_contents(generation)


def _require_contents(generation: Generation) -> None:
    contents = generation.manifest.contents()
    gone = sum(len(store().lacks(Shelf(RUNS, owner), some)) for owner, some in by_owner(contents, contents).items())
    if gone:
        raise ConflictError(
            f"The workspace of this run is not whole any more: {store().describe()} lacks {gone} of its "
            f"{len(contents)} files.",
            hint="They were deleted there, or the portal was moved or restored without them: your platform team can "
            "bring them back. Else retry the run: it begins with an empty workspace.",
        )


@contextmanager
def as_unavailable() -> Iterator[None]:
    """Tell who asks over the web that a store does not answer as what it is to them: a part of the portal is away."""
    try:
        yield
    except RemoteError as error:
        raise UnavailableError(error.message, hint=error.hint) from None
